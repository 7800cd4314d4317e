//! Verbs on events against runs that are about to start, and against runs that have.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::clock;
use sexton_core::schedule::Rule;
use sexton_core::{EventState, Outcome, Schedule};
use sexton_plugin_api::wire::JobEnd;
use sexton_store::rows::{Change, Edit};
use std::time::Duration;

/// A rig whose one slot is taken, so that what comes next is due, claimed, and waits for room.
fn full() -> (Rig, Generation) {
    let rig = Rig::with_slots(1);
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("the slot is taken", |seen| seen.ran.len() == 1);
    (rig, generation)
}

fn claimed(rig: &Rig) {
    let of = rig.registry.now().types["a.a"].id;
    until("it is claimed", || rig.store.next_due(&[of]).unwrap().is_none());
}

#[test]
fn what_was_cancelled_while_queued_never_starts() {
    let (rig, generation) = full();
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    claimed(&rig);
    let answer = rig.engine.alter(id, Change::Cancel, &rig.by).unwrap();
    assert_eq!((answer.event.state, answer.running.len()), (EventState::Cancelled, 0));
    let after = rig.schedule(event("a.a", once(in_ms(0))));
    generation.release();
    until("the one after it ran", || rig.outcomes(after) == [Outcome::Succeeded]);
    assert!(rig.outcomes(id).is_empty());
    assert_eq!(generation.ran().len(), 2);
}

#[test]
fn what_was_paused_while_queued_starts_after_resume_and_not_before() {
    let (rig, generation) = full();
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    claimed(&rig);
    rig.engine.alter(id, Change::Pause { note: None }, &rig.by).unwrap();
    let after = rig.schedule(event("a.a", once(in_ms(0))));
    generation.release();
    until("the one after it ran", || rig.outcomes(after) == [Outcome::Succeeded]);
    assert!(rig.outcomes(id).is_empty());
    rig.engine.alter(id, Change::Resume, &rig.by).unwrap();
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
}

#[test]
fn what_runs_already_is_named_and_settles() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", Schedule::every(Duration::from_secs(3_600), Some(in_ms(20)))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let answer = rig.engine.alter(id, Change::Pause { note: Some("maintenance".into()) }, &rig.by).unwrap();
    assert_eq!(answer.running.len(), 1);
    generation.release();
    until("it settled", || rig.outcomes(id) == [Outcome::Succeeded]);
    assert_eq!(rig.store.event(id).unwrap().unwrap().state, EventState::Paused);
}

#[test]
fn a_refused_verb_leaves_the_event_to_run() {
    let (rig, generation) = full();
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    claimed(&rig);
    let refusal = rig.engine.alter(id, Change::Resume, &rig.by).unwrap_err();
    assert_eq!(refusal.code, "INP010");
    generation.release();
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
}

#[test]
fn run_now_runs_at_once_and_leaves_the_schedule_alone() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let when = in_ms(3_600_000);
    let id = rig.schedule(event("a.a", once(when)));
    rig.engine.alter(id, Change::RunNow, &rig.by).unwrap();
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    let event = rig.store.event(id).unwrap().unwrap();
    assert_eq!((event.state, event.next_run_at), (EventState::Scheduled, Some(when)));
}

#[test]
fn an_edit_is_held_to_the_schema_and_settles_its_schedule() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let id = rig.schedule(event("a.a", once(in_ms(3_600_000))));
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.into()).ok();
    let wrong = Edit { args: raw(r#"{"wait": 1}"#), ..Edit::default() };
    assert_eq!(rig.engine.alter(id, Change::Edit(Box::new(wrong)), &rig.by).unwrap_err().code, "INP002");
    let schedule = Some(Schedule::every(Duration::from_secs(60), None));
    let right = Edit { args: raw(r#"{"wait": true}"#), schedule, ..Edit::default() };
    let answer = rig.engine.alter(id, Change::Edit(Box::new(right)), &rig.by).unwrap();
    assert_eq!(answer.event.wish.args.get(), r#"{"wait": true}"#);
    assert!(matches!(answer.event.wish.schedule.rule, Rule::Every { anchor: Some(_), .. }));
    let unknown = sexton_core::EventId(7);
    assert_eq!(rig.engine.alter(unknown, Change::Edit(Box::default()), &rig.by).unwrap_err().code, "INP009");
}

#[test]
fn a_run_refused_after_its_event_was_cancelled_never_starts_elsewhere() {
    let rig = Rig::new();
    let old = Generation::new(&rig, 1, 8, |_| Does::Sits);
    rig.serve(&[("a.a", Some(&old.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    old.until("it has it", |seen| seen.ran.len() == 1);
    let answer = rig.engine.alter(id, Change::Cancel, &rig.by).unwrap();
    assert_eq!(answer.running.len(), 1);
    let new = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&new.serving))]);
    old.report(sexton_loader::seam::Report::Refused(vec![old.ran()[0].run]));
    until("it is gone from the table", || rig.engine.in_flight().is_empty());
    let after = rig.schedule(event("a.a", once(in_ms(0))));
    until("the one after it ran", || rig.outcomes(after) == [Outcome::Succeeded]);
    until("its row is gone", || rig.store.waiting(id).unwrap().is_empty());
    assert_eq!((rig.outcomes(id).len(), new.ran().len()), (0, 1));
}

#[test]
fn verbs_in_the_middle_of_a_stream_never_start_what_they_ended() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 64, |_| Does::Ends(JobEnd::Succeeded));
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let mut answered = Vec::new();
    for round in 0..60u64 {
        let events = (0..8).map(|i| event("a.a", once(in_ms((round + i) % 4)))).collect();
        for accepted in rig.engine.schedule(events, &rig.by).unwrap() {
            match rig.engine.alter(accepted.id, Change::Cancel, &rig.by) {
                Ok(answer) => answered.push((accepted.id, answer.running, clock::now())),
                Err(refusal) => assert_eq!(refusal.code, "INP010", "it had run already"),
            }
        }
    }
    let last = rig.schedule(event("a.a", once(clock::now())));
    until("all is settled", || rig.outcomes(last).len() == 1 && rig.engine.in_flight().is_empty());
    let ran = generation.ran();
    let ids: std::collections::HashSet<&String> = ran.iter().map(|o| &o.occurrence).collect();
    assert_eq!((ids.len(), rig.runs().len()), (ran.len(), ran.len()), "each started once, each has its run");
    assert!(!answered.is_empty());
    for (id, running, at) in answered {
        assert!(rig.store.waiting(id).unwrap().is_empty(), "nothing of it is left to run");
        let runs = rig.runs().into_iter().filter(|r| r.event_id == id);
        let late: Vec<_> = runs.filter(|r| r.started_at.unwrap() > at && !running.contains(&r.occurrence)).collect();
        assert!(late.is_empty(), "started after the answer, and not named in it: {late:?}");
    }
}
