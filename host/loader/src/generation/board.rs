//! What is to be done and what is being done in one generation: the one thing its threads decide from.
//!
//! Not the doing. What must hold: it is changed under its lock only, and no plugin code runs under that lock.

use super::Shared;
use crate::seam::{Farewell, Memory, Report};
use sexton_plugin_api::abi::PluginRoot_Ref;
use sexton_plugin_api::wire::{ActOrder, EntryFailure, LoadOrder, RunOrder};
use std::collections::{BTreeMap, VecDeque};
use std::thread::JoinHandle;

/// Where a generation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not yet told to load.
    #[default]
    New,
    /// The control thread is opening, or in `load`.
    Loading,
    /// Takes runs.
    Loaded,
    /// Takes none.
    Draining,
    /// Threads end.
    Ended,
}

/// Something to ask the plugin besides a run. These have threads of their own, since runs may last for hours.
pub(super) enum Question {
    Act(ActOrder),
    Migrate { question: u64, event_type: String, args: String },
    LogLevel(u8),
}

/// The state.
#[derive(Default)]
pub(super) struct Board {
    pub phase: Phase,
    pub root: Option<PluginRoot_Ref>,
    /// Set by the order, taken by the control thread.
    pub load: Option<LoadOrder>,
    /// Drain was ordered.
    pub drain: bool,
    /// `Quiescent` has been said.
    pub said_quiescent: bool,
    /// The control thread shall unload as soon as nothing runs.
    pub unload: bool,
    pub runs: VecDeque<RunOrder>,
    pub questions: VecDeque<Question>,
    /// Runs under way: number and event type.
    pub running: BTreeMap<u64, String>,
    pub asking: usize,
    pub job_threads: usize,
    pub idle: usize,
    /// All threads of the generation but the desk and the closer.
    pub handles: Vec<JoinHandle<()>>,
}

impl Board {
    pub(super) fn is_quiet(&self) -> bool {
        self.running.is_empty() && self.asking == 0
    }

    fn has_work(&self, threads: usize) -> bool {
        (!self.runs.is_empty() && self.running.len() < threads)
            || (!self.questions.is_empty() && self.asking < super::jobs::QUESTIONS_AT_ONCE)
    }

    /// Why it cannot be closed now, for people.
    fn what_holds(&self) -> Option<String> {
        if self.phase == Phase::Loading {
            return Some("`load` has not returned".to_owned());
        }
        if self.is_quiet() {
            return None;
        }
        let mut runs: Vec<String> = self.running.iter().take(5).map(|(run, kind)| format!("run {run} of {kind}")).collect();
        if self.running.len() > 5 {
            runs.push(format!("{} more", self.running.len() - 5));
        }
        if self.asking > 0 {
            runs.push("a call of an action or of `migrate_args`".to_owned());
        }
        Some(format!("still under way: {}", runs.join(", ")))
    }
}

impl Shared {
    /// Takes an order to load.
    pub(super) fn take_load(&self, order: LoadOrder) {
        let mut board = self.board.lock();
        if board.phase == Phase::New && board.load.is_none() && !board.unload {
            board.load = Some(order);
            self.turn.notify_all();
        } else {
            tracing::warn!(generation = self.generation, "ordered to load twice, or after the end");
        }
    }

    /// Queues runs, or hands them back.
    pub(super) fn take_runs(self: &std::sync::Arc<Self>, orders: Vec<RunOrder>) {
        let mut board = self.board.lock();
        if board.phase != Phase::Loaded {
            drop(board);
            self.report(Report::Refused(orders.iter().map(|o| o.run).collect()));
            return;
        }
        for order in orders {
            self.stops.enter(order.run);
            board.runs.push_back(order);
        }
        self.hire(&mut board);
    }

