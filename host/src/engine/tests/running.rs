//! Ordinary days: what is due runs, once, on time, wherever its type is served.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::clock;
use parking_lot::Mutex;
use sexton_core::{EventState, Outcome, RetryPolicy, Schedule};
use sexton_plugin_api::wire::JobEnd;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn one_shots_run_once_each_and_not_before_their_time() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let events = (0..500).map(|i| event("a.a", once(in_ms(i % 100)))).collect();
    let accepted = rig.engine.schedule(events, &rig.by).unwrap();
    until("all are settled", || rig.runs().len() == 500 && rig.engine.in_flight().is_empty());
    let runs = rig.runs();
    let ids: HashSet<_> = runs.iter().map(|r| r.event_id).collect();
    assert_eq!((runs.len(), ids.len(), generation.ran().len()), (500, 500, 500));
    assert!(accepted.iter().all(|a| ids.contains(&a.id) && !a.unresolved));
    assert!(runs.iter().all(|r| r.outcome == Outcome::Succeeded && r.started_at.unwrap() >= r.due_at && r.digest == "digest-1"));
    let done = rig.store.event(accepted[0].id).unwrap().unwrap();
    assert_eq!((done.state, done.occurrences), (EventState::Completed, 1));
}

#[test]
fn an_event_beyond_the_horizon_waits_in_the_store_and_runs_on_time() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let due = in_ms(2_600);
    let id = rig.schedule(event("a.a", once(due)));
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    let run = rig.runs().remove(0);
    assert!(run.started_at.unwrap() >= due);
}

#[test]
fn a_recurring_event_runs_again_and_again() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", Schedule::every(Duration::from_secs(1), None)));
    until("it ran twice", || rig.outcomes(id).len() >= 2);
    let mut runs = rig.runs();
    runs.sort_by_key(|r| r.occurrence.n);
    assert_eq!(runs[1].scheduled_for - runs[0].scheduled_for, chrono::TimeDelta::seconds(1));
    assert_eq!(rig.store.event(id).unwrap().unwrap().state, EventState::Scheduled);
}

#[test]
fn a_failure_is_tried_again_until_its_attempts_are_spent() {
    let rig = Rig::new();
    let failed = || JobEnd::Failed { message: "not today".into(), permanent: false };
    let generation = Generation::new(&rig, 1, 8, move |order| match (order.labels.contains_key("never"), order.attempt) {
        (false, 3..) => Does::Ends(JobEnd::Succeeded),
        (false, 2) => Does::Ends(JobEnd::Panicked { message: "oh".into(), place: Some("job.rs:7:1".into()) }),
        _ => Does::Ends(failed()),
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let retry = Some(RetryPolicy { attempts: 3, first_delay_ms: 1, max_delay_ms: 5, deadline_ms: None });
    let comes_right = rig.schedule(sexton_core::NewEvent { retry: retry.clone(), ..event("a.a", once(in_ms(0))) });
    let labels = [("never".to_owned(), String::new())].into();
    let never = rig.schedule(sexton_core::NewEvent { retry, labels, ..event("a.a", once(in_ms(0))) });
    until("both are through", || rig.outcomes(comes_right).len() == 3 && rig.outcomes(never).len() == 3);
    assert_eq!(rig.outcomes(comes_right), [Outcome::Failed, Outcome::Failed, Outcome::Succeeded]);
    assert_eq!(rig.outcomes(never), [Outcome::Failed; 3]);
    assert_eq!(rig.store.event(never).unwrap().unwrap().state, EventState::Discarded);
    let errors: HashSet<String> = rig.runs().into_iter().filter_map(|r| r.error).collect();
    assert_eq!(errors, ["not today".to_owned(), "panicked at job.rs:7:1: oh".to_owned()].into());
}

#[test]
fn a_snooze_comes_back_without_spending_an_attempt() {
    let rig = Rig::new();
    let mut seen = false;
    let generation = Generation::new(&rig, 1, 8, move |_| {
        let end = if seen { JobEnd::Succeeded } else { JobEnd::Snoozed { after_ms: 3 } };
        seen = true;
        Does::Ends(end)
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("it came back", || rig.outcomes(id).len() == 2);
    assert_eq!(rig.outcomes(id), [Outcome::Snoozed, Outcome::Succeeded]);
    assert!(rig.runs().iter().all(|r| r.attempt == 1));
}

#[test]
fn what_nobody_serves_waits_and_runs_when_somebody_does() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let accepted = rig.engine.schedule(vec![event("a.a", once(in_ms(0)))], &rig.by).unwrap().remove(0);
    assert!(accepted.unresolved && accepted.notes.iter().any(|n| n.contains("nobody serves `a.a`")));
    let other = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", None), ("b.b", Some(&other.serving))]);
    let served = rig.schedule(event("b.b", once(in_ms(0))));
    until("the other type ran", || rig.outcomes(served).len() == 1);
    assert!(rig.outcomes(accepted.id).is_empty());
    let generation = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&generation.serving)), ("b.b", Some(&other.serving))]);
    until("it ran", || rig.outcomes(accepted.id) == [Outcome::Succeeded]);
    assert_eq!(rig.runs().iter().find(|r| r.event_id == accepted.id).unwrap().generation, 2);
}

