//! The supervisor's thread: takes messages one at a time, looks at the directory, and lets everything take its next step.
//!
//! It never waits for a plugin: what takes time is an entry in a table with a deadline. What must hold: nobody else changes these tables,
//! and views are published before anybody is answered.

use super::asked::{Answer, Asker, Message, Verb};
use super::lives::{Attempt, Retiring};
use super::offer::HOST;
use super::snapshot::{self, Served};
use super::state::{File, Limits, Phase, Plugin, Unloading};
use super::{Ground, Shared, sweep};
use crate::problem;
use crate::watcher::Doorbell;
use chrono::Utc;
use serde_json::Value;
use sexton_core::{Blame, Refusal, TypeId};
use sexton_loader::seam::{Report, Stamped};
use sexton_store::rows::{Actor, AuditLine, Decision, TypeRow};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Messages taken before everything that waits gets its turn.
const MESSAGES_AT_ONCE: usize = 256;
/// Between two looks whether an unload's runs have ended.
const POLL: Duration = Duration::from_millis(20);

/// The one owner of everything about plugins.
pub struct Keeper {
    pub(super) ground: Ground,
    pub(super) limits: Limits,
    pub(super) shared: Arc<Shared>,
    /// For the doorbell.
    pub(super) door: Sender<Message>,
    pub(super) files: BTreeMap<PathBuf, File>,
    pub(super) plugins: BTreeMap<String, Plugin>,
    pub(super) attempts: BTreeMap<i64, Attempt>,
    pub(super) retiring: BTreeMap<i64, Retiring>,
    pub(super) unloads: Vec<Unloading>,
    pub(super) deferred: VecDeque<Verb>,
    pub(super) rows: BTreeMap<TypeId, TypeRow>,
    pub(super) phase: Phase,
    /// Files that were only looked at.
    pub(super) inquiries: i64,
    pub(super) next_look: Instant,
    pub(super) doorbell: Option<Doorbell>,
    pub(super) last_look: Instant,
    /// The directory could not be read at the last look; said once.
    pub(super) directory_away: bool,
    /// It holds more than is looked at; said once.
    pub(super) directory_crowded: bool,
    /// What went while no host ran is still to be forgotten: that needs a look that saw everything.
    pub(super) forget_due: bool,
}

impl Keeper {
    /// Reads what the store remembers and clears what an earlier life left on disk.
    pub fn new(ground: Ground, limits: Limits, shared: Arc<Shared>, door: Sender<Message>) -> Result<Self, Refusal> {
        let mut keeper = Self {
            ground,
            limits,
            shared,
            door,
            files: BTreeMap::new(),
            plugins: BTreeMap::new(),
            attempts: BTreeMap::new(),
            retiring: BTreeMap::new(),
            unloads: Vec::new(),
            deferred: VecDeque::new(),
            rows: BTreeMap::new(),
            inquiries: 0,
            phase: Phase::Starting { since: Instant::now() },
            next_look: Instant::now(),
            last_look: Instant::now(),
            doorbell: None,
            directory_away: false,
            directory_crowded: false,
            forget_due: true,
        };
        for row in keeper.ground.store.plugins().map_err(|e| problem::from_store(&e))? {
            let plugin = keeper.plugins.entry(row.name).or_default();
            plugin.decision = row.decision;
            plugin.last_digest = row.last_generation.map(|(_, digest)| digest);
        }
        match sweep::sweep(&keeper.ground.generations, &keeper.rollbacks()) {
            Ok(kept) => {
                for (name, copies) in kept {
                    keeper.plugins.entry(name).or_default().copies = copies;
                }
            }
            Err(e) => tracing::warn!(error = %e, "private copies of an earlier life cannot be swept"),
        }
        keeper.rows = keeper.stored_types()?;
        Ok(keeper)
    }

