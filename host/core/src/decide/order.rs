//! Who comes first among what is due: priority, with ageing.
//!
//! Not the share of each type (`share`). What must hold: the order of two occurrences never changes while they wait, so that it can be a
//! key; nothing that is due waits behind what falls due more than a bounded time later.

use chrono::{DateTime, TimeDelta, Utc};

/// One level of priority is worth a minute of waiting. A minute, since it is the grace within which nothing counts as late (`late::GRACE`): one
/// level decides between what is due about together, and a flood of ten levels more is over for those that have waited ten minutes.
pub const LEVEL: TimeDelta = TimeDelta::minutes(1);

/// Priorities beyond this, either way, count as this. It bounds how long anything can be passed over: twice a hundred minutes; and how many
/// lanes a claim looks at.
pub const LEVEL_MAX: i32 = 100;

/// A priority as it counts.
#[must_use]
pub fn level(priority: i32) -> i32 {
    priority.clamp(-LEVEL_MAX, LEVEL_MAX)
}

/// The instant by which occurrences that are due are ordered: the due instant, a minute earlier for each level.
#[must_use]
pub fn effective(priority: i32, due_at: DateTime<Utc>) -> DateTime<Utc> {
    due_at.checked_sub_signed(LEVEL * level(priority)).unwrap_or(due_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_level_is_worth_a_minute_and_no_more_than_a_hundred_count() {
        for (a, b) in [
            ((0, 0), (0, 1)),
            ((1, 59), (0, 0)),
            ((0, 0), (1, 61)),
            ((9, 500), (0, 0)),
            ((0, 0), (-1, -59)),
            ((100, 5_999), (0, 0)),
            ((0, 0), (100, 6_001)),
            ((0, 0), (i32::MAX, 6_001)),
            ((i32::MIN, 0), (100, 12_001)),
        ] {
            assert!(effective(a.0, at(a.1)) < effective(b.0, at(b.1)), "{a:?} comes before {b:?}");
        }
        assert_eq!(effective(5, DateTime::<Utc>::MIN_UTC), DateTime::<Utc>::MIN_UTC, "at the end of time it is only its instant");
    }

    proptest! {
        /// A flood of any priorities goes on for ever, and one is started a second; whatever waits is started within the bound and the
        /// backlog that was due by then.
        #[test]
        fn nothing_waits_for_ever_under_a_flood(low in -150_i32..0, high in 0_i32..150, backlog in 0_i64..200) {
            let bound = (LEVEL * 2 * LEVEL_MAX).num_seconds();
            let mut queue: BTreeSet<(DateTime<Utc>, i64)> = (0..backlog).map(|id| (effective(high, at(0)), id)).collect();
            queue.insert((effective(low, at(0)), -1));
            let started = (0_i64..).find(|second| {
                queue.insert((effective(high, at(*second)), backlog + second));
                queue.pop_first().is_some_and(|(_, id)| id == -1)
            });
            let waited = started.expect("an endless flood");
            prop_assert!(waited <= bound + backlog + 1, "{waited} seconds");
            prop_assert_eq!(waited >= i64::from(level(high) - level(low)) * 60, true, "and it did wait for its priority");
        }
    }
}
