//! The verbs on limits: set, remove, list.
//!
//! Not obeying them (`gates`, `claim`). What must hold: a slot is freed with the row that took it, however it leaves its claim: triggers see
//! to that, which exist while a concurrency limit does, so that without one a claim and its end cost what they always did.

use super::codec::{instant, instant_or_none, micros, row};
use super::failure::damaged;
use super::hosts::require_current;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Lease, LimitRow};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json as object;
use sexton_core::decide::rate::Rate;
use sexton_core::limit::{Limit, LimitOn, Scope};
use sexton_core::{Blame, Refusal};
use std::time::Duration;

type Result<T> = std::result::Result<T, StoreError>;

/// Numbers of the scopes.
pub(super) const TYPE: i64 = 0;
pub(super) const PLUGIN: i64 = 1;
pub(super) const KEY: i64 = 2;

/// Limits at most: each claim looks at all of them.
const LIMITS_MAX: i64 = 1_000;

const FREE: &str = "
    CREATE TRIGGER IF NOT EXISTS slots_free_unclaimed AFTER UPDATE OF state ON occurrences WHEN old.state = 1 AND new.state <> 1 BEGIN
        DELETE FROM slots WHERE event = old.event AND n = old.n;
    END;
    CREATE TRIGGER IF NOT EXISTS slots_free_deleted AFTER DELETE ON occurrences WHEN old.state = 1 BEGIN
        DELETE FROM slots WHERE event = old.event AND n = old.n;
    END;";
const NO_FREE: &str = "DROP TRIGGER IF EXISTS slots_free_unclaimed; DROP TRIGGER IF EXISTS slots_free_deleted;";

fn scope_number(scope: Scope) -> i64 {
    match scope {
        Scope::Type => TYPE,
        Scope::Plugin => PLUGIN,
        Scope::Key => KEY,
    }
}

fn scope_of(number: i64) -> Result<Scope> {
    Ok(match number {
        TYPE => Scope::Type,
        PLUGIN => Scope::Plugin,
        KEY => Scope::Key,
        _ => return Err(damaged(&format!("{number} is no scope of a limit"))),
    })
}

/// A rate from its columns. What is no rate any more limits nothing: the list shows it without one.
pub(super) fn rate_of(count: Option<u32>, per_us: Option<i64>, burst: Option<u32>) -> Option<Rate> {
    let per = Duration::from_micros(u64::try_from(per_us?).ok()?);
    Rate::new(count?, per, burst).ok()
}

impl Tx<'_> {
    /// Whether there is any limit: asked once, and remembered until one is set or taken away.
    pub(super) fn is_limited(&mut self) -> Result<bool> {
        if let Some(limited) = self.hot.limited {
            return Ok(limited);
        }
        let limited = self.conn.prepare_cached("SELECT 1 FROM limits")?.exists([])?;
        self.hot.limited = Some(limited);
        Ok(limited)
    }
}

/// Sets a limit in place of what was on the same thing. What is claimed already counts and goes on.
pub(super) fn set(tx: &mut Tx<'_>, lease: &Lease, limit: &Limit, by: &str, now: DateTime<Utc>) -> Result<()> {
    require_current(tx, lease)?;
    let count: i64 = tx.conn.query_row("SELECT count(*) FROM limits", [], |row| row.get(0))?;
    let known = find(tx.conn, &limit.on)?;
    if known.is_none() && count >= LIMITS_MAX {
        let refusal = Refusal::new("INP015", Blame::Input, "the number of limits: the limit is exceeded");
        return Err(refusal.expected(format!("at most {LIMITS_MAX}")).remedy("`sexton limit remove` takes one away").into());
    }
    let rate = limit.rate;
    let id: i64 = tx.conn.query_row(
        "INSERT INTO limits (scope, name, concurrency, rate_count, rate_per, burst, full_at, taken, set_at, set_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, 0, ?7, ?8)
         ON CONFLICT (scope, name) DO UPDATE SET concurrency = excluded.concurrency, rate_count = excluded.rate_count, rate_per = excluded.rate_per,
            burst = excluded.burst, full_at = CASE WHEN excluded.rate_count IS NULL THEN NULL ELSE full_at END,
            set_at = excluded.set_at, set_by = excluded.set_by
         RETURNING id",
        rusqlite::params![
            scope_number(limit.on.scope),
            limit.on.name,
            limit.concurrency,
            rate.map(|rate| rate.count()),
            rate.map(|rate| i64::try_from(rate.per().as_micros()).unwrap_or(i64::MAX)),
            rate.map(|rate| rate.burst()),
            micros(now),
            by
        ],
        |row| row.get(0),
    )?;
    if limit.concurrency.is_some() {
        count_claimed(tx.conn, id, &limit.on)?;
    } else {
        free_all(tx.conn, id)?;
    }
    settle_triggers(tx)?;
    let detail = object!({
        "concurrency": limit.concurrency,
        "rate": rate.map(|rate| rate.text()),
        "burst": rate.map(|rate| rate.burst()),
        "in_place_of_one": known.is_some(),
    });
    super::audit::add(tx, now, by, "limit.set", &limit.on.to_string(), &detail)
}

