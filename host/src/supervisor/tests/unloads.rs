//! Decisions: unload, load, release, over rescans and restarts.

use super::*;

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

#[test]
fn an_unload_holds_over_rescans_and_restarts_until_another_digest() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let unloaded = site.supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()).expect("unloaded");
    assert_eq!(unloaded.state, PluginState::Unloaded);
    assert_eq!(unloaded.decision.as_ref().map(|d| (d.verdict, Some(d.digest.clone()))), Some((Verdict::Unload, first.digest.clone())));
    assert_eq!(unloaded.generations[0].state, "retired (unmapped)");
    let waiting = site.schedule("fx.say", &json!({}));
    assert!(waiting.unresolved);
    site.put("libfx.so", &library(""));
    site.put("libmarker.so", b"once it is rejected, the look is over");
    site.until("libmarker", "rejected", |v| v.state == PluginState::Rejected);
    assert_eq!(site.supervisor.reload("fx-first", &who()).expect_err("decided").code, "PLG041");
    let site = site.restart();
    assert!(site.is_served("sexton.noop"), "the host's own types are there again");
    let still = site.view("fx-first").expect("known");
    assert_eq!((still.state, still.unresolved_events), (PluginState::Unloaded, 1));
    site.put("libfx.so", &library("x"));
    let back = site.active("fx-first");
    assert!(back.decision.is_none());
    site.said(waiting.id);
}

#[test]
fn load_and_release_end_an_unload() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    for again in [Supervisor::load, Supervisor::release] as [fn(&Supervisor, &str, &Actor) -> Result<PluginView, Refusal>; 2] {
        site.supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()).expect("unloaded");
        assert!(!site.is_served("fx.say"));
        let view = again(&site.supervisor, "fx-first", &who()).expect("loaded");
        assert_eq!((view.state, view.decision.is_none()), (PluginState::Active, true));
        assert!(site.is_served("fx.say"));
    }
}

#[test]
fn an_unload_that_runs_hold_up_is_not_done() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let gate = site.dir.path().join("gate");
    let held = site.held_run(&gate);
    let refused = site.supervisor.unload("fx-first", UnloadMode::Wait, SHORT, &who()).expect_err("held");
    assert!(refused.code == "PLG035" && refused.found.as_ref().is_some_and(|f| f.contains(&held.to_string())), "{refused}");
    let view = site.view("fx-first").expect("there");
    assert_eq!((view.state, view.generation, view.decision.is_none(), view.in_flight), (PluginState::Active, first.generation, true, 1));
    site.said(site.schedule("fx.say", &json!({})).id);
    let supervisor = site.supervisor.clone();
    let unload = std::thread::spawn(move || supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()));
    until("the types to be withdrawn", || (!site.is_served("fx.say")).then_some(()));
    fs::write(&gate, "").expect("opened");
    let unloaded = unload.join().expect("joined").expect("unloaded once the run ended");
    assert_eq!(unloaded.state, PluginState::Unloaded);
    site.said(held);
}

#[test]
fn an_abandoned_run_ends_by_itself() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let gate = site.dir.path().join("gate");
    let held = site.held_run(&gate);
    let view = site.supervisor.unload("fx-first", UnloadMode::Abandon, LONG, &who()).expect("unloaded");
    assert_eq!((view.state, view.decision.is_some()), (PluginState::Draining, true));
    assert!(!site.is_served("fx.say"));
    fs::write(&gate, "").expect("opened");
    site.said(held);
    site.until("fx-first", "unloaded", |v| v.state == PluginState::Unloaded && v.generations[0].state == "retired (unmapped)");
}

#[test]
fn what_drains_is_killed_though_nothing_serves() {
    let site = Site::new();
    for gone in [false, true] {
        site.put("libfx.so", &library(""));
        let first = site.active("fx-first");
        let held = site.held_run(&site.dir.path().join("gate"));
        if gone {
            fs::remove_file(site.path("libfx.so")).expect("removed");
        } else {
            site.supervisor.unload("fx-first", UnloadMode::Abandon, LONG, &who()).expect("unloaded");
        }
        site.until("fx-first", "draining", |v| v.state == PluginState::Draining);
        let killed = site.supervisor.unload("fx-first", UnloadMode::Kill, LONG, &who()).expect("killed");
        let past = killed.generations.iter().find(|g| Some(g.generation) == first.generation).expect("known");
        assert!(past.state.starts_with("died: killed: test"), "{}", past.state);
        assert_eq!(
            (killed.state, killed.decision.is_some()),
            if gone { (PluginState::Retired, false) } else { (PluginState::Unloaded, true) }
        );
        until("its run to be over", || site.engine.in_flight().is_empty().then_some(()));
        // Else it runs again in the next build.
        site.engine.alter(held, sexton_store::rows::Change::Cancel, &who()).expect("cancelled");
        if !gone {
            site.supervisor.release("fx-first", &who()).expect("loaded");
        }
    }
}

