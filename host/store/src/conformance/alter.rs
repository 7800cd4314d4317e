//! Theme: the verbs on one event, while nothing and while something of it runs.

use super::Theme;
use super::ground::{Ground, at, code, every, once, wish};
use crate::rows::{Change, Edit};
use serde_json::value::RawValue;
use sexton_core::decide::{End, SkipReason};
use sexton_core::schedule::Misfire;
use sexton_core::{Cause, EventId, EventState, NewEvent, Outcome, Overlap, RetryPolicy, RunPolicy, Schedule};
use std::collections::BTreeMap;
use std::time::Duration;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("alter: pause takes out of the due order, resume puts back", pause_resume),
    ("alter: pause voids claims, but not what runs", pause_running),
    ("alter: a long pause gives one run, not a flood", no_flood),
    ("alter: a retry that waited through a pause is still owed", paused_retry),
    ("alter: cancel removes what did not start", cancel),
    ("alter: run-now leaves the schedule alone", run_now),
    ("alter: edit never fires", edit_schedule),
    ("alter: edit while it runs", edit_running),
    ("alter: an edited schedule has no past", edit_while_late),
    ("alter: edit to one instant, to manual and back", edit_kinds),
    ("alter: edit of the other fields", edit_fields),
    ("alter: what the state does not allow is refused", refused),
];

const PAUSE: Change = Change::Pause { note: None };

fn edit(edit: Edit) -> Change {
    Change::Edit(Box::new(edit))
}

fn to(schedule: Schedule) -> Change {
    edit(Edit { schedule: Some(schedule), ..Edit::default() })
}

fn pause_resume(ground: &Ground) {
    let id = ground.schedule(once(10));
    let event = ground.alter(id, &Change::Pause { note: Some("bell repair".to_owned()) }, 1).unwrap();
    assert_eq!((event.state, event.reason.as_deref(), event.updated_at), (EventState::Paused, Some("bell repair"), at(1)));
    assert_eq!(event.next_run_at, None, "a paused event has no next run");
    assert_eq!(ground.store.next_due(&[ground.bell]).unwrap(), None);
    assert!(ground.claim(100).is_empty());
    ground.check_counts();
    let event = ground.alter(id, &Change::Resume, 50).unwrap();
    assert_eq!((event.state, event.reason, event.next_run_at), (EventState::Scheduled, None, Some(at(10))));
    assert_eq!(ground.claim_one(50).id.n, 1, "a one-shot waits for ever");
    ground.check_counts();
}

fn pause_running(ground: &Ground) {
    let id = ground.schedule(every(60));
    let claimed = ground.claim_one(60);
    ground.alter(id, &PAUSE, 61).unwrap();
    assert_eq!(ground.settle(&claimed, End::Succeeded, 62).outcome, Outcome::Lost, "after the answer nothing old starts");
    ground.alter(id, &Change::Resume, 63).unwrap();
    let running = ground.claim_one(63);
    assert_eq!(running.id, claimed.id);
    ground.alter_while(id, &PAUSE, &[running.id], 64).unwrap();
    let settled = ground.settle(&running, End::Succeeded, 65);
    assert_eq!((settled.outcome, settled.next_due, settled.state), (Outcome::Succeeded, None, EventState::Paused));
    assert_eq!(ground.ordinals(id), [2], "its successor is there,");
    assert!(ground.claim(10_000).is_empty(), "and held");
    let event = ground.alter(id, &Change::Resume, 70).unwrap();
    assert_eq!(event.next_run_at, Some(at(120)));
    ground.check_counts();
}

fn no_flood(ground: &Ground) {
    let id = ground.schedule(every(10));
    ground.alter(id, &PAUSE, 1).unwrap();
    ground.alter(id, &Change::Resume, 1_005).unwrap();
    let one = ground.claim_one(1_005);
    ground.settle(&one, End::Succeeded, 1_006);
    let event = ground.event(id);
    assert_eq!(event.next_run_at, Some(at(1_010)));
    assert_eq!(event.skipped, 99, "10 ran; 20 to 1000 are counted");
    assert!(ground.claim(1_009).is_empty());
}

