//! The plugins of the page and of the page on plugins, written from the page alone, in a folder outside the workspace.
//!
//! Not a style check. What must hold: a page's blocks, as they stand, are a plugin that builds, drops in, and runs with the arguments that the page gives.

use serde_json::json;
use sexton_tests::{Build, HostProcess, Placement, SOON, Site, Way, in_millis, profile_dir, repository, until};
use std::fs;
use std::process::Command;

/// The fenced blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            None if line.trim_end() == fence => open = Some(String::new()),
            None => {}
            Some(_) if line.trim_end() == "```" => found.extend(open.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    found
}

/// The first string literal after `before`.
fn quoted_after<'a>(text: &'a str, before: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("the page's plugin has no `{before}`")).1;
    rest.split('"').nth(1).expect("a string literal follows")
}

#[test]
fn the_readmes_plugin_builds_drops_in_and_runs_alone() {
    from_page("README.md");
}

#[test]
fn the_plugin_pages_plugin_builds_drops_in_and_runs_alone() {
    from_page("host/docs/write-a-plugin.md");
}

fn from_page(page: &str) {
    let text = fs::read_to_string(repository().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
    let source = blocks(&text, "rust").into_iter().find(|block| block.contains("#[plugin")).expect("the page shows a plugin");
    let event_type = quoted_after(&source, "#[scheduled_event(").to_owned();
    let library = build(&text, &source);

    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    site.plugins.put("mine", &library, Way::Copy);
    until("its type is served", SOON, || {
        let said = site.sexton(&["event-type", "show", &event_type, "--output", "json"]);
        (said.code == Some(0)).then_some(())
    });
    let wish = json!({"event_type": event_type, "schedule": {"once": in_millis(0)}, "args": arguments(&text, &event_type)});
    let run = site.run_of(&site.schedule(&wish));
    assert_eq!(run["outcome"], "succeeded", "{run}");
}

/// Builds the page's plugin in a folder of its own, without the network.
fn build(page: &str, source: &str) -> Build {
    let manifest =
        blocks(page, "toml").into_iter().find(|block| block.contains("cdylib")).expect("the page shows a Cargo.toml with `cdylib`");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    // The one thing that depends on where the reader has put the clone.
    let (path, api) = (quoted_after(&manifest, "path =").to_owned(), repository().join("plugin-api"));
    assert!(path.ends_with("plugin-api"), "the page's path to the API is `{path}`");
    fs::create_dir(folder.path().join("src")).expect("ours");
    fs::write(folder.path().join("Cargo.toml"), manifest.replace(&path, api.to_str().expect("text"))).expect("ours");
    fs::write(folder.path().join("src/lib.rs"), source).expect("ours");
    fs::copy(repository().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("ours");
    // Kept beside the tests, so that the pages share their dependencies.
    let target = profile_dir().join("plugins-of-pages");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline"]).current_dir(folder.path()).env("CARGO_TARGET_DIR", &target);
    let output = cargo.output().expect("cargo built this test, so it is there");
    assert!(output.status.success(), "the page's plugin does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    let name = manifest
        .split_once("[lib]")
        .map_or_else(|| quoted_after(&manifest, "name =").replace('-', "_"), |(_, lib)| quoted_after(lib, "name =").to_owned());
    Build::read(&target.join(format!("debug/lib{name}.so")))
}

/// The arguments with which the page schedules its own event type.
fn arguments(page: &str, event_type: &str) -> serde_json::Value {
    let line = page.lines().find(|line| line.contains("event schedule") && line.contains(event_type));
    let line = line.unwrap_or_else(|| panic!("the page does not schedule `{event_type}`"));
    let Some((_, rest)) = line.split_once("--args '") else { return json!({}) };
    let text = rest.split_once('\'').expect("the quotes of --args are closed").0;
    serde_json::from_str(text).unwrap_or_else(|e| panic!("the page's --args are no JSON: {e}: {text}"))
}
