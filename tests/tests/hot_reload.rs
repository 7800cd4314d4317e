//! New builds take the place of old ones under load, in each of the three ways.
//!
//! Not about builds that cannot load. What must hold: no run fails or is lost, and the digest stored with a run is that of the code that answered.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, Witness, count, in_millis, until};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

const PER_BATCH: usize = 100;
const BATCH_MS: i64 = 500;

#[test]
fn replaced_by_copy_under_load_alone() {
    replace_under_load(Way::Copy);
}

#[test]
fn replaced_by_move_under_load_alone() {
    replace_under_load(Way::Move);
}

#[test]
fn replaced_by_link_under_load_alone() {
    replace_under_load(Way::Link);
}

fn replace_under_load(way: Way) {
    for placement in Placement::ALL {
        let site = Site::new(placement);
        let original = Build::of("fx_witness");
        site.plugins.put("fx_witness", &original, way);
        let _host = HostProcess::start(&site);
        site.until_serving("fx-witness", &original);
        let witness = site.witness("lines");
        let mut answers = BTreeMap::from([(original.digest.clone(), "original".to_owned())]);

        let over = AtomicBool::new(false);
        let scheduled = std::thread::scope(|threads| {
            let feeder = threads.spawn(|| feed(&site, &witness, &over));
            for n in 0..count(10, 50) {
                let answer = format!("build-{n}");
                let build = original.answering(&answer);
                site.plugins.put("fx_witness", &build, way);
                site.until_serving("fx-witness", &build);
                answers.insert(build.digest, answer);
            }
            over.store(true, Ordering::Relaxed);
            feeder.join().expect("the feeder does not panic")
        });
        until("every event has left its line", SOON + SOON, || (witness.len() >= scheduled).then_some(()));
        let runs = until("every run is settled", SOON, || Some(site.runs(&[])).filter(|runs| runs.len() >= scheduled));
        assert_eq!(runs.len(), scheduled, "as many runs as events");
        agree(&runs, &witness, &answers);
        println!("{} {way:?}: {scheduled} events over {} builds", placement.name(), answers.len());
    }
}

/// Schedules 200 events a second until told to stop; how many.
fn feed(site: &Site, witness: &Witness, over: &AtomicBool) -> usize {
    let mut scheduled = 0;
    let mut next = chrono::Utc::now();
    while !over.load(Ordering::Relaxed) {
        let start = (next - chrono::Utc::now()).num_milliseconds() + 500;
        let wishes: Vec<Value> = (0..PER_BATCH)
            .map(|n| {
                let at = start + i64::try_from(n).expect("a small number") * BATCH_MS / 100;
                json!({"event_type": "fx.witness", "schedule": {"once": in_millis(at)}, "args": {"witness": witness.path(), "takes_ms": 20}})
            })
            .collect();
        scheduled += site.schedule_all(&wishes).len();
        next += chrono::Duration::milliseconds(BATCH_MS);
        until("the next batch is due to be scheduled", SOON, || (chrono::Utc::now() >= next).then_some(()));
    }
    scheduled
}

/// Digest, output and witness of every run name the same build.
fn agree(runs: &[Value], witness: &Witness, answers: &BTreeMap<String, String>) {
    let lines: BTreeMap<String, String> = witness.lines().into_iter().map(|line| (line.occurrence, line.answer)).collect();
    let mut served: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        assert_eq!(run["outcome"], "succeeded", "{run}");
        let digest = run["digest"].as_str().expect("a digest is text");
        let answer = answers.get(digest).unwrap_or_else(|| panic!("a run by a build that never was there: {run}"));
        assert_eq!(run["output"]["answer"], answer.as_str(), "the code that answered is not the code of the digest: {run}");
        assert_eq!(lines.get(run["occurrence"].as_str().expect("text")), Some(answer), "the witness names another build: {run}");
        *served.entry(answer).or_default() += 1;
    }
    assert!(served.len() >= answers.len() / 2, "the load went past most builds: {served:?}");
}

#[test]
fn a_run_in_flight_ends_in_the_code_it_began_in() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let _host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let original = Build::of("fx_witness");
        let wish = |takes_ms: u32| json!({"event_type": "fx.witness", "schedule": {"once": in_millis(0)}, "args": {"witness": witness.path(), "takes_ms": takes_ms}});
        let long = site.schedule(&wish(4_000));
        until("the long run has begun", SOON, || (site.event(&long)["running"] == true).then_some(()));
        let newer = original.answering("newer");
        site.plugins.put("fx_witness", &newer, Way::Move);
        site.until_serving("fx-witness", &newer);
        let short = site.schedule(&wish(0));
        let (short, long) = (site.run_of(&short), site.run_of(&long));
        assert_eq!((&short["digest"], &short["output"]["answer"]), (&json!(newer.digest), &json!("newer")));
        assert_eq!(
            (&long["digest"], &long["output"]["answer"], &long["outcome"]),
            (&json!(original.digest), &json!("original"), &json!("succeeded"))
        );
        let order: Vec<String> = witness.lines().into_iter().map(|line| line.answer).collect();
        assert_eq!(order, ["newer", "original"], "the new build did not wait for the old one's run");
    }
}

#[test]
fn an_equal_digest_is_reloaded_by_hand_only() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let _host = HostProcess::start(&site);
        let build = Build::of("fx_witness");
        assert_eq!(site.until_serving("fx-witness", &build)["generation"], 1);
        site.plugins.put("fx_witness", &build, Way::Move);
        // Another file, put in later, is served: by then the equal one has been looked at.
        site.plugins.put("other", &Build::of("shell"), Way::Move);
        site.until_serving("shell", &Build::of("shell"));
        assert_eq!(site.until_serving("fx-witness", &build)["generation"], 1, "an equal digest was loaded again");
        site.sexton(&["plugin", "reload", "fx-witness"]).fine();
        let generation = site.until_serving("fx-witness", &build)["generation"].as_i64();
        assert!(generation > Some(1), "{generation:?}");
    }
}
