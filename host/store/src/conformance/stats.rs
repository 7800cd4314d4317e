//! Theme: what stays of runs: statistics by type, which agree with the history and outlive it.
//!
//! Not the histograms: those have laws of their own. What must hold: the expectation is summed up from the listed runs.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, every, once};
use crate::rows::{Page, RunFilter, TypeStats};
use chrono::{TimeDelta, Utc};
use sexton_core::decide::{End, Guilt};
use sexton_core::stats::{Ran, Tally};
use sexton_core::{NewEvent, Outcome};
use std::collections::BTreeMap;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("stats: the sum over the runs, by type", agree),
    ("stats: nothing changes when runs are pruned", kept),
    ("stats: by the hour", hours),
    ("stats: a settlement that fails is not counted", refused),
];

/// What the listed runs add up to.
fn summed(ground: &Ground) -> BTreeMap<String, Tally> {
    let mut sums: BTreeMap<String, Tally> = BTreeMap::new();
    let runs = ground.store.runs(&RunFilter::default(), &Page { before: None, limit: 100_000 }).unwrap();
    for (_, run) in runs.into_iter().rev() {
        let micros = |at: chrono::DateTime<Utc>| at.timestamp_micros();
        sums.entry(run.event_type).or_default().add(&Ran {
            outcome: run.outcome,
            due_at: micros(run.due_at),
            started_at: run.started_at.map(micros),
            finished_at: micros(run.finished_at),
        });
    }
    sums
}

fn told(ground: &Ground) -> BTreeMap<String, Tally> {
    ground.store.statistics(None, None).unwrap().into_iter().map(|of| (of.event_type, of.tally)).collect()
}

/// Compares statistics with history: equal as long as nothing was pruned.
pub fn check(ground: &Ground) {
    assert_eq!(told(ground), summed(ground), "statistics and history");
}

/// Runs of every outcome, of two types.
fn every_outcome(ground: &Ground) {
    let of = |event_type: &str, second: i64| NewEvent { event_type: event_type.to_owned(), ..once(second) };
    let ends = [
        End::Succeeded,
        End::Failed { permanent: true },
        End::Snoozed { until: at(1_000_000) },
        End::Cancelled,
        End::Interrupted { guilt: Guilt::Innocent },
        End::Failed { permanent: true },
    ];
    for (i, end) in (0_i64..).zip(ends.iter().cycle().take(40)) {
        let event_type = if i % 5 < 2 { DOOR } else { BELL };
        let second = 10 * i + 1;
        let id = ground.schedule(of(event_type, second));
        let occurrence = ground.claim(second).into_iter().find(|o| o.id.event == id).unwrap();
        let finished_at = at(second) + TimeDelta::milliseconds(7 * i * i);
        let mut ended = ground.end(&occurrence, end.clone(), second);
        ended.finished_at = finished_at;
        ended.started_at = (i % 7 != 6).then(|| at(second) + TimeDelta::microseconds(13 * i * i));
        let twice = ended.clone();
        ground.store.settle(&ground.lease, &[ended], finished_at).unwrap();
        if i % 4 == 0 {
            // The same end once more: its claim is gone, it is lost.
            assert_eq!(ground.store.settle(&ground.lease, &[twice], finished_at).unwrap()[0].outcome, Outcome::Lost);
        }
        // What is due again stays away from the next claim.
        ground.alter(id, &crate::rows::Change::Cancel, second).ok();
    }
}

fn agree(ground: &Ground) {
    assert!(told(ground).is_empty());
    every_outcome(ground);
    let sums = told(ground);
    let (bell, door) = (&sums[BELL], &sums[DOOR]);
    assert!(bell.by.lost > 0 && bell.by.interrupted > 0 && bell.by.snoozed > 0 && door.by.failed > 0, "{sums:?}");
    check(ground);
    // Many ends in one batch, of both types.
    for i in 0..30 {
        ground.schedule(NewEvent { event_type: [BELL, DOOR][i % 2].to_owned(), ..once(2_000) });
    }
    let ends: Vec<_> = ground.claim(2_000).iter().map(|o| ground.end(o, End::Succeeded, 2_001)).collect();
    ground.store.settle(&ground.lease, &ends, at(2_001)).unwrap();
    check(ground);
    ground.check_counts();
}

fn kept(ground: &Ground) {
    every_outcome(ground);
    let before = ground.store.statistics(None, None).unwrap();
    assert_eq!(before.iter().map(|of| of.event_type.as_str()).collect::<Vec<_>>(), [DOOR, BELL], "by name");
    while ground.prune(1_000_000, 10) > 0 {}
    assert_eq!(ground.store.counts().unwrap().runs, 0);
    assert_eq!(ground.store.statistics(None, None).unwrap(), before);
}

fn hours(ground: &Ground) {
    ground.schedule(every(1_800));
    let base = at(0).timestamp() % 3_600;
    assert_eq!(base, 0, "the test's time begins with an hour");
    for second in [1_800, 3_600, 5_400, 7_200, 9_000] {
        ground.settle(&ground.claim_one(second), End::Succeeded, second);
    }
    let since = |seconds: i64| -> Option<(i64, u64)> {
        let of: Option<TypeStats> = ground.store.statistics(Some(BELL), Some(at(seconds))).unwrap().pop();
        of.map(|of| ((of.from - at(0)).num_seconds(), of.tally.by.succeeded))
    };
    assert_eq!(since(0), Some((0, 5)));
    assert_eq!(since(3_599), Some((0, 5)), "its whole hour");
    assert_eq!((since(3_600), since(7_000), since(7_200)), (Some((3_600, 4)), Some((3_600, 4)), Some((7_200, 2))));
    assert_eq!((since(100_000), ground.store.statistics(Some("no.such"), None).unwrap().len()), (None, 0));
    assert_eq!(ground.store.statistics(Some(DOOR), None).unwrap().len(), 0, "one that never ran");
}

fn refused(ground: &Ground) {
    ground.schedule(once(10));
    let occurrence = ground.claim_one(10);
    let mut follow_up = ground.intention(once(20));
    follow_up.type_id = sexton_core::TypeId(9_999);
    let mut end = ground.end(&occurrence, End::Succeeded, 11);
    end.follow_ups = vec![follow_up];
    ground.store.settle(&ground.lease, &[end], at(11)).unwrap_err();
    assert!(told(ground).is_empty());
    ground.settle(&occurrence, End::Succeeded, 12);
    assert_eq!(told(ground)[BELL].by.succeeded, 1);
    check(ground);
}
