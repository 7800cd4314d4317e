//! RFC 5545 recurrences, DAILY and coarser, in floating civil time: their text, their times, their number, their words.
//!
//! Not the zone: who asks puts the times on its clocks (`civil`). What must hold: a question seeks, whatever lies between the start and
//! its time; every refusal (`INP023`) has a place. Where the RFC is silent the times are those of python-dateutil, so that a start that does
//! not match its rule is no occurrence; two things differ. `BYSETPOS` chooses from a whole week also in the week of the start, as it does in a
//! month and a year: dateutil cuts that week off at the start. And a day of January in the last week of the year before is in its week
//! whatever `WKST` is: dateutil counts 53 weeks in some years that have 52.

mod days;
mod lines;
mod parts;
mod rule;
mod source;
mod words;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

use self::lines::{Moment, Stamp};
use self::parts::Parts;
use self::rule::{Rule, Walk};
use self::source::Source;
use super::steps::Steps;
use crate::refusal::{Blame, Refusal};
use jiff::civil::{Date, DateTime as Civil};
use jiff::tz::TimeZone;
use jiff::{RoundMode, ToSpan, Unit};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A text as read: its rules, and what it says about start and zone.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    /// The rules: they have words, but no times before they are settled.
    pub(crate) rules: Rules,
    /// `DTSTART`, on the clocks of the zone.
    pub(crate) start: Option<Civil>,
    /// The zone that the text names; `UTC` if its start ends in `Z`.
    pub(crate) tz: Option<String>,
}

/// The union of some rules, with single dates added and taken away.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// As written.
    parts: Vec<Parts>,
    start: Option<Civil>,
    /// From the start on; none before they are settled.
    rules: Vec<Rule>,
    /// `RDATE` and `EXDATE`, rising, each once.
    with: Vec<Moment>,
    with_days: Vec<Date>,
    without: Vec<Moment>,
    without_days: Vec<Date>,
}

/// Reads `FREQ=…`, or lines of DTSTART, RRULE, EXDATE and RDATE, parted by line breaks, by `\n` written out, or by spaces. Refuses with
/// `INP023` and the place.
pub(crate) fn read(text: &str) -> Result<Read, Refusal> {
    let lines = lines::read(&Source::read(text)?)?;
    let mut rules = Rules {
        parts: lines.rules,
        start: lines.start,
        rules: Vec::new(),
        with: Vec::new(),
        with_days: Vec::new(),
        without: Vec::new(),
        without_days: Vec::new(),
    };
    for (stamps, moments, days) in
        [(lines.with, &mut rules.with, &mut rules.with_days), (lines.without, &mut rules.without, &mut rules.without_days)]
    {
        for stamp in stamps {
            match stamp {
                Stamp::Time(moment) => moments.push(moment),
                Stamp::Day(day) => days.push(day),
            }
        }
    }
    Ok(Read { rules, start: lines.start, tz: lines.tz })
}

/// The text with a start: its own, or else this one, in whole seconds, as a first line. Refuses with `INP023` what is no recurrence, with
/// that line or without it.
pub(crate) fn with_start(text: &str, start: Civil) -> Result<String, Refusal> {
    if read(text)?.start.is_some() {
        return Ok(text.to_owned());
    }
    let started = format!("DTSTART:{}\n{}", start.strftime("%Y%m%dT%H%M%S"), text.trim_start());
    read(&started)?;
    Ok(started)
}

impl Read {
    /// The rules, ready to be asked: from the start of the text, with what is written in UTC put on the clocks of `tz`. Refuses with `INP023`
    /// a text without a start.
    pub(crate) fn settled(self, tz: &TimeZone) -> Result<Rules, Refusal> {
        let missing =
            || Refusal::new("INP023", Blame::Input, "the recurrence has no start").expected("a line like `DTSTART:20260131T090000`");
        let start = self.start.ok_or_else(missing)?;
        let mut rules = self.rules;
        rules.resolve(tz);
        Ok(rules.anchored(start))
    }
}

impl Rules {
    /// Puts what is written in UTC (`UNTIL`, `EXDATE`, `RDATE`) on the clocks of `tz`.
    fn resolve(&mut self, tz: &TimeZone) {
        for parts in &mut self.parts {
            parts.until = parts.until.map(|until| until.on_clocks(tz));
        }
        for moment in self.with.iter_mut().chain(&mut self.without) {
            *moment = moment.on_clocks(tz);
        }
    }

    /// The rules from `start` on. A whole day added (`RDATE;VALUE=DATE`) comes at the start's time of day.
    fn anchored(mut self, start: Civil) -> Self {
        let start = start.with().subsec_nanosecond(0).build().unwrap_or(start);
        self.start = Some(start);
        self.rules = self.parts.iter().map(|parts| Rule::new(parts.clone(), start)).collect();
        self.with.extend(self.with_days.drain(..).map(|day| Moment { civil: day.to_datetime(start.time()), is_utc: false }));
        for moments in [&mut self.with, &mut self.without] {
            moments.sort_by_key(|moment| moment.civil);
            moments.dedup();
        }
        self.without_days.sort();
        self.without_days.dedup();
        self
    }

