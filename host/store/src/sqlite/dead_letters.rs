//! Reading dead letters; and the adapter's side of the verbs on many.
//!
//! Not changing them (`dead_verbs`). What must hold: by their own index, so that other rows cost nothing; one whose event cannot be read is
//! listed all the same.

use super::codec::{from_json, instant, instant_or_none, micros, row, small, state_of};
use super::runs::code_of;
use super::{Sqlite, cancel_many, dead_verbs};
use crate::error::StoreError;
use crate::rows::{Actor, DeadFilter, DeadLetter, DeadPage, Lease, Order};
use crate::store::DeadLetters;
use chrono::{DateTime, Utc};
use rusqlite::types::Value as Column;
use rusqlite::{Connection, Row, params_from_iter};
use sexton_core::{EventId, OccurrenceId, Refusal};

type Result<T> = std::result::Result<T, StoreError>;
type Each = Vec<std::result::Result<(), Refusal>>;

impl DeadLetters for Sqlite {
    fn dead_letters(&self, filter: &DeadFilter, page: &DeadPage) -> Result<Vec<DeadLetter>> {
        let (filter, page) = (filter.clone(), *page);
        self.read(move |conn| list(conn, &filter, &page))
    }

    fn count_dead_letters(&self, filter: &DeadFilter) -> Result<i64> {
        let filter = filter.clone();
        self.read(move |conn| count(conn, &filter))
    }

    fn requeue(&self, lease: &Lease, which: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Each> {
        let (lease, which, by) = (lease.clone(), which.to_vec(), by.0.clone());
        self.writer.call(which.len(), move |tx| dead_verbs::requeue(tx, &lease, &which, &by, now))
    }

    fn discard(&self, lease: &Lease, which: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Each> {
        let (lease, which, by) = (lease.clone(), which.to_vec(), by.0.clone());
        self.writer.call(which.len(), move |tx| dead_verbs::discard(tx, &lease, &which, &by, now))
    }

    fn hasten(&self, lease: &Lease, occurrence: OccurrenceId, running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<()> {
        let (lease, runs, by) = (lease.clone(), running.contains(&occurrence), by.0.clone());
        self.writer.call(1, move |tx| dead_verbs::hasten(tx, &lease, occurrence, runs, &by, now))
    }

    fn cancel_many(&self, lease: &Lease, ids: &[EventId], running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<u64> {
        let (lease, ids, running, by) = (lease.clone(), ids.to_vec(), running.iter().copied().collect(), by.0.clone());
        self.writer.call(ids.len(), move |tx| cancel_many::many(tx, &lease, &ids, &running, &by, now))
    }
}

/// What is asked of dead letters, and how: conditions, and what is bound to them.
fn conditions(filter: &DeadFilter) -> (Vec<&'static str>, Vec<Column>) {
    let mut conditions = vec!["o.state = 3"];
    let mut values = Vec::new();
    if let Some(event) = filter.event {
        conditions.push("o.event = ?");
        values.push(event.0.into());
    }
    if let Some(event_type) = &filter.event_type {
        conditions.push("o.type = (SELECT id FROM event_types WHERE name = ?)");
        values.push(event_type.clone().into());
    }
    if let Some(since) = filter.since {
        conditions.push("coalesce(o.dead_at, o.due_at) >= ?");
        values.push(micros(since).into());
    }
    if let Some(reason) = &filter.reason {
        conditions.push("instr(lower(o.dead), lower(?)) > 0");
        values.push(reason.clone().into());
    }
    if let Some(code) = filter.code {
        conditions.push("o.dead_code = ?");
        values.push(code.word().to_owned().into());
    }
    if let Some(bot) = &filter.bot {
        conditions.push("e.bot IS NOT NULL AND e.bot ->> '$.id' = ?");
        values.push(bot.clone().into());
    }
    for (name, value) in &filter.labels {
        conditions.push("e.labels IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(e.labels) WHERE key = ? AND value = ?)");
        values.extend([name.clone().into(), value.clone().into()]);
    }
    (conditions, values)
}

/// The text of a page. The index is named: others of event and ordinal would do as well, and read every row.
pub(super) fn select(filter: &DeadFilter, page: &DeadPage) -> (String, Vec<Column>) {
    let (mut conditions, mut values) = conditions(filter);
    let (compared, ordered) = match page.order {
        Order::NewestFirst => ("(o.event, o.n) < (?, ?)", "o.event DESC, o.n DESC"),
        Order::OldestFirst => ("(o.event, o.n) > (?, ?)", "o.event, o.n"),
    };
    if let Some(past) = page.past {
        conditions.push(compared);
        values.extend([past.event.0.into(), past.n.into()]);
    }
    values.push(super::limit_of(page.limit).into());
    let sql = format!(
        "SELECT o.event, o.n, t.name, e.state, e.key, e.description, e.bot, e.labels, o.scheduled_for, o.attempt, o.dead, o.dead_code,
                o.dead_at, o.due_at
         FROM occurrences o INDEXED BY occurrences_dead CROSS JOIN events e ON e.id = o.event CROSS JOIN event_types t ON t.id = o.type
         WHERE {} ORDER BY {ordered} LIMIT ?",
        conditions.join(" AND ")
    );
    (sql, values)
}

fn list(conn: &Connection, filter: &DeadFilter, page: &DeadPage) -> Result<Vec<DeadLetter>> {
    let (sql, values) = select(filter, page);
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        letters.push(decode(row)?);
    }
    Ok(letters)
}

fn count(conn: &Connection, filter: &DeadFilter) -> Result<i64> {
    let (conditions, values) = conditions(filter);
    let of_event = filter.bot.is_some() || !filter.labels.is_empty();
    let events = if of_event { "CROSS JOIN events e ON e.id = o.event" } else { "" };
    let sql = format!("SELECT count(*) FROM occurrences o INDEXED BY occurrences_dead {events} WHERE {}", conditions.join(" AND "));
    Ok(conn.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
}

fn decode(row: &Row<'_>) -> Result<DeadLetter> {
    let event_id = EventId(row.get(0)?);
    let (bot, labels): (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
    // What of the event cannot be read may be why it is one: that must not hide it.
    Ok(DeadLetter {
        occurrence: OccurrenceId { event: event_id, n: row.get(1)? },
        event_id,
        event_type: row.get(2)?,
        event_state: state_of(row.get(3)?)?,
        key: row.get(4)?,
        description: row.get(5)?,
        bot: bot.and_then(|text| from_json(&text).ok()),
        labels: labels.and_then(|text| from_json(&text).ok()).unwrap_or_default(),
        scheduled_for: instant(row.get(8)?)?,
        attempt: small(row.get(9)?)?,
        reason: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
        error_code: code_of(row.get(11)?),
        dead_at: instant_or_none(row.get(12)?)?.map_or_else(|| instant(row.get(13)?), Ok)?,
    })
}

/// The state that the index is about.
const _: () = assert!(row::DEAD == 3);
