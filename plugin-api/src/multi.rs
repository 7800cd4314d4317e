//! A run over many resources: each has its end, and the ends together are the end of the run.
//!
//! Not concurrency: one resource after the other. What must hold: a resource that succeeded in an earlier attempt isn't touched again; a
//! panic over one resource ends that resource only.

use crate::context::JobContext;
use crate::job::{JobError, JobResult};
use crate::panics::{Panicked, guarded};
use crate::wire::{JobEnd, Resource, ResourceReply};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

/// So many failures are quoted in the run's own message; all are in the replies per resource.
const QUOTED_MAX: usize = 5;

pub(crate) fn run_each(cx: &JobContext, one: impl Fn(&Resource) -> JobResult) -> JobResult {
    let mut tally = Tally { of: cx.resources().len(), ..Tally::default() };
    if tally.of == 0 {
        tracing::warn!("the event has no resources: nothing to do");
    }
    let done: BTreeSet<&str> = cx.resources_done().iter().map(String::as_str).collect();
    for resource in cx.resources() {
        if done.contains(resource.id.as_str()) {
            tally.succeeded += 1;
            continue;
        }
        if cx.is_cancelled() {
            return Err(tally.stopped());
        }
        let end = guarded(|| one(resource).map_err(JobError::into_end))
            .map_or_else(Panicked::into_end, |end| end.err().unwrap_or(JobEnd::Succeeded));
        tally.count(&resource.id, &end);
        cx.report_resource(ResourceReply { id: resource.id.clone(), end });
    }
    tally.into_result(cx.is_cancelled())
}

/// The ends of the resources so far.
#[derive(Default)]
struct Tally {
    of: usize,
    succeeded: usize,
    cancelled: usize,
    failures: Vec<(String, String)>,
    all_permanent: bool,
    snooze_ms: Option<u64>,
    reason: String,
}

impl Tally {
    fn count(&mut self, id: &str, end: &JobEnd) {
        match end {
            JobEnd::Succeeded => self.succeeded += 1,
            JobEnd::Failed { message, permanent } => self.failed(id, message.clone(), *permanent),
            JobEnd::Panicked { message, place } => {
                let place = place.as_deref().map(|p| format!(" at {p}")).unwrap_or_default();
                self.failed(id, format!("panicked{place}: {message}"), false);
            }
            JobEnd::Snoozed { after_ms } => self.snooze_ms = Some(self.snooze_ms.map_or(*after_ms, |least| least.min(*after_ms))),
            JobEnd::Cancelled { reason } => {
                self.cancelled += 1;
                self.reason.clone_from(reason);
            }
        }
    }

    fn failed(&mut self, id: &str, message: String, permanent: bool) {
        self.all_permanent = permanent && (self.all_permanent || self.failures.is_empty());
        self.failures.push((id.to_owned(), message));
    }

    fn stopped(&self) -> JobError {
        JobError::cancel(format!("asked to stop with {} of {} resources done", self.succeeded, self.of))
    }

    /// A stop that came before all was done outranks the rest; then failures, then what asked for later, then what was given up.
    fn into_result(self, asked_to_stop: bool) -> JobResult {
        // A resource that gave up because of the stop isn't done either: its run is to say so, not to count as a success.
        if asked_to_stop && self.succeeded < self.of {
            return Err(self.stopped());
        }
        if !self.failures.is_empty() {
            // Permanent means "nothing is gained by another attempt": not so while a resource waits for its snooze.
            let permanent = self.all_permanent && self.snooze_ms.is_none();
            let message = self.failures_in_words();
            return Err(if permanent { JobError::fail_permanently(message) } else { JobError::fail(message) });
        }
        if let Some(ms) = self.snooze_ms {
            return Err(JobError::snooze(Duration::from_millis(ms)));
        }
        if self.cancelled > 0 && self.succeeded == 0 {
            return Err(JobError::cancel(self.reason));
        }
        Ok(())
    }

    fn failures_in_words(&self) -> String {
        let mut text = format!("{} of {} resources failed", self.failures.len(), self.of);
        for (i, (id, message)) in self.failures.iter().take(QUOTED_MAX).enumerate() {
            let joint = if i == 0 { ": " } else { "; " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{joint}{id}: {message}");
        }
        if self.failures.len() > QUOTED_MAX {
            text.push_str("; …");
        }
        text
    }
}
