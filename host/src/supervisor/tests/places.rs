//! Plugins that are moved from one placement to the other.

use super::*;

fn text(site: &Site) -> Option<String> {
    fs::read_to_string(site.path("libfx.toml")).ok()
}

#[test]
fn a_plugin_is_moved_and_its_file_says_so() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    assert_eq!(first.placement, Placement::Runner);
    let here = site.supervisor.place("fx-first", Placement::InProcess, &who()).expect("moved");
    assert!(here.placement == Placement::InProcess && here.generation > first.generation && here.digest == first.digest);
    assert_eq!(text(&site).as_deref(), Some("placement = \"in-process\"\n"));
    site.said(site.schedule("fx.say", &json!({})).id);
    let again = site.supervisor.place("fx-first", Placement::InProcess, &who()).expect("there already");
    assert_eq!(again.generation, here.generation);
    let back = site.supervisor.place("fx-first", Placement::Runner, &who()).expect("moved back");
    assert_eq!((back.placement, text(&site).as_deref()), (Placement::Runner, Some("placement = \"runner\"\n")));
    let detail = &site.audited("plugin.place")[0].detail;
    assert_eq!((&detail["placement_from"], &detail["placement"]), (&json!("in-process"), &json!("runner")));
    assert_eq!(site.supervisor.place("nobody", Placement::Runner, &who()).expect_err("nobody").code, "INP013");
}

#[test]
fn what_is_refused_leaves_the_file_as_it_was() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let before = "# mine\nrun_as = \"nobody\"\n";
    fs::write(site.path("libfx.toml"), before).expect("written");
    assert_eq!(site.supervisor.place("fx-first", Placement::InProcess, &who()).expect_err("binds nothing there").code, "PLG038");
    assert_eq!(text(&site).as_deref(), Some(before));
    site.settings("libfx", &json!({"load": "fail"}));
    let before = text(&site);
    assert_eq!(site.supervisor.place("fx-first", Placement::InProcess, &who()).expect_err("its `load` fails").code, "PLG015");
    assert_eq!(text(&site), before);
    let view = site.active("fx-first");
    assert_eq!((view.placement, view.digest), (Placement::Runner, first.digest));
}

#[test]
fn an_unloaded_plugin_stays_so_and_comes_back_where_it_was_placed() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    site.active("fx-first");
    site.supervisor.unload("fx-first", UnloadMode::Wait, Duration::from_secs(5), &who()).expect("unloaded");
    let placed = site.supervisor.place("fx-first", Placement::InProcess, &who()).expect("written");
    assert_eq!(placed.state, PluginState::Unloaded);
    let loaded = site.supervisor.load("fx-first", &who()).expect("loaded");
    assert_eq!(loaded.placement, Placement::InProcess);
}

#[test]
fn a_build_that_took_a_host_down_is_trusted_again_by_placing_it() {
    let site = Site::new();
    site.put("libfx.so", &library(""));
    let first = site.active("fx-first");
    let crash = sexton_store::rows::Crash {
        plugin: "fx-first".to_owned(),
        digest: first.digest.clone().expect("serves"),
        generation: 1,
        placement: Placement::InProcess.name().to_owned(),
        cause: "signal 11".to_owned(),
        at: Utc::now(),
    };
    site.store.crashed(&crash).expect("remembered");
    fs::write(site.path("libfx.toml"), "placement = \"in-process\"\n").expect("written");
    let distrusted = site.newer(&first);
    assert_eq!(distrusted.placement, Placement::Runner);
    let trusted = site.supervisor.place("fx-first", Placement::InProcess, &who()).expect("moved");
    assert_eq!(trusted.placement, Placement::InProcess);
}
