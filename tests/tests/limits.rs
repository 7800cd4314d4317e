//! Limits and shares from outside: what a flood of a hundred to one does to the others, how many run at once, how many start in a time.
//!
//! Not a bench: figures are printed, and judged by ratios that a slow machine does not change. What must hold: a concurrency limit is never
//! exceeded, by the host's record and by the jobs' own count, not after `kill -9` either.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, count, in_millis, until};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(300);

fn instant_us(run: &Value, name: &str) -> i64 {
    let at = run[name].as_str().and_then(|t| t.parse::<chrono::DateTime<chrono::Utc>>().ok());
    at.unwrap_or_else(|| panic!("{name} of {run}")).timestamp_micros()
}

/// Runs of a type that succeeded; asks until there are so many.
fn runs_of(site: &Site, event_type: &str, expected: usize) -> Vec<Value> {
    let limit = (expected + 1).to_string();
    until(&format!("{expected} runs of {event_type} succeeded"), LONG, || {
        let runs = site.runs(&["--type", event_type, "--outcome", "succeeded", "--limit", &limit]);
        (runs.len() >= expected).then_some(runs)
    })
}

fn small(n: usize) -> i64 {
    i64::try_from(n).expect("a small number")
}

/// Lateness in milliseconds: median, 99 of 100, greatest.
fn lateness_ms(runs: &[Value]) -> (i64, i64, i64) {
    let mut late: Vec<i64> = runs.iter().map(|run| (instant_us(run, "started_at") - instant_us(run, "due_at")) / 1_000).collect();
    late.sort_unstable();
    let at = |share: usize| late[(late.len() - 1) * share / 100];
    (at(50), at(99), at(100))
}

#[test]
fn a_flood_of_a_hundred_to_one_alone() {
    for placement in Placement::ALL {
        flood(placement, "the same plugin", "fx.crowd_few");
        flood(placement, "another plugin", "fx.witness");
    }
}

/// A backlog that is all due at once, and a hundredth of it of another type, due bit by bit while the backlog is worked off.
fn flood(placement: Placement, whose: &str, few_type: &str) {
    let site = Site::with(placement, &["fx_crowd", "fx_witness"]);
    let _host = HostProcess::start(&site);
    let (flood, few) = (count(8_000, 100_000), count(80, 1_000));
    let begin = 2_500 + small(flood) / 20;
    let at = in_millis(begin);
    let mut wishes: Vec<Value> =
        (0..flood).map(|_| json!({"event_type": "fx.crowd", "schedule": {"once": at}, "args": {"takes_ms": 4}})).collect();
    let witness = site.witness("few");
    wishes.extend((0..few).map(|n| {
        // The first half of the backlog is surely still there then: it takes 4 ms a run.
        let at = in_millis(begin + 200 + small(n) * 10);
        let args = if few_type == "fx.witness" { json!({"witness": witness.path()}) } else { json!({}) };
        json!({"event_type": few_type, "schedule": {"once": at}, "args": args})
    }));
    for part in wishes.chunks(10_000) {
        assert_eq!(site.schedule_all(part).len(), part.len());
    }
    let few_runs = runs_of(&site, few_type, few);
    let flood_runs = runs_of(&site, "fx.crowd", flood);
    let (p50, p99, max) = lateness_ms(&few_runs);
    let (flood_p50, _, flood_max) = lateness_ms(&flood_runs);
    let last = few_runs.iter().map(|run| instant_us(run, "started_at")).max().expect("some");
    let first = few_runs.iter().map(|run| instant_us(run, "due_at")).min().expect("some");
    let beside = flood_runs.iter().filter(|run| (first..=last).contains(&instant_us(run, "started_at"))).count();
    println!(
        "{}, {whose}: {few} beside a flood of {flood}: lateness p50 {p50} ms, p99 {p99} ms, max {max} ms (the flood's own: p50 {flood_p50} ms, max \
         {flood_max} ms); {beside} of the flood started meanwhile",
        placement.name()
    );
    assert!(4 * p99 < flood_max, "they waited for the flood: p99 {p99} ms, and the flood took {flood_max} ms");
    assert!(4 * p50 < flood_p50, "they waited for the flood: p50 {p50} ms, the flood's {flood_p50} ms");
}

/// The greatest number of runs that overlap, by the host's record.
fn at_once(runs: &[Value]) -> i64 {
    let mut edges: Vec<(i64, i64)> =
        runs.iter().flat_map(|run| [(instant_us(run, "started_at"), 1), (instant_us(run, "finished_at"), -1)]).collect();
    // An end before a beginning at the same microsecond.
    edges.sort_unstable();
    let mut now = 0;
    edges
        .into_iter()
        .map(|(_, step)| {
            now += step;
            now
        })
        .max()
        .unwrap_or(0)
}

fn beside(runs: &[Value]) -> i64 {
    runs.iter().filter_map(|run| run["output"]["beside"].as_i64()).max().unwrap_or(0)
}

fn place(site: &Site) -> PathBuf {
    let place = site.path().join("place");
    drop(fs::remove_dir_all(&place));
    fs::create_dir(&place).expect("the site can be written");
    place
}

fn taken(site: &Site, on: &str) -> Value {
    let limits = site.sexton(&["limit", "list", "--output", "json"]).fine().json();
    let rows = limits.as_array().cloned().or_else(|| limits["items"].as_array().cloned()).unwrap_or_default();
    rows.into_iter().find(|row| row["on"] == on).unwrap_or_else(|| panic!("{on} is not in {limits}"))["taken"].clone()
}