    /// The thread. Ends after `Stop`.
    pub fn run(mut self, inbox: &Receiver<Message>) {
        self.swap();
        self.serve_built_ins();
        self.hang_doorbell();
        loop {
            self.step();
            self.publish_views();
            if self.stopped() {
                break;
            }
            let wait = self.next_due().saturating_duration_since(Instant::now());
            match inbox.recv_timeout(wait) {
                Ok(message) => self.take_message(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Not for ever: deadlines are kept and a stop is obeyed, whoever floods us.
            for message in inbox.try_iter().take(MESSAGES_AT_ONCE) {
                self.take_message(message);
            }
        }
    }

    pub(super) fn take_message(&mut self, message: Message) {
        match message {
            // Nothing new begins.
            Message::Verb(verb) if self.is_stopping() => verb.asker.answer(Err(problem::stopping())),
            Message::Diff { reply, .. } if self.is_stopping() => {
                let _gone = reply.send(Err(problem::stopping()));
            }
            Message::Verb(verb) => self.take_verb(verb),
            Message::ReleaseType { event_type, by, reply } => {
                let answer = self.release_type(&event_type, &by);
                let _gone = reply.send(answer);
            }
            Message::Report(stamped) => self.take_report(stamped),
            Message::Diff { path, reply } => self.begin_diff(&path, &reply),
            Message::Dirty => self.look_by(Instant::now()),
            Message::Stop { grace, reply } => self.begin_stop(grace, reply),
        }
    }

    pub(super) fn take_report(&mut self, stamped: Stamped) {
        let Stamped { generation, report } = stamped;
        match report {
            Report::Loaded(result) => self.loaded(generation, result),
            Report::Quiescent => self.quiescent(generation),
            Report::Gone(farewell) => self.gone(generation, &farewell),
            Report::Migrated { question, result } => self.migrated(generation, question, result),
            Report::Started { .. } | Report::Done(_) | Report::Refused(_) | Report::Acted { .. } | Report::Call { .. } | Report::Log(_) => {
                tracing::debug!(generation, "a report that is the engine's came to the supervisor");
            }
        }
    }

    /// Lets everything that waits take its next step.
    pub(super) fn step(&mut self) {
        let now = Instant::now();
        if self.is_stopping() {
            return;
        }
        if now >= self.next_look {
            self.look(now);
        }
        self.end_overdue_loads(now);
        self.end_overdue(now);
        self.step_checks();
        self.step_restarts(now);
        self.step_unloads(now);
        self.retry_deferred();
        self.end_start(now);
    }

    /// When something is to be done even if no message comes.
    fn next_due(&self) -> Instant {
        if let Phase::Stopping { soon, deadline, .. } = &self.phase {
            return if *soon > Instant::now() { *soon } else { *deadline };
        }
        let loads = self.attempts.values().filter(|a| a.offered.is_none()).map(|a| a.deadline);
        let verbs = self.deferred.iter().filter_map(|v| v.expires);
        let poll = (!self.unloads.is_empty()).then(|| Instant::now() + POLL);
        // One that is under way is looked at when it has come to an end.
        let idle = self.plugins.iter().filter(|(name, _)| self.under_way(name).is_none());
        let restarts = idle.filter_map(|(_, p)| p.restart.as_ref()).map(|r| r.at);
        let unloads = self.retiring.values().filter_map(|r| r.overdue);
        loads.chain(unloads).chain(verbs).chain(poll).chain(restarts).chain(self.next_check()).fold(self.next_look, Instant::min)
    }

    /// Once nothing of the start is under way any more, whoever waits for it goes on.
    fn end_start(&mut self, now: Instant) {
        let Phase::Starting { since } = self.phase else {
            if self.forget_due && self.attempts.is_empty() && !self.files.values().any(|f| f.handled.is_none()) {
                self.forget_absent();
            }
            return;
        };
        let late = now.saturating_duration_since(since) >= self.limits.start_settle;
        // Also what has settled and has not had its turn yet, since not everything is opened at once.
        let settling = self.files.values().any(|f| !f.settling.settled || (f.handled.is_none() && f.retry_at.is_none()));
        if self.attempts.is_empty() || self.attempts.values().all(|a| a.offered.is_some()) {
            self.publish_offered();
        }
        if self.attempts.is_empty() && (late || !settling) {
            self.phase = Phase::Serving;
            self.forget_absent();
            self.publish_views();
            self.shared.ready();
        }
    }

    pub(super) fn swap(&mut self) {
        let served = self.plugins.values().filter(|p| !p.withdrawn).filter_map(|p| p.active.as_ref());
        let served = served.map(|a| Served { serving: &a.serving, types: &a.types, actions: &a.actions });
        let next = snapshot::build(&self.ground.registry.now(), &self.rows, served, &self.coming());
        self.ground.registry.swap(next);
        self.ground.engine.registry_changed();
    }

    pub(super) fn stored_types(&self) -> Result<BTreeMap<TypeId, TypeRow>, Refusal> {
        let rows = self.ground.store.types().map_err(|e| problem::from_store(&e))?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Reads the types again; on trouble the ones known stay.
    pub(super) fn refresh_types(&mut self) {
        match self.stored_types() {
            Ok(rows) => self.rows = rows,
            Err(refusal) => tracing::warn!(%refusal, "event types cannot be read again; the ones known stay"),
        }
    }

    fn release_type(&mut self, event_type: &str, by: &Actor) -> Result<Option<String>, Refusal> {
        if let Some(server) = self.server_of(event_type) {
            return Err(serves_now(event_type, &server));
        }
        let owner = self.ground.store.release_type(event_type, by, Utc::now()).map_err(|e| problem::from_store(&e))?;
        self.refresh_types();
        self.forgive("PLG031");
        self.swap();
        Ok(owner)
    }

    /// Who serves a type, or will again once an unload is put back. The host's own types are always the host's.
    fn server_of(&self, event_type: &str) -> Option<String> {
        if self.rows.values().any(|row| row.event_type == event_type && row.owner.as_deref() == Some(HOST)) {
            return Some(HOST.to_owned());
        }
        let serves = |plugin: &Plugin| plugin.active.as_ref().is_some_and(|a| a.types.iter().any(|t| t == event_type));
        self.plugins.iter().find(|(_, plugin)| serves(plugin)).map(|(name, _)| name.clone())
    }

    /// Files that were refused for a reason that may have gone are to be looked at again.
    pub(super) fn forgive(&mut self, code: &str) {
        for file in self.files.values_mut().filter(|f| f.rejection.as_ref().is_some_and(|r| r.code == code)) {
            file.handled = None;
        }
        self.look_by(Instant::now());
    }

    pub(super) fn decide(&mut self, name: &str, decision: Option<Decision>, by: &Actor) -> Result<(), Refusal> {
        self.ground.store.decide(name, decision.as_ref(), by, Utc::now()).map_err(|e| problem::from_store(&e))?;
        self.plugins.entry(name.to_owned()).or_default().decision = decision;
        Ok(())
    }

    pub(super) fn audit(&self, by: &Actor, verb: &str, subject: &str, detail: Value) {
        let line = AuditLine { at: Utc::now(), actor: by.clone(), verb: verb.to_owned(), subject: subject.to_owned(), detail };
        if let Err(error) = self.ground.store.audit(&line) {
            tracing::warn!(verb, subject, %error, "an audit line cannot be stored");
        }
    }

    /// Publishes what is so now, then tells who asked.
    pub(super) fn answer(&mut self, asker: Asker, answer: Answer) {
        self.publish_views();
        asker.answer(answer);
    }

    /// Tells who asked how the plugin stands.
    pub(super) fn answer_with_view(&mut self, asker: Asker, name: &str) {
        self.publish_views();
        let answer = self.shared.view(name).ok_or_else(|| super::verbs::no_such(name));
        asker.answer(answer);
    }

    /// Watches anew: at the start, and after the directory was away.
    pub(super) fn hang_doorbell(&mut self) {
        let door = self.door.clone();
        let ring = move || {
            let _ended = door.send(Message::Dirty);
        };
        self.doorbell = match Doorbell::hang(&self.ground.plugins, ring) {
            Ok(bell) => Some(bell),
            Err(e) => {
                tracing::warn!(error = %e, "file events are not to be had; the plugin directory is looked at each second instead");
                None
            }
        };
    }
}

/// Nobody takes a type away from whoever serves it.
fn serves_now(event_type: &str, server: &str) -> Refusal {
    let refusal = Refusal::new("PLG044", Blame::Input, format!("the event type `{event_type}` is not released: `{server}` serves it now"))
        .expected("an event type that nobody serves");
    if server == HOST {
        refusal.remedy("leave it: the types `sexton.…` are the host's own")
    } else {
        refusal.remedy(format!("unload the plugin first: `sexton plugin unload {server}`"))
    }
}
