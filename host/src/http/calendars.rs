//! Addresses under `/calendars`: list, show, set, remove.
//!
//! Not what a calendar says (`sexton-core`). What must hold: a calendar is refused with its own code and place, and every question about a
//! schedule sees it at once after the answer.

use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use axum::extract::{ConnectInfo, Path, State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sexton_core::calendar::{Calendar, check_name};
use sexton_core::{Blame, Refusal};
use sexton_store::rows::CalendarRow;

/// A calendar in the list: its content may be a megabyte, and is shown one by one.
#[derive(Serialize)]
pub struct CalendarView {
    name: String,
    events: i64,
    updated_at: DateTime<Utc>,
    updated_by: String,
}

/// What setting one did.
#[derive(Serialize)]
pub struct Set {
    name: String,
    moved: i64,
}

/// What was removed.
#[derive(Serialize)]
pub struct Removed {
    name: String,
}

/// `GET /calendars`.
pub async fn list(State(rooms): State<Shared>, asked: Asked) -> Answer<Items<CalendarView>> {
    asked.done()?;
    let rows = blocking(move || rooms.store.calendars()).await?;
    let view =
        |row: CalendarRow| CalendarView { name: row.name, events: row.events, updated_at: row.updated_at, updated_by: row.updated_by };
    ok(Items::all(rows.into_iter().map(view).collect()))
}

/// `GET /calendars/{name}`.
pub async fn show(State(rooms): State<Shared>, Path(name): Path<String>, asked: Asked) -> Answer<CalendarRow> {
    asked.done()?;
    let row = blocking(move || -> Result<_, No> {
        let found = rooms.store.calendars()?.into_iter().find(|row| row.name == name);
        found.ok_or_else(|| No(none(&name)))
    });
    ok(row.await?)
}

/// `PUT /calendars/{name}`.
pub async fn set(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(name): Path<String>, body: Raw) -> Answer<Set> {
    let text = reading::text(body)?;
    let set = blocking(move || -> Result<_, No> {
        check_name(&name)?;
        // Read as plain JSON first: through serde a calendar's refusal would lose its code and place.
        let calendar = Calendar::read(&reading::object::<Value>(&text)?)?;
        let moved = rooms.engine.set_calendar(&name, &calendar, &peer.actor())?;
        Ok(Set { name, moved })
    });
    ok(set.await?)
}

/// `DELETE /calendars/{name}`.
pub async fn remove(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(name): Path<String>) -> Answer<Removed> {
    let removed = blocking(move || -> Result<_, No> {
        if rooms.engine.remove_calendar(&name, &peer.actor())? { Ok(Removed { name }) } else { Err(No(none(&name))) }
    });
    ok(removed.await?)
}

fn none(name: &str) -> Refusal {
    Refusal::new("INP026", Blame::Input, format!("there is no calendar `{name}`"))
        .expected("the name of a calendar that is there")
        .remedy("`sexton calendar list` shows those that are there")
}
