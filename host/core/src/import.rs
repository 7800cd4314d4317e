//! Reading foreign schedules: crontabs and systemd timers, as events of the type `shell.run`.
//!
//! Not the storing of those events, and not the check of their expressions: whoever takes them settles each schedule and sees what that
//! refuses. What must hold: a line becomes an event that runs at the same times, or it is named with the reason; nothing is dropped silently.

mod crontab;
mod exec;
mod oncalendar;
mod systemd;
#[cfg(test)]
mod tests;
mod unit;

pub use crontab::{Form, read_crontab};
pub use systemd::{read_timer, started_unit};

use crate::refusal::{Blame, Refusal};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The event type that imported commands become.
pub const EVENT_TYPE: &str = "shell.run";

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// It can be taken.
    Taken(Box<Taken>),
    /// It cannot.
    NotTaken(NotTaken),
}

/// A line as an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Taken {
    /// Its number in the file, from 1.
    pub line_no: usize,
    /// The line as it stands there.
    pub text: String,
    /// The schedule in its JSON form. Not settled yet.
    pub schedule_json: Value,
    /// Arguments of [`EVENT_TYPE`]; none if the command is in a file that was not given.
    pub args_json: Option<Value>,
    /// The command as it stands there.
    pub command: Option<String>,
    /// The environment that the file gives it.
    pub environment: BTreeMap<String, String>,
    /// As whom it ran. The event runs as the user of its plugin's process.
    pub user: Option<String>,
    /// What differs from how it ran there, a sentence each.
    pub notes: Vec<String>,
}

/// A line that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotTaken {
    /// Its number in the file, from 1.
    pub line_no: usize,
    /// The line as it stands there.
    pub text: String,
    /// Why not.
    pub why: String,
    /// What to do instead.
    pub remedy: String,
}

impl NotTaken {
    /// The same as a refusal (`INP025`).
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::new("INP025", Blame::Input, format!("line {}: {}", self.line_no, self.why)).remedy(&self.remedy).at(
            &self.text,
            0,
            self.text.len(),
        )
    }
}

impl Line {
    fn not_taken(line_no: usize, text: &str, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::NotTaken(NotTaken { line_no, text: text.to_owned(), why: why.into(), remedy: remedy.into() })
    }
}

/// What a reading goes wrong with: why, and what to do instead.
type Objection = (String, String);

fn objection<T>(why: impl Into<String>, remedy: impl Into<String>) -> Result<T, Objection> {
    Err((why.into(), remedy.into()))
}

/// A JSON object of what is there.
fn object<const N: usize>(parts: [(&str, Option<Value>); N]) -> Value {
    let there = parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}
