//! Alerts: conditions that somebody wants to hear of, how they stand, and what they ask the rows.
//!
//! Not the decision (`sexton_core::decide::alert`). What must hold: how an alert stands and the event that tells of it are stored in one
//! transaction, or neither is; no question reads more than a bounded number of runs.

use super::codec::{from_json, instant, instant_or_none, json, micros};
use super::hosts::require_current;
use super::schedule::EventRow;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{AlertFound, AlertMove, AlertRow, Lease};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json as object;
use sexton_core::decide::alert::{Alert, AlertFacts, AlertStanding, LateOne};
use sexton_core::{Blame, EventId, OccurrenceId, Refusal};
use std::collections::HashMap;

type Result<T> = std::result::Result<T, StoreError>;

/// Runs that a question looks at, the newest.
const LOOK: i64 = 20_000;
/// Waiting occurrences of an event that are told.
const WAITING: i64 = 1_100;

/// The text that finds what the last failure of a type said: among the newest failures of all, by their own index.
pub(super) const LAST_ERROR: &str =
    "SELECT error FROM (SELECT type, error FROM runs WHERE outcome = 1 AND outcome <> 0 ORDER BY id DESC LIMIT ?2)
     WHERE type = ?1 LIMIT 1";

/// Events whose runs an alert asks about, each with the instant (microseconds) from which on it does.
pub(super) fn spared(conn: &Connection, now: i64) -> Result<HashMap<i64, i64>> {
    let mut select =
        conn.prepare_cached("SELECT event, max(spares_us) FROM alerts WHERE event IS NOT NULL AND spares_us > 0 GROUP BY event")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, now.saturating_sub(row.get(1)?))))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Every alert, by name.
