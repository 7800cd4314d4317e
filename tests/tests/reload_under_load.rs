//! A thousand events a second of one type, one due each millisecond, while build after build is moved into place and every third is bad, each in another
//! step of the pipeline.
//!
//! Not the ways of putting a file in place (`hot_reload`), nor a bench: times and gaps are printed, not judged. What must hold: each event has one run, which
//! succeeded, and one line of the job's own; only code that was accepted ever ran; a refused build changes nothing.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, Witness, count, foreign_elf, instant, until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const STEM: &str = "fx_witness";
const NAME: &str = "fx-witness";
/// Events of a batch: those of one second, a millisecond apart.
const BATCH: i64 = 1_000;
/// Batches are stored this long before their first event is due.
const LEAD: TimeDelta = TimeDelta::seconds(3);
/// From one build to the next.
const RHYTHM: Duration = Duration::from_millis(600);
/// A file whose content is older than a second is believed as soon as it was renamed into place.
const AGE: Duration = Duration::from_secs(10);
/// Between two dispatches, when nothing is in their way but a reload.
const GAP_EXPECTED_US: i64 = 10_000;

#[test]
fn reloads_under_load_lose_nothing_alone() {
    for placement in Placement::ALL {
        reload_under_load(placement, count(36, 150));
    }
}

/// The steps of the pipeline in which builds here are bad, with the code of the refusal.
const STEPS: [(&str, &str); 12] = [
    ("no library", "PLG003"),
    ("cut short", "PLG004"),
    ("another machine", "PLG005"),
    ("no entry symbol", "PLG006"),
    ("no identity", "PLG007"),
    ("no allowed name", "PLG017"),
    ("writable by all", "PLG002"),
    ("bad settings", "PLG038"),
    ("load fails", "PLG015"),
    ("load panics", "PLG016"),
    ("load exits", "PLG051"),
    ("a type of another plugin", "PLG031"),
];

/// A build on its way into the plugin directory.
struct Candidate {
    build: Build,
    file: PathBuf,
    answer: String,
    /// Step and code, if it is to be refused.
    bad: Option<(&'static str, &'static str)>,
}

impl Candidate {
    /// The `n`th: every third is bad, the steps in turn.
    fn new(site: &Site, original: &Build, n: usize) -> Self {
        let bad = (n % 3 == 2).then(|| STEPS[n / 3 % STEPS.len()]);
        let answer = format!("build-{n}");
        let build = match bad {
            None => original.answering(&answer),
            Some((step, _)) => spoiled(original, step, n),
        };
        let file = site.plugins.beside(&build);
        let mode = if bad.is_some_and(|(step, _)| step == "writable by all") { 0o777 } else { 0o755 };
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("our file");
        let opened = File::options().write(true).open(&file).expect("our file");
        opened.set_modified(SystemTime::now() - AGE).expect("our file");
        Self { build, file, answer, bad }
    }

    fn is_bad_at(&self, step: &str) -> bool {
        self.bad.is_some_and(|(at, _)| at == step)
    }
}

fn spoiled(original: &Build, step: &str, n: usize) -> Build {
    let build = original.answering(&format!("bad-{n}"));
    match step {
        "no library" => Build::from_bytes(format!("#!/bin/sh\necho {n}\n")),
        "cut short" => build.cut(build.bytes.len() / 2),
        "another machine" => foreign_elf(&build),
        "no entry symbol" => build.renamed("_1as_0lib_1header_0root_bmodule_bloader", "_1as_0lib_1header_0root_bmodule_bloadex"),
        "no identity" => build.renamed(".sexton.identity", ".sexton.identify"),
        "no allowed name" => build.renamed(NAME, "FX!WITNESS"),
        "load fails" => original.answering(&format!("error/{n}")),
        "load panics" => original.answering(&format!("panic/{n}")),
        "load exits" => original.answering(&format!("exit/{n}")),
        "a type of another plugin" => build.renamed("fx.fifth", "fx.rival"),
        // The file itself is good.
        _ => build,
    }
}

/// What is known of one reload.
struct Reload {
    digest: String,
    renamed_at: DateTime<Utc>,
    /// Until `plugin list` showed it.
    listed_after: Duration,
}

