//! Bad requests: each gets a sentence with a code and a place, and changes nothing.
//!
//! Not bad libraries (`bad_plugins`) and not a bad world (`bad_world`). What must hold: after every refusal the host lives, and its events and types are
//! what they were.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, Site, in_millis};

struct Hosted {
    site: Site,
    host: HostProcess,
    args: String,
}

fn hosted() -> Hosted {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let host = HostProcess::start(&site);
    let args = json!({"witness": site.witness("lines").path()}).to_string();
    Hosted { site, host, args }
}

impl Hosted {
    fn contents(&self) -> (Vec<Value>, Vec<Value>) {
        let list = |noun: &str| self.site.sexton(&[noun, "list", "--output", "ndjson"]).fine().ndjson();
        (list("event"), list("event-type"))
    }

    /// The command is refused with this code and these words, and nothing has changed.
    fn refuses(&mut self, arguments: &[&str], code: &str, words: &[&str]) {
        let before = self.contents();
        let said = self.site.sexton(arguments).refused(code);
        for word in words {
            assert!(said.stderr.contains(word), "expected the words `{word}`: {said}");
        }
        assert_eq!(self.contents(), before, "a refusal changed something: {said}");
        assert!(self.host.alive(), "{said}");
    }

    fn schedule<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["event", "schedule", "fx.witness", "--args", self.args.as_str()], rest].concat()
    }
}

#[test]
fn unknown_types_and_ids() {
    let mut hosted = hosted();
    hosted.refuses(&["event", "schedule", "acme.unheard_of", "--in", "1s"], "INP001", &["acme.unheard_of"]);
    hosted.refuses(&["event", "show", "none"], "INP017", &["none"]);
    hosted.refuses(&["event", "cancel", "0000000000000"], "INP009", &["0000000000000"]);
    hosted.refuses(&["run", "cancel", "0000000000000.1"], "INP012", &[]);
    hosted.refuses(&["plugin", "unload", "nobody"], "INP013", &["nobody"]);
    hosted.refuses(&["plugin", "load", "/nonexistent/libx.so"], "PLG001", &["/nonexistent/libx.so"]);
}

