//! Between `load` and publishing: stored arguments are checked beside what serves, without making anybody wait.
//!
//! Not the judgement of one argument (`args_check`). What must hold: from the beginning of a check to the swap, new events fit both schemas; a page,
//! some questions, and the thread is free again; whatever fails leaves what serves serving.

use super::args_check::Findings;
use super::args_check::{Changed, Check, PAGE};
use super::keeper::Keeper;
use super::lives::{Attempt, Process};
use super::offer::{self, HOST};
use super::snapshot::AllComing;
use crate::problem;
use crate::registry::Coming;
use sexton_core::{Blame, Refusal};
use sexton_loader::seam::{Death, DeathKind, Killing, Order};
use sexton_plugin_api::wire::{Batch, EntryFailure};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks whether events that were judged before the check began are stored.
const POLL: Duration = Duration::from_millis(2);
/// Why a forced reload pauses.
const PAUSED: &str = "args_rejected: the build that was loaded by force does not accept the arguments";

impl Keeper {
    /// A build offered its batch: checked against what is stored if a schema differs, else published at once.
    pub(super) fn offered(&mut self, number: i64, mut attempt: Attempt, batch: Batch) {
        // Of a build that was probed in a runner: the same batch is not checked twice.
        if attempt.check.as_ref().is_some_and(|c| c.concluded && c.batch == batch) {
            return self.accept(number, attempt, batch);
        }
        match self.new_check(&attempt, &batch) {
            Ok(None) => self.accept(number, attempt, batch),
            Ok(Some(check)) => {
                attempt.deadline = Instant::now() + self.check_limit(&attempt);
                attempt.check = Some(Box::new(check));
                self.attempts.insert(number, attempt);
                self.swap();
                self.step_check(number);
            }
            Err(refusal) => self.refuse(number, attempt, refusal),
        }
    }

    /// Of types that are nobody's or the plugin's own; what is another's is refused when it is published.
    fn new_check(&self, attempt: &Attempt, batch: &Batch) -> Result<Option<Check>, Refusal> {
        let plugin = &attempt.plugin;
        let differs = |(name, schema): (&String, &serde_json::Value)| {
            self.rows
                .values()
                .find(|row| row.event_type == *name && row.args_schema != *schema && row.owner.as_ref().is_none_or(|o| o == plugin))
        };
        let offers = batch.types.iter().map(|t| (&t.event_type, &t.args_schema));
        if plugin == HOST || offers.clone().find_map(differs).is_none() {
            return Ok(None);
        }
        let before = self.ground.registry.now();
        let mut checked = offer::check(plugin, batch.clone(), &before, attempt.settings.confinement.limits.event_types)?;
        let changed = offers.filter_map(|(name, schema)| {
            let row = differs((name, schema))?;
            let validator = checked.validators.remove(name)?;
            let coming = Arc::new(Coming { plugin: plugin.clone(), args_schema: schema.clone(), validator });
            let declared = batch.standing.iter().filter(|s| s.event_type == *name).map(|s| s.key.clone()).collect();
            Some(Changed { id: row.id, event_type: name.clone(), coming, declared })
        });
        let changed = changed.collect();
        Ok(Some(Check::new(batch.clone(), changed, &before)))
    }

    fn check_limit(&self, attempt: &Attempt) -> Duration {
        attempt.settings.load_deadline.unwrap_or(self.limits.load).max(self.limits.check)
    }

    /// What new events have to fit besides the schemas in force.
    pub(super) fn coming(&self) -> AllComing {
        let checks = self.attempts.values().filter(|a| a.inquiry.is_none()).filter_map(|a| a.check.as_ref());
        checks.flat_map(|c| c.changed()).map(|changed| (changed.id, Arc::clone(&changed.coming))).collect()
    }

    /// Lets every check take its next step.
    pub(super) fn step_checks(&mut self) {
        let going = self.attempts.iter().filter(|(_, a)| a.is_checking()).map(|(number, _)| *number);
        for number in going.collect::<Vec<_>>() {
            self.step_check(number);
        }
    }

    /// When a check can go on without a word of its build.
    pub(super) fn next_check(&self) -> Option<Instant> {
        let going = || self.attempts.values().filter_map(|a| a.check.as_ref()).filter(|c| !c.concluded);
        if going().any(|c| c.waits_for_intake()) {
            return Some(Instant::now() + POLL);
        }
        going().any(|c| c.next_page().is_some()).then(Instant::now)
    }

    fn step_check(&mut self, number: i64) {
        let Self { attempts, ground, .. } = self;
        let Some(attempt) = attempts.get_mut(&number) else { return };
        let Some(check) = attempt.check.as_deref_mut().filter(|c| !c.concluded && !c.waits_for_intake()) else { return };
        if let Some((event_type, after)) = check.next_page() {
            match ground.store.args_of(event_type, after, PAGE) {
                Ok(rows) => check.take_page(rows, |event, keys| {
                    // Unreadable: it is not passed over.
                    !keys.is_empty()
                        && ground
                            .store
                            .event(event)
                            .ok()
                            .flatten()
                            .is_some_and(|e| e.standing_of.is_some() && e.wish.key.as_ref().is_some_and(|key| keys.contains(key)))
                }),
                Err(e) => {
                    let refusal = problem::from_store(&e);
                    if let Some(attempt) = self.attempts.remove(&number) {
                        self.refuse(number, attempt, refusal);
                    }
                    return;
                }
            }
        }
        while let Some(question) = check.next_question() {
            // Should nobody be at the other end, `Gone` or the deadline says so.
            let _ended = attempt.orders.send(question);
        }
        if check.is_done() {
            check.concluded = true;
            let batch = check.batch.clone();
            if let Some(attempt) = self.attempts.remove(&number) {
                self.accept(number, attempt, batch);
            }
        }
    }

