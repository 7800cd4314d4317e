//! Addresses under `/runs`, and what is in flight.
//!
//! Not the settlement of runs. What must hold: the JSON of a run is the run's own.

use crate::engine::InFlight;
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::{Asked, PAGE_MAX, event_id, occurrence_id};
use crate::http::door::Peer;
use axum::extract::{ConnectInfo, Path, State};
use serde::Serialize;
use sexton_core::{Blame, OccurrenceId, Refusal, Run};
use sexton_store::rows::{Page, RunFilter, Waiting};

/// One occurrence: its attempts, and what is still to come of it.
#[derive(Serialize)]
pub struct Card {
    occurrence: OccurrenceId,
    runs: Vec<Run>,
    in_flight: Option<InFlight>,
    waiting: Option<Waiting>,
}

/// What was asked to stop.
#[derive(Serialize)]
pub struct Cancelling {
    occurrence: OccurrenceId,
    cancelling: bool,
}

/// `GET /runs`.
pub async fn list(State(rooms): State<Shared>, mut asked: Asked) -> Answer<Items<Run>> {
    let filter = RunFilter {
        event: asked.take("event").map(|text| event_id(&text)).transpose()?,
        n: None,
        event_type: asked.take("type"),
        outcome: asked.word("outcome")?,
        since: asked.instant("since")?,
        plugin: asked.take("plugin"),
        bot: asked.take("bot"),
        labels: asked.labels()?,
        resource: asked.take("resource"),
        code: asked.read("code", "the `error_code` of a run, such as `timeout`")?,
    };
    let page = asked.page()?;
    asked.done()?;
    let items = blocking(move || -> Result<_, No> {
        let runs = rooms.store.runs(&filter, &page)?;
        let next = (runs.len() == page.limit).then(|| runs.last().map(|(row, _)| row.to_string())).flatten();
        Ok(Items { items: runs.into_iter().map(|(_, run)| run).collect(), next })
    });
    ok(items.await?)
}

/// `GET /runs/{occurrence}`: attempts in order.
pub async fn show(State(rooms): State<Shared>, Path(occurrence): Path<String>, asked: Asked) -> Answer<Card> {
    asked.done()?;
    let occurrence = occurrence_id(&occurrence)?;
    let card = blocking(move || -> Result<_, No> {
        // In this order: what ends meanwhile is seen twice, not missed.
        let waiting = rooms.store.waiting(occurrence.event)?.into_iter().find(|w| w.occurrence == occurrence);
        let in_flight = rooms.engine.in_flight().into_iter().find(|run| run.occurrence == occurrence);
        let filter = RunFilter { event: Some(occurrence.event), n: Some(occurrence.n), ..RunFilter::default() };
        let mut runs: Vec<Run> =
            rooms.store.runs(&filter, &Page { before: None, limit: PAGE_MAX })?.into_iter().map(|(_, run)| run).collect();
        runs.reverse();
        if runs.is_empty() && in_flight.is_none() && waiting.is_none() {
            return Err(No(no_run(occurrence)));
        }
        Ok(Card { occurrence, runs, in_flight, waiting })
    });
    ok(card.await?)
}

/// `POST /runs/{occurrence}/cancel`.
pub async fn cancel(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(occurrence): Path<String>,
) -> Answer<Cancelling> {
    let occurrence = occurrence_id(&occurrence)?;
    blocking(move || rooms.engine.cancel_run(occurrence, &peer.actor())).await?;
    ok(Cancelling { occurrence, cancelling: true })
}

/// `POST /runs/{occurrence}/retry`.
pub async fn retry(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(occurrence): Path<String>) -> Answer<Waiting> {
    let occurrence = occurrence_id(&occurrence)?;
    let waiting = blocking(move || -> Result<_, No> {
        rooms.engine.retry(occurrence, &peer.actor())?;
        // It may have started by now; then it waits no longer.
        let waiting = rooms.store.waiting(occurrence.event)?.into_iter().find(|row| row.occurrence == occurrence);
        waiting.ok_or_else(|| No(no_run(occurrence)))
    });
    ok(waiting.await?)
}

/// `GET /in-flight`.
pub async fn in_flight(State(rooms): State<Shared>) -> Answer<Items<InFlight>> {
    ok(Items::all(rooms.engine.in_flight()))
}

/// Nobody knows such an occurrence.
pub fn no_run(occurrence: OccurrenceId) -> Refusal {
    Refusal::new("INP012", Blame::Input, format!("there is no occurrence {occurrence}")).remedy("`sexton run list` shows what ran")
}
