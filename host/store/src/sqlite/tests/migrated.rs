//! A file of the first schema under this version: nothing of it is lost, and what is new works on what is old.
//!
//! Not the machinery of migrations: that is tested beside it. What must hold: the text of a schema that was once applied never changes.

use crate::Store;
use crate::conformance::Ground;
use crate::conformance::ground::{BELL, at, tester};
use crate::rows::{AuditFilter, Crash, RunEnd, RunLine, RunLog};
use crate::sqlite::{Sqlite, connection, migrations};
use rusqlite::Connection;
use sexton_core::decide::End;
use sexton_core::{EventId, EventState, OccurrenceId, Outcome};
use std::path::Path;

/// What a Sexton of the first schema left: a plugin with three generations (one ran, one is published, one was rejected), a recurring
/// event that ran once, a paused one, one that is completed, and the lines of its audit.
const OLD: &str = r#"
    INSERT INTO hosts VALUES (1, 'tower', 4, 0);
    UPDATE store SET epoch = 4;
    INSERT INTO event_types VALUES (1, 'acme.ring_bell', 'bells', '{}', 'x', NULL, 0), (2, 'acme.open_door', 'doors', '{}', 'x', NULL, 0);
    INSERT INTO plugins (name, generation) VALUES ('bells', 2), ('doors', NULL);
    INSERT INTO generations VALUES (1, 'bells', 'd1', 1000000), (2, 'bells', 'd2', 2000000), (3, 'bells', 'd3', 3000000),
                                   (4, 'doors', 'd1', 4000000);
    INSERT INTO builds VALUES (1, 'bells', 1, 'd1', 'in-process'), (2, 'others', 4, 'd1', 'in-process');
    INSERT INTO events (id, type, state, last_n, skipped, priority, created_at, updated_at, finished_at, schedule, args, created_by) VALUES
        (10, 1, 0, 2, 0, 0, 0, 0, NULL, '{"after": "60s"}', '{"strokes": 1}', 'cli:root'),
        (20, 2, 0, 1, 0, 0, 0, 0, NULL, '{"after": "60s"}', '{"strokes": 2}', 'cli:root'),
        (30, 1, 1, 0, 0, 0, 0, 0, NULL, '{"manual": true}', '{"strokes": 3}', 'cli:root'),
        (40, 1, 2, 1, 0, 0, 0, 0, 5, '{"manual": true}', '{"strokes": 4}', 'cli:root');
    INSERT INTO occurrences (event, n, type, lane, state, due_at, scheduled_for, cause, by_schedule, attempt, interruptions) VALUES
        (10, 2, 1, 0, 0, 1800000010000000, 1800000010000000, 0, 1, 1, 0), (20, 1, 2, 0, 0, 1800000010000000, 1800000010000000, 0, 1, 1, 0);
    INSERT INTO runs VALUES (1, 10, 1, 1, 1, 0, 0, 0, 1, 5000000, 1, 1, NULL, '{"rung": 3}', NULL);
    INSERT INTO counters VALUES (1, 0, 1), (2, 0, 1), (1, 1, 1), (1, 2, 1), (1, 6, 1);
    INSERT INTO audit VALUES (1, 1, 'host', 'plugin.load', 'bells', '{}'), (2, 2, 'host', 'plugin.load', 'doors', '{}'),
                             (3, 3, 'host', 'plugin.publish', 'bells', '{}');
"#;

fn old(path: &Path) {
    let mut conn = connection::open_writer(path).unwrap();
    migrations::apply_first(&mut conn, 1).unwrap();
    conn.execute_batch(OLD).unwrap();
    conn.close().unwrap();
}

