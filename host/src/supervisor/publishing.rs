//! A batch that was offered: checked, published by the store, active.
//!
//! Not the opening before it. What must hold: whatever fails before the store has published leaves what serves serving; after that nothing can fail
//! any more.

use super::checking::changed_types;
use super::keeper::Keeper;
use super::lives::{Active, Attempt};
use super::offer::{self, HOST};
use super::reconcile::Cause;
use crate::problem;
use crate::registry::Serving;
use chrono::Utc;
use serde_json::json;
use sexton_core::Refusal;
use sexton_loader::seam::Order;
use sexton_loader::shown::shown;
use sexton_plugin_api::wire::{ActionOffer, Batch, StandingEvent};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a published generation serves.
struct Published {
    types: Vec<String>,
    actions: Vec<ActionOffer>,
    standing: Vec<StandingEvent>,
    /// Types whose schema is another than before.
    changed: Vec<String>,
    /// Events that were paused because it does not accept their arguments.
    paused: u64,
}

impl Keeper {
    /// Publishes what was held back: the host's own first, then by path.
    pub(super) fn publish_offered(&mut self) {
        let mut held: Vec<(i64, Attempt)> = std::mem::take(&mut self.attempts).into_iter().collect();
        held.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        for (number, mut attempt) in held {
            // One that is being checked takes its turn before those after it.
            let turn = !self.attempts.values().any(Attempt::is_checking);
            match attempt.offered.take_if(|_| turn) {
                Some(batch) => self.offered(number, attempt, batch),
                None => {
                    self.attempts.insert(number, attempt);
                }
            }
        }
    }

    pub(super) fn publish(&mut self, number: i64, attempt: Attempt, batch: Batch) {
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
        let most = attempt.settings.confinement.limits.event_types;
        let checked = offer::check(&attempt.plugin, batch, &self.ground.registry.now(), most)?;
        let mut standing = Vec::with_capacity(checked.standing.len());
        for event in &checked.standing {
            let settled = self.ground.engine.standing(event, &checked.validators[&event.event_type]);
            standing.push(settled.map_err(|inner| offer::standing_refused(&attempt.plugin, &event.key, inner))?);
        }
        let paused = self.pause_refused(attempt)?;
        let offered: Vec<_> = checked.offers.iter().map(|o| (o.event_type.clone(), o.args_schema.clone())).collect();
        let stored = self.rows.values().map(|row| (row.event_type.as_str(), &row.args_schema));
        let changed = changed_types(stored, &offered);
        let Self { ground, .. } = &*self;
        let by = &attempt.asker.by;
        let rows = ground
            .store
            .publish(&ground.lease, &attempt.plugin, number, &checked.offers, &standing, by, Utc::now())
            .map_err(|e| problem::from_store(&e))?;
        self.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        let types = checked.offers.into_iter().map(|o| o.event_type).collect();
        Ok(Published { types, actions: checked.actions, standing: checked.standing, changed, paused })
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
        let Attempt { plugin: name, path, digest, image, settings, placement, process, orders, asker, check, .. } = attempt;
        let limits = &settings.confinement.limits;
        let serving = Arc::new(Serving {
            plugin: name.clone(),
            generation: number,
            digest: digest.clone(),
            placement,
            orders,
            run_time: limits.run_time(),
            output_max: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX),
            // About twice the job threads.
            in_flight_max: 2 * limits.runs,
            succeeded: AtomicBool::new(false),
        });
        // Before it may ask anything: who serves neither types nor actions is in no snapshot, and is answered all the same.
        self.ground.engine.introduce(&serving);
        // Before the swap: orders keep their sequence, so that no run can come before it.
        let _ended = serving.orders.send(Order::Activate);
        let Published { types, actions, standing, changed, paused } = published;
        let offered: BTreeSet<String> = types.iter().cloned().collect();
        let active = Active { serving, types, actions, standing, settings, image, process };
        let plugin = self.plugins.entry(name.clone()).or_default();
        plugin.withdrawn = false;
        plugin.restart = None;
        plugin.last_digest = Some(digest.clone());
        let old = plugin.active.replace(active);
        plugin.begin_trial(asker.cause, &digest, old.as_ref());
        self.swap();
        let before: BTreeSet<String> = old.iter().flat_map(|o| o.types.iter().cloned()).collect();
        let detail = json!({
            "generation": number,
            "placement": placement,
            "digest_from": old.as_ref().map(|o| o.serving.digest.clone()),
            "digest_to": digest,
            "path": path.as_deref().map(shown),
            "types_added": offered.difference(&before).collect::<Vec<_>>(),
            "types_removed": before.difference(&offered).collect::<Vec<_>>(),
            "types_changed": changed,
            "events_checked": check.map_or(0, |c| c.findings.checked),
            "events_paused": paused,
        });
        if let Err(error) = self.ground.store.placed(number, placement.name()) {
            tracing::warn!(plugin = name, refusal = %problem::from_store(&error), "where the generation runs is not remembered");
        }
        let verb = match (asker.cause, &old) {
            (Cause::Rollback | Cause::SentBack, _) => "plugin.rollback",
            (_, Some(_)) => "plugin.reload",
            (_, None) => "plugin.load",
        };
        tracing::info!(plugin = name, generation = number, digest, "serves");
        self.audit(&asker.by, verb, &name, detail);
        if asker.cause.goes_back() {
            self.keep_earlier(&name, asker.cause, &asker.by);
        }
        if let Some(old) = old {
            self.retire(&name, old);
        }
        if let Some(path) = path.filter(|_| !asker.cause.goes_back()) {
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
        if attempt.check.is_some() {
            // Its schemas bind nobody any longer.
            self.swap();
        }
        if let Some(inquirer) = &attempt.inquiry {
            // Gone: then nobody wants to know.
            let _gone = inquirer.send(Err(refusal));
            return;
        }
        match &attempt.path {
            Some(path) => {
                let path = path.clone();
                self.reject(&path, refusal, Some(&attempt.digest), attempt.asker);
            }
            None => tracing::error!(%refusal, "what is built into the host does not serve"),
        }
    }
}
