//! Alerts under way: told once an episode, over restarts and by many lookers at once; cleared by what ends them.
//!
//! Not the decision's table (`sexton-core`) nor the rows (the store's suite). What must hold: what is told is an event that runs, with arguments
//! its type accepts.

use crate::clock;
use crate::engine::alerts;
use crate::engine::tests::rig::{Does, Generation, Rig, event, in_ms, once, until};
use serde_json::{Value, json};
use sexton_core::Schedule;
use sexton_core::decide::alert::{Alert, AlertStanding};
use sexton_loader::flight::FlightFile;
use sexton_plugin_api::wire::JobEnd;
use sexton_store::rows::{Actor, AuditFilter, Offer, Page};
use sexton_store::sqlite::Sqlite;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn alert(json: Value) -> Alert {
    serde_json::from_value(json).unwrap()
}

/// A type that takes any object.
fn publish_open(rig: &Rig, event_type: &str) {
    let offer = Offer {
        event_type: event_type.to_owned(),
        args_schema: json!({"type": "object"}),
        retry: None,
        time_limit: sexton_core::TimeLimit::default(),
    };
    rig.store.publish(&rig.lease, "b", 1, &[offer], &[], &rig.by, clock::now()).unwrap();
}

fn standing(rig: &Rig, name: &str) -> AlertStanding {
    rig.store.alerts().unwrap().into_iter().find(|row| row.name == name).unwrap().standing
}

/// Looks until it stands as is wanted.
fn until_stands(rig: &Rig, name: &str, what: &str, holds: impl Fn(&AlertStanding) -> bool) {
    until(what, || {
        alerts::look(&rig.engine.shared);
        holds(&standing(rig, name))
    });
}

/// What the notifications that ran were told, in their order.
fn told(generation: &Generation) -> Vec<Value> {
    let args = generation.ran().into_iter().filter(|run| run.event_type == "b.page").map(|run| run.args);
    args.map(|args| serde_json::from_str(args.get()).unwrap()).collect()
}

#[test]
fn a_row_of_failures_is_told_once_until_it_ends() {
    let rig = Rig::new();
    publish_open(&rig, "b.page");
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let generation = Generation::new(&rig, 1, 1_024, move |order| {
        let does_fail = order.event_type == "a.work" && failing.load(Ordering::SeqCst);
        let failed = JobEnd::Failed { message: "no rope".to_owned(), permanent: true };
        Does::Ends(if does_fail { failed } else { JobEnd::Succeeded })
    });
    rig.serve(&[("a.work", Some(&generation.serving)), ("b.page", Some(&generation.serving))]);
    rig.engine
        .set_alert("flaky", &alert(json!({"event_type": "a.work", "failed": 2, "notify": "b.page", "args": {"to": "ops"}})), &rig.by)
        .unwrap();
    rig.schedule(event("a.work", once(in_ms(0))));
    until("one has failed", || rig.runs().len() == 1);
    alerts::look(&rig.engine.shared);
    assert_eq!(standing(&rig, "flaky").raised_at, None, "one is not two");
    rig.schedule(event("a.work", once(in_ms(0))));
    until("two have failed", || rig.runs().len() == 2);
    // Many look at once, and one tells.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| alerts::look(&rig.engine.shared));
        }
    });
    until("it was told", || told(&generation).len() == 1);
    let said = told(&generation).remove(0);
    assert_eq!((&said["to"], &said["alert"]["name"], &said["alert"]["condition"]), (&json!("ops"), &json!("flaky"), &json!("failed")));
    assert_eq!((&said["alert"]["failed_in_a_row"], &said["alert"]["limit"]), (&json!(2), &json!(2)));
    assert!(said["alert"]["text"].as_str().is_some_and(|text| text.contains("`a.work` failed 2 times")), "{said}");
    fails.store(false, Ordering::SeqCst);
    rig.schedule(event("a.work", once(in_ms(0))));
    until_stands(&rig, "flaky", "it is over", |standing| standing.raised_at.is_none());
    assert_eq!((standing(&rig, "flaky").episodes, told(&generation).len()), (1, 1));
    fails.store(true, Ordering::SeqCst);
    rig.engine.schedule(vec![event("a.work", once(in_ms(0))), event("a.work", once(in_ms(0)))], &rig.by).unwrap();
    until_stands(&rig, "flaky", "a second episode", |standing| standing.episodes == 2);
    let lines = rig
        .store
        .audit_lines(&AuditFilter { verb_prefix: Some("alert.".to_owned()), ..AuditFilter::default() }, &Page { before: None, limit: 10 })
        .unwrap();
    let verbs: Vec<&str> = lines.iter().rev().map(|(_, line)| line.verb.as_str()).collect();
    assert_eq!(verbs, ["alert.set", "alert.raise", "alert.clear", "alert.raise"]);
}

