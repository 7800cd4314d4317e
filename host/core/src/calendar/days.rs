//! Sets of days and of windows: dates that are listed, and days that come each year.
//!
//! Not the reading of their text. What must hold: a question costs a binary search and the few windows around one fold.

use super::edges::Window;
use jiff::civil::{Date, DateTime as Civil, Time};

/// Days of a leap year: 29 February has a place of its own, which is no day in other years.
const DAYS: usize = 366;
/// The place of 29 February, from 0.
const LEAP_DAY: usize = 59;
/// 29 February may be eight years away.
const YEARS_AHEAD: i16 = 9;
const MONTH_LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Windows that are listed one by one: in order, those that overlap or touch joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed(Vec<Window>);

impl Listed {
    /// From windows in any order; what is empty is left out.
    pub(super) fn new(mut windows: Vec<Window>) -> Self {
        windows.retain(|(from, to)| from < to);
        windows.sort_unstable();
        let mut joined: Vec<Window> = Vec::with_capacity(windows.len());
        for (from, to) in windows {
            match joined.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    /// From the last that begins at or before `civil` on.
    pub(super) fn around(&self, civil: Civil) -> impl Iterator<Item = Window> {
        let first = self.0.partition_point(|(from, _)| *from <= civil).saturating_sub(1);
        self.0[first..].iter().copied()
    }
}

/// Whole days that come each year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Annual {
    /// Runs of days within a year, in order: the first day, and the day after the last, as places in a leap year.
    runs: Vec<(usize, usize)>,
}

/// The place of a day in a leap year, from 0. `None`: no year has it.
pub(super) fn place_of(month: u8, day: u8) -> Option<usize> {
    let length = MONTH_LENGTHS.get(usize::from(month).checked_sub(1)?)?;
    let before: usize = MONTH_LENGTHS.iter().take(usize::from(month) - 1).map(|length| usize::from(*length)).sum();
    (1..=*length).contains(&day).then(|| before + usize::from(day) - 1)
}

impl Annual {
    /// From ranges of places, first and last day included; a range whose last day is before its first goes over the turn of the year.
    pub(super) fn new(ranges: &[(usize, usize)]) -> Self {
        let mut is_in = [false; DAYS];
        for (first, last) in ranges {
            let length = (last + DAYS - first) % DAYS + 1;
            (0..length).for_each(|step| is_in[(first + step) % DAYS] = true);
        }
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for day in (0..DAYS).filter(|day| is_in[*day]) {
            match runs.last_mut().filter(|run| run.1 == day) {
                Some(run) => run.1 = day + 1,
                None => runs.push((day, day + 1)),
            }
        }
        Self { runs }
    }

    /// Whether every day of every year is in.
    pub(super) fn is_always(&self) -> bool {
        self.runs == [(0, DAYS)]
    }

    /// Windows from the last that begins at or before `civil` on, for some years.
    pub(super) fn around(&self, civil: Civil) -> impl Iterator<Item = Window> {
        let today = place_of(civil.month().unsigned_abs(), civil.day().unsigned_abs()).unwrap_or(0);
        let begun = self.runs.partition_point(|(first, _)| *first <= today);
        // Nothing has begun this year: the last run of the year before may reach into it.
        let (year, first) = match begun.checked_sub(1) {
            Some(first) => (civil.year(), first),
            None => (civil.year() - 1, self.runs.len().saturating_sub(1)),
        };
        let rest = self.runs[first.min(self.runs.len())..].iter().map(move |run| (year, run));
        let later =
            (year.saturating_add(1)..=year.saturating_add(YEARS_AHEAD)).flat_map(|year| self.runs.iter().map(move |run| (year, run)));
        rest.chain(later).filter_map(|(year, run)| Some((midnight(year, run.0)?, midnight(year, run.1)?))).filter(|(from, to)| from < to)
    }
}

/// The beginning of a day. 29 February in another year, and the day after 31 December, are the next day there is.
fn midnight(year: i16, place: usize) -> Option<Civil> {
    let january = Date::new(year, 1, 1).ok()?;
    let place = if place > LEAP_DAY && !january.in_leap_year() { place - 1 } else { place };
    let day = january.checked_add(jiff::Span::new().days(i64::try_from(place).ok()?)).ok()?;
    Some(day.to_datetime(Time::midnight()))
}
