//! Taking what falls due, and giving it back unstarted.
//!
//! Not the start of a run, which writes no row. What must hold: a claimed row is out of the due order, under a token that
//! was never given before; no type takes more than its share.

use super::codec::{cause_of, instant, micros, row, small, state_number};
use super::events::{WISH, WISH_WIDTH, WishColumns};
use super::failure::damaged;
use super::gates::Gates;
use super::hosts::{fresh_token, require_current};
use super::lanes::{self, Lane};
use super::overlap::TRIED;
use super::unreadable::Unreadable;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::decide::order::effective;
use sexton_core::{EventId, EventState, NewEvent, Occurrence, OccurrenceId, TypeId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// A claimed row, its event still as text.
pub(super) struct Claimed {
    pub(super) event: i64,
    pub(super) n: i64,
    type_id: i64,
    scheduled_for: i64,
    due_at: i64,
    counted_to: Option<i64>,
    cause: i64,
    by_schedule: bool,
    attempt: i64,
    interruptions: i64,
    resources_done: Option<String>,
    followed: bool,
}

/// By event: its text, or its fault.
type Wishes = HashMap<i64, Result<WishColumns>>;

/// A batch of claims under one token.
pub(super) struct Claims {
    token: i64,
    rows: Vec<Claimed>,
    wishes: Wishes,
    /// Events of which something waits to be tried again.
    crowded: HashSet<i64>,
}

/// One claim on its way.
struct Claiming<'a> {
    conn: &'a Connection,
    host: i64,
    token: i64,
    now: DateTime<Utc>,
    until: i64,
    gates: Gates,
    rows: Vec<Claimed>,
}

/// Claims up to `limit` rows due by `until`; of what is limited, those due by `now`. The limit is shared: each type in turn gets an equal part
/// of what is left, what one does not need goes to the others, and the round starts one type further each time.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    lease: &Lease,
    types: &[TypeId],
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: usize,
) -> Result<Claims> {
    require_current(tx, lease)?;
    let token = fresh_token(tx, lease);
    let gates = if tx.is_limited()? { Gates::load(tx.conn, now)? } else { Gates::default() };
    let mut in_turn: Vec<TypeId> = types.to_vec();
    if !in_turn.is_empty() {
        in_turn.rotate_left(tx.hot.round % types.len());
        tx.hot.round = tx.hot.round.wrapping_add(1);
    }
    let mut claiming = Claiming { conn: tx.conn, host: lease.host, token, now, until: micros(until), gates, rows: Vec::new() };
    // Rows that were looked at: one that goes behind a gate is not claimed, and costs the same.
    let mut looked = 0;
    while looked < limit && !in_turn.is_empty() {
        let share = ((limit - looked) / in_turn.len()).max(1);
        let mut wanting = Vec::new();
        for type_id in in_turn {
            let asked = share.min(limit - looked);
            if asked > 0 {
                let found = claiming.of_type(type_id.0, asked)?;
                looked += found;
                if found == asked {
                    wanting.push(type_id);
                }
            }
        }
        in_turn = wanting;
    }
    claiming.gates.spend(claiming.conn, now)?;
    let rows = claiming.rows;
    let (wishes, crowded) = wishes_of(tx, &rows)?;
    Ok(Claims { token, rows, wishes, crowded })
}

