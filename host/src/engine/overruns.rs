//! Runs that take longer than their plugin's limit: asked to stop, and if they do not listen, ended with their process.
//!
//! Not a scheduler: it knows only runs that have begun. What must hold: a run is asked before its process is killed; where there is no process of its own
//! to kill, it is named and left, since a thread cannot be ended.

use crate::engine::shared::Shared;
use crate::engine::table::Phase;
use crate::registry::Placement;
use sexton_core::OccurrenceId;
use sexton_loader::seam::{DeathKind, Killing, Order};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a run that was asked to stop may take.
const GRACE: Duration = Duration::from_secs(2);

/// What the watch is sent.
#[derive(Debug)]
pub enum Watch {
    /// This run has begun, and may take until then.
    Run(u64, Instant),
    /// Nothing more.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask,
    Kill,
}

/// Watches until `End`.
pub fn run(shared: &Shared, begun: &Receiver<Watch>) {
    let mut due: BinaryHeap<Reverse<(Instant, u64, Step)>> = BinaryHeap::new();
    loop {
        let now = Instant::now();
        while let Some(Reverse((at, number, step))) = due.peek().copied().filter(|Reverse((at, ..))| *at <= now) {
            due.pop();
            if act(shared, number, step) && step == Step::Ask {
                due.push(Reverse((at + GRACE, number, Step::Kill)));
            }
        }
        let wait = due.peek().map(|Reverse((at, ..))| at.saturating_duration_since(Instant::now()));
        let next = match wait {
            Some(wait) => begun.recv_timeout(wait),
            None => begun.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Watch::Run(number, until)) => due.push(Reverse((until, number, Step::Ask))),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Watch::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Takes one step; false if the run has ended.
fn act(shared: &Shared, number: u64, step: Step) -> bool {
    let mut rows = shared.table.rows();
    let Some(run) = rows.runs.get_mut(&number).filter(|r| r.phase == Phase::Entered) else { return false };
    let Some(limit) = run.serving.run_time else { return false };
    let (occurrence, serving) = (run.occurrence.id, &run.serving);
    let order = match step {
        Step::Ask => {
            run.overrun = true;
            Order::Cancel { run: number }
        }
        Step::Kill => Order::Kill(Killing { kind: DeathKind::Deadline, why: took_too_long(occurrence, limit), run: Some(number) }),
    };
    if step == Step::Kill && serving.placement == Placement::InProcess {
        tracing::error!(%occurrence, plugin = serving.plugin, "a run does not stop: {}; its thread holds its place until the host is restarted", took_too_long(occurrence, limit));
        return true;
    }
    // A generation that is gone says so itself.
    let _gone = serving.orders.send(order);
    true
}

fn took_too_long(occurrence: OccurrenceId, limit: Duration) -> String {
    format!("deadline: run {occurrence} took longer than {} and did not stop when asked", humantime::format_duration(limit))
}

/// Why a run that stopped when asked has failed.
#[must_use]
pub fn stopped_in_time(limit: Duration) -> String {
    format!("deadline: it took longer than {} (`run_time` in the plugin's `[limits]`) and was stopped", humantime::format_duration(limit))
}
