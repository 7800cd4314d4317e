//! What plugins ask of their host: schedule, read and write state, prune; answered by a few threads of their own.
//!
//! Not the thread that routes reports: a call may wait for a disk, and reports must not. What must hold: every call is answered once; what is
//! scheduled inside a run is stored with the run's success or not at all.

use crate::clock;
use crate::engine::observe::HostEvent;
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::engine::table::Phase;
use crate::engine::{intake, limits};
use crate::problem;
use crate::registry::Serving;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sexton_core::{Blame, EventId, NewEvent, Refusal};
use sexton_loader::seam::Order;
use sexton_plugin_api::wire::{CallRefusal, HostCall, ScheduleOrder};
use sexton_store::rows::{Actor, Intention};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Threads that answer: few, but more than one, so that their transactions share an fsync.
pub const THREADS: usize = 4;
/// Rows that one `prune` statement deletes, so that it never holds the writer for long.
const PRUNED_AT_ONCE: usize = 1_000;

/// The plugin whose code is the host's own.
pub const HOST_PLUGIN: &str = "host";

/// A call on its way to being answered.
#[derive(Debug)]
pub enum Ask {
    /// Answer this.
    Call {
        /// Who asks, and where the answer goes.
        serving: Arc<Serving>,
        /// The call's number.
        call: u64,
        /// Inside which run or action; 0 = none.
        run: u64,
        /// What.
        request: HostCall,
    },
    /// Let one thread end.
    End,
}

/// Answers until `End`.
pub fn run(shared: &Shared, asked: &Mutex<Receiver<Ask>>) {
    loop {
        // The lock is held while waiting: the next thread waits for the lock instead.
        let ask = asked.lock().recv();
        let Ok(Ask::Call { serving, call, run, request }) = ask else { return };
        let answer = answer(shared, &serving, run, request).map_err(|refusal| to_plugin(&refusal));
        // A generation that is gone waits for no answer.
        let _ = serving.orders.send(Order::Answer { call, answer });
    }
}

/// After the last thread ended: nobody is left waiting for an answer.
pub fn refuse_rest(asked: &Mutex<Receiver<Ask>>) {
    for ask in asked.lock().try_iter() {
        if let Ask::Call { serving, call, .. } = ask {
            // As above.
            let _ = serving.orders.send(Order::Answer { call, answer: Err(to_plugin(&problem::stopping())) });
        }
    }
}

/// A refusal as a plugin gets it: `API001` around what the intake said, everything else under its own code.
#[must_use]
pub fn to_plugin(refusal: &Refusal) -> CallRefusal {
    if refusal.code.starts_with("INP") {
        return CallRefusal { code: "API001".to_owned(), message: refusal.to_string() };
    }
    CallRefusal { code: refusal.code.clone(), message: refusal.to_string() }
}

fn answer(shared: &Shared, serving: &Serving, run: u64, request: HostCall) -> Result<Value, Refusal> {
    match request {
        HostCall::Schedule { events } => schedule(shared, serving, run, events),
        HostCall::StateGet { key } => {
            limits::at_most("the key (bytes)", limits::KEY_BYTES, key.len())?;
            let (value, version) = shared.store.state_get(&serving.plugin, &key).map_err(|e| problem::from_store(&e))?;
            Ok(json!({"value": value, "version": version}))
        }
        HostCall::StatePut { key, value, expected } => {
            limits::at_most("the key (bytes)", limits::KEY_BYTES, key.len())?;
            limits::at_most("the value (bytes of JSON)", limits::STATE_BYTES, value.to_string().len())?;
            let value = Some(&value).filter(|v| !v.is_null());
            let put = shared.store.state_put(&serving.plugin, &key, value, expected).map_err(|e| problem::from_store(&e))?;
            Ok(put.map_or_else(|present| json!({"conflict": present}), |version| json!({"version": version})))
        }
        HostCall::Progress { done, total, note } => {
            progress(shared, run, done, total, note);
            Ok(Value::Null)
        }
        HostCall::Prune { older_than_s } => prune(shared, serving, older_than_s),
    }
}

