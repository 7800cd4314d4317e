//! Claimed rows that cannot be read: out of the due order, and their events paused with the fault as the reason.
//!
//! Not a repair. What must hold: no such row is claimed again by itself, none is dropped, and no other row waits for it.

use super::codec::{micros, row, state_number};
use super::counters::DEAD_LETTERS;
use super::writer::Tx;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde_json::json as object;
use sexton_core::{EventId, EventState, OccurrenceId};

type Result<T> = std::result::Result<T, StoreError>;

/// A claimed row, and what is wrong with it or with its event.
pub(super) struct Unreadable {
    pub(super) event: i64,
    pub(super) n: i64,
    pub(super) token: i64,
    pub(super) why: String,
}

/// Holds them. `at` dates the audit: the claim's own instant.
pub(super) fn hold(tx: &mut Tx<'_>, rows: &[Unreadable], at: DateTime<Utc>) -> Result<()> {
    rows.iter().try_for_each(|row| hold_one(tx, row, at))
}

fn hold_one(tx: &mut Tx<'_>, of: &Unreadable, at: DateTime<Utc>) -> Result<()> {
    let found: Option<(i64, Option<i64>)> = tx
        .conn
        .prepare_cached(
            "SELECT o.type, e.state FROM occurrences o LEFT JOIN events e ON e.id = o.event
             WHERE o.event = ?1 AND o.n = ?2 AND o.token = ?3 AND o.state = 1",
        )?
        .query_row((of.event, of.n, of.token), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((type_id, state)) = found else {
        return Ok(());
    };
    let occurrence = OccurrenceId { event: EventId(of.event), n: of.n };
    tracing::error!(%occurrence, why = of.why, "an occurrence cannot be read and is held");
    let is = |wanted: EventState| state == Some(state_number(wanted));
    if is(EventState::Cancelled) {
        tx.conn.execute("DELETE FROM occurrences WHERE event = ?1 AND n = ?2", (of.event, of.n))?;
    } else if is(EventState::Scheduled) || is(EventState::Paused) {
        set_row(tx, of, row::HELD, None, at)?;
    } else {
        set_row(tx, of, row::DEAD, Some(&of.why), at)?;
        tx.hot.deltas.add(type_id, DEAD_LETTERS, 1);
    }
    if is(EventState::Scheduled) {
        pause(tx, of, type_id, at)?;
        let detail = object!({ "reason": of.why, "occurrence": occurrence });
        super::audit::add(tx, at, "host", "event.pause", &EventId(of.event).to_string(), &detail)?;
    }
    Ok(())
}

fn set_row(tx: &Tx<'_>, of: &Unreadable, to: i64, dead: Option<&str>, at: DateTime<Utc>) -> Result<()> {
    tx.conn.execute(
        "UPDATE occurrences SET state = ?3, dead = ?4, dead_at = ?5, host = NULL, token = NULL WHERE event = ?1 AND n = ?2",
        (of.event, of.n, to, dead, dead.map(|_| micros(at))),
    )?;
    Ok(())
}

fn pause(tx: &mut Tx<'_>, of: &Unreadable, type_id: i64, at: DateTime<Utc>) -> Result<()> {
    tx.conn.execute(
        "UPDATE occurrences SET state = ?2 WHERE event = ?1 AND state IN (?3, ?4)",
        (of.event, row::HELD, row::WAITING, row::GATED),
    )?;
    tx.conn.execute(
        "UPDATE events SET state = ?2, reason = ?3, updated_at = ?4 WHERE id = ?1",
        (of.event, state_number(EventState::Paused), &of.why, micros(at)),
    )?;
    tx.hot.deltas.moved(type_id, Some(EventState::Scheduled), Some(EventState::Paused));
    Ok(())
}
