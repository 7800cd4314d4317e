//! What becomes of history: pruning in steps with a breath in between, the rules of retention, statistics.
//!
//! Not the rules' meaning, nor what is deleted (the store's). What must hold: a pruning of millions of runs never holds the store's writer
//! for longer than a step, and never more than half of the time.

use crate::clock;
use crate::engine::Engine;
use crate::engine::shared::Shared;
use crate::problem;
use serde::Serialize;
use serde_json::json;
use sexton_core::{Refusal, RetentionRule};
use sexton_store::rows::{Actor, AuditLine, PrunePlace, Pruning, Spent};
use std::time::{Duration, Instant};

/// Runs or events that one step deletes at most.
const STEP: usize = 500;
/// The least time between two steps.
const BREATH: Duration = Duration::from_millis(5);

/// What a pruning did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneEnd {
    /// Runs, with their logs.
    pub runs: i64,
    /// Ended events. Of a dry run only those that have no run now: which events lose their last one is seen when it goes.
    pub events: i64,
    /// In how many steps.
    pub steps: u64,
    /// How long the longest took, its wait for the writer included, in milliseconds.
    pub longest_step_ms: u64,
    /// Whether it only looked.
    pub dry_run: bool,
    /// Whether it came to the end: a host that stops leaves the rest for the next time.
    pub finished: bool,
}

/// Deletes what is spent, step by step. A pruning that deleted something leaves a line in the audit.
pub fn prune(shared: &Shared, spent: Spent, dry_run: bool, by: &Actor) -> Result<PruneEnd, Refusal> {
    let mut end = PruneEnd { dry_run, ..PruneEnd::default() };
    let mut from = Some(PrunePlace::default());
    while let Some(place) = from.take() {
        if shared.is_stopping() {
            break;
        }
        let began = Instant::now();
        let what = Pruning { spent, dry_run, from: place, limit: STEP };
        let step = shared.store.prune(&what, clock::now()).map_err(|e| problem::from_store(&e))?;
        let took = began.elapsed();
        end.runs += step.runs;
        end.events += step.events;
        end.steps += 1;
        end.longest_step_ms = end.longest_step_ms.max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        end.finished = step.next.is_none();
        from = step.next;
        if from.is_some() && !dry_run {
            std::thread::sleep(took.max(BREATH));
        }
    }
    if !dry_run && (end.runs > 0 || end.events > 0) {
        let detail = json!({"runs": end.runs, "events": end.events, "finished": end.finished});
        let line = AuditLine { at: clock::now(), actor: by.clone(), verb: "history.prune".to_owned(), subject: String::new(), detail };
        shared.store.audit(&line).map_err(|e| problem::from_store(&e))?;
        tracing::info!(runs = end.runs, events = end.events, steps = end.steps, "history was pruned");
    }
    Ok(end)
}

impl Engine {
    /// Deletes what was kept long enough by the rules, or only finds how much that is.
    pub fn prune(&self, dry_run: bool, by: &Actor) -> Result<PruneEnd, Refusal> {
        prune(&self.shared, Spent::ByRules, dry_run, by)
    }

    /// Says how long runs of a type, or of all types (`None`), are kept. Answers all that is said of it now.
    pub fn set_retention(&self, event_type: Option<&str>, said: &RetentionRule, by: &Actor) -> Result<RetentionRule, Refusal> {
        let Self { shared, .. } = self;
        shared.store.set_retention(&shared.lease, event_type, said, by, clock::now()).map_err(|e| problem::from_store(&e))
    }

    /// Forgets what was said of a type, or of all. Answers whether anything was.
    pub fn clear_retention(&self, event_type: Option<&str>, by: &Actor) -> Result<bool, Refusal> {
        let Self { shared, .. } = self;
        shared.store.clear_retention(&shared.lease, event_type, by, clock::now()).map_err(|e| problem::from_store(&e))
    }
}
