//! Grids: points at equal steps from an anchor, in elapsed time or in whole units of the calendar.
//!
//! Not the zone: a grid of calendar units is a floating rule. What must hold: the grid goes both ways from its anchor, points are found and
//! counted by arithmetic, and months are counted from the anchor, so that a 31st comes back after a February.

use chrono::{DateTime, Utc};
use jiff::Span;
use jiff::civil::DateTime as Civil;
use std::time::Duration;

/// The first point of a grid in elapsed time strictly after `after`. Exact in integers over the whole calendar.
pub(super) fn on_grid(step: Duration, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let step = i128::try_from(step.as_micros()).ok().filter(|step| *step > 0)?;
    let anchor = i128::from(anchor.timestamp_micros());
    let steps = (i128::from(after.timestamp_micros()) - anchor).div_euclid(step) + 1;
    i64::try_from(anchor + steps * step).ok().and_then(DateTime::from_timestamp_micros)
}

/// Points of a grid in elapsed time in `(after, until]`.
pub(super) fn grid_points(step: Duration, anchor: DateTime<Utc>, after: DateTime<Utc>, until: DateTime<Utc>) -> i64 {
    let Some(step) = i128::try_from(step.as_micros()).ok().filter(|step| *step > 0) else { return 0 };
    let ordinal =
        |instant: DateTime<Utc>| (i128::from(instant.timestamp_micros()) - i128::from(anchor.timestamp_micros())).div_euclid(step);
    i64::try_from((ordinal(until) - ordinal(after)).max(0)).unwrap_or(i64::MAX)
}

/// A step in units of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CivilStep {
    /// Days, at least one.
    Days(u32),
    /// Months, at least one; a day that a month has not is its last.
    Months(u32),
}

/// A grid of calendar units through a civil time.
#[derive(Clone, Copy, Debug)]
pub(super) struct CivilGrid {
    pub(super) step: CivilStep,
    pub(super) anchor: Civil,
}

impl CivilGrid {
    /// The first point at or after `from`; `None` past the year 9999.
    pub(super) fn next(&self, from: Civil) -> Option<Civil> {
        self.point(self.points_before(from))
    }

    /// Points from `from`, before `to`.
    pub(super) fn count(&self, from: Civil, to: Civil) -> i64 {
        (self.points_before(to) - self.points_before(from)).max(0)
    }

    /// The ordinal of the first point at or after `civil`; the anchor's is 0.
    fn points_before(&self, civil: Civil) -> i64 {
        let guess = match self.step {
            CivilStep::Days(days) => days_between(self.anchor, civil).div_euclid(i64::from(days)),
            CivilStep::Months(months) => months_between(self.anchor, civil).div_euclid(i64::from(months)),
        };
        // The guess looks at dates only, a month's length and the time of day move it by one at most.
        // A point past the calendar's end lies after every civil time, one before its beginning before each.
        (guess - 1..=guess + 1).find(|n| self.point(*n).map_or(*n > 0, |point| point >= civil)).unwrap_or(guess + 2)
    }

    fn point(&self, n: i64) -> Option<Civil> {
        let span = match self.step {
            CivilStep::Days(days) => Span::new().try_days(n.checked_mul(i64::from(days))?),
            CivilStep::Months(months) => Span::new().try_months(n.checked_mul(i64::from(months))?),
        };
        self.anchor.checked_add(span.ok()?).ok()
    }
}

fn days_between(from: Civil, to: Civil) -> i64 {
    from.date().until(to.date()).map_or(0, |span| i64::from(span.get_days()))
}

fn months_between(from: Civil, to: Civil) -> i64 {
    let months = |civil: Civil| i64::from(civil.year()) * 12 + i64::from(civil.month());
    months(to) - months(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(step: CivilStep, anchor: &str) -> CivilGrid {
        CivilGrid { step, anchor: anchor.parse().expect("a civil time") }
    }

    #[test]
    fn month_ends_come_back() {
        let grid = grid(CivilStep::Months(1), "2027-01-31T09:00:00");
        let mut from: Civil = "2027-01-01T00:00:00".parse().expect("a civil time");
        let mut days = Vec::new();
        for _ in 0..5 {
            let point = grid.next(from).expect("a point");
            days.push(point.date().to_string());
            from = point.checked_add(Span::new().seconds(1)).expect("in reach");
        }
        assert_eq!(days, ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]);
    }

    #[test]
    fn counting_agrees_with_walking_both_ways_from_the_anchor() {
        for step in [CivilStep::Days(1), CivilStep::Days(14), CivilStep::Months(1), CivilStep::Months(5), CivilStep::Months(12)] {
            let grid = grid(step, "2024-02-29T12:30:00");
            for start in ["2019-12-31T12:30:00", "2024-02-29T12:30:00", "2024-02-29T12:30:01", "2024-03-01T00:00:00", "2031-05-31T23:59:59"]
            {
                let start: Civil = start.parse().expect("a civil time");
                let end = start.checked_add(Span::new().days(900)).expect("in reach");
                let (mut walked, mut from) = (0, start);
                while let Some(point) = grid.next(from).filter(|point| *point < end) {
                    assert!(point >= from, "{step:?} {start}");
                    walked += 1;
                    from = point.checked_add(Span::new().seconds(1)).expect("in reach");
                }
                assert_eq!(grid.count(start, end), walked, "{step:?} {start}");
                assert!(walked >= 2, "{step:?} {start}");
            }
        }
    }
}
