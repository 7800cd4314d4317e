//! From civil times to instants: what becomes of a cron time when the clocks of its zone change.
//!
//! croner walks floating civil time; the rule for gaps and folds is here and nowhere else. *Fixed-time*: all times inside one gap give one
//! instant, the gap's end; a time that comes twice counts once, at the first. *Elapsed-like*: times inside a gap do not exist, both passes
//! of a fold count. What must hold: the answer lies strictly after the question, and a question costs a bounded number of steps.

use super::cron::{Pattern, Plan};
use jiff::civil::DateTime as Civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Gaps that may swallow a match one after the other before the search gives up: two a year for two centuries.
const GAPS_MAX: u32 = 400;
/// Zone changes looked at around one instant to find the one that made a gap or a fold.
const TRANSITIONS_MAX: usize = 8;

impl Plan {
    /// The first instant strictly after `after`, in whole seconds. `None`: the expression has no further time (croner ends its search in
    /// the year 5000), or all of them fall into gaps.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let offset = self.zone.to_offset(after);
        let here = floor_to_second(offset.to_datetime(after));
        if self.pattern.elapsed_like { self.next_elapsed(after, here, offset) } else { self.next_fixed(after, here, offset) }
    }

    /// Every civil time at or before the one the search starts from gives an instant at or before `after`, every later one a later instant:
    /// so the first match is the answer.
    fn next_fixed(&self, after: Timestamp, here: Civil, offset: Offset) -> Option<Timestamp> {
        // In the second pass of a fold everything up to its end has had its turn in the first.
        let from = match second_pass_end(&self.zone, after, here, offset) {
            Some(end) => end.checked_sub(SignedDuration::from_secs(1)).ok()?,
            None => here,
        };
        let next = self.pattern.next(from, false)?;
        match self.zone.to_ambiguous_timestamp(next).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(next).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(next).ok(),
            AmbiguousOffset::Gap { before, after } => gap_end(&self.zone, next, before, after),
        }
    }

    fn next_elapsed(&self, after: Timestamp, here: Civil, offset: Offset) -> Option<Timestamp> {
        let mut next = self.pattern.next(here, false)?;
        if let Some(fold) = fold_at(&self.zone, here).filter(|fold| fold.first == offset) {
            // Nothing left in the first pass: the second one starts again at the fold's beginning.
            let end = first_pass_end(&self.zone, after)?;
            if next >= fold.first.to_datetime(end) {
                let again = self.pattern.next(fold.second.to_datetime(end), true)?;
                let instant = fold.second.to_timestamp(again).ok()?;
                if again < fold.first.to_datetime(end) {
                    return Some(instant);
                }
            }
        }
        for _ in 0..GAPS_MAX {
            match self.zone.to_ambiguous_timestamp(next).offset() {
                AmbiguousOffset::Unambiguous { offset } => return offset.to_timestamp(next).ok(),
                AmbiguousOffset::Fold { before, after: second } => {
                    let first = before.to_timestamp(next).ok()?;
                    return if first > after { Some(first) } else { second.to_timestamp(next).ok() };
                }
                AmbiguousOffset::Gap { before, after } => {
                    let end = gap_end(&self.zone, next, before, after)?;
                    next = self.pattern.next(self.zone.to_datetime(end), true)?;
                }
            }
        }
        None
    }
}

impl Pattern {
    fn next(&self, from: Civil, inclusive: bool) -> Option<Civil> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }
}

struct Fold {
    first: Offset,
    second: Offset,
}

pub(super) fn floor_to_second(civil: Civil) -> Civil {
    civil.with().subsec_nanosecond(0).build().unwrap_or(civil)
}

fn fold_at(zone: &TimeZone, civil: Civil) -> Option<Fold> {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Fold { before, after } => Some(Fold { first: before, second: after }),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => None,
    }
}

/// If `at`, with its civil time and offset, lies in the second pass of a fold: the civil time at which the fold ends.
pub(super) fn second_pass_end(zone: &TimeZone, at: Timestamp, here: Civil, offset: Offset) -> Option<Civil> {
    let fold = fold_at(zone, here).filter(|fold| fold.second == offset)?;
    let nano = SignedDuration::from_nanos(1);
    let back = zone.preceding(at.checked_add(nano).ok()?).take(TRANSITIONS_MAX).find(|change| {
        change.offset() == fold.second && change.timestamp().checked_sub(nano).is_ok_and(|before| zone.to_offset(before) == fold.first)
    })?;
    Some(fold.first.to_datetime(back.timestamp()))
}

/// The instant at which the clocks go back, asked during the first pass.
fn first_pass_end(zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let offset = zone.to_offset(at);
    zone.following(at).take(TRANSITIONS_MAX).find(|transition| transition.offset() != offset).map(|transition| transition.timestamp())
}

/// The instant at which the gap around the civil time ends: the zone change itself.
fn gap_end(zone: &TimeZone, civil: Civil, before: Offset, after: Offset) -> Option<Timestamp> {
    // Read with the later offset the time lies before the change, with the earlier one at or after it.
    let too_early = after.to_timestamp(civil).ok()?;
    zone.following(too_early)
        .take(TRANSITIONS_MAX)
        .find(|transition| transition.offset() == after && after != before)
        .map(|transition| transition.timestamp())
}
