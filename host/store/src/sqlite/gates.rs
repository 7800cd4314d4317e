//! The limits as one transaction sees them: what they let through now, what is behind them, when they open.
//!
//! Not the verbs on limits (`limits`) and not the arithmetic of a rate (`sexton_core::decide::rate`). What must hold: what is let through here
//! is written down in the same transaction; what cannot start does not wake anybody.

use super::claim::Claimed;
use super::codec::{instant, micros, row};
use super::lanes;
use super::limits::{KEY, PLUGIN, TYPE, rate_of};
use crate::error::StoreError;
use crate::rows::NextClaim;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::TypeId;
use sexton_core::decide::rate::Rate;
use std::collections::HashMap;

type Result<T> = std::result::Result<T, StoreError>;

/// One limit.
struct Gate {
    id: i64,
    concurrency: Option<i64>,
    rate: Option<Rate>,
    full_at: Option<i64>,
    /// Slots and tokens that are still to be had.
    free: Option<i64>,
    tokens: Option<u32>,
    /// Let through in this transaction.
    used: u32,
}

impl Gate {
    fn has_room(&self) -> bool {
        self.free.is_none_or(|free| free > 0) && self.tokens.is_none_or(|tokens| tokens > 0)
    }
}

/// Whether something may be claimed.
enum Opening {
    /// It may.
    Open,
    /// At that instant.
    At(DateTime<Utc>),
    /// When a slot comes free.
    Full,
}

/// All limits, or none.
#[derive(Default)]
pub(super) struct Gates {
    gates: Vec<Gate>,
    /// Places in `gates`: by number of the gate, and of each type those on itself and on its plugin.
    by_id: HashMap<i64, usize>,
    by_key: HashMap<String, i64>,
    of_type: HashMap<i64, Vec<usize>>,
}

impl Gates {
    /// Reads them. Where there are none, one look at an empty table is all it costs.
    pub(super) fn load(conn: &Connection, now: DateTime<Utc>) -> Result<Self> {
        let mut found = Self::default();
        let mut named: HashMap<(i64, String), usize> = HashMap::new();
        let mut select =
            conn.prepare_cached("SELECT id, scope, name, concurrency, rate_count, rate_per, burst, full_at, taken FROM limits")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (id, scope, name): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (concurrency, full_at, taken): (Option<i64>, Option<i64>, i64) = (row.get(3)?, row.get(7)?, row.get(8)?);
            let rate = rate_of(row.get(4)?, row.get(5)?, row.get(6)?);
            if scope == KEY && (concurrency.is_some() || rate.is_some()) {
                found.by_key.insert(name.clone(), id);
            }
            found.by_id.insert(id, found.gates.len());
            named.insert((scope, name), found.gates.len());
            found.gates.push(Gate {
                id,
                concurrency,
                rate,
                full_at,
                free: concurrency.map(|most| most - taken),
                tokens: rate.map(|rate| rate.tokens(full_at, now)),
                used: 0,
            });
        }
        if named.keys().any(|(scope, _)| *scope != KEY) {
            let mut types = conn.prepare_cached("SELECT id, name, owner FROM event_types")?;
            let mut rows = types.query([])?;
            while let Some(row) = rows.next()? {
                let (id, name, owner): (i64, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let on = [Some((TYPE, name)), owner.map(|owner| (PLUGIN, owner))];
                let places: Vec<usize> = on.into_iter().flatten().filter_map(|on| named.get(&on).copied()).collect();
                if !places.is_empty() {
                    found.of_type.insert(id, places);
                }
            }
        }
        Ok(found)
    }

    /// Whether there is any limit; rows behind a gate can be there only then.
    pub(super) fn any(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Whether a type, or its plugin, is limited: its rows are then claimed at their due instants only.
    pub(super) fn is_limited(&self, type_id: i64) -> bool {
        self.of_type.contains_key(&type_id)
    }

    fn places(&self, type_id: i64, gate: Option<i64>) -> impl Iterator<Item = usize> + '_ {
        let of_type = self.of_type.get(&type_id).map_or(&[][..], Vec::as_slice);
        of_type.iter().copied().chain(gate.and_then(|gate| self.by_id.get(&gate)).copied())
    }

    /// How many of a lane are let through now; none: as many as like.
    pub(super) fn room(&self, type_id: i64, gate: Option<i64>) -> Option<usize> {
        let places = self.places(type_id, gate).flat_map(|place| {
            let gate = &self.gates[place];
            [gate.free.map(|free| usize::try_from(free).unwrap_or(0)), gate.tokens.map(|tokens| tokens as usize)]
        });
        places.flatten().min()
    }

