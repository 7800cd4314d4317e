//! A host in this process for one case: a new directory, the real store, the job to run.
//!
//! Not a simulation. What must hold: the directory is gone afterwards, and the store is as durable as a host's.

use crate::app::House;
use crate::cli::Failure;
use crate::config::{Config, Flags};
use crate::http::Shared;
use crate::problem::from_store;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sexton_core::{Blame, NewEvent, Refusal, Schedule};
use sexton_loader::seam::Placement;
use sexton_store::rows::Actor;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// What runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// A plugin's file; the built-in `sexton.noop` without one.
    pub plugin: Option<PathBuf>,
    /// Its type.
    pub event_type: Option<String>,
    /// Arguments; `{}` without.
    pub args: Option<Box<RawValue>>,
    /// Where the plugin is placed.
    pub placement: Placement,
}

/// Where cases are made.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory for directories.
    pub dir: Option<PathBuf>,
    /// A store in place of a new one.
    pub store: Option<String>,
    /// What runs.
    pub job: Job,
}

/// A started host of one case.
pub struct Rig {
    /// The host.
    pub house: House,
    /// Where its socket is, if it has a door.
    pub socket: PathBuf,
    /// Where events are handed in.
    pub desk: Desk,
    /// Runs that the store held before: a store that was named may have been used.
    pub runs_before: usize,
    plugged: bool,
    _dir: tempfile::TempDir,
}

/// Where events are handed in; callers share it.
#[derive(Clone)]
pub struct Desk {
    rooms: Shared,
    event: NewEvent,
}

impl Place {
    /// A host on a new store, its job served. With a runtime it has a door.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub fn rig(&self, runtime: Option<&Runtime>) -> Result<Rig, Failure> {
        let base = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let made = tempfile::Builder::new().prefix("sexton-bench-").tempdir_in(&base);
        let dir = made.map_err(|e| {
            let refusal = Refusal::new("HST001", Blame::World, format!("no directory can be made in {}: {e}", base.display()));
            Failure::Failed(refusal.remedy("name another with `--dir`"))
        })?;
        let (state, plugins) = (dir.path().join("state"), dir.path().join("plugins"));
        std::fs::create_dir(&plugins)?;
        if let Some(file) = &self.job.plugin {
            let library = plugins.join(file.file_name().unwrap_or_default());
            std::fs::copy(file, &library)
                .map_err(|e| Failure::Input(Refusal::new("PLG001", Blame::Input, format!("{} cannot be copied: {e}", file.display()))))?;
            std::fs::write(library.with_extension("toml"), format!("placement = \"{}\"\n", self.job.placement))?;
        }
        let mut flags = Flags::from([("state", state.display().to_string()), ("name", "bench".to_owned())]);
        flags.insert("plugins", plugins.display().to_string());
        if let Some(store) = &self.store {
            flags.insert("store", store.clone());
        }
        let config = Config::load(None, &BTreeMap::new(), &flags).map_err(Failure::Input)?;
        let house = House::start(&config, runtime).map_err(Failure::Failed)?;
        house.rooms.supervisor.wait_ready();
        let desk = Desk { rooms: Shared::clone(&house.rooms), event: self.event() };
        let runs = house.rooms.store.counts().map_err(|e| Failure::Failed(from_store(&e)))?.runs;
        let (runs_before, plugged) = (usize::try_from(runs).unwrap_or(0), self.job.plugin.is_some());
        let rig = Rig { house, socket: config.socket, desk, runs_before, plugged, _dir: dir };
        rig.must_serve()?;
        Ok(rig)
    }

    fn event(&self) -> NewEvent {
        let no_args = || RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
        let event_type = self.job.event_type.clone().unwrap_or_else(|| "sexton.noop".to_owned());
        NewEvent { args: self.job.args.clone().unwrap_or_else(no_args), ..NewEvent::new(event_type, Schedule::manual()) }
    }
}

impl Desk {
    /// What runs.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event.event_type
    }

    /// One event for that instant.
    #[must_use]
    pub fn event_at(&self, when: DateTime<Utc>) -> NewEvent {
        NewEvent { schedule: Schedule::once(when), ..self.event.clone() }
    }

    /// Stores them in one transaction, timed.
    ///
    /// # Errors
    /// The engine's refusal.
    pub fn schedule(&self, events: Vec<NewEvent>) -> Result<Duration, Failure> {
        let began = std::time::Instant::now();
        self.rooms.engine.schedule(events, &Actor("bench".to_owned())).map_err(Failure::Failed)?;
        Ok(began.elapsed())
    }
}

impl Rig {
    fn must_serve(&self) -> Result<(), Failure> {
        let rooms = &self.house.rooms;
        if rooms.registry.now().types.get(self.desk.event_type()).is_some_and(|t| t.serving.is_some()) {
            return Ok(());
        }
        let rejected = rooms.supervisor.list().into_iter().find_map(|plugin| plugin.rejection);
        Err(Failure::Failed(rejected.unwrap_or_else(|| {
            Refusal::new("INP001", Blame::Input, format!("nobody serves `{}`", self.desk.event_type()))
                .remedy("name the plugin's file with `--plugin` and one of its types with `--type`")
        })))
    }

    /// Where the plugin's jobs run, as the registry has it; none for a job that is built in.
    #[must_use]
    pub fn placement(&self) -> Option<&'static str> {
        let snapshot = self.house.rooms.registry.now();
        let serving = snapshot.types.get(self.desk.event_type()).and_then(|t| t.serving.as_ref())?;
        self.plugged.then(|| serving.placement.name())
    }

    /// Stops the host and removes its directory.
    pub fn stop(self) {
        self.house.stop();
    }
}
