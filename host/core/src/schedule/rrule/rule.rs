//! One rule from its start: which days of a period it takes, and the walk over its days.
//!
//! Not the union of rules nor their excepted dates (`super`). What must hold: a walk may begin at any day and goes straight to the period
//! that holds it; a period is the same set of times wherever the walk began; whoever walks is bounded, by the calendar at the latest.

use super::days::{self, Month};
use super::parts::{Freq, Parts, WeekDay};
use jiff::civil::{DateTime as Civil, Time};
use std::borrow::Cow;

/// A rule with its start.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// What is written, and what the start adds to it.
    parts: Parts,
    start: Civil,
    start_day: i32,
    /// Its times of a day, in seconds, rising.
    times: Vec<i32>,
    /// The last time it may have, which still counts.
    end: Option<Civil>,
    is_nth_in_year: bool,
}

/// Seconds since midnight.
fn second_of(civil: Civil) -> i32 {
    (i32::from(civil.hour()) * 60 + i32::from(civil.minute())) * 60 + i32::from(civil.second())
}

/// The time of a day's number and second.
fn civil(day: i32, second: i32) -> Option<Civil> {
    let part = |number: i32| i8::try_from(number).ok();
    let time = Time::new(part(second / 3_600)?, part(second / 60 % 60)?, part(second % 60)?, 0).ok()?;
    Some(days::date(day)?.to_datetime(time))
}

/// What the start adds to a rule that does not say it: the time of day and, if no part names days, the day.
pub(super) fn filled(mut parts: Parts, start: Civil) -> Parts {
    let names_no_day = parts.weeks.is_empty() && parts.year_days.is_empty() && parts.month_days.is_empty() && parts.week_days.is_empty();
    if names_no_day {
        match parts.freq {
            Freq::Yearly => {
                if parts.months.is_empty() {
                    parts.months = vec![i32::from(start.month())];
                }
                parts.month_days = vec![i32::from(start.day())];
            }
            Freq::Monthly => parts.month_days = vec![i32::from(start.day())],
            Freq::Weekly => {
                parts.week_days = vec![WeekDay { day: i32::from(start.weekday().to_monday_zero_offset()), nth: 0 }];
            }
            Freq::Daily => {}
        }
    }
    for (list, from_start) in [(&mut parts.hours, start.hour()), (&mut parts.minutes, start.minute()), (&mut parts.seconds, start.second())]
    {
        if list.is_empty() {
            list.push(i32::from(from_start));
        }
    }
    parts
}

impl Rule {
    /// The rule from its start on; a whole second. Counts a `COUNT` through once, so that every later question can seek.
    pub(super) fn new(parts: Parts, start: Civil) -> Self {
        let parts = filled(parts, start);
        let mut times = Vec::new();
        for hour in &parts.hours {
            for minute in &parts.minutes {
                times.extend(parts.seconds.iter().map(|second| (hour * 60 + minute) * 60 + second));
            }
        }
        let is_nth_in_year = parts.freq == Freq::Yearly && parts.months.is_empty();
        let end = parts.until.map(|until| until.civil);
        let mut rule = Self { parts, start, start_day: days::number(start.date()), times, end, is_nth_in_year };
        if rule.walk(start, Civil::MAX).next_day(&mut || true).is_none() {
            // A whole cycle of the calendar has shown that it gives nothing: nobody has to look again.
            rule.end = Some(Civil::MIN);
        } else if let Some(count) = rule.parts.count {
            rule.end = rule.nth(count);
        }
        rule
    }

    /// The time that a rule with `COUNT` ends with. `None`: it never comes so far.
    fn nth(&self, count: i32) -> Option<Civil> {
        let mut left = usize::try_from(count).ok()?;
        let mut walk = self.walk(self.start, Civil::MAX);
        while let Some((day, times)) = walk.next_day(&mut || true) {
            if let Some(second) = left.checked_sub(1).and_then(|last| times.get(last)) {
                return civil(day, *second);
            }
            left -= times.len();
        }
        None
    }

    /// Its first time in `from..=to`. `None`: there is none, or `take` said stop.
    pub(super) fn next(&self, from: Civil, to: Civil, take: &mut impl FnMut() -> bool) -> Option<Civil> {
        let (day, times) = self.walk(from, to).next_day(take)?;
        civil(day, *times.first()?)
    }

    /// Whether it has exactly this time.
    pub(super) fn has(&self, at: Civil) -> bool {
        self.walk(at, at).next_day(&mut || true).is_some()
    }

