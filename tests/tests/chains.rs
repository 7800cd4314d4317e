//! Events that follow others, and events of which there are no two, as an operator meets them; and chains whose host is killed at random instants.
//!
//! Not the rules row by row (the store's conformance suite). What must hold: what follows is stored with what it follows, never without it, and never
//! left out.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, count, draw, in_millis, seed, until};
use std::collections::BTreeSet;
use std::time::Duration;

fn witness_event(site: &Site, name: &str, schedule: &Value) -> Value {
    json!({"event_type": "fx.witness", "schedule": schedule, "args": {"witness": site.witness(name).path()}})
}

fn until_state(site: &Site, id: &str, state: &str) -> Value {
    until(&format!("an event is {state}"), SOON, || Some(site.event(id)).filter(|event| event["state"] == state))
}

#[test]
fn a_chain_runs_in_order_and_ends_with_what_it_follows() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let _host = HostProcess::start(&site);
        let first = site.schedule(&witness_event(&site, "lines", &json!({"once": in_millis(1_000)})));
        let args = json!({"witness": site.witness("lines").path()}).to_string();
        let schedule = |follows: &[&str]| -> String {
            let mut words = vec!["event", "schedule", "fx.witness", "--args", &args, "--output", "json"];
            words.extend(follows.iter().flat_map(|one| ["--follows", one]));
            site.sexton(&words).fine().json()["id"].as_str().expect("an id").to_owned()
        };
        let second = schedule(&[&first]);
        let third = schedule(&[&first, &format!("{second}:any")]);
        let never = schedule(&[&format!("{first}:failure")]);
        let shown = site.sexton(&["event", "show", &third]).fine().saying("Once all of these have come about since it ran last");
        shown.saying(&format!("{second}:any, scheduled: waited for"));
        let listed = site.sexton(&["event", "list", "--follows", &first, "--output", "ndjson"]).fine().ndjson();
        assert_eq!(listed.iter().map(|event| event["id"].clone()).collect::<Vec<_>>(), [json!(never), json!(third), json!(second)]);
        for id in [&first, &second, &third] {
            let event = until_state(&site, id, "completed");
            assert_eq!(event["occurrences"], 1, "{event}");
        }
        let lines: Vec<String> = site.witness("lines").lines().into_iter().map(|line| line.occurrence).collect();
        assert_eq!(lines, [&first, &second, &third].map(|id| format!("{id}.1")));
        let finished = site.run_of(&second)["finished_at"].clone();
        assert_eq!(site.run_of(&third)["scheduled_for"], finished, "meant for the end of the last that it follows");
        let event = until_state(&site, &never, "discarded");
        assert!(event["reason"].as_str().is_some_and(|why| why.contains(&first) && why.contains("failure")), "{event}");
        // What has ended already counts at once, or is refused with what was found.
        let late = schedule(&[&first]);
        until_state(&site, &late, "completed");
        for (follows, code) in
            [(format!("{first}:failure"), "INP037"), ("0000000000000".to_owned(), "INP037"), (format!("{first}:often"), "INP016")]
        {
            site.sexton(&["event", "schedule", "fx.witness", "--args", &args, "--follows", &follows]).refused(code);
        }
        let refused = site.sexton(&["event", "schedule", "fx.witness", "--args", &args, "--follows", &first, "--misfire", "all"]);
        refused.refused("INP016").saying("`--misfire` does not go with `--follows`").exits(2);
    }
}

#[test]
fn a_chain_is_explained_without_a_host_and_edits_make_no_cycle() {
    let site = Site::new(Placement::Runner);
    let said = site.sexton(&["schedule", "explain", "--kind", "follows", "05jp19e000800,05jp19e000801:any"]).fine();
    said.saying("event 05jp19e000800 has succeeded; event 05jp19e000801 has come to an end");
    let shown = site.sexton(&["schedule", "preview", "--kind", "follows", "05jp19e000800", "--output", "json"]).fine().json();
    assert_eq!(shown["next"], json!([]));
    assert!(shown["notes"][0].as_str().is_some_and(|note| note.contains("no times of its own")), "{shown}");
    let _host = HostProcess::start(&site);
    let noop = |schedule: Value| site.schedule(&json!({"event_type": "sexton.noop", "schedule": schedule}));
    let one = noop(json!({"manual": true}));
    let two = noop(json!({"follows": [one]}));
    let three = noop(json!({"follows": [{"event": two, "on": "any"}]}));
    let refused = site.sexton(&["event", "edit", &one, "--follows", &three]).refused("INP038");
    refused.saying(&format!("{one} follows {three} follows {two} follows {one}"));
    site.sexton(&["event", "cancel", &two]).fine();
    let event = until_state(&site, &three, "discarded");
    assert!(event["reason"].as_str().is_some_and(|why| why.contains(&two)), "{event}");
}