#[test]
fn a_type_that_goes_away_within_the_horizon_is_given_back() {
    let rig = Rig::new();
    let first = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&first.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(150))));
    until("it is claimed ahead", || rig.store.next_due(&[rig.registry.now().types["a.a"].id]).unwrap().is_none());
    rig.serve(&[("a.a", None)]);
    let due = rig.store.event(id).unwrap().unwrap().next_run_at.unwrap();
    let of = rig.registry.now().types["a.a"].id;
    until("it is back in the store", || rig.store.next_due(&[of]).unwrap().is_some());
    assert!(clock::now() >= due, "given back at its instant, not before");
    assert!(rig.outcomes(id).is_empty());
    let second = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&second.serving))]);
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    assert!(first.ran().is_empty());
}

#[test]
fn what_a_draining_generation_refuses_runs_in_its_successor_under_the_same_claim() {
    let rig = Rig::new();
    let old = Generation::new(&rig, 1, 8, |_| Does::Refuses);
    rig.serve(&[("a.a", Some(&old.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    old.until("the old one refused it", |seen| seen.ran.len() == 1);
    let new = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&new.serving))]);
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    let run = rig.runs().remove(0);
    assert_eq!((run.attempt, run.generation, old.ran().len()), (1, 2, 1));
}

#[test]
fn a_generation_that_is_deaf_loses_nothing() {
    let rig = Rig::new();
    let deaf = Arc::new({
        let generation = Generation::succeeding(&rig, 1);
        let (orders, _) = std::sync::mpsc::channel();
        crate::registry::Serving { orders, ..clone_of(&generation.serving) }
    });
    rig.serve(&[("a.a", Some(&deaf))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    let of = rig.registry.now().types["a.a"].id;
    until("it is back in the store", || rig.store.next_due(&[of]).unwrap().is_some() && rig.engine.in_flight().is_empty());
    let new = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&new.serving))]);
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
}

fn clone_of(serving: &crate::registry::Serving) -> crate::registry::Serving {
    crate::registry::Serving {
        plugin: serving.plugin.clone(),
        generation: serving.generation,
        digest: serving.digest.clone(),
        placement: serving.placement,
        orders: serving.orders.clone(),
        run_time: serving.run_time,
        output_max: serving.output_max,
        in_flight_max: serving.in_flight_max,
        succeeded: serving.has_succeeded().into(),
    }
}