    /// A walk over its days with times in `from..=to`.
    pub(super) fn walk(&self, from: Civil, to: Civil) -> Walk<'_> {
        let from = from.max(self.start);
        let to = self.end.map_or(to, |end| end.min(to));
        let (first, last) = (days::number(from.date()), days::number(to.date()));
        Walk {
            rule: self,
            first: (first, second_of(from)),
            last: if from <= to { (last, second_of(to)) } else { (0, 0) },
            period: self.period_from(first),
            left: 0..0,
            month: Month::holding(first),
            looked_at: None,
            chosen: None,
            barren: 0,
        }
    }

    /// The first period, counted from that of the start, that does not end before `day`, which is not before the start.
    fn period_from(&self, day: i32) -> i32 {
        let month = |day: i32| -> i32 {
            let month = Month::holding(day);
            month.year * 12 + month.number
        };
        let week_start = self.parts.week_start;
        let past = match self.parts.freq {
            Freq::Daily => day - self.start_day,
            Freq::Weekly => (days::week_start(day, week_start) - days::week_start(self.start_day, week_start)) / 7,
            Freq::Monthly => month(day) - month(self.start_day),
            Freq::Yearly => Month::holding(day).year - i32::from(self.start.year()),
        };
        (past + self.parts.interval - 1) / self.parts.interval
    }

    /// The days of a period. `None`: it lies past the calendar.
    fn span(&self, period: i32) -> Option<(i32, i32)> {
        let past = period.checked_mul(self.parts.interval)?;
        let (first, len) = match self.parts.freq {
            Freq::Daily => (self.start_day.checked_add(past)?, 1),
            Freq::Weekly => (days::week_start(self.start_day, self.parts.week_start).checked_add(past.checked_mul(7)?)?, 7),
            Freq::Monthly => {
                let months = (i32::from(self.start.year()) * 12 + i32::from(self.start.month()) - 1).checked_add(past)?;
                if months / 12 > 9_999 {
                    return None;
                }
                let month = Month::of(months / 12, months % 12 + 1);
                (month.first, month.len)
            }
            Freq::Yearly => {
                let year = i32::from(self.start.year()).checked_add(past).filter(|year| *year <= 9_999)?;
                let month = Month::of(year, 1);
                (month.first, month.year_len)
            }
        };
        (first <= days::LAST).then_some((first, (first + len - 1).min(days::LAST)))
    }

    /// Periods after which the rule has shown all it can do: the calendar begins anew.
    fn cycle(&self) -> i32 {
        match self.parts.freq {
            Freq::Daily => days::CYCLE_DAYS,
            Freq::Weekly => days::CYCLE_WEEKS,
            Freq::Monthly => days::CYCLE_MONTHS,
            Freq::Yearly => days::CYCLE_YEARS,
        }
    }

    /// Its times of a day, in seconds, rising.
    pub(super) fn times(&self) -> &[i32] {
        &self.times
    }

    fn takes_month(&self, month: &Month) -> bool {
        self.parts.months.is_empty() || self.parts.months.contains(&month.number)
    }

    /// Whether a day of a month that it takes is one of the rule's, `BYSETPOS` apart.
    fn takes(&self, month: &Month, day: i32) -> bool {
        let parts = &self.parts;
        // From the front 1, 2, …, from the back -1, -2, ….
        let is_in = |list: &[i32], at: i32, len: i32| list.is_empty() || list.contains(&(at + 1)) || list.contains(&(at - len));
        let (in_month, in_year) = (day - month.first, day - month.year_first);
        if !is_in(&parts.month_days, in_month, month.len) || !is_in(&parts.year_days, in_year, month.year_len) {
            return false;
        }
        if !parts.weeks.is_empty() {
            let (week, weeks) = days::week(day, parts.week_start);
            if !is_in(&parts.weeks, week - 1, weeks) {
                return false;
            }
        }
        let (at, len) = if self.is_nth_in_year { (in_year, month.year_len) } else { (in_month, month.len) };
        let weekday = days::weekday(day);
        let is_nth = |nth: i32| nth == 0 || nth == at / 7 + 1 || -nth == (len - 1 - at) / 7 + 1;
        parts.week_days.is_empty() || parts.week_days.iter().any(|wanted| wanted.day == weekday && is_nth(wanted.nth))
    }

    /// What `BYSETPOS` chooses from a period, days last to first.
    fn chosen(&self, (first, last): (i32, i32)) -> Vec<(i32, Vec<i32>)> {
        let mut month = Month::holding(first);
        let mut found = Vec::new();
        for day in first..=last {
            if !month.holds(day) {
                month = Month::holding(day);
            }
            if self.takes_month(&month) && self.takes(&month, day) {
                found.push(day);
            }
        }
        let len = found.len() * self.times.len();
        let place = |pos: &i32| {
            let from_end = usize::try_from(-pos).ok().and_then(|back| len.checked_sub(back));
            usize::try_from(pos - 1).ok().or(from_end).filter(|place| *place < len)
        };
        let mut places: Vec<usize> = self.parts.set_pos.iter().filter_map(place).collect();
        places.sort_unstable();
        places.dedup();
        let mut chosen: Vec<(i32, Vec<i32>)> = Vec::new();
        for place in places {
            let (day, second) = (found[place / self.times.len()], self.times[place % self.times.len()]);
            match chosen.last_mut() {
                Some((last, seconds)) if *last == day => seconds.push(second),
                _ => chosen.push((day, vec![second])),
            }
        }
        chosen.reverse();
        chosen
    }
}

