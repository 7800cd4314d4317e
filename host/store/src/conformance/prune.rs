//! Theme: deleting what was long ago.

use super::Theme;
use super::ground::{Ground, at, every, once};
use crate::rows::{Change, Page, RunFilter};
use sexton_core::EventState;
use sexton_core::decide::End;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("prune: old runs in bounded steps", steps),
    ("prune: ended events go with their last run", ended),
    ("prune: nothing open is deleted", open),
];

fn all(ground: &Ground, before: i64, limit: usize) -> i64 {
    let mut sum = 0;
    loop {
        match ground.prune(before, limit) {
            0 => return sum,
            rows => sum += rows,
        }
    }
}

fn run_count(ground: &Ground) -> usize {
    ground.store.runs(&RunFilter::default(), &Page { before: None, limit: 1_000 }).unwrap().len()
}

fn steps(ground: &Ground) {
    ground.schedule(every(10));
    for second in 1..=50 {
        ground.settle(&ground.claim_one(second * 10), End::Succeeded, second * 10);
    }
    assert_eq!(ground.prune(400, 7), 7, "at most the limit");
    assert_eq!(run_count(ground), 43);
    assert_eq!(all(ground, 400, 7), 32);
    let left = ground.store.runs(&RunFilter::default(), &Page { before: None, limit: 1_000 }).unwrap();
    assert!(left.iter().all(|(_, run)| run.finished_at >= at(400)));
    assert_eq!(left.len(), 11);
    assert_eq!(all(ground, 400, 7), 0);
    ground.check_counts();
}

fn ended(ground: &Ground) {
    let old = ground.schedule(once(10));
    ground.settle(&ground.claim_one(10), End::Succeeded, 11);
    let dead = ground.schedule(once(20));
    ground.settle(&ground.claim_one(20), End::Failed { permanent: true }, 21);
    let never_ran = ground.schedule(once(1_000));
    ground.alter(never_ran, &Change::Cancel, 30).unwrap();
    let recent = ground.schedule(once(40));
    ground.settle(&ground.claim_one(40), End::Succeeded, 500);
    // Its run is old, its end is not.
    let late_end = ground.schedule(every(50));
    ground.settle(&ground.claim_one(50), End::Succeeded, 51);
    ground.alter(late_end, &Change::Cancel, 600).unwrap();
    assert_eq!(ground.store.counts().unwrap().dead_letters, 1);
    assert_eq!(all(ground, 100, 10), 3 + 3, "three runs; the completed, the discarded and the cancelled event");
    for id in [old, dead, never_ran] {
        assert!(ground.store.event(id).unwrap().is_none());
        assert!(ground.store.waiting(id).unwrap().is_empty(), "its dead letters went with it");
    }
    assert_eq!((ground.event(recent).state, ground.event(late_end).state), (EventState::Completed, EventState::Cancelled));
    assert_eq!(ground.store.counts().unwrap().dead_letters, 0);
    assert_eq!(all(ground, 10_000, 1), 1 + 2, "in steps of one");
    assert!(ground.events().is_empty());
    ground.check_counts();
}

fn open(ground: &Ground) {
    let recurring = ground.schedule(every(10));
    ground.settle(&ground.claim_one(10), End::Failed { permanent: true }, 11);
    let paused = ground.schedule(once(20));
    ground.alter(paused, &Change::Pause { note: None }, 1).unwrap();
    let running = ground.schedule(once(15));
    let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(15), 1).unwrap().remove(0);
    assert_eq!(claimed.id.event, running);
    ground.alter_while(running, &Change::Cancel, &[claimed.id], 16).unwrap();
    assert_eq!(all(ground, 1_000_000, 5), 1, "one old run, and nothing else");
    for id in [recurring, paused, running] {
        assert!(ground.store.event(id).unwrap().is_some());
    }
    assert_eq!(ground.store.counts().unwrap().dead_letters, 1, "a dead letter of an open event is kept");
    ground.settle(&claimed, End::Succeeded, 20);
    assert_eq!(all(ground, 1_000_000, 5), 2);
    ground.check_counts();
}
