//! What crosses the boundary as JSON: the batch of `load`, orders to run, replies, and calls of a plugin to its host.
//!
//! Not for plugin authors and not a layout: the tables are in `abi`. What must hold: fields are only ever added, each with a
//! default, so that a host and a plugin of different minor versions read each other.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What `load` offers: all of it is published, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Event types.
    pub types: Vec<TypeOffer>,
    /// Bulk actions.
    pub actions: Vec<ActionOffer>,
    /// Events that the plugin wants to exist.
    pub standing: Vec<StandingEvent>,
}

/// One event type of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeOffer {
    /// Stable id, e.g. `acme.start_resource`.
    pub event_type: String,
    /// JSON Schema (2020-12) of the arguments.
    pub args_schema: Value,
    /// Whether the job runs once per resource.
    #[serde(default)]
    pub multi_resource: bool,
    /// Default retry policy.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// A run that takes longer is asked to stop, milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How long a run that was asked to stop may take to, milliseconds.
    #[serde(default)]
    pub grace_ms: Option<u64>,
}

/// Attempts and delays; absent fields take the host's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts: Option<u32>,
    /// Delay before the second attempt, milliseconds.
    pub first_delay_ms: Option<u64>,
    /// Greatest delay, milliseconds.
    pub max_delay_ms: Option<u64>,
    /// No attempt is due later than so many milliseconds after the first was.
    pub deadline_ms: Option<u64>,
}

/// One action of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOffer {
    /// Stable id, e.g. `acme.action.start_resource_example`.
    pub uid: String,
    /// Called once with all matches rather than once a match.
    #[serde(default)]
    pub bulk: bool,
    /// Wants the non-matches too.
    #[serde(default)]
    pub accepts_complement: bool,
}

/// An event that the plugin wants to exist while its generation is published and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StandingEvent {
    /// Unique per plugin and type; replaced when what follows differs.
    pub key: String,
    /// The event type.
    pub event_type: String,
    /// Arguments.
    pub args: Value,
    /// The schedule in the JSON form that the host parses.
    pub schedule: Value,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// A resource: `id`, `kind`, and whatever else belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Unique among the resources of an event.
    pub id: String,
    /// What sort of thing it is.
    #[serde(default)]
    pub kind: String,
    /// Everything else.
    #[serde(flatten)]
    pub properties: BTreeMap<String, Value>,
}

/// The automation on whose behalf something is scheduled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bot {
    /// Stable id.
    pub id: String,
    /// Name for people.
    #[serde(default)]
    pub name: String,
}

/// An event to be scheduled, in the shape of the host's API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleOrder {
    /// The event type.
    pub event_type: String,
    /// The schedule in the JSON form that the host parses.
    pub schedule: Value,
    /// Arguments.
    #[serde(default)]
    pub args: Value,
    /// Unique per event type among open events.
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
    /// Higher first among what is due at once.
    #[serde(default)]
    pub priority: i32,
    /// What is asked about its runs, in the host's own JSON form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
}

/// What `load` is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadOrder {
    /// The plugin's name, as the host knows it.
    pub plugin: String,
    /// The `[settings]` table of `<stem>.toml`; `{}` if there is none.
    #[serde(default)]
    pub settings: Value,
    /// 0 = off, 1 = error … 5 = trace.
    pub log_level: u8,
}