/// A walk over the days of a rule, rising.
pub(super) struct Walk<'a> {
    rule: &'a Rule,
    /// The first and the last time wanted, as day and second.
    first: (i32, i32),
    last: (i32, i32),
    /// The next period to open.
    period: i32,
    /// The days of the open period that are still to be looked at.
    left: std::ops::Range<i32>,
    month: Month,
    /// The first day of the month last paid for.
    looked_at: Option<i32>,
    /// With `BYSETPOS`: what is left of the open period.
    chosen: Option<Vec<(i32, Vec<i32>)>>,
    /// Periods opened since the last day found.
    barren: i32,
}

impl<'a> Walk<'a> {
    /// The next day with its times, at least one. Asks `take` for each period it opens, for days once a month. `None`: no further day, or
    /// `take` said stop.
    pub(super) fn next_day(&mut self, take: &mut impl FnMut() -> bool) -> Option<(i32, Cow<'a, [i32]>)> {
        loop {
            while let Some((day, times)) = self.next_open() {
                if day > self.last.0 {
                    return None;
                }
                let times = self.clipped(day, times);
                if !times.is_empty() {
                    self.barren = 0;
                    return Some((day, times));
                }
            }
            self.open(take)?;
        }
    }

    /// The next day of the open period, with all its times.
    fn next_open(&mut self) -> Option<(i32, Cow<'a, [i32]>)> {
        if let Some(chosen) = &mut self.chosen {
            return chosen.pop().map(|(day, times)| (day, Cow::Owned(times)));
        }
        while let Some(day) = self.left.next() {
            if !self.month.holds(day) {
                self.month = Month::holding(day);
            }
            if !self.rule.takes_month(&self.month) {
                self.left.start = self.left.end.min(self.month.first + self.month.len);
            } else if self.rule.takes(&self.month, day) {
                return Some((day, Cow::Borrowed(&self.rule.times)));
            }
        }
        None
    }

    fn clipped(&self, day: i32, times: Cow<'a, [i32]>) -> Cow<'a, [i32]> {
        let low = if day < self.first.0 {
            i32::MAX
        } else if day == self.first.0 {
            self.first.1
        } else {
            0
        };
        let high = if day == self.last.0 { self.last.1 } else { i32::MAX };
        let start = times.partition_point(|second| *second < low);
        let end = times.partition_point(|second| *second <= high).max(start);
        match times {
            Cow::Borrowed(times) => Cow::Borrowed(&times[start..end]),
            Cow::Owned(times) => Cow::Owned(times[start..end].to_vec()),
        }
    }

    /// Opens the next period. `None`: the calendar, the wanted stretch or the budget ends here, or the rule is known to give nothing.
    fn open(&mut self, take: &mut impl FnMut() -> bool) -> Option<()> {
        let span = self.rule.span(self.period)?;
        if span.0 > self.last.0 || self.barren > self.rule.cycle() {
            return None;
        }
        let is_paid = self.rule.parts.freq == Freq::Daily && self.looked_at == Some(self.month.first) && self.month.holds(span.0);
        if !is_paid && !take() {
            return None;
        }
        if !self.month.holds(span.0) {
            self.month = Month::holding(span.0);
        }
        self.looked_at = Some(self.month.first);
        self.period += 1;
        self.barren += 1;
        if self.rule.parts.set_pos.is_empty() {
            self.left = span.0.max(self.first.0)..span.1 + 1;
        } else {
            self.chosen = Some(self.rule.chosen(span));
        }
        Some(())
    }
}