#[test]
fn arguments_that_break_the_schema_are_pointed_at() {
    let mut hosted = hosted();
    for (args, pointer) in [
        (r#"{"witness": "/x", "size": "three"}"#, "/size"),
        (r#"{"witness": 1}"#, "/witness"),
        (r#"{"witness": "/x", "takes_ms": -1}"#, "/takes_ms"),
    ] {
        hosted.refuses(&["event", "schedule", "fx.witness", "--args", args, "--in", "1s"], "INP002", &[pointer]);
    }
    hosted.refuses(&["event", "schedule", "fx.witness", "--args", "{}", "--in", "1s"], "INP002", &["witness"]);
    hosted.refuses(&["event", "schedule", "fx.witness", "--args", "{\"witness\": ", "--in", "1s"], "INP011", &[]);
}

#[test]
fn schedules_that_are_not_understood_get_a_caret() {
    let mut hosted = hosted();
    let cases: [(&[&str], &str); 9] = [
        (&["--cron", "0 25 * * *"], "INP003"),
        (&["--cron", "every day"], "INP003"),
        (&["--cron", "0 2 * * *", "--tz", "Europe/Pariss"], "INP004"),
        (&["--every", "5 parsecs"], "INP005"),
        (&["--in", "soon"], "INP005"),
        (&["--at", "tomorrow at five"], "INP006"),
        (&["--at", "2026-13-01T00:00:00Z"], "INP006"),
        (&["--cron", "0 0 30 2 *"], "INP007"),
        (&["--cron", "0 0 1 1 * 2020"], "INP003"),
    ];
    for (flags, code) in cases.into_iter().take(8) {
        let command: Vec<String> = hosted.schedule(flags).into_iter().map(str::to_owned).collect();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let caret: &[&str] = if code == "INP007" { &[] } else { &["^"] };
        hosted.refuses(&command, code, caret);
    }
    let (args, flags) = (hosted.args.clone(), ["event", "schedule", "fx.witness", "--args"]);
    hosted.refuses(&[&flags[..], &[args.as_str()]].concat(), "INP016", &[]);
}

#[test]
fn a_time_in_the_past_runs_at_once_and_says_so() {
    let hosted = hosted();
    let command = hosted.schedule(&["--at", "2020-01-01T00:00:00Z", "--output", "json"]);
    let said = hosted.site.sexton(&command).fine();
    assert!(said.json()["notes"].to_string().contains("past"), "{said}");
    let id = said.json()["id"].as_str().expect("an id is text").to_owned();
    assert_eq!(hosted.site.run_of(&id)["outcome"], "succeeded");
}

#[test]
fn a_key_in_use_names_the_event() {
    let mut hosted = hosted();
    let command = hosted.schedule(&["--in", "1h", "--key", "nightly", "--output", "json"]);
    let id = hosted.site.sexton(&command).fine().json()["id"].as_str().expect("an id is text").to_owned();
    let args = hosted.args.clone();
    hosted.refuses(&["event", "schedule", "fx.witness", "--args", &args, "--in", "2h", "--key", "nightly"], "INP008", &["nightly", &id]);
    // Another type may use it, and so may this one when the first event has ended.
    hosted.site.sexton(&["event", "schedule", "sexton.noop", "--in", "2h", "--key", "nightly"]).fine();
    hosted.site.sexton(&["event", "cancel", &id]).fine();
    hosted.site.sexton(&["event", "schedule", "fx.witness", "--args", &args, "--in", "2h", "--key", "nightly"]).fine();
}

#[test]
fn one_bad_line_of_a_file_refuses_the_whole_file() {
    let mut hosted = hosted();
    let before = hosted.contents();
    let good = json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(3_600_000)}});
    let cases = [
        (json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(0)}, "shedule": {}}).to_string(), "INP011", "shedule"),
        (json!({"event_type": "sexton.noop", "schedule": {"every": "5m", "cron": "* * * * *"}}).to_string(), "INP016", "3"),
        (json!({"event_type": "acme.unheard_of", "schedule": {"manual": true}}).to_string(), "INP001", "3"),
        ("{\"event_type\": ".to_owned(), "INP011", "3"),
    ];
    for (bad, code, word) in cases {
        let said =
            hosted.site.sexton_reading(&["event", "schedule", "--from", "-"], &format!("{good}\n{good}\n{bad}\n{good}\n")).refused(code);
        assert!(said.stderr.contains(word), "expected `{word}`: {said}");
        assert_eq!(hosted.contents(), before, "a part of the file was stored: {said}");
    }
    assert!(hosted.host.alive());
}

#[test]
fn verbs_that_an_events_state_does_not_allow() {
    let mut hosted = hosted();
    let command = hosted.schedule(&["--in", "1h", "--output", "json"]);
    let id = hosted.site.sexton(&command).fine().json()["id"].as_str().expect("an id is text").to_owned();
    hosted.refuses(&["event", "resume", &id], "INP010", &[]);
    hosted.site.sexton(&["event", "pause", &id]).fine();
    hosted.site.sexton(&["event", "resume", &id]).fine();
    hosted.site.sexton(&["event", "cancel", &id]).fine();
    for verb in ["pause", "resume", "run-now"] {
        hosted.refuses(&["event", verb, &id], "INP010", &["cancelled"]);
    }
}

#[test]
fn no_host_is_exit_code_three() {
    let site = Site::new(Placement::Runner);
    let said = site.sexton(&["event", "list"]).exits(3);
    assert!(said.stderr.contains("HST004"), "{said}");
    site.sexton(&["schedule", "preview", "0 2 * * *", "--output", "json"]).fine();
    site.sexton(&["event", "list", "--no-such-flag"]).exits(2);
    site.sexton(&["explain", "INP003"]).fine();
}
