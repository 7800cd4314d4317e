//! What follows when the process of a serving generation dies: started again with more and more patience, and at last quarantined.
//!
//! Not the runs of it (the engine's), not the post-mortem (the loader's), not the way back from a new build (`trial`). What must hold: a crash is counted against the digest, durably, so that
//! neither a restart of the host nor a reload of the same bytes forgets it; a changed file is a new chance.

use super::asked::Asker;
use super::keeper::Keeper;
use super::lives::{Active, Attempt};
use super::looks::Found;
use super::reconcile::Cause;
use super::state::Restart;
use crate::problem;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use sexton_loader::inspect;
use sexton_loader::seam::{Death, Placement};
use sexton_store::rows::{Actor, Crash, Decision, Verdict};
use std::time::{Duration, Instant};

/// Crashes count together for so long.
const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// So many within the window, and the digest is quarantined. More than one poisonous occurrence can cause by itself
/// (`sexton_core::decide::POISON_INTERRUPTIONS`): its dead letter must not take the plugin along.
pub const CRASHES_MAX: usize = 10;
/// Before the second, third … start after a crash. The first is at once: most crashes are the only one.
const BACKOFF: [Duration; 5] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// Between two starts of which the first came to nothing.
const AGAIN: Duration = Duration::from_secs(5);
/// An in-process crash keeps a digest out of the host's process for so long.
const DISTRUST: TimeDelta = TimeDelta::days(30);

impl Keeper {
    /// The process of what served has died: counts it, and decides whether it is started again. The generation is out of the snapshot already.
    pub(super) fn crashed(&mut self, name: &str, active: &Active, death: &Death) {
        let (generation, digest) = (active.serving.generation, active.serving.digest.clone());
        let detail = json!({"generation": generation, "digest": digest, "kind": death.kind, "cause": death.cause});
        let host = Actor("host".to_owned());
        self.audit(&host, "plugin.crash", name, detail);
        let count = self.count(name, &digest, generation, active.serving.placement, death);
        let plugin = self.plugins.entry(name.to_owned()).or_default();
        plugin.crashes += 1;
        plugin.last_death = Some(death.cause.clone());
        if count >= CRASHES_MAX {
            return self.quarantine(name, &digest, count, death);
        }
        if self.sent_back(name, active, death) {
            return;
        }
        let Some(image) = &active.image else { return };
        let Some(plugin) = self.plugins.get_mut(name) else { return };
        let patience = BACKOFF[count.saturating_sub(1).min(BACKOFF.len() - 1)];
        plugin.restart = Some(Restart { at: Instant::now() + patience, copy: image.copy.clone(), settings: active.settings.clone() });
        tracing::error!(
            plugin = name,
            generation,
            crashes = count,
            again_in_ms = patience.as_millis(),
            "its process died: {}",
            death.cause
        );
    }

    /// Remembers a death, if the plugin is to blame; how many there are within the window.
    fn count(&self, name: &str, digest: &str, generation: i64, placement: Placement, death: &Death) -> usize {
        if death.kind.blames_the_plugin() {
            let (plugin, digest, placement) = (name.to_owned(), digest.to_owned(), placement.name().to_owned());
            let crash = Crash { plugin, digest, generation, placement, cause: death.cause.clone(), at: Utc::now() };
            if let Err(error) = self.ground.store.crashed(&crash) {
                tracing::warn!(plugin = name, refusal = %problem::from_store(&error), "a crash is not counted");
            }
        }
        self.crashes_of(name, digest)
    }

    /// What was started again after a crash has died before it served: counted like any other death. The start is due again by itself.
    pub(super) fn died_again(&mut self, number: i64, attempt: &Attempt, death: &Death) {
        if attempt.asker.cause != Cause::Restart {
            return;
        }
        let count = self.count(&attempt.plugin, &attempt.digest, number.abs(), attempt.placement, death);
        if count >= CRASHES_MAX {
            self.quarantine(&attempt.plugin, &attempt.digest, count, death);
        }
    }

    fn crashes_of(&self, name: &str, digest: &str) -> usize {
        match self.ground.store.crashes(name, Utc::now() - WINDOW) {
            Ok(crashes) => crashes.iter().filter(|c| c.digest == digest).count(),
            Err(error) => {
                tracing::warn!(plugin = name, refusal = %problem::from_store(&error), "crashes cannot be counted");
                0
            }
        }
    }

    fn quarantine(&mut self, name: &str, digest: &str, count: usize, death: &Death) {
        if let Some(plugin) = self.plugins.get_mut(name) {
            plugin.restart = None;
        }
        // Against what the directory shows: that is what a changed file changes.
        let shown =
            self.plugins.get(name).and_then(|p| p.path.as_ref()).and_then(|path| self.files.get(path)).and_then(|f| f.digest.clone());
        let host = Actor("host".to_owned());
        let decision = Decision {
            verdict: Verdict::Quarantine,
            digest: shown.unwrap_or_else(|| digest.to_owned()),
            by: host.clone(),
            at: Utc::now(),
            serve: None,
        };
        if let Err(refusal) = self.decide(name, Some(decision), &host) {
            tracing::warn!(plugin = name, %refusal, "the quarantine is not stored: it holds until the host is restarted");
        }
        tracing::error!(
            plugin = name,
            crashes = count,
            "quarantined: its process died {count} times within {} minutes, last of {}; a changed file, or `sexton plugin release {name}`, ends that",
            WINDOW.num_minutes(),
            death.cause
        );
        self.audit(&host, "plugin.quarantine", name, json!({"digest": digest, "crashes": count, "cause": death.cause}));
    }

    /// Starts again what is due to be.
    pub(super) fn step_restarts(&mut self, now: Instant) {
        let due: Vec<String> = self
            .plugins
            .iter()
            .filter(|(name, p)| p.restart.as_ref().is_some_and(|r| r.at <= now) && self.under_way(name).is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(plugin) = self.plugins.get_mut(&name) else { continue };
            let (Some(mut restart), Some(path)) = (plugin.restart.take(), plugin.path.clone()) else { continue };
            if plugin.active.is_some() || plugin.kept_out() {
                continue;
            }
            plugin.restarts += 1;
            // Until it serves: a start that fails, for whatever reason, is made again.
            restart.at = now + AGAIN;
            plugin.restart = Some(restart.clone());
            let rules = self.rules_for(&restart.settings);
            // Its signature was judged when it first came: it stands beside the operator's file, not beside the copy.
            let rules = inspect::Rules { signatures: inspect::Signatures::default(), ..rules };
            let asker = Asker { by: Actor("host".to_owned()), cause: Cause::Restart, ..Asker::watcher() };
            match inspect::inspect(&restart.copy, &self.ground.generations, &rules) {
                Ok(inspected) => self.open(&path, Found { inspected, settings: restart.settings }, asker),
                Err(rejection) => self.reject(&path, problem::from_rejection(&rejection), None, asker),
            }
        }
    }

    /// Code that took a host down runs in a runner from then on, whatever its settings say, until somebody trusts it again.
    pub(super) fn placement_of(&self, name: &str, digest: &str, wanted: Placement) -> Placement {
        if wanted == Placement::Runner {
            return wanted;
        }
        let crashes = self.ground.store.crashes(name, Utc::now() - DISTRUST).unwrap_or_default();
        let took_it_down = crashes.iter().any(|c| c.digest == digest && c.placement == Placement::InProcess.name());
        if took_it_down { Placement::Runner } else { wanted }
    }
}
