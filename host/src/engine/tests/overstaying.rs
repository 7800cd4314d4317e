//! Runs whose time is over, and runs that somebody cancelled: asked, then ended with their process or shown as stuck.
//!
//! Not real processes (the outside tests have them). What must hold: who overstays pays for it, who runs beside it does not.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::engine::cancel::Which;
use sexton_core::{ErrorCode, EventId, NewEvent, Outcome, RetryPolicy, Run, RunPolicy, TimeLimit};
use sexton_loader::seam::DeathKind;
use sexton_plugin_api::wire::JobEnd;
use std::collections::BTreeMap;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(3_600);

fn limited(timeout: Option<Duration>, grace: Option<Duration>) -> NewEvent {
    // A retry that nobody waits for.
    let retry = RetryPolicy { attempts: 3, first_delay_ms: 3_600_000, max_delay_ms: 3_600_000, deadline_ms: None };
    NewEvent { policy: RunPolicy { timeout, grace, ..RunPolicy::default() }, retry: Some(retry), ..event("a.a", once(in_ms(0))) }
}

/// The runs of an event, the oldest first.
fn runs(rig: &Rig, id: EventId) -> Vec<Run> {
    let mut runs: Vec<Run> = rig.runs().into_iter().filter(|run| run.event_id == id).collect();
    runs.sort_by_key(|run| run.finished_at);
    runs
}

fn only_run(rig: &Rig, id: EventId) -> Run {
    until("it has a run", || !rig.outcomes(id).is_empty());
    runs(rig, id).remove(0)
}

#[test]
fn one_that_listens_has_failed_by_the_time_of_whoever_set_it() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(limited(Some(SHORT), None));
    let run = only_run(&rig, id);
    assert_eq!((run.outcome, run.error_code), (Outcome::Failed, Some(ErrorCode::Timeout)));
    assert!(run.error.as_deref().is_some_and(|e| e.contains("longer than 60ms") && e.contains("`timeout` of the event")), "{run:?}");
    let order = &generation.ran()[0];
    let allowed = order.deadline.expect("the job is told") - run.started_at.expect("it ran");
    assert!(allowed <= chrono::TimeDelta::from_std(SHORT).unwrap(), "{allowed}");
    assert_eq!(rig.store.waiting(id).unwrap()[0].attempt, 2, "an attempt is spent");
}

#[test]
fn one_that_does_not_listen_is_ended_with_its_process_and_its_neighbours_run_again() {
    let rig = Rig::new();
    let generation = Generation::in_runner(&rig, 1, |_| Does::Deaf);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let neighbour = rig.schedule(limited(Some(LONG), None));
    generation.until("the neighbour runs", |seen| seen.ran.len() == 1);
    let id = rig.schedule(limited(Some(SHORT), Some(SHORT)));
    let killing = generation.die_as_told();
    assert_eq!(killing.kind, DeathKind::Deadline);
    let (run, other) = (only_run(&rig, id), only_run(&rig, neighbour));
    assert_eq!((run.outcome, run.error_code), (Outcome::Failed, Some(ErrorCode::Timeout)));
    assert_eq!((other.outcome, other.error_code), (Outcome::Interrupted, Some(ErrorCode::Neighbour)));
    assert_eq!(rig.store.waiting(id).unwrap()[0].attempt, 2);
    let again = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&again.serving))]);
    until("the neighbour ran again", || rig.outcomes(neighbour) == [Outcome::Interrupted, Outcome::Succeeded]);
    assert_eq!(again.ran()[0].attempt, 1, "it spent none");
}

#[test]
fn one_that_was_cancelled_and_does_not_listen_is_ended_and_does_not_run_again() {
    let rig = Rig::new();
    let generation = Generation::in_runner(&rig, 1, |_| Does::Deaf);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let neighbour = rig.schedule(limited(None, None));
    let id = rig.schedule(limited(None, Some(SHORT)));
    until("both run", || rig.engine.in_flight().len() == 2 && generation.ran().len() == 2);
    let of = rig.engine.in_flight().into_iter().find(|run| run.occurrence.event == id).expect("it runs").occurrence;
    rig.engine.cancel_run(of, &rig.by).unwrap();
    let killing = generation.die_as_told();
    assert_eq!(killing.kind, DeathKind::Killed, "an operator's word says nothing against the plugin");
    let (run, other) = (only_run(&rig, id), only_run(&rig, neighbour));
    assert_eq!((run.outcome, run.error_code), (Outcome::Cancelled, None));
    assert!(run.error.as_deref().is_some_and(|e| e.contains("cancelled and did not stop within 60ms")), "{run:?}");
    assert!(rig.store.waiting(id).unwrap().is_empty(), "no retry");
    assert_eq!((other.outcome, other.error_code), (Outcome::Interrupted, Some(ErrorCode::Neighbour)));
    assert_eq!(rig.store.waiting(neighbour).unwrap()[0].attempt, 1);
}

#[test]
fn one_that_was_cancelled_does_not_run_again_whatever_ends_its_process() {
    let rig = Rig::new();
    let generation = Generation::in_runner(&rig, 1, |_| Does::Deaf);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(limited(None, Some(LONG)));
    until("it runs", || rig.engine.in_flight().len() == 1 && generation.ran().len() == 1);
    rig.engine.cancel_run(rig.engine.in_flight()[0].occurrence, &rig.by).unwrap();
    generation.go();
    assert_eq!(only_run(&rig, id).outcome, Outcome::Cancelled);
    assert!(rig.store.waiting(id).unwrap().is_empty());
}

