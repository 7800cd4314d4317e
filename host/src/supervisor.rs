//! The supervisor: the one task that loads, reloads and unloads plugins, and the only one that swaps the registry.
//!
//! It knows nothing of schedules. What must hold: new before old; a failed step leaves what serves serving; every verb is audited with its
//! actor.

use crate::engine::Engine;
use crate::registry::{Placement, Registry};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::Refusal;
use sexton_loader::seam::Stamped;
use sexton_store::Store;
use sexton_store::rows::{Actor, Decision, Lease};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// What the supervisor stands on.
pub struct Ground {
    /// The durable rows.
    pub store: Arc<dyn Store>,
    /// This host's lease.
    pub lease: Lease,
    /// What it swaps.
    pub registry: Arc<Registry>,
    /// Told of every swap.
    pub engine: Engine,
    /// The directory that operators write to.
    pub plugins: PathBuf,
    /// The host's own directory of private copies.
    pub generations: PathBuf,
    /// Where generations report to.
    pub reports: Sender<Stamped>,
}

/// A handle; clones share one supervisor.
#[derive(Clone)]
pub struct Supervisor {}

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// In the directory, not yet looked at (or settling).
    Discovered,
    /// On its way in.
    Opening,
    /// Serving.
    Active,
    /// Taking no new runs, waiting for the running.
    Draining,
    /// The file was refused; nothing serves.
    Rejected,
    /// Unloaded by an operator's decision.
    Unloaded,
    /// Its process crashed too often.
    Quarantined,
    /// Gone.
    Retired,
}

/// A plugin as operators see it.
#[derive(Clone, Debug, Serialize)]
pub struct PluginView {
    /// Its name (the file's stem while its identity is unknown).
    pub name: String,
    /// From its identity.
    pub version: Option<String>,
    /// Where it stands.
    pub state: PluginState,
    /// The serving generation.
    pub generation: Option<i64>,
    /// Where it runs.
    pub placement: Placement,
    /// Digest of the serving code.
    pub digest: Option<String>,
    /// The operator's file.
    pub path: Option<PathBuf>,
    /// Types it owns and serves.
    pub event_types: Vec<String>,
    /// Actions it serves.
    pub actions: Vec<String>,
    /// Runs of it under way.
    pub in_flight: usize,
    /// Open events whose type it owns and nobody serves.
    pub unresolved_events: i64,
    /// Since when it is in this state.
    pub since: DateTime<Utc>,
    /// The decision in force.
    pub decision: Option<Decision>,
    /// Why the newest build was refused, even if an older one serves.
    pub rejection: Option<Refusal>,
    /// Generations draining or gone: number, state, what became of the memory.
    pub generations: Vec<GenerationView>,
    /// From its identity: `rustc --version`.
    pub rustc: Option<String>,
    /// Bytes of the code.
    pub size_bytes: Option<u64>,
}

/// One generation, past or present.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationView {
    /// Its number.
    pub generation: i64,
    /// `active`, `draining`, `retired (unmapped)`, `retired (lingering: …)`.
    pub state: String,
    /// Digest of the code.
    pub digest: String,
}

/// How an unload may end runs that are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnloadMode {
    /// Wait for them up to the deadline, then say who holds.
    Wait,
    /// Take the types away and leave the runs to themselves.
    Abandon,
}

impl Supervisor {
    /// Starts the supervisor's thread and answers at once: nothing can load before somebody hands it the reports (`report`). It loads what
    /// the directory holds, then watches it.
    pub fn start(_ground: Ground) -> Result<Self, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Waits until the built-ins serve and everything that the directory held at the start is loaded or rejected.
    pub fn wait_ready(&self) {}

    /// Forgets who owns an event type; answers who did. Refused if it is not known (`INP001`). The registry is swapped.
    pub fn release_type(&self, _event_type: &str, _by: &Actor) -> Result<Option<String>, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// All plugins.
    #[must_use]
    pub fn list(&self) -> Vec<PluginView> {
        Vec::new()
    }

    /// Loads by name (ends an operator's unload) or by path (copied into the plugin directory by rename first).
    pub fn load(&self, _name_or_path: &str, _by: &Actor) -> Result<PluginView, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Unloads: waits for runs up to `wait`, stores the decision, withdraws the types by owner.
    pub fn unload(&self, _name: &str, _mode: UnloadMode, _wait: std::time::Duration, _by: &Actor) -> Result<PluginView, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Loads what the directory holds again, even if the digest is the same.
    pub fn reload(&self, _name: &str, _by: &Actor) -> Result<PluginView, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Ends the decision about a plugin.
    pub fn release(&self, _name: &str, _by: &Actor) -> Result<PluginView, Refusal> {
        Err(Refusal::new("HST000", sexton_core::Blame::Bug, "not built"))
    }

    /// Takes a report that concerns a life cycle (`Loaded Quiescent Gone Migrated`).
    pub fn report(&self, _stamped: Stamped) {}

    /// Drains and unloads everything, within `grace`.
    pub fn stop(&self, _grace: std::time::Duration) {}
}
