//! Libraries that misbehave while they are opened, and in `load`: each is an ordinary rejection with a code, and the host lives.
//!
//! Not broken files (`hostile_files`): these are good ones whose code is bad. What must hold: whatever served before serves on, nothing is registered in
//! part, and no process of the attempt is left.

use serde_json::Value;
use sexton_tests::{Build, Heartbeat, Held, HostProcess, Placement, SOON, Site, Way, at_work, c_library, runner_is_there, until};
use std::time::Instant;

/// How `load` misbehaves; words that its rejection says one of.
const LOADS: [(&str, &[&str]); 19] = [
    ("error", &["refuses on purpose"]),
    ("panic", &["panics on purpose"]),
    ("abort", &["signal 6"]),
    ("segv", &["signal 11"]),
    ("free", &["signal 6"]),
    ("deep", &["stack overflow"]),
    ("exit", &["exit code 3"]),
    ("exit-fine", &["exit code 0"]),
    ("exit-now", &["exit code 3"]),
    ("exec", &["exit", "protocol"]),
    ("kill", &["signal 9"]),
    ("stop", &["signal 19", "has not returned"]),
    ("hang", &["has not returned", "deadline", "longer than"]),
    ("types", &["limit", "at most"]),
    ("batch", &["limit", "at most", "too large", "too long"]),
    ("memory", &["memory"]),
    ("close-fds", &[""]),
    ("garbage", &["protocol"]),
    ("huge-error", &[""]),
];

/// What `load` leaves behind and then answers: accepted, and what it left goes with its process.
const ACCEPTED: [&str; 4] = ["child", "twin", "thread", "flood"];

/// Why the file is rejected, as soon as it is.
fn rejection(site: &Site, stem: &str) -> Value {
    let path = Value::from(site.plugins.file(stem).to_str().expect("the path is text"));
    until(&format!("{stem} is rejected"), SOON + SOON, || {
        let plugin = site.plugin_list().into_iter().find(|plugin| plugin["path"] == path);
        plugin.map(|plugin| plugin["rejection"].clone()).filter(Value::is_object)
    })
}

/// Takes the file away, so that the next rejection is not taken for this one.
fn take_away(site: &Site, stem: &str) {
    site.plugins.delete(stem);
    until("its rejection is gone", SOON, || site.plugin_list().iter().all(|plugin| !plugin["rejection"].is_object()).then_some(()));
}

/// The code and the words of a rejection, looked at.
fn check(how: &str, rejection: &Value, words: &[&str]) -> String {
    let code = rejection["code"].as_str().unwrap_or_default().to_owned();
    assert!(code.starts_with("PLG"), "{how}: {rejection}");
    let text = rejection.to_string();
    assert!(words.iter().any(|word| text.contains(word)), "{how}: one of {words:?} expected in {rejection:.2000}");
    assert!(text.len() < 64 * 1024, "{how}: the rejection has {} bytes", text.len());
    code
}

/// A settings file that gives little time and memory.
fn limited(site: &Site, stem: &str) {
    site.plugins.configure(stem, "[limits]\nmemory = \"512MiB\"\n[deadlines]\nload = \"2s\"\n");
}

#[test]
fn every_load_that_misbehaves_is_an_ordinary_rejection_alone() {
    if !runner_is_there() {
        return;
    }
    let site = Site::new(Placement::Runner);
    let mut host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    limited(&site, "fx_hostile_load");
    let good = Build::of("fx_hostile_load").answering("good");
    site.plugins.put("fx_hostile_load", &good, Way::Move);
    site.until_serving("fx-hostile-load", &good);
    let mut warm = None;
    for (how, words) in LOADS {
        let bad = good.answering(&format!("load={how}"));
        let began = Instant::now();
        site.plugins.put("fx_hostile_load", &bad, Way::Move);
        let code = check(how, &rejection(&site, "fx_hostile_load"), words);
        println!("load={how}: {code} after {} ms", began.elapsed().as_millis());
        assert!(host.alive(), "{how} in `load` ended the host");
        let plugin = site.until_serving("fx-hostile-load", &good);
        assert_eq!(plugin["event_types"].as_array().map(Vec::len), Some(1), "{how}: {plugin}");
        let processes = at_work(&site, Some(host.pid())).len();
        let (_, before) = warm.get_or_insert_with(|| (Held::at_rest(&host), processes));
        let expected = *before;
        until("nothing of the attempt is left", SOON, || (at_work(&site, Some(host.pid())).len() <= expected).then_some(()));
        site.plugins.put("fx_hostile_load", &good, Way::Move);
        until("the rejection is gone", SOON, || site.plugin("fx-hostile-load").is_some_and(|p| p["rejection"].is_null()).then_some(()));
    }
    heartbeat.check(&site);
    Held::until_returned(&host, &warm.expect("there were attempts").0);
    assert!(host.stop().success());
}

