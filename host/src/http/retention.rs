//! Addresses under `/retention`: how long runs are kept, and deleting by hand what was kept long enough.
//!
//! Not the rules' meaning (`sexton_core::retention`). What must hold: what is shown is what holds, whether it was said or not.

use crate::engine::history::PruneEnd;
use crate::http::Shared;
use crate::http::answer::{Answer, Items, No, blocking, ok};
use crate::http::asked::Asked;
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use axum::extract::{ConnectInfo, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sexton_core::{Retention, RetentionRule};
use sexton_store::rows::RetentionRow;

/// What holds for a type, or for all that have no rule of their own.
#[derive(Serialize)]
pub struct RetentionView {
    event_type: Option<String>,
    #[serde(flatten)]
    kept: Retention,
    /// What was said of just this; null: nothing.
    said: Option<RetentionRule>,
    updated_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
}

/// What to say.
#[derive(Deserialize)]
pub struct Said {
    event_type: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// What was said now, or forgotten.
#[derive(Serialize)]
pub struct Changed {
    event_type: Option<String>,
    said: Option<RetentionRule>,
    changed: bool,
}

/// How to prune.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct How {
    dry_run: bool,
}

fn view(event_type: Option<String>, row: Option<&RetentionRow>, beneath: Retention) -> RetentionView {
    let said = row.map(|row| row.rule);
    RetentionView {
        event_type,
        kept: said.unwrap_or_default().over(beneath),
        said,
        updated_at: row.map(|row| row.updated_at),
        updated_by: row.map(|row| row.updated_by.clone()),
    }
}

/// `GET /retention`: what holds for all types, then types with a rule of their own; with `type`, what holds for that one.
pub async fn show(State(rooms): State<Shared>, mut asked: Asked) -> Answer<Items<RetentionView>> {
    let wanted = asked.take("type");
    asked.done()?;
    let rows = blocking(move || rooms.store.retention()).await?;
    let of = |name: Option<&str>| rows.iter().find(|row| row.event_type.as_deref() == name);
    let all = view(None, of(None), Retention::default());
    let beneath = all.kept;
    let Some(name) = wanted else {
        let own = rows.iter().filter_map(|row| Some(view(Some(row.event_type.clone()?), Some(row), beneath)));
        return ok(Items::all(std::iter::once(all).chain(own).collect()));
    };
    let row = of(Some(&name));
    ok(Items::all(vec![view(Some(name), row, beneath)]))
}

/// `PUT /retention`: what is not said stays as it was.
pub async fn set(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, body: Raw) -> Answer<Changed> {
    let Said { event_type, rest } = reading::object(&reading::text(body)?)?;
    let rule: RetentionRule = reading::object(&serde_json::Value::Object(rest).to_string())?;
    let changed = blocking(move || {
        let said = rooms.engine.set_retention(event_type.as_deref(), &rule, &peer.actor())?;
        Ok::<_, No>(Changed { event_type, said: Some(said), changed: true })
    });
    ok(changed.await?)
}

/// `DELETE /retention`: of a `type`, or of all types.
pub async fn clear(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, mut asked: Asked) -> Answer<Changed> {
    let event_type = asked.take("type");
    asked.done()?;
    let changed = blocking(move || {
        let changed = rooms.engine.clear_retention(event_type.as_deref(), &peer.actor())?;
        Ok::<_, No>(Changed { event_type, said: None, changed })
    });
    ok(changed.await?)
}

/// `POST /retention/prune`.
pub async fn prune(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, body: Raw) -> Answer<PruneEnd> {
    let How { dry_run } = reading::object(&reading::text(body)?)?;
    let end = blocking(move || rooms.engine.prune(dry_run, &peer.actor()).map_err(No));
    ok(end.await?)
}
