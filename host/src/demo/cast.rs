//! The events of the demo: what they are, and what each must have come to in the end.
//!
//! Not their order on the stage (`acts`). What must hold: every event says itself what counts as having run.

use super::stage::Stage;
use super::watch::Watch;
use crate::cli::Failure;
use crate::client::Body;
use crate::output::table::{cut, text};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::fmt::Write;

/// One event and what is expected of it.
pub struct Role {
    /// Its id.
    pub id: String,
    /// Its description.
    pub title: String,
    /// How many runs must have succeeded.
    pub wanted: usize,
}

/// All of them.
pub struct Cast {
    roles: Vec<Role>,
}

/// An event to be, and how many of its runs must succeed.
struct Plan(Value, usize);

fn plan(title: &str, event_type: &str, schedule: &Value, args: &Value, wanted: usize) -> Plan {
    Plan(json!({"description": title, "event_type": event_type, "schedule": schedule, "args": args}), wanted)
}

/// A dozen events over half a minute from `now`.
fn plans(stage: &Stage, now: DateTime<Utc>) -> Vec<Plan> {
    let at = |seconds: i64| json!({"once": (now + Duration::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)});
    let shell = |title: &str, schedule: &Value, script: &str, wanted| {
        plan(title, "shell.run", schedule, &json!({"script": script, "cwd": stage.root()}), wanted)
    };
    let lamps: Vec<_> = ["hall", "stairs", "tower"].iter().map(|id| json!({"id": id, "kind": "lamp"})).collect();
    let with = |Plan(mut event, wanted): Plan, name: &str, value: Value| {
        event[name] = value;
        Plan(event, wanted)
    };
    vec![
        shell("Say hello", &at(1), "echo hello from a plugin", 1),
        plan("Ask a web server", "http.request", &at(2), &json!({"url": stage.web().url("/hello")}), 1),
        with(plan("Light three lamps", "acme.start_resource", &at(3), &json!({}), 1), "resources", json!(lamps)),
        shell("Tick", &json!({"cron": "*/4 * * * * *"}), "echo tick", 5),
        shell("Beat", &json!({"every": "6s"}), "echo beat", 3),
        shell("Breathe", &json!({"after": "5s"}), "sleep 1; echo breath", 3),
        with(
            plan("Ask a busy server until it answers", "http.request", &at(4), &json!({"url": stage.web().url("/moody")}), 1),
            "retry",
            json!({"attempts": 5, "first_delay_ms": 1_000, "max_delay_ms": 2_000}),
        ),
        plan(
            "Open a ticket",
            "http.request",
            &at(6),
            &json!({"url": stage.web().url("/tickets"), "method": "POST", "json": {"lamp": "hall"}, "expect": [201]}),
            1,
        ),
        with(plan("Put the lamps out", "acme.stop_resource", &at(15), &json!({}), 1), "resources", json!(lamps)),
        shell("Long work that the kill interrupts", &at(17), "sleep 3; echo done after all", 1),
        shell("Due while no host runs", &at(19), "echo late, but here", 1),
        shell("Say goodbye", &at(27), "echo goodbye", 1),
    ]
}

impl Cast {
    /// Schedules all in one transaction.
    pub fn schedule(stage: &Stage) -> Result<Self, Failure> {
        let plans = plans(stage, Utc::now());
        let mut lines = String::new();
        for Plan(event, _) in &plans {
            // A string takes everything.
            let _ = writeln!(lines, "{event}");
        }
        let accepted = stage.client()?.call("POST", "/api/v1/events", Body::Ndjson(lines))?;
        let ids = accepted.as_array().cloned().unwrap_or_default();
        super::say(&format!("\nScheduled {} events in one transaction. Now watch:\n", ids.len()));
        let role =
            |(Plan(event, wanted), accepted): (Plan, &Value)| Role { id: text(accepted, "id"), title: text(&event, "description"), wanted };
        Ok(Self { roles: plans.into_iter().zip(&ids).map(role).collect() })
    }

    /// One more.
    pub fn add(&mut self, id: String, title: &str) {
        self.roles.push(Role { id, title: title.to_owned(), wanted: 1 });
    }

    /// Everyone.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether every event has run as often as it must.
    pub fn all_ran(&self, watch: &Watch) -> bool {
        self.roles.iter().all(|role| role.ran(watch) >= role.wanted)
    }

    /// A run as a line for people.
    pub fn told(&self, run: &Value) -> String {
        let id = text(run, "event_id");
        let title = self.roles.iter().find(|role| role.id == id).map_or_else(|| text(run, "event_type"), |role| role.title.clone());
        let (outcome, attempt) = (text(run, "outcome"), run["attempt"].as_i64().unwrap_or(1));
        let attempt = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let by = format!("{} #{}", text(run, "plugin"), text(run, "generation"));
        format!("{outcome:11} {title}{attempt}  [{by}]  {}", said(run)).trim_end().to_owned()
    }
}

impl Role {
    /// Runs that succeeded.
    pub fn ran(&self, watch: &Watch) -> usize {
        watch.outcomes(&self.id).iter().filter(|outcome| *outcome == "succeeded").count()
    }
}

/// What a run said: its error, or the part of its output that people want.
fn said(run: &Value) -> String {
    let error = text(run, "error");
    if !error.is_empty() {
        return cut(&error, 70);
    }
    let lamps = run["resources"].as_array().map_or(0, Vec::len);
    if lamps > 0 {
        return format!("{lamps} resources");
    }
    let output = &run["output"];
    let line = ["stdout", "body", "status"].iter().map(|name| text(output, name)).find(|text| !text.is_empty()).unwrap_or_default();
    cut(line.trim(), 60)
}
