//! Verbs on plugins: whom they mean, what is in their way, what they begin.
//!
//! Not what they end in: that is answered when it is done. What must hold: two verbs on one plugin never overlap; the second waits its turn
//! and is refused with the reason if it waits too long.

use super::arrival;
use super::asked::{Asker, Verb, What};
use super::keeper::Keeper;
use super::listing;
use super::looks::{settings_of, stem};
use super::reconcile::Cause;
use crate::problem;
use sexton_core::{Blame, Refusal};
use sexton_loader::shown::shown;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Whom a name means.
enum Target {
    /// A plugin, with its file.
    Plugin(String, Option<PathBuf>),
    /// A file whose plugin is not known: it was refused or not yet looked at.
    File(PathBuf),
}

impl Keeper {
    /// Begins a verb, or puts it aside until its turn comes.
    pub(super) fn take_verb(&mut self, verb: Verb) {
        if let What::Load(wanted) = &verb.what
            && is_path(wanted)
        {
            let path = PathBuf::from(wanted);
            return self.load_path(&path, verb);
        }
        let name = match &verb.what {
            What::Load(name) | What::Reload(name) | What::Release(name) => name.clone(),
            What::Unload { name, .. } | What::Rollback { name, .. } | What::Place { name, .. } => name.clone(),
        };
        let Some(target) = self.find(&name) else {
            return self.answer(verb.asker, Err(no_such(&name)));
        };
        if let Target::Plugin(plugin, _) = &target {
            let needs_room = !matches!(verb.what, What::Unload { .. });
            let in_the_way = if needs_room { self.busy(plugin) } else { self.under_way(plugin) };
            if let Some(why) = in_the_way {
                return self.defer(verb, why);
            }
        }
        self.begin(target, verb);
    }

    fn begin(&mut self, target: Target, verb: Verb) {
        let Verb { what, mut asker, .. } = verb;
        match (what, target) {
            (What::Unload { mode, wait, .. }, Target::Plugin(name, _)) => self.begin_unload(&name, mode, wait, asker),
            (What::Unload { name, .. }, Target::File(path)) => {
                let refused = self.files.get(&path).and_then(|f| f.rejection.clone());
                self.answer(asker, Err(refused.unwrap_or_else(|| no_such(&name))));
            }
            (What::Release(_), Target::Plugin(name, path)) => {
                if let Err(e) = self.ground.store.forgive_crashes(&name) {
                    return self.answer(asker, Err(problem::from_store(&e)));
                }
                if self.plugins.get(&name).is_none_or(|p| p.decision.is_none()) {
                    return self.answer_with_view(asker, &name);
                }
                if let Err(refusal) = self.decide(&name, None, &asker.by) {
                    return self.answer(asker, Err(refusal));
                }
                asker.cause = Cause::Load;
                self.take_path(&name, path, asker);
            }
            (What::Rollback { to, .. }, Target::Plugin(name, Some(path))) => self.begin_rollback(&name, &path, to.as_deref(), asker),
            (What::Place { placement, .. }, Target::Plugin(name, Some(path))) => self.begin_place(&name, &path, placement, asker),
            (What::Rollback { name, .. } | What::Place { name, .. }, _) => self.answer(asker, Err(no_such(&name))),
            (What::Load(_) | What::Reload(_), Target::Plugin(name, path)) => self.take_path(&name, path, asker),
            (What::Load(_) | What::Reload(_) | What::Release(_), Target::File(path)) => self.take_now(&path, asker),
        }
    }

    fn take_path(&mut self, name: &str, path: Option<PathBuf>, asker: Asker) {
        match path {
            Some(path) => self.take_now(&path, asker),
            None => self.answer(asker, Err(no_such(name).found(format!("the file of `{name}` is gone from the plugin directory")))),
        }
    }

