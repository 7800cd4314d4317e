//! A generation on its way out: drained, unloaded, gone; and plugins whose file is gone.
//!
//! Not the verb `unload` (`unloading`). What must hold: a generation is told to unload only after it said that nothing runs in it; its private
//! copy stays until it is gone; and only one that served, whose runs may take as long as they may, has no deadline.

use super::diff::is_inquiry;
use super::keeper::Keeper;
use super::lives::{Active, Attempt, Retiring, farewell_words};
use super::offer::HOST;
use super::{GenerationView, sweep};
use crate::problem;
use chrono::Utc;
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_loader::seam::{DeathKind, Farewell, Killing, Memory, Order};
use sexton_store::rows::Actor;
use std::collections::BTreeSet;
use std::time::Instant;

/// Gone generations that `show` still names.
const PAST_MAX: usize = 10;

impl Keeper {
    /// Lets a generation that served end: no new runs, then `Quiescent`, then `unload`.
    pub(super) fn retire(&mut self, plugin: &str, active: Active) {
        let Active { serving, image, process, .. } = active;
        let retiring = Retiring {
            plugin: plugin.to_owned(),
            digest: serving.digest.clone(),
            copy: image.map(|i| i.copy),
            process: process.is_some(),
            orders: serving.orders.clone(),
            served: true,
            since: Instant::now(),
            unloading: false,
            overdue: None,
            stuck: false,
        };
        self.drain(serving.generation, retiring);
    }

    /// Lets a generation that never served end.
    pub(super) fn dismiss(&mut self, generation: i64, attempt: &Attempt) {
        self.drain(generation, self.unserved(attempt, false));
    }

    /// Waits for the end of a generation that is ending by itself.
    pub(super) fn await_end(&mut self, generation: i64, attempt: &Attempt) {
        self.retiring.insert(generation, self.unserved(attempt, true));
    }

    fn unserved(&self, attempt: &Attempt, unloading: bool) -> Retiring {
        Retiring {
            plugin: attempt.plugin.clone(),
            digest: attempt.digest.clone(),
            copy: attempt.image.as_ref().map(|i| i.copy.clone()),
            process: attempt.process.is_some(),
            orders: attempt.orders.clone(),
            served: false,
            since: Instant::now(),
            unloading,
            overdue: Some(Instant::now() + self.limits.unload),
            stuck: false,
        }
    }

    fn drain(&mut self, generation: i64, mut retiring: Retiring) {
        if retiring.orders.send(Order::Drain).is_err() {
            // It is dead; of what, its `Gone` says, which is on its way.
            retiring.unloading = true;
            retiring.overdue.get_or_insert(Instant::now() + self.limits.unload);
        }
        self.retiring.insert(generation, retiring);
    }

    /// Nothing runs in it any more.
    pub(super) fn quiescent(&mut self, generation: i64) {
        let overdue = Instant::now() + self.limits.unload;
        let Some(retiring) = self.retiring.get_mut(&generation).filter(|r| !r.unloading) else { return };
        retiring.unloading = true;
        retiring.overdue = Some(overdue);
        // If it is gone already, it says so itself.
        let _gone = retiring.orders.send(Order::Unload);
    }

    /// Gives up on those that take too long to end: a process is ended, threads of the host are left behind and named.
    pub(super) fn end_overdue(&mut self, now: Instant) {
        let overdue: Vec<i64> = self.retiring.iter().filter(|(_, r)| r.overdue.is_some_and(|at| at <= now)).map(|(n, _)| *n).collect();
        for generation in overdue {
            let Some(retiring) = self.retiring.get_mut(&generation) else { continue };
            retiring.overdue = None;
            let limit = self.limits.unload;
            let why = match retiring.served {
                true => format!("deadline: `unload` has not returned within {limit:?}"),
                false => format!("deadline: it never served, and has not ended within {limit:?}"),
            };
            tracing::warn!(plugin = retiring.plugin, generation, "{why}");
            if retiring.process {
                let killing = Killing { kind: DeathKind::Deadline, why, run: None };
                if retiring.orders.send(Order::Kill(killing)).is_err() {
                    // It has been dead for so long, and nobody is left to say of what.
                    self.gone(generation, &left_behind("it ended without a farewell"));
                }
            } else if retiring.unloading {
                self.gone(generation, &left_behind("it has not returned from its end; its code stays until the host is restarted"));
            } else {
                // Inside its `load`, most likely. It still counts among those that hang, until it returns.
                retiring.stuck = true;
            }
        }
    }

