//! The supervisor's tables driven by hand, for what no operator can bring about at will: a directory that cannot be read, an image that lingers.

use super::*;
use crate::supervisor::state::Retiring;
use sexton_loader::seam::{Farewell, Memory, Report};
use sexton_store::rows::Decision;

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
            placement: crate::registry::Placement::Runner,
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
