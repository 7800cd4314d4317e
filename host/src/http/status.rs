//! Health, status and audit.
//!
//! Not metrics. What must hold: `/healthz` needs nothing but the event loop; `/readyz` is true only while the host serves.

use crate::http::answer::{Answer, Items, No, Yes, blocking, ok};
use crate::http::asked::Asked;
use crate::http::{Phase, Shared};
use crate::supervisor::PluginState;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use sexton_store::rows::{AuditFilter, AuditLine};

/// `GET /healthz`.
pub async fn healthz() -> Answer<Value> {
    ok(json!({"healthy": true}))
}

/// `GET /readyz`.
pub async fn readyz(State(rooms): State<Shared>) -> Answer<Value> {
    let phase = *rooms.phase.read();
    let problem = rooms.engine.health();
    let ready = phase == Phase::Ready && problem.is_none();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Yes(status, json!({"ready": ready, "phase": phase, "problem": problem})))
}

/// `GET /api/v1/status`.
pub async fn status(State(rooms): State<Shared>) -> Answer<Value> {
    let value = blocking(move || -> Result<Value, No> {
        let counts = rooms.store.counts()?;
        let snapshot = rooms.registry.now();
        let plugins = rooms.supervisor.list();
        let of_state = |state| plugins.iter().filter(|p| p.state == state).count();
        let unserved = |name: &String| snapshot.types.get(name).is_none_or(|t| t.serving.is_none());
        let unresolved: i64 = counts.open_by_type.iter().filter(|(name, _)| unserved(name)).map(|(_, n)| *n).sum();
        let alerts = rooms.store.alerts()?;
        let raised: Vec<&str> = alerts.iter().filter(|a| a.standing.raised_at.is_some()).map(|a| a.name.as_str()).collect();
        let uid = rustix::process::geteuid();
        let facts = &rooms.facts;
        let in_flight = rooms.engine.in_flight();
        Ok(json!({
            "name": facts.name,
            "version": env!("CARGO_PKG_VERSION"),
            "phase": *rooms.phase.read(),
            "problem": rooms.engine.health(),
            "pid": std::process::id(),
            "uid": uid.as_raw(),
            "root": uid.is_root(),
            "started_at": facts.started_at,
            "state_dir": facts.state_dir,
            "plugins_dir": facts.plugins_dir,
            "store": facts.store_url,
            "socket": facts.socket,
            "counts": counts,
            "unresolved_events": unresolved,
            "in_flight": in_flight.len(),
            "stuck": in_flight.iter().filter(|run| run.stuck).count(),
            "alerts": {"set": alerts.len(), "raised": raised},
            "plugins": {
                "total": plugins.len(),
                "active": of_state(PluginState::Active),
                "rejected": plugins.iter().filter(|p| p.rejection.is_some()).count(),
            },
            "types": {"known": snapshot.types.len(), "served": snapshot.served().len()},
            "clock_steps": rooms.engine.clock_steps(),
            "tzdata": sexton_core::schedule::zone::tzdata_version(),
        }))
    });
    ok(value.await?)
}

/// A line of the audit with its number.
#[derive(Serialize)]
pub struct Line {
    id: i64,
    #[serde(flatten)]
    line: AuditLine,
}

/// `GET /api/v1/audit`.
pub async fn audit(State(rooms): State<Shared>, mut asked: Asked) -> Answer<Items<Line>> {
    let page = asked.page()?;
    let (subject, verb) = (asked.take("subject"), asked.take("verb"));
    // A plugin may be called like anything: `plugin:NAME` is what was done to the plugin.
    let (subject, of_plugin) = match subject.as_deref().and_then(|subject| subject.strip_prefix("plugin:")) {
        Some(name) => (Some(name.to_owned()), Some("plugin.".to_owned())),
        None => (subject, None),
    };
    let filter = AuditFilter { subject, verb_prefix: verb.or(of_plugin), actor: asked.take("actor"), since: asked.instant("since")? };
    asked.done()?;
    let items = blocking(move || -> Result<_, No> {
        let lines = rooms.store.audit_lines(&filter, &page)?;
        let next = (lines.len() == page.limit).then(|| lines.last().map(|(id, _)| id.to_string())).flatten();
        Ok(Items { items: lines.into_iter().map(|(id, line)| Line { id, line }).collect(), next })
    });
    ok(items.await?)
}
