//! Placement `in-process`: a generation as a group of threads of this process.
//!
//! Not a scheduler: it runs what it is ordered to, in order, on its own threads. What must hold: every call into the image (constructor,
//! `load`, jobs, drops, `unload`) is on a thread of the generation, and all are joined before `dlclose`.
//!
//! Threads: the *desk* reads orders and never runs plugin code; the *control* thread opens, calls `load` and `unload`; *job* threads start
//! on demand; the *closer*, started last, joins them, closes the image and says `Gone`.

mod board;
mod calls;
mod control;
mod desk;
mod host_table;
mod jobs;
pub(crate) mod logs;
mod stops;

use crate::rejection::Rejection;
use crate::runner::far::Wire;
use crate::seam::{Farewell, Memory, Order, Report, Stamped};
use parking_lot::{Condvar, Mutex};
use sexton_plugin_api::abi::PluginRoot_Ref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// What it takes to start a generation.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The plugin's name.
    pub plugin: String,
    /// Its number, from the store.
    pub generation: i64,
    /// The private copy to open.
    pub image: PathBuf,
    /// Job threads at most.
    pub threads: usize,
    /// Log records a second, at most.
    pub log_lines: u32,
}

/// Where reports go.
#[derive(Clone)]
enum Sink {
    /// To the host of this process.
    Queue(Sender<Stamped>),
    /// To a host that has started this process for the one generation.
    Wire(Arc<Wire>),
}

impl Sink {
    fn send(&self, generation: i64, report: Report) {
        match self {
            // A host that no longer listens is shutting down.
            Self::Queue(reports) => drop(reports.send(Stamped { generation, report })),
            Self::Wire(wire) => wire.send(report),
        }
    }
}

/// Where the code comes from.
enum Source {
    Copy(PathBuf),
    BuiltIn(PluginRoot_Ref),
}

/// What the threads of a generation share.
struct Shared {
    generation: i64,
    /// What the plugin calls its generation by.
    connection: u64,
    plugin: String,
    /// Job threads at most, for runs.
    threads: usize,
    /// `None` once the last report is out.
    reports: Mutex<Option<Sink>>,
    /// The plugin may use tracker and state.
    active: AtomicBool,
    board: Mutex<board::Board>,
    /// Something is in a queue, or the threads must end.
    work: Condvar,
    /// The control thread has something to do.
    turn: Condvar,
    calls: calls::Calls,
    stops: stops::Stops,
    logs: logs::Gate,
}

impl Shared {
    /// Sends a report, unless the last one is out.
    fn report(&self, report: Report) {
        // Not under the lock: a wire may have to wait for its reader.
        let sink = self.reports.lock().clone();
        if let Some(sink) = sink {
            sink.send(self.generation, report);
        }
    }

    /// Sends the last report; answers whether it was this one.
    fn farewell(&self, farewell: Farewell) -> bool {
        let Some(sink) = self.reports.lock().take() else { return false };
        if let Some(dropped) = self.logs.dropped_line() {
            sink.send(self.generation, Report::Log(dropped));
        }
        sink.send(self.generation, Report::Gone(farewell));
        true
    }

    /// Its process lives for it alone.
    fn ends_with_its_process(&self) -> bool {
        matches!(*self.reports.lock(), Some(Sink::Wire(_)))
    }

    fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Starts a thread of this generation; its name is what `top` and debuggers show (15 bytes of it).
    fn spawn(self: &Arc<Self>, run: impl FnOnce(Arc<Self>) + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        let shared = Arc::clone(self);
        std::thread::Builder::new().name(format!("g{}-{}", self.generation, self.plugin)).spawn(move || run(shared))
    }
}

/// Starts a generation. It waits for `Order::Load`; everything else is said in reports. Dropping the sender is `Drain` and `Unload`.
#[must_use]
pub fn open_in_process(opening: Opening, reports: Sender<Stamped>) -> Sender<Order> {
    start(Source::Copy(opening.image.clone()), opening, Sink::Queue(reports))
}

/// The same in a process that lives for this generation alone.
#[must_use]
pub(crate) fn open_on_wire(opening: Opening, wire: Arc<Wire>) -> Sender<Order> {
    start(Source::Copy(opening.image.clone()), opening, Sink::Wire(wire))
}

/// The same for code built into the host: no image, never unmapped.
#[must_use]
pub fn built_in(root: PluginRoot_Ref, plugin: &str, generation: i64, threads: usize, reports: Sender<Stamped>) -> Sender<Order> {
    let opening = Opening { plugin: plugin.to_owned(), generation, image: PathBuf::new(), threads, log_lines: logs::RECORDS_MAX };
    start(Source::BuiltIn(root), opening, Sink::Queue(reports))
}

fn start(source: Source, opening: Opening, sink: Sink) -> Sender<Order> {
    let Opening { plugin, generation, threads, log_lines, .. } = opening;
    let (orders, inbox) = channel();
    let shared = Arc::new(Shared {
        generation,
        connection: host_table::new_connection(),
        plugin,
        threads: threads.max(1),
        reports: Mutex::new(Some(sink)),
        active: AtomicBool::new(false),
        board: Mutex::new(board::Board::default()),
        work: Condvar::new(),
        turn: Condvar::new(),
        calls: calls::Calls::default(),
        stops: stops::Stops::default(),
        logs: logs::Gate::of(log_lines),
    });
    host_table::enter(&shared);
    let control = match shared.spawn(move |shared| control::run(&shared, source)) {
        Ok(control) => control,
        Err(error) => {
            refuse_for_want_of_a_thread(&shared, &error);
            return orders;
        }
    };
    shared.board.lock().handles.push(control);
    // Without a desk nobody could stop the control thread: it is told to end before it has begun.
    if let Err(error) = shared.spawn(move |shared| desk::run(&shared, &inbox)) {
        refuse_for_want_of_a_thread(&shared, &error);
        shared.end_when_quiet();
    }
    orders
}

fn refuse_for_want_of_a_thread(shared: &Shared, error: &std::io::Error) {
    shared.report(Report::Loaded(Err(Rejection::new("PLG010", format!("no thread could be started for the plugin: {error}"))
        .remedy("raise the limit of processes and threads (`ulimit -u`, `TasksMax=`) or stop something else"))));
    shared.farewell(Farewell { memory: Memory::None, unload: None, death: None });
    host_table::leave(shared);
}
