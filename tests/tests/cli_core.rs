//! The stable core of the command line, to the letter: what scripts rely on.
//!
//! Not tables and colours. What must hold: flags, exit codes and JSON names of the design.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, until};

const EVENT: [&str; 14] = [
    "id",
    "event_type",
    "state",
    "schedule",
    "args",
    "next_run_at",
    "description",
    "bot",
    "resources",
    "labels",
    "key",
    "running",
    "unresolved",
    "created_at",
];
const RUN: [&str; 15] = [
    "occurrence",
    "event_id",
    "event_type",
    "scheduled_for",
    "attempt",
    "started_at",
    "finished_at",
    "outcome",
    "error",
    "output",
    "plugin",
    "generation",
    "digest",
    "placement",
    "host",
];
const PLUGIN: [&str; 11] = [
    "name",
    "version",
    "state",
    "generation",
    "placement",
    "digest",
    "path",
    "event_types",
    "in_flight",
    "unresolved_events",
    "memory_bytes",
];

fn has_all(value: &Value, names: &[&str]) {
    let missing: Vec<_> = names.iter().filter(|name| value.get(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?} is missing: {value}");
}

#[test]
fn every_way_to_say_when_is_taken_back_as_json() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    for (flags, schedule) in [
        (&["--at", "2099-12-24T18:00:00+01:00"][..], json!({"once": "2099-12-24T17:00:00Z"})),
        (&["--after-each", "5m"], json!({"after": "5m"})),
        (&["--cron", "0 2 * * *", "--tz", "Europe/Paris"], json!({"cron": "0 2 * * *", "tz": "Europe/Paris"})),
        (&["--manual"], json!({"manual": true})),
    ] {
        let said = site.sexton(&[&["event", "schedule", "sexton.noop", "--output", "json"], flags].concat()).fine();
        let event = site.event(said.json()["id"].as_str().expect("an id is text"));
        assert_eq!(event["schedule"], schedule);
        assert_eq!(event["next_run_at"].is_null(), flags == ["--manual"], "{event}");
    }
    let said = site.sexton(&["event", "schedule", "sexton.noop", "--every", "5m", "--output", "json"]).fine();
    assert_eq!(site.event(said.json()["id"].as_str().expect("an id is text"))["schedule"]["every"], "5m");
    let said = site.sexton(&["event", "schedule", "sexton.noop", "--in", "90s", "--output", "json"]).fine();
    let due: chrono::DateTime<chrono::Utc> = said.json()["next_run_at"].as_str().and_then(|t| t.parse().ok()).expect("an instant");
    assert!((80..=90).contains(&(due - chrono::Utc::now()).num_seconds()));
}

#[test]
fn every_writable_field_comes_back() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let _host = HostProcess::start(&site);
    let args = r#"{"witness": "/tmp/x",  "size": 10000000000000001}"#;
    let file = site.path().join("args.json");
    std::fs::write(&file, args).expect("ours");
    let at_file = format!("@{}", file.display());
    let rest = [
        "--in",
        "1h",
        "--description",
        "for people",
        "--bot",
        "nightly",
        "--resource",
        r#"{"id": "a", "kind": "vm", "zone": 3}"#,
        "--resource",
    ];
    let rest = [&rest[..], &[r#"{"id": "b"}"#, "--label", "team=web", "--priority", "-3", "--output", "json"]].concat();
    for (n, way) in ["literal", "file", "stdin"].into_iter().enumerate() {
        let key = format!("key-{n}");
        let given = match way {
            "literal" => args,
            "file" => &at_file,
            _ => "-",
        };
        let command = [&["event", "schedule", "fx.witness", "--args", given, "--key", &key], &rest[..]].concat();
        let said = site.sexton_reading(&command, if way == "stdin" { args } else { "" }).fine();
        let event = site.event(said.json()["id"].as_str().expect("an id is text"));
        has_all(&event, &EVENT);
        assert_eq!(event["args"], json!({"witness": "/tmp/x", "size": 10_000_000_000_000_001_i64}), "{way}");
        assert_eq!((&event["key"], &event["description"], &event["priority"]), (&json!(key), &json!("for people"), &json!(-3)));
        assert_eq!((&event["bot"]["id"], &event["labels"]), (&json!("nightly"), &json!({"team": "web"})));
        assert_eq!(event["resources"][0], json!({"id": "a", "kind": "vm", "zone": 3}));
        assert_eq!(event["resources"][1]["id"], "b");
    }
    let by_key = site.sexton(&["event", "list", "--key", "key-1", "--output", "ndjson"]).fine().ndjson();
    assert_eq!(by_key.len(), 1);
    let by_label = site.sexton(&["event", "list", "--label", "team=web", "--output", "ndjson"]).fine().ndjson();
    assert_eq!(by_label.len(), 3);
}

#[test]
fn lists_speak_json_ndjson_and_tables() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let _host = HostProcess::start(&site);
    let id = site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(0)}}));
    has_all(&site.run_of(&id), &RUN);
    has_all(&site.plugin("fx-witness").expect("it is there"), &PLUGIN);
    for noun in ["event", "run", "plugin", "event-type"] {
        let array = site.sexton(&[noun, "list", "--output", "json"]).fine().json();
        let lines = site.sexton(&[noun, "list", "--output", "ndjson"]).fine().ndjson();
        assert_eq!(array.as_array().map(Vec::len), Some(lines.len()), "{noun}: {array}");
        assert!(!lines.is_empty(), "{noun}");
        let table = site.sexton(&[noun, "list"]).fine();
        assert!(table.stdout.lines().count() > lines.len() && !table.stdout.contains('\u{1b}'), "{table}");
    }
    for flags in [["--event", &id], ["--type", "sexton.noop"], ["--outcome", "succeeded"], ["--since", "1h"]] {
        assert_eq!(site.runs(&flags).len(), 1, "{flags:?}");
    }
    for flags in [["--type", "fx.witness"], ["--outcome", "failed"], ["--since", &in_millis(3_600_000)]] {
        assert_eq!(site.runs(&flags).len(), 0, "{flags:?}");
    }
}

