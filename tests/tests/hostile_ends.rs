//! What hostile code leaves behind or floods, and how it resists its end: threads, children, daemons, handlers, huge output; an `unload` that hangs.
//!
//! Not deaths of a job (`hostile_run`). What must hold: the run has an outcome, the reload or unload answers within its deadline, and nothing that the plugin
//! started outlives its process.

use serde_json::{Value, json};
use sexton_tests::{
    Build, Heartbeat, Held, HostProcess, Placement, SOON, Site, Way, am_root, at_work, in_millis, runner_is_there, until, until_ended,
};
use std::time::{Duration, Instant};

const LIMITS: &str = "[limits]\nrun_time = \"10s\"\nmemory = \"1GiB\"\nopen_files = 256\n";

/// What a job leaves or floods; its count; the outcomes that are right.
type Lasting = (&'static str, u32, &'static [&'static str]);

const LEFT: [Lasting; 21] = [
    ("leave_thread", 0, &["succeeded"]),
    ("leave_child", 0, &["succeeded"]),
    ("leave_daemon", 0, &["succeeded"]),
    ("surroundings", 0, &["succeeded"]),
    ("signal_handler", 0, &["succeeded"]),
    ("hang_at_exit", 0, &["succeeded"]),
    ("hang_in_destructor", 0, &["succeeded"]),
    ("panic_in_destructor", 0, &["succeeded"]),
    ("thread_storm", 500, &["succeeded"]),
    ("file_storm", 10_000, &["succeeded"]),
    ("flood_bytes", 64, &["succeeded"]),
    ("flood_lines", 200_000, &["succeeded"]),
    ("flood_log", 200_000, &["succeeded"]),
    ("flood_progress", 2_000, &["succeeded"]),
    ("huge_log", 64, &["succeeded", "interrupted"]),
    ("huge_output", 64, &["failed"]),
    ("huge_error", 64, &["failed", "interrupted"]),
    ("follow_ups", 100_000, &["succeeded", "failed"]),
    ("panic_text", 0, &["failed"]),
    ("panic_payload", 0, &["failed"]),
    ("panic_in_drop", 0, &["failed"]),
];

/// The job's one run, as soon as it is settled. The program that it may leave is called as `left`, so that it is found.
fn run_once(site: &Site, how: &str, count: u32, left: Option<&str>) -> Value {
    let args = json!({"how": how, "count": count, "witness": left.map(|left| site.path().join(left))});
    let event = json!({"event_type": "fx.hostile", "schedule": {"once": in_millis(0)}, "args": args, "retry": {"attempts": 1}});
    let id = site.schedule(&event);
    let run = until(&format!("{how} has a run"), SOON + SOON, || site.runs(&["--event", &id]).pop());
    // It may have ended for good already.
    let _ended = site.sexton(&["event", "cancel", &id]);
    run
}

/// Puts a new build in its place, so that the process which ran the job has to go.
fn renew(site: &Site, answer: &str) -> Duration {
    let build = Build::of("fx_hostile").answering(answer);
    let began = Instant::now();
    site.plugins.put("fx_hostile", &build, Way::Move);
    site.until_serving("fx-hostile", &build);
    began.elapsed()
}

fn hostile_site() -> (Site, HostProcess, Heartbeat) {
    let site = Site::new(Placement::Runner);
    let host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    site.plugins.configure("fx_hostile", LIMITS);
    renew(&site, "first");
    (site, host, heartbeat)
}

/// Ways that are no harm to a process, with their outcomes: ordinary ends wherever the plugin runs.
const HARMLESS: [Lasting; 8] = [
    ("ok", 0, &["succeeded"]),
    ("panic_text", 0, &["failed"]),
    ("panic_payload", 0, &["failed"]),
    ("panic_in_drop", 0, &["failed"]),
    ("flood_log", 5_000, &["succeeded"]),
    ("flood_progress", 200, &["succeeded"]),
    ("huge_output", 2, &["failed"]),
    ("follow_ups", 500, &["succeeded"]),
];

#[test]
fn what_harms_no_process_is_an_ordinary_end_in_every_placement() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_hostile"]);
        let mut host = HostProcess::start(&site);
        site.until_serving("fx-hostile", &Build::of("fx_hostile"));
        for (how, count, outcomes) in HARMLESS {
            let run = run_once(&site, how, count, Some("line"));
            let outcome = run["outcome"].as_str().expect("an outcome is text");
            assert!(outcomes.contains(&outcome), "{how}, {}: {run}", placement.name());
            assert!(host.alive(), "{how}, {}", placement.name());
        }
        assert_eq!(site.witness("line").len(), HARMLESS.len(), "{}", placement.name());
        until("the follow-ups have run", SOON, || (site.runs(&["--outcome", "succeeded"]).len() >= 504).then_some(()));
        assert!(host.stop().success());
    }
}

