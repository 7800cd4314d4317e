//! The rules of zones by which events are planned, and re-planning those of a zone whose rules changed.
//!
//! Not the zone data. What must hold: a pass is done in pages, each its own transaction that remembers how far it came, so that it goes on
//! after a restart and holds up no run.

use super::codec::{from_json, json};
use super::hosts::require_current;
use super::replan::{Head, again};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Lease, ZonePage, ZoneRow};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json as object;
use sexton_core::EventId;
use sexton_core::schedule::zone::ZoneRules;

type Result<T> = std::result::Result<T, StoreError>;

/// Zones that open events follow, each with the rules it was planned by, if that was ever noted.
pub(super) fn in_use(conn: &Connection) -> Result<Vec<ZoneRow>> {
    // From zone to zone down the index: some steps for each, however many events follow it.
    let mut next = conn.prepare_cached("SELECT min(tz) FROM events INDEXED BY events_of_zone WHERE tz > ?1 AND state < 2")?;
    let mut rules = conn.prepare_cached("SELECT rules, reached IS NOT NULL FROM zones WHERE tz = ?1")?;
    let mut found = Vec::new();
    let mut tz = String::new();
    while let Some(name) = next.query_row([&tz], |row| row.get::<_, Option<String>>(0))? {
        let noted: Option<(String, bool)> = rules.query_row([&name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        // Rules that cannot be read are as good as none noted.
        let planned_by = noted.as_ref().and_then(|(text, _)| from_json(text).ok());
        found.push(ZoneRow { tz: name.clone(), planned_by, is_passing: noted.is_some_and(|(_, is_passing)| is_passing) });
        tz = name;
    }
    Ok(found)
}

/// Notes the rules by which a zone's events are planned, without re-planning any.
pub(super) fn note(tx: &mut Tx<'_>, lease: &Lease, tz: &str, rules: &ZoneRules) -> Result<()> {
    require_current(tx, lease)?;
    tx.conn
        .prepare_cached(
            "INSERT INTO zones (tz, rules, reached, looked, moved) VALUES (?1, ?2, NULL, 0, 0)
             ON CONFLICT (tz) DO UPDATE SET rules = excluded.rules WHERE reached IS NULL",
        )?
        .execute((tz, json(rules)?))?;
    Ok(())
}

/// Re-plans the next `limit` events of a zone by its rules of now. The first page begins a pass, the last notes the rules and says in the
/// audit record what it did.
pub(super) fn replan(tx: &mut Tx<'_>, lease: &Lease, tz: &str, rules: &ZoneRules, limit: usize, now: DateTime<Utc>) -> Result<ZonePage> {
    require_current(tx, lease)?;
    let reached: Option<i64> =
        tx.conn.prepare_cached("SELECT reached FROM zones WHERE tz = ?1")?.query_row([tz], |row| row.get(0)).optional()?.flatten();
    let events: Vec<i64> = tx
        .conn
        .prepare_cached("SELECT id FROM events INDEXED BY events_of_zone WHERE tz = ?1 AND state < 2 AND id > ?2 ORDER BY id LIMIT ?3")?
        .query_map((tz, reached.unwrap_or(i64::MIN), super::limit_of(limit)), |row| row.get(0))?
        .collect::<std::result::Result<_, _>>()?;
    let mut moved = 0;
    for event in &events {
        if let Some(mut head) = Head::read(tx, *event)? {
            moved += i64::from(again(tx, &mut head, None, now)?);
        }
    }
    let is_done = events.len() < limit;
    let looked = i64::try_from(events.len()).unwrap_or(i64::MAX);
    // The old rules stand until the pass is done, so that a host that comes again knows that there is one to finish.
    tx.conn
        .prepare_cached(
            "INSERT INTO zones (tz, rules, reached, looked, moved) VALUES (?1, '{}', ?2, ?3, ?4)
             ON CONFLICT (tz) DO UPDATE SET reached = excluded.reached, looked = looked + excluded.looked, moved = moved + excluded.moved",
        )?
        .execute((tz, events.last().copied().or(reached).unwrap_or(i64::MIN), looked, moved))?;
    if is_done {
        let (looked, moved): (i64, i64) = tx
            .conn
            .prepare_cached("UPDATE zones SET rules = ?2, reached = NULL WHERE tz = ?1 RETURNING looked, moved")?
            .query_row((tz, json(rules)?), |row| Ok((row.get(0)?, row.get(1)?)))?;
        tx.conn.prepare_cached("UPDATE zones SET looked = 0, moved = 0 WHERE tz = ?1")?.execute([tz])?;
        let detail = object!({ "tzdata": sexton_core::schedule::zone::tzdata_version(), "events": looked, "moved": moved });
        super::audit::add(tx, now, "host", "zone.replan", tz, &detail)?;
    }
    Ok(ZonePage { looked, moved, is_done, last: events.last().map(|id| EventId(*id)) })
}
