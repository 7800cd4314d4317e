//! A generation on its way in: opened, asked to load, checked, published, active.
//!
//! Not the inspection before it. What must hold: whatever fails before the store has published leaves what serves serving; after that
//! nothing can fail any more.

use super::keeper::Keeper;
use super::looks::Found;
use super::offer::{self, HOST};
use super::state::{Active, Asker, Attempt, Image, Phase};
use crate::builtin;
use crate::plugin_settings::PluginSettings;
use crate::problem;
use crate::registry::{Placement, Serving};
use chrono::Utc;
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_loader::generation::{self, Opening};
use sexton_loader::inspect;
use sexton_loader::rejection::Rejection;
use sexton_loader::seam::Order;
use sexton_loader::shown::shown;
use sexton_plugin_api::wire::{ActionOffer, Batch, LoadOrder};
use sexton_store::rows::Actor;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Job threads of a generation, at most.
const JOB_THREADS: usize = 32;
/// Runs handed to a generation and not yet ended, at most.
const IN_FLIGHT_MAX: usize = 2 * JOB_THREADS;
/// Threads of the host's own jobs.
const BUILT_IN_THREADS: usize = 2;

/// What a published generation serves.
struct Published {
    types: Vec<String>,
    actions: Vec<ActionOffer>,
}

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
        let opening = Opening { plugin: name.clone(), generation: number, image: copy.clone(), threads: JOB_THREADS };
        let orders = generation::open_in_process(opening, self.ground.reports.clone());
        let image = Some(Image { copy, identity: inspected.identity, size: inspected.size });
        let deadline = Instant::now() + self.limits.load;
        let attempt =
            Attempt { plugin: name, path: Some(path.to_owned()), digest, image, settings, orders, asker, deadline, offered: None };
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
            orders,
            asker: Asker { by: Actor(HOST.to_owned()), ..Asker::watcher() },
            deadline: Instant::now() + self.limits.load,
            offered: None,
        };
        self.begin_load(0, attempt);
    }

    fn begin_load(&mut self, number: i64, attempt: Attempt) {
        let PluginSettings { settings, log_level } = attempt.settings.clone();
        self.ground.engine.opening(number, &attempt.plugin);
        // Should nobody be at the other end, `Gone` or the deadline says so.
        let _ended = attempt.orders.send(Order::Load(LoadOrder { plugin: attempt.plugin.clone(), settings, log_level }));
        self.attempts.insert(number, attempt);
    }

    /// `load` answered. At the start, batches with a type that the plugin does not own yet are held back until all have come, so that speed of
    /// loading decides nothing.
    pub(super) fn loaded(&mut self, number: i64, result: Result<Batch, Rejection>) {
        let starting = matches!(self.phase, Phase::Starting { .. });
        match result {
            Err(rejection) => {
                if let Some(attempt) = self.attempts.remove(&number) {
                    self.await_end(number, &attempt);
                    self.fail(attempt, problem::from_rejection(&rejection));
                }
            }
            Ok(batch) if starting && !self.owns_all(number, &batch) => {
                if let Some(attempt) = self.attempts.get_mut(&number) {
                    attempt.offered = Some(batch);
                }
            }
            Ok(batch) => {
                if let Some(attempt) = self.attempts.remove(&number) {
                    self.publish(number, attempt, batch);
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

    /// Publishes what was held back: the host's own first, then by path.
    pub(super) fn publish_offered(&mut self) {
        let mut held: Vec<(i64, Attempt)> = std::mem::take(&mut self.attempts).into_iter().collect();
        held.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        for (number, mut attempt) in held {
            match attempt.offered.take() {
                Some(batch) => self.publish(number, attempt, batch),
                None => {
                    self.attempts.insert(number, attempt);
                }
            }
        }
    }

    /// Gives up on those whose `load` takes too long. A library is never closed under a running `load`: it goes when that returns.
    pub(super) fn end_overdue_loads(&mut self, now: Instant) {
        let overdue: Vec<i64> = self.attempts.iter().filter(|(_, a)| a.offered.is_none() && a.deadline <= now).map(|(n, _)| *n).collect();
        for number in overdue {
            let Some(attempt) = self.attempts.remove(&number) else { continue };
            self.dismiss(number, &attempt);
            let limit = self.limits.load;
            let refusal = Refusal::new("PLG036", Blame::Plugin, format!("`load` of plugin `{}` has not returned", attempt.plugin))
                .expected(format!("an answer within {limit:?}"))
                .found("it is still running; its code is left alone and closed when it returns")
                .remedy("let `load` only register: what takes time belongs into a job");
            self.fail(attempt, refusal);
        }
    }

    fn publish(&mut self, number: i64, attempt: Attempt, batch: Batch) {
        match self.commit(number, &attempt, batch) {
            Ok(published) => self.activate(number, attempt, published),
            Err(refusal) => {
                self.dismiss(number, &attempt);
                self.fail(attempt, refusal);
            }
        }
    }

    /// Everything that may still be refused, the store's word last.
    fn commit(&mut self, number: i64, attempt: &Attempt, batch: Batch) -> Result<Published, Refusal> {
        self.let_go_of_absent_owners(&attempt.plugin, &batch);
        let checked = offer::check(&attempt.plugin, batch, &self.ground.registry.now())?;
        let mut standing = Vec::with_capacity(checked.standing.len());
        for event in &checked.standing {
            let settled = self.ground.engine.standing(event, &checked.validators[&event.event_type]);
            standing.push(settled.map_err(|inner| offer::standing_refused(&attempt.plugin, &event.key, inner))?);
        }
        let Self { ground, .. } = &*self;
        let by = &attempt.asker.by;
        let rows = ground
            .store
            .publish(&ground.lease, &attempt.plugin, number, &checked.offers, &standing, by, Utc::now())
            .map_err(|e| problem::from_store(&e))?;
        self.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        let types = checked.offers.into_iter().map(|o| o.event_type).collect();
        Ok(Published { types, actions: checked.actions })
    }

    /// A plugin whose file is gone keeps only the types of which an event is left.
    fn let_go_of_absent_owners(&mut self, plugin: &str, batch: &Batch) {
        let offered: BTreeSet<&str> = batch.types.iter().map(|t| t.event_type.as_str()).collect();
        let wanted = self.rows.values().filter(|row| offered.contains(row.event_type.as_str()));
        let owners: BTreeSet<String> = wanted.filter_map(|row| row.owner.clone()).filter(|o| o != plugin && o != HOST).collect();
        let absent: Vec<String> = owners.into_iter().filter(|o| self.surely_absent(o)).collect();
        for owner in absent {
            self.release_unused(&owner);
        }
    }

    /// No file of the directory can be the plugin's, not even one that could not be read. Of a directory that was not seen whole, nothing
    /// is said to be absent.
    pub(super) fn surely_absent(&self, plugin: &str) -> bool {
        if self.directory_away || self.directory_crowded {
            return false;
        }
        let has_file = self.plugins.get(plugin).is_some_and(|p| p.path.is_some() || p.active.is_some());
        !has_file && self.files.values().all(|f| f.name.is_some() || f.rejection.as_ref().is_some_and(|r| r.code == "PLG030"))
    }

    /// From here on nothing can fail: the store has published.
    fn activate(&mut self, number: i64, attempt: Attempt, published: Published) {
        let Attempt { plugin: name, path, digest, image, settings, orders, asker, .. } = attempt;
        let placement = Placement::InProcess;
        let serving = Arc::new(Serving {
            plugin: name.clone(),
            generation: number,
            digest: digest.clone(),
            placement,
            orders,
            in_flight_max: IN_FLIGHT_MAX,
        });
        // Before it may ask anything: who serves neither types nor actions is in no snapshot, and is answered all the same.
        self.ground.engine.introduce(&serving);
        // Before the swap: orders keep their sequence, so that no run can come before it.
        let _ended = serving.orders.send(Order::Activate);
        let Published { types, actions } = published;
        let offered: BTreeSet<String> = types.iter().cloned().collect();
        let active = Active { serving, types, actions, settings, image };
        let plugin = self.plugins.entry(name.clone()).or_default();
        plugin.withdrawn = false;
        plugin.last_digest = Some(digest.clone());
        let old = plugin.active.replace(active);
        self.swap();
        let before: BTreeSet<String> = old.iter().flat_map(|o| o.types.iter().cloned()).collect();
        let detail = json!({
            "generation": number,
            "digest_from": old.as_ref().map(|o| o.serving.digest.clone()),
            "digest_to": digest,
            "path": path.as_deref().map(shown),
            "types_added": offered.difference(&before).collect::<Vec<_>>(),
            "types_removed": before.difference(&offered).collect::<Vec<_>>(),
        });
        let verb = if old.is_some() { "plugin.reload" } else { "plugin.load" };
        tracing::info!(plugin = name, generation = number, digest, "serves");
        self.audit(&asker.by, verb, &name, detail);
        if let Some(old) = old {
            self.retire(&name, old);
        }
        if let Some(path) = path {
            self.clear_rejection(&path);
        }
        if name == HOST {
            self.publish_views();
        } else {
            self.answer_with_view(asker, &name);
        }
    }

    /// A generation that did not come to serve.
    pub(super) fn fail(&mut self, attempt: Attempt, refusal: Refusal) {
        match &attempt.path {
            Some(path) => {
                let path = path.clone();
                self.reject(&path, refusal, Some(&attempt.digest), attempt.asker);
            }
            None => tracing::error!(%refusal, "what is built into the host does not serve"),
        }
    }
}
