//! Theme: what falls due, or is asked for, while an earlier occurrence of its event is going.
//!
//! Not the decision's table: that is the core's. What must hold: each policy is obeyed by the schedule's own, by run-nows and by backfills;
//! what waits is let go by the end of what it waits behind, once; what is taken away is counted.

use super::Theme;
use super::ground::{Ground, at, code, every, once, tester, wish};
use crate::rows::{AuditFilter, Change, Edit, Overlapped, RunEnd, Settled};
use chrono::TimeDelta;
use sexton_core::decide::{End, SkipReason};
use sexton_core::{
    Cause, Event, EventId, EventState, NewEvent, Occurrence, OccurrenceId, Outcome, Overlap, RetryPolicy, RunPolicy, Schedule,
};
use std::collections::BTreeMap;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("overlap: skip counts what passes while one goes", skip_passes),
    ("overlap: queue_one runs the latest that passed", queue_one_latest),
    ("overlap: queue_all runs the newest that passed, one after the other", queue_all_newest),
    ("overlap: a run-now is refused while one goes, and counted", run_now_refused),
    ("overlap: a run-now waits where it may, and no more than may", run_now_waits),
    ("overlap: a run-now stands beside where it may", run_now_beside),
    ("overlap: a run-now takes the place of what goes", run_now_replaces),
    ("overlap: the schedule's own falls due beside a run-now", own_beside),
    ("overlap: a one-shot's own is never skipped", single_waits),
    ("overlap: what waits for its retry is going", retry_goes),
    ("overlap: a backfill runs one after the other", backfill_in_turn),
    ("overlap: nothing going by then is given back", free_by_then),
    ("overlap: what waits through a pause", waits_through_pause),
    ("overlap: what waits when its event is edited", waits_through_edit),
    ("overlap: what waits when its event is cancelled", waits_through_cancel),
    ("overlap: what is superseded gets no retry", superseded),
    ("overlap: what waits behind one that is passed over", behind_a_misfire),
    ("overlap: what waits over a restart", waits_over_restart),
    ("overlap: a claim says that something waits for its retry", crowded),
];

pub(super) fn by(overlap: Overlap, event: NewEvent) -> NewEvent {
    NewEvent { policy: RunPolicy { overlap, ..RunPolicy::default() }, ..event }
}

fn manual(overlap: Overlap) -> NewEvent {
    by(overlap, wish(Schedule::manual()))
}

/// Settles the end of a run that began when it was due.
pub(super) fn over(ground: &Ground, run: &Occurrence, end: End, seconds: i64) -> Settled {
    let end = RunEnd { started_at: Some(run.due_at), ..ground.end(run, end, seconds) };
    ground.store.settle(&ground.lease, &[end], at(seconds)).unwrap().remove(0)
}

/// Stores a manual event and starts one of it.
fn going(ground: &Ground, overlap: Overlap) -> (EventId, Occurrence) {
    let id = ground.schedule(manual(overlap));
    ground.alter(id, &Change::RunNow, 1).unwrap();
    (id, ground.claim_one(1))
}

fn overlaps(event: &Event) -> i64 {
    assert_eq!(event.skips.values().sum::<i64>(), event.skipped, "the total and its reasons move together");
    event.skips.get(&SkipReason::Overlap).copied().unwrap_or(0)
}

pub(super) fn overlapped(ground: &Ground, claims: &[&Occurrence], running: &[&Occurrence], seconds: i64) -> Overlapped {
    let claims: Vec<(OccurrenceId, i64)> = claims.iter().map(|o| (o.id, o.token)).collect();
    let running: Vec<OccurrenceId> = running.iter().map(|o| o.id).collect();
    ground.store.overlapped(&ground.lease, &claims, &running, at(seconds)).unwrap()
}

