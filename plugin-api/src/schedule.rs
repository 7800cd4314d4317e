//! When: builders that give the JSON form of a schedule.
//!
//! Not a parser and not a calendar: the host checks and computes. What must hold: the JSON is the one the command line and
//! the host's API take, so that a schedule means the same wherever it was written.
//!
//! ```
//! use sexton_plugin_api::prelude::*;
//!
//! let once: Schedule = schedule::Once { when: Utc::now() + Duration::hours(12) }.into();
//! let nightly: Schedule = schedule::Cron::new("0 2 * * *").tz("Europe/Paris").into();
//! assert_eq!(nightly.to_json().to_string(), r#"{"cron":"0 2 * * *","tz":"Europe/Paris"}"#);
//! # let _ = once;
//! ```

use crate::span::{self, IntoSpan};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// A schedule of any kind, ready for the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Value);

impl Schedule {
    /// A schedule in the host's own JSON form, e.g. `{"every": "5m"}`.
    #[must_use]
    pub fn from_json(form: Value) -> Self {
        Self(form)
    }

    /// When this event has succeeded, each time; [`Follows`] says more.
    #[must_use]
    pub fn follows(event: impl Into<String>) -> Self {
        Follows::success(event).into()
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> &Value {
        &self.0
    }

    pub(crate) fn into_json(self) -> Value {
        self.0
    }
}

/// At one instant. In the past: at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// That instant.
    pub when: DateTime<Utc>,
}

/// On a fixed grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// The step of the grid.
    pub step: Duration,
    /// A point of the grid; none: the instant at which the event is stored.
    pub anchor: Option<DateTime<Utc>>,
}

impl Every {
    /// Every so much time, counted from the instant at which the event is stored.
    #[must_use]
    pub fn new(step: impl IntoSpan) -> Self {
        Self { step: step.into_span(), anchor: None }
    }

    /// Every so many seconds.
    #[must_use]
    pub fn seconds(n: u32) -> Self {
        Self::new(Duration::from_secs(n.into()))
    }

    /// Every so many minutes.
    #[must_use]
    pub fn minutes(n: u32) -> Self {
        Self::new(Duration::from_secs(u64::from(n) * 60))
    }

    /// Every so many hours.
    #[must_use]
    pub fn hours(n: u32) -> Self {
        Self::new(Duration::from_secs(u64::from(n) * 3600))
    }

    /// Puts the grid through this instant.
    #[must_use]
    pub fn anchored_at(self, anchor: DateTime<Utc>) -> Self {
        Self { anchor: Some(anchor), ..self }
    }
}

/// So long after each completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// The delay between a completion and the next run.
    pub delay: Duration,
}

impl After {
    /// So long after each completion; the first run as long after the event is stored.
    #[must_use]
    pub fn new(delay: impl IntoSpan) -> Self {
        Self { delay: delay.into_span() }
    }
}

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// 5, 6 (seconds first) or 7 (year last) fields, or a nickname such as `@daily`.
    pub expression: String,
    /// IANA zone, e.g. `Europe/Paris`; none: UTC.
    pub zone: Option<String>,
}

impl Cron {
    /// The expression, in UTC.
    #[must_use]
    pub fn new(expression: impl Into<String>) -> Self {
        Self { expression: expression.into(), zone: None }
    }

    /// In the civil time of this IANA zone.
    #[must_use]
    pub fn tz(self, zone: impl Into<String>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }
}

/// When other events have come to an end: all that it names, each at least once since the last time.
///
/// ```
/// use sexton_plugin_api::prelude::*;
///
/// fn two_steps(tracker: &mut ScheduledEventTracker, first: String) {
///     tracker.schedule_event("acme.second", schedule::Follows::success(first).max_runs(1));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follows {
    /// Ids of events, as `commit` gives them, each with the end that counts: `success`, `failure` or `any`.
    pub links: Vec<(String, On)>,
    /// Completed after so many runs; none: as often as they come to an end.
    pub max_runs: Option<u32>,
}

/// Which end of an occurrence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// It succeeded, at whichever attempt.
    Success,
    /// It failed for good.
    Failure,
    /// Either, or it was cancelled.
    Any,
}

