//! Moving an event to another schedule, and back into the due order.
//!
//! Not the verbs: `alter` and `standing` call this. What must hold: what runs now settles normally, an event has at most one
//! row that its schedule gave, and no ordinal is given twice.

use super::codec::{cause_number, instant, lane, micros, row, state_of};
use super::schedule::{Fresh, insert_scheduled};
use super::writer::Tx;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use sexton_core::decide::{SKIPPED_MAX, replan};
use sexton_core::{Blame, Cause, EventId, EventState, Refusal, Schedule};

type Result<T> = std::result::Result<T, StoreError>;

/// What the verbs need of an event.
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) type_id: i64,
    pub(super) state: EventState,
    pub(super) last_n: i64,
    pub(super) priority: i32,
    pub(super) schedule: Schedule,
}

impl Head {
    /// Reads it; `None` if there is no such event.
    pub(super) fn read(tx: &Tx<'_>, id: i64) -> Result<Option<Self>> {
        let found: Option<(i64, i64, i64, i32, String)> = tx
            .conn
            .prepare_cached("SELECT type, state, last_n, priority, schedule FROM events WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
            .optional()?;
        let Some((type_id, state, last_n, priority, schedule)) = found else {
            return Ok(None);
        };
        let (state, schedule) = (state_of(state)?, super::codec::from_json(&schedule)?);
        Ok(Some(Self { id, type_id, state, last_n, priority, schedule }))
    }

    /// The next ordinal, given for good.
    pub(super) fn next_n(&mut self, tx: &Tx<'_>) -> Result<i64> {
        self.last_n += 1;
        tx.conn.prepare_cached("UPDATE events SET last_n = ?2 WHERE id = ?1")?.execute((self.id, self.last_n))?;
        Ok(self.last_n)
    }

    /// Stores what the schedule gives, held if the event is paused.
    pub(super) fn insert_next(&mut self, tx: &Tx<'_>, at: DateTime<Utc>) -> Result<()> {
        let n = self.next_n(tx)?;
        insert_scheduled(
            tx,
            &Fresh {
                event: self.id,
                n,
                type_id: self.type_id,
                lane: lane(self.priority),
                scheduled_for: micros(at),
                held: self.state == EventState::Paused,
            },
        )
    }
}

/// A row that the schedule gave.
struct Given {
    n: i64,
    state: i64,
    scheduled_for: i64,
    /// Tried already, or planned by somebody else: not simply the next instant.
    is_tried: bool,
}

fn given_rows(tx: &Tx<'_>, event: i64) -> Result<Vec<Given>> {
    let mut select = tx.conn.prepare_cached(
        "SELECT n, state, scheduled_for, cause <> ?2 OR interruptions > 0 FROM occurrences WHERE event = ?1 AND by_schedule AND state <> ?3",
    )?;
    let rows = select.query_map((event, cause_number(Cause::Schedule), row::DEAD), |row| {
        Ok(Given { n: row.get(0)?, state: row.get(1)?, scheduled_for: row.get(2)?, is_tried: row.get(3)? })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Puts an event on another schedule. Never fires: the next instant is after `now`. An occurrence that runs (`is_running`, by ordinal) or
/// waits for its retry still counts as going, and its successor follows the new schedule.
pub(super) fn move_to(tx: &Tx<'_>, head: &mut Head, to: &Schedule, is_running: impl Fn(i64) -> bool, now: DateTime<Utc>) -> Result<()> {
    let next = first_after(to, now)?;
    let (mut goes_on, mut skipped) = (false, 0);
    for given in given_rows(tx, head.id)? {
        let stays = given.is_tried || (given.state == row::CLAIMED && is_running(given.n));
        if stays && to.recurs() {
            goes_on = true;
        } else if stays {
            // It belongs to the old schedule, which has no successor any more; the new one gives its own row.
            tx.conn.execute("UPDATE occurrences SET by_schedule = 0 WHERE event = ?1 AND n = ?2", (head.id, given.n))?;
        } else {
            let scheduled_for = instant(given.scheduled_for)?;
            if scheduled_for <= now {
                skipped += 1 + head.schedule.count(scheduled_for, now, SKIPPED_MAX)?;
            }
            tx.conn.execute("DELETE FROM occurrences WHERE event = ?1 AND n = ?2", (head.id, given.n))?;
        }
    }
    if let (Some(at), false) = (next, goes_on) {
        head.insert_next(tx, at)?;
    }
    if skipped > 0 {
        tx.conn.execute("UPDATE events SET skipped = skipped + ?2 WHERE id = ?1", (head.id, skipped))?;
    }
    Ok(())
}

/// The first instant that a schedule gives from now on; none for manual.
fn first_after(schedule: &Schedule, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let first = match schedule {
        Schedule::Manual => return Ok(None),
        Schedule::Once { when } => Some(*when).filter(|when| *when > now),
        _ => replan(schedule, now, now)?.next,
    };
    match first {
        Some(_) => Ok(first),
        None => Err(Refusal::new("INP007", Blame::Input, "the new schedule has no instant after now, and an edit never fires")
            .expected("a schedule with an instant in the future")
            .remedy("give a later time, or use `sexton event run-now`")
            .into()),
    }
}

/// Puts the rows of a paused event back into the due order. What fell due meanwhile runs once: the one row that waited for it. A
/// recurring event whose schedule gave no row (it was paused because it could not) gets its next one.
pub(super) fn resume(tx: &Tx<'_>, head: &mut Head, now: DateTime<Utc>) -> Result<()> {
    tx.conn.prepare_cached("UPDATE occurrences SET state = ?2 WHERE event = ?1 AND state = ?3")?.execute((
        head.id,
        row::WAITING,
        row::HELD,
    ))?;
    if !head.schedule.recurs() || !given_rows(tx, head.id)?.is_empty() {
        return Ok(());
    }
    match replan(&head.schedule, now, now)?.next {
        Some(next) => head.insert_next(tx, next),
        None => Err(Refusal::new("INP007", Blame::Input, format!("the schedule of event {} has no further instant", EventId(head.id)))
            .remedy("edit its schedule, then resume it")
            .into()),
    }
}
