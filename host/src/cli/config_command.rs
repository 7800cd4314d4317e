//! `sexton config`: every key with its value and where it came from; a file checked without a host.
//!
//! Not the layers themselves (`config`). What must hold: what is shown is what `serve` would take.

use crate::cli::connect::Door;
use crate::cli::serve::KeyFlags;
use crate::cli::{Done, Failure};
use crate::client::environment;
use crate::config::keys::KEYS;
use crate::config::{Config, Flags};
use crate::output::table::{Column, text};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Verbs on the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every key, its value, and where it came from
    Show(Box<Show>),
    /// Check a file and say what is wrong with it
    Check {
        /// The TOML file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// As `serve` would be called.
#[derive(Debug, Args)]
pub struct Show {
    /// A TOML file with any of the keys
    #[arg(long, value_name = "FILE", env = "SEXTON_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The keys.
    #[command(flatten)]
    pub keys: KeyFlags,
}

const COLUMNS: &[Column] = &[
    Column { head: "KEY", cell: |k| text(k, "key") },
    Column { head: "VALUE", cell: |k| text(k, "value") },
    Column { head: "FROM", cell: |k| text(k, "origin") },
    Column { head: "VARIABLE", cell: |k| text(k, "env") },
    Column { head: "MEANS", cell: |k| text(k, "about") },
];

impl ConfigCommand {
    /// Runs the verb.
    ///
    /// # Errors
    /// When the configuration is refused.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::Show(show) => {
                let config = Config::load(show.config.as_deref(), &environment(), &show.keys.flags()).map_err(Failure::Input)?;
                door.rows(rows(&config), COLUMNS, "no keys")
            }
            Self::Check { file } => {
                let config = Config::load(Some(&file), &environment(), &Flags::new()).map_err(Failure::Input)?;
                let said = config.settings.values().filter(|s| matches!(s.origin, crate::config::Origin::File { .. })).count();
                door.answer(&json!({"file": file, "ok": true, "keys": said}), |_| format!("{}: good, {said} keys", file.display()))
            }
        }
    }
}

fn rows(config: &Config) -> Vec<Value> {
    let row = |key: &crate::config::keys::Key| {
        let setting = config.settings.get(key.name)?;
        Some(
            json!({"key": key.name, "value": setting.text, "origin": setting.origin.label(), "env": key.env, "default": key.default, "about": key.about}),
        )
    };
    KEYS.iter().filter_map(row).collect()
}
