//! Claiming ahead: when the scheduler sends the claimer, for which types, and for how much.
//!
//! It runs on the scheduler's thread and makes no store call. What must hold: a type of which enough is due and waits for room is not claimed
//! further and takes no room from the others, so that one slow or hanging plugin makes no other late.

use crate::clock;
use crate::engine::claimer::Errand;
use crate::engine::limits::{CLAIMED, CLAIMED_AT_ONCE, CLAIMED_URGENT, HELD, HORIZON};
use crate::engine::scheduler::Scheduler;
use chrono::{DateTime, Utc};
use sexton_core::TypeId;
use std::time::Duration;

/// With nothing known to come, the store is asked again after so long.
pub const RECHECK: Duration = Duration::from_secs(60);
/// What is due so much later is claimed now, together with the rest of the horizon: at most one claim in that time under a steady stream.
const AHEAD: Duration = Duration::from_secs(1);
/// A claim with a full horizon takes what is due by then.
const URGENT: Duration = Duration::from_millis(20);

impl Scheduler {
    /// Sends the claimer if something may be due soon and there is room for it.
    pub(super) fn claim_ahead(&mut self, now: DateTime<Utc>) {
        let boot = clock::boot_time();
        if boot >= self.recheck_at {
            self.recheck_at = boot + RECHECK;
            self.expect_due(Some(now));
        }
        self.look_at_crowds(now);
        if self.claiming || boot < self.not_before {
            return;
        }
        let (until, limit) = match self.next_claim() {
            Some((at, ahead)) if at <= now => {
                if ahead {
                    (clock::later(now, HORIZON), CLAIMED)
                } else {
                    (clock::later(now, URGENT), CLAIMED + CLAIMED_URGENT)
                }
            }
            _ => return,
        };
        (self.unclaimed, self.opens) = (None, None);
        let snapshot = self.shared.registry.now();
        let types = {
            let rows = self.shared.table.rows();
            let served = snapshot.by_id.values().filter(|t| t.serving.as_ref().is_some_and(|s| rows.is_open(s.generation)));
            served.map(|t| t.id).filter(|of| !self.left_out.contains(of)).collect::<Vec<_>>()
        };
        if types.is_empty() {
            // Whoever serves next says so, and a type that is left out is looked at again.
            return;
        }
        self.recheck_at = boot + RECHECK;
        let limit = (limit - self.others_len()).min(CLAIMED_AT_ONCE);
        self.claiming = self.errands.send(Errand::Claim { types, until, limit }).is_ok();
    }

    /// Sees which types have enough that is due. One that no longer has is claimed again; what would be too much for the memory is given
    /// back, the last in order first.
    fn look_at_crowds(&mut self, now: DateTime<Utc>) {
        let crowded = self.queue.crowded(CLAIMED_URGENT);
        if self.left_out.iter().any(|of| !crowded.contains(of)) {
            self.expect_due(Some(now));
        }
        if self.queue.len() > HELD {
            let keep = self.queue.crowd(CLAIMED_URGENT);
            let excess = crowded.iter().flat_map(|of| self.queue.trim(*of, keep)).collect();
            self.give_back(excess);
        }
        self.left_out = crowded;
    }

    /// How many the queue holds, but for what is due of types that are left out.
    fn others_len(&self) -> usize {
        self.queue.len() - self.left_out.iter().map(|of: &TypeId| self.queue.ready_of(*of)).sum::<usize>()
    }

    /// When to claim next, and whether there is room for the whole horizon; what is under a limit is not claimed ahead.
    fn next_claim(&self) -> Option<(DateTime<Utc>, bool)> {
        let free = self.unclaimed.and_then(|due| self.look_at(due));
        let limited = self.opens.and_then(|at| self.look_at(at).map(|(_, ahead)| (at, ahead)));
        free.into_iter().chain(limited).min_by_key(|(at, _)| *at)
    }

    /// When to claim what is due then, and whether there is room for the whole horizon. `None`: no room at all. What is due of types that
    /// are not left out is less than [`CLAIMED_URGENT`], so that only what waits for its instant can take all room.
    fn look_at(&self, due: DateTime<Utc>) -> Option<(DateTime<Utc>, bool)> {
        let others = self.others_len();
        if others <= CLAIMED - CLAIMED_AT_ONCE {
            return Some((due - AHEAD, true));
        }
        (others < CLAIMED + CLAIMED_URGENT).then_some((due, false))
    }

    /// When there is something to do next, if nobody rings.
    pub(super) fn next_look(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.stop.is_some() {
            return None;
        }
        let boot = clock::boot_time();
        let at_boot = |at: Duration| clock::later(now, at.saturating_sub(boot));
        let claim = if self.claiming { None } else { self.next_claim().map(|(at, _)| at.max(at_boot(self.not_before))) };
        let recheck = (!self.claiming).then(|| at_boot(self.recheck_at).max(at_boot(self.not_before)));
        [self.queue.next_at(), claim, recheck].into_iter().flatten().min()
    }
}
