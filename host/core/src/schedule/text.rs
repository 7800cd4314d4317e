//! The written form of a schedule: JSON, one kind with its terms beside it.
//!
//! Not the rule itself. What must hold: what is written is read back as the same schedule, and what contradicts itself is refused with a
//! sentence, never resolved by a silent preference.

use super::follows::Link;
use super::{AFTER_LEAST, CronOptions, DayMatch, Dialect, Fold, Gap, Misfire, Rule, Schedule, Step, Terms, cron, duration, instant, rrule};
use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

const KINDS: &str = "exactly one of `once` `every` `after` `cron` `rrule` `follows` `manual`";

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
    dialect: Option<Dialect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day_match: Option<DayMatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rrule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<Vec<Link>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manual: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fold: Option<Fold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_runs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    only: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    misfire: Option<Misfire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up: Option<String>,
}

fn contradiction(message: impl Into<String>) -> Refusal {
    Refusal::new("INP016", Blame::Input, message).expected(KINDS)
}

impl TryFrom<ScheduleText> for Schedule {
    type Error = Refusal;

    fn try_from(text: ScheduleText) -> Result<Self, Refusal> {
        text.check_kind()?;
        let terms = text.terms()?;
        Ok(Self { rule: text.rule()?, terms })
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

impl ScheduleText {
    /// Exactly one kind, and nothing beside it that belongs to another.
    fn check_kind(&self) -> Result<(), Refusal> {
        let kinds = [
            ("once", self.once.is_some()),
            ("every", self.every.is_some()),
            ("after", self.after.is_some()),
            ("cron", self.cron.is_some()),
            ("rrule", self.rrule.is_some()),
            ("follows", self.follows.is_some()),
            ("manual", self.manual.is_some()),
        ];
        let given: Vec<&str> = kinds.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect();
        let kind = match given.as_slice() {
            [] => return Err(contradiction("the schedule says no time")),
            [kind] => *kind,
            several => return Err(contradiction(format!("the schedule says {} at once", quoted(several)))),
        };
        let parts = [
            ("tz", self.tz.is_some(), &["cron", "rrule", "every"][..]),
            ("anchor", self.anchor.is_some(), &["every"]),
            ("dialect", self.dialect.is_some(), &["cron"]),
            ("day_match", self.day_match.is_some(), &["cron"]),
        ];
        for (name, is_given, of) in parts {
            if is_given && !of.contains(&kind) {
                let beside = of.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ");
                return Err(contradiction(format!("`{name}` does not go with `{kind}`")).expected(format!("`{name}` only beside {beside}")));
            }
        }
        if self.manual == Some(false) {
            return Err(contradiction("`manual` is false, and no other kind is given").expected("`\"manual\": true`, or another kind"));
        }
        Ok(())
    }

    fn terms(&self) -> Result<Terms, Refusal> {
        let time = |text: &Option<String>| text.as_deref().map(instant::parse).transpose();
        let span = |text: &Option<String>, what: &str| {
            text.as_deref().map(|text| duration::parse_at_least(text, Duration::from_micros(1), what)).transpose()
        };
        Ok(Terms {
            gap: self.gap,
            fold: self.fold,
            start: time(&self.start)?,
            end: time(&self.end)?,
            max_runs: self.max_runs,
            expires: span(&self.expires, "`expires`")?,
            jitter: span(&self.jitter, "the jitter")?,
            exclude: self.exclude.clone(),
            only: self.only.clone(),
            misfire: self.misfire.unwrap_or_default(),
            catch_up: span(&self.catch_up, "`catch_up`")?,
        })
    }

    /// The one kind that is given.
    fn rule(self) -> Result<Rule, Refusal> {
        if let Some(text) = self.once {
            return Ok(Rule::Once { when: instant::parse(&text)? });
        }
        if let Some(text) = self.every {
            let anchor = self.anchor.as_deref().map(instant::parse).transpose()?;
            let step = Step::parse(&text)?;
            if self.tz.is_some() && step.civil().is_none() {
                return Err(step.no_zone());
            }
            return Ok(Rule::Every { step, anchor, tz: self.tz });
        }
        if let Some(text) = self.after {
            return Ok(Rule::After { delay: duration::parse_at_least(&text, AFTER_LEAST, "the delay of `after`")? });
        }
        if let Some(text) = self.rrule {
            let tz = match self.tz {
                Some(tz) => tz,
                None => rrule::read(&text)?.tz.unwrap_or_else(|| "UTC".to_owned()),
            };
            return Ok(Rule::Rrule { text, tz });
        }
        if let Some(links) = self.follows {
            return Ok(Rule::Follows { links });
        }
        let Some(expression) = self.cron else { return Ok(Rule::Manual) };
        if let Some(step) = cron::every(&expression) {
            let is_plain = self.tz.is_none() && self.dialect.is_none() && self.day_match.is_none();
            let refused =
                || contradiction("`@every` follows elapsed time: no zone and no other option goes with it").expected("`@every` alone");
            return if is_plain { Ok(Rule::Every { step: Step::Clock(step?), anchor: None, tz: None }) } else { Err(refused()) };
        }
        let options = CronOptions { dialect: self.dialect.unwrap_or_default(), day_match: self.day_match.unwrap_or_default() };
        Ok(Rule::Cron { expression, tz: self.tz.unwrap_or_else(|| "UTC".to_owned()), options })
    }
}

/// An instant as it is written: RFC 3339 in UTC, with as much fraction as it has.
pub(super) fn instant_text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl From<Schedule> for ScheduleText {
    fn from(Schedule { rule, terms }: Schedule) -> Self {
        let written = Self {
            gap: terms.gap,
            fold: terms.fold,
            start: terms.start.map(instant_text),
            end: terms.end.map(instant_text),
            max_runs: terms.max_runs,
            expires: terms.expires.map(duration::text),
            jitter: terms.jitter.map(duration::text),
            exclude: terms.exclude,
            only: terms.only,
            misfire: Some(terms.misfire).filter(|misfire| *misfire != Misfire::default()),
            catch_up: terms.catch_up.map(duration::text),
            ..Self::default()
        };
        match rule {
            Rule::Once { when } => Self { once: Some(instant_text(when)), ..written },
            Rule::Every { step, anchor, tz } => Self { every: Some(step.text()), anchor: anchor.map(instant_text), tz, ..written },
            Rule::After { delay } => Self { after: Some(duration::text(delay)), ..written },
            Rule::Cron { expression, tz, options } => Self {
                cron: Some(expression),
                tz: Some(tz),
                dialect: Some(options.dialect).filter(|dialect| *dialect != Dialect::default()),
                day_match: Some(options.day_match).filter(|day_match| *day_match != DayMatch::default()),
                ..written
            },
            Rule::Rrule { text, tz } => Self { rrule: Some(text), tz: Some(tz), ..written },
            Rule::Follows { links } => Self { follows: Some(links), ..written },
            Rule::Manual => Self { manual: Some(true), ..written },
        }
    }
}

impl Schedule {
    /// Reads the JSON form. Unlike reading through serde, a refusal keeps its code and place. Not settled yet: [`Schedule::settle`] checks
    /// the rest.
    pub fn from_json(value: &Value) -> Result<Self, Refusal> {
        let text = ScheduleText::deserialize(value).map_err(|error| {
            Refusal::new("INP011", Blame::Input, format!("the schedule is not understood: {error}"))
                .expected(format!("an object with {KINDS}"))
        })?;
        Self::try_from(text)
    }

    /// Once, so long after `now`: `90s`.
    pub fn once_in(text: &str, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let wait = duration::parse(text)?;
        let when = TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait));
        let when = when
            .filter(|when| instant::is_in_reach(*when))
            .ok_or_else(|| Refusal::new("INP005", Blame::Input, "the time lies past the year 9999").at(text, 0, text.len()))?;
        Ok(Self::once(instant::to_micros(when)))
    }
}
