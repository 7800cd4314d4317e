//! The settler: one thread that gathers ends of runs and settles as many as there are in one transaction.
//!
//! It does not decide what follows from an end (`sexton_core::decide` does, inside the store). What must hold: no end is dropped; a slot is
//! freed only after its settlement is durable, so that a store that cannot write stops new runs by itself.

use crate::clock;
use crate::engine::limits::{ERROR_BYTES, OUTPUT_BYTES, SETTLED_AT_ONCE};
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::engine::table::Running;
use crate::engine::told::{ERROR_TOLD, HostEvent, OfRun};
use crate::engine::{overruns, progress};
use crate::problem;
use chrono::{DateTime, Utc};
use sexton_core::decide::{End, Guilt};
use sexton_core::{ErrorCode, Outcome, ResourceEnd};
use sexton_loader::seam::Ended;
use sexton_loader::shown;
use sexton_plugin_api::wire::{EntryFailure, JobEnd, ResourceReply};
use sexton_store::rows::{RunEnd, Settled};
use sexton_store::{ErrorKind, StoreError};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// First and greatest wait after a settlement that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A snooze longer than this is this.
const SNOOZE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What the settler is sent.
#[derive(Debug)]
pub enum Ending {
    /// This run ended so.
    Run(u64, Box<RunEnd>),
    /// Nothing more.
    End,
}

/// Settles until `End`, or until the engine gives up waiting for a store that cannot write.
pub fn run(shared: &Shared, endings: &Receiver<Ending>) {
    let mut open = true;
    while open {
        let mut batch = Vec::new();
        let mut next = endings.recv().unwrap_or(Ending::End);
        loop {
            match next {
                Ending::Run(number, mut end) => {
                    end.log = shared.run_logs.settling(number);
                    batch.push((number, *end));
                }
                Ending::End => open = false,
            }
            if !open || batch.len() == SETTLED_AT_ONCE {
                break;
            }
            match endings.try_recv() {
                Ok(another) => next = another,
                Err(_) => break,
            }
        }
        settle(shared, batch);
    }
}

/// Settles a batch whole; if a row of it is refused, each alone, so that one refusal does not hold the others.
fn settle(shared: &Shared, batch: Vec<(u64, RunEnd)>) {
    if batch.is_empty() {
        return;
    }
    let (numbers, ends): (Vec<u64>, Vec<RunEnd>) = batch.into_iter().unzip();
    match insist(shared, &ends) {
        Some(Ok(settled)) => conclude(shared, &numbers, &ends, &settled),
        Some(Err(_)) => {
            for (number, end) in numbers.into_iter().zip(ends) {
                settle_alone(shared, number, end);
            }
        }
        None => {}
    }
}

/// A run whose follow-ups the store refuses has failed: its success and they are one.
fn settle_alone(shared: &Shared, number: u64, mut end: RunEnd) {
    loop {
        match insist(shared, std::slice::from_ref(&end)) {
            Some(Ok(settled)) => return conclude(shared, &[number], std::slice::from_ref(&end), &settled),
            Some(Err(error)) if error.refusal.is_some() && !end.follow_ups.is_empty() => {
                let refusal = problem::from_store(&error);
                end.follow_ups.clear();
                end.end = End::Failed { permanent: false };
                end.error = Some(clip(format!("what it scheduled was refused: {refusal}")));
                end.code = Some(ErrorCode::FollowUps);
            }
            Some(Err(error)) => {
                // Its slot stays filled: the next start of the host resolves it as interrupted.
                tracing::error!(occurrence = %end.occurrence, %error, "the end of a run cannot be settled");
                return;
            }
            None => return,
        }
    }
}

/// Settles, again and again while the store may come back. `None`: the engine gave up; a refusal comes back as it is.
fn insist(shared: &Shared, ends: &[RunEnd]) -> Option<Result<Vec<Settled>, StoreError>> {
    let mut wait = BACKOFF.0;
    let mut failed = false;
    loop {
        match shared.store.settle(&shared.lease, ends, clock::now()) {
            Ok(settled) => {
                if failed {
                    tracing::info!(runs = ends.len(), "the store settles again");
                }
                return Some(Ok(settled));
            }
            // Neither a refusal nor damage goes away by trying again; one by one shows which run it is.
            Err(error) if error.refusal.is_some() || error.kind == ErrorKind::Corrupt => return Some(Err(error)),
            Err(error) => {
                if !failed {
                    let refusal = problem::from_store(&error);
                    tracing::error!(code = refusal.code, runs = ends.len(), %error, "runs that ended cannot be settled; no new ones start when all slots are filled; trying again");
                    failed = true;
                }
                if shared.give_up.load(Ordering::SeqCst) {
                    tracing::warn!(runs = ends.len(), "the host ends with runs unsettled: the next start finds them in the flight record");
                    return None;
                }
                std::thread::park_timeout(wait);
                wait = (wait * 2).min(BACKOFF.1);
            }
        }
    }
}

