//! Which plugin owns which event type, and what it offers for it.
//!
//! Not the registry of what is served now. What must hold: the first to publish owns a type until it is released; load
//! order never decides.

use super::codec::{from_json, from_json_or_default, instant, json, micros};
use super::hosts::require_current;
use super::schedule::EventRow;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Intention, Lease, Offer, TypeRow};
use crate::store::StandingOffer;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Value, json as object};
use sexton_core::{Blame, Refusal, TypeId};
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, StoreError>;

/// The owner of the types built into the host.
pub(super) const HOST: &str = "host";
const COLUMNS: &str = "id, name, owner, args_schema, schema_digest, retry, first_seen_at, time_limit";

/// A type on offer, as columns.
pub(super) struct OfferRow {
    pub(super) name: String,
    pub(super) args_schema: String,
    pub(super) schema_digest: String,
    pub(super) retry: Option<String>,
    pub(super) time_limit: Option<String>,
}

/// A declared event: its type's name and its columns, but for the type's number.
pub(super) type Declared = EventRow;

/// A batch of `load`.
pub(super) struct Batch {
    pub(super) plugin: String,
    pub(super) generation: i64,
    pub(super) offers: Vec<OfferRow>,
    pub(super) standing: Vec<Declared>,
}

impl Batch {
    /// The columns of what `load` offered and declared.
    pub(super) fn of(plugin: &str, generation: i64, offers: &[Offer], standing: &[StandingOffer]) -> Result<Self> {
        let declared = standing.iter().map(|offer| {
            EventRow::of(&Intention {
                id: offer.id,
                // Not known before the batch is published: `publish` fills it in.
                type_id: TypeId(0),
                wish: sexton_core::NewEvent { event_type: offer.event_type.clone(), ..offer.wish.clone() },
                first: offer.first,
                standing_of: Some(plugin.to_owned()),
            })
        });
        Ok(Self {
            plugin: plugin.to_owned(),
            generation,
            offers: offers.iter().map(offer_row).collect::<Result<_>>()?,
            standing: declared.collect::<Result<_>>()?,
        })
    }
}

/// The columns of an offer.
fn offer_row(offer: &Offer) -> Result<OfferRow> {
    let args_schema = json(&sorted(&offer.args_schema))?;
    let digest = Sha256::digest(args_schema.as_bytes());
    let schema_digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let time_limit = if offer.time_limit.is_default() { None } else { Some(json(&offer.time_limit)?) };
    Ok(OfferRow {
        name: offer.event_type.clone(),
        args_schema,
        schema_digest,
        retry: offer.retry.as_ref().map(json).transpose()?,
        time_limit,
    })
}

/// Canonical: members by name, at every depth, whatever order the map type keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Value::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Publishes a batch, all or nothing.
pub(super) fn publish(tx: &mut Tx<'_>, lease: &Lease, mut batch: Batch, by: &str, now: DateTime<Utc>) -> Result<Vec<TypeRow>> {
    require_current(tx, lease)?;
    let mut rows = Vec::with_capacity(batch.offers.len());
    for offer in &batch.offers {
        rows.push(publish_type(tx, &batch.plugin, offer, now)?);
    }
    for declared in &mut batch.standing {
        let owned = by_name(tx.conn, &declared.type_name)?.filter(|row| row.owner.as_deref() == Some(batch.plugin.as_str()));
        let Some(row) = owned else {
            return Err(not_its_own(&batch.plugin, declared).into());
        };
        declared.type_id = row.id.0;
        super::standing::put(tx, declared, by, now)?;
    }
    if batch.plugin != HOST {
        super::plugins::published(tx, &batch.plugin, batch.generation, now)?;
    }
    let names: Vec<&str> = batch.offers.iter().map(|offer| offer.name.as_str()).collect();
    let detail = object!({ "generation": batch.generation, "event_types": names, "standing": batch.standing.len() });
    super::audit::add(tx, now, by, "plugin.publish", &batch.plugin, &detail)?;
    Ok(rows)
}