/// One run, on its way to the job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunOrder {
    /// Names this run on the connection; not reused by a host process.
    pub run: u64,
    /// `<event id>.<n>`: the idempotency key.
    pub occurrence: String,
    /// Which job.
    pub event_type: String,
    /// Its arguments, as stored.
    pub args: Box<RawValue>,
    /// Ordinal of the attempt, from 1.
    pub attempt: u32,
    /// The instant the schedule meant.
    pub scheduled_for: DateTime<Utc>,
    /// When the host will ask it to stop; none = never.
    #[serde(default)]
    pub deadline: Option<DateTime<Utc>>,
    /// On whose behalf.
    #[serde(default)]
    pub bot: Option<Bot>,
    /// What the job acts on.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// Ids of resources that succeeded in earlier attempts.
    #[serde(default)]
    pub resources_done: Vec<String>,
    /// Of the event.
    #[serde(default)]
    pub description: Option<String>,
    /// Of the event.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum JobEnd {
    /// Done.
    Succeeded,
    /// Failed; retry by policy unless permanent.
    Failed {
        /// Why.
        message: String,
        /// Trying again cannot help.
        #[serde(default)]
        permanent: bool,
    },
    /// Panicked; counts as failed.
    Panicked {
        /// The payload as text.
        message: String,
        /// `file:line:column`.
        #[serde(default)]
        place: Option<String>,
    },
    /// Due again after this many milliseconds, attempt not spent.
    Snoozed {
        /// How long.
        after_ms: u64,
    },
    /// No retry.
    Cancelled {
        /// Why.
        #[serde(default)]
        reason: String,
    },
}

/// How it went for one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceReply {
    /// The resource's id.
    pub id: String,
    /// Its own end.
    #[serde(flatten)]
    pub end: JobEnd,
}

/// What a run answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReply {
    /// Of which run.
    pub run: u64,
    /// How it ended.
    pub end: JobEnd,
    /// The job's own JSON.
    #[serde(default)]
    pub output: Option<Box<RawValue>>,
    /// Of a multi-resource job.
    #[serde(default)]
    pub resources: Vec<ResourceReply>,
}

/// One call of an action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActOrder {
    /// Names this call on the connection, from the same numbers as runs.
    pub run: u64,
    /// Which action.
    pub uid: String,
    /// On whose behalf.
    pub bot: Bot,
    /// The action's settings.
    #[serde(default)]
    pub settings: Value,
    /// What matched.
    pub matches: Vec<Resource>,
    /// What did not, if the action accepts the complement.
    #[serde(default)]
    pub non_matches: Vec<Resource>,
}

/// What a plugin asks of its host. The answer is a `Result<Value, CallRefusal>` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum HostCall {
    /// Store these events: tied to the run's success inside a run, at once outside. Answer: the ids, an array of text.
    Schedule {
        /// All or nothing.
        events: Vec<ScheduleOrder>,
    },
    /// Read a key of the plugin's own state. Answer: `{"value": …|null, "version": n}`.
    StateGet {
        /// The key.
        key: String,
    },
    /// Write a key if its version is `expected`. Answer: `{"version": n}`, or `{"conflict": n}`.
    StatePut {
        /// The key.
        key: String,
        /// Null removes it.
        value: Value,
        /// The version it must have; absent = whatever it is.
        #[serde(default)]
        expected: Option<i64>,
    },
    /// How far a run has come. Answer: null.
    Progress {
        /// Steps done.
        done: u64,
        /// Steps in all, if known.
        #[serde(default)]
        total: Option<u64>,
        /// For people.
        #[serde(default)]
        note: String,
    },
    /// Only from code built into the host: delete finished runs, and ended events that have none left. Answer: `{"runs", "events"}`, how many.
    Prune {
        /// Those older than so many seconds; none: what was kept long enough by the rules of retention.
        #[serde(default)]
        older_than_s: Option<u64>,
    },
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRefusal {
    /// The host's code; `NotYetActive` calls carry `API002`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// Why `load` or `unload` failed, or a library cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFailure {
    /// `error` or `panic`.
    pub kind: String,
    /// In words.
    pub message: String,
    /// `file:line:column` of a panic.
    #[serde(default)]
    pub place: Option<String>,
}

/// What the identity section says, read without running code. Keys as in the section's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The plugin's name.
    pub plugin: String,
    /// Its version, semver.
    pub version: String,
    /// The API's major version it was built against: must be equal to the host's.
    pub api_major: u32,
    /// The API's minor version it was built against: must not exceed the host's.
    pub api_minor: u32,
    /// `rustc --version` of the build.
    pub rustc: String,
    /// `unwind` or `abort`.
    pub panic: String,
    /// Event types registered by attribute: advice, the batch of `load` is the truth.
    #[serde(default)]
    pub event_types: Vec<String>,
}
