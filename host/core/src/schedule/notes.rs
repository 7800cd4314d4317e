//! What a reader of a preview should know: where a clock change shifted, left out or doubled a time, and what a calendar closed.
//!
//! Not a decision. What must hold: bounded, however long the stretch that is looked at.

use super::civil::Gap;
use super::floating::Floating;
use super::instant::{earliest, last};
use super::{Rule, Schedule, Terms, from_jiff, to_jiff, zone};
use crate::calendar::Calendars;
use crate::refusal::Refusal;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use jiff::tz::Offset;

/// Clock changes that are told at most.
const CHANGES_MAX: usize = 12;
const SECOND: TimeDelta = TimeDelta::seconds(1);

impl Schedule {
    /// Notes on the instants after `after`, up to `until`.
    pub fn notes(&self, calendars: &Calendars, after: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<String>, Refusal> {
        let mut notes = Vec::new();
        if let Rule::After { .. } = self.rule {
            notes.push("counted as if each run took no time".to_owned());
        }
        if self.terms.jitter.is_some() {
            notes.push("each is due up to the jitter later, by a part that depends on the event".to_owned());
        }
        if let Some(closed) = self.closed(calendars, after, until)? {
            notes.push(closed);
        }
        for change in self.changes(after, until)? {
            notes.push(self.at_change(calendars, &change)?);
        }
        Ok(notes)
    }

    /// How many times a calendar took away.
    fn closed(&self, calendars: &Calendars, after: DateTime<Utc>, until: DateTime<Utc>) -> Result<Option<String>, Refusal> {
        if self.terms.exclude.is_empty() && self.terms.only.is_empty() {
            return Ok(None);
        }
        let open = Self { rule: self.rule.clone(), terms: Terms { exclude: Vec::new(), only: Vec::new(), ..self.terms.clone() } };
        let (all, left) = (open.plan(calendars)?.count(after, until, i64::MAX)?, self.plan(calendars)?.count(after, until, i64::MAX)?);
        let times = |count: i64| if count == 1 { "1 time is".to_owned() } else { format!("{count} times are") };
        Ok((all > left).then(|| format!("{} left out by its calendars", times(all - left))))
    }

    fn changes(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<Change>, Refusal> {
        let Some(tz) = self.tz() else { return Ok(Vec::new()) };
        let zone = zone::zone(tz)?;
        let (Some(from), Some(to)) = (to_jiff(after.max(earliest())), to_jiff(until.min(last()))) else { return Ok(Vec::new()) };
        let mut before = zone.to_offset(from).seconds();
        let mut found = Vec::new();
        for change in zone.following(from).take_while(|change| change.timestamp() <= to) {
            let entered = change.offset().seconds();
            if entered != before
                && let Some(at) = from_jiff(change.timestamp())
            {
                found.push(Change { at, before, entered });
            }
            before = entered;
            if found.len() == CHANGES_MAX {
                break;
            }
        }
        Ok(found)
    }

    /// What the change does to the times of the rule: those of its gap, or of its second pass, told one by one if there is one.
    fn at_change(&self, calendars: &Calendars, change: &Change) -> Result<String, Refusal> {
        let local = self.on_its_clock(change.at)?.format("%Y-%m-%d %H:%M");
        let zone = |seconds: i32| FixedOffset::east_opt(seconds).map_or_else(String::new, |offset| offset.to_string());
        let way = if change.entered > change.before { "forward" } else { "back" };
        let told = format!("the clocks go {way} at {local}, from {} to {}", zone(change.before), zone(change.entered));
        let plan = self.plan(calendars)?;
        if change.entered > change.before {
            let (lost, gap) = plan.zoned().map_or((0, Gap::Skip), |zoned| (change.jumped_over(&zoned.floating), zoned.gap));
            return Ok(match (lost, gap) {
                (0, _) => told,
                (1, Gap::Shift) => format!("{told}: a time that they jump over is shifted to it"),
                (lost, Gap::Shift) => format!("{told}: {lost} times that they jump over give one, shifted to it"),
                (1, Gap::Skip) => format!("{told}: a time that they jump over is skipped"),
                (lost, Gap::Skip) => format!("{told}: {lost} times that they jump over are skipped"),
            });
        }
        let length = TimeDelta::seconds(i64::from(change.before - change.entered));
        let first = plan.count(change.at - length - SECOND, change.at - SECOND, i64::MAX)?;
        let second = plan.count(change.at - SECOND, change.at + length - SECOND, i64::MAX)?;
        Ok(match (first, second) {
            (0, 0) => told,
            (_, 0) => format!("{told}: what comes twice counts at its first pass"),
            (0, _) => format!("{told}: what comes twice counts at its second pass"),
            _ => format!("{told}: what comes twice counts twice"),
        })
    }
}

struct Change {
    at: DateTime<Utc>,
    before: i32,
    entered: i32,
}

impl Change {
    /// Times of the rule that the clocks of this zone do not show.
    fn jumped_over(&self, rule: &Floating) -> i64 {
        let shown = |offset: i32| Some(Offset::from_seconds(offset).ok()?.to_datetime(to_jiff(self.at)?));
        shown(self.before).zip(shown(self.entered)).map_or(0, |(from, to)| rule.count(from, to))
    }
}
