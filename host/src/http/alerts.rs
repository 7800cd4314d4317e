//! Addresses under `/alerts`: conditions that schedule a notification.
//!
//! Not the conditions' meaning (`sexton_core::decide::alert`). What must hold: an alert that is stored can be told.

use crate::engine::alerts::none;
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use axum::extract::{ConnectInfo, Path, State};
use serde::Serialize;
use sexton_core::decide::alert::Alert;
use sexton_store::rows::AlertRow;

/// What was removed.
#[derive(Serialize)]
pub struct Removed {
    name: String,
}

/// `GET /alerts`.
pub async fn list(State(rooms): State<Shared>, asked: Asked) -> Answer<Items<AlertRow>> {
    asked.done()?;
    ok(Items::all(blocking(move || rooms.store.alerts()).await?))
}

fn one(rooms: &Shared, name: &str) -> Result<AlertRow, No> {
    rooms.store.alerts()?.into_iter().find(|row| row.name == name).ok_or_else(|| No(none(name)))
}

/// `GET /alerts/{name}`.
pub async fn show(State(rooms): State<Shared>, Path(name): Path<String>, asked: Asked) -> Answer<AlertRow> {
    asked.done()?;
    ok(blocking(move || one(&rooms, &name)).await?)
}

/// `PUT /alerts/{name}`.
pub async fn set(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    body: Raw,
) -> Answer<AlertRow> {
    let wanted: Alert = reading::object(&reading::text(body)?)?;
    let row = blocking(move || -> Result<_, No> {
        rooms.engine.set_alert(&name, &wanted, &peer.actor())?;
        one(&rooms, &name)
    });
    ok(row.await?)
}

/// `DELETE /alerts/{name}`.
pub async fn remove(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(name): Path<String>) -> Answer<Removed> {
    let removed = blocking(move || -> Result<_, No> {
        if rooms.engine.remove_alert(&name, &peer.actor())? { Ok(Removed { name }) } else { Err(No(none(&name))) }
    });
    ok(removed.await?)
}