#[test]
fn of_two_that_are_the_same_one_is_kept_replaced_or_refused() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let _host = HostProcess::start(&site);
    let witness = site.witness("lines");
    let wish = |conflict: &str, takes_ms: u64| {
        let unique = json!({"by": ["type", "key"], "conflict": conflict}).to_string();
        let args = json!({"witness": witness.path(), "takes_ms": takes_ms}).to_string();
        let words = ["event", "schedule", "fx.witness", "--key", conflict, "--in", "0s", "--output", "json"];
        site.sexton(&[&words[..], &["--args", &args, "--unique", &unique]].concat())
    };
    let first = wish("keep", 2_000).fine().json();
    let again = wish("keep", 2_000).fine().json();
    assert_eq!((&again["id"], &again["kept"], first.get("kept")), (&first["id"], &json!(true), None), "{again}");
    let first = wish("reject", 2_000).fine().json();
    wish("reject", 2_000).refused("INP036").saying(first["id"].as_str().expect("an id"));
    // One that runs is named, ends as it does, and the new one runs besides.
    let first = wish("replace", 3_000).fine().json()["id"].as_str().expect("an id").to_owned();
    until("it runs", SOON, || (site.event(&first)["running"] == true).then_some(()));
    let second = wish("replace", 0).fine().json();
    assert_eq!(second["replaced"], json!([{"id": first, "running": [format!("{first}.1")]}]), "{second}");
    assert_eq!(site.event(&first)["reason"], json!(format!("replaced by {}", second["id"].as_str().expect("an id"))));
    until_state(&site, second["id"].as_str().expect("an id"), "completed");
    assert_eq!(site.run_of(&first)["outcome"], "succeeded");
    assert_eq!(site.event(&first)["state"], "cancelled");
    // Many at once: whatever they hear, there is one.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..6).map(|_| scope.spawn(|| wish("keep", 500).fine().json())).collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller ends")).collect()
    });
    let ids: BTreeSet<String> = answers.iter().map(|answer| answer["id"].to_string()).collect();
    assert!(ids.len() <= 2 && answers.iter().filter(|answer| answer["kept"] != true).count() <= 1, "{answers:?}");
}

#[test]
fn a_replaced_event_that_is_claimed_does_not_start() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let _host = HostProcess::start(&site);
    let witness = site.witness("lines");
    // Due within the horizon of claims, so that the host holds it when it is replaced.
    let wish = |due: i64| {
        json!({"event_type": "fx.witness", "schedule": {"once": in_millis(due)}, "args": {"witness": witness.path()},
               "policy": {"unique": {"by": ["type"], "conflict": "replace"}}})
    };
    let ids: Vec<String> = (0..5).map(|_| site.schedule(&wish(1_200))).collect();
    let last = &ids[4];
    until_state(&site, last, "completed");
    assert_eq!(witness.times(), [(format!("{last}.1"), 1)].into(), "only the last of them ran");
    for id in &ids[..4] {
        assert_eq!(site.event(id)["waiting"], json!([]), "nothing of it is left");
    }
}

/// Two chains that go round by themselves: what follows the successes of the one, what follows the failures of the other.
#[test]
fn chains_under_kill_alone() {
    let mut random = seed();
    let rounds = count(20, 200);
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let mut host = HostProcess::start(&site);
    // When their followers are stored, too.
    let begin = in_millis(2_000);
    let upstream = |name: &str, failures: u64| {
        let args = json!({"witness": site.witness(name).path(), "failures": failures});
        site.schedule(
            &json!({"event_type": "fx.witness", "schedule": {"after": "1ms", "start": begin}, "args": args, "retry": {"attempts": 1}}),
        )
    };
    let follower = |name: &str, of: &str, on: &str| {
        let mut event = witness_event(&site, name, &json!({"follows": [{"event": of, "on": on}]}));
        event["policy"] = json!({"overlap": "allow"});
        site.schedule(&event)
    };
    let (good, bad) = (upstream("good", 0), upstream("bad", 1_000_000));
    let (after_good, after_bad) = (follower("after-good", &good, "success"), follower("after-bad", &bad, "failure"));
    for round in 0..rounds {
        let (lines, wanted) = (site.witness("after-good"), usize::try_from(draw(&mut random, 40)).expect("small"));
        let from = lines.len();
        until(&format!("round {round}: chains go round"), SOON, || (lines.len() >= from + wanted).then_some(()));
        host.kill();
        host = HostProcess::start(&site);
    }
    for id in [&good, &bad] {
        site.sexton(&["event", "pause", id]).fine();
        until("the last of it is settled", SOON, || (site.event(id)["running"] == false).then_some(()));
    }
    let mut told = Vec::new();
    for (of, by) in [(&good, &after_good), (&bad, &after_bad)] {
        let ended = if of == &good {
            site.runs(&["--event", of, "--outcome", "succeeded"]).len()
        } else {
            let waiting = site.event(of)["waiting"].as_array().cloned().unwrap_or_default();
            waiting.iter().filter(|row| row["dead"].is_string()).count()
        };
        let event = until("everything set off has run", Duration::from_secs(60), || {
            let event = site.event(by);
            event["waiting"].as_array().is_some_and(|rows| rows.iter().all(|row| row["dead"].is_string())).then_some(event)
        });
        assert_eq!(event["occurrences"], json!(ended), "as many as there were ends that count");
        let ran: BTreeSet<String> =
            site.runs(&["--event", by, "--outcome", "succeeded"]).iter().map(|run| run["occurrence"].to_string()).collect();
        assert_eq!(ran.len(), ended, "and each of them ran");
        told.push(ended);
    }
    assert!(host.stop().success());
    println!("{rounds} kills: {} successes and {} failures, each followed by exactly one occurrence", told[0], told[1]);
}
