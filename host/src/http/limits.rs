//! Addresses under `/limits`: list, set, remove.
//!
//! Not what a limit means (`sexton-core`) nor obeying it (the store). What must hold: a limit is refused with its own code, and claims keep to
//! it after the answer.

use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use axum::extract::{ConnectInfo, Path, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sexton_core::limit::{Limit, LimitOn};
use sexton_core::{Blame, Refusal};
use sexton_store::rows::LimitRow;

/// A limit in the list.
#[derive(Serialize)]
pub struct LimitView {
    on: LimitOn,
    concurrency: Option<u32>,
    rate: Option<String>,
    burst: Option<u32>,
    taken: u32,
    tokens: Option<u32>,
    opens_at: Option<DateTime<Utc>>,
    set_at: DateTime<Utc>,
    set_by: String,
}

/// What is asked of one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    concurrency: Option<u32>,
    rate: Option<String>,
    burst: Option<u32>,
}

/// What was removed.
#[derive(Serialize)]
pub struct Removed {
    on: LimitOn,
}

fn view(row: LimitRow) -> LimitView {
    let LimitRow { limit: Limit { on, concurrency, rate }, taken, tokens, opens_at, set_at, set_by } = row;
    let burst = rate.map(|rate| rate.burst());
    LimitView { on, concurrency, rate: rate.map(|rate| rate.text()), burst, taken, tokens, opens_at, set_at, set_by }
}

/// `GET /limits`.
pub async fn list(State(rooms): State<Shared>, asked: Asked) -> Answer<Items<LimitView>> {
    asked.done()?;
    let rows = blocking(move || rooms.store.limits(crate::clock::now())).await?;
    ok(Items::all(rows.into_iter().map(view).collect()))
}

/// `PUT /limits/{on}`.
pub async fn set(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(on): Path<String>,
    body: Raw,
) -> Answer<LimitView> {
    let text = reading::text(body)?;
    let set = blocking(move || -> Result<_, No> {
        let Wanted { concurrency, rate, burst } = reading::object(&text)?;
        let limit = Limit::ask(on.parse()?, concurrency, rate.as_deref(), burst)?;
        rooms.engine.set_limit(&limit, &peer.actor())?;
        let row = rooms.store.limits(crate::clock::now())?.into_iter().find(|row| row.limit.on == limit.on);
        row.map(view).ok_or_else(|| No(none(&limit.on)))
    });
    ok(set.await?)
}

/// `DELETE /limits/{on}`.
pub async fn remove(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(on): Path<String>) -> Answer<Removed> {
    let removed = blocking(move || -> Result<_, No> {
        let on: LimitOn = on.parse()?;
        if rooms.engine.remove_limit(&on, &peer.actor())? { Ok(Removed { on }) } else { Err(No(none(&on))) }
    });
    ok(removed.await?)
}

fn none(on: &LimitOn) -> Refusal {
    Refusal::new("INP032", Blame::Input, format!("there is no limit on {on}"))
        .expected("what a limit is set on")
        .remedy("`sexton limit list` shows those that are there")
}
