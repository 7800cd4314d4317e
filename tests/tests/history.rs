//! History from outside: how long runs are kept, statistics, alerts, and the audit's filters, by the command line of a real host.
//!
//! Not each rule: those have tables and themes of their own. What must hold: what a command says is what the host then does.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, until};

fn rows(site: &Site, arguments: &[&str]) -> Vec<Value> {
    site.sexton(&[arguments, &["--output", "ndjson"]].concat()).fine().ndjson()
}

fn noop(site: &Site, count: usize) {
    let event = json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(0)}, "args": {}});
    let ids = site.schedule_all(&vec![event; count]);
    until("all have run", SOON, || (rows(site, &["run", "list", "--type", "sexton.noop"]).len() >= ids.len()).then_some(()));
}

#[test]
fn runs_go_as_the_rules_say_and_statistics_stay() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let own = rows(&site, &["event", "list", "--type", "sexton.prune"]);
    assert_eq!((own.len(), &own[0]["key"], &own[0]["state"]), (1, &json!("retention"), &json!("scheduled")), "the host's own");
    noop(&site, 30);
    let all = rows(&site, &["retention", "show"]);
    assert_eq!(
        (all.len(), &all[0]["keep"], &all[0]["keep_failed"], &all[0]["max_runs"]),
        (1, &json!("30d"), &json!("90d"), &json!(100_000))
    );
    site.sexton(&["retention", "set", "--type", "sexton.noop", "--max-runs", "10"]).fine().saying("sexton.noop: max runs 10");
    let dry = site.sexton(&["retention", "prune", "--dry-run", "--output", "json"]).fine().json();
    assert_eq!((&dry["runs"], &dry["dry_run"]), (&json!(20), &json!(true)), "{dry}");
    site.sexton(&["retention", "prune"]).fine().saying("deleted 20 runs and 20 ended events");
    assert_eq!(rows(&site, &["run", "list", "--type", "sexton.noop"]).len(), 10);
    let stats = rows(&site, &["event-type", "stats", "sexton.noop", "--since", "2h"]);
    assert_eq!((&stats[0]["runs"], &stats[0]["succeeded"]), (&json!(30), &json!(30)), "pruned ones are counted");
    assert!(stats[0]["duration_ms"]["p50"].is_f64() && stats[0]["lateness_ms"]["max"].is_f64(), "{stats:?}");
    site.sexton(&["event-type", "show", "sexton.noop"]).fine().saying("30 runs, 0 failed; took ");
    site.sexton(&["retention", "set", "--keep", "1s"]).exits(2).saying("INP040");
    site.sexton(&["retention", "set", "--type", "no.such", "--keep", "1d"]).exits(2).saying("INP001");
    site.sexton(&["retention", "clear", "--type", "sexton.noop"]).fine();
    // By an event, as the host does it.
    let id = site.schedule(&json!({"event_type": "sexton.prune", "schedule": {"once": in_millis(0)}, "args": {"older_than": "0s"}}));
    until("it ran", SOON, || rows(&site, &["run", "list", "--event", &id]).pop().filter(|run| run["outcome"] == "succeeded"));
    assert!(rows(&site, &["run", "list", "--type", "sexton.noop"]).is_empty());
}

#[test]
fn an_alert_schedules_its_notification_and_the_audit_tells_who_did_what() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["shell"]);
        let _host = HostProcess::start(&site);
        let told = site.path().join("told");
        let args = json!({"script": format!("cat > {}", told.display()), "stdin": "{alert.name}: {alert.text}"}).to_string();
        let set = ["alert", "set", "broken", "--type", "shell.run", "--failed", "1", "--notify", "shell.run", "--args", &args];
        site.sexton(&set).fine().saying("set broken");
        site.sexton(&["alert", "set", "b", "--type", "shell.run", "--failed", "1", "--notify", "shell.run"]).exits(2).saying("INP002");
        site.sexton(&["alert", "show", "nobody"]).exits(2).saying("INP041");
        let broken =
            json!({"event_type": "shell.run", "schedule": {"once": in_millis(0)}, "args": {"script": "exit 7"}, "retry": {"attempts": 1}});
        let failing = site.schedule(&broken);
        until("it failed", SOON, || rows(&site, &["run", "list", "--event", &failing]).pop());
        let text = until("it was told", SOON, || std::fs::read_to_string(&told).ok().filter(|text| !text.is_empty()));
        assert!(text.starts_with("broken: `shell.run` failed 1 time in a row: "), "{text}");
        let row = rows(&site, &["alert", "list"]).remove(0);
        assert_eq!((&row["standing"]["episodes"], &row["failed"]), (&json!(1), &json!(1)), "{row}");

        let by_host = rows(&site, &["audit", "--actor", "host", "--verb", "alert."]);
        assert!(by_host.iter().any(|line| line["verb"] == "alert.raise" && line["subject"] == "broken"), "{by_host:?}");
        let by_us = rows(&site, &["audit", "--actor", "cli:", "--since", "1h"]);
        assert!(by_us.iter().all(|line| line["actor"].as_str().is_some_and(|actor| actor.starts_with("cli:"))), "{by_us:?}");
        assert!(by_us.iter().any(|line| line["verb"] == "alert.set"));
        let of_plugin = rows(&site, &["audit", "--subject", "plugin:shell"]);
        assert!(!of_plugin.is_empty() && of_plugin.iter().all(|line| line["subject"] == "shell"), "{of_plugin:?}");
        site.sexton(&["alert", "remove", "broken"]).fine();
        site.sexton(&["alert", "list"]).fine().saying("no alerts");
    }
}
