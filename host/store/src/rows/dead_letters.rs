//! Dead letters as the verbs on them take and give them.
//!
//! Not what made them dead: that is `sexton_core::decide`. What must hold: as for all rows, times are `DateTime<Utc>` with microseconds.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::{Bot, ErrorCode, EventId, EventState, OccurrenceId};
use std::collections::BTreeMap;

/// Which dead letters. Absent = any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// By type name.
    pub event_type: Option<String>,
    /// By event.
    pub event: Option<EventId>,
    /// Dead at or after.
    pub since: Option<DateTime<Utc>>,
    /// By text in the reason, upper and lower case alike.
    pub reason: Option<String>,
    /// By what went wrong with the last attempt.
    pub code: Option<ErrorCode>,
    /// By bot id.
    pub bot: Option<String>,
    /// By labels, all of them.
    pub labels: BTreeMap<String, String>,
}

impl DeadFilter {
    /// Whether it takes every one.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        *self == Self::default()
    }
}

/// In which order of event and ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For people who look.
    NewestFirst,
    /// For work that goes through all there are: what comes anew is not met.
    OldestFirst,
}

/// A page by key, never by offset.
#[derive(Clone, Copy, Debug)]
pub struct DeadPage {
    /// Only those past this one, in the order.
    pub past: Option<OccurrenceId>,
    /// The order.
    pub order: Order,
    /// At most this many.
    pub limit: usize,
}

/// An occurrence that spent its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Which.
    pub occurrence: OccurrenceId,
    /// Of which event.
    pub event_id: EventId,
    /// Of which type.
    pub event_type: String,
    /// The event's state.
    pub event_state: EventState,
    /// The event's key.
    pub key: Option<String>,
    /// The event's description.
    pub description: Option<String>,
    /// On whose behalf.
    pub bot: Option<Bot>,
    /// The event's labels.
    pub labels: BTreeMap<String, String>,
    /// The instant the schedule meant.
    pub scheduled_for: DateTime<Utc>,
    /// The last attempt that was made.
    pub attempt: u32,
    /// Why it is one.
    pub reason: String,
    /// What went wrong with the last attempt, as a word; none for what is older than the words.
    pub error_code: Option<ErrorCode>,
    /// Since when.
    pub dead_at: DateTime<Utc>,
}
