//! Time at the command line and on the socket: calendars, backfill, import, previews and their refusals.
//!
//! Not the rules of time (`sexton-core`) and not clocks that jump. What must hold: what a preview says is what a host does, and a refusal
//! has exit code, code and caret.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, until};
use std::fs;

fn file(site: &Site, name: &str, text: &str) -> String {
    let path = site.path().join(name);
    fs::write(&path, text).expect("ours");
    path.display().to_string()
}

/// A schedule that is refused as it is previewed and explained: exit code 2, its code, and a caret under the place.
fn refused(site: &Site, arguments: &[&str], code: &str, caret: &str) {
    for verb in ["preview", "explain"] {
        let said = site.sexton(&[&["schedule", verb], arguments].concat()).exits(2).refused(code);
        assert!(
            said.stderr.lines().any(|line| line.ends_with(caret) && line.trim_start_matches([' ', '|']) == caret.trim_start()),
            "{said}"
        );
        let said = site.sexton(&[&["schedule", verb, "--output", "json"], arguments].concat()).exits(2);
        let refusal: Value = serde_json::from_str(&said.stderr).unwrap_or_else(|e| panic!("no JSON ({e}): {said}"));
        assert!(refusal["code"] == code && refusal["place"]["end"].as_u64() > refusal["place"]["start"].as_u64(), "{said}");
    }
}

#[test]
fn a_rejected_expression_has_code_and_caret() {
    let site = Site::new(Placement::Runner);
    refused(&site, &["0 25 * * *"], "INP003", "^^");
    refused(&site, &["90 parsecs", "--kind", "every"], "INP005", "^^^^^^^");
    refused(&site, &["soon", "--kind", "after"], "INP005", "^");
    refused(&site, &["FREQ=DAILY;BYHOUR=99", "--kind", "rrule"], "INP023", "^^");
    refused(&site, &["2026-02-30T00:00:00Z", "--kind", "once"], "INP006", "^^");
    refused(&site, &["@daily", "--tz", "Mars/Olympus"], "INP004", "^^^^^^^^^^^^");
    refused(&site, &["0 0 30 2 *"], "INP007", "^^^^^^^^^^");
    // The same where a host is asked, and none is there.
    site.sexton(&["event", "schedule", "sexton.noop", "--cron", "0 25 * * *"]).exits(3);
    let _host = HostProcess::start(&site);
    for flags in [["--cron", "0 25 * * *"], ["--rrule", "FREQ=DAILY;BYHOUR=99"], ["--every", "90 parsecs"]] {
        let said = site.sexton(&[&["event", "schedule", "sexton.noop"], &flags[..]].concat()).exits(2);
        assert!(said.stderr.contains("^^") && said.stderr.contains(flags[1]), "{said}");
    }
    let said = site.sexton(&["event", "schedule", "sexton.noop", "--every", "5m", "--tz", "UTC"]).exits(2).refused("INP016");
    assert!(said.stderr.contains("`--tz` does not go with"), "{said}");
}

#[test]
fn people_and_programs_see_the_same_preview() {
    let site = Site::new(Placement::Runner);
    let arguments = ["schedule", "preview", "30 2 * * *", "--tz", "Europe/Paris", "--after", "2026-03-27T12:00:00Z", "-n", "2"];
    let json = site.sexton(&[&arguments[..], &["--output", "json"]].concat()).fine().json();
    assert_eq!(json.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()), Some(vec!["next".to_owned(), "notes".to_owned()]));
    assert_eq!(json["next"], json!(["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00"]));
    let said = site.sexton(&arguments).fine();
    let lines: Vec<_> = said.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("Sat 2026-03-28 02:30:00 +01:00  ") && lines[2].starts_with("note: "), "{said}");
}

