//! The supervisor on a real library, with engine and store, in this process.
//!
//! Not the host seen from outside (those tests are in `tests/`). What must hold: every wait is for a condition, with a deadline.

use super::*;
use crate::engine;
use crate::reports;
use serde_json::{Value, json};
use sexton_core::{EventId, NewEvent};
use sexton_loader::flight::FlightFile;
use sexton_loader::runner::Spawner;
use sexton_store::rows::{AuditFilter, Page, RunFilter, Verdict};
use sexton_store::sqlite::Sqlite;
use std::fs;
use std::path::Path;
use std::time::Instant;

mod changes;
mod diffs;
mod places;
mod refusals;
mod rollbacks;
mod signatures;
mod stored_args;
mod tables;
mod trials;
mod unloads;

const PATIENCE: Duration = Duration::from_secs(30);

/// One host without its doors: store, engine, supervisor and the directories they stand on.
struct Site {
    dir: Arc<tempfile::TempDir>,
    store: Arc<dyn Store>,
    engine: Engine,
    registry: Arc<Registry>,
    supervisor: Supervisor,
    lease: Lease,
}

fn who() -> Actor {
    Actor("test".to_owned())
}

/// The fixture as built, with `tail` behind it: other bytes, the same code.
fn library(tail: &str) -> Vec<u8> {
    let test = std::env::current_exe().expect("this test has a path");
    let built = test.parent().and_then(Path::parent).expect("in target/<profile>/deps").join("examples/libfx_supervised.so");
    let mut bytes = fs::read(&built).unwrap_or_else(|e| panic!("{} is built with the tests: {e}", built.display()));
    bytes.extend_from_slice(tail.as_bytes());
    bytes
}

/// The same under another plugin's name.
fn library_of(name: &str, tail: &str) -> Vec<u8> {
    with(library(tail), "\"plugin\":\"fx-first\"", &format!("\"plugin\":\"{name}\""))
}

/// Another build: its job of the same type wants a name.
fn library_named(tail: &str) -> Vec<u8> {
    with(library(tail), "built as: plain", "built as: named")
}

/// A text of the file put in the place of another of the same length.
fn with(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "texts of the same length");
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "`{from}` is in the file");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Runners of the host's program: this one has no such command.
fn runners() -> Spawner {
    let test = std::env::current_exe().expect("this test has a path");
    let host = test.parent().and_then(Path::parent).expect("in target/<profile>/deps").join("sexton");
    Spawner::of(&host).unwrap_or_else(|e| panic!("{} is built before the tests: {e}", host.display()))
}

fn limits() -> Limits {
    Limits { load: Duration::from_secs(10), ..Limits::default() }
}

impl Site {
    /// An empty plugin directory.
    fn new() -> Self {
        Self::with(|_| {}, limits())
    }

