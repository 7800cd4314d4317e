//! Days as numbers, and what a recurrence rule asks about a day: its place in month, year and week year.
//!
//! Not a calendar of its own: the proleptic Gregorian one, as jiff has it, which would answer the same at the price of a call for each
//! part. What must hold: day 1 is 0001-01-01, a Monday, and every day up to [`LAST`] becomes a date and comes back.

use jiff::civil::Date;

/// 9999-12-31, the last day there is.
pub(super) const LAST: i32 = 3_652_059;
/// The years, months, weeks and days after which the calendar repeats itself.
pub(super) const CYCLE_YEARS: i32 = 400;
pub(super) const CYCLE_MONTHS: i32 = 4_800;
pub(super) const CYCLE_WEEKS: i32 = 20_871;
pub(super) const CYCLE_DAYS: i32 = 146_097;

/// The number of a year's first day.
fn year_start(year: i32) -> i32 {
    let past = year - 1;
    365 * past + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) + 1
}

/// The number of a date. Years before 1 give numbers below 1.
pub(super) fn number(date: Date) -> i32 {
    year_start(i32::from(date.year())) + i32::from(date.day_of_year()) - 1
}

/// The date of a number. `None`: outside the years that jiff knows.
pub(super) fn date(day: i32) -> Option<Date> {
    let month = Month::holding(day);
    let (year, number) = (i16::try_from(month.year).ok()?, i8::try_from(month.number).ok()?);
    Date::new(year, number, i8::try_from(day - month.first + 1).ok()?).ok()
}

/// The day of the week, Monday = 0.
pub(super) fn weekday(day: i32) -> i32 {
    (day - 1).rem_euclid(7)
}

/// The first day of the week that holds `day`, if weeks start on `start` (Monday = 0).
pub(super) fn week_start(day: i32, start: i32) -> i32 {
    day - (weekday(day) - start).rem_euclid(7)
}

/// The week number of a day and how many weeks its week year has: a week belongs to the year that holds its fourth day.
pub(super) fn week(day: i32, start: i32) -> (i32, i32) {
    let fourth = week_start(day, start) + 3;
    let month = Month::holding(fourth);
    let in_year = fourth - month.year_first;
    (in_year / 7 + 1, in_year / 7 + 1 + (month.year_len - 1 - in_year) / 7)
}

/// A month of a year, with the numbers of its days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Month {
    pub(super) year: i32,
    /// January = 1.
    pub(super) number: i32,
    /// Its first day.
    pub(super) first: i32,
    /// Its days.
    pub(super) len: i32,
    /// The first day of its year.
    pub(super) year_first: i32,
    /// The days of its year.
    pub(super) year_len: i32,
}

impl Month {
    /// A month by year and number (January = 1).
    pub(super) fn of(year: i32, number: i32) -> Self {
        let year_first = year_start(year);
        let year_len = year_start(year + 1) - year_first;
        let leap = year_len - 365;
        // Days before each month of a common year.
        let before = |number: i32| -> i32 {
            let common = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
            usize::try_from(number - 1).ok().and_then(|at| common.get(at)).copied().unwrap_or(365) + if number > 2 { leap } else { 0 }
        };
        let first = year_first + before(number);
        Self { year, number, first, len: before(number + 1) - before(number), year_first, year_len }
    }

    /// The month that holds a day.
    pub(super) fn holding(day: i32) -> Self {
        let guess = i64::from(day - 1) * i64::from(CYCLE_YEARS) / i64::from(CYCLE_DAYS);
        let mut year = i32::try_from(guess).unwrap_or(0) + 1;
        while year_start(year) > day {
            year -= 1;
        }
        while year_start(year + 1) <= day {
            year += 1;
        }
        // No month is longer than 31 days, so the guess is at most one too early.
        let guess = (day - year_start(year)) / 31 + 1;
        let month = Self::of(year, guess);
        if month.holds(day) { month } else { Self::of(year, guess + 1) }
    }

    /// Whether a day lies in it.
    pub(super) fn holds(&self, day: i32) -> bool {
        (self.first..self.first + self.len).contains(&day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Weekday;

    #[test]
    fn days_agree_with_jiff_over_the_calendar() {
        let mut day = 1;
        while day <= LAST {
            let date = date(day).expect("a date");
            assert_eq!(number(date), day);
            assert_eq!(i32::from(date.weekday().to_monday_zero_offset()), weekday(day), "{date}");
            let month = Month::holding(day);
            assert_eq!((month.len, month.year_len), (i32::from(date.days_in_month()), i32::from(date.days_in_year())), "{date}");
            assert_eq!(day - month.year_first + 1, i32::from(date.day_of_year()), "{date}");
            assert_eq!(week(day, 0).0, i32::from(date.iso_week_date().week()), "{date}");
            // A prime, so that every month, weekday and leap year comes by.
            day += 13;
        }
        assert_eq!(date(1).map(Date::weekday), Some(Weekday::Monday));
        assert_eq!((date(LAST), date(LAST + 1)), (Date::new(9999, 12, 31).ok(), None));
    }

    #[test]
    fn weeks_follow_their_first_day() {
        let day = |year, month, day| number(Date::new(year, month, day).expect("a date"));
        assert_eq!(week(day(2027, 1, 1), 0), (53, 53), "2026 has 53 ISO weeks");
        assert_eq!(week(day(2026, 12, 31), 6), (52, 52), "and 52 of those that start on Sunday");
        assert_eq!(week(day(2025, 12, 29), 0), (1, 53));
        assert_eq!(week_start(day(2026, 1, 1), 6), day(2025, 12, 28));
        assert_eq!(week_start(day(2026, 1, 1), 3), day(2026, 1, 1));
    }
}
