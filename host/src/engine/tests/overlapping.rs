//! What falls due, or is asked for, while another occurrence of its event is going, as the world sees it.
//!
//! Not the decision's table (`sexton-core`) nor its rows (the store's suite). What must hold: whatever an event's policy does not let stand
//! side by side never does, and each occurrence that was asked for is run or counted.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::clock;
use sexton_core::decide::SkipReason;
use sexton_core::{EventId, EventState, NewEvent, Outcome, Overlap, RetryPolicy, Run, RunPolicy, Schedule};
use sexton_plugin_api::wire::JobEnd;
use sexton_store::rows::Change;
use std::time::Duration;

fn by(overlap: Overlap, event: NewEvent) -> NewEvent {
    NewEvent { policy: RunPolicy { overlap, ..RunPolicy::default() }, ..event }
}

fn manual(overlap: Overlap) -> NewEvent {
    by(overlap, event("a.a", Schedule::manual()))
}

fn run_now(rig: &Rig, id: EventId) -> Result<(), String> {
    rig.engine.alter(id, Change::RunNow, &rig.by).map(drop).map_err(|refusal| refusal.code)
}

fn overlaps(rig: &Rig, id: EventId) -> i64 {
    rig.store.event(id).unwrap().unwrap().skips.get(&SkipReason::Overlap).copied().unwrap_or(0)
}

fn queued(rig: &Rig, id: EventId) -> usize {
    rig.store.waiting(id).unwrap().iter().filter(|w| w.queued).count()
}

/// Runs of an event in the order in which they began.
fn runs(rig: &Rig, id: EventId) -> Vec<Run> {
    let mut runs: Vec<Run> = rig.runs().into_iter().filter(|r| r.event_id == id).collect();
    runs.sort_by_key(|r| r.started_at);
    runs
}

fn none_beside_another(runs: &[Run]) {
    for pair in runs.windows(2) {
        let (ended, began) = (pair[0].finished_at, pair[1].started_at.unwrap());
        assert!(ended <= began, "{} ended at {ended}, {} began at {began}", pair[0].occurrence, pair[1].occurrence);
    }
}

/// A host with one generation that serves `a.a` so.
fn with(does: impl FnMut(&sexton_plugin_api::wire::RunOrder) -> Does + Send + 'static) -> (Rig, Generation) {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 64, does);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    (rig, generation)
}

#[test]
fn a_run_now_beside_a_run_is_refused_counted_and_possible_again_afterwards() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(manual(Overlap::Skip));
    run_now(&rig, id).unwrap();
    generation.until("it runs", |seen| seen.ran.len() == 1);
    assert_eq!(run_now(&rig, id), Err("INP029".into()));
    assert_eq!((overlaps(&rig, id), generation.ran().len()), (1, 1));
    generation.release();
    until("it ended", || rig.outcomes(id) == [Outcome::Succeeded] && rig.engine.in_flight().is_empty());
    run_now(&rig, id).unwrap();
    until("it ran again", || rig.outcomes(id).len() == 2);
}

#[test]
fn what_waits_runs_one_after_the_other() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(manual(Overlap::QueueAll(3)));
    run_now(&rig, id).unwrap();
    generation.until("it runs", |seen| seen.ran.len() == 1);
    (0..3).for_each(|_| run_now(&rig, id).unwrap());
    assert_eq!(run_now(&rig, id), Err("INP030".into()));
    assert_eq!((queued(&rig, id), overlaps(&rig, id), generation.ran().len()), (3, 1, 1));
    generation.release();
    until("all ran", || rig.outcomes(id).len() == 4);
    let runs = runs(&rig, id);
    none_beside_another(&runs);
    assert_eq!(runs.iter().map(|r| r.occurrence.n).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn where_it_may_a_run_now_runs_beside_the_other() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(manual(Overlap::Allow));
    (0..3).for_each(|_| run_now(&rig, id).unwrap());
    generation.until("three run at once", |seen| seen.ran.len() == 3);
    assert_eq!(rig.engine.in_flight().len(), 3);
    generation.release();
    until("all ended", || rig.outcomes(id) == [Outcome::Succeeded; 3]);
}

