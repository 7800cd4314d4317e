//! Bad libraries and bad jobs: each is named with a code, and the rest of the host goes on.
//!
//! Not crashes of the process (the runner's part). What must hold: after every rejection what served before serves, and its events and types are what
//! they were.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, am_root, foreign_elf, in_millis, until};
use std::os::unix::fs::PermissionsExt;

/// Waits until the newest file of the plugin was refused with this code; the plugin.
fn until_rejected(site: &Site, name: &str, code: &str) -> Value {
    until(&format!("{name} is rejected with {code}"), SOON, || site.plugin(name).filter(|plugin| plugin["rejection"]["code"] == code))
}

fn types(site: &Site) -> Vec<Value> {
    site.sexton(&["event-type", "list", "--output", "ndjson"]).fine().ndjson()
}

/// A new build still runs: the host is in order.
fn still_serves(site: &Site, host: &mut HostProcess) {
    assert!(host.alive());
    let witness = site.witness("proof");
    let id = site.schedule(&json!({"event_type": "fx.witness", "schedule": {"once": in_millis(0)}, "args": {"witness": witness.path()}}));
    assert_eq!(site.run_of(&id)["outcome"], "succeeded");
}

#[test]
fn files_that_are_no_usable_library() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let mut host = HostProcess::start(&site);
    let good = Build::of("fx_witness");
    let before = types(&site);
    // Names of equal length: nothing else about the file is wrong.
    let no_entry = good.renamed("_1as_0lib_1header_0root_bmodule_bloader", "_1as_0lib_1header_0root_bmodule_bloadex");
    let no_identity = good.renamed(".sexton.identity", ".sexton.identify");
    let program = Build::read(&std::env::current_exe().expect("a running test has an executable"));
    let cases: [(&str, Build, &[&str]); 8] = [
        ("text", Build::from_bytes(*b"#!/bin/sh\necho not a library\n"), &["PLG003"]),
        ("empty", Build::from_bytes(*b""), &["PLG003"]),
        ("cut_early", good.cut(100), &["PLG004"]),
        ("cut_late", good.cut(good.bytes.len() / 2), &["PLG004"]),
        ("foreign", foreign_elf(&good), &["PLG005"]),
        ("program", program, &["PLG004"]),
        ("entry_less", no_entry, &["PLG006"]),
        ("nameless", no_identity, &["PLG007"]),
    ];
    for (stem, build, codes) in cases {
        site.plugins.put(stem, &build, Way::Move);
        let file = site.plugins.file(stem);
        let plugin = until(&format!("{stem} is rejected"), SOON, || {
            site.plugin_list().into_iter().find(|plugin| plugin["path"] == json!(file) && plugin["rejection"].is_object())
        });
        let code = plugin["rejection"]["code"].as_str().expect("a code is text");
        assert!(codes.contains(&code), "{stem}: {plugin}");
        assert_eq!(plugin["state"], "rejected");
        let said = site.sexton(&["plugin", "check", file.to_str().expect("the path is text")]).refused(code);
        assert!(said.code != Some(0), "{said}");
    }
    assert_eq!(types(&site), before);
    still_serves(&site, &mut host);
}

#[test]
fn a_file_that_others_may_write_is_refused_with_the_remedy() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let mut host = HostProcess::start(&site);
    let file = site.plugins.file("shell");
    let build = Build::of("shell");
    let aside = site.plugins.beside(&build);
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o777)).expect("our file");
    std::fs::rename(&aside, &file).expect("within the site");
    let plugin = until("it is rejected", SOON, || site.plugin_list().into_iter().find(|plugin| plugin["rejection"]["code"] == "PLG002"));
    assert!(plugin["rejection"].to_string().contains("chmod"), "{plugin}");
    assert!(plugin["event_types"].as_array().is_none_or(Vec::is_empty), "{plugin}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("our file");
    site.until_serving("shell", &build);
    still_serves(&site, &mut host);
}

#[test]
fn a_build_whose_load_misbehaves_leaves_the_old_one_serving() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let mut host = HostProcess::start(&site);
        let good = Build::of("fx_witness");
        let before = types(&site);
        for (manners, code, words) in
            [("error", "PLG015", "licence"), ("panic", "PLG016", "panics in load"), ("tracker", "PLG015", "API002")]
        {
            site.plugins.put("fx_witness", &good.answering(&format!("{manners}/x")), Way::Move);
            let plugin = until_rejected(&site, "fx-witness", code);
            assert!(plugin["rejection"].to_string().contains(words), "{plugin}");
            assert_eq!((&plugin["state"], &plugin["digest"]), (&json!("active"), &json!(good.digest)), "{plugin}");
            still_serves(&site, &mut host);
        }
        assert_eq!(types(&site), before);
        let repaired = good.answering("repaired");
        site.plugins.put("fx_witness", &repaired, Way::Move);
        assert_eq!(site.until_serving("fx-witness", &repaired)["rejection"], Value::Null);
    }
}

