//! New builds that die before they have done anything, and the way back from them.

use super::*;
use sexton_loader::seam::{DeathKind, Killing, Order};

/// Two builds, one after the other; answers the view of the second and the digest of the first.
fn two_builds(site: &Site) -> (PluginView, String) {
    site.put("libfx.so", &library("a"));
    let good = site.active("fx-first");
    site.said(site.schedule("fx.say", &json!({})).id);
    site.put("libfx.so", &library("b"));
    (site.newer(&good), good.digest.expect("serves"))
}

/// Lets the process of what serves die of its own fault; waits for what serves then.
fn dies(site: &Site) -> PluginView {
    let before = site.active("fx-first");
    let serving = site.registry.now().types["fx.say"].serving.clone().expect("served");
    let killing = Killing { kind: DeathKind::Signal, why: "signal 11 (SIGSEGV)".to_owned(), run: None };
    serving.orders.send(Order::Kill(killing)).expect("it lives");
    let after = site.newer(&before);
    assert_eq!(after.crashes, before.crashes + 1);
    after
}

#[test]
fn a_build_that_dies_before_any_of_its_runs_succeeded_gives_way_to_the_one_before() {
    let site = Site::new();
    let (bad, good) = two_builds(&site);
    for _ in 0..2 {
        assert_eq!(dies(&site).digest, bad.digest, "it is given another chance");
    }
    let back = dies(&site);
    assert_eq!((back.digest.as_ref(), back.state), (Some(&good), PluginState::Active));
    let decision = back.decision.expect("decided");
    assert_eq!((decision.verdict, decision.by.0.as_str()), (Verdict::Quarantine, "host"));
    assert_eq!((Some(&decision.digest), decision.serve.as_ref()), (bad.digest.as_ref(), Some(&good)));
    let why = site.audited("plugin.quarantine").remove(0);
    assert_eq!((why.actor.0.as_str(), &why.detail["digest"], &why.detail["instead"]), ("host", &json!(bad.digest), &json!(good)));
    assert!(why.detail["reason"].as_str().is_some_and(|r| r.contains("3 times") && r.contains("SIGSEGV")), "{:?}", why.detail);
    assert_eq!(site.audited("plugin.rollback")[0].actor.0, "host");
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).1, good);
    // The earlier build is on no trial: it dies as often as any other.
    for _ in 0..3 {
        assert_eq!(dies(&site).digest.as_ref(), Some(&good));
    }
    let site = site.restart();
    assert_eq!(site.active("fx-first").digest.as_ref(), Some(&good), "after a restart");
    site.put("libfx.so", &library("c"));
    let next = site.until("fx-first", "another build", |v| v.digest.as_ref().is_some_and(|d| *d != good));
    assert!(next.decision.is_none() && next.digest != bad.digest, "a changed file is a new chance");
}

#[test]
fn a_build_of_which_a_run_succeeded_stays() {
    let site = Site::new();
    let (new, _) = two_builds(&site);
    site.said(site.schedule("fx.say", &json!({})).id);
    for _ in 0..4 {
        let after = dies(&site);
        assert!(after.digest == new.digest && after.decision.is_none());
    }
}

#[test]
fn of_two_bad_builds_in_a_row_neither_is_gone_back_to() {
    let site = Site::new();
    let (_, good) = two_builds(&site);
    let bad = dies(&site);
    site.put("libfx.so", &library("c"));
    let worse = site.newer(&bad);
    assert_ne!(worse.digest, bad.digest);
    for _ in 0..2 {
        dies(&site);
    }
    assert_eq!(dies(&site).digest, Some(good));
}

#[test]
fn where_the_build_before_does_not_serve_the_new_one_is_started_again() {
    let site = Site::new();
    let (new, good) = two_builds(&site);
    for entry in fs::read_dir(site.dir.path().join("generations")).expect("read").map(|e| e.expect("entry").path()) {
        if entry.to_string_lossy().contains(&good) {
            fs::remove_file(entry).expect("removed");
        }
    }
    for _ in 0..3 {
        let after = dies(&site);
        assert!(after.digest == new.digest && after.decision.is_none());
    }
}
