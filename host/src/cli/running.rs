//! `sexton run list --running`: what is under way now.
//!
//! Not what ended. What must hold: the JSON of a row is the host's, untouched.

use crate::cli::Done;
use crate::cli::connect::Door;
use crate::cli::run_watch::age;
use crate::cli::watch::progress;
use crate::output::table::{Column, cut, text};
use serde_json::Value;

const COLUMNS: &[Column] = &[
    Column { head: "OCCURRENCE", cell: |r| text(r, "occurrence") },
    Column { head: "TYPE", cell: |r| text(r, "event_type") },
    Column { head: "TRY", cell: |r| text(r, "attempt") },
    Column { head: "STATE", cell: |r| crate::cli::run::manner(r).to_owned() },
    Column { head: "FOR", cell: |r| age(r, "started_at") },
    Column { head: "BY", cell: |r| crate::cli::run::served_by(r) },
    Column { head: "PROGRESS", cell: |r| cut(&progress(r).unwrap_or_default(), 50) },
];

/// Writes the list: of this event, of this type, the first so many.
///
/// # Errors
/// No host, or the host's refusal.
pub fn list(door: &Door, event: Option<&str>, event_type: Option<&str>, limit: Option<usize>) -> Done {
    let mut answer = door.open()?.get("/api/v1/in-flight")?;
    let Value::Array(rows) = answer["items"].take() else { return Ok(()) };
    let of_event = |r: &Value| event.is_none_or(|id| text(r, "occurrence").rsplit_once('.').is_some_and(|(event, _)| event == id));
    let wanted = |r: &Value| of_event(r) && event_type.is_none_or(|name| r["event_type"] == name);
    let rows: Vec<Value> = rows.into_iter().filter(wanted).take(limit.unwrap_or(usize::MAX)).collect();
    door.rows(rows, COLUMNS, "nothing is running")
}
