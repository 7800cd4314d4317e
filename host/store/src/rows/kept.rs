//! How long history is kept, and what stays of it: rules of retention, steps of pruning, statistics.
//!
//! Not the rules' meaning (`sexton_core::retention`). What must hold: as for all rows, times are `DateTime<Utc>` with microseconds.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::RetentionRule;
use sexton_core::stats::Tally;
use std::collections::BTreeMap;

/// What somebody said about how long runs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetentionRow {
    /// Of which type; none: of all that have no rule of their own.
    pub event_type: Option<String>,
    /// What was said.
    pub rule: RetentionRule,
    /// When.
    pub updated_at: DateTime<Utc>,
    /// By whom.
    pub updated_by: String,
}

/// What is to be deleted.
#[derive(Clone, Copy, Debug)]
pub enum Spent {
    /// What has been kept long enough by the rules of retention.
    ByRules,
    /// Runs that ended before this, whatever the rules say.
    Before(DateTime<Utc>),
}

/// One step of a pruning.
#[derive(Clone, Debug)]
pub struct Pruning {
    /// What.
    pub spent: Spent,
    /// Only look.
    pub dry_run: bool,
    /// Where the step before came to.
    pub from: PrunePlace,
    /// Rows that the step deletes at most.
    pub limit: usize,
}

/// How far a pruning has come. Begin with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunePlace {
    /// The runs were all looked at; ended events are.
    pub is_at_events: bool,
    /// The run or event looked at last.
    pub after: i64,
    /// Of a dry run: how many runs of each type would be gone by now.
    pub gone: BTreeMap<i64, i64>,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs deleted, with their logs.
    pub runs: i64,
    /// Ended events deleted.
    pub events: i64,
    /// Where to go on; none: that was all.
    pub next: Option<PrunePlace>,
}

/// A key that a plugin keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateRow {
    /// Its name.
    pub key: String,
    /// Rises with each write.
    pub version: i64,
    /// Of the value's JSON.
    pub bytes: i64,
}

/// The statistics of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStats {
    /// Its name.
    pub event_type: String,
    /// The beginning of the first hour that is in it.
    pub from: DateTime<Utc>,
    /// The sum.
    pub tally: Tally,
}
