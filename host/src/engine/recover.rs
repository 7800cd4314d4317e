//! Recovery at the start: what an earlier life of this host had started becomes `interrupted`, every other claim of it is void.
//!
//! Not a replay: what runs again is claimed like anything else. What must hold: it is done before the first claim.

use crate::clock;
use crate::engine::Ground;
use crate::problem;
use chrono::DateTime;
use sexton_core::{EventId, OccurrenceId, Refusal};
use sexton_loader::flight::{HostDeath, Slot};
use sexton_store::rows::Aborted;

/// Resolves every claim of earlier lives; says in one line what was found and what became of it.
pub fn recover(ground: &Ground) -> Result<(), Refusal> {
    // Of another boot, or unreadable: nothing can be said of what had started, so all of it is given back, attempts unspent.
    let slots: &[Slot] = if ground.left.of_another_boot { &[] } else { &ground.left.slots };
    let aborted: Vec<Aborted> = slots.iter().map(|slot| aborted(slot, ground.left.host_death.as_ref())).collect();
    let answer = ground.store.recover(&ground.lease, &aborted, clock::now());
    let (interrupted, given_back) = answer.map_err(|e| problem::from_store(&e))?;
    if ground.lease.stale_claims > 0 || !slots.is_empty() {
        let flight_record = if ground.left.of_another_boot { "of another boot" } else { "readable" };
        let (claims, occupied) = (ground.lease.stale_claims, slots.len());
        tracing::info!(claims, occupied, interrupted, given_back, flight_record, "an earlier life of this host is resolved");
    }
    Ok(())
}

fn aborted(slot: &Slot, death: Option<&HostDeath>) -> Aborted {
    let cause = death.map_or_else(|| "the host ended".to_owned(), |d| format!("the host died: {}", d.cause));
    Aborted {
        occurrence: OccurrenceId { event: EventId(slot.event), n: slot.n },
        token: slot.token,
        attempt: slot.attempt,
        started_at: DateTime::from_timestamp_micros(slot.started_at_us).unwrap_or(DateTime::UNIX_EPOCH),
        plugin: slot.plugin.clone(),
        generation: slot.generation,
        digest: slot.digest.clone(),
        placement: slot.placement.clone(),
        cause,
    }
}