impl Claiming<'_> {
    /// Claims of one type: of its lanes in the order of priority with ageing, as far as its limits let them through. Answers how many rows
    /// were looked at.
    fn of_type(&mut self, type_id: i64, limit: usize) -> Result<usize> {
        let now = micros(self.now);
        let is_limited = self.gates.is_limited(type_id);
        let lanes: Vec<(Lane, i64)> = lanes::of_type(self.conn, type_id, self.gates.any())?
            .into_iter()
            .map(|lane| (lane, if is_limited || lane.gate.is_some() { now } else { self.until }))
            .collect();
        if let [(lane, until)] = lanes[..] {
            let room = self.gates.room(type_id, lane.gate).map_or(limit, |room| room.min(limit));
            let found = self.take(type_id, lane, until, room)?;
            return self.keep(type_id, lane, found, false);
        }
        let counts = lanes::merge(self.conn, type_id, &lanes, limit, &mut self.gates)?;
        let mut looked = 0;
        for ((lane, until), count) in lanes.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            let found = self.take(type_id, lane, until, count)?;
            looked += self.keep(type_id, lane, found, true)?;
        }
        Ok(looked)
    }

    fn take(&self, type_id: i64, lane: Lane, until: i64, count: usize) -> Result<Vec<Claimed>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut take = self.conn.prepare_cached(&lanes::taking(lane.gate))?;
        let found = take.query_map((type_id, lane.lane, until, lane.gate, super::limit_of(count), self.host, self.token), |row| {
            Ok(Claimed {
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
                followed: row.get(11)?,
            })
        })?;
        Ok(found.collect::<std::result::Result<_, _>>()?)
    }

    /// Keeps what was taken, or sends it behind its gate; answers how many they were.
    fn keep(&mut self, type_id: i64, lane: Lane, mut found: Vec<Claimed>, is_reserved: bool) -> Result<usize> {
        let looked = found.len();
        if self.gates.any() {
            if !is_reserved {
                // There is room for all: no more were taken.
                for _ in &found {
                    self.gates.reserve(type_id, lane.gate);
                }
            }
            if lane.gate.is_none() {
                found = self.gates.sift(self.conn, type_id, found)?;
            }
            self.gates.take_slots(self.conn, type_id, lane.gate, &found)?;
        }
        self.rows.append(&mut found);
        Ok(looked)
    }
}

/// The events as text; or the fault of one, which must not hold up the others. And those of which something waits to be tried again: what
/// has had one occurrence only is not asked.
fn wishes_of(tx: &Tx<'_>, rows: &[Claimed]) -> Result<(Wishes, HashSet<i64>)> {
    let mut select = tx.conn.prepare_cached(&format!(
        "SELECT {WISH}, e.last_n > 1 AND EXISTS (SELECT 1 FROM occurrences o WHERE o.event = e.id AND (o.state < {held} OR o.state = {gated}) AND {TRIED})
         FROM events e JOIN event_types t ON t.id = e.type WHERE e.id = ?1",
        held = row::HELD,
        gated = row::GATED
    ))?;
    let (mut wishes, mut crowded) = (HashMap::with_capacity(rows.len()), HashSet::new());
    for row in rows {
        if let std::collections::hash_map::Entry::Vacant(place) = wishes.entry(row.event) {
            place.insert(match select.query_row([row.event], |row| Ok((WishColumns::read(row, 0)?, row.get(WISH_WIDTH)?))) {
                Ok((columns, is_crowded)) => {
                    if is_crowded {
                        crowded.insert(row.event);
                    }
                    Ok(columns)
                }
                Err(error @ rusqlite::Error::SqliteFailure(..)) => return Err(error.into()),
                Err(rusqlite::Error::QueryReturnedNoRows) => Err(damaged("its event or its event type is not there")),
                Err(error) => Err(damaged(&error.to_string())),
            });
        }
    }
    Ok((wishes, crowded))
}

impl Claims {
    /// Parses the events, on the thread of whoever claimed. In the order of priority with ageing; and apart, what cannot be read.
    pub(super) fn decode(self) -> (Vec<Occurrence>, Vec<Unreadable>) {
        let decode = |columns: Result<WishColumns>| columns.and_then(WishColumns::decode).map(Arc::new);
        let wishes: HashMap<i64, Result<Arc<NewEvent>>> =
            self.wishes.into_iter().map(|(event, columns)| (event, decode(columns))).collect();
        let (mut occurrences, mut unreadable) = (Vec::with_capacity(self.rows.len()), Vec::new());
        for row in self.rows {
            let (event, n) = (row.event, row.n);
            let crowded = self.crowded.contains(&event);
            match wishes[&event].clone().and_then(|wish| row.decode(wish, self.token, crowded)) {
                Ok(occurrence) => occurrences.push(occurrence),
                Err(error) => unreadable.push(Unreadable { event, n, token: self.token, why: error.message }),
            }
        }
        occurrences.sort_by_key(|o| (effective(o.priority, o.due_at), o.id));
        (occurrences, unreadable)
    }
}

impl Claimed {
    fn decode(self, wish: Arc<NewEvent>, token: i64, crowded: bool) -> Result<Occurrence> {
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
            followed: self.followed,
            crowded,
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