fn conclude(shared: &Shared, numbers: &[u64], ends: &[RunEnd], settled: &[Settled]) {
    let heard = shared.observers.is_heard();
    let (slots, told): (Vec<usize>, Vec<Option<OfRun>>) = {
        let rows = shared.table.rows();
        let running = |number| rows.runs.get(number);
        let told = if heard { numbers.iter().map(|n| running(n).map(progress::of_run)).collect() } else { Vec::new() };
        (numbers.iter().filter_map(|n| running(n).map(|r| r.slot)).collect(), told)
    };
    slots.into_iter().for_each(|slot| shared.flight.free(slot));
    shared.table.settled(numbers.iter().copied().zip(settled.iter().map(|s| s.crowds)));
    // After it is durable: whoever looks finds it here or in the store.
    shared.run_logs.forget(numbers.iter().copied());
    // Follow-ups have instants of their own, which `next_due` does not name.
    let follow_ups = ends.iter().flat_map(|e| &e.follow_ups).filter_map(|i| i.first);
    // A slot may have come free with them.
    let slot_wanted = shared.limits.is_held_back().then(clock::now);
    match settled.iter().filter_map(|s| s.next_due).chain(follow_ups).chain(slot_wanted).min() {
        // Only a host without a scheduler does not listen, and that is said elsewhere.
        Some(due) => drop(shared.door.send(Message::Due(due))),
        None if shared.table.is_starved() => shared.door.bell.ring(),
        None => {}
    }
    for (end, settled) in ends.iter().zip(settled) {
        if settled.outcome == Outcome::Lost {
            tracing::warn!(occurrence = %end.occurrence, attempt = end.attempt, plugin = end.plugin, "a run ended under a stale claim: recorded as lost");
        }
        tracing::debug!(occurrence = %end.occurrence, attempt = end.attempt, outcome = ?settled.outcome, plugin = end.plugin, generation = end.generation, "run settled");
    }
    for ((run, end), settled) in told.into_iter().zip(ends).zip(settled) {
        if let Some(run) = run {
            shared.observers.tell(|| ended(run, end, settled));
        }
    }
}

fn ended(run: OfRun, end: &RunEnd, settled: &Settled) -> HostEvent {
    HostEvent::Ended {
        run,
        outcome: settled.outcome,
        error: end.error.as_deref().map(|error| shown::cut(error, ERROR_TOLD)),
        started_at: end.started_at,
        finished_at: end.finished_at,
        next_run_at: settled.next_due,
    }
}

/// What is to be settled of a run that said how it ended. Follow-ups go with success only.
pub fn run_end(run: &mut Running, ended: Ended) -> RunEnd {
    let Ended { reply, started_at, finished_at } = ended;
    let (mut end, mut error, mut code) = read_end(reply.end, finished_at);
    if run.stopped && end == End::Cancelled {
        // It ended because the host does, not because somebody wants its work undone: it is to run again.
        end = End::Interrupted { guilt: Guilt::Innocent };
        error = Some("the host stopped before it ended".to_owned());
        code = Some(ErrorCode::HostStopped);
    }
    if let Some(limit) = run.bounds.timeout.filter(|_| run.overrun && !run.cancelling && end == End::Cancelled) {
        end = End::Failed { permanent: false };
        error = Some(overruns::stopped_in_time(limit));
        code = Some(ErrorCode::Timeout);
    }
    let most = run.serving.output_max.min(OUTPUT_BYTES);
    let output = reply.output.filter(|o| {
        o.get().len() <= most || {
            let note = format!("its output of {} bytes was not kept: the limit is {most}", o.get().len());
            error = Some(error.take().map_or_else(|| note.clone(), |e| format!("{e}; {note}")));
            false
        }
    });
    let follow_ups = std::mem::take(&mut run.follow_ups);
    RunEnd {
        follow_ups: if end == End::Succeeded { follow_ups } else { Vec::new() },
        started_at: run.entered_at.map(|_| started_at),
        error: error.map(clip),
        code,
        output,
        resources: reply.resources.into_iter().map(|r| resource_end(r, finished_at)).collect(),
        ..blank_end(run, end, finished_at)
    }
}

