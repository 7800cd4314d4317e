//! Addresses under `/plugins` that change which build serves, or say what would change.
//!
//! Not the transactions (the supervisor's). What must hold: as for `plugins`.

use crate::http::Shared;
use crate::http::answer::{Answer, No, blocking, ok};
use crate::http::door::Peer;
use crate::http::plugins::{Shown, shown};
use crate::http::reading::{self, Raw};
use crate::registry::Placement;
use crate::supervisor;
use axum::extract::{ConnectInfo, Path, State};
use serde::Deserialize;
use sexton_core::{Blame, Refusal};
use std::path::PathBuf;

/// Which build, and whether stored events that it does not accept are paused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    to: Option<To>,
    force: bool,
}

/// A generation may be said as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum To {
    Generation(i64),
    Text(String),
}

/// `POST /plugins/{name}/rollback`.
pub async fn rollback(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    body: Raw,
) -> Answer<Shown> {
    let Rollback { to, force } = reading::object(&reading::text(body)?)?;
    let to = to.map(|to| match to {
        To::Generation(number) => number.to_string(),
        To::Text(text) => text,
    });
    ok(shown(blocking(move || rooms.supervisor.rollback(&name, to.as_deref(), force, &peer.actor())).await?))
}

/// Where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    placement: Placement,
}

/// `POST /plugins/{name}/place`.
pub async fn place(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    body: Raw,
) -> Answer<Shown> {
    let Place { placement } = reading::object(&reading::text(body)?)?;
    ok(shown(blocking(move || rooms.supervisor.place(&name, placement, &peer.actor())).await?))
}

/// Which file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: PathBuf,
}

/// `POST /plugins/diff`.
pub async fn diff(State(rooms): State<Shared>, body: Raw) -> Answer<supervisor::Diff> {
    let File { path } = reading::object(&reading::text(body)?)?;
    if !path.is_absolute() {
        let refusal = Refusal::new("INP016", Blame::Input, format!("`path` {} is not absolute", path.display()));
        return Err(No(refusal.expected("an absolute path on the host's machine")));
    }
    ok(blocking(move || rooms.supervisor.diff(&path)).await?)
}
