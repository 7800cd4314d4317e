//! Files that are only looked at.

use super::*;

/// Files of the host's own directory of copies.
fn copies(site: &Site) -> usize {
    fs::read_dir(site.dir.path().join("generations")).expect("read").count()
}

fn later(site: &Site, args: &Value) -> EventId {
    let wish = json!({"event_type": "fx.say", "args": args, "schedule": {"manual": true}});
    let wish: NewEvent = serde_json::from_str(&wish.to_string()).expect("an event");
    site.engine.schedule(vec![wish], &who()).expect("accepted").remove(0).id
}

#[test]
fn what_a_file_would_change_is_said_and_nothing_is_changed() {
    let site = Site::new();
    site.settings("libfx", &json!({"standing": "fx.say"}));
    site.put("libfx.so", &library(""));
    let before = site.active("fx-first");
    let file = site.dir.path().join("libnew.so");
    fs::write(&file, library("x")).expect("written");
    let same = site.supervisor.diff(&file).expect("looked at");
    assert!(same.plugin == "fx-first" && same.types_changed.is_empty() && same.standing_changed.is_empty() && same.events_checked == 0);
    let (old, new) = (same.before.expect("serves"), same.after);
    assert_eq!((Some(&old.digest), old.generation), (before.digest.as_ref(), before.generation));
    assert!(new.digest != old.digest && new.generation.is_none() && new.rustc == old.rustc);
    let (bad, good) = (later(&site, &json!({})), later(&site, &json!({"who": "Ada"})));
    fs::write(&file, library_named("")).expect("written");
    let other = site.supervisor.diff(&file).expect("looked at");
    assert_eq!((other.types_changed.len(), other.types_changed[0].event_type.as_str()), (1, "fx.say"));
    assert!(other.types_changed[0].differences.iter().any(|line| line == "`/name` is new: string, required"), "{:?}", other.types_changed);
    assert_eq!(other.standing_changed, ["fx.say always"]);
    // The standing one among the checked is declared anew.
    assert_eq!((other.events_checked, other.events_refused, other.refused[0].event), (3, 1, bad));
    assert!(site.store.event(good).expect("read").expect("there").reason.is_none());
    assert_eq!(site.registry.now().types["fx.say"].args_schema["required"], Value::Null);
    assert!(site.registry.now().types["fx.say"].coming.is_none());
    until("the copies to be gone", || (copies(&site) == 1).then_some(()));
    assert_eq!(
        site.store.generations("fx-first", 10).expect("read").len(),
        usize::try_from(before.generation.expect("serves")).expect("few")
    );
}

#[test]
fn a_file_that_would_be_refused_is_refused_and_leaves_nothing() {
    let site = Site::new();
    let file = site.dir.path().join("libnew.so");
    fs::write(&file, "no library").expect("written");
    assert_eq!(site.supervisor.diff(&file).expect_err("text").code, "PLG003");
    assert_eq!(site.supervisor.diff(Path::new("/nowhere/libx.so")).expect_err("none").code, "PLG001");
    fs::write(&file, library("")).expect("written");
    site.settings("libnew", &json!({"load": "fail"}));
    assert_eq!(site.supervisor.diff(&file).expect_err("its `load` fails").code, "PLG015");
    fs::remove_file(site.path("libnew.toml")).expect("removed");
    let fresh = site.supervisor.diff(&file).expect("looked at");
    assert!(fresh.before.is_none() && fresh.types_added == ["fx.say"]);
    until("all traces to be gone", || (copies(&site) == 0).then_some(()));
    assert!(site.supervisor.list().is_empty(), "it is nobody's plugin");
}

#[test]
fn a_look_that_crashes_or_hangs_is_answered() {
    let limits = Limits { load: Duration::from_secs(2), check: Duration::from_secs(2), ..Limits::default() };
    let site = Site::with(|_| {}, limits);
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let file = site.dir.path().join("libnew.so");
    fs::write(&file, library_named("")).expect("written");
    for (ask, code) in [("abort", "PLG082"), ("hang", "PLG081")] {
        let id = later(&site, &json!({ "ask": ask }));
        assert_eq!(site.supervisor.diff(&file).expect_err(ask).code, code);
        site.engine.alter(id, sexton_store::rows::Change::Cancel, &who()).expect("cancelled");
    }
    let view = site.active("fx-first");
    assert!(view.generation == first.generation && view.rejection.is_none());
}
