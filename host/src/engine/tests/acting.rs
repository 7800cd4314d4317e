//! Actions: called, answered, refused.

use super::rig::{Generation, Rig};
use crate::engine::ActionCall;
use crate::engine::act;
use serde_json::{Value, json};
use sexton_plugin_api::wire::{Bot, EntryFailure, HostCall, Resource};
use std::time::Duration;

const UID: &str = "a.action.start";

fn call(uid: &str) -> ActionCall {
    let resource = |id: &str| Resource { id: id.into(), ..Resource::default() };
    let bot = Bot { id: "b1".into(), name: "Nightly".into() };
    ActionCall { uid: uid.into(), bot, settings: Value::Null, matches: vec![resource("r1")], non_matches: vec![resource("r2")] }
}

fn schedules(
    result: Result<(), EntryFailure>,
) -> impl FnMut(&sexton_plugin_api::wire::ActOrder) -> (Option<HostCall>, Result<(), EntryFailure>) {
    move |order| {
        assert!(order.non_matches.is_empty(), "it did not ask for the complement");
        let event =
            serde_json::from_value(json!({"event_type": "a.a", "schedule": {"manual": true}, "description": order.bot.name})).unwrap();
        (Some(HostCall::Schedule { events: vec![event] }), result.clone())
    }
}

#[test]
fn an_action_answers_what_it_scheduled_on_behalf_of_its_caller() {
    let rig = Rig::new();
    let generation = Generation::with_actions(&rig, 1, 8, Box::new(|_| unreachable!()), Box::new(schedules(Ok(()))));
    rig.serve_with(&[("a.a", Some(&generation.serving))], &[(UID, &generation.serving)]);
    let ids = rig.engine.act(call(UID), &rig.by).unwrap();
    assert_eq!(ids.len(), 1);
    let event = rig.store.event(ids[0]).unwrap().unwrap();
    assert_eq!((event.created_by.as_str(), event.wish.description.as_deref()), ("test", Some("Nightly")));
}

#[test]
fn a_failure_names_what_was_scheduled_before_it() {
    let rig = Rig::new();
    let panicked = EntryFailure { kind: "panic".into(), message: "oh".into(), place: Some("a.rs:1:2".into()) };
    let generation = Generation::with_actions(&rig, 1, 8, Box::new(|_| unreachable!()), Box::new(schedules(Err(panicked))));
    rig.serve_with(&[("a.a", Some(&generation.serving))], &[(UID, &generation.serving)]);
    let refusal = rig.engine.act(call(UID), &rig.by).unwrap_err();
    assert_eq!(refusal.code, "PLG043");
    assert!(refusal.message.contains("panicked at a.rs:1:2: oh") && refusal.found.unwrap().starts_with("1 event"));
}

#[test]
fn an_unknown_action_is_refused_with_the_nearest_and_a_silent_one_is_told_to_stop() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    let (orders, kept) = std::sync::mpsc::channel();
    let silent = std::sync::Arc::new(crate::registry::Serving {
        plugin: "p1".into(),
        generation: 1,
        digest: String::new(),
        placement: crate::registry::Placement::InProcess,
        orders,
        run_time: None,
        output_max: 1 << 20,
        in_flight_max: 1,
    });
    rig.serve_with(&[], &[(UID, &silent)]);
    let refusal = rig.engine.act(call("a.action.strat"), &rig.by).unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.expected.as_deref()), ("INP014", Some("perhaps `a.action.start`")));
    let refusal = act::act(&rig.engine.shared, call(UID), &rig.by, Duration::from_millis(5)).unwrap_err();
    assert!(refusal.message.contains("has not answered for 5ms"), "{refusal}");
    let orders: Vec<_> = kept.try_iter().collect();
    assert!(matches!(&orders[..], [sexton_loader::seam::Order::Act(a), sexton_loader::seam::Order::Cancel { run }] if a.run == *run));
    drop(generation);
}

#[test]
fn a_generation_that_goes_ends_its_actions() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    let (orders, kept) = std::sync::mpsc::channel();
    let serving = std::sync::Arc::new(crate::registry::Serving {
        plugin: "p1".into(),
        generation: 1,
        digest: String::new(),
        placement: crate::registry::Placement::InProcess,
        orders,
        run_time: None,
        output_max: 1 << 20,
        in_flight_max: 1,
    });
    rig.serve_with(&[], &[(UID, &serving)]);
    let (engine, by) = (rig.engine.clone(), rig.by.clone());
    let calling = std::thread::spawn(move || engine.act(call(UID), &by));
    kept.recv_timeout(super::rig::DEADLINE).unwrap();
    generation.go();
    let refusal = calling.join().unwrap().unwrap_err();
    assert!(refusal.message.contains("its generation ended"), "{refusal}");
}
