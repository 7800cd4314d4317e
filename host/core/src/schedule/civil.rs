//! From civil times to instants: what becomes of a floating time when the clocks of its zone change.
//!
//! A floating rule knows no zone; the rule for gaps and folds is here and nowhere else. A zone is walked as segments of one offset: in each
//! the civil times that count are a range, and in front of some lies a gap. What must hold: the answer lies strictly after the question,
//! counting agrees with walking, and a question takes a bounded number of steps.

use super::floating::Floating;
use super::steps::Steps;
use jiff::civil::DateTime as Civil;
use jiff::tz::{Offset, TimeZone, TimeZoneTransition};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What becomes of the times that the clocks jump over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// All times inside one gap give one occurrence, at the gap's end.
    Shift,
    /// They do not exist.
    Skip,
}

/// What becomes of a time that the clocks show twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fold {
    /// It counts at its first pass.
    First,
    /// It counts at its second pass.
    Last,
    /// It counts at each.
    Both,
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// How far before the next match the walk goes on after a jump: more than any zone is away from UTC, and more than any gap is long.
const RUN_UP: SignedDuration = SignedDuration::from_hours(72);

/// A floating rule on the clocks of a zone.
#[derive(Debug)]
pub(super) struct Zoned {
    pub(super) floating: Floating,
    pub(super) zone: TimeZone,
    pub(super) gap: Gap,
    pub(super) fold: Fold,
}

impl Zoned {
    /// The first instant strictly after `after`, in whole seconds. `None`: there is none, or the budget is spent.
    pub(super) fn next_after(&self, after: Timestamp, steps: &mut Steps) -> Option<Timestamp> {
        let mut from = first_second_after(after)?;
        loop {
            if !steps.take() {
                return None;
            }
            let segment = Segment::at(&self.zone, from);
            if self.has_shifted(&segment, from, steps) {
                return Some(segment.start);
            }
            let (low, high) = self.counted(&segment, from);
            let found = self.floating.next(low, steps);
            if steps.is_spent() {
                return None;
            }
            if let Some(civil) = found.filter(|civil| *civil < high) {
                return segment.offset.to_timestamp(civil).ok();
            }
            // A fold shows earlier times again, so that what follows it is looked at whatever was found here.
            let folds = segment.is_before_fold();
            from = match found {
                None if !folds => return None,
                Some(civil) if !folds => {
                    let near = segment.offset.to_timestamp(civil).ok()?.checked_sub(RUN_UP).ok()?;
                    segment.end?.max(near)
                }
                _ => segment.end?,
            };
        }
    }

    /// Instants after `after`, up to and including `until`.
    pub(super) fn count(&self, after: Timestamp, until: Timestamp) -> i64 {
        let mut count = 0;
        let mut from = first_second_after(after).filter(|from| *from <= until);
        while let Some(here) = from {
            let segment = Segment::at(&self.zone, here);
            count += i64::from(self.has_shifted(&segment, here, &mut Steps::new()));
            let (low, high) = self.counted(&segment, here);
            let last = segment.offset.to_datetime(until).checked_add(SECOND).map_or(Civil::MAX, floor_to_second);
            count += self.floating.count(low, high.min(last)) - self.counted_twice(&segment, here, low);
            from = segment.end.filter(|end| *end <= until);
        }
        count
    }

    /// Whether the start of the segment is an occurrence because of times in the gap before it.
    fn has_shifted(&self, segment: &Segment, from: Timestamp, steps: &mut Steps) -> bool {
        let Some((left, entered)) = segment.gap().filter(|_| self.gap == Gap::Shift && segment.start >= from) else { return false };
        self.floating.next(left, steps).is_some_and(|civil| civil < entered)
    }

    /// One if the gap's end is a time of its own too: it is one occurrence, not two.
    fn counted_twice(&self, segment: &Segment, from: Timestamp, low: Civil) -> i64 {
        if self.has_shifted(segment, from, &mut Steps::new()) {
            self.floating.count(low, low.checked_add(SECOND).unwrap_or(low))
        } else {
            0
        }
    }

    /// The civil times from `from` on that count in the segment: at or after the first, before the second.
    fn counted(&self, segment: &Segment, from: Timestamp) -> (Civil, Civil) {
        let mut low = segment.offset.to_datetime(from);
        let mut high = segment.end.map_or(Civil::MAX, |end| segment.offset.to_datetime(end));
        if let Some(repeated) = segment.before.filter(|before| self.fold == Fold::First && *before > segment.offset) {
            low = low.max(repeated.to_datetime(segment.start));
        }
        if let (Some(end), Some(next)) = (segment.end, segment.next.filter(|next| self.fold == Fold::Last && *next < segment.offset)) {
            high = high.min(next.to_datetime(end));
        }
        (low, high.max(low))
    }
}

/// A stretch of time with one offset.
struct Segment {
    start: Timestamp,
    /// `None`: it goes on for ever.
    end: Option<Timestamp>,
    offset: Offset,
    /// The offset before `start`, if there is a before.
    before: Option<Offset>,
    /// The offset from `end` on.
    next: Option<Offset>,
}

impl Segment {
    fn at(zone: &TimeZone, at: Timestamp) -> Self {
        let change = at.checked_add(SignedDuration::from_nanos(1)).ok().and_then(|just_after| zone.preceding(just_after).next());
        let following = zone.following(at).next();
        let start = change.as_ref().map_or(Timestamp::MIN, TimeZoneTransition::timestamp);
        let before = start.checked_sub(SignedDuration::from_nanos(1)).ok().map(|before| zone.to_offset(before));
        Self {
            start,
            end: following.as_ref().map(TimeZoneTransition::timestamp),
            offset: zone.to_offset(at),
            before: before.filter(|_| change.is_some()),
            next: following.map(|change| change.offset()),
        }
    }

    /// The civil times that were jumped over at the start: from the first, before the second.
    fn gap(&self) -> Option<(Civil, Civil)> {
        let before = self.before.filter(|before| *before < self.offset)?;
        Some((before.to_datetime(self.start), self.offset.to_datetime(self.start)))
    }

    fn is_before_fold(&self) -> bool {
        self.next.is_some_and(|next| next < self.offset)
    }
}

fn first_second_after(after: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(after.as_nanosecond().div_euclid(1_000_000_000).try_into().ok()?).ok()?.checked_add(SECOND).ok()
}

/// Without parts of a second: floating rules know none.
pub(super) fn floor_to_second(civil: Civil) -> Civil {
    civil.with().subsec_nanosecond(0).build().unwrap_or(civil)
}