/// Takes a limit away; answers whether it was there. Rows that wait behind it are let through from where they stand: as long as there are any,
/// the row stays, without bounds.
pub(super) fn remove(tx: &mut Tx<'_>, lease: &Lease, on: &LimitOn, by: &str, now: DateTime<Utc>) -> Result<bool> {
    require_current(tx, lease)?;
    let Some((id, true)) = find(tx.conn, on)? else { return Ok(false) };
    free_all(tx.conn, id)?;
    tx.conn.execute(
        "UPDATE limits SET concurrency = NULL, rate_count = NULL, rate_per = NULL, burst = NULL, full_at = NULL WHERE id = ?1",
        [id],
    )?;
    settle_triggers(tx)?;
    super::audit::add(tx, now, by, "limit.remove", &on.to_string(), &object!({}))?;
    Ok(true)
}

/// The number of a limit, and whether it still bounds anything.
fn find(conn: &Connection, on: &LimitOn) -> Result<Option<(i64, bool)>> {
    let sql = "SELECT id, concurrency IS NOT NULL OR rate_count IS NOT NULL FROM limits WHERE scope = ?1 AND name = ?2";
    Ok(conn.query_row(sql, (scope_number(on.scope), &on.name), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Gives a slot to each claimed row that the limit is on. Reads every occurrence, once a setting: an index of claimed rows would cost each claim.
fn count_claimed(conn: &Connection, id: i64, on: &LimitOn) -> Result<()> {
    let which = match on.scope {
        Scope::Type => "type IN (SELECT id FROM event_types WHERE name = ?2)",
        Scope::Plugin => "type IN (SELECT id FROM event_types WHERE owner = ?2)",
        Scope::Key => {
            "EXISTS (SELECT 1 FROM events e WHERE e.id = occurrences.event AND e.policy IS NOT NULL
                     AND CASE WHEN json_valid(e.policy) THEN e.policy ->> '$.limit_key' END = ?2)"
        }
    };
    let sql = format!("INSERT OR IGNORE INTO slots (event, n, limit_id) SELECT event, n, ?1 FROM occurrences WHERE state = ?3 AND {which}");
    conn.execute(&sql, (id, &on.name, row::CLAIMED))?;
    Ok(())
}

fn free_all(conn: &Connection, id: i64) -> Result<()> {
    conn.execute("DELETE FROM slots WHERE limit_id = ?1", [id])?;
    Ok(())
}

/// Forgets limits without bounds behind which nothing waits, and lets the triggers be there if they have something to do.
fn settle_triggers(tx: &mut Tx<'_>) -> Result<()> {
    tx.conn.execute(
        "DELETE FROM limits WHERE concurrency IS NULL AND rate_count IS NULL
            AND NOT (scope = ?1 AND EXISTS (SELECT 1 FROM occurrences WHERE state = 5 AND gate = limits.id))",
        [KEY],
    )?;
    let concurrent = tx.conn.prepare("SELECT 1 FROM limits WHERE concurrency IS NOT NULL")?.exists([])?;
    tx.conn.execute_batch(if concurrent { FREE } else { NO_FREE })?;
    tx.hot.limited = None;
    Ok(())
}

/// Moves what is counted in elapsed time with a step of the clock.
pub(super) fn step(tx: &mut Tx<'_>, step: TimeDelta) -> Result<()> {
    if tx.is_limited()? {
        let step = step.num_nanoseconds().unwrap_or(0);
        tx.conn.execute("UPDATE limits SET full_at = full_at + ?1 WHERE full_at IS NOT NULL", [step])?;
    }
    Ok(())
}

/// Puts what waits behind a gate back into the due order, because its event may share another limit now: the next claim sees.
pub(super) fn ungate(tx: &Tx<'_>, event: i64) -> Result<()> {
    tx.conn.prepare_cached("UPDATE occurrences SET state = ?2, gate = NULL WHERE event = ?1 AND state = ?3")?.execute((
        event,
        row::WAITING,
        row::GATED,
    ))?;
    Ok(())
}

/// Every limit, with what is taken of it and what waits behind it.
pub(super) fn list(conn: &Connection, now: DateTime<Utc>) -> Result<Vec<LimitRow>> {
    let mut select = conn.prepare_cached(
        "SELECT scope, name, concurrency, rate_count, rate_per, burst, full_at, taken, set_at, set_by FROM limits
         WHERE concurrency IS NOT NULL OR rate_count IS NOT NULL ORDER BY scope, name",
    )?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (rate, full_at) = (rate_of(row.get(3)?, row.get(4)?, row.get(5)?), row.get(6)?);
        found.push(LimitRow {
            limit: Limit { on: LimitOn { scope: scope_of(row.get(0)?)?, name: row.get(1)? }, concurrency: row.get(2)?, rate },
            taken: row.get(7)?,
            tokens: rate.map(|rate| rate.tokens(full_at, now)),
            opens_at: instant_or_none(rate.map(|rate| micros(rate.opens_at(full_at, now))))?,
            set_at: instant(row.get(8)?)?,
            set_by: row.get(9)?,
        });
    }
    Ok(found)
}
