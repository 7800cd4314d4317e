//! Rows spoilt by somebody else's SQL: the row's own event stands still and says why, and nothing else waits for it.
//!
//! Not damage of the file (`file`). What must hold: a mended row goes on.

use super::super::Sqlite;
use crate::Store;
use crate::conformance::Ground;
use crate::conformance::ground::{at, every, once};
use crate::rows::{Aborted, AuditFilter, Change, Page};
use sexton_core::decide::End;
use sexton_core::{EventId, EventState, NewEvent, Occurrence, Outcome, Schedule};
use std::sync::Arc;

struct Spoilt {
    store: Arc<Sqlite>,
    ground: Ground,
}

impl Spoilt {
    fn new() -> Self {
        let store = Arc::new(Sqlite::in_memory().unwrap());
        let ground = Ground::on(Arc::clone(&store) as Arc<dyn Store>);
        Self { store, ground }
    }

    fn sql(&self, sql: &'static str, id: EventId) {
        let changed = self.store.writer.call(1, move |tx| Ok(tx.conn.execute(sql, [id.0])?)).unwrap();
        assert_eq!(changed, 1, "{sql}");
    }

    /// State, reason, and the states of the rows: by SQL, as the event itself may not be readable.
    fn seen(&self, id: EventId) -> (i64, String, Vec<i64>) {
        self.store
            .writer
            .call(0, move |tx| {
                let (state, reason): (i64, Option<String>) =
                    tx.conn.query_row("SELECT state, reason FROM events WHERE id = ?1", [id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let mut rows = tx.conn.prepare("SELECT state FROM occurrences WHERE event = ?1 ORDER BY n")?;
                let rows = rows.query_map([id.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok((state, reason.unwrap_or_default(), rows))
            })
            .unwrap()
    }
}

fn ids(claimed: &[Occurrence]) -> Vec<EventId> {
    claimed.iter().map(|o| o.id.event).collect()
}

#[test]
fn a_row_that_cannot_be_read_is_held_with_the_reason_and_the_others_are_claimed() {
    for (spoil, mend, word) in [
        ("UPDATE events SET args = '{' WHERE id = ?1", "UPDATE events SET args = '{}' WHERE id = ?1", "arguments"),
        ("UPDATE events SET labels = '[7' WHERE id = ?1", "UPDATE events SET labels = NULL WHERE id = ?1", "`[7`"),
        ("UPDATE events SET priority = 99999999999 WHERE id = ?1", "UPDATE events SET priority = 0 WHERE id = ?1", "99999999999"),
        ("UPDATE occurrences SET cause = 99 WHERE event = ?1", "UPDATE occurrences SET cause = 0 WHERE event = ?1", "99 is no cause"),
    ] {
        let spoilt = Spoilt::new();
        let ground = &spoilt.ground;
        let (before, bad, after) = (ground.schedule(once(1)), ground.schedule(every(2)), ground.schedule(once(3)));
        spoilt.sql(spoil, bad);
        let claimed = ground.claim(10);
        assert_eq!(ids(&claimed), [before, after], "{spoil}");
        let (state, reason, rows) = spoilt.seen(bad);
        assert!(reason.contains(word), "{reason}");
        assert_eq!((state, rows), (1, vec![2]), "{spoil}: paused, its row held");
        assert!(
            ground.claim(10).is_empty() && ground.store.next_due(&[ground.bell]).unwrap().is_none(),
            "nobody comes back to it by himself"
        );
        let line = ground.store.audit_lines(&AuditFilter::default(), &Page { before: None, limit: 1 }).unwrap().remove(0).1;
        assert_eq!((line.verb.as_str(), line.subject), ("event.pause", bad.to_string()));
        spoilt.sql(mend, bad);
        ground.alter(bad, &Change::Resume, 10).unwrap();
        assert_eq!(ids(&ground.claim(10)), [bad], "mended and resumed, it runs");
        ground.check_counts();
    }
}

#[test]
fn arguments_that_cannot_be_read_are_left_out_and_shorten_no_page() {
    let spoilt = Spoilt::new();
    let ids: Vec<_> = (0..7).map(|second| spoilt.ground.schedule(once(second))).collect();
    for bad in [0, 2, 3] {
        spoilt.sql("UPDATE events SET args = '{\"strokes\": ' WHERE id = ?1", ids[bad]);
    }
    spoilt.sql("UPDATE events SET args = CAST(x'22ff22' AS TEXT) WHERE id = ?1", ids[5]);
    let page = |after| spoilt.store.args_of(spoilt.ground.bell, after, 2).unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(page(None), [ids[1], ids[4]], "a full page, as more are there");
    assert_eq!(page(Some(ids[4])), [ids[6]]);
}

#[test]
fn one_that_cannot_be_read_is_paused_with_many() {
    let spoilt = Spoilt::new();
    let (bad, fine) = (spoilt.ground.schedule(once(1)), spoilt.ground.schedule(once(2)));
    spoilt.sql("UPDATE events SET schedule = '{', args = '[' WHERE id = ?1", bad);
    let by = crate::conformance::ground::tester();
    assert_eq!(spoilt.store.pause_many(&spoilt.ground.lease, &[bad, fine], "changed schema", &[], &by, at(1)).unwrap(), 2);
    assert_eq!(spoilt.seen(bad), (1, "changed schema".to_owned(), vec![2]));
    assert!(spoilt.ground.claim(10).is_empty());
}

#[test]
fn an_occurrence_without_its_event_is_a_dead_letter() {
    let spoilt = Spoilt::new();
    let (gone, fine) = (spoilt.ground.schedule(once(1)), spoilt.ground.schedule(once(2)));
    spoilt.sql("DELETE FROM events WHERE id = ?1", gone);
    assert_eq!(ids(&spoilt.ground.claim(10)), [fine]);
    let waiting = spoilt.store.waiting(gone).unwrap();
    assert!(waiting[0].dead.as_deref().is_some_and(|why| why.contains("not there")), "{waiting:?}");
}

#[test]
fn a_run_whose_event_cannot_be_read_any_more_is_settled_with_its_batch() {
    for (spoil, mend) in [
        ("UPDATE events SET schedule = '{' WHERE id = ?1", r#"UPDATE events SET schedule = '{"after": "60s"}' WHERE id = ?1"#),
        ("UPDATE events SET retry = 'often' WHERE id = ?1", "UPDATE events SET retry = NULL WHERE id = ?1"),
        ("UPDATE occurrences SET interruptions = -1 WHERE event = ?1", "UPDATE events SET updated_at = 0 WHERE id = ?1"),
    ] {
        for (end, rows) in
            [(End::Succeeded, vec![]), (End::Failed { permanent: false }, vec![2]), (End::Failed { permanent: true }, vec![3])]
        {
            let spoilt = Spoilt::new();
            let ground = &spoilt.ground;
            let (bad, fine) = (ground.schedule(every(1)), ground.schedule(once(2)));
            let claimed = ground.claim(2);
            spoilt.sql(spoil, bad);
            let ends: Vec<_> =
                claimed.iter().map(|o| ground.end(o, if o.id.event == bad { end.clone() } else { End::Succeeded }, 3)).collect();
            let settled = ground.store.settle(&ground.lease, &ends, at(3)).unwrap();
            assert_eq!(settled.iter().map(|s| s.state).collect::<Vec<_>>(), [EventState::Paused, EventState::Completed], "{spoil}");
            let (state, reason, left) = spoilt.seen(bad);
            assert_eq!((state, left), (1, rows), "{spoil}: {end:?}");
            assert!(reason.contains("cannot be read"), "{reason}");
            assert_eq!((ground.runs(bad).len(), ground.outcomes(fine)), (1, vec![Outcome::Succeeded]), "both runs are recorded");
            spoilt.sql(mend, bad);
            ground.check_counts();
        }
    }
}

#[test]
fn a_start_gets_past_a_started_run_whose_event_cannot_be_read() {
    let spoilt = Spoilt::new();
    let bad = spoilt.ground.schedule(every(1));
    let running = spoilt.ground.claim_one(1);
    spoilt.sql("UPDATE events SET schedule = '' WHERE id = ?1", bad);
    let life = spoilt.ground.restarted(5);
    let slot = Aborted {
        occurrence: running.id,
        token: running.token,
        attempt: 1,
        started_at: at(1),
        plugin: "bells".to_owned(),
        generation: 1,
        digest: "d1".to_owned(),
        placement: "in-process".to_owned(),
        cause: "host ended".to_owned(),
    };
    assert_eq!(life.store.recover(&life.lease, &[slot], at(5)).unwrap(), (1, 0));
    let (state, _, rows) = spoilt.seen(bad);
    assert_eq!((state, rows), (1, vec![2]), "paused, and what was interrupted is still owed");
}

#[test]
fn a_dead_letter_is_kept_though_the_schedule_cannot_go_on() {
    let spoilt = Spoilt::new();
    let ground = &spoilt.ground;
    let mut intention = ground.intention(once(10));
    intention.wish = NewEvent { schedule: Schedule::cron("0 * * * *", "Mars/Olympus_Mons"), ..intention.wish };
    let id = intention.id;
    ground.store.schedule(&ground.lease, &[intention], &crate::conformance::ground::tester(), at(0)).unwrap();
    let settled = ground.settle(&ground.claim_one(10), End::Failed { permanent: true }, 11);
    assert_eq!((settled.outcome, settled.state), (Outcome::Failed, EventState::Paused));
    assert_eq!(spoilt.seen(id).2, [3], "its dead letter is there");
    assert!(ground.event(id).reason.is_some_and(|reason| reason.contains("Mars/Olympus_Mons")));
    ground.check_counts();
}
