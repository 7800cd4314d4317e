//! A generation on its way in: opened in a runner, asked to load; for placement `in-process` opened once more, here.
//!
//! Not the inspection before it, nor the publishing after. What must hold: no code of a plugin runs in the host's process before a runner has
//! shown that it can be opened and loaded; where no runner can be had, the plugin is refused.

use super::asked::Asker;
use super::checking::died_while_checked;
use super::keeper::Keeper;
use super::lives::{Attempt, Image, Process};
use super::looks::Found;
use super::offer::HOST;
use super::state::Phase;
use crate::builtin;
use crate::plugin_settings::PluginSettings;
use crate::problem;
use crate::registry::Placement;
use chrono::Utc;
use sexton_core::{Blame, Refusal};
use sexton_loader::generation::{self, Opening};
use sexton_loader::inspect::{self, Inspected};
use sexton_loader::rejection::Rejection;
use sexton_loader::runner::{self, Start};
use sexton_loader::seam::{DeathKind, Farewell, Killing, Order};
use sexton_plugin_api::wire::{Batch, LoadOrder};
use sexton_store::rows::Actor;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Threads of the host's own jobs.
const BUILT_IN_THREADS: usize = 2;

impl Keeper {
    /// Opens an inspected file as a new generation and asks it to load. The answer comes as a report.
    pub(super) fn open(&mut self, path: &Path, found: Found, asker: Asker) {
        let Found { inspected, settings } = found;
        let (name, digest) = (inspected.identity.plugin.clone(), inspected.digest.clone());
        let store = &self.ground.store;
        let numbered = store.new_generation(&name, &digest, Utc::now()).map_err(|e| problem::from_store(&e));
        let adopted = numbered.and_then(|number| {
            let copy = inspect::adopt(&inspected, &self.ground.generations, number).map_err(|r| problem::from_rejection(&r))?;
            Ok((number, copy))
        });
        let (number, copy) = match adopted {
            Ok(adopted) => adopted,
            Err(refusal) => {
                inspect::discard(&inspected);
                return self.reject(path, refusal, Some(&digest), asker);
            }
        };
        for warning in &inspected.warnings {
            tracing::warn!(plugin = name, generation = number, "{warning}");
        }
        let placement = self.placement_of(&name, &digest, settings.placement);
        if placement != settings.placement {
            tracing::warn!(
                plugin = name,
                generation = number,
                "opened in a runner whatever its settings say: this code has taken a host down; `sexton plugin release {name}` trusts it again"
            );
        }
        let probe = placement == Placement::InProcess;
        // What the probe reports is told apart from what its successor will by the sign.
        let number = if probe { -number } else { number };
        let attempt = self.in_runner(number, path, Found { inspected, settings }, copy, asker);
        self.begin_load(number, Attempt { placement, probe, ..attempt });
    }

    /// The copy of an inspected file, in a process of its own that was not asked to load yet.
    pub(super) fn in_runner(&self, number: i64, path: &Path, found: Found, copy: PathBuf, asker: Asker) -> Attempt {
        let Found { inspected, settings } = found;
        let Inspected { identity, digest, size, warnings, signature, .. } = inspected;
        let (plugin, confinement) = (identity.plugin.clone(), settings.confinement.clone());
        let threads = confinement.limits.runs;
        let start = Start { plugin: plugin.clone(), generation: number, image: copy.clone(), threads, confinement, group: None };
        let runner::Opened { orders, usage, applied } = runner::open(&self.ground.runners, start, self.ground.reports.clone());
        Attempt {
            plugin,
            path: Some(path.to_owned()),
            digest,
            image: Some(Image { copy, identity, size, warnings, signature }),
            deadline: self.load_by(&settings),
            settings,
            placement: Placement::Runner,
            probe: false,
            process: Some(Process { usage, applied }),
            orders,
            asker,
            offered: None,
            check: None,
            inquiry: None,
        }
    }

    fn load_by(&self, settings: &PluginSettings) -> Instant {
        Instant::now() + settings.load_deadline.unwrap_or(self.limits.load)
    }

    /// The probe has shown that it can: the same copy, here.
    pub(super) fn open_here(&mut self, number: i64, probe: Attempt) {
        self.dismiss(number, &probe);
        // The copy is the successor's now.
        if let Some(ending) = self.retiring.get_mut(&number) {
            ending.copy = None;
        }
        let number = -number;
        let limits = &probe.settings.confinement.limits;
        let (plugin, image) = (probe.plugin.clone(), probe.image.as_ref().map(|i| i.copy.clone()).unwrap_or_default());
        let opening = Opening { plugin, generation: number, image, threads: limits.runs, log_lines: limits.log_lines };
        let orders = generation::open_in_process(opening, self.ground.reports.clone());
        let deadline = self.load_by(&probe.settings);
        let attempt = Attempt { placement: Placement::InProcess, probe: false, process: None, orders, deadline, offered: None, ..probe };
        self.begin_load(number, attempt);
    }