#[test]
fn the_socket_is_found_by_flag_and_environment() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let mut command = std::process::Command::new(sexton_tests::binary());
    command.args(["status", "--output", "json"]).env("SEXTON_HOST", site.socket());
    assert!(command.status().expect("the binary is built").success());
    command.env("SEXTON_HOST", site.path().join("nobody.sock"));
    assert_eq!(command.status().expect("the binary is built").code(), Some(3));
    command.arg("--host").arg(site.socket());
    assert!(command.status().expect("the binary is built").success());
}

#[test]
fn previews_need_no_host() {
    let site = Site::new(Placement::Runner);
    let preview = |arguments: &[&str]| site.sexton(&[&["schedule", "preview"], arguments, &["--output", "json"]].concat()).fine().json();
    let cron = preview(&["0 2 * * *", "--tz", "Europe/Paris", "--after", "2026-10-24T12:00:00Z", "-n", "3"]);
    // The night of the 25th has two times two o'clock: the first is taken, in summer time.
    assert_eq!(cron["next"], json!(["2026-10-25T02:00:00+02:00", "2026-10-26T02:00:00+01:00", "2026-10-27T02:00:00+01:00"]), "{cron}");
    assert!(cron["notes"].is_array(), "{cron}");
    let every = preview(&["90s", "--kind", "every", "--after", "2026-01-01T00:00:00Z", "-n", "2"]);
    assert_eq!(every["next"].as_array().map(Vec::len), Some(2), "{every}");
    site.sexton(&["schedule", "preview", "0 25 * * *"]).exits(2).refused("INP003");
}

#[test]
fn verbs_on_events_do_what_they_say() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let id = site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"every": "1h"}}));
    let verb = |verb: &str, more: &[&str]| site.sexton(&[&["event", verb, &id, "--output", "json"], more].concat()).fine().json();
    let next = site.event(&id)["next_run_at"].clone();
    verb("run-now", &[]);
    until("it has run", SOON, || (site.runs(&["--event", &id]).len() == 1).then_some(()));
    assert_eq!(site.event(&id)["next_run_at"], next, "run-now moved the next time");
    verb("pause", &[]);
    assert_eq!((&site.event(&id)["state"], &site.event(&id)["next_run_at"]), (&json!("paused"), &Value::Null));
    verb("resume", &[]);
    assert_eq!(site.event(&id)["state"], "scheduled");
    verb("edit", &["--every", "2h", "--description", "slower"]);
    let event = site.event(&id);
    assert_eq!((&event["schedule"]["every"], &event["description"]), (&json!("2h"), &json!("slower")));
    assert_eq!(site.runs(&["--event", &id]).len(), 1, "an edit fired");
    verb("cancel", &[]);
    assert_eq!(site.event(&id)["state"], "cancelled");
    let audit = site.sexton(&["audit", "--output", "ndjson"]).fine().ndjson();
    for verb in ["pause", "resume", "edit", "cancel"] {
        assert!(audit.iter().any(|entry| entry.to_string().contains(verb)), "`{verb}` is not in the audit");
    }
}
