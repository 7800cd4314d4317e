//! Somebody wants work undone: one run, the runs of a kind that are under way, the events of a kind.
//!
//! Not the stop of the host, and not a time that is over. What must hold: a run that is asked is watched until it has ended; what was cancelled
//! does not run again.

use crate::clock;
use crate::engine::alter;
use crate::engine::overruns::Watch;
use crate::engine::shared::Shared;
use crate::engine::table::{Phase, Running};
use crate::problem;
use serde_json::json;
use sexton_core::{Blame, EventId, OccurrenceId, Refusal};
use sexton_loader::seam::Order;
use sexton_store::rows::{Actor, AuditLine, EventFilter, Page};
use std::collections::BTreeMap;
use std::time::Instant;

/// Occurrences that an audit line names one by one.
const NAMED_MAX: usize = 100;

/// Which runs under way. Absent = any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// By type name.
    pub event_type: Option<String>,
    /// By event.
    pub event: Option<EventId>,
    /// By whose code runs.
    pub plugin: Option<String>,
    /// By bot id.
    pub bot: Option<String>,
    /// By labels, all of them.
    pub labels: BTreeMap<String, String>,
}

impl Which {
    /// Whether it takes every one.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        *self == Self::default()
    }

    fn takes(&self, run: &Running) -> bool {
        let wish = &run.occurrence.wish;
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        is(&self.event_type, Some(&wish.event_type))
            && self.event.is_none_or(|event| event == run.occurrence.id.event)
            && is(&self.plugin, Some(&run.serving.plugin))
            && is(&self.bot, wish.bot.as_ref().map(|bot| bot.id.as_str()))
            && self.labels.iter().all(|(name, value)| wish.labels.get(name) == Some(value))
    }
}

/// Events that were cancelled, and how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// How many.
    pub done: u64,
    /// Runs of them that go on.
    pub running: Vec<OccurrenceId>,
    /// The last that was looked at; none if there are no more.
    pub next: Option<EventId>,
}

/// Asks one run to stop.
pub fn one(shared: &Shared, occurrence: OccurrenceId, by: &Actor) -> Result<(), Refusal> {
    let mut rows = shared.table.rows();
    let Some((number, running)) = rows.runs.iter_mut().find(|(_, r)| r.occurrence.id == occurrence && r.phase != Phase::Ended) else {
        return Err(Refusal::new("INP012", Blame::Input, format!("no run of `{occurrence}` is under way"))
            .remedy("`sexton run list` shows the runs that ended; `sexton event cancel` ends an event that waits"));
    };
    ask(shared, *number, running);
    drop(rows);
    note(shared, &[occurrence], by);
    Ok(())
}

/// Asks all of these to stop; names them, also if it is only asked which they would be.
pub fn many(shared: &Shared, which: &Which, dry_run: bool, by: &Actor) -> Vec<OccurrenceId> {
    let mut asked = Vec::new();
    for (number, running) in shared.table.rows().runs.iter_mut().filter(|(_, r)| r.phase != Phase::Ended && which.takes(r)) {
        asked.push(running.occurrence.id);
        if !dry_run {
            ask(shared, *number, running);
        }
    }
    asked.sort_unstable();
    if !dry_run {
        note(shared, &asked, by);
    }
    asked
}

/// Asks a run to stop because somebody wants its work undone, and has it ended with its process if it does not.
pub fn ask(shared: &Shared, number: u64, running: &mut Running) {
    let again = running.is_cancelled();
    running.cancelling = true;
    // Also if the host had asked it before: somebody wants its work undone.
    running.stopped = false;
    // A generation that is gone says so itself, and its runs end with it.
    let _ = running.serving.orders.send(Order::Cancel { run: number });
    if !again {
        // Without a watch it is left to itself.
        let _ = shared.begun.send(Watch::Cancelled(number, Instant::now() + running.bounds.cancel_grace));
    }
}

fn note(shared: &Shared, asked: &[OccurrenceId], by: &Actor) {
    let Some(first) = asked.first() else { return };
    let named: Vec<String> = asked.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let line = AuditLine {
        at: clock::now(),
        actor: by.clone(),
        verb: "run.cancel".to_owned(),
        subject: first.event.to_string(),
        detail: json!({ "count": asked.len(), "occurrences": named }),
    };
    if let Err(error) = shared.store.audit(&line) {
        tracing::warn!(runs = asked.len(), refusal = %problem::from_store(&error), "that runs were cancelled is not in the audit");
    }
}

/// Cancels the events of a page. Before: the filter names one state, an open one.
pub fn events(shared: &Shared, filter: &EventFilter, page: &Page, by: &Actor) -> Result<Events, Refusal> {
    let found = shared.store.events(filter, page).map_err(|e| problem::from_store(&e))?;
    let ids: Vec<EventId> = found.iter().map(|event| event.id).collect();
    let next = ids.last().copied().filter(|_| ids.len() == page.limit);
    let (done, running) = alter::cancel_many(shared, &ids, by)?;
    Ok(Events { done, running, next })
}
