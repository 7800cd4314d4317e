//! Misbehaviour at the boundary: `load` and `unload` that fail or panic, calls before their time, faulty registrations, hostile drops.
//!
//! Not the host's refusals. What must hold: each gets a sentence, nothing unwinds into the host, and a second `load` after a failed one is clean.

mod compiler;
mod recording;

use recording::image::{Image, open};
use recording::{Recording, order};
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::wire::*;

fn unruly() -> Image {
    let library = compiler::profile_dir().join("examples/libunruly.so");
    if std::env::var_os("SEXTON_TESTS_BUILT").is_none() || !library.exists() {
        compiler::cargo_build(&["--example", "unruly"]);
    }
    open(&library)
}

fn with_settings(settings: Value) -> LoadOrder {
    LoadOrder { plugin: "unruly".into(), settings, log_level: 4 }
}

fn types(batch: &Batch) -> Vec<&str> {
    batch.types.iter().map(|t| t.event_type.as_str()).collect()
}

#[test]
fn a_faulty_load_is_refused_with_a_sentence_and_leaves_nothing() {
    let image = unruly();
    for (how, kind, message) in [
        ("fails", "error", "No such file or directory (os error 2)"),
        ("panics", "panic", "in the middle of load"),
        ("registers_twice", "error", "`unruly.nothing` is registered twice in this plugin"),
        ("static_form", "error", "`unruly.static` is registered on ScheduledEventManager"),
        ("bad_id", "error", "event type id not allowed: `Unruly.Nothing` has the part `Unruly`"),
        ("reserved", "error", "`sexton.nothing`: the prefix `sexton.` is reserved for types built into the host"),
        ("same_standing", "error", "the standing event `k` of `unruly.nothing` is declared twice"),
        ("loads_twice", "error", "the same wrapper was loaded twice"),
        ("late_wrapper", "error", "`unruly.late` was registered after the wrapper's `load`"),
        ("late", "error", "`unruly.late` was registered after the wrapper's `load`"),
        ("tracker", "error", "API002: events cannot be scheduled before the plugin is active: the generation is not active yet"),
        ("state", "error", "API002: the state cannot be used before the plugin is active: the generation is not active yet"),
    ] {
        let host = Recording::of(image.root);
        let failure = host.load_with(&with_settings(json!({ "load": how }))).expect_err(how);
        assert_eq!(failure.kind, kind, "{how}: {failure:?}");
        assert!(failure.message.starts_with(message), "{how}: {failure:?}");
        assert_eq!(failure.place.is_some(), kind == "panic", "{how}");
        // What failed left nothing behind: neither jobs to run nor registrations for the next time.
        let reply = host.run(&order(1, "unruly.nothing", &json!({})));
        assert_eq!(reply.end, JobEnd::Failed { message: "this build serves no event type `unruly.nothing`".into(), permanent: false });
        let (next, batch) = Recording::loaded(image.root);
        assert_eq!(types(&batch), ["unruly.nothing"], "{how}");
        next.unload().expect(how);
    }
    let host = Recording::of(image.root);
    let failure = host.load_with(&with_settings(json!({ "lode": 1 }))).expect_err("an unknown setting");
    assert!(failure.message.starts_with("the plugin's settings do not fit: unknown field `lode`"), "{failure:?}");
}

#[test]
fn a_forgotten_wrapper_is_named_in_the_log() {
    let image = unruly();
    let (host, batch) = Recording::loaded(image.root);
    assert_eq!(types(&batch), ["unruly.nothing"]);
    let logs = host.logs();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!((logs[0].level, logs[0].message.contains("unruly.forgotten")), (2, true), "{logs:?}");
    host.unload().expect("unload");
    let host = Recording::of(image.root);
    let batch = host.load_with(&with_settings(json!({ "load": "both_wrappers" }))).expect("loaded");
    assert_eq!(types(&batch), ["unruly.forgotten", "unruly.nothing"], "one batch, in the order of the wrappers' loads");
    assert_eq!(host.logs(), []);
    host.unload().expect("unload");
}

#[test]
fn unload_says_how_it_went_and_withdraws_anyway() {
    let image = unruly();
    for (how, failure) in [("fails", Some(("error", "the pump still runs"))), ("panics", Some(("panic", "in unload"))), ("forgets", None)] {
        let host = Recording::of(image.root);
        host.load_with(&with_settings(json!({ "unload": how }))).expect("loaded");
        let said = host.unload().err();
        assert_eq!(said.as_ref().map(|f| (f.kind.as_str(), f.message.as_str())), failure);
        let reply = host.run(&order(1, "unruly.nothing", &json!({})));
        assert!(matches!(reply.end, JobEnd::Failed { .. }), "{how}: nothing is served any more");
    }
}

