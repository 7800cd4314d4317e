//! A generation at work: load, runs, calls, cancels, questions.

use crate::bench::{Ground, Life, in_both_placements, mappings_of, none, order, output};
use serde_json::{Value, json};
use sexton_loader::seam::{Memory, Order, Placement, Report};
use sexton_plugin_api::wire::{ActOrder, Bot, CallRefusal, HostCall, JobEnd, Resource};

in_both_placements! {
    load_run_drain_unload_unmapped
    two_generations_at_once_and_each_goes_alone
    cancel_wakes_the_sleeper_and_spares_what_has_not_begun
    after_drain_runs_go_back_and_the_running_end
    whatever_a_job_answers_the_run_ends_once
    calls_wait_for_their_answers
    questions_are_answered_while_every_job_thread_is_busy
    a_flood_of_log_records_is_cut_and_counted
}

fn load_run_drain_unload_unmapped(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_jobs", 2);
    assert_eq!(life.mapped(), 0, "nothing is opened before `Load`");
    let batch = life.load(none()).expect("loads");
    assert_eq!(batch.types.iter().map(|t| t.event_type.as_str()).collect::<Vec<_>>(), ["fx.ok", "fx.soak"]);
    assert_eq!(batch.actions[0].uid, "fx.action");
    assert!(life.mapped() > 0, "the private copy is what is mapped");
    life.order(Order::Activate);
    life.order(Order::Run((1..=50).map(|run| order(run, "fx.ok", &none())).collect()));
    let mut kept = Vec::new();
    for run in 1..=50 {
        life.started(run);
        let ended = life.done(run);
        assert_eq!(ended.reply.end, JobEnd::Succeeded);
        assert!(ended.finished_at >= ended.started_at);
        kept.push(output(&ended));
    }
    let image = life.image.clone();
    let farewell = life.end();
    assert_eq!((farewell.memory, farewell.unload), (Memory::Unmapped, None));
    assert_eq!(mappings_of(&image), 0);
    assert!(kept.iter().all(|o| o["text"] == "from the plugin"), "outputs outlive the code that made them");
}

fn two_generations_at_once_and_each_goes_alone(placement: Placement) {
    let ground = Ground::of(placement);
    let (mut old, mut new) = (Life::active(&ground, none()), Life::active(&ground, none()));
    old.run(1, "fx.ok", &none());
    assert_eq!(output(&old.done(1))["runs"], 1);
    new.run(1, "fx.ok", &none());
    assert_eq!(output(&new.done(1))["runs"], 1, "statics of its own");
    assert_eq!(old.end().memory, Memory::Unmapped);
    new.run(2, "fx.soak", &none());
    assert_eq!(new.done(2).reply.end, JobEnd::Succeeded);
    assert_eq!(new.end().memory, Memory::Unmapped);
}

fn cancel_wakes_the_sleeper_and_spares_what_has_not_begun(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_jobs", 1);
    life.load(none()).expect("loads");
    life.run(1, "fx.sleep", &none());
    life.started(1);
    life.run(2, "fx.ok", &none());
    life.order(Order::Cancel { run: 2 });
    life.order(Order::Cancel { run: 99 });
    life.order(Order::Cancel { run: 1 });
    let JobEnd::Cancelled { reason } = life.done(1).reply.end else { panic!("cancelled") };
    assert_eq!(reason, "slept false, cancelled true");
    let JobEnd::Cancelled { reason } = life.done(2).reply.end else { panic!("cancelled") };
    assert_eq!(reason, "cancelled before it started");
    assert_eq!(life.end().memory, Memory::Unmapped);
}

fn after_drain_runs_go_back_and_the_running_end(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_jobs", 1);
    life.load(none()).expect("loads");
    life.run(1, "fx.sleep", &none());
    life.started(1);
    life.run(2, "fx.ok", &none());
    life.order(Order::Drain);
    let refused = |r: &Report| if let Report::Refused(runs) = r { Some(runs.clone()) } else { None };
    assert_eq!(life.next("refused", refused), [2], "not yet started: a newer generation may have it");
    life.run(3, "fx.ok", &none());
    assert_eq!(life.next("refused", refused), [3]);
    life.order(Order::Act(ActOrder {
        run: 4,
        uid: "fx.action".into(),
        bot: Bot::default(),
        settings: Value::Null,
        matches: vec![],
        non_matches: vec![],
    }));
    assert!(life.next("acted", |r| if let Report::Acted { run: 4, result } = r { Some(result.is_err()) } else { None }));
    life.order(Order::Cancel { run: 1 });
    life.done(1);
    assert_eq!(life.end().memory, Memory::Unmapped);
}

