//! What runs log, as operators see it: while they go on, afterwards, cut, and with another level.
//!
//! Not the host's own log (`blocked_stderr`). What must hold: no kept line is missing or shown twice, and a level holds from the next record on.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, until};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Schedules a chat at once; the occurrence that it will be.
fn chat(site: &Site, args: &Value) -> String {
    let id = site.schedule(&json!({"event_type": "fx.chat", "schedule": {"once": in_millis(0)}, "args": args}));
    format!("{id}.1")
}

fn logs(site: &Site, occurrence: &str) -> Value {
    site.sexton(&["run", "logs", occurrence, "--output", "json"]).fine().json()
}

/// The first word and the number of each line: `line 3`.
fn words(lines: &[Value]) -> Vec<String> {
    let of = |line: &Value| line["message"].as_str().expect("text").split(' ').take(2).collect::<Vec<_>>().join(" ");
    lines.iter().map(of).collect()
}

fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map(Vec::as_slice).expect("a list")
}

fn ended(site: &Site, occurrence: &str) -> Value {
    until("the run has ended", SOON, || Some(logs(site, occurrence)).filter(|a| a["running"] == false && a["waiting"] == false))
}

#[test]
fn a_run_is_heard_while_it_goes_on_and_afterwards() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_chat"]);
        let host = HostProcess::start(&site);
        let gate = site.path().join("gate");
        let occurrence = chat(&site, &json!({"lines": 3, "until": gate}));
        let answer = until("it has said its lines", SOON, || Some(logs(&site, &occurrence)).filter(|a| items(a).len() == 3));
        assert_eq!((&answer["running"], &answer["attempt"], &answer["dropped"]), (&json!(true), &json!(1), &json!(0)), "{answer}");
        let line = &items(&answer)[1];
        assert_eq!((line["level"].as_str(), line["spans"].as_str()), (Some("info"), Some("chatting{lines=3}:at_length")), "{line}");
        assert!(line["target"] == "fx_chat" && line["message"].as_str().is_some_and(|m| m.starts_with("line 1 ") && m.ends_with("n=1")));

        let arguments = ["run", "logs", &occurrence, "--follow", "--output", "ndjson"];
        let mut follower = site.command(&arguments).stdout(Stdio::piped()).spawn().expect("the binary is built");
        let stdout = follower.stdout.take().expect("standard output is a pipe");
        let mut followed = BufReader::new(stdout).lines().map(|line| line.expect("a line"));
        let mut seen: Vec<String> = followed.by_ref().take(3).collect();
        std::fs::write(&gate, "").expect("the site can be written");
        seen.extend(followed);
        assert!(follower.wait().expect("a child can be waited for").success());
        let seen: Vec<Value> = seen.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(words(&seen), ["line 0", "line 1", "line 2", "last word"], "each once, and it ends with the run");

        let answer = ended(&site, &occurrence);
        assert_eq!(items(&answer), seen, "the store has what was heard");
        assert_eq!(items(&answer)[3]["spans"], "chatting{lines=3}");
        let shown = site.sexton(&["run", "logs", &occurrence]).fine().stdout;
        assert!(shown.contains("  WARN fx_chat: chatting{lines=3}: last word") && shown.lines().count() == 4, "{shown}");
        let said = host.stderr();
        assert!(said.contains("plugin::fx-chat: line 1") && said.contains("plugin::fx-chat: loading"), "{said}");
    }
}

#[test]
fn of_many_lines_the_first_and_the_newest_are_kept() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_chat"]);
        let _host = HostProcess::start(&site);
        let gate = site.path().join("gate");
        let occurrence = chat(&site, &json!({"lines": 1_000, "until": gate}));
        until("it has said its lines", SOON, || (logs(&site, &occurrence)["next"] == 1_000).then_some(()));
        std::fs::write(&gate, "").expect("the site can be written");
        let followed = site.sexton(&["run", "logs", &occurrence, "--follow", "--output", "json"]).fine().json();
        let answer = ended(&site, &occurrence);
        assert_eq!((&answer["dropped"], &answer["next"]), (&json!(501), &json!(1_001)));
        let lines = words(items(&answer));
        let expected = (0..100).chain(601..1_000).map(|n| format!("line {n}"));
        let expected: Vec<String> = expected.chain(["last word".to_owned()]).collect();
        assert_eq!(lines.iter().filter(|l| *l != "501 lines").collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        assert_eq!(lines[100], "501 lines", "what fell out is said in its place");
        let heard = words(items(&followed));
        assert!(heard.starts_with(&lines[..100]) && heard.ends_with(&lines[200..]), "{heard:?}");
    }
}

#[test]
fn a_level_holds_from_now_on_until_the_next_load() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_chat"]);
        let _host = HostProcess::start(&site);
        let said = || {
            let occurrence = chat(&site, &json!({"lines": 1}));
            words(items(&ended(&site, &occurrence)))
        };
        assert_eq!(said(), ["line 0", "last word"], "each place of the code was passed once");
        let answer = site.sexton(&["plugin", "log-level", "fx-chat", "debug", "--output", "json"]).fine().json();
        assert!(answer["level"] == "debug" && answer["until"].as_str().is_some_and(|u| u.contains("next load")), "{answer}");
        // The order goes its own way to the plugin: a run that is faster says less.
        until("debug is heard", SOON, || (said() == ["about to", "line 0", "last word"]).then_some(()));
        site.sexton(&["plugin", "log-level", "fx-chat", "error"]).fine().saying("log level error");
        until("nothing is heard", SOON, || said().is_empty().then_some(()));
        site.sexton(&["plugin", "reload", "fx-chat"]).fine();
        assert_eq!(said(), ["line 0", "last word"], "a load starts with what the settings say");

        let audit = site.sexton(&["audit", "--output", "ndjson"]).fine().ndjson();
        let levels: Vec<&Value> = audit.iter().filter(|line| line["verb"] == "plugin.log_level").collect();
        assert_eq!(
            levels.iter().map(|l| l["detail"]["level"].as_str()).collect::<Vec<_>>(),
            [Some("error"), Some("debug")],
            "newest first"
        );
        assert!(
            levels.iter().all(|l| l["subject"] == "fx-chat" && l["actor"].as_str().is_some_and(|a| a.starts_with("cli:"))),
            "{levels:?}"
        );

        site.sexton(&["plugin", "log-level", "nobody", "debug"]).refused("INP013").exits(2);
        site.sexton(&["plugin", "unload", "fx-chat", "--yes"]).fine();
        site.sexton(&["plugin", "log-level", "fx-chat", "debug"]).refused("INP021").exits(4).saying("log_level");
    }
}

#[test]
fn what_is_not_there_is_refused_and_what_has_not_begun_is_said() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_chat"]);
        let _host = HostProcess::start(&site);
        let occurrence = chat(&site, &json!({"lines": 0}));
        ended(&site, &occurrence);
        site.sexton(&["run", "logs", &occurrence, "--attempt", "7"]).refused("INP012").saying("no attempt 7").exits(2);
        site.sexton(&["run", "logs", &occurrence.replace(".1", ".2")]).refused("INP012").exits(2);
        site.sexton(&["run", "logs", "no-occurrence"]).refused("INP017").exits(2);
        let later = site.schedule(&json!({"event_type": "fx.chat", "schedule": {"once": in_millis(3_600_000)}, "args": {"lines": 1}}));
        let said = site.sexton(&["run", "logs", &format!("{later}.1")]).fine().saying("attempt 1 has not started");
        assert_eq!(said.stdout, "");
    }
}
