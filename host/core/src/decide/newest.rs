//! The newest instants of a stretch, where only so many are kept.
//!
//! Not the decision how many. What must hold: what is kept are the newest, and no more than asked for.

use crate::refusal::Refusal;
use crate::schedule::Plan;
use chrono::{DateTime, Utc};

/// The earliest instant after `after` above which, up to `until`, no more than `most` instants lie. Before: there are more than `most`
/// after `after`, or at least as many.
pub(super) fn floor(plan: &Plan<'_>, after: DateTime<Utc>, until: DateTime<Utc>, most: i64) -> Result<DateTime<Utc>, Refusal> {
    let (mut low, mut high) = (after.timestamp_micros(), until.timestamp_micros());
    while low.saturating_add(1) < high {
        let middle = low + high.saturating_sub(low) / 2;
        let at = DateTime::from_timestamp_micros(middle).unwrap_or(until);
        if plan.count(at, until, most.saturating_add(1))? > most { low = middle } else { high = middle }
    }
    Ok(DateTime::from_timestamp_micros(high).unwrap_or(until))
}
