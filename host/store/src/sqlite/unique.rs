//! Uniqueness: what makes an event the same as another, and what then.
//!
//! Not plain keys, which an index keeps. What must hold: looked up in the transaction that stores, so that of two callers one is the first;
//! nothing is written before it is known that the new event will be stored.

use super::alter::cancel_but;
use super::codec::{from_json, is_open, state_number, state_word};
use super::failure::damaged;
use super::replan::Head;
use super::schedule::{EventRow, NotStored, key_in_use, open_event_with_key};
use super::writer::Tx;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde_json::{Map, Value, json as object};
use sexton_core::{Blame, Conflict, EventId, EventState, NewEvent, Refusal, RunPolicy, Unique, UniqueBy};
use sha2::{Digest, Sha256};
use std::fmt::Write;

type Result<T> = std::result::Result<T, StoreError>;

/// Equal events that one event replaces at most, in one transaction.
const REPLACED_MAX: i64 = 1_000;

/// What an event asks, made on the caller's thread.
pub(super) struct UniqueRow {
    digest: String,
    states: Vec<EventState>,
    conflict: Conflict,
}

impl UniqueRow {
    /// What a wish asks; `None` if nothing.
    pub(super) fn of(wish: &NewEvent) -> Result<Option<Self>> {
        let Some(unique) = &wish.policy.unique else { return Ok(None) };
        Self::made(unique, &wish.event_type, wish.key.as_deref(), wish.args.get()).map(Some)
    }

    fn made(unique: &Unique, event_type: &str, key: Option<&str>, args: &str) -> Result<Self> {
        // Maps are kept in order of their keys, so that equal scopes have equal texts.
        let mut scope = Map::new();
        for by in &unique.by {
            match by {
                UniqueBy::Type => scope.insert("type".to_owned(), event_type.into()),
                UniqueBy::Key => scope.insert("key".to_owned(), key.into()),
                UniqueBy::Args => scope.insert("args".to_owned(), from_json::<Value>(args)?),
            };
        }
        let mut digest = String::with_capacity(64);
        for byte in Sha256::digest(Value::Object(scope).to_string()) {
            write!(digest, "{byte:02x}").map_err(|_| damaged("a digest has no text"))?;
        }
        Ok(Self { digest, states: unique.states.clone(), conflict: unique.conflict })
    }
}

/// What was found.
pub(super) enum Met {
    /// It is to be stored, and these are to be cancelled for it.
    Free(Vec<EventId>),
    /// This one stays in its place.
    Kept(EventId),
}

/// Looks for events that are the same. Writes nothing.
pub(super) fn meet(tx: &Tx<'_>, event: &EventRow, unique: &UniqueRow) -> std::result::Result<Met, NotStored> {
    let Some((holder, state)) = first_equal(tx, unique, event.id)? else { return Ok(Met::Free(Vec::new())) };
    match unique.conflict {
        Conflict::Keep => Ok(Met::Kept(holder)),
        Conflict::Reject => Err(NotStored::Refused(refused(event, holder, state))),
        Conflict::Replace => {
            let replaced = open_equals(tx, unique)?;
            let holder = event.key.as_deref().map_or(Ok(None), |key| open_event_with_key(tx, event.type_id, key))?;
            match holder {
                Some((holder, _)) if !replaced.contains(&EventId(holder)) => Err(key_in_use(tx, event)?),
                _ => Ok(Met::Free(replaced)),
            }
        }
    }
}

/// Cancels what makes room for a new event. What is claimed of them counts as running, as nobody here knows better.
pub(super) fn replace(tx: &mut Tx<'_>, replaced: &[EventId], with: i64, by: &str, now: DateTime<Utc>) -> Result<()> {
    for id in replaced {
        let Some(head) = Head::read(tx, id.0)? else { continue };
        let reason = format!("replaced by {}", EventId(with));
        let removed = cancel_but(tx, &head, |_| true, Some(&reason), now)?;
        super::audit::add(tx, now, by, "event.cancel", &id.to_string(), &object!({ "reason": reason, "removed": removed }))?;
    }
    Ok(())
}

