//! `sexton status` and `sexton audit`: how the host is, and who changed what.
//!
//! Not metrics. What must hold: a host that runs as root says so here.

use crate::cli::connect::{Door, List};
use crate::cli::{Done, input};
use crate::output::table::{Column, card, cut, instant, text};
use chrono::{SecondsFormat, Utc};
use clap::Args;
use serde_json::Value;

/// Shows the host.
///
/// # Errors
/// When no host is reached.
pub fn show(door: &Door) -> Done {
    let status = door.open()?.get("/api/v1/status")?;
    door.answer(&status, drawn)
}

fn drawn(status: &Value) -> String {
    let uid = text(status, "uid");
    let user = if status["root"] == true { format!("{uid} (root: plugin code runs with every right)") } else { uid };
    let counts = &status["counts"];
    let events = format!(
        "{} scheduled, {} paused, {} unresolved, {} dead letters",
        text(counts, "scheduled"),
        text(counts, "paused"),
        text(status, "unresolved_events"),
        text(counts, "dead_letters")
    );
    card(&[
        ("host", format!("{}, Sexton {}", text(status, "name"), text(status, "version"))),
        ("state", text(status, "phase")),
        ("since", instant(status, "started_at")),
        ("process", text(status, "pid")),
        ("user", user),
        ("plugins", format!("{} active of {}", text(status, "plugins.active"), text(status, "plugins.total"))),
        ("event types", format!("{} served of {}", text(status, "types.served"), text(status, "types.known"))),
        ("events", events),
        ("runs", format!("{} recorded, {}", text(counts, "runs"), under_way(status))),
        ("alerts", alerts(status)),
        ("clock", clock(status)),
        ("socket", text(status, "socket")),
        ("plugin dir", text(status, "plugins_dir")),
        ("store", text(status, "store")),
    ])
}

/// How many run, and how many of those do not stop.
pub fn under_way(of: &Value) -> String {
    let stuck = of["stuck"].as_u64().filter(|stuck| *stuck > 0).map_or_else(String::new, |stuck| format!(", {stuck} of them stuck"));
    format!("{} under way{stuck}", text(of, "in_flight"))
}

/// Nothing if none is set.
fn alerts(status: &Value) -> String {
    let (set, raised) = (status["alerts"]["set"].as_u64().unwrap_or(0), text(status, "alerts.raised"));
    match (set, raised.as_str()) {
        (0, _) => String::new(),
        (set, "") => format!("{set} set, none raised"),
        (set, raised) => format!("{set} set; raised: {raised}"),
    }
}

/// The zone data, and how often the wall clock was set: each time may have moved what waits.
fn clock(status: &Value) -> String {
    let zones = match text(status, "tzdata").as_str() {
        "" => String::new(),
        version => format!("zone data {version}"),
    };
    match status["clock_steps"].as_u64() {
        None | Some(0) => zones,
        Some(1) => format!("{zones}; set once since the start"),
        Some(times) => format!("{zones}; set {times} times since the start"),
    }
}

/// Which lines of the audit.
#[derive(Debug, Args)]
pub struct Audit {
    /// At most this many [default: 200 in a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Only what this one did: `cli:root`, `watcher`, `host`; `cli:` and `plugin:` are all of them
    #[arg(long, value_name = "ACTOR")]
    pub actor: Option<String>,
    /// Since then: RFC 3339, or a duration to go back
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Only what was done to this: an event's id, `plugin:NAME`, a calendar's name
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// Only verbs that begin so: `plugin.`, `event.pause`
    #[arg(long, value_name = "PREFIX")]
    pub verb: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column { head: "AT", cell: |l| instant(l, "at") },
    Column { head: "ACTOR", cell: |l| text(l, "actor") },
    Column { head: "VERB", cell: |l| text(l, "verb") },
    Column { head: "SUBJECT", cell: |l| text(l, "subject") },
    Column { head: "DETAIL", cell: |l| cut(&text(l, "detail"), 70) },
];

impl Audit {
    /// Runs the verb.
    ///
    /// # Errors
    /// No host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        let since = self.since.as_ref().map(|t| input::since(t, Utc::now())).transpose()?;
        let since = since.map(|t| t.to_rfc3339_opts(SecondsFormat::Micros, true));
        door.pages(&List {
            path: "/api/v1/audit",
            pairs: &[("subject", self.subject), ("verb", self.verb), ("actor", self.actor), ("since", since)],
            limit: self.limit,
            keep: |_| true,
            columns: COLUMNS,
            none: "nothing of that was changed yet",
        })
    }
}
