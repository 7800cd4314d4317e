//! The supervisor's tables driven by hand, for what no operator can bring about at will: a directory that cannot be read, an image that lingers.

use super::*;
use crate::plugin_settings::PluginSettings;
use crate::registry::Serving;
use crate::supervisor::lives::{Active, Attempt, Process, Retiring};
use sexton_loader::seam::{Death, DeathKind, Farewell, Memory, Order, Report};
use sexton_store::rows::Decision;
use std::sync::mpsc::Receiver;

/// A keeper of its own on the store and directories of a site whose threads have ended.
fn keeper(site: &Site) -> Keeper {
    site.engine.stop(Duration::from_secs(5), Duration::from_secs(1));
    site.supervisor.stop(Duration::from_secs(10));
    let lease = site.store.attach("test", Utc::now()).expect("attached");
    let ground = Ground {
        store: Arc::clone(&site.store),
        lease,
        registry: Arc::clone(&site.registry),
        engine: site.engine.clone(),
        plugins: site.plugins(),
        generations: site.dir.path().join("generations"),
        rules: Rules::default(),
        runners: runners(),
        reports: channel().0,
    };
    Keeper::new(ground, limits(), Arc::clone(&site.supervisor.shared), channel().0).expect("a keeper")
}

fn decision(site: &Site) -> Option<Decision> {
    site.store.plugins().expect("rows").into_iter().find(|row| row.name == "fx-first").expect("known").decision
}

fn owns(site: &Site) -> bool {
    site.store.types().expect("types").iter().any(|row| row.owner.as_deref() == Some("fx-first"))
}

#[test]
fn a_directory_that_cannot_be_read_at_the_start_takes_no_decision_along() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    site.supervisor.unload("fx-first", UnloadMode::Wait, Duration::from_secs(20), &who()).expect("unloaded");
    let mut keeper = keeper(&site);
    let away = site.dir.path().join("away");
    fs::rename(site.plugins(), &away).expect("moved away");
    keeper.step();
    assert!(!keeper.surely_absent("fx-first") && keeper.forget_due);
    assert!(decision(&site).is_some() && owns(&site), "what cannot be seen is not gone");
    // Once it is seen, what is not in it is gone.
    fs::create_dir(site.plugins()).expect("made");
    keeper.look(Instant::now());
    keeper.step();
    assert!(!keeper.forget_due && decision(&site).is_none() && !owns(&site));
}

#[test]
fn the_copy_of_an_image_that_lingers_stays() {
    let site = Site::new();
    let mut keeper = keeper(&site);
    let generations = site.dir.path().join("generations");
    fs::create_dir_all(&generations).expect("made");
    let mut bury = |generation: i64, served: bool, memory: Memory| {
        let copy = generations.join(format!("fx-first.{generation}.d{generation}.so"));
        fs::write(&copy, "code").expect("written");
        let retiring = Retiring {
            overdue: None,
            process: true,
            stuck: false,
            plugin: "fx-first".to_owned(),
            digest: format!("d{generation}"),
            copy: Some(copy.clone()),
            orders: channel().0,
            served,
            since: Instant::now(),
            unloading: true,
        };
        keeper.retiring.insert(generation, retiring);
        keeper.take_report(Stamped { generation, report: Report::Gone(Farewell { memory, unload: None, death: None }) });
        copy
    };
    let lingering = || Memory::Lingering { why: "a thread of its own".to_owned() };
    let mapped = [bury(1, true, lingering()), bury(2, false, lingering())];
    let unmapped: Vec<PathBuf> = (3..=8).map(|n| bury(n, true, Memory::Unmapped)).collect();
    assert!(mapped.iter().all(|copy| copy.exists()), "still mapped");
    assert_eq!(unmapped.iter().filter(|copy| copy.exists()).count(), sweep::KEPT + 1, "of as many builds, as none serves");
}

/// A generation on its way in, as a process or as threads, whose orders nobody obeys.
fn attempt(process: bool) -> (Attempt, Receiver<Order>) {
    let (orders, kept) = channel();
    let attempt = Attempt {
        plugin: "fx-first".to_owned(),
        path: None,
        digest: "d".to_owned(),
        image: None,
        settings: PluginSettings::default(),
        // Of a probe, too, this is where its successor is to run.
        placement: Placement::InProcess,
        probe: process,
        process: process.then(|| Process { usage: Usage::default(), applied: Arc::default() }),
        orders,
        asker: Asker::watcher(),
        deadline: Instant::now(),
        offered: None,
        check: None,
        inquiry: None,
    };
    (attempt, kept)
}

