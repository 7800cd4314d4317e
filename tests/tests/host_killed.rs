//! `kill -9` of the host while its plugins run, some with children of their own: nothing of them outlives it, and nothing is lost.
//!
//! Not a kill amid due events (`crash_recovery`). What must hold: two seconds after the host's death no process that it or a plugin has started is alive;
//! after a restart every event has exactly one run that succeeded.

use serde_json::{Value, json};
use sexton_tests::{
    Build, HostProcess, Placement, SOON, Site, Way, at_work, count, draw, in_millis, runner_is_there, seed, until, until_ended,
};
use std::time::{Duration, Instant};

const RUNS: usize = 20;
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// A job that takes `ms` and leaves a line at its end.
fn slow(site: &Site, ms: u64) -> Value {
    let args = json!({"how": "ok", "ms": ms, "witness": site.witness("lines").path()});
    json!({"event_type": "fx.hostile", "schedule": {"once": in_millis(0)}, "args": args})
}

/// A job that leaves something running and succeeds.
fn leaving(site: &Site, how: &str) -> Value {
    let args = json!({"how": how, "count": 20, "witness": site.witness("left").path()});
    json!({"event_type": "fx.hostile", "schedule": {"once": in_millis(0)}, "args": args})
}

fn until_completed(site: &Site, ids: &[String]) {
    for id in ids {
        until("an event is completed", SOON + SOON, || (site.event(id)["state"] == "completed").then_some(()));
    }
}

#[test]
fn nothing_outlives_a_killed_host_and_every_run_is_resolved_alone() {
    if !runner_is_there() {
        return;
    }
    let rounds = count(5, 50);
    let mut random = seed();
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let site = Site::with(Placement::Runner, &["fx_witness", "fx_hostile"]);
        let host = HostProcess::start(&site);
        site.until_serving("fx-hostile", &Build::of("fx_hostile"));
        // A child, a daemon in a session of its own, a thread, twenty forked twins of the runner.
        let left = site.schedule_all(&["leave_child", "leave_daemon", "leave_thread", "fork_storm"].map(|how| leaving(&site, how)));
        until_completed(&site, &left);
        let ids = site.schedule_all(&vec![slow(&site, 1_000 + draw(&mut random, 500)); RUNS]);
        until("all are under way", SOON, || site.plugin("fx-hostile").filter(|plugin| plugin["in_flight"] == RUNS));
        let pids: Vec<u32> = at_work(&site, Some(host.pid())).iter().map(|process| process.pid).collect();
        // Two runners, the child, the daemon and the twins at the least.
        assert!(pids.len() >= 24, "only {} processes are at work", pids.len());
        let began = Instant::now();
        host.kill();
        until_ended(&pids, GONE_WITHIN);
        longest = longest.max(began.elapsed());
        let others = at_work(&site, None);
        assert!(others.is_empty(), "round {round}: these outlive the host: {others:?}");
        let before = site.witness("lines").len();

        let host = HostProcess::start(&site);
        until_completed(&site, &ids);
        for id in &ids {
            let runs = site.runs(&["--event", id]);
            let of = |outcome: &str| runs.iter().filter(|run| run["outcome"] == outcome).count();
            assert_eq!((of("succeeded"), of("interrupted")), (1, runs.len() - 1), "round {round}: {runs:?}");
            assert!(runs.len() <= 2, "round {round}: {runs:?}");
        }
        let lines = site.witness("lines").len();
        assert!((RUNS..=RUNS + before).contains(&lines), "round {round}: {lines} lines, {before} of them before the kill");
        assert!(host.stop().success());
    }
    println!("{rounds} kills with {RUNS} runs under way: every process gone within {} ms at the most", longest.as_millis());
}

#[test]
fn a_host_killed_while_it_loads_leaves_no_process_alone() {
    if !runner_is_there() {
        return;
    }
    for how in ["load=hang", "load=child", "load=twin", "load=memory"] {
        let site = Site::with(Placement::Runner, &["fx_witness"]);
        let host = HostProcess::start(&site);
        site.until_serving("fx-witness", &Build::of("fx_witness"));
        let before = at_work(&site, Some(host.pid())).len();
        site.plugins.put("fx_hostile_load", &Build::of("fx_hostile_load").answering(how), Way::Move);
        let pids: Vec<u32> = until("the attempt has a process", SOON, || {
            let now = at_work(&site, Some(host.pid()));
            (now.len() > before).then(|| now.iter().map(|process| process.pid).collect())
        });
        host.kill();
        until_ended(&pids, GONE_WITHIN);
        let others = at_work(&site, None);
        assert!(others.is_empty(), "{how}: these outlive the host: {others:?}");
    }
}
