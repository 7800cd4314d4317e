//! The supervisor: the one task that loads, reloads and unloads plugins, and the only one that swaps the registry.
//!
//! It knows nothing of schedules. What must hold: new before old; a failed step leaves what serves serving; every verb is audited with its
//! actor.

mod args_check;
mod arrival;
mod asked;
mod checking;
mod closing;
mod crashes;
mod diff;
mod keeper;
mod levels;
mod listing;
mod lives;
mod looks;
mod offer;
mod opening;
mod placing;
mod publishing;
mod reconcile;
mod rollback;
mod schema_words;
mod settle;
mod snapshot;
mod state;
mod stopping;
mod sweep;
#[cfg(test)]
mod tests;
mod trial;
mod unloading;
mod verbs;
mod view;

use crate::clock::LONGEST_WAIT;
use crate::engine::Engine;
use crate::problem;
use crate::registry::{Placement, Registry};
use arc_swap::ArcSwap;
use asked::{Answer, Asker, Message, Verb, What};
use chrono::{DateTime, Utc};
pub use diff::Diff;
use keeper::Keeper;
pub use levels::Levelled;
pub use looks::settings_of;
use parking_lot::{Condvar, Mutex};
use reconcile::Cause;
use serde::Serialize;
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect::{Rules, Signature};
use sexton_loader::runner::{Figures, Spawner, Usage};
use sexton_loader::seam::Stamped;
use sexton_store::Store;
use sexton_store::rows::{Actor, Decision, Lease};
use state::Limits;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

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
    /// What every file is judged by; its placement comes from its settings.
    pub rules: Rules,
    /// Starts the processes of plugins.
    pub runners: Spawner,
    /// Where generations report to.
    pub reports: Sender<Stamped>,
}

/// A handle; clones share one supervisor.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
    door: Sender<Message>,
}

/// What the supervisor's thread shows, and what a look at it needs.
struct Shared {
    views: ArcSwap<Vec<PluginView>>,
    ready: Mutex<bool>,
    ready_rang: Condvar,
    engine: Engine,
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
}

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
    /// The operator's file; as text, escaped where its name needs it.
    #[serde(serialize_with = "as_shown")]
    pub path: Option<PathBuf>,
    /// Types it owns and serves.
    pub event_types: Vec<String>,
    /// Actions it serves.
    pub actions: Vec<String>,
    /// Runs of it under way.
    pub in_flight: usize,
    /// Those of them that do not stop although their time is over, and that nobody can end.
    pub stuck: usize,
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
    /// How long an unload waits for its runs, if its settings say so.
    #[serde(skip)]
    pub unload_wait: Option<Duration>,
    /// Where its process is asked.
    #[serde(skip)]
    pub usage: Option<Usage>,
    /// What its process uses; none for threads of the host, whose use cannot be told apart.
    #[serde(skip)]
    pub figures: Option<Figures>,
    /// Deaths of its processes since the host started.
    pub crashes: u64,
    /// Starts after such a death since the host started.
    pub restarts: u64,
    /// How the last of them died.
    pub last_death: Option<String>,
    /// What it is confined to.
    pub enforced: Vec<String>,
    /// What this machine cannot enforce.
    pub not_enforced: Vec<String>,
    /// What was found and is no reason to refuse it.
    pub warnings: Vec<String>,
    /// Who signed it, as far as was asked.
    pub signature: Option<Signature>,
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
    /// End its process, and the runs with it: they are interrupted.
    Kill,
}

impl Supervisor {
    /// Starts the supervisor's thread and answers at once: nothing can load before somebody hands it the reports (`report`). It loads what
    /// the directory holds, then watches it. The directory is made if it is not there.
    pub fn start(ground: Ground) -> Result<Self, Refusal> {
        Self::start_within(ground, Limits::default())
    }