    /// The build said what it makes of stored arguments.
    pub(super) fn migrated(&mut self, number: i64, question: u64, answer: Result<String, EntryFailure>) {
        if let Some(check) = self.attempts.get_mut(&number).and_then(|a| a.check.as_mut()) {
            check.take_answer(question, answer);
            self.step_check(number);
        }
    }

    /// What is stored is checked. Refused arguments refuse the build, unless somebody said to pause those events.
    fn accept(&mut self, number: i64, attempt: Attempt, batch: Batch) {
        if attempt.inquiry.is_some() {
            return self.tell_diff(number, attempt, &batch);
        }
        let findings = attempt.check.as_ref().map(|c| &c.findings).filter(|f| !f.refused.is_empty());
        if let Some(findings) = findings.filter(|_| !attempt.asker.force) {
            let verb = if attempt.asker.cause.goes_back() { "rollback" } else { "reload" };
            let refusal = args_refused(&attempt.plugin, findings, verb);
            return self.refuse(number, attempt, refusal);
        }
        if attempt.probe { self.open_here(number, attempt) } else { self.publish(number, attempt, batch) }
    }

    fn refuse(&mut self, number: i64, attempt: Attempt, refusal: Refusal) {
        self.dismiss(number, &attempt);
        self.fail(attempt, refusal);
    }

    /// Pauses what the new build does not accept. Answers how many.
    pub(super) fn pause_refused(&mut self, attempt: &Attempt) -> Result<u64, Refusal> {
        let Some(findings) = attempt.check.as_ref().map(|c| &c.findings).filter(|f| !f.refused.is_empty()) else { return Ok(0) };
        self.ground.engine.pause_many(&findings.refused, PAUSED, &attempt.asker.by)
    }

    /// Of a check that takes too long.
    pub(super) fn check_overdue(&mut self, number: i64, attempt: Attempt) {
        let limit = self.check_limit(&attempt);
        let asked = attempt.check.as_ref().and_then(|c| c.asked_of().map(str::to_owned));
        let refusal = check_too_slow(&attempt, asked.as_deref(), limit);
        if attempt.process.is_some() {
            let why = format!("deadline: the check of stored arguments is not done within {limit:?}");
            // If it is gone already, it says so itself.
            let _gone = attempt.orders.send(Order::Kill(Killing { kind: DeathKind::Deadline, why, run: None }));
            self.await_end(number, &attempt);
            self.fail(attempt, refusal);
        } else {
            self.refuse(number, attempt, refusal);
        }
    }
}

impl Attempt {
    /// Stored arguments are being checked against it.
    pub(super) fn is_checking(&self) -> bool {
        self.check.as_ref().is_some_and(|c| !c.concluded)
    }
}

/// The build's process died of stored arguments.
pub(super) fn died_while_checked(attempt: &Attempt, death: &Death) -> Refusal {
    let of = attempt.check.as_ref().and_then(|c| c.asked_of()).map_or_else(String::new, |t| format!(" of `{t}`"));
    let message =
        format!("the process of plugin `{}` died while the arguments of stored events{of} were put to it: {}", attempt.plugin, death.cause);
    Refusal::new("PLG082", Blame::Plugin, message)
        .expected("`migrate_args` answers for every stored argument, and the process goes on")
        .found(death.cause.clone())
        .remedy("correct `migrate_args` of that job; what served goes on serving")
}

fn args_refused(plugin: &str, findings: &Findings, verb: &str) -> Refusal {
    let Findings { checked, refused, named } = findings;
    let more = refused.len().saturating_sub(named.len());
    let mut list = named.iter().map(|n| format!("{} ({}): {}", n.event, n.event_type, n.why)).collect::<Vec<_>>().join("\n");
    if more > 0 {
        list.push_str(&format!("\nand {more} more"));
    }
    let message =
        format!("the new build of plugin `{plugin}` does not accept the arguments of {} of {checked} stored events", refused.len());
    Refusal::new("PLG080", Blame::Plugin, message)
        .expected("arguments that fit the new schema, as they are stored or as `migrate_args` carries them over")
        .found(list)
        .remedy(format!(
            "carry them over in `migrate_args`, or edit or cancel those events; `sexton plugin {verb} {plugin} --force` pauses them instead"
        ))
}

fn check_too_slow(attempt: &Attempt, asked: Option<&str>, limit: Duration) -> Refusal {
    let message = format!("the arguments of stored events could not be checked against the new build of plugin `{}`", attempt.plugin);
    let found = match (asked, &attempt.process) {
        (Some(event_type), Some(Process { .. })) => format!("`migrate_args` of `{event_type}` has not answered; its process was ended"),
        (Some(event_type), None) => {
            format!("`migrate_args` of `{event_type}` has not answered; its code is left alone and closed when it returns")
        }
        (None, _) => "it was still reading".to_owned(),
    };
    Refusal::new("PLG081", Blame::Plugin, message)
        .expected(format!("an end within {limit:?}"))
        .found(found)
        .remedy("let `migrate_args` only compute; raise `load` of `[deadlines]` in its settings file if there is that much to check")
}

/// The names of a batch's types whose schema differs from what the store has.
pub(super) fn changed_types<'a>(
    stored: impl Iterator<Item = (&'a str, &'a serde_json::Value)>,
    offered: &[(String, serde_json::Value)],
) -> Vec<String> {
    let differing: BTreeSet<&str> =
        stored.filter(|(name, schema)| offered.iter().any(|(n, s)| n == name && s != *schema)).map(|(name, _)| name).collect();
    differing.into_iter().map(str::to_owned).collect()
}
