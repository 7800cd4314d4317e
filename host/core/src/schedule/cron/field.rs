//! The seven fields: their names, their limits, and how numbers, names, ranges and steps are read in each.
//!
//! Not what only the day fields know (`L`, `W`, `#`; see `read`). What must hold: a value that is read lies within its field, days of the
//! week are 0 for Sunday to 6 in every dialect.

use super::spot::Spot;
use super::{Dialect, remedy, years};
use crate::refusal::Refusal;

pub(super) const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
pub(super) const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Where the steps of `*/n` begin in the year field, as in Quartz.
const STEPPED_FROM: u16 = 1_970;

/// A field of an expression, in the order of the seven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
    Year,
}

pub(super) const KINDS: [Kind; 7] = [Kind::Second, Kind::Minute, Kind::Hour, Kind::DayOfMonth, Kind::Month, Kind::DayOfWeek, Kind::Year];

/// A field as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) kind: Kind,
    pub(super) dialect: Dialect,
    pub(super) spot: Spot<'a>,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Year => "year",
        }
    }

    pub(super) fn expected(self, dialect: Dialect) -> &'static str {
        match self {
            Self::Second | Self::Minute => "0-59, `*`, a list `0,30`, a range `10-20`, a step `*/5`, `10-50/5` or `10/5`",
            Self::Hour => "0-23, `*`, a list `8,20`, a range `9-17` or `22-2`, a step `*/2`, `8-18/2` or `8/2`",
            Self::DayOfMonth => {
                "1-31, `*`, `?`, `L` (last), `L-3` (3 days before the last), `15W` (nearest weekday), `LW`, `L-3W`, lists, ranges, steps"
            }
            Self::Month => "1-12 or JAN-DEC, `*`, lists, ranges, steps",
            Self::DayOfWeek if dialect == Dialect::Quartz => {
                "1-7 or SUN-SAT (1 is Sunday), `*`, `?`, `6#2` (second Friday), `6L` (last Friday), lists, ranges, steps"
            }
            Self::DayOfWeek => {
                "0-7 or SUN-SAT (0 and 7 are Sunday), `*`, `?`, `5#2` (second Friday), `5L` (last Friday), lists, ranges, steps"
            }
            Self::Year => "1-9999, `*`, lists, ranges, steps",
        }
    }

    /// The least and the greatest value. The greatest day of the week is Sunday once more, but for Quartz.
    fn limits(self, dialect: Dialect) -> (u16, u16) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, if dialect == Dialect::Quartz { 6 } else { 7 }),
            Self::Year => (years::FIRST, years::LAST),
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &DAYS,
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth | Self::Year => &[],
        }
    }
}

impl Field<'_> {
    /// Whether the field is `*` or `*/n`.
    pub(super) fn is_stepped_star(&self) -> bool {
        let text = self.spot.as_str();
        text == "*" || text.strip_prefix("*/").is_some_and(is_number)
    }

    /// Whether the field restricts nothing, as Vixie's cron sees it: it begins with `*`, or is `?`.
    pub(super) fn is_star(&self) -> bool {
        self.spot.as_str().starts_with('*') || self.spot.as_str() == "?"
    }

    pub(super) fn not_understood(&self, spot: Spot<'_>) -> Refusal {
        spot.refused(format!("`{}` is not understood in the {} field", spot.as_str(), self.kind.name()))
            .expected(self.kind.expected(self.dialect))
    }

    /// The comma-separated items, none of them empty.
    pub(super) fn items(&self) -> Result<Vec<Spot<'_>>, Refusal> {
        let items: Vec<Spot<'_>> = self.spot.items().collect();
        if let Some(empty) = items.iter().find(|item| item.is_empty()) {
            let around =
                Spot { start: empty.start.saturating_sub(1).max(self.spot.start), end: (empty.end + 1).min(self.spot.end), ..*empty };
            let message = format!("an item of the {} field is empty", self.kind.name());
            return Err(around.refused(message).expected(self.kind.expected(self.dialect)));
        }
        Ok(items)
    }

    /// All values of all items, as bits. Not for years.
    pub(super) fn set(&self) -> Result<u64, Refusal> {
        let mut set = 0;
        for item in self.items()? {
            for value in self.values(item)? {
                set |= 1 << value;
            }
        }
        Ok(set)
    }

    /// The values of one item: `*`, a value, a range, each with or without a step. In the order of the range, which may wrap.
    pub(super) fn values(&self, item: Spot<'_>) -> Result<Vec<u16>, Refusal> {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let (low, high) = self.kind.limits(self.dialect);
        let (from, to) = if range.as_str() == "*" {
            (if self.kind == Kind::Year { STEPPED_FROM } else { low }, high)
        } else if let Some((from, to)) = range.split_once('-').filter(|(from, to)| !from.is_empty() && !to.is_empty()) {
            (self.value(from)?, self.value(to)?)
        } else if range.is_empty() || range.as_str().contains('-') {
            return Err(remedy::of_item(self, item));
        } else {
            let value = self.value(range)?;
            (value, if step.is_some() { high } else { value })
        };
        let step = step.map_or(Ok(1), |step| self.step(item, step, high))?;
        // Sunday stands at both ends of the week: a range that begins with 7 begins the week, and one that wraps meets it once.
        let is_week = self.kind == Kind::DayOfWeek;
        let from = if is_week && from > to { from % 7 } else { from };
        if from <= to {
            return Ok((from..=to).step_by(step).map(|value| if is_week { value % 7 } else { value }).collect());
        }
        if self.kind == Kind::Year {
            return Err(remedy::of_item(self, item));
        }
        Ok((from..=if is_week { 6 } else { high }).chain(low..=to).step_by(step).collect())
    }

    /// One value, by number or by name. Days of the week: 0 to 6, and 7 for a Sunday written so.
    pub(super) fn value(&self, atom: Spot<'_>) -> Result<u16, Refusal> {
        let text = atom.as_str();
        if let Some(at) = self.kind.names().iter().position(|name| name.eq_ignore_ascii_case(text)) {
            let first = if self.kind == Kind::Month { 1 } else { 0 };
            return u16::try_from(at + first).map_err(|_| self.not_understood(atom));
        }
        let (low, high) = self.kind.limits(self.dialect);
        let shift = u16::from(self.kind == Kind::DayOfWeek && self.dialect == Dialect::Quartz);
        let number = Some(text).filter(|text| is_number(text)).and_then(|text| text.parse::<u16>().ok());
        let value = number.and_then(|number| number.checked_sub(shift)).filter(|value| (low..=high).contains(value));
        value.ok_or_else(|| remedy::of_atom(self, atom))
    }

    fn step(&self, item: Spot<'_>, step: Spot<'_>, high: u16) -> Result<usize, Refusal> {
        let text = step.as_str();
        if !is_number(text) {
            return Err(if text.is_empty() { self.not_understood(item) } else { remedy::of_atom(self, step) });
        }
        match text.parse::<u16>() {
            Ok(number) if number > 0 && (number <= high || self.kind == Kind::Year) => Ok(usize::from(number)),
            _ => Err(remedy::of_step(self, item, text)),
        }
    }
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