    fn start_within(ground: Ground, limits: Limits) -> Result<Self, Refusal> {
        std::fs::create_dir_all(&ground.plugins).map_err(|e| {
            Refusal::new("HST001", Blame::World, format!("the plugin directory {} cannot be made: {e}", ground.plugins.display()))
                .remedy("make it yourself, or name another with `--plugins`")
        })?;
        arrival::sweep(&ground.plugins);
        let shared = Arc::new(Shared {
            views: ArcSwap::default(),
            ready: Mutex::new(false),
            ready_rang: Condvar::new(),
            engine: ground.engine.clone(),
            store: Arc::clone(&ground.store),
            registry: Arc::clone(&ground.registry),
        });
        let (door, inbox) = channel();
        let keeper = Keeper::new(ground, limits, Arc::clone(&shared), door.clone())?;
        let last_word = ReadyAtLast(Arc::clone(&shared));
        let body = move || {
            let _last_word = last_word;
            keeper.run(&inbox);
        };
        std::thread::Builder::new().name("supervisor".to_owned()).spawn(body).map_err(|e| {
            Refusal::new("HST005", Blame::World, format!("the supervisor's thread cannot be started: {e}"))
                .remedy("raise the limit on threads")
        })?;
        Ok(Self { shared, door })
    }

    /// Waits until the built-ins serve and everything that the directory held at the start is loaded or rejected.
    pub fn wait_ready(&self) {
        let mut ready = self.shared.ready.lock();
        while !*ready {
            self.shared.ready_rang.wait(&mut ready);
        }
    }

    /// How long an unload of the plugin waits for runs, if its settings say so.
    #[must_use]
    pub fn unload_wait(&self, name: &str) -> Option<Duration> {
        self.shared.view(name).and_then(|view| view.unload_wait)
    }

    /// All plugins, by name. Never waits for a load.
    #[must_use]
    pub fn list(&self) -> Vec<PluginView> {
        let views = self.shared.views.load();
        self.shared.with_counts(views.as_ref().clone())
    }

    /// Loads by name (ends an operator's unload) or by absolute path (copied into the plugin directory by rename first). Stored events whose
    /// arguments the new build does not accept reject it (`PLG080`); with `force` they are paused instead.
    pub fn load_with(&self, name_or_path: &str, force: bool, by: &Actor) -> Result<PluginView, Refusal> {
        self.ask(What::Load(name_or_path.to_owned()), Cause::Load, force, by)
    }

    /// [`Supervisor::load_with`] without force.
    pub fn load(&self, name_or_path: &str, by: &Actor) -> Result<PluginView, Refusal> {
        self.load_with(name_or_path, false, by)
    }

    /// Unloads: waits for runs up to `wait`, stores the decision, withdraws the types by owner. Past `wait` it is refused (`PLG035`) and
    /// everything is as before.
    pub fn unload(&self, name: &str, mode: UnloadMode, wait: Duration, by: &Actor) -> Result<PluginView, Refusal> {
        let wait = wait.min(LONGEST_WAIT);
        self.ask(What::Unload { name: name.to_owned(), mode, wait }, Cause::Noticed, false, by)
    }

    /// Loads what the directory holds again, even if the digest is the same. `force` as for [`Supervisor::load_with`].
    pub fn reload_with(&self, name: &str, force: bool, by: &Actor) -> Result<PluginView, Refusal> {
        self.ask(What::Reload(name.to_owned()), Cause::Reload, force, by)
    }

    /// [`Supervisor::reload_with`] without force.
    pub fn reload(&self, name: &str, by: &Actor) -> Result<PluginView, Refusal> {
        self.reload_with(name, false, by)
    }

    /// Ends the decision about a plugin.
    pub fn release(&self, name: &str, by: &Actor) -> Result<PluginView, Refusal> {
        self.ask(What::Release(name.to_owned()), Cause::Load, false, by)
    }

    /// Serves an earlier build again, from the copy that was kept: the one before what serves, or the one that `to` names by digest or
    /// generation. Holds while the directory shows what it shows now. `force` as for [`Supervisor::load_with`].
    pub fn rollback(&self, name: &str, to: Option<&str>, force: bool, by: &Actor) -> Result<PluginView, Refusal> {
        self.ask(What::Rollback { name: name.to_owned(), to: to.map(str::to_owned) }, Cause::Rollback, force, by)
    }

    /// Writes into the plugin's settings file where it runs, and loads it there. What is refused is as before, the file too.
    pub fn place(&self, name: &str, placement: Placement, by: &Actor) -> Result<PluginView, Refusal> {
        self.ask(What::Place { name: name.to_owned(), placement }, Cause::Reload, false, by)
    }

