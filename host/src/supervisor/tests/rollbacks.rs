//! Earlier builds that serve again, and how long they do.

use super::*;

/// Three builds, one after the other; answers their digests.
fn three_builds() -> (Site, [String; 3]) {
    let site = Site::new();
    site.put("libfx.so", &library("a"));
    let mut view = site.active("fx-first");
    let mut digests = vec![view.digest.clone().expect("serves")];
    for tail in ["b", "c"] {
        site.put("libfx.so", &library(tail));
        view = site.newer(&view);
        digests.push(view.digest.clone().expect("serves"));
    }
    (site, digests.try_into().expect("three"))
}

fn digest(view: &PluginView) -> &str {
    view.digest.as_deref().expect("serves")
}

/// Puts another file there and waits until it is dealt with: by then the look at the rest is over, too.
fn looked(site: &Site, marker: &str) {
    site.put(&format!("lib{marker}.so"), b"a marker");
    site.until(&format!("lib{marker}"), "rejected", |v| v.state == PluginState::Rejected);
}

#[test]
fn the_build_before_serves_again_over_rescans_and_restarts_until_it_is_released() {
    let (site, [a, b, c]) = three_builds();
    let back = site.supervisor.rollback("fx-first", None, false, &who()).expect("rolled back");
    assert_eq!((digest(&back), back.state), (b.as_str(), PluginState::Active));
    let decision = back.decision.expect("decided");
    assert_eq!((decision.verdict, &decision.digest, decision.serve.as_ref()), (Verdict::Rollback, &c, Some(&b)));
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).1, b);
    let line = site.audited("plugin.rollback").remove(0);
    assert_eq!((&line.actor, &line.detail["digest_from"], &line.detail["digest_to"]), (&who(), &json!(c), &json!(b)));
    // The same bytes written anew show nothing new.
    site.put("libfx.so", &library("c"));
    looked(&site, "one");
    assert_eq!(digest(&site.active("fx-first")), b);
    let site = site.restart();
    assert_eq!(digest(&site.active("fx-first")), b, "after a restart");
    let further = site.supervisor.rollback("fx-first", None, false, &who()).expect("further back");
    assert_eq!(digest(&further), a);
    assert_eq!(site.supervisor.rollback("fx-first", None, false, &who()).expect_err("nothing before it").code, "PLG084");
    let site = site.restart();
    assert_eq!(digest(&site.active("fx-first")), a, "after another");
    let released = site.supervisor.release("fx-first", &who()).expect("released");
    assert!(digest(&released) == c && released.decision.is_none());
    let named = site.supervisor.rollback("fx-first", Some(&a[..8]), false, &who()).expect("by its digest");
    assert_eq!(digest(&named), a);
}

#[test]
fn a_new_build_in_the_directory_ends_a_rollback() {
    let (site, [_, b, _]) = three_builds();
    let back = site.supervisor.rollback("fx-first", None, false, &who()).expect("rolled back");
    site.put("libfx.so", &library("d"));
    let next = site.newer(&back);
    assert!(digest(&next) != b && next.decision.is_none());
}

#[test]
fn reloads_and_changed_settings_keep_the_earlier_build() {
    let (site, [_, b, _]) = three_builds();
    let back = site.supervisor.rollback("fx-first", None, false, &who()).expect("rolled back");
    site.settings("libfx", &json!({"word": "other"}));
    let changed = site.newer(&back);
    assert_eq!(digest(&changed), b);
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).0.as_deref(), Some("\"other\""));
    let reloaded = site.supervisor.reload("fx-first", &who()).expect("reloaded");
    assert!(digest(&reloaded) == b && reloaded.generation > changed.generation && reloaded.decision.is_some());
}