/// A generation that serves, and whose process is dead.
fn dead() -> Active {
    let (attempt, _) = attempt(true);
    let serving = Serving {
        plugin: attempt.plugin,
        generation: 1,
        digest: attempt.digest,
        placement: Placement::Runner,
        orders: attempt.orders,
        run_time: None,
        output_max: 0,
        in_flight_max: 1,
        succeeded: false.into(),
    };
    let (types, actions, standing) = (Vec::new(), Vec::new(), Vec::new());
    Active { serving: Arc::new(serving), types, actions, standing, settings: attempt.settings, image: None, process: attempt.process }
}

fn is_killed(kept: &Receiver<Order>, why: DeathKind) -> bool {
    kept.try_iter().any(|order| matches!(order, Order::Kill(killing) if killing.kind == why))
}

#[test]
fn what_never_served_has_a_deadline_for_its_end() {
    let site = Site::new();
    let mut keeper = keeper(&site);
    let (probe, told) = attempt(true);
    keeper.dismiss(-1, &probe);
    let (refused, told_too) = attempt(true);
    keeper.await_end(2, &refused);
    let (threads, kept) = attempt(false);
    keeper.dismiss(3, &threads);
    keeper.end_overdue(Instant::now());
    assert!(!is_killed(&told, DeathKind::Deadline), "not before its time");
    let late = Instant::now() + keeper.limits.unload;
    keeper.end_overdue(late);
    assert!(is_killed(&told, DeathKind::Deadline) && is_killed(&told_too, DeathKind::Deadline));
    keeper.plugins.entry("fx-first".to_owned()).or_default();
    keeper.publish_views();
    let view = site.view("fx-first").expect("there");
    assert!(view.generations.iter().any(|g| g.generation == 3 && g.state.starts_with("lingering")), "{:?}", view.generations);
    assert!(!is_killed(&kept, DeathKind::Deadline), "threads cannot be");
    assert!(keeper.retiring[&3].stuck && keeper.retiring[&3].overdue.is_none());
    // Should it return after all, it is closed like any other.
    keeper.take_report(Stamped { generation: 3, report: Report::Quiescent });
    assert!(kept.try_iter().any(|order| matches!(order, Order::Unload)));
}

#[test]
fn a_process_that_died_unseen_is_waited_for_to_say_of_what() {
    let site = Site::new();
    let mut keeper = keeper(&site);
    keeper.retire("fx-first", dead());
    assert!(keeper.retiring.contains_key(&1), "its end is on its way");
    let death = Death { kind: DeathKind::Signal, cause: "signal 11 (SIGSEGV)".to_owned(), run: None };
    let farewell = Farewell { memory: Memory::Unmapped, unload: None, death: Some(death) };
    keeper.take_report(Stamped { generation: 1, report: Report::Gone(farewell) });
    assert_eq!(keeper.plugins["fx-first"].past.back().expect("gone").state, "died: signal 11 (SIGSEGV)");
    assert!(site.audited("plugin.retire")[0].detail["residue"].as_str().is_some_and(|r| r.contains("SIGSEGV")));
    // One that says nothing at all is not waited for without end.
    keeper.retire("fx-first", dead());
    let late = Instant::now() + keeper.limits.unload;
    keeper.end_overdue(late);
    assert!(keeper.retiring.is_empty());
}

#[test]
fn at_the_end_probes_are_killed_too_and_nothing_new_begins() {
    let site = Site::new();
    let mut keeper = keeper(&site);
    let (probe, told) = attempt(true);
    keeper.dismiss(-7, &probe);
    let (reply, stopped) = channel();
    keeper.take_message(Message::Stop { grace: Duration::ZERO, reply });
    let (reply, answer) = channel();
    let asker = Asker { reply: Some(reply), ..Asker::watcher() };
    keeper.take_message(Message::Verb(Verb { what: What::Load("fx-first".to_owned()), asker, expires: None, arrived: None }));
    assert_eq!(answer.recv().expect("answered").expect_err("stopping").code, problem::stopping().code);
    assert!(!keeper.stopped() && is_killed(&told, DeathKind::HostEnds));
    keeper.take_report(Stamped { generation: -7, report: Report::Gone(Farewell { memory: Memory::Unmapped, unload: None, death: None }) });
    assert!(keeper.stopped());
    stopped.recv().expect("told");
}