#[test]
fn a_thread_of_the_host_is_shown_as_stuck_and_called_what_it_is_in_the_end() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Deaf);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let late = rig.schedule(limited(Some(SHORT), Some(SHORT)));
    let cancelled = rig.schedule(limited(None, Some(SHORT)));
    until("both run", || rig.engine.in_flight().len() == 2 && generation.ran().len() == 2);
    let of = rig.engine.in_flight().into_iter().find(|run| run.occurrence.event == cancelled).expect("it runs").occurrence;
    rig.engine.cancel_run(of, &rig.by).unwrap();
    until("both are stuck", || rig.engine.in_flight().iter().filter(|run| run.stuck && run.stuck_since.is_some()).count() == 2);
    assert!(rig.runs().is_empty(), "neither is called ended while it runs");
    assert!(generation.killed().is_empty(), "nobody can end a thread");
    for order in generation.ran() {
        generation.end(order.run, JobEnd::Succeeded);
    }
    assert_eq!((only_run(&rig, late).outcome, only_run(&rig, cancelled).outcome), (Outcome::Succeeded, Outcome::Succeeded));
    until("nothing is under way", || rig.engine.in_flight().is_empty());
}

#[test]
fn the_time_of_the_type_counts_where_the_event_says_none_and_the_operators_caps_both() {
    for (of_type, of_event, cap, says) in [
        (Some(SHORT), None, None, "`timeout` of the event type"),
        (Some(LONG), Some(SHORT), None, "`timeout` of the event)"),
        (Some(LONG), Some(LONG), Some(SHORT), "`run_time`"),
    ] {
        let rig = Rig::new();
        let mut generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
        generation.limit(cap);
        rig.publish_limited("a.a", TimeLimit { timeout: of_type, grace: None });
        rig.serve(&[("a.a", Some(&generation.serving))]);
        let id = rig.schedule(limited(of_event, None));
        let error = only_run(&rig, id).error.expect("it says why");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn runs_of_a_kind_are_cancelled_and_no_others() {
    let rig = Rig::new();
    let (one, two) = (Generation::new(&rig, 1, 8, |_| Does::Holds), Generation::new(&rig, 2, 8, |_| Does::Holds));
    rig.serve(&[("a.a", Some(&one.serving)), ("b.b", Some(&two.serving))]);
    let labelled = NewEvent { labels: BTreeMap::from([("team".into(), "x".into())]), ..event("a.a", once(in_ms(0))) };
    let (plain, labelled, other) =
        (rig.schedule(event("a.a", once(in_ms(0)))), rig.schedule(labelled), rig.schedule(event("b.b", once(in_ms(0)))));
    until("all run", || one.ran().len() == 2 && two.ran().len() == 1);
    let named = |which: &Which, dry_run| rig.engine.cancel_runs(which, dry_run, &rig.by).into_iter().map(|of| of.event).collect::<Vec<_>>();
    let by_label = Which { labels: BTreeMap::from([("team".into(), "x".into())]), ..Which::default() };
    assert_eq!(named(&by_label, true), [labelled]);
    assert!(rig.engine.in_flight().iter().all(|run| !run.cancelling), "only asked which");
    assert_eq!(named(&by_label, false), [labelled]);
    until("it is cancelled", || rig.outcomes(labelled) == [Outcome::Cancelled]);
    assert_eq!(named(&Which { plugin: Some("p2".into()), ..Which::default() }, false), [other]);
    assert_eq!(named(&Which { event: Some(other), event_type: Some("a.a".into()), ..Which::default() }, false), []);
    until("so is the other", || rig.outcomes(other) == [Outcome::Cancelled]);
    assert_eq!(named(&Which::default(), false), [plain], "what is left of all");
}

#[test]
fn one_alive_far_beyond_the_time_of_others_is_never_doubled() {
    let rig = Rig::new();
    let long = Generation::new(&rig, 1, 8, |_| Does::Holds);
    let types = |quick: &Generation| rig.serve(&[("a.a", Some(&long.serving)), ("b.b", Some(&quick.serving))]);
    let mut quick = Generation::new(&rig, 2, 8, |_| Does::Holds);
    types(&quick);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    long.until("it has started", |seen| seen.ran.len() == 1);
    // A hundred lives and deaths beside it: runs that overstay, reloads, claims.
    for number in 3..53 {
        let short = NewEvent { event_type: "b.b".into(), ..limited(Some(Duration::from_millis(1)), None) };
        let others = rig.engine.schedule(vec![short.clone(), short], &rig.by).unwrap();
        until("the others are over", || others.iter().all(|other| rig.outcomes(other.id) == [Outcome::Failed]));
        quick = Generation::new(&rig, number, 8, |_| Does::Holds);
        types(&quick);
    }
    assert_eq!((long.ran().len(), rig.outcomes(id).len(), rig.engine.in_flight().len()), (1, 0, 1), "one start, no end");
    long.release();
    until("it ends once", || rig.outcomes(id) == [Outcome::Succeeded]);
    assert_eq!((long.ran().len(), rig.runs().len()), (1, 101));
}