#[test]
fn a_run_now_takes_the_place_of_what_goes() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(manual(Overlap::CancelPrevious));
    run_now(&rig, id).unwrap();
    generation.until("it runs", |seen| seen.ran.len() == 1);
    run_now(&rig, id).unwrap();
    generation.until("the other runs in its place", |seen| seen.ran.len() == 2);
    until("the first is settled", || rig.outcomes(id) == [Outcome::Cancelled]);
    assert_eq!(rig.engine.in_flight().len(), 1);
    generation.release();
    until("the second ended", || rig.outcomes(id) == [Outcome::Cancelled, Outcome::Succeeded]);
    none_beside_another(&runs(&rig, id));
}

#[test]
fn the_schedules_own_is_skipped_beside_a_run_now_and_the_schedule_goes_on() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(event("a.a", Schedule::every(Duration::from_secs(1), Some(in_ms(600)))));
    run_now(&rig, id).unwrap();
    generation.until("it runs", |seen| seen.ran.len() == 1);
    until("two have passed", || overlaps(&rig, id) >= 2);
    assert_eq!(generation.ran().len(), 1);
    generation.release();
    until("the schedule goes on", || rig.outcomes(id).len() >= 2);
    let runs = runs(&rig, id);
    none_beside_another(&runs);
    assert!(runs[1].scheduled_for > runs[0].finished_at, "{runs:?}");
}

#[test]
fn a_one_shot_waits_behind_a_run_now() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(event("a.a", once(in_ms(400))));
    run_now(&rig, id).unwrap();
    until("its own waits", || queued(&rig, id) == 1);
    assert_eq!((generation.ran().len(), overlaps(&rig, id)), (1, 0));
    generation.release();
    until("both ran", || rig.outcomes(id) == [Outcome::Succeeded; 2]);
    none_beside_another(&runs(&rig, id));
    until("it is done", || rig.store.event(id).unwrap().unwrap().state == EventState::Completed);
}

#[test]
fn the_schedules_own_takes_the_place_of_a_run_now() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(by(Overlap::CancelPrevious, event("a.a", Schedule::every(Duration::from_secs(3_600), Some(in_ms(400))))));
    run_now(&rig, id).unwrap();
    generation.until("both ran", |seen| seen.ran.len() == 2);
    until("the first was cancelled", || rig.outcomes(id) == [Outcome::Cancelled]);
    generation.release();
    until("its own ended", || rig.outcomes(id).len() == 2);
    none_beside_another(&runs(&rig, id));
}

#[test]
fn what_was_claimed_before_another_failed_does_not_start_while_that_waits_for_its_retry() {
    let (rig, generation) = with(|order| match order.attempt {
        // Only the run-now, which is the second of its event, fails.
        1 if order.occurrence.ends_with(".2") => Does::Ends(JobEnd::Failed { message: "not yet".into(), permanent: false }),
        _ => Does::Ends(JobEnd::Succeeded),
    });
    let retry = Some(RetryPolicy { attempts: 2, first_delay_ms: 2_500, max_delay_ms: 2_500, deadline_ms: None });
    let schedule = Schedule::every(Duration::from_secs(3_600), Some(in_ms(900)));
    let id = rig.schedule(NewEvent { retry, ..by(Overlap::QueueOne, event("a.a", schedule)) });
    run_now(&rig, id).unwrap();
    generation.until("the first attempt ended", |seen| seen.ran.len() == 1);
    until("all ran", || rig.outcomes(id).len() == 3);
    let order: Vec<(i64, u32)> = runs(&rig, id).iter().map(|r| (r.occurrence.n, r.attempt)).collect();
    let retry_first = order == [(2, 1), (2, 2), (1, 1)];
    // Full jitter may bring the retry before the schedule's own is due at all.
    assert!(retry_first, "{order:?}");
}

