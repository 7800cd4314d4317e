//! Looking at the plugin directory, and what follows: files taken, files gone.
//!
//! The questions are answered by `reconcile`; here they are asked and acted upon. What must hold: a look that fails changes nothing.

use super::asked::Asker;
use super::keeper::Keeper;
use super::listing;
use super::reconcile::{self, Case, Cause, FileStep, Presence, Step};
use super::settle::{Fingerprint, Look, SETTLE, Settling};
use super::state::{File, Plugin};
use super::{sweep, verbs};
use crate::plugin_settings::{self, PluginSettings};
use crate::problem;
use chrono::Utc;
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect::{self, Inspected, Rules};
use sexton_loader::shown::{one_line, shown};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After trouble that is not the file's (a full disk), the next try comes this much later.
const RETRY: Duration = Duration::from_secs(5);
/// A file that changes while it is read is looked at again after this long.
const AGAIN: Duration = Duration::from_millis(100);
/// Two looks are at least this far apart, however often somebody rings.
const REST: Duration = Duration::from_millis(20);

/// A file that passed inspection, with its settings.
#[derive(Debug)]
pub struct Found {
    /// What the loader found.
    pub inspected: Inspected,
    /// What stands beside it.
    pub settings: PluginSettings,
}

impl Keeper {
    /// One look: lists, lets files settle, takes what is new, gives up what is gone.
    pub(super) fn look(&mut self, now: Instant) {
        self.last_look = now;
        if let Some(bell) = &self.doorbell {
            bell.answered();
        }
        let listed = match listing::list(&self.ground.plugins) {
            Ok(listed) => listed,
            Err(e) => {
                if !std::mem::replace(&mut self.directory_away, true) {
                    tracing::warn!(path = shown(&self.ground.plugins), error = %e, "the plugin directory cannot be read; all stays as it is");
                }
                self.next_look = now + self.limits.rescan;
                return;
            }
        };
        if std::mem::replace(&mut self.directory_away, false) {
            self.hang_doorbell();
        }
        let crowded_before = std::mem::replace(&mut self.directory_crowded, listed.crowded);
        if listed.crowded && !crowded_before {
            tracing::warn!(limit = listing::FILES_MAX, "the plugin directory holds too many libraries: the last by name are left out");
        }
        self.note(&listed.files, now);
        let unsettled = self.files.values().any(|f| !f.settling.settled || f.absent_since.is_some());
        self.next_look = now + if unsettled { SETTLE } else { self.limits.rescan };
        let (take, gone) = self.due(now);
        self.take_files(take);
        for path in gone {
            self.file_gone(&path);
        }
        let retry = self.files.values().filter_map(|f| f.retry_at).filter(|at| *at > now).min();
        if let Some(at) = retry {
            self.look_by(at);
        }
    }

    /// The next look comes no later than `at`, but leaves the directory a moment's rest.
    pub(super) fn look_by(&mut self, at: Instant) {
        self.next_look = self.next_look.min(at).max(self.last_look + REST);
    }

    fn note(&mut self, listed: &BTreeMap<PathBuf, Fingerprint>, now: Instant) {
        let wall_ns = i128::from(Utc::now().timestamp_micros()) * 1_000;
        for (path, seen) in listed {
            match self.files.get_mut(path) {
                Some(file) => {
                    file.absent_since = None;
                    file.settling.look(*seen, now, wall_ns);
                }
                None => {
                    self.files.insert(path.clone(), File::new(Settling::first(*seen, now, wall_ns)));
                }
            }
        }
        for (path, file) in &mut self.files {
            // Left out of a listing that is too long is not gone.
            let left_out = self.directory_crowded && path.symlink_metadata().is_ok();
            if !listed.contains_key(path) && !left_out {
                file.absent_since.get_or_insert(now);
            }
        }
    }

