//! What only the host's own process can suffer: a plugin that takes it down, and symbols that nobody has.
//!
//! Not the same deaths in a runner (`hostile_run`). What must hold: the next start knows whose code it was and does not let it do so again; nothing stored is
//! lost.

use serde_json::{Value, json};
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, c_library, in_millis, until};

/// How a job ends the host, its count; what the run says afterwards.
const DEATHS: [(&str, u32, &str); 4] =
    [("abort", 0, "signal 6"), ("null_write", 0, "signal 11"), ("stack_overflow", 0, "signal"), ("exit", 3, "`exit` was called")];

fn placed(site: &Site, placement: &str) -> Value {
    until(&format!("it serves, {placement}"), SOON, || {
        site.plugin("fx-hostile").filter(|plugin| plugin["state"] == "active" && plugin["placement"] == placement)
    })
}

#[test]
fn a_host_that_dies_of_a_plugin_knows_it_and_opens_it_elsewhere() {
    for (how, count, words) in DEATHS {
        let site = Site::with(Placement::InProcess, &["fx_hostile", "fx_witness"]);
        let mut host = HostProcess::start(&site);
        let digest = placed(&site, "in-process")["digest"].clone();
        let args = json!({"how": how, "count": count});
        let id = site.schedule(&json!({"event_type": "fx.hostile", "schedule": {"once": in_millis(0)}, "args": args}));
        let ended = host.wait(SOON);
        assert!(!ended.success(), "{how}: {ended}");

        let mut host = HostProcess::start(&site);
        // It runs again, and now what it ends is a process of its own.
        let runs = until("it has died in both placements", SOON, || {
            let runs = site.runs(&["--event", &id]);
            let again = runs.iter().any(|run| run["placement"] == "runner" && run["outcome"] == "interrupted");
            again.then_some(runs)
        });
        let _ended = site.sexton(&["event", "cancel", &id]);
        let first = runs.last().expect("the one that ended the host");
        assert_eq!((&first["placement"], &first["outcome"]), (&json!("in-process"), &json!("interrupted")), "{how}: {first}");
        assert!(first["error"].as_str().is_some_and(|error| error.contains(words)), "{how}: {first}");
        assert!(runs.iter().filter(|run| run["placement"] == "in-process").count() == 1, "{how}: {runs:?}");
        assert!(host.alive(), "{how}: the host died of it a second time");
        assert_eq!(placed(&site, "runner")["digest"], digest, "{how}: the same code");
        // Another plugin is not suspected.
        let other = site.until_serving("fx-witness", &Build::of("fx_witness"));
        assert_eq!(other["placement"], "in-process", "{how}: {other}");

        // Somebody trusts it again: from its next load on.
        site.sexton(&["plugin", "release", "fx-hostile"]).fine();
        site.sexton(&["plugin", "reload", "fx-hostile"]).fine();
        placed(&site, "in-process");
        assert!(host.stop().success());
    }
}

#[test]
fn a_symbol_that_nobody_has_is_named_at_the_opening() {
    for placement in Placement::ALL {
        let site = Site::new(placement);
        let mut host = HostProcess::start(&site);
        let text = "extern int sexton_symbol_of_nobody(void);\nint speak(void) { return sexton_symbol_of_nobody(); }\n";
        // Bound when it is first called, if whoever opens it does not insist.
        let build = c_library(Some("c-unbound"), text, &["-Wl,-z,lazy"]);
        site.plugins.put("c_unbound", &build, Way::Move);
        let path = Value::from(site.plugins.file("c_unbound").to_str().expect("the path is text"));
        let rejection = until("it is rejected", SOON, || {
            let plugin = site.plugin_list().into_iter().find(|plugin| plugin["path"] == path);
            plugin.map(|plugin| plugin["rejection"].clone()).filter(Value::is_object)
        });
        assert_eq!(rejection["code"], "PLG010", "{}: {rejection}", placement.name());
        assert!(rejection["message"].as_str().is_some_and(|words| words.contains("sexton_symbol_of_nobody")), "{rejection}");
        assert!(host.alive(), "{}", placement.name());
        assert!(host.stop().success());
    }
}
