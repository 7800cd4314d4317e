//! Deleting what was long ago, in steps that do not hold up the writer.
//!
//! Not a policy: the host says before when. What must hold: nothing open is deleted, and no event whose runs are kept.

use super::codec::{is_open, row, state_of};
use super::counters::{DEAD_LETTERS, RUNS};
use super::writer::Tx;
use crate::error::StoreError;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

type Result<T> = std::result::Result<T, StoreError>;

/// Runs end nearly in the order of their numbers: looking at this many of the oldest, beyond the limit, finds all but stragglers,
/// which a later step finds.
const LOOK_BEYOND: usize = 10_000;

/// Deletes runs finished before an instant with their logs, and the ended events that thereby have none left. Answers how many rows.
pub(super) fn runs(tx: &mut Tx<'_>, before: i64, limit: usize) -> Result<i64> {
    let old: Vec<(i64, i64, i64)> = tx
        .conn
        .prepare_cached(
            "SELECT id, event, type FROM (SELECT id, event, type, finished_at FROM runs ORDER BY id LIMIT ?2)
             WHERE finished_at < ?1 LIMIT ?3",
        )?
        .query_map((before, super::limit_of(limit.saturating_add(LOOK_BEYOND)), super::limit_of(limit)), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<std::result::Result<_, _>>()?;
    let mut events = BTreeSet::new();
    for (id, event, type_id) in &old {
        tx.conn.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute([id])?;
        super::logs::remove(tx, *id)?;
        tx.hot.deltas.add(*type_id, RUNS, -1);
        events.insert(*event);
    }
    let events: Vec<i64> = events.into_iter().collect();
    Ok(i64::try_from(old.len()).unwrap_or(i64::MAX) + self::events(tx, &events, before)?)
}

/// Ended events that have no run (any more), for [`events`]: scans, so it is asked of a reader.
pub(super) fn events_without_runs(conn: &Connection, before: i64, limit: usize) -> Result<Vec<i64>> {
    let mut select = conn.prepare_cached(
        "SELECT id FROM events WHERE state >= 2 AND finished_at < ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.event = events.id)
         LIMIT ?2",
    )?;
    let rows = select.query_map((before, super::limit_of(limit)), |row| row.get(0))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Deletes those of `ids` that ended before an instant, have no run left and nothing still running. Their dead letters go with them.
pub(super) fn events(tx: &mut Tx<'_>, ids: &[i64], before: i64) -> Result<i64> {
    let mut deleted = 0;
    for id in ids {
        let found: Option<(i64, i64, Option<i64>, bool)> = tx
            .conn
            .prepare_cached(
                "SELECT type, state, finished_at,
                        EXISTS (SELECT 1 FROM runs WHERE runs.event = events.id)
                     OR EXISTS (SELECT 1 FROM occurrences o WHERE o.event = events.id AND o.state <> 3)
                 FROM events WHERE id = ?1",
            )?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((type_id, state, Some(finished_at), false)) = found else {
            continue;
        };
        let state = state_of(state)?;
        if is_open(state) || finished_at >= before {
            continue;
        }
        let dead = tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND state = ?2")?.execute((id, row::DEAD))?;
        tx.conn.prepare_cached("DELETE FROM events WHERE id = ?1")?.execute([id])?;
        tx.conn.prepare_cached("DELETE FROM skips WHERE event = ?1")?.execute([id])?;
        super::calendars::forget_uses(tx, *id)?;
        tx.hot.deltas.add(type_id, DEAD_LETTERS, -i64::try_from(dead).unwrap_or(0));
        tx.hot.deltas.moved(type_id, Some(state), None);
        deleted += 1;
    }
    Ok(deleted)
}
