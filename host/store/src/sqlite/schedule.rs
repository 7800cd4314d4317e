//! Storing intentions: the event, its first occurrence, its key.
//!
//! Not validation: arguments and schedules were checked by the host. What must hold: a key is refused by the index that
//! keeps it unique, never by a look before.

use super::codec::{json, lane, micros, row, state_number};
use super::failure::is_unique_violation;
use super::unique::{self, Met, UniqueRow};
use super::writer::Tx;
use crate::error::{ErrorKind, StoreError};
use crate::rows::{Intention, Stored};
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde::Serialize;
use sexton_core::schedule::Rule;
use sexton_core::{Blame, EventId, EventState, Refusal, Schedule};

type Result<T> = std::result::Result<T, StoreError>;

/// An intention as columns, made on the caller's thread so that the writer's only writes.
pub(super) struct EventRow {
    pub(super) id: i64,
    pub(super) type_id: i64,
    pub(super) type_name: String,
    /// The first instant, and when it is due.
    pub(super) first: Option<(i64, i64)>,
    pub(super) schedule: String,
    /// The zone it follows, unless that is UTC.
    pub(super) tz: Option<String>,
    /// The schedule itself, if it names calendars.
    pub(super) gated: Option<Schedule>,
    /// The schedule itself, if it follows others.
    pub(super) follows: Option<Schedule>,
    pub(super) unique: Option<UniqueRow>,
    pub(super) args: String,
    pub(super) key: Option<String>,
    pub(super) description: Option<String>,
    pub(super) bot: Option<String>,
    pub(super) resources: Option<String>,
    pub(super) labels: Option<String>,
    pub(super) priority: i32,
    pub(super) retry: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) standing_of: Option<String>,
}

impl EventRow {
    /// The columns of an intention.
    pub(super) fn of(intention: &Intention) -> Result<Self> {
        let wish = &intention.wish;
        Ok(Self {
            id: intention.id.0,
            type_id: intention.type_id.0,
            type_name: wish.event_type.clone(),
            first: intention.first.map(|at| (micros(at), micros(wish.schedule.due_at(intention.id, at)))),
            schedule: json(&wish.schedule)?,
            tz: zone_column(&wish.schedule),
            gated: is_gated(&wish.schedule).then(|| wish.schedule.clone()),
            follows: matches!(wish.schedule.rule, Rule::Follows { .. }).then(|| wish.schedule.clone()),
            unique: UniqueRow::of(wish)?,
            args: wish.args.get().to_owned(),
            key: wish.key.clone(),
            description: wish.description.clone(),
            bot: wish.bot.as_ref().map(json).transpose()?,
            resources: json_unless(wish.resources.is_empty(), &wish.resources)?,
            labels: json_unless(wish.labels.is_empty(), &wish.labels)?,
            priority: wish.priority,
            retry: wish.retry.as_ref().map(json).transpose()?,
            policy: json_unless(wish.policy.is_default(), &wish.policy)?,
            standing_of: intention.standing_of.clone(),
        })
    }
}

fn json_unless<T: Serialize>(empty: bool, value: &T) -> Result<Option<String>> {
    if empty { Ok(None) } else { json(value).map(Some) }
}

/// What stands in the column `tz`.
pub(super) fn zone_column(schedule: &Schedule) -> Option<String> {
    schedule.tz().filter(|tz| *tz != "UTC").map(str::to_owned)
}

fn is_gated(schedule: &Schedule) -> bool {
    !(schedule.terms.exclude.is_empty() && schedule.terms.only.is_empty())
}

/// Why an event was not stored.
pub(super) enum NotStored {
    /// A rule of the rows: its key is in use, it is the same as another, it cannot follow what it says. Nothing of it is written.
    Refused(Refusal),
    /// Anything else.
    Error(StoreError),
}

impl From<StoreError> for NotStored {
    fn from(error: StoreError) -> Self {
        Self::Error(error)
    }
}

