//! What plugins ask of their host: schedule, read and write state, prune; answered by a few threads of their own.
//!
//! Not the thread that routes reports: a call may wait for a disk, and reports must not. What must hold: every call is answered once; what is
//! scheduled inside a run is stored with the run's success or not at all.

use crate::clock;
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::engine::table::Phase;
use crate::engine::told::HostEvent;
use crate::engine::{chains, history, intake, limits, progress};
use crate::problem;
use crate::registry::Serving;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sexton_core::{Blame, EventId, NewEvent, Refusal};
use sexton_loader::seam::Order;
use sexton_plugin_api::wire::{CallRefusal, HostCall, ScheduleOrder};
use sexton_store::rows::{Actor, Intention, Spent, Stored};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Threads that answer: few, but more than one, so that their transactions share an fsync.
pub const THREADS: usize = 4;
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
            let value = Some(&value).filter(|v| !v.is_null());
            let put = shared.store.state_put(&serving.plugin, &key, value, expected).map_err(|e| problem::from_store(&e))?;
            Ok(put.map_or_else(|present| json!({"conflict": present}), |version| json!({"version": version})))
        }
        HostCall::Progress { done, total, note } => {
            progress::note(shared, run, done, total, &note);
            Ok(Value::Null)
        }
        HostCall::Prune { older_than_s } => prune(shared, serving, older_than_s),
    }
}

fn schedule(shared: &Shared, serving: &Serving, run: u64, orders: Vec<ScheduleOrder>) -> Result<Value, Refusal> {
    let events = orders.into_iter().map(intake::from_order).collect::<Result<Vec<NewEvent>, Refusal>>()?;
    let (admitted, _judged_by) = intake::admit(shared, events, &[])?;
    let intentions: Vec<Intention> = admitted.into_iter().map(|a| a.intention).collect();
    let mut ids: Vec<EventId> = intentions.iter().map(|i| i.id).collect();
    chains::check_staged(shared, run, &intentions)?;
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
    ids = store(shared, &intentions, &by)?.iter().zip(ids).map(|(stored, id)| chains::stored_as(stored, id)).collect();
    if let Some(acting) = shared.table.rows().actions.get_mut(&run) {
        acting.ids.extend(&ids);
    }
    Ok(json!(ids))
}

/// Stores what was admitted, rings the scheduler and tells who listens. Answers what became of each.
pub fn store(shared: &Shared, intentions: &[Intention], by: &Actor) -> Result<Vec<Stored>, Refusal> {
    let stored = shared.store.schedule(&shared.lease, intentions, by, clock::now()).map_err(|e| problem::from_store(&e))?;
    tell(shared, intentions, &stored);
    Ok(stored)
}

/// Rings the scheduler and tells who listens.
pub fn tell(shared: &Shared, intentions: &[Intention], stored: &[Stored]) {
    let dues = intentions.iter().zip(stored).filter_map(|(intention, stored)| chains::due(intention, stored));
    if let Some(first) = dues.min() {
        // Stored is stored, even if the scheduler has stopped: `health` says that.
        let _ = shared.door.send(Message::Due(first));
    }
    for (intention, _) in intentions.iter().zip(stored).filter(|(_, stored)| matches!(stored, Stored::New { .. })) {
        shared.observers.tell(|| HostEvent::Stored {
            event_id: intention.id,
            event_type: intention.wish.event_type.clone(),
            bot: intention.wish.bot.clone(),
            next_run_at: intention.first,
        });
    }
}

/// A call in a run that is not under way, or is not the asking generation's.
pub fn ended(run: u64) -> Refusal {
    Refusal::new("INP012", Blame::Plugin, format!("run {run} has ended: nothing can be scheduled in it any more"))
        .remedy("schedule before the job returns, and join the threads that it started")
}

fn prune(shared: &Shared, serving: &Serving, older_than_s: Option<u64>) -> Result<Value, Refusal> {
    if serving.plugin != HOST_PLUGIN {
        return Err(Refusal::new("INP011", Blame::Plugin, "only code built into the host may prune").found(serving.plugin.clone()));
    }
    let spent = match older_than_s {
        None => Spent::ByRules,
        Some(seconds) => {
            let age = chrono::Duration::from_std(Duration::from_secs(seconds)).ok();
            Spent::Before(age.and_then(|age| clock::now().checked_sub_signed(age)).unwrap_or(DateTime::<Utc>::MIN_UTC))
        }
    };
    let pruned = history::prune(shared, spent, false, &Actor("host".to_owned()))?;
    Ok(json!({"runs": pruned.runs, "events": pruned.events}))
}
