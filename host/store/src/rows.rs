//! The values that go into and come out of the store's verbs.
//!
//! Not SQL and not JSON of the API. What must hold: times are `DateTime<Utc>` with microseconds.

mod alert;
mod chain;
mod dead_letters;
mod history;
mod kept;
mod limits;
mod overlap;
mod time;

pub use alert::{AlertFound, AlertMove, AlertRow};
pub use chain::{LinkRow, Stored};
pub use dead_letters::{DeadFilter, DeadLetter, DeadPage, Order};
pub use history::{AuditFilter, AuditLine, Crash, GenerationRow, RunLine, RunLog};
pub use kept::{PrunePlace, Pruned, Pruning, RetentionRow, Spent, StateRow, TypeStats};
pub use limits::{LimitRow, NextClaim};
pub use overlap::Overlapped;
pub use time::{CalendarRow, ClockPage, Misfired, ZonePage, ZoneRow};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sexton_core::decide::End;
use sexton_core::{
    Cause, ErrorCode, EventId, EventState, NewEvent, OccurrenceId, Outcome, ResourceEnd, RetryPolicy, RunPolicy, Schedule, TimeLimit,
    TypeId,
};
use std::collections::BTreeMap;

/// Who changed something: `cli:root`, `watcher`, `host`, `plugin:http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub String);

/// The right of one host to claim and settle, got from [`crate::Store::attach`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The host's small number (fits `u8`; part of the event ids it gives).
    pub host: i64,
    /// The host's name.
    pub name: String,
    /// Raised at each attach: a settlement under an older epoch is `lost`.
    pub epoch: i64,
    /// The greatest event id stored, for `EventIds::new`.
    pub greatest_event: Option<EventId>,
    /// How many claims of earlier epochs of this host were found, to be resolved by [`crate::Store::recover`].
    pub stale_claims: i64,
}

/// A validated event about to be stored, under an id given by the host. The schedule is settled.
#[derive(Clone, Debug)]
pub struct Intention {
    /// Its id.
    pub id: EventId,
    /// The type, known to the store.
    pub type_id: TypeId,
    /// What the caller wrote.
    pub wish: NewEvent,
    /// First instant; none for manual.
    pub first: Option<DateTime<Utc>>,
    /// Set for standing events: replaces what this plugin declared under the same key.
    pub standing_of: Option<String>,
}

/// An event type as the store remembers it.
#[derive(Clone, Debug, Serialize)]
pub struct TypeRow {
    /// Its number.
    #[serde(skip)]
    pub id: TypeId,
    /// Its name, e.g. `acme.start_resource`.
    pub event_type: String,
    /// The owning plugin, `host` for built-ins; none once released.
    pub owner: Option<String>,
    /// JSON Schema of the arguments as last offered.
    pub args_schema: Value,
    /// SHA-256 of the schema's canonical JSON, hex.
    pub schema_digest: String,
    /// Default retry policy, if the plugin gave one.
    pub retry: Option<RetryPolicy>,
    /// How long a run may take, and then to stop, if the plugin said so.
    pub time_limit: TimeLimit,
    /// When it was first published.
    pub first_seen_at: DateTime<Utc>,
}

/// What `load` offered, on its way to being published.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The event type.
    pub event_type: String,
    /// JSON Schema of its arguments.
    pub args_schema: Value,
    /// Default retry policy.
    pub retry: Option<RetryPolicy>,
    /// How long a run may take, and then to stop.
    pub time_limit: TimeLimit,
}

/// A decision about a plugin against the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Stay unloaded while the directory shows this digest.
    Unload,
    /// Serve an earlier build while the directory shows this digest.
    Rollback,
    /// Crashed too often; not to be started while the directory shows this digest.
    Quarantine,
}

/// One decision per plugin, valid while the directory shows `digest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// Against which digest in the directory.
    pub digest: String,
    /// By whom.
    pub by: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// The digest to serve instead: of a `Rollback`, or of a `Quarantine` by which the host itself went back.
    pub serve: Option<String>,
}

/// A plugin as the store remembers it.
#[derive(Clone, Debug, Serialize)]
pub struct PluginRow {
    /// Its name.
    pub name: String,
    /// The decision in force, if any.
    pub decision: Option<Decision>,
    /// The generation last published, with its digest.
    pub last_generation: Option<(i64, String)>,
}

/// An occurrence that was started, according to the flight record, when its host ended.
#[derive(Clone, Debug)]
pub struct Aborted {
    /// Which.
    pub occurrence: OccurrenceId,
    /// Under which claim.
    pub token: i64,
    /// Which attempt.
    pub attempt: u32,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// Whose code.
    pub plugin: String,
    /// Which generation.
    pub generation: i64,
    /// SHA-256 of the code, hex.
    pub digest: String,
    /// `in-process` or `runner`.
    pub placement: String,
    /// Why it ended, for people: `host ended`, `signal 11`.
    pub cause: String,
}