#[test]
fn what_nobody_serves_is_late_and_a_restart_tells_it_no_second_time() {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let first = Rig::on(store.clone(), 16);
    publish_open(&first, "b.page");
    first.serve(&[("a.work", None), ("b.page", None)]);
    let id = first.schedule(event("a.work", once(in_ms(0))));
    first
        .engine
        .set_alert("slow", &alert(json!({"event": id, "late": "1s", "notify": "b.page", "args": {"s": "{alert.text}"}})), &first.by)
        .unwrap();
    until_stands(&first, "slow", "it is late", |standing| standing.raised_at.is_some());
    let raised = standing(&first, "slow");
    first.stop();
    let state = tempfile::tempdir().unwrap();
    let (flight, left) = FlightFile::open(&state.path().join("flight")).unwrap();
    let second = Rig::after(store, flight, left, 16, state);
    let generation = Generation::succeeding(&second, 2);
    second.serve(&[("b.page", Some(&generation.serving))]);
    alerts::look(&second.engine.shared);
    until("it was told", || told(&generation).len() == 1);
    let said = told(&generation).remove(0);
    assert!(said["s"].as_str().is_some_and(|text| text.contains("has not begun") && text.contains("1s is the limit")), "{said}");
    assert_eq!(said.as_object().map(serde_json::Map::len), Some(1), "filled in where it was named");
    assert_eq!(standing(&second, "slow"), raised, "as it was left");
    second.serve(&[("a.work", Some(&generation.serving)), ("b.page", Some(&generation.serving))]);
    until("it ran", || second.outcomes(id).len() == 1);
    // It began late: still so, until another begins in time. Its event is over, so that it is told no more.
    alerts::look(&second.engine.shared);
    assert_eq!(told(&generation).len(), 1);
}

#[test]
fn what_did_not_run_is_told_again_and_a_paused_event_is_left_alone() {
    let rig = Rig::new();
    publish_open(&rig, "b.page");
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.work", None), ("b.page", Some(&generation.serving))]);
    let [waits, paused] = [(); 2].map(|()| rig.schedule(event("a.work", Schedule::every(Duration::from_secs(3_600), None))));
    rig.engine.alter(paused, sexton_store::rows::Change::Pause { note: None }, &rig.by).unwrap();
    let of = |id| alert(json!({"event": id, "did_not_run": "1s", "again": "1s", "notify": "b.page"}));
    rig.engine.set_alert("waits", &of(waits), &rig.by).unwrap();
    rig.engine.set_alert("paused", &of(paused), &rig.by).unwrap();
    until_stands(&rig, "waits", "it was told twice", |standing| standing.times >= 2);
    until("both ran", || told(&generation).len() >= 2);
    let times: Vec<_> = told(&generation).iter().take(2).map(|said| said["alert"]["times"].clone()).collect();
    assert_eq!(times, [json!(1), json!(2)]);
    assert_eq!(standing(&rig, "paused").episodes, 0);
}

#[test]
fn an_alert_that_could_not_be_told_is_refused() {
    let rig = Rig::new();
    rig.serve(&[("a.work", None)]);
    let set = |name: &str, definition: Value| rig.engine.set_alert(name, &alert(definition), &Actor("test".into())).unwrap_err().code;
    let about = |more: Value| {
        let mut definition = json!({"event_type": "a.work", "failed": 1, "notify": "a.work"});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        definition
    };
    assert_eq!(set("a", about(json!({}))), "INP002", "its type takes no further fields");
    assert_eq!(set("a", about(json!({"notify": "no.such"}))), "INP001");
    assert_eq!(set("a", about(json!({"late": "1m"}))), "INP042");
    assert_eq!(set("A b", about(json!({}))), "INP042");
    assert!(rig.store.alerts().unwrap().is_empty());
    assert!(!rig.engine.remove_alert("a", &rig.by).unwrap());
}
