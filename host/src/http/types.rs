//! Addresses under `/event-types`.
//!
//! Not ownership (the store's). What must hold: a type that the store knows is listed, served or not.

use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::door::Peer;
use crate::http::statistics::{self, StatsView};
use axum::extract::{ConnectInfo, Path, State};
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use sexton_core::{Blame, Refusal};
use sexton_store::rows::TypeRow;

/// How far back a type's own page looks.
const OF_LATE: TimeDelta = TimeDelta::days(7);

/// A type with who serves it.
#[derive(Serialize)]
pub struct TypeView {
    #[serde(flatten)]
    row: TypeRow,
    /// Null: unresolved.
    serving: Option<ServingView>,
    unresolved: bool,
    open_events: i64,
}

/// One type, with how it fared of late.
#[derive(Serialize)]
pub struct TypeCard {
    #[serde(flatten)]
    view: TypeView,
    /// Of the last seven days; null: nothing ran.
    statistics: Option<StatsView>,
}

/// Who serves.
#[derive(Serialize)]
struct ServingView {
    plugin: String,
    generation: i64,
    digest: String,
    placement: crate::registry::Placement,
}

/// Who owned a type.
#[derive(Serialize)]
pub struct Released {
    event_type: String,
    owner: Option<String>,
}

fn all(rooms: &Shared) -> Result<Vec<TypeView>, No> {
    let (rows, counts, snapshot) = (rooms.store.types()?, rooms.store.counts()?, rooms.registry.now());
    let view = |row: TypeRow| {
        let serving = snapshot.types.get(&row.event_type).and_then(|t| t.serving.as_ref()).map(|s| ServingView {
            plugin: s.plugin.clone(),
            generation: s.generation,
            digest: s.digest.clone(),
            placement: s.placement,
        });
        let open_events = counts.open_by_type.get(&row.event_type).copied().unwrap_or(0);
        TypeView { unresolved: serving.is_none(), serving, open_events, row }
    };
    let mut views: Vec<TypeView> = rows.into_iter().map(view).collect();
    views.sort_by(|a, b| a.row.event_type.cmp(&b.row.event_type));
    Ok(views)
}

/// `GET /event-types`.
pub async fn list(State(rooms): State<Shared>) -> Answer<Items<TypeView>> {
    ok(Items::all(blocking(move || all(&rooms)).await?))
}

/// `GET /event-types/{event_type}`.
pub async fn show(State(rooms): State<Shared>, Path(event_type): Path<String>) -> Answer<TypeCard> {
    let name = event_type.clone();
    let (types, stats) = blocking(move || -> Result<_, No> {
        let stats = rooms.store.statistics(Some(&name), Some(Utc::now() - OF_LATE))?;
        Ok((all(&rooms)?, stats))
    })
    .await?;
    match types.into_iter().find(|t| t.row.event_type == event_type) {
        Some(view) => ok(TypeCard { view, statistics: stats.into_iter().next().map(statistics::view) }),
        None => Err(No(Refusal::new("INP001", Blame::Input, format!("the event type `{event_type}` is not known"))
            .remedy("`sexton event-type list` shows those that are"))),
    }
}

/// `POST /event-types/{event_type}/release`.
pub async fn release(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(event_type): Path<String>,
) -> Answer<Released> {
    let released = blocking(move || {
        let owner = rooms.supervisor.release_type(&event_type, &peer.actor())?;
        Ok::<_, No>(Released { event_type, owner })
    });
    ok(released.await?)
}
