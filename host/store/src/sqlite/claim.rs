//! Taking what falls due, and giving it back unstarted.
//!
//! Not the start of a run, which writes no row. What must hold: a claimed row is out of the due order, under a token that
//! was never given before; no type takes more than its share.

use super::codec::{cause_of, instant, row, small, state_number};
use super::events::{WISH, WishColumns};
use super::failure::damaged;
use super::hosts::{fresh_token, require_current};
use super::unreadable::Unreadable;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::{EventId, EventState, NewEvent, Occurrence, OccurrenceId, TypeId};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// A claimed row, its event still as text.
pub(super) struct Claimed {
    event: i64,
    n: i64,
    type_id: i64,
    scheduled_for: i64,
    due_at: i64,
    counted_to: Option<i64>,
    cause: i64,
    by_schedule: bool,
    attempt: i64,
    interruptions: i64,
    resources_done: Option<String>,
}

/// A batch of claims under one token.
pub(super) struct Claims {
    token: i64,
    rows: Vec<Claimed>,
    wishes: HashMap<i64, Result<WishColumns>>,
}

/// Claims up to `limit` rows due by `until`. The limit is shared: each type in turn gets an equal part of what is left, what one does
/// not need goes to the others, and the round starts one type further each time.
pub(super) fn claim(tx: &mut Tx<'_>, lease: &Lease, types: &[TypeId], until: i64, limit: usize) -> Result<Claims> {
    require_current(tx, lease)?;
    let token = fresh_token(tx, lease);
    let mut rows: Vec<Claimed> = Vec::new();
    let mut in_turn: Vec<TypeId> = types.to_vec();
    if !in_turn.is_empty() {
        in_turn.rotate_left(tx.hot.round % types.len());
        tx.hot.round = tx.hot.round.wrapping_add(1);
    }
    while rows.len() < limit && !in_turn.is_empty() {
        let share = ((limit - rows.len()) / in_turn.len()).max(1);
        let mut wanting = Vec::new();
        for type_id in in_turn {
            let asked = share.min(limit - rows.len());
            if asked > 0 && claim_of_type(tx, lease.host, token, type_id.0, until, asked, &mut rows)? == asked {
                wanting.push(type_id);
            }
        }
        in_turn = wanting;
    }
    let wishes = wishes_of(tx, &rows)?;
    Ok(Claims { token, rows, wishes })
}

/// Claims of one type, lane by lane from the highest: two steps down an index for each.
fn claim_of_type(tx: &Tx<'_>, host: i64, token: i64, type_id: i64, until: i64, limit: usize, into: &mut Vec<Claimed>) -> Result<usize> {
    let mut next_lane =
        tx.conn.prepare_cached("SELECT lane FROM occurrences WHERE state = 0 AND type = ?1 AND lane < ?2 ORDER BY lane DESC LIMIT 1")?;
    let mut take = tx.conn.prepare_cached(
        "UPDATE occurrences SET state = 1, host = ?1, token = ?2
         WHERE (event, n) IN (SELECT event, n FROM occurrences INDEXED BY occurrences_due
                              WHERE state = 0 AND type = ?3 AND lane = ?4 AND due_at <= ?5 ORDER BY due_at LIMIT ?6)
         RETURNING event, n, type, scheduled_for, due_at, cause, by_schedule, attempt, interruptions, resources_done, counted_to",
    )?;
    let before = into.len();
    let mut lane = i64::MAX;
    while into.len() - before < limit {
        let Some(found) = next_lane.query_row((type_id, lane), |row| row.get(0)).optional()? else {
            break;
        };
        lane = found;
        let left = super::limit_of(limit - (into.len() - before));
        let from = into.len();
        let mut rows = take.query((host, token, type_id, lane, until, left))?;
        while let Some(row) = rows.next()? {
            into.push(Claimed {
                event: row.get(0)?,
                n: row.get(1)?,
                type_id: row.get(2)?,
                scheduled_for: row.get(3)?,
                due_at: row.get(4)?,
                cause: row.get(5)?,
                by_schedule: row.get(6)?,
                attempt: row.get(7)?,
                interruptions: row.get(8)?,
                resources_done: row.get(9)?,
                counted_to: row.get(10)?,
            });
        }
        // RETURNING promises no order.
        into[from..].sort_by_key(|row| (row.due_at, row.event, row.n));
    }
    Ok(into.len() - before)
}

