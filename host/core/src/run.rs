//! Runs: attempts at an occurrence, how they ended, and the retry policy.
//!
//! Not the decision what follows from an end: that is `decide`. What must hold: the outcomes are the table of the design.

use crate::error_code::ErrorCode;
use crate::ids::{EventId, OccurrenceId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Succeeded,
    /// Error, panic, timeout or exit before the reply: an attempt is spent.
    Failed,
    /// The job asked for later; no attempt is spent.
    Snoozed,
    /// No retry.
    Cancelled,
    /// Runner or host ended first; counts towards poison unless the host was asked to stop.
    Interrupted,
    /// Reported under a stale token: recorded, changes nothing.
    Lost,
}

/// How a run ended for one resource of a multi-resource job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceEnd {
    /// The resource's id.
    pub id: String,
    /// Its own outcome.
    pub outcome: Outcome,
    /// What went wrong, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How often and when a failed occurrence is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 1 = never again. Default 5.
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// Delay before the second attempt, in milliseconds; doubles each time. Default 5 s.
    #[serde(default = "default_first_delay_ms")]
    pub first_delay_ms: u64,
    /// The delay never exceeds this many milliseconds. Default 1 h.
    #[serde(default = "default_max_delay_ms")]
    pub max_delay_ms: u64,
    /// No attempt is due later than so many milliseconds after the first was; none = only `attempts` ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

fn default_attempts() -> u32 {
    5
}
fn default_first_delay_ms() -> u64 {
    5_000
}
fn default_max_delay_ms() -> u64 {
    3_600_000
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: default_attempts(),
            first_delay_ms: default_first_delay_ms(),
            max_delay_ms: default_max_delay_ms(),
            deadline_ms: None,
        }
    }
}

impl RetryPolicy {
    /// No attempt is due later than so long after the first was.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline_ms.map(Duration::from_millis)
    }

    /// The delay after the failed attempt `attempt` (from 1): anywhere from nothing to the doubled-up bound, so that what failed together
    /// does not come back together. `jitter` and `attempt` alone decide where, the same on every host.
    #[must_use]
    pub fn delay_after(&self, attempt: u32, jitter: u32) -> Duration {
        let doubled = u128::from(self.first_delay_ms) << attempt.saturating_sub(1).min(63);
        let bound_us = doubled.min(u128::from(self.max_delay_ms)) * 1_000;
        let share = u128::from(scatter(jitter, attempt));
        Duration::from_micros(u64::try_from((bound_us * share) >> 32).unwrap_or(u64::MAX))
    }
}

/// A number in `0..=u32::MAX` that differs from attempt to attempt (or interruption to interruption) of one occurrence (the finaliser of splitmix64).
pub(crate) fn scatter(jitter: u32, attempt: u32) -> u32 {
    let mut bits = (u64::from(jitter) << 32 | u64::from(attempt)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((bits ^ (bits >> 31)) >> 32).expect("a shifted half fits")
}

/// One stored run. Its names are the API's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Which occurrence.
    pub occurrence: OccurrenceId,
    /// Which event.
    pub event_id: EventId,
    /// Of which type.
    pub event_type: String,
    /// The instant the schedule meant.
    pub scheduled_for: DateTime<Utc>,
    /// The instant it was due: lateness is `started_at - due_at`.
    pub due_at: DateTime<Utc>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When plugin code was entered; none if an interrupted run never got there.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How.
    pub outcome: Outcome,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// The same as a word for programs: of a run that failed or was interrupted.
    #[serde(default)]
    pub error_code: Option<ErrorCode>,
    /// The job's own JSON.
    pub output: Option<Box<RawValue>>,
    /// Results per resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceEnd>,
    /// Whose code ran.
    pub plugin: String,
    /// Which generation of it.
    pub generation: i64,
    /// SHA-256 of the code, lower-case hex; empty for the host's own.
    pub digest: String,
    /// `in-process` or `runner`.
    pub placement: String,
    /// The host's name.
    pub host: String,
}
