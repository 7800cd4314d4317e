//! The first thing a newcomer runs.
//!
//! Not its wording. What must hold: `sexton demo` ends 0, having run every event, with no host and no state directory of ours.

use sexton_tests::{binary, library};
use std::process::Command;

#[test]
fn the_demo_ends_well_alone() {
    for plugin in ["start_resource", "shell", "http"] {
        assert!(library(plugin).exists(), "the demo takes its plugins from beside the binary");
    }
    let home = tempfile::tempdir().expect("there is room for temporary files");
    let mut command = Command::new(binary());
    command
        .arg("demo")
        .env("NO_COLOR", "1")
        .env("HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .env_remove("SEXTON_HOST")
        .current_dir(home.path());
    let output = command.output().expect("the binary is built");
    let said = sexton_tests::Said::new("demo".to_owned(), &output).fine();
    for word in ["start_resource", "shell", "reject"] {
        assert!(said.stdout.contains(word), "nothing is said of `{word}`: {said}");
    }
    assert!(!said.stderr.contains("panicked"), "{said}");
    let left = std::fs::read_dir(home.path()).expect("ours").count();
    assert_eq!(left, 0, "the demo left something behind");
}
