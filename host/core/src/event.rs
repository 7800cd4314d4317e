//! Scheduled events and their occurrences, as every crate of the host passes them around.
//!
//! Not the rows of a store and not the JSON of the API, though the API's JSON is these names. What must hold: `running` and
//! `unresolved` are derived, never stored.

use crate::decide::SkipReason;
use crate::ids::{EventId, OccurrenceId, TypeId};
use crate::policy::RunPolicy;
use crate::run::RetryPolicy;
use crate::schedule::Schedule;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stored state of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// It has or will have occurrences.
    Scheduled,
    /// Held by an operator; its occurrences are out of the due order.
    Paused,
    /// Every occurrence it will ever have is done.
    Completed,
    /// An operator ended it.
    Cancelled,
    /// A one-shot event whose occurrence became a dead letter, or expired.
    Discarded,
}

/// Why an occurrence is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The schedule gave it. An event has at most one such row whose successor is not there yet.
    Schedule,
    /// A failed attempt, due again by the retry policy.
    Retry,
    /// The job asked for later.
    Snooze,
    /// An operator said `run-now`.
    RunNow,
    /// An operator filled in a past range.
    Backfill,
    /// Held back by the overlap policy.
    Queued,
    /// A dead letter put back.
    Requeue,
    /// What its event follows has come to an end.
    Chain,
}

/// The automation on whose behalf an event was scheduled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bot {
    /// Stable id.
    pub id: String,
    /// Name for people.
    pub name: String,
}

/// A thing that a job acts on. Everything beyond `id` and `kind` is the plugin's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Unique among the resources of an event.
    pub id: String,
    /// What sort of thing it is; the job decides what it understands.
    #[serde(default)]
    pub kind: String,
    /// Further properties, as they came.
    #[serde(flatten)]
    pub properties: BTreeMap<String, Value>,
}

/// What a caller may write of an event. Unknown fields are refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// The event type, e.g. `acme.start_resource`.
    pub event_type: String,
    /// When.
    pub schedule: Schedule,
    /// JSON arguments of the job; `{}` if absent. Never rewritten once stored.
    #[serde(default = "no_args")]
    pub args: Box<RawValue>,
    /// Unique per event type among events neither completed, cancelled nor discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<Bot>,
    /// What the job acts on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
    /// For filters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Higher first among what is due at once; 0 is normal.
    #[serde(default)]
    pub priority: i32,
    /// Overrides the retry policy of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Overlap, time limit, uniqueness, shared limit.
    #[serde(default, skip_serializing_if = "RunPolicy::is_default")]
    pub policy: RunPolicy,
}

impl NewEvent {
    /// An event of that type at those times, and nothing else said.
    #[must_use]
    pub fn new(event_type: impl Into<String>, schedule: Schedule) -> Self {
        Self {
            event_type: event_type.into(),
            schedule,
            args: no_args(),
            key: None,
            description: None,
            bot: None,
            resources: Vec::new(),
            labels: BTreeMap::new(),
            priority: 0,
            retry: None,
            policy: RunPolicy::default(),
        }
    }
}

fn no_args() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

/// A stored event. Written as JSON, never read from it: raw arguments cannot be read through a flattened field.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// State as stored.
    pub state: EventState,
    /// What the caller wrote.
    #[serde(flatten)]
    pub wish: NewEvent,
    /// The type's number in the store.
    #[serde(skip)]
    pub type_id: TypeId,
    /// When its next occurrence is due; none when it waits for nothing (manual, following, ended) or is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// Who stored it.
    pub created_by: String,
    /// When it was last changed by a verb.
    pub updated_at: DateTime<Utc>,
    /// When it became completed, cancelled or discarded.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it is paused or discarded, if somebody said.
    pub reason: Option<String>,
    /// How many occurrences it has had: the greatest `n` given.
    pub occurrences: i64,
    /// Occurrences counted as skipped.
    pub skipped: i64,
    /// Those by reason. What was skipped before reasons were kept is in `skipped` alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skips: BTreeMap<SkipReason, i64>,
    /// The plugin whose `load` declared it (`standing`), with `key`.
    pub standing_of: Option<String>,
}

