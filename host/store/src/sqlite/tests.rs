//! SQLite under the conformance suite, in memory and in a file.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::conformance;
use crate::sqlite::Sqlite;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn the_suite_holds_in_memory() {
    let ran = conformance::exercise(|| Arc::new(Sqlite::in_memory().unwrap()));
    assert_eq!(ran, conformance::THEMES.iter().map(|themes| themes.len()).sum::<usize>());
}

#[test]
fn the_suite_holds_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let number = AtomicU32::new(0);
    conformance::exercise(|| {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(Sqlite::open(&dir.path().join(name)).unwrap())
    });
}
