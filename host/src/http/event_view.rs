//! The JSON of an event: every name of the stable core, null or empty where there is nothing, and what is derived.
//!
//! Not the row. What must hold: arguments stand as they were written; `running` and `unresolved` are worked out from what runs and is served now.

use crate::http::Shared;
use crate::registry::Snapshot;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sexton_core::decide::SkipReason;
use sexton_core::{Bot, Event, EventId, EventState, Resource, RetryPolicy, RunPolicy, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An event as programs see it.
#[derive(Debug, Serialize)]
pub struct EventView {
    id: EventId,
    event_type: String,
    state: EventState,
    running: bool,
    unresolved: bool,
    schedule: Schedule,
    args: Box<RawValue>,
    next_run_at: Option<DateTime<Utc>>,
    key: Option<String>,
    description: Option<String>,
    bot: Option<Bot>,
    resources: Vec<Resource>,
    labels: BTreeMap<String, String>,
    priority: i32,
    retry: Option<RetryPolicy>,
    policy: RunPolicy,
    reason: Option<String>,
    occurrences: i64,
    skipped: i64,
    skips: BTreeMap<SkipReason, i64>,
    standing_of: Option<String>,
    created_at: DateTime<Utc>,
    created_by: String,
    updated_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

/// What is derived, at one instant.
pub struct Derived {
    running: BTreeSet<EventId>,
    snapshot: Arc<Snapshot>,
}

impl Derived {
    /// What runs and what is served now.
    #[must_use]
    pub fn now(rooms: &Shared) -> Self {
        let running = rooms.engine.in_flight().into_iter().map(|run| run.occurrence.event).collect();
        Self { running, snapshot: rooms.registry.now() }
    }

    /// An event's view. Only an open event can be unresolved.
    #[must_use]
    pub fn view(&self, event: Event) -> EventView {
        let open = matches!(event.state, EventState::Scheduled | EventState::Paused);
        let served = self.snapshot.types.get(&event.wish.event_type).is_some_and(|t| t.serving.is_some());
        let wish = event.wish;
        EventView {
            id: event.id,
            event_type: wish.event_type,
            state: event.state,
            running: self.running.contains(&event.id),
            unresolved: open && !served,
            schedule: wish.schedule,
            args: wish.args,
            next_run_at: event.next_run_at,
            key: wish.key,
            description: wish.description,
            bot: wish.bot,
            resources: wish.resources,
            labels: wish.labels,
            priority: wish.priority,
            retry: wish.retry,
            policy: wish.policy,
            reason: event.reason,
            occurrences: event.occurrences,
            skipped: event.skipped,
            skips: event.skips,
            standing_of: event.standing_of,
            created_at: event.created_at,
            created_by: event.created_by,
            updated_at: event.updated_at,
            finished_at: event.finished_at,
        }
    }
}
