//! Dead letters put back or removed, one or a page; and the next attempt of what waits, at once.
//!
//! Not the rules (the store's). What must hold: what was put back is looked for at once; a page is a bounded transaction, and who goes on from
//! it by key meets none twice.

use crate::clock;
use crate::engine::alter;
use crate::engine::limits::TREATED_AT_ONCE;
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::problem;
use serde::Serialize;
use sexton_core::{Blame, OccurrenceId, Refusal};
use sexton_store::rows::{Actor, DeadFilter, DeadPage, Order};
use sexton_store::store::Each;

/// Refusals that an answer names one by one.
const NAMED_MAX: usize = 20;

/// What is done to a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadVerb {
    /// Back into the due order.
    Requeue,
    /// Away.
    Discard,
}

/// What became of a page.
#[derive(Clone, Debug, Serialize)]
pub struct Treated {
    /// Put back, or removed.
    pub done: usize,
    /// Left as they are.
    pub refused: usize,
    /// Why, of the first of these.
    pub refusals: Vec<Refusal>,
    /// Where the next page begins; none: there are no more.
    pub next: Option<OccurrenceId>,
}

/// A page of those that the filter takes, the oldest first.
pub fn treat(
    shared: &Shared,
    verb: DeadVerb,
    filter: &DeadFilter,
    past: Option<OccurrenceId>,
    limit: usize,
    by: &Actor,
) -> Result<Treated, Refusal> {
    let page = DeadPage { past, order: Order::OldestFirst, limit: limit.clamp(1, TREATED_AT_ONCE) };
    let found = shared.store.dead_letters(filter, &page).map_err(|e| problem::from_store(&e))?;
    let which: Vec<OccurrenceId> = found.into_iter().map(|letter| letter.occurrence).collect();
    let next = which.last().copied().filter(|_| which.len() == page.limit);
    if which.is_empty() {
        return Ok(Treated { done: 0, refused: 0, refusals: Vec::new(), next });
    }
    let each = apply(shared, verb, &which, by)?;
    let (done, mut refusals): (Vec<_>, Vec<_>) = each.into_iter().partition(Result::is_ok);
    let refused = refusals.len();
    refusals.truncate(NAMED_MAX);
    Ok(Treated { done: done.len(), refused, refusals: refusals.into_iter().filter_map(Result::err).collect(), next })
}

/// One.
pub fn treat_one(shared: &Shared, verb: DeadVerb, occurrence: OccurrenceId, by: &Actor) -> Result<(), Refusal> {
    apply(shared, verb, &[occurrence], by)?.pop().unwrap_or(Ok(()))
}

fn apply(shared: &Shared, verb: DeadVerb, which: &[OccurrenceId], by: &Actor) -> Result<Each, Refusal> {
    let now = clock::now();
    let each = match verb {
        DeadVerb::Requeue => shared.store.requeue(&shared.lease, which, by, now),
        DeadVerb::Discard => shared.store.discard(&shared.lease, which, by, now),
    };
    let each = each.map_err(|e| problem::from_store(&e))?;
    if verb == DeadVerb::Requeue && each.iter().any(Result::is_ok) {
        shared.door.send(Message::Due(now))?;
    }
    Ok(each)
}

/// Its next attempt, at once.
pub fn retry(shared: &Shared, occurrence: OccurrenceId, by: &Actor) -> Result<(), Refusal> {
    let id = occurrence.event;
    let waiting = shared.store.waiting(id).map_err(|e| problem::from_store(&e))?;
    if waiting.iter().any(|row| row.occurrence == occurrence && row.dead.is_some()) {
        return treat_one(shared, DeadVerb::Requeue, occurrence, by);
    }
    if shared.store.event(id).map_err(|e| problem::from_store(&e))?.is_none() {
        return Err(
            Refusal::new("INP012", Blame::Input, format!("there is no occurrence {occurrence}")).remedy("`sexton run list` shows what ran")
        );
    }
    let (frozen, _ice) = alter::freeze(shared, &[id])?;
    let hastened = shared.store.hasten(&shared.lease, occurrence, &frozen.unsettled, by, clock::now());
    // The thaw of the event looks for what is due.
    hastened.map_err(|e| problem::from_store(&e))
}
