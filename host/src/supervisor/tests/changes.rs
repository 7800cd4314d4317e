//! What changes in the directory do.

use super::*;

/// Puts a library into the place of another in one of the ways that operators use.
fn replace(site: &Site, way: &str, bytes: &[u8]) {
    let place = site.path("libfx.so");
    match way {
        "cp" => fs::write(&place, bytes).expect("written in place"),
        "mv" => {
            let passing = site.path(".libfx.new");
            fs::write(&passing, bytes).expect("written");
            fs::rename(&passing, &place).expect("renamed");
        }
        "symlink" => {
            let target = site.dir.path().join(format!("build-{}.so", bytes.len()));
            fs::write(&target, bytes).expect("written");
            let passing = site.path(".link");
            std::os::unix::fs::symlink(&target, &passing).expect("linked");
            fs::rename(&passing, &place).expect("switched");
        }
        other => panic!("{other} is no way"),
    }
}

#[test]
fn a_file_dropped_in_serves_and_runs() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let view = site.active("fx-first");
    assert_eq!((view.event_types.as_slice(), view.actions.as_slice()), (&["fx.say".to_owned()][..], &["fx.action.say".to_owned()][..]));
    assert!(view.version.is_some() && view.rustc.is_some() && view.size_bytes.is_some() && view.rejection.is_none());
    let id = site.schedule("fx.say", &json!({})).id;
    assert_eq!(site.said(id), (Some("\"hello\"".to_owned()), view.digest.expect("a digest")));
    let loads = site.audited("plugin.load");
    let load = loads.iter().find(|l| l.subject == "fx-first").expect("audited");
    assert_eq!((load.actor.0.as_str(), &load.detail["types_added"]), ("watcher", &json!(["fx.say"])));
}

#[test]
fn a_new_build_is_taken_in_whatever_way_it_comes() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let mut before = site.active("fx-first");
    for (n, way) in ["cp", "mv", "symlink", "cp", "symlink", "mv"].into_iter().enumerate() {
        let noticed = Instant::now();
        replace(&site, way, &library(&"x".repeat(n + 1)));
        let after = site.newer(&before);
        assert!(noticed.elapsed() < Duration::from_secs(10), "{way}: {:?}", noticed.elapsed());
        assert_ne!(after.digest, before.digest, "{way}");
        let id = site.schedule("fx.say", &json!({})).id;
        assert_eq!(Some(site.said(id).1), after.digest, "{way}");
        before = after;
    }
    let last = before.generation.expect("serves");
    let gone = site.until("fx-first", "left by its old generations", |v| {
        v.generations.iter().all(|g| g.generation == last || g.state.starts_with("retired"))
    });
    assert!(gone.generations.iter().skip(1).all(|g| g.state == "retired (unmapped)"), "{:?}", gone.generations);
    until("copies to be swept", || {
        let copies = fs::read_dir(site.dir.path().join("generations")).expect("read").count();
        (copies == 1 + sweep::KEPT).then_some(())
    });
}

#[test]
fn the_same_bytes_are_not_loaded_again_but_by_the_verb() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    site.put("libfx.so", &library(""));
    site.put("libother.so", b"a marker: once it is rejected, the look at the other is over");
    site.until("libother", "rejected", |v| v.state == PluginState::Rejected);
    assert_eq!(site.view("fx-first").expect("there").generation, first.generation);
    let reloaded = site.supervisor.reload("fx-first", &who()).expect("reloaded");
    assert!(reloaded.generation > first.generation && reloaded.digest == first.digest);
    assert_eq!(site.audited("plugin.reload")[0].actor, who());
}

#[test]
fn a_build_that_does_not_load_leaves_the_old_one_serving() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let whole = library("x");
    for (bad, code) in [(b"no library".to_vec(), "PLG003"), (Vec::new(), "PLG003"), (whole[..whole.len() / 2].to_vec(), "PLG004")] {
        site.put("libfx.so", &bad);
        let view = site.until("fx-first", code, |v| v.rejection.as_ref().is_some_and(|r| r.code == code));
        assert_eq!((view.state, view.generation), (PluginState::Active, first.generation));
        let id = site.schedule("fx.say", &json!({})).id;
        assert_eq!(Some(site.said(id).1), first.digest);
        site.put("libfx.so", &whole[..100 + bad.len()]);
    }
    site.put("libfx.so", &whole);
    let healed = site.newer(&first);
    assert!(healed.rejection.is_none());
}

#[test]
fn a_deleted_file_leaves_its_events_waiting() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let gate = site.dir.path().join("gate");
    let held = site.held_run(&gate);
    fs::remove_file(site.path("libfx.so")).expect("removed");
    site.until("fx-first", "draining", |v| v.state == PluginState::Draining);
    let waiting = site.schedule("fx.say", &json!({}));
    assert!(waiting.unresolved);
    fs::write(&gate, "").expect("opened");
    site.said(held);
    let retired = site.until("fx-first", "retired", |v| v.state == PluginState::Retired);
    assert_eq!((retired.unresolved_events, retired.path), (1, None));
    site.put("libelsewhere.so", &library("x"));
    site.active("fx-first");
    site.said(waiting.id);
}

#[test]
fn a_renamed_file_is_the_same_plugin() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    fs::rename(site.path("libfx.so"), site.path("librenamed.so")).expect("renamed");
    let moved = site.until("fx-first", "moved", |v| v.path == Some(site.path("librenamed.so")));
    assert_eq!((moved.state, moved.generation), (PluginState::Active, first.generation));
    assert!(site.is_served("fx.say"));
}

