//! Theme: the schedule's own occurrences beside each other, or each in the place of the one before: the successor is stored at the start.
//!
//! Not what falls due beside another in general: that is `overlap`. What must hold: an occurrence has one successor, whether its start or its
//! end gives it, and each instant is run or counted once.

use super::Theme;
use super::ground::{Ground, at, every};
use super::overlap::{by, over, overlapped};
use crate::rows::{Change, Edit, Overlapped};
use chrono::{DateTime, Utc};
use sexton_core::decide::{End, SkipReason};
use sexton_core::{EventState, Occurrence, Overlap};
use std::collections::BTreeMap;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("overlap: allow, the schedule's next starts beside", followed),
    ("overlap: cancel_previous, the schedule's next takes the place", followed_in_place),
    ("overlap: no more follow than may run", followed_to_the_end),
    ("overlap: what is followed, edited and paused", followed_and_changed),
    ("overlap: what is followed, over a restart", followed_over_restart),
];

/// Has the successor stored, as when it has started.
fn follow(ground: &Ground, run: &Occurrence, seconds: i64) -> Option<DateTime<Utc>> {
    ground.store.follow(&ground.lease, &[(run.id, run.token)], at(seconds)).unwrap()
}

fn followed(ground: &Ground) {
    let id = ground.schedule(by(Overlap::Allow, every(60)));
    let first = ground.claim_one(60);
    assert_eq!(follow(ground, &first, 60), Some(at(120)));
    assert_eq!(follow(ground, &first, 60), None, "once");
    let second = ground.claim_one(120);
    assert_eq!((second.id.n, second.scheduled_for, second.followed), (2, at(120), false));
    // Late by three: they are counted, and not what is going.
    assert_eq!(follow(ground, &second, 310), Some(at(360)));
    assert_eq!(ground.event(id).skips, BTreeMap::from([(SkipReason::Late, 3)]));
    assert_eq!(over(ground, &second, End::Succeeded, 320).next_due, None, "its successor is there");
    let settled = over(ground, &first, End::Failed { permanent: true }, 1_000);
    assert_eq!((settled.next_due, settled.state), (None, EventState::Scheduled));
    let third = ground.claim_one(360);
    assert_eq!((third.id.n, third.scheduled_for), (3, at(360)));
    assert_eq!(over(ground, &third, End::Succeeded, 500).next_due, Some(at(540)), "that had none to follow it");
    assert_eq!(follow(ground, &third, 501), None, "its end came first");
    assert_eq!(ground.event(id).skips, BTreeMap::from([(SkipReason::Late, 3), (SkipReason::Overlap, 2)]));
    ground.check_counts();
}

fn followed_in_place(ground: &Ground) {
    let id = ground.schedule(by(Overlap::CancelPrevious, every(60)));
    let first = ground.claim_one(60);
    follow(ground, &first, 60);
    let second = ground.claim_one(120);
    assert_eq!(overlapped(ground, &[&second], &[&first], 120), Overlapped { cancel: vec![first.id], queued: 1, skipped: 0 });
    assert_eq!(over(ground, &first, End::Failed { permanent: false }, 125).next_due, Some(at(125)), "no retry");
    let second = ground.claim_one(125);
    assert_eq!((second.scheduled_for, follow(ground, &second, 125)), (at(120), Some(at(180))));
    // It fails, and waits for its retry when the next falls due.
    over(ground, &second, End::Failed { permanent: false }, 130);
    let third = ground.claim(180).into_iter().find(|o| o.id.n == 3).unwrap();
    assert!(third.crowded || ground.claim(180).is_empty());
    assert_eq!(overlapped(ground, &[&third], &[], 180), Overlapped::default());
    assert_eq!(ground.ordinals(id), [3], "the other has had its run");
    assert_eq!(over(ground, &ground.claim_one(180), End::Succeeded, 181).next_due, Some(at(240)));
    assert_eq!(ground.event(id).skipped, 0, "each had its run");
}

fn followed_to_the_end(ground: &Ground) {
    let mut three = by(Overlap::Allow, every(60));
    three.schedule.terms.max_runs = Some(3);
    let id = ground.schedule(three);
    let mut runs = Vec::new();
    for second in [60, 120, 180] {
        let run = ground.claim_one(second);
        assert_eq!(follow(ground, &run, second).is_some(), second < 180, "three at most, those under way included");
        runs.push(run);
    }
    for (at, run) in runs.iter().rev().enumerate() {
        let settled = over(ground, run, End::Succeeded, 200);
        let state = if at == 2 { EventState::Completed } else { EventState::Scheduled };
        assert_eq!((settled.next_due, settled.state), (None, state));
    }
    assert_eq!((ground.runs(id).len(), ground.event(id).skipped), (3, 0));
}

fn followed_and_changed(ground: &Ground) {
    let id = ground.schedule(by(Overlap::Allow, every(60)));
    let run = ground.claim_one(60);
    follow(ground, &run, 60);
    let edit = Edit { schedule: Some(every(90).schedule), ..Edit::default() };
    ground.alter_while(id, &Change::Edit(Box::new(edit)), &[run.id], 100).unwrap();
    assert_eq!((ground.ordinals(id), ground.event(id).skipped), (vec![1, 3], 0), "its successor is of the new schedule,");
    assert_eq!(over(ground, &run, End::Succeeded, 130).next_due, None, "and there is one only");
    let run = ground.claim_one(180);
    assert_eq!(run.scheduled_for, at(180));
    follow(ground, &run, 180);
    // Given back: two rows of the schedule wait, each for itself, and a pause of both gives one run.
    ground.alter(id, &Change::Pause { note: None }, 185).unwrap();
    let event = ground.alter(id, &Change::Resume, 1_000).unwrap();
    assert_eq!(event.skips, BTreeMap::from([(SkipReason::Paused, 9)]), "180, and 270 to 900");
    let late = ground.claim_one(1_000);
    assert_eq!(late.scheduled_for, at(990));
    assert_eq!(over(ground, &late, End::Succeeded, 1_001).next_due, Some(at(1_080)));
}

fn followed_over_restart(ground: &Ground) {
    let id = ground.schedule(by(Overlap::Allow, every(60)));
    let run = ground.claim_one(60);
    follow(ground, &run, 60);
    let after = ground.restarted(90);
    after.store.recover(&after.lease, &[], at(90)).unwrap();
    let again = after.claim_one(90);
    assert_eq!((again.id, again.followed), (run.id, true), "a claim says that its successor is there");
    assert_eq!(over(&after, &again, End::Succeeded, 91).next_due, None);
    assert_eq!((after.claim_one(120).id.n, after.event(id).skipped), (2, 0));
}