    /// A plugin directory filled before the start.
    fn with(fill: impl FnOnce(&Path), limits: Limits) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        fs::create_dir(dir.path().join("plugins")).expect("made");
        fill(&dir.path().join("plugins"));
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().expect("a store"));
        Self::on(dir, store, limits)
    }

    fn on(dir: Arc<tempfile::TempDir>, store: Arc<dyn Store>, limits: Limits) -> Self {
        Self::judging(dir, store, limits, Rules::default())
    }

    fn judging(dir: Arc<tempfile::TempDir>, store: Arc<dyn Store>, limits: Limits, rules: Rules) -> Self {
        let lease = store.attach("test", Utc::now()).expect("attached");
        let registry = Arc::new(Registry::default());
        let (flight, left) = FlightFile::open(&dir.path().join("flight")).expect("a flight record");
        let ground =
            engine::Ground { store: Arc::clone(&store), lease: lease.clone(), registry: Arc::clone(&registry), flight, slots: 64, left };
        let engine = Engine::start(ground).expect("an engine");
        let (reports, inbox) = channel();
        let ground = Ground {
            store: Arc::clone(&store),
            lease: lease.clone(),
            registry: Arc::clone(&registry),
            engine: engine.clone(),
            plugins: dir.path().join("plugins"),
            generations: dir.path().join("generations"),
            rules,
            runners: runners(),
            reports,
        };
        let supervisor = Supervisor::start_within(ground, limits).expect("a supervisor");
        let life_cycle = supervisor.clone();
        reports::spawn(inbox, engine.clone(), move |stamped| life_cycle.report(stamped)).expect("a router");
        supervisor.wait_ready();
        Self { dir, store, engine, registry, supervisor, lease }
    }

    /// Ends engine and supervisor and starts both anew on the same store and directories.
    fn restart(self) -> Self {
        self.restart_after(|_| {})
    }

    fn restart_after(self, meanwhile: impl FnOnce(&Path)) -> Self {
        self.engine.stop(Duration::from_secs(5), Duration::from_secs(1));
        self.supervisor.stop(Duration::from_secs(10));
        meanwhile(&self.dir.path().join("plugins"));
        Self::on(Arc::clone(&self.dir), Arc::clone(&self.store), limits())
    }

    fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.plugins().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("written");
    }

    fn settings(&self, stem: &str, settings: &Value) {
        let table: toml::Table = serde_json::from_value(settings.clone()).expect("a table");
        let text = toml::to_string(&json!({ "settings": table })).expect("toml");
        fs::write(self.path(&format!("{stem}.toml")), text).expect("written");
    }

    fn view(&self, name: &str) -> Option<PluginView> {
        self.supervisor.list().into_iter().find(|v| v.name == name)
    }

    /// Waits for a plugin to be as wanted.
    fn until(&self, name: &str, what: &str, wanted: impl Fn(&PluginView) -> bool) -> PluginView {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = self.view(name);
            match view {
                Some(view) if wanted(&view) => return view,
                other => assert!(Instant::now() < deadline, "in vain waited for: {name} {what}; last seen: {other:?}"),
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn active(&self, name: &str) -> PluginView {
        self.until(name, "active", |v| v.state == PluginState::Active)
    }

    /// Waits until a generation later than that of `before` serves.
    fn newer(&self, before: &PluginView) -> PluginView {
        self.until(&before.name, "reloaded", |v| v.generation > before.generation)
    }

    fn is_served(&self, event_type: &str) -> bool {
        self.registry.now().types.get(event_type).is_some_and(|t| t.serving.is_some())
    }

    fn schedule(&self, event_type: &str, args: &Value) -> engine::Accepted {
        let wish = json!({"event_type": event_type, "args": args, "schedule": {"once": "2020-01-01T00:00:00Z"}});
        let text = wish.to_string();
        let wish: NewEvent = serde_json::from_str(&text).expect("an event");
        self.engine.schedule(vec![wish], &who()).expect("accepted").remove(0)
    }

    /// Schedules a run that goes on until the gate is opened, and waits until the job is entered: a run that was only handed over may
    /// still be given back.
    fn held_run(&self, gate: &Path) -> EventId {
        let id = self.schedule("fx.say", &json!({ "gate": gate })).id;
        let entered = gate.with_extension("entered");
        until("the run to be under way", || {
            let held = self.engine.in_flight().into_iter().find(|r| r.occurrence.event == id);
            held.filter(|_| entered.exists())
        });
        // The next run at the same gate leaves its own.
        fs::remove_file(entered).expect("it was there");
        id
    }

    /// Waits for the only run of an event and answers what it said, and the digest of the code that did.
    fn said(&self, id: EventId) -> (Option<String>, String) {
        let filter = RunFilter { event: Some(id), ..RunFilter::default() };
        let run = until("the run to be settled", || {
            let runs = self.store.runs(&filter, &Page { before: None, limit: 2 }).expect("runs");
            assert!(runs.len() <= 1, "one run for one occurrence: {runs:?}");
            runs.into_iter().next()
        });
        assert_eq!(run.1.outcome, sexton_core::Outcome::Succeeded, "{run:?}");
        (run.1.output.map(|o| o.get().to_owned()), run.1.digest)
    }

    fn audited(&self, verb: &str) -> Vec<sexton_store::rows::AuditLine> {
        let lines = self.store.audit_lines(&AuditFilter::default(), &Page { before: None, limit: 500 }).expect("audit");
        lines.into_iter().map(|(_, line)| line).filter(|line| line.verb == verb).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.engine.stop(Duration::from_secs(1), Duration::from_secs(1));
        self.supervisor.stop(Duration::from_secs(5));
    }
}
