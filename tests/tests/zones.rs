//! Zone data that changes: only events in zones whose rules changed are planned again, over a restart and while the host runs.
//!
//! Not the arithmetic of zones (`sexton-core`). What must hold: no restart is needed, an event of another zone keeps its instant, and the
//! audit record says what was done.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, until};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A zone file whose whole content is a rule in POSIX form, as the footer of a TZif file says it (RFC 9636).
fn zone_file(dir: &Path, name: &str, rule: &str) {
    // Per block: the magic, version 2, 15 unused bytes, then the counts: no leap seconds, no transitions, one type, four bytes of name.
    let header = [b"TZif2".as_slice(), &[0; 15], &[0, 0, 0, 0], &[0; 4], &[0; 4], &[0; 4], &[0, 0, 0, 1], &[0, 0, 0, 4]].concat();
    let utc_type = [&[0, 0, 0, 0, 0, 0][..], b"UTC\0"].concat();
    let bytes = [&header[..], &utc_type, &header, &utc_type, b"\n", rule.as_bytes(), b"\n"].concat();
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a zone lies in the directory")).expect("the site can be written");
    // By rename: a reader sees the old file or the new one.
    fs::write(dir.join("arriving"), bytes).expect("the site can be written");
    fs::rename(dir.join("arriving"), path).expect("the same file system");
}

fn version(dir: &Path, version: &str) {
    fs::write(dir.join("tzdata.zi"), format!("# version {version}\n")).expect("the site can be written");
}

fn next(site: &Site, id: &str) -> String {
    site.event(id)["next_run_at"].as_str().expect("it recurs").to_owned()
}

fn replans(site: &Site) -> Vec<Value> {
    site.sexton(&["audit", "--verb", "zone.replan", "--output", "ndjson"]).fine().ndjson()
}

#[test]
fn events_of_a_zone_whose_rules_changed_are_planned_again() {
    let site = Site::new(Placement::Runner);
    let zones = site.path().join("zoneinfo");
    zone_file(&zones, "Europe/Paris", "CET-1CEST,M3.5.0,M10.5.0/3");
    zone_file(&zones, "Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3");
    version(&zones, "2901a");
    let start = || {
        HostProcess::start_with(&site, |command| {
            command.env("SEXTON_ZONEINFO", &zones);
        })
    };
    let host = start();
    let noon = |tz: &str| site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"cron": "0 12 * * *", "tz": tz}}));
    let (paris, berlin) = (noon("Europe/Paris"), noon("Europe/Berlin"));
    assert_eq!(next(&site, &paris), next(&site, &berlin));
    assert_eq!(site.sexton(&["status", "--output", "json"]).fine().json()["tzdata"], "2901a");
    // The rules that they were planned by are noted at the next look.
    drop(host);
    let host = start();
    assert!(host.stop().success());

    zone_file(&zones, "Europe/Paris", "EET-3");
    version(&zones, "2901b");
    let host = start();
    let moved = until("the events of Paris are planned again", SOON, || Some(next(&site, &paris)).filter(|at| *at != next(&site, &berlin)));
    assert_eq!(&moved[10..], "T09:00:00Z", "noon, three hours east");
    let line = until("the pass is told", SOON, || replans(&site).pop());
    assert_eq!(
        (&line["subject"], &line["detail"]["events"], &line["detail"]["moved"]),
        (&json!("Europe/Paris"), &json!(1), &json!(1)),
        "{line}"
    );
    assert_eq!(replans(&site).len(), 1, "Berlin was left alone");

    zone_file(&zones, "Europe/Berlin", "XXX-5");
    version(&zones, "2901c");
    let at = until("a running host sees it", SOON + Duration::from_secs(30), || {
        Some(next(&site, &berlin)).filter(|at| at[10..] == *"T07:00:00Z")
    });
    assert_eq!(next(&site, &paris), moved, "and leaves Paris where it is, at {at}");
    assert!(host.stop().success());
}
