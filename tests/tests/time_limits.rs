//! Runs that overstay and runs that are cancelled, in both placements: asked, ended, or shown as stuck.
//!
//! Not other ways to hurt a process (`hostile_run`). What must hold: where there is a process to end, what does not listen is ended after its grace; where
//! there is none, it is shown and never called ended while it runs.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, instant, until};
use std::path::PathBuf;

fn gate(site: &Site) -> PathBuf {
    site.path().join("gate")
}

fn trouble(site: &Site, event_type: &str, how: &str, more: &Value) -> String {
    let mut event = json!({"event_type": event_type, "schedule": {"once": in_millis(0)}, "args": {"how": how, "until": gate(site)}});
    let members = more.as_object().expect("an object").clone();
    event.as_object_mut().expect("an object").extend(members);
    site.schedule(&event)
}

fn in_flight(site: &Site) -> Vec<Value> {
    site.sexton(&["run", "list", "--running", "--output", "ndjson"]).fine().ndjson()
}

fn until_running(site: &Site, id: &str) -> Value {
    let of = format!("{id}.1");
    until("it runs", SOON, || in_flight(site).into_iter().find(|run| run["occurrence"] == of.as_str()))
}

fn took_ms(run: &Value) -> i64 {
    (instant(run, "finished_at") - instant(run, "started_at")).num_milliseconds()
}

#[test]
fn what_listens_has_failed_in_time_by_the_events_word_and_by_the_types() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_trouble"]);
        let _host = HostProcess::start(&site);
        let once = json!({"attempts": 1});
        let by_event = trouble(&site, "fx.trouble", "sleep_politely", &json!({"policy": {"timeout": "200ms"}, "retry": once}));
        let by_type = trouble(&site, "fx.trouble_in_time", "sleep_politely", &json!({}));
        for (id, words, least) in [(by_event, "`timeout` of the event)", 200), (by_type, "`timeout` of the event type", 300)] {
            let run = site.run_of(&id);
            assert_eq!((&run["outcome"], &run["error_code"]), (&json!("failed"), &json!("timeout")), "{run}");
            assert!(run["error"].as_str().is_some_and(|error| error.contains(words)), "{run}");
            assert!(took_ms(&run) >= least - 50, "{run}");
            assert_eq!(site.event(&id)["state"], "discarded", "its one attempt is spent");
        }
    }
}

#[test]
fn what_ignores_its_time_or_its_cancel_is_ended_with_its_process_and_its_neighbours_run_again() {
    let site = Site::with(Placement::Runner, &["fx_trouble"]);
    let mut host = HostProcess::start(&site);
    for cancel in [false, true] {
        let neighbour = trouble(&site, "fx.trouble", "sleep_politely", &json!({}));
        until_running(&site, &neighbour);
        let policy = if cancel { json!({"grace": "300ms"}) } else { json!({"timeout": "300ms", "grace": "300ms"}) };
        let stubborn = trouble(&site, "fx.trouble", "stubborn", &json!({"policy": policy, "retry": {"attempts": 1}}));
        if cancel {
            until_running(&site, &stubborn);
            site.sexton(&["run", "cancel", "--event", &stubborn]).fine().saying("asked to stop");
        }
        let run = site.run_of(&stubborn);
        let (outcome, code) = if cancel { ("cancelled", Value::Null) } else { ("failed", json!("timeout")) };
        assert_eq!((&run["outcome"], &run["error_code"]), (&json!(outcome), &code), "{run}");
        println!("{outcome}: ended after {} ms", took_ms(&run));
        let state = if cancel { "completed" } else { "discarded" };
        assert_eq!(site.event(&stubborn)["state"], state, "it does not run again");
        let beside = site.run_of(&neighbour);
        assert_eq!((&beside["outcome"], &beside["error_code"]), (&json!("interrupted"), &json!("neighbour")), "{beside}");
        let again = until_running(&site, &neighbour);
        assert_eq!(again["attempt"], 1, "an interruption costs no attempt");
        site.sexton(&["run", "cancel", "--type", "fx.trouble"]).fine();
        until("it is cancelled", SOON, || (site.event(&neighbour)["state"] == "completed").then_some(()));
    }
    assert!(host.alive());
    // An operator's cancel is no crash of the plugin's.
    let crashes = site.sexton(&["plugin", "show", "fx-trouble", "--output", "json"]).fine().json();
    assert_eq!(crashes["state"], "active", "{crashes}");
}

#[test]
fn a_thread_of_the_host_is_shown_as_stuck_until_it_ends_by_itself() {
    let site = Site::with(Placement::InProcess, &["fx_trouble"]);
    let host = HostProcess::start(&site);
    let late = trouble(&site, "fx.trouble_in_time", "stubborn", &json!({}));
    let cancelled = trouble(&site, "fx.trouble", "stubborn", &json!({"policy": {"grace": "200ms"}}));
    until_running(&site, &cancelled);
    site.sexton(&["run", "cancel", &format!("{cancelled}.1")]).fine();
    until("both are stuck", SOON, || {
        (in_flight(&site).iter().filter(|run| run["stuck"] == true && run["stuck_since"].is_string()).count() == 2).then_some(())
    });
    for id in [&late, &cancelled] {
        site.sexton(&["run", "show", &format!("{id}.1")]).fine().saying("stuck since");
        assert!(site.runs(&["--event", id]).is_empty(), "it is not called ended while it runs");
    }
    site.sexton(&["status"]).fine().saying("2 under way, 2 of them stuck");
    site.sexton(&["plugin", "show", "fx-trouble"]).fine().saying("2 of them stuck");
    assert!(host.stderr().contains("its thread holds its place"), "{}", host.stderr());
    std::fs::write(gate(&site), "").expect("the site can be written");
    for id in [&late, &cancelled] {
        assert_eq!(site.run_of(id)["outcome"], "succeeded", "it did what it was to do, late");
    }
    assert!(host.stop().success());
}

#[test]
fn events_of_a_kind_are_cancelled_in_one_command() {
    let site = Site::with(Placement::Runner, &["fx_trouble"]);
    let _host = HostProcess::start(&site);
    let event = |label: &str| json!({"event_type": "fx.trouble", "schedule": {"once": in_millis(3_600_000)}, "args": {"how": "fail"}, "labels": {"team": label}});
    let events: Vec<Value> = (0..1_500).map(|_| event("a")).chain([event("b")]).collect();
    let ids = site.schedule_all(&events);
    site.sexton(&["event", "pause", &ids[0]]).fine();
    let matched = site.sexton(&["event", "cancel", "--label", "team=a", "--dry-run", "--output", "json"]).fine().json();
    assert_eq!(matched["matched"], 1_500);
    site.sexton(&["event", "cancel"]).exits(2);
    site.sexton(&["event", "cancel", "--state", "paused"]).exits(2);
    site.sexton(&["event", "cancel", "--label", "team=a"]).fine().saying("1500 events cancelled");
    let open = site.sexton(&["event", "list", "--type", "fx.trouble", "--state", "scheduled", "--output", "ndjson"]).fine().ndjson();
    assert_eq!(open.iter().filter_map(|event| event["id"].as_str()).collect::<Vec<_>>(), [ids[1_500].as_str()]);
    assert_eq!(site.event(&ids[0])["state"], "cancelled", "the paused one too");
}
