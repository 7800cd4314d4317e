//! From civil windows to instants: when a window of a zone's clock begins and ends where that clock jumps.
//!
//! Not the sets of windows. The rule: an edge that the clock skips is where the skip ends, so that a window inside a skip is empty; an edge
//! that comes twice is its first pass for a beginning and its last pass for an end, so that a window holds all of its hours; midnight is the
//! edge between two days and is its first pass for both. What must hold: both mappings rise with the civil time, an end is never before the
//! beginning of the same civil time; joining windows that touch, before or after the mapping, is therefore the same.

use jiff::Timestamp;
use jiff::civil::{DateTime as Civil, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// Zone changes looked at around one instant to find the one that made a gap.
const TRANSITIONS_MAX: usize = 8;

/// A window of civil time: begins with the first, ends before the second.
pub(super) type Window = (Civil, Civil);

/// What one set says of an instant: inside or not, and when that may change. `None`: never again.
pub(super) type Answer = (bool, Option<Timestamp>);

/// The instant at which a window that begins at `civil` begins. `None`: outside of what instants reach.
pub(super) fn beginning(zone: &TimeZone, civil: Civil) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
        AmbiguousOffset::Gap { before, after } => gap_end(zone, civil, before, after),
    }
}

fn end(zone: &TimeZone, civil: Civil) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Fold { after, .. } if civil.time() != Time::midnight() => after.to_timestamp(civil).ok(),
        _ => beginning(zone, civil),
    }
}

fn gap_end(zone: &TimeZone, civil: Civil, before: Offset, after: Offset) -> Option<Timestamp> {
    // Read with the later offset the time lies before the change, with the earlier one at or after it.
    let too_early = after.to_timestamp(civil).ok()?;
    let mut changes = zone.following(too_early).take(TRANSITIONS_MAX);
    changes.find(|change| change.offset() == after && after != before).map(|change| change.timestamp())
}

/// Asks windows in the order of their beginnings. The first of them must be the last that begins at or before the civil time of `at`, or
/// any before it, as long as those left out end before it: then the walk is over after those that lie within one fold.
pub(super) fn ask(zone: &TimeZone, at: Timestamp, windows: impl Iterator<Item = Window>) -> Answer {
    let mut held: Option<Timestamp> = None;
    for (from, to) in windows {
        let Some(begins) = beginning(zone, from) else { break };
        if begins > at {
            return held.filter(|end| *end > at).map_or((false, Some(begins)), |end| (true, Some(end)));
        }
        // An end that no instant reaches is no end.
        held = held.max(Some(end(zone, to).unwrap_or(Timestamp::MAX)));
    }
    held.filter(|end| *end > at).map_or((false, None), |end| (true, Some(end)))
}
