//! Addresses under `/dead-letters`.
//!
//! Not the rules (the store's). What must hold: a verb on many answers for a page, with what it takes to go on.

use crate::engine::dead_letters::{DeadVerb, Treated};
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::{Asked, PAGE_MAX, event_id, occurrence_id};
use crate::http::bulk::Told;
use crate::http::door::Peer;
use crate::http::reading::Raw;
use axum::extract::{ConnectInfo, Path, State};
use serde::Serialize;
use serde_json::{Value, json};
use sexton_core::{Blame, OccurrenceId, Refusal, Run};
use sexton_store::rows::{DeadFilter, DeadLetter, DeadPage, Order, Page, RunFilter};

/// A dead letter with its attempts.
#[derive(Serialize)]
pub struct Card {
    #[serde(flatten)]
    letter: DeadLetter,
    runs: Vec<Run>,
}

/// `GET /dead-letters`.
pub async fn list(State(rooms): State<Shared>, mut asked: Asked) -> Answer<Items<DeadLetter>> {
    let filter = DeadFilter {
        event_type: asked.take("type"),
        event: asked.take("event").map(|text| event_id(&text)).transpose()?,
        since: asked.instant("since")?,
        reason: asked.take("reason"),
        code: asked.read("code", "the `error_code` of a run, such as `timeout`")?,
        bot: asked.take("bot"),
        labels: asked.labels()?,
    };
    let past = asked.take("before").map(|text| occurrence_id(&text)).transpose()?;
    let page = DeadPage { past, order: Order::NewestFirst, limit: asked.limit()? };
    asked.done()?;
    let items = blocking(move || -> Result<_, No> {
        let letters = rooms.store.dead_letters(&filter, &page)?;
        let next = letters.last().filter(|_| letters.len() == page.limit).map(|letter| letter.occurrence.to_string());
        Ok(Items { items: letters, next })
    });
    ok(items.await?)
}

/// `GET /dead-letters/{occurrence}`: attempts in order.
pub async fn show(State(rooms): State<Shared>, Path(occurrence): Path<String>, asked: Asked) -> Answer<Card> {
    asked.done()?;
    let occurrence = occurrence_id(&occurrence)?;
    let card = blocking(move || -> Result<_, No> {
        let filter = DeadFilter { event: Some(occurrence.event), ..DeadFilter::default() };
        // The one just before it in the order leads to it.
        let past = OccurrenceId { event: occurrence.event, n: occurrence.n - 1 };
        let page = DeadPage { past: Some(past), order: Order::OldestFirst, limit: 1 };
        let found = rooms.store.dead_letters(&filter, &page)?.into_iter().find(|letter| letter.occurrence == occurrence);
        let letter = found.ok_or_else(|| No(no_dead_letter(occurrence)))?;
        let filter = RunFilter { event: Some(occurrence.event), n: Some(occurrence.n), ..RunFilter::default() };
        let runs = rooms.store.runs(&filter, &Page { before: None, limit: PAGE_MAX })?;
        Ok(Card { letter, runs: runs.into_iter().rev().map(|(_, run)| run).collect() })
    });
    ok(card.await?)
}

fn no_dead_letter(occurrence: OccurrenceId) -> Refusal {
    Refusal::new("INP034", Blame::Input, format!("there is no dead letter {occurrence}"))
        .remedy("`sexton dead-letter list` shows those that are there; `sexton run show` says what became of the occurrence")
}

/// `POST /dead-letters/{occurrence}/{verb}`.
pub async fn verb(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((occurrence, verb)): Path<(String, String)>,
) -> Answer<Value> {
    let occurrence = occurrence_id(&occurrence)?;
    let of = match verb.as_str() {
        "requeue" => DeadVerb::Requeue,
        "discard" => DeadVerb::Discard,
        _ => {
            let refusal = Refusal::new("INP019", Blame::Input, format!("there is no verb `{verb}` on a dead letter"));
            return Err(No(refusal.expected("requeue or discard")));
        }
    };
    blocking(move || rooms.engine.treat_dead_letter(of, occurrence, &peer.actor())).await?;
    let done = if of == DeadVerb::Requeue { "requeued" } else { "discarded" };
    ok(json!({ "occurrence": occurrence, done: true }))
}

/// `POST /dead-letters/requeue`.
pub async fn requeue(rooms: State<Shared>, peer: ConnectInfo<Peer>, body: Raw) -> Answer<Value> {
    treat(rooms, peer, DeadVerb::Requeue, body).await
}

/// `POST /dead-letters/discard`.
pub async fn discard(rooms: State<Shared>, peer: ConnectInfo<Peer>, body: Raw) -> Answer<Value> {
    treat(rooms, peer, DeadVerb::Discard, body).await
}

async fn treat(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, verb: DeadVerb, body: Raw) -> Answer<Value> {
    let told = Told::read(body)?;
    let (filter, limit) = (told.dead_letters()?, told.limit()?);
    let past = told.after.as_deref().map(occurrence_id).transpose()?;
    let answer = blocking(move || -> Result<_, No> {
        if told.dry_run {
            return Ok(
                json!({ "done": 0, "refused": 0, "refusals": [], "next": null, "matched": rooms.store.count_dead_letters(&filter)? }),
            );
        }
        let Treated { done, refused, refusals, next } = rooms.engine.treat_dead_letters(verb, &filter, past, limit, &peer.actor())?;
        Ok(json!({ "done": done, "refused": refused, "refusals": refusals, "next": next }))
    });
    ok(answer.await?)
}
