//! Writing what was: the row of a run, and of the code that ran.
//!
//! Not reading it back: that is `runs`. What must hold: a run is recorded once, in the transaction that moves its occurrence.

use super::codec::{outcome_number, state_of};
use super::ended::{Build, Ended};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Lease, Settled};
use rusqlite::OptionalExtension;
use sexton_core::stats::Ran;
use sexton_core::{ErrorCode, EventState, Outcome};
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// What a run repeats of its occurrence.
pub(super) struct Place {
    pub(super) type_id: i64,
    pub(super) scheduled_for: i64,
    pub(super) due_at: i64,
}

/// Stores the run, and what it said.
pub(super) fn record(tx: &mut Tx<'_>, lease: &Lease, place: &Place, end: &Ended, outcome: Outcome) -> Result<()> {
    let build = build_number(tx, &end.build)?;
    tx.conn
        .prepare_cached(
            "INSERT INTO runs (event, n, type, attempt, outcome, scheduled_for, due_at, started_at, finished_at, build, host, error, output,
                               resources, error_code)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(rusqlite::params![
            end.event,
            end.n,
            place.type_id,
            end.attempt,
            outcome_number(outcome),
            place.scheduled_for,
            place.due_at,
            end.started_at,
            end.finished_at,
            build,
            lease.host,
            end.error,
            end.output,
            end.resources,
            end.code.map(ErrorCode::word)
        ])?;
    if let Some(log) = &end.log {
        super::logs::add(tx, tx.conn.last_insert_rowid(), log)?;
    }
    let ran = Ran { outcome, due_at: place.due_at, started_at: end.started_at, finished_at: end.finished_at };
    tx.hot.deltas.ran(place.type_id, &ran);
    Ok(())
}

fn build_number(tx: &mut Tx<'_>, build: &Arc<Build>) -> Result<i64> {
    if let Some(number) = tx.hot.builds.get(build) {
        return Ok(*number);
    }
    tx.conn.execute(
        "INSERT INTO builds (plugin, generation, digest, placement) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        (&build.plugin, build.generation, &build.digest, &build.placement),
    )?;
    let number = tx.conn.query_row(
        "SELECT id FROM builds WHERE generation = ?2 AND plugin = ?1 AND digest = ?3 AND placement = ?4",
        (&build.plugin, build.generation, &build.digest, &build.placement),
        |row| row.get(0),
    )?;
    tx.hot.builds.insert(Arc::clone(build), number);
    Ok(number)
}

/// Records a run under a stale token. If its event is gone altogether there is nothing left to record it on.
pub(super) fn lost(tx: &mut Tx<'_>, lease: &Lease, end: &Ended) -> Result<Settled> {
    let place = tx
        .conn
        .prepare_cached(
            "SELECT e.type, e.state,
                    coalesce(o.scheduled_for, (SELECT r.scheduled_for FROM runs r WHERE r.event = e.id AND r.n = ?2 LIMIT 1), ?3),
                    coalesce(o.due_at, (SELECT r.due_at FROM runs r WHERE r.event = e.id AND r.n = ?2 LIMIT 1), ?3)
             FROM events e LEFT JOIN occurrences o ON o.event = e.id AND o.n = ?2 WHERE e.id = ?1",
        )?
        .query_row((end.event, end.n, end.started_at.unwrap_or(end.finished_at)), |row| {
            Ok((row.get::<_, i64>(1)?, Place { type_id: row.get(0)?, scheduled_for: row.get(2)?, due_at: row.get(3)? }))
        })
        .optional()?;
    let Some((state, place)) = place else {
        return Ok(Settled { outcome: Outcome::Lost, next_due: None, state: EventState::Cancelled, crowds: false });
    };
    record(tx, lease, &place, end, Outcome::Lost)?;
    Ok(Settled { outcome: Outcome::Lost, next_due: None, state: state_of(state)?, crowds: false })
}