    /// Which files to take and which are gone.
    fn due(&mut self, now: Instant) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let (mut take, mut gone) = (Vec::new(), Vec::new());
        let mut more = false;
        let room = self.limits.opening_max.saturating_sub(self.attempts.len());
        for (path, file) in &self.files {
            let presence = match file.absent_since {
                Some(since) => Presence::AbsentFor(now.saturating_duration_since(since)),
                None => Presence::Listed { settled: file.settling.settled },
            };
            let retry = file.retry_at.is_some_and(|at| at <= now);
            let handled = file.handled == Some(file.settling.seen) && !retry;
            // Not everything at once: each that is opened is a process.
            let busy = room == 0 || file.name.as_deref().is_some_and(|name| self.busy(name).is_some());
            match reconcile::file_step(presence, handled, busy) {
                FileStep::Nothing => {}
                FileStep::Take if take.len() < room => take.push(path.clone()),
                FileStep::Take => more = true,
                FileStep::Gone => gone.push(path.clone()),
            }
        }
        if more {
            self.look_by(now);
        }
        (take, gone)
    }

    /// Inspects all, then weighs them: what served last comes first, so that of two files with one name the right one holds it.
    fn take_files(&mut self, paths: Vec<PathBuf>) {
        let mut found: Vec<(bool, PathBuf, Result<Found, Refusal>)> = Vec::new();
        for path in paths {
            let inspected = self.inspect(&path);
            let served_last = inspected.as_ref().is_ok_and(|f| {
                let last = self.plugins.get(&f.inspected.identity.plugin).and_then(|p| p.last_digest.as_ref());
                last == Some(&f.inspected.digest)
            });
            found.push((!served_last, path, inspected));
        }
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, path, inspected) in found {
            self.weigh_in(&path, inspected, Asker::watcher());
        }
    }

    /// A verb's look at one file: as it is now, settled or not.
    pub(super) fn take_now(&mut self, path: &Path, asker: Asker) {
        let seen = listing::look(path);
        let settling = Settling { seen, since: Instant::now(), settled: true };
        let file = self.files.entry(path.to_owned()).or_insert_with(|| File::new(settling));
        file.settling = settling;
        file.absent_since = None;
        let found = self.inspect(path);
        self.weigh_in(path, found, asker);
    }

    fn inspect(&self, path: &Path) -> Result<Found, Refusal> {
        let settings = settings_of(path)?;
        let rules = self.rules_for(&settings);
        let inspected = inspect::inspect(path, &self.ground.generations, &rules).map_err(|r| problem::from_rejection(&r))?;
        Ok(Found { inspected, settings })
    }

    /// What a file with these settings is judged by.
    pub(super) fn rules_for(&self, settings: &PluginSettings) -> Rules {
        let readable_by_others = settings.confinement.run_as.is_some();
        Rules { placement: settings.placement, readable_by_others, ..self.ground.rules.clone() }
    }

    /// Decides about an inspected file and acts.
    fn weigh_in(&mut self, path: &Path, found: Result<Found, Refusal>, asker: Asker) {
        let Some(file) = self.files.get_mut(path) else { return };
        file.handled = Some(file.settling.seen);
        file.retry_at = None;
        let found = match found {
            Ok(found) => found,
            Err(refusal) => {
                if refusal.code == "PLG018" && asker.reply.is_none() {
                    file.retry_at = Some(Instant::now() + AGAIN);
                    return;
                }
                return self.reject(path, refusal, None, asker);
            }
        };
        let name = found.inspected.identity.plugin.clone();
        let formerly = file.name.replace(name.clone()).filter(|former| *former != name);
        file.digest = Some(found.inspected.digest.clone());
        if let Some(former) = formerly.filter(|f| self.plugins.get(f).is_some_and(|p| p.path.as_deref() == Some(path))) {
            self.plugin_gone(&former);
        }
        if asker.cause == Cause::Noticed && self.busy(&name).is_some() {
            // Found under a new file name while its plugin is busy: the next look comes back to it.
            if let Some(file) = self.files.get_mut(path) {
                file.handled = None;
            }
            inspect::discard(&found.inspected);
            return;
        }
        match self.weigh(path, &name, &found, asker.cause) {
            Step::Stay if asker.cause == Cause::Reload => {
                inspect::discard(&found.inspected);
                self.answer(asker, Err(verbs::decided_against(&name)));
            }
            Step::Leave | Step::Stay => {
                inspect::discard(&found.inspected);
                self.clear_rejection(path);
                self.plugins.entry(name.clone()).or_default().path = Some(path.to_owned());
                self.answer_with_view(asker, &name);
            }
            Step::Instead(digest) => {
                inspect::discard(&found.inspected);
                self.plugins.entry(name.clone()).or_default().path = Some(path.to_owned());
                self.serve_kept(path, &name, &digest, asker);
            }
            Step::Duplicate(holder) => {
                inspect::discard(&found.inspected);
                if let Some(file) = self.files.get_mut(path) {
                    // A file that may not have the name does not stand for the plugin.
                    file.name = None;
                }
                self.reject(path, duplicate(path, &holder, &name), Some(&found.inspected.digest), asker);
            }
            Step::Load { ends_decision } => {
                self.plugins.entry(name.clone()).or_default().path = Some(path.to_owned());
                if ends_decision && let Err(refusal) = self.decide(&name, None, &asker.by) {
                    inspect::discard(&found.inspected);
                    return self.reject(path, refusal, Some(&found.inspected.digest), asker);
                }
                self.open(path, found, asker);
            }
        }
    }

    fn weigh(&self, path: &Path, name: &str, found: &Found, cause: Cause) -> Step {
        let plugin = self.plugins.get(name);
        let active = plugin.and_then(|p| p.active.as_ref());
        let holder = plugin.and_then(|p| p.path.as_deref()).filter(|held| *held != path && self.is_listed(held));
        reconcile::weigh(&Case {
            cause,
            digest: &found.inspected.digest,
            serving: active.map(|a| a.serving.digest.as_str()),
            same_settings: active.is_none_or(|a| a.settings == found.settings),
            decided: plugin.and_then(|p| p.decision.as_ref()).map(|d| d.digest.as_str()),
            instead: plugin.and_then(Plugin::rolled_back_to),
            holder,
        })
    }

    fn is_listed(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|f| f.absent_since.is_none())
    }

    /// Remembers why a file is refused, says so, and leaves everything else as it is.
    pub(super) fn reject(&mut self, path: &Path, refusal: Refusal, digest: Option<&str>, mut asker: Asker) {
        // An earlier build is not the file.
        let of_file = !asker.cause.goes_back();
        let file = self.files.get(path);
        let said = asker.reply.is_none() && file.is_some_and(|f| f.rejection.as_ref() == Some(&refusal));
        if !said {
            let name = file.and_then(|f| f.name.clone()).unwrap_or_else(|| stem(path));
            tracing::warn!(plugin = name, path = shown(path), code = refusal.code, "rejected: {}", one_line(&refusal.to_string()));
            let detail = json!({"path": shown(path), "digest": digest, "code": refusal.code, "message": refusal.message});
            self.audit(&asker.by, "plugin.reject", &name, detail);
        }
        if let Some(file) = self.files.get_mut(path).filter(|_| of_file) {
            // The store's trouble, or a private copy that cannot be made: not the file's fault, so that its change is not waited for.
            if matches!(refusal.blame, Blame::Store | Blame::World) || refusal.code == "PLG019" {
                file.retry_at = Some(Instant::now() + RETRY);
            }
            file.rejection = Some(refusal.clone());
        }
        self.undo(path, &mut asker);
        self.answer(asker, Err(refusal));
    }

    /// What a verb wrote before it came to its load is as it was before.
    pub(super) fn undo(&mut self, path: &Path, asker: &mut Asker) {
        if let Some(settings) = asker.settings.take() {
            settings.put_back();
        }
        if let Some(placed) = asker.placed.take() {
            self.take_back(path, placed);
        }
    }

    /// `load PATH` of something new that was refused leaves nothing to be tried again at each start. What somebody else put there meanwhile
    /// stays.
    fn take_back(&mut self, path: &Path, placed: Look) {
        if listing::look(path).code != Some(placed) {
            return;
        }
        sweep::remove(path);
        sweep::remove(&inspect::signature_beside(path));
        let Some(name) = self.files.remove(path).and_then(|f| f.name) else { return };
        let elsewhere = self.files.iter().find(|(_, f)| f.name.as_ref() == Some(&name)).map(|(other, _)| other.clone());
        let Some(plugin) = self.plugins.get_mut(&name).filter(|p| p.path.as_deref() == Some(path)) else { return };
        plugin.path = elsewhere;
        if plugin.path.is_none() && plugin.active.is_some() {
            self.plugin_gone(&name);
        }
    }

    pub(super) fn clear_rejection(&mut self, path: &Path) {
        if let Some(file) = self.files.get_mut(path) {
            file.rejection = None;
        }
    }

    fn file_gone(&mut self, path: &Path) {
        let name = self.files.remove(path).and_then(|f| f.name);
        if let Some(name) = name.filter(|n| self.plugins.get(n).is_some_and(|p| p.path.as_deref() == Some(path))) {
            self.plugin_gone(&name);
        }
        self.forgive("PLG030");
        self.forgive("PLG031");
    }
}

impl File {
    /// A file never dealt with.
    pub fn new(settling: Settling) -> Self {
        Self { settling, absent_since: None, handled: None, retry_at: None, name: None, digest: None, rejection: None }
    }
}

/// The name of a file whose plugin is not known, in one line whatever it holds.
pub fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |s| one_line(&s.to_string_lossy()))
}

/// The settings beside a library, under the same owner rule as the library.
pub fn settings_of(library: &Path) -> Result<PluginSettings, Refusal> {
    let path = library.with_extension("toml");
    if path.symlink_metadata().is_err() {
        return Ok(PluginSettings::default());
    }
    let resolved = inspect::trusted(&path).map_err(|r| problem::from_rejection(&r))?;
    plugin_settings::read(&path, &resolved)
}

pub fn duplicate(path: &Path, holder: &Path, name: &str) -> Refusal {
    Refusal::new(
        "PLG030",
        Blame::Plugin,
        format!("{} is a second file of plugin `{name}`, which {} holds already", shown(path), shown(holder)),
    )
    .expected("one file for each plugin name")
    .remedy(format!("remove one of the two; to replace the code, put the new build in the place of {}", shown(holder)))
}