#[test]
fn calendars_gate_schedules() {
    let site = Site::new(Placement::Runner);
    let days = file(&site, "closed.toml", "tz = \"Europe/Paris\"\ndates = [2098-12-24, \"2098-12-25..2098-12-26\"]\n");
    let checked = site.sexton(&["calendar", "check", "--from", &days, "--at", "2098-12-24T10:00:00Z", "--output", "json"]).fine().json();
    assert_eq!((&checked["inside"], &checked["until"]), (&json!(true), &json!("2098-12-27T00:00:00+01:00")));
    let schedule =
        ["0 8 * * *", "--tz", "Europe/Paris", "--exclude", "closed", "--after", "2098-12-23T12:00:00Z", "-n", "1", "--output", "json"];
    let preview = |more: &[&str]| site.sexton(&[&["schedule", "preview"], &schedule[..], more].concat());
    preview(&[]).exits(3).refused_offline();
    let given = format!("closed={days}");
    let offline = preview(&["--calendar", &given]).fine().json();
    assert_eq!(offline["next"], json!(["2098-12-27T08:00:00+01:00"]));

    let _host = HostProcess::start(&site);
    preview(&[]).exits(2).refused("INP026");
    let event = ["event", "schedule", "sexton.noop", "--cron", "0 8 * * *", "--tz", "Europe/Paris", "--start", "2098-12-23T12:00:00Z"];
    let event = [&event[..], &["--exclude", "closed", "--output", "json"]].concat();
    site.sexton(&event).exits(2).refused("INP026");
    let set = |text: &str| {
        let path = file(&site, "set.json", text);
        site.sexton(&["calendar", "set", "closed", "--from", &path, "--output", "json"])
    };
    site.sexton(&["calendar", "set", "closed", "--from", &days]).fine();
    assert_eq!(preview(&[]).fine().json(), offline, "a host says what the file says");
    let id = site.sexton(&event).fine().json()["id"].as_str().expect("an id is text").to_owned();
    assert_eq!(site.event(&id)["next_run_at"], "2098-12-23T12:00:00Z".replace("23T12", "27T07"));

    assert_eq!(set(r#"{"dates": ["2098-12-24..2098-12-31"]}"#).fine().json(), json!({"name": "closed", "moved": 1}));
    assert_eq!(site.event(&id)["next_run_at"], "2099-01-01T07:00:00Z");
    let wrong = set(r#"{"dates": ["2098-13-24"]}"#).exits(2).refused("INP024");
    assert!(wrong.stderr.contains("2098-13-24"), "{wrong}");
    site.sexton(&["calendar", "set", "No Name", "--from", &days]).exits(2).refused("INP024");
    let ics = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20981224\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let said = site.sexton_reading(&["calendar", "set", "other", "--from", "-", "--tz", "Europe/Paris"], ics).fine();
    assert!(said.stdout.contains("set other; the next runs of 0 events moved"), "{said}");
    let listed = site.sexton(&["calendar", "list", "--output", "ndjson"]).fine().ndjson();
    assert_eq!(
        listed.iter().map(|row| (&row["name"], &row["events"])).collect::<Vec<_>>(),
        [(&json!("closed"), &json!(1)), (&json!("other"), &json!(0))]
    );
    let shown = site.sexton(&["calendar", "show", "other", "--output", "json"]).fine().json();
    assert_eq!(shown["calendar"], json!({"ics": ics, "tz": "Europe/Paris"}));

    site.sexton(&["calendar", "remove", "closed"]).exits(4).refused("INP027");
    site.sexton(&["event", "cancel", &id]).fine();
    site.sexton(&["calendar", "remove", "closed"]).fine();
    site.sexton(&["calendar", "remove", "closed"]).exits(2).refused("INP026");
    site.sexton(&["calendar", "show", "closed"]).exits(2).refused("INP026");
    let audit = site.sexton(&["audit", "--subject", "closed", "--output", "ndjson"]).fine().ndjson();
    assert_eq!(audit.iter().map(|line| &line["verb"]).collect::<Vec<_>>(), ["calendar.remove", "calendar.set", "calendar.set"]);
}

/// The words of a command that found no host to ask about calendars.
trait Offline {
    fn refused_offline(self);
}

impl Offline for sexton_tests::Said {
    fn refused_offline(self) {
        self.saying("HST004").saying("--calendar NAME=FILE").saying("closed");
    }
}

#[test]
fn a_backfill_runs_instants_of_the_past() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let id = site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"cron": "0 2 * * *", "tz": "Europe/Paris"}}));
    let next = site.event(&id)["next_run_at"].clone();
    let backfill = |more: &[&str]| site.sexton(&[&["event", "backfill", &id, "--output", "json", "--from"], more].concat());
    let instants = json!(["2026-03-28T01:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    let range = ["2026-03-28T01:00:00Z", "--to", "2026-03-30T00:00:00Z"];
    let dry = backfill(&[&range[..], &["--dry-run"]].concat()).fine().json();
    assert_eq!((&dry["instants"], &dry["stored"]), (&instants, &json!(0)));
    assert_eq!(site.event(&id)["occurrences"], 1, "a dry run stored something");
    assert_eq!(backfill(&range).fine().json(), json!({"event": id, "instants": instants, "stored": 3}));
    until("they have run", SOON, || (site.runs(&["--event", &id]).len() == 3).then_some(()));
    let mut meant: Vec<Value> = site.runs(&["--event", &id]).iter().map(|run| run["scheduled_for"].clone()).collect();
    meant.sort_by_key(ToString::to_string);
    assert_eq!(json!(meant), instants);
    assert_eq!(site.event(&id)["next_run_at"], next, "the schedule's own next run stays");
    let said = site.sexton(&["event", "backfill", &id, "--from", "2026-03-28T02:00:00Z", "--to", "2026-03-28T03:00:00Z"]).fine();
    assert!(said.stdout.contains("nothing was stored"), "{said}");
    for wrong in [["2026-03-30T00:00:00Z", "--to", "2026-03-28T00:00:00Z"], ["2026-03-30T00:00:00Z", "--to", "2999-01-01T00:00:00Z"]] {
        backfill(&wrong).exits(2).refused("INP028");
    }
    backfill(&["yesterday", "--to", "2026-03-28T00:00:00Z"]).exits(2).refused("INP006");
    site.sexton(&["event", "cancel", &id]).fine();
    backfill(&range).exits(4).refused("INP010");
    site.sexton(&["event", "backfill", "nothing", "--from", range[0], "--to", range[2]]).exits(2).refused("INP017");
}

const CRONTAB: &str = "\
# of a machine
SHELL=/bin/bash
HOME=/tmp
30 2 * * * echo backup \\%
@daily echo daily
@reboot echo never
";

#[test]
fn a_crontab_becomes_events_of_the_shell_plugin() {
    let site = Site::with(Placement::Runner, &["shell"]);
    let crontab = file(&site, "crontab", CRONTAB);
    let import = |more: &[&str]| {
        site.sexton(&[&["event", "import", "--crontab", &crontab, "--tz", "Europe/Paris", "--output", "json"], more].concat())
    };
    // Without a host: what would be stored.
    let dry = import(&["--dry-run"]).exits(1).json();
    assert_eq!((dry["taken"].as_array().map(Vec::len), &dry["stored"]), (Some(2), &json!([])));
    let first = &dry["taken"][0];
    assert_eq!((&first["line"], &first["schedule"]), (&json!(4), &json!({"cron": "30 2 * * *", "tz": "Europe/Paris"})));
    assert_eq!((first["next"].as_array().map(Vec::len), &first["args"]["script"]), (Some(3), &json!("echo backup %")));
    let left = &dry["not_taken"][0];
    assert_eq!((&left["line"], &left["code"], &left["text"]), (&json!(6), &json!("INP025"), &json!("@reboot echo never")));
    assert!(
        left["why"].as_str().is_some_and(|why| why.contains("@reboot")) && left["remedy"].as_str().is_some_and(|text| !text.is_empty())
    );
    import(&["--dry-run", "--skip"]).fine();

    let _host = HostProcess::start(&site);
    until("the plugin serves", SOON, || site.plugin("shell").filter(|plugin| plugin["state"] == "active"));
    import(&[]).exits(1);
    let events = || site.sexton(&["event", "list", "--type", "shell.run", "--output", "ndjson"]).fine().ndjson();
    assert!(events().is_empty(), "a line was not taken, so nothing is stored");
    let stored = import(&["--skip", "--label", "from=cron"]).fine().json();
    assert_eq!(stored["stored"].as_array().map(Vec::len), Some(2));
    let mut kept = events();
    kept.sort_by_key(|event| event["description"].to_string());
    assert_eq!(kept.iter().map(|event| &event["key"]).collect::<Vec<_>>(), [&dry["taken"][0]["key"], &dry["taken"][1]["key"]]);
    for event in &kept {
        assert_eq!((&event["labels"], &event["args"]["interpreter"]), (&json!({"from": "cron"}), &json!(["/bin/bash", "-c"])));
        assert!(event["next_run_at"].is_string(), "{event}");
    }
    // Once more: the lines are known by their keys, and none is doubled.
    let again = import(&["--skip"]).exits(4).refused("INP008");
    assert!(again.stderr.contains("crontab line 4") && again.stderr.contains("imported before"), "{again}");
    assert_eq!(events().len(), 2);
    // What was taken over runs.
    let id = kept[0]["id"].as_str().expect("an id is text");
    site.sexton(&["event", "run-now", id]).fine();
    let run = site.run_of(id);
    assert_eq!((&run["outcome"], &run["output"]["stdout"]), (&json!("succeeded"), &json!("backup %\n")), "{run}");
}

#[test]
fn a_timer_becomes_an_event_with_its_service() {
    let site = Site::with(Placement::Runner, &["shell"]);
    let timer = file(&site, "backup.timer", "[Timer]\nOnCalendar=Mon..Fri *-*-* 02:30\nPersistent=true\nRandomizedDelaySec=5min\n");
    let import = |more: &[&str]| site.sexton(&[&["event", "import", "--systemd", &timer, "--tz", "Europe/Paris"], more].concat());
    let alone = import(&["--dry-run"]).exits(1);
    assert!(alone.stdout.contains("backup.service") && alone.stdout.contains("NOT TAKEN"), "{alone}");
    file(&site, "backup.service", "[Service]\nExecStart=/bin/echo 'two words'\nWorkingDirectory=/tmp\n");
    let said = import(&["--dry-run"]).fine();
    assert!(said.stdout.contains("Spread over the 5 minutes") && said.stdout.contains("nothing was stored"), "{said}");
    let _host = HostProcess::start(&site);
    until("the plugin serves", SOON, || site.plugin("shell").filter(|plugin| plugin["state"] == "active"));
    let stored = import(&["--output", "json"]).fine().json();
    let event = site.event(stored["stored"][0]["id"].as_str().expect("an id is text"));
    assert_eq!(event["args"], json!({"argv": ["/bin/echo", "two words"], "cwd": "/tmp"}));
    assert_eq!((&event["schedule"]["jitter"], &event["schedule"]["tz"]), (&json!("5m"), &json!("Europe/Paris")));
    let card = site.sexton(&["event", "show", event["id"].as_str().expect("text")]).fine();
    for part in ["zone", "Europe/Paris", "jitter", "Spread over the 5 minutes"] {
        assert!(card.stdout.contains(part), "{part}: {card}");
    }
}

#[test]
fn the_socket_answers_as_the_command_line_does() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let status = site.sexton(&["status", "--output", "json"]).fine().json();
    assert_eq!((&status["clock_steps"], status["tzdata"].as_str().map(str::len)), (&json!(0), Some(5)));
    let days = file(&site, "none.json", "{}");
    site.sexton(&["calendar", "set", "none", "--from", &days]).fine();
    let said = |more: &[&str]| {
        let explain = ["schedule", "explain", "FREQ=DAILY;BYHOUR=2;BYMINUTE=0;BYSECOND=0", "--kind", "rrule", "--tz", "Europe/Paris"];
        site.sexton(&[&explain[..], &["--exclude", "none", "--output", "json"], more].concat()).fine().json()
    };
    let given = format!("none={days}");
    assert_eq!(said(&[])["text"], said(&["--calendar", &given])["text"]);
    // A calendar that closes everything: found out at once, by both.
    let always = file(&site, "always.json", r#"{"weekly": [{"days": "mon-sun"}]}"#);
    site.sexton(&["calendar", "set", "always", "--from", &always]).fine();
    site.sexton(&["schedule", "preview", "@hourly", "--exclude", "always"]).exits(2).refused("INP007");
    let given = format!("always={always}");
    site.sexton(&["schedule", "preview", "@hourly", "--exclude", "always", "--calendar", &given]).exits(2).refused("INP007");
}