fn paused_retry(ground: &Ground) {
    let id = ground.schedule(every(60));
    let running = ground.claim_one(60);
    ground.alter_while(id, &PAUSE, &[running.id], 61).unwrap();
    let settled = ground.settle(&running, End::Failed { permanent: false }, 62);
    assert_eq!((settled.state, settled.next_due), (EventState::Paused, None));
    assert!(ground.claim(100_000).is_empty());
    ground.alter(id, &Change::Resume, 100).unwrap();
    let again = ground.claim_one(100_000);
    assert_eq!((again.id.n, again.attempt, again.cause), (1, 2, Cause::Retry));
}

fn cancel(ground: &Ground) {
    // Each run-now stands beside the one before, started or not.
    let beside = RunPolicy { overlap: Overlap::Allow, ..RunPolicy::default() };
    let id = ground.schedule(NewEvent { policy: beside, ..every(60) });
    let running = ground.claim_one(60);
    ground.alter(id, &Change::RunNow, 61).unwrap();
    let claimed = ground.claim_one(61);
    ground.alter(id, &Change::RunNow, 62).unwrap();
    let event = ground.alter_while(id, &Change::Cancel, &[running.id], 63).unwrap();
    assert_eq!((event.state, event.finished_at), (EventState::Cancelled, Some(at(63))));
    assert_eq!(ground.ordinals(id), [1], "what runs stays until it ends");
    assert_eq!(ground.settle(&claimed, End::Succeeded, 64).outcome, Outcome::Lost);
    let settled = ground.settle(&running, End::Failed { permanent: false }, 65);
    assert_eq!(
        (settled.outcome, settled.next_due, settled.state),
        (Outcome::Failed, None, EventState::Cancelled),
        "no retry, no successor"
    );
    assert!(ground.ordinals(id).is_empty());
    let dead = ground.schedule(every(60));
    ground.settle(&ground.claim_one(60), End::Failed { permanent: true }, 61);
    assert_eq!(ground.store.counts().unwrap().dead_letters, 1);
    ground.alter(dead, &Change::Cancel, 62).unwrap();
    assert_eq!(ground.store.counts().unwrap().dead_letters, 0, "its dead letters go with it");
    ground.check_counts();
}

fn run_now(ground: &Ground) {
    let id = ground.schedule(every(60));
    let event = ground.alter(id, &Change::RunNow, 7).unwrap();
    assert_eq!(event.next_run_at, Some(at(7)));
    let now = ground.claim_one(7);
    assert_eq!((now.id.n, now.cause, now.by_schedule, now.scheduled_for), (2, Cause::RunNow, false, at(7)));
    let settled = ground.settle(&now, End::Succeeded, 8);
    assert_eq!((settled.state, settled.next_due), (EventState::Scheduled, None), "it gives no successor");
    assert_eq!(ground.event(id).next_run_at, Some(at(60)), "and moves nothing");
    let manual = ground.schedule(wish(Schedule::manual()));
    ground.alter(manual, &Change::RunNow, 9).unwrap();
    let settled = ground.settle(&ground.claim_one(9), End::Succeeded, 10);
    assert_eq!(settled.state, EventState::Scheduled, "a manual event stays");
    let one_shot = ground.schedule(once(5_000));
    ground.alter(one_shot, &Change::RunNow, 11).unwrap();
    assert_eq!(ground.settle(&ground.claim_one(11), End::Succeeded, 12).state, EventState::Scheduled, "its own occurrence is to come");
}

