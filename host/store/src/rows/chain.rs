//! What became of intentions, and what an event follows.
//!
//! Not the decisions. What must hold: an answer names events by ids that are stored.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::schedule::follows::On;
use sexton_core::{EventId, EventState};

/// What became of an intention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    New {
        /// When it is due first; none for manual, and for what waits for others.
        next_due: Option<DateTime<Utc>>,
        /// Events that were the same, cancelled for it. Claims on them stand until they are given back or settled.
        replaced: Vec<EventId>,
    },
    /// An event that is the same was there already, and stays.
    Kept {
        /// Which.
        event: EventId,
    },
}

/// A link of an event to one that it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkRow {
    /// The event that is followed.
    pub event: EventId,
    /// Which end of it counts.
    pub on: On,
    /// Whether there was one since the follower was set off last.
    pub satisfied: bool,
    /// The state of the event; none if it is pruned.
    pub state: Option<EventState>,
}
