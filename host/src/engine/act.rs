//! Calls of actions: one order, one answer, and the ids of what was scheduled in between.
//!
//! Not a run: nothing is stored of the call itself and nothing is tried again. What must hold: the caller waits no longer than the limit, and
//! what does not end then is watched further (`overruns`).

use crate::engine::overruns::{self, Watch};
use crate::engine::shared::Shared;
use crate::engine::table::{Acting, ActionEnd, Left};
use crate::engine::{ActionCall, intake, limits};
use crate::problem;
use crate::registry::{ServedAction, Snapshot};
use sexton_core::{Blame, EventId, Refusal};
use sexton_loader::seam::Order;
use sexton_plugin_api::wire::{ActOrder, EntryFailure};
use sexton_store::rows::Actor;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Calls an action and waits for it.
pub fn act(shared: &Shared, call: ActionCall, by: &Actor, wait: Duration) -> Result<Vec<EventId>, Refusal> {
    if shared.is_stopping() {
        return Err(problem::stopping());
    }
    limits::at_most("the number of matches", limits::RESOURCES, call.matches.len())?;
    limits::at_most("the number of non-matches", limits::RESOURCES, call.non_matches.len())?;
    let served = served(&shared.registry.now(), &call.uid)?;
    let (number, (end, ended)) = (shared.run_number(), mpsc::channel());
    let serving = Arc::clone(&served.serving);
    let open = {
        let mut rows = shared.table.rows();
        // One that is gone is closed under this lock: later nobody would end the call.
        let open = rows.is_open(serving.generation);
        if open {
            rows.actions.insert(number, Acting { serving, by: by.clone(), ids: Vec::new(), end });
        }
        open
    };
    let uid = call.uid.clone();
    let sent = open && served.serving.orders.send(Order::Act(order(number, call, &served))).is_ok();
    let result = if sent { ended.recv_timeout(wait).ok() } else { Some(Err(gone())) };
    let (result, ids) = taken_back(shared, number, &uid, result, &ended, wait);
    match result {
        Some(Ok(())) => Ok(ids),
        Some(Err(failure)) => Err(failed(&uid, &problem::entry_failure(&failure), &ids)),
        None => {
            // If it cannot be told any more, it is gone.
            let _ = served.serving.orders.send(Order::Cancel { run: number });
            // Without a watch it is left to itself.
            let _ = shared.begun.send(Watch::Left(number, Instant::now() + overruns::GRACE));
            Err(failed(&uid, &format!("it has not answered for {}", humantime::format_duration(wait)), &ids))
        }
    }
}

/// Takes the call out of the table, with what it scheduled. One that has not ended stays known, to be watched: under the same lock as its end
/// is told, so that it is either here or there.
fn taken_back(
    shared: &Shared,
    number: u64,
    uid: &str,
    result: Option<ActionEnd>,
    ended: &Receiver<ActionEnd>,
    waited: Duration,
) -> (Option<ActionEnd>, Vec<EventId>) {
    let mut rows = shared.table.rows();
    let result = result.or_else(|| ended.try_recv().ok());
    let Some(Acting { serving, ids, .. }) = rows.actions.remove(&number) else { return (result, Vec::new()) };
    if result.is_none() {
        rows.left.insert(number, Left { uid: uid.to_owned(), serving, waited });
    }
    (result, ids)
}

/// Without the snapshot around it: that is not to be held while the action goes on.
fn served(snapshot: &Snapshot, uid: &str) -> Result<Arc<ServedAction>, Refusal> {
    snapshot.actions.get(uid).map(Arc::clone).ok_or_else(|| unknown_action(snapshot, uid))
}

fn order(run: u64, call: ActionCall, served: &ServedAction) -> ActOrder {
    let non_matches = if served.offer.accepts_complement { call.non_matches } else { Vec::new() };
    ActOrder { run, uid: call.uid, bot: call.bot, settings: call.settings, matches: call.matches, non_matches }
}

fn gone() -> EntryFailure {
    EntryFailure { kind: "error".into(), message: "its plugin takes no calls any more".into(), place: None }
}

fn failed(uid: &str, why: &str, ids: &[EventId]) -> Refusal {
    let refusal = Refusal::new("PLG043", Blame::Plugin, format!("the action `{uid}` failed: {why}"));
    if ids.is_empty() {
        return refusal.remedy("nothing was scheduled: the call may be repeated");
    }
    let listed = ids.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    refusal.found(format!("{} events that it had scheduled before: {listed}", ids.len())).remedy("look at these before repeating the call")
}

fn unknown_action(snapshot: &Snapshot, uid: &str) -> Refusal {
    let refusal = Refusal::new("INP014", Blame::Input, format!("nobody serves the action `{uid}`"));
    let near = intake::nearest(uid, snapshot.actions.keys().map(String::as_str));
    let refusal = if let Some(near) = near { refusal.expected(format!("perhaps `{near}`")) } else { refusal };
    refusal.remedy("`sexton action list` shows those that are served now")
}
