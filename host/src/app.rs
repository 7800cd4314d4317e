//! The host as a whole: the one file that knows every room, starts them in order and stops them in reverse.
//!
//! Not the work of any room. What must hold: whatever was started is stopped, in reverse, also when a later step fails.

mod announce;
mod log_writer;
mod state_dir;

use crate::app::announce::Log;
use crate::config::Config;
use crate::engine::{self, Engine};
use crate::http::{self, Facts, Phase, Rooms, Shared, door};
use crate::problem::{flight_record as from_flight, from_store};
use crate::registry::{Placement, Registry};
use crate::reports;
use crate::supervisor::{self, Supervisor};
use chrono::Utc;
use parking_lot::RwLock;
use sexton_core::{Blame, Refusal};
use sexton_loader::flight::{FlightFile, Left};
use sexton_loader::inspect::Rules;
use sexton_loader::runner::Spawner;
use sexton_store::Store;
use sexton_store::rows::Crash;
use sexton_store::sqlite::Sqlite;
use std::path::Path;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Of each plugin, when the one whose code took the host down is looked for.
const GENERATIONS_LOOKED_AT: usize = 100;
/// How often the engine's duties are looked at.
const HEALTH_LOOK: Duration = Duration::from_secs(5);
/// Threads of the event loop: they only read, write and wait.
const LOOP_THREADS: usize = 2;
/// Requests that may block at once; more wait for a thread.
const BLOCKING_THREADS: usize = 128;
/// Listeners to the event stream at a time.
const LISTENERS: usize = 64;
/// How long open requests may go on once everything else has stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Runs a host until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting.
pub fn serve(config: &Config) -> Result<(), Refusal> {
    let log = Log::start(config)?;
    if !sexton_core::schedule::zone::set_system_dir(config.zoneinfo.clone()) {
        tracing::warn!("the zone data was looked for before `zoneinfo` was said: it is the machine's");
    }
    let ended = serve_logged(config, &log);
    if !log.finish() && ended.is_err() {
        // Whoever should read the refusal reads nothing: to say it would be to hang.
        std::process::exit(1);
    }
    ended
}

fn serve_logged(config: &Config, log: &Log) -> Result<(), Refusal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(LOOP_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("sexton-loop")
        .enable_all()
        .build()
        .map_err(|e| Refusal::new("HST007", Blame::World, format!("the event loop cannot be started: {e}")))?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::listen()?
    };
    let House { rooms, stops } = House::start(config, Some(&runtime))?;
    let shared = Arc::clone(&rooms);
    let loaded = runtime.spawn_blocking(move || shared.supervisor.wait_ready());
    let told = runtime.block_on(async {
        tokio::select! {
            _ = loaded => false,
            () = signals.next() => true,
        }
    });
    if !told {
        *rooms.phase.write() = Phase::Ready;
        log.ready(&rooms);
        let stopped = runtime.block_on(async {
            tokio::select! {
                () = signals.next() => None,
                refusal = duty_ended(&rooms) => Some(refusal),
            }
        });
        if let Some(refusal) = stopped {
            // Nothing would run any more: whoever watches over the process starts it again, and the start resolves what was under way.
            tracing::error!(code = refusal.code, "{refusal}: the host ends");
            return Err(refusal);
        }
    }
    tracing::info!("told to stop: runs under way may end");
    runtime.block_on(leave(config, log, &rooms, stops, &mut signals));
    // A thread that is still in a plugin's code does not hold the end.
    runtime.shutdown_background();
    Ok(())
}

/// Waits until a duty of the engine has ended that must not.
async fn duty_ended(rooms: &Shared) -> Refusal {
    let mut looks = tokio::time::interval(HEALTH_LOOK);
    loop {
        looks.tick().await;
        if let Some(refusal) = rooms.engine.health() {
            return refusal;
        }
    }
}

/// A started host.
pub struct House {
    /// What to ask.
    pub rooms: Shared,
    stops: Stops,
}

impl House {
    /// Starts every room. With a runtime there is a door; without one the caller has the rooms to itself (benches).
    ///
    /// # Errors
    /// Whatever keeps a room from starting; those that had started are stopped.
    pub fn start(config: &Config, runtime: Option<&Runtime>) -> Result<Self, Refusal> {
        let mut stops = Stops::default();
        match start(config, runtime, &mut stops) {
            Ok(rooms) => Ok(Self { rooms, stops }),
            Err(refusal) => {
                stops.run();
                Err(refusal)
            }
        }
    }

