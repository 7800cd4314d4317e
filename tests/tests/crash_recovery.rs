//! `kill -9` in the middle of a thousand due events, and a restart: nothing is lost, and only what was under way runs again.
//!
//! Not a power cut: the page cache survives. What must hold: each occurrence has exactly one `succeeded` run, and stands in the witness file at most once
//! more than it has `interrupted` runs (those are the slots of the flight record that were occupied).

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, Witness, count, draw, in_millis, seed, until};
use std::collections::BTreeMap;
use std::time::Duration;

const EVENTS: usize = 1_000;
const SLOTS: usize = 1_024;

#[test]
fn kill_amid_a_thousand_due_events_alone() {
    let mut random = seed();
    for placement in Placement::ALL {
        let mut again = 0;
        let rounds = count(20, 200);
        for round in 0..rounds {
            again += one_round(placement, &mut random, round);
        }
        println!("{}: {rounds} kills amid {EVENTS} due events each: none lost, {again} runs made again in all", placement.name());
    }
}

/// Kills at a random instant while the events fall due; how many runs were made again.
fn one_round(placement: Placement, random: &mut u64, round: usize) -> usize {
    let site = Site::with(placement, &["fx_witness"]);
    let host = HostProcess::start(&site);
    let witness = site.witness("lines");
    let due_in_ms = 700;
    let wishes: Vec<Value> = (0..EVENTS)
        .map(|n| {
            let at = in_millis(due_in_ms + i64::try_from(n / 2).expect("a small number"));
            json!({"event_type": "fx.witness", "schedule": {"once": at}, "args": {"witness": witness.path(), "takes_ms": n % 7}})
        })
        .collect();
    let ids = site.schedule_all(&wishes);
    let kill_after = usize::try_from(draw(random, EVENTS as u64)).expect("a small number");
    until("the events are under way", SOON, || (witness.len() >= kill_after).then_some(()));
    host.kill();
    let before = witness.len();

    let _host = HostProcess::start(&site);
    let runs = until(&format!("round {round}: every event has succeeded"), Duration::from_secs(60), || {
        (witness.len() >= EVENTS).then(|| site.runs(&[])).filter(|runs| succeeded(runs) >= EVENTS)
    });
    let interrupted = runs.iter().filter(|run| run["outcome"] == "interrupted").count();
    assert!(interrupted <= SLOTS, "{interrupted} runs interrupted with {SLOTS} slots");
    assert_eq!((succeeded(&runs), runs.len()), (EVENTS, EVENTS + interrupted), "round {round}, killed after {before} lines");
    check_each(&ids, &runs, &witness);
    witness.len() - EVENTS
}

fn succeeded(runs: &[Value]) -> usize {
    runs.iter().filter(|run| run["outcome"] == "succeeded").count()
}

fn check_each(ids: &[String], runs: &[Value], witness: &Witness) {
    let mut ends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for run in runs {
        let text = |name: &str| run[name].as_str().expect("text");
        ends.entry(text("occurrence")).or_default().push(text("outcome"));
    }
    let times = witness.times();
    for id in ids {
        let occurrence = format!("{id}.1");
        let ends = ends.get(occurrence.as_str()).unwrap_or_else(|| panic!("{occurrence} was lost"));
        let (once, interrupted) =
            (ends.iter().filter(|end| **end == "succeeded").count(), ends.iter().filter(|end| **end == "interrupted").count());
        assert_eq!(once, 1, "{occurrence}: {ends:?}");
        let lines = times.get(&occurrence).copied().unwrap_or_default();
        assert!((1..=1 + interrupted).contains(&lines), "{occurrence} left {lines} lines with {interrupted} interrupted runs");
    }
    assert_eq!(times.len(), ids.len(), "lines of occurrences that nobody scheduled");
}
