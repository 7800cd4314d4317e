//! A step of the host's clock: what counts in elapsed time is moved along with it.
//!
//! Not noticing it. What must hold: waits of retries keep their length, an elapsed rhythm is not silenced by a clock set back, and no fixed
//! time comes a second time. Bounded: pages by key, and no row is looked at that the step cannot concern.

use super::codec::{cause_number, instant, micros, row};
use super::hosts::require_current;
use super::replan::Head;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{ClockPage, Lease};
use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::{Cause, EventId, OccurrenceId};

type Result<T> = std::result::Result<T, StoreError>;

/// A waiting row that was not tried yet.
struct Waiting {
    event: i64,
    n: i64,
    scheduled_for: i64,
}

/// Moves the waits of retries by the step.
pub(super) fn move_retries(tx: &mut Tx<'_>, lease: &Lease, step: TimeDelta) -> Result<i64> {
    require_current(tx, lease)?;
    super::limits::step(tx, step)?;
    let step = step.num_microseconds().unwrap_or(0);
    let moved = tx
        .conn
        .prepare_cached(
            "UPDATE occurrences SET due_at = due_at + ?1, first_due = first_due + ?1 WHERE cause IN (?2, ?6) AND state IN (?3, ?4, ?5)",
        )?
        .execute((
            step,
            cause_number(Cause::Retry),
            row::WAITING,
            row::HELD,
            row::GATED,
            // What waited behind another was let go at an instant of the clock as it was.
            cause_number(Cause::Queued),
        ))?;
    Ok(i64::try_from(moved).unwrap_or(i64::MAX))
}

/// Looks at the next `limit` rows after `after` that are meant within twice a step back, and moves those of an elapsed rhythm to where it
/// would have gone on. Longer rhythms on a grid have no instant that the step took away; a delay after a run has no grid, so that it is
/// moved however long it is.
pub(super) fn set_back(
    tx: &mut Tx<'_>,
    lease: &Lease,
    back: TimeDelta,
    after: Option<OccurrenceId>,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<ClockPage> {
    require_current(tx, lease)?;
    let until = now.checked_add_signed(back * 2).unwrap_or(now);
    let (event, n) = after.map_or((i64::MIN, 0), |after| (after.event.0, after.n));
    let rows: Vec<Waiting> = tx
        .conn
        .prepare_cached(
            "SELECT event, n, scheduled_for FROM occurrences o
             WHERE (event, n) > (?1, ?2) AND state IN (?3, ?4, ?9) AND cause = ?5 AND interruptions = 0 AND NOT followed AND due_at > ?6
               AND (scheduled_for <= ?7 OR (SELECT json_extract(e.schedule, '$.after') FROM events e WHERE e.id = o.event) IS NOT NULL)
             ORDER BY event, n LIMIT ?8",
        )?
        .query_map(
            (
                event,
                n,
                row::WAITING,
                row::HELD,
                cause_number(Cause::Schedule),
                micros(now),
                micros(until),
                super::limit_of(limit),
                row::GATED,
            ),
            |row| Ok(Waiting { event: row.get(0)?, n: row.get(1)?, scheduled_for: row.get(2)? }),
        )?
        .collect::<std::result::Result<_, _>>()?;
    let mut moved = 0;
    for waiting in &rows {
        moved += i64::from(go_on(tx, waiting, back, now)?);
    }
    let last = rows.last().map(|row| OccurrenceId { event: EventId(row.event), n: row.n });
    Ok(ClockPage { moved, last: last.filter(|_| rows.len() == limit) })
}

fn go_on(tx: &mut Tx<'_>, waiting: &Waiting, back: TimeDelta, now: DateTime<Utc>) -> Result<bool> {
    let Some(head) = Head::read(tx, waiting.event)? else { return Ok(false) };
    if !head.schedule.recurs() || !head.schedule.is_elapsed_like() {
        return Ok(false);
    }
    let calendars = tx.calendars()?;
    let meant = instant(waiting.scheduled_for)?;
    let wanted = (meant - back).max(now);
    let plan = head.schedule.plan(&calendars)?;
    let next = if head.schedule.kind() == "after" { Some(wanted) } else { plan.next_after(wanted - TimeDelta::microseconds(1))? };
    let Some(next) = next.filter(|next| *next < meant) else { return Ok(false) };
    head.mean(tx, waiting.n, next)?;
    Ok(true)
}
