//! Windows that come each week: the weekly pattern, and what comes daily.
//!
//! Not the reading of their text. What must hold: windows that overlap or touch are joined over the turn of the week too, so that the days
//! from Monday to Friday are one window.

use super::edges::Window;
use jiff::civil::{Date, DateTime as Civil, Time};
use jiff::{SignedDuration, Span};

const DAY: u32 = 86_400;
const WEEK: u32 = 7 * DAY;

/// Windows of a week, in order, joined; each begins within the week and may end in the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Week {
    /// All of it.
    Always,
    /// Begin and length in seconds, the begin from Monday 00:00.
    Windows(Vec<(u32, u32)>),
}

/// A window of some days of the week.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Monday is bit 0.
    pub(super) days: u8,
    /// Second of the day.
    pub(super) from: u32,
    /// In seconds, at most a day.
    pub(super) length: u32,
}

impl Week {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let mut windows: Vec<(u32, u32)> = Vec::new();
        for (week, pattern) in (0..3).flat_map(|week| patterns.iter().map(move |pattern| (week, pattern))) {
            for day in (0..7).filter(|day| pattern.days >> day & 1 == 1) {
                let from = week * WEEK + day * DAY + pattern.from;
                windows.push((from, from + pattern.length));
            }
        }
        windows.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (from, to) in windows {
            match joined.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => joined.push((from, to)),
            }
        }
        let is_empty = joined.is_empty();
        // The middle one of three weeks knows both of its neighbours.
        joined.retain(|(from, _)| (WEEK..2 * WEEK).contains(from));
        if joined.is_empty() && !is_empty {
            return Self::Always;
        }
        Self::Windows(joined.into_iter().map(|(from, to)| (from - WEEK, to - from)).collect())
    }

    /// Windows from the last that begins at or before `civil` on.
    pub(super) fn around(&self, civil: Civil) -> impl Iterator<Item = Window> {
        let windows = match self {
            Self::Always => &[],
            Self::Windows(windows) => windows.as_slice(),
        };
        let days = u32::from(civil.weekday().to_monday_zero_offset().unsigned_abs());
        let monday = civil.date().checked_sub(Span::new().days(i64::from(days))).unwrap_or(Date::MIN);
        let now = days * DAY + second_of_day(civil.time());
        let begun = windows.partition_point(|(from, _)| *from <= now);
        let (first_week, first) = begun.checked_sub(1).map_or((-1, windows.len().saturating_sub(1)), |first| (0, first));
        // It ends with the calendar, and long before for who asks one question.
        let weeks = first_week..if windows.is_empty() { first_week } else { i64::MAX };
        let all = weeks.flat_map(move |week| {
            let skipped = if week == first_week { first } else { 0 };
            windows[skipped..].iter().map(move |(from, length)| (week, *from, *length))
        });
        all.map_while(move |(week, from, length)| {
            let day = monday.checked_add(Span::new().try_days(week.checked_mul(7)?).ok()?).ok()?;
            let begins = day.to_datetime(Time::midnight()).checked_add(SignedDuration::from_secs(i64::from(from))).ok()?;
            Some((begins, begins.checked_add(SignedDuration::from_secs(i64::from(length))).unwrap_or(Civil::MAX)))
        })
    }
}

fn second_of_day(time: Time) -> u32 {
    let part = |value: i8| u32::from(value.unsigned_abs());
    part(time.hour()) * 3_600 + part(time.minute()) * 60 + part(time.second())
}