    /// What a file would change if it were loaded: opened and checked as `load` does, and nothing of it published.
    pub fn diff(&self, path: &Path) -> Result<Diff, Refusal> {
        let (reply, answer) = channel();
        self.door.send(Message::Diff { path: path.to_owned(), reply }).map_err(|_| problem::stopped_duty("supervisor"))?;
        answer.recv().unwrap_or_else(|_| Err(problem::stopping()))
    }

    /// Lets the serving generation of a plugin log from `level` on (`off error warn info debug trace`), until it is loaded again. Refused if
    /// there is no such plugin (`INP013`), no such level (`INP016`), or nothing of it serves (`INP021`).
    pub fn log_level(&self, name: &str, level: &str, by: &Actor) -> Result<Levelled, Refusal> {
        levels::set(&self.shared, name, level, by)
    }

    /// Forgets who owns an event type; answers who did. Refused if it is not known (`INP001`). The registry is swapped.
    pub fn release_type(&self, event_type: &str, by: &Actor) -> Result<Option<String>, Refusal> {
        let (reply, answer) = channel();
        let message = Message::ReleaseType { event_type: event_type.to_owned(), by: by.clone(), reply };
        self.door.send(message).map_err(|_| problem::stopped_duty("supervisor"))?;
        answer.recv().unwrap_or_else(|_| Err(problem::stopped_duty("supervisor")))
    }

    /// Takes a report that concerns a life cycle (`Loaded Quiescent Gone Migrated`).
    pub fn report(&self, stamped: Stamped) {
        // Nobody is left to be told once the supervisor has stopped.
        let _stopped = self.door.send(Message::Report(stamped));
    }

    /// Drains and unloads everything, within `grace`.
    pub fn stop(&self, grace: Duration) {
        let (reply, done) = channel();
        if self.door.send(Message::Stop { grace, reply }).is_ok() {
            let _ended = done.recv();
        }
    }

    fn ask(&self, what: What, cause: Cause, force: bool, by: &Actor) -> Answer {
        let (reply, answer) = channel();
        let asker = Asker { by: by.clone(), cause, reply: Some(reply), placed: None, force, settings: None };
        let verb = Verb { what, asker, expires: None, arrived: None };
        self.door.send(Message::Verb(verb)).map_err(|_| problem::stopped_duty("supervisor"))?;
        let view = answer.recv().unwrap_or_else(|_| Err(problem::stopped_duty("supervisor")))?;
        let mut counted = self.shared.with_counts(vec![view]);
        Ok(counted.swap_remove(0))
    }
}

impl Shared {
    /// One plugin as last published, without counts.
    fn view(&self, name: &str) -> Option<PluginView> {
        self.views.load().iter().find(|v| v.name == name).cloned()
    }

    /// Fills in what changes without the supervisor: runs under way, events that nobody serves.
    fn with_counts(&self, mut views: Vec<PluginView>) -> Vec<PluginView> {
        let flying = self.engine.in_flight();
        let open = self.store.counts().map(|c| c.open_by_type).unwrap_or_default();
        let known = self.registry.now();
        for view in &mut views {
            view.figures = view.usage.as_ref().and_then(Usage::figures);
            view.in_flight = flying.iter().filter(|run| run.plugin == view.name).count();
            view.stuck = flying.iter().filter(|run| run.stuck && run.plugin == view.name).count();
            let unserved = known.types.values().filter(|t| t.serving.is_none() && t.owner.as_ref() == Some(&view.name));
            view.unresolved_events = unserved.filter_map(|t| open.get(&t.event_type)).sum();
        }
        views
    }

    fn ready(&self) {
        *self.ready.lock() = true;
        self.ready_rang.notify_all();
    }
}

/// A name that is no UTF-8 would else be no JSON, and take every other plugin of a listing along.
#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn as_shown<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(sexton_loader::shown::shown).serialize(to)
}

/// Nobody waits for a supervisor that has ended, however it ended.
struct ReadyAtLast(Arc<Shared>);

impl Drop for ReadyAtLast {
    fn drop(&mut self) {
        self.0.ready();
    }
}