#[test]
fn nothing_that_a_job_leaves_outlives_its_process_alone() {
    if !runner_is_there() {
        return;
    }
    let (site, mut host, heartbeat) = hostile_site();
    let _first = run_once(&site, "ok", 0, None);
    renew(&site, "warm");
    let pid = host.pid();
    let settled = until("the first process has gone", SOON, || Some(at_work(&site, Some(pid)).len()).filter(|n| *n > 0));
    let warm = Held::at_rest(&host);
    for (number, (how, count, outcomes)) in LEFT.into_iter().enumerate() {
        let run = run_once(&site, how, count, Some("left"));
        let outcome = run["outcome"].as_str().expect("an outcome is text");
        // What is left open is cut off in the message: an output may be long.
        assert!(outcomes.contains(&outcome), "{how}: {:.2000}", run.to_string());
        let size = run.to_string().len();
        assert!(size < 4 * 1024 * 1024, "{how}: a run of {size} bytes was stored");
        let took = renew(&site, &format!("after-{number}"));
        // The old process drains, unloads and ends; past its deadline it is killed with all that it started.
        until(&format!("nothing of `{how}` is left"), SOON + SOON, || (at_work(&site, Some(pid)).len() <= settled).then_some(()));
        println!("{how:<22} {outcome:>12}, reload {} ms", took.as_millis());
        assert!(host.alive(), "{how} ended the host");
    }
    heartbeat.check(&site);
    Held::until_returned(&host, &warm);
    assert!(host.stop().success());
}

#[test]
fn a_fork_storm_is_bounded_and_swept_up_alone() {
    if !runner_is_there() {
        return;
    }
    if !am_root() {
        println!("not run: needs root, for a user of the plugin's own");
        return;
    }
    let (site, mut host, heartbeat) = hostile_site();
    let pid = host.pid();
    // Under a user of its own, so that the kernel's count of its processes is its own.
    site.plugins.configure("fx_hostile", "run_as = \"nobody\"\n[limits]\nprocesses = 64\nrun_time = \"20s\"\n");
    renew(&site, "storm");
    // That user may not write into the site.
    let run = run_once(&site, "fork_storm", 10_000, None);
    assert_eq!(run["outcome"], "succeeded", "{run}");
    let children = run["output"]["children"].as_u64().expect("it says how many");
    println!("a fork storm came to {children} children of 10000");
    assert!((1..=64).contains(&children), "the limit of 64 processes let {children} through");
    let pids: Vec<u32> = at_work(&site, Some(pid)).iter().map(|process| process.pid).collect();
    assert!(pids.len() >= usize::try_from(children).expect("a few"), "the storm's children are not seen: {}", pids.len());
    site.sexton(&["plugin", "unload", "fx-hostile", "--yes"]).fine();
    let began = Instant::now();
    // What is left are the heartbeat's processes, which were there before.
    until("the storm is over", SOON, || (at_work(&site, Some(pid)).len() <= 3).then_some(()));
    println!("it was swept up within {} ms", began.elapsed().as_millis());
    assert!(host.alive());
    heartbeat.check(&site);
}

/// How `unload` misbehaves; whether the process comes to a proper end.
const UNLOADS: [&str; 10] = ["error", "panic", "abort", "segv", "exit", "exit-now", "kill", "stop", "hang", "deep"];

#[test]
fn an_unload_that_misbehaves_holds_up_nobody_alone() {
    if !runner_is_there() {
        return;
    }
    let site = Site::new(Placement::Runner);
    let mut host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    let pid = host.pid();
    let beating = at_work(&site, Some(pid)).len();
    for how in UNLOADS {
        let build = Build::of("fx_hostile_load").answering(&format!("unload={how}"));
        site.plugins.put("fx_hostile_load", &build, Way::Move);
        site.until_serving("fx-hostile-load", &build);
        let runners: Vec<u32> = at_work(&site, Some(pid)).iter().map(|process| process.pid).collect();
        let began = Instant::now();
        site.plugins.delete("fx_hostile_load");
        until("its types are gone", SOON + SOON, || {
            let served = site.plugin("fx-hostile-load").is_some_and(|plugin| plugin["state"] == "active");
            (!served).then_some(())
        });
        until("its process is gone", SOON + SOON, || (at_work(&site, Some(pid)).len() <= beating).then_some(()));
        println!("unload={how}: {} of {} processes gone after {} ms", runners.len() - beating, runners.len(), began.elapsed().as_millis());
        assert!(host.alive(), "{how} in `unload` ended the host");
    }
    heartbeat.check(&site);
    assert!(host.stop().success());
}

#[test]
fn the_end_of_the_host_waits_for_no_plugin_alone() {
    if !runner_is_there() {
        return;
    }
    for how in ["ignore_cancel", "infinite_loop", "hang_at_exit", "hang_in_destructor", "signal_handler", "leave_daemon"] {
        let site = Site::new(Placement::Runner);
        let host = HostProcess::start_with(&site, |command| {
            command.env("SEXTON_DRAIN", "1s");
        });
        // No limit of time: the run lasts until somebody ends it.
        renew(&site, "end");
        let witness = site.witness("end");
        let args = json!({"how": how, "witness": witness.path()});
        let id = site.schedule(&json!({"event_type": "fx.hostile", "schedule": {"once": in_millis(0)}, "args": args}));
        until("the job is in its worst", SOON, || (!witness.is_empty()).then_some(()));
        let pids: Vec<u32> = at_work(&site, Some(host.pid())).iter().map(|process| process.pid).collect();
        assert!(!pids.is_empty(), "there is no runner");
        let began = Instant::now();
        // 1 s for runs to end, 5 s after they were asked to, then they are killed.
        let ended = host.stop();
        println!("{how}: the host ended {} ms after SIGTERM", began.elapsed().as_millis());
        assert!(ended.success(), "{how}: {ended}");
        until_ended(&pids, Duration::from_secs(2));

        // What was ended with the host runs again; what had ended is not run twice.
        let _host = HostProcess::start(&site);
        let runs = site.runs(&["--event", &id]);
        let last = runs.last().unwrap_or_else(|| panic!("{how}: no trace of the run"));
        assert!(["interrupted", "succeeded"].iter().any(|outcome| last["outcome"] == *outcome), "{how}: {last}");
    }
}
