//! What was claimed late: judged by the misfire policy before it goes on to the scheduler.
//!
//! Not the policy (`sexton_core::decide::late`) and not its writing (the store). It runs on the claimer's thread. What must hold: what is
//! passed over is counted before anything of it starts, and a schedule that cannot be asked pauses its event instead of going round.

use crate::engine::shared::Shared;
use crate::registry::Snapshot;
use chrono::{DateTime, Utc};
use sexton_core::decide::late::{Found, GRACE, Late, when_found, when_found_followed, when_found_queued};
use sexton_core::decide::{Absence, SkipReason};
use sexton_core::{Cause, Occurrence, Refusal, TypeId};
use sexton_store::rows::{Actor, Misfired};
use std::collections::{HashMap, HashSet};

/// Since when this host is there, and since when it serves which type.
#[derive(Debug)]
pub struct Presence {
    host_since: DateTime<Utc>,
    served: HashMap<TypeId, DateTime<Utc>>,
}

impl Presence {
    /// From now on, serving nothing yet.
    #[must_use]
    pub fn since(now: DateTime<Utc>) -> Self {
        Self { host_since: now, served: HashMap::new() }
    }

    /// Notes who is served now.
    pub fn note(&mut self, snapshot: &Snapshot, now: DateTime<Utc>) {
        let served: HashSet<TypeId> = snapshot.served().into_iter().collect();
        self.served.retain(|of, _| served.contains(of));
        for of in served {
            self.served.entry(of).or_insert(now);
        }
    }

    fn absence(&self, of: TypeId) -> Absence {
        let type_since = self.served.get(&of).copied().unwrap_or(self.host_since);
        Absence { host_since: self.host_since, type_since, otherwise: SkipReason::Late }
    }
}

/// What came of judging.
#[derive(Debug, Default)]
pub struct Judged {
    /// To be started at their instants.
    pub go_on: Vec<Occurrence>,
    /// To be given back: what was decided about them could not be written, or their event is paused now.
    pub give_back: Vec<Occurrence>,
}

/// Whether it may be late at all: given by the schedule, not started before, and due some time ago, or able to expire.
fn is_suspect(occurrence: &Occurrence, now: DateTime<Utc>) -> bool {
    occurrence.is_fresh() && (now - occurrence.due_at > GRACE || is_expired(occurrence, now))
}

/// Whether it may not start any more.
#[must_use]
pub fn is_expired(occurrence: &Occurrence, now: DateTime<Utc>) -> bool {
    let expires = occurrence.wish.schedule.terms.expires.and_then(|expires| chrono::TimeDelta::from_std(expires).ok());
    occurrence.is_fresh() && expires.is_some_and(|expires| now - occurrence.scheduled_for > expires)
}

/// Judges what was claimed.
pub fn judge(shared: &Shared, presence: &Presence, claimed: Vec<Occurrence>, now: DateTime<Utc>) -> Judged {
    let (suspects, go_on): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|occurrence| is_suspect(occurrence, now));
    let mut judged = Judged { go_on, give_back: Vec::new() };
    if suspects.is_empty() {
        return judged;
    }
    let (mut found, mut late) = (Vec::new(), Vec::new());
    for occurrence in suspects {
        match decide(shared, presence, &occurrence, now) {
            Ok(Late::Run) => judged.go_on.push(occurrence),
            Ok(decision) => {
                let schedule = occurrence.wish.schedule.clone();
                found.push(Misfired { occurrence: occurrence.id, token: occurrence.token, schedule, late: decision });
                late.push(occurrence);
            }
            Err(refusal) => {
                pause(shared, &occurrence, &refusal, now);
                judged.give_back.push(occurrence);
            }
        }
    }
    if found.is_empty() {
        return judged;
    }
    match shared.store.misfire(&shared.lease, &found, now) {
        Ok(stood) => {
            tell(&found);
            judged.go_on.extend(
                late.into_iter().zip(found).zip(stood).filter_map(|((occurrence, found), stood)| meant(occurrence, &found.late, stood)),
            );
        }
        Err(error) => {
            tracing::warn!(occurrences = late.len(), %error, "what is to be done with late occurrences could not be written; trying again");
            judged.give_back.extend(late);
        }
    }
    judged
}

fn decide(shared: &Shared, presence: &Presence, occurrence: &Occurrence, now: DateTime<Utc>) -> Result<Late, Refusal> {
    let (schedule, calendars) = (&occurrence.wish.schedule, shared.calendars());
    let plan = schedule.plan(&calendars)?;
    let found = Found { scheduled_for: occurrence.scheduled_for, due_at: occurrence.due_at, counted_to: occurrence.counted_to };
    if occurrence.followed {
        return Ok(when_found_followed(schedule, &found, &presence.absence(occurrence.type_id), now));
    }
    // One that had waited behind another is late from when it was let go.
    let when_found = if occurrence.cause == Cause::Queued { when_found_queued } else { when_found };
    when_found(schedule, &plan, &found, &presence.absence(occurrence.type_id), now)
}

/// The occurrence as it is meant now, if it is to be run and its claim still stood.
fn meant(occurrence: Occurrence, late: &Late, stood: bool) -> Option<Occurrence> {
    match *late {
        Late::RunFor { scheduled_for, counted_to, .. } if stood => Some(Occurrence { scheduled_for, counted_to, ..occurrence }),
        _ => None,
    }
}

fn tell(found: &[Misfired]) {
    let skipped: i64 = found
        .iter()
        .map(|one| match &one.late {
            Late::Run => 0,
            Late::RunFor { skips, .. } | Late::Skip { skips, .. } => skips.total(),
        })
        .sum();
    tracing::info!(events = found.len(), skipped, "occurrences were found late; each event goes on by its misfire policy");
}

fn pause(shared: &Shared, occurrence: &Occurrence, why: &Refusal, now: DateTime<Utc>) {
    let event = occurrence.id.event;
    tracing::error!(%event, %why, "the schedule cannot be asked any more: the event is paused");
    let paused = shared.store.pause_many(&shared.lease, &[event], &why.to_string(), &[], &Actor("host".to_owned()), now);
    if let Err(error) = paused {
        tracing::warn!(%event, %error, "the event could not be paused; trying again");
    }
}