pub(super) fn list(conn: &Connection) -> Result<Vec<AlertRow>> {
    let mut select = conn.prepare_cached("SELECT name, version, definition, standing, created_at, created_by FROM alerts ORDER BY name")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(AlertRow {
            name: row.get(0)?,
            version: row.get(1)?,
            alert: from_json(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
            standing: from_json(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?,
            created_at: instant(row.get(4)?)?,
            created_by: row.get(5)?,
        });
    }
    Ok(found)
}

fn type_number(conn: &Connection, name: &str) -> Result<i64> {
    let found = conn.prepare_cached("SELECT id FROM event_types WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()?;
    found.ok_or_else(|| {
        let refusal = Refusal::new("INP001", Blame::Input, format!("the event type `{name}` is not known"));
        refusal.remedy("`sexton event-type list` shows those that are").into()
    })
}

/// Stores an alert under its name, in place of one that was there.
pub(super) fn set(tx: &Tx<'_>, lease: &Lease, name: &str, alert: &Alert, by: &str, now: DateTime<Utc>) -> Result<()> {
    require_current(tx, lease)?;
    alert.check()?;
    if let Some(id) = alert.event {
        let is_there: bool = tx.conn.query_row("SELECT EXISTS (SELECT 1 FROM events WHERE id = ?1)", [id.0], |row| row.get(0))?;
        if !is_there {
            let refusal = Refusal::new("INP009", Blame::Input, format!("there is no event {id}"));
            return Err(refusal.remedy("`sexton event list` shows those that are there").into());
        }
    }
    let type_id = alert.event_type.as_deref().map(|name| type_number(tx.conn, name)).transpose()?;
    let seen: i64 = tx.conn.query_row("SELECT coalesce(max(id), 0) FROM runs", [], |row| row.get(0))?;
    let standing = AlertStanding { seen, ..AlertStanding::default() };
    // Twice as long: whoever lengthens it a little finds the runs still there.
    let spares = alert.did_not_run.and_then(|span| i64::try_from(span.as_micros()).ok()).map(|us| us.saturating_mul(2));
    tx.conn
        .prepare_cached(
            "INSERT INTO alerts (name, version, event, type, spares_us, definition, standing, created_at, created_by)
             VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (name) DO UPDATE SET version = version + 1, event = excluded.event, type = excluded.type,
                 spares_us = excluded.spares_us, definition = excluded.definition, standing = excluded.standing,
                 created_at = excluded.created_at, created_by = excluded.created_by",
        )?
        .execute((name, alert.event.map(|id| id.0), type_id, spares, json(alert)?, json(&standing)?, micros(now), by))?;
    super::audit::add(tx, now, by, "alert.set", name, &object!({ "alert": alert }))
}

/// Forgets an alert. Answers whether it was there.
pub(super) fn remove(tx: &Tx<'_>, lease: &Lease, name: &str, by: &str, now: DateTime<Utc>) -> Result<bool> {
    require_current(tx, lease)?;
    let removed = tx.conn.prepare_cached("DELETE FROM alerts WHERE name = ?1")?.execute([name])? > 0;
    if removed {
        super::audit::add(tx, now, by, "alert.remove", name, &object!({}))?;
    }
    Ok(removed)
}

/// Moves an alert, with the event that tells of it, if it is still as it was looked at. Answers whether it was.
pub(super) fn step(
    tx: &mut Tx<'_>,
    lease: &Lease,
    row: &AlertRow,
    to: (&AlertStanding, AlertMove),
    tells: Option<&EventRow>,
    now: DateTime<Utc>,
) -> Result<bool> {
    require_current(tx, lease)?;
    let (standing, how) = to;
    let moved = tx
        .conn
        .prepare_cached("UPDATE alerts SET version = version + 1, standing = ?3 WHERE name = ?1 AND version = ?2")?
        .execute((&row.name, row.version, json(standing)?))?;
    if moved == 0 {
        return Ok(false);
    }
    if let Some(event) = tells {
        super::schedule::schedule(tx, std::slice::from_ref(event), "host", now)?;
    }
    let verb = match how {
        AlertMove::Told => "alert.raise",
        AlertMove::Cleared => "alert.clear",
        AlertMove::Noted => return Ok(true),
    };
    let detail = object!({ "text": standing.text, "times": standing.times, "event": tells.map(|event| EventId(event.id)) });
    super::audit::add(tx, now, "host", verb, &row.name, &detail)?;
    Ok(true)
}

/// What the rows say about an alert's subject.
pub(super) fn facts(conn: &Connection, row: &AlertRow) -> Result<AlertFound> {
    let greatest: i64 = conn.query_row("SELECT coalesce(max(id), 0) FROM runs", [], |row| row.get(0))?;
    // Numbers begin anew when all runs were pruned.
    let after = if greatest < row.standing.seen { 0 } else { row.standing.seen };
    let mut found = match (&row.alert.event, &row.alert.event_type) {
        (Some(event), _) => of_event(conn, row, *event)?,
        (None, name) => of_type(conn, row, type_number(conn, name.as_deref().unwrap_or_default())?)?,
    };
    found.seen = greatest;
    if let Some(by) = row.alert.late.and_then(|late| TimeDelta::from_std(late).ok()) {
        begun(conn, row, (after, by), &mut found.facts)?;
    }
    Ok(found)
}

fn nothing_known(row: &AlertRow) -> AlertFacts {
    AlertFacts {
        is_on: false,
        waited_from: row.created_at,
        last_success: None,
        failed_in_a_row: 0,
        last_error: None,
        late: None,
        is_in_time: false,
    }
}

fn of_event(conn: &Connection, row: &AlertRow, id: EventId) -> Result<AlertFound> {
    let mut facts = nothing_known(row);
    let event: Option<(i64, i64)> = conn
        .prepare_cached("SELECT state, max(created_at, updated_at) FROM events WHERE id = ?1")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((state, changed_at)) = event {
        facts.is_on = state == 0;
        let mut select = conn.prepare_cached("SELECT outcome, finished_at, error FROM runs WHERE event = ?1 ORDER BY id DESC LIMIT ?2")?;
        let mut runs = select.query((id.0, LOOK))?;
        while let Some(run) = runs.next()? {
            match run.get::<_, i64>(0)? {
                0 => {
                    facts.last_success = Some(instant(run.get(1)?)?);
                    break;
                }
                1 => {
                    facts.failed_in_a_row += 1;
                    if facts.last_error.is_none() {
                        facts.last_error = run.get(2)?;
                    }
                }
                _ => {}
            }
        }
        // Of one whose runs are pruned, or that never ran, nothing is known from before the alert was set.
        let changed_at = instant(changed_at)?;
        facts.waited_from = if facts.last_success.is_some() { changed_at } else { changed_at.max(row.created_at) };
    }
    let mut select =
        conn.prepare_cached("SELECT n, due_at FROM occurrences WHERE event = ?1 AND state IN (0, 1, 4, 5) ORDER BY due_at LIMIT ?2")?;
    let rows = select.query_map((id.0, WAITING), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let mut waiting = Vec::new();
    for row in rows {
        let (n, due_at) = row?;
        waiting.push((Some(OccurrenceId { event: id, n }), instant(due_at)?));
    }
    Ok(AlertFound { facts, seen: 0, waiting })
}

fn of_type(conn: &Connection, row: &AlertRow, type_id: i64) -> Result<AlertFound> {
    let mut facts = nothing_known(row);
    let scheduled: Option<i64> =
        conn.prepare_cached("SELECT n FROM counters WHERE type = ?1 AND kind = 0")?.query_row([type_id], |row| row.get(0)).optional()?;
    facts.is_on = scheduled.unwrap_or(0) > 0;
    (facts.last_success, facts.failed_in_a_row) = super::stats::newest(conn, type_id)?;
    if facts.failed_in_a_row > 0 {
        let mut select = conn.prepare_cached(LAST_ERROR)?;
        facts.last_error = select.query_row((type_id, LOOK), |row| row.get(0)).optional()?.flatten();
    }
    let mut first: Option<i64> = None;
    for lane in super::lanes::of_type(conn, type_id, true)? {
        first = first.into_iter().chain(super::lanes::first_due(conn, type_id, lane)?).min();
    }
    let waiting = first.map(instant).transpose()?.map(|due_at| (None, due_at));
    Ok(AlertFound { facts, seen: 0, waiting: waiting.into_iter().collect() })
}

/// Of the runs after a number: the latest that began too late, and whether one began in time.
fn begun(conn: &Connection, row: &AlertRow, (after, by): (i64, TimeDelta), facts: &mut AlertFacts) -> Result<()> {
    let event = row.alert.event.map(|id| id.0);
    let mut select = conn.prepare_cached(if event.is_some() {
        "SELECT event, n, due_at, started_at FROM runs WHERE event = ?1 AND id > ?3 AND started_at IS NOT NULL AND outcome <> 5
         AND ?2 IS NULL ORDER BY id DESC LIMIT ?4"
    } else {
        "SELECT event, n, due_at, started_at FROM (SELECT * FROM runs WHERE id > ?3 ORDER BY id DESC LIMIT ?4)
         WHERE type = (SELECT id FROM event_types WHERE name = ?2) AND started_at IS NOT NULL AND outcome <> 5 AND ?1 IS NULL"
    })?;
    let mut runs = select.query((event, &row.alert.event_type, after, LOOK))?;
    while let Some(run) = runs.next()? {
        let (due_at, started_at) = (instant(run.get(2)?)?, instant_or_none(run.get(3)?)?);
        if started_at.is_some_and(|started_at| started_at - due_at > by) {
            // The newest stands first.
            facts.late.get_or_insert(LateOne {
                occurrence: Some(OccurrenceId { event: EventId(run.get(0)?), n: run.get(1)? }),
                due_at,
                started_at,
            });
        } else {
            facts.is_in_time = true;
        }
    }
    Ok(())
}
