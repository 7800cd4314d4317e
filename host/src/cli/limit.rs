//! `sexton limit`: how many of a type, of a plugin or of a word run at once, and how many start in a time.
//!
//! Not what a limit means (`sexton-core`). What must hold: what the list shows on a limit is what `set` takes.

use crate::cli::Done;
use crate::cli::Failure;
use crate::cli::connect::Door;
use crate::client::{Body, encode};
use crate::output::table::{Column, instant, text};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sexton_core::limit::{Limit as Asked, LimitOn};

/// Verbs on limits.
#[derive(Debug, Subcommand)]
pub enum Limit {
    /// List limits, and what is taken of them now
    List,
    /// Set a limit, in place of what was on the same thing
    Set(Set),
    /// Take a limit away
    Remove(On),
}

/// What a limit is on.
#[derive(Debug, Args)]
pub struct On {
    /// `type:EVENT_TYPE`, `plugin:NAME`, or `key:WORD` for all events with that --limit-key
    #[arg(value_name = "ON")]
    pub on: LimitOn,
}

const EXAMPLES: &str = "\
Examples:
  sexton limit set type:acme.start_resource --concurrency 4
  sexton limit set plugin:http --rate 100/1m --burst 20
  sexton limit set key:database --concurrency 1
  sexton event schedule acme.vacuum --cron @daily --limit-key database

An occurrence starts when every limit that it is under lets it through; until then it waits, and holds up nothing else.
A lowered limit lets what runs finish.";

/// What to set.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Set {
    /// What it is on.
    #[command(flatten)]
    pub on: On,
    /// At most so many at once
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// At most so many starts in a time: `10/1m`
    #[arg(long, value_name = "N/TIME")]
    pub rate: Option<String>,
    /// So many of them at once, after a pause [default: what the rate gives in a second, at least 1]
    #[arg(long, value_name = "N", requires = "rate")]
    pub burst: Option<u32>,
}

const COLUMNS: &[Column] = &[
    Column { head: "ON", cell: |l| text(l, "on") },
    Column { head: "RUNNING", cell: running },
    Column { head: "RATE", cell: |l| text(l, "rate") },
    Column { head: "BURST", cell: |l| text(l, "burst") },
    Column { head: "NEXT START", cell: |l| instant(l, "opens_at") },
    Column { head: "SET", cell: |l| instant(l, "set_at") },
    Column { head: "BY", cell: |l| text(l, "set_by") },
];

fn running(limit: &Value) -> String {
    match limit["concurrency"].as_u64() {
        Some(most) => format!("{} of {most}", text(limit, "taken")),
        None => String::new(),
    }
}

impl Limit {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List => {
                let answer = door.open()?.get("/api/v1/limits")?;
                door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "no limits")
            }
            Self::Set(set) => set.run(door),
            Self::Remove(On { on }) => {
                let answer = door.open()?.call("DELETE", &at(&on), Body::Empty)?;
                door.answer(&answer, |_| format!("{on} is limited no more"))
            }
        }
    }
}

impl Set {
    fn run(self, door: &Door) -> Done {
        let Self { on: On { on }, concurrency, rate, burst } = self;
        // Looked at here too: what is wrong in it needs no host to be said.
        Asked::ask(on.clone(), concurrency, rate.as_deref(), burst).map_err(Failure::Input)?;
        let body = json!({ "concurrency": concurrency, "rate": rate, "burst": burst });
        let answer = door.open()?.call("PUT", &at(&on), Body::Json(body.to_string()))?;
        door.answer(&answer, said)
    }
}

fn at(on: &LimitOn) -> String {
    format!("/api/v1/limits/{}", encode(&on.to_string()))
}

fn said(limit: &Value) -> String {
    let concurrency = limit["concurrency"].as_u64().map(|most| format!("{most} at once ({} now)", text(limit, "taken")));
    let rate = limit["rate"].as_str().map(|rate| format!("{rate}, {} of them at once", text(limit, "burst")));
    let bounds: Vec<String> = concurrency.into_iter().chain(rate).collect();
    format!("{}: at most {}", text(limit, "on"), bounds.join(", and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_said_in_a_sentence() {
        let limit = json!({"on": "key:db", "concurrency": 3, "taken": 1, "rate": "10/1m", "burst": 2});
        assert_eq!(said(&limit), "key:db: at most 3 at once (1 now), and 10/1m, 2 of them at once");
        assert_eq!((running(&limit).as_str(), running(&json!({"taken": 0})).as_str()), ("1 of 3", ""));
        assert_eq!(at(&"key:a b".parse().expect("good")), "/api/v1/limits/key%3Aa%20b");
    }
}
