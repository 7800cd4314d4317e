//! The verbs on one event: pause, resume, cancel, run now, edit.
//!
//! Not stopping what runs: the host names that. Not pausing itself (`pause`), which many share. What must hold: after the answer no claim from before can start, except of
//! what was already running, which settles normally.

use super::codec::{is_open, json, lane, micros, row, state_number, state_word};
use super::counters::DEAD_LETTERS;
use super::hosts::require_current;
use super::overlap;
use super::pause;
use super::replan::{self, Head};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Actor, Change, Edit, Lease};
use chrono::{DateTime, Utc};
use serde_json::{Value, json as object};
use sexton_core::{Blame, Event, EventId, EventState, OccurrenceId, Refusal};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, StoreError>;

/// Changes an event and answers it as stored. A refusal inside is counted: its rows stand.
pub(super) fn alter(
    tx: &mut Tx<'_>,
    lease: &Lease,
    id: EventId,
    change: &Change,
    running: &[OccurrenceId],
    by: &Actor,
    now: DateTime<Utc>,
) -> Result<std::result::Result<Event, Refusal>> {
    require_current(tx, lease)?;
    let Some(mut head) = Head::read(tx, id.0)? else {
        return Err(no_such_event(id).into());
    };
    let running: HashSet<i64> = running.iter().filter(|o| o.event == id).map(|o| o.n).collect();
    allow(&head, change)?;
    let (verb, detail) = match change {
        Change::Pause { note } => pause(tx, &head, note.as_deref(), &running, now)?,
        Change::Resume => resume(tx, &mut head, now)?,
        Change::Cancel => cancel(tx, &head, &running, now)?,
        Change::RunNow => match run_now(tx, &mut head, &running, now)? {
            Ok(done) => done,
            Err(refusal) => {
                let detail = object!({ "code": refusal.code, "why": refusal.message });
                super::audit::add(tx, now, &by.0, "event.run_now.refused", &id.to_string(), &detail)?;
                return Ok(Err(refusal));
            }
        },
        Change::Edit(edit) => self::edit(tx, &mut head, edit, &running, now)?,
    };
    tx.conn.prepare_cached("UPDATE events SET updated_at = ?2 WHERE id = ?1")?.execute((id.0, micros(now)))?;
    super::audit::add(tx, now, &by.0, verb, &id.to_string(), &detail)?;
    super::events::one(tx.conn, id)?.map(Ok).ok_or_else(|| no_such_event(id).into())
}

pub(super) fn no_such_event(id: EventId) -> Refusal {
    Refusal::new("INP009", Blame::Input, format!("there is no event {id}"))
        .remedy("`sexton event list` shows what is stored; events that ended long ago are pruned")
}

/// Refuses a verb that the event's state does not allow.
fn allow(head: &Head, change: &Change) -> Result<()> {
    let (verb, allowed): (&str, &[EventState]) = match change {
        Change::Pause { .. } => ("pause", &[EventState::Scheduled]),
        Change::Resume => ("resume", &[EventState::Paused]),
        Change::Cancel => ("cancel", &[EventState::Scheduled, EventState::Paused]),
        Change::RunNow => ("run-now", &[EventState::Scheduled]),
        Change::Edit(_) => ("edit", &[EventState::Scheduled, EventState::Paused]),
    };
    if allowed.contains(&head.state) {
        return Ok(());
    }
    let id = EventId(head.id);
    let words: Vec<&str> = allowed.iter().copied().map(state_word).collect();
    let remedy = match head.state {
        EventState::Paused if matches!(change, Change::RunNow) => format!("resume it first: `sexton event resume {id}`"),
        _ if is_open(head.state) => "nothing: it is in that state already".to_owned(),
        _ => "schedule a new event; what has ended is not taken up again".to_owned(),
    };
    Err(Refusal::new("INP010", Blame::Input, format!("event {id} is {}: `{verb}` is not possible", state_word(head.state)))
        .expected(format!("an event that is {}", words.join(" or ")))
        .found(state_word(head.state))
        .remedy(remedy)
        .into())
}

fn move_state(tx: &mut Tx<'_>, head: &Head, to: EventState, reason: Option<&str>, finished_at: Option<i64>) -> Result<()> {
    tx.conn.prepare_cached("UPDATE events SET state = ?2, reason = ?3, finished_at = ?4 WHERE id = ?1")?.execute((
        head.id,
        state_number(to),
        reason,
        finished_at,
    ))?;
    tx.hot.deltas.moved(head.type_id, Some(head.state), Some(to));
    Ok(())
}

fn pause(tx: &mut Tx<'_>, head: &Head, note: Option<&str>, running: &HashSet<i64>, now: DateTime<Utc>) -> Result<(&'static str, Value)> {
    pause::one(tx, head.id, head.type_id, note, |n| running.contains(&n), now)?;
    Ok(("event.pause", object!({ "note": note, "running": running.len() })))
}

fn resume(tx: &mut Tx<'_>, head: &mut Head, now: DateTime<Utc>) -> Result<(&'static str, Value)> {
    move_state(tx, head, EventState::Scheduled, None, None)?;
    head.state = EventState::Scheduled;
    replan::resume(tx, head, now)?;
    Ok(("event.resume", object!({})))
}

