//! Counting what was not run, by reason.
//!
//! Not the decision to skip. What must hold: the event's total and its reasons move together.

use super::codec::micros;
use super::writer::Tx;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use sexton_core::decide::Skips;

/// Counts occurrences of an event as skipped.
pub(super) fn add(tx: &Tx<'_>, event: i64, skips: &Skips, now: DateTime<Utc>) -> Result<(), StoreError> {
    let total = skips.total();
    if total == 0 {
        return Ok(());
    }
    tx.conn.prepare_cached("UPDATE events SET skipped = skipped + ?2 WHERE id = ?1")?.execute((event, total))?;
    let mut count = tx.conn.prepare_cached(
        "INSERT INTO skips (event, reason, n, noted_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (event, reason) DO UPDATE SET n = n + excluded.n, noted_at = excluded.noted_at",
    )?;
    for (reason, n) in skips.iter() {
        count.execute((event, reason.word(), n, micros(now)))?;
    }
    Ok(())
}
