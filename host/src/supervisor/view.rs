//! Plugins as operators see them, made from the supervisor's tables.
//!
//! Runs under way and unresolved events are not in the tables: they are looked up when somebody asks. What must hold: making and reading
//! views never waits for a plugin.

use super::diff::is_inquiry;
use super::keeper::Keeper;
use super::lives::Retiring;
use super::looks::stem;
use super::offer::HOST;
use super::state::{File, Plugin};
use super::{GenerationView, PluginState, PluginView};
use crate::engine::Engine;
use crate::engine::told::HostEvent;
use crate::registry::Placement;
use chrono::Utc;
use sexton_core::Refusal;
use sexton_store::rows::Verdict;
use std::path::Path;

impl Keeper {
    /// Puts what is so now in front of everybody.
    pub(super) fn publish_views(&mut self) {
        let before = self.shared.views.load();
        let plugins =
            self.plugins.iter().filter(|(name, plugin)| self.is_shown(name, plugin)).map(|(name, plugin)| self.plugin_view(name, plugin));
        let unnamed = self.files.iter().filter(|(_, file)| file.name.is_none()).map(|(path, file)| file_view(path, file));
        let mut views: Vec<PluginView> = plugins.chain(unnamed).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        for view in &mut views {
            let unchanged = before.iter().find(|b| b.name == view.name && b.state == view.state && b.generation == view.generation);
            if let Some(before) = unchanged {
                view.since = before.since;
            }
        }
        for view in &views {
            tell_change(&self.ground.engine, before.iter().find(|b| b.name == view.name), view);
        }
        for gone in before.iter().filter(|b| views.iter().all(|v| v.name != b.name)) {
            tell_change(&self.ground.engine, Some(gone), &PluginView { state: PluginState::Retired, generation: None, ..gone.clone() });
        }
        self.shared.views.store(views.into());
    }

    /// The host's own is no plugin; one whose file is gone is shown while something of it is left.
    fn is_shown(&self, name: &str, plugin: &Plugin) -> bool {
        let something_left = plugin.path.is_some()
            || plugin.active.is_some()
            || plugin.decision.is_some()
            || self.retiring.iter().any(|(number, r)| r.plugin == name && !is_inquiry(*number))
            || self.rows.values().any(|row| row.owner.as_deref() == Some(name));
        name != HOST && something_left
    }

    fn plugin_view(&self, name: &str, plugin: &Plugin) -> PluginView {
        let file = plugin.path.as_ref().and_then(|p| self.files.get(p));
        let attempt = self.attempts.values().find(|a| a.plugin == name && a.inquiry.is_none());
        let opening = attempt.is_some() || plugin.restart.is_some();
        let active = plugin.active.as_ref();
        let image = active.and_then(|a| a.image.as_ref()).or_else(|| attempt.and_then(|a| a.image.as_ref()));
        let process = active.and_then(|a| a.process.as_ref());
        let applied = process.and_then(|p| p.applied.get());
        PluginView {
            name: name.to_owned(),
            version: image.map(|i| i.identity.version.clone()),
            state: self.state(name, plugin, file, opening),
            generation: active.map(|a| a.serving.generation),
            placement: active.map(|a| a.serving.placement).or_else(|| attempt.map(|a| a.placement)).unwrap_or(Placement::Runner),
            digest: active.map(|a| a.serving.digest.clone()),
            path: plugin.path.clone(),
            event_types: active.map(|a| a.types.clone()).unwrap_or_default(),
            actions: active.map(|a| a.actions.iter().map(|o| o.uid.clone()).collect()).unwrap_or_default(),
            in_flight: 0,
            stuck: 0,
            unresolved_events: 0,
            since: Utc::now(),
            decision: plugin.decision.clone(),
            rejection: self.rejection(name, file),
            generations: self.generations(name, plugin),
            rustc: image.map(|i| i.identity.rustc.clone()),
            size_bytes: image.map(|i| i.size),
            unload_wait: active.and_then(|a| a.settings.unload_wait),
            usage: process.map(|p| p.usage.clone()),
            figures: None,
            crashes: plugin.crashes,
            restarts: plugin.restarts,
            last_death: plugin.last_death.clone(),
            enforced: applied.map(|a| a.enforced.clone()).unwrap_or_default(),
            not_enforced: applied.map(|a| a.not_enforced.clone()).unwrap_or_default(),
            warnings: image.map(|i| i.warnings.clone()).unwrap_or_default(),
            signature: image.map(|i| i.signature.clone()),
        }
    }

