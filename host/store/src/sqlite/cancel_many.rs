//! Cancelling many events in one transaction.
//!
//! Not which: the host says, page by page. What must hold: each ends as one alone would; nothing here parses what the event was given, so that
//! one that cannot be read can be cancelled too.

use super::alter::clear;
use super::codec::{is_open, micros, state_number, state_of};
use super::hosts::require_current;
use super::pause::NAMED_MAX;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde_json::json as object;
use sexton_core::{EventId, EventState, OccurrenceId};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, StoreError>;

/// Cancels those that are still open, with one line of audit; answers how many.
pub(super) fn many(
    tx: &mut Tx<'_>,
    lease: &Lease,
    ids: &[EventId],
    running: &HashSet<OccurrenceId>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<u64> {
    require_current(tx, lease)?;
    let (mut cancelled, mut removed, mut named) = (0, 0, Vec::new());
    for id in ids {
        let found: Option<(i64, i64)> = tx
            .conn
            .prepare_cached("SELECT type, state FROM events WHERE id = ?1")?
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((type_id, state)) = found else { continue };
        let state = state_of(state)?;
        if !is_open(state) {
            continue;
        }
        removed += clear(tx, id.0, type_id, |n| running.contains(&OccurrenceId { event: *id, n }))?;
        tx.conn
            .prepare_cached("UPDATE events SET state = ?2, reason = NULL, finished_at = ?3, updated_at = ?3 WHERE id = ?1")?
            .execute((id.0, state_number(EventState::Cancelled), micros(now)))?;
        tx.hot.deltas.moved(type_id, Some(state), Some(EventState::Cancelled));
        super::chains::ended(tx, id.0, now)?;
        cancelled += 1;
        if named.len() < NAMED_MAX {
            named.push(id.to_string());
        }
    }
    if let Some(first) = named.first() {
        let detail = object!({ "count": cancelled, "removed": removed, "ids": named });
        super::audit::add(tx, now, by, "event.cancel", first, &detail)?;
    }
    Ok(cancelled)
}
