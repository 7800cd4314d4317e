//! `sexton run`: what ran, what is running, and a stop for it.
//!
//! Not event verbs. What must hold: the JSON of a run is the host's, untouched.

use crate::cli::cancel::CancelRuns;
use crate::cli::connect::{Door, List};
use crate::cli::{Done, input, run_logs, run_watch, running, watch};
use crate::client::encode;
use crate::output::table::{Column, card, cut, instant, text};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Verbs on runs.
#[derive(Debug, Subcommand)]
pub enum Run {
    /// List runs, newest first
    List(Filter),
    /// Show every attempt at one occurrence
    Show {
        /// The occurrence: an event's id, a dot, a number.
        #[arg(value_name = "OCCURRENCE")]
        occurrence: String,
    },
    /// Show what an attempt logged, also while it runs
    Logs(run_logs::Logs),
    /// Follow an occurrence until it is over: a progress bar, its log, its outcome
    Watch(run_watch::Watch),
    /// Ask runs that are under way to stop; what does not is ended with its process
    Cancel(CancelRuns),
    /// Let an occurrence have its next attempt at once; a dead letter is put back
    Retry {
        /// The occurrence that waits, or is dead.
        #[arg(value_name = "OCCURRENCE")]
        occurrence: String,
    },
}

/// Which runs.
#[derive(Debug, Args)]
pub struct Filter {
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// Of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// With this outcome
    #[arg(long, value_parser = ["succeeded", "failed", "snoozed", "cancelled", "interrupted", "lost"])]
    pub outcome: Option<String>,
    /// With this error code, such as timeout or panic
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
    /// Those under way instead, the longest first
    #[arg(long, conflicts_with_all = ["outcome", "code", "since"])]
    pub running: bool,
    /// Finished since then: RFC 3339, or a duration to go back
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// By code of this plugin
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// Of events of this bot, by its id
    #[arg(long, value_name = "ID")]
    pub bot: Option<String>,
    /// Of events with this label; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// Of events with this resource, by its id
    #[arg(long, value_name = "ID")]
    pub resource: Option<String>,
    /// At most this many [default: 200 in a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// The columns of runs, for every table that shows them.
pub const COLUMNS: &[Column] = &[
    Column { head: "OCCURRENCE", cell: |r| text(r, "occurrence") },
    Column { head: "TYPE", cell: |r| text(r, "event_type") },
    Column { head: "TRY", cell: |r| text(r, "attempt") },
    Column { head: "OUTCOME", cell: |r| text(r, "outcome") },
    Column { head: "STARTED", cell: |r| instant(r, "started_at") },
    Column { head: "LATE", cell: |r| between(r, "due_at", "started_at") },
    Column { head: "TOOK", cell: |r| between(r, "started_at", "finished_at") },
    Column { head: "BY", cell: served_by },
    Column { head: "ERROR / OUTPUT", cell: said },
];

/// How a run under way goes on.
#[must_use]
pub fn manner(going: &Value) -> &'static str {
    match (going["stuck"] == true, going["cancelling"] == true) {
        (true, _) => "stuck",
        (false, true) => "asked to stop",
        (false, false) => "running",
    }
}

fn between(run: &Value, from: &str, to: &str) -> String {
    let at = |name: &str| text(run, name).parse::<DateTime<Utc>>().ok();
    match (at(from), at(to)) {
        (Some(from), Some(to)) => format!("{} ms", (to - from).num_milliseconds()),
        _ => String::new(),
    }
}

/// Whose code.
#[must_use]
pub fn served_by(run: &Value) -> String {
    let plugin = text(run, "plugin");
    if plugin == "host" { plugin } else { format!("{plugin} #{}", text(run, "generation")) }
}

fn said(run: &Value) -> String {
    let error = text(run, "error");
    cut(&if error.is_empty() { text(run, "output") } else { error }, 50)
}

