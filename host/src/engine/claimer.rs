//! The claimer: the scheduler's hand in the store, so that a slow disk never makes a due occurrence late.
//!
//! It decides nothing: it claims what it is told to, gives back what it is told to, and says when the next is due. What must hold: errands are
//! done in order; what could not be given back is tried again.

use crate::clock;
use crate::engine::almanac;
use crate::engine::due::Claim;
use crate::engine::late::{self, Presence};
use crate::engine::scheduler::Message;
use crate::engine::shared::{Door, Shared};
use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::{Occurrence, TypeId};
use sexton_store::StoreError;
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
    /// When the next is due that was left there.
    pub next_due: Option<DateTime<Utc>>,
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
    let claimed = match shared.store.next_due(types)? {
        Some(due) if due <= until => shared.store.claim(&shared.lease, types, until, limit)?,
        next_due => return Ok(Brought { claimed: Vec::new(), next_due }),
    };
    let judged = late::judge(shared, presence, claimed, clock::now());
    owed.extend(judged.give_back.iter().map(|o| (o.id, o.token)));
    let claimed = judged.go_on;
    // What was claimed must reach the scheduler whatever else fails: then it looks again soon.
    let next_due = shared.store.next_due(types).unwrap_or_else(|_| Some(clock::now()));
    Ok(Brought { claimed, next_due })
}

fn give_back(shared: &Shared, owed: &mut Vec<Claim>) {
    if owed.is_empty() {
        return;
    }
    match shared.store.give_back(&shared.lease, owed) {
        Ok(()) => owed.clear(),
        Err(error) => tracing::warn!(claims = owed.len(), %error, "claims could not be given back; trying again"),
    }
}
