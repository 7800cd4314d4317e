//! Standing events: what a plugin declares to exist.
//!
//! Not ordinary scheduling. What must hold: the same declaration at every load changes nothing, so that an operator's pause
//! or cancel outlives a restart.

use super::codec::{lane, micros};
use super::replan::{Head, move_to};
use super::schedule::{EventRow, insert};
use super::writer::Tx;
use crate::error::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::OptionalExtension;
use serde_json::Value;
use sexton_core::Schedule;
use sexton_core::schedule::Rule;

type Result<T> = std::result::Result<T, StoreError>;

/// An anchor this close to the instant of storing was filled in, not declared.
const FILLED_IN: TimeDelta = TimeDelta::seconds(60);

/// The declaration as it was stored last.
struct Stored {
    id: i64,
    state: i64,
    schedule: String,
    args: String,
    description: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// Stores a declaration, replaces the one it differs from, or leaves it alone. Answers the event that stands for it.
pub(super) fn put(tx: &mut Tx<'_>, declared: &EventRow, by: &str, now: DateTime<Utc>) -> Result<i64> {
    let Some(stored) = stored(tx, declared)? else {
        insert(tx, declared, by, now)?;
        return Ok(declared.id);
    };
    if is_same(&stored, declared, now)? {
        return Ok(stored.id);
    }
    if stored.state >= 2 {
        insert(tx, declared, by, now)?;
        return Ok(declared.id);
    }
    replace(tx, &stored, declared, now)?;
    Ok(stored.id)
}

/// The open event under the key, if some plugin declared it; else the last one that this plugin did.
fn stored(tx: &Tx<'_>, declared: &EventRow) -> Result<Option<Stored>> {
    const COLUMNS: &str = "id, state, schedule, args, description, created_at, updated_at";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Stored {
            id: row.get(0)?,
            state: row.get(1)?,
            schedule: row.get(2)?,
            args: row.get(3)?,
            description: row.get(4)?,
            created_at: row.get(5)?,
            updated_at: row.get(6)?,
        })
    };
    let open = tx
        .conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE type = ?1 AND key = ?2 AND key IS NOT NULL AND state < 2 AND standing_of IS NOT NULL"
        ))?
        .query_row((declared.type_id, &declared.key), read)
        .optional()?;
    if open.is_some() {
        return Ok(open);
    }
    let ended = tx
        .conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE standing_of = ?3 AND type = ?1 AND key = ?2 AND standing_of IS NOT NULL
             ORDER BY id DESC LIMIT 1"
        ))?
        .query_row((declared.type_id, &declared.key, &declared.standing_of), read)
        .optional()?;
    Ok(ended)
}

fn is_same(stored: &Stored, declared: &EventRow, now: DateTime<Utc>) -> Result<bool> {
    let args_then: Value = super::codec::from_json(&stored.args)?;
    let args_now: Value = super::codec::from_json(&declared.args)?;
    Ok(args_then == args_now && stored.description == declared.description && is_same_schedule(stored, declared, now)?)
}

fn is_same_schedule(stored: &Stored, declared: &EventRow, now: DateTime<Utc>) -> Result<bool> {
    if stored.schedule == declared.schedule {
        return Ok(true);
    }
    let then: Schedule = super::codec::from_json(&stored.schedule)?;
    let now_declared: Schedule = super::codec::from_json(&declared.schedule)?;
    if then.terms != now_declared.terms {
        return Ok(false);
    }
    Ok(match (&then.rule, &now_declared.rule) {
        (Rule::Every { step: a, anchor: anchor_then, tz: tz_then }, Rule::Every { step: b, anchor: anchor_now, tz: tz_now }) => {
            let near = |anchor: DateTime<Utc>, at: DateTime<Utc>| (at - anchor).abs() < FILLED_IN;
            let (created, updated) = (super::codec::instant(stored.created_at)?, super::codec::instant(stored.updated_at)?);
            let was_filled_in = anchor_then.is_none_or(|anchor| near(anchor, created) || near(anchor, updated));
            let is_filled_in = anchor_now.is_none_or(|anchor| near(anchor, now));
            a == b && tz_then == tz_now && (anchor_then == anchor_now || was_filled_in && is_filled_in)
        }
        (one, other) => one == other,
    })
}

/// Writes the declaration over the stored event, which keeps its id, its runs and its ordinals, and stays paused if it is. What is
/// claimed counts as running, as nobody here knows better: voiding the claim of a run would lose its end and run it twice, so an
/// occurrence that is only claimed runs once more with the arguments it was claimed with.
fn replace(tx: &mut Tx<'_>, stored: &Stored, declared: &EventRow, now: DateTime<Utc>) -> Result<()> {
    if !is_same_schedule(stored, declared, now)?
        && let Some(mut head) = Head::read(tx, stored.id)?
    {
        head.priority = declared.priority;
        let to: Schedule = super::codec::from_json(&declared.schedule)?;
        move_to(tx, &mut head, &to, |_| true, now)?;
        head.write_schedule(tx, &to)?;
    }
    tx.conn.execute(
        "UPDATE events SET args = ?2, description = ?3, bot = ?4, resources = ?5, labels = ?6, priority = ?7, retry = ?8, standing_of = ?9,
                           updated_at = ?10, policy = ?11 WHERE id = ?1",
        rusqlite::params![
            stored.id,
            declared.args,
            declared.description,
            declared.bot,
            declared.resources,
            declared.labels,
            declared.priority,
            declared.retry,
            declared.standing_of,
            micros(now),
            declared.policy
        ],
    )?;
    super::limits::ungate(tx, stored.id)?;
    tx.conn.execute("UPDATE occurrences SET lane = ?2 WHERE event = ?1", (stored.id, lane(declared.priority)))?;
    Ok(())
}