#[test]
fn slots_bound_what_has_started_and_all_runs_in_the_end() {
    let rig = Rig::with_slots(4);
    let generation = Generation::new(&rig, 1, 1_024, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.engine.schedule((0..20).map(|_| event("a.a", once(in_ms(0)))).collect(), &rig.by).unwrap()[0].id;
    generation.until("four have started", |seen| seen.ran.len() == 4);
    let of = rig.registry.now().types["a.a"].id;
    until("the rest is claimed", || rig.store.next_due(&[of]).unwrap().is_none());
    assert_eq!((rig.engine.in_flight().len(), generation.ran().len(), rig.outcomes(id).len()), (4, 4, 0));
    generation.release();
    until("all ran", || rig.runs().len() == 20);
}

#[test]
fn a_slow_generation_takes_no_more_than_it_said_and_does_not_hold_others() {
    let rig = Rig::new();
    let slow = Generation::new(&rig, 1, 2, |_| Does::Holds);
    let quick = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&slow.serving)), ("b.b", Some(&quick.serving))]);
    rig.engine.schedule((0..50).map(|_| event("a.a", once(in_ms(0)))).collect(), &rig.by).unwrap();
    slow.until("two have started", |seen| seen.ran.len() == 2);
    rig.engine.schedule((0..50).map(|_| event("b.b", once(in_ms(0)))).collect(), &rig.by).unwrap();
    until("the quick ones ran", || rig.runs().len() == 50);
    assert_eq!((slow.ran().len(), rig.engine.load_of(1)), (2, 2));
    slow.release();
    until("all ran", || rig.runs().len() == 100);
}

#[test]
fn a_type_with_thousands_due_and_no_room_does_not_hold_others() {
    let rig = Rig::new();
    let hung: Vec<Generation> = (1..=2).map(|number| Generation::new(&rig, number, 8, |_| Does::Holds)).collect();
    let quick = Generation::succeeding(&rig, 3);
    rig.serve(&[("a.a", None), ("b.b", None), ("c.c", None)]);
    let due = |of: &str, many: usize| {
        let events = (0..many).map(|_| event(of, once(in_ms(0)))).collect();
        rig.engine.schedule(events, &rig.by).unwrap();
    };
    due("a.a", 5_000);
    due("b.b", 700);
    rig.serve(&[("a.a", Some(&hung[0].serving)), ("b.b", Some(&hung[1].serving)), ("c.c", Some(&quick.serving))]);
    hung.iter().for_each(|g| g.until("eight have started", |seen| seen.ran.len() == 8));
    for rounds in 1..=3 {
        due("c.c", 50);
        until("the quick ones ran", || rig.store.counts().unwrap().runs == 50 * rounds);
    }
    assert!(hung.iter().all(|g| g.ran().len() == 8));
    hung.iter().for_each(Generation::release);
    until("all ran", || rig.store.counts().unwrap().runs == 5_850);
}

#[test]
fn what_is_due_at_once_starts_by_priority() {
    let rig = Rig::with_slots(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&order);
    let generation = Generation::new(&rig, 1, 1, move |o| {
        told.lock().push(o.description.clone().unwrap());
        if o.description.as_deref() == Some("first") { Does::Holds } else { Does::Ends(JobEnd::Succeeded) }
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let named = |name: &str, priority| sexton_core::NewEvent { description: Some(name.into()), priority, ..event("a.a", once(in_ms(0))) };
    rig.schedule(named("first", 0));
    generation.until("the first holds the slot", |seen| seen.ran.len() == 1);
    rig.engine.schedule(vec![named("low", -1), named("high", 5), named("normal", 0)], &rig.by).unwrap();
    let of = rig.registry.now().types["a.a"].id;
    until("the rest is claimed", || rig.store.next_due(&[of]).unwrap().is_none());
    generation.release();
    until("all ran", || rig.runs().len() == 4);
    assert_eq!(*order.lock(), ["first", "high", "normal", "low"]);
}

#[test]
fn more_than_is_claimed_at_once_runs_all_the_same() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", None)]);
    let many = crate::engine::limits::CLAIMED + 2_000;
    rig.engine.schedule((0..many).map(|_| event("a.a", once(in_ms(0)))).collect(), &rig.by).unwrap();
    rig.serve(&[("a.a", Some(&generation.serving))]);
    until("all ran", || rig.store.counts().unwrap().runs == i64::try_from(many).unwrap());
    let ids: HashSet<String> = generation.ran().into_iter().map(|o| o.occurrence).collect();
    assert_eq!((ids.len(), generation.ran().len()), (many, many));
}
