//! Addresses under `/plugins/{name}/state`: what a plugin keeps, for operators.
//!
//! Not the plugin's own way to it, which is a call in a run. What must hold: nothing is written here; a key that is removed is in the audit.

use crate::clock;
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use crate::http::door::Peer;
use axum::extract::{ConnectInfo, Path, State};
use serde::Serialize;
use serde_json::{Value, json};
use sexton_core::{Blame, Refusal};
use sexton_store::rows::{AuditLine, StateRow};

/// A key with what is kept under it.
#[derive(Serialize)]
pub struct Kept {
    plugin: String,
    key: String,
    version: i64,
    value: Value,
}

/// What was removed.
#[derive(Serialize)]
pub struct Removed {
    plugin: String,
    key: String,
    removed: bool,
}

/// `GET /plugins/{name}/state`: keys, without their values.
pub async fn list(State(rooms): State<Shared>, Path(name): Path<String>, asked: Asked) -> Answer<Items<StateRow>> {
    asked.done()?;
    let rows = blocking(move || -> Result<_, No> {
        let rows = rooms.store.state_keys(&name)?;
        if rows.is_empty() && !rooms.store.plugins()?.iter().any(|plugin| plugin.name == name) {
            let refusal = Refusal::new("INP013", Blame::Input, format!("nothing is known of a plugin `{name}`"));
            return Err(No(refusal.remedy("`sexton plugin list` shows those that are there")));
        }
        Ok(rows)
    });
    ok(Items::all(rows.await?))
}

/// `GET /plugins/{name}/state/{key}`.
pub async fn show(State(rooms): State<Shared>, Path((plugin, key)): Path<(String, String)>, asked: Asked) -> Answer<Kept> {
    asked.done()?;
    let kept = blocking(move || -> Result<_, No> {
        let (value, version) = rooms.store.state_get(&plugin, &key)?;
        let value = value.ok_or_else(|| nothing_kept(&plugin, &key))?;
        Ok(Kept { plugin, key, version, value })
    });
    ok(kept.await?)
}

/// `DELETE /plugins/{name}/state/{key}`.
pub async fn remove(
    State(rooms): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((plugin, key)): Path<(String, String)>,
) -> Answer<Removed> {
    let removed = blocking(move || -> Result<_, No> {
        let (value, version) = rooms.store.state_get(&plugin, &key)?;
        if value.is_none() {
            return Err(No(nothing_kept(&plugin, &key)));
        }
        // Written anew meanwhile: that is another value, and stays.
        let removed = rooms.store.state_put(&plugin, &key, None, Some(version))?.is_ok();
        if removed {
            let detail = json!({ "key": key, "version": version });
            rooms.store.audit(&AuditLine {
                at: clock::now(),
                actor: peer.actor(),
                verb: "plugin.state.remove".to_owned(),
                subject: plugin.clone(),
                detail,
            })?;
        }
        Ok(Removed { plugin, key, removed })
    });
    ok(removed.await?)
}

fn nothing_kept(plugin: &str, key: &str) -> Refusal {
    Refusal::new("INP013", Blame::Input, format!("plugin `{plugin}` keeps nothing under `{key}`"))
        .remedy(format!("`sexton plugin state {plugin}` shows its keys"))
}
