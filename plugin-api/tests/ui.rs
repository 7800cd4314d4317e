//! What the compiler says to authors: a plugin of one dependency compiles and loads; misuse of the macros is answered in sentences.
//!
//! Not a test of rustc's own words beyond those. What must hold: `tests/ui/*.stderr` is what an author reads. `SEXTON_BLESS=1` rewrites them.

mod compiler;
mod recording;

use recording::Recording;
use recording::image::{advertised, open, section};
use sexton_plugin_api::wire::Identity;
use std::path::{Path, PathBuf};

fn source(name: &str) -> PathBuf {
    Path::new("tests/ui").join(format!("{name}.rs"))
}

/// Compiles a plugin; answers its file.
fn library(name: &str, package: &str) -> PathBuf {
    let folder = compiler::profile_dir().join("ui");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let file = folder.join(format!("lib{name}.so"));
    let output = compiler::rustc(&source(name), package, &["-o", file.to_str().expect("a path of text"), "-D", "warnings"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

#[test]
fn a_whole_plugin_needs_no_other_crate() {
    let file = library("whole_plugin", "sexton-plugin-start-resource");
    let identity = section(&file, ".sexton.identity").expect("there is an identity");
    let identity: Identity = sexton_plugin_api::serde_json::from_slice(&identity).expect("an identity");
    assert_eq!((identity.plugin.as_str(), identity.version.as_str()), ("start-resource", "1.2.3"), "the package's name without its prefix");
    assert_eq!(advertised(&file), ["acme.start_resource"]);
    let image = open(&file);
    let (host, batch) = Recording::loaded(image.root);
    assert_eq!(batch.types[0].args_schema["properties"]["wait"]["default"], false);
    assert_eq!(batch.types[0].args_schema["description"], "Starts every resource of the event.");
    host.unload().expect("unload");
}

#[test]
fn the_static_form_in_a_plugin_is_refused_at_load() {
    let image = open(&library("static_form_in_plugin", "static-form"));
    let failure = Recording::of(image.root).load().expect_err("refused");
    assert_eq!(failure.kind, "error");
    assert!(
        failure.message.starts_with("`acme.noop` is registered on ScheduledEventManager, which is for types built into the host"),
        "{failure:?}"
    );
}

#[test]
fn the_page_for_authors_compiles() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/docs/write-a-plugin.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [whole, each, schedule, action, test, migrate] = blocks.as_slice() else { panic!("the page has {} blocks of Rust", blocks.len()) };
    // What the page says in words around its fragments.
    let source = format!(
        "{whole}
        #[derive(Deserialize, JsonSchema)] struct GreetEach {{}}
        fn send(_mail: &str, _key: &str) -> JobResult {{ Ok(()) }}
        {each}
        pub fn follow_up(cx: &JobContext) -> JobResult {{ {schedule} cx.output(&ids) }}
        {action}
        #[cfg(test)] mod tests {{
            use super::*;
            use sexton_plugin_api::{{testing::TestHost, wire::JobEnd}};
            {test}
        }}
        pub struct Older;
        impl Older {{ pub {migrate} }}"
    );
    let folder = compiler::profile_dir().join("ui");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let file = folder.join("page.rs");
    std::fs::write(&file, source).expect("the target directory can be written");
    for arguments in [&["--emit", "metadata"] as &[&str], &["--emit", "metadata", "--test"]] {
        let target = folder.join("page.rmeta");
        let output = compiler::rustc(&file, "sexton-plugin-greeter", &[arguments, &["-o", target.to_str().expect("text")]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn misuse_is_answered_in_sentences() {
    let bless = std::env::var_os("SEXTON_BLESS").is_some();
    let mut differing = Vec::new();
    for name in ["event_misuse", "action_misuse", "plugin_misuse", "missing_parts"] {
        let output = compiler::rustc(&source(name), "ui", &["--emit", "metadata", "-o", "/dev/null"]);
        assert!(!output.status.success(), "{name} must not compile");
        let found = plain(&String::from_utf8_lossy(&output.stderr));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui").join(format!("{name}.stderr"));
        if bless {
            std::fs::write(&file, &found).expect("the folder can be written");
        }
        if found != std::fs::read_to_string(&file).unwrap_or_default() {
            differing.push(format!("--- {name}\n{found}"));
        }
    }
    assert!(differing.is_empty(), "the messages differ from tests/ui/*.stderr; SEXTON_BLESS=1 rewrites them\n{}", differing.join("\n"));
}

/// Errors and their places. What points into this crate's own source, and rustc's hints, change with either and are left out.
fn plain(stderr: &str) -> String {
    let kept = stderr.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("error") && !line.starts_with("error: aborting")
            || line.starts_with("--> tests/ui/")
            || line.starts_with("= note: implement")
    });
    kept.fold(String::new(), |text, line| text + line.trim_start() + "\n")
}
