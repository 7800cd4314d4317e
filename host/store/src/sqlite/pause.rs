//! Pausing: the part that one event and many have in common, and the verb on many.
//!
//! Not whether one may be paused: `alter` says, and refuses; many are taken as they are found. What must hold: nothing here parses
//! what the event was given, so that one that cannot be read can be paused too.

use super::codec::{micros, row, state_number};
use super::hosts::require_current;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde_json::json as object;
use sexton_core::{EventId, EventState, OccurrenceId};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, StoreError>;

/// Events that an audit line names one by one.
pub(super) const NAMED_MAX: usize = 100;

/// Pauses a scheduled event: claims that are not running void, and all that waits held.
pub(super) fn one(
    tx: &mut Tx<'_>,
    id: i64,
    type_id: i64,
    reason: Option<&str>,
    is_running: impl Fn(i64) -> bool,
    now: DateTime<Utc>,
) -> Result<()> {
    unclaim(tx, id, is_running, row::HELD)?;
    tx.conn.prepare_cached("UPDATE occurrences SET state = ?2 WHERE event = ?1 AND state IN (?3, ?4)")?.execute((
        id,
        row::HELD,
        row::WAITING,
        row::GATED,
    ))?;
    tx.conn.prepare_cached("UPDATE events SET state = ?2, reason = ?3, finished_at = NULL, updated_at = ?4 WHERE id = ?1")?.execute((
        id,
        state_number(EventState::Paused),
        reason,
        micros(now),
    ))?;
    tx.hot.deltas.moved(type_id, Some(EventState::Scheduled), Some(EventState::Paused));
    Ok(())
}

/// Takes back the claims that are not running, to the state `to`.
pub(super) fn unclaim(tx: &Tx<'_>, id: i64, is_running: impl Fn(i64) -> bool, to: i64) -> Result<()> {
    let mut claimed = tx.conn.prepare_cached("SELECT n FROM occurrences WHERE event = ?1 AND state = ?2")?;
    let claimed: Vec<i64> = claimed.query_map((id, row::CLAIMED), |row| row.get(0))?.collect::<std::result::Result<_, _>>()?;
    let mut give_back =
        tx.conn.prepare_cached("UPDATE occurrences SET state = ?3, host = NULL, token = NULL WHERE event = ?1 AND n = ?2")?;
    for n in claimed.into_iter().filter(|n| !is_running(*n)) {
        give_back.execute((id, n, to))?;
    }
    Ok(())
}

/// Pauses those that are still scheduled, with one line of audit; answers how many.
pub(super) fn many(
    tx: &mut Tx<'_>,
    lease: &Lease,
    ids: &[EventId],
    reason: &str,
    running: &HashSet<OccurrenceId>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<u64> {
    require_current(tx, lease)?;
    let (mut paused, mut named) = (0, Vec::new());
    for id in ids {
        let scheduled: Option<i64> = tx
            .conn
            .prepare_cached("SELECT type FROM events WHERE id = ?1 AND state = ?2")?
            .query_row((id.0, state_number(EventState::Scheduled)), |row| row.get(0))
            .optional()?;
        let Some(type_id) = scheduled else {
            continue;
        };
        one(tx, id.0, type_id, Some(reason), |n| running.contains(&OccurrenceId { event: *id, n }), now)?;
        paused += 1;
        if named.len() < NAMED_MAX {
            named.push(id.to_string());
        }
    }
    if let Some(first) = named.first() {
        let detail = object!({ "count": paused, "reason": reason, "ids": named });
        super::audit::add(tx, now, by, "event.pause", first, &detail)?;
    }
    Ok(paused)
}
