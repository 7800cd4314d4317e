//! Named calendars: their definitions, and which open events they move.
//!
//! Not what a calendar says (`sexton_core::calendar`). What must hold: no open event names a calendar that is not there, and a changed
//! calendar re-plans the events that name it in the transaction that changes it.

use super::codec::{instant, json, micros};
use super::hosts::require_current;
use super::replan::{Head, again};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{CalendarRow, Lease};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde_json::json as object;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::{Blame, EventId, Refusal, Schedule};
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// Open events that one calendar moves at most, since it moves them in one transaction.
const USES_MAX: i64 = 100_000;

impl Tx<'_> {
    /// The calendars as they stand in this transaction.
    pub(super) fn calendars(&mut self) -> Result<Arc<Calendars>> {
        if let Some(calendars) = &self.hot.calendars {
            return Ok(Arc::clone(calendars));
        }
        let read = Arc::new(all(self.conn)?);
        self.hot.calendars = Some(Arc::clone(&read));
        Ok(read)
    }
}

/// Every calendar.
pub(super) fn all(conn: &Connection) -> Result<Calendars> {
    let mut calendars = Calendars::new();
    for row in list(conn)? {
        calendars.insert(&row.name, Arc::new(row.calendar))?;
    }
    Ok(calendars)
}

/// Every calendar with what is known of it.
pub(super) fn list(conn: &Connection) -> Result<Vec<CalendarRow>> {
    let mut select = conn.prepare_cached(
        "SELECT name, definition, updated_at, updated_by, (SELECT count(*) FROM calendar_uses u WHERE u.calendar = calendars.name)
         FROM calendars ORDER BY name",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let definition: String = row.get(1)?;
        found.push(CalendarRow {
            name: row.get(0)?,
            calendar: super::codec::from_json(&definition)?,
            updated_at: instant(row.get(2)?)?,
            updated_by: row.get(3)?,
            events: row.get(4)?,
        });
    }
    Ok(found)
}

/// Stores a definition under its name and re-plans the open events that name it; answers how many of them moved.
pub(super) fn set(tx: &mut Tx<'_>, lease: &Lease, name: &str, calendar: &Calendar, by: &str, now: DateTime<Utc>) -> Result<i64> {
    require_current(tx, lease)?;
    sexton_core::calendar::check_name(name)?;
    let (uses, before) = (uses_of(tx.conn, name)?, tx.calendars()?);
    tx.conn
        .prepare_cached(
            "INSERT INTO calendars (name, definition, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )?
        .execute((name, json(calendar)?, micros(now), by))?;
    tx.hot.calendars = None;
    let mut moved = 0;
    for event in &uses {
        if let Some(mut head) = Head::read(tx, *event)? {
            moved += i64::from(again(tx, &mut head, Some(&before), now).map_err(|error| of_event(*event, error))?);
        }
    }
    super::audit::add(tx, now, by, "calendar.set", name, &object!({ "events": uses.len(), "moved": moved }))?;
    Ok(moved)
}

/// Says which event it is that a change cannot be carried out for.
fn of_event(event: i64, error: StoreError) -> StoreError {
    let Some(mut refusal) = error.refusal else { return error };
    refusal.message = format!("event {}, which names the calendar: {}", EventId(event), refusal.message);
    (*refusal).into()
}

/// Forgets a calendar that no open event names. Answers whether it was there.
pub(super) fn remove(tx: &mut Tx<'_>, lease: &Lease, name: &str, by: &str, now: DateTime<Utc>) -> Result<bool> {
    require_current(tx, lease)?;
    let uses = uses_of(tx.conn, name)?;
    if let Some(first) = uses.first() {
        return Err(Refusal::new("INP027", Blame::Input, format!("the calendar `{name}` is in use"))
            .found(format!("{} open events name it, {} among them", uses.len(), EventId(*first)))
            .remedy("edit or cancel those events first, or give the calendar another content: `sexton calendar set`")
            .into());
    }
    let removed = tx.conn.prepare_cached("DELETE FROM calendars WHERE name = ?1")?.execute([name])? > 0;
    if removed {
        tx.hot.calendars = None;
        super::audit::add(tx, now, by, "calendar.remove", name, &object!({}))?;
    }
    Ok(removed)
}

/// Remembers which calendars an event names, in place of what it named before.
pub(super) fn note_uses(tx: &Tx<'_>, event: i64, schedule: &Schedule, is_new: bool) -> Result<()> {
    if !is_new {
        forget_uses(tx, event)?;
    }
    for name in schedule.terms.exclude.iter().chain(&schedule.terms.only) {
        tx.conn.prepare_cached("INSERT OR IGNORE INTO calendar_uses (calendar, event) VALUES (?1, ?2)")?.execute((name, event))?;
    }
    Ok(())
}

/// For an event that is pruned or edited.
pub(super) fn forget_uses(tx: &Tx<'_>, event: i64) -> Result<()> {
    tx.conn.prepare_cached("DELETE FROM calendar_uses WHERE event = ?1")?.execute([event])?;
    Ok(())
}

fn uses_of(conn: &Connection, name: &str) -> Result<Vec<i64>> {
    let mut select = conn.prepare_cached(
        "SELECT u.event FROM calendar_uses u JOIN events e ON e.id = u.event WHERE u.calendar = ?1 AND e.state < 2 ORDER BY u.event LIMIT ?2",
    )?;
    let events: Vec<i64> = select.query_map((name, USES_MAX + 1), |row| row.get(0))?.collect::<std::result::Result<_, _>>()?;
    if events.len() > usize::try_from(USES_MAX).unwrap_or(usize::MAX) {
        return Err(Refusal::new("INP027", Blame::Input, format!("more than {USES_MAX} open events name the calendar `{name}`"))
            .remedy("give part of them a calendar of their own")
            .into());
    }
    Ok(events)
}
