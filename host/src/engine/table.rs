//! The table of runs and actions that are under way: from the moment they are handed over until their settlement is durable.
//!
//! Not the flight record (that one is for the next life of the host) and not a queue. What must hold: its lock is never held across a store
//! call, a send to a full queue or plugin code; a generation that is gone gets nothing more.

use crate::engine::progress::Progress;
use crate::registry::{Serving, Snapshot};
use chrono::{DateTime, Utc};
use parking_lot::{Condvar, Mutex, MutexGuard};
use sexton_core::decide::time_limit::Bounds;
use sexton_core::{EventId, Occurrence, OccurrenceId};
use sexton_loader::seam::Farewell;
use sexton_plugin_api::wire::EntryFailure;
use sexton_store::rows::{Actor, Intention};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Handed over; no thread has entered the job yet.
    Handed,
    /// A thread entered the job.
    Entered,
    /// It ended; its settlement is not durable yet.
    Ended,
}

/// One run.
#[derive(Debug)]
pub struct Running {
    /// What runs.
    pub occurrence: Occurrence,
    /// Whose code.
    pub serving: Arc<Serving>,
    /// Its slot of the flight record.
    pub slot: usize,
    /// When it was handed over.
    pub handed_at: DateTime<Utc>,
    /// When a thread entered the job.
    pub entered_at: Option<DateTime<Utc>>,
    /// Where it stands.
    pub phase: Phase,
    /// It was asked to stop.
    pub cancelling: bool,
    /// It was asked by the host's own end, so that an end on request is no end of its work.
    pub stopped: bool,
    /// It was asked to stop because it took too long.
    pub overrun: bool,
    /// How long it may take, and then to stop.
    pub bounds: Bounds,
    /// Since when it does not stop although its time is over, in a place where nobody can end it.
    pub stuck_since: Option<DateTime<Utc>>,
    /// A verb on its event was answered since it was handed over: it may settle, or go back to the store, never start anew from here.
    pub altered: bool,
    /// As last reported.
    pub progress: Option<Progress>,
    /// Scheduled inside it, to be stored with its success.
    pub follow_ups: Vec<Intention>,
}

impl Running {
    /// Whether somebody wants its work undone: not because it takes too long, nor because the host ends.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        self.cancelling && !self.stopped
    }
}

/// What came of an action: its failure in a sentence, or nothing.
pub type ActionEnd = Result<(), EntryFailure>;

/// One call of an action.
#[derive(Debug)]
pub struct Acting {
    /// Whose code.
    pub serving: Arc<Serving>,
    /// On whose behalf its events are stored.
    pub by: Actor,
    /// Events that it stored so far.
    pub ids: Vec<EventId>,
    /// Who waits for its end.
    pub end: Sender<ActionEnd>,
}

/// A call of an action whose caller waits no longer: it was asked to stop and has not ended.
#[derive(Debug)]
pub struct Left {
    /// Which action.
    pub uid: String,
    /// Whose code.
    pub serving: Arc<Serving>,
    /// How long its caller had waited.
    pub waited: Duration,
}

/// What the lock protects.
#[derive(Debug, Default)]
pub struct Rows {
    /// By run number.
    pub runs: HashMap<u64, Running>,
    /// By run number.
    pub actions: HashMap<u64, Acting>,
    /// By run number: it may ask nothing more, and is watched until it ends.
    pub left: HashMap<u64, Left>,
    /// By event: runs whose settlement is not durable.
    of_event: HashMap<EventId, usize>,
    /// Events of which something waits to be tried again beside others that may have been claimed before it failed.
    crowds: HashSet<EventId>,
    /// By generation: handed over and not ended.
    load: HashMap<i64, usize>,
    /// Every generation that is not gone, as last seen.
    servings: HashMap<i64, Arc<Serving>>,
    /// By generation: how often it asked something before anybody introduced it.
    strangers: HashMap<i64, u64>,
    /// Generations that get nothing more: gone, draining, or deaf.
    closed: HashSet<i64>,
}

/// Shared by scheduler, settler and reports.
#[derive(Debug, Default)]
pub struct Table {
    rows: Mutex<Rows>,
    changed: Condvar,
    /// The scheduler has due occurrences that wait for room: whoever makes some rings it.
    pub starved: AtomicBool,
}

