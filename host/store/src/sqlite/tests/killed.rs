//! `kill -9` in the middle of a write loop: what was acknowledged is there.

use super::as_child;
use crate::Store;
use crate::conformance::Ground;
use crate::conformance::ground::{at, once, tester};
use crate::rows::EventFilter;
use crate::rows::Page;
use crate::sqlite::Sqlite;
use rusqlite::Connection;
use sexton_core::EventId;
use sexton_core::decide::End;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const ROUNDS: usize = 6;

/// Schedules and settles from four threads for ever, saying each id after it was acknowledged, in one write each.
fn child(path: &Path) {
    let ground = Ground::on(Arc::new(Sqlite::open(path).unwrap()));
    ground.store.recover(&ground.lease, &[], at(0)).unwrap();
    let ground = &ground;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                loop {
                    let pair = [ground.intention(once(1)), ground.intention(once(1_000_000))];
                    ground.store.schedule(&ground.lease, &pair, &tester(), at(0)).unwrap();
                    say(&format!("stored {} {}\n", pair[0].id, pair[1].id));
                    for occurrence in ground.store.claim(&ground.lease, &[ground.bell], at(1), 1).unwrap() {
                        ground.settle(&occurrence, End::Succeeded, 2);
                        say(&format!("settled {}\n", occurrence.id.event));
                    }
                }
            });
        }
    });
}

fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    if let Some(path) = as_child("SEXTON_STORE_KILLED") {
        return child(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let (mut stored, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::tests::killed::kill_9_loses_nothing_that_was_acknowledged", "--nocapture"])
            .env("SEXTON_STORE_KILLED", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut heard = 0;
        let mut hear = |line: String| {
            let mut words = line.split(' ');
            let into = match words.next() {
                Some("stored") => &mut stored,
                Some("settled") => &mut settled,
                _ => return 0,
            };
            into.extend(words.map(|id| id.parse::<EventId>().unwrap()));
            1
        };
        while heard < 20 + 37 * round {
            heard += hear(lines.next().expect("the child writes until it is killed").unwrap());
        }
        child.kill().unwrap();
        // What it had said before it died counts too; a last line may be cut short.
        for line in lines.map_while(Result::ok).filter(|line| line.split(' ').skip(1).all(|id| id.len() == 13)) {
            hear(line);
        }
        assert!(!child.wait().unwrap().success());
        check(&path, &stored, &settled);
    }
    assert!(stored.len() > 100 && settled.len() > 50, "{} stored, {} settled", stored.len(), settled.len());
}

fn check(path: &Path, stored: &BTreeSet<EventId>, settled: &BTreeSet<EventId>) {
    let store = Sqlite::open(path).unwrap();
    let events = store.events(&EventFilter::default(), &Page { before: None, limit: 1_000_000 }).unwrap();
    let there: BTreeSet<EventId> = events.iter().map(|event| event.id).collect();
    assert!(stored.is_subset(&there), "lost: {:?}", stored.difference(&there).collect::<Vec<_>>());
    let ended: BTreeSet<EventId> = events.iter().filter(|event| event.finished_at.is_some()).map(|event| event.id).collect();
    assert!(settled.is_subset(&ended), "unsettled: {:?}", settled.difference(&ended).collect::<Vec<_>>());
    assert_eq!(there.len() % 2, 0, "a pair is stored whole or not at all");
    drop(store);
    let outside = Connection::open(path).unwrap();
    let sound: String = outside.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "tables and indexes agree");
    let open: i64 = outside.query_row("SELECT count(*) FROM events WHERE state = 0", [], |row| row.get(0)).unwrap();
    let (counted, runs, runs_counted): (i64, i64, i64) = outside
        .query_row(
            "SELECT (SELECT sum(n) FROM counters WHERE kind = 0), (SELECT count(*) FROM runs), (SELECT sum(n) FROM counters WHERE kind = 6)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((counted, runs_counted), (open, runs), "the counters were committed with what they count");
}
