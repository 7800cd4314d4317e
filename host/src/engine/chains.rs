//! What the host has to do about chains and uniqueness: tell callers what became of their wishes, and start nothing of what was replaced.
//!
//! Not the rules, which are the store's and the core's. What must hold: after the answer nothing of a replaced event starts, and what already runs of
//! it is named; a run that schedules what follows an unknown event hears it at once.

use crate::engine::Accepted;
use crate::engine::scheduler::{Frozen, Message};
use crate::engine::shared::Shared;
use crate::problem;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::schedule::Rule;
use sexton_core::{Blame, EventId, OccurrenceId, Refusal};
use sexton_store::rows::{Intention, Stored};
use std::collections::HashSet;
use std::sync::mpsc;

/// An event that made room for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Which; cancelled now.
    pub id: EventId,
    /// Runs of it that were already going and go on.
    pub running: Vec<OccurrenceId>,
}

/// When something of it is due first.
#[must_use]
pub fn due(intention: &Intention, stored: &Stored) -> Option<DateTime<Utc>> {
    match stored {
        Stored::New { next_due, .. } => next_due.or(intention.first),
        Stored::Kept { .. } => None,
    }
}

/// The id under which a wish is stored.
#[must_use]
pub fn stored_as(stored: &Stored, asked: EventId) -> EventId {
    match stored {
        Stored::New { .. } => asked,
        Stored::Kept { event } => *event,
    }
}

/// Completes the answer to a wish.
pub fn tell(shared: &Shared, accepted: &mut Accepted, stored: Stored) -> Result<(), Refusal> {
    match stored {
        Stored::New { next_due, replaced } => {
            accepted.next_run_at = next_due;
            accepted.replaced = replaced.into_iter().map(|id| retire(shared, id)).collect::<Result<_, _>>()?;
        }
        Stored::Kept { event } => {
            let kept = shared.store.event(event).map_err(|e| problem::from_store(&e))?;
            accepted.id = event;
            accepted.kept = true;
            accepted.next_run_at = kept.and_then(|kept| kept.next_run_at);
            accepted.notes = vec!["an event that is the same is stored already, and stays: nothing new was stored".to_owned()];
        }
    }
    Ok(())
}

/// Takes what is claimed of an event that was cancelled out of the due queue; its claims go back, and with them their rows.
fn retire(shared: &Shared, id: EventId) -> Result<Replaced, Refusal> {
    let (reply, answer) = mpsc::channel();
    shared.door.send(Message::Freeze { event: id, reply })?;
    let frozen = answer.recv();
    shared.door.send(Message::Thaw { event: id })?;
    let Frozen { under_way, .. } = frozen.map_err(|_| problem::stopped_duty("scheduler"))?;
    Ok(Replaced { id, running: under_way })
}

/// Refuses (`INP037`) what is to follow an event that is neither stored nor scheduled by the same run. The store looks again when it stores.
pub fn check_staged(shared: &Shared, run: u64, intentions: &[Intention]) -> Result<(), Refusal> {
    let followed = intentions.iter().filter_map(|intention| match &intention.wish.schedule.rule {
        Rule::Follows { links } => Some(links),
        _ => None,
    });
    let followed: HashSet<EventId> = followed.flatten().map(|link| link.event).collect();
    if followed.is_empty() {
        return Ok(());
    }
    let mut known: HashSet<EventId> = intentions.iter().map(|intention| intention.id).collect();
    if let Some(running) = shared.table.rows().runs.get(&run) {
        known.extend(running.follow_ups.iter().map(|intention| intention.id));
    }
    for id in followed.difference(&known) {
        if shared.store.event(*id).map_err(|e| problem::from_store(&e))?.is_none() {
            return Err(Refusal::new("INP037", Blame::Input, format!("event {id} cannot be followed: it is not there"))
                .expected("an event that is stored, or that this run has scheduled before"));
        }
    }
    Ok(())
}
