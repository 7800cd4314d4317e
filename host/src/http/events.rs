//! Addresses under `/events`: schedule, list, show, edit, and the verbs on one.
//!
//! Not the rules. What must hold: `running` and `unresolved` are worked out here, from what runs and what is served now.

use crate::engine::{Accepted, Altered};
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, Yes, blocking, ok};
use crate::http::asked::{Asked, event_id};
use crate::http::door::Peer;
use crate::http::event_view::{Derived, EventView};
use crate::http::reading::{self, Raw};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sexton_core::schedule::instant;
use sexton_core::{Blame, EventId, OccurrenceId, Refusal, Run};
use sexton_store::rows::{Change, Edit, EventFilter, LinkRow, Page, RunFilter, Waiting};

/// Runs shown with an event.
const LAST_RUNS: usize = 10;

/// The same with what waits and what ran.
#[derive(Serialize)]
pub struct EventCard {
    #[serde(flatten)]
    event: EventView,
    /// What it follows, and which of that has come about; absent if its schedule is another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    follows: Vec<LinkRow>,
    waiting: Vec<Waiting>,
    runs: Vec<Run>,
}

/// The answer to a verb.
#[derive(Serialize)]
pub struct AlteredView {
    event: EventView,
    running: Vec<OccurrenceId>,
}

/// One answer for one object, else an array.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Scheduled {
    /// For one object.
    One(Accepted),
    /// For an array or lines.
    Many(Vec<Accepted>),
}

/// `POST /events`.
pub async fn schedule(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Raw,
) -> Answer<Scheduled> {
    let text = reading::text(body)?;
    let accepted = blocking(move || -> Result<Scheduled, No> {
        let read = reading::events(&headers, &text)?;
        let mut accepted = rooms.engine.schedule_lines(read.events, &read.lines, &peer.actor())?;
        match (read.single, accepted.pop()) {
            (true, Some(one)) => Ok(Scheduled::One(one)),
            (_, last) => {
                accepted.extend(last);
                Ok(Scheduled::Many(accepted))
            }
        }
    });
    Ok(Yes(StatusCode::CREATED, accepted.await?))
}

/// `GET /events`.
pub async fn list(State(rooms): State<Shared>, mut asked: Asked) -> Answer<Items<EventView>> {
    let filter = EventFilter {
        event_type: asked.take("type"),
        state: asked.word("state")?,
        key: asked.take("key"),
        bot: asked.take("bot"),
        labels: asked.labels()?,
        resource: asked.take("resource"),
        follows: asked.take("follows").map(|text| event_id(&text)).transpose()?,
    };
    let before = asked.take("before").map(|text| event_id(&text)).transpose()?;
    let page = Page { before: before.map(|id| id.0), limit: asked.limit()? };
    asked.done()?;
    let items = blocking(move || -> Result<_, No> {
        let events = rooms.store.events(&filter, &page)?;
        let next = (events.len() == page.limit).then(|| events.last().map(|e| e.id.to_string())).flatten();
        let derived = Derived::now(&rooms);
        Ok(Items { items: events.into_iter().map(|event| derived.view(event)).collect(), next })
    });
    ok(items.await?)
}

/// `GET /events/{id}`.
pub async fn show(State(rooms): State<Shared>, Path(id): Path<String>, asked: Asked) -> Answer<EventCard> {
    asked.done()?;
    let id = event_id(&id)?;
    let card = blocking(move || -> Result<_, No> {
        let event = rooms.store.event(id)?.ok_or_else(|| no_event(id))?;
        let (follows, waiting) = (rooms.store.links(id)?, rooms.store.waiting(id)?);
        let runs = rooms.store.runs(&RunFilter { event: Some(id), ..RunFilter::default() }, &Page { before: None, limit: LAST_RUNS })?;
        let event = Derived::now(&rooms).view(event);
        Ok(EventCard { event, follows, waiting, runs: runs.into_iter().map(|(_, run)| run).collect() })
    });
    ok(card.await?)
}

/// `PATCH /events/{id}`.
pub async fn edit(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Raw,
) -> Answer<AlteredView> {
    let id = event_id(&id)?;
    let edit: Edit = reading::object(&reading::text(body)?)?;
    alter(rooms, peer, id, Change::Edit(Box::new(edit))).await
}

/// What a verb may be told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Note {
    note: Option<String>,
}

/// `POST /events/{id}/{verb}`.
pub async fn verb(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((id, verb)): Path<(String, String)>,
    body: Raw,
) -> Answer<AlteredView> {
    let id = event_id(&id)?;
    let Note { note } = reading::object(&reading::text(body)?)?;
    let change = match verb.as_str() {
        "pause" => Change::Pause { note },
        "resume" => Change::Resume,
        "cancel" => Change::Cancel,
        "run-now" => Change::RunNow,
        _ => {
            let refusal = Refusal::new("INP019", Blame::Input, format!("there is no verb `{verb}` on an event"));
            return Err(No(refusal.expected("pause, resume, cancel, run-now or backfill")));
        }
    };
    alter(rooms, peer, id, change).await
}

/// A stretch of the past.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    from: String,
    to: String,
    #[serde(default)]
    dry_run: bool,
}

/// What a backfill found and stored.
#[derive(Serialize)]
pub struct BackfillView {
    event: EventId,
    instants: Vec<DateTime<Utc>>,
    stored: usize,
}

/// `POST /events/{id}/backfill`.
pub async fn backfill(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Raw,
) -> Answer<BackfillView> {
    let id = event_id(&id)?;
    let Stretch { from, to, dry_run } = reading::object(&reading::text(body)?)?;
    let range = (instant::parse(&from)?, instant::parse(&to)?);
    let found = blocking(move || -> Result<_, No> {
        let found = rooms.engine.backfill(id, range, dry_run, &peer.actor())?;
        let stored = if found.stored { found.instants.len() } else { 0 };
        Ok(BackfillView { event: id, instants: found.instants, stored })
    });
    ok(found.await?)
}

async fn alter(rooms: Shared, peer: Peer, id: EventId, change: Change) -> Answer<AlteredView> {
    let altered = blocking(move || -> Result<_, No> {
        let Altered { event, running } = rooms.engine.alter(id, change, &peer.actor())?;
        Ok(AlteredView { event: Derived::now(&rooms).view(event), running })
    });
    ok(altered.await?)
}

fn no_event(id: EventId) -> Refusal {
    Refusal::new("INP009", Blame::Input, format!("there is no event {id}")).remedy("`sexton event list` shows those that are there")
}
