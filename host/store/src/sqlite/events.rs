//! Reading events and what they wait for.
//!
//! Not writing. What must hold: what was written comes back as it was, arguments to the byte.

use super::codec::{cause_of, from_json, from_json_or_default, instant, instant_or_none, row, small, state_number, state_of};
use super::failure::damaged;
use crate::error::StoreError;
use crate::rows::{EventFilter, Page, Waiting};
use rusqlite::types::Value as Column;
use rusqlite::{Connection, Row, params_from_iter};
use serde_json::value::RawValue;
use sexton_core::{Event, EventId, NewEvent, OccurrenceId, TypeId};

type Result<T> = std::result::Result<T, StoreError>;

/// The columns of [`WishColumns`], from `events e JOIN event_types t`.
pub(super) const WISH: &str =
    "t.name, e.schedule, e.args, e.key, e.description, e.bot, e.resources, e.labels, e.priority, e.retry, e.policy";
pub(super) const WISH_WIDTH: usize = 11;

/// What the caller wrote, as text: parsed where there is time for it, which is not the writer's thread.
#[derive(Clone)]
pub(super) struct WishColumns {
    event_type: String,
    schedule: String,
    args: String,
    key: Option<String>,
    description: Option<String>,
    bot: Option<String>,
    resources: Option<String>,
    labels: Option<String>,
    priority: i32,
    retry: Option<String>,
    policy: Option<String>,
}

impl WishColumns {
    /// Reads the columns of [`WISH`], the first of them at `at`.
    pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            event_type: row.get(at)?,
            schedule: row.get(at + 1)?,
            args: row.get(at + 2)?,
            key: row.get(at + 3)?,
            description: row.get(at + 4)?,
            bot: row.get(at + 5)?,
            resources: row.get(at + 6)?,
            labels: row.get(at + 7)?,
            priority: row.get(at + 8)?,
            retry: row.get(at + 9)?,
            policy: row.get(at + 10)?,
        })
    }

    /// Parses them.
    pub(super) fn decode(self) -> Result<NewEvent> {
        Ok(NewEvent {
            event_type: self.event_type,
            schedule: from_json(&self.schedule)?,
            args: RawValue::from_string(self.args).map_err(|error| damaged(&format!("arguments: {error}")))?,
            key: self.key,
            description: self.description,
            bot: self.bot.as_deref().map(from_json).transpose()?,
            resources: from_json_or_default(self.resources.as_deref())?,
            labels: from_json_or_default(self.labels.as_deref())?,
            priority: self.priority,
            retry: self.retry.as_deref().map(from_json).transpose()?,
            policy: from_json_or_default(self.policy.as_deref())?,
        })
    }
}

/// The next due instant counts waiting, gated and claimed rows: not those held, not dead letters.
fn select(conditions: &str) -> String {
    format!(
        "SELECT {WISH}, e.id, e.type, e.state, e.created_at, e.created_by, e.updated_at, e.finished_at, e.reason, e.last_n, e.skipped,
                e.standing_of, (SELECT min(o.due_at) FROM occurrences o WHERE o.event = e.id AND (o.state < {held} OR o.state = {gated})),
                (SELECT json_group_object(s.reason, s.n) FROM skips s WHERE s.event = e.id AND e.skipped > 0)
         FROM events e JOIN event_types t ON t.id = e.type {conditions}",
        held = row::HELD,
        gated = row::GATED
    )
}

fn decode(row: &Row<'_>) -> Result<Event> {
    let at = WISH_WIDTH;
    Ok(Event {
        wish: WishColumns::read(row, 0)?.decode()?,
        id: EventId(row.get(at)?),
        type_id: TypeId(row.get(at + 1)?),
        state: state_of(row.get(at + 2)?)?,
        created_at: instant(row.get(at + 3)?)?,
        created_by: row.get(at + 4)?,
        updated_at: instant(row.get(at + 5)?)?,
        finished_at: instant_or_none(row.get(at + 6)?)?,
        reason: row.get(at + 7)?,
        occurrences: row.get(at + 8)?,
        skipped: row.get(at + 9)?,
        skips: from_json(&row.get::<_, String>(at + 12)?)?,
        standing_of: row.get(at + 10)?,
        next_run_at: instant_or_none(row.get(at + 11)?)?,
    })
}

