//! Plugins as the store remembers them: generations and decisions.
//!
//! Not what is loaded. What must hold: the number of a generation is never given twice, and at most one decision is in force.

use super::codec::{instant, instant_or_none, micros};
use super::failure::damaged;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Actor, Decision, GenerationRow, PluginRow, Verdict};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row};
use serde_json::json as object;

type Result<T> = std::result::Result<T, StoreError>;

/// Gives a generation its number.
pub(super) fn new_generation(tx: &Tx<'_>, plugin: &str, digest: &str, now: DateTime<Utc>) -> Result<i64> {
    know(tx, plugin)?;
    tx.conn.execute("INSERT INTO generations (plugin, digest, created_at) VALUES (?1, ?2, ?3)", (plugin, digest, micros(now)))?;
    Ok(tx.conn.last_insert_rowid())
}

fn know(tx: &Tx<'_>, plugin: &str) -> Result<()> {
    tx.conn.execute("INSERT INTO plugins (name) VALUES (?1) ON CONFLICT DO NOTHING", [plugin])?;
    Ok(())
}

/// Remembers which generation was published last, and when each was first.
pub(super) fn published(tx: &Tx<'_>, plugin: &str, generation: i64, now: DateTime<Utc>) -> Result<()> {
    know(tx, plugin)?;
    tx.conn.execute("UPDATE plugins SET generation = ?2 WHERE name = ?1", (plugin, generation))?;
    tx.conn.execute(
        "UPDATE generations SET published_at = coalesce(published_at, ?3) WHERE number = ?2 AND plugin = ?1",
        (plugin, generation, micros(now)),
    )?;
    Ok(())
}

/// Remembers where a generation runs.
pub(super) fn placed(tx: &Tx<'_>, generation: i64, placement: &str) -> Result<()> {
    tx.conn.execute("UPDATE generations SET placement = ?2 WHERE number = ?1", (generation, placement))?;
    Ok(())
}

/// The text of [`generations`].
pub(super) const GENERATIONS: &str =
    "SELECT number, plugin, digest, placement, created_at, published_at FROM generations INDEXED BY generations_of_plugin
     WHERE plugin = ?1 ORDER BY number DESC LIMIT ?2";

/// Generations of a plugin, newest first.
pub(super) fn generations(conn: &Connection, plugin: &str, limit: usize) -> Result<Vec<GenerationRow>> {
    let mut select = conn.prepare_cached(GENERATIONS)?;
    let mut rows = select.query((plugin, super::limit_of(limit)))?;
    let mut generations = Vec::new();
    while let Some(row) = rows.next()? {
        generations.push(GenerationRow {
            number: row.get(0)?,
            plugin: row.get(1)?,
            digest: row.get(2)?,
            placement: row.get(3)?,
            created_at: instant(row.get(4)?)?,
            published_at: instant_or_none(row.get(5)?)?,
        });
    }
    Ok(generations)
}

/// Sets or ends the decision about a plugin.
pub(super) fn decide(tx: &Tx<'_>, plugin: &str, decision: Option<&Decision>, by: &str, now: DateTime<Utc>) -> Result<()> {
    know(tx, plugin)?;
    tx.conn.execute(
        "UPDATE plugins SET verdict = ?2, against = ?3, serve = ?4, decided_by = ?5, decided_at = ?6 WHERE name = ?1",
        (
            plugin,
            decision.map(|d| word(d.verdict)),
            decision.map(|d| &d.digest),
            decision.and_then(|d| d.serve.as_ref()),
            decision.map(|d| &d.by.0),
            decision.map(|d| micros(d.at)),
        ),
    )?;
    let detail = match decision {
        Some(d) => object!({ "verdict": d.verdict, "digest": d.digest, "serve": d.serve }),
        None => object!({ "verdict": null }),
    };
    super::audit::add(tx, now, by, "plugin.decision", plugin, &detail)
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unload => "unload",
        Verdict::Rollback => "rollback",
        Verdict::Quarantine => "quarantine",
    }
}

fn verdict(word: &str) -> Result<Verdict> {
    Ok(match word {
        "unload" => Verdict::Unload,
        "rollback" => Verdict::Rollback,
        "quarantine" => Verdict::Quarantine,
        _ => return Err(damaged(&format!("`{word}` is no decision"))),
    })
}

/// Every plugin known, by name.
pub(super) fn list(conn: &Connection) -> Result<Vec<PluginRow>> {
    let mut select = conn.prepare_cached(
        "SELECT p.name, p.verdict, p.against, p.serve, p.decided_by, p.decided_at, p.generation, coalesce(g.digest, '')
         FROM plugins p LEFT JOIN generations g ON g.number = p.generation ORDER BY p.name",
    )?;
    let mut rows = select.query([])?;
    let mut plugins = Vec::new();
    while let Some(row) = rows.next()? {
        let generation: Option<i64> = row.get(6)?;
        let last_generation = match generation {
            Some(number) => Some((number, row.get(7)?)),
            None => None,
        };
        plugins.push(PluginRow { name: row.get(0)?, decision: decision(row)?, last_generation });
    }
    Ok(plugins)
}

fn decision(row: &Row<'_>) -> Result<Option<Decision>> {
    let Some(word) = row.get::<_, Option<String>>(1)? else {
        return Ok(None);
    };
    Ok(Some(Decision {
        verdict: verdict(&word)?,
        digest: row.get(2)?,
        serve: row.get(3)?,
        by: Actor(row.get(4)?),
        at: instant(row.get(5)?)?,
    }))
}
