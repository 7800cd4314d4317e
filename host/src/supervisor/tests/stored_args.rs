//! Stored arguments that a new build is held to: accepted, carried over, refused, paused.

use super::*;
use sexton_core::EventState;
use std::io::Write;

/// One that runs in a year.
fn later(site: &Site, args: &Value) -> Result<EventId, Refusal> {
    let wish = json!({"event_type": "fx.say", "args": args, "schedule": {"once": Utc::now() + chrono::TimeDelta::days(365)}});
    let wish: NewEvent = serde_json::from_str(&wish.to_string()).expect("an event");
    Ok(site.engine.schedule(vec![wish], &who())?.remove(0).id)
}

/// The plugin with jobs that want nothing, and then with those that want a name.
fn site_in(placement: &str) -> (Site, PluginView) {
    let limits = Limits { load: Duration::from_secs(2), check: Duration::from_secs(2), ..Limits::default() };
    let site = Site::with(|_| {}, limits);
    turn(&site, placement, "");
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    assert_eq!(first.placement.name(), placement);
    (site, first)
}

fn turn(site: &Site, placement: &str, job: &str) {
    let text = format!("placement = \"{placement}\"\n[settings]\njob = \"{job}\"\n");
    // Whole at once: two changes are two reloads.
    let mut passing = tempfile::NamedTempFile::new_in(site.dir.path()).expect("a file");
    passing.write_all(text.as_bytes()).expect("written");
    passing.persist(site.path("libfx.toml")).expect("in place");
}

fn refused(site: &Site, code: &str) -> Refusal {
    let view = site.until("fx-first", code, |v| v.rejection.as_ref().is_some_and(|r| r.code == code));
    assert_eq!(view.state, PluginState::Active);
    view.rejection.expect("there")
}

fn state(site: &Site, id: EventId) -> (EventState, Option<String>) {
    let event = site.store.event(id).expect("read").expect("there");
    (event.state, event.reason)
}

#[test]
fn arguments_that_do_not_fit_refuse_the_build_until_they_are_paused_by_force() {
    for placement in ["runner", "in-process"] {
        let (site, first) = site_in(placement);
        let (bad, good) = (later(&site, &json!({})).expect("stored"), later(&site, &json!({"name": "x"})).expect("stored"));
        turn(&site, placement, "named");
        let why = refused(&site, "PLG080");
        assert!(why.message.contains("1 of 2 stored events"), "{why}");
        let found = why.found.expect("named");
        assert!(found.contains(&bad.to_string()) && found.contains("name") && !found.contains(&good.to_string()), "{found}");
        assert!(why.remedy.expect("a remedy").contains("plugin reload fx-first --force"));
        assert_eq!(site.view("fx-first").expect("there").generation, first.generation);
        later(&site, &json!({})).expect("the old schema alone is in force again");
        assert_eq!(site.supervisor.reload("fx-first", &who()).expect_err("still").code, "PLG080");
        let forced = site.supervisor.reload_with("fx-first", true, &who()).expect("loaded by force");
        assert!(forced.generation > first.generation && forced.rejection.is_none() && forced.placement.name() == placement);
        let (paused, reason) = state(&site, bad);
        assert!(paused == EventState::Paused && reason.as_deref().is_some_and(|r| r.starts_with("args_rejected")), "{reason:?}");
        assert_eq!(state(&site, good).0, EventState::Scheduled);
        let detail = site.audited("plugin.reload").remove(0).detail;
        assert_eq!((&detail["events_checked"], &detail["events_paused"]), (&json!(3), &json!(2)));
        assert_eq!(detail["types_changed"], json!(["fx.say"]));
        assert_eq!(later(&site, &json!({})).expect_err("the new schema is in force").code, "INP002");
    }
}