#[test]
fn threads_that_drain_cannot_be_killed() {
    let site = Site::new();
    fs::write(site.path("libfx.toml"), "placement = \"in-process\"\n").expect("written");
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let gate = site.dir.path().join("gate");
    let held = site.held_run(&gate);
    site.supervisor.unload("fx-first", UnloadMode::Abandon, LONG, &who()).expect("unloaded");
    assert_eq!(site.supervisor.unload("fx-first", UnloadMode::Kill, LONG, &who()).expect_err("threads").code, "PLG052");
    fs::write(&gate, "").expect("opened");
    site.said(held);
}

#[test]
fn a_stop_amid_a_change_leaves_the_directory_as_it_was() {
    let before = "[settings]\nload = \"slow\"\n";
    let site = Site::new();
    fs::write(site.path("libfx.toml"), before).expect("written");
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let source = site.dir.path().join("libother.so");
    fs::write(&source, library_of("fx-other", "")).expect("written");
    fs::write(site.path("libother.toml"), before).expect("written");
    let (placing, loading) = (site.supervisor.clone(), site.supervisor.clone());
    let place = std::thread::spawn(move || placing.place("fx-first", Placement::InProcess, &who()));
    let load = std::thread::spawn(move || loading.load(source.to_str().expect("text"), &who()));
    until("both to be under way", || {
        let text = fs::read_to_string(site.path("libfx.toml")).expect("read");
        (text != before && site.path("libother.so").exists()).then_some(())
    });
    site.until("fx-other", "opening", |v| v.state == PluginState::Opening);
    site.engine.stop(SHORT, SHORT);
    site.supervisor.stop(LONG);
    for answer in [place.join().expect("joined"), load.join().expect("joined")] {
        assert_eq!(answer.expect_err("stopped").code, problem::stopping().code);
    }
    assert_eq!(fs::read_to_string(site.path("libfx.toml")).expect("read"), before);
    assert!(!site.path("libother.so").exists(), "it was not loaded: it is not tried at the next start");
}

#[test]
fn a_file_that_goes_takes_the_decision_along() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    site.supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()).expect("unloaded");
    fs::remove_file(site.path("libfx.so")).expect("removed");
    until("the decision to end", || site.view("fx-first").is_none_or(|v| v.decision.is_none()).then_some(()));
    site.put("libfx.so", &library(""));
    site.active("fx-first");
}

#[test]
fn an_unload_may_be_told_to_wait_for_ever() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let unloaded = site.supervisor.unload("fx-first", UnloadMode::Wait, Duration::MAX, &who()).expect("unloaded");
    assert_eq!(unloaded.state, PluginState::Unloaded);
}

#[test]
fn verbs_on_nobody_say_so() {
    let site = Site::new();
    for refused in [
        site.supervisor.unload("nobody", UnloadMode::Wait, SHORT, &who()),
        site.supervisor.reload("nobody", &who()),
        site.supervisor.release("nobody", &who()),
        site.supervisor.unload("host", UnloadMode::Wait, SHORT, &who()),
    ] {
        assert_eq!(refused.expect_err("nobody").code, "INP013");
    }
    assert_eq!(site.supervisor.release_type("fx.none", &who()).expect_err("unknown").code, "INP001");
}

#[test]
fn a_stopped_supervisor_refuses_and_leaves_nothing_mapped() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    site.engine.stop(SHORT, SHORT);
    site.supervisor.stop(LONG);
    assert!(!site.is_served("fx.say"));
    let maps = fs::read_to_string("/proc/self/maps").expect("read");
    let generations = site.dir.path().join("generations");
    assert!(!maps.contains(generations.to_str().expect("text")), "{maps}");
    assert_eq!(site.supervisor.reload("fx-first", &who()).expect_err("stopped").code, "HST005");
}

#[test]
fn a_file_that_went_while_no_host_ran_leaves_neither_decision_nor_unused_ownership() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    site.supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()).expect("unloaded");
    let site = site.restart_after(|plugins| fs::remove_file(plugins.join("libfx.so")).expect("removed"));
    assert!(site.view("fx-first").is_none_or(|v| v.decision.is_none()));
    let types = site.store.types().expect("types");
    assert!(types.iter().all(|row| row.owner.as_deref() != Some("fx-first")), "{types:?}");
    site.put("libfx.so", &library(""));
    site.active("fx-first");
}

