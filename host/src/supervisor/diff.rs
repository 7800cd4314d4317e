//! What a file would change: opened in a runner under its plugin's settings, asked to load, its batch compared and checked, and never published.
//!
//! Nothing of what serves is touched, and no turn is taken from anybody. What must hold: whoever asks is answered once, and nothing stays of the
//! build, neither its process nor its copy.

use super::args_check::{Findings, RefusedArgs};
use super::arrival;
use super::asked::Asker;
use super::keeper::Keeper;
use super::lives::{Attempt, Image};
use super::looks::{Found, settings_of};
use super::schema_words;
use crate::problem;
use serde::Serialize;
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect;
use sexton_loader::shown::shown;
use sexton_plugin_api::wire::{ActionOffer, Batch, StandingEvent};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::Sender;

/// Files looked at at a time.
const AT_ONCE: usize = 4;
/// Numbers of builds that are only looked at are below this: generations are above zero, and what is opened to try a generation is its negative.
const NUMBERS: i64 = i64::MIN / 2;

/// What a file would change.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// The file, as text.
    pub file: String,
    /// Whose code it is.
    pub plugin: String,
    /// What serves now; none if nothing does.
    pub before: Option<Side>,
    /// The file.
    pub after: Side,
    /// Event types that would come.
    pub types_added: Vec<String>,
    /// Event types that would go: their events wait, unresolved.
    pub types_removed: Vec<String>,
    /// Event types whose schema would be another.
    pub types_changed: Vec<Changed>,
    /// Event types that another plugin owns: because of them it would be refused.
    pub types_owned_by_others: Vec<String>,
    /// Actions that would come.
    pub actions_added: Vec<String>,
    /// Actions that would go.
    pub actions_removed: Vec<String>,
    /// Standing events, by type and key, that would come.
    pub standing_added: Vec<String>,
    /// Standing events that would not be declared any more; they are kept.
    pub standing_removed: Vec<String>,
    /// Standing events whose arguments or schedule would be others.
    pub standing_changed: Vec<String>,
    /// Stored events that were checked.
    pub events_checked: u64,
    /// Those whose arguments it would not accept.
    pub events_refused: usize,
    /// The first of them.
    pub refused: Vec<RefusedArgs>,
    /// What was found in the file and is no reason to refuse it.
    pub warnings: Vec<String>,
}

/// One of the two builds.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Its generation; none for the file.
    pub generation: Option<i64>,
    /// From its identity.
    pub version: String,
    /// SHA-256, hex.
    pub digest: String,
    /// `rustc --version` of its compiler.
    pub rustc: String,
}

/// A type whose schema would be another.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// Which.
    pub event_type: String,
    /// How, for people.
    pub differences: Vec<String>,
}

/// Whether a number is that of a build that is only looked at.
pub fn is_inquiry(generation: i64) -> bool {
    generation < NUMBERS
}

impl Keeper {
    /// Begins to look at a file.
    pub(super) fn begin_diff(&mut self, path: &Path, reply: &Sender<Result<Diff, Refusal>>) {
        if let Err(refusal) = self.open_to_look(path, reply) {
            // Gone: then nobody wants to know.
            let _gone = reply.send(Err(refusal));
        }
    }

    fn open_to_look(&mut self, path: &Path, reply: &Sender<Result<Diff, Refusal>>) -> Result<(), Refusal> {
        if self.attempts.values().filter(|a| a.inquiry.is_some()).count() >= AT_ONCE {
            return Err(Refusal::new("PLG086", Blame::World, "too many files are being looked at just now")
                .expected(format!("at most {AT_ONCE} at a time"))
                .remedy("ask again in a moment"));
        }
        let place = arrival::place_of(path, &self.ground.plugins)?;
        let ground = &self.ground;
        // As `load` would: the file may lie where the owner rule would not let the host read it directly.
        let arrived =
            arrival::copy(path, &ground.plugins, &ground.generations, &self.rules_for(&crate::plugin_settings::PluginSettings::default()))?;
        let name = arrived.plugin.clone();
        let held = self.plugins.get(&name).and_then(|p| p.path.clone());
        let settings = settings_of(held.as_deref().unwrap_or(&place.path))?;
        let rules = self.rules_for(&settings);
        let inspected = inspect::inspect(arrived.passing(), &ground.generations, &rules).map_err(|r| problem::from_rejection(&r))?;
        self.inquiries += 1;
        let number = NUMBERS - self.inquiries;
        let copy = inspect::adopt(&inspected, &self.ground.generations, number).map_err(|r| {
            inspect::discard(&inspected);
            problem::from_rejection(&r)
        })?;
        let attempt = self.in_runner(number, path, Found { inspected, settings }, copy, Asker::watcher());
        let attempt = Attempt { inquiry: Some(reply.clone()), ..attempt };
        self.begin_load(number, attempt);
        Ok(())
    }

