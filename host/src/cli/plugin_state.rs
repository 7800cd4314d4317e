//! `sexton plugin state`: what a plugin keeps over its reloads.
//!
//! Not a way to write it: that is the plugin's own. What must hold: the value is shown as it is kept.

use crate::cli::Done;
use crate::cli::connect::Door;
use crate::client::{Body, encode};
use crate::output::table::{Column, text};
use clap::Args;
use serde_json::Value;

/// What to look at.
#[derive(Debug, Args)]
pub struct State {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Show what is kept under this key; without it, all keys
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Remove the key
    #[arg(long, requires = "key")]
    remove: bool,
}

const COLUMNS: &[Column] = &[
    Column { head: "KEY", cell: |r| text(r, "key") },
    Column { head: "VERSION", cell: |r| text(r, "version") },
    Column { head: "BYTES", cell: |r| text(r, "bytes") },
];

impl State {
    /// Runs the verb.
    ///
    /// # Errors
    /// No host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        let Self { name, key, remove } = self;
        let at = format!("/api/v1/plugins/{}/state", encode(&name));
        let client = door.open()?;
        let Some(key) = key else {
            let mut answer = client.get(&at)?;
            let Value::Array(rows) = answer["items"].take() else { return Ok(()) };
            return door.rows(rows, COLUMNS, "it keeps nothing");
        };
        let at = format!("{at}/{}", encode(&key));
        if remove {
            let answer = client.call("DELETE", &at, Body::Empty)?;
            return door.answer(&answer, |answer| match answer["removed"] == true {
                true => format!("removed {key}"),
                false => format!("{key} was written meanwhile: not removed"),
            });
        }
        door.answer(&client.get(&at)?, |kept| serde_json::to_string_pretty(&kept["value"]).unwrap_or_default())
    }
}