#[test]
fn verbs_at_the_same_time_take_their_turns() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first").generation.expect("serves");
    let threads: Vec<_> = (0..12)
        .map(|_| {
            let supervisor = site.supervisor.clone();
            std::thread::spawn(move || supervisor.reload("fx-first", &who()).expect("its turn comes").generation.expect("serves"))
        })
        .collect();
    let mut numbers: Vec<i64> = threads.into_iter().map(|t| t.join().expect("joined")).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 12, "each got a generation of its own: {numbers:?}");
    assert!(numbers[0] > first);
    site.until("fx-first", "left by all others", |v| v.generations.iter().skip(1).all(|g| g.state == "retired (unmapped)"));
}

#[test]
fn a_verb_waits_no_longer_than_it_may() {
    let site = Site::with(|_| {}, Limits { verb: SHORT, ..limits() });
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    let gate = site.dir.path().join("gate");
    site.held_run(&gate);
    let supervisor = site.supervisor.clone();
    let unload = std::thread::spawn(move || supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()));
    until("the types to be withdrawn", || (!site.is_served("fx.say")).then_some(()));
    assert_eq!(site.supervisor.reload("fx-first", &who()).expect_err("in the way").code, "PLG042");
    fs::write(&gate, "").expect("opened");
    unload.join().expect("joined").expect("unloaded");
}

#[test]
fn a_type_that_is_served_is_not_released() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    for event_type in ["fx.say", "sexton.noop"] {
        let refused = site.supervisor.release_type(event_type, &who()).expect_err("served");
        assert_eq!(refused.code, "PLG044", "{refused}");
        assert!(site.is_served(event_type));
    }
    let owner =
        |event_type: &str| site.store.types().expect("types").into_iter().find(|r| r.event_type == event_type).expect("known").owner;
    assert_eq!((owner("fx.say").as_deref(), owner("sexton.noop").as_deref()), (Some("fx-first"), Some("host")));
    // Withdrawn while an unload waits for runs is not unloaded yet.
    let gate = site.dir.path().join("gate");
    site.held_run(&gate);
    let supervisor = site.supervisor.clone();
    let unload = std::thread::spawn(move || supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()));
    until("the types to be withdrawn", || (!site.is_served("fx.say")).then_some(()));
    assert_eq!(site.supervisor.release_type("fx.say", &who()).expect_err("may be put back").code, "PLG044");
    fs::write(&gate, "").expect("opened");
    unload.join().expect("joined").expect("unloaded");
    assert_eq!(site.supervisor.release_type("fx.say", &who()).expect("nobody serves it").as_deref(), Some("fx-first"));
}

#[test]
fn a_path_that_waits_for_its_turn_is_copied_once() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let source = site.dir.path().join("libfx.so");
    fs::write(&source, library("x")).expect("written");
    let gate = site.dir.path().join("gate");
    site.held_run(&gate);
    let supervisor = site.supervisor.clone();
    let unload = std::thread::spawn(move || supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()));
    until("the types to be withdrawn", || (!site.is_served("fx.say")).then_some(()));
    let (supervisor, wanted) = (site.supervisor.clone(), source.to_str().expect("text").to_owned());
    let load = std::thread::spawn(move || supervisor.load(&wanted, &who()));
    let arriving =
        || fs::read_dir(site.plugins()).expect("read").flatten().find(|e| e.file_name().as_encoded_bytes().starts_with(b".arriving."));
    until("the copy", &arriving);
    // Where it came from may go: what was asked for is what is loaded.
    fs::remove_file(&source).expect("removed");
    fs::write(&gate, "").expect("opened");
    unload.join().expect("joined").expect("unloaded");
    let loaded = load.join().expect("joined").expect("loaded when its turn came");
    assert!(loaded.state == PluginState::Active && loaded.generation > first.generation && loaded.digest != first.digest);
    assert!(arriving().is_none());
}

#[test]
fn a_place_is_not_taken_from_a_plugin_that_is_busy() {
    let site = Site::with(|_| {}, Limits { verb: SHORT, ..limits() });
    let held = library("");
    site.put("libfx.so", &held);
    site.active("fx-first");
    let source = site.dir.path().join("libfx.so");
    fs::write(&source, library_of("fx-other", "")).expect("written");
    let gate = site.dir.path().join("gate");
    site.held_run(&gate);
    let supervisor = site.supervisor.clone();
    let unload = std::thread::spawn(move || supervisor.unload("fx-first", UnloadMode::Wait, LONG, &who()));
    until("the types to be withdrawn", || (!site.is_served("fx.say")).then_some(()));
    assert_eq!(site.supervisor.load(source.to_str().expect("text"), &who()).expect_err("in the way").code, "PLG042");
    assert!(fs::read(site.path("libfx.so")).expect("there") == held, "the holder's file is as it was");
    fs::write(&gate, "").expect("opened");
    unload.join().expect("joined").expect("unloaded");
}