impl Rows {
    /// Runs of a generation that have not ended.
    #[must_use]
    pub fn load(&self, generation: i64) -> usize {
        self.load.get(&generation).copied().unwrap_or(0)
    }

    /// Whether a generation takes runs.
    #[must_use]
    pub fn is_open(&self, generation: i64) -> bool {
        !self.closed.contains(&generation)
    }

    /// Lets a generation get nothing more.
    pub fn close(&mut self, generation: i64) {
        self.closed.insert(generation);
    }

    /// Puts runs in; gives them back if their generation is closed.
    pub fn hand_over(&mut self, generation: i64, runs: Vec<(u64, Running)>) -> Result<(), Vec<(u64, Running)>> {
        if !self.is_open(generation) {
            return Err(runs);
        }
        *self.load.entry(generation).or_default() += runs.len();
        for (_, run) in &runs {
            *self.of_event.entry(run.occurrence.id.event).or_default() += 1;
        }
        self.runs.extend(runs);
        Ok(())
    }

    /// Takes out a run that did not start; `None` if it started, ended, or is not there any more.
    pub fn take_unstarted(&mut self, number: u64) -> Option<Running> {
        self.runs.get(&number).filter(|r| r.phase == Phase::Handed)?;
        let run = self.remove(number)?;
        self.relieve(run.serving.generation);
        Some(run)
    }

    /// Marks a run as ended and shows it; `None` if it is not under way.
    pub fn end(&mut self, number: u64) -> Option<&mut Running> {
        let generation = self.runs.get(&number).filter(|r| r.phase != Phase::Ended)?.serving.generation;
        self.relieve(generation);
        let run = self.runs.get_mut(&number)?;
        run.phase = Phase::Ended;
        Some(run)
    }

    /// Whether a number is that of a run or action of this generation: what runs foreign code may say any number.
    #[must_use]
    pub fn is_of(&self, number: u64, generation: i64) -> bool {
        let run = self.runs.get(&number).map(|r| r.serving.generation);
        run.or_else(|| self.actions.get(&number).map(|a| a.serving.generation)) == Some(generation)
    }

    /// Whether a thread of this generation may have died of this number: what nobody waits for any longer is not innocent.
    #[must_use]
    pub fn may_blame(&self, number: u64, generation: i64) -> bool {
        self.is_of(number, generation) || self.is_left(number, generation)
    }

    /// Whether a number is that of an action of this generation for which nobody waits.
    #[must_use]
    pub fn is_left(&self, number: u64, generation: i64) -> bool {
        self.left.get(&number).is_some_and(|l| l.serving.generation == generation)
    }

    /// Whether an action of a generation has not ended.
    #[must_use]
    pub fn acts(&self, generation: i64) -> bool {
        self.actions.values().any(|a| a.serving.generation == generation) || self.left.values().any(|l| l.serving.generation == generation)
    }

    /// Runs that have not ended.
    pub fn under_way(&self) -> impl Iterator<Item = (u64, &Running)> {
        self.runs.iter().filter(|(_, r)| r.phase != Phase::Ended).map(|(n, r)| (*n, r))
    }

    /// Who a generation is.
    #[must_use]
    pub fn serving(&self, generation: i64) -> Option<Arc<Serving>> {
        self.servings.get(&generation).map(Arc::clone)
    }

    /// Counts a question of a generation that nobody introduced; true for its first.
    pub fn count_stranger(&mut self, generation: i64) -> bool {
        let asked = self.strangers.entry(generation).or_default();
        *asked += 1;
        *asked == 1
    }

    /// Forgets such a generation; answers how often it asked.
    pub fn forget_stranger(&mut self, generation: i64) -> u64 {
        self.strangers.remove(&generation).unwrap_or(0)
    }

    /// Whether something of an event is going: a run that is not settled, or one that waits to be tried again while others are left.
    #[must_use]
    pub fn is_going(&self, event: EventId) -> bool {
        self.of_event.contains_key(&event) || self.crowds.contains(&event)
    }

