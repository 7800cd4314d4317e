//! The tracker from outside: what a run schedules is stored with its success, all of it in one transaction, or not at all; also when the host is killed.
//!
//! Not what a tracker may be asked (`plugin-api`). What must hold: no follow-up without its parent's success, and no success without its follow-ups.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, count, draw, in_millis, seed, until};
use std::collections::{BTreeMap, BTreeSet};

const MANY: usize = 1_000;

/// Milliseconds after which follow-ups are due that are to be counted, not run.
const LATER: u64 = 3_600_000;

fn parent(site: &Site, args: &Value) -> String {
    let mut all = json!({"witness": site.witness("lines").path()});
    all.as_object_mut().expect("an object").extend(args.as_object().expect("an object").clone());
    site.schedule(&json!({"event_type": "fx.follow", "schedule": {"once": in_millis(0)}, "args": all}))
}

fn follow_ups(site: &Site) -> Vec<Value> {
    site.sexton(&["event", "list", "--type", "fx.witness", "--output", "ndjson"]).fine().ndjson()
}

#[test]
fn a_thousand_events_or_none_in_one_transaction() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let _host = HostProcess::start(&site);
        for at_a_time in [0, 100] {
            let failed = parent(&site, &json!({"count": MANY, "fails_at": 500, "at_a_time": at_a_time, "in_ms": LATER}));
            let run = site.run_of(&failed);
            assert_eq!((&run["outcome"], &run["error"]), (&json!("failed"), &json!("as asked, at 500")));
            assert!(follow_ups(&site).is_empty(), "an error after 500 of them: nothing is stored");
        }
        let succeeded = parent(&site, &json!({"count": MANY, "at_a_time": 100, "in_ms": LATER}));
        // Whoever looks meanwhile sees none of them, or all.
        let mut seen = BTreeSet::new();
        until("all are there", SOON, || {
            let now = site.sexton(&["status", "--output", "json"]).fine().json()["counts"]["scheduled"].as_u64().expect("a count");
            // One is the host's own, which prunes.
            let now = now - 1;
            seen.insert(now);
            (usize::try_from(now).expect("small") >= MANY).then_some(())
        });
        let many = u64::try_from(MANY).expect("small");
        assert!(seen.iter().all(|now| [0, 1, many, many + 1].contains(now)), "a part of them was seen: {seen:?}");
        let (run, stored) = (site.run_of(&succeeded), follow_ups(&site));
        assert_eq!((&run["outcome"], stored.len()), (&json!("succeeded"), MANY));
        let moments: BTreeSet<String> = stored.iter().map(|event| event["created_at"].to_string()).collect();
        assert_eq!(moments.len(), 1, "one transaction has one moment");
        let ids: BTreeSet<String> = stored.iter().map(|event| event["id"].to_string()).collect();
        let answered = run["output"].as_array().expect("ids").iter().map(Value::to_string).collect();
        assert_eq!(ids, answered, "the ids that `commit` gave");
        println!("{}: {MANY} follow-ups of one run in one transaction", placement.name());
    }
}

#[test]
fn a_run_schedules_what_follows_its_own_follow_ups_and_itself() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let _host = HostProcess::start(&site);
        let id = parent(&site, &json!({"count": 1, "chain": true}));
        let run = site.run_of(&id);
        assert_eq!(run["outcome"], "succeeded", "{run}");
        let ids: Vec<&str> = run["output"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
        assert_eq!(ids.len(), 3);
        for id in &ids {
            let event = until("each of them has run", SOON, || Some(site.event(id)).filter(|event| event["state"] == "completed"));
            assert_eq!(event["occurrences"], 1);
        }
        let of = |id: &str| site.run_of(id);
        assert_eq!(of(ids[1])["scheduled_for"], of(ids[0])["finished_at"]);
        let labelled = site.runs(&["--label", &format!("parent={id}.1"), "--plugin", "fx-witness"]);
        assert_eq!(labelled.len(), 3, "found by the label of their events");
    }
}

#[test]
fn follow_ups_under_kill_alone() {
    let mut random = seed();
    let rounds = count(20, 200);
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let mut host = HostProcess::start(&site);
    let args = json!({"witness": site.witness("lines").path(), "count": 2, "in_ms": LATER});
    let parent = site.schedule(&json!({"event_type": "fx.follow", "schedule": {"after": "1ms"}, "args": args}));
    for round in 0..rounds {
        let from = site.event(&parent)["occurrences"].as_u64().expect("a count");
        let wanted = draw(&mut random, 30);
        until(&format!("round {round}: parents run"), SOON, || {
            (site.event(&parent)["occurrences"].as_u64().expect("a count") >= from + wanted).then_some(())
        });
        host.kill();
        host = HostProcess::start(&site);
    }
    site.sexton(&["event", "pause", &parent]).fine();
    until("the last parent is settled", SOON, || (site.event(&parent)["running"] == false).then_some(()));
    let succeeded: BTreeSet<String> = site
        .runs(&["--event", &parent, "--outcome", "succeeded"])
        .iter()
        .map(|run| run["occurrence"].as_str().expect("text").to_owned())
        .collect();
    let mut of_parent: BTreeMap<String, usize> = BTreeMap::new();
    for event in follow_ups(&site) {
        *of_parent.entry(event["labels"]["parent"].as_str().expect("a label").to_owned()).or_default() += 1;
    }
    assert_eq!(of_parent.keys().cloned().collect::<BTreeSet<_>>(), succeeded, "follow-ups without a success, or a success without them");
    assert!(of_parent.values().all(|n| *n == 2), "each success has its own, once: {of_parent:?}");
    assert!(host.stop().success());
    println!("{rounds} kills: {} successes, each with its two follow-ups", succeeded.len());
}

#[test]
fn a_retry_runs_only_the_resources_that_did_not_succeed_also_after_a_restart() {
    for placement in Placement::ALL {
        let site = Site::new(placement);
        site.plugins.put("fx_witness", &Build::of("fx_witness"), Way::Move);
        let host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let id = site.schedule(&json!({
            "event_type": "fx.witness_each", "schedule": {"once": in_millis(0)}, "args": {"witness": witness.path()},
            "resources": [{"id": "good"}, {"id": "slow", "ok_from": 3}, {"id": "fine"}, {"id": "lame", "ok_from": 2}],
            "retry": {"attempts": 3, "first_delay_ms": 2_000, "max_delay_ms": 2_000},
        }));
        // Held after its first attempt, so that the restart lies between two of them.
        until("the first attempt is settled", SOON, || site.runs(&["--event", &id]).pop());
        site.sexton(&["event", "pause", &id]).fine();
        until("nothing of it runs", SOON, || (site.event(&id)["running"] == false).then_some(()));
        let attempts = |outcome: &str| site.runs(&["--event", &id, "--outcome", outcome]).len();
        host.kill();
        let _host = HostProcess::start(&site);
        site.sexton(&["event", "resume", &id]).fine();
        until("it is completed", SOON, || (site.event(&id)["state"] == "completed").then_some(()));
        assert_eq!((attempts("failed"), attempts("succeeded")), (2, 1));
        let times: BTreeMap<String, usize> =
            witness.times().into_iter().map(|(key, n)| (key.rsplit('/').next().unwrap_or("").to_owned(), n)).collect();
        let expected = [("good", 1), ("slow", 3), ("fine", 1), ("lame", 2)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(times, expected.into());
        let by_resource = site.runs(&["--resource", "lame"]);
        assert_eq!(by_resource.len(), 3, "found by what their event acts on");
    }
}
