//! Job threads: take a run or a question from the board, call the plugin, report.
//!
//! What must hold: whatever the plugin answers, each run started gets exactly one `Done`; nothing that the plugin made leaves the call.

use super::Shared;
use super::board::{Board, Phase, Question};
use super::control::said;
use crate::runner::bounds::{MIGRATED_MAX, REPLY_MAX};
use crate::runner::{last_words, weight};
use crate::seam::{Ended, Report};
use abi_stable::std_types::{RSlice, RStr};
use chrono::Utc;
use sexton_plugin_api::abi::{PluginRoot_Ref, Reply};
use sexton_plugin_api::wire::{EntryFailure, JobEnd, RunOrder, RunReply};
use std::sync::Arc;

/// Calls of actions and of `migrate_args` at a time, besides the runs.
pub(super) const QUESTIONS_AT_ONCE: usize = 2;

enum Work {
    Run(RunOrder),
    Ask(Question),
}

/// The thread.
pub(super) fn run(shared: &Arc<Shared>) {
    while let Some((work, root)) = next(shared) {
        match work {
            Work::Run(order) => run_one(shared, root, order),
            Work::Ask(question) => ask(shared, root, question),
        }
    }
}

fn next(shared: &Shared) -> Option<(Work, PluginRoot_Ref)> {
    let mut board = shared.board.lock();
    loop {
        if board.phase == Phase::Ended {
            return None;
        }
        if shared.has_work(&board)
            && let Some(root) = board.root
            && let Some(work) = take(&mut board, shared.threads)
        {
            if shared.has_work(&board) {
                // Whoever was woken for it may have slept again because of what this thread has just taken.
                shared.work.notify_one();
            }
            return Some((work, root));
        }
        board.idle += 1;
        shared.work.wait(&mut board);
        board.idle -= 1;
    }
}

fn take(board: &mut Board, threads: usize) -> Option<Work> {
    if board.asking < QUESTIONS_AT_ONCE
        && let Some(question) = board.questions.pop_front()
    {
        board.asking += 1;
        return Some(Work::Ask(question));
    }
    if board.running.len() >= threads {
        return None;
    }
    let order = board.runs.pop_front()?;
    board.running.insert(order.run, order.event_type.clone());
    Some(Work::Run(order))
}

fn run_one(shared: &Shared, root: PluginRoot_Ref, order: RunOrder) {
    let run = order.run;
    let started_at = Utc::now();
    let reply = if shared.stops.is_stopped(run) {
        // Asked to stop before it began: no thread enters the job.
        RunReply { run, end: JobEnd::Cancelled { reason: "cancelled before it started".to_owned() }, output: None, resources: Vec::new() }
    } else {
        match serde_json::to_vec(&order) {
            Ok(bytes) => {
                shared.report(Report::Started { run, at: started_at });
                last_words::entered(run, shared.generation);
                let reply = understood(run, &root.run()(RSlice::from_slice(&bytes)));
                last_words::entered(0, 0);
                reply
            }
            Err(error) => failed(run, format!("the order cannot be written as JSON: {error}")),
        }
    };
    drop(order);
    shared.stops.leave(run);
    shared.report(Report::Done(vec![Ended { reply, started_at, finished_at: Utc::now() }]));
    let mut board = shared.board.lock();
    board.running.remove(&run);
    shared.note_quiet(&mut board);
}

/// Copies the answer out of the plugin's buffer, which the caller drops at once.
fn understood(run: u64, reply: &Reply) -> RunReply {
    if reply.body.len() > REPLY_MAX {
        return failed(run, format!("the job answered with {} bytes, at most {REPLY_MAX} are taken", reply.body.len()));
    }
    if !reply.ok {
        return failed(run, said(reply).err().map_or_else(|| "no reason given".to_owned(), |failure| failure.message));
    }
    match serde_json::from_slice::<RunReply>(reply.body.as_slice()) {
        Ok(answer) if answer.run == run => bearable(answer, reply.body.len()),
        Ok(answer) => failed(run, format!("the plugin answered for run {} instead of {run}", answer.run)),
        Err(error) => failed(run, format!("the plugin's answer is not understood: {error}")),
    }
}

/// Whether the host takes it: what was left out, with its default, is longer than the answer that came in so many bytes.
fn bearable(answer: RunReply, came: usize) -> RunReply {
    if came <= REPLY_MAX / 64 {
        return answer;
    }
    let run = answer.run;
    let at = Utc::now();
    let ended = [Ended { reply: answer, started_at: at, finished_at: at }];
    let text = serde_json::to_string(&ended).unwrap_or_default();
    let [Ended { reply: answer, .. }] = ended;
    if text.len() > REPLY_MAX {
        return failed(run, format!("the job answered with {} bytes, at most {REPLY_MAX} are taken", text.len()));
    }
    weight::weigh_ended(&text).map_or_else(|why| failed(run, format!("the job answered with {why}")), |_| answer)
}

fn failed(run: u64, message: String) -> RunReply {
    RunReply { run, end: JobEnd::Failed { message, permanent: false }, output: None, resources: Vec::new() }
}

fn ask(shared: &Shared, root: PluginRoot_Ref, question: Question) {
    let run = if let Question::Act(order) = &question { order.run } else { 0 };
    last_words::entered(run, shared.generation);
    match question {
        Question::Act(order) => {
            let result = match serde_json::to_vec(&order) {
                Ok(bytes) => said(&root.act()(RSlice::from_slice(&bytes))),
                Err(e) => Err(EntryFailure {
                    kind: "error".to_owned(),
                    message: format!("the order cannot be written as JSON: {e}"),
                    place: None,
                }),
            };
            shared.stops.leave(order.run);
            shared.report(Report::Acted { run: order.run, result });
        }
        Question::Migrate { question, event_type, args } => {
            let result = migrated(&root.migrate()(RStr::from_str(&event_type), RSlice::from_slice(args.as_bytes())));
            shared.report(Report::Migrated { question, result });
        }
        Question::LogLevel(level) => root.log_level()(level),
    }
    last_words::entered(0, 0);
    let mut board = shared.board.lock();
    board.asking -= 1;
    shared.note_quiet(&mut board);
}

fn migrated(reply: &Reply) -> Result<String, EntryFailure> {
    if !reply.ok {
        return Err(said(reply).err().unwrap_or_else(|| EntryFailure {
            kind: "error".to_owned(),
            message: "no reason given".to_owned(),
            place: None,
        }));
    }
    if reply.body.len() > MIGRATED_MAX {
        return Err(EntryFailure {
            kind: "error".to_owned(),
            message: format!("`migrate_args` answered with {} bytes, at most {MIGRATED_MAX} are taken", reply.body.len()),
            place: None,
        });
    }
    let text = std::str::from_utf8(reply.body.as_slice()).ok().filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    text.map(str::to_owned).ok_or_else(|| EntryFailure {
        kind: "error".to_owned(),
        message: "`migrate_args` answered what is no JSON".to_owned(),
        place: None,
    })
}

impl Shared {
    /// No job thread could be started, and there is none: what waits ends now, with the reason.
    pub(super) fn end_unstarted(&self, board: &mut Board, error: &std::io::Error) {
        let at = Utc::now();
        let ended: Vec<Ended> = board
            .runs
            .drain(..)
            .map(|order| {
                self.stops.leave(order.run);
                Ended {
                    reply: failed(order.run, format!("no thread could be started for the job: {error}")),
                    started_at: at,
                    finished_at: at,
                }
            })
            .collect();
        for one in ended {
            self.report(Report::Done(vec![one]));
        }
    }
}
