//! A schedule made ready to be asked: zone found, expression read, bounds and calendars around the rule.
//!
//! Not the schedule as it is written and stored (`Schedule`), and not a clock. What must hold: `next_after` rises strictly, counting agrees
//! with walking, every question takes a bounded number of steps, and an exhausted search is a refusal (`INP022`), never "no further time".

use super::civil::{Fold, Gap, Zoned, floor_to_second};
use super::floating::Floating;
use super::grid::{CivilGrid, grid_points, on_grid};
use super::steps::Steps;
use super::{Rule, Schedule, Step, Terms, cron, from_jiff, instant, rrule, to_jiff, zone};
use crate::calendar::Calendars;
use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, TimeDelta, Utc};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The most instants that [`Plan::upcoming`] answers.
pub const UPCOMING_MAX: usize = 10_000;
/// Times further on than this after the first are not counted: a hundred years.
const COUNTED: TimeDelta = TimeDelta::days(36_525);
/// Zoned rules kept by each thread.
const KEPT: usize = 64;
const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

type Instant = DateTime<Utc>;

/// A schedule ready to be asked.
#[derive(Debug)]
pub struct Plan<'a> {
    kind: Kind,
    terms: &'a Terms,
    calendars: &'a Calendars,
}

#[derive(Debug)]
enum Kind {
    Never,
    Once(Instant),
    After(TimeDelta),
    Grid { step: Duration, anchor: Instant },
    Zoned(Rc<Zoned>),
}

thread_local! {
    // Reading an expression costs some fifty times a question, and settlement asks for each successor: a few are kept, most recent first.
    // Kept per thread so that asking takes no lock; beside the schedule, so that a schedule stays plain text that compares and prints.
    static ZONED: RefCell<Vec<(ZonedKey, Rc<Zoned>)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, PartialEq)]
struct ZonedKey {
    rule: Rule,
    gap: Option<Gap>,
    fold: Option<Fold>,
    /// The zone data that the zone was taken from.
    zones: u64,
}

impl Schedule {
    /// Makes it ready. Refuses with `INP003`, `INP004`, `INP023` or `INP026` what [`Schedule::settle`] would refuse; a settled schedule
    /// is refused only if its zone or a calendar is gone.
    pub fn plan<'a>(&'a self, calendars: &'a Calendars) -> Result<Plan<'a>, Refusal> {
        let kind = match &self.rule {
            Rule::Once { when } => Kind::Once(*when),
            Rule::Follows { .. } | Rule::Manual => Kind::Never,
            Rule::After { delay } => TimeDelta::from_std(*delay).map_or(Kind::Never, Kind::After),
            Rule::Every { step: Step::Clock(step), anchor, .. } => {
                Kind::Grid { step: *step, anchor: anchor.or(self.terms.start).unwrap_or(DateTime::UNIX_EPOCH) }
            }
            rule => Kind::Zoned(zoned(rule, &self.terms)?),
        };
        calendars.check(&self.terms.exclude)?;
        calendars.check(&self.terms.only)?;
        Ok(Plan { kind, terms: &self.terms, calendars })
    }
}

/// The zoned form of a rule, from those kept or made anew.
fn zoned(rule: &Rule, terms: &Terms) -> Result<Rc<Zoned>, Refusal> {
    let key = ZonedKey { rule: rule.clone(), gap: terms.gap, fold: terms.fold, zones: zone::generation() };
    ZONED.with_borrow_mut(|kept| {
        if let Some(at) = kept.iter().position(|(other, _)| *other == key) {
            kept[..=at].rotate_right(1);
            return Ok(Rc::clone(&kept[0].1));
        }
        let made = Rc::new(read(rule, terms)?);
        kept.truncate(KEPT - 1);
        kept.insert(0, (key, Rc::clone(&made)));
        Ok(made)
    })
}

