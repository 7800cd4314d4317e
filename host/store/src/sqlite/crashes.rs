//! Crashes of plugins, for whoever judges how often is too often.
//!
//! Not the judgement. What must hold: the table stays small by itself, whatever a plugin does.

use super::codec::{instant, micros};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Crash;
use chrono::TimeDelta;
use rusqlite::Connection;

type Result<T> = std::result::Result<T, StoreError>;

/// Crashes of one plugin that are kept.
pub(super) const KEPT_MAX: i64 = 100;
/// How long one is kept at most.
const KEPT_FOR: TimeDelta = TimeDelta::days(30);

/// The text of [`list`].
pub(super) const LIST: &str =
    "SELECT plugin, digest, generation, placement, cause, at FROM crashes WHERE plugin = ?1 AND at >= ?2 ORDER BY at DESC, id DESC";

/// Adds one and drops what is old. Old ones of every plugin: one that crashes no more would keep its own for ever.
pub(super) fn add(tx: &Tx<'_>, crash: &Crash) -> Result<()> {
    tx.conn.execute(
        "INSERT INTO crashes (plugin, at, digest, generation, placement, cause) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (&crash.plugin, micros(crash.at), &crash.digest, crash.generation, &crash.placement, &crash.cause),
    )?;
    tx.conn.execute("DELETE FROM crashes WHERE at < ?1", [micros(crash.at).saturating_sub(KEPT_FOR.num_microseconds().unwrap_or(0))])?;
    tx.conn.execute(
        "DELETE FROM crashes WHERE id IN (SELECT id FROM crashes WHERE plugin = ?1 ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?2)",
        (&crash.plugin, KEPT_MAX),
    )?;
    Ok(())
}

/// Forgets those of a plugin.
pub(super) fn forgive(tx: &Tx<'_>, plugin: &str) -> Result<()> {
    tx.conn.execute("DELETE FROM crashes WHERE plugin = ?1", [plugin])?;
    Ok(())
}

/// Crashes of a plugin since an instant, newest first.
pub(super) fn list(conn: &Connection, plugin: &str, since: i64) -> Result<Vec<Crash>> {
    let mut select = conn.prepare_cached(LIST)?;
    let mut rows = select.query((plugin, since))?;
    let mut crashes = Vec::new();
    while let Some(row) = rows.next()? {
        crashes.push(Crash {
            plugin: row.get(0)?,
            digest: row.get(1)?,
            generation: row.get(2)?,
            placement: row.get(3)?,
            cause: row.get(4)?,
            at: instant(row.get(5)?)?,
        });
    }
    Ok(crashes)
}
