//! SQLite under the conformance suite, in memory and in a file; and what only a file can show.

mod batches;
mod damaged;
mod file;
mod full;
mod killed;
mod limits;
mod migrated;
mod plans;

use crate::conformance;
use crate::sqlite::Sqlite;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable's value, if this process is a test run again as somebody's child.
fn as_child(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

#[test]
fn the_suite_holds_in_memory() {
    let ran = conformance::exercise(|| Arc::new(Sqlite::in_memory().unwrap()));
    assert!(ran > 50, "{ran} themes");
}

#[test]
fn the_suite_holds_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let number = AtomicU32::new(0);
    let ran = conformance::exercise(|| {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(Sqlite::open(&dir.path().join(name)).unwrap())
    });
    assert!(ran > 50, "{ran} themes");
}

#[test]
fn many_callers_share_few_commits_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&dir.path().join("s.db")).unwrap());
    let ground = conformance::Ground::on(Arc::clone(&store) as Arc<dyn crate::Store>);
    let before = store.commits();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..20 {
                    ground.schedule(conformance::ground::once(1));
                }
            });
        }
    });
    let commits = store.commits() - before;
    assert!(commits < 640, "{commits} commits for 640 callers");
    eprintln!("640 callers on 32 threads: {commits} commits");
}
