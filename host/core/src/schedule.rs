//! When: the kinds of schedule, their JSON, and the instants they give.
//!
//! Not a clock: every question takes the time it is asked at. What must hold: `next_after` rises strictly, is bounded, and
//! gives the same answer on every host with the same zone data.

use crate::refusal::Refusal;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The rule that gives times. JSON as in the design: `{"once": …} {"every": "5m"} {"after": "5m"} {"cron": …, "tz": …} {"manual": true}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleText", into = "ScheduleText")]
pub enum Schedule {
    /// At one instant.
    Once {
        /// That instant.
        when: DateTime<Utc>,
    },
    /// On a fixed grid from an anchor.
    Every {
        /// The step.
        step: Duration,
        /// A point of the grid; absent = the instant of creation, filled in when the event is stored.
        anchor: Option<DateTime<Utc>>,
    },
    /// A delay after the completion of the previous run; the first occurrence one delay after creation.
    After {
        /// The delay.
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

/// The JSON form: exactly one of the kinds, with what belongs to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleText {
    #[serde(skip_serializing_if = "Option::is_none")]
    once: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manual: Option<bool>,
}

impl TryFrom<ScheduleText> for Schedule {
    type Error = Refusal;
    fn try_from(_text: ScheduleText) -> Result<Self, Refusal> {
        Ok(Self::Manual)
    }
}

impl From<Schedule> for ScheduleText {
    fn from(_schedule: Schedule) -> Self {
        Self::default()
    }
}

impl Schedule {
    /// The form to store: checked (expression parses, zone exists, some instant follows `now`, no endless search), anchor
    /// filled in. A `Once` in the past is accepted: it is due at once.
    pub fn settle(self, _now: DateTime<Utc>) -> Result<Self, Refusal> {
        Ok(self)
    }

    /// The first instant of an event created at `created_at`. `None`: manual.
    pub fn first(&self, _created_at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Refusal> {
        Ok(None)
    }

    /// The first instant strictly after `after`. `Once` and `Manual` have none; `After` counts from `after` as completion.
    pub fn next_after(&self, _after: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Refusal> {
        Ok(None)
    }
}
