//! The verb `unload`: types withdrawn, runs waited for, the decision stored, the generation drained; or all put back.
//!
//! Not what follows a deleted file (`closing`). What must hold: an unload that is not done has changed nothing: the types are served again
//! and no decision stands.

use super::asked::Asker;
use super::keeper::Keeper;
use super::lives::Retiring;
use super::state::{Stage, Unloading};
use super::{UnloadMode, verbs};
use crate::registry::Placement;
use chrono::Utc;
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_loader::seam::{DeathKind, Killing, Order};
use sexton_store::rows::{Decision, Verdict};
use std::time::{Duration, Instant};

/// How long the answer waits for the generation to be gone, so that it can say what became of the memory.
const FAREWELL: Duration = Duration::from_secs(5);
/// Runs named in a refusal, at most.
const NAMED_MAX: usize = 10;

impl Keeper {
    /// Begins to unload. Nothing of the plugin may be under way.
    pub(super) fn begin_unload(&mut self, name: &str, mode: UnloadMode, wait: Duration, asker: Asker) {
        let Some(generation) = self.plugins.get(name).and_then(|p| p.active.as_ref()).map(|a| a.serving.generation) else {
            return self.unload_idle(name, mode, asker);
        };
        let here = self.plugins.get(name).and_then(|p| p.active.as_ref()).is_some_and(|a| a.serving.placement == Placement::InProcess);
        if here && mode == UnloadMode::Kill {
            return self.answer(asker, Err(threads_cannot_be_killed(name)));
        }
        if let Some(plugin) = self.plugins.get_mut(name) {
            plugin.withdrawn = true;
        }
        self.swap();
        let patience = if mode == UnloadMode::Wait { wait } else { Duration::ZERO };
        let stage = Stage::Runs(Instant::now() + patience);
        let unloading = Unloading { plugin: name.to_owned(), generation, stage, mode, asker };
        self.unloads.push(unloading);
        self.step_unloads(Instant::now());
    }

    /// Nothing serves: only the decision is left to be made, and what is on its way out to be killed, if that is wanted.
    fn unload_idle(&mut self, name: &str, mode: UnloadMode, asker: Asker) {
        let of_it = || self.retiring.iter().filter(|(_, r)| r.plugin == name && r.served);
        let (last, threads) = (of_it().filter(|(_, r)| r.process).map(|(n, _)| *n).next_back(), of_it().any(|(_, r)| !r.process));
        let last = last.filter(|_| mode == UnloadMode::Kill);
        if mode == UnloadMode::Kill && last.is_none() && threads {
            return self.answer(asker, Err(threads_cannot_be_killed(name)));
        }
        // Without a file there is nothing to decide against, but something to kill all the same.
        let is_listed = self.plugins.get(name).is_some_and(|p| p.path.is_some());
        let decided = if last.is_some() && !is_listed { Ok(()) } else { self.store_unload(name, &asker) };
        match (decided, last) {
            (Err(refusal), _) => self.answer(asker, Err(refusal)),
            (Ok(()), None) => self.answer_with_view(asker, name),
            (Ok(()), Some(generation)) => {
                self.audit(&asker.by, "plugin.unload", name, json!({"generation": generation, "types_removed": [], "kill": true}));
                self.kill_retiring(name, &asker);
                let stage = Stage::Farewell(Instant::now() + FAREWELL);
                self.unloads.push(Unloading { plugin: name.to_owned(), generation, stage, mode, asker });
            }
        }
    }

    /// Ends the processes of a plugin that are on their way out: they hold runs of it, too.
    fn kill_retiring(&self, name: &str, asker: &Asker) {
        let why = format!("killed: {} unloaded the plugin with its runs", asker.by.0);
        for retiring in self.retiring.values().filter(|r| r.plugin == name && r.process) {
            // If it is gone already, it says so itself.
            let _gone = retiring.orders.send(Order::Kill(Killing { kind: DeathKind::Killed, why: why.clone(), run: None }));
        }
    }

    /// Whether what an unload waits for is gone: its generation, or all that was killed with it.
    fn has_left(&self, unloading: &Unloading) -> bool {
        let killed = |r: &Retiring| unloading.mode == UnloadMode::Kill && r.process && r.served && r.plugin == unloading.plugin;
        !self.retiring.iter().any(|(generation, r)| *generation == unloading.generation || killed(r))
    }