impl From<rusqlite::Error> for NotStored {
    fn from(error: rusqlite::Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<NotStored> for StoreError {
    fn from(not: NotStored) -> Self {
        match not {
            NotStored::Refused(refusal) => refusal.into(),
            NotStored::Error(error) => error,
        }
    }
}

/// Stores an event with its first occurrence, or finds the one that stands for it.
pub(super) fn insert(tx: &mut Tx<'_>, event: &EventRow, by: &str, now: DateTime<Utc>) -> std::result::Result<Stored, NotStored> {
    let first = event.first.map(|(_, due_at)| super::codec::instant(due_at)).transpose()?;
    if event.unique.is_none() && event.follows.is_none() {
        insert_row(tx, event, by, micros(now))?;
        return Ok(Stored::New { next_due: first, replaced: Vec::new() });
    }
    require_type(tx, event)?;
    let replaced = match event.unique.as_ref().map(|unique| unique::meet(tx, event, unique)).transpose()? {
        Some(Met::Kept(event)) => return Ok(Stored::Kept { event }),
        Some(Met::Free(replaced)) => replaced,
        None => Vec::new(),
    };
    let links = match &event.follows {
        Some(schedule) => super::links::check_new(tx, event.id, schedule, &replaced, now).map_err(refused_or_failed)?,
        None => Vec::new(),
    };
    unique::replace(tx, &replaced, event.id, by, now)?;
    insert_row(tx, event, by, micros(now))?;
    if event.unique.is_some() {
        unique::note(tx, event.id, event.unique.as_ref())?;
    }
    super::links::write(tx, event.id, &links)?;
    let set_off = if links.is_empty() { None } else { super::chains::begin(tx, event.id, now)? };
    Ok(Stored::New { next_due: first.or(set_off), replaced })
}

fn refused_or_failed(error: StoreError) -> NotStored {
    match error.refusal {
        Some(refusal) => NotStored::Refused(*refusal),
        None => NotStored::Error(error),
    }
}

fn insert_row(tx: &mut Tx<'_>, event: &EventRow, by: &str, now: i64) -> std::result::Result<(), NotStored> {
    require_type(tx, event)?;
    let n = i64::from(event.first.is_some());
    let inserted = tx
        .conn
        .prepare_cached(
            "INSERT INTO events (id, type, state, last_n, skipped, priority, created_at, updated_at, schedule, args, key, description, bot,
                                 resources, labels, retry, created_by, standing_of, tz, policy)
             VALUES (?1, ?2, 0, ?3, 0, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(rusqlite::params![
            event.id,
            event.type_id,
            n,
            event.priority,
            now,
            event.schedule,
            event.args,
            event.key,
            event.description,
            event.bot,
            event.resources,
            event.labels,
            event.retry,
            by,
            event.standing_of,
            event.tz,
            event.policy
        ]);
    match inserted {
        Ok(_) => {}
        Err(error) if is_unique_violation(&error) => return Err(key_in_use(tx, event)?),
        Err(error) => return Err(error.into()),
    }
    tx.hot.deltas.moved(event.type_id, None, Some(EventState::Scheduled));
    if let Some((scheduled_for, due_at)) = event.first {
        let lane = lane(event.priority);
        insert_scheduled(tx, &Fresh { event: event.id, n, type_id: event.type_id, lane, scheduled_for, due_at, held: false })?;
    }
    if let Some(schedule) = &event.gated {
        // Checked by the host with the calendars it knew; one may have gone since.
        let calendars = tx.calendars()?;
        calendars.check(&schedule.terms.exclude).and_then(|()| calendars.check(&schedule.terms.only)).map_err(StoreError::from)?;
        super::calendars::note_uses(tx, event.id, schedule, true)?;
    }
    Ok(())
}

/// A row that the schedule gives: first attempt.
pub(super) struct Fresh {
    pub(super) event: i64,
    pub(super) n: i64,
    pub(super) type_id: i64,
    pub(super) lane: i64,
    pub(super) scheduled_for: i64,
    pub(super) due_at: i64,
    pub(super) held: bool,
}

impl Fresh {
    /// For that instant of the schedule, due with its jitter.
    pub(super) fn of(event: i64, n: i64, type_id: i64, lane: i64, schedule: &Schedule, at: DateTime<Utc>, held: bool) -> Self {
        let due_at = micros(schedule.due_at(EventId(event), at));
        Self { event, n, type_id, lane, scheduled_for: micros(at), due_at, held }
    }
}

/// Stores the schedule's own next occurrence.
pub(super) fn insert_scheduled(tx: &Tx<'_>, fresh: &Fresh) -> Result<()> {
    tx.conn
        .prepare_cached(
            "INSERT INTO occurrences (event, n, type, lane, state, due_at, scheduled_for, cause, by_schedule, attempt, interruptions)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 1, 1, 0)",
        )?
        .execute((
            fresh.event,
            fresh.n,
            fresh.type_id,
            fresh.lane,
            if fresh.held { row::HELD } else { row::WAITING },
            fresh.due_at,
            fresh.scheduled_for,
        ))?;
    Ok(())
}

fn require_type(tx: &mut Tx<'_>, event: &EventRow) -> Result<()> {
    if tx.hot.types.contains(&event.type_id) {
        return Ok(());
    }
    let known = tx.conn.prepare_cached("SELECT 1 FROM event_types WHERE id = ?1")?.exists([event.type_id])?;
    if !known {
        let refusal = Refusal::new("INP001", Blame::Input, format!("the store knows no event type `{}`", event.type_name))
            .remedy("load a plugin that offers it; `sexton event-type list` shows what is known");
        return Err(refusal.into());
    }
    tx.hot.types.insert(event.type_id);
    Ok(())
}

pub(super) fn key_in_use(tx: &Tx<'_>, event: &EventRow) -> std::result::Result<NotStored, NotStored> {
    let key = event.key.as_deref().unwrap_or_default();
    let Some((holder, state)) = open_event_with_key(tx, event.type_id, key)? else {
        return Err(StoreError::new(ErrorKind::Engine, format!("the event {} is stored already", EventId(event.id))).into());
    };
    let refusal =
        Refusal::new("INP008", Blame::Input, format!("the key `{key}` of `{}` is in use by event {}", event.type_name, EventId(holder)))
            .expected("a key that no scheduled or paused event of this type has")
            .found(format!("event {}, {}", EventId(holder), if state == state_number(EventState::Paused) { "paused" } else { "scheduled" }))
            .remedy(format!("edit or cancel that event (`sexton event show {}`), or choose another key", EventId(holder)));
    Ok(NotStored::Refused(refusal))
}

/// The open event that has a key: id and state.
pub(super) fn open_event_with_key(tx: &Tx<'_>, type_id: i64, key: &str) -> Result<Option<(i64, i64)>> {
    let found = tx
        .conn
        .prepare_cached("SELECT id, state FROM events WHERE type = ?1 AND key = ?2 AND key IS NOT NULL AND state < 2")?
        .query_row((type_id, key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found)
}

/// Stores a batch, standing ones by their own rule, and its audit line. Answers what became of each.
pub(super) fn schedule(tx: &mut Tx<'_>, rows: &[EventRow], by: &str, now: DateTime<Utc>) -> Result<Vec<Stored>> {
    let mut stored = Vec::with_capacity(rows.len());
    for event in rows {
        stored.push(if event.standing_of.is_some() {
            match super::standing::put(tx, event, by, now)? {
                id if id == event.id => Stored::New { next_due: None, replaced: Vec::new() },
                id => Stored::Kept { event: EventId(id) },
            }
        } else {
            insert(tx, event, by, now)?
        });
    }
    let is_new = |(event, stored): &(&EventRow, &Stored)| event.standing_of.is_some() || matches!(stored, Stored::New { .. });
    let rows: Vec<&EventRow> = rows.iter().zip(&stored).filter(is_new).map(|(event, _)| event).collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(stored);
    };
    let mut detail = serde_json::json!({ "count": rows.len(), "event_type": first.type_name });
    if rows.len() > 1 {
        detail["last"] = EventId(last.id).to_string().into();
    }
    super::audit::add(tx, now, by, "event.schedule", &EventId(first.id).to_string(), &detail)?;
    Ok(stored)
}