    /// `load PATH`: copied beside the others, looked at there, renamed into place if it is a plugin, then loaded.
    fn load_path(&mut self, source: &Path, mut verb: Verb) {
        let place = match arrival::place_of(source, &self.ground.plugins) {
            Ok(place) => place,
            Err(refusal) => return self.answer(verb.asker, Err(refusal)),
        };
        if place.is_there {
            let known = self.files.get(&place.path).and_then(|f| f.name.clone());
            return match known.and_then(|name| self.busy(&name)) {
                Some(why) => self.defer(verb, why),
                None => self.take_now(&place.path, verb.asker),
            };
        }
        // Once: what was there when the verb was given is what is loaded when its turn comes.
        let copied = match verb.arrived.take() {
            Some(arrived) => Ok(arrived),
            None => settings_of(&place.path)
                .and_then(|settings| arrival::copy(source, &self.ground.plugins, &self.ground.generations, &self.rules_for(&settings))),
        };
        let arrived = match copied {
            Ok(arrived) => arrived,
            Err(refusal) => {
                let detail = serde_json::json!({"path": shown(source), "code": refusal.code, "message": refusal.message});
                self.audit(&verb.asker.by, "plugin.reject", &stem(source), detail);
                return self.answer(verb.asker, Err(refusal));
            }
        };
        // Whoever holds the place loses its file by this: it must be its turn, too.
        let replaced = self.plugins.iter().find(|(_, p)| p.path.as_ref() == Some(&place.path)).map(|(name, _)| name.clone());
        let in_the_way = self.busy(&arrived.plugin).or_else(|| replaced.and_then(|name| self.busy(&name)));
        if let Some(why) = in_the_way {
            verb.arrived = Some(arrived);
            return self.defer(verb, why);
        }
        let holder = self.plugins.get(&arrived.plugin).and_then(|p| p.path.clone()).filter(|held| *held != place.path && held.exists());
        if let Some(holder) = holder {
            let refusal = super::looks::duplicate(source, &holder, &arrived.plugin)
                .remedy(format!("give the new build the file name of {}, or remove that file first", shown(&holder)));
            return self.answer(verb.asker, Err(refusal));
        }
        let was_empty = place.path.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        match arrived.settle(&place.path) {
            Ok(()) => {
                verb.asker.placed = listing::look(&place.path).code.filter(|_| was_empty);
                self.take_now(&place.path, verb.asker);
            }
            Err(refusal) => self.answer(verb.asker, Err(refusal)),
        }
    }

    fn defer(&mut self, mut verb: Verb, why: Refusal) {
        let now = Instant::now();
        if now >= *verb.expires.get_or_insert(now + self.limits.verb) || self.deferred.len() >= self.limits.deferred_max {
            self.answer(verb.asker, Err(why));
        } else {
            self.deferred.push_back(verb);
        }
    }

    /// Gives every verb put aside another try, in their order.
    pub(super) fn retry_deferred(&mut self) {
        for verb in std::mem::take(&mut self.deferred) {
            self.take_verb(verb);
        }
    }

    /// By plugin name first, then by a file's stem, with or without `lib`.
    fn find(&self, name: &str) -> Option<Target> {
        if self.shared.view(name).is_some()
            && let Some(plugin) = self.plugins.get(name)
        {
            return Some(Target::Plugin(name.to_owned(), plugin.path.clone()));
        }
        let (path, file) = self.files.iter().find(|(path, _)| {
            let stem = stem(path);
            stem == name || stem.strip_prefix("lib") == Some(name)
        })?;
        Some(match &file.name {
            Some(plugin) => Target::Plugin(plugin.clone(), Some(path.clone())),
            None => Target::File(path.clone()),
        })
    }
}

/// Nobody of that name.
pub fn no_such(name: &str) -> Refusal {
    Refusal::new("INP013", Blame::Input, format!("there is no plugin `{name}`"))
        .expected("a name that `sexton plugin list` shows, or the path of a `.so` file")
        .remedy("put its file into the plugin directory, or give the file's path to `sexton plugin load`")
}

/// A decision keeps the plugin out, and this verb does not end it.
pub fn decided_against(name: &str) -> Refusal {
    Refusal::new("PLG041", Blame::Input, format!("plugin `{name}` was unloaded by decision and stays so while its file is the same"))
        .remedy(format!("end the decision with `sexton plugin load {name}`"))
}

fn is_path(text: &str) -> bool {
    text.contains('/') || Path::new(text).extension().is_some_and(|e| e == "so")
}
