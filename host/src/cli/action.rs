//! `sexton action`: list the actions of plugins, and call one.
//!
//! Not the automation around bots (a later issue). What must hold: the answer names every event that the action scheduled.

use crate::cli::connect::Door;
use crate::cli::{Done, input};
use crate::client::encode;
use crate::output::table::{Column, text};
use clap::{Args, Subcommand};
use serde_json::json;

/// Verbs on actions.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the actions that plugins serve
    List,
    /// Call an action with resources, and wait for it
    Run(Call),
}

/// One call.
#[derive(Debug, Args)]
pub struct Call {
    /// The action, such as acme.action.start_resource_example
    #[arg(value_name = "UID")]
    pub uid: String,
    /// Resources that match: a JSON array, or one JSON object a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub matches: String,
    /// Resources that do not match, in the same form
    #[arg(long, value_name = "FILE")]
    pub non_matches: Option<String>,
    /// The action's settings
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub settings: Option<String>,
    /// On whose behalf
    #[arg(long, value_name = "NAME", default_value = "cli")]
    pub bot: String,
}

const COLUMNS: &[Column] = &[
    Column { head: "UID", cell: |a| text(a, "uid") },
    Column { head: "PLUGIN", cell: |a| text(a, "plugin") },
    Column { head: "BULK", cell: |a| text(a, "bulk") },
    Column { head: "COMPLEMENT", cell: |a| text(a, "accepts_complement") },
];

impl Action {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List => {
                let answer = door.open()?.get("/api/v1/actions")?;
                door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "no actions")
            }
            Self::Run(call) => {
                let non_matches = call.non_matches.as_ref().map(|f| input::objects("--non-matches", f)).transpose()?.unwrap_or_default();
                let body = json!({
                    "bot": {"id": call.bot, "name": call.bot},
                    "settings": call.settings.as_ref().map(|s| input::json("--settings", s)).transpose()?.unwrap_or(json!({})),
                    "matches": input::objects("--matches", &call.matches)?,
                    "non_matches": non_matches,
                });
                let answer = door.open()?.post(&format!("/api/v1/actions/{}/run", encode(&call.uid)), &body)?;
                door.answer(&answer, |a| match text(a, "scheduled").as_str() {
                    "" | "[]" => "done; it scheduled nothing".to_owned(),
                    ids => format!("done; it scheduled {ids}"),
                })
            }
        }
    }
}
