//! What generations report, taken to where it belongs: the table, the settler, the scheduler, or the threads that answer calls.
//!
//! It runs on the thread that routes reports and waits for nothing. What must hold: an end that was read is settled, whatever becomes of the
//! generation after it.

use crate::clock;
use crate::engine::calls::{self, Ask};
use crate::engine::overruns::Watch;
use crate::engine::progress;
use crate::engine::scheduler::Message;
use crate::engine::settler::{self, Ending};
use crate::engine::shared::Shared;
use crate::engine::table::{ActionEnd, Phase, Running};
use crate::engine::told::HostEvent;
use crate::registry::Serving;
use chrono::{DateTime, Utc};
use sexton_core::ErrorCode;
use sexton_core::decide::Guilt;
use sexton_loader::seam::{Death, DeathKind, Ended, Farewell, Order, Report, Stamped};
use sexton_plugin_api::wire::{CallRefusal, HostCall, JobEnd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Takes one report. What it says of runs that are not its generation's is passed over.
pub fn take(shared: &Shared, stamped: Stamped) {
    let generation = stamped.generation;
    let is_its_own = |number: u64| {
        let own = shared.table.rows().is_of(number, generation);
        if !own {
            tracing::debug!(generation, run = number, "a report of a run that is not this generation's, or not any more");
        }
        own
    };
    match stamped.report {
        Report::Started { run, .. } if !is_its_own(run) => {}
        Report::Started { run, at } => started(shared, run, at),
        Report::Done(mut ended) => {
            ended.retain(|one| is_its_own(one.reply.run));
            done(shared, ended);
        }
        // A scheduler that has stopped starts nothing: the slots stay filled for the next life.
        Report::Refused(mut runs) => {
            runs.retain(|run| is_its_own(*run));
            drop(shared.door.send(Message::Unstarted(runs)));
        }
        Report::Acted { run, result } => acted(shared, generation, run, result),
        Report::Call { call, run, request } => asked(shared, generation, call, run, request),
        Report::Gone(farewell) => gone(shared, generation, &farewell),
        Report::Loaded(_) | Report::Migrated { .. } | Report::Log(_) | Report::Quiescent => {}
    }
}

fn started(shared: &Shared, run: u64, at: DateTime<Utc>) {
    let mut rows = shared.table.rows();
    let Some(running) = rows.runs.get_mut(&run).filter(|r| r.phase == Phase::Handed) else { return };
    running.phase = Phase::Entered;
    running.entered_at = Some(at);
    if let Some((limit, _)) = running.bounds.timeout {
        // Without a watch the run goes on: its end is settled all the same.
        let _ = shared.begun.send(Watch::Run(run, Instant::now() + limit));
    }
    shared.observers.tell(|| HostEvent::Started { run: progress::of_run(running), started_at: at });
}

fn acted(shared: &Shared, generation: i64, number: u64, result: ActionEnd) {
    let mut rows = shared.table.rows();
    if let Some(acting) = rows.actions.get(&number).filter(|a| a.serving.generation == generation) {
        // Under the lock, so that a caller who gives up sees it. It may be gone all the same.
        let _ = acting.end.send(result);
    } else if rows.is_left(number, generation) {
        rows.left.remove(&number);
    } else {
        tracing::debug!(generation, run = number, "an end was reported of an action that is not this generation's, or not any more");
    }
}

fn done(shared: &Shared, ended: Vec<Ended>) {
    let mut unstarted = Vec::new();
    let mut rows = shared.table.rows();
    for one in ended {
        let number = one.reply.run;
        let stopped_first = |r: &Running| r.stopped && r.phase == Phase::Handed;
        if matches!(one.reply.end, JobEnd::Cancelled { .. }) && rows.runs.get(&number).is_some_and(stopped_first) {
            unstarted.push(number);
        } else if let Some(run) = rows.end(number) {
            if one.reply.end == JobEnd::Succeeded {
                run.serving.succeeded.store(true, Ordering::Relaxed);
            }
            let end = settler::run_end(run, one);
            // Without a settler the slot stays filled, and the next start resolves it.
            let _ = shared.endings.send(Ending::Run(number, Box::new(end)));
        } else {
            tracing::debug!(run = number, "an end was reported of a run that is not under way");
        }
    }
    drop(rows);
    if !unstarted.is_empty() {
        // As with `Refused`.
        let _ = shared.door.send(Message::Unstarted(unstarted));
    }
    made_room(shared);
}

fn gone(shared: &Shared, generation: i64, farewell: &Farewell) {
    // A plugin may have forged its process's last words: a run that is not its own blames nobody.
    let run = farewell.death.as_ref().and_then(|d| d.run).filter(|run| shared.table.rows().may_blame(*run, generation));
    let asked = shared.table.rows().forget_stranger(generation);
    if asked > 1 {
        tracing::warn!(generation, asked, "a generation that nobody introduced went on asking until it ended");
    }
    // With an action, or with a run that may have been entered unheard, it is not sure who was why.
    let acted = shared.table.rows().acts(generation);
    let (unstarted, started) = shared.table.gone(generation, farewell);
    let alone = started.len() == 1 && unstarted.is_empty() && !acted;
    shared.run_logs.forget_generation(generation);
    if !started.is_empty() {
        tracing::warn!(generation, runs = started.len(), "a generation ended before its runs did: they are interrupted");
    }
    match &farewell.death {
        Some(death) => cut_short_by(shared, started, &Death { run, ..death.clone() }, alone),
        None => cut_short(shared, started, "its generation ended before it did", Guilt::Suspect, ErrorCode::Unloaded),
    }
    if !unstarted.is_empty() {
        // As with `Refused`.
        let _ = shared.door.send(Message::Unstarted(unstarted));
    }
}

/// Ends the runs of a process that died. Where its culprit is known, by the process's word or because it was `alone`, the others are innocent;
/// where the plugin is not to blame, all are.
fn cut_short_by(shared: &Shared, numbers: Vec<u64>, death: &Death, alone: bool) {
    let late = |number: &u64| death.kind == DeathKind::Deadline && shared.table.rows().runs.get(number).is_some_and(|r| r.overrun);
    let (culprits, others): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(|number| death.run == Some(*number) || late(number));
    let blamed = death.kind.blames_the_plugin();
    if death.kind == DeathKind::Deadline {
        let mut rows = shared.table.rows();
        for number in &culprits {
            if let Some(run) = rows.end(*number) {
                let end = settler::overrun(run, &death.cause, clock::now());
                // As with `Done`.
                let _ = shared.endings.send(Ending::Run(*number, Box::new(end)));
            }
        }
        drop(rows);
    } else {
        cut_short(shared, culprits, &death.cause, if blamed { Guilt::Culprit } else { Guilt::Innocent }, word_of(death.kind));
    }
    let (guilt, code) = match death.run {
        Some(_) => (Guilt::Innocent, ErrorCode::Neighbour),
        None if blamed && alone => (Guilt::Culprit, word_of(death.kind)),
        None if blamed => (Guilt::Suspect, word_of(death.kind)),
        None => (Guilt::Innocent, word_of(death.kind)),
    };
    cut_short(shared, others, &format!("its process ended: {}", death.cause), guilt, code);
}

/// The word for how a process ended, on the runs that it took along.
fn word_of(kind: DeathKind) -> ErrorCode {
    match kind {
        DeathKind::Signal => ErrorCode::Signal,
        DeathKind::StackOverflow => ErrorCode::StackOverflow,
        DeathKind::Exit => ErrorCode::Exit,
        DeathKind::MemoryLimit => ErrorCode::MemoryLimit,
        DeathKind::CpuLimit => ErrorCode::CpuLimit,
        DeathKind::Protocol => ErrorCode::Protocol,
        // A step of its life took too long, no run.
        DeathKind::Deadline | DeathKind::Killed => ErrorCode::Killed,
        DeathKind::HostEnds => ErrorCode::HostStopped,
        DeathKind::NotStarted => ErrorCode::Unloaded,
    }
}

/// Ends runs as interrupted; one that somebody had cancelled has got what it was to get.
pub fn cut_short(shared: &Shared, numbers: Vec<u64>, why: &str, guilt: Guilt, code: ErrorCode) {
    let mut rows = shared.table.rows();
    for number in numbers {
        if let Some(run) = rows.end(number) {
            let end = settler::cut_short(run, why, guilt, code, clock::now());
            // As with `Done`.
            let _ = shared.endings.send(Ending::Run(number, Box::new(end)));
        }
    }
    drop(rows);
    made_room(shared);
}

fn made_room(shared: &Shared) {
    shared.table.tell_change();
    if shared.table.is_starved() {
        shared.door.bell.ring();
    }
}

fn asked(shared: &Shared, generation: i64, call: u64, run: u64, request: HostCall) {
    let Some(serving) = serving(shared, generation) else {
        // Each is introduced before it is active, and until then the loader itself answers.
        if shared.table.rows().count_stranger(generation) {
            tracing::warn!(
                generation,
                "a generation that nobody introduced asked something; it gets no answer, and what more it asks is only counted"
            );
        }
        return;
    };
    if run != 0 && !shared.table.rows().is_of(run, generation) {
        let refusal = calls::to_plugin(&calls::ended(run));
        // As below.
        let _ = serving.orders.send(Order::Answer { call, answer: Err(refusal) });
        return;
    }
    if let HostCall::Progress { done, total, note } = request {
        progress::note(shared, run, done, total, &note);
        // A generation that is gone waits for no answer.
        let _ = serving.orders.send(Order::Answer { call, answer: Ok(serde_json::Value::Null) });
        return;
    }
    let ask = Ask::Call { serving: Arc::clone(&serving), call, run, request };
    if shared.calls.send(ask).is_err() {
        let refusal = CallRefusal { code: "HST006".to_owned(), message: "the host is stopping".to_owned() };
        // As above.
        let _ = serving.orders.send(Order::Answer { call, answer: Err(refusal) });
    }
}

/// Who a generation is: as remembered, or as the registry has it now if it was published a moment ago.
pub fn serving(shared: &Shared, generation: i64) -> Option<Arc<Serving>> {
    let known = shared.table.rows().serving(generation);
    known.or_else(|| {
        shared.table.remember(&shared.registry.now());
        shared.table.rows().serving(generation)
    })
}