#[test]
fn no_more_at_once_than_the_limit_alone() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_crowd"]);
        let _host = HostProcess::start(&site);
        let place = place(&site);
        for (on, most) in [("type:fx.crowd", "5"), ("plugin:fx-crowd", "4"), ("key:room", "3")] {
            let said = site.sexton(&["limit", "set", on, "--concurrency", most]).fine();
            assert!(said.stdout.contains(&format!("{on}: at most {most} at once")), "{}", said.stdout);
        }
        let events = count(300, 5_000);
        let wishes: Vec<Value> = (0..events)
            .map(|n| {
                let of = ["fx.crowd", "fx.crowd_few"][n % 2];
                let policy = if n % 3 == 0 { json!({"limit_key": "room"}) } else { json!({}) };
                let args = json!({"place": place, "takes_ms": n % 7});
                json!({"event_type": of, "schedule": {"once": in_millis(500)}, "args": args, "policy": policy})
            })
            .collect();
        let ids = site.schedule_all(&wishes);
        let mut runs = runs_of(&site, "fx.crowd", events / 2);
        runs.extend(runs_of(&site, "fx.crowd_few", events / 2));
        let keyed: Vec<&String> = ids.iter().step_by(3).collect();
        let of_key: Vec<Value> = runs.iter().filter(|run| keyed.iter().any(|id| run["event_id"] == id.as_str())).cloned().collect();
        println!(
            "{}: {events} runs under limits of 4 (plugin) and 3 (word): at most {} and {} at once by the record, {} by their own count",
            placement.name(),
            at_once(&runs),
            at_once(&of_key),
            beside(&runs)
        );
        assert!(at_once(&runs) <= 4 && at_once(&of_key) <= 3 && beside(&runs) <= 4);
        assert!(at_once(&runs) >= 2, "a limit is no lock: something ran beside something");
        assert_eq!(of_key.len(), keyed.len());
        until("every slot is free", SOON, || (taken(&site, "plugin:fx-crowd") == 0 && taken(&site, "key:room") == 0).then_some(()));
    }
}

#[test]
fn no_more_in_a_time_than_the_rate_alone() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_crowd"]);
        let _host = HostProcess::start(&site);
        let (rate, burst, events) = (50_i64, 10_i64, count(160, 1_500));
        drop(site.sexton(&["limit", "set", "key:slow", "--rate", "50/1s", "--burst", "10"]).fine());
        let wish = json!({"event_type": "fx.crowd", "schedule": {"once": in_millis(500)}, "policy": {"limit_key": "slow"}});
        assert_eq!(site.schedule_all(&vec![wish; events]).len(), events);
        let mut starts: Vec<i64> = runs_of(&site, "fx.crowd", events).iter().map(|run| instant_us(run, "started_at")).collect();
        starts.sort_unstable();
        // How much later than claimed something would have to have started for this window to be within the rate.
        let mut held_up = 0;
        for (i, from) in starts.iter().enumerate() {
            for (n, to) in (1..).zip(&starts[i..]) {
                held_up = held_up.max((n - burst) * 1_000_000 / rate - (to - from));
            }
        }
        let took = starts[starts.len() - 1] - starts[0];
        let least = (small(events) - burst) * 1_000_000 / rate;
        println!(
            "{}: {events} starts at {rate} a second, {burst} at once: {} ms where {} ms is the least; no window beyond the rate by more than {} ms of it",
            placement.name(),
            took / 1_000,
            least / 1_000,
            held_up.max(0) / 1_000
        );
        // Between claim and start lie a commit and a queue: a start that was held up there comes nearer to the next. What the rate would give in a
        // quarter of a second is what a busy machine may hold up; without a limit all would start in that time.
        assert!(held_up <= 250_000, "{held_up} us beyond the rate");
        assert!(took >= least - 250_000, "{took} us");
        assert!(took <= 4 * least, "the rate is reached, or nearly: {took} us");
    }
}

#[test]
fn slots_of_a_killed_host_come_free_alone() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_crowd"]);
        let host = HostProcess::start(&site);
        let room = place(&site);
        drop(site.sexton(&["limit", "set", "type:fx.crowd", "--concurrency", "2"]).fine());
        let events = count(40, 400);
        let wish = json!({"event_type": "fx.crowd", "schedule": {"once": in_millis(200)}, "args": {"place": room, "takes_ms": 30}});
        assert_eq!(site.schedule_all(&vec![wish; events]).len(), events);
        until("some are over and two are there", SOON, || {
            let over = site.runs(&["--outcome", "succeeded"]).len();
            (over > 4 && taken(&site, "type:fx.crowd") == 2).then_some(())
        });
        host.kill();
        // What was under way has left its file behind.
        place(&site);
        let _host = HostProcess::start(&site);
        let runs = runs_of(&site, "fx.crowd", events);
        let interrupted = site.runs(&["--outcome", "interrupted"]).len();
        println!(
            "{}: {events} runs, two at once, over a kill: {interrupted} interrupted, at most {} at once",
            placement.name(),
            at_once(&runs)
        );
        assert_eq!(runs.len(), events);
        assert!(interrupted <= 2, "{interrupted} were under way");
        assert!(at_once(&runs) <= 2 && beside(&runs) <= 2, "{} by the record, {} by their own count", at_once(&runs), beside(&runs));
        until("every slot is free", SOON, || (taken(&site, "type:fx.crowd") == 0).then_some(()));
        let said = site.sexton(&["limit", "remove", "type:fx.crowd"]).fine();
        assert!(said.stdout.contains("limited no more"), "{}", said.stdout);
        assert!(site.sexton(&["limit", "remove", "type:fx.crowd"]).stderr.contains("INP032"));
    }
}