/// Moves each into place in turn, and waits until it serves or is refused.
fn put_in_turn(site: &Site, original: &Build, candidates: &[Candidate]) -> Vec<Reload> {
    let (mut reloads, mut serving, mut repair) = (Vec::new(), original.clone(), false);
    let mut next = Instant::now();
    for candidate in candidates {
        until("the next build is due", SOON, || (Instant::now() >= next).then_some(()));
        next = Instant::now() + RHYTHM;
        if candidate.is_bad_at("bad settings") {
            site.plugins.configure(STEM, "[limits]\nmemory = \"much\"\n");
        }
        let (renamed_at, began) = (Utc::now(), Instant::now());
        fs::rename(&candidate.file, site.plugins.file(STEM)).expect("within the site");
        if std::mem::replace(&mut repair, candidate.is_bad_at("bad settings")) {
            // Only now: what was refused for its settings must never serve.
            site.plugins.configure(STEM, "");
        }
        match candidate.bad {
            None => {
                site.until_serving(NAME, &candidate.build);
                let digest = candidate.build.digest.clone();
                reloads.push(Reload { digest, renamed_at, listed_after: began.elapsed() });
                serving = candidate.build.clone();
            }
            Some((step, code)) => {
                let plugin = until(&format!("{step}: refused with {code}"), SOON, || {
                    site.plugin(NAME).filter(|plugin| plugin["rejection"]["code"] == code)
                });
                assert_eq!((&plugin["state"], &plugin["digest"]), (&json!("active"), &json!(serving.digest)), "{step}: {plugin}");
            }
        }
    }
    reloads
}

/// Ends the load, also when the test has failed: else its scope would wait for the feeder for ever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Stores the events of the coming seconds until told to stop: their ids, and the least time that lay between a batch's answer and its first event.
fn feed(site: &Site, witness: &Witness, over: &AtomicBool) -> (Vec<String>, TimeDelta) {
    let (mut ids, mut least) = (Vec::new(), LEAD);
    let mut next = Utc::now() + LEAD;
    while !over.load(Ordering::Relaxed) {
        let event = |n: i64| {
            let due = (next + TimeDelta::milliseconds(n)).to_rfc3339_opts(SecondsFormat::Micros, true);
            json!({"event_type": "fx.witness", "schedule": {"once": due}, "args": {"witness": witness.path()}})
        };
        ids.extend(site.schedule_all(&(0..BATCH).map(event).collect::<Vec<_>>()));
        least = least.min(next - Utc::now());
        next += TimeDelta::milliseconds(BATCH);
        until("the next batch is due to be stored", SOON, || (Utc::now() + LEAD >= next || over.load(Ordering::Relaxed)).then_some(()));
    }
    (ids, least)
}

fn reload_under_load(placement: Placement, builds: usize) {
    let site = Site::with(placement, &[STEM]);
    let mut host = HostProcess::start(&site);
    let original = Build::of(STEM);
    site.until_serving(NAME, &original);
    // Somebody else owns the type that a bad build offers.
    let rival = Build::of("fx_rival").renamed("fx.witness", "fx.wotness");
    site.plugins.put("fx_rival", &rival, Way::Move);
    site.until_serving("fx-rival", &rival);
    let candidates: Vec<Candidate> = (0..builds).map(|n| Candidate::new(&site, &original, n)).collect();
    let witness = site.witness("lines");

    let over = AtomicBool::new(false);
    let (reloads, (ids, least)) = std::thread::scope(|threads| {
        let feeder = threads.spawn(|| feed(&site, &witness, &over));
        let ends = Ends(&over);
        until("the load has begun", SOON, || (witness.len() > 100).then_some(()));
        let reloads = put_in_turn(&site, &original, &candidates);
        drop(ends);
        (reloads, feeder.join().expect("the feeder does not panic"))
    });
    until("every event has left its line", SOON + SOON, || (witness.len() >= ids.len()).then_some(()));
    until("nothing runs any more", SOON, || site.plugin(NAME).filter(|plugin| plugin["in_flight"] == 0));
    let runs = until("every run is settled", SOON, || Some(site.runs(&[])).filter(|runs| runs.len() >= ids.len()));

    let good = candidates.iter().filter(|candidate| candidate.bad.is_none());
    let mut answers: BTreeMap<&str, &str> = good.map(|candidate| (candidate.build.digest.as_str(), candidate.answer.as_str())).collect();
    answers.insert(&original.digest, "original");
    each_once(&ids, &runs, &witness, &answers);
    let bad = builds - reloads.len();
    println!(
        "{}: {} events over {} reloads and {bad} refused builds; stored at least {} ms before they were due",
        placement.name(),
        ids.len(),
        reloads.len(),
        least.num_milliseconds()
    );
    tell(&runs, &reloads);
    assert!(host.alive());
    assert!(host.stop().success());
}