fn whatever_a_job_answers_the_run_ends_once(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::active(&ground, none());
    let cases =
        [("fx.garbage", "not understood"), ("fx.other-run", "instead of 2"), ("fx.not-ok", "said as a failure"), ("fx.huge", "at most")];
    for (run, (event_type, words)) in (1..).zip(cases) {
        life.run(run, event_type, &none());
        let JobEnd::Failed { message, permanent: false } = life.done(run).reply.end else { panic!("{event_type} fails") };
        assert!(message.contains(words), "{event_type}: {message}");
    }
    assert_eq!(life.end().memory, Memory::Unmapped);
}

fn calls_wait_for_their_answers(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_jobs", 2);
    life.load(none()).expect("loads");
    let get = json!({"call": "state_get", "key": "k"});
    life.run(1, "fx.call", &get);
    assert_eq!(output(&life.done(1))["answer"]["code"], "API002", "not yet active");
    life.order(Order::Activate);
    life.run(2, "fx.call", &get);
    let (call, run, request) = asked(&mut life);
    assert_eq!((run, request), (2, HostCall::StateGet { key: "k".into() }));
    life.order(Order::Answer { call: call + 1000, answer: Ok(Value::Null) });
    life.order(Order::Answer { call, answer: Ok(json!({"value": 5, "version": 1})) });
    assert_eq!(output(&life.done(2)), json!({"ok": true, "answer": {"value": 5, "version": 1}}));
    life.run(3, "fx.call", &get);
    let refused = CallRefusal { code: "API001".into(), message: "no".into() };
    let (call, ..) = asked(&mut life);
    life.order(Order::Answer { call, answer: Err(refused) });
    assert_eq!(output(&life.done(3)), json!({"ok": false, "answer": {"code": "API001", "message": "no"}}));
    life.run(4, "fx.call", &json!({"call": "fly"}));
    assert_eq!(output(&life.done(4))["answer"]["code"], "API001");
    assert_eq!(life.end().memory, Memory::Unmapped);
}

pub fn asked(life: &mut Life) -> (u64, u64, HostCall) {
    life.next("call", |r| if let Report::Call { call, run, request } = r { Some((*call, *run, request.clone())) } else { None })
}

fn questions_are_answered_while_every_job_thread_is_busy(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::start(&ground, "fx_jobs", 1);
    life.load(none()).expect("loads");
    life.run(1, "fx.sleep", &none());
    life.started(1);
    let act = |run, matches| {
        Order::Act(ActOrder { run, uid: "fx.action".into(), bot: Bot::default(), settings: none(), matches, non_matches: vec![] })
    };
    life.order(act(2, vec![Resource { id: "i-1".into(), ..Resource::default() }]));
    life.order(act(3, vec![]));
    let acted =
        |wanted: u64| move |r: &Report| if let Report::Acted { run, result } = r { (*run == wanted).then(|| result.clone()) } else { None };
    assert_eq!(life.next("acted", acted(2)), Ok(()));
    assert_eq!(life.next("acted", acted(3)).expect_err("nothing matched").message, "nothing matched");
    for (question, (event_type, args, good)) in
        (0..).zip([("fx.ok", "{\"a\":1}", true), ("fx.garbage", "{}", false), ("fx.none", "{}", false)])
    {
        life.order(Order::Migrate { question, event_type: event_type.into(), args: args.into() });
        let migrated = life.next("migrated", |r| {
            if let Report::Migrated { question: q, result } = r { (*q == question).then(|| result.clone()) } else { None }
        });
        assert_eq!(migrated.is_ok(), good, "{migrated:?}");
        assert!(!good || migrated.as_deref() == Ok(args));
    }
    life.order(Order::LogLevel(4));
    assert_eq!(log_lines(&mut life, "level"), "level 4");
    life.order(Order::Cancel { run: 1 });
    assert_eq!(life.end().memory, Memory::Unmapped);
}

fn log_lines(life: &mut Life, start: &str) -> String {
    life.next("log", |r| if let Report::Log(line) = r { line.message.starts_with(start).then(|| line.message.clone()) } else { None })
}

fn a_flood_of_log_records_is_cut_and_counted(placement: Placement) {
    let ground = Ground::of(placement);
    let mut life = Life::active(&ground, none());
    life.run(1, "fx.flood", &none());
    assert_eq!(life.done(1).reply.end, JobEnd::Succeeded);
    life.order(Order::Drain);
    life.order(Order::Unload);
    let mut records = 0;
    let mut said = Vec::new();
    while let Ok(stamped) = life.reports.recv_timeout(crate::bench::PATIENCE) {
        match stamped.report {
            Report::Log(line) if line.target == "fx" => records += 1,
            Report::Log(line) => said.push(line.message),
            Report::Gone(_) => break,
            _ => {}
        }
    }
    let dropped: u64 = said.iter().map(|m| m.split(' ').next().and_then(|n| n.parse::<u64>().ok()).expect("a count")).sum();
    assert!(dropped > 0, "{said:?}");
    // `Done` was read before: the records up to it are among those set aside.
    assert!(records + dropped <= 5000);
}
