//! Overlap policies from outside: the command line, a real process that holds, and what `event show` says.
//!
//! Not each policy's every case: those are the engine's and the store's. What must hold: no two processes of an event stand side by side
//! unless it allows that, and a refusal is an exit code, a sentence and a count.

use serde_json::json;
use sexton_tests::{HostProcess, Placement, SOON, Site, until};

#[test]
fn what_is_asked_for_beside_a_run_waits_or_is_refused() {
    let site = Site::with(Placement::Runner, &["shell"]);
    let _host = HostProcess::start(&site);
    until("the plugin serves", SOON, || site.plugin("shell").filter(|plugin| plugin["state"] == "active"));
    let args = json!({"argv": ["/bin/sleep", "600"]}).to_string();
    let scheduled = ["event", "schedule", "shell.run", "--manual", "--args", &args, "--overlap", "queue_one", "--output", "json"];
    let answer = site.sexton(&scheduled).fine().json();
    let id = answer["id"].as_str().or_else(|| answer[0]["id"].as_str()).expect("an id").to_owned();
    let run_now = || site.sexton(&["event", "run-now", &id]);
    run_now().fine();
    until("it runs", SOON, || (site.event(&id)["running"] == true).then_some(()));
    run_now().fine();
    run_now().exits(4).refused("INP030");
    let event = site.event(&id);
    assert_eq!((&event["skipped"], &event["skips"]), (&json!(1), &json!({"overlap": 1})), "{event}");
    let card = site.sexton(&["event", "show", &id]).fine();
    for part in ["queued       1", "1: 1 overlap", "run_now, queued"] {
        assert!(card.stdout.contains(part), "{part}: {card}");
    }
    site.sexton(&["run", "cancel", &format!("{id}.1")]).fine();
    until("the one that waited runs", SOON, || {
        let running = site.event(&id)["running"] == true;
        (running && site.runs(&["--event", &id]).len() == 1).then_some(())
    });
    site.sexton(&["event", "edit", &id, "--overlap", "skip"]).fine();
    run_now().exits(4).refused("INP029");
    site.sexton(&["run", "cancel", &format!("{id}.2")]).fine();
    until("both have ended", SOON, || (site.runs(&["--event", &id]).len() == 2).then_some(()));
    assert!(site.runs(&["--event", &id]).iter().all(|run| run["outcome"] == "cancelled"));
}
