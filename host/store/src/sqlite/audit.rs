//! The audit table: one line per mutating verb, in the verb's own transaction.
//!
//! Not a log. What must hold: no verb of an actor stands without its line.

use super::codec::{from_json, instant, json, micros};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Actor, AuditFilter, AuditLine, Page};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde_json::Value;

type Result<T> = std::result::Result<T, StoreError>;

/// Adds a line.
pub(super) fn add(tx: &Tx<'_>, at: DateTime<Utc>, actor: &str, verb: &str, subject: &str, detail: &Value) -> Result<()> {
    tx.conn.prepare_cached("INSERT INTO audit (at, actor, verb, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        micros(at),
        actor,
        verb,
        subject,
        json(detail)?,
    ))?;
    Ok(())
}

/// The text of [`lines`]: one for each set of filters, so that no plan depends on what is asked for.
pub(super) fn select(filter: &AuditFilter) -> String {
    let (by_subject, subject) = match filter.subject {
        Some(_) => ("INDEXED BY audit_of_subject", "AND subject = ?3"),
        None => ("", "AND ?3 IS NULL"),
    };
    let verb = if filter.verb_prefix.is_some() { "AND instr(verb, ?4) = 1" } else { "AND ?4 IS NULL" };
    let actor = match filter.actor.as_deref() {
        None => "AND ?5 IS NULL",
        Some(beginning) if beginning.ends_with(':') => "AND instr(actor, ?5) = 1",
        Some(_) => "AND actor = ?5",
    };
    let since = if filter.since.is_some() { "AND at >= ?6" } else { "AND ?6 IS NULL" };
    format!(
        "SELECT id, at, actor, verb, subject, detail FROM audit {by_subject}
         WHERE id < ?1 {subject} {verb} {actor} {since} ORDER BY id DESC LIMIT ?2"
    )
}

/// Lines, newest first. Without a subject it looks at every line until the page is full.
pub(super) fn lines(conn: &Connection, filter: &AuditFilter, page: &Page) -> Result<Vec<(i64, AuditLine)>> {
    let mut select = conn.prepare_cached(&select(filter))?;
    let before = page.before.unwrap_or(i64::MAX);
    let since = filter.since.map(micros);
    let mut rows = select.query((before, super::limit_of(page.limit), &filter.subject, &filter.verb_prefix, &filter.actor, since))?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let line = AuditLine {
            at: instant(row.get(1)?)?,
            actor: Actor(row.get(2)?),
            verb: row.get(3)?,
            subject: row.get(4)?,
            detail: from_json(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
        };
        lines.push((row.get(0)?, line));
    }
    Ok(lines)
}