/// What is to be settled of a run whose process or generation ended first. One that somebody had cancelled does not run again.
pub fn cut_short(run: &mut Running, why: &str, guilt: Guilt, code: ErrorCode, now: DateTime<Utc>) -> RunEnd {
    if run.is_cancelled() {
        return cancelled_with_its_process(run, why, now);
    }
    run.follow_ups.clear();
    let end = blank_end(run, End::Interrupted { guilt }, now);
    RunEnd { error: Some(why.to_owned()), code: Some(code), started_at: run.entered_at, ..end }
}

/// What is to be settled of a run whose process was ended because it took too long: a failure of its own, tried again by policy.
pub fn overrun(run: &mut Running, why: &str, now: DateTime<Utc>) -> RunEnd {
    if run.is_cancelled() {
        return cancelled_with_its_process(run, why, now);
    }
    run.follow_ups.clear();
    let end = blank_end(run, End::Failed { permanent: false }, now);
    RunEnd { error: Some(why.to_owned()), code: Some(ErrorCode::Timeout), started_at: run.entered_at, ..end }
}

fn cancelled_with_its_process(run: &mut Running, why: &str, now: DateTime<Utc>) -> RunEnd {
    run.follow_ups.clear();
    RunEnd { error: Some(why.to_owned()), started_at: run.entered_at, ..blank_end(run, End::Cancelled, now) }
}

/// What is to be settled of a run that somebody cancelled before a thread entered it.
pub fn cancelled_unstarted(run: &mut Running, now: DateTime<Utc>) -> RunEnd {
    run.follow_ups.clear();
    RunEnd { error: Some("it was cancelled before it started".to_owned()), ..blank_end(run, End::Cancelled, now) }
}

fn blank_end(run: &Running, end: End, finished_at: DateTime<Utc>) -> RunEnd {
    RunEnd {
        occurrence: run.occurrence.id,
        token: run.occurrence.token,
        attempt: run.occurrence.attempt,
        started_at: None,
        finished_at,
        end,
        error: None,
        code: None,
        output: None,
        resources: Vec::new(),
        plugin: run.serving.plugin.clone(),
        generation: run.serving.generation,
        digest: run.serving.digest.clone(),
        placement: run.serving.placement.name().to_owned(),
        follow_ups: Vec::new(),
        // Gathered when it is settled.
        log: None,
    }
}

fn read_end(end: JobEnd, finished_at: DateTime<Utc>) -> (End, Option<String>, Option<ErrorCode>) {
    match end {
        JobEnd::Succeeded => (End::Succeeded, None, None),
        JobEnd::Failed { message, permanent } => {
            (End::Failed { permanent }, Some(message), Some(if permanent { ErrorCode::Permanent } else { ErrorCode::Error }))
        }
        JobEnd::Panicked { message, place } => {
            let failure = EntryFailure { kind: "panic".into(), message, place };
            (End::Failed { permanent: false }, Some(problem::entry_failure(&failure)), Some(ErrorCode::Panic))
        }
        JobEnd::Snoozed { after_ms } => {
            let until = clock::later(finished_at, Duration::from_millis(after_ms).min(SNOOZE_MAX));
            (End::Snoozed { until }, None, None)
        }
        JobEnd::Cancelled { reason } => (End::Cancelled, Some(reason).filter(|r| !r.is_empty()), None),
    }
}

fn resource_end(reply: ResourceReply, finished_at: DateTime<Utc>) -> ResourceEnd {
    let (end, error, _) = read_end(reply.end, finished_at);
    let outcome = match end {
        End::Succeeded => Outcome::Succeeded,
        End::Failed { .. } => Outcome::Failed,
        End::Snoozed { .. } => Outcome::Snoozed,
        End::Cancelled => Outcome::Cancelled,
        End::Interrupted { .. } => Outcome::Interrupted,
    };
    ResourceEnd { id: reply.id, outcome, error: error.map(clip) }
}

fn clip(text: String) -> String {
    if text.len() > ERROR_BYTES { shown::cut(&text, ERROR_BYTES) } else { text }
}