    /// It has loaded, and what is stored is checked.
    pub(super) fn tell_diff(&mut self, number: i64, attempt: Attempt, batch: &Batch) {
        let diff = self.compare(&attempt, batch);
        self.dismiss(number, &attempt);
        if let Some(inquirer) = attempt.inquiry {
            // As above.
            let _gone = inquirer.send(Ok(diff));
        }
    }

    fn compare(&self, attempt: &Attempt, batch: &Batch) -> Diff {
        let plugin = &attempt.plugin;
        let active = self.plugins.get(plugin).and_then(|p| p.active.as_ref());
        let types: BTreeSet<String> = batch.types.iter().map(|t| t.event_type.clone()).collect();
        let own = || self.rows.values().filter(|row| row.owner.as_ref() == Some(plugin)).map(|row| row.event_type.clone());
        let before: BTreeSet<String> = active.map_or_else(|| own().collect(), |a| a.types.iter().cloned().collect());
        let row = |name: &String| self.rows.values().find(|row| row.event_type == *name);
        let changed = batch.types.iter().filter_map(|offer| {
            let row = row(&offer.event_type).filter(|row| row.args_schema != offer.args_schema)?;
            let differences = schema_words::differences(&row.args_schema, &offer.args_schema);
            Some(Changed { event_type: offer.event_type.clone(), differences })
        });
        let foreign = |name: &&String| row(name).and_then(|row| row.owner.as_ref()).is_some_and(|owner| owner != plugin);
        let uids = |actions: &[ActionOffer]| actions.iter().map(|a| a.uid.clone()).collect::<BTreeSet<_>>();
        let (actions, actions_before) = (uids(&batch.actions), active.map(|a| uids(&a.actions)).unwrap_or_default());
        let [standing_added, standing_removed, standing_changed] = standing(active.map_or(&[], |a| &a.standing), &batch.standing);
        let Findings { checked, refused, named } = attempt.check.as_ref().map(|c| c.findings.clone()).unwrap_or_default();
        Diff {
            file: attempt.path.as_deref().map(shown).unwrap_or_default(),
            plugin: plugin.clone(),
            before: active.and_then(|a| side(Some(a.serving.generation), &a.serving.digest, a.image.as_ref())),
            after: side(None, &attempt.digest, attempt.image.as_ref()).expect("what is looked at has an image"),
            types_added: types.difference(&before).cloned().collect(),
            types_removed: before.difference(&types).cloned().collect(),
            types_changed: changed.collect(),
            types_owned_by_others: types.iter().filter(foreign).cloned().collect(),
            actions_added: actions.difference(&actions_before).cloned().collect(),
            actions_removed: actions_before.difference(&actions).cloned().collect(),
            standing_added,
            standing_removed,
            standing_changed,
            events_checked: checked,
            events_refused: refused.len(),
            refused: named,
            warnings: attempt.image.as_ref().map(|i| i.warnings.clone()).unwrap_or_default(),
        }
    }
}

fn side(generation: Option<i64>, digest: &str, image: Option<&Image>) -> Option<Side> {
    let identity = &image?.identity;
    Some(Side { generation, version: identity.version.clone(), digest: digest.to_owned(), rustc: identity.rustc.clone() })
}

/// Which are new, which are no longer declared, which say something else.
fn standing(before: &[StandingEvent], after: &[StandingEvent]) -> [Vec<String>; 3] {
    let name = |s: &StandingEvent| format!("{} {}", s.event_type, s.key);
    let twin =
        |of: &StandingEvent, among: &[StandingEvent]| among.iter().find(|s| s.event_type == of.event_type && s.key == of.key).cloned();
    let added = after.iter().filter(|s| twin(s, before).is_none()).map(name).collect();
    let removed = before.iter().filter(|s| twin(s, after).is_none()).map(name).collect();
    let changed = after.iter().filter(|s| twin(s, before).is_some_and(|b| b != **s)).map(name).collect();
    [added, removed, changed]
}
