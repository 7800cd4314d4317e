//! A disk without space: an error, nothing half stored, and on again when there is space.

use super::super::Sqlite;
use crate::conformance::Ground;
use crate::conformance::ground::{at, once, tester};
use crate::rows::Intention;
use crate::{ErrorKind, Store};
use sexton_core::decide::End;
use sexton_core::{EventId, EventState};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const BATCH: usize = 50;

fn batch(ground: &Ground) -> Vec<Intention> {
    (0..BATCH).map(|_| ground.intention(sexton_core::NewEvent { description: Some("x".repeat(400)), ..once(10) })).collect()
}

/// Schedules batches until there is no space; answers the ids acknowledged.
fn fill(ground: &Ground) -> Vec<EventId> {
    let mut acknowledged = Vec::new();
    for _ in 0..10_000 {
        let batch = batch(ground);
        match ground.store.schedule(&ground.lease, &batch, &tester(), at(0)) {
            Ok(_) => acknowledged.extend(batch.iter().map(|intention| intention.id)),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Full, "{error}");
                assert!(error.is_retryable());
                return acknowledged;
            }
        }
    }
    panic!("the disk never filled");
}

/// Fills, looks, makes space, goes on.
fn exercise(ground: &Ground, make_space: impl FnOnce()) {
    let acknowledged = fill(ground);
    assert!(acknowledged.len() > BATCH, "some fitted: {}", acknowledged.len());
    let stored: Vec<EventId> = ground.events().into_iter().map(|event| event.id).rev().collect();
    assert_eq!(stored, acknowledged[..stored.len()], "in order");
    assert_eq!(stored.len(), acknowledged.len().min(10_000), "what was acknowledged is there, and nothing of what was refused");
    ground.check_counts();
    make_space();
    let more = batch(ground);
    ground.store.schedule(&ground.lease, &more, &tester(), at(0)).unwrap();
    let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(10), 3).unwrap();
    assert_eq!(claimed.len(), 3);
    let settled = ground.settle(&claimed[0], End::Succeeded, 11);
    assert_eq!(settled.state, EventState::Completed);
    ground.check_counts();
}

/// Mounts a small file system for the test, if that is allowed here.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0).status().unwrap();
    }
}

#[test]
fn a_full_disk_is_an_error_and_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(dir.path()) else {
        eprintln!("a_full_disk: no file system can be mounted here; the page limit alone shows it");
        return a_page_limit(dir.path());
    };
    eprintln!("a_full_disk: on a file system of 6 MiB");
    let ballast = dir.path().join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let ground = Ground::on(Arc::new(Sqlite::open(&dir.path().join("s.db")).unwrap()));
    exercise(&ground, || fs::remove_file(&ballast).unwrap());
    ground.store.close();
    drop(ground);
    drop(small);
}

#[test]
fn a_page_limit_is_a_full_disk() {
    a_page_limit(tempfile::tempdir().unwrap().path());
}

fn a_page_limit(dir: &Path) {
    let store = Arc::new(Sqlite::open(&dir.join("limited.db")).unwrap());
    let limit =
        |pages: i64| store.writer.call(0, move |tx| Ok(tx.conn.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?)).unwrap();
    limit(300);
    let ground = Ground::on(Arc::clone(&store) as Arc<dyn Store>);
    exercise(&ground, || limit(10_000));
}
