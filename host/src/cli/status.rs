//! `sexton status` and `sexton audit`: how the host is, and who changed what.
//!
//! Not metrics. What must hold: a host that runs as root says so here.

use crate::cli::Done;
use crate::cli::connect::{Door, List};
use crate::output::table::{Column, card, cut, instant, text};
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
        ("runs", format!("{} recorded, {} under way", text(counts, "runs"), text(status, "in_flight"))),
        ("clock", clock(status)),
        ("socket", text(status, "socket")),
        ("plugin dir", text(status, "plugins_dir")),
        ("store", text(status, "store")),
    ])
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
    /// Only what was done to this: a plugin's name, an event's id
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
        door.pages(&List {
            path: "/api/v1/audit",
            pairs: &[("subject", self.subject), ("verb", self.verb)],
            limit: self.limit,
            keep: |_| true,
            columns: COLUMNS,
            none: "nothing of that was changed yet",
        })
    }
}