#[test]
fn settings_reach_the_plugin_and_their_change_is_a_reload() {
    let site = Site::new();
    site.settings("libfx", &json!({"word": "one"}));
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).0.as_deref(), Some("\"one\""));
    site.settings("libfx", &json!({"word": "two"}));
    let second = site.newer(&first);
    assert_eq!(second.digest, first.digest);
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).0.as_deref(), Some("\"two\""));
    fs::write(site.path("libfx.toml"), "wrod = 1\n").expect("written");
    let refused = site.until("fx-first", "refused", |v| v.rejection.is_some());
    assert_eq!((refused.rejection.expect("there").code.as_str(), refused.generation), ("PLG038", second.generation));
    fs::remove_file(site.path("libfx.toml")).expect("removed");
    site.newer(&second);
    assert_eq!(site.said(site.schedule("fx.say", &json!({})).id).0.as_deref(), Some("\"hello\""));
}

#[test]
fn too_many_old_generations_make_the_next_build_wait() {
    too_many_old_generations("placement = \"in-process\"", 2);
    too_many_old_generations("placement = \"runner\"", 4);
}

fn too_many_old_generations(placement: &str, most: usize) {
    let site = Site::new();
    fs::write(site.path("libfx.toml"), placement).expect("written");
    site.put("libfx.so", &library(""));
    let mut view = site.active("fx-first");
    assert!(placement.contains(view.placement.name()));
    let gate = site.dir.path().join("gate");
    let mut held = Vec::new();
    for n in 1..=most {
        held.push(site.held_run(&gate));
        site.put("libfx.so", &library(&"x".repeat(n)));
        view = site.newer(&view);
    }
    let newest = library("third");
    site.put("libfx.so", &newest);
    let waiting = site.until("fx-first", "waiting", |v| v.rejection.is_some());
    let why = waiting.rejection.expect("there");
    assert!(why.code == "PLG037" && held.iter().all(|id| why.message.contains(&id.to_string())), "{why}");
    assert_eq!(waiting.generation, view.generation);
    fs::write(&gate, "").expect("opened");
    let taken = site.newer(&view);
    assert!(taken.rejection.is_none());
    for id in held {
        site.said(id);
    }
}

#[test]
fn standing_events_are_stored_when_it_serves() {
    let site = Site::new();
    site.settings("libfx", &json!({"standing": "fx.say"}));
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let filter = sexton_store::rows::EventFilter { key: Some("always".to_owned()), ..Default::default() };
    let events = site.store.events(&filter, &Page { before: None, limit: 10 }).expect("events");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].standing_of.as_deref(), Some("fx-first"));
}

#[test]
fn the_hosts_own_types_are_served_from_the_start() {
    let site = Site::new();
    for event_type in ["sexton.noop", "sexton.prune"] {
        let known = Arc::clone(&site.registry.now().types[event_type]);
        assert_eq!((known.owner.as_deref(), known.serving.as_ref().map(|s| s.generation)), (Some("host"), Some(0)));
    }
    assert!(site.supervisor.list().is_empty(), "the host is no plugin");
    let id = site.schedule("sexton.noop", &json!({})).id;
    assert_eq!(site.said(id).1, "");
}

#[test]
fn a_directory_that_is_away_for_a_while_takes_nothing_along() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let away = site.dir.path().join("away");
    fs::rename(site.plugins(), &away).expect("moved away");
    let refused = site.supervisor.reload("fx-first", &who()).expect_err("no file to load");
    assert_eq!(refused.code, "PLG001");
    assert!(site.is_served("fx.say"));
    fs::rename(&away, site.plugins()).expect("moved back");
    let second = site.supervisor.reload("fx-first", &who()).expect("there again");
    assert!(second.generation > first.generation && second.rejection.is_none());
    site.put("libfx.so", &library("x"));
    site.newer(&second);
}

#[test]
fn nothing_is_lost_or_run_twice_while_builds_change() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let mut view = site.active("fx-first");
    let mut ids = Vec::new();
    for n in 1..=8 {
        ids.extend((0..40).map(|_| site.schedule("fx.say", &json!({})).id));
        let way = ["cp", "mv", "symlink"][n % 3];
        replace(&site, way, &library(&"y".repeat(n)));
        ids.extend((0..10).map(|_| site.schedule("fx.say", &json!({})).id));
        view = site.newer(&view);
    }
    let digests: std::collections::BTreeSet<String> = ids.into_iter().map(|id| site.said(id).1).collect();
    assert!(digests.len() > 1, "several builds had a part in it: {digests:?}");
}

#[test]
fn a_build_that_hangs_at_the_start_holds_up_nobody_who_owns_its_types() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    site.settings("libslow", &json!({"load": "slow", "types": ["fx.slow"]}));
    let site = site.restart_after(|plugins| fs::write(plugins.join("libslow.so"), library_of("fx-slows", "")).expect("written"));
    // The action of the second is the first's already: it comes late, and in vain.
    let late = site.until("fx-slows", "refused", |v| v.rejection.as_ref().is_some_and(|r| r.code == "PLG031"));
    let early = site.active("fx-first");
    assert!(early.since < late.since, "{} {}", early.since, late.since);
}