fn read(rule: &Rule, terms: &Terms) -> Result<Zoned, Refusal> {
    let (floating, tz, is_elapsed_like) = match rule {
        Rule::Cron { expression, tz, options } => {
            let pattern = cron::read(expression, *options)?;
            let is_elapsed_like = pattern.elapsed_like;
            (Floating::Cron(pattern), tz.as_str(), is_elapsed_like)
        }
        Rule::Rrule { text, tz } => (Floating::Rrule(rrule::read(text)?.settled(&zone::zone(tz)?)?), tz.as_str(), false),
        Rule::Every { step, anchor, tz } => {
            let tz = tz.as_deref().unwrap_or("UTC");
            let step = step.civil().ok_or_else(|| Refusal::new("INP005", Blame::Bug, "a step in elapsed time has no zone"))?;
            let anchor = anchor.or(terms.start).and_then(to_jiff).unwrap_or_default();
            (Floating::Grid(CivilGrid { step, anchor: floor_to_second(zone::zone(tz)?.to_datetime(anchor)) }), tz, false)
        }
        Rule::Once { .. } | Rule::After { .. } | Rule::Follows { .. } | Rule::Manual => {
            return Err(Refusal::new("INP016", Blame::Bug, "this kind of schedule has no zone"));
        }
    };
    // The two classes: what follows elapsed time knows no gap and both passes of a fold; of all else nothing is lost and nothing comes twice.
    let (gap, fold) = if is_elapsed_like { (Gap::Skip, Fold::Both) } else { (Gap::Shift, Fold::First) };
    Ok(Zoned { floating, zone: zone::zone(tz)?, gap: terms.gap.unwrap_or(gap), fold: terms.fold.unwrap_or(fold) })
}

impl Plan<'_> {
    /// The first instant of an event created at `created_at`. `None`: manual, or it follows others.
    pub fn first(&self, created_at: Instant) -> Result<Option<Instant>, Refusal> {
        match self.kind {
            Kind::Once(when) => Ok(Some(when)),
            _ => self.next_after(created_at),
        }
    }

    /// The first instant strictly after `after`, in whole microseconds. `None`: there is no further one (`Once` and `Manual` always; past
    /// the end; a grid at the end of the year 9999; an expression whose years are over). `After` counts from `after` as completion.
    pub fn next_after(&self, after: Instant) -> Result<Option<Instant>, Refusal> {
        self.next_within(after, instant::last())
    }

    /// As [`Self::next_after`], but not after `until`: what lies beyond is not searched.
    pub fn next_within(&self, after: Instant, until: Instant) -> Result<Option<Instant>, Refusal> {
        if matches!(self.kind, Kind::Once(_)) {
            return Ok(None);
        }
        let mut steps = Steps::new();
        let from = self.not_before_start(after);
        let mut next = match (&self.kind, self.terms.start) {
            (Kind::After(_), Some(start)) if from > after => Some(start),
            _ => self.of_rule(from, &mut steps),
        };
        loop {
            if steps.is_spent() || !steps.take() {
                return Err(gave_up(&steps));
            }
            let end = self.terms.end.map_or(until, |end| end.min(until)).min(instant::last());
            let Some(found) = next.filter(|found| (instant::earliest()..=end).contains(found)) else { return Ok(None) };
            let open = self.open_at(found)?;
            next = match self.kind {
                _ if open.inside => return Ok(Some(found)),
                // A delay is over when the gate opens.
                Kind::After(_) => Some(open.until),
                _ => self.of_rule(before(open.until), &mut steps),
            };
        }
    }

    /// How many instants lie after `after`, up to and including `until`, or `most` if there are more: by arithmetic, never by walking them.
    /// A rule is counted over a hundred years at most; `After` has no instants of its own to count.
    pub fn count(&self, after: Instant, until: Instant, most: i64) -> Result<i64, Refusal> {
        let after = self.not_before_start(after).max(instant::earliest());
        let furthest = after.checked_add_signed(COUNTED).unwrap_or(until);
        let until = self.terms.end.map_or(until, |end| until.min(end)).min(furthest).min(instant::last());
        if until <= after {
            return Ok(0);
        }
        if self.is_ungated() {
            return Ok(self.count_of_rule(after, until).min(most));
        }
        let (mut count, mut from, mut steps) = (0, after, Steps::new());
        while from < until && count < most {
            if !steps.take() {
                return Err(gave_up(&steps));
            }
            let open = self.open_at(from + MICROSECOND)?;
            let to = before(open.until).max(from + MICROSECOND).min(until);
            count += if open.inside { self.count_of_rule(from, to) } else { 0 };
            from = to;
        }
        Ok(count.min(most))
    }

    /// The last instant after `after`, up to and including `until`.
    pub fn latest(&self, after: Instant, until: Instant) -> Result<Option<Instant>, Refusal> {
        let Some(first) = self.next_within(after, until)? else { return Ok(None) };
        // Whether an instant lies after a time, up to `until`, is true before the last one and false from it on.
        let (mut low, mut high, mut last) = (first.timestamp_micros(), until.timestamp_micros(), first);
        while low < high {
            let middle = DateTime::from_timestamp_micros(low + (high - low) / 2).unwrap_or(until);
            match self.next_within(middle, until)? {
                Some(next) => (low, last) = (next.timestamp_micros(), next),
                None => high = middle.timestamp_micros(),
            }
        }
        Ok(Some(last))
    }

    /// Up to `n` instants after `after` (at most [`UPCOMING_MAX`]), for previews. `After` is walked as if every run took no time; `Once`
    /// is there if it lies after `after`.
    pub fn upcoming(&self, after: Instant, n: usize) -> Result<Vec<Instant>, Refusal> {
        if let Kind::Once(when) = self.kind {
            return Ok([when].into_iter().filter(|when| *when > after && n > 0).collect());
        }
        let mut found = Vec::new();
        let mut last = after;
        let most = self.terms.max_runs.map_or(UPCOMING_MAX, |runs| usize::try_from(runs).unwrap_or(UPCOMING_MAX)).min(UPCOMING_MAX);
        while found.len() < n.min(most) {
            let Some(next) = self.next_after(last)? else { break };
            found.push(next);
            last = next;
        }
        Ok(found)
    }

    /// The rule on the clocks of its zone, if it is read on clocks.
    pub(super) fn zoned(&self) -> Option<&Zoned> {
        if let Kind::Zoned(zoned) = &self.kind { Some(zoned) } else { None }
    }

    /// The later of an instant and the one just before the start.
    fn not_before_start(&self, after: Instant) -> Instant {
        self.terms.start.map_or(after, |start| after.max(before(start)))
    }

    fn is_ungated(&self) -> bool {
        self.terms.exclude.is_empty() && self.terms.only.is_empty()
    }

    fn open_at(&self, at: Instant) -> Result<crate::calendar::Span, Refusal> {
        if self.is_ungated() {
            return Ok(crate::calendar::Span { inside: true, until: instant::last() });
        }
        self.calendars.open_at(&self.terms.exclude, &self.terms.only, at)
    }

    fn of_rule(&self, after: Instant, steps: &mut Steps) -> Option<Instant> {
        match &self.kind {
            Kind::Never | Kind::Once(_) => None,
            Kind::After(delay) => after.checked_add_signed(*delay).map(instant::to_micros),
            Kind::Grid { step, anchor } => on_grid(*step, *anchor, after),
            Kind::Zoned(zoned) => {
                to_jiff(after.max(instant::earliest())).and_then(|after| zoned.next_after(after, steps)).and_then(from_jiff)
            }
        }
    }

    fn count_of_rule(&self, after: Instant, until: Instant) -> i64 {
        match &self.kind {
            Kind::Never | Kind::Once(_) | Kind::After(_) => 0,
            Kind::Grid { step, anchor } => grid_points(*step, *anchor, after, until),
            Kind::Zoned(zoned) => to_jiff(after).zip(to_jiff(until)).map_or(0, |(after, until)| zoned.count(after, until)),
        }
    }
}

