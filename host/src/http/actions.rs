//! Addresses under `/actions`, and schedules that are only asked.
//!
//! Not the automation around bots. What must hold: an action's answer names every event that it scheduled.

use crate::engine::ActionCall;
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use crate::preview::{Preview, Question};
use axum::extract::{ConnectInfo, Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton_core::{EventId, Schedule};
use sexton_plugin_api::wire::{Bot, Resource};

/// An action that is served.
#[derive(Serialize)]
pub struct ActionView {
    uid: String,
    bulk: bool,
    accepts_complement: bool,
    plugin: String,
    generation: i64,
}

/// What an action scheduled.
#[derive(Serialize)]
pub struct Acted {
    scheduled: Vec<EventId>,
}

/// `GET /actions`.
pub async fn list(State(rooms): State<Shared>) -> Answer<Items<ActionView>> {
    let snapshot = rooms.registry.now();
    let view = |action: &std::sync::Arc<crate::registry::ServedAction>| ActionView {
        uid: action.offer.uid.clone(),
        bulk: action.offer.bulk,
        accepts_complement: action.offer.accepts_complement,
        plugin: action.serving.plugin.clone(),
        generation: action.serving.generation,
    };
    ok(Items::all(snapshot.actions.values().map(view).collect()))
}

fn nobody() -> Bot {
    Bot { id: "cli".to_owned(), name: "cli".to_owned() }
}

fn no_settings() -> Value {
    json!({})
}

/// A call's body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(default = "nobody")]
    bot: Bot,
    #[serde(default = "no_settings")]
    settings: Value,
    matches: Vec<Resource>,
    #[serde(default)]
    non_matches: Vec<Resource>,
}

/// `POST /actions/{uid}/run`.
pub async fn run(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(uid): Path<String>, body: Raw) -> Answer<Acted> {
    let call: Call = reading::object(&reading::text(body)?)?;
    let call = ActionCall { uid, bot: call.bot, settings: call.settings, matches: call.matches, non_matches: call.non_matches };
    let scheduled = blocking(move || rooms.engine.act(call, &peer.actor())).await?;
    ok(Acted { scheduled })
}

/// Which schedule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    schedule: Schedule,
}

/// A schedule in words.
#[derive(Serialize)]
pub struct Explained {
    text: String,
}

/// `POST /schedule/explain`.
pub async fn explain(State(rooms): State<Shared>, body: Raw) -> Answer<Explained> {
    let Asked { schedule } = reading::object(&reading::text(body)?)?;
    let text = blocking(move || crate::preview::explain(schedule, &rooms.engine.calendars(), chrono::Utc::now()).map_err(No));
    ok(Explained { text: text.await? })
}

/// `POST /schedule/preview`.
pub async fn preview(State(rooms): State<Shared>, body: Raw) -> Answer<Preview> {
    let question: Question = reading::object(&reading::text(body)?)?;
    let preview = blocking(move || crate::preview::of_json(&question, &rooms.engine.calendars(), chrono::Utc::now()).map_err(No));
    ok(preview.await?)
}
