//! What becomes of an occurrence that falls due while an earlier one of its event is still going: running, or waiting for its retry.
//!
//! Not a writer, and not who finds out what is going: the store and the engine ask. What must hold: an occurrence is started, left to wait
//! or counted as skipped, never two of these; what was told to wait is not skipped later; what waits behind another is never what that
//! other waits for.

use super::late::{Found, Late};
use super::skips::{SkipReason, Skips};
use super::{SKIPPED_MAX, newest, onward};
use crate::event::Cause;
use crate::ids::EventId;
use crate::policy::Overlap;
use crate::refusal::Refusal;
use crate::schedule::{Plan, Rule, Schedule};
use chrono::{DateTime, Utc};

/// What is to be done with one that falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtDue {
    /// It starts.
    Start,
    /// It is taken away and counted.
    Skip,
    /// It waits until one that is going has ended.
    Queue,
    /// What is going is asked to stop and gets no retry; it waits for that, in place of one that waited before it.
    CancelPrevious,
}

/// One that falls due, or is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Why it is there.
    pub cause: Cause,
    /// It was started before: it is itself what is going.
    pub is_tried: bool,
    /// It had waited behind another already.
    pub has_waited: bool,
    /// It is all that its schedule gives: no later one would make up for it.
    pub is_single: bool,
}

/// The others of its event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    /// How many run or wait for their retry.
    pub going: i64,
    /// How many wait behind these, those not counted of which no number is too great (see [`is_owed`]).
    pub queued: i64,
}

/// Whether an occurrence is asked for by its own instant, so that it is never skipped for another: it waits, however many do.
#[must_use]
pub fn is_owed(cause: Cause) -> bool {
    matches!(cause, Cause::Backfill | Cause::Requeue)
}

/// Decides. The policy speaks only where something is going.
#[must_use]
pub fn at_due(policy: Overlap, arrival: &Arrival, siblings: &Siblings) -> AtDue {
    if siblings.going == 0 || arrival.is_tried || policy == Overlap::Allow {
        return AtDue::Start;
    }
    if arrival.has_waited || is_owed(arrival.cause) {
        return AtDue::Queue;
    }
    match (policy, room(policy)) {
        (Overlap::CancelPrevious, _) => AtDue::CancelPrevious,
        _ if arrival.is_single => AtDue::Queue,
        (_, Some(most)) if siblings.queued < most => AtDue::Queue,
        _ => AtDue::Skip,
    }
}

/// How many may wait; `None` if the policy lets none wait.
#[must_use]
pub fn room(policy: Overlap) -> Option<i64> {
    match policy {
        Overlap::QueueOne => Some(1),
        Overlap::QueueAll(most) => Some(i64::from(most)),
        Overlap::Skip | Overlap::CancelPrevious | Overlap::Allow => None,
    }
}

/// Whether the schedule's next occurrence must be there while one goes on, to start beside it or in its place. The store has it follow as soon
/// as the one before has started.
#[must_use]
pub fn runs_ahead(policy: Overlap, schedule: &Schedule) -> bool {
    matches!(policy, Overlap::Allow | Overlap::CancelPrevious) && schedule.recurs() && !matches!(schedule.rule, Rule::After { .. })
}

/// What else there is of an event when a run of it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Among {
    /// How many wait behind it, those that are owed not counted.
    pub queued: i64,
    /// It had itself waited behind another, and was let go then.
    pub held_until: Option<DateTime<Utc>>,
    /// It was asked to stop for one that waits: whatever it says, it is not tried again.
    pub is_superseded: bool,
    /// Its successor was stored when it began: see [`runs_ahead`].
    pub is_followed: bool,
}

/// Of the instants of the schedule in `(after, passed]`, over which a run went on: the first that is to be run now, if the policy lets
/// some wait. The newest wait, as many as there is room for beside `queued`; one that lets one wait therefore gives the latest. So what
/// waits is never further behind than its room, and `queue_one` means what the misfire policy `latest` means.
pub(super) fn first_of_waiting(
    policy: Overlap,
    queued: i64,
    plan: &Plan<'_>,
    after: DateTime<Utc>,
    passed: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Refusal> {
    let Some(room) = room(policy).map(|most| most.saturating_sub(queued)).filter(|room| *room > 0 && passed > after) else {
        return Ok(None);
    };
    let floor = if plan.count(after, passed, room.saturating_add(1))? <= room { after } else { newest::floor(plan, after, passed, room)? };
    plan.next_within(floor, passed)
}

/// The schedule's own occurrence, taken away because something of its event was going when it fell due: counted with what else has passed
/// by now, and the schedule goes on.
pub fn passed_over(event: EventId, schedule: &Schedule, plan: &Plan<'_>, found: &Found, now: DateTime<Utc>) -> Result<Late, Refusal> {
    let mut skips = Skips::of(SkipReason::Overlap, 1);
    if let Rule::After { .. } = schedule.rule {
        return Ok(Late::Skip { successor: plan.next_after(now)?, skips });
    }
    if !schedule.recurs() {
        return Ok(Late::Skip { successor: None, skips });
    }
    let counted = found.counted_to.map_or(found.scheduled_for, |to| to.max(found.scheduled_for));
    let (successor, passed) = onward(event, schedule, plan, counted, now)?;
    skips.add(SkipReason::Overlap, plan.count(counted, passed, SKIPPED_MAX)?);
    Ok(Late::Skip { successor, skips })
}