    /// Stops every room, the last started first.
    pub fn stop(self) {
        self.stops.run();
    }
}

/// What was started and how it is stopped, in the order of starting.
#[derive(Default)]
struct Stops(Vec<(&'static str, Stop)>);

type Stop = Box<dyn FnOnce() + Send>;

impl Stops {
    fn started(&mut self, what: &'static str, stop: impl FnOnce() + Send + 'static) {
        tracing::debug!(what, "started");
        self.0.push((what, Box::new(stop)));
    }

    fn run(self) {
        for (what, stop) in self.0.into_iter().rev() {
            tracing::debug!(what, "stopping");
            stop();
        }
    }
}

/// The start, in order. What an earlier step gives, a later one stands on.
fn start(config: &Config, runtime: Option<&Runtime>, stops: &mut Stops) -> Result<Shared, Refusal> {
    state_dir::prepare(&config.state, &config.plugins)?;

    let store = open_store(&config.store)?;
    let closing = Arc::clone(&store);
    stops.started("store", move || closing.close());

    let flight = FlightFile::open(&config.state.join("flight"))
        .map_err(|e| from_flight(&e).found(config.state.join("flight").display().to_string()))?;
    let bound = runtime.map(|_| door::bind(&config.socket)).transpose()?.map(Arc::new);
    if let Some(bound) = &bound {
        let removing = Arc::clone(bound);
        stops.started("socket", move || removing.remove());
    }

    let registry = Arc::new(Registry::default());
    blame(store.as_ref(), &flight.1);
    let engine = start_engine(config, &store, &registry, flight)?;
    let (drain, grace) = (config.drain, config.grace);
    // Only for a start that fails later on: otherwise `runs` below has stopped it by then.
    let ending = engine.handle.clone();
    stops.started("engine", move || ending.stop(Duration::ZERO, Duration::ZERO));

    let (sender, receiver) = mpsc::channel();
    let late: Arc<OnceLock<Supervisor>> = Arc::default();
    let life_cycle = Arc::clone(&late);
    // The supervisor's handle is there an instant after its thread: a report that is faster waits for it.
    reports::spawn(receiver, engine.handle.clone(), move |stamped| life_cycle.wait().report(stamped))
        .map_err(|e| Refusal::new("HST007", Blame::World, format!("the thread for reports cannot be started: {e}")))?;

    let runners = Spawner::start()
        .map_err(|e| Refusal::new("HST007", Blame::World, format!("the thread that starts runners cannot be started: {e}")))?;
    let supervisor = Supervisor::start(supervisor::Ground {
        store: Arc::clone(&store),
        lease: engine.lease,
        registry: Arc::clone(&registry),
        engine: engine.handle.clone(),
        plugins: config.plugins.clone(),
        generations: config.state.join("generations"),
        rules: Rules { signatures: config.signatures.clone(), ..Rules::default() },
        runners,
        reports: sender,
    })?;
    // Set once, here.
    let _ = late.set(supervisor.clone());
    let unloading = supervisor.clone();
    stops.started("plugins", move || unloading.stop(grace));

    let rooms = Arc::new(Rooms {
        engine: engine.handle.clone(),
        supervisor,
        store,
        registry,
        phase: RwLock::new(Phase::Starting),
        facts: facts(config),
    });
    if let (Some(bound), Some(runtime)) = (&bound, runtime) {
        open_door(config, runtime, bound, &rooms, stops)?;
    }

    // Last to start, first to stop: the door stays open meanwhile, so that one can see who holds the stop.
    let (engine, stopping) = (engine.handle, Arc::clone(&rooms));
    stops.started("runs", move || {
        *stopping.phase.write() = Phase::Stopping;
        engine.stop(drain, grace);
    });
    Ok(rooms)
}

/// A host that died in the code of a plugin counts that against the plugin: its digest is opened in a runner from then on.
fn blame(store: &dyn Store, left: &Left) {
    let Some(death) = &left.host_death else { return };
    tracing::error!(generation = death.generation, "an earlier life of this host died: {}", death.cause);
    let Some(generation) = death.generation else { return };
    // It may have died in a `load` or an action, with no run under way.
    let known = store.plugins().unwrap_or_default().into_iter().find_map(|plugin| {
        let generations = store.generations(&plugin.name, GENERATIONS_LOOKED_AT).unwrap_or_default();
        generations.into_iter().find(|g| g.number == generation)
    });
    let Some(known) = known else { return };
    let crash = Crash {
        plugin: known.plugin.clone(),
        digest: known.digest,
        generation,
        placement: Placement::InProcess.name().to_owned(),
        cause: death.cause.clone(),
        at: Utc::now(),
    };
    if let Err(error) = store.crashed(&crash) {
        tracing::warn!(plugin = known.plugin, refusal = %from_store(&error), "a crash is not counted");
    }
}

struct Started {
    handle: Engine,
    lease: sexton_store::rows::Lease,
}

fn start_engine(config: &Config, store: &Arc<dyn Store>, registry: &Arc<Registry>, flight: (FlightFile, Left)) -> Result<Started, Refusal> {
    let lease = store.attach(&config.name, Utc::now()).map_err(|e| from_store(&e))?;
    let (flight, left) = flight;
    let (store, registry, slots) = (Arc::clone(store), Arc::clone(registry), config.unsettled_max);
    let ground = engine::Ground { store, lease: lease.clone(), registry, flight, slots, left };
    Ok(Started { handle: Engine::start(ground)?, lease })
}

fn open_store(url: &str) -> Result<Arc<dyn Store>, Refusal> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let opened = if path == ":memory:" { Sqlite::in_memory() } else { Sqlite::open(Path::new(path)) };
    Ok(Arc::new(opened.map_err(|e| from_store(&e))?))
}

fn facts(config: &Config) -> Facts {
    Facts {
        name: config.name.clone(),
        started_at: Utc::now(),
        state_dir: config.state.clone(),
        plugins_dir: config.plugins.clone(),
        store_url: config.store.clone(),
        socket: config.socket.clone(),
        unload_wait: config.unload_wait,
        body_max: config.body_max,
        // Each holds a connection: others must get in.
        listeners_max: LISTENERS.min(config.connections_max / 2).max(1),
    }
}

fn open_door(config: &Config, runtime: &Runtime, bound: &door::Bound, rooms: &Shared, stops: &mut Stops) -> Result<(), Refusal> {
    let _context = runtime.enter();
    let door = bound
        .door(config.connections_max)
        .map_err(|e| Refusal::new("HST002", Blame::World, format!("the socket {} cannot be served: {e}", config.socket.display())))?;
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    let (ended, end) = mpsc::channel::<()>();
    let serving = Arc::clone(rooms);
    runtime.spawn(async move {
        let until_closed = async {
            // A sender that is gone says the same.
            let _ = closed.await;
        };
        if let Err(e) = http::serve(door, serving, until_closed).await {
            tracing::error!(error = %e, "the door closed by itself");
        }
        drop(ended);
    });
    stops.started("door", move || {
        let _ = close.send(());
        // A client that holds its connection does not hold the stop.
        let _ = end.recv_timeout(LAST_ANSWERS);
    });
    Ok(())
}

/// Stops in reverse. A second signal asks runs to stop at once; a third, or `grace` after the second, leaves without waiting.
async fn leave(config: &Config, log: &Log, rooms: &Shared, stops: Stops, signals: &mut Signals) {
    let stopping = tokio::task::spawn_blocking(|| stops.run());
    tokio::pin!(stopping);
    tokio::select! {
        _ = &mut stopping => return,
        () = signals.next() => {}
    }
    tracing::warn!("told again: runs under way are asked to stop now");
    let engine = rooms.engine.clone();
    tokio::task::spawn_blocking(move || engine.ask_to_stop());
    tokio::select! {
        _ = &mut stopping => return,
        () = signals.next() => {}
        () = tokio::time::sleep(config.grace) => {}
    }
    tracing::warn!("leaving with runs under way: they are interrupted, and run again at the next start");
    // Removing the socket tells clients at once; the rest is what the next start recovers from anyway.
    let _ = std::fs::remove_file(&config.socket);
    log.finish();
    std::process::exit(0);
}

/// SIGTERM, SIGINT, and SIGHUP: a terminal that is closed is no reason to break runs off.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Refusal> {
        let of = |kind| signal(kind).map_err(|e| Refusal::new("HST007", Blame::World, format!("signals cannot be listened for: {e}")));
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())?, hangup: of(SignalKind::hangup())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