/// Ordinals of what waits behind another.
fn queued(ground: &Ground, id: EventId) -> Vec<i64> {
    ground.store.waiting(id).unwrap().into_iter().filter(|w| w.queued).map(|w| w.occurrence.n).collect()
}

const WAITS: fn(i64) -> Overlapped = |queued| Overlapped { queued, skipped: 0, cancel: Vec::new() };

fn skip_passes(ground: &Ground) {
    let id = ground.schedule(every(60));
    let run = ground.claim_one(60);
    assert_eq!(over(ground, &run, End::Succeeded, 290).next_due, Some(at(300)));
    assert_eq!(overlaps(&ground.event(id)), 3, "120, 180 and 240");
}

fn queue_one_latest(ground: &Ground) {
    let id = ground.schedule(by(Overlap::QueueOne, every(60)));
    let run = ground.claim_one(60);
    assert_eq!(over(ground, &run, End::Succeeded, 290).next_due, Some(at(290)), "at once");
    let waited = ground.claim_one(290);
    assert_eq!((waited.id.n, waited.scheduled_for, waited.due_at), (2, at(240), at(290)));
    assert_eq!((waited.cause, waited.by_schedule, waited.is_fresh()), (Cause::Queued, true, true));
    assert_eq!(overlaps(&ground.event(id)), 2, "120 and 180");
    assert_eq!(over(ground, &waited, End::Succeeded, 295).next_due, Some(at(300)), "and the rhythm is as it was");
    let failed = ground.claim_one(300);
    over(ground, &failed, End::Failed { permanent: true }, 400);
    assert_eq!(ground.claim_one(400).scheduled_for, at(360), "a dead letter lets it go as well");
    ground.check_counts();
}

fn queue_all_newest(ground: &Ground) {
    let id = ground.schedule(by(Overlap::QueueAll(3), every(60)));
    let run = ground.claim_one(60);
    over(ground, &run, End::Succeeded, 370);
    let mut meant = Vec::new();
    for _ in 0..3 {
        let waited = ground.claim_one(370);
        assert_eq!(waited.cause, Cause::Queued);
        meant.push(waited.scheduled_for);
        over(ground, &waited, End::Succeeded, 370);
    }
    assert_eq!(meant, [at(240), at(300), at(360)], "in their order");
    assert_eq!((overlaps(&ground.event(id)), ground.event(id).next_run_at), (2, Some(at(420))), "120 and 180 found no room");
    let mut bounded = by(Overlap::QueueAll(9), every(60));
    bounded.schedule.terms.max_runs = Some(2);
    let id = ground.schedule(bounded);
    let run = ground.claim(60).into_iter().find(|o| o.id.event == id).unwrap();
    over(ground, &run, End::Succeeded, 300);
    let second = ground.claim(300).into_iter().find(|o| o.id.event == id).unwrap();
    assert_eq!(second.scheduled_for, at(120));
    assert_eq!(over(ground, &second, End::Succeeded, 301).state, EventState::Completed, "the runs that it may have are had");
}

fn run_now_refused(ground: &Ground) {
    let (id, run) = going(ground, Overlap::Skip);
    let again = ground.alter_while(id, &Change::RunNow, &[run.id], 2);
    assert!(again.as_ref().unwrap_err().to_string().contains(&run.id.to_string()), "what is going is named: {again:?}");
    assert_eq!(code(again), "INP029");
    assert_eq!((overlaps(&ground.event(id)), ground.ordinals(id)), (1, vec![1]), "counted, and no row of it");
    let refused = ground.audited(&AuditFilter {
        subject: Some(id.to_string()),
        verb_prefix: Some("event.run_now.refused".to_owned()),
        ..AuditFilter::default()
    });
    assert_eq!(refused.len(), 1);
    over(ground, &run, End::Succeeded, 3);
    ground.alter(id, &Change::RunNow, 4).unwrap();
    assert_eq!(code(ground.alter(id, &Change::RunNow, 4)), "INP029", "one that is about to start counts as going");
    assert_eq!(overlaps(&ground.event(id)), 2);
}

