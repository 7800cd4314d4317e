//! The due order of one type: its lanes, and those behind the gates of key limits, merged by priority with ageing.
//!
//! Not what may be taken (`gates`). What must hold: a type with one lane and no gate, which is nearly every one, costs two steps down an
//! index and no merging.

use super::codec::{instant, row};
use super::gates::Gates;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::decide::order::effective;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

type Result<T> = std::result::Result<T, StoreError>;

/// Rows of a lane that a merge reads at first; then as many again as it has read.
const FIRST_LOOK: usize = 16;

/// Rows of one type and lane, those of the due order or those behind one gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) gate: Option<i64>,
    pub(super) lane: i64,
}

/// Which rows of a lane: parameters 1 to 4 are type, lane, greatest due instant and gate.
fn rows_of(gate: Option<i64>) -> String {
    match gate {
        None => "occurrences INDEXED BY occurrences_due WHERE state = 0 AND type = ?1 AND lane = ?2 AND due_at <= ?3 AND ?4 IS NULL".into(),
        Some(_) => format!(
            "occurrences INDEXED BY occurrences_gated WHERE state = {} AND type = ?1 AND lane = ?2 AND due_at <= ?3 AND gate = ?4",
            row::GATED
        ),
    }
}

/// The statement that claims the first of a lane: further parameters are how many, host and token.
pub(super) fn taking(gate: Option<i64>) -> String {
    format!(
        "UPDATE occurrences SET state = 1, host = ?6, token = ?7
         WHERE (event, n) IN (SELECT event, n FROM {} ORDER BY due_at LIMIT ?5)
         RETURNING event, n, type, scheduled_for, due_at, cause, by_schedule, attempt, interruptions, resources_done, counted_to,
                   followed",
        rows_of(gate)
    )
}

/// Lanes of a type that have rows, the highest first; those behind gates only if `gated` says that there can be any.
pub(super) fn of_type(conn: &Connection, type_id: i64, gated: bool) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    let mut next_lane =
        conn.prepare_cached("SELECT lane FROM occurrences WHERE state = 0 AND type = ?1 AND lane < ?2 ORDER BY lane DESC LIMIT 1")?;
    let mut lane = i64::MAX;
    while let Some(found) = next_lane.query_row((type_id, lane), |row| row.get(0)).optional()? {
        lane = found;
        lanes.push(Lane { gate: None, lane });
    }
    if !gated {
        return Ok(lanes);
    }
    let mut next = conn.prepare_cached(
        "SELECT gate, lane FROM occurrences INDEXED BY occurrences_gated
         WHERE state = 5 AND type = ?1 AND (gate, lane) > (?2, ?3) ORDER BY gate, lane LIMIT 1",
    )?;
    let mut at = (i64::MIN, i64::MIN);
    while let Some(found) = next.query_row((type_id, at.0, at.1), |row| Ok((row.get(0)?, row.get(1)?))).optional()? {
        at = found;
        lanes.push(Lane { gate: Some(at.0), lane: at.1 });
    }
    Ok(lanes)
}

/// The earliest due instant of a lane.
pub(super) fn first_due(conn: &Connection, type_id: i64, lane: Lane) -> Result<Option<i64>> {
    let sql = format!("SELECT min(due_at) FROM {}", rows_of(lane.gate));
    Ok(conn.prepare_cached(&sql)?.query_row((type_id, lane.lane, i64::MAX, lane.gate), |row| row.get(0))?)
}

/// A lane while it is merged.
struct Reading {
    lane: Lane,
    until: i64,
    due: VecDeque<i64>,
    read: usize,
}

impl Reading {
    /// The first that was not taken yet.
    fn head(&mut self, conn: &Connection, type_id: i64) -> Result<Option<DateTime<Utc>>> {
        if self.due.is_empty() {
            let sql = format!("SELECT due_at FROM {} ORDER BY due_at LIMIT ?5 OFFSET ?6", rows_of(self.lane.gate));
            let look = self.read.max(FIRST_LOOK);
            self.due = conn
                .prepare_cached(&sql)?
                .query_map(
                    (type_id, self.lane.lane, self.until, self.lane.gate, super::limit_of(look), super::limit_of(self.read)),
                    |row| row.get(0),
                )?
                .collect::<std::result::Result<_, _>>()?;
            self.read += self.due.len();
        }
        let priority = i32::try_from(self.lane.lane).unwrap_or(0);
        self.due.front().map(|due| Ok(effective(priority, instant(*due)?))).transpose()
    }
}

/// How many to take of each lane, `limit` together: the first in the order of priority with ageing, as far as the gates let them through. What
/// is counted here is reserved there.
pub(super) fn merge(conn: &Connection, type_id: i64, lanes: &[(Lane, i64)], limit: usize, gates: &mut Gates) -> Result<Vec<usize>> {
    let mut counts = vec![0; lanes.len()];
    let mut readings: Vec<Reading> =
        lanes.iter().map(|(lane, until)| Reading { lane: *lane, until: *until, due: VecDeque::new(), read: 0 }).collect();
    let mut heads = BinaryHeap::with_capacity(lanes.len());
    for (place, reading) in readings.iter_mut().enumerate() {
        heads.extend(reading.head(conn, type_id)?.map(|at| Reverse((at, place))));
    }
    let mut left = limit;
    while left > 0
        && let Some(Reverse((_, place))) = heads.pop()
    {
        let reading = &mut readings[place];
        if !gates.reserve(type_id, reading.lane.gate) {
            continue;
        }
        reading.due.pop_front();
        counts[place] += 1;
        left -= 1;
        heads.extend(reading.head(conn, type_id)?.map(|at| Reverse((at, place))));
    }
    Ok(counts)
}
