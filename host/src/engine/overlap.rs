//! What falls due while an earlier occurrence of its event is going: noticed before it starts, and taken to the store for its verdict.
//!
//! Not the verdict (`sexton_core::decide::overlap`, asked by the store). Noticing is the executor's and waits for nothing; the rest is the
//! claimer's. What must hold: what the policy lets wait or skips never starts; the event is frozen while the store decides, so that what is
//! going then is what it is told.

use crate::clock;
use crate::engine::alter::freeze;
use crate::engine::cancel;
use crate::engine::due::Claim;
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::engine::table::Phase;
use sexton_core::decide::overlap::runs_ahead;
use sexton_core::{EventId, Occurrence, OccurrenceId, Overlap};
use std::collections::{BTreeSet, HashSet};

/// Whether it may have to wait or to go: something of its event is going here, is about to (`starting`), or waits to be tried again.
#[must_use]
pub fn is_crowded(shared: &Shared, next: &Occurrence, starting: &HashSet<EventId>) -> bool {
    if next.wish.policy.overlap == Overlap::Allow || next.is_tried() {
        return false;
    }
    let event = next.id.event;
    next.crowded || starting.contains(&event) || shared.table.rows().is_going(event)
}

/// Has the store decide about claims that were taken out of the queue; answers those that are to be given back because it could not.
pub fn resolve(shared: &Shared, claims: Vec<Claim>) -> Vec<Claim> {
    let events: BTreeSet<EventId> = claims.iter().map(|(id, _)| id.event).collect();
    let frozen = freeze(shared, &events.iter().copied().collect::<Vec<_>>());
    let Ok((frozen, _ice)) = frozen else { return claims };
    match shared.store.overlapped(&shared.lease, &claims, &frozen.unsettled, clock::now()) {
        Ok(done) => {
            // What is claimed from now on says by itself whether something waits to be tried again.
            shared.table.rows().forget_crowds(&events);
            supersede(shared, &done.cancel);
            if done.skipped + done.queued > 0 {
                let (skipped, queued, cancelled) = (done.skipped, done.queued, done.cancel.len());
                tracing::debug!(skipped, queued, cancelled, "occurrences fell due while others of their events were going");
            }
            Vec::new()
        }
        Err(error) => {
            tracing::warn!(occurrences = claims.len(), %error, "what overlaps could not be decided; trying again");
            claims
        }
    }
}

/// Asks runs to stop in whose place others wait. One that has ended meanwhile is settled as it ended.
pub fn supersede(shared: &Shared, runs: &[OccurrenceId]) {
    if runs.is_empty() {
        return;
    }
    let mut rows = shared.table.rows();
    for (number, running) in rows.runs.iter_mut().filter(|(_, r)| r.phase != Phase::Ended && runs.contains(&r.occurrence.id)) {
        cancel::ask(shared, *number, running);
    }
}

/// Whether its successor is to be stored as soon as it has started.
#[must_use]
pub fn is_to_be_followed(started: &Occurrence) -> bool {
    started.by_schedule && !started.followed && runs_ahead(started.wish.policy.overlap, &started.wish.schedule)
}

/// Has the successors of what has started stored.
pub fn follow(shared: &Shared, claims: &[Claim]) {
    match shared.store.follow(&shared.lease, claims, clock::now()) {
        // Without a scheduler nothing starts any more.
        Ok(due) => drop(due.map(|due| shared.door.send(Message::Due(due)))),
        Err(error) => {
            tracing::warn!(occurrences = claims.len(), %error, "what follows could not be stored: it comes when what goes on has ended");
        }
    }
}
