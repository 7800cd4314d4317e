//! When: the kinds of schedule, their JSON, and the instants they give.
//!
//! Not a clock: every question takes the time it is asked at. What must hold: `next_after` rises strictly, is bounded, and
//! gives the same answer on every host with the same zone data.

mod civil;
mod cron;
pub mod duration;
pub mod instant;
mod tally;
mod text;
mod words;
pub mod zone;

pub use text::{Flag, ScheduleText};

use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The shortest step of a grid. Finer rhythms belong inside a job: each occurrence costs a durable write.
pub const EVERY_LEAST: Duration = Duration::from_secs(1);
/// The shortest delay after a run. Zero would be a loop without a pause.
pub const AFTER_LEAST: Duration = Duration::from_millis(1);
/// The most instants that [`Schedule::upcoming`] answers.
pub const UPCOMING_MAX: usize = 10_000;

/// The rule that gives times. JSON as in the design: `{"once": …} {"every": "5m"} {"after": "5m"} {"cron": …, "tz": …} {"manual": true}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleText", into = "ScheduleText")]
pub enum Schedule {
    /// At one instant.
    Once {
        /// That instant.
        when: DateTime<Utc>,
    },
    /// On a fixed grid from an anchor, in elapsed time; the grid goes both ways from it.
    Every {
        /// The step, at least [`EVERY_LEAST`].
        step: Duration,
        /// A point of the grid; absent = the instant of creation, filled in when the event is stored.
        anchor: Option<DateTime<Utc>>,
    },
    /// A delay after the completion of the previous run; the first occurrence one delay after creation.
    After {
        /// The delay, at least [`AFTER_LEAST`].
        delay: Duration,
    },
    /// A cron expression on the civil time of a zone.
    Cron {
        /// 5, 6 (seconds first) or 7 (year last) fields, or a nickname.
        expression: String,
        /// IANA zone; `UTC` if absent.
        tz: String,
    },
    /// Only when somebody says so.
    Manual,
}

impl Schedule {
    /// The form to store: checked (expression parses, zone exists, some instant follows `now`, no endless search), anchor
    /// filled in. A `Once` in the past is accepted: it is due at once.
    pub fn settle(self, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let settled = match self {
            Self::Once { when } if instant::is_in_reach(when) => return Ok(Self::Once { when: instant::to_micros(when) }),
            Self::Once { when } => {
                return Err(Refusal::new("INP006", Blame::Input, "the time is outside the calendar")
                    .expected("a time from the year 1 to 9999-12-30")
                    .found(when.to_string()));
            }
            Self::Every { step, anchor } => {
                check_span(step, EVERY_LEAST, "the step of `every`")?;
                Self::Every { step, anchor: Some(instant::to_micros(anchor.unwrap_or(now))) }
            }
            Self::After { delay } => {
                check_span(delay, AFTER_LEAST, "the delay of `after`")?;
                Self::After { delay }
            }
            Self::Cron { expression, tz } => {
                cron::read(&expression)?;
                let zone = zone::zone(&tz)?;
                Self::Cron { expression, tz: zone.iana_name().unwrap_or(&tz).to_owned() }
            }
            Self::Manual => return Ok(Self::Manual),
        };
        if settled.next_after(now)?.is_none() {
            return Err(settled.never());
        }
        Ok(settled)
    }