/// The end of one run, to be settled.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// Which occurrence.
    pub occurrence: OccurrenceId,
    /// Under which claim.
    pub token: i64,
    /// Which attempt.
    pub attempt: u32,
    /// When plugin code was entered.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How.
    pub end: End,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The same for programs.
    pub code: Option<ErrorCode>,
    /// The job's own JSON.
    pub output: Option<Box<RawValue>>,
    /// Results per resource.
    pub resources: Vec<ResourceEnd>,
    /// Whose code ran.
    pub plugin: String,
    /// Which generation.
    pub generation: i64,
    /// SHA-256 of the code, hex.
    pub digest: String,
    /// `in-process` or `runner`.
    pub placement: String,
    /// Stored with the run's success, dropped otherwise. Already validated.
    pub follow_ups: Vec<Intention>,
    /// What it said. Kept however it ended; none or empty stores nothing.
    pub log: Option<RunLog>,
}

/// What settlement made of one [`RunEnd`], in the order of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The outcome that was recorded (`Lost` under a stale token).
    pub outcome: Outcome,
    /// When the event is due next, by retry, snooze or successor, or what follows it, if that is earlier: a hint for the due queue.
    pub next_due: Option<DateTime<Utc>>,
    /// The event's state afterwards.
    pub state: EventState,
    /// It waits to be tried again while others of its event are left, which are not to start beside it.
    pub crowds: bool,
}

/// A verb on one event.
#[derive(Clone, Debug)]
pub enum Change {
    /// Hold it.
    Pause {
        /// Why, for people.
        note: Option<String>,
    },
    /// Let it go on; what was missed follows the misfire policy (one run for all missed).
    Resume,
    /// End it; occurrences not started are removed.
    Cancel,
    /// One occurrence now, the schedule untouched.
    RunNow,
    /// New values; absent = as before. Never fires.
    Edit(Box<Edit>),
}

/// What an edit may change.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edit {
    /// New schedule (settled by the host before it comes here).
    pub schedule: Option<Schedule>,
    /// New arguments (validated by the host before they come here).
    pub args: Option<Box<RawValue>>,
    /// New description.
    pub description: Option<String>,
    /// New labels, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// New priority.
    pub priority: Option<i32>,
    /// New retry policy.
    pub retry: Option<RetryPolicy>,
    /// New run policy, all of it.
    pub policy: Option<RunPolicy>,
}

/// A page by key, never by offset.
#[derive(Clone, Debug)]
pub struct Page {
    /// Only ids before this one (lists run newest first).
    pub before: Option<i64>,
    /// At most this many.
    pub limit: usize,
}

/// Which events to list. Absent = any.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// By type name.
    pub event_type: Option<String>,
    /// By stored state.
    pub state: Option<EventState>,
    /// By key.
    pub key: Option<String>,
    /// By bot id.
    pub bot: Option<String>,
    /// By labels, all of them.
    pub labels: BTreeMap<String, String>,
    /// By the id of one of its resources.
    pub resource: Option<String>,
    /// By an event that it follows.
    pub follows: Option<EventId>,
}

/// Which runs to list. Absent = any.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// By event.
    pub event: Option<EventId>,
    /// By occurrence ordinal on that event.
    pub n: Option<i64>,
    /// By type name.
    pub event_type: Option<String>,
    /// By outcome.
    pub outcome: Option<Outcome>,
    /// Finished at or after.
    pub since: Option<DateTime<Utc>>,
    /// By what went wrong.
    pub code: Option<ErrorCode>,
    /// By the plugin whose code ran.
    pub plugin: Option<String>,
    /// By bot id of its event.
    pub bot: Option<String>,
    /// By labels of its event, all of them.
    pub labels: BTreeMap<String, String>,
    /// By the id of one of the resources of its event.
    pub resource: Option<String>,
}

/// An occurrence as an operator sees it: waiting, claimed, or a dead letter.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// Which.
    pub occurrence: OccurrenceId,
    /// The instant the schedule meant.
    pub scheduled_for: DateTime<Utc>,
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// Why it is there.
    pub cause: Cause,
    /// The attempt to be made.
    pub attempt: u32,
    /// It waits behind another of its event, out of the due order.
    pub queued: bool,
    /// A dead letter, and why.
    pub dead: Option<String>,
}

/// Counts for `status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Events in state `scheduled`.
    pub scheduled: i64,
    /// Events in state `paused`.
    pub paused: i64,
    /// Occurrences that are dead letters.
    pub dead_letters: i64,
    /// Runs recorded.
    pub runs: i64,
    /// Per type name: events not ended.
    pub open_by_type: BTreeMap<String, i64>,
}