/// Notes how far a run has come; it needs no store and may be called from the thread that routes.
pub fn progress(shared: &Shared, run: u64, done: u64, total: Option<u64>, mut note: String) {
    note.truncate(note.floor_char_boundary(limits::DESCRIPTION_BYTES));
    if let Some(running) = shared.table.rows().runs.get_mut(&run) {
        running.progress = Some((done, total, note));
    }
}

fn schedule(shared: &Shared, serving: &Serving, run: u64, orders: Vec<ScheduleOrder>) -> Result<Value, Refusal> {
    let events = orders.into_iter().map(intake::from_order).collect::<Result<Vec<NewEvent>, Refusal>>()?;
    let (admitted, _judged_by) = intake::admit(shared, events, &[])?;
    let intentions: Vec<Intention> = admitted.into_iter().map(|a| a.intention).collect();
    let ids: Vec<EventId> = intentions.iter().map(|i| i.id).collect();
    let by_action = {
        let mut rows = shared.table.rows();
        if let Some(running) = rows.runs.get_mut(&run) {
            if running.phase == Phase::Ended {
                return Err(ended(run));
            }
            limits::at_most("the number of events scheduled by one run", limits::BATCH, running.follow_ups.len() + intentions.len())?;
            running.follow_ups.extend(intentions);
            return Ok(json!(ids));
        }
        let acting = rows.actions.get(&run).map(|a| a.by.clone());
        if run != 0 && acting.is_none() {
            return Err(ended(run));
        }
        acting
    };
    let by = by_action.unwrap_or_else(|| Actor(format!("plugin:{}", serving.plugin)));
    store(shared, &intentions, &by)?;
    if let Some(acting) = shared.table.rows().actions.get_mut(&run) {
        acting.ids.extend(&ids);
    }
    Ok(json!(ids))
}

/// Stores what was admitted, rings the scheduler and tells who listens.
pub fn store(shared: &Shared, intentions: &[Intention], by: &Actor) -> Result<(), Refusal> {
    shared.store.schedule(&shared.lease, intentions, by, clock::now()).map_err(|e| problem::from_store(&e))?;
    if let Some(first) = intentions.iter().filter_map(|i| i.first).min() {
        // Stored is stored, even if the scheduler has stopped: `health` says that.
        let _ = shared.door.send(Message::Due(first));
    }
    for intention in intentions {
        shared.observers.tell(|| HostEvent::Stored {
            event: intention.id,
            event_type: intention.wish.event_type.clone(),
            next_run_at: intention.first,
        });
    }
    Ok(())
}

/// A call in a run that is not under way, or is not the asking generation's.
pub fn ended(run: u64) -> Refusal {
    Refusal::new("INP012", Blame::Plugin, format!("run {run} has ended: nothing can be scheduled in it any more"))
        .remedy("schedule before the job returns, and join the threads that it started")
}

fn prune(shared: &Shared, serving: &Serving, older_than_s: u64) -> Result<Value, Refusal> {
    if serving.plugin != HOST_PLUGIN {
        return Err(Refusal::new("INP011", Blame::Plugin, "only code built into the host may prune").found(serving.plugin.clone()));
    }
    let age = chrono::Duration::from_std(Duration::from_secs(older_than_s)).ok();
    let Some(before) = age.and_then(|age| clock::now().checked_sub_signed(age)) else { return Ok(json!(0)) };
    let (mut rows, limit) = (0, i64::try_from(PRUNED_AT_ONCE).unwrap_or(i64::MAX));
    loop {
        let deleted = shared.store.prune(before, PRUNED_AT_ONCE).map_err(|e| problem::from_store(&e))?;
        rows += deleted;
        if deleted < limit || shared.is_stopping() {
            return Ok(json!(rows));
        }
    }
}