    /// The first instant of an event created at `created_at`. `None`: manual.
    pub fn first(&self, created_at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Refusal> {
        match self {
            Self::Once { when } => Ok(Some(*when)),
            _ => self.next_after(created_at),
        }
    }

    /// The first instant strictly after `after`, in whole microseconds. `None`: there is no further one (`Once` and `Manual` always; a
    /// grid at the end of the year 9999; an expression whose years are over). `After` counts from `after` as completion.
    pub fn next_after(&self, after: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Refusal> {
        let next = match self {
            Self::Once { .. } | Self::Manual => None,
            Self::Every { step, anchor } => on_grid(*step, anchor.unwrap_or(DateTime::UNIX_EPOCH), after),
            Self::After { delay } => {
                TimeDelta::from_std(*delay).ok().and_then(|delay| after.checked_add_signed(delay)).map(instant::to_micros)
            }
            Self::Cron { expression, tz } => {
                let plan = cron::plan(expression, tz)?;
                if instant::is_in_reach(after) { to_jiff(after).and_then(|after| plan.next_after(after)).and_then(from_jiff) } else { None }
            }
        };
        Ok(next.filter(|next| instant::is_in_reach(*next)))
    }

    /// How many instants lie after `after`, up to and including `until`, or `most` if there are more: by arithmetic, never by walking them.
    /// An expression is counted over a hundred years at most; `After` has no instants of its own to count.
    pub fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>, most: i64) -> Result<i64, Refusal> {
        let count = match self {
            Self::Once { .. } | Self::After { .. } | Self::Manual => 0,
            Self::Every { step, anchor } => grid_points(*step, anchor.unwrap_or(DateTime::UNIX_EPOCH), after, until),
            Self::Cron { expression, tz } => {
                let plan = cron::plan(expression, tz)?;
                let span = to_jiff(after.max(instant::earliest())).zip(to_jiff(until.min(instant::last())));
                span.map_or(0, |(after, until)| plan.count(after, until))
            }
        };
        Ok(count.min(most))
    }

    /// Up to `n` instants after `after` (at most [`UPCOMING_MAX`]), for previews. `After` is walked as if every run took no time; `Once`
    /// is there if it lies after `after`.
    pub fn upcoming(&self, after: DateTime<Utc>, n: usize) -> Result<Vec<DateTime<Utc>>, Refusal> {
        if let Self::Once { when } = self {
            return Ok([*when].into_iter().filter(|when| *when > after && n > 0).collect());
        }
        let mut found = Vec::new();
        let mut last = after;
        while found.len() < n.min(UPCOMING_MAX) {
            let Some(next) = self.next_after(last)? else { break };
            found.push(next);
            last = next;
        }
        Ok(found)
    }

    /// The kind's word, as in the JSON form.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Once { .. } => "once",
            Self::Every { .. } => "every",
            Self::After { .. } => "after",
            Self::Cron { .. } => "cron",
            Self::Manual => "manual",
        }
    }

    /// Whether further instants follow an occurrence by themselves.
    #[must_use]
    pub fn recurs(&self) -> bool {
        match self {
            Self::Every { .. } | Self::After { .. } | Self::Cron { .. } => true,
            Self::Once { .. } | Self::Manual => false,
        }
    }

    fn never(&self) -> Refusal {
        let refusal = Refusal::new("INP007", Blame::Input, "the schedule never fires").expected("a schedule with a time after now");
        match self {
            Self::Cron { expression, tz } => refusal
                .found(format!("no time of `{expression}` in {tz} is left, as far as the year 5000"))
                .remedy("look at day, month and year: a 30 February never comes, and a year that is over does not come back")
                .at(expression, 0, expression.len()),
            _ => refusal,
        }
    }
}

fn check_span(span: Duration, least: Duration, what: &str) -> Result<(), Refusal> {
    let refused = |message: String| Refusal::new("INP005", Blame::Input, message).found(duration::text(span));
    if span < least {
        return Err(refused(format!("{what} is too short")).expected(format!("at least {}", duration::text(least))));
    }
    if span > duration::LONGEST || !span.subsec_nanos().is_multiple_of(1_000) {
        return Err(refused(format!("{what} is too long, or finer than a microsecond")).expected("at most 36525d, in whole microseconds"));
    }
    Ok(())
}

/// The first point of the grid strictly after `after`. Exact in integers over the whole calendar.
fn on_grid(step: Duration, anchor: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let step = i128::try_from(step.as_micros()).ok().filter(|step| *step > 0)?;
    let anchor = i128::from(anchor.timestamp_micros());
    let steps = (i128::from(after.timestamp_micros()) - anchor).div_euclid(step) + 1;
    i64::try_from(anchor + steps * step).ok().and_then(DateTime::from_timestamp_micros)
}

/// Points of the grid in `(after, until]`.
fn grid_points(step: Duration, anchor: DateTime<Utc>, after: DateTime<Utc>, until: DateTime<Utc>) -> i64 {
    let Some(step) = i128::try_from(step.as_micros()).ok().filter(|step| *step > 0) else { return 0 };
    let ordinal =
        |instant: DateTime<Utc>| (i128::from(instant.timestamp_micros()) - i128::from(anchor.timestamp_micros())).div_euclid(step);
    i64::try_from((ordinal(until) - ordinal(after)).max(0)).unwrap_or(i64::MAX)
}

fn to_jiff(instant: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_microsecond(instant.timestamp_micros()).ok()
}

fn from_jiff(instant: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(instant.as_microsecond())
}