    /// Serves what is built into the host, in the way of a plugin that is always there.
    pub(super) fn serve_built_ins(&mut self) {
        let orders = generation::built_in(builtin::root(), HOST, 0, BUILT_IN_THREADS, self.ground.reports.clone());
        let attempt = Attempt {
            plugin: HOST.to_owned(),
            path: None,
            digest: String::new(),
            image: None,
            settings: PluginSettings::default(),
            placement: Placement::InProcess,
            probe: false,
            process: None,
            orders,
            asker: Asker { by: Actor(HOST.to_owned()), ..Asker::watcher() },
            deadline: Instant::now() + self.limits.load,
            offered: None,
            check: None,
            inquiry: None,
        };
        self.begin_load(0, attempt);
    }

    pub(super) fn begin_load(&mut self, number: i64, attempt: Attempt) {
        let PluginSettings { settings, log_level, .. } = attempt.settings.clone();
        self.ground.engine.opening(number, &attempt.plugin);
        // Should nobody be at the other end, `Gone` or the deadline says so.
        let _ended = attempt.orders.send(Order::Load(LoadOrder { plugin: attempt.plugin.clone(), settings, log_level }));
        self.attempts.insert(number, attempt);
    }

    /// `load` answered. At the start, batches with a type that the plugin does not own yet are held back until all have come, so that speed of
    /// loading decides nothing.
    pub(super) fn loaded(&mut self, number: i64, result: Result<Batch, Rejection>) {
        // A second answer is the plugin's invention: it must not start anything anew.
        if self.attempts.get(&number).is_some_and(|a| a.is_checking() || a.offered.is_some()) {
            return;
        }
        let starting = matches!(self.phase, Phase::Starting { .. });
        match result {
            Err(rejection) => {
                if let Some(attempt) = self.attempts.remove(&number) {
                    self.await_end(number, &attempt);
                    self.fail(attempt, problem::from_rejection(&rejection));
                }
            }
            Ok(batch) if starting && !self.owns_all(number, &batch) && !self.attempts.get(&number).is_some_and(|a| a.probe) => {
                if let Some(attempt) = self.attempts.get_mut(&number) {
                    attempt.offered = Some(batch);
                }
            }
            Ok(batch) => {
                if let Some(attempt) = self.attempts.remove(&number) {
                    self.offered(number, attempt, batch);
                }
            }
        }
    }

    fn owns_all(&self, number: i64, batch: &Batch) -> bool {
        let Some(attempt) = self.attempts.get(&number) else { return false };
        let owned: BTreeSet<&str> =
            self.rows.values().filter(|row| row.owner.as_ref() == Some(&attempt.plugin)).map(|row| row.event_type.as_str()).collect();
        batch.types.iter().all(|t| owned.contains(t.event_type.as_str()))
    }

    /// Its process ended, or its threads did, before `load` had answered.
    pub(super) fn ended_before_its_answer(&mut self, number: i64, attempt: Attempt, farewell: &Farewell) {
        self.await_end(number, &attempt);
        if let Some(death) = &farewell.death {
            self.died_again(number, &attempt, death);
        }
        let name = &attempt.plugin;
        let refusal = match &farewell.death {
            Some(death) if attempt.is_checking() => died_while_checked(&attempt, death),
            Some(death) => problem::from_rejection(&Rejection::died_while_loading(name, death)),
            None => Refusal::new("PLG015", Blame::Plugin, format!("plugin `{name}` ended before its `load` answered"))
                .found(super::lives::farewell_words(farewell)),
        };
        self.fail(attempt, refusal);
    }

    /// Gives up on those whose `load` takes too long: a process is ended; a library in the host's own is never closed under a running `load`, it goes
    /// when that returns.
    pub(super) fn end_overdue_loads(&mut self, now: Instant) {
        let overdue: Vec<i64> = self.attempts.iter().filter(|(_, a)| a.offered.is_none() && a.deadline <= now).map(|(n, _)| *n).collect();
        for number in overdue {
            let Some(attempt) = self.attempts.remove(&number) else { continue };
            if attempt.is_checking() {
                self.check_overdue(number, attempt);
                continue;
            }
            let limit = attempt.settings.load_deadline.unwrap_or(self.limits.load);
            let found = if attempt.process.is_some() {
                self.end_at_once(number, &attempt, limit);
                "it was still running; its process was ended"
            } else {
                self.dismiss(number, &attempt);
                "it is still running; its code is left alone and closed when it returns"
            };
            let refusal = Refusal::new("PLG036", Blame::Plugin, format!("`load` of plugin `{}` has not returned", attempt.plugin))
                .expected(format!("an answer within {limit:?}"))
                .found(found)
                .remedy("let `load` only register: what takes time belongs into a job");
            self.fail(attempt, refusal);
        }
    }

    fn end_at_once(&mut self, number: i64, attempt: &Attempt, limit: Duration) {
        let why = format!("deadline: `load` has not returned within {limit:?}");
        // If it is gone already, it says so itself.
        let _gone = attempt.orders.send(Order::Kill(Killing { kind: DeathKind::Deadline, why, run: None }));
        self.await_end(number, attempt);
    }
}