#[test]
fn a_build_that_does_not_load_is_rolled_back_from() {
    let (site, [_, b, c]) = three_builds();
    let refused = site.supervisor.rollback("fx-first", Some("nothing"), false, &who()).expect_err("no such build");
    assert!(refused.code == "PLG084" && refused.expected.expect("the builds").contains(&b[..12]));
    assert_eq!(site.supervisor.rollback("fx-first", Some(&c), false, &who()).expect_err("it serves").code, "PLG084");
    assert_eq!(site.supervisor.rollback("nobody", None, false, &who()).expect_err("nobody").code, "INP013");
    site.settings("libfx", &json!({"load": "fail"}));
    site.until("fx-first", "refused", |v| v.rejection.is_some());
    let refused = site.supervisor.rollback("fx-first", None, false, &who()).expect_err("its `load` fails as well");
    assert_eq!(refused.code, "PLG015");
    let view = site.active("fx-first");
    assert!(digest(&view) == c && view.decision.is_none(), "what served serves, and nothing is decided");
}

#[test]
fn a_copy_that_is_gone_at_the_start_is_said_and_nothing_else_serves_instead() {
    let (site, [_, b, c]) = three_builds();
    site.supervisor.rollback("fx-first", None, false, &who()).expect("rolled back");
    let generations = site.dir.path().join("generations");
    let site = site.restart_after(|_| {
        for entry in fs::read_dir(generations).expect("read").map(|e| e.expect("entry").path()) {
            if entry.to_string_lossy().contains(&b) {
                fs::remove_file(entry).expect("removed");
            }
        }
    });
    let view = site.until("fx-first", "refused", |v| v.rejection.is_some());
    assert_eq!((view.rejection.expect("there").code.as_str(), view.state), ("PLG083", PluginState::Rejected));
    assert!(!site.is_served("fx.say"));
    assert_eq!(digest(&site.supervisor.release("fx-first", &who()).expect("released")), c);
}

#[test]
fn an_earlier_build_is_held_to_what_is_stored_since() {
    let site = Site::new();
    site.put("libfx.so", &library_named(""));
    let named = site.active("fx-first");
    site.put("libfx.so", &library(""));
    site.newer(&named);
    let wish = json!({"event_type": "fx.say", "schedule": {"manual": true}});
    let wish: NewEvent = serde_json::from_str(&wish.to_string()).expect("an event");
    let id = site.engine.schedule(vec![wish], &who()).expect("accepted").remove(0).id;
    let refused = site.supervisor.rollback("fx-first", None, false, &who()).expect_err("it wants a name");
    assert!(refused.code == "PLG080" && refused.remedy.as_ref().expect("one").contains("plugin rollback fx-first --force"), "{refused}");
    let view = site.active("fx-first");
    assert!(view.rejection.is_none() && view.decision.is_none(), "the file is not to blame");
    let forced = site.supervisor.rollback("fx-first", None, true, &who()).expect("by force");
    assert_eq!(forced.digest, named.digest);
    assert_eq!(site.store.event(id).expect("read").expect("there").state, sexton_core::EventState::Paused);
}

#[test]
fn a_storm_of_changes_ends_in_the_last_and_opens_few() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let built = library("");
    for n in 1..50 {
        site.put("libfx.so", &[&built[..], "x".repeat(n).as_bytes()].concat());
    }
    site.put("libfx.so", &library("the last"));
    let ready = site.newer(&first);
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).1, digest(&ready));
    // Whatever was opened in between, in the end the last one serves.
    let probe = site.dir.path().join("probe.so");
    fs::write(&probe, library("the last")).expect("written");
    let wanted = inspect_digest(&site, &probe);
    site.until("fx-first", "the last", |v| v.digest.as_ref() == Some(&wanted));
    let opened = site.store.generations("fx-first", 100).expect("read").len();
    assert!(opened <= 6, "{opened} generations were opened");
}

fn inspect_digest(site: &Site, file: &Path) -> String {
    let inspected = sexton_loader::inspect::inspect(file, &site.dir.path().join("probe"), &Rules::default()).expect("a plugin");
    inspected.digest
}