    fn state(&self, name: &str, plugin: &Plugin, file: Option<&File>, opening: bool) -> PluginState {
        let decided = plugin.decision.as_ref().filter(|d| plugin.active.is_none() && d.serve.is_none()).map(|d| d.verdict);
        if plugin.active.is_some() {
            PluginState::Active
        } else if opening {
            PluginState::Opening
        } else if self.retiring.values().any(|r| r.plugin == name && r.served) {
            PluginState::Draining
        } else if decided == Some(Verdict::Quarantine) {
            PluginState::Quarantined
        } else if decided.is_some() {
            PluginState::Unloaded
        } else {
            match file {
                None => PluginState::Retired,
                Some(file) if file.rejection.is_some() => PluginState::Rejected,
                Some(_) => PluginState::Discovered,
            }
        }
    }

    /// Why the newest build is not what serves: refused, or waiting for room.
    fn rejection(&self, name: &str, file: Option<&File>) -> Option<Refusal> {
        let file = file?;
        let waits = file.settling.settled && file.handled != Some(file.settling.seen);
        let waiting = if waits { self.no_room(name) } else { None };
        waiting.or_else(|| file.rejection.clone())
    }

    fn generations(&self, name: &str, plugin: &Plugin) -> Vec<GenerationView> {
        let active = plugin.active.iter().map(|a| GenerationView {
            generation: a.serving.generation,
            state: "active".to_owned(),
            digest: a.serving.digest.clone(),
        });
        let retiring = self
            .retiring
            .iter()
            .rev()
            .filter(|(number, r)| r.plugin == name && **number > 0)
            .map(|(number, r)| GenerationView { generation: *number, state: retiring_words(r).to_owned(), digest: r.digest.clone() });
        active.chain(retiring).chain(plugin.past.iter().rev().cloned()).collect()
    }
}

/// Tells listeners where a plugin stands now, if that is news.
fn tell_change(engine: &Engine, before: Option<&PluginView>, now: &PluginView) {
    fn code(view: &PluginView) -> Option<&str> {
        view.rejection.as_ref().map(|refusal| refusal.code.as_str())
    }
    let same = |b: &&PluginView| b.state == now.state && b.generation == now.generation && code(b) == code(now);
    if before.filter(same).is_none() {
        engine.tell(|| HostEvent::Plugin {
            plugin: now.name.clone(),
            state: now.state,
            generation: now.generation,
            version: now.version.clone(),
            digest: now.digest.clone(),
            rejection: code(now).map(str::to_owned),
        });
    }
}

fn retiring_words(retiring: &Retiring) -> &'static str {
    match retiring {
        Retiring { stuck: true, .. } => "lingering: it has not returned from its `load` or a call",
        Retiring { served: true, .. } => "draining",
        Retiring { served: false, .. } => "abandoned, ending",
    }
}

/// A file whose plugin is not known.
fn file_view(path: &Path, file: &File) -> PluginView {
    PluginView {
        name: stem(path),
        version: None,
        state: if file.rejection.is_some() { PluginState::Rejected } else { PluginState::Discovered },
        generation: None,
        placement: Placement::Runner,
        digest: None,
        path: Some(path.to_owned()),
        event_types: Vec::new(),
        actions: Vec::new(),
        in_flight: 0,
        stuck: 0,
        unresolved_events: 0,
        since: Utc::now(),
        decision: None,
        rejection: file.rejection.clone(),
        generations: Vec::new(),
        rustc: None,
        size_bytes: file.settling.seen.code.map(|c| c.size),
        unload_wait: None,
        usage: None,
        figures: None,
        crashes: 0,
        restarts: 0,
        last_death: None,
        enforced: Vec::new(),
        not_enforced: Vec::new(),
        warnings: Vec::new(),
        signature: None,
    }
}
