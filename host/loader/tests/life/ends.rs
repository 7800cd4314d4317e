//! How generations end: refused at `load`, given up, lingering, dropped.

use crate::bench::{Ground, Life, in_both_placements, mappings_of, none, output};
use crate::runs::asked;
use serde_json::{Value, json};
use sexton_loader::seam::{Memory, Order, Placement, Report};
use sexton_plugin_api::wire::{HostCall, JobEnd};

in_both_placements! {
    a_load_that_fails_is_a_rejection_and_the_image_goes
    another_layout_is_refused_in_words
    what_unload_says_is_told_and_does_not_hold
    unload_may_still_call_the_host
    dropping_the_sender_drains_and_unloads
    orders_out_of_order_are_answered
}

fn a_load_that_fails_is_a_rejection_and_the_image_goes(placement: Placement) {
    let cases = [
        ("fail", "PLG015", "no database"),
        ("panic", "PLG016", "fx.rs:1:1: index out of bounds"),
        ("garbage", "PLG015", "not understood"),
        ("garbage-failure", "PLG015", "not understood"),
        ("call", "PLG015", "API002"),
    ];
    for (how, code, words) in cases {
        let ground = Ground::of(placement);
        let mut life = Life::start(&ground, "fx_jobs", 1);
        let rejection = life.load(json!({"load": how})).expect_err("refused");
        assert_eq!(rejection.code, code, "{rejection}");
        assert!(rejection.message.contains(words), "{rejection}");
        assert_eq!(life.gone().memory, Memory::Unmapped, "{how}");
        assert_eq!(life.mapped(), 0);
    }
}

fn another_layout_is_refused_in_words(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_layout", 1);
    let rejection = life.load(none()).expect_err("refused");
    assert_eq!(rejection.code, "PLG011");
    let found = rejection.found.expect("what differs");
    assert!(found.contains("sexton-plugin-api") && !found.contains("Error:") && found.len() < 1300, "{found}");
    assert_eq!(life.gone().memory, Memory::Unmapped);
}

fn what_unload_says_is_told_and_does_not_hold(placement: Placement) {
    for (how, words) in [("fail", "would not"), ("garbage", "not understood")] {
        let ground = Ground::of(placement);
        let farewell = Life::active(&ground, json!({"unload": how})).end();
        assert_eq!(farewell.memory, Memory::Unmapped);
        let failure = farewell.unload.expect("said");
        assert!(failure.message.contains(words), "{failure:?}");
    }
}

fn unload_may_still_call_the_host(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::active(&ground, json!({"unload": "call"}));
    life.order(Order::Drain);
    life.order(Order::Unload);
    let (call, run, request) = asked(&mut life);
    assert_eq!((run, request), (0, HostCall::StatePut { key: "k".into(), value: json!(1), expected: None }));
    life.order(Order::Answer { call, answer: Ok(json!({"version": 1})) });
    let farewell = life.gone();
    assert_eq!(farewell.memory, Memory::Unmapped);
    assert_eq!(farewell.unload.expect("said").message, r#"true {"version":1}"#);
}

#[test]
fn unload_before_load_opens_nothing() {
    let ground = Ground::new();
    let mut life = Life::start(&ground, "fx_jobs", 1);
    life.order(Order::Unload);
    assert_eq!(life.gone().memory, Memory::None);
}

fn dropping_the_sender_drains_and_unloads(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::active(&ground, none());
    life.run(1, "fx.sleep", &none());
    life.started(1);
    life.order(Order::Cancel { run: 1 });
    life.orders = None;
    assert!(matches!(life.done(1).reply.end, JobEnd::Cancelled { .. }));
    assert_eq!(life.gone().memory, Memory::Unmapped);
    assert_eq!(life.mapped(), 0);
}

#[test]
fn unload_under_a_run_leaves_the_image_open_and_names_the_run() {
    let ground = Ground::new();
    let mut life = Life::active(&ground, none());
    life.run(7, "fx.sleep", &none());
    life.started(7);
    life.order(Order::Unload);
    let Memory::Lingering { why } = life.gone().memory else { panic!("lingers") };
    assert!(why.contains("run 7 of fx.sleep"), "{why}");
    // The run was asked to stop; when it ends after all, the image goes, silently.
    eventually("unmapped", || mappings_of(&life.image) == 0);
    assert!(life.reports.try_recv().is_err());
}

#[test]
fn a_load_that_never_returns_is_given_up_and_not_closed_under() {
    let ground = Ground::new();
    let mut life = Life::start(&ground, "fx_jobs", 1);
    life.order(Order::Load(sexton_plugin_api::wire::LoadOrder {
        plugin: "fx-jobs".into(),
        settings: json!({"load": "block"}),
        log_level: 3,
    }));
    eventually("opened", || mappings_of(&life.image) > 0);
    life.order(Order::Unload);
    let Memory::Lingering { why } = life.gone().memory else { panic!("lingers") };
    assert!(why.contains("`load` has not returned") || why.contains("still"), "{why}");
    eventually("unmapped once it has returned", || mappings_of(&life.image) == 0);
}

#[test]
fn a_thread_left_behind_is_named_and_not_closed_under() {
    let ground = Ground::new();
    let mut life = Life::active(&ground, none());
    life.run(1, "fx.leave-thread", &none());
    assert_eq!(output(&life.done(1)), Value::Bool(true));
    let image = life.image.clone();
    let Memory::Lingering { why } = life.end().memory else { panic!("lingers") };
    assert!(why.contains("`fx-leaver`"), "{why}");
    assert!(mappings_of(&image) > 0);
}

#[test]
fn a_signal_handler_left_behind_is_named_and_not_closed_under() {
    let ground = Ground::new();
    let mut life = Life::active(&ground, none());
    life.run(1, "fx.handle-signal", &none());
    assert_eq!(output(&life.done(1)), Value::Bool(true));
    let image = life.image.clone();
    let Memory::Lingering { why } = life.end().memory else { panic!("lingers") };
    assert!(why.contains(&format!("signal {}", libc::SIGUSR2)), "{why}");
    assert!(mappings_of(&image) > 0);
    // SAFETY: the default takes the place of a handler whose image stays open.
    unsafe { libc::signal(libc::SIGUSR2, libc::SIG_DFL) };
}

fn orders_out_of_order_are_answered(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_jobs", 1);
    life.run(1, "fx.ok", &none());
    assert_eq!(life.next("refused", |r| if let Report::Refused(runs) = r { Some(runs.clone()) } else { None }), [1]);
    life.order(Order::Drain);
    life.next("quiescent", |r| matches!(r, Report::Quiescent).then_some(()));
    life.load(none()).expect("loads all the same");
    life.run(2, "fx.ok", &none());
    assert_eq!(
        life.next("refused", |r| if let Report::Refused(runs) = r { Some(runs.clone()) } else { None }),
        [2],
        "drained before it began"
    );
    life.order(Order::Unload);
    assert_eq!(life.gone().memory, Memory::Unmapped);
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + crate::bench::PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "{what}: not within {:?}", crate::bench::PATIENCE);
        std::thread::yield_now();
    }
}