fn run_now_waits(ground: &Ground) {
    for (overlap, most) in [(Overlap::QueueOne, 1), (Overlap::QueueAll(3), 3)] {
        let (id, run) = going(ground, overlap);
        for n in 0..most {
            let event = ground.alter_while(id, &Change::RunNow, &[run.id], 2 + n).unwrap();
            assert_eq!(event.next_run_at, Some(at(1)), "what waits is not due");
        }
        assert_eq!(code(ground.alter_while(id, &Change::RunNow, &[run.id], 9)), "INP030");
        assert_eq!((overlaps(&ground.event(id)), queued(ground, id)), (1, (2..2 + most).collect()));
        assert!(ground.claim(10_000).is_empty(), "none of them starts beside it");
        let mut last = run;
        for n in 2..2 + most {
            assert_eq!(over(ground, &last, End::Succeeded, 10 + n).next_due, Some(at(10 + n)));
            last = ground.claim_one(10 + n);
            assert_eq!((last.id.n, last.cause, last.by_schedule), (n, Cause::RunNow, false));
        }
        assert_eq!(over(ground, &last, End::Succeeded, 20).next_due, None);
        assert_eq!(ground.event(id).state, EventState::Scheduled);
    }
    ground.check_counts();
}

fn run_now_beside(ground: &Ground) {
    let (id, run) = going(ground, Overlap::Allow);
    ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
    assert_eq!((ground.claim_one(2).id.n, overlaps(&ground.event(id))), (2, 0));
}

fn run_now_replaces(ground: &Ground) {
    let (id, run) = going(ground, Overlap::CancelPrevious);
    ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
    assert_eq!(queued(ground, id), [2], "it waits for the other to stop");
    ground.alter_while(id, &Change::RunNow, &[run.id], 3).unwrap();
    assert_eq!((queued(ground, id), overlaps(&ground.event(id))), (vec![3], 1), "in place of the one that waited");
    let settled = over(ground, &run, End::Cancelled, 4);
    assert_eq!((settled.outcome, settled.next_due), (Outcome::Cancelled, Some(at(4))));
    let next = ground.claim_one(4);
    assert_eq!(next.id.n, 3);
    over(ground, &next, End::Failed { permanent: false }, 5);
    ground.alter(id, &Change::RunNow, 6).unwrap();
    assert_eq!(ground.ordinals(id), [4], "what waited for its retry has had its run");
    assert_eq!((ground.claim_one(6).id.n, overlaps(&ground.event(id))), (4, 1), "which is no skip");
    ground.check_counts();
}

/// A recurring event of which a run-now goes when its own falls due at 60.
fn own_due(ground: &Ground, overlap: Overlap) -> (EventId, Occurrence, Occurrence) {
    let id = ground.schedule(by(overlap, every(60)));
    ground.alter(id, &Change::RunNow, 50).unwrap();
    let run = ground.claim(50).into_iter().find(|o| o.id.event == id).unwrap();
    let own = ground.claim(60).into_iter().find(|o| o.id.event == id).unwrap();
    assert_eq!((run.id.n, own.id.n, own.by_schedule), (2, 1, true));
    (id, run, own)
}

