//! Alerts as the store keeps them, and what it is asked about their subjects.
//!
//! Not the decision (`sexton_core::decide::alert`). What must hold: as for all rows, times are `DateTime<Utc>` with microseconds.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::OccurrenceId;
use sexton_core::decide::alert::{Alert, AlertFacts, AlertStanding};

/// A stored alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertRow {
    /// Its name.
    pub name: String,
    /// Raised by everything that changes it.
    #[serde(skip)]
    pub version: i64,
    /// What was asked for.
    #[serde(flatten)]
    pub alert: Alert,
    /// How it stands.
    pub standing: AlertStanding,
    /// When it was set.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
}

/// What the rows say about an alert's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFound {
    /// What the decision needs, but for what is claimed and has not ended.
    pub facts: AlertFacts,
    /// Runs up to this number were looked at.
    pub seen: i64,
    /// Occurrences that have not ended, and when they were due: whoever runs them knows which have begun. Those due first; of a type, only one
    /// that nobody has claimed, and not which.
    pub waiting: Vec<(Option<OccurrenceId>, DateTime<Utc>)>,
}

/// What an alert's move is to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertMove {
    /// It was raised, or told again.
    Told,
    /// It is over.
    Cleared,
    /// Nobody need hear of it.
    Noted,
}