fn edit_schedule(ground: &Ground) {
    let id = ground.schedule(every(10));
    let event = ground.alter(id, &to(every(60).schedule), 35).unwrap();
    assert_eq!(event.next_run_at, Some(at(60)), "re-planned from now on");
    assert_eq!(event.skipped, 3, "10, 20 and 30 were missed");
    assert_eq!((ground.ordinals(id), event.occurrences), (vec![2], 2), "under an ordinal of its own");
    assert!(ground.claim(59).is_empty(), "an edit never fires");
    let past = ground.alter(id, &to(once(30).schedule), 36);
    assert_eq!(code(past), "INP007");
    assert_eq!(ground.event(id).next_run_at, Some(at(60)), "refused: as before");
    ground.alter(id, &PAUSE, 40).unwrap();
    let event = ground.alter(id, &to(every(50).schedule), 41).unwrap();
    assert_eq!((event.state, event.next_run_at), (EventState::Paused, None), "an edited paused event stays paused");
    assert_eq!(ground.alter(id, &Change::Resume, 42).unwrap().next_run_at, Some(at(50)));
    let claimed = ground.claim_one(50);
    ground.alter(id, &to(every(70).schedule), 51).unwrap();
    assert_eq!(ground.settle(&claimed, End::Succeeded, 52).outcome, Outcome::Lost, "a claim from before is void");
    assert_eq!(ground.claim_one(10_000).scheduled_for, at(70));
}

fn edit_running(ground: &Ground) {
    let id = ground.schedule(every(60));
    let running = ground.claim_one(60);
    let event = ground.alter_while(id, &to(every(45).schedule), &[running.id], 61).unwrap();
    assert_eq!(event.wish.schedule, every(45).schedule);
    assert_eq!(ground.ordinals(id), [1], "what runs is still going: no second one beside it");
    let settled = ground.settle(&running, End::Succeeded, 62);
    assert_eq!((settled.outcome, settled.next_due), (Outcome::Succeeded, Some(at(90))), "its successor follows the new schedule");
    let retried = ground.claim_one(90);
    ground.settle(&retried, End::Failed { permanent: false }, 91);
    ground.alter(id, &to(Schedule::after(Duration::from_secs(500))), 92).unwrap();
    let again = ground.claim_one(1_000);
    assert_eq!((again.id, again.attempt), (retried.id, 2), "a retry is still owed");
    assert_eq!(ground.settle(&again, End::Succeeded, 1_000).next_due, Some(at(1_500)));
    let id = ground.schedule(once(2_000));
    let running = ground.store.claim(&ground.lease, &[ground.bell], at(2_000), 10).unwrap().into_iter().find(|o| o.id.event == id).unwrap();
    ground.alter_while(id, &to(once(3_000).schedule), &[running.id], 2_001).unwrap();
    let settled = ground.settle(&running, End::Succeeded, 2_002);
    assert_eq!(settled.state, EventState::Scheduled, "the new instant is to come");
    assert_eq!(ground.event(id).next_run_at, Some(at(3_000)));
}

fn edit_while_late(ground: &Ground) {
    let mut all = every(60);
    all.schedule.terms.misfire = Misfire::All;
    let id = ground.schedule(all);
    let running = ground.claim_one(190);
    let mut faster = every(45);
    faster.schedule.terms.misfire = Misfire::All;
    ground.alter_while(id, &to(faster.schedule), &[running.id], 200).unwrap();
    let skipped = |reason| ground.event(id).skips.get(&reason).copied();
    assert_eq!(skipped(SkipReason::Edited), Some(2), "what the old one gave meanwhile, at 120 and 180, goes with it");
    let mut end = ground.end(&running, End::Succeeded, 250);
    end.started_at = Some(at(190));
    let settled = ground.store.settle(&ground.lease, &[end], at(250)).unwrap().remove(0);
    assert_eq!(settled.next_due, Some(at(270)), "not one from before the edit, though all that were missed are made up for");
    assert_eq!(skipped(SkipReason::Overlap), Some(1), "the new one gave 225 while it ran");
}

fn edit_kinds(ground: &Ground) {
    let id = ground.schedule(every(60));
    let event = ground.alter(id, &to(Schedule::manual()), 1).unwrap();
    assert_eq!((event.state, event.next_run_at), (EventState::Scheduled, None));
    let event = ground.alter(id, &to(once(100).schedule), 2).unwrap();
    assert_eq!(event.next_run_at, Some(at(100)));
    assert_eq!(ground.settle(&ground.claim_one(100), End::Succeeded, 101).state, EventState::Completed);
    assert_eq!(ground.event(id).occurrences, 2);
}

