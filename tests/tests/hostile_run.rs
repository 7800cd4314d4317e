//! Jobs that kill their process, or keep it for ever: the run says why, the runs beside it run again, nobody else notices.
//!
//! Not what jobs leave behind (`hostile_ends`), nor `load`. What must hold: each death has its cause in the run's `error`; a heartbeat of another plugin misses
//! nothing through all of it; afterwards the host holds what it held before.

use serde_json::{Value, json};
use sexton_tests::{Build, Heartbeat, Held, HostProcess, Placement, SOON, Site, Way, at_work, in_millis, instant, runner_is_there, until};

/// What the jobs here may use: small, so that nobody's machine is hurt.
const LIMITS: &str = "[limits]\nrun_time = \"2s\"\nmemory = \"512MiB\"\nopen_files = 256\n";
/// So many interruptions make an occurrence a dead letter, as `sexton-core` has it.
const POISON: usize = 5;
const INNOCENT: usize = 3;

/// One way to die: how, its count, the outcome, one of these words in the error.
type Deadly = (&'static str, u32, &'static str, &'static [&'static str]);

const DEATHS: [Deadly; 20] = [
    ("null_write", 0, "interrupted", &["signal 11"]),
    ("abort", 0, "interrupted", &["signal 6"]),
    ("double_free", 0, "interrupted", &["signal 6"]),
    ("stack_overflow", 0, "interrupted", &["stack overflow"]),
    // A thread that the plugin made has no stack for a handler: there the kernel says only that it was a signal.
    ("stack_overflow_own_thread", 0, "interrupted", &["stack overflow", "signal 11"]),
    ("exit", 3, "interrupted", &["exit code 3"]),
    ("exit", 0, "interrupted", &["exit code 0"]),
    ("exit_now", 3, "interrupted", &["exit code 3"]),
    ("exec", 0, "interrupted", &["exit", "protocol"]),
    ("raise_kill", 0, "interrupted", &["signal 9"]),
    ("raise_term", 0, "interrupted", &["signal 15"]),
    ("panic_twice", 0, "interrupted", &["signal 6"]),
    ("alloc", 8_192, "interrupted", &["memory"]),
    ("write_garbage", 0, "interrupted", &["protocol"]),
    ("close_fds", 0, "interrupted", &[""]),
    ("infinite_loop", 0, "failed", &["run_time", "longer than", "timed out", "deadline"]),
    ("ignore_cancel", 0, "failed", &["run_time", "longer than", "timed out", "deadline"]),
    ("raise_stop", 0, "interrupted", &["signal 19"]),
    ("kill_parent", 0, "interrupted", &[""]),
    ("null_write", 0, "interrupted", &["signal 11"]),
];

/// A site with a heartbeat, and the hostile plugin within its limits.
fn hostile_site() -> (Site, HostProcess, Heartbeat) {
    let site = Site::new(Placement::Runner);
    let host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    site.plugins.configure("fx_hostile", LIMITS);
    (site, host, heartbeat)
}

/// A build that crashed nobody yet: quarantine goes by digest.
fn fresh(site: &Site, answer: &str) -> Build {
    let build = Build::of("fx_hostile").answering(answer);
    site.plugins.put("fx_hostile", &build, Way::Move);
    site.until_serving("fx-hostile", &build);
    build
}

fn hostile(site: &Site, how: &str, count: u32, ms: u32, witness: &str) -> Value {
    let args = json!({"how": how, "count": count, "ms": ms, "witness": site.witness(witness).path()});
    json!({"event_type": "fx.hostile", "schedule": {"once": in_millis(0)}, "args": args})
}

/// The first run of an event: of several attempts the oldest.
fn first_run(site: &Site, id: &str) -> Value {
    until("the event has a run", SOON, || site.runs(&["--event", id]).pop())
}

fn until_state(site: &Site, id: &str, state: &str) -> Value {
    until(&format!("event {id} is {state}"), SOON, || Some(site.event(id)).filter(|event| event["state"] == state))
}

/// The culprit and innocent runs of the same process, together; the culprit's first run. The innocent ones succeed, whatever it takes.
fn one_death(site: &Site, number: usize, (how, count, outcome, words): Deadly) -> i64 {
    let witness = format!("death-{number}");
    let mut events = vec![hostile(site, "ok", 0, 800, "innocent"); INNOCENT];
    events.push(hostile(site, how, count, 200, &witness));
    let ids = site.schedule_all(&events);
    let (culprit, innocent) = ids.split_last().expect("four events");
    let run = first_run(site, culprit);
    // One death a way is enough: the rest of its attempts are `a_poisonous_occurrence…`'s.
    let _ended = site.sexton(&["event", "cancel", culprit]);
    assert_eq!(run["outcome"], outcome, "{how}: {run}");
    let error = run["error"].as_str().unwrap_or_default();
    assert!(words.iter().any(|word| error.contains(word)), "{how}: one of {words:?} expected in `{error}`");
    for id in innocent {
        until_state(site, id, "completed");
        let runs = site.runs(&["--event", id]);
        let succeeded = runs.iter().filter(|run| run["outcome"] == "succeeded").count();
        let interrupted = runs.iter().filter(|run| run["outcome"] == "interrupted").count();
        assert_eq!((succeeded, interrupted), (1, runs.len() - 1), "{how}: a run beside it: {runs:?}");
        assert!(runs.iter().all(|run| run["attempt"] == 1), "an interruption costs no attempt: {runs:?}");
    }
    let line = site.witness(&witness).lines().into_iter().next().expect("it left a line before it happened");
    let micros: i64 = line.answer.rsplit(' ').next().and_then(|micros| micros.parse().ok()).expect("the line ends with an instant");
    instant(&run, "finished_at").timestamp_micros() - micros
}

