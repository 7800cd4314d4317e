//! The counts of `status`.
//!
//! Not a scan of the rows. What must hold: the answer costs the same with ten events and with ten million.

use super::codec::state_number;
use super::counters::{DEAD_LETTERS, RUNS};
use crate::error::StoreError;
use crate::rows::Counts;
use rusqlite::Connection;
use sexton_core::EventState;

/// Counts, from the counters.
pub(super) fn counts(conn: &Connection) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    let mut select =
        conn.prepare_cached("SELECT t.name, c.kind, c.n FROM counters c JOIN event_types t ON t.id = c.type WHERE c.n <> 0")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, n): (i64, i64) = (row.get(1)?, row.get(2)?);
        let is_scheduled = kind == state_number(EventState::Scheduled);
        if is_scheduled || kind == state_number(EventState::Paused) {
            *counts.open_by_type.entry(row.get(0)?).or_default() += n;
            *(if is_scheduled { &mut counts.scheduled } else { &mut counts.paused }) += n;
        } else if kind == DEAD_LETTERS {
            counts.dead_letters += n;
        } else if kind == RUNS {
            counts.runs += n;
        }
    }
    Ok(counts)
}
