//! Events that follow others, and events of which there are no two: what callers and runs hear.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use serde_json::{Value, json};
use sexton_core::policy::{Conflict, Unique, UniqueBy};
use sexton_core::schedule::follows::{Link, On};
use sexton_core::{EventId, EventState, NewEvent, Outcome, RunPolicy, Schedule};
use sexton_plugin_api::wire::{HostCall, JobEnd, ScheduleOrder};

fn follows(of: EventId) -> Schedule {
    Schedule::follows(vec![Link { event: of, on: On::Success }])
}

fn unique(conflict: Conflict, due_in_ms: u64) -> NewEvent {
    let unique = Unique { by: vec![UniqueBy::Type], states: vec![EventState::Scheduled], conflict };
    NewEvent { policy: RunPolicy { unique: Some(unique), ..RunPolicy::default() }, ..event("a.a", once(in_ms(due_in_ms))) }
}

fn asking(rig: &Rig, orders: &[Value]) -> Generation {
    let events: Vec<ScheduleOrder> = orders.iter().map(|order| serde_json::from_value(order.clone()).unwrap()).collect();
    let mut call = Some(HostCall::Schedule { events });
    let plan = move |_: &_| call.take().map_or(Does::Ends(JobEnd::Succeeded), |call| Does::Asks(call, JobEnd::Succeeded));
    let generation = Generation::new(rig, 1, 8, plan);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    generation
}

#[test]
fn what_follows_starts_when_its_upstream_is_settled() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let first = rig.schedule(event("a.a", once(in_ms(200))));
    let second = rig.schedule(event("a.a", follows(first)));
    let third = rig.schedule(event("a.a", follows(second)));
    until("the whole chain ran", || rig.outcomes(third) == [Outcome::Succeeded]);
    assert_eq!((rig.outcomes(first), rig.outcomes(second)), (vec![Outcome::Succeeded], vec![Outcome::Succeeded]));
    let late = rig.engine.schedule(vec![event("a.a", follows(third))], &rig.by).unwrap().remove(0);
    assert!(late.next_run_at.is_some(), "what it follows has succeeded: it is due");
    until("it ran at once", || rig.outcomes(late.id) == [Outcome::Succeeded]);
    let refusal = rig.engine.schedule(vec![event("a.a", follows(EventId(7)))], &rig.by).unwrap_err();
    assert_eq!(refusal.code, "INP037");
}

#[test]
fn callers_hear_what_was_kept_and_what_was_replaced() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let schedule = |wish: NewEvent| rig.engine.schedule(vec![wish], &rig.by).map(|mut all| all.remove(0));
    let first = schedule(unique(Conflict::Keep, 0)).unwrap();
    until("it runs", || rig.engine.in_flight().len() == 1);
    let kept = schedule(unique(Conflict::Keep, 0)).unwrap();
    assert_eq!((kept.id, kept.kept, first.kept, kept.notes.len()), (first.id, true, false, 1));
    assert_eq!(schedule(unique(Conflict::Reject, 0)).unwrap_err().code, "INP036");
    let second = schedule(unique(Conflict::Replace, 1_000)).unwrap();
    assert_eq!((second.replaced.len(), second.replaced[0].id, second.replaced[0].running.len()), (1, first.id, 1), "what runs is named");
    // This one is claimed when the third takes its place, or will never be.
    let third = schedule(unique(Conflict::Replace, 1_100)).unwrap();
    assert_eq!((third.replaced[0].id, third.replaced[0].running.len()), (second.id, 0));
    until("the third runs", || rig.engine.in_flight().iter().any(|run| run.occurrence.event == third.id));
    assert!(rig.engine.in_flight().iter().all(|run| run.occurrence.event != second.id));
    generation.release();
    until("both ended", || rig.runs().len() == 2);
    assert!(
        rig.outcomes(second.id).is_empty() && rig.store.waiting(second.id).unwrap().is_empty(),
        "it never started, and its row is gone"
    );
}

#[test]
fn a_run_hears_at_once_that_it_follows_nobody() {
    let rig = Rig::new();
    let stranger = EventId(7);
    let generation = asking(&rig, &[json!({"event_type": "a.a", "schedule": {"follows": [stranger]}})]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    generation.until("it was refused", |seen| match &seen.answers[..] {
        [Err(refusal)] => {
            refusal.code == "API001" && refusal.message.starts_with("INP037: ") && refusal.message.contains(&stranger.to_string())
        }
        _ => false,
    });
    assert_eq!(rig.events(), 1);
}

#[test]
fn a_follow_up_that_is_there_already_is_left_out_and_the_run_succeeds() {
    let rig = Rig::new();
    let policy = json!({"unique": {"by": ["type"], "conflict": "keep"}});
    let order = |due: u64| json!({"event_type": "a.a", "schedule": {"once": in_ms(due)}, "policy": policy});
    let wrong = json!({"event_type": "a.a", "schedule": {"manual": true}, "policy": {"unique": 7}});
    let refused: ScheduleOrder = serde_json::from_value(wrong).unwrap();
    assert_eq!(crate::engine::intake::from_order(refused).unwrap_err().code, "INP011");
    let _generation = asking(&rig, &[order(3_600_000), order(3_600_001)]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    assert_eq!(rig.events(), 2, "itself, and one of the two");
}