/// No event is lost, run twice or failed, and digest, output and witness of its run name the same accepted build.
fn each_once(ids: &[String], runs: &[Value], witness: &Witness, answers: &BTreeMap<&str, &str>) {
    let expected: BTreeSet<String> = ids.iter().map(|id| format!("{id}.1")).collect();
    let lines: BTreeMap<String, String> = witness.lines().into_iter().map(|line| (line.occurrence, line.answer)).collect();
    assert_eq!(witness.len(), ids.len(), "an event left another number of lines than one");
    assert!(lines.keys().eq(expected.iter()), "other occurrences left a line than were scheduled");
    assert_eq!(runs.len(), ids.len(), "an event has another number of runs than one");
    let ran: BTreeSet<&str> = runs.iter().filter_map(|run| run["occurrence"].as_str()).collect();
    assert!(ran.into_iter().eq(expected.iter()), "other occurrences have a run than were scheduled");
    for run in runs {
        assert_eq!((&run["outcome"], &run["attempt"]), (&json!("succeeded"), &json!(1)), "{run}");
        let digest = run["digest"].as_str().expect("a digest is text");
        let answer = answers.get(digest).unwrap_or_else(|| panic!("a run by code that was never accepted: {run}"));
        assert_eq!(run["output"]["answer"], *answer, "the code that answered is not the code of the digest: {run}");
        assert_eq!(lines[run["occurrence"].as_str().expect("text")], *answer, "the witness names another build: {run}");
    }
}

/// Prints lateness, gaps between dispatches, and what a reload takes.
fn tell(runs: &[Value], reloads: &[Reload]) {
    let mut late: Vec<i64> = runs.iter().map(|run| micros(instant(run, "started_at") - instant(run, "due_at"))).collect();
    println!("  lateness: {}", spread(&mut late));
    let mut starts: Vec<(DateTime<Utc>, &str)> =
        runs.iter().map(|run| (instant(run, "started_at"), run["digest"].as_str().unwrap_or_default())).collect();
    starts.sort_unstable();
    let mut gaps: Vec<i64> = starts.windows(2).map(|pair| micros(pair[1].0 - pair[0].0)).collect();
    let long = gaps.iter().filter(|gap| **gap > GAP_EXPECTED_US).count();
    println!("  gaps between dispatches: {}; {long} longer than {} ms", spread(&mut gaps), GAP_EXPECTED_US / 1_000);

    let mut firsts: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (_, digest)) in starts.iter().enumerate() {
        firsts.entry(digest).or_insert(at);
    }
    let served: Vec<(&Reload, usize)> =
        reloads.iter().filter_map(|reload| firsts.get(reload.digest.as_str()).map(|at| (reload, *at))).collect();
    assert!(served.len() * 2 >= reloads.len(), "the load went past most builds: {} of {} ran something", served.len(), reloads.len());
    let mut before: Vec<i64> = served.iter().filter(|(_, at)| *at > 0).map(|(_, at)| micros(starts[*at].0 - starts[at - 1].0)).collect();
    println!("  gap before the first dispatch to a new build: {}", spread(&mut before));
    let mut first_run: Vec<i64> = served.iter().map(|(reload, at)| micros(starts[*at].0 - reload.renamed_at)).collect();
    println!("  from the rename to the first run in the new build: {}", spread(&mut first_run));
    let mut listed: Vec<i64> = reloads.iter().map(|reload| i64::try_from(reload.listed_after.as_micros()).expect("short")).collect();
    println!("  from the rename to `plugin list` showing it: {}", spread(&mut listed));
}

fn micros(delta: TimeDelta) -> i64 {
    delta.num_microseconds().expect("less than an age")
}

fn spread(sample: &mut [i64]) -> String {
    sample.sort_unstable();
    let at = |share: usize| {
        let us = sample.get((sample.len().max(1) - 1) * share / 1_000).copied().unwrap_or_default();
        format!("{}.{:03}", us / 1_000, us % 1_000)
    };
    format!("p50 {} ms, p99 {} ms, max {} ms", at(500), at(990), at(1_000))
}
