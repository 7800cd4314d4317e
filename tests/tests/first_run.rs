//! The main job, seen from outside: a plugin is dropped in, an event is scheduled, it runs, and everything about it can be read.
//!
//! Not what happens when things break. What must hold: static and wrapped types are scheduled and shown in the same way.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, in_millis, until};

fn each_placement(scenario: impl Fn(Site)) {
    for placement in Placement::ALL {
        scenario(Site::new(placement));
    }
}

#[test]
fn a_dropped_plugin_serves_within_two_seconds() {
    each_placement(|site| {
        let host = HostProcess::start(&site);
        assert_eq!(site.plugin_list(), Vec::<Value>::new());
        let build = Build::of("fx_witness");
        site.plugins.put("fx_witness", &build, Way::Move);
        let began = std::time::Instant::now();
        let plugin = site.until_serving("fx-witness", &build);
        assert!(began.elapsed().as_secs_f32() < 4.0, "two seconds to be noticed, and some to load: {:?}", began.elapsed());
        assert_eq!(plugin["placement"], site.placement.name());
        assert_eq!(plugin["generation"], 1);
        let mut types: Vec<&str> = plugin["event_types"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        types.sort_unstable();
        assert_eq!(types, ["fx.fifth", "fx.follow", "fx.fourth", "fx.witness", "fx.witness_each"]);
        assert!(host.stop().success());
    });
}

#[test]
fn static_and_wrapped_types_are_scheduled_the_same_way() {
    each_placement(|site| {
        site.plugins.put("fx_witness", &Build::of("fx_witness"), Way::Move);
        let _host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let args = json!({ "witness": witness.path() }).to_string();
        for (event_type, args, owner) in [("sexton.noop", "{}", "host"), ("fx.witness", args.as_str(), "fx-witness")] {
            let said = site.sexton(&[
                "event",
                "schedule",
                event_type,
                "--args",
                args,
                "--in",
                "100ms",
                "--description",
                "same",
                "--output",
                "json",
            ]);
            let id = said.fine().json()["id"].as_str().expect("an id is text").to_owned();
            let run = site.run_of(&id);
            assert_eq!(
                (&run["outcome"], &run["event_type"], &run["plugin"], &run["attempt"]),
                (&json!("succeeded"), &json!(event_type), &json!(owner), &json!(1)),
                "{run}"
            );
            assert_eq!(run["occurrence"], json!(format!("{id}.1")));
            let event = site.event(&id);
            assert_eq!(
                (&event["state"], &event["description"], &event["running"], &event["unresolved"]),
                (&json!("completed"), &json!("same"), &json!(false), &json!(false)),
                "{event}"
            );
            let shown = site.sexton(&["event-type", "show", event_type, "--output", "json"]).fine().json();
            assert_eq!(shown["owner"], json!(owner), "{shown}");
        }
        assert_eq!(witness.lines().len(), 1);
    });
}

#[test]
fn each_resource_has_its_own_end_and_a_retry_takes_only_the_rest() {
    each_placement(|site| {
        site.plugins.put("fx_witness", &Build::of("fx_witness"), Way::Move);
        let _host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let id = site.schedule(&json!({
            "event_type": "fx.witness_each", "schedule": {"once": in_millis(0)}, "args": {"witness": witness.path()},
            "resources": [{"id": "a", "kind": "x"}, {"id": "b", "kind": "x", "ok": false}, {"id": "c", "kind": "x"}],
            "retry": {"attempts": 2, "first_delay_ms": 50},
        }));
        let runs = until("both attempts are settled", SOON, || Some(site.runs(&["--event", &id])).filter(|runs| runs.len() == 2));
        assert!(runs.iter().all(|run| run["outcome"] == "failed"), "{runs:?}");
        let first = runs.iter().find(|run| run["attempt"] == 1).expect("a first attempt");
        let ends: Vec<_> =
            first["resources"].as_array().expect("ends of resources").iter().map(|r| (r["id"].clone(), r["outcome"].clone())).collect();
        assert_eq!(ends, [(json!("a"), json!("succeeded")), (json!("b"), json!("failed")), (json!("c"), json!("succeeded"))]);
        let times = witness.times();
        let expected = [("a", 1), ("b", 2), ("c", 1)].map(|(resource, n)| (format!("{id}.1/{resource}"), n));
        assert_eq!(times.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(site.event(&id)["state"], "discarded");
    });
}

#[test]
fn follow_ups_are_stored_with_the_runs_success_or_not_at_all() {
    each_placement(|site| {
        site.plugins.put("fx_witness", &Build::of("fx_witness"), Way::Move);
        let _host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let follow = |then_fail: bool| {
            let args = json!({"witness": witness.path(), "count": 3, "then_fail": then_fail});
            let id = site.schedule(&json!({"event_type": "fx.follow", "schedule": {"once": in_millis(0)}, "args": args}));
            site.run_of(&id)
        };
        let failed = follow(true);
        assert_eq!(failed["outcome"], "failed");
        for id in failed["output"].as_array().expect("the ids are answered at once") {
            site.sexton(&["event", "show", id.as_str().expect("an id is text")]).refused("INP009");
        }
        let succeeded = follow(false);
        assert_eq!(succeeded["outcome"], "succeeded");
        let ids = succeeded["output"].as_array().expect("the ids are answered at once");
        for id in ids {
            assert_eq!(site.run_of(id.as_str().expect("an id is text"))["outcome"], "succeeded");
        }
        assert_eq!((ids.len(), witness.len()), (3, 3));
    });
}

#[test]
fn a_failure_is_retried_by_policy_and_every_attempt_is_kept() {
    each_placement(|site| {
        site.plugins.put("fx_witness", &Build::of("fx_witness"), Way::Move);
        let _host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let id = site.schedule(&json!({
            "event_type": "fx.witness", "schedule": {"once": in_millis(0)}, "args": {"witness": witness.path(), "failures": 2},
            "retry": {"attempts": 3, "first_delay_ms": 50},
        }));
        until("the event is completed", SOON, || (site.event(&id)["state"] == "completed").then_some(()));
        let mut ends: Vec<_> = site.runs(&["--event", &id]).iter().map(|run| (run["attempt"].as_u64(), run["outcome"].clone())).collect();
        ends.sort_by_key(|(attempt, _)| *attempt);
        assert_eq!(ends, [(Some(1), json!("failed")), (Some(2), json!("failed")), (Some(3), json!("succeeded"))]);
        assert_eq!(witness.times(), [(format!("{id}.1"), 3)].into());
    });
}

#[test]
fn recurring_events_keep_their_grid() {
    each_placement(|site| {
        site.plugins.put("fx_witness", &Build::of("fx_witness"), Way::Move);
        let _host = HostProcess::start(&site);
        let witness = site.witness("lines");
        let id = site.schedule(&json!({"event_type": "fx.witness", "schedule": {"every": "1s"}, "args": {"witness": witness.path()}}));
        until("four runs", SOON, || (witness.len() >= 4).then_some(()));
        site.sexton(&["event", "cancel", &id]).fine();
        let after_cancel = until("the last run is settled", SOON, || {
            let event = site.event(&id);
            (event["running"] == false).then(|| witness.len())
        });
        let mut runs = site.runs(&["--event", &id]);
        runs.sort_by_key(|run| run["scheduled_for"].to_string());
        let at =
            |run: &Value| run["scheduled_for"].as_str().and_then(|t| t.parse::<chrono::DateTime<chrono::Utc>>().ok()).expect("an instant");
        let steps: Vec<i64> = runs.windows(2).map(|two| (at(&two[1]) - at(&two[0])).num_milliseconds()).collect();
        assert!(steps.iter().all(|step| step % 1000 == 0), "off the grid: {steps:?}");
        assert!(witness.times().values().all(|&n| n == 1), "an occurrence ran twice");
        let event = site.event(&id);
        assert_eq!((&event["state"], witness.len()), (&json!("cancelled"), after_cancel));
    });
}
