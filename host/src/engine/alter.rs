//! Verbs on one event: frozen first, changed in the store, thawed after.
//!
//! Not the rules of the states (the store refuses). What must hold: after the answer nothing old of the event starts, and what already runs is
//! named in it.

use crate::clock;
use crate::engine::scheduler::{Frozen, Message};
use crate::engine::shared::Shared;
use crate::engine::{Altered, limits, overlap, schema};
use crate::problem;
use crate::registry::Snapshot;
use sexton_core::{Blame, EventId, OccurrenceId, Overlap, Refusal};
use sexton_store::rows::{Actor, Change, Edit};
use std::sync::mpsc;

/// Events that one transaction pauses or cancels, so that it never holds the writer for long.
const ALTERED_AT_ONCE: usize = 500;

/// Thaws on every way out, so that a panic in the store does not hold the event for ever.
#[derive(Debug)]
pub struct Ice<'a>(&'a Shared, EventId);

impl Drop for Ice<'_> {
    fn drop(&mut self) {
        // Without a scheduler nothing starts, frozen or not.
        let _ = self.0.door.send(Message::Thaw { event: self.1 });
    }
}

/// Changes one event.
pub fn alter(shared: &Shared, id: EventId, change: Change, by: &Actor) -> Result<Altered, Refusal> {
    // Held until the change is stored: a check of what is stored waits for it.
    let judged_by = shared.registry.now();
    let change = match change {
        Change::Edit(edit) => Change::Edit(Box::new(admit_edit(shared, &judged_by, id, *edit)?)),
        other => other,
    };
    let (reply, answer) = mpsc::channel();
    shared.door.send(Message::Freeze { event: id, reply })?;
    let Frozen { unsettled, under_way } = answer.recv().map_err(|_| problem::stopped_duty("scheduler"))?;
    let _ice = Ice(shared, id);
    let stored = shared.store.alter(&shared.lease, id, &change, &unsettled, by, clock::now());
    let event = stored.map_err(|e| problem::from_store(&e))?;
    if matches!(change, Change::RunNow) && event.wish.policy.overlap == Overlap::CancelPrevious {
        overlap::supersede(shared, &under_way);
    }
    Ok(Altered { event, running: under_way })
}

/// Lets nothing of these events start until the ice is gone; answers what runs of them.
pub fn freeze<'a>(shared: &'a Shared, ids: &[EventId]) -> Result<(Frozen, Vec<Ice<'a>>), Refusal> {
    let (reply, answers) = mpsc::channel();
    let mut ice = Vec::with_capacity(ids.len());
    for id in ids {
        shared.door.send(Message::Freeze { event: *id, reply: reply.clone() })?;
        ice.push(Ice(shared, *id));
    }
    drop(reply);
    let mut all = Frozen::default();
    for _ in ids {
        let one = answers.recv().map_err(|_| problem::stopped_duty("scheduler"))?;
        all.unsettled.extend(one.unsettled);
        all.under_way.extend(one.under_way);
    }
    Ok((all, ice))
}

/// Pauses many, some at a time: frozen, paused in one transaction, thawed.
pub fn pause_many(shared: &Shared, ids: &[EventId], reason: &str, by: &Actor) -> Result<u64, Refusal> {
    let mut paused = 0;
    for some in ids.chunks(ALTERED_AT_ONCE) {
        let (frozen, _ice) = freeze(shared, some)?;
        let stored = shared.store.pause_many(&shared.lease, some, reason, &frozen.unsettled, by, clock::now());
        paused += stored.map_err(|e| problem::from_store(&e))?;
    }
    Ok(paused)
}

/// Cancels many in the same way; answers how many, and which runs of them go on.
pub fn cancel_many(shared: &Shared, ids: &[EventId], by: &Actor) -> Result<(u64, Vec<OccurrenceId>), Refusal> {
    let (mut cancelled, mut running) = (0, Vec::new());
    for some in ids.chunks(ALTERED_AT_ONCE) {
        let (frozen, _ice) = freeze(shared, some)?;
        let stored = shared.store.cancel_many(&shared.lease, some, &frozen.unsettled, by, clock::now());
        cancelled += stored.map_err(|e| problem::from_store(&e))?;
        running.extend(frozen.under_way);
    }
    Ok((cancelled, running))
}

/// What an edit brings is held to the same rules as what is scheduled.
fn admit_edit(shared: &Shared, snapshot: &Snapshot, id: EventId, mut edit: Edit) -> Result<Edit, Refusal> {
    let event = shared.store.event(id).map_err(|e| problem::from_store(&e))?.ok_or_else(|| no_such_event(id))?;
    limits::at_most("the description (bytes)", limits::DESCRIPTION_BYTES, edit.description.as_ref().map_or(0, String::len))?;
    if let Some(labels) = &edit.labels {
        limits::check_labels(labels)?;
    }
    edit.retry.as_ref().map_or(Ok(()), limits::check_retry)?;
    edit.policy.as_ref().map_or(Ok(()), limits::check_policy)?;
    limits::check_scope(edit.policy.as_ref().and_then(|policy| policy.unique.as_ref()), event.wish.key.as_deref())?;
    if let Some(args) = &edit.args {
        limits::check_args(args.get())?;
        let name = &event.wish.event_type;
        let known = snapshot.types.get(name).ok_or_else(|| super::intake::unknown_type(snapshot, name))?;
        schema::fits(known, args.get())?;
    }
    if let Some(schedule) = edit.schedule.take() {
        edit.schedule = Some(schedule.settle(clock::now(), &shared.calendars())?);
    }
    Ok(edit)
}

/// Nobody has that id.
pub fn no_such_event(id: EventId) -> Refusal {
    Refusal::new("INP009", Blame::Input, format!("there is no event `{id}`")).remedy("`sexton event list` shows those that are there")
}
