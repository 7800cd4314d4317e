//! What is rejected, and that nothing else changes.

use super::*;

fn rejection(view: &PluginView) -> Refusal {
    view.rejection.clone().expect("a rejection")
}

#[test]
fn a_load_that_fails_panics_or_hangs_changes_nothing() {
    let site = Site::with(|_| {}, Limits { load: Duration::from_millis(500), ..limits() });
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    for (how, code) in [("fail", "PLG015"), ("panic", "PLG016"), ("slow", "PLG036")] {
        site.settings("libfx", &json!({"load": how, "types": ["fx.say", "fx.more"]}));
        let view = site.until("fx-first", how, |v| v.rejection.as_ref().is_some_and(|r| r.code == code));
        assert_eq!((view.state, view.generation, view.event_types.len()), (PluginState::Active, first.generation, 1), "{how}");
        assert!(!site.registry.now().types.contains_key("fx.more"), "{how}");
        let refused = site.supervisor.reload("fx-first", &who()).expect_err(how);
        assert_eq!(refused.code, code);
    }
    fs::remove_file(site.path("libfx.toml")).expect("removed");
    let healed = site.until("fx-first", "healed", |v| v.rejection.is_none());
    assert_eq!(healed.generation, first.generation, "the same code with the same settings serves already");
    until("all but the serving copy to be gone", || {
        (fs::read_dir(site.dir.path().join("generations")).expect("read").count() == 1).then_some(())
    });
}

#[test]
fn a_batch_that_breaks_a_rule_is_refused_whole() {
    let site = Site::new();
    for (types, standing, code) in [(json!(["fx.say", "sexton.mine"]), None, "PLG032"), (json!(["fx.say"]), Some("fx.elsewhere"), "PLG040")]
    {
        let mut wishes = json!({ "types": types });
        if let Some(standing) = standing {
            wishes["standing"] = json!(standing);
        }
        site.settings("libfx", &wishes);
        site.put("libfx.so", &library(code));
        let view = site.until("fx-first", code, |v| v.rejection.is_some());
        let refusal = rejection(&view);
        // The plugin's own wrapper may see the fault first: then `load` failed.
        assert!(refusal.code == code || refusal.code == "PLG015", "{refusal}");
        assert_eq!(view.state, PluginState::Rejected);
        assert!(!site.registry.now().types.contains_key("fx.say"));
        fs::remove_file(site.path("libfx.so")).expect("removed");
        until("its row to go", || site.view("fx-first").is_none().then_some(()));
    }
}

#[test]
fn a_second_file_of_a_name_waits_for_the_first_to_go() {
    let site = Site::new();
    site.put("liba.so", &library(""));
    let first = site.active("fx-first");
    site.put("libb.so", &library("x"));
    let second = site.until("libb", "rejected", |v| v.rejection.is_some());
    let refusal = rejection(&second);
    assert!(refusal.code == "PLG030" && refusal.message.contains("liba.so") && refusal.message.contains("libb.so"), "{refusal}");
    assert_eq!(site.view("fx-first").expect("there").generation, first.generation);
    fs::remove_file(site.path("liba.so")).expect("removed");
    let taken = site.until("fx-first", "taken over", |v| v.generation > first.generation);
    assert_eq!(taken.path, Some(site.path("libb.so")));
    assert!(site.view("libb").is_none());
}

#[test]
fn of_two_files_the_one_that_served_last_holds_the_name_after_a_restart() {
    let site = Site::new();
    site.put("libz.so", &library("z"));
    let before = site.active("fx-first");
    let site = site.restart_after(|plugins| fs::write(plugins.join("liba.so"), library("a")).expect("written"));
    let after = site.active("fx-first");
    assert_eq!((after.digest, after.path), (before.digest, Some(site.path("libz.so"))));
}

#[test]
fn the_owner_of_a_type_is_remembered_whatever_loads_first() {
    let site = Site::new();
    site.put("libz.so", &library(""));
    site.active("fx-first");
    site.put("liba.so", &library_of("fx-other", ""));
    let refused = site.until("fx-other", "refused", |v| v.rejection.is_some());
    let refusal = rejection(&refused);
    assert!(refusal.code == "PLG031" && refusal.message.contains("fx-first") && refusal.message.contains("fx-other"), "{refusal}");
    let site = site.restart();
    site.active("fx-first");
    assert_eq!(rejection(&site.view("fx-other").expect("there")).code, "PLG031");
    assert_eq!(site.registry.now().types["fx.say"].owner.as_deref(), Some("fx-first"));
}

#[test]
fn ownership_ends_with_the_file_and_the_last_event() {
    let site = Site::new();
    site.put("libz.so", &library(""));
    site.active("fx-first");
    site.put("liba.so", &library_of("fx-other", ""));
    site.until("fx-other", "refused", |v| v.rejection.is_some());
    fs::remove_file(site.path("libz.so")).expect("removed");
    let other = site.active("fx-other");
    assert!(other.rejection.is_none());
    assert_eq!(site.registry.now().types["fx.say"].owner.as_deref(), Some("fx-other"));
}