#[test]
fn a_first_load_that_misbehaves_registers_nothing() {
    for placement in Placement::ALL {
        let site = Site::new(placement);
        let mut host = HostProcess::start(&site);
        let before = types(&site);
        let good = Build::of("fx_witness");
        for (manners, code) in [("tracker", "PLG015"), ("panic", "PLG016"), ("error", "PLG015")] {
            site.plugins.put("fx_witness", &good.answering(&format!("{manners}/first")), Way::Move);
            let plugin = until_rejected(&site, "fx-witness", code);
            assert_eq!(plugin["state"], "rejected", "{plugin}");
            assert_eq!(types(&site), before, "a part of the batch was published");
        }
        site.plugins.put("fx_witness", &good, Way::Move);
        site.until_serving("fx-witness", &good);
        still_serves(&site, &mut host);
    }
}

#[test]
fn a_type_of_another_plugin_refuses_the_whole_batch_and_names_both() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        let mut host = HostProcess::start(&site);
        let before = types(&site);
        site.plugins.put("fx_rival", &Build::of("fx_rival"), Way::Move);
        let plugin = until_rejected(&site, "fx-rival", "PLG031");
        let words = plugin["rejection"].to_string();
        assert!(words.contains("fx-witness") && words.contains("fx-rival") && words.contains("fx.witness"), "{words}");
        assert_eq!(types(&site), before);
        still_serves(&site, &mut host);
    }
}

#[test]
fn load_order_never_decides_who_owns_a_type() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness"]);
        assert!(HostProcess::start(&site).stop().success());
        // In the directory's order `fx_rival` would now come first, and `fx_witness` is not even there.
        site.plugins.put("fx_rival", &Build::of("fx_rival"), Way::Move);
        let host = HostProcess::start(&site);
        until_rejected(&site, "fx-rival", "PLG031");
        assert!(host.stop().success());
    }
}

#[test]
fn two_files_of_one_plugin_name_are_both_named() {
    let site = Site::with(Placement::Runner, &["fx_witness"]);
    let mut host = HostProcess::start(&site);
    let good = Build::of("fx_witness");
    let second = site.plugins.file("zz_second");
    site.plugins.put("zz_second", &good.answering("second"), Way::Move);
    let rejection = until("the second file is rejected", SOON, || {
        site.plugin_list().into_iter().map(|plugin| plugin["rejection"].clone()).find(|rejection| rejection["code"] == "PLG030")
    });
    let words = rejection.to_string();
    assert!(words.contains(second.to_str().expect("text")) && words.contains("libfx_witness.so"), "{words}");
    site.until_serving("fx-witness", &good);
    still_serves(&site, &mut host);
}

#[test]
fn jobs_that_end_badly_end_alone() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_witness", "fx_trouble"]);
        let mut host = HostProcess::start(&site);
        let run = |how: &str, attempts: u32| {
            let id = site.schedule(&json!({
                "event_type": "fx.trouble", "schedule": {"once": in_millis(0)}, "args": {"how": how}, "retry": {"attempts": attempts, "first_delay_ms": 10},
            }));
            (site.run_of(&id), id)
        };
        for (how, words) in
            [("panic_text", "number 13 is out of luck"), ("panic_payload", "panic"), ("panic_in_drop", "panic"), ("fail", "out of luck")]
        {
            let (run, id) = run(how, 1);
            assert_eq!(run["outcome"], "failed", "{run}");
            assert!(run["error"].as_str().is_some_and(|error| error.contains(words)), "{run}");
            assert_eq!(site.event(&id)["state"], "discarded");
        }
        let (run_for_good, id) = run("fail_permanently", 5);
        assert_eq!((&run_for_good["outcome"], &site.event(&id)["state"]), (&json!("failed"), &json!("discarded")));
        assert_eq!(site.runs(&["--event", &id]).len(), 1, "a permanent failure was tried again");
        let (cancelled, _) = run("cancel", 5);
        assert_eq!(cancelled["outcome"], "cancelled");
        let (_, id) = run("snooze", 1);
        until("the snoozed event has run", SOON, || (site.event(&id)["state"] == "completed").then_some(()));
        let outcomes: Vec<Value> = site.runs(&["--event", &id]).into_iter().rev().map(|run| run["outcome"].clone()).collect();
        assert_eq!(outcomes, [json!("snoozed"), json!("succeeded")]);
        still_serves(&site, &mut host);
    }
}

#[test]
fn a_run_under_way_can_be_asked_to_stop() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_trouble"]);
        let _host = HostProcess::start(&site);
        let id = site.schedule(&json!({"event_type": "fx.trouble", "schedule": {"once": in_millis(0)}, "args": {"how": "sleep_politely"}}));
        until("the run has begun", SOON, || (site.event(&id)["running"] == true).then_some(()));
        site.sexton(&["run", "cancel", &format!("{id}.1")]).fine();
        assert_eq!(site.run_of(&id)["outcome"], "cancelled");
    }
}

#[test]
fn as_root_only_roots_files_are_accepted() {
    if !am_root() {
        println!("not run: needs root");
        return;
    }
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let aside = site.plugins.beside(&Build::of("fx_witness"));
    std::os::unix::fs::chown(&aside, Some(65_534), None).expect("root may give files away");
    std::fs::rename(aside, site.plugins.file("fx_witness")).expect("within the site");
    let plugin = until("it is rejected", SOON, || site.plugin_list().into_iter().find(|plugin| plugin["rejection"]["code"] == "PLG002"));
    assert!(plugin["rejection"].to_string().contains("owner") || plugin["rejection"].to_string().contains("own"), "{plugin}");
}
