//! `sexton run`: what ran, what is running, and a stop for it.
//!
//! Not event verbs. What must hold: the JSON of a run is the host's, untouched.

use crate::cli::connect::{Door, List};
use crate::cli::{Done, input, run_logs};
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
    /// Ask a run that is under way to stop
    Cancel {
        /// The occurrence that runs.
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
    /// Finished since then: RFC 3339, or a duration to go back
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
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

fn between(run: &Value, from: &str, to: &str) -> String {
    let at = |name: &str| text(run, name).parse::<DateTime<Utc>>().ok();
    match (at(from), at(to)) {
        (Some(from), Some(to)) => format!("{} ms", (to - from).num_milliseconds()),
        _ => String::new(),
    }
}

fn served_by(run: &Value) -> String {
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
            Self::Cancel { occurrence } => {
                let answer = door.open()?.post(&format!("/api/v1/runs/{}/cancel", encode(&occurrence)), &json!({}))?;
                door.answer(&answer, |_| format!("asked {occurrence} to stop"))
            }
        }
    }
}

impl Filter {
    fn run(&self, door: &Door) -> Done {
        let since = self.since.as_ref().map(|t| input::since(t, Utc::now())).transpose()?;
        let pairs = [
            ("event", self.event.clone()),
            ("type", self.event_type.clone()),
            ("outcome", self.outcome.clone()),
            ("since", since.map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true))),
        ];
        door.pages(&List { path: "/api/v1/runs", pairs: &pairs, limit: self.limit, keep: |_| true, columns: COLUMNS, none: "no runs" })
    }
}

/// One card an attempt, and what is still to come.
fn drawn(answer: &Value) -> String {
    let runs = answer["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let mut parts: Vec<String> = runs.iter().map(attempt).collect();
    let going = &answer["in_flight"];
    if going.is_object() {
        let asked = if going["cancelling"] == true { ", asked to stop" } else { "" };
        let who = format!("{} #{}", text(going, "plugin"), text(going, "generation"));
        parts.push(format!(
            "attempt {} under way since {}, by {who}{asked}{}",
            text(going, "attempt"),
            instant(going, "started_at"),
            progress(going)
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

/// `: 3 of 10, copying`.
fn progress(going: &Value) -> String {
    let Some([done, total, note]) = going["progress"].as_array().map(Vec::as_slice) else { return String::new() };
    let total = total.as_u64().map_or_else(String::new, |total| format!(" of {total}"));
    let note = note.as_str().filter(|note| !note.is_empty()).map_or_else(String::new, |note| format!(", {note}"));
    format!(": {done}{total}{note}")
}

fn attempt(run: &Value) -> String {
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
        ("resources", resources.iter().map(of_resource).collect::<Vec<_>>().join("\n")),
        ("output", output),
    ])
}
