//! Dead letters as operators have them: made, looked at, put back in one command, removed.
//!
//! Not how an occurrence comes to be one (`exactly_once`, `hostile_run`). What must hold: each that is put back runs once, and none is forgotten.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, count, in_millis, until};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Events that one call takes.
const BATCH: usize = 10_000;

fn letters(site: &Site, flags: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["dead-letter", "list", "--output", "ndjson"];
    arguments.extend(flags);
    site.sexton(&arguments).fine().ndjson()
}

fn dead(site: &Site) -> u64 {
    site.sexton(&["status", "--output", "json"]).fine().json()["counts"]["dead_letters"].as_u64().expect("a number")
}

fn until_dead(site: &Site, many: usize, patience: Duration) {
    until(&format!("{many} are dead"), patience, || (dead(site) == many as u64).then_some(()));
}

fn gated(site: &Site, label: &str) -> Value {
    let args = json!({"how": "fail_until", "until": site.path().join("gate")});
    json!({"event_type": "fx.trouble", "schedule": {"once": in_millis(0)}, "args": args, "labels": {"batch": label}})
}

fn open_gate(site: &Site) {
    std::fs::write(site.path().join("gate"), "").expect("the site can be written");
}

#[test]
fn alone_many_dead_letters_are_put_back_in_one_command_and_each_runs_once() {
    let many = count(2_000, 100_000);
    let patience = SOON + Duration::from_millis(many as u64 * 10);
    let site = Site::with(Placement::Runner, &["fx_trouble"]);
    let _host = HostProcess::start(&site);
    for start in (0..many).step_by(BATCH) {
        let events: Vec<Value> = (start..many.min(start + BATCH)).map(|_| gated(&site, "all")).collect();
        let _ids = site.schedule_all(&events);
    }
    until_dead(&site, many, patience);
    let matched = site.sexton(&["dead-letter", "requeue", "--all", "--dry-run", "--output", "json"]).fine().json();
    assert_eq!((&matched["matched"], dead(&site)), (&json!(many), many as u64), "a dry run moves nothing");
    open_gate(&site);
    let began = Instant::now();
    let answer = site.sexton(&["dead-letter", "requeue", "--all", "--output", "json"]).fine().json();
    let requeued = began.elapsed();
    assert_eq!((&answer["done"], &answer["refused"]), (&json!(many), &json!(0)));
    until("all have run", patience, || {
        let status = site.sexton(&["status", "--output", "json"]).fine().json();
        // One is scheduled: the host's own, which prunes.
        (status["counts"]["runs"] == json!(2 * many) && status["counts"]["scheduled"] == 1).then_some(())
    });
    println!("{many} dead letters: put back in {} ms, all run after {} ms", requeued.as_millis(), began.elapsed().as_millis());
    assert_eq!(dead(&site), 0);
    let mut succeeded: HashMap<String, usize> = HashMap::new();
    for run in site.runs(&["--outcome", "succeeded"]) {
        *succeeded.entry(run["occurrence"].to_string()).or_default() += 1;
    }
    assert_eq!(succeeded.len(), many);
    assert!(succeeded.values().all(|runs| *runs == 1), "each once");
}

#[test]
fn what_is_dead_is_listed_by_what_it_is_and_each_verb_takes_what_it_was_told() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_trouble"]);
        let _host = HostProcess::start(&site);
        let mut events = vec![gated(&site, "one"), gated(&site, "one"), gated(&site, "two")];
        events.push(json!({"event_type": "fx.trouble", "schedule": {"once": in_millis(0)}, "args": {"how": "panic_text"}, "retry": {"attempts": 1}}));
        let ids = site.schedule_all(&events);
        until_dead(&site, 4, SOON);
        let of = |flags: &[&str]| letters(&site, flags).len();
        assert_eq!([of(&[]), of(&["--label", "batch=one"]), of(&["--code", "panic"]), of(&["--reason", "No Further"])], [4, 2, 1, 3]);
        assert_eq!([of(&["--event", &ids[0]]), of(&["--type", "no.such"]), of(&["--since", "1h"]), of(&["--limit", "3"])], [1, 0, 4, 3]);
        let panicked = format!("{}.1", ids[3]);
        let shown = site.sexton(&["dead-letter", "show", &panicked, "--output", "json"]).fine().json();
        assert_eq!(
            (&shown["error_code"], &shown["runs"][0]["error_code"], &shown["attempt"]),
            (&json!("panic"), &json!("panic"), &json!(1))
        );
        site.sexton(&["dead-letter", "show", &panicked]).fine().saying("attempt 1 of 1 failed").saying("out of luck");
        assert_eq!(site.runs(&["--code", "panic"]).len(), 1);

        // Nothing said is nothing done.
        site.sexton(&["dead-letter", "requeue"]).exits(2);
        site.sexton(&["dead-letter", "discard", "--dry-run"]).exits(2);
        site.sexton(&["dead-letter", "requeue", "--all", &panicked]).exits(2);
        assert_eq!(dead(&site), 4);

        open_gate(&site);
        let answer = site.sexton(&["dead-letter", "requeue", "--label", "batch=one", "--output", "json"]).fine().json();
        assert_eq!(answer["done"], 2);
        site.sexton(&["run", "retry", &format!("{}.1", ids[2])]).fine();
        for id in &ids[..3] {
            until(&format!("event {id} is completed"), SOON, || (site.event(id)["state"] == "completed").then_some(()));
        }
        site.sexton(&["run", "retry", &format!("{}.1", ids[0])]).refused("INP035").exits(4).saying("run-now");
        site.sexton(&["dead-letter", "requeue", &format!("{}.1", ids[0])]).refused("INP034").exits(2);
        site.sexton(&["dead-letter", "discard", &panicked]).fine().saying("removed");
        assert_eq!((dead(&site), site.event(&ids[3])["state"].clone(), site.runs(&["--event", &ids[3]]).len()), (0, json!("discarded"), 1));
        let audit = site.sexton(&["audit", "--output", "ndjson"]).fine().ndjson();
        let lines = audit.iter().filter(|line| line["verb"].as_str().is_some_and(|verb| verb.starts_with("dead_letter.")));
        assert!(lines.clone().count() == 3 && lines.clone().all(|line| line["actor"].as_str().is_some_and(|a| a.starts_with("cli:"))));
    }
}

#[test]
fn a_key_that_was_taken_refuses_its_own_and_the_others_go_on() {
    let site = Site::with(Placement::Runner, &["fx_trouble"]);
    let _host = HostProcess::start(&site);
    let keyed = |when: i64| json!({"event_type": "fx.trouble", "key": "k", "schedule": {"once": in_millis(when)}, "args": {"how": "fail_permanently"}});
    let old = site.schedule(&keyed(0));
    until_dead(&site, 1, SOON);
    let _other = site.schedule(&gated(&site, "x"));
    until_dead(&site, 2, SOON);
    let new = site.schedule(&keyed(3_600_000));
    open_gate(&site);
    let said = site.sexton(&["dead-letter", "requeue", "--all"]).exits(4);
    assert!(
        said.stdout.contains("1 dead letters put back") && said.stdout.contains("INP033") && said.stdout.contains(&new),
        "{}",
        said.stdout
    );
    assert_eq!(site.event(&old)["state"], "discarded");
    site.sexton(&["dead-letter", "requeue", &format!("{old}.1")]).refused("INP033").exits(4);
    site.sexton(&["event", "cancel", &new]).fine();
    site.sexton(&["dead-letter", "requeue", &format!("{old}.1")]).fine().saying("put back");
}