fn cancel(tx: &mut Tx<'_>, head: &Head, running: &HashSet<i64>, now: DateTime<Utc>) -> Result<(&'static str, Value)> {
    let removed = cancel_but(tx, head, |n| running.contains(&n), None, now)?;
    Ok(("event.cancel", object!({ "removed": removed, "running": running.len() })))
}

/// Ends an event: its rows go, but for those that are claimed and run. Answers how many went.
pub(super) fn cancel_but(
    tx: &mut Tx<'_>,
    head: &Head,
    is_running: impl Fn(i64) -> bool,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<i64> {
    let removed = clear(tx, head.id, head.type_id, is_running)?;
    move_state(tx, head, EventState::Cancelled, reason, Some(micros(now)))?;
    super::chains::ended(tx, head.id, now)?;
    Ok(removed)
}

/// Takes away whatever of an event is still to run, dead letters too, but for claims that are running; answers how many rows.
pub(super) fn clear(tx: &mut Tx<'_>, id: i64, type_id: i64, is_running: impl Fn(i64) -> bool) -> Result<i64> {
    let rows: Vec<(i64, i64)> = tx
        .conn
        .prepare_cached("SELECT n, state FROM occurrences WHERE event = ?1")?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<std::result::Result<_, _>>()?;
    let mut removed = 0;
    for (n, state) in rows {
        if state == row::CLAIMED && is_running(n) {
            continue;
        }
        tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND n = ?2")?.execute((id, n))?;
        removed += 1;
        if state == row::DEAD {
            tx.hot.deltas.add(type_id, DEAD_LETTERS, -1);
        }
    }
    Ok(removed)
}

/// What a verb is called in the audit, and what it says there.
type Said = (&'static str, Value);

fn run_now(tx: &mut Tx<'_>, head: &mut Head, running: &HashSet<i64>, now: DateTime<Utc>) -> Result<std::result::Result<Said, Refusal>> {
    let waits = match overlap::ask(tx, head, running, now)? {
        overlap::Asked::Now => false,
        overlap::Asked::Behind => true,
        overlap::Asked::Refused(refusal) => return Ok(Err(refusal)),
    };
    let n = head.next_n(tx)?;
    tx.conn
        .prepare_cached(
            "INSERT INTO occurrences (event, n, type, lane, state, due_at, scheduled_for, cause, by_schedule, attempt, interruptions, queued_at)
             VALUES (?1, ?2, ?3, ?4, ?7, ?5, ?5, ?6, 0, 1, 0, ?8)",
        )?
        .execute((
            head.id,
            n,
            head.type_id,
            lane(head.priority),
            micros(now),
            super::codec::cause_number(sexton_core::Cause::RunNow),
            if waits { row::QUEUED } else { row::WAITING },
            waits.then(|| micros(now)),
        ))?;
    let occurrence = OccurrenceId { event: EventId(head.id), n }.to_string();
    Ok(Ok(("event.run_now", object!({ "occurrence": occurrence, "queued": waits }))))
}

fn edit(tx: &mut Tx<'_>, head: &mut Head, edit: &Edit, running: &HashSet<i64>, now: DateTime<Utc>) -> Result<(&'static str, Value)> {
    let back_to = if head.state == EventState::Paused { row::HELD } else { row::WAITING };
    let mut changed = Vec::new();
    if let Some(schedule) = &edit.schedule {
        // Before the claims are given back: a row that is no longer meant goes away instead.
        replan::move_to(tx, head, schedule, |n| running.contains(&n), now)?;
        head.write_schedule(tx, schedule)?;
        changed.push("schedule");
    }
    pause::unclaim(tx, head.id, |n| running.contains(&n), back_to)?;
    if let Some(args) = &edit.args {
        set(tx, head.id, "args", &args.get().to_owned())?;
        changed.push("args");
    }
    if let Some(description) = &edit.description {
        set(tx, head.id, "description", description)?;
        changed.push("description");
    }
    if let Some(labels) = &edit.labels {
        let labels = if labels.is_empty() { None } else { Some(json(labels)?) };
        set(tx, head.id, "labels", &labels)?;
        changed.push("labels");
    }
    if let Some(priority) = edit.priority {
        set(tx, head.id, "priority", &priority)?;
        tx.conn.execute("UPDATE occurrences SET lane = ?2 WHERE event = ?1", (head.id, lane(priority)))?;
        changed.push("priority");
    }
    if let Some(retry) = &edit.retry {
        set(tx, head.id, "retry", &json(retry)?)?;
        changed.push("retry");
    }
    if let Some(policy) = &edit.policy {
        let policy = if policy.is_default() { None } else { Some(json(policy)?) };
        set(tx, head.id, "policy", &policy)?;
        super::limits::ungate(tx, head.id)?;
        changed.push("policy");
    }
    if edit.args.is_some() || edit.policy.is_some() {
        super::unique::after_edit(tx, head.id)?;
    }
    Ok(("event.edit", object!({ "changed": changed, "running": running.len() })))
}

/// `column` is one of ours, never a caller's text.
fn set(tx: &Tx<'_>, id: i64, column: &'static str, value: &dyn rusqlite::ToSql) -> Result<()> {
    tx.conn.prepare_cached(&format!("UPDATE events SET {column} = ?2 WHERE id = ?1"))?.execute(rusqlite::params![id, value])?;
    Ok(())
}