    /// The first time at or after `from`, in whole seconds. `None`: there is none up to the year 9999, or the budget is spent; a step is taken
    /// for each period (for days, each month) looked at.
    pub(crate) fn next(&self, from: Civil, steps: &mut Steps) -> Option<Civil> {
        let mut from = whole_second(from)?;
        loop {
            let found = self.next_with_excepted(from, steps)?;
            from = if self.is_day_without(found.date()) {
                found.date().tomorrow().ok()?.at(0, 0, 0, 0)
            } else if self.is_moment_without(found) {
                found.checked_add(1.second()).ok()?
            } else {
                return Some(found);
            };
        }
    }

    fn next_with_excepted(&self, from: Civil, steps: &mut Steps) -> Option<Civil> {
        let at = self.with.partition_point(|moment| moment.civil < from);
        let mut found = self.with.get(at).map(|moment| moment.civil);
        for rule in &self.rules {
            // A rule that fires seldom is not asked past what the others have.
            let next = rule.next(from, found.unwrap_or(Civil::MAX), &mut || steps.take());
            // What one rule has not found within the budget may lie before what the others have.
            if steps.is_spent() {
                return None;
            }
            found = found.into_iter().chain(next).min();
        }
        found
    }

    /// Times in the half-open `[from, to)`: counted by days and their sets of times.
    pub(crate) fn count(&self, from: Civil, to: Civil) -> i64 {
        let last = whole_second(to).map_or(Some(Civil::MAX), |to| to.checked_sub(1.second()).ok());
        let (Some(from), Some(to)) = (whole_second(from), last) else { return 0 };
        let has = |at: Civil| self.rules.iter().any(|rule| rule.has(at));
        let is_within = |at: Civil| from <= at && at <= to;
        let mut count = self.count_rules(from, to);
        for day in &self.without_days {
            count -= self.count_rules(from.max(day.at(0, 0, 0, 0)), to.min(day.at(23, 59, 59, 0)));
        }
        let without = self.without.iter().map(|moment| moment.civil);
        let without = without.filter(|at| is_within(*at) && !self.is_day_without(at.date()) && has(*at)).count();
        let with = self.with.iter().map(|moment| moment.civil);
        let with = with.filter(|at| is_within(*at) && !self.is_day_without(at.date()) && !self.is_moment_without(*at) && !has(*at)).count();
        count + i64::try_from(with).unwrap_or(i64::MAX) - i64::try_from(without).unwrap_or(0)
    }

    /// Times of the rules in `from..=to`; what several rules have counts once.
    fn count_rules(&self, from: Civil, to: Civil) -> i64 {
        let len = |times: usize| i64::try_from(times).unwrap_or(i64::MAX);
        let mut walks: Vec<Head<'_>> = self.rules.iter().map(|rule| Head::new(rule.walk(from, to))).collect();
        // How many times two and more rules have together on a whole day, by which rules they are.
        let mut unions: BTreeMap<Vec<bool>, i64> = BTreeMap::new();
        let mut count = 0;
        while let Some(day) = walks.iter().filter_map(Head::day).min() {
            let here: Vec<bool> = walks.iter().map(|head| head.day() == Some(day)).collect();
            let lists: Vec<Cow<'_, [i32]>> = walks.iter_mut().filter_map(|head| head.take(day)).collect();
            let is_whole = |(list, rule): (&Cow<'_, [i32]>, &Rule)| matches!(list, Cow::Borrowed(list) if list.len() == rule.times().len());
            let rules = self.rules.iter().zip(&here).filter_map(|(rule, is_here)| is_here.then_some(rule));
            let are_whole = lists.iter().zip(rules).all(is_whole);
            count += match lists.as_slice() {
                [one] => len(one.len()),
                _ if are_whole => *unions.entry(here).or_insert_with(|| len(union_len(&lists))),
                _ => len(union_len(&lists)),
            };
        }
        count
    }

    fn is_day_without(&self, day: Date) -> bool {
        self.without_days.binary_search(&day).is_ok()
    }

    fn is_moment_without(&self, at: Civil) -> bool {
        self.without.binary_search_by_key(&at, |moment| moment.civil).is_ok()
    }

    /// In English, without the zone and without a full stop.
    pub(crate) fn words(&self) -> String {
        words::of(self)
    }
}

/// A walk with the day it stands at.
struct Head<'a> {
    walk: Walk<'a>,
    at: Option<(i32, Cow<'a, [i32]>)>,
}

impl<'a> Head<'a> {
    fn new(mut walk: Walk<'a>) -> Self {
        let at = walk.next_day(&mut || true);
        Self { walk, at }
    }

    fn day(&self) -> Option<i32> {
        self.at.as_ref().map(|(day, _)| *day)
    }

    /// The times of this day, if the walk stands there; it goes on.
    fn take(&mut self, day: i32) -> Option<Cow<'a, [i32]>> {
        if self.day() != Some(day) {
            return None;
        }
        let next = self.walk.next_day(&mut || true);
        std::mem::replace(&mut self.at, next).map(|(_, times)| times)
    }
}

fn union_len(lists: &[Cow<'_, [i32]>]) -> usize {
    let mut all: Vec<i32> = lists.iter().flat_map(|list| list.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

/// The time itself or the next whole second. `None`: past the calendar.
fn whole_second(at: Civil) -> Option<Civil> {
    at.round(jiff::civil::DateTimeRound::new().smallest(Unit::Second).mode(RoundMode::Ceil)).ok()
}