fn own_beside(ground: &Ground) {
    let (id, run, own) = own_due(ground, Overlap::Skip);
    assert_eq!(overlapped(ground, &[&own], &[&run], 61), Overlapped { skipped: 1, ..Overlapped::default() });
    let event = ground.event(id);
    assert_eq!((overlaps(&event), ground.ordinals(id)), (1, vec![2, 3]), "its successor stands in its place");
    assert_eq!(ground.store.waiting(id).unwrap()[1].due_at, at(120));
    assert_eq!(over(ground, &own, End::Succeeded, 62).outcome, Outcome::Lost);
    over(ground, &run, End::Succeeded, 63);
    ground.alter(id, &Change::Cancel, 64).unwrap();
    for overlap in [Overlap::QueueOne, Overlap::QueueAll(2), Overlap::CancelPrevious] {
        let (id, run, own) = own_due(ground, overlap);
        let cancel = if overlap == Overlap::CancelPrevious { vec![run.id] } else { vec![] };
        assert_eq!(overlapped(ground, &[&own], &[&run], 61), Overlapped { queued: 1, skipped: 0, cancel });
        assert_eq!((queued(ground, id), ground.claim(10_000).len()), (vec![1], 0));
        assert_eq!(over(ground, &run, End::Succeeded, 190).next_due, Some(at(190)));
        let own = ground.claim_one(190);
        assert_eq!((own.id.n, own.scheduled_for, own.cause), (1, at(60), Cause::Queued));
        over(ground, &own, End::Succeeded, 191);
        let left = match overlap {
            // Of 120 and 180, what the policy lets wait.
            Overlap::QueueOne => 1,
            Overlap::QueueAll(_) => 0,
            _ => 2,
        };
        assert_eq!(overlaps(&ground.event(id)), left, "{overlap:?}");
        ground.alter(id, &Change::Cancel, 192).unwrap();
    }
    let (id, run, own) = own_due(ground, Overlap::QueueOne);
    ground.alter_while(id, &Change::RunNow, &[run.id], 60).unwrap();
    assert_eq!(overlapped(ground, &[&own], &[&run], 61).skipped, 1, "the one that may wait is there");
    ground.check_counts();
}

fn single_waits(ground: &Ground) {
    let id = ground.schedule(once(60));
    ground.alter(id, &Change::RunNow, 50).unwrap();
    let (run, own) = (ground.claim_one(50), ground.claim_one(60));
    assert_eq!(overlapped(ground, &[&own], &[&run], 60), WAITS(1), "no later one would make up for it");
    assert_eq!(over(ground, &run, End::Succeeded, 70).state, EventState::Scheduled);
    assert_eq!(over(ground, &ground.claim_one(70), End::Succeeded, 71).state, EventState::Completed);
    assert_eq!((ground.outcomes(id).len(), ground.event(id).skipped), (2, 0));
}

fn retry_goes(ground: &Ground) {
    let slow = RetryPolicy { attempts: 3, first_delay_ms: 3_600_000, max_delay_ms: 3_600_000, deadline_ms: None };
    let id = ground.schedule(NewEvent { retry: Some(slow), ..every(60) });
    over(ground, &ground.claim_one(60), End::Failed { permanent: false }, 61);
    let refused = ground.alter(id, &Change::RunNow, 62);
    assert!(refused.as_ref().unwrap_err().to_string().contains("waits for its retry"), "{refused:?}");
    assert_eq!(code(refused), "INP029");
    ground.store.backfill(&ground.lease, id, &[at(-60)], &tester(), at(63)).unwrap();
    let fill = ground.claim_one(63);
    assert!(fill.crowded, "a claim says so");
    assert_eq!(overlapped(ground, &[&fill], &[], 63), WAITS(1));
    assert!(ground.claim(64).is_empty());
    let again = ground.claim_one(10_000);
    assert_eq!((again.id.n, again.attempt, again.is_tried()), (1, 2, true));
    over(ground, &again, End::Failed { permanent: true }, 10_000);
    let released: Vec<i64> = ground.claim(10_000).iter().map(|o| o.id.n).collect();
    assert_eq!(released, [2], "its dead letter lets the next go");
    assert_eq!(overlaps(&ground.event(id)), 165 + 1, "120 to 9960 while it waited, and the run-now");
}

