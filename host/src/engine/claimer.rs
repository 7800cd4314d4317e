//! The claimer: the scheduler's hand in the store, so that a slow disk never makes a due occurrence late.
//!
//! It decides nothing: it claims what it is told to, gives back what it is told to, and says when the next is due. What must hold: errands are
//! done in order; what could not be given back is tried again.

use crate::clock;
use crate::engine::almanac;
use crate::engine::due::Claim;
use crate::engine::late::{self, Presence};
use crate::engine::overlap;
use crate::engine::scheduler::Message;
use crate::engine::shared::{Door, Shared};
use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::{Occurrence, TypeId};
use sexton_store::StoreError;
use sexton_store::rows::NextClaim;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Between two tries to give back.
const AGAIN: Duration = Duration::from_secs(1);

/// What the scheduler sends the claimer for.
#[derive(Debug)]
pub enum Errand {
    /// Claim what is due by `until`.
    Claim {
        /// Types that somebody serves.
        types: Vec<TypeId>,
        /// How far ahead.
        until: DateTime<Utc>,
        /// At most so many.
        limit: usize,
    },
    /// Give these back unstarted.
    GiveBack(Vec<Claim>),
    /// These fell due while others of their events were going: have the store decide.
    Overlap(Vec<Claim>),
    /// These have started, and their policy lets the next one start beside them or in their place: store it.
    Follow(Vec<Claim>),
    /// The clock was set by so much: what counts in elapsed time is moved with it.
    Stepped(TimeDelta),
    /// Nothing more.
    End,
}

/// What came of a claim.
#[derive(Debug)]
pub struct Brought {
    /// Now this host's.
    pub claimed: Vec<Occurrence>,
    /// When the next can be claimed that was left there.
    pub next: NextClaim,
}

/// Runs errands until `End`.
pub fn run(shared: &Shared, errands: &Receiver<Errand>, door: &Door) {
    let mut owed: Vec<Claim> = Vec::new();
    let mut late = false;
    let mut presence = Presence::since(clock::now());
    loop {
        let errand = if owed.is_empty() { errands.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { errands.recv_timeout(AGAIN) };
        match errand {
            Ok(Errand::Claim { types, until, limit }) => {
                presence.note(&shared.registry.now(), clock::now());
                let answer = claim(shared, &presence, &mut owed, &types, until, limit);
                // Without a scheduler nobody waits for the answer, and what was claimed is resolved at the next start.
                let _ = door.send(Message::Brought(answer));
            }
            Ok(Errand::GiveBack(claims)) => owed.extend(claims),
            Ok(Errand::Overlap(claims)) => owed.extend(overlap::resolve(shared, claims)),
            Ok(Errand::Follow(claims)) => overlap::follow(shared, &claims),
            Ok(Errand::Stepped(step)) => {
                give_back(shared, &mut owed);
                almanac::stepped(shared, step);
                let _ = door.send(Message::Due(clock::now()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Errand::End) | Err(RecvTimeoutError::Disconnected) => {
                give_back(shared, &mut owed);
                if !owed.is_empty() {
                    tracing::warn!(claims = owed.len(), "claims could not be given back: the next start resolves them");
                }
                return;
            }
        }
        give_back(shared, &mut owed);
        if late && owed.is_empty() {
            // Whoever sent for it has looked in vain since.
            let _ = door.send(Message::Due(clock::now()));
        }
        late = !owed.is_empty();
    }
}

fn claim(
    shared: &Shared,
    presence: &Presence,
    owed: &mut Vec<Claim>,
    types: &[TypeId],
    until: DateTime<Utc>,
    limit: usize,
) -> Result<Brought, StoreError> {
    let now = clock::now();
    let next = shared.limits.ask(|| shared.store.next_claim(types, now))?;
    if next.ahead.is_none_or(|due| due > until) && next.on_time.is_none_or(|at| at > now) {
        return Ok(Brought { claimed: Vec::new(), next });
    }
    let claimed = shared.store.claim_at(&shared.lease, types, now, until, limit)?;
    let judged = late::judge(shared, presence, claimed, clock::now());
    owed.extend(judged.give_back.iter().map(|o| (o.id, o.token)));
    let claimed = judged.go_on;
    // What was claimed must reach the scheduler whatever else fails: then it looks again soon.
    let next = shared.limits.ask(|| shared.store.next_claim(types, clock::now()));
    let next = next.unwrap_or_else(|_| NextClaim { ahead: Some(clock::now()), ..NextClaim::default() });
    Ok(Brought { claimed, next })
}

fn give_back(shared: &Shared, owed: &mut Vec<Claim>) {
    if owed.is_empty() {
        return;
    }
    match shared.store.give_back(&shared.lease, owed) {
        Ok(()) => {
            owed.clear();
            if shared.limits.is_held_back() {
                // What was given back may have freed a slot. Without a scheduler nobody waits for one.
                let _ = shared.door.send(Message::Due(clock::now()));
            }
        }
        Err(error) => tracing::warn!(claims = owed.len(), %error, "claims could not be given back; trying again"),
    }
}