impl Run {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List(filter) => filter.run(door),
            Self::Show { occurrence } => {
                let answer = door.open()?.get(&format!("/api/v1/runs/{}", encode(&occurrence)))?;
                door.answer(&answer, drawn)
            }
            Self::Logs(logs) => logs.run(door),
            Self::Watch(watch) => watch.run(door),
            Self::Cancel(cancel) => cancel.run(door),
            Self::Retry { occurrence } => {
                let answer = door.open()?.post(&format!("/api/v1/runs/{}/retry", encode(&occurrence)), &json!({}))?;
                door.answer(&answer, |waiting| format!("attempt {} of {occurrence} is due now", text(waiting, "attempt")))
            }
        }
    }
}

impl Filter {
    fn run(&self, door: &Door) -> Done {
        if self.running {
            return running::list(door, self.event.as_deref(), self.event_type.as_deref(), self.limit);
        }
        let since = self.since.as_ref().map(|t| input::since(t, Utc::now())).transpose()?;
        crate::cli::event::labels(&self.label)?;
        let mut pairs = vec![
            ("event", self.event.clone()),
            ("type", self.event_type.clone()),
            ("outcome", self.outcome.clone()),
            ("code", self.code.clone()),
            ("since", since.map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true))),
            ("plugin", self.plugin.clone()),
            ("bot", self.bot.clone()),
            ("resource", self.resource.clone()),
        ];
        pairs.extend(self.label.iter().map(|l| ("label", Some(l.clone()))));
        door.pages(&List { path: "/api/v1/runs", pairs: &pairs, limit: self.limit, keep: |_| true, columns: COLUMNS, none: "no runs" })
    }
}

/// One card an attempt, and what is still to come.
fn drawn(answer: &Value) -> String {
    let runs = answer["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let mut parts: Vec<String> = runs.iter().map(attempt).collect();
    let going = &answer["in_flight"];
    if going.is_object() {
        let asked = match manner(going) {
            "running" => String::new(),
            "stuck" => format!(", stuck since {}: it does not stop, and its thread cannot be ended", instant(going, "stuck_since")),
            other => format!(", {other}"),
        };
        let who = format!("{} #{}", text(going, "plugin"), text(going, "generation"));
        parts.push(format!(
            "attempt {} under way since {}, by {who}{asked}{}",
            text(going, "attempt"),
            instant(going, "started_at"),
            watch::progress(going).map_or_else(String::new, |said| format!(": {said}"))
        ));
    }
    let waiting = &answer["waiting"];
    if waiting.is_object() && !going.is_object() {
        let dead = text(waiting, "dead");
        parts.push(if dead.is_empty() {
            format!("attempt {} is due {} ({})", text(waiting, "attempt"), instant(waiting, "due_at"), text(waiting, "cause"))
        } else {
            format!("dead letter: {dead}")
        });
    }
    parts.join("\n\n")
}

/// One attempt as a card.
pub fn attempt(run: &Value) -> String {
    let resources = run["resources"].as_array().map_or(&[][..], Vec::as_slice);
    let of_resource = |r: &Value| format!("{} {} {}", text(r, "id"), text(r, "outcome"), text(r, "error")).trim_end().to_owned();
    let output = if run["output"].is_null() { String::new() } else { serde_json::to_string_pretty(&run["output"]).unwrap_or_default() };
    card(&[
        ("occurrence", text(run, "occurrence")),
        ("type", text(run, "event_type")),
        ("attempt", text(run, "attempt")),
        ("outcome", text(run, "outcome")),
        ("meant for", instant(run, "scheduled_for")),
        ("started", instant(run, "started_at")),
        ("late", between(run, "due_at", "started_at")),
        ("took", between(run, "started_at", "finished_at")),
        ("by", format!("{}, {}, on {}", served_by(run), text(run, "placement"), text(run, "host"))),
        ("digest", text(run, "digest")),
        ("error", text(run, "error")),
        ("error code", text(run, "error_code")),
        ("resources", resources.iter().map(of_resource).collect::<Vec<_>>().join("\n")),
        ("output", output),
    ])
}
