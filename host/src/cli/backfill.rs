//! `sexton event backfill`: occurrences for instants of the past.
//!
//! Not finding them (the engine's). What must hold: under `--dry-run` nothing is stored, and both ways list the same instants.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure};
use crate::client::encode;
use crate::output::table::instant as shown;
use clap::Args;
use serde_json::{Value, json};
use sexton_core::schedule::instant;

/// Instants that a table lists.
const LISTED: usize = 50;

const EXAMPLES: &str = "\
Examples:
  sexton event backfill 05a6rfnyt0800 --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --dry-run
  sexton event backfill 05a6rfnyt0800 --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z

Each instant of the schedule from --from up to --to gives one occurrence, due at once. They run beside the schedule,
whose own next run stays where it is.";

/// Which stretch of the past.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Backfill {
    /// The event's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// From this instant
    #[arg(long, value_name = "RFC3339")]
    pub from: String,
    /// Up to this instant, itself included; not after now
    #[arg(long, value_name = "RFC3339")]
    pub to: String,
    /// Only list the instants
    #[arg(long)]
    pub dry_run: bool,
}

impl Backfill {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        for text in [&self.from, &self.to] {
            instant::parse(text).map_err(Failure::Input)?;
        }
        let body = json!({"from": self.from, "to": self.to, "dry_run": self.dry_run});
        let answer = door.open()?.post(&format!("/api/v1/events/{}/backfill", encode(&self.id)), &body)?;
        door.answer(&answer, |answer| drawn(answer, self.dry_run))
    }
}

fn drawn(answer: &Value, dry_run: bool) -> String {
    let instants = answer["instants"].as_array().map_or(&[][..], Vec::as_slice);
    let occurrences = |count: usize| if count == 1 { "1 occurrence".to_owned() } else { format!("{count} occurrences") };
    let listed = instants.iter().take(LISTED).map(|at| shown(&json!({"at": at}), "at"));
    let more = (instants.len() > LISTED).then(|| format!("and {} more; `--output json` has them all", instants.len() - LISTED));
    let stored = usize::try_from(answer["stored"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
    let end = match (instants.len(), dry_run) {
        (0, _) => "the schedule has no instant there; nothing was stored".to_owned(),
        (found, true) => format!("would store {}", occurrences(found)),
        (_, false) => format!("stored {}, due now", occurrences(stored)),
    };
    listed.chain(more).chain([end]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_listed_and_counted() {
        let answer = |count: usize, stored: usize| json!({"instants": vec!["2026-11-01T00:00:00Z"; count], "stored": stored});
        assert_eq!(drawn(&answer(0, 0), false), "the schedule has no instant there; nothing was stored");
        assert!(drawn(&answer(1, 1), false).ends_with("\nstored 1 occurrence, due now"));
        let said = drawn(&answer(60, 0), true);
        assert_eq!(said.lines().count(), 52);
        assert!(said.ends_with("and 10 more; `--output json` has them all\nwould store 60 occurrences"), "{said}");
    }
}
