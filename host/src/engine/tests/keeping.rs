//! History under way: pruning beside a steady stream of runs, and what a pruning leaves in the audit.
//!
//! Not which runs go (the store's suite). What must hold: lateness is printed, never asserted, as a shared machine has pauses of its own; what is
//! asserted is that everything ran and everything old went.

use crate::clock;
use crate::engine::history::PruneEnd;
use crate::engine::tests::rig::{Generation, Rig, event, in_ms, once, until};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sexton_core::decide::End;
use sexton_core::{EventId, OccurrenceId, Outcome, Run, Schedule};
use sexton_store::rows::{AuditFilter, Page, RunEnd, RunFilter};
use sexton_store::sqlite::Sqlite;
use std::sync::Arc;

/// Old runs in all, and in one batch of them.
const OLD: (i64, i64) = (200_000, 1_000);
/// Runs of the stream without a pruning, and beside one; one each ten milliseconds.
const STREAM: (usize, usize) = (200, 800);

/// Records runs that ended a while ago, by the shortest way: ends under claims that nobody holds, one of each event in a batch.
fn record_old(rig: &Rig, count: i64, ago: TimeDelta) {
    let at = clock::now() - ago;
    let events = (0..OLD.1).map(|_| event("a.old", Schedule::manual())).collect();
    let ids: Vec<EventId> = rig.engine.schedule(events, &rig.by).unwrap().into_iter().map(|event| event.id).collect();
    let end = |id: EventId, n: i64| RunEnd {
        occurrence: OccurrenceId { event: id, n },
        token: 0,
        attempt: 1,
        started_at: Some(at),
        finished_at: at,
        end: End::Succeeded,
        error: None,
        code: None,
        output: None,
        resources: Vec::new(),
        plugin: "a".to_owned(),
        generation: 1,
        digest: "d".to_owned(),
        placement: "runner".to_owned(),
        follow_ups: Vec::new(),
        log: None,
    };
    for batch in 0..count / OLD.1 {
        let ends: Vec<RunEnd> = ids.iter().map(|id| end(*id, batch)).collect();
        let settled = rig.store.settle(&rig.lease, &ends, at).unwrap();
        assert!(settled.iter().all(|one| one.outcome == Outcome::Lost));
    }
}

/// Runs of a type that were not recorded by hand.
fn stream(rig: &Rig, event_type: &str) -> Vec<Run> {
    let filter = RunFilter { event_type: Some(event_type.to_owned()), ..RunFilter::default() };
    let runs = rig.store.runs(&filter, &Page { before: None, limit: 10_000 }).unwrap();
    runs.into_iter().map(|(_, run)| run).collect()
}

fn spread(runs: &[Run]) -> String {
    let mut late: Vec<TimeDelta> = runs.iter().map(|run| run.started_at.expect("it started") - run.due_at).collect();
    late.sort();
    let at = |thousandths: usize| late[(late.len() - 1) * thousandths / 1_000].num_microseconds().expect("short") as f64 / 1e3;
    format!("late by p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({} runs)", at(500), at(990), at(1_000), late.len())
}

fn schedule_stream(rig: &Rig, event_type: &str, count: usize) {
    let first = in_ms(200);
    let due = |i: usize| -> DateTime<Utc> { first + TimeDelta::milliseconds(10 * i as i64) };
    rig.engine.schedule((0..count).map(|i| event(event_type, once(due(i)))).collect(), &rig.by).unwrap();
}

#[test]
fn a_stream_is_in_time_beside_the_pruning_of_two_hundred_thousand_runs() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::on(Arc::new(Sqlite::open(&dir.path().join("s.db")).unwrap()), 1_024);
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.old", None), ("a.calm", Some(&generation.serving)), ("a.busy", Some(&generation.serving))]);
    record_old(&rig, OLD.0, TimeDelta::days(200));

    schedule_stream(&rig, "a.calm", STREAM.0);
    until("the stream has run by itself", || stream(&rig, "a.calm").len() == STREAM.0);
    schedule_stream(&rig, "a.busy", STREAM.1);
    let (engine, by) = (rig.engine.clone(), rig.by.clone());
    let began = std::time::Instant::now();
    let pruning = std::thread::spawn(move || engine.prune(false, &by).unwrap());
    until("the stream has run beside it", || stream(&rig, "a.busy").len() == STREAM.1);
    let beside = if pruning.is_finished() { "it ended first" } else { "it goes on" };
    let end = pruning.join().unwrap();
    eprintln!("by itself:        {}", spread(&stream(&rig, "a.calm")));
    eprintln!("beside a pruning: {}; {beside}", spread(&stream(&rig, "a.busy")));
    eprintln!("{} runs in {} steps within {:?}, the longest step {} ms", end.runs, end.steps, began.elapsed(), end.longest_step_ms);
    assert_eq!((end.runs, end.finished), (OLD.0, true));
    assert!(end.steps >= 400, "in small steps: {end:?}");
    assert!(rig.runs().iter().all(|run| run.outcome == Outcome::Succeeded), "what is young stays");
    let stats = rig.store.statistics(Some("a.old"), None).unwrap().pop().unwrap();
    assert_eq!(stats.tally.by.lost, OLD.0.unsigned_abs(), "what was is still known");
}

#[test]
fn a_pruning_leaves_a_line_if_it_deleted_something() {
    let rig = Rig::new();
    rig.serve(&[("a.old", None)]);
    record_old(&rig, 1_000, TimeDelta::days(60));
    let lines = || {
        rig.store.audit_lines(
            &AuditFilter { verb_prefix: Some("history.".to_owned()), ..AuditFilter::default() },
            &Page { before: None, limit: 10 },
        )
    };
    assert_eq!(rig.engine.prune(false, &rig.by).unwrap().runs, 0, "lost ones are kept for a quarter");
    assert!(lines().unwrap().is_empty(), "nothing was done");
    let said = serde_json::from_value(json!({"keep_failed": "30d"})).unwrap();
    rig.engine.set_retention(Some("a.old"), &said, &rig.by).unwrap();
    let dry = rig.engine.prune(true, &rig.by).unwrap();
    assert_eq!((dry.runs, dry.dry_run, rig.runs().len()), (1_000, true, 1_000));
    assert!(lines().unwrap().is_empty());
    let end = rig.engine.prune(false, &rig.by).unwrap();
    assert_eq!((end.runs, end.events, rig.runs().len()), (1_000, 0, 0));
    let told = lines().unwrap().pop().unwrap().1;
    assert_eq!((told.actor, &told.detail["runs"]), (rig.by.clone(), &json!(1_000)));
    assert!(rig.engine.clear_retention(Some("a.old"), &rig.by).unwrap());
    rig.engine.stop(std::time::Duration::ZERO, std::time::Duration::ZERO);
    let stopped = rig.engine.prune(false, &rig.by).unwrap();
    assert_eq!(stopped, PruneEnd { finished: false, ..PruneEnd::default() }, "a host that stops leaves it for the next time");
}