#[test]
fn old_arguments_are_carried_over_on_the_way_to_a_run_and_stay_as_they_are() {
    let (site, first) = site_in("runner");
    let ids: Vec<EventId> = (0..1_200).map(|_| later(&site, &json!({"who": "Ada"})).expect("stored")).collect();
    turn(&site, "runner", "named");
    site.newer(&first);
    assert_eq!(site.audited("plugin.reload")[0].detail["events_checked"], 1_200);
    let change = sexton_store::rows::Change::RunNow;
    site.engine.alter(ids[7], change, &who()).expect("runs now");
    assert_eq!(site.said(ids[7]).0.as_deref(), Some("\"Ada\""));
    assert_eq!(site.store.event(ids[7]).expect("read").expect("there").wish.args.get(), r#"{"who":"Ada"}"#);
}

#[test]
fn a_check_that_crashes_panics_or_hangs_refuses_the_build() {
    for (ask, code, word) in [("abort", "PLG082", "SIGABRT"), ("panic", "PLG080", "in the middle of it"), ("hang", "PLG081", "ended")] {
        let (site, first) = site_in("runner");
        let id = later(&site, &json!({"ask": ask})).expect("stored");
        turn(&site, "runner", "named");
        let why = refused(&site, code);
        assert!(why.to_string().contains(word), "{ask}: {why}");
        assert_eq!(site.view("fx-first").expect("there").generation, first.generation);
        later(&site, &json!({})).expect("one schema is in force");
        assert_eq!(state(&site, id).0, EventState::Scheduled);
        site.until("fx-first", "left alone", |v| v.generations.iter().all(|g| g.state != "abandoned, ending"));
    }
}

#[test]
fn what_is_scheduled_during_a_check_fits_both_builds() {
    for placement in ["runner", "in-process"] {
        let (site, first) = site_in(placement);
        let gate = site.dir.path().join("gate");
        later(&site, &json!({"ask": gate, "who": "Ada"})).expect("stored");
        turn(&site, placement, "named");
        until("the check to begin", || site.registry.now().types["fx.say"].coming.is_some().then_some(()));
        let why = later(&site, &json!({"gate": null})).expect_err("no name");
        assert!(why.code == "INP002" && why.message.contains("a new build of plugin `fx-first` is being loaded"), "{why}");
        assert_eq!(later(&site, &json!({"name": "x", "gate": 7})).expect_err("the old build would not read it").code, "INP002");
        let both = later(&site, &json!({"name": "x"})).expect("fits both");
        // What serves is not disturbed.
        let id = site.schedule("fx.say", &json!({"name": "x"})).id;
        assert_eq!(site.said(id).0.as_deref(), Some("\"hello\""));
        assert_eq!(site.view("fx-first").expect("there").generation, first.generation);
        fs::write(&gate, "").expect("opened");
        site.newer(&first);
        assert!(site.registry.now().types["fx.say"].coming.is_none());
        assert_eq!(state(&site, both).0, EventState::Scheduled);
    }
}

#[test]
fn what_was_judged_before_a_check_and_is_stored_during_it_is_seen() {
    let (site, first) = site_in("runner");
    let judged_by = site.registry.now();
    let type_id = judged_by.types["fx.say"].id;
    turn(&site, "runner", "named");
    until("the check to begin", || site.registry.now().types["fx.say"].coming.is_some().then_some(()));
    // As intake does it: the snapshot is held until the event is stored.
    let wish = json!({"event_type": "fx.say", "schedule": {"manual": true}});
    let wish: NewEvent = serde_json::from_str(&wish.to_string()).expect("an event");
    let late = sexton_store::rows::Intention { id: EventId(1), type_id, wish, first: None, standing_of: None };
    let lease = site.lease.clone();
    site.store.schedule(&lease, &[late], &who(), Utc::now()).expect("stored");
    drop(judged_by);
    let why = refused(&site, "PLG080");
    assert!(why.found.expect("named").contains(&EventId(1).to_string()));
    assert_eq!(site.view("fx-first").expect("there").generation, first.generation);
}

#[test]
fn a_standing_event_that_is_declared_anew_is_no_obstacle() {
    let site = Site::new();
    site.settings("libfx", &json!({"standing": "fx.say"}));
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    site.put("libfx.so", &library_named(""));
    site.newer(&first);
    let filter = sexton_store::rows::EventFilter { key: Some("always".to_owned()), ..Default::default() };
    let events = site.store.events(&filter, &Page { before: None, limit: 10 }).expect("events");
    assert_eq!(events.iter().map(|e| e.wish.args.get()).collect::<Vec<_>>(), [r#"{"name":"x"}"#]);
}

#[test]
fn a_host_that_stops_during_a_check_stops() {
    let (site, _) = site_in("runner");
    later(&site, &json!({"ask": "hang"})).expect("stored");
    turn(&site, "runner", "named");
    until("the check to begin", || site.registry.now().types["fx.say"].coming.is_some().then_some(()));
    let asked = Instant::now();
    site.supervisor.stop(Duration::from_millis(500));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