fn backfill_in_turn(ground: &Ground) {
    for overlap in [Overlap::Skip, Overlap::QueueOne, Overlap::CancelPrevious] {
        let id = ground.schedule(by(overlap, every(3_600)));
        let instants: Vec<_> = (1..=4).map(|n| at(-n * 3_600)).rev().collect();
        ground.store.backfill(&ground.lease, id, &instants, &tester(), at(10)).unwrap();
        let claimed = ground.claim(10);
        let (first, others) = claimed.split_first().unwrap();
        assert_eq!(overlapped(ground, &others.iter().collect::<Vec<_>>(), &[first], 10), WAITS(3), "{overlap:?}");
        let mut run = first.clone();
        let mut meant = vec![run.scheduled_for];
        for second in 11..=13 {
            assert!(ground.claim(second).is_empty());
            over(ground, &run, End::Succeeded, second);
            run = ground.claim_one(second);
            assert_eq!(run.cause, Cause::Backfill);
            meant.push(run.scheduled_for);
        }
        over(ground, &run, End::Succeeded, 14);
        assert_eq!((meant, overlaps(&ground.event(id))), (instants, 0), "each had its run");
        assert_eq!(ground.event(id).next_run_at, Some(at(3_600)));
        ground.alter(id, &Change::Cancel, 15).unwrap();
    }
}

fn free_by_then(ground: &Ground) {
    let (id, run, own) = own_due(ground, Overlap::Skip);
    over(ground, &run, End::Succeeded, 60);
    assert_eq!(overlapped(ground, &[&own], &[&run], 61), Overlapped::default());
    let again = ground.claim_one(61);
    assert_eq!((again.id, again.scheduled_for, again.cause), (own.id, at(60), Cause::Schedule), "as if never claimed");
    assert_eq!(overlapped(ground, &[&own], &[], 62), Overlapped::default(), "a stale token moves nothing");
    assert_eq!((over(ground, &again, End::Succeeded, 63).outcome, overlaps(&ground.event(id))), (Outcome::Succeeded, 0));
}

fn waits_through_pause(ground: &Ground) {
    let (id, run) = going(ground, Overlap::QueueOne);
    ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
    ground.alter_while(id, &Change::Pause { note: None }, &[run.id], 3).unwrap();
    assert_eq!(over(ground, &run, End::Succeeded, 4).next_due, None);
    assert!(ground.claim(10).is_empty(), "paused, it is held");
    ground.alter(id, &Change::Resume, 11).unwrap();
    assert_eq!(ground.claim_one(11).id.n, 2);
    // And the schedule's own, which waits as a misfire after that.
    let id = ground.schedule(by(Overlap::QueueOne, every(60)));
    let run = ground.claim(60).into_iter().find(|o| o.id.event == id).unwrap();
    ground.alter_while(id, &Change::Pause { note: None }, &[run.id], 70).unwrap();
    over(ground, &run, End::Succeeded, 150);
    ground.alter(id, &Change::Resume, 500).unwrap();
    let event = ground.event(id);
    assert_eq!((overlaps(&event), event.skips.get(&SkipReason::Paused).copied()), (1, Some(5)), "120 while it ran, then 180 to 420");
    let resumed = ground.claim(500).into_iter().find(|o| o.id.event == id).unwrap();
    assert_eq!(resumed.scheduled_for, at(480));
}

fn waits_through_edit(ground: &Ground) {
    let (id, run, own) = own_due(ground, Overlap::QueueOne);
    overlapped(ground, &[&own], &[&run], 61);
    let edit = Edit { schedule: Some(every(90).schedule), ..Edit::default() };
    ground.alter_while(id, &Change::Edit(Box::new(edit)), &[run.id], 130).unwrap();
    let event = ground.event(id);
    assert_eq!(event.skips, BTreeMap::from([(SkipReason::Edited, 2)]), "60, which waited, and 120");
    assert_eq!(ground.ordinals(id), [2, 3]);
    over(ground, &run, End::Succeeded, 131);
    assert_eq!(ground.claim_one(10_000).scheduled_for, at(180));
    // What waits behind a claim that an edit takes away is not left behind.
    let (id, run) = going(ground, Overlap::QueueOne);
    ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
    ground.store.give_back(&ground.lease, &[(run.id, run.token)]).unwrap();
    let edit = Edit { schedule: Some(every(90).schedule), ..Edit::default() };
    ground.alter(id, &Change::Edit(Box::new(edit)), 3).unwrap();
    assert_eq!(queued(ground, id), Vec::<i64>::new());
}

