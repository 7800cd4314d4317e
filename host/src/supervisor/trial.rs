//! A new build on trial: if it dies again and again before a single run of it has succeeded, the build before it comes back by itself.
//!
//! Not the quarantine of a build that was good once, nor the verb `rollback`. What must hold: the decision is stored once the earlier build
//! serves, not before; should that not come to serve, the new one is started again like any other; nobody is sent back twice for one change.

use super::asked::Asker;
use super::keeper::Keeper;
use super::lives::Active;
use super::reconcile::Cause;
use super::state::{Plugin, Restart};
use super::sweep;
use chrono::Utc;
use serde_json::json;
use sexton_loader::seam::Death;
use sexton_store::rows::{Actor, Decision, Verdict};
use std::time::{Duration, Instant};

/// A new build is on trial for so long.
const TRIAL: Duration = Duration::from_secs(60);
/// Deaths within it that send it back.
const DEATHS_MAX: usize = 3;
/// The new build is started again after that, should the earlier one not come to serve.
const OTHERWISE: Duration = Duration::from_secs(5);

/// A build that has still to show that it is no worse than the one before.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its digest.
    digest: String,
    /// The digest of what served before it.
    before: String,
    /// It has come through by then.
    until: Instant,
    /// Deaths so far.
    deaths: usize,
}

impl Plugin {
    /// A build has replaced another, or nothing. What is started again after a crash is still on trial, and of two builds on trial the first is
    /// no build to go back to.
    pub(super) fn begin_trial(&mut self, cause: Cause, digest: &str, old: Option<&Active>) {
        if cause == Cause::Restart {
            return;
        }
        let unproved = self
            .trial
            .take()
            .filter(|t| old.is_some_and(|o| t.digest == o.serving.digest && !o.serving.has_succeeded() && Instant::now() < t.until));
        let before = match (unproved, old) {
            (Some(trial), _) if trial.digest == digest => return self.trial = Some(trial),
            (Some(trial), _) => Some(trial.before),
            (None, old) => old.map(|o| o.serving.digest.clone()),
        };
        let new = before.filter(|before| before != digest && !cause.goes_back());
        self.trial = new.map(|before| Trial { digest: digest.to_owned(), before, until: Instant::now() + TRIAL, deaths: 0 });
    }

    /// Counts a death of what serves; the build to go back to, if that was one too many.
    fn count_on_trial(&mut self, active: &Active, now: Instant) -> Option<String> {
        let mut trial =
            self.trial.take().filter(|t| t.digest == active.serving.digest && now < t.until && !active.serving.has_succeeded())?;
        trial.deaths += 1;
        if trial.deaths >= DEATHS_MAX {
            return Some(trial.before);
        }
        self.trial = Some(trial);
        None
    }
}

impl Keeper {
    /// What served has died. True: it was on trial and is sent back, the build before it is on its way.
    pub(super) fn sent_back(&mut self, name: &str, active: &Active, death: &Death) -> bool {
        if !death.kind.blames_the_plugin() {
            return false;
        }
        let now = Instant::now();
        let Some(plugin) = self.plugins.get_mut(name) else { return false };
        let Some(before) = plugin.count_on_trial(active, now) else { return false };
        let (Some(path), Some(image)) = (plugin.path.clone(), &active.image) else { return false };
        if sweep::find(&self.ground.generations, name, &before).is_none() {
            tracing::warn!(plugin = name, digest = before, "the build before is not kept any more: the new one is started again instead");
            return false;
        }
        plugin.restart = Some(Restart { at: now + OTHERWISE, copy: image.copy.clone(), settings: active.settings.clone() });
        let digest = &active.serving.digest;
        let reason = format!("the new build died {DEATHS_MAX} times before one of its runs had succeeded; last of {}", death.cause);
        tracing::error!(plugin = name, digest, instead = before, "{reason}: the build before it is brought back");
        let host = Actor("host".to_owned());
        let detail = json!({"digest": digest, "crashes": DEATHS_MAX, "cause": death.cause, "instead": before, "reason": reason});
        self.audit(&host, "plugin.quarantine", name, detail);
        let asker = Asker { by: host, cause: Cause::SentBack, ..Asker::watcher() };
        self.serve_kept(&path, name, &before, asker);
        true
    }

    /// An earlier build serves: from now on by decision, as long as the directory shows what it shows now.
    pub(super) fn keep_earlier(&mut self, name: &str, cause: Cause, by: &Actor) {
        let Some(plugin) = self.plugins.get(name) else { return };
        let shown = plugin.path.as_ref().and_then(|path| self.files.get(path)).and_then(|f| f.digest.clone());
        let serve = plugin.active.as_ref().map(|a| a.serving.digest.clone());
        let verdict = if cause == Cause::SentBack { Verdict::Quarantine } else { Verdict::Rollback };
        // Of a file that could never be read nothing can be said but that it is not what serves.
        let decision = Decision { verdict, digest: shown.unwrap_or_default(), by: by.clone(), at: Utc::now(), serve };
        if let Err(refusal) = self.decide(name, Some(decision), by) {
            tracing::error!(plugin = name, %refusal, "that an earlier build serves is not stored: it holds until the plugin's file changes or the host is restarted");
        }
    }
}
