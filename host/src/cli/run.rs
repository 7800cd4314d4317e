//! `sexton run`: what ran, what is running, and a stop for it.
//!
//! Not event verbs. What must hold: the JSON of a run is the host's, untouched.

use crate::cli::connect::{Door, List};
use crate::cli::{Done, input};
use crate::client::encode;
use crate::output::table::{Column, cut, draw, instant, text};
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
            Self::Cancel { occurrence } => {
                let answer = door.open()?.post(&format!("/api/v1/runs/{}/cancel", encode(&occurrence)), &json!({}))?;
                door.answer(&answer, |_| format!("asked {occurrence} to stop"))
            }
        }
    }
}

impl Filter {
    fn run(&self, door: &Door) -> Done {
        let since = self.since.as_ref().map(|t| input::since("--since", t, Utc::now())).transpose()?;
        let pairs = [
            ("event", self.event.clone()),
            ("type", self.event_type.clone()),
            ("outcome", self.outcome.clone()),
            ("since", since.map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true))),
        ];
        door.pages(&List { path: "/api/v1/runs", pairs: &pairs, limit: self.limit, keep: |_| true, columns: COLUMNS, none: "no runs" })
    }
}

fn drawn(answer: &Value) -> String {
    let rows = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let mut all = draw(COLUMNS, &rows("runs"), "no attempt has ended yet");
    if answer["in_flight"].is_object() {
        all += &format!("\nunder way since {}", instant(&answer["in_flight"], "started_at"));
    }
    if answer["waiting"].is_object() {
        all += &format!("\nwaiting: {} due {}", text(&answer["waiting"], "cause"), instant(&answer["waiting"], "due_at"));
    }
    all
}