fn edit_fields(ground: &Ground) {
    let id = ground.schedule(NewEvent { labels: BTreeMap::from([("a".to_owned(), "1".to_owned())]), ..every(60) });
    let other = ground.schedule(every(60));
    let change = Edit {
        args: Some(RawValue::from_string(r#"{"strokes": 12}"#.to_owned()).unwrap()),
        description: Some("noon".to_owned()),
        labels: Some(BTreeMap::from([("b".to_owned(), "2".to_owned())])),
        priority: Some(9),
        retry: Some(RetryPolicy { attempts: 2, ..RetryPolicy::default() }),
        policy: Some(RunPolicy { overlap: Overlap::Allow, ..RunPolicy::default() }),
        schedule: None,
    };
    let claimed = ground.claim(60);
    assert_eq!(claimed.len(), 2);
    let event = ground.alter(id, &edit(change), 61).unwrap();
    assert_eq!((event.wish.args.get(), event.wish.description.as_deref(), event.wish.priority), (r#"{"strokes": 12}"#, Some("noon"), 9));
    assert_eq!(event.wish.labels, BTreeMap::from([("b".to_owned(), "2".to_owned())]));
    assert_eq!((event.next_run_at, event.skipped), (Some(at(60)), 0), "the schedule is untouched");
    assert_eq!((event.wish.retry.map(|r| r.attempts), event.wish.policy.overlap), (Some(2), Overlap::Allow));
    let again = ground.claim_one(61);
    assert_eq!((again.id.event, again.id.n, again.wish.args.get()), (id, 1, r#"{"strokes": 12}"#), "the claim from before is void");
    let old = claimed.iter().find(|o| o.id.event == id).unwrap();
    assert_eq!(ground.settle(old, End::Succeeded, 62).outcome, Outcome::Lost);
    ground.settle(&again, End::Succeeded, 62);
    ground.settle(claimed.iter().find(|o| o.id.event == other).unwrap(), End::Succeeded, 62);
    let order: Vec<_> = (0..2).map(|_| ground.store.claim(&ground.lease, &[ground.bell], at(500), 1).unwrap()[0].id.event).collect();
    assert_eq!(order, [id, other], "the new priority orders what is due");
    ground.alter(id, &edit(Edit { labels: Some(BTreeMap::new()), ..Edit::default() }), 63).unwrap();
    assert!(ground.event(id).wish.labels.is_empty());
}

fn refused(ground: &Ground) {
    assert_eq!(code(ground.alter(EventId(12_345), &Change::Cancel, 1)), "INP009");
    let id = ground.schedule(once(10));
    assert_eq!(code(ground.alter(id, &Change::Resume, 1)), "INP010");
    ground.alter(id, &PAUSE, 1).unwrap();
    for change in [PAUSE, Change::RunNow] {
        let refused = ground.alter(id, &change, 2);
        assert!(refused.as_ref().unwrap_err().to_string().contains("paused"), "the state is named");
        assert_eq!(code(refused), "INP010");
    }
    ground.alter(id, &Change::Cancel, 3).unwrap();
    for change in [PAUSE, Change::Resume, Change::Cancel, Change::RunNow, edit(Edit::default())] {
        assert_eq!(code(ground.alter(id, &change, 4)), "INP010");
    }
    let done = ground.schedule(once(10));
    ground.settle(&ground.claim_one(10), End::Succeeded, 11);
    for change in [PAUSE, Change::Resume, Change::Cancel, Change::RunNow, edit(Edit::default())] {
        assert_eq!(code(ground.alter(done, &change, 12)), "INP010");
    }
    assert_eq!((ground.event(id).updated_at, ground.event(done).updated_at), (at(3), at(0)), "refused: nothing changed");
    ground.check_counts();
}
