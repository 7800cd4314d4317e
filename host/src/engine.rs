//! The engine: takes events in, runs them on time, settles how they ended.
//!
//! It does not load plugins (it reads the registry's snapshots) and decides nothing itself (`sexton-core` does). What must hold: a started
//! run has a slot in the flight record until its settlement is durable.

use crate::registry::Registry;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sexton_core::{Event, EventId, NewEvent, OccurrenceId, Refusal};
use sexton_loader::flight::{FlightRecord, Left};
use sexton_loader::seam::Stamped;
use sexton_plugin_api::wire::{Bot, Resource, StandingEvent};
use sexton_store::Store;
use sexton_store::rows::{Actor, Change, Lease};
use sexton_store::store::StandingOffer;
use std::sync::Arc;
use std::time::Duration;

/// What the engine stands on.
pub struct Ground {
    /// The durable rows.
    pub store: Arc<dyn Store>,
    /// This host's right to claim.
    pub lease: Lease,
    /// Who serves what.
    pub registry: Arc<Registry>,
    /// Which runs are under way.
    pub flight: FlightRecord,
    /// What the flight record of an earlier life said.
    pub left: Left,
}

/// A handle; clones share one engine.
#[derive(Clone)]
pub struct Engine {}

/// An event as accepted.
#[derive(Clone, Debug, Serialize)]
pub struct Accepted {
    /// Its id.
    pub id: EventId,
    /// When it is due first; none for manual.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Nobody serves its type on this host now; it waits.
    pub unresolved: bool,
    /// Things worth knowing: `the time is in the past: it runs at once`.
    pub notes: Vec<String>,
}

/// The answer to a verb on an event.
#[derive(Clone, Debug, Serialize)]
pub struct Altered {
    /// As stored now.
    pub event: Event,
    /// Runs of it that were already going and go on.
    pub running: Vec<OccurrenceId>,
}

/// A run under way.
#[derive(Clone, Debug, Serialize)]
pub struct InFlight {
    /// Which.
    pub occurrence: OccurrenceId,
    /// Of which type.
    pub event_type: String,
    /// Whose code.
    pub plugin: String,
    /// Which generation.
    pub generation: i64,
    /// Which attempt.
    pub attempt: u32,
    /// When it was handed over.
    pub started_at: DateTime<Utc>,
    /// Asked to stop.
    pub cancelling: bool,
    /// `(done, total, note)` as last reported.
    pub progress: Option<(u64, Option<u64>, String)>,
}

/// A call of an action.
#[derive(Clone, Debug)]
pub struct ActionCall {
    /// Which.
    pub uid: String,
    /// On whose behalf.
    pub bot: Bot,
    /// Its settings.
    pub settings: Value,
    /// What matched.
    pub matches: Vec<Resource>,
    /// What did not.
    pub non_matches: Vec<Resource>,
}

impl Engine {
    /// Resolves what an earlier life left (`recover`) and starts the threads. Types may be served later.
    pub fn start(_ground: Ground) -> Result<Self, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Validates (type known, args by schema, schedule), stores, and rings the due queue. All or nothing. With several events a refusal
    /// names the place: `event 3: …`.
    pub fn schedule(&self, _events: Vec<NewEvent>, _by: &Actor) -> Result<Vec<Accepted>, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Validates a standing event of a batch against the compiled schema of its type, settles its schedule and gives it an id, so that it
    /// can go into `Store::publish`.
    pub fn standing(&self, _event: &StandingEvent, _validator: &jsonschema::Validator) -> Result<StandingOffer, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Changes one event: its entries are out of the due queue before the answer.
    pub fn alter(&self, _id: EventId, _change: Change, _by: &Actor) -> Result<Altered, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Runs under way.
    #[must_use]
    pub fn in_flight(&self) -> Vec<InFlight> {
        Vec::new()
    }

    /// Asks a run to stop. Refused if it is not under way.
    pub fn cancel_run(&self, _occurrence: OccurrenceId) -> Result<(), Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Calls an action and waits for it; answers the ids of events that it scheduled.
    pub fn act(&self, _call: ActionCall, _by: &Actor) -> Result<Vec<EventId>, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// The registry was swapped: look again at what is served.
    pub fn registry_changed(&self) {}

    /// Takes a report that concerns runs, actions or calls (`Started Done Refused Acted Call`), or the `Gone` of a generation.
    pub fn report(&self, _stamped: Stamped) {}

    /// Takes no new runs, waits `drain` for the running, asks them to stop, waits `grace`, settles what ended, gives claims back.
    pub fn stop(&self, _drain: Duration, _grace: Duration) {}
}
