//! When: the kinds of schedule, their terms, and what of them is accepted.
//!
//! Not a clock: every question takes the time it is asked at. The instants are the [`Plan`]'s, the written form is `text`. What must hold:
//! whatever is settled can be planned on every host with the same zone data and calendars, and gives an instant.

mod civil;
mod cron;
pub mod duration;
mod floating;
pub mod follows;
mod grid;
pub mod instant;
mod jitter;
mod notes;
mod plan;
pub(crate) mod rrule;
mod step;
pub(crate) mod steps;
mod terms;
mod text;
mod words;
pub mod zone;

pub use civil::{Fold, Gap};
pub use cron::Options as CronOptions;
pub use cron::{DayMatch, Dialect};
pub use plan::{Plan, UPCOMING_MAX};
pub use step::Step;
pub use terms::{CALENDARS_MAX, CATCH_UP, JITTER_MOST, Misfire, Terms};
pub use text::ScheduleText;

use crate::calendar::Calendars;
use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, Timelike, Utc};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The shortest step of a grid. Finer rhythms belong inside a job: each occurrence costs a durable write.
pub const EVERY_LEAST: Duration = Duration::from_secs(1);
/// The shortest delay after a run. Zero would be a loop without a pause.
pub const AFTER_LEAST: Duration = Duration::from_millis(1);

/// The rule that gives times, and the terms on which it does. JSON as in the design: `{"once": …} {"every": "5m"} {"after": "5m"}
/// {"cron": …, "tz": …} {"rrule": …, "tz": …} {"follows": […]} {"manual": true}`, the terms beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleText", into = "ScheduleText")]
pub struct Schedule {
    /// What gives times.
    pub rule: Rule,
    /// What bounds and bends them.
    pub terms: Terms,
}

/// The kinds of schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// At one instant.
    Once {
        /// That instant.
        when: DateTime<Utc>,
    },
    /// On a fixed grid from an anchor; the grid goes both ways from it.
    Every {
        /// The step: in clock units it keeps elapsed time, in units of the calendar it keeps the time of day in its zone.
        step: Step,
        /// A point of the grid; absent = the start, or the instant of creation, filled in when the event is stored.
        anchor: Option<DateTime<Utc>>,
        /// IANA zone, with a step of the calendar only; `UTC` if absent.
        tz: Option<String>,
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
        /// How it is read.
        options: CronOptions,
    },
    /// A recurrence rule of RFC 5545 on the civil time of a zone.
    Rrule {
        /// `RRULE:…`, with `DTSTART`, `EXDATE` and `RDATE` lines; `DTSTART` is filled in when the event is stored.
        text: String,
        /// IANA zone; that of `DTSTART`, or `UTC`, if absent.
        tz: String,
    },
    /// When other events have come to an end.
    Follows {
        /// All of these, each at least once since it ran last.
        links: Vec<follows::Link>,
    },
    /// Only when somebody says so.
    Manual,
}

impl From<Rule> for Schedule {
    fn from(rule: Rule) -> Self {
        Self { rule, terms: Terms::default() }
    }
}

impl Schedule {
    /// At one instant.
    #[must_use]
    pub fn once(when: DateTime<Utc>) -> Self {
        Rule::Once { when }.into()
    }

    /// On a grid in elapsed time, through `anchor` or the instant of creation.
    #[must_use]
    pub fn every(step: Duration, anchor: Option<DateTime<Utc>>) -> Self {
        Rule::Every { step: Step::Clock(step), anchor, tz: None }.into()
    }

