//! How many times of an expression lie in a stretch of time, without walking them: days are matched, times of day are multiplied.
//!
//! For counting what a downtime missed, inside a settlement: a second's rhythm over a month must cost no more than a yearly one. What must
//! hold: the same number as a walk by `next_after` gives, zone changes included.

use super::civil::{floor_to_second, second_pass_end};
use super::cron::{Pattern, Plan};
use croner::Weekday;
use jiff::civil::{Date, DateTime as Civil};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Times further on than this many days after the first are not counted.
pub(super) const DAYS_MAX: i64 = 36_525;
const SECOND: SignedDuration = SignedDuration::from_secs(1);

impl Plan {
    /// Instants after `after`, up to and including `until`, within [`DAYS_MAX`].
    pub(super) fn count(&self, after: Timestamp, until: Timestamp) -> i64 {
        let furthest = after.checked_add(SignedDuration::from_hours(DAYS_MAX * 24)).unwrap_or(Timestamp::MAX);
        let until = until.min(furthest);
        if until <= after {
            return 0;
        }
        let clock = Clock::of(&self.pattern);
        let mut offset = self.zone.to_offset(after);
        let mut from = floor_to_second(offset.to_datetime(after));
        if !self.pattern.elapsed_like
            && let Some(end) = second_pass_end(&self.zone, after, from, offset)
        {
            from = back_one(end);
        }
        let mut count = 0;
        for change in self.zone.following(after).take_while(|change| change.timestamp() <= until) {
            if change.offset() == offset {
                continue;
            }
            let (left, entered) = (offset.to_datetime(change.timestamp()), change.offset().to_datetime(change.timestamp()));
            count += clock.between(from, back_one(left));
            from = if self.pattern.elapsed_like { back_one(entered) } else { back_one(left.max(entered)) };
            // A gap: whatever lies in it is one instant, its end, unless that is a time of its own.
            let is_lost = !self.pattern.elapsed_like && entered > left && clock.between(back_one(left), back_one(entered)) > 0;
            count += i64::from(is_lost && clock.between(back_one(entered), entered) == 0);
            offset = change.offset();
        }
        count + clock.between(from, floor_to_second(civil_at(offset, until)))
    }
}

fn civil_at(offset: Offset, instant: Timestamp) -> Civil {
    offset.to_datetime(instant)
}

fn back_one(civil: Civil) -> Civil {
    civil.checked_sub(SECOND).unwrap_or(civil)
}

/// The times of day of a pattern, and the days they belong to.
struct Clock<'a> {
    pattern: &'a Pattern,
    hours: Vec<u16>,
    minutes: Vec<u16>,
    seconds: Vec<u16>,
}

impl<'a> Clock<'a> {
    fn of(pattern: &'a Pattern) -> Self {
        let fields = &pattern.cron.pattern;
        Self { pattern, hours: fields.hours.values(), minutes: fields.minutes.values(), seconds: fields.seconds.values() }
    }

    /// Civil times after `from`, up to and including `to`.
    fn between(&self, from: Civil, to: Civil) -> i64 {
        if to <= from {
            return 0;
        }
        let (first, last) = (from.date(), to.date());
        let upto = |civil: Civil| self.upto(civil);
        if first == last {
            return if self.has(first) { upto(to) - upto(from) } else { 0 };
        }
        let whole = number(self.hours.len() * self.minutes.len() * self.seconds.len());
        let edges = if self.has(first) { whole - upto(from) } else { 0 } + if self.has(last) { upto(to) } else { 0 };
        edges + whole * self.days_between(first, last)
    }

    /// Times of one day up to and including the time of day of `civil`.
    fn upto(&self, civil: Civil) -> i64 {
        let (hours_before, hour_is) = rank(&self.hours, civil.hour());
        let (minutes_before, minute_is) = rank(&self.minutes, civil.minute());
        let (seconds_before, second_is) = rank(&self.seconds, civil.second());
        let (per_minute, per_hour) = (number(self.seconds.len()), number(self.seconds.len() * self.minutes.len()));
        let in_minute = if minute_is { seconds_before + i64::from(second_is) } else { 0 };
        let in_hour = if hour_is { minutes_before * per_minute + in_minute } else { 0 };
        hours_before * per_hour + in_hour
    }

    /// Matching days strictly between two days.
    fn days_between(&self, first: Date, last: Date) -> i64 {
        let fields = &self.pattern.cron.pattern;
        let mut count = 0;
        let mut day = first.tomorrow();
        while let Ok(date) = day {
            if date >= last {
                break;
            }
            day = if !fields.year_match(i32::from(date.year())).unwrap_or(false) {
                date.last_of_year().tomorrow()
            } else if !fields.month_match(u32::from(date.month().unsigned_abs())).unwrap_or(false) {
                date.last_of_month().tomorrow()
            } else {
                count += i64::from(self.has(date));
                date.tomorrow()
            };
        }
        count
    }

    fn has(&self, date: Date) -> bool {
        let fields = &self.pattern.cron.pattern;
        let (year, month, day) = (i32::from(date.year()), u32::from(date.month().unsigned_abs()), u32::from(date.day().unsigned_abs()));
        let weekday = Weekday::from_days_from_sunday(u32::from(date.weekday().to_sunday_zero_offset().unsigned_abs()));
        fields.year_match(year).unwrap_or(false)
            && fields.month_match(month).unwrap_or(false)
            && fields.day_match(year, month, day, weekday).unwrap_or(false)
    }
}

/// How many values lie below `value`, and whether it is one of them.
fn rank(values: &[u16], value: i8) -> (i64, bool) {
    match values.binary_search(&u16::from(value.unsigned_abs())) {
        Ok(at) => (number(at), true),
        Err(at) => (number(at), false),
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