#[test]
fn a_file_that_others_may_write_is_refused_until_it_is_not() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let mode = |mode| fs::set_permissions(site.path("libfx.so"), fs::Permissions::from_mode(mode)).expect("set");
    fs::write(site.path(".new"), library("")).expect("written");
    fs::set_permissions(site.path(".new"), fs::Permissions::from_mode(0o666)).expect("set");
    fs::rename(site.path(".new"), site.path("libfx.so")).expect("renamed");
    let refused = site.until("libfx", "refused", |v| v.rejection.is_some());
    assert_eq!(rejection(&refused).code, "PLG002");
    mode(0o644);
    let served = site.active("fx-first");
    rustix::fs::mknodat(rustix::fs::CWD, site.path("libfx.toml"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("a pipe");
    let refused = site.until("fx-first", "refused for its settings", |v| v.rejection.is_some());
    assert_eq!((rejection(&refused).code.as_str(), refused.generation), ("PLG001", served.generation));
    fs::remove_file(site.path("libfx.toml")).expect("removed");
    site.settings("libfx", &json!({"word": "mine"}));
    fs::set_permissions(site.path("libfx.toml"), fs::Permissions::from_mode(0o666)).expect("set");
    site.until("fx-first", "refused for who may write its settings", |v| v.rejection.as_ref().is_some_and(|r| r.code == "PLG002"));
}

#[test]
fn a_path_is_copied_in_whole_or_not_at_all() {
    let site = Site::new();
    let built = site.dir.path().join("libbuilt.so");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    fs::write(&built, "no library").expect("written");
    let refused = site.supervisor.load(&text(&built), &who()).expect_err("no library");
    assert_eq!(refused.code, "PLG003");
    assert_eq!(fs::read_dir(site.plugins()).expect("read").count(), 0);
    fs::write(&built, library("")).expect("written");
    let loaded = site.supervisor.load(&text(&built), &who()).expect("loaded");
    assert_eq!((loaded.state, loaded.path), (PluginState::Active, Some(site.path("libbuilt.so"))));
    let again = site.supervisor.load(&text(&built), &who()).expect("serves already");
    assert_eq!(again.generation, loaded.generation);
    let other = site.dir.path().join("libother.so");
    fs::write(&other, library("x")).expect("written");
    assert_eq!(site.supervisor.load(&text(&other), &who()).expect_err("the name is held").code, "PLG030");
    assert_eq!(site.supervisor.load("nobody", &who()).expect_err("no such").code, "INP013");
    assert_eq!(site.supervisor.load("libbuilt.so", &who()).expect_err("relative").code, "PLG001");
}

#[test]
fn a_new_path_that_is_refused_leaves_no_file_behind() {
    let site = Site::new();
    let source = site.dir.path().join("libfx.so");
    fs::write(&source, library("")).expect("written");
    let source = source.to_str().expect("text");
    for (how, code) in [("fail", "PLG015"), ("panic", "PLG016")] {
        site.settings("libfx", &json!({ "load": how }));
        assert_eq!(site.supervisor.load(source, &who()).expect_err(how).code, code);
        assert!(!site.path("libfx.so").exists(), "{how}: it is not tried again at the next start");
        assert!(site.supervisor.list().iter().all(|v| v.state != PluginState::Rejected), "{how}");
    }
    fs::remove_file(site.path("libfx.toml")).expect("removed");
    let first = site.supervisor.load(source, &who()).expect("loaded");
    // What stands in the place of an older file stays, for its author to look at; the older code serves on.
    site.settings("libfx", &json!({"load": "fail"}));
    fs::write(source, library("x")).expect("written");
    site.until("fx-first", "refused for its settings", |v| v.rejection.is_some());
    assert_eq!(site.supervisor.load(source, &who()).expect_err("fails").code, "PLG015");
    assert!(site.path("libfx.so").exists() && site.view("fx-first").expect("there").generation == first.generation);
}

#[test]
fn a_file_name_of_any_bytes_is_shown_in_one_line() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::new();
    for name in [&b"lib\nINFO all is well\x1b[31m.so"[..], &b"lib\xff.so"[..]] {
        let path = site.plugins().join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, "no library").expect("written");
        let view = until("its rejection", || site.supervisor.list().into_iter().find(|v| v.rejection.is_some()));
        let shown = serde_json::to_value(&view).expect("any name can be said");
        let path_shown = shown["path"].as_str().expect("text");
        let refusal = rejection(&view);
        for text in [path_shown, &view.name, &refusal.message] {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
        assert_eq!(site.supervisor.load(&view.name, &who()).expect_err("found by the name shown").code, "PLG003");
        fs::remove_file(&path).expect("removed");
        until("its row to go", || site.supervisor.list().is_empty().then_some(()));
    }
    site.put("libfx.so", &library(""));
    site.active("fx-first");
}
