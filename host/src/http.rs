//! HTTP and JSON over the Unix socket: the one door, for the command line and for programs.
//!
//! Not a place for rules: each handler asks engine, supervisor or store. What must hold: an answer is JSON, a refusal keeps its code, and no
//! blocking call runs on the event loop.

pub mod actions;
pub mod alerts;
pub mod answer;
pub mod asked;
pub mod bulk;
pub mod calendars;
pub mod dead_letters;
pub mod door;
pub mod event_view;
pub mod events;
pub mod limits;
pub mod plugin_changes;
pub mod plugin_history;
pub mod plugin_state;
pub mod plugins;
pub mod reading;
pub mod retention;
pub mod run_logs;
pub mod runs;
pub mod statistics;
pub mod status;
pub mod stream;
pub mod types;

use crate::engine::Engine;
use crate::http::door::Peer;
use crate::registry::Registry;
use crate::supervisor::Supervisor;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::routing::{get, patch, post, put};
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use sexton_core::{Blame, Refusal};
use sexton_store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the handlers ask.
pub struct Rooms {
    /// Takes events in, runs them.
    pub engine: Engine,
    /// Loads plugins.
    pub supervisor: Supervisor,
    /// The rows.
    pub store: Arc<dyn Store>,
    /// Who serves what.
    pub registry: Arc<Registry>,
    /// Where the host is in its life.
    pub phase: RwLock<Phase>,
    /// What does not change while it lives.
    pub facts: Facts,
}

/// Where the host is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Plugins are being loaded.
    Starting,
    /// It serves.
    Ready,
    /// Runs are being waited for.
    Stopping,
}

/// What does not change while the host lives.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its own directory.
    pub state_dir: PathBuf,
    /// Where plugins are dropped.
    pub plugins_dir: PathBuf,
    /// The store's URL.
    pub store_url: String,
    /// The socket.
    pub socket: PathBuf,
    /// How long an unload waits if nobody says.
    pub unload_wait: Duration,
    /// Bytes of a body, at most.
    pub body_max: usize,
    /// Who may listen to the stream at a time, at most.
    pub listeners_max: usize,
}

/// As every handler gets it.
pub type Shared = Arc<Rooms>;

/// All addresses.
pub fn router(rooms: Shared) -> Router {
    let body_max = rooms.facts.body_max;
    let v1 = Router::new()
        .route("/status", get(status::status))
        .route("/audit", get(status::audit))
        .route("/plugins", get(plugins::list).post(plugins::load))
        .route("/plugins/{name}", get(plugins::show))
        .route("/plugins/{name}/unload", post(plugins::unload))
        .route("/plugins/{name}/reload", post(plugins::reload))
        .route("/plugins/diff", post(plugin_changes::diff))
        .route("/plugins/{name}/history", get(plugin_history::show))
        .route("/plugins/{name}/state", get(plugin_state::list))
        .route("/plugins/{name}/state/{key}", get(plugin_state::show).delete(plugin_state::remove))
        .route("/plugins/{name}/rollback", post(plugin_changes::rollback))
        .route("/plugins/{name}/place", post(plugin_changes::place))
        .route("/plugins/{name}/release", post(plugins::release))
        .route("/plugins/{name}/log-level", post(plugins::log_level))
        .route("/event-types", get(types::list))
        .route("/event-types/{event_type}", get(types::show))
        .route("/event-types/{event_type}/release", post(types::release))
        .route("/events", get(events::list).post(events::schedule))
        .route("/events/cancel", post(bulk::cancel_events))
        .route("/events/{id}", get(events::show).merge(patch(events::edit)))
        .route("/events/{id}/backfill", post(events::backfill))
        .route("/events/{id}/{verb}", post(events::verb))
        .route("/statistics", get(statistics::list))
        .route("/retention", get(retention::show).put(retention::set).delete(retention::clear))
        .route("/retention/prune", post(retention::prune))
        .route("/alerts", get(alerts::list))
        .route("/alerts/{name}", get(alerts::show).put(alerts::set).delete(alerts::remove))
        .route("/calendars", get(calendars::list))
        .route("/calendars/{name}", get(calendars::show).put(calendars::set).delete(calendars::remove))
        .route("/limits", get(limits::list))
        .route("/limits/{on}", put(limits::set).delete(limits::remove))
        .route("/runs", get(runs::list))
        .route("/runs/{occurrence}", get(runs::show))
        .route("/runs/{occurrence}/logs", get(run_logs::show))
        .route("/runs/{occurrence}/cancel", post(runs::cancel))
        .route("/runs/{occurrence}/retry", post(runs::retry))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/requeue", post(dead_letters::requeue))
        .route("/dead-letters/discard", post(dead_letters::discard))
        .route("/dead-letters/{occurrence}", get(dead_letters::show))
        .route("/dead-letters/{occurrence}/{verb}", post(dead_letters::verb))
        .route("/in-flight", get(runs::in_flight))
        .route("/stream", get(stream::stream))
        .route("/in-flight/cancel", post(bulk::cancel_runs))
        .route("/actions", get(actions::list))
        .route("/actions/{uid}/run", post(actions::run))
        .route("/schedule/preview", post(actions::preview))
        .route("/schedule/explain", post(actions::explain));
    Router::new()
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .nest("/api/v1", v1)
        .fallback(nothing_there)
        .method_not_allowed_fallback(nothing_there)
        .layer(DefaultBodyLimit::max(body_max))
        .with_state(rooms)
}

/// Serves until `stop` is told, then lets open requests end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(door: door::Door, rooms: Shared, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let service = router(rooms).into_make_service_with_connect_info::<Peer>();
    axum::serve(door, service).with_graceful_shutdown(stop).await
}

async fn nothing_there(method: axum::http::Method, uri: Uri) -> answer::No {
    answer::No(Refusal::new("INP019", Blame::Input, format!("there is no {method} {}", uri.path())).remedy(
        "the addresses are under /api/v1: status plugins event-types events dead-letters statistics retention alerts calendars limits runs in-flight stream actions audit schedule",
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_address_is_documented() {
        let page = include_str!("../docs/http.md");
        let mut seen = 0;
        for line in include_str!("http.rs").lines() {
            let Some(address) = line.trim().strip_prefix(".route(\"").and_then(|rest| rest.split('"').next()) else { continue };
            let address = if address.ends_with('z') { address.to_owned() } else { format!("/api/v1{address}") };
            assert!(page.contains(&format!("`{address}`")), "{address} is missing in docs/http.md");
            seen += 1;
        }
        assert!(seen > 20, "{seen} addresses found");
    }
}
