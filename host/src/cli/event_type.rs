//! `sexton event-type`: what can be scheduled, who owns it, and giving a type free.
//!
//! Not ownership itself (the store's). What must hold: a type that nobody serves is shown as unresolved.

use crate::cli::Done;
use crate::cli::connect::Door;
use crate::cli::statistics::{Stats, ms};
use crate::client::encode;
use crate::output::table::{Column, card, instant, text};
use clap::Subcommand;
use serde_json::{Value, json};

/// Verbs on event types.
#[derive(Debug, Subcommand)]
pub enum EventType {
    /// List event types
    List,
    /// Show one event type with the schema of its arguments
    Show {
        /// The type.
        #[arg(value_name = "TYPE")]
        event_type: String,
    },
    /// Show how many runs there were, how long they took and how late they began
    Stats(Stats),
    /// Forget who owns a type, so that another plugin may offer it
    Release {
        /// The type.
        #[arg(value_name = "TYPE")]
        event_type: String,
    },
}

const COLUMNS: &[Column] = &[
    Column { head: "TYPE", cell: |t| text(t, "event_type") },
    Column { head: "OWNER", cell: |t| text(t, "owner") },
    Column { head: "SERVED", cell: served },
    Column { head: "OPEN EVENTS", cell: |t| text(t, "open_events") },
];

fn served(event_type: &Value) -> String {
    match (event_type["serving"].is_object(), text(event_type, "serving.plugin").as_str()) {
        (false, _) => "unresolved".to_owned(),
        (true, "host") => "by the host".to_owned(),
        (true, plugin) => format!("by {plugin} #{}", text(event_type, "serving.generation")),
    }
}

impl EventType {
    /// Runs the verb.
    ///
    /// # Errors
    /// No host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List => {
                let answer = door.open()?.get("/api/v1/event-types")?;
                door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "no event types")
            }
            Self::Show { event_type } => {
                let answer = door.open()?.get(&format!("/api/v1/event-types/{}", encode(&event_type)))?;
                door.answer(&answer, drawn)
            }
            Self::Stats(stats) => stats.run(door),
            Self::Release { event_type } => {
                let answer = door.open()?.post(&format!("/api/v1/event-types/{}/release", encode(&event_type)), &json!({}))?;
                door.answer(&answer, |a| match text(a, "owner").as_str() {
                    "" => format!("{event_type} had no owner"),
                    owner => format!("{event_type} no longer belongs to {owner}"),
                })
            }
        }
    }
}

/// `1200 runs, 3 failed; took 12 ms (p99 80 ms), late 0.40 ms (p99 2.10 ms)`.
fn of_late(stats: &Value) -> String {
    if !stats.is_object() {
        return "no runs".to_owned();
    }
    let said = format!("{} runs, {} failed", text(stats, "runs"), text(stats, "failed"));
    let spread = |name: &str| format!("{} (p99 {})", ms(&stats[name]["p50"]), ms(&stats[name]["p99"]));
    if stats["duration_ms"].is_object() { format!("{said}; took {}, late {}", spread("duration_ms"), spread("lateness_ms")) } else { said }
}

fn drawn(event_type: &Value) -> String {
    let schema = serde_json::to_string_pretty(&event_type["args_schema"]).unwrap_or_default();
    let facts = card(&[
        ("type", text(event_type, "event_type")),
        ("owner", text(event_type, "owner")),
        ("served", served(event_type)),
        ("open events", text(event_type, "open_events")),
        ("retry", text(event_type, "retry")),
        ("last 7 days", of_late(&event_type["statistics"])),
        ("first seen", instant(event_type, "first_seen_at")),
        ("schema digest", text(event_type, "schema_digest")),
    ]);
    format!("{facts}\n\nSchema of the arguments\n{schema}")
}
