//! The slow way to the instants of a rule: each civil time is looked at by itself, and put on the clocks by the sentence of the design.
//!
//! Not tests. What must hold: nothing of the fast way is used but the zone's offsets.

use super::Clock;
use chrono::{DateTime, Utc};
use jiff::civil::DateTime as Civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use sexton_core::schedule::{Fold, Gap, zone};
use std::collections::BTreeSet;

/// So many days after its question the slow way looks at.
pub const DAYS: i64 = 3;

/// The instants that a civil time has.
pub fn placed(zone: &TimeZone, civil: Civil, gap: Gap, fold: Fold) -> Vec<Timestamp> {
    let at = |offset: jiff::tz::Offset| offset.to_timestamp(civil).unwrap();
    match (zone.to_ambiguous_timestamp(civil).offset(), gap, fold) {
        (AmbiguousOffset::Unambiguous { offset }, ..) => vec![at(offset)],
        (AmbiguousOffset::Fold { before, .. }, _, Fold::First) => vec![at(before)],
        (AmbiguousOffset::Fold { after, .. }, _, Fold::Last) => vec![at(after)],
        (AmbiguousOffset::Fold { before, after }, _, Fold::Both) => vec![at(before), at(after)],
        (AmbiguousOffset::Gap { .. }, Gap::Skip, _) => Vec::new(),
        (AmbiguousOffset::Gap { .. }, Gap::Shift, _) => {
            // The first minute that exists again.
            let mut end = civil.with().second(0).build().unwrap();
            while matches!(zone.to_ambiguous_timestamp(end).offset(), AmbiguousOffset::Gap { .. }) {
                end = end.checked_add(SignedDuration::from_mins(1)).unwrap();
            }
            vec![zone.to_timestamp(end).unwrap()]
        }
    }
}

/// The instants of an expression in the days after `after`: every minute of the days around is looked at.
pub fn by_enumeration(clock: &Clock, tz: &str, after: DateTime<Utc>, gap: Gap, fold: Fold) -> Vec<DateTime<Utc>> {
    let zone = zone::zone(tz).unwrap();
    let (from, until) = (after.timestamp(), after.timestamp() + DAYS * 86_400);
    let mut minute = zone.to_datetime(Timestamp::from_second(from).unwrap()).date().yesterday().unwrap().at(0, 0, 0, 0);
    let mut found = BTreeSet::new();
    for _ in 0..(DAYS + 4) * 1_440 {
        if clock.minutes.contains(&minute.minute()) && clock.hours.contains(&minute.hour()) {
            found.extend(placed(&zone, minute, gap, fold));
        }
        minute = minute.checked_add(SignedDuration::from_mins(1)).unwrap();
    }
    let within = found.into_iter().map(Timestamp::as_second).filter(|at| (from + 1..=until).contains(at));
    within.map(|at| DateTime::from_timestamp(at, 0).unwrap()).collect()
}
