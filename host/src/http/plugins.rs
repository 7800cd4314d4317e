//! Addresses under `/plugins`.
//!
//! Not the life cycle (the supervisor's). What must hold: a plugin's JSON has every name of the stable core, null where nothing is known.

use crate::clock::LONGEST_WAIT;
use crate::engine::limits;
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use crate::supervisor::{Levelled, PluginView, UnloadMode};
use axum::extract::{ConnectInfo, Path, State};
use serde::{Deserialize, Serialize};
use sexton_core::{Blame, Refusal};
use std::path::PathBuf;
use std::time::Duration;

/// A plugin with what only the machine can say; null for code in the host's own process, whose use cannot be told apart.
#[derive(Serialize)]
pub struct Shown {
    #[serde(flatten)]
    plugin: PluginView,
    pid: Option<i32>,
    memory_bytes: Option<u64>,
    cpu_ms: Option<u64>,
    threads: Option<u64>,
}

/// The plugin with its figures.
pub fn shown(plugin: PluginView) -> Shown {
    let figures = plugin.figures;
    Shown {
        pid: figures.map(|f| f.pid),
        memory_bytes: figures.map(|f| f.memory_bytes),
        cpu_ms: figures.map(|f| f.cpu_ms),
        threads: figures.map(|f| f.threads),
        plugin,
    }
}

/// `GET /plugins`.
pub async fn list(State(rooms): State<Shared>) -> Answer<Items<Shown>> {
    let plugins = blocking(move || Ok::<_, No>(rooms.supervisor.list())).await?;
    ok(Items::all(plugins.into_iter().map(shown).collect()))
}

/// `GET /plugins/{name}`.
pub async fn show(State(rooms): State<Shared>, Path(name): Path<String>) -> Answer<Shown> {
    let plugins = blocking(move || Ok::<_, No>((rooms.supervisor.list(), name))).await?;
    let (plugins, name) = plugins;
    match plugins.into_iter().find(|p| p.name == name) {
        Some(plugin) => ok(shown(plugin)),
        None => Err(No(no_plugin(&name))),
    }
}

/// By file or by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    force: bool,
}

/// `POST /plugins`.
pub async fn load(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, body: Raw) -> Answer<Shown> {
    let load: Load = reading::object(&reading::text(body)?)?;
    let what = match (load.path, load.name) {
        (Some(path), None) if path.is_absolute() => path.display().to_string(),
        (Some(path), None) => {
            let refusal = Refusal::new("INP016", Blame::Input, format!("`path` {} is not absolute", path.display()));
            return Err(No(refusal.expected("an absolute path on the host's machine")));
        }
        (None, Some(name)) if !name.contains('/') => name,
        _ => return Err(No(Refusal::new("INP016", Blame::Input, "say either `path` or `name`"))),
    };
    let plugin = blocking(move || rooms.supervisor.load_with(&what, load.force, &peer.actor())).await?;
    ok(shown(plugin))
}

/// How to unload.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Unload {
    abandon: bool,
    kill: bool,
    wait_ms: Option<u64>,
}

/// `POST /plugins/{name}/unload`.
pub async fn unload(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    body: Raw,
) -> Answer<Shown> {
    let unload: Unload = reading::object(&reading::text(body)?)?;
    let most = usize::try_from(LONGEST_WAIT.as_millis()).unwrap_or(usize::MAX);
    let asked = unload.wait_ms.map_or(0, |ms| usize::try_from(ms).unwrap_or(usize::MAX));
    limits::at_most("`wait_ms`", most, asked)?;
    let mode = match (unload.abandon, unload.kill) {
        (false, false) => UnloadMode::Wait,
        (true, false) => UnloadMode::Abandon,
        (false, true) => UnloadMode::Kill,
        (true, true) => return Err(No(Refusal::new("INP016", Blame::Input, "say either `abandon` or `kill`"))),
    };
    let plugin = blocking(move || {
        let wait = unload.wait_ms.map(Duration::from_millis).or_else(|| rooms.supervisor.unload_wait(&name));
        let wait = wait.unwrap_or(rooms.facts.unload_wait);
        rooms.supervisor.unload(&name, mode, wait, &peer.actor())
    })
    .await?;
    ok(shown(plugin))
}

/// Whether stored events that the new build does not accept are paused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reload {
    force: bool,
}

/// `POST /plugins/{name}/reload`.
pub async fn reload(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    body: Raw,
) -> Answer<Shown> {
    let Reload { force } = reading::object(&reading::text(body)?)?;
    ok(shown(blocking(move || rooms.supervisor.reload_with(&name, force, &peer.actor())).await?))
}

/// `POST /plugins/{name}/release`.
pub async fn release(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, Path(name): Path<String>) -> Answer<Shown> {
    ok(shown(blocking(move || rooms.supervisor.release(&name, &peer.actor())).await?))
}

/// From which level on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    level: String,
}

/// `POST /plugins/{name}/log-level`.
pub async fn log_level(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    body: Raw,
) -> Answer<Levelled> {
    let Level { level } = reading::object(&reading::text(body)?)?;
    ok(blocking(move || rooms.supervisor.log_level(&name, &level, &peer.actor())).await?)
}

fn no_plugin(name: &str) -> Refusal {
    Refusal::new("INP013", Blame::Input, format!("there is no plugin `{name}`")).remedy("`sexton plugin list` shows those that are there")
}
