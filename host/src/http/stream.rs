//! `GET /stream`: what happens, as it happens, as server-sent events.
//!
//! Not a history: who was not there reads `/runs` and `/audit`. What must hold: a listener that reads slowly loses the oldest, is told how many,
//! and slows nobody; a peer that is gone is noticed within seconds; the stream ends before the host does.

use crate::engine::observe::{Heard, Listener};
use crate::engine::told::{HostEvent, What};
use crate::http::Shared;
use crate::http::answer::No;
use crate::http::asked::{Asked, event_id};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use serde_json::json;
use sexton_core::{Blame, EventId, Refusal};
use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A stream that says nothing for so long says that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Bytes that are gathered of what is there already, about.
const AT_ONCE: usize = 32 * 1024;

/// Which of all that happens.
#[derive(Debug, Default)]
struct Filter {
    event: Option<EventId>,
    event_type: Option<String>,
    plugin: Option<String>,
    bot: Option<String>,
    what: Vec<What>,
}

impl Filter {
    fn read(asked: &mut Asked) -> Result<Self, Refusal> {
        Ok(Self {
            event: asked.take("event").map(|text| event_id(&text)).transpose()?,
            event_type: asked.take("type"),
            plugin: asked.take("plugin"),
            bot: asked.take("bot"),
            what: asked.take("what").map_or(Ok(Vec::new()), |text| text.split(',').map(|word| what(&text, word)).collect())?,
        })
    }

    /// What is about nothing of the kind that is asked for is not meant.
    fn takes(&self, event: &HostEvent) -> bool {
        (self.what.is_empty() || self.what.contains(&event.what()))
            && self.event.is_none_or(|id| event.event_id() == Some(id))
            && self.event_type.as_deref().is_none_or(|name| event.event_type() == Some(name))
            && self.plugin.as_deref().is_none_or(|name| event.plugin() == Some(name))
            && self.bot.as_deref().is_none_or(|id| event.bot() == Some(id))
    }
}

fn what(text: &str, word: &str) -> Result<What, Refusal> {
    serde_json::from_value(json!(word.trim())).map_err(|_| {
        Refusal::new("INP016", Blame::Input, format!("`what` is not understood: there is no `{}`", word.trim()))
            .at(text, 0, text.len())
            .expected("some of stored, started, progress, ended, plugin, with commas between them")
    })
}

/// `GET /stream`.
pub async fn stream(State(rooms): State<Shared>, mut asked: Asked) -> Result<Response, No> {
    let filter = Filter::read(&mut asked)?;
    asked.done()?;
    let listener = rooms.engine.watch(rooms.facts.listeners_max)?;
    // One chunk is written while the next is gathered: what a reader does not take stays in the engine's ring, which forgets.
    let (chunks, body) = mpsc::channel(1);
    tokio::spawn(speak(listener, filter, chunks));
    let mut response = Response::new(Body::new(Chunks(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Until the host stops or the reader is gone.
async fn speak(mut listener: Listener, filter: Filter, out: mpsc::Sender<Bytes>) {
    let mut text = ": this host tells from here on\n\n".to_owned();
    let mut over = false;
    loop {
        if !text.is_empty() && out.send(Bytes::from(std::mem::take(&mut text))).await.is_err() || over {
            return;
        }
        let silence = Instant::now() + HEARTBEAT;
        while text.is_empty() {
            tokio::select! {
                heard = listener.next() => over = put(&mut text, &heard, &filter),
                () = tokio::time::sleep_until(silence) => text.push_str(": alive\n\n"),
                () = out.closed() => return,
            }
        }
        while !over
            && text.len() < AT_ONCE
            && let Some(heard) = listener.try_next()
        {
            over = put(&mut text, &heard, &filter);
        }
    }
}

/// Adds what was heard, if it is asked for; true at the end.
fn put(text: &mut String, heard: &Heard, filter: &Filter) -> bool {
    // Writing to a text does not fail.
    match heard {
        Heard::Told(told) if filter.takes(&told.event) => {
            let line = serde_json::to_string(told.as_ref()).expect("what is told is JSON");
            let _ = write!(text, "id: {}\nevent: {}\ndata: {line}\n\n", told.id, told.event.what().word());
        }
        Heard::Told(_) => {}
        Heard::Missed(missed) => {
            let _ = write!(text, "event: missed\ndata: {}\n\n", json!({"what": "missed", "missed": missed}));
        }
        Heard::Over => {
            let _ = write!(text, "event: end\ndata: {}\n\n", json!({"what": "end"}));
        }
    }
    matches!(heard, Heard::Over)
}

/// The body: chunks as they come.
struct Chunks(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}
