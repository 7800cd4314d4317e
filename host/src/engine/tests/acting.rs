//! Actions: called, answered, refused.

use super::rig::{DEADLINE, Does, Generation, Rig, event, in_ms, once, until};
use crate::engine::ActionCall;
use crate::engine::act;
use crate::registry::{Placement, Serving};
use serde_json::{Value, json};
use sexton_loader::seam::{Death, DeathKind, Farewell, Memory, Order, Report};
use sexton_plugin_api::wire::{Bot, EntryFailure, HostCall, Resource};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const UID: &str = "a.action.start";

fn call(uid: &str) -> ActionCall {
    let resource = |id: &str| Resource { id: id.into(), ..Resource::default() };
    let bot = Bot { id: "b1".into(), name: "Nightly".into() };
    ActionCall { uid: uid.into(), bot, settings: Value::Null, matches: vec![resource("r1")], non_matches: vec![resource("r2")] }
}

/// A generation that takes orders and answers none.
fn silent(placement: Placement) -> (Arc<Serving>, Receiver<Order>) {
    let (orders, kept) = channel();
    let (plugin, digest) = ("p1".into(), String::new());
    let (run_time, output_max, in_flight_max) = (None, 1 << 20, 1);
    (
        Arc::new(Serving {
            plugin,
            generation: 1,
            digest,
            placement,
            orders,
            run_time,
            output_max,
            in_flight_max,
            succeeded: false.into(),
        }),
        kept,
    )
}

/// Calls the action and gives up at once; answers its number.
fn given_up(rig: &Rig, kept: &Receiver<Order>) -> u64 {
    let refusal = act::act(&rig.engine.shared, call(UID), &rig.by, Duration::from_millis(5)).unwrap_err();
    assert!(refusal.message.contains("has not answered"), "{refusal}");
    let Order::Act(order) = kept.recv_timeout(DEADLINE).unwrap() else { panic!("it was called first") };
    assert!(matches!(kept.recv_timeout(DEADLINE), Ok(Order::Cancel { run }) if run == order.run));
    order.run
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
    let (silent, kept) = silent(Placement::InProcess);
    rig.serve_with(&[], &[(UID, &silent)]);
    let refusal = rig.engine.act(call("a.action.strat"), &rig.by).unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.expected.as_deref()), ("INP014", Some("perhaps `a.action.start`")));
    let refusal = act::act(&rig.engine.shared, call(UID), &rig.by, Duration::from_millis(5)).unwrap_err();
    assert!(refusal.message.contains("has not answered for 5ms"), "{refusal}");
    let orders: Vec<_> = kept.try_iter().collect();
    assert!(matches!(&orders[..], [Order::Act(a), Order::Cancel { run }] if a.run == *run));
    drop(generation);
}

#[test]
fn a_generation_that_goes_ends_its_actions() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    let (serving, kept) = silent(Placement::InProcess);
    rig.serve_with(&[], &[(UID, &serving)]);
    let (engine, by) = (rig.engine.clone(), rig.by.clone());
    let calling = std::thread::spawn(move || engine.act(call(UID), &by));
    kept.recv_timeout(DEADLINE).unwrap();
    generation.go();
    let refusal = calling.join().unwrap().unwrap_err();
    assert!(refusal.message.contains("its generation ended"), "{refusal}");
}

#[test]
fn an_action_that_does_not_listen_ends_with_its_process() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    let (serving, kept) = silent(Placement::Runner);
    rig.serve_with(&[], &[(UID, &serving)]);
    let number = given_up(&rig, &kept);
    let Ok(Order::Kill(killing)) = kept.recv_timeout(DEADLINE) else { panic!("its process is to be killed") };
    assert_eq!((killing.kind, killing.run), (DeathKind::Deadline, Some(number)));
    assert!(killing.why.contains(UID), "{}", killing.why);
    generation.go();
    until("nothing of it is watched any more", || rig.engine.shared.table.rows().left.is_empty());
}

#[test]
fn an_action_that_ends_late_kills_nobody_and_one_in_the_hosts_process_stays_known() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    for (placement, ends) in [(Placement::Runner, true), (Placement::InProcess, false)] {
        let (serving, kept) = silent(placement);
        rig.serve_with(&[], &[(UID, &serving)]);
        let number = given_up(&rig, &kept);
        let left = || rig.engine.shared.table.rows().is_left(number, 1);
        assert!(left());
        let report = |number| generation.report(Report::Acted { run: number, result: Ok(()) });
        if ends {
            report(number);
            until("it has ended", || !left());
        }
        // Whatever was due for it has been dealt with once a later one is killed.
        let (later, told) = silent(Placement::Runner);
        rig.serve_with(&[], &[(UID, &later)]);
        let another = given_up(&rig, &told);
        assert!(matches!(told.recv_timeout(DEADLINE), Ok(Order::Kill(_))));
        report(another);
        assert!(kept.try_recv().is_err(), "{placement}: not to be killed");
        assert_eq!(left(), !ends, "{placement}");
    }
}

#[test]
fn runs_of_a_process_that_an_action_took_along_are_innocent() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    let (serving, kept) = silent(Placement::Runner);
    rig.serve_with(&[("a.a", Some(&generation.serving))], &[(UID, &serving)]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let run = Some(given_up(&rig, &kept));
    let death = Some(Death { kind: DeathKind::Deadline, cause: "the action went on".into(), run });
    rig.serve(&[("a.a", None)]);
    generation.report(Report::Gone(Farewell { memory: Memory::Unmapped, unload: None, death }));
    until("its run is settled", || rig.outcomes(id).len() == 1);
    let of = rig.registry.now().types["a.a"].id;
    until("it is due again at once", || rig.store.next_due(&[of]).unwrap().is_some_and(|due| due <= crate::clock::now()));
    let again = rig.store.claim(&rig.lease, &[of], in_ms(0), 1).unwrap();
    assert_eq!(again[0].interruptions, 0);
}
