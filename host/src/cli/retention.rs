//! `sexton retention`: how long runs are kept, and deleting by hand what was kept long enough.
//!
//! Not the rules' meaning. What must hold: what is shown is what holds, whether somebody said it or not.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure};
use crate::client::{Body, query};
use crate::output::table::{Column, instant, text};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use sexton_core::schedule::duration;

/// Verbs on retention.
#[derive(Debug, Subcommand)]
pub enum Retention {
    /// Show how long runs are kept: of all types, and of those with a rule of their own
    Show {
        /// What holds for this type
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Say how long runs are kept; what is not said stays as it was
    Set(Set),
    /// Forget what was said of a type, or (without --type) of all types
    Clear {
        /// Of this type
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Delete now what was kept long enough; the host does it each hour by itself
    Prune {
        /// Only say how much that is
        #[arg(long)]
        dry_run: bool,
    },
}

/// What to say.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("said").multiple(true).required(true).args(["keep", "keep_failed", "max_runs"])))]
pub struct Set {
    /// Of this type [default: of all types that have no rule of their own]
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Runs that succeeded: so long after their end
    #[arg(long, value_name = "DURATION")]
    pub keep: Option<String>,
    /// All other runs: so long after their end
    #[arg(long, value_name = "DURATION")]
    pub keep_failed: Option<String>,
    /// Beyond so many runs of a type the oldest go
    #[arg(long, value_name = "N")]
    pub max_runs: Option<u64>,
}

const COLUMNS: &[Column] = &[
    Column { head: "TYPE", cell: scope },
    Column { head: "KEEP", cell: |r| text(r, "keep") },
    Column { head: "KEEP FAILED", cell: |r| text(r, "keep_failed") },
    Column { head: "MAX RUNS", cell: |r| text(r, "max_runs") },
    Column { head: "SET", cell: |r| instant(r, "updated_at") },
    Column { head: "BY", cell: |r| text(r, "updated_by") },
];

fn scope(row: &Value) -> String {
    row["event_type"].as_str().unwrap_or("(all types)").to_owned()
}

const PATH: &str = "/api/v1/retention";

impl Retention {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::Show { event_type } => {
                let answer = door.open()?.get(&query(PATH, &[("type", event_type)]))?;
                door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "nothing")
            }
            Self::Set(set) => set.run(door),
            Self::Clear { event_type } => {
                let answer = door.open()?.call("DELETE", &query(PATH, &[("type", event_type)]), Body::Empty)?;
                door.answer(&answer, |a| match a["changed"] == true {
                    true => format!("{}: as it was before anything was said", scope(a)),
                    false => format!("{}: nothing had been said", scope(a)),
                })
            }
            Self::Prune { dry_run } => {
                let answer = door.open()?.post("/api/v1/retention/prune", &json!({"dry_run": dry_run}))?;
                door.answer(&answer, pruned)
            }
        }
    }
}

fn pruned(end: &Value) -> String {
    let what = format!("{} runs and {} ended events", text(end, "runs"), text(end, "events"));
    match (end["dry_run"] == true, end["finished"] == true) {
        (true, _) => format!("would delete {what}, and the events whose last run that is"),
        (false, true) => format!("deleted {what}"),
        (false, false) => format!("deleted {what}, and the host is stopping: the rest goes the next time"),
    }
}

impl Set {
    fn run(self, door: &Door) -> Done {
        // Refused here with its place, before a host is asked.
        for said in self.keep.iter().chain(&self.keep_failed) {
            duration::parse(said).map_err(Failure::Input)?;
        }
        let fields = [
            ("event_type", self.event_type.map(Value::from)),
            ("keep", self.keep.map(Value::from)),
            ("keep_failed", self.keep_failed.map(Value::from)),
            ("max_runs", self.max_runs.map(Value::from)),
        ];
        let body: serde_json::Map<String, Value> = fields.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said?))).collect();
        let answer = door.open()?.call("PUT", PATH, Body::Json(Value::Object(body).to_string()))?;
        door.answer(&answer, |a| {
            let said = ["keep", "keep_failed", "max_runs"].map(|name| (name, text(a, &format!("said.{name}"))));
            let said: Vec<String> =
                said.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{} {v}", k.replace('_', " "))).collect();
            format!("{}: {}", scope(a), said.join(", "))
        })
    }
}
