//! What the engine's threads have in common: the ground they stand on, the table of runs, and the doors to each other.
//!
//! Not a place for decisions. What must hold: everything mutable in it has its own lock, and none is held across a store call.

use crate::clock;
use crate::engine::almanac::Page;
use crate::engine::calls;
use crate::engine::duty::Health;
use crate::engine::limiting;
use crate::engine::observe::Observers;
use crate::engine::overruns::Watch;
use crate::engine::run_logs::RunLogs;
use crate::engine::scheduler::Message;
use crate::engine::settler::Ending;
use crate::engine::table::Table;
use crate::engine::wake::Bell;
use crate::problem;
use crate::registry::Registry;
use parking_lot::{Mutex, RwLock};
use sexton_core::calendar::Calendars;
use sexton_core::ids::EventIds;
use sexton_core::{EventId, Refusal};
use sexton_loader::flight::FlightRecord;
use sexton_store::Store;
use sexton_store::rows::Lease;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

/// The scheduler's letter box: a queue and the bell that wakes its reader.
#[derive(Clone, Debug)]
pub struct Door {
    /// The queue.
    pub inbox: Sender<Message>,
    /// The bell.
    pub bell: Arc<Bell>,
}

impl Door {
    /// Leaves a message and rings.
    pub fn send(&self, message: Message) -> Result<(), Refusal> {
        self.inbox.send(message).map_err(|_| problem::stopped_duty("scheduler"))?;
        self.bell.ring();
        Ok(())
    }
}

/// What schedules are asked with, and what was noticed of the clock.
#[derive(Debug, Default)]
pub struct Almanac {
    /// As the store has them.
    pub calendars: RwLock<Arc<Calendars>>,
    /// Held by a verb on calendars from its storing to its reading: the later verb's is read later.
    pub changing: Mutex<()>,
    /// How often the clock was set since the start.
    pub clock_steps: AtomicU64,
}

/// Shared by all threads of the engine.
pub struct Shared {
    /// The durable rows.
    pub store: Arc<dyn Store>,
    /// This host's right to claim.
    pub lease: Lease,
    /// Who serves what.
    pub registry: Arc<Registry>,
    /// Which runs are under way, for the next life of the host.
    pub flight: FlightRecord,
    /// Which runs are under way, for this one.
    pub table: Table,
    /// What runs logged so far.
    pub run_logs: RunLogs,
    /// Listeners.
    pub observers: Observers,
    /// Whether every duty goes on.
    pub health: Arc<Health>,
    /// No new runs or actions.
    pub stopping: AtomicBool,
    /// The settler need not wait any longer for a store that cannot write.
    pub give_up: AtomicBool,
    /// To the scheduler.
    pub door: Door,
    /// To the settler.
    pub endings: Sender<Ending>,
    /// To the threads that answer plugins.
    pub calls: Sender<calls::Ask>,
    /// To the thread that watches over long runs.
    pub begun: Sender<Watch>,
    /// To the thread that looks at zone data.
    pub pages: Sender<Page>,
    /// What schedules are asked with, and what was noticed of the clock.
    pub almanac: Almanac,
    /// Whether something waits for a slot of a limit.
    pub limits: limiting::Watch,
    ids: Mutex<EventIds>,
    run_numbers: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// What [`Shared::new`] takes from the ground and the doors made for the threads.
pub struct Parts {
    /// As given to the engine.
    pub store: Arc<dyn Store>,
    /// As given to the engine.
    pub lease: Lease,
    /// As given to the engine.
    pub registry: Arc<Registry>,
    /// Begun, once what was left in it was durable.
    pub flight: FlightRecord,
    /// To the scheduler.
    pub door: Door,
    /// To the settler.
    pub endings: Sender<Ending>,
    /// To the threads that answer plugins.
    pub calls: Sender<calls::Ask>,
    /// To the thread that watches over long runs.
    pub begun: Sender<Watch>,
    /// To the thread that looks at zone data.
    pub pages: Sender<Page>,
}

impl Shared {
    /// Nothing under way, numbers from 1 (0 means outside a run).
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, lease, registry, flight, door, endings, calls, begun, pages } = parts;
        let host = u8::try_from(lease.host).unwrap_or(u8::MAX);
        Self {
            ids: Mutex::new(EventIds::new(host, lease.greatest_event)),
            store,
            lease,
            registry,
            flight,
            table: Table::default(),
            run_logs: RunLogs::default(),
            observers: Observers::default(),
            health: Arc::new(Health::default()),
            stopping: AtomicBool::new(false),
            give_up: AtomicBool::new(false),
            door,
            endings,
            calls,
            begun,
            pages,
            almanac: Almanac::default(),
            limits: limiting::Watch::default(),
            run_numbers: AtomicU64::new(1),
        }
    }

    /// So many ids, rising.
    pub fn event_ids(&self, count: usize) -> Vec<EventId> {
        let now_ms = clock::now().timestamp_millis();
        let mut ids = self.ids.lock();
        (0..count).map(|_| ids.next(now_ms)).collect()
    }

    /// A number for a run or a call of an action.
    pub fn run_number(&self) -> u64 {
        self.run_numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the host is on its way out.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