/// Name and text of all that the schema has.
fn schema(path: &Path) -> Vec<(String, Option<String>)> {
    let conn = Connection::open(path).unwrap();
    let mut select = conn.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_the_first_schema_held_is_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    old(&path);
    let store = Sqlite::open(&path).unwrap();
    let (bell, door) = (sexton_core::TypeId(1), sexton_core::TypeId(2));
    let args = |of| store.args_of(of, None, 10).unwrap().into_iter().map(|(id, args)| (id.0, args.get().to_owned())).collect::<Vec<_>>();
    assert_eq!(args(bell), [(10, r#"{"strokes": 1}"#.to_owned()), (30, r#"{"strokes": 3}"#.to_owned())], "the new index knows old rows");
    assert_eq!(args(door), [(20, r#"{"strokes": 2}"#.to_owned())]);
    let first = OccurrenceId { event: EventId(10), n: 1 };
    assert_eq!(store.run_log(first, None).unwrap(), None, "a run from before has no log");
    let audited = store
        .audit_lines(
            &AuditFilter { subject: Some("bells".to_owned()), ..AuditFilter::default() },
            &crate::rows::Page { before: None, limit: 10 },
        )
        .unwrap();
    assert_eq!(audited.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 1]);
    let second = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
    let generations: Vec<_> =
        store.generations("bells", 10).unwrap().into_iter().map(|row| (row.number, row.placement, row.published_at)).collect();
    let expected = [(3, None, None), (2, None, Some(second(2))), (1, Some("in-process".to_owned()), Some(second(1)))];
    assert_eq!(generations, expected, "what ran, or was published last, had been published; what neither, had not");
    let doors = store.generations("doors", 10).unwrap().remove(0);
    assert_eq!((doors.placement, doors.published_at), (None, None), "another plugin's build of that number says nothing of it");
}

#[test]
fn what_is_new_works_on_what_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    old(&path);
    {
        let ground = Ground::on(std::sync::Arc::new(Sqlite::open(&path).unwrap()));
        assert_eq!(ground.bell.0, 1, "{BELL} keeps its number");
        let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(10), 5).unwrap().remove(0);
        let log = RunLog { lines: vec![RunLine { at: at(10), ..RunLine::default() }], dropped: 1 };
        let end = RunEnd { log: Some(log.clone()), ..ground.end(&claimed, End::Succeeded, 11) };
        ground.store.settle(&ground.lease, &[end], at(11)).unwrap();
        assert_eq!(ground.store.run_log(claimed.id, None).unwrap(), Some(log));
        assert_eq!(ground.outcomes(EventId(10)), [Outcome::Succeeded, Outcome::Succeeded]);
        let ids = [EventId(10), EventId(20), EventId(30), EventId(40)];
        assert_eq!(ground.store.pause_many(&ground.lease, &ids, "changed schema", &[], &tester(), at(12)).unwrap(), 2);
        assert_eq!(ground.event(EventId(20)).state, EventState::Paused);
        let crash = Crash {
            plugin: "bells".to_owned(),
            digest: "d1".to_owned(),
            generation: 1,
            placement: "runner".to_owned(),
            cause: "signal 11".to_owned(),
            at: at(13),
        };
        ground.store.crashed(&crash).unwrap();
        assert_eq!(ground.store.crashes("bells", at(0)).unwrap(), [crash]);
        let pruned = || ground.prune(100, 10);
        assert_eq!((pruned(), pruned(), pruned()), (2, 1, 0), "two runs, of which one has a log; the completed event");
        ground.check_counts();
        ground.store.close();
    }
    let left: i64 = Connection::open(&path).unwrap().query_row("SELECT count(*) FROM run_logs", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "no log outlives its run");
}

#[test]
fn an_old_file_and_a_new_one_end_up_alike() {
    let dir = tempfile::tempdir().unwrap();
    let (migrated, fresh) = (dir.path().join("migrated.db"), dir.path().join("fresh.db"));
    old(&migrated);
    for path in [&migrated, &fresh, &migrated] {
        drop(Sqlite::open(path).unwrap());
    }
    assert_eq!(schema(&migrated), schema(&fresh));
    let error = migrations::apply_first(&mut connection::open_writer(&migrated).unwrap(), 1).unwrap_err();
    assert_eq!(error.kind, crate::ErrorKind::NewerSchema, "and the Sexton that made it leaves it alone from then on");
}

#[test]
fn the_texts_that_were_applied_somewhere_have_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    drop(Sqlite::open(&path).unwrap());
    let conn = Connection::open(&path).unwrap();
    let mut select = conn.prepare("SELECT number, name, checksum FROM migrations ORDER BY number").unwrap();
    let applied: Vec<(i64, String, String)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().collect::<Result<_, _>>().unwrap();
    let first = &applied[0];
    let expected = (1, "rows", "3c36ad71269ea5cf72544f1a1c8eb94a6591c309e47d8ec49fdf2be337fd84d0");
    assert_eq!((first.0, first.1.as_str(), first.2.as_str()), expected, "write a further migration instead");
}
