//! What happens, told to whoever listens: a bounded broadcast.
//!
//! Not a log and not durable: a slow listener loses the oldest. What must hold: nobody listening costs one load of a counter.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::{EventId, OccurrenceId, Outcome};
use std::sync::Arc;
use tokio::sync::broadcast;

/// How many a slow listener may be behind.
const BEHIND: usize = 1_024;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum HostEvent {
    /// An event was stored.
    Stored {
        /// Which.
        event: EventId,
        /// Of which type.
        event_type: String,
        /// When it is due first.
        next_run_at: Option<DateTime<Utc>>,
    },
    /// A thread entered a job.
    Started {
        /// Which.
        occurrence: OccurrenceId,
        /// Of which type.
        event_type: String,
        /// Which generation.
        generation: i64,
        /// When.
        at: DateTime<Utc>,
    },
    /// A run was settled.
    Ended {
        /// Which.
        occurrence: OccurrenceId,
        /// Which attempt.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// Whose code.
        plugin: String,
        /// Which generation.
        generation: i64,
        /// When it ended.
        at: DateTime<Utc>,
    },
}

/// The sending side, in the engine.
#[derive(Debug)]
pub struct Observers(broadcast::Sender<Arc<HostEvent>>);

impl Default for Observers {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }
}

impl Observers {
    /// Listens from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<HostEvent>> {
        self.0.subscribe()
    }

    /// Tells, if anybody listens.
    pub fn tell(&self, what: impl FnOnce() -> HostEvent) {
        if self.0.receiver_count() > 0 {
            // The last listener may leave meanwhile: then nobody wants to know.
            let _ = self.0.send(Arc::new(what()));
        }
    }
}
