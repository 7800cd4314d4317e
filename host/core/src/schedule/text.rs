//! The two written forms of a schedule: JSON, and one flag with its text.
//!
//! Not the rule itself. What must hold: what is written is read back as the same schedule, and what contradicts itself is refused with a
//! sentence, never resolved by a silent preference.

use super::{AFTER_LEAST, EVERY_LEAST, Schedule, duration, instant};
use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

const KINDS: &str = "exactly one of `once` `every` `after` `cron` `manual`";

/// The JSON form: exactly one of the kinds, with what belongs to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleText {
    #[serde(skip_serializing_if = "Option::is_none")]
    once: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manual: Option<bool>,
}

/// How a schedule is given beside a text: the flags of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `--at`: an RFC 3339 instant.
    At,
    /// `--in`: a duration from now.
    In,
    /// `--every`: the step of a grid that starts now.
    Every,
    /// `--after-each`: the delay after each run's end.
    AfterEach,
    /// `--cron`: an expression, with `--tz`.
    Cron,
    /// `--manual`: no text.
    Manual,
}

fn contradiction(message: impl Into<String>) -> Refusal {
    Refusal::new("INP016", Blame::Input, message).expected(KINDS)
}

impl TryFrom<ScheduleText> for Schedule {
    type Error = Refusal;

    fn try_from(text: ScheduleText) -> Result<Self, Refusal> {
        let given: Vec<&str> = [
            ("once", text.once.is_some()),
            ("every", text.every.is_some()),
            ("after", text.after.is_some()),
            ("cron", text.cron.is_some()),
            ("manual", text.manual.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
        match given.as_slice() {
            [] => return Err(contradiction("the schedule says no time")),
            [_] => {}
            several => return Err(contradiction(format!("the schedule says {} at once", quoted(several)))),
        }
        if text.tz.is_some() && text.cron.is_none() {
            return Err(contradiction(format!("`tz` does not go with `{}`", given[0])).expected("`tz` only beside `cron`"));
        }
        if text.anchor.is_some() && text.every.is_none() {
            return Err(contradiction(format!("`anchor` does not go with `{}`", given[0])).expected("`anchor` only beside `every`"));
        }
        if text.manual == Some(false) {
            return Err(contradiction("`manual` is false, and no other kind is given").expected("`\"manual\": true`, or another kind"));
        }
        text.kind()
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

impl ScheduleText {
    /// The one kind that is given.
    fn kind(self) -> Result<Schedule, Refusal> {
        if let Some(text) = self.once {
            return Ok(Schedule::Once { when: instant::parse(&text)? });
        }
        if let Some(text) = self.every {
            let anchor = self.anchor.as_deref().map(instant::parse).transpose()?;
            return Ok(Schedule::Every { step: every_step(&text)?, anchor });
        }
        if let Some(text) = self.after {
            return Ok(Schedule::After { delay: after_delay(&text)? });
        }
        if let Some(expression) = self.cron {
            return Ok(Schedule::Cron { expression, tz: self.tz.unwrap_or_else(|| "UTC".to_owned()) });
        }
        Ok(Schedule::Manual)
    }
}

fn every_step(text: &str) -> Result<Duration, Refusal> {
    duration::parse_at_least(text, EVERY_LEAST, "the step of `every`")
}

fn after_delay(text: &str) -> Result<Duration, Refusal> {
    duration::parse_at_least(text, AFTER_LEAST, "the delay of `after`")
}

/// An instant as it is written: RFC 3339 in UTC, with as much fraction as it has.
pub(super) fn instant_text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl From<Schedule> for ScheduleText {
    fn from(schedule: Schedule) -> Self {
        let none = Self::default();
        match schedule {
            Schedule::Once { when } => Self { once: Some(instant_text(when)), ..none },
            Schedule::Every { step, anchor } => Self { every: Some(duration::text(step)), anchor: anchor.map(instant_text), ..none },
            Schedule::After { delay } => Self { after: Some(duration::text(delay)), ..none },
            Schedule::Cron { expression, tz } => Self { cron: Some(expression), tz: Some(tz), ..none },
            Schedule::Manual => Self { manual: Some(true), ..none },
        }
    }
}

impl Schedule {
    /// Reads the JSON form. Unlike reading through serde, a refusal keeps its code and place.
    pub fn from_json(value: &Value) -> Result<Self, Refusal> {
        let text = ScheduleText::deserialize(value).map_err(|error| {
            Refusal::new("INP011", Blame::Input, format!("the schedule is not understood: {error}"))
                .expected(format!("an object with {KINDS}"))
        })?;
        Self::try_from(text)
    }

    /// Reads what a flag gives. `tz` goes with `Cron` only. Not settled yet: [`Schedule::settle`] checks the rest.
    pub fn parse_text(flag: Flag, text: &str, tz: Option<&str>, now: DateTime<Utc>) -> Result<Self, Refusal> {
        if tz.is_some() && flag != Flag::Cron {
            return Err(Refusal::new("INP016", Blame::Input, "`--tz` goes with `--cron` only")
                .remedy("an instant carries its offset, and intervals follow elapsed time: leave `--tz` out"));
        }
        match flag {
            Flag::At => Ok(Self::Once { when: instant::parse(text)? }),
            Flag::In => {
                let wait = duration::parse(text)?;
                let when = TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait));
                let when = when
                    .filter(|when| instant::is_in_reach(*when))
                    .ok_or_else(|| Refusal::new("INP005", Blame::Input, "the time lies past the year 9999").at(text, 0, text.len()))?;
                Ok(Self::Once { when: instant::to_micros(when) })
            }
            Flag::Every => Ok(Self::Every { step: every_step(text)?, anchor: None }),
            Flag::AfterEach => Ok(Self::After { delay: after_delay(text)? }),
            Flag::Cron => Ok(Self::Cron { expression: text.to_owned(), tz: tz.unwrap_or("UTC").to_owned() }),
            Flag::Manual => Ok(Self::Manual),
        }
    }
}