#[test]
fn hostile_jobs_are_survived() {
    let image = unruly();
    let (host, _) = Recording::loaded(image.root);
    // The work was done, but the job's drop panics: that is how the run ended.
    let reply = host.run(&order(1, "unruly.nothing", &json!({ "drop_panics": true })));
    let JobEnd::Panicked { message, place } = reply.end else { panic!("{:?}", reply.end) };
    assert_eq!(message, "the job's own drop");
    assert!(place.is_some_and(|p| p.contains("unruly.rs:")));
    // Args that this build cannot read; and an order that no build could.
    let reply = host.run(&order(2, "unruly.nothing", &json!({ "drop_panics": "maybe" })));
    let JobEnd::Failed { message, permanent: true } = reply.end else { panic!("{:?}", reply.end) };
    assert!(message.starts_with("the args cannot be read by this build of the job: invalid type: string \"maybe\""), "{message}");
    let reply = (host.root.run())(br#"{"run": 77, "occurrence": 3}"#.as_slice().into());
    let reply: RunReply = serde_json::from_slice(&reply.body).expect("a run always answers");
    assert_eq!(reply.run, 77);
    let reply = (host.root.run())(b"\xff".as_slice().into());
    assert!(reply.ok);
    // A panic on a thread that the job started is heard of, outside of any run.
    let mut run = order(3, "unruly.nothing", &json!({}));
    run.labels.insert("spawn".into(), "yes".into());
    assert_eq!(host.run(&run).end, JobEnd::Succeeded);
    let log = host.logs().pop().expect("a record");
    assert_eq!((log.run, log.level, log.target.as_str()), (0, 1, "sexton::panic"));
    assert!(log.message.contains("unruly.rs:") && log.message.ends_with("on a thread of its own"), "{log:?}");
    host.unload().expect("unload");
}

#[test]
fn args_of_older_builds_are_carried_over_or_refused() {
    let image = unruly();
    let (host, _) = Recording::loaded(image.root);
    assert_eq!(host.migrate("unruly.nothing", &json!({ "drop_panics": false })), Ok(json!({ "drop_panics": false })));
    assert_eq!(host.migrate("unruly.nothing", &json!({ "version": 1 })), Ok(json!({ "drop_panics": false })));
    assert_eq!(host.run(&order(1, "unruly.nothing", &json!({ "version": 1 }))).end, JobEnd::Succeeded);
    assert_eq!(host.run(&order(2, "unruly.nothing", &Value::Null)).end, JobEnd::Succeeded, "no args are `{{}}`");
    for (args, kind, message) in [
        (json!({ "version": 2 }), "panic", "version 2 blew up"),
        (json!({ "version": 3 }), "error", "version 3 is not known"),
        (json!({ "drop_panics": 1 }), "error", "the args cannot be read by this build of the job: invalid type: integer `1`"),
    ] {
        let failure = host.migrate("unruly.nothing", &args).expect_err("refused");
        assert_eq!(failure.kind, kind);
        assert!(failure.message.starts_with(message), "{failure:?}");
    }
    let failure = host.migrate("unruly.unknown", &json!({})).expect_err("refused");
    assert_eq!(failure.message, "this build serves no event type `unruly.unknown`");
    host.unload().expect("unload");
}

#[test]
fn an_action_per_match_goes_through_all_of_them() {
    let image = unruly();
    let (host, batch) = Recording::loaded(image.root);
    assert_eq!(batch.actions, [ActionOffer { uid: "unruly.action.each".into(), bulk: false, accepts_complement: false }]);
    let mut act = ActOrder {
        run: 1,
        uid: "unruly.action.each".into(),
        bot: Bot::new("b", ""),
        settings: json!({}),
        matches: ["good", "bad", "worse", "better"].map(|id| Resource::new(id, "")).to_vec(),
        non_matches: Vec::new(),
    };
    let failure = host.act(&act).expect_err("two matches fail");
    assert_eq!(failure.message, "2 of 4 matches failed: bad: no good; worse: panicked: worse than that");
    act.matches.truncate(1);
    assert_eq!(host.act(&act), Ok(Value::Null));
    act.uid = "unruly.action.unknown".into();
    assert_eq!(host.act(&act).expect_err("unknown").message, "this build serves no action `unruly.action.unknown`");
    host.unload().expect("unload");
}
