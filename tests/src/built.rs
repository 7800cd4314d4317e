//! Where the built things are: the binary, the plugins, the fixtures; building them when nobody has.
//!
//! Not a build system: cargo is asked once per test run. What must hold: everything comes from the directory and profile of the test
//! executable itself, so that no test ever runs yesterday's host.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `sexton` binary.
#[must_use]
pub fn binary() -> PathBuf {
    ensure_built();
    profile_dir().join("sexton")
}

/// A plugin of `plugins/` (`start_resource`) or a fixture of `tests/fixtures` (`fx_witness`).
#[must_use]
pub fn library(stem: &str) -> PathBuf {
    ensure_built();
    let folder = if stem.starts_with("fx_") { profile_dir().join("examples") } else { profile_dir() };
    folder.join(format!("lib{stem}.so"))
}

/// `target/debug`, wherever it is: two above the test executable.
#[must_use]
pub fn profile_dir() -> PathBuf {
    let executable = std::env::current_exe().expect("a running test has an executable");
    let deps = executable.parent().expect("an executable lies in a folder");
    deps.parent().expect("cargo puts tests into <profile>/deps").to_owned()
}

/// The root of the clone.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_owned()
}

/// Builds host, plugins and fixtures unless `tests/run` has (`SEXTON_TESTS_BUILT`) or another test of the same nextest run has.
fn ensure_built() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os("SEXTON_TESTS_BUILT").is_none() {
            build_once();
        }
    });
}

fn build_once() {
    let profile_dir = profile_dir();
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("process {}", std::process::id()));
    let path = profile_dir.join("sexton-tests.built");
    let mut stamp = File::options().read(true).write(true).create(true).truncate(false).open(&path).expect("the target directory is ours");
    flock(&stamp, FlockOperation::LockExclusive).expect("a local file can be locked");
    let mut of_run = String::new();
    stamp.read_to_string(&mut of_run).expect("the stamp is text");
    if of_run == run {
        return;
    }
    let target_dir = profile_dir.parent().expect("a profile lies in the target directory");
    let profile = profile_dir.file_name().and_then(|name| name.to_str()).expect("profile names are text");
    let output = Command::new(env!("CARGO"))
        .current_dir(repository())
        .args(["build", "--workspace", "--lib", "--bins", "--examples", "--locked", "--profile"])
        .arg(if profile == "debug" { "dev" } else { profile })
        .arg("--target-dir")
        .arg(target_dir)
        .output()
        .expect("cargo built this test, so it is there");
    assert!(output.status.success(), "host, plugins and fixtures do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    stamp.set_len(0).and_then(|()| stamp.rewind()).and_then(|()| stamp.write_all(run.as_bytes())).expect("the stamp can be written");
}