    /// Reserves a place of each limit that a row of this lane is under; false if one has none left.
    pub(super) fn reserve(&mut self, type_id: i64, gate: Option<i64>) -> bool {
        let places: Vec<usize> = self.places(type_id, gate).collect();
        if !places.iter().all(|place| self.gates[*place].has_room()) {
            return false;
        }
        for place in places {
            let gate = &mut self.gates[place];
            gate.free = gate.free.map(|free| free - 1);
            gate.tokens = gate.tokens.map(|tokens| tokens - 1);
            gate.used += 1;
        }
        true
    }

    /// Undoes one [`Gates::reserve`].
    fn release(&mut self, type_id: i64, gate: Option<i64>) {
        for place in self.places(type_id, gate).collect::<Vec<_>>() {
            let gate = &mut self.gates[place];
            gate.free = gate.free.map(|free| free + 1);
            gate.tokens = gate.tokens.map(|tokens| tokens + 1);
            gate.used -= 1;
        }
    }

    /// Sends rows whose events share a limit behind its gate, out of the due order, where each waits for its turn without being looked at
    /// again. They were claimed by this transaction; answers those that stay.
    pub(super) fn sift(&mut self, conn: &Connection, type_id: i64, rows: Vec<Claimed>) -> Result<Vec<Claimed>> {
        if self.by_key.is_empty() {
            return Ok(rows);
        }
        let mut key = conn.prepare_cached(
            "SELECT CASE WHEN json_valid(policy) THEN policy ->> '$.limit_key' END FROM events WHERE id = ?1 AND policy IS NOT NULL",
        )?;
        let mut park =
            conn.prepare_cached("UPDATE occurrences SET state = ?3, gate = ?4, host = NULL, token = NULL WHERE event = ?1 AND n = ?2")?;
        let mut stay = Vec::with_capacity(rows.len());
        for one in rows {
            let word: Option<String> = key.query_row([one.event], |row| row.get(0)).optional()?.flatten();
            match word.and_then(|word| self.by_key.get(&word).copied()) {
                Some(gate) => {
                    park.execute((one.event, one.n, row::GATED, gate))?;
                    self.release(type_id, None);
                }
                None => stay.push(one),
            }
        }
        Ok(stay)
    }

    /// Writes down that these rows, claimed now, take a slot of each concurrency limit that they are under.
    pub(super) fn take_slots(&self, conn: &Connection, type_id: i64, gate: Option<i64>, rows: &[Claimed]) -> Result<()> {
        for place in self.places(type_id, gate).filter(|place| self.gates[*place].concurrency.is_some()) {
            let mut take = conn.prepare_cached("INSERT OR IGNORE INTO slots (event, n, limit_id) VALUES (?1, ?2, ?3)")?;
            for row in rows {
                take.execute((row.event, row.n, self.gates[place].id))?;
            }
        }
        Ok(())
    }

    /// Writes down the tokens that were spent. What is given back unstarted has spent its token: that lets through less, never more.
    pub(super) fn spend(&self, conn: &Connection, now: DateTime<Utc>) -> Result<()> {
        for gate in self.gates.iter().filter(|gate| gate.used > 0) {
            if let Some(rate) = gate.rate {
                conn.prepare_cached("UPDATE limits SET full_at = ?2 WHERE id = ?1")?
                    .execute((gate.id, rate.spend(gate.full_at, now, gate.used)))?;
            }
        }
        Ok(())
    }

    fn opening(&self, type_id: i64, gate: Option<i64>, now: DateTime<Utc>) -> Opening {
        let mut at = now;
        for place in self.places(type_id, gate) {
            let gate = &self.gates[place];
            if gate.free.is_some_and(|free| free <= 0) {
                return Opening::Full;
            }
            if let Some(rate) = gate.rate.filter(|_| gate.tokens == Some(0)) {
                at = at.max(rate.opens_at(gate.full_at, now));
            }
        }
        if at > now { Opening::At(at) } else { Opening::Open }
    }
}

/// When something of these types can be claimed next.
pub(super) fn next_claim(conn: &Connection, types: &[TypeId], now: DateTime<Utc>) -> Result<NextClaim> {
    let gates = Gates::load(conn, now)?;
    let mut next = NextClaim { limited: gates.any(), ..NextClaim::default() };
    let earlier = |one: Option<DateTime<Utc>>, other: DateTime<Utc>| Some(one.map_or(other, |one| one.min(other)));
    for type_id in types {
        for lane in lanes::of_type(conn, type_id.0, gates.any())? {
            let Some(due) = lanes::first_due(conn, type_id.0, lane)?.map(instant).transpose()? else { continue };
            if lane.gate.is_none() && !gates.is_limited(type_id.0) {
                next.ahead = earlier(next.ahead, due);
                continue;
            }
            match gates.opening(type_id.0, lane.gate, now) {
                Opening::Full if micros(due) <= micros(now) => next.held_back = true,
                Opening::Full | Opening::Open => next.on_time = earlier(next.on_time, due),
                Opening::At(at) => next.on_time = earlier(next.on_time, due.max(at)),
            }
        }
    }
    Ok(next)
}
