//! What runs said, in a table of its own: listing runs reads none of it.
//!
//! Not how much is kept: the host bounds it. What must hold: a log lives exactly as long as its run, as numbers of runs may be
//! given again once all are pruned.

use super::codec::{from_json, instant, json, micros};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{RunLine, RunLog};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::OccurrenceId;

type Result<T> = std::result::Result<T, StoreError>;

/// The text of [`read`]: the runs of the event from the newest on, each asked for its log by number, which the fixed order of the
/// join (`CROSS`) says.
pub(super) const READ: &str = "SELECT l.log FROM runs r CROSS JOIN run_logs l ON l.run = r.id
     WHERE r.event = ?1 AND r.n = ?2 AND (?3 IS NULL OR r.attempt = ?3) ORDER BY r.id DESC LIMIT 1";

/// A line as text has it: when, level, target, message, spans.
type Line = (i64, u8, String, String, String);

/// A log as text: places instead of names, as a name would stand in every line. None if it says nothing.
pub(super) fn text(log: &RunLog) -> Result<Option<String>> {
    if log.is_empty() {
        return Ok(None);
    }
    let lines: Vec<_> = log.lines.iter().map(|line| (micros(line.at), line.level, &line.target, &line.message, &line.spans)).collect();
    json(&(log.dropped, lines)).map(Some)
}

/// A log from its text.
fn log(text: &str) -> Result<RunLog> {
    let (dropped, lines): (u64, Vec<Line>) = from_json(text)?;
    let lines = lines
        .into_iter()
        .map(|(at, level, target, message, spans)| Ok(RunLine { at: instant(at)?, level, target, message, spans }))
        .collect::<Result<_>>()?;
    Ok(RunLog { lines, dropped })
}

/// Stores the log of a run just recorded.
pub(super) fn add(tx: &Tx<'_>, run: i64, text: &str) -> Result<()> {
    tx.conn.prepare_cached("INSERT INTO run_logs (run, log) VALUES (?1, ?2)")?.execute((run, text))?;
    Ok(())
}

/// Deletes the log of a run, if it has one.
pub(super) fn remove(tx: &Tx<'_>, run: i64) -> Result<()> {
    tx.conn.prepare_cached("DELETE FROM run_logs WHERE run = ?1")?.execute([run])?;
    Ok(())
}

/// The newest log of an occurrence, or of one attempt at it.
pub(super) fn read(conn: &Connection, occurrence: OccurrenceId, attempt: Option<u32>) -> Result<Option<RunLog>> {
    let found: Option<String> =
        conn.prepare_cached(READ)?.query_row((occurrence.event.0, occurrence.n, attempt), |row| row.get(0)).optional()?;
    found.as_deref().map(log).transpose()
}
