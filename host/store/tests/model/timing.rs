//! Schedules as whole numbers: what the model knows of time, beside the product's own.
//!
//! Not a calendar: UTC only, and every rule a grid, a delay or one instant. What must hold: instants are found by walking, so that no
//! arithmetic of the product is repeated here.

use chrono::{DateTime, Utc};
use sexton_core::Schedule;
use sexton_core::schedule::Misfire;
use std::time::Duration;

/// Microseconds since the beginning of the test's time.
pub type Micros = i64;
pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;
pub const DAY: Micros = 24 * HOUR;
/// The beginning: a midnight.
const BEGINNING: Micros = 20_834 * DAY;

/// An instant of the test's time.
pub fn at(micros: Micros) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(BEGINNING + micros).expect("within reach")
}

/// The other way.
pub fn micros(at: DateTime<Utc>) -> Micros {
    at.timestamp_micros() - BEGINNING
}

pub fn span(micros: Micros) -> Duration {
    Duration::from_micros(u64::try_from(micros).expect("not below zero"))
}

/// What gives times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Once(Micros),
    /// A grid from the beginning, in elapsed time.
    Every(Micros),
    /// `*/10 * * * *`: elapsed-like.
    TenMinutes,
    /// `30 0,6,12,18 * * *`: fixed times.
    FourADay,
    After(Micros),
    Manual,
}

/// A rule and its terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub rule: Rule,
    pub misfire: Misfire,
    pub catch_up: Option<Micros>,
    pub expires: Option<Micros>,
    pub max_runs: Option<u32>,
    pub end: Option<Micros>,
}

impl Timing {
    /// Step and offset, if it has a grid.
    pub fn grid(&self) -> Option<(Micros, Micros)> {
        match self.rule {
            Rule::Every(step) => Some((step, 0)),
            Rule::TenMinutes => Some((10 * MINUTE, 0)),
            Rule::FourADay => Some((6 * HOUR, 30 * MINUTE)),
            Rule::Once(_) | Rule::After(_) | Rule::Manual => None,
        }
    }

    pub fn recurs(&self) -> bool {
        !matches!(self.rule, Rule::Once(_) | Rule::Manual)
    }

    pub fn is_elapsed_like(&self) -> bool {
        matches!(self.rule, Rule::Every(_) | Rule::TenMinutes | Rule::After(_))
    }

    /// The next instant after one; of a delay, counted from it.
    pub fn next_after(&self, after: Micros) -> Option<Micros> {
        let next = match (self.rule, self.grid()) {
            (_, Some((step, offset))) => (after - offset).div_euclid(step) * step + step + offset,
            (Rule::After(delay), _) => after + delay,
            _ => return None,
        };
        Some(next).filter(|next| self.end.is_none_or(|end| *next <= end))
    }

    /// The instants of its grid after one, up to and including another.
    pub fn within(&self, after: Micros, until: Micros) -> Vec<Micros> {
        let mut found = Vec::new();
        let mut last = after;
        while let Some(next) = self.grid().and_then(|_| self.next_after(last)).filter(|next| *next <= until) {
            found.push(next);
            last = next;
        }
        found
    }

    /// The first instant of an event stored now.
    pub fn first(&self, now: Micros) -> Option<Micros> {
        if let Rule::Once(when) = self.rule { Some(when) } else { self.next_after(now) }
    }

    /// The same as the product has it.
    pub fn schedule(&self) -> Schedule {
        let mut schedule = match self.rule {
            Rule::Once(when) => Schedule::once(at(when)),
            Rule::Every(step) => Schedule::every(span(step), Some(at(0))),
            Rule::TenMinutes => Schedule::cron("*/10 * * * *", "UTC"),
            Rule::FourADay => Schedule::cron("30 0,6,12,18 * * *", "UTC"),
            Rule::After(delay) => Schedule::after(span(delay)),
            Rule::Manual => Schedule::manual(),
        };
        let terms = &mut schedule.terms;
        terms.expires = self.expires.filter(|_| self.rule != Rule::Manual).map(span);
        if self.recurs() {
            terms.misfire = self.misfire;
            terms.catch_up = self.catch_up.map(span);
            terms.max_runs = self.max_runs;
            terms.end = self.end.map(at);
        }
        schedule
    }

    /// Dealt as distances, kept as instants.
    pub fn from(self, now: Micros) -> Self {
        let rule = if let Rule::Once(distance) = self.rule { Rule::Once(now + distance) } else { self.rule };
        Self { rule, end: self.end.map(|distance| now + distance), ..self }
    }

    /// Without the terms that do not go with the rule.
    pub fn tidied(self) -> Self {
        let bare = Self { misfire: Misfire::default(), catch_up: None, max_runs: None, end: None, ..self };
        match self.rule {
            Rule::Manual => Self { expires: None, ..bare },
            Rule::Once(_) => bare,
            _ => self,
        }
    }
}
