//! `sexton event-type stats`: how many runs of each type there were, how long they took, how late they began.
//!
//! Not a list of runs: that is `run list`. What must hold: it counts runs that are pruned too.

use crate::cli::connect::Door;
use crate::cli::{Done, input};
use crate::client::query;
use crate::output::table::{Column, instant, text};
use chrono::{SecondsFormat, Utc};
use clap::Args;
use serde_json::Value;

/// Which statistics.
#[derive(Debug, Args)]
pub struct Stats {
    /// Only of this type
    #[arg(value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Of runs that ended since then, by the hour: RFC 3339, or a duration to go back [default: all that is known]
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column { head: "TYPE", cell: |s| text(s, "event_type") },
    Column { head: "RUNS", cell: |s| text(s, "runs") },
    Column { head: "SUCCEEDED", cell: |s| text(s, "succeeded") },
    Column { head: "FAILED", cell: |s| text(s, "failed") },
    Column { head: "OTHER", cell: other },
    Column { head: "TOOK p50", cell: |s| ms(&s["duration_ms"]["p50"]) },
    Column { head: "p99", cell: |s| ms(&s["duration_ms"]["p99"]) },
    Column { head: "max", cell: |s| ms(&s["duration_ms"]["max"]) },
    Column { head: "LATE p50", cell: |s| ms(&s["lateness_ms"]["p50"]) },
    Column { head: "p99", cell: |s| ms(&s["lateness_ms"]["p99"]) },
    Column { head: "max", cell: |s| ms(&s["lateness_ms"]["max"]) },
    Column { head: "SINCE", cell: |s| instant(s, "from") },
];

fn other(stats: &Value) -> String {
    let of = |name: &str| stats[name].as_u64().unwrap_or(0);
    ["snoozed", "cancelled", "interrupted", "lost"].map(of).iter().sum::<u64>().to_string()
}

/// Milliseconds for people: three digits that mean something, or seconds.
pub fn ms(of: &Value) -> String {
    match of.as_f64() {
        None => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.0} s", ms / 1e3),
    }
}

impl Stats {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        let since = self.since.as_ref().map(|t| input::since(t, Utc::now())).transpose()?;
        let pairs = [("type", self.event_type), ("since", since.map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true)))];
        let answer = door.open()?.get(&query("/api/v1/statistics", &pairs))?;
        door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "nothing of that ran yet")
    }
}