/// The events as text; or the fault of one, which must not hold up the others.
fn wishes_of(tx: &Tx<'_>, rows: &[Claimed]) -> Result<HashMap<i64, Result<WishColumns>>> {
    let mut select = tx.conn.prepare_cached(&format!("SELECT {WISH} FROM events e JOIN event_types t ON t.id = e.type WHERE e.id = ?1"))?;
    let mut wishes = HashMap::with_capacity(rows.len());
    for row in rows {
        if let std::collections::hash_map::Entry::Vacant(place) = wishes.entry(row.event) {
            place.insert(match select.query_row([row.event], |row| WishColumns::read(row, 0)) {
                Ok(columns) => Ok(columns),
                Err(error @ rusqlite::Error::SqliteFailure(..)) => return Err(error.into()),
                Err(rusqlite::Error::QueryReturnedNoRows) => Err(damaged("its event or its event type is not there")),
                Err(error) => Err(damaged(&error.to_string())),
            });
        }
    }
    Ok(wishes)
}

impl Claims {
    /// Parses the events, on the thread of whoever claimed. Each type's own rows by priority, then due instant; and apart, what cannot be
    /// read.
    pub(super) fn decode(self) -> (Vec<Occurrence>, Vec<Unreadable>) {
        let decode = |columns: Result<WishColumns>| columns.and_then(WishColumns::decode).map(Arc::new);
        let wishes: HashMap<i64, Result<Arc<NewEvent>>> =
            self.wishes.into_iter().map(|(event, columns)| (event, decode(columns))).collect();
        let (mut occurrences, mut unreadable) = (Vec::with_capacity(self.rows.len()), Vec::new());
        for row in self.rows {
            let (event, n) = (row.event, row.n);
            match wishes[&event].clone().and_then(|wish| row.decode(wish, self.token)) {
                Ok(occurrence) => occurrences.push(occurrence),
                Err(error) => unreadable.push(Unreadable { event, n, token: self.token, why: error.message }),
            }
        }
        occurrences.sort_by_key(|o| (Reverse(o.priority), o.due_at, o.id));
        (occurrences, unreadable)
    }
}

impl Claimed {
    fn decode(self, wish: Arc<NewEvent>, token: i64) -> Result<Occurrence> {
        Ok(Occurrence {
            id: OccurrenceId { event: EventId(self.event), n: self.n },
            type_id: TypeId(self.type_id),
            scheduled_for: instant(self.scheduled_for)?,
            due_at: instant(self.due_at)?,
            counted_to: self.counted_to.map(instant).transpose()?,
            cause: cause_of(self.cause)?,
            by_schedule: self.by_schedule,
            attempt: small(self.attempt)?,
            interruptions: small(self.interruptions)?,
            resources_done: super::codec::from_json_or_default(self.resources_done.as_deref())?,
            token,
            priority: wish.priority,
            wish,
        })
    }
}

/// Gives a claim back unstarted, if the token is its own: into the due order, or out of it with its paused event, or away with its
/// ended one. Answers whether it was the row's token.
pub(super) fn give_back(tx: &Tx<'_>, event: i64, n: i64, token: i64) -> Result<bool> {
    let state: Option<i64> = tx
        .conn
        .prepare_cached(
            "SELECT e.state FROM occurrences o JOIN events e ON e.id = o.event
             WHERE o.event = ?1 AND o.n = ?2 AND o.token = ?3 AND o.state = 1",
        )?
        .query_row((event, n, token), |row| row.get(0))
        .optional()?;
    let Some(state) = state else {
        return Ok(false);
    };
    if state == state_number(EventState::Cancelled) {
        tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND n = ?2")?.execute((event, n))?;
        return Ok(true);
    }
    let to = if state == state_number(EventState::Paused) { row::HELD } else { row::WAITING };
    tx.conn
        .prepare_cached("UPDATE occurrences SET state = ?3, host = NULL, token = NULL WHERE event = ?1 AND n = ?2")?
        .execute((event, n, to))?;
    Ok(true)
}

/// The earliest due instant of a waiting row of these types.
pub(super) fn next_due(conn: &Connection, types: &[TypeId]) -> Result<Option<DateTime<Utc>>> {
    let mut next_lane =
        conn.prepare_cached("SELECT lane FROM occurrences WHERE state = 0 AND type = ?1 AND lane < ?2 ORDER BY lane DESC LIMIT 1")?;
    let mut first = conn.prepare_cached("SELECT min(due_at) FROM occurrences WHERE state = 0 AND type = ?1 AND lane = ?2")?;
    let mut earliest: Option<i64> = None;
    for type_id in types {
        let mut lane = i64::MAX;
        while let Some(found) = next_lane.query_row((type_id.0, lane), |row| row.get(0)).optional()? {
            lane = found;
            let due: Option<i64> = first.query_row((type_id.0, lane), |row| row.get(0))?;
            earliest = match (earliest, due) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
    earliest.map(instant).transpose()
}