/// One thing still to run, as a claim hands it to the host.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// Its id, the idempotency key of the run.
    pub id: OccurrenceId,
    /// The type's number.
    pub type_id: TypeId,
    /// The instant the schedule meant.
    pub scheduled_for: DateTime<Utc>,
    /// The instant to start at (later than `scheduled_for` for retries, snoozes and jitter).
    pub due_at: DateTime<Utc>,
    /// The instants of the schedule up to this one are accounted for, if that is further than `scheduled_for`.
    pub counted_to: Option<DateTime<Utc>>,
    /// Why it is there.
    pub cause: Cause,
    /// Whether the schedule gave it, retries and snoozes of such a one included.
    pub by_schedule: bool,
    /// Ordinal of the attempt that is to be made, from 1.
    pub attempt: u32,
    /// How often its run ended with its process; counts towards poison.
    pub interruptions: u32,
    /// Resources that succeeded in earlier attempts, not to be run again.
    pub resources_done: Vec<String>,
    /// The fencing number of this claim.
    pub token: i64,
    /// Higher first among what is due at once.
    pub priority: i32,
    /// Its successor is there already, to start beside it or in its place.
    pub followed: bool,
    /// When it was claimed, another of its event waited to be tried again.
    pub crowded: bool,
    /// What the job is given. Shared: a batch of occurrences may belong to one event.
    pub wish: Arc<NewEvent>,
}

impl Occurrence {
    /// Whether it was started before: it is itself what is going of its event. A dead letter that was put back begins anew.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.interruptions > 0 || matches!(self.cause, Cause::Retry | Cause::Snooze)
    }

    /// Whether it is one that its schedule gave, or that what its event follows has set off, to be started for the first time.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let is_given = self.cause == Cause::Chain || self.by_schedule && matches!(self.cause, Cause::Schedule | Cause::Queued);
        is_given && self.attempt == 1 && !self.is_tried()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{"event_type":"acme.start_resource","schedule":{"cron":"0 2 * * *","tz":"Europe/Paris"},"args":{"n": 1.50, "wait":true},
        "key":"nightly","description":"Start","bot":{"id":"b1","name":"Night"},"resources":[{"id":"r1","kind":"command","argv":["true"]}],
        "labels":{"team":"a"},"priority":-3,"retry":{"attempts":2,"first_delay_ms":10,"max_delay_ms":20},"policy":{"overlap":"allow","timeout":"30s"}}"#;

    #[test]
    fn what_is_written_is_read_back_and_args_stay_as_they_came() {
        let full: NewEvent = serde_json::from_str(FULL).unwrap();
        assert_eq!(full.args.get(), r#"{"n": 1.50, "wait":true}"#);
        let written = serde_json::to_string(&full).unwrap();
        let again: NewEvent = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
        let text: Value = serde_json::from_str(FULL).unwrap();
        assert_eq!(serde_json::to_value(&full).unwrap(), text, "every field is written as it was read");
    }

    #[test]
    fn absent_fields_have_their_defaults() {
        let short: NewEvent = serde_json::from_str(r#"{"event_type":"a.b","schedule":{"manual":true}}"#).unwrap();
        assert_eq!((short.args.get(), short.priority, short.key.as_deref(), short.retry), ("{}", 0, None, None));
        assert!(short.resources.is_empty() && short.labels.is_empty());
        let retry: RetryPolicy = serde_json::from_str("{}").unwrap();
        assert_eq!(retry, RetryPolicy::default());
    }

    #[test]
    fn unknown_fields_are_refused_wherever_they_stand() {
        for (from, to) in [
            (r#""key":"#, r#""kee":"#),
            (r#""tz":"#, r#""zone":"#),
            (r#""attempts":"#, r#""tries":"#),
            (r#""event_type":"acme.start_resource","#, ""),
            (r#""name":"Night""#, r#""name":"Night","nick":"n""#),
        ] {
            assert!(FULL.contains(from));
            assert!(serde_json::from_str::<NewEvent>(&FULL.replace(from, to)).is_err(), "{from} to {to}");
        }
        let with_more = FULL.replace(r#""argv":["true"]"#, r#""anything":{"x":1}"#);
        assert!(serde_json::from_str::<NewEvent>(&with_more).is_ok(), "properties of a resource are the plugin's");
    }
}