    /// Queues a question, or answers that it is too late.
    pub(super) fn take_question(self: &std::sync::Arc<Self>, question: Question) {
        let mut board = self.board.lock();
        if board.phase != Phase::Loaded {
            drop(board);
            self.answer_unasked(question);
            return;
        }
        if let Question::Act(order) = &question {
            self.stops.enter(order.run);
        }
        board.questions.push_back(question);
        self.hire(&mut board);
    }

    /// Wakes or starts as many job threads as there is work for.
    fn hire(self: &std::sync::Arc<Self>, board: &mut Board) {
        let waiting = board.runs.len() + board.questions.len();
        let most = self.threads + super::jobs::QUESTIONS_AT_ONCE;
        let wanted = waiting.saturating_sub(board.idle).min(most.saturating_sub(board.job_threads));
        for _ in 0..wanted {
            match self.spawn(|shared| super::jobs::run(&shared)) {
                Ok(handle) => {
                    board.handles.push(handle);
                    board.job_threads += 1;
                }
                Err(error) => {
                    tracing::warn!(generation = self.generation, %error, "no further job thread could be started");
                    if board.job_threads == 0 {
                        self.end_unstarted(board, &error);
                    }
                    break;
                }
            }
        }
        for _ in 0..waiting.min(board.idle) {
            self.work.notify_one();
        }
    }

    /// Takes no new runs; those not yet started go back, so that a newer generation can have them.
    pub(super) fn drain(&self) {
        let mut board = self.board.lock();
        board.drain = true;
        match board.phase {
            Phase::Loaded => board.phase = Phase::Draining,
            Phase::New | Phase::Draining => {}
            Phase::Loading | Phase::Ended => return,
        }
        let unstarted: Vec<u64> = board.runs.drain(..).map(|o| o.run).collect();
        let unasked: Vec<Question> = board.questions.drain(..).collect();
        for run in &unstarted {
            self.stops.leave(*run);
        }
        if !unstarted.is_empty() {
            self.report(Report::Refused(unstarted));
        }
        for question in unasked {
            self.answer_unasked(question);
        }
        self.note_quiet(&mut board);
    }

    /// After each end: says `Quiescent` once, and lets the control thread see.
    pub(super) fn note_quiet(&self, board: &mut Board) {
        let drained = board.phase == Phase::Draining || (board.phase == Phase::New && board.drain);
        if drained && board.is_quiet() && !board.said_quiescent {
            board.said_quiescent = true;
            self.report(Report::Quiescent);
        }
        if board.unload {
            self.turn.notify_all();
        }
    }

    /// Ordered by `Unload`: what still runs is not waited for. It is asked to stop, the image stays open, and this is the last that the
    /// host hears of it; should everything end after all, the image is closed then.
    pub(super) fn unload_now(&self) {
        self.drain();
        let mut board = self.board.lock();
        let holding = board.what_holds();
        board.unload = true;
        self.turn.notify_all();
        drop(board);
        if let Some(why) = holding
            && self.farewell(Farewell { memory: Memory::Lingering { why }, unload: None, death: None })
        {
            self.stops.stop_all();
            self.calls.close();
        }
    }

    /// The host has dropped its end: as `Drain` and `Unload`, with patience.
    pub(super) fn end_when_quiet(&self) {
        self.drain();
        // Nobody is left to answer.
        self.calls.close();
        self.board.lock().unload = true;
        self.turn.notify_all();
    }

    /// Whether a job thread has something to do.
    pub(super) fn has_work(&self, board: &Board) -> bool {
        board.has_work(self.threads)
    }

    fn answer_unasked(&self, question: Question) {
        let too_late = || EntryFailure { kind: "error".to_owned(), message: "the generation takes no new calls".to_owned(), place: None };
        match question {
            Question::Act(order) => {
                self.stops.leave(order.run);
                self.report(Report::Acted { run: order.run, result: Err(too_late()) });
            }
            Question::Migrate { question, .. } => self.report(Report::Migrated { question, result: Err(too_late()) }),
            Question::LogLevel(_) => {}
        }
    }
}