/// Remembers what a stored event's uniqueness goes by.
pub(super) fn note(tx: &Tx<'_>, event: i64, unique: Option<&UniqueRow>) -> Result<()> {
    let digest = unique.map(|unique| unique.digest.as_str());
    tx.conn.prepare_cached("UPDATE events SET unique_digest = ?2 WHERE id = ?1")?.execute((event, digest))?;
    Ok(())
}

/// The event that is the same as a stored one, by what that one asks for, in the states that it names.
pub(super) fn equal_of(tx: &Tx<'_>, event: i64) -> Result<Option<(EventId, EventState)>> {
    let asked = asked(tx, event)?.1;
    asked.map_or(Ok(None), |unique| first_equal(tx, &unique, event))
}

/// What a stored event's uniqueness went by when it was stored, and what it goes by now.
fn asked(tx: &Tx<'_>, event: i64) -> Result<(Option<String>, Option<UniqueRow>)> {
    let (policy, was, name, key, args): (Option<String>, Option<String>, String, Option<String>, String) = tx
        .conn
        .prepare_cached(
            "SELECT e.policy, e.unique_digest, t.name, e.key, e.args FROM events e JOIN event_types t ON t.id = e.type WHERE e.id = ?1",
        )?
        .query_row([event], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let policy: RunPolicy = super::codec::from_json_or_default(policy.as_deref())?;
    Ok((was, policy.unique.as_ref().map(|unique| UniqueRow::made(unique, &name, key.as_deref(), &args)).transpose()?))
}

/// After an edit of arguments or policy: an edit never replaces, and is refused if it makes the event the same as another.
pub(super) fn after_edit(tx: &Tx<'_>, event: i64) -> Result<()> {
    let (was, unique) = asked(tx, event)?;
    if was.as_ref() == unique.as_ref().map(|unique| &unique.digest) {
        return Ok(());
    }
    if let Some(unique) = &unique
        && let Some((holder, state)) = first_equal(tx, unique, event)?
    {
        return Err(same_as(&format!("event {} would be", EventId(event)), holder, state)
            .remedy(format!("give it other arguments, or cancel event {holder} first"))
            .into());
    }
    note(tx, event, unique.as_ref())
}

/// The newest that is the same, an open one before others.
fn first_equal(tx: &Tx<'_>, unique: &UniqueRow, but: i64) -> Result<Option<(EventId, EventState)>> {
    let mut states = unique.states.clone();
    states.sort_by_key(|state| state_number(*state));
    let mut newest = tx.conn.prepare_cached(
        "SELECT id FROM events INDEXED BY events_unique WHERE unique_digest = ?1 AND state = ?2 AND id <> ?3 ORDER BY id DESC LIMIT 1",
    )?;
    for state in states {
        let found: Option<i64> = newest.query_row((&unique.digest, state_number(state), but), |row| row.get(0)).optional()?;
        if let Some(id) = found {
            return Ok(Some((EventId(id), state)));
        }
    }
    Ok(None)
}

fn open_equals(tx: &Tx<'_>, unique: &UniqueRow) -> Result<Vec<EventId>> {
    let mut select = tx
        .conn
        .prepare_cached("SELECT id FROM events INDEXED BY events_unique WHERE unique_digest = ?1 AND state = ?2 ORDER BY id LIMIT ?3")?;
    let mut equals = Vec::new();
    for state in unique.states.iter().filter(|state| is_open(**state)) {
        let mut rows = select.query((&unique.digest, state_number(*state), REPLACED_MAX))?;
        while let Some(row) = rows.next()? {
            equals.push(EventId(row.get(0)?));
        }
    }
    equals.sort_unstable();
    equals.dedup();
    Ok(equals)
}

fn refused(event: &EventRow, holder: EventId, state: EventState) -> Refusal {
    same_as(&format!("the event of `{}` is", event.type_name), holder, state).remedy(format!(
        "nothing, if once is enough; `sexton event show {holder}` shows it, and `\"conflict\": \"keep\"` makes it the answer"
    ))
}

fn same_as(what: &str, holder: EventId, state: EventState) -> Refusal {
    Refusal::new("INP036", Blame::Input, format!("{what} the same as event {holder}, and there are to be no two of it"))
        .expected("no event with the same scope in the states that `unique` names")
        .found(format!("event {holder}, {}", state_word(state)))
}