impl Follows {
    /// This event's success.
    #[must_use]
    pub fn success(event: impl Into<String>) -> Self {
        Self { links: Vec::new(), max_runs: None }.and(event, On::Success)
    }

    /// This event's failure for good.
    #[must_use]
    pub fn failure(event: impl Into<String>) -> Self {
        Self { links: Vec::new(), max_runs: None }.and(event, On::Failure)
    }

    /// Any end of this event.
    #[must_use]
    pub fn any(event: impl Into<String>) -> Self {
        Self { links: Vec::new(), max_runs: None }.and(event, On::Any)
    }

    /// This one besides.
    #[must_use]
    pub fn and(mut self, event: impl Into<String>, on: On) -> Self {
        self.links.push((event.into(), on));
        self
    }

    /// Completed after so many runs.
    #[must_use]
    pub fn max_runs(self, most: u32) -> Self {
        Self { max_runs: Some(most), ..self }
    }
}

/// Only when somebody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manual;

impl From<Once> for Schedule {
    fn from(once: Once) -> Self {
        Self(json!({ "once": instant(once.when) }))
    }
}

impl From<Every> for Schedule {
    fn from(every: Every) -> Self {
        let mut form = json!({ "every": span::text(every.step) });
        if let Some(anchor) = every.anchor {
            form["anchor"] = instant(anchor).into();
        }
        Self(form)
    }
}

impl From<After> for Schedule {
    fn from(after: After) -> Self {
        Self(json!({ "after": span::text(after.delay) }))
    }
}

impl From<Cron> for Schedule {
    fn from(cron: Cron) -> Self {
        let mut form = json!({ "cron": cron.expression });
        if let Some(zone) = cron.zone {
            form["tz"] = zone.into();
        }
        Self(form)
    }
}

impl From<Follows> for Schedule {
    fn from(follows: Follows) -> Self {
        let on = |on: On| match on {
            On::Success => "success",
            On::Failure => "failure",
            On::Any => "any",
        };
        let links: Vec<Value> = follows.links.into_iter().map(|(event, of)| json!({ "event": event, "on": on(of) })).collect();
        let mut form = json!({ "follows": links });
        if let Some(most) = follows.max_runs {
            form["max_runs"] = most.into();
        }
        Self(form)
    }
}

impl From<Manual> for Schedule {
    fn from(_: Manual) -> Self {
        Self(json!({ "manual": true }))
    }
}

/// RFC 3339 in UTC. The store keeps microseconds, so nothing finer is said.
fn instant(at: DateTime<Utc>) -> String {
    let fine = at.timestamp_subsec_micros() != 0;
    at.to_rfc3339_opts(if fine { SecondsFormat::Micros } else { SecondsFormat::Secs }, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_forms_are_the_hosts() {
        let at: DateTime<Utc> = "2026-11-23T14:00:00.25Z".parse().unwrap();
        for (schedule, expected) in [
            (Once { when: at }.into(), json!({"once": "2026-11-23T14:00:00.250000Z"})),
            (Every::minutes(5).into(), json!({"every": "5m"})),
            (Every::seconds(90).into(), json!({"every": "90s"})),
            (Every::hours(1).anchored_at(at).into(), json!({"every": "1h", "anchor": "2026-11-23T14:00:00.250000Z"})),
            (After::new(chrono::Duration::minutes(5)).into(), json!({"after": "5m"})),
            (Cron::new("@daily").into(), json!({"cron": "@daily"})),
            (Cron::new("0 2 * * *").tz("Europe/Paris").into(), json!({"cron": "0 2 * * *", "tz": "Europe/Paris"})),
            (Manual.into(), json!({"manual": true})),
            (
                Follows::success("a").and("b", On::Any).max_runs(1).into(),
                json!({"follows": [{"event": "a", "on": "success"}, {"event": "b", "on": "any"}], "max_runs": 1}),
            ),
        ] as [(Schedule, Value); 9]
        {
            assert_eq!(*schedule.to_json(), expected);
        }
    }
}