#[test]
fn what_load_leaves_behind_goes_with_its_process_alone() {
    if !runner_is_there() {
        return;
    }
    let site = Site::new(Placement::Runner);
    let mut host = HostProcess::start(&site);
    let heartbeat = Heartbeat::start(&site);
    let beating = at_work(&site, Some(host.pid())).len();
    for how in ACCEPTED {
        let build = Build::of("fx_hostile_load").answering(&format!("load={how}"));
        site.plugins.put("fx_hostile_load", &build, Way::Move);
        site.until_serving("fx-hostile-load", &build);
        site.plugins.delete("fx_hostile_load");
        until(&format!("nothing of `{how}` is left"), SOON, || (at_work(&site, Some(host.pid())).len() <= beating).then_some(()));
        assert!(host.alive());
    }
    // One that aborts shortly after it was accepted: it crashes again and again, and that ends.
    let late = Build::of("fx_hostile_load").answering("load=late-abort");
    site.plugins.put("fx_hostile_load", &late, Way::Move);
    site.until_plugin("fx-hostile-load", "quarantined");
    assert!(host.alive());
    heartbeat.check(&site);
}

#[test]
fn a_first_load_that_kills_its_process_registers_nothing() {
    if !runner_is_there() {
        return;
    }
    // Also where it is to run in the host: it is tried in a runner first.
    for placement in [Placement::Runner, Placement::InProcess] {
        let site = Site::new(placement);
        let mut host = HostProcess::start(&site);
        for (how, words) in [("abort", "signal 6"), ("segv", "signal 11"), ("exit", "exit code 3")] {
            let bad = Build::of("fx_hostile_load").answering(&format!("load={how}"));
            site.plugins.put("fx_hostile_load", &bad, Way::Move);
            check(how, &rejection(&site, "fx_hostile_load"), &[words]);
            assert!(host.alive(), "{how}, {}", placement.name());
            let types = site.sexton(&["event-type", "list", "--output", "ndjson"]).fine().ndjson();
            assert!(types.iter().all(|known| known["owner"] != "fx-hostile-load"), "{types:?}");
            take_away(&site, "fx_hostile_load");
        }
        assert!(host.stop().success());
    }
}

#[test]
fn constructors_run_in_a_runner_only() {
    if !runner_is_there() {
        return;
    }
    for placement in [Placement::Runner, Placement::InProcess] {
        let site = Site::new(placement);
        let mut host = HostProcess::start(&site);
        for (how, words) in [
            ("abort", &["signal 6"][..]),
            ("exit", &["exit code 42"]),
            ("segv", &["signal 11"]),
            ("hang", &["has not", "deadline", "longer than"]),
        ] {
            let text = format!("[deadlines]\nload = \"{}\"\n", if how == "hang" { "2s" } else { "30s" });
            site.plugins.configure("fx_hostile_ctor", &text);
            let bad = Build::of("fx_hostile_ctor").answering(how);
            site.plugins.put("fx_hostile_ctor", &bad, Way::Move);
            let code = check(how, &rejection(&site, "fx_hostile_ctor"), words);
            println!("constructor {how}, {}: {code}", placement.name());
            assert!(host.alive(), "a constructor ended the host: {how}, {}", placement.name());
            take_away(&site, "fx_hostile_ctor");
        }
        until("no process of an attempt is left", SOON, || at_work(&site, Some(host.pid())).is_empty().then_some(()));
        assert!(host.stop().success());
    }
}

#[test]
fn c_libraries_with_a_plugins_face_are_rejected() {
    if !runner_is_there() {
        return;
    }
    let site = Site::new(Placement::Runner);
    let mut host = HostProcess::start(&site);
    let constructor =
        |act: &str| format!("#include <stdlib.h>\n#include <unistd.h>\n__attribute__((constructor)) static void begin(void) {{ {act} }}\n");
    for (stem, act) in [("c_nothing", ""), ("c_abort", "abort();"), ("c_exit", "_exit(42);"), ("c_null", "*(volatile int *)8 = 1;")] {
        let build = c_library(Some(&stem.replace('_', "-")), &constructor(act), &[]);
        site.plugins.put(stem, &build, Way::Move);
        let code = check(stem, &rejection(&site, stem), &[""]);
        println!("{stem}: {code}");
        assert!(host.alive(), "{stem} ended the host");
    }
    assert!(host.stop().success());
}
