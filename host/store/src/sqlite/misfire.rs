//! Writing down what was decided about occurrences that were found late.
//!
//! Not the decision (`sexton_core::decide::late`): whoever claimed them makes it. What must hold: a claim that was taken back meanwhile is
//! left alone, and what is passed over is counted in the same transaction.

use super::claim::give_back;
use super::codec::{from_json, is_open, micros, state_number, state_of};
use super::hosts::require_current;
use super::schedule::{Fresh, insert_scheduled};
use super::skips;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Lease, Misfired};
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use sexton_core::decide::late::Late;
use sexton_core::decide::{SkipReason, Skips};
use sexton_core::schedule::Rule;
use sexton_core::{EventState, Schedule};

type Result<T> = std::result::Result<T, StoreError>;

/// The event of a claimed row.
pub(super) struct Claimed {
    pub(super) id: i64,
    pub(super) n: i64,
    pub(super) type_id: i64,
    pub(super) lane: i64,
    pub(super) state: EventState,
    pub(super) last_n: i64,
}

/// Writes the decisions; answers for each whether its claim still stood.
pub(super) fn misfire(tx: &mut Tx<'_>, lease: &Lease, found: &[Misfired], now: DateTime<Utc>) -> Result<Vec<bool>> {
    require_current(tx, lease)?;
    found.iter().map(|one| one_of(tx, one, now)).collect()
}

fn one_of(tx: &mut Tx<'_>, found: &Misfired, now: DateTime<Utc>) -> Result<bool> {
    let (event, n) = (found.occurrence.event.0, found.occurrence.n);
    let row: Option<(i64, i64, i64, i64, String)> = tx
        .conn
        .prepare_cached(
            "SELECT o.type, o.lane, e.state, e.last_n, e.schedule FROM occurrences o JOIN events e ON e.id = o.event
             WHERE o.event = ?1 AND o.n = ?2 AND o.token = ?3 AND o.state = 1",
        )?
        .query_row((event, n, found.token), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((type_id, lane, state, last_n, schedule)) = row else { return Ok(false) };
    if from_json::<Schedule>(&schedule)? != found.schedule {
        // A plugin declared it anew since it was claimed: the old schedule has no say any more, the next claim is judged by the new one.
        give_back(tx, event, n, found.token)?;
        return Ok(false);
    }
    let row = Claimed { id: event, n, type_id, lane, state: state_of(state)?, last_n };
    match &found.late {
        Late::Run => {}
        Late::RunFor { scheduled_for, counted_to, skips } => run_for(tx, &row, *scheduled_for, *counted_to, skips, now)?,
        Late::Skip { successor, skips } => {
            skip(tx, &row, &found.schedule, *successor, skips, now)?;
            // What waited behind it need not wait any more.
            super::overlap::release(tx, row.id, row.state, now)?;
        }
    }
    Ok(true)
}

/// Means a row for another instant.
pub(super) fn run_for(
    tx: &Tx<'_>,
    row: &Claimed,
    scheduled_for: DateTime<Utc>,
    counted_to: Option<DateTime<Utc>>,
    passed: &Skips,
    now: DateTime<Utc>,
) -> Result<()> {
    tx.conn.prepare_cached("UPDATE occurrences SET scheduled_for = ?3, counted_to = ?4 WHERE event = ?1 AND n = ?2")?.execute((
        row.id,
        row.n,
        micros(scheduled_for),
        counted_to.map(micros),
    ))?;
    skips::add(tx, row.id, passed, now)
}

/// Takes a row away unrun; the schedule goes on with its next one, or the event is over.
pub(super) fn skip(
    tx: &mut Tx<'_>,
    row: &Claimed,
    schedule: &Schedule,
    successor: Option<DateTime<Utc>>,
    passed: &Skips,
    now: DateTime<Utc>,
) -> Result<()> {
    tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND n = ?2")?.execute((row.id, row.n))?;
    skips::add(tx, row.id, passed, now)?;
    match successor {
        Some(at) => {
            let n = row.last_n + 1;
            tx.conn.prepare_cached("UPDATE events SET last_n = ?2 WHERE id = ?1")?.execute((row.id, n))?;
            let held = row.state == EventState::Paused;
            insert_scheduled(tx, &Fresh::of(row.id, n, row.type_id, row.lane, schedule, at, held))
        }
        None => over(tx, row, schedule, passed, now),
    }
}

/// Ends an open event whose schedule gives nothing any more, unless something else of it is still to run.
pub(super) fn over(tx: &mut Tx<'_>, row: &Claimed, schedule: &Schedule, passed: &Skips, now: DateTime<Utc>) -> Result<()> {
    let others: i64 = tx
        .conn
        .prepare_cached("SELECT count(*) FROM occurrences WHERE event = ?1 AND state <> 3")?
        .query_row([row.id], |found| found.get(0))?;
    if !is_open(row.state) || others > 0 {
        return Ok(());
    }
    if matches!(schedule.rule, Rule::Follows { .. }) {
        return super::chains::rest(tx, row.id, now).map(drop);
    }
    let is_expired = passed.iter().any(|(reason, _)| reason == SkipReason::Expired);
    let (to, reason) = if schedule.recurs() {
        (EventState::Completed, None)
    } else {
        (EventState::Discarded, is_expired.then_some("it expired before it ran"))
    };
    tx.conn.prepare_cached("UPDATE events SET state = ?2, finished_at = ?3, reason = coalesce(?4, reason) WHERE id = ?1")?.execute((
        row.id,
        state_number(to),
        micros(now),
        reason,
    ))?;
    tx.hot.deltas.moved(row.type_id, Some(row.state), Some(to));
    super::chains::ended(tx, row.id, now)
}