    /// Lets every unload take its next step.
    pub(super) fn step_unloads(&mut self, now: Instant) {
        for unloading in std::mem::take(&mut self.unloads) {
            match unloading.stage {
                Stage::Runs(until) => self.step_runs(unloading, until, now),
                Stage::Farewell(until) if now >= until || self.has_left(&unloading) => {
                    self.answer_with_view(unloading.asker, &unloading.plugin);
                }
                Stage::Farewell(_) => self.unloads.push(unloading),
            }
        }
    }

    fn step_runs(&mut self, unloading: Unloading, until: Instant, now: Instant) {
        let flying = self.ground.engine.in_flight();
        let held: Vec<String> = flying
            .iter()
            .filter(|run| run.plugin == unloading.plugin)
            .map(|run| format!("{} ({}, since {})", run.occurrence, run.event_type, run.started_at.format("%H:%M:%S UTC")))
            .collect();
        if held.is_empty() || unloading.mode != UnloadMode::Wait {
            self.conclude(unloading, now);
        } else if now >= until {
            self.put_back(&unloading.plugin);
            let refusal = still_running(&unloading.plugin, &held);
            self.answer(unloading.asker, Err(refusal));
        } else {
            self.unloads.push(unloading);
        }
    }

    /// The decision is stored first: if it cannot be, nothing was done.
    fn conclude(&mut self, mut unloading: Unloading, now: Instant) {
        let name = unloading.plugin.clone();
        if let Err(refusal) = self.store_unload(&name, &unloading.asker) {
            self.put_back(&name);
            return self.answer(unloading.asker, Err(refusal));
        }
        let active = self.plugins.get_mut(&name).and_then(|p| {
            p.withdrawn = false;
            p.active.take()
        });
        if let Some(active) = active {
            let detail = json!({
                "generation": unloading.generation,
                "digest_from": active.serving.digest,
                "types_removed": active.types,
                "abandon": unloading.mode == UnloadMode::Abandon,
                "kill": unloading.mode == UnloadMode::Kill,
            });
            self.audit(&unloading.asker.by, "plugin.unload", &name, detail);
            self.retire(&name, active);
            if unloading.mode == UnloadMode::Kill {
                self.kill_retiring(&name, &unloading.asker);
            }
        }
        self.swap();
        if unloading.mode == UnloadMode::Abandon {
            return self.answer_with_view(unloading.asker, &name);
        }
        unloading.stage = Stage::Farewell(now + FAREWELL);
        self.unloads.push(unloading);
    }

    fn put_back(&mut self, name: &str) {
        if let Some(plugin) = self.plugins.get_mut(name) {
            plugin.withdrawn = false;
        }
        self.swap();
    }

    /// Decides against the digest that the directory shows, or else the one that serves.
    fn store_unload(&mut self, name: &str, asker: &Asker) -> Result<(), Refusal> {
        let plugin = self.plugins.get(name).ok_or_else(|| verbs::no_such(name))?;
        let file = plugin.path.as_ref().and_then(|p| self.files.get(p));
        let shown = file.and_then(|f| f.digest.clone());
        let Some(digest) = shown.or_else(|| plugin.active.as_ref().map(|a| a.serving.digest.clone())) else {
            return Err(file.and_then(|f| f.rejection.clone()).unwrap_or_else(|| verbs::no_such(name)));
        };
        let decision = Decision { verdict: Verdict::Unload, digest, by: asker.by.clone(), at: Utc::now(), serve: None };
        self.decide(name, Some(decision), &asker.by)
    }
}

fn threads_cannot_be_killed(plugin: &str) -> Refusal {
    Refusal::new(
        "PLG052",
        Blame::Input,
        format!("plugin `{plugin}` runs in the host's own process: its runs cannot be killed without the host"),
    )
    .expected("a plugin with placement `runner`")
    .found("placement `in-process`")
    .remedy(format!("unload it with `--abandon`, or place it in a process first: `sexton plugin place {plugin} runner`"))
}

fn still_running(plugin: &str, held: &[String]) -> Refusal {
    let mut named = held.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if held.len() > NAMED_MAX {
        named.push_str(", …");
    }
    let count = held.len();
    let runs = if count == 1 { "1 run is".to_owned() } else { format!("{count} runs are") };
    Refusal::new("PLG035", Blame::Plugin, format!("plugin `{plugin}` was not unloaded and serves as before: {runs} still under way"))
        .expected("no run of it under way within the time given")
        .found(named)
        .remedy("wait longer, stop them with `sexton run cancel`, unload with `--abandon` to leave them to themselves, or with `--kill` to end its process")
}