/// One event.
pub(super) fn one(conn: &Connection, id: EventId) -> Result<Option<Event>> {
    let mut select = conn.prepare_cached(&select("WHERE e.id = ?1"))?;
    let mut rows = select.query([id.0])?;
    rows.next()?.map(decode).transpose()
}

/// Events, newest first. Filters other than the page scan: an index for each would cost every insert.
pub(super) fn list(conn: &Connection, filter: &EventFilter, page: &Page) -> Result<Vec<Event>> {
    let mut conditions = vec!["e.id < ?"];
    let mut values = vec![Column::Integer(page.before.unwrap_or(i64::MAX))];
    if let Some(event_type) = &filter.event_type {
        conditions.push("e.type = (SELECT id FROM event_types WHERE name = ?)");
        values.push(event_type.clone().into());
    }
    if let Some(state) = filter.state {
        conditions.push("e.state = ?");
        values.push(state_number(state).into());
    }
    if let Some(key) = &filter.key {
        conditions.push("e.key = ?");
        values.push(key.clone().into());
    }
    if let Some(bot) = &filter.bot {
        conditions.push("e.bot IS NOT NULL AND e.bot ->> '$.id' = ?");
        values.push(bot.clone().into());
    }
    for (name, value) in &filter.labels {
        conditions.push("e.labels IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(e.labels) WHERE key = ? AND value = ?)");
        values.extend([name.clone().into(), value.clone().into()]);
    }
    if let Some(resource) = &filter.resource {
        conditions.push("e.resources IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(e.resources) WHERE value ->> '$.id' = ?)");
        values.push(resource.clone().into());
    }
    if let Some(follows) = filter.follows {
        conditions.push("EXISTS (SELECT 1 FROM links l WHERE l.follower = e.id AND l.upstream = ?)");
        values.push(follows.0.into());
    }
    values.push(super::limit_of(page.limit).into());
    let sql = select(&format!("WHERE {} ORDER BY e.id DESC LIMIT ?", conditions.join(" AND ")));
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(decode(row)?);
    }
    Ok(events)
}

/// The text of [`args_of`]. The index is named: by the order alone, the ids of all types would do as well.
pub(super) const ARGS_OF: &str = "SELECT id, args FROM events INDEXED BY events_open WHERE type = ?1 AND state < 2 AND id > ?2 ORDER BY id";

/// Arguments of the open events of a type, by rising id. Without a limit in the text: what cannot be read must not shorten a page, or
/// its reader would take it for the last.
pub(super) fn args_of(conn: &Connection, of: TypeId, after: Option<EventId>, limit: usize) -> Result<Vec<(EventId, Box<RawValue>)>> {
    let mut select = conn.prepare_cached(ARGS_OF)?;
    let mut rows = select.query((of.0, after.map_or(i64::MIN, |id| id.0)))?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        // Text that is no UTF-8 is no argument either.
        if let Ok(args) = row.get::<_, String>(1)
            && let Ok(args) = RawValue::from_string(args)
        {
            found.push((EventId(row.get(0)?), args));
        }
    }
    Ok(found)
}

/// What is still to run of one event, dead letters included.
pub(super) fn waiting(conn: &Connection, id: EventId) -> Result<Vec<Waiting>> {
    let mut select =
        conn.prepare_cached("SELECT n, scheduled_for, due_at, cause, attempt, dead, state FROM occurrences WHERE event = ?1 ORDER BY n")?;
    let mut rows = select.query([id.0])?;
    let mut waiting = Vec::new();
    while let Some(found) = rows.next()? {
        waiting.push(Waiting {
            occurrence: OccurrenceId { event: id, n: found.get(0)? },
            scheduled_for: instant(found.get(1)?)?,
            due_at: instant(found.get(2)?)?,
            cause: cause_of(found.get(3)?)?,
            attempt: small(found.get(4)?)?,
            dead: found.get(5)?,
            queued: found.get::<_, i64>(6)? == row::QUEUED,
        });
    }
    Ok(waiting)
}
