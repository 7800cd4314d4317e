//! Putting dead letters back, removing them, and hurrying what waits for its next attempt.
//!
//! Not which: the host says. What must hold: one that cannot be put back does not hold up the others, and a recurring event never gets two
//! occurrences of its schedule by it.

use super::codec::{cause_number, from_json, micros, row, state_number, state_of};
use super::counters::DEAD_LETTERS;
use super::hosts::require_current;
use super::pause::NAMED_MAX;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde_json::{Value, json as object};
use sexton_core::{Blame, Cause, EventId, EventState, OccurrenceId, Refusal, Schedule};

type Result<T> = std::result::Result<T, StoreError>;
type Each = Vec<std::result::Result<(), Refusal>>;

/// A dead letter and its event.
struct Dead {
    type_id: i64,
    by_schedule: bool,
    reason: Option<String>,
    state: EventState,
    key: Option<String>,
    schedule: String,
}

fn read(tx: &Tx<'_>, of: OccurrenceId) -> Result<std::result::Result<Dead, Refusal>> {
    let mut select = tx.conn.prepare_cached(
        "SELECT o.type, o.by_schedule, o.dead, e.state, e.key, e.schedule FROM occurrences o JOIN events e ON e.id = o.event
         WHERE o.event = ?1 AND o.n = ?2 AND o.state = ?3",
    )?;
    let found = select
        .query_row((of.event.0, of.n, row::DEAD), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?, row.get(4)?, row.get(5)?))
        })
        .optional()?;
    let Some((type_id, by_schedule, reason, state, key, schedule)) = found else {
        return Ok(Err(no_dead_letter(of)));
    };
    Ok(Ok(Dead { type_id, by_schedule, reason, state: state_of(state)?, key, schedule }))
}

fn no_dead_letter(of: OccurrenceId) -> Refusal {
    Refusal::new("INP034", Blame::Input, format!("there is no dead letter {of}"))
        .remedy("`sexton dead-letter list` shows those that are there; `sexton run show` says what became of the occurrence")
}

/// Puts each back; answers for each.
pub(super) fn requeue(tx: &mut Tx<'_>, lease: &Lease, which: &[OccurrenceId], by: &str, now: DateTime<Utc>) -> Result<Each> {
    require_current(tx, lease)?;
    let each: Each = which.iter().map(|of| requeue_one(tx, *of, now)).collect::<Result<_>>()?;
    note(tx, by, "dead_letter.requeue", which, &each, None, now)?;
    Ok(each)
}