    /// The life of a generation is over.
    pub(super) fn gone(&mut self, generation: i64, farewell: &Farewell) {
        if let Some(retiring) = self.retiring.remove(&generation) {
            self.bury(generation, retiring, farewell);
        } else if let Some(attempt) = self.attempts.remove(&generation) {
            self.ended_before_its_answer(generation, attempt, farewell);
            self.gone(generation, farewell);
        } else {
            self.lost(generation, farewell);
        }
        // A build may wait for the room.
        self.look_by(Instant::now());
    }

    fn bury(&mut self, generation: i64, retiring: Retiring, farewell: &Farewell) {
        let state = farewell_words(farewell);
        let drained_ms = u64::try_from(retiring.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(plugin = retiring.plugin, generation, drained_ms, "{state}");
        if retiring.served {
            let detail = json!({"generation": generation, "digest": retiring.digest, "drained_ms": drained_ms, "residue": state});
            self.audit(&Actor("host".to_owned()), "plugin.retire", &retiring.plugin, detail);
        }
        if is_inquiry(generation) {
            return retiring.copy.iter().for_each(|copy| sweep::remove(copy));
        }
        let plugin = self.plugins.entry(retiring.plugin).or_default();
        // A probe, or a build that was only looked at, is no generation to anybody else.
        if generation > 0 {
            plugin.past.push_back(GenerationView { generation, state, digest: retiring.digest });
        }
        if plugin.past.len() > PAST_MAX {
            plugin.past.pop_front();
        }
        match retiring.copy {
            // Its code is still mapped: the file stays until the next start of the host sweeps it.
            Some(_) if matches!(farewell.memory, Memory::Lingering { .. }) => {}
            Some(copy) if retiring.served => {
                plugin.copies.push_back(copy);
                plugin.trim_copies();
            }
            Some(copy) => sweep::remove(&copy),
            None => {}
        }
    }

    /// A serving generation that ended unasked: its types wait, unresolved, until the file changes or somebody loads it.
    fn lost(&mut self, generation: i64, farewell: &Farewell) {
        let mut plugins = self.plugins.iter_mut();
        let Some((name, plugin)) = plugins.find(|(_, p)| p.active.as_ref().is_some_and(|a| a.serving.generation == generation)) else {
            return;
        };
        let (name, Some(active)) = (name.clone(), plugin.active.take()) else { return };
        self.swap();
        match &farewell.death {
            Some(death) => self.crashed(&name, &active, death),
            None => tracing::error!(plugin = name, generation, "a serving generation ended unasked: {}", farewell_words(farewell)),
        }
        let retiring = Retiring {
            plugin: name,
            digest: active.serving.digest.clone(),
            // Kept: it may be started again from it.
            copy: active.image.map(|i| i.copy),
            process: active.process.is_some(),
            orders: active.serving.orders.clone(),
            served: true,
            since: Instant::now(),
            unloading: true,
            overdue: None,
            stuck: false,
        };
        self.bury(generation, retiring, farewell);
    }

    /// The file of a plugin is gone: its types are withdrawn, what runs may end, and no decision stands any longer.
    pub(super) fn plugin_gone(&mut self, name: &str) {
        let watcher = Actor("watcher".to_owned());
        let Some(plugin) = self.plugins.get_mut(name) else { return };
        plugin.path = None;
        plugin.withdrawn = false;
        plugin.restart = None;
        let active = plugin.active.take();
        self.swap();
        let types = active.as_ref().map(|a| a.types.clone()).unwrap_or_default();
        if let Some(active) = active {
            self.retire(name, active);
        }
        let released = self.forget(name);
        self.audit(
            &watcher,
            "plugin.unload",
            name,
            json!({"reason": "its file is gone", "types_removed": types, "types_released": released}),
        );
        tracing::info!(plugin = name, "its file is gone: its event types wait for somebody to serve them");
    }

    /// What was decided about plugins whose file went while no host ran, and what they own unused, is forgotten: once, at the end of the
    /// start or as soon as the directory is seen whole.
    pub(super) fn forget_absent(&mut self) {
        if self.directory_away || self.directory_crowded {
            return;
        }
        self.forget_due = false;
        let owners = self.rows.values().filter_map(|row| row.owner.clone());
        let decided = self.plugins.iter().filter(|(_, p)| p.decision.is_some()).map(|(name, _)| name.clone());
        let known: BTreeSet<String> = owners.chain(decided).filter(|name| name != HOST).collect();
        let absent: Vec<String> = known.into_iter().filter(|name| self.surely_absent(name)).collect();
        for name in absent {
            self.forget(&name);
        }
    }

    /// No decision stands about a plugin whose file is gone, and no type of which no event is left. Answers the latter.
    fn forget(&mut self, name: &str) -> Vec<String> {
        let decided = self.plugins.get(name).is_some_and(|p| p.decision.is_some());
        if decided && let Err(refusal) = self.decide(name, None, &Actor("watcher".to_owned())) {
            tracing::warn!(plugin = name, %refusal, "the decision about a plugin whose file is gone cannot be ended");
        }
        self.release_unused(name)
    }

    /// Lets the store forget who owned the types of which no event is left.
    pub(super) fn release_unused(&mut self, plugin: &str) -> Vec<String> {
        let watcher = Actor("watcher".to_owned());
        let released = match self.ground.store.release_unused(plugin, &watcher, Utc::now()) {
            Ok(released) => released,
            Err(e) => {
                tracing::warn!(plugin, refusal = %problem::from_store(&e), "ownership of unused types stays as it is");
                return Vec::new();
            }
        };
        if !released.is_empty() {
            self.refresh_types();
            self.swap();
        }
        released
    }

    /// What stands in the way of something new for a plugin: one thing at a time, and room for the old generation to drain.
    pub(super) fn busy(&self, plugin: &str) -> Option<Refusal> {
        self.under_way(plugin).or_else(|| self.no_room(plugin))
    }

    /// A load or unload of the plugin that is under way.
    pub(super) fn under_way(&self, plugin: &str) -> Option<Refusal> {
        let what = if self.attempts.values().any(|a| a.plugin == plugin && a.inquiry.is_none()) {
            "loaded"
        } else if self.unloads.iter().any(|u| u.plugin == plugin) {
            "unloaded"
        } else {
            return None;
        };
        let message = format!("plugin `{plugin}` is being {what} just now, and that has not ended in time");
        Some(Refusal::new("PLG042", Blame::World, message).remedy("ask again when `sexton plugin show` says that it is over"))
    }

    /// As many generations drain as may, or as many builds hang in their `load`.
    pub(super) fn no_room(&self, plugin: &str) -> Option<Refusal> {
        let hanging = self.retiring.values().filter(|r| !r.served && r.plugin == plugin).count();
        if hanging >= self.limits.hanging_max {
            let message =
                format!("{hanging} builds of plugin `{plugin}` are still ending, most likely inside a `load` that does not return");
            let remedy = "let `load` only register; a restart of the host ends those that hang";
            return Some(Refusal::new("PLG036", Blame::Plugin, message).expected("`load` answers and returns").remedy(remedy));
        }
        let of_it = |r: &Retiring| r.served && r.plugin == plugin;
        let draining: Vec<i64> = self.retiring.iter().filter(|(_, r)| of_it(r)).map(|(n, _)| *n).collect();
        let here = self.retiring.values().filter(|r| of_it(r) && !r.process).count();
        let (processes, threads) = self.limits.draining_max;
        if draining.len() < processes && here < threads {
            return None;
        }
        let flying = self.ground.engine.in_flight();
        let holders: BTreeSet<String> =
            flying.iter().filter(|r| draining.contains(&r.generation)).map(|r| r.occurrence.to_string()).collect();
        let held = if holders.is_empty() { "no run; they are being closed".to_owned() } else { format!("the runs {}", names(&holders)) };
        let numbers = draining.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("a new build of plugin `{plugin}` waits: its generations {numbers} are still draining, held by {held}");
        let refusal = Refusal::new("PLG037", Blame::Plugin, message)
            .expected(format!("fewer than {} draining generations", if here >= threads { threads } else { processes }));
        Some(refusal.remedy("let those runs end, or stop them with `sexton run cancel`; the build is taken by itself then"))
    }
}

fn left_behind(why: &str) -> Farewell {
    Farewell { memory: Memory::Lingering { why: why.to_owned() }, unload: None, death: None }
}

/// The names of a set, for a sentence.
fn names(set: &BTreeSet<String>) -> String {
    set.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