    /// A delay after each run.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Rule::After { delay }.into()
    }

    /// A cron expression of the default dialect.
    #[must_use]
    pub fn cron(expression: impl Into<String>, tz: impl Into<String>) -> Self {
        Rule::Cron { expression: expression.into(), tz: tz.into(), options: CronOptions::default() }.into()
    }

    /// When these have come to an end.
    #[must_use]
    pub fn follows(links: Vec<follows::Link>) -> Self {
        Rule::Follows { links }.into()
    }

    /// Only when somebody says so.
    #[must_use]
    pub fn manual() -> Self {
        Rule::Manual.into()
    }

    /// The form to store: checked (expression parses, zone and calendars exist, some instant follows `now`, no endless search), anchor
    /// filled in. A `Once` in the past is accepted: it is due at once.
    pub fn settle(mut self, now: DateTime<Utc>, calendars: &Calendars) -> Result<Self, Refusal> {
        self.terms.check(self.kind())?;
        self.rule = self.rule.settle(now, &self.terms)?;
        if let (Some(jitter), Rule::Every { step: Step::Clock(step), .. }) = (self.terms.jitter, &self.rule)
            && jitter >= *step
        {
            return Err(Refusal::new("INP016", Blame::Input, "the jitter is as long as the step")
                .expected(format!("less than {}", duration::text(*step)))
                .found(duration::text(jitter)));
        }
        let plan = self.plan(calendars)?;
        if !matches!(self.rule, Rule::Manual | Rule::Follows { .. }) && plan.first(now)?.is_none() {
            return Err(self.never());
        }
        Ok(self)
    }

    /// The kind's word, as in the JSON form.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.rule {
            Rule::Once { .. } => "once",
            Rule::Every { .. } => "every",
            Rule::After { .. } => "after",
            Rule::Cron { .. } => "cron",
            Rule::Rrule { .. } => "rrule",
            Rule::Follows { .. } => "follows",
            Rule::Manual => "manual",
        }
    }

    /// Whether further instants follow an occurrence by themselves.
    #[must_use]
    pub fn recurs(&self) -> bool {
        !matches!(self.rule, Rule::Once { .. } | Rule::Follows { .. } | Rule::Manual)
    }

    /// The zone on whose clocks the rule is read, if it has one.
    #[must_use]
    pub fn tz(&self) -> Option<&str> {
        match &self.rule {
            Rule::Cron { tz, .. } | Rule::Rrule { tz, .. } => Some(tz),
            Rule::Every { tz, .. } => tz.as_deref(),
            Rule::Once { .. } | Rule::After { .. } | Rule::Follows { .. } | Rule::Manual => None,
        }
    }

    /// Whether it follows elapsed time, so that a clock that is set back must not silence it.
    #[must_use]
    pub fn is_elapsed_like(&self) -> bool {
        match &self.rule {
            Rule::Every { step: Step::Clock(_), .. } | Rule::After { .. } => true,
            Rule::Cron { expression, options, .. } => cron::read(expression, *options).is_ok_and(|pattern| pattern.elapsed_like),
            Rule::Every { .. } | Rule::Once { .. } | Rule::Rrule { .. } | Rule::Follows { .. } | Rule::Manual => false,
        }
    }

    fn never(&self) -> Refusal {
        let refusal = Refusal::new("INP007", Blame::Input, "the schedule never fires").expected("a schedule with a time after now");
        let bounds = match (self.terms.end, self.terms.exclude.is_empty() && self.terms.only.is_empty()) {
            (Some(end), _) => format!(" before its end at {}", text::instant_text(end)),
            (None, false) => " outside its calendars".to_owned(),
            (None, true) => String::new(),
        };
        match &self.rule {
            Rule::Cron { expression, tz, .. } => refusal
                .found(format!("no time of `{expression}` in {tz} is left{bounds}"))
                .remedy("look at day, month and year: a 30 February never comes, and a year that is over does not come back")
                .at(expression, 0, expression.len()),
            Rule::Rrule { text, tz } => refusal.found(format!("no time of the rule in {tz} is left{bounds}")).at(text, 0, text.len()),
            _ if bounds.is_empty() => refusal,
            _ => refusal.found(format!("no time is left{bounds}")),
        }
    }
}

impl Rule {
    fn settle(self, now: DateTime<Utc>, terms: &Terms) -> Result<Self, Refusal> {
        Ok(match self {
            Self::Once { when } => Self::Once { when: in_reach(when)? },
            Self::Every { step, anchor, tz } => {
                step.check()?;
                if step.civil().is_none() && (terms.gap.is_some() || terms.fold.is_some()) {
                    return Err(step.no_clock_change());
                }
                let anchor = in_reach(anchor.or(terms.start).unwrap_or(now))?;
                // On the calendar there are whole seconds only.
                let anchor = if step.civil().is_some() { anchor.with_nanosecond(0).unwrap_or(anchor) } else { anchor };
                Self::Every { step, anchor: Some(anchor), tz: tz.as_deref().map(zone::name_of).transpose()? }
            }
            Self::After { delay } => {
                step::check_span(delay, AFTER_LEAST, "the delay of `after`")?;
                Self::After { delay }
            }
            Self::Cron { expression, tz, options } => {
                cron::read(&expression, options)?;
                Self::Cron { expression, tz: zone::name_of(&tz)?, options }
            }
            Self::Rrule { text, tz } => {
                let tz = zone::name_of(&tz)?;
                let start = to_jiff(terms.start.unwrap_or(now)).unwrap_or_default();
                Self::Rrule { text: rrule::with_start(&text, zone::zone(&tz)?.to_datetime(start))?, tz }
            }
            Self::Follows { links } => {
                follows::check(&links)?;
                Self::Follows { links }
            }
            Self::Manual => Self::Manual,
        })
    }
}

/// The instant in whole microseconds. Refuses with `INP006` one that schedules do not reach.
fn in_reach(instant: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    if instant::is_in_reach(instant) {
        return Ok(instant::to_micros(instant));
    }
    Err(Refusal::new("INP006", Blame::Input, "the time is outside the calendar")
        .expected("a time from the year 1 to 9999-12-30")
        .found(instant.to_string()))
}

fn to_jiff(instant: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_microsecond(instant.timestamp_micros()).ok()
}

fn from_jiff(instant: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(instant.as_microsecond())
}
