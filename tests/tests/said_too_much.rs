//! Jobs that say more than is kept: output, errors, log lines, notes, progress.
//!
//! Not hostile plugins (`hostile_run`). What must hold: whatever is cut or left out says so, and how much; a flood costs others nothing.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, instant, until};
use std::time::Duration;

fn run(site: &Site, args: &Value) -> Value {
    let id = site.schedule(&json!({"event_type": "fx.live", "schedule": {"once": in_millis(0)}, "args": args, "retry": {"attempts": 1}}));
    site.run_of(&id)
}

/// The bytes that are there of so many, and that the rest is counted.
fn cut_of(text: &str, whole: usize, most: usize) {
    let (kept, rest) = text.split_once(" [… cut, ").unwrap_or_else(|| panic!("no mark in {} bytes", text.len()));
    let dropped: usize = rest.strip_suffix(" bytes dropped]").expect("the mark's end").parse().expect("a number");
    assert!(text.len() <= most && kept.len() + dropped == whole, "{} kept, {dropped} dropped of {whole}", kept.len());
}

#[test]
fn an_output_that_is_too_large_is_refused_with_a_sentence() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_live"]);
        let _host = HostProcess::start(&site);
        let most = 1 << 20;
        // Two quotes belong to it.
        let run_of = |bytes: usize| run(&site, &json!({"steps": 0, "output": bytes}));
        let fits = run_of(most - 2);
        assert_eq!((&fits["outcome"], fits["output"].as_str().map(str::len)), (&json!("succeeded"), Some(most - 2)));
        let over = run_of(most - 1);
        assert_eq!((&over["outcome"], &over["output"]), (&json!("failed"), &Value::Null));
        assert_eq!(over["error"], "the output is 1048577 bytes long; at most 1048576 are kept");

        site.plugins.configure("fx_live", "[limits]\noutput = \"2KiB\"\n");
        let left_out = until("the limit is obeyed", SOON, || Some(run_of(5_000)).filter(|run| run["output"].is_null()));
        assert_eq!(left_out["outcome"], "succeeded");
        assert_eq!(left_out["error"], "its output of 5002 bytes was not kept: the limit is 2048");
        let occurrence = left_out["occurrence"].as_str().expect("text");
        site.sexton(&["run", "show", occurrence]).fine().saying("its output of 5002 bytes was not kept: the limit is 2048");
    }
}

#[test]
fn what_put_out_nothing_and_what_put_out_null_are_the_same() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_live"]);
        let _host = HostProcess::start(&site);
        for args in [json!({"steps": 0}), json!({"steps": 0, "output_null": true})] {
            let run = run(&site, &args);
            assert_eq!(run.get("output"), Some(&Value::Null), "{args}: the field is there, and null");
            let shown = site.sexton(&["run", "show", run["occurrence"].as_str().expect("text")]).fine();
            assert!(!shown.stdout.contains("output"), "{shown}");
        }
    }
}

#[test]
fn errors_and_lines_that_are_cut_say_so() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_live"]);
        let _host = HostProcess::start(&site);
        let run = run(&site, &json!({"steps": 1, "line": 100_000, "note": "n".repeat(5_000), "fail": 100_000}));
        cut_of(run["error"].as_str().expect("text"), 100_000, 16 << 10);
        let occurrence = run["occurrence"].as_str().expect("text");
        site.sexton(&["run", "show", occurrence]).fine().saying(" bytes dropped]");
        let log = site.sexton(&["run", "logs", occurrence, "--output", "json"]).fine().json();
        let line = log["items"][0]["message"].as_str().expect("text");
        cut_of(line, "step 1 ".len() + 100_000, 16 << 10);
        site.sexton(&["run", "logs", occurrence]).fine().saying(" bytes dropped]");
    }
}

#[test]
fn a_flood_of_progress_costs_others_nothing() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_live"]);
        let host = HostProcess::start(&site);
        let before = host.resident_bytes();
        let flood = json!({"steps": 1_000_000, "total": 10, "note": "n".repeat(5_000), "again": 100});
        let flood = site.schedule(&json!({"event_type": "fx.live", "schedule": {"once": in_millis(0)}, "args": flood}));
        let running = || site.sexton(&["run", "list", "--running", "--type", "fx.live", "--output", "ndjson"]).fine().ndjson();
        let far = |steps: u64| {
            let far = |row: &Value| row["progress"][0].as_u64() >= Some(steps);
            until("it has said much", SOON, || running().into_iter().find(far))
        };
        far(10);
        for _ in 0..20 {
            let id = site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(0)}}));
            let run = site.run_of(&id);
            let at = |field: &str| instant(&run, field);
            let late = at("started_at") - at("due_at");
            assert!(late < chrono::Duration::seconds(2), "late by {late}");
        }
        let row = far(200);
        assert_eq!(row["progress"][0], row["progress"][1], "a total that is less than what is done has grown");
        cut_of(row["progress"][2].as_str().expect("text"), 5_000, 512);
        let grown = host.resident_bytes().saturating_sub(before);
        assert!(grown < 48 << 20, "it has grown by {grown} bytes");
        drop(flood);
    }
}

#[test]
fn progress_buys_no_time_and_silence_costs_none() {
    let site = Site::with(Placement::Runner, &["fx_live"]);
    site.plugins.configure("fx_live", "[limits]\nrun_time = \"1s\"\n");
    let _host = HostProcess::start(&site);
    let run = run(&site, &json!({"steps": 1, "again": u64::MAX}));
    assert_eq!(run["outcome"], "failed", "{run}");
    let took = instant(&run, "finished_at") - instant(&run, "started_at");
    assert!(took >= chrono::Duration::seconds(1), "{took}");

    // One that says nothing is left alone for many times as long as the host takes to notice any death.
    let site = Site::with(Placement::Runner, &["fx_live"]);
    let _host = HostProcess::start(&site);
    let gate = site.path().join("gate");
    let id = site.schedule(&json!({"event_type": "fx.live", "schedule": {"once": in_millis(0)}, "args": {"steps": 1, "gate": gate}}));
    let row = || site.sexton(&["run", "list", "--running", "--output", "ndjson"]).fine().ndjson().pop();
    until("it is under way for five seconds", SOON, || {
        let row = row()?;
        assert_eq!((&row["progress"], &row["attempt"], &row["cancelling"]), (&Value::Null, &json!(1), &json!(false)));
        let age = chrono::Utc::now() - instant(&row, "started_at");
        (age > chrono::Duration::from_std(Duration::from_secs(5)).expect("short")).then_some(())
    });
    std::fs::write(&gate, "x").expect("the site can be written");
    assert_eq!(site.run_of(&id)["outcome"], "succeeded");
}