#[test]
fn a_backfill_runs_one_after_the_other_and_leaves_the_schedule_alone() {
    let (rig, _generation) = with(|_| Does::Ends(JobEnd::Succeeded));
    let schedule = Schedule::every(Duration::from_secs(3_600), Some(clock::now() - chrono::TimeDelta::days(2)));
    let id = rig.schedule(event("a.a", schedule));
    let next = rig.store.event(id).unwrap().unwrap().next_run_at;
    let from = clock::now() - chrono::TimeDelta::hours(30);
    let found = rig.engine.backfill(id, (from, clock::now()), false, &rig.by).unwrap();
    until("each has run", || rig.outcomes(id).len() == found.instants.len());
    none_beside_another(&runs(&rig, id));
    let event = rig.store.event(id).unwrap().unwrap();
    assert_eq!((event.skipped, event.next_run_at), (0, next));
}

#[test]
fn whatever_is_asked_for_at_once_is_run_or_counted() {
    const EACH: usize = 30;
    let (rig, _generation) = with(|_| Does::Ends(JobEnd::Succeeded));
    let policies = [Overlap::Skip, Overlap::QueueOne, Overlap::QueueAll(7), Overlap::CancelPrevious, Overlap::Allow];
    let ids: Vec<EventId> = policies.iter().map(|overlap| rig.schedule(manual(*overlap))).collect();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (rig, ids) = (&rig, &ids);
            scope.spawn(move || {
                for turn in 0..EACH {
                    for id in ids.iter().skip((turn + half) % 2) {
                        // A refusal is counted.
                        let _ = run_now(rig, *id);
                    }
                }
            });
        }
    });
    until("nothing is left", || ids.iter().all(|id| rig.store.waiting(*id).unwrap().is_empty()) && rig.engine.in_flight().is_empty());
    for (id, overlap) in ids.iter().zip(policies) {
        let (ran, asked) = (runs(&rig, *id), if *id == ids[0] { EACH } else { 2 * EACH });
        assert_eq!(ran.len() + usize::try_from(overlaps(&rig, *id)).unwrap(), asked, "{overlap:?}");
        assert!(!ran.is_empty());
        if overlap == Overlap::Allow {
            assert_eq!(ran.len(), asked);
        } else {
            none_beside_another(&ran);
        }
    }
}

#[test]
fn where_they_may_the_schedules_own_run_beside_each_other() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(by(Overlap::Allow, event("a.a", Schedule::every(Duration::from_secs(1), Some(in_ms(300))))));
    generation.until("three run at once", |seen| seen.ran.len() >= 3);
    assert!(rig.engine.in_flight().len() >= 3);
    generation.release();
    until("they ended, and more came", || rig.outcomes(id).len() >= 4);
    let mut meant: Vec<_> = runs(&rig, id).iter().map(|r| r.scheduled_for).collect();
    meant.sort_unstable();
    assert!(meant.windows(2).all(|pair| pair[0] < pair[1]), "each once: {meant:?}");
    assert_eq!(overlaps(&rig, id), 0);
}

#[test]
fn the_schedules_next_takes_the_place_of_the_one_before() {
    let (rig, generation) = with(|_| Does::Holds);
    let id = rig.schedule(by(Overlap::CancelPrevious, event("a.a", Schedule::every(Duration::from_secs(1), Some(in_ms(300))))));
    generation.until("three began", |seen| seen.ran.len() >= 3);
    until("two were cancelled", || rig.outcomes(id).starts_with(&[Outcome::Cancelled; 2]));
    none_beside_another(&runs(&rig, id));
    rig.engine.alter(id, Change::Cancel, &rig.by).unwrap();
    generation.release();
    until("nothing is left", || rig.store.waiting(id).unwrap().is_empty());
}
