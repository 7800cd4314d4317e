//! A plugin's own small keys and values, which survive its reloads.
//!
//! Not a database for plugins: the limits say so. What must hold: a version is never given twice, so that comparing versions
//! is enough to see that somebody else wrote, even if the key was removed and written anew.

use super::codec::from_json;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::StateRow;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use sexton_core::{Blame, Refusal};

type Result<T> = std::result::Result<T, StoreError>;

/// Bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;
/// Bytes of a value's JSON.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Keys of one plugin.
pub const KEYS_MAX: i64 = 1_000;

/// Value and version; version 0 = absent.
pub(super) fn get(conn: &Connection, plugin: &str, key: &str) -> Result<(Option<Value>, i64)> {
    let found: Option<(String, i64)> = conn
        .prepare_cached("SELECT value, version FROM plugin_state WHERE plugin = ?1 AND key = ?2")?
        .query_row((plugin, key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((text, version)) => Ok((Some(from_json(&text)?), version)),
        None => Ok((None, 0)),
    }
}

/// Every key, by name, without its value.
pub(super) fn keys(conn: &Connection, plugin: &str) -> Result<Vec<StateRow>> {
    let mut select = conn.prepare_cached("SELECT key, version, octet_length(value) FROM plugin_state WHERE plugin = ?1 ORDER BY key")?;
    let rows = select.query_map([plugin], |row| Ok(StateRow { key: row.get(0)?, version: row.get(1)?, bytes: row.get(2)? }))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Refuses what exceeds a limit that needs no look at the rows.
pub(super) fn check(plugin: &str, key: &str, value: Option<&str>) -> Result<()> {
    let too_much = |what: String, most: String| {
        Err(Refusal::new("INP015", Blame::Plugin, format!("the state of plugin `{plugin}`: {what}")).expected(most).into())
    };
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return too_much(format!("a key of {} bytes", key.len()), format!("1 to {KEY_BYTES_MAX} bytes"));
    }
    match value {
        Some(text) if text.len() > VALUE_BYTES_MAX => {
            too_much(format!("a value of {} bytes under `{key}`", text.len()), format!("at most {VALUE_BYTES_MAX} bytes of JSON"))
        }
        _ => Ok(()),
    }
}

/// Writes or removes a key if its version is the expected one; answers the new version, or the present one as `Err`.
pub(super) fn put(
    tx: &Tx<'_>,
    plugin: &str,
    key: &str,
    value: Option<&str>,
    expected: Option<i64>,
) -> Result<std::result::Result<i64, i64>> {
    let present: i64 = tx
        .conn
        .prepare_cached("SELECT version FROM plugin_state WHERE plugin = ?1 AND key = ?2")?
        .query_row((plugin, key), |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    if expected.is_some_and(|expected| expected != present) {
        return Ok(Err(present));
    }
    let Some(value) = value else {
        tx.conn.execute("DELETE FROM plugin_state WHERE plugin = ?1 AND key = ?2", (plugin, key))?;
        return Ok(Ok(0));
    };
    if present == 0 {
        let keys: i64 = tx.conn.query_row("SELECT count(*) FROM plugin_state WHERE plugin = ?1", [plugin], |row| row.get(0))?;
        if keys >= KEYS_MAX {
            return Err(Refusal::new("INP015", Blame::Plugin, format!("the state of plugin `{plugin}` has {keys} keys already"))
                .expected(format!("at most {KEYS_MAX} keys a plugin"))
                .remedy("remove keys that are no longer needed (write no value)")
                .into());
        }
    }
    let version: i64 = tx
        .conn
        .prepare_cached("UPDATE store SET state_version = state_version + 1 RETURNING state_version")?
        .query_row([], |row| row.get(0))?;
    tx.conn
        .prepare_cached(
            "INSERT INTO plugin_state (plugin, key, version, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (plugin, key) DO UPDATE SET version = excluded.version, value = excluded.value",
        )?
        .execute((plugin, key, version, value))?;
    Ok(Ok(version))
}
