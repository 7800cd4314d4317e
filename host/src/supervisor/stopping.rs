//! The supervisor's end: nothing new, what is half done is put back, everything is drained, and what does not end is killed.
//!
//! Not the end of runs (the engine's). What must hold: whoever waits is answered; what a verb wrote before it was done is as it was before; and
//! the end comes, at the latest a moment after the grace.

use super::keeper::Keeper;
use super::state::{Phase, Stage};
use crate::problem;
use sexton_loader::seam::{DeathKind, Killing, Order};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// What is killed at the host's end has so long to be gone.
const LAST_MOMENT: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Stopping { .. })
    }

    /// Answers everybody and lets everything end.
    pub(super) fn begin_stop(&mut self, grace: Duration, reply: Sender<()>) {
        self.doorbell = None;
        for waiting in std::mem::take(&mut self.unloads) {
            match waiting.stage {
                // It is decided and done: its generation ends with all others.
                Stage::Farewell(_) => self.answer_with_view(waiting.asker, &waiting.plugin),
                Stage::Runs(_) => waiting.asker.answer(Err(problem::stopping())),
            }
        }
        for verb in std::mem::take(&mut self.deferred) {
            verb.asker.answer(Err(problem::stopping()));
        }
        let generations: Vec<i64> = self.attempts.keys().copied().collect();
        for generation in generations {
            let Some(mut attempt) = self.attempts.remove(&generation) else { continue };
            self.dismiss(generation, &attempt);
            if let Some(path) = attempt.path.take() {
                self.undo(&path, &mut attempt.asker);
            }
            attempt.asker.answer(Err(problem::stopping()));
        }
        let names: Vec<String> = self.plugins.keys().cloned().collect();
        for name in names {
            if let Some(active) = self.plugins.get_mut(&name).and_then(|p| p.active.take()) {
                self.retire(&name, active);
            }
        }
        self.swap();
        let now = Instant::now();
        self.phase = Phase::Stopping { soon: now + LAST_MOMENT.min(grace), deadline: now + grace, killed: false, reply };
    }

    /// Processes that have not ended within the grace are killed, and get a moment for it.
    fn kill_at_the_end(&mut self) {
        let Phase::Stopping { soon, deadline, killed, .. } = &mut self.phase else { return };
        let now = Instant::now();
        let last = now >= *deadline && !*killed;
        if now < *soon || self.retiring.is_empty() {
            return;
        }
        if last {
            *killed = true;
            *deadline = now + LAST_MOMENT;
        }
        for left in self.retiring.values_mut().filter(|left| left.process) {
            if last || !std::mem::replace(&mut left.unloading, true) {
                let killing = Killing { kind: DeathKind::HostEnds, why: "the host ends".to_owned(), run: None };
                // If it is gone already, it says so itself.
                let _gone = left.orders.send(Order::Kill(killing));
            }
        }
    }

    /// Whether all is over; then whoever asked for the end is told.
    pub(super) fn stopped(&mut self) -> bool {
        self.kill_at_the_end();
        let Phase::Stopping { deadline, reply, .. } = &self.phase else { return false };
        let over = self.retiring.values().all(|left| left.stuck) || Instant::now() >= *deadline;
        if over {
            for (generation, left) in &self.retiring {
                tracing::warn!(plugin = left.plugin, generation, "a generation is left behind: it did not end within the grace");
            }
            let _gone = reply.send(());
        }
        over
    }
}
