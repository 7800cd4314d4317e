//! Jitter: by how much an occurrence is due after its instant.
//!
//! Not random: what must hold is that the same event and instant have the same jitter on every host and after every restart, below the
//! length asked for.

use super::{Schedule, instant};
use crate::ids::EventId;
use chrono::{DateTime, TimeDelta, Utc};

impl Schedule {
    /// When an occurrence meant for `scheduled_for` is due: then, or within the jitter after it.
    #[must_use]
    pub fn due_at(&self, event: EventId, scheduled_for: DateTime<Utc>) -> DateTime<Utc> {
        let Some(jitter) = self.terms.jitter else { return scheduled_for };
        let most = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX);
        let mixed = mix(mix(event.0.cast_unsigned()) ^ scheduled_for.timestamp_micros().cast_unsigned());
        let part = u64::try_from((u128::from(mixed) * u128::from(most)) >> 64).unwrap_or(0);
        let later = i64::try_from(part).ok().and_then(|part| scheduled_for.checked_add_signed(TimeDelta::microseconds(part)));
        later.map_or(scheduled_for, |later| later.min(instant::last()))
    }
}

/// Spreads neighbouring numbers over all of them: the finaliser of a splitmix generator.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_the_same_everywhere_and_spread_out() {
        let mut schedule = Schedule::every(Duration::from_secs(60), None);
        let at = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        assert_eq!(schedule.due_at(EventId(7), at), at, "none is asked for");
        schedule.terms.jitter = Some(Duration::from_secs(30));
        let late = |event, at: DateTime<Utc>| (schedule.due_at(EventId(event), at) - at).num_microseconds().expect("small");
        let minute = |n: i64| at + TimeDelta::minutes(n);
        // Events of one instant, instants of one event, and neither a multiple of the other: each sixteenth gets about its share.
        for (what, parts) in [
            ("events", (0..16_000).map(|event| late(event, at)).collect::<Vec<_>>()),
            ("instants", (0..16_000).map(|n| late(7, minute(n))).collect()),
            ("both", (0..16_000).map(|n| late(n, minute(n))).collect()),
        ] {
            let mut sixteenths = [0; 16];
            for part in parts {
                sixteenths[usize::try_from(part * 16 / 30_000_000).expect("below 30 s")] += 1;
            }
            assert!(sixteenths.iter().all(|count| (850..1_150).contains(count)), "{what}: {sixteenths:?}");
        }
        // Pinned: another number would move the occurrences of every stored event when a host is brought up to date.
        assert_eq!((late(1, at), late(2, at), late(1, minute(1))), (277_090, 17_537_313, 9_837_509));
    }
}