fn publish_type(tx: &Tx<'_>, plugin: &str, offer: &OfferRow, now: DateTime<Utc>) -> Result<TypeRow> {
    let owner: Option<Option<String>> =
        tx.conn.prepare_cached("SELECT owner FROM event_types WHERE name = ?1")?.query_row([&offer.name], |row| row.get(0)).optional()?;
    if let Some(Some(owner)) = owner
        && owner != plugin
    {
        return Err(owned_by_another(&offer.name, &owner, plugin).into());
    }
    tx.conn
        .prepare_cached(
            "INSERT INTO event_types (name, owner, args_schema, schema_digest, retry, first_seen_at, time_limit)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, args_schema = excluded.args_schema,
                                              schema_digest = excluded.schema_digest, retry = excluded.retry,
                                              time_limit = excluded.time_limit",
        )?
        .execute((&offer.name, plugin, &offer.args_schema, &offer.schema_digest, &offer.retry, micros(now), &offer.time_limit))?;
    by_name(tx.conn, &offer.name)?.ok_or_else(|| unknown(&offer.name).into())
}

fn owned_by_another(event_type: &str, owner: &str, plugin: &str) -> Refusal {
    Refusal::new(
        "PLG031",
        Blame::Plugin,
        format!("the event type `{event_type}` is owned by plugin `{owner}`; plugin `{plugin}` offers it too"),
    )
    .expected("types that no other plugin owns")
    .found(format!("`{event_type}`, owned by `{owner}`"))
    .remedy(format!("rename the type in `{plugin}`, or let it go first: `sexton event-type release {event_type}`"))
}

fn not_its_own(plugin: &str, declared: &Declared) -> Refusal {
    let key = declared.key.as_deref().unwrap_or_default();
    Refusal::new(
        "PLG040",
        Blame::Plugin,
        format!("plugin `{plugin}` declares the standing event `{key}` on `{}`, which it does not own", declared.type_name),
    )
    .expected("a type of the same batch, or one that the plugin owns already")
    .found(declared.type_name.clone())
}

fn unknown(event_type: &str) -> Refusal {
    Refusal::new("INP001", Blame::Input, format!("the store knows no event type `{event_type}`"))
        .remedy("`sexton event-type list` shows what is known")
}

fn decode(row: &Row<'_>) -> Result<TypeRow> {
    let (schema, retry, time_limit): (String, Option<String>, Option<String>) = (row.get(3)?, row.get(5)?, row.get(7)?);
    Ok(TypeRow {
        id: TypeId(row.get(0)?),
        event_type: row.get(1)?,
        owner: row.get(2)?,
        args_schema: from_json(&schema)?,
        schema_digest: row.get(4)?,
        retry: retry.as_deref().map(from_json).transpose()?,
        time_limit: from_json_or_default(time_limit.as_deref())?,
        first_seen_at: instant(row.get(6)?)?,
    })
}

fn by_name(conn: &Connection, name: &str) -> Result<Option<TypeRow>> {
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM event_types WHERE name = ?1"))?;
    let mut rows = select.query([name])?;
    rows.next()?.map(decode).transpose()
}

/// Every type that somebody owns, and those released on which events still wait.
pub(super) fn list(conn: &Connection) -> Result<Vec<TypeRow>> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM event_types t WHERE owner IS NOT NULL
            OR (SELECT coalesce(sum(n), 0) FROM counters c WHERE c.type = t.id AND c.kind < 2) > 0 ORDER BY name"
    ))?;
    let mut rows = select.query([])?;
    let mut types = Vec::new();
    while let Some(row) = rows.next()? {
        types.push(decode(row)?);
    }
    Ok(types)
}

/// Forgets the owner of one type.
pub(super) fn release(tx: &Tx<'_>, event_type: &str, by: &str, now: DateTime<Utc>) -> Result<Option<String>> {
    let Some(row) = by_name(tx.conn, event_type)? else {
        return Err(unknown(event_type).into());
    };
    tx.conn.execute("UPDATE event_types SET owner = NULL WHERE id = ?1", [row.id.0])?;
    super::audit::add(tx, now, by, "type.release", event_type, &object!({ "owner": row.owner }))?;
    Ok(row.owner)
}

/// Forgets the owner of a plugin's types on which no event waits.
pub(super) fn release_unused(tx: &Tx<'_>, plugin: &str, by: &str, now: DateTime<Utc>) -> Result<Vec<String>> {
    let names: Vec<String> = tx
        .conn
        .prepare_cached(
            "UPDATE event_types SET owner = NULL
             WHERE owner = ?1 AND (SELECT coalesce(sum(n), 0) FROM counters c WHERE c.type = event_types.id AND c.kind < 2) = 0
             RETURNING name",
        )?
        .query_map([plugin], |row| row.get(0))?
        .collect::<std::result::Result<_, _>>()?;
    if !names.is_empty() {
        super::audit::add(tx, now, by, "type.release", plugin, &object!({ "event_types": names, "unused": true }))?;
    }
    Ok(names)
}
