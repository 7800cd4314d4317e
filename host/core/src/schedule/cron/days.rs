//! Which days of a month match, as one set for each month.
//!
//! Not the reading of the day fields. What must hold: no day outside its month is ever in a set, and a month's set depends on its length and
//! the weekday it begins with, on nothing else.

use jiff::civil::Date;

/// Days of the month and of the week. Day 1 is bit 0; Sunday is bit 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// Days by their number.
    pub(super) numbered: u32,
    /// Bit n: n days before the last (`L`, `L-n`).
    pub(super) before_last: u32,
    /// The weekday nearest to a day, within its month (`15W`).
    pub(super) near: u32,
    /// The weekday nearest to n days before the last, within its month (`LW`, `L-nW`).
    pub(super) near_last: u32,
    /// Days of every week.
    pub(super) weekly: u8,
    /// The first, second … fifth such day of the month (`FRI#2`).
    pub(super) nth: [u8; 5],
    /// The last such day of the month (`FRIL`).
    pub(super) last: u8,
    /// A day must match both the days of the month and those of the week; otherwise either.
    pub(super) both: bool,
}

const SATURDAY: u8 = 1 << 6;
const SUNDAY: u8 = 1;

impl Days {
    /// The matching days of a month, which is given by its bit. Empty outside the calendar.
    pub(super) fn of(&self, year: i16, month_bit: u32) -> u32 {
        let Some(first) = i8::try_from(month_bit + 1).ok().and_then(|month| Date::new(year, month, 1).ok()) else { return 0 };
        self.in_month(u32::from(first.weekday().to_sunday_zero_offset().unsigned_abs()), u32::from(first.days_in_month().unsigned_abs()))
    }

    fn in_month(&self, opening: u32, length: u32) -> u32 {
        let (of_month, of_week) = (self.by_month(opening, length), self.by_week(opening, length));
        if self.both { of_month & of_week } else { of_month | of_week }
    }

    fn by_month(&self, opening: u32, length: u32) -> u32 {
        let all = whole(length);
        let back = |before_last: u32| before_last.reverse_bits() >> (32 - length);
        let fixed = self.numbered & all | back(self.before_last);
        let near = self.near & all | back(self.near_last);
        if near == 0 {
            return fixed;
        }
        let (saturdays, sundays) = (all & every_week(SATURDAY, opening), all & every_week(SUNDAY, opening));
        let (first, last) = (1, 1 << (length - 1));
        fixed
            | near & !saturdays & !sundays
            | (near & saturdays & !first) >> 1
            | (near & saturdays & first) << 2
            | (near & sundays & !last) << 1
            | (near & sundays & last) >> 2
    }

    fn by_week(&self, opening: u32, length: u32) -> u32 {
        let all = whole(length);
        let mut days = every_week(self.weekly, opening) & all;
        for (week, nth) in (0..).zip(self.nth) {
            days |= one_week(nth, opening) << (7 * week) & all;
        }
        days | every_week(self.last, opening) & all & !(all >> 7)
    }
}

/// All days of a month of this length.
fn whole(length: u32) -> u32 {
    u32::MAX >> (32 - length)
}

/// The days 1 to 7 of a month that begins with this weekday.
fn one_week(weekdays: u8, opening: u32) -> u32 {
    let weekdays = u32::from(weekdays);
    (weekdays >> opening | weekdays << (7 - opening)) & 0x7f
}

/// The same of all its weeks.
fn every_week(weekdays: u8, opening: u32) -> u32 {
    let week = one_week(weekdays, opening);
    week | week << 7 | week << 14 | week << 21 | week << 28
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(set: u32) -> Vec<u32> {
        (1..=32).filter(|day| set >> (day - 1) & 1 == 1).collect()
    }

    #[test]
    fn the_nearest_weekday_stays_within_its_month() {
        let near = |day: u32| Days { near: 1 << (day - 1), weekly: 0x7f, both: true, ..Days::default() };
        // A month of 30 days that begins with a Saturday: the 30th is a Sunday.
        for (day, expected) in [(1, vec![3]), (2, vec![3]), (8, vec![7]), (9, vec![10]), (30, vec![28]), (29, vec![28]), (31, vec![])] {
            assert_eq!(days(near(day).in_month(6, 30)), expected, "{day}W");
        }
        let last = Days { near_last: 1, weekly: 0x7f, both: true, ..Days::default() };
        assert_eq!(days(last.in_month(6, 30)), [28], "LW");
        assert_eq!(days(last.in_month(0, 28)), [27], "LW on a Saturday");
    }

    #[test]
    fn days_count_from_the_end_and_by_their_weeks() {
        let of = |days: Days| Days { numbered: 0, ..days };
        for (length, expected) in [(28, vec![25, 28]), (31, vec![1, 28, 31])] {
            let set = Days { before_last: 1 | 1 << 3 | 1 << 30, weekly: 0x7f, both: true, ..Days::default() };
            assert_eq!(days(set.in_month(0, length)), expected, "{length}");
        }
        // Begins with a Tuesday: Fridays are 4, 11, 18, 25; Tuesdays 1, 8, 15, 22, 29.
        let friday = 1 << 5;
        assert_eq!(days(of(Days { weekly: friday, ..Days::default() }).in_month(2, 30)), [4, 11, 18, 25]);
        assert_eq!(days(of(Days { last: friday, ..Days::default() }).in_month(2, 30)), [25]);
        assert_eq!(days(of(Days { last: 1 << 2, ..Days::default() }).in_month(2, 29)), [29]);
        assert_eq!(days(of(Days { nth: [0, 0, 0, 0, friday | 1 << 2], ..Days::default() }).in_month(2, 30)), [29]);
        assert_eq!(days(of(Days { nth: [friday, 0, 0, 0, 1 << 2], ..Days::default() }).in_month(2, 28)), [4]);
    }
}
