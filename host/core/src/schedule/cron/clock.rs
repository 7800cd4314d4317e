//! Times of a day as three sets: hours, minutes, seconds.
//!
//! Not days, not zones: every day here has 86400 seconds. What must hold: the sets are not empty, and a time is in them if its hour, minute
//! and second are.

use jiff::civil::DateTime as Civil;

/// Bit n stands for the value n. None of the sets is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
}

/// The second of the day, the next one for a part of a second: 0 to 86400.
pub(super) fn second_of_day(civil: Civil) -> u32 {
    let part = |value: i8| u32::from(value.unsigned_abs());
    let begun = u32::from(civil.subsec_nanosecond() > 0);
    part(civil.hour()) * 3_600 + part(civil.minute()) * 60 + part(civil.second()) + begun
}

impl Clock {
    /// The first time at or after a second of the day, as hour, minute, second.
    pub(super) fn at_or_after(self, second: u32) -> Option<(i8, i8, i8)> {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = from(self.seconds, second)
            {
                return time(hour, minute, second);
            }
            if let Some(minute) = from(self.minutes, minute + 1) {
                return time(hour, minute, self.seconds.trailing_zeros());
            }
        }
        time(from(self.hours, hour + 1)?, self.minutes.trailing_zeros(), self.seconds.trailing_zeros())
    }

    /// How many times a day has.
    pub(super) fn per_day(self) -> i64 {
        number(self.hours) * number(self.minutes) * number(self.seconds)
    }

    /// How many times lie before a second of the day.
    pub(super) fn below(self, second: u32) -> i64 {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let in_minute = if has(self.minutes, minute) { number(under(self.seconds, second)) } else { 0 };
        let in_hour = if has(self.hours, hour) { number(under(self.minutes, minute)) * number(self.seconds) + in_minute } else { 0 };
        number(under(self.hours, hour)) * number(self.minutes) * number(self.seconds) + in_hour
    }
}

fn time(hour: u32, minute: u32, second: u32) -> Option<(i8, i8, i8)> {
    Some((i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?))
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

/// The members below a value, which is less than 64.
fn under(set: u64, value: u32) -> u64 {
    set & ((1 << value) - 1)
}

/// The first member at or after a value, which is less than 64.
fn from(set: u64, value: u32) -> Option<u32> {
    let left = set & u64::MAX << value;
    (left != 0).then(|| left.trailing_zeros())
}

fn number(set: u64) -> i64 {
    i64::from(set.count_ones())
}
