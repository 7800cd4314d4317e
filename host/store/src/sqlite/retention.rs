//! Rules of how long runs are kept: stored, forgotten, and read as what holds for each type.
//!
//! Not the deleting: that is `prune`. What must hold: a type's own rule stands over the one for all, and that over the defaults.

use super::codec::{from_json, instant, json, micros};
use super::hosts::require_current;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Lease, RetentionRow};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::{Blame, Refusal, Retention, RetentionRule};
use std::collections::HashMap;

type Result<T> = std::result::Result<T, StoreError>;

/// What was said, the rule for all first.
pub(super) fn list(conn: &Connection) -> Result<Vec<RetentionRow>> {
    let mut select = conn.prepare_cached("SELECT event_type, rule, updated_at, updated_by FROM retention ORDER BY event_type")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let event_type: String = row.get(0)?;
        found.push(RetentionRow {
            event_type: Some(event_type).filter(|name| !name.is_empty()),
            rule: from_json(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
            updated_at: instant(row.get(2)?)?,
            updated_by: row.get(3)?,
        });
    }
    Ok(found)
}

/// What holds for all types, and for those that have a rule of their own, by number.
pub(super) fn in_force(conn: &Connection) -> Result<(Retention, HashMap<i64, Retention>)> {
    let (mut all, mut own) = (Retention::default(), HashMap::new());
    for row in list(conn)? {
        let Some(event_type) = row.event_type else {
            all = row.rule.over(all);
            continue;
        };
        if let Some(type_id) = number_of(conn, &event_type)? {
            own.insert(type_id, row.rule.over(all));
        }
    }
    Ok((all, own))
}

fn number_of(conn: &Connection, event_type: &str) -> Result<Option<i64>> {
    Ok(conn.prepare_cached("SELECT id FROM event_types WHERE name = ?1")?.query_row([event_type], |row| row.get(0)).optional()?)
}

/// Says something about a type, or about all (`None`); what was said before of something else stands.
pub(super) fn set(
    tx: &Tx<'_>,
    lease: &Lease,
    event_type: Option<&str>,
    said: &RetentionRule,
    by: &str,
    now: DateTime<Utc>,
) -> Result<RetentionRule> {
    require_current(tx, lease)?;
    said.check()?;
    if let Some(name) = event_type
        && number_of(tx.conn, name)?.is_none()
    {
        let refusal = Refusal::new("INP001", Blame::Input, format!("the event type `{name}` is not known"));
        return Err(refusal.remedy("`sexton event-type list` shows those that are").into());
    }
    let scope = event_type.unwrap_or_default();
    let before: Option<String> =
        tx.conn.prepare_cached("SELECT rule FROM retention WHERE event_type = ?1")?.query_row([scope], |row| row.get(0)).optional()?;
    let before: RetentionRule = before.as_deref().map(from_json).transpose()?.unwrap_or_default();
    let rule = said.or(&before);
    tx.conn
        .prepare_cached(
            "INSERT INTO retention (event_type, rule, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (event_type) DO UPDATE SET rule = excluded.rule, updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )?
        .execute((scope, json(&rule)?, micros(now), by))?;
    super::audit::add(tx, now, by, "retention.set", scope, &serde_json::json!({ "rule": rule }))?;
    Ok(rule)
}

/// Forgets what was said about a type, or about all. Answers whether anything was.
pub(super) fn clear(tx: &Tx<'_>, lease: &Lease, event_type: Option<&str>, by: &str, now: DateTime<Utc>) -> Result<bool> {
    require_current(tx, lease)?;
    let scope = event_type.unwrap_or_default();
    let cleared = tx.conn.prepare_cached("DELETE FROM retention WHERE event_type = ?1")?.execute([scope])? > 0;
    if cleared {
        super::audit::add(tx, now, by, "retention.clear", scope, &serde_json::json!({}))?;
    }
    Ok(cleared)
}