/// The instant just before.
fn before(instant: Instant) -> Instant {
    instant.checked_sub_signed(MICROSECOND).unwrap_or(instant)
}

fn gave_up(steps: &Steps) -> Refusal {
    Refusal::new("INP022", Blame::Input, "the search for the next time was given up")
        .expected("a time within the steps that one search may take")
        .found(format!("none after {} steps", steps.taken()))
        .remedy("a calendar that closes every time of the schedule, or days that never come, search for ever: look at `exclude`, `only` and the days")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zoned_rules_are_kept_within_a_bound_and_the_recent_survive() {
        let kept = |expression: &str, fold: Option<Fold>| {
            let schedule = Schedule::cron(expression, "UTC");
            zoned(&schedule.rule, &Terms { fold, ..Terms::default() }).expect(expression)
        };
        let first = kept("0 2 * * *", None);
        for minute in 0..KEPT + 20 {
            kept(&format!("{} {} * * *", minute % 60, minute / 60), None);
            assert!(Rc::ptr_eq(&first, &kept("0 2 * * *", None)), "asked again each time, so it is kept");
        }
        assert_eq!(ZONED.with_borrow(Vec::len), KEPT);
        assert!(!Rc::ptr_eq(&first, &kept("0 2 * * *", Some(Fold::Both))), "another rule of folds is another zoned rule");
        assert!(zoned(&Schedule::cron("nonsense", "UTC").rule, &Terms::default()).is_err());
        assert!(zoned(&Schedule::cron("0 2 * * *", "Nowhere").rule, &Terms::default()).is_err());
        assert_eq!(ZONED.with_borrow(Vec::len), KEPT);
    }
}
