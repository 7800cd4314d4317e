//! Runs that take longer than they may, runs that somebody cancelled, and actions for which nobody waits any longer: asked to stop, and if they
//! do not listen, ended with their process.
//!
//! Not a scheduler: it knows only what has begun. What must hold: a run is asked before its process is killed; where there is no process of its own
//! to kill, it is shown as stuck and left, since a thread cannot be ended; what has ended long ago takes no room.

use crate::clock;
use crate::engine::shared::Shared;
use crate::engine::table::{Phase, Rows, Running};
use crate::registry::{Placement, Serving, Snapshot};
pub use sexton_core::decide::time_limit::GRACE;
use sexton_core::decide::time_limit::{self, Bounds, Limiter};
use sexton_core::{Occurrence, TimeLimit};
use sexton_loader::seam::{DeathKind, Killing, Order};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// So many entries are kept without asking whether what they are of still goes on.
const UNASKED: usize = 1_024;

/// What the watch is sent.
#[derive(Debug)]
pub enum Watch {
    /// This run has begun, and may take until then.
    Run(u64, Instant),
    /// This run was cancelled, and may take until then to stop.
    Cancelled(u64, Instant),
    /// This action was asked to stop, and may take until then.
    Left(u64, Instant),
    /// Nothing more.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask,
    Kill,
}

/// What is to be done when. Most runs end long before their time: their entries go when there are too many.
#[derive(Debug, Default)]
struct Agenda {
    steps: BinaryHeap<Reverse<(Instant, u64, Step)>>,
    /// That many were left when it was looked through last.
    left: usize,
}

impl Agenda {
    fn note(&mut self, at: Instant, number: u64, step: Step) {
        self.steps.push(Reverse((at, number, step)));
    }

    /// Twice as many are noted as went on the last time that somebody asked: so asking costs little, however many begin.
    fn is_crowded(&self) -> bool {
        self.steps.len() > 2 * self.left + UNASKED
    }

    fn keep(&mut self, goes_on: impl Fn(u64) -> bool) {
        self.steps.retain(|Reverse((_, number, _))| goes_on(*number));
        self.left = self.steps.len();
    }

    fn next(&self) -> Option<Instant> {
        self.steps.peek().map(|Reverse((at, ..))| *at)
    }

    fn take_due(&mut self, now: Instant) -> Option<(Instant, u64, Step)> {
        self.next().filter(|at| *at <= now)?;
        self.steps.pop().map(|Reverse(step)| step)
    }
}

/// Watches until `End`.
pub fn run(shared: &Shared, begun: &Receiver<Watch>) {
    let mut agenda = Agenda::default();
    loop {
        let now = Instant::now();
        while let Some((at, number, step)) = agenda.take_due(now) {
            if let Some(grace) = act(shared, number, step) {
                agenda.note(at + grace, number, Step::Kill);
            }
        }
        let wait = agenda.next().map(|at| at.saturating_duration_since(Instant::now()));
        let next = match wait {
            Some(wait) => begun.recv_timeout(wait),
            None => begun.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Watch::Run(number, until)) => agenda.note(until, number, Step::Ask),
            Ok(Watch::Cancelled(number, until) | Watch::Left(number, until)) => agenda.note(until, number, Step::Kill),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Watch::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if agenda.is_crowded() {
            let rows = shared.table.rows();
            agenda.keep(|number| goes_on(&rows, number));
        }
    }
}

fn goes_on(rows: &Rows, number: u64) -> bool {
    rows.runs.get(&number).is_some_and(|run| run.phase != Phase::Ended) || rows.left.contains_key(&number)
}

/// Takes one step; answers how long it may still take, if it was asked now.
fn act(shared: &Shared, number: u64, step: Step) -> Option<Duration> {
    let mut rows = shared.table.rows();
    if let Some(left) = rows.left.get(&number) {
        kill(&left.serving, number, DeathKind::Deadline, &action_goes_on(&left.uid, left.waited));
        return None;
    }
    let run = rows.runs.get_mut(&number).filter(|r| r.phase == Phase::Entered)?;
    match step {
        Step::Ask => {
            run.overrun = true;
            // A generation that is gone says so itself.
            let _gone = run.serving.orders.send(Order::Cancel { run: number });
            Some(run.bounds.timeout_grace)
        }
        Step::Kill => {
            let (kind, why) = why_it_is_ended(run);
            let was_stuck = run.stuck_since.is_some();
            if run.serving.placement == Placement::InProcess {
                run.stuck_since.get_or_insert_with(clock::now);
            }
            if !was_stuck {
                kill(&run.serving, number, kind, &why);
            }
            None
        }
    }
}

/// What somebody cancelled says nothing against the plugin; what takes too long does.
fn why_it_is_ended(run: &Running) -> (DeathKind, String) {
    let occurrence = run.occurrence.id;
    if run.is_cancelled() {
        let grace = humantime::format_duration(run.bounds.cancel_grace);
        return (DeathKind::Killed, format!("run {occurrence} was cancelled and did not stop within {grace}"));
    }
    let limit = run.bounds.timeout.map_or(Duration::ZERO, |(limit, _)| limit);
    let limit = humantime::format_duration(limit);
    (DeathKind::Deadline, format!("deadline: run {occurrence} took longer than {limit} and did not stop when asked"))
}

/// Ends a process because of what does not stop in it. Threads of the host cannot be ended: that is said.
fn kill(serving: &Serving, number: u64, kind: DeathKind, why: &str) {
    if serving.placement == Placement::InProcess {
        let (plugin, generation) = (&serving.plugin, serving.generation);
        tracing::error!(plugin, generation, run = number, "{why}; its thread holds its place until it ends or the host is restarted");
        return;
    }
    // As above.
    let _gone = serving.orders.send(Order::Kill(Killing { kind, why: why.to_owned(), run: Some(number) }));
}

/// How long a run may take: what its event, its type and the plugin's settings say.
#[must_use]
pub fn bounds(occurrence: &Occurrence, snapshot: &Snapshot, serving: &Serving) -> Bounds {
    let of_type = snapshot.by_id.get(&occurrence.type_id).map_or_else(TimeLimit::default, |known| known.time_limit);
    time_limit::bounds(occurrence.wish.policy.time_limit(), of_type, serving.run_time)
}

fn action_goes_on(uid: &str, waited: Duration) -> String {
    format!("deadline: the action `{uid}` took longer than {} and did not stop when asked", humantime::format_duration(waited))
}

/// Why a run that stopped when asked has failed.
#[must_use]
pub fn stopped_in_time((limit, whose): (Duration, Limiter)) -> String {
    format!("deadline: it took longer than {} ({}) and was stopped", humantime::format_duration(limit), whose.place())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_takes_no_room_and_what_goes_on_keeps_its_place() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        let mut asked = 0;
        for number in 0..1_000_000 {
            agenda.note(now + Duration::from_secs(3_600 + number % 7), number, Step::Ask);
            if agenda.is_crowded() {
                asked += 1;
                agenda.keep(|number| number % 10_000 == 0);
            }
            assert!(agenda.steps.len() <= 2 * 100 + UNASKED + 1);
        }
        assert!(asked <= 1_000_000 / UNASKED, "looked through {asked} times");
        let far = now + Duration::from_secs(9_999);
        let kept = std::iter::from_fn(|| agenda.take_due(far)).filter(|(_, number, _)| number % 10_000 == 0).count();
        assert_eq!(kept, 100);
        assert_eq!(agenda.take_due(far), None);
    }
}