fn waits_through_cancel(ground: &Ground) {
    let (id, run) = going(ground, Overlap::QueueAll(5));
    ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
    ground.alter_while(id, &Change::Cancel, &[run.id], 3).unwrap();
    assert_eq!(ground.ordinals(id), [1]);
    assert_eq!(over(ground, &run, End::Succeeded, 4).next_due, None);
    assert!(ground.ordinals(id).is_empty());
    ground.check_counts();
}

fn superseded(ground: &Ground) {
    let ends = [
        (End::Failed { permanent: false }, Outcome::Failed),
        (End::Snoozed { until: at(900) }, Outcome::Snoozed),
        (End::Interrupted { guilt: sexton_core::decide::Guilt::Suspect }, Outcome::Interrupted),
        (End::Interrupted { guilt: sexton_core::decide::Guilt::Innocent }, Outcome::Interrupted),
    ];
    for (end, outcome) in ends {
        let (id, run) = going(ground, Overlap::CancelPrevious);
        ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
        assert_eq!(over(ground, &run, end, 3).outcome, outcome, "it is recorded as it was,");
        assert_eq!(ground.ordinals(id), [2], "and not tried again");
        over(ground, &ground.claim_one(3), End::Succeeded, 4);
    }
}

fn behind_a_misfire(ground: &Ground) {
    let (id, run, own) = own_due(ground, Overlap::QueueOne);
    // The run-now waits behind the schedule's own, which is given back and then passed over unstarted.
    over(ground, &run, End::Succeeded, 60);
    ground.alter_while(id, &Change::RunNow, &[own.id], 61).unwrap();
    assert_eq!(queued(ground, id), [3]);
    let late =
        sexton_core::decide::late::Late::Skip { successor: Some(at(180)), skips: sexton_core::decide::Skips::of(SkipReason::Late, 2) };
    let found = crate::rows::Misfired { occurrence: own.id, token: own.token, schedule: own.wish.schedule.clone(), late };
    assert_eq!(ground.store.misfire(&ground.lease, &[found], at(150)).unwrap(), [true]);
    assert_eq!((ground.claim_one(150).id.n, queued(ground, id).len()), (3, 0));
}

fn waits_over_restart(ground: &Ground) {
    let (id, run) = going(ground, Overlap::QueueOne);
    ground.alter_while(id, &Change::RunNow, &[run.id], 2).unwrap();
    let after = ground.restarted(10);
    after.store.recover(&after.lease, &[], at(10)).unwrap();
    let again = after.claim_one(10);
    assert_eq!((again.id, queued(&after, id)), (run.id, vec![2]), "what was claimed comes first");
    over(&after, &again, End::Succeeded, 11);
    assert_eq!(after.claim_one(11).id.n, 2);
}

fn crowded(ground: &Ground) {
    let id = ground.schedule(every(60));
    let run = ground.claim_one(60);
    assert!(!run.crowded);
    assert!(!over(ground, &run, End::Failed { permanent: false }, 61).crowds, "there is nothing beside it");
    let again = ground.claim_one(5_000);
    ground.store.backfill(&ground.lease, id, &[at(-60)], &tester(), at(5_000)).unwrap();
    assert!(over(ground, &again, End::Snoozed { until: at(9_000) }, 5_001).crowds);
    let fill = ground.claim_one(5_001);
    assert!(fill.crowded && fill.due_at == at(5_000) && fill.due_at - fill.scheduled_for == TimeDelta::seconds(5_060));
}