    /// What waits of these events is known to the store, and to whatever is claimed of them from now on.
    pub fn forget_crowds<'a>(&mut self, events: impl IntoIterator<Item = &'a EventId>) {
        for event in events {
            self.crowds.remove(event);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Running> {
        let run = self.runs.remove(&number)?;
        let event = run.occurrence.id.event;
        if let Some(count) = self.of_event.get_mut(&event) {
            *count -= 1;
            if *count == 0 {
                self.of_event.remove(&event);
            }
        }
        Some(run)
    }

    fn relieve(&mut self, generation: i64) {
        if let Some(load) = self.load.get_mut(&generation) {
            *load -= 1;
            if *load == 0 {
                self.load.remove(&generation);
            }
        }
    }
}

impl Table {
    /// The rows, for as long as it takes to look at them.
    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock()
    }

    /// Remembers who serves, so that a generation can be answered after its types went to another.
    pub fn remember(&self, snapshot: &Snapshot) {
        let serving = snapshot.types.values().filter_map(|t| t.serving.as_ref());
        let acting = snapshot.actions.values().map(|a| &a.serving);
        let mut rows = self.rows();
        for one in serving.chain(acting) {
            if rows.is_open(one.generation) {
                rows.servings.entry(one.generation).or_insert_with(|| Arc::clone(one));
            }
        }
    }

    /// Remembers who a generation is before it may ask anything, whether or not it will serve types or actions.
    pub fn introduce(&self, serving: &Arc<Serving>) {
        let mut rows = self.rows();
        if rows.is_open(serving.generation) {
            rows.servings.insert(serving.generation, Arc::clone(serving));
        }
    }

    /// A generation is gone. Answers the runs of it that never started and the numbers of those that had; its actions end here.
    pub fn gone(&self, generation: i64, farewell: &Farewell) -> (Vec<u64>, Vec<u64>) {
        let mut rows = self.rows();
        rows.close(generation);
        rows.servings.remove(&generation);
        let of_it = |r: &Running| r.serving.generation == generation;
        let unstarted = rows.under_way().filter(|(_, r)| of_it(r) && r.phase == Phase::Handed).map(|(n, _)| n).collect();
        let started = rows.under_way().filter(|(_, r)| of_it(r) && r.phase == Phase::Entered).map(|(n, _)| n).collect();
        let why = farewell.unload.as_ref().map_or_else(String::new, |f| format!(": {}", f.message));
        for (_, acting) in rows.actions.extract_if(|_, a| a.serving.generation == generation) {
            let failure = EntryFailure { kind: "error".into(), message: format!("its generation ended before it did{why}"), place: None };
            // Nobody waits any more if the caller gave up.
            let _ = acting.end.send(Err(failure));
        }
        rows.left.retain(|_, left| left.serving.generation != generation);
        (unstarted, started)
    }

    /// Takes out runs whose settlement is durable, each with whether its occurrence `crowds` its event: waits to be tried again beside others.
    pub fn settled(&self, numbers: impl IntoIterator<Item = (u64, bool)>) {
        let mut rows = self.rows();
        for (number, crowds) in numbers {
            let run = rows.remove(number);
            if let Some(run) = run {
                let event = run.occurrence.id.event;
                if crowds {
                    rows.crowds.insert(event);
                } else if !rows.crowds.is_empty() {
                    rows.crowds.remove(&event);
                }
            }
        }
        drop(rows);
        self.tell_change();
    }

    /// Wakes those who wait for the table to change.
    pub fn tell_change(&self) {
        self.changed.notify_all();
    }

    /// Waits until `done` says so; false if `deadline` passed first.
    pub fn wait_until(&self, deadline: Instant, mut done: impl FnMut(&Rows) -> bool) -> bool {
        let mut rows = self.rows();
        while !done(&rows) {
            if self.changed.wait_until(&mut rows, deadline).timed_out() {
                return done(&rows);
            }
        }
        true
    }

    /// Whether somebody waits for room.
    #[must_use]
    pub fn is_starved(&self) -> bool {
        self.starved.load(Ordering::SeqCst)
    }

    /// Runs of an event: every one whose settlement is not durable, and of those the ones that have not ended. Each is marked.
    pub fn mark_altered(&self, event: EventId) -> (Vec<OccurrenceId>, Vec<OccurrenceId>) {
        let (mut unsettled, mut under_way) = (Vec::new(), Vec::new());
        for run in self.rows().runs.values_mut().filter(|r| r.occurrence.id.event == event) {
            run.altered = true;
            unsettled.push(run.occurrence.id);
            if run.phase != Phase::Ended {
                under_way.push(run.occurrence.id);
            }
        }
        (unsettled, under_way)
    }
}
