//! How far runs are, as they say: kept for whoever asks, told to whoever listens, at most ten times a second for each run.
//!
//! Not a sign of life: a run that says nothing is not dead, and one that says much gets no more time. What must hold: the newest is told in the
//! end, however fast it came; nobody listening costs nothing.

use crate::engine::limits::NOTE_BYTES;
use crate::engine::shared::Shared;
use crate::engine::table::{Phase, Running};
use crate::engine::told::{HostEvent, OfRun};
use sexton_loader::shown;
use std::time::{Duration, Instant};

/// Between two tellings of one run, at least.
const APART: Duration = Duration::from_millis(100);

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all, if known; never fewer than are done.
    pub total: Option<u64>,
    /// For people: one line.
    pub note: String,
    /// When this run was told of last.
    told: Option<Instant>,
    /// Something newer than that is here.
    untold: bool,
}

impl Progress {
    /// As a plugin said it: a total that was counted too small grows, a note is one line and not too long.
    #[must_use]
    pub fn said(done: u64, total: Option<u64>, note: &str) -> Self {
        let note: String = note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { done, total: total.map(|total| total.max(done)), note: shown::cut(note.trim(), NOTE_BYTES), told: None, untold: true }
    }

    /// As the API has it.
    #[must_use]
    pub fn shown(&self) -> (u64, Option<u64>, String) {
        (self.done, self.total, self.note.clone())
    }
}

/// Notes how far a run has come; it needs no store and may be called from the thread that routes.
pub fn note(shared: &Shared, run: u64, done: u64, total: Option<u64>, note: &str) {
    let said = Progress::said(done, total, note);
    let mut rows = shared.table.rows();
    let Some(running) = rows.runs.get_mut(&run).filter(|r| r.phase != Phase::Ended) else { return };
    let told = running.progress.as_ref().and_then(|before| before.told);
    running.progress = Some(Progress { told, ..said });
    if !shared.observers.is_heard() {
        return;
    }
    let now = Instant::now();
    if told.is_some_and(|at| now.saturating_duration_since(at) < APART) {
        shared.observers.later(run);
    } else {
        tell(shared, running, now);
    }
}

/// The thread: tells what came too fast, until the end.
pub fn run(shared: &Shared) {
    while let Some(runs) = shared.observers.untold(APART) {
        for run in runs {
            let now = Instant::now();
            let mut rows = shared.table.rows();
            let Some(running) = rows.runs.get_mut(&run).filter(|r| r.phase != Phase::Ended) else { continue };
            let told = running.progress.as_ref().filter(|p| p.untold).map(|p| p.told);
            match told {
                // Told meanwhile, since enough time had passed; and there is something newer again.
                Some(Some(at)) if now.saturating_duration_since(at) < APART => shared.observers.later(run),
                Some(_) => tell(shared, running, now),
                None => {}
            }
        }
    }
}

/// Under the lock of the table, so that nothing older is told after it.
fn tell(shared: &Shared, running: &mut Running, now: Instant) {
    let Some(progress) = &mut running.progress else { return };
    (progress.told, progress.untold) = (Some(now), false);
    let progress = progress.shown();
    shared.observers.tell(|| HostEvent::Progress { run: of_run(running), progress });
}

/// Which run it is, for listeners.
#[must_use]
pub fn of_run(running: &Running) -> OfRun {
    let occurrence = &running.occurrence;
    OfRun {
        occurrence: occurrence.id,
        event_id: occurrence.id.event,
        event_type: occurrence.wish.event_type.clone(),
        bot: occurrence.wish.bot.clone(),
        attempt: occurrence.attempt,
        plugin: running.serving.plugin.clone(),
        generation: running.serving.generation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_made_fit_to_be_shown() {
        for ((done, total, note), shown) in [
            ((3, Some(9), "three"), (3, Some(9), "three".to_owned())),
            ((12, Some(10), ""), (12, Some(12), String::new())),
            ((u64::MAX, None, " a\nb\u{1b}[31m\r"), (u64::MAX, None, "a b [31m".to_owned())),
            ((0, Some(0), "é"), (0, Some(0), "é".to_owned())),
        ] {
            assert_eq!(Progress::said(done, total, note).shown(), shown);
        }
        let long = Progress::said(0, None, &"ü".repeat(1_000)).note;
        assert!(long.len() <= NOTE_BYTES && long.starts_with("üü") && long.ends_with(" bytes dropped]"), "{long}");
    }
}