#[test]
fn every_death_has_its_cause_and_hurts_nobody_else_alone() {
    if !runner_is_there() {
        return;
    }
    let (site, mut host, heartbeat) = hostile_site();
    let beating = site.plugin("fx-witness").expect("it beats")["generation"].clone();
    let mut warm = None;
    for (number, death) in DEATHS.into_iter().enumerate() {
        fresh(&site, &format!("way-{number}"));
        let micros = one_death(&site, number, death);
        println!("{:<26} {:>12}: {} us from the act to the outcome", death.0, death.2, micros);
        assert!(host.alive(), "{} killed the host", death.0);
        // The warm-up is the first death, with all that it brings along for the first time.
        if warm.is_none() {
            fresh(&site, "rest-0");
            warm = Some((Held::at_rest(&host), at_work(&site, Some(host.pid())).len()));
        }
    }
    fresh(&site, "rest-1");
    let (held, runners) = warm.expect("there were deaths");
    until("nothing but runners is left", SOON, || (at_work(&site, Some(host.pid())).len() == runners).then_some(()));
    assert_eq!(site.plugin("fx-witness").expect("it beats")["generation"], beating, "another plugin was reloaded");
    heartbeat.check(&site);
    Held::until_returned(&host, &held);
    assert!(host.stop().success());
}

#[test]
fn a_poisonous_occurrence_becomes_a_dead_letter_and_a_crashing_build_is_quarantined_until_it_changes() {
    if !runner_is_there() {
        return;
    }
    let (site, mut host, heartbeat) = hostile_site();
    let build = fresh(&site, "poison");
    let poison = site.schedule(&hostile(&site, "abort", 0, 0, "poison"));
    // Whichever comes first by their constants, one of the two ends the crashes.
    let ended = until("the crashes end", SOON * 5, || {
        let state = site.event(&poison)["state"].clone();
        let quarantined = site.plugin("fx-hostile").is_some_and(|plugin| plugin["state"] == "quarantined");
        (state == "discarded" || quarantined).then_some(quarantined)
    });
    let runs = site.runs(&["--event", &poison]);
    assert!(runs.iter().all(|run| run["outcome"] == "interrupted"), "{runs:?}");
    assert!(runs.len() <= POISON, "{} runs of one that kills its process", runs.len());
    println!("{} deaths, then {}", runs.len(), if ended { "quarantine" } else { "a dead letter" });
    let mut killers = vec![poison];
    if !ended {
        // Other occurrences bring the same build to its quarantine.
        let more: Vec<Value> = (0..POISON).map(|_| hostile(&site, "abort", 0, 0, "poison")).collect();
        killers.extend(site.schedule_all(&more));
    }
    let plugin = site.until_plugin("fx-hostile", "quarantined");
    assert_eq!(plugin["decision"]["digest"], build.digest.as_str(), "{plugin}");
    assert!(plugin["unresolved_events"].as_i64().is_some_and(|n| n >= 0), "{plugin}");

    // Neither the watcher nor a reload brings it back; an operator's release does.
    site.plugins.put("fx_hostile", &build, Way::Move);
    site.until_plugin("fx-hostile", "quarantined");
    site.sexton(&["plugin", "release", "fx-hostile"]).fine();
    site.until_serving("fx-hostile", &build);

    // It crashes on, and is quarantined again; a changed file is a new chance.
    let more: Vec<Value> = (0..2 * POISON).map(|_| hostile(&site, "abort", 0, 0, "poison")).collect();
    killers.extend(site.schedule_all(&more));
    site.until_plugin("fx-hostile", "quarantined");
    // All of them: what is left would kill the repaired build too.
    for id in killers {
        let _ended = site.sexton(&["event", "cancel", &id]);
    }
    fresh(&site, "repaired");
    let good = site.schedule(&hostile(&site, "ok", 0, 0, "good"));
    until_state(&site, &good, "completed");
    assert!(host.alive());
    heartbeat.check(&site);
}

#[test]
fn a_quarantine_outlives_the_host() {
    if !runner_is_there() {
        return;
    }
    let (site, host, _heartbeat) = hostile_site();
    let build = fresh(&site, "restart");
    let events: Vec<Value> = (0..2 * POISON).map(|_| hostile(&site, "abort", 0, 0, "restart")).collect();
    let _ids = site.schedule_all(&events);
    site.until_plugin("fx-hostile", "quarantined");
    assert!(host.stop().success());
    let _host = HostProcess::start(&site);
    let plugin = site.until_plugin("fx-hostile", "quarantined");
    assert_eq!(plugin["decision"]["digest"], build.digest.as_str(), "{plugin}");
}
