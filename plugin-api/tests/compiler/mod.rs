//! The compiler alone, without cargo: sources that may name `sexton_plugin_api` and no other crate.
//!
//! Not a build of the workspace. What must hold: the library that the sources are compiled against is the one cargo has for this test.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The directory of the profile that this test was built in, e.g. `target/debug`.
pub fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    test.ancestors().nth(2).expect("tests lie in <profile>/deps").to_owned()
}

/// `cargo build` of something of this package, in the profile and target directory of this test.
pub fn cargo_build(what: &[&str]) {
    let profile = profile_dir();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "-p", "sexton-plugin-api"]).args(what);
    cargo.arg("--target-dir").arg(profile.parent().expect("the profile lies in the target directory"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The library of this crate. Features can make several of it; whichever cargo made last is of the present sources, as cargo brought
/// the one that this test links up to date before starting it.
fn library() -> PathBuf {
    let made = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
    let files = std::fs::read_dir(profile_dir().join("deps")).expect("the directory of this test can be read");
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libsexton_plugin_api-") && name.ends_with(".rlib")
    };
    files.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ours).max_by_key(made).expect("cargo has built the library")
}

/// Runs rustc on `source`. The package is called `package`, version 1.2.3.
pub fn rustc(source: &Path, package: &str, arguments: &[&str]) -> Output {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let deps = profile_dir().join("deps");
    let mut command = Command::new(rustc);
    command.args(["--edition", "2024", "--crate-type", "cdylib", "--color", "never"]).args(arguments);
    command.arg("--extern").arg(format!("sexton_plugin_api={}", library().display()));
    command.arg("-L").arg(format!("dependency={}", deps.display()));
    command.env("CARGO_PKG_NAME", package).env("CARGO_PKG_VERSION", "1.2.3").current_dir(env!("CARGO_MANIFEST_DIR"));
    command.arg(source).output().expect("rustc runs")
}
