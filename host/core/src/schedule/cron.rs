//! Cron expressions: which civil times they name, found and counted by sets.
//!
//! No zone is known here (`civil` maps what is found to instants), and no text: reading is in `read`, the calendar in `days` and `clock`. What
//! must hold: the next time and the count agree with walking every second, a question looks at a bounded number of months, and every refusal
//! has a place in the text as it was typed.

mod clock;
mod days;
mod field;
mod read;
mod remedy;
mod spot;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walks;
mod words;
mod years;

pub(super) use read::every;
pub(super) use read::read;

use super::steps::Steps;
use clock::{Clock, second_of_day};
use days::Days;
use jiff::civil::{Date, DateTime as Civil};
use serde::{Deserialize, Serialize};
use years::Years;

/// After so many years the calendar repeats, weekdays included.
const CALENDAR_YEARS: i16 = 400;

/// Whose cron: how days of the week are numbered, and what a complete expression is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// 0 and 7 are Sunday; 5, 6 or 7 fields.
    #[default]
    Vixie,
    /// 1 is Sunday and 7 is Saturday; 6 or 7 fields, one of the day fields is `?`.
    Quartz,
}

/// What holds when day of month and day of week are both restricted. A field that begins with `*` restricts nothing in this sense, not even
/// `*/2`: then a day must match both, in either reading, as in Vixie's cron.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayMatch {
    /// A day that matches either one, as in cron.
    #[default]
    Or,
    /// Only a day that matches both.
    And,
}

/// How an expression is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The dialect.
    pub dialect: Dialect,
    /// The reading of two restricted day fields.
    pub day_match: DayMatch,
}

/// An expression as understood: sets of times of day, days, months and years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The minute or hour field is `*` or `*/n`: it follows real elapsed time across zone changes.
    pub(crate) elapsed_like: bool,
    clock: Clock,
    days: Days,
    /// January is bit 0.
    months: u16,
    years: Years,
}

impl Pattern {
    /// The first time at or after `from`, in whole seconds. `None`: there is none up to the year 9999, or the steps are spent. Takes a step
    /// for each month it looks at.
    pub(crate) fn next(&self, from: Civil, steps: &mut Steps) -> Option<Civil> {
        let today = from.date();
        let left = self.clock.at_or_after(second_of_day(from));
        let day = self.next_day(today, left.is_some(), steps)?;
        let (hour, minute, second) = if day == today { left? } else { self.clock.at_or_after(0)? };
        Civil::new(day.year(), day.month(), day.day(), hour, minute, second, 0).ok()
    }

    /// How many times lie in `[from, to)`: months are matched, times of day are multiplied.
    pub(crate) fn count(&self, from: Civil, to: Civil) -> i64 {
        if to <= from {
            return 0;
        }
        let below = |civil: Civil| if self.has(civil.date()) { self.clock.below(second_of_day(civil)) } else { 0 };
        self.days_between(from.date(), to.date()) * self.clock.per_day() + below(to) - below(from)
    }

    /// The first matching day from `today` on, today itself only if it `counts`.
    fn next_day(&self, today: Date, counts: bool, steps: &mut Steps) -> Option<Date> {
        let last_year = if self.years.is_every() { today.year().saturating_add(CALENDAR_YEARS) } else { i16::MAX };
        let (mut year, mut month) = (today.year(), bit_of(today.month()));
        let mut days_left = u32::MAX << (bit_of(today.day()) + u32::from(!counts));
        // There are fourteen calendars of a year. One that was gone through in vain is not looked at again.
        let mut barren = 0u16;
        loop {
            let wanted = self.years.at_or_after(year).filter(|wanted| *wanted <= last_year)?;
            if wanted != year {
                (year, month, days_left) = (wanted, 0, u32::MAX);
            }
            let calendar = 1u16 << calendar_of(year)?;
            if barren & calendar == 0 {
                let mut months = u32::from(self.months) & u32::MAX << month;
                while months != 0 {
                    if !steps.take() {
                        return None;
                    }
                    let at = months.trailing_zeros();
                    let days = self.days.of(year, at) & if at == month { days_left } else { u32::MAX };
                    if days != 0 {
                        return date_of(year, at, days.trailing_zeros());
                    }
                    months &= months - 1;
                }
                if month == 0 && days_left == u32::MAX {
                    barren |= calendar;
                }
            }
            (year, month, days_left) = (year + 1, 0, u32::MAX);
        }
    }

    fn has(&self, date: Date) -> bool {
        let month = bit_of(date.month());
        self.years.has(date.year()) && self.months >> month & 1 == 1 && self.days.of(date.year(), month) >> bit_of(date.day()) & 1 == 1
    }

    /// Matching days in `[from, to)`.
    fn days_between(&self, from: Date, to: Date) -> i64 {
        let mut count = 0;
        let mut next = self.years.at_or_after(from.year());
        while let Some(year) = next.filter(|year| *year <= to.year()) {
            let mut months = u32::from(self.months);
            if year == from.year() {
                months &= u32::MAX << bit_of(from.month());
            }
            if year == to.year() {
                months &= below_bit(bit_of(to.month()) + 1);
            }
            while months != 0 {
                let month = months.trailing_zeros();
                let mut days = self.days.of(year, month);
                if (year, month) == (from.year(), bit_of(from.month())) {
                    days &= u32::MAX << bit_of(from.day());
                }
                if (year, month) == (to.year(), bit_of(to.month())) {
                    days &= below_bit(bit_of(to.day()));
                }
                count += i64::from(days.count_ones());
                months &= months - 1;
            }
            next = self.years.at_or_after(year + 1);
        }
        count
    }
}

/// Months and days count from one, their bits from zero.
fn bit_of(number: i8) -> u32 {
    u32::from(number.unsigned_abs()).saturating_sub(1)
}

/// The bits below one, which is less than 32.
fn below_bit(bit: u32) -> u32 {
    (1 << bit) - 1
}

fn date_of(year: i16, month_bit: u32, day_bit: u32) -> Option<Date> {
    Date::new(year, i8::try_from(month_bit + 1).ok()?, i8::try_from(day_bit + 1).ok()?).ok()
}

/// Which of the fourteen calendars a year has: the weekday it begins with, and whether it is a leap year.
fn calendar_of(year: i16) -> Option<u32> {
    let first = Date::new(year, 1, 1).ok()?;
    Some(u32::from(first.weekday().to_sunday_zero_offset().unsigned_abs()) + if first.in_leap_year() { 7 } else { 0 })
}
