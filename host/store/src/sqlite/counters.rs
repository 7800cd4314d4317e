//! Counts that `status` shows and sums over runs, kept beside the rows so that nobody scans a million events for them.
//!
//! Not exact per statement: a job's changes are gathered and written once a transaction. What must hold: they are
//! committed with what they count, or not at all.

use super::codec::state_number;
use super::stats::Tallies;
use crate::error::StoreError;
use rusqlite::Connection;
use sexton_core::EventState;
use sexton_core::stats::Ran;
use std::collections::BTreeMap;

/// Events per state have kinds 0 to 4, as the states are numbered.
pub(super) const DEAD_LETTERS: i64 = 5;
/// Runs recorded.
pub(super) const RUNS: i64 = 6;

/// Changes not yet written: (type, kind) to difference.
#[derive(Default)]
pub(super) struct Deltas {
    of_batch: BTreeMap<(i64, i64), i64>,
    of_job: BTreeMap<(i64, i64), i64>,
    tallies_of_batch: Tallies,
    tallies_of_job: Tallies,
}

impl Deltas {
    /// Counts `by` more (or fewer) of a kind.
    pub(super) fn add(&mut self, type_id: i64, kind: i64, by: i64) {
        *self.of_job.entry((type_id, kind)).or_default() += by;
    }

    /// Counts a run, for `status` and for the statistics of its type.
    pub(super) fn ran(&mut self, type_id: i64, ran: &Ran) {
        self.add(type_id, RUNS, 1);
        self.tallies_of_job.add(type_id, ran);
    }

    /// Counts an event's move from one state to another; `None` is before it was stored or after it was deleted.
    pub(super) fn moved(&mut self, type_id: i64, from: Option<EventState>, to: Option<EventState>) {
        if let Some(from) = from {
            self.add(type_id, state_number(from), -1);
        }
        if let Some(to) = to {
            self.add(type_id, state_number(to), 1);
        }
    }

    /// The job's rows stand: so do its counts.
    pub(super) fn keep_job(&mut self) {
        for (place, by) in std::mem::take(&mut self.of_job) {
            *self.of_batch.entry(place).or_default() += by;
        }
        self.tallies_of_batch.take(&mut self.tallies_of_job);
    }

    /// The job's rows were rolled back.
    pub(super) fn drop_job(&mut self) {
        self.of_job.clear();
        self.tallies_of_job.clear();
    }

    /// The whole transaction was rolled back.
    pub(super) fn drop_all(&mut self) {
        self.drop_job();
        self.of_batch.clear();
        self.tallies_of_batch.clear();
    }

    /// Writes what was gathered; the last statement before a commit.
    pub(super) fn write(&mut self, conn: &Connection) -> Result<(), StoreError> {
        self.tallies_of_batch.write(conn)?;
        if self.of_batch.is_empty() {
            return Ok(());
        }
        let mut upsert = conn.prepare_cached(
            "INSERT INTO counters (type, kind, n) VALUES (?1, ?2, ?3) ON CONFLICT (type, kind) DO UPDATE SET n = n + excluded.n",
        )?;
        for ((type_id, kind), by) in std::mem::take(&mut self.of_batch) {
            if by != 0 {
                upsert.execute((type_id, kind, by))?;
            }
        }
        Ok(())
    }
}
