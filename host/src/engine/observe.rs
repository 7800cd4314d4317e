//! What happens, told to whoever listens: a bounded broadcast.
//!
//! Not a log and not durable: a slow listener loses the oldest, and is told how many. What must hold: nobody listening costs one load of a
//! counter; whoever tells never waits for whoever listens; ids rise in the order in which things were told.

use crate::clock;
use crate::engine::told::{HostEvent, Told};
use parking_lot::{Condvar, Mutex};
use sexton_core::{Blame, Refusal};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

/// How many a slow listener may be behind: more than one call can schedule.
const BEHIND: usize = 16_384;

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// This happened.
    Told(Arc<Told>),
    /// So many things happened that it did not hear of: it was too slow.
    Missed(u64),
    /// The host stops: there will be no more.
    Over,
}

/// One who listens, until it is dropped.
#[derive(Debug)]
pub struct Listener {
    told: broadcast::Receiver<Arc<Told>>,
    over: watch::Receiver<bool>,
    listening: Arc<AtomicUsize>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    /// The next thing; may be given up and asked again.
    pub async fn next(&mut self) -> Heard {
        tokio::select! {
            // What was told before the end is heard before it.
            biased;
            heard = self.told.recv() => match heard {
                Ok(told) => Heard::Told(told),
                Err(RecvError::Lagged(missed)) => Heard::Missed(missed),
                Err(RecvError::Closed) => Heard::Over,
            },
            _ = self.over.wait_for(|over| *over) => Heard::Over,
        }
    }

    /// The next thing, if it is there already.
    pub fn try_next(&mut self) -> Option<Heard> {
        match self.told.try_recv() {
            Ok(told) => Some(Heard::Told(told)),
            Err(TryRecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

/// Runs whose newest progress has not been told.
#[derive(Debug, Default)]
struct Untold {
    runs: HashSet<u64>,
    over: bool,
}

/// The sending side, in the engine.
#[derive(Debug)]
pub struct Observers {
    sender: broadcast::Sender<Arc<Told>>,
    /// How many listen. The sender knows it too, but only under its lock.
    listening: Arc<AtomicUsize>,
    /// The id of the next; held while telling, so that ids rise.
    next: Mutex<u64>,
    over: watch::Sender<bool>,
    untold: Mutex<Untold>,
    changed: Condvar,
}

impl Default for Observers {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(BEHIND).0,
            listening: Arc::default(),
            next: Mutex::new(1),
            over: watch::channel(false).0,
            untold: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl Observers {
    /// Listens from now on.
    ///
    /// # Errors
    /// `INP044` if `most` listen already.
    pub fn watch(&self, most: usize) -> Result<Listener, Refusal> {
        // Two who come at once are counted one after the other.
        let _turn = self.next.lock();
        let listening = self.listening.load(Ordering::Relaxed);
        if listening < most {
            let listener = Listener { told: self.sender.subscribe(), over: self.over.subscribe(), listening: Arc::clone(&self.listening) };
            self.listening.fetch_add(1, Ordering::Relaxed);
            return Ok(listener);
        }
        Err(Refusal::new("INP044", Blame::Input, "the event stream has no room for another listener")
            .expected(format!("at most {most} at a time"))
            .found(format!("{listening} listen now"))
            .remedy("end one of them (`sexton watch`, or a program that reads the stream), or let several readers share one"))
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.listening.load(Ordering::Relaxed) > 0
    }

    /// Tells, if anybody listens.
    pub fn tell(&self, what: impl FnOnce() -> HostEvent) {
        if self.is_heard() {
            let event = what();
            let mut next = self.next.lock();
            // The last listener may leave meanwhile: then nobody wants to know.
            let _ = self.sender.send(Arc::new(Told { id: *next, at: clock::now(), event }));
            *next += 1;
        }
    }

    /// This run has said how far it is, too soon after the last time to be told at once.
    pub fn later(&self, run: u64) {
        let mut untold = self.untold.lock();
        if untold.runs.insert(run) && untold.runs.len() == 1 {
            self.changed.notify_all();
        }
    }

    /// Waits until there is something to tell and `apart` has passed; `None` at the end.
    pub fn untold(&self, apart: Duration) -> Option<HashSet<u64>> {
        let mut untold = self.untold.lock();
        while untold.runs.is_empty() && !untold.over {
            self.changed.wait(&mut untold);
        }
        let until = Instant::now() + apart;
        while !untold.over {
            if self.changed.wait_until(&mut untold, until).timed_out() {
                return Some(std::mem::take(&mut untold.runs));
            }
        }
        None
    }

    /// The host stops: whoever listens hears that there will be no more.
    pub fn end(&self) {
        self.untold.lock().over = true;
        self.changed.notify_all();
        self.over.send_replace(true);
    }
}