fn requeue_one(tx: &mut Tx<'_>, of: OccurrenceId, now: DateTime<Utc>) -> Result<std::result::Result<(), Refusal>> {
    let dead = match read(tx, of)? {
        Ok(dead) => dead,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // The row that discarded its one-shot event decides about it again; any other's successor is there already, or there is none.
    let decides = dead.by_schedule && dead.state == EventState::Discarded && !recurs(&dead.schedule);
    if (decides || dead.state == EventState::Completed)
        && let Err(refusal) = reopen(tx, of, &dead, decides, now)?
    {
        return Ok(Err(refusal));
    }
    let to = if dead.state == EventState::Paused { row::HELD } else { row::WAITING };
    tx.conn
        .prepare_cached(
            "UPDATE occurrences SET state = ?3, due_at = ?4, cause = ?5, by_schedule = ?6, attempt = 1, interruptions = 0, first_due = NULL,
                                    dead = NULL, dead_at = NULL, dead_code = NULL WHERE event = ?1 AND n = ?2",
        )?
        .execute((of.event.0, of.n, to, micros(now), cause_number(Cause::Requeue), decides))?;
    tx.hot.deltas.add(dead.type_id, DEAD_LETTERS, -1);
    Ok(Ok(()))
}

/// A schedule that cannot be read counts as recurring: nothing more is inserted for it.
fn recurs(schedule: &str) -> bool {
    from_json::<Schedule>(schedule).map_or(true, |schedule| schedule.recurs())
}

/// Takes an event up again that had ended; refused if its key is another's now.
fn reopen(tx: &mut Tx<'_>, of: OccurrenceId, dead: &Dead, decides: bool, now: DateTime<Utc>) -> Result<std::result::Result<(), Refusal>> {
    if let Some(key) = &dead.key {
        let other: Option<i64> = tx
            .conn
            .prepare_cached("SELECT id FROM events WHERE type = ?1 AND key = ?2 AND key IS NOT NULL AND state < 2")?
            .query_row((dead.type_id, key), |row| row.get(0))
            .optional()?;
        if let Some(other) = other {
            let other = EventId(other);
            let message = format!("the key `{key}` of event {} is event {other}'s now: {of} cannot be put back", of.event);
            return Ok(Err(Refusal::new("INP033", Blame::Input, message)
                .expected("a key that no open event of the type has")
                .remedy(format!("cancel event {other} first, or remove this one: `sexton dead-letter discard {of}`"))));
        }
    }
    if let Some((other, _)) = super::unique::equal_of(tx, of.event.0)? {
        let message = format!("event {} is the same as event {other}, and there are to be no two of it: {of} cannot be put back", of.event);
        return Ok(Err(Refusal::new("INP033", Blame::Input, message)
            .expected("no event with the same scope in the states that `unique` names")
            .remedy(format!("cancel event {other} first, or remove this one: `sexton dead-letter discard {of}`"))));
    }
    tx.conn
        .prepare_cached(
            "UPDATE events SET state = ?2, reason = NULL, finished_at = NULL, given = max(given - ?3, 0), updated_at = ?4 WHERE id = ?1",
        )?
        .execute((of.event.0, state_number(EventState::Scheduled), i64::from(decides), micros(now)))?;
    tx.hot.deltas.moved(dead.type_id, Some(dead.state), Some(EventState::Scheduled));
    Ok(Ok(()))
}

/// Removes each; answers for each.
pub(super) fn discard(tx: &mut Tx<'_>, lease: &Lease, which: &[OccurrenceId], by: &str, now: DateTime<Utc>) -> Result<Each> {
    require_current(tx, lease)?;
    let (mut each, mut reasons) = (Each::with_capacity(which.len()), Vec::new());
    for of in which {
        each.push(match read(tx, *of)? {
            Ok(dead) => {
                tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND n = ?2")?.execute((of.event.0, of.n))?;
                tx.hot.deltas.add(dead.type_id, DEAD_LETTERS, -1);
                reasons.extend(dead.reason.filter(|_| reasons.len() < NAMED_MAX));
                Ok(())
            }
            Err(refusal) => Err(refusal),
        });
    }
    reasons.dedup();
    note(tx, by, "dead_letter.discard", which, &each, Some(reasons), now)?;
    Ok(each)
}

/// One line for all that were taken, on the event of the first.
fn note(
    tx: &Tx<'_>,
    by: &str,
    verb: &str,
    which: &[OccurrenceId],
    each: &Each,
    reasons: Option<Vec<String>>,
    now: DateTime<Utc>,
) -> Result<()> {
    let done: Vec<String> = which.iter().zip(each).filter(|(_, end)| end.is_ok()).map(|(of, _)| of.to_string()).collect();
    let Some(first) = which.iter().zip(each).find(|(_, end)| end.is_ok()) else { return Ok(()) };
    let mut detail =
        object!({ "count": done.len(), "refused": each.len() - done.len(), "occurrences": done.get(..NAMED_MAX).unwrap_or(&done) });
    if let (Some(reasons), Value::Object(members)) = (reasons, &mut detail) {
        members.insert("reasons".to_owned(), object!(reasons));
    }
    super::audit::add(tx, now, by, verb, &first.0.event.to_string(), &detail)
}

/// Makes one that was tried, and waits, due now.
pub(super) fn hasten(tx: &mut Tx<'_>, lease: &Lease, of: OccurrenceId, runs: bool, by: &str, now: DateTime<Utc>) -> Result<()> {
    require_current(tx, lease)?;
    let found: Option<(i64, i64, bool, bool)> = tx
        .conn
        .prepare_cached(
            "SELECT o.state, e.state, o.cause IN (?3, ?4) OR o.interruptions > 0, o.due_at > ?5
             FROM occurrences o JOIN events e ON e.id = o.event WHERE o.event = ?1 AND o.n = ?2",
        )?
        .query_row((of.event.0, of.n, cause_number(Cause::Retry), cause_number(Cause::Snooze), micros(now)), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let refused = |why: &str, remedy: String| {
        Err(Refusal::new("INP035", Blame::Input, format!("there is nothing to retry of {of}: {why}"))
            .expected("an occurrence that waits for its next attempt, or a dead letter")
            .remedy(remedy)
            .into())
    };
    let run_now = format!("`sexton event run-now {}` runs the event once more", of.event);
    let Some((state, event_state, was_tried, is_ahead)) = found else { return refused("it is over", run_now) };
    match state {
        row::CLAIMED if runs => return refused("it is running", format!("`sexton run show {of}` shows how far it is")),
        row::DEAD => return refused("it is a dead letter", format!("`sexton dead-letter requeue {of}`")),
        _ if !was_tried => return refused("it was not tried yet", run_now),
        _ => {}
    }
    if state_of(event_state)? == EventState::Paused {
        return Err(Refusal::new("INP010", Blame::Input, format!("event {} is paused: `retry` is not possible", of.event))
            .expected("an event that is scheduled")
            .remedy(format!("resume it first: `sexton event resume {}`", of.event))
            .into());
    }
    tx.conn
        .prepare_cached(
            "UPDATE occurrences SET state = ?3, due_at = min(due_at, ?4), host = NULL, token = NULL WHERE event = ?1 AND n = ?2",
        )?
        .execute((of.event.0, of.n, row::WAITING, micros(now)))?;
    super::audit::add(tx, now, by, "run.retry", &of.event.to_string(), &object!({ "occurrence": of.to_string(), "hurried": is_ahead }))
}
