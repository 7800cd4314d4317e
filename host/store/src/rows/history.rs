//! What was: logs of runs, crashes, generations, the audit's lines.
//!
//! Not what is still to happen. What must hold: nothing here decides anything by itself; the host reads and judges.

use super::Actor;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one run said. Bounded by the host: the store keeps what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLog {
    /// Its lines, as they came.
    pub lines: Vec<RunLine>,
    /// How many more there were that were not kept.
    pub dropped: u64,
}

impl RunLog {
    /// Whether it says nothing at all: not even that something was dropped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

/// One line of a run's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    /// When.
    pub at: DateTime<Utc>,
    /// How loud, by the numbers that the host gives its levels.
    pub level: u8,
    /// The module that said it.
    pub target: String,
    /// What it said, with its fields.
    pub message: String,
    /// The spans it was said in, outermost first.
    pub spans: String,
}

/// One death of a plugin's process, or of what stood for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Whose.
    pub plugin: String,
    /// SHA-256 of the code, hex.
    pub digest: String,
    /// Which generation.
    pub generation: i64,
    /// `in-process` or `runner`.
    pub placement: String,
    /// What it died of, for people: `signal 11`, `exit code 3`.
    pub cause: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A generation as the store remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GenerationRow {
    /// Its number, given once.
    pub number: i64,
    /// Of which plugin.
    pub plugin: String,
    /// SHA-256 of the code, hex.
    pub digest: String,
    /// Where its code ran, `in-process` or `runner`; none before it was placed.
    pub placement: Option<String>,
    /// When its number was given.
    pub created_at: DateTime<Utc>,
    /// When it was first published; none if it never was.
    pub published_at: Option<DateTime<Utc>>,
}

/// One line of the audit table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditLine {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What: `plugin.load`, `event.schedule`, …
    pub verb: String,
    /// On what: a plugin's name, an event's id.
    pub subject: String,
    /// Further facts.
    pub detail: Value,
}

/// Which audit lines to list. Absent = any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By what was acted on, exactly. A verb on many events names the first.
    pub subject: Option<String>,
    /// By how the verb begins: `plugin.` for all that happened to plugins.
    pub verb_prefix: Option<String>,
    /// By who acted, exactly; or all whose name begins so, if it ends with a colon: `cli:`, `plugin:`.
    pub actor: Option<String>,
    /// At that instant or later.
    pub since: Option<DateTime<Utc>>,
}
