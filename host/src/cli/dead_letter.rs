//! `sexton dead-letter`: occurrences that spent their attempts: looked at, put back, removed.
//!
//! Not the rules. What must hold: the JSON of a dead letter is the host's, untouched.

use crate::cli::bulk::{self, Bulk, Which};
use crate::cli::connect::{Door, List};
use crate::cli::event::labels;
use crate::cli::{Done, run};
use crate::client::encode;
use crate::output::table::{Column, card, cut, instant, text};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Verbs on dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetter {
    /// List dead letters, the newest event first
    List(Filter),
    /// Show one dead letter and its attempts
    Show {
        /// The occurrence: an event's id, a dot, a number.
        #[arg(value_name = "OCCURRENCE")]
        occurrence: String,
    },
    /// Put dead letters back: due at once, with all their attempts
    Requeue(Chosen),
    /// Remove dead letters; their events and runs stay
    Discard(Chosen),
}

/// What besides type, bot and labels tells dead letters apart.
#[derive(Debug, Default, Args)]
pub struct Kind {
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// Dead since then: RFC 3339, or a duration to go back
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// With this text in the reason
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// With this error code of the last attempt, such as timeout
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
}

/// Which dead letters to list.
#[derive(Debug, Args)]
pub struct Filter {
    /// Of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// What else tells them apart.
    #[command(flatten)]
    pub kind: Kind,
    /// Of this bot, by its id
    #[arg(long, value_name = "ID")]
    pub bot: Option<String>,
    /// With this label; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// At most this many [default: 200 in a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Which dead letters a verb is for: some by name, or all of a kind.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Occurrences
    #[arg(value_name = "OCCURRENCE", conflicts_with_all = ["Which", "Kind"], required_unless_present_any = ["event_type", "bot", "label", "all", "event", "since", "reason", "code"])]
    pub occurrences: Vec<String>,
    /// All of a kind.
    #[command(flatten)]
    pub which: Which,
    /// What else tells them apart.
    #[command(flatten)]
    pub kind: Kind,
}

const COLUMNS: &[Column] = &[
    Column { head: "OCCURRENCE", cell: |d| text(d, "occurrence") },
    Column { head: "TYPE", cell: |d| text(d, "event_type") },
    Column { head: "TRY", cell: |d| text(d, "attempt") },
    Column { head: "MEANT FOR", cell: |d| instant(d, "scheduled_for") },
    Column { head: "DEAD SINCE", cell: |d| instant(d, "dead_at") },
    Column { head: "CODE", cell: |d| text(d, "error_code") },
    Column { head: "REASON", cell: |d| cut(&text(d, "reason"), 60) },
];

impl DeadLetter {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List(filter) => filter.run(door),
            Self::Show { occurrence } => {
                let answer = door.open()?.get(&format!("/api/v1/dead-letters/{}", encode(&occurrence)))?;
                door.answer(&answer, drawn)
            }
            Self::Requeue(chosen) => chosen.run(door, "requeue", "put back"),
            Self::Discard(chosen) => chosen.run(door, "discard", "removed"),
        }
    }
}

impl Kind {
    fn pairs(&self) -> Result<[(&'static str, Option<String>); 4], crate::cli::Failure> {
        let since = bulk::since(self.since.as_ref())?;
        Ok([("event", self.event.clone()), ("since", since), ("reason", self.reason.clone()), ("code", self.code.clone())])
    }
}

impl Filter {
    fn run(&self, door: &Door) -> Done {
        labels(&self.label)?;
        let mut pairs = vec![("type", self.event_type.clone()), ("bot", self.bot.clone())];
        pairs.extend(self.kind.pairs()?);
        pairs.extend(self.label.iter().map(|l| ("label", Some(l.clone()))));
        let (path, none) = ("/api/v1/dead-letters", "no dead letters");
        door.pages(&List { path, pairs: &pairs, limit: self.limit, keep: |_| true, columns: COLUMNS, none })
    }
}

impl Chosen {
    fn run(&self, door: &Door, verb: &str, past: &str) -> Done {
        if self.occurrences.is_empty() {
            let path = format!("/api/v1/dead-letters/{verb}");
            let filter = self.which.filter(&self.kind.pairs()?)?;
            return Bulk { path: &path, filter, all: self.which.all, what: "dead letters" }.answered(door, self.which.dry_run, past);
        }
        let client = door.open()?;
        for occurrence in &self.occurrences {
            let answer = client.post(&format!("/api/v1/dead-letters/{}/{verb}", encode(occurrence)), &json!({}))?;
            door.answer(&answer, |_| format!("{occurrence} {past}"))?;
        }
        Ok(())
    }
}

fn drawn(letter: &Value) -> String {
    let head = card(&[
        ("dead letter", text(letter, "occurrence")),
        ("type", text(letter, "event_type")),
        ("event", format!("{}, {}", text(letter, "event_id"), text(letter, "event_state"))),
        ("key", text(letter, "key")),
        ("description", text(letter, "description")),
        ("bot", text(letter, "bot.name")),
        ("reason", text(letter, "reason")),
        ("since", instant(letter, "dead_at")),
    ]);
    let runs = letter["runs"].as_array().map_or(&[][..], Vec::as_slice);
    std::iter::once(head).chain(runs.iter().map(run::attempt)).collect::<Vec<_>>().join("\n\n")
}
