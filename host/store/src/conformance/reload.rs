//! Theme: what a new build has to accept, and holding what it does not.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, every, once, tester, wish};
use crate::ErrorKind;
use crate::rows::{AuditFilter, Change};
use serde_json::json;
use serde_json::value::RawValue;
use sexton_core::decide::End;
use sexton_core::{EventId, EventState, NewEvent, OccurrenceId, Outcome, Schedule, TypeId};
use std::collections::BTreeSet;
use std::thread;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("reload: arguments of the open events of a type", args),
    ("reload: arguments by pages, while events come and go", args_by_pages),
    ("reload: many are paused as one would be", as_alter),
    ("reload: what runs settles, what was claimed does not", claimed_and_running),
    ("reload: only what is scheduled still is paused", still_scheduled),
    ("reload: one line of audit for many", one_line),
    ("reload: pausing and settling at once", at_once),
];

fn with(args: &str, event_type: &str) -> NewEvent {
    NewEvent { args: RawValue::from_string(args.to_owned()).unwrap(), event_type: event_type.to_owned(), ..every(60) }
}

fn pause_many(ground: &Ground, ids: &[EventId], running: &[OccurrenceId], seconds: i64) -> u64 {
    ground.store.pause_many(&ground.lease, ids, "no longer valid", running, &tester(), at(seconds)).unwrap()
}

fn ids_of(ground: &Ground, type_id: TypeId, after: Option<EventId>, limit: usize) -> Vec<EventId> {
    ground.store.args_of(type_id, after, limit).unwrap().into_iter().map(|(id, _)| id).collect()
}

fn args(ground: &Ground) {
    assert!(ground.store.args_of(ground.bell, None, 10).unwrap().is_empty());
    let spaced = ground.schedule(with(r#"{"strokes":   1.50}"#, BELL));
    ground.schedule(with("{}", DOOR));
    let paused = ground.schedule(with("[2]", BELL));
    let cancelled = ground.schedule(with("3", BELL));
    let manual = ground.schedule(NewEvent { key: Some("k".to_owned()), ..wish(Schedule::manual()) });
    let completed = ground.schedule(once(10));
    let discarded = ground.schedule(once(20));
    let running = ground.schedule(with("null", BELL));
    ground.alter(paused, &Change::Pause { note: None }, 1).unwrap();
    ground.alter(cancelled, &Change::Cancel, 1).unwrap();
    ground.settle(&ground.claim_one(10), End::Succeeded, 10);
    ground.settle(&ground.claim_one(20), End::Failed { permanent: true }, 20);
    assert_eq!((ground.event(completed).state, ground.event(discarded).state), (EventState::Completed, EventState::Discarded));
    assert!(ground.claim(60).iter().any(|o| o.id.event == running));
    let found = ground.store.args_of(ground.bell, None, 10).unwrap();
    let found: Vec<_> = found.iter().map(|(id, args)| (*id, args.get())).collect();
    let expected = [(spaced, r#"{"strokes":   1.50}"#), (paused, "[2]"), (manual, r#"{"strokes":  3}"#), (running, "null")];
    assert_eq!(found, expected, "scheduled and paused ones, to the byte, by rising id");
    assert!(ids_of(ground, ground.bell, None, 0).is_empty() && ids_of(ground, TypeId(999), None, 10).is_empty());
    ground.store.release_type(BELL, &tester(), at(70)).unwrap();
    assert_eq!(ids_of(ground, ground.bell, None, 10).len(), 4, "whoever owns the type, or nobody");
}

fn args_by_pages(ground: &Ground) {
    let ids: Vec<_> = (0..7).map(|_| ground.schedule(every(60))).collect();
    ground.schedule(with("{}", DOOR));
    let first = ids_of(ground, ground.bell, None, 3);
    assert_eq!(first, ids[..3]);
    ground.alter(ids[2], &Change::Cancel, 1).unwrap();
    ground.alter(ids[4], &Change::Cancel, 1).unwrap();
    let second = ids_of(ground, ground.bell, Some(ids[2]), 3);
    assert_eq!(second, [ids[3], ids[5], ids[6]], "what ended is not met any more");
    assert!(ids_of(ground, ground.bell, Some(ids[6]), 3).is_empty());
    let late = ground.schedule(every(60));
    assert_eq!(ids_of(ground, ground.bell, Some(ids[6]), 3), [late], "what came meanwhile is after all that was seen");
}

fn as_alter(ground: &Ground) {
    // Pairs of the same history: one of each is paused by itself, the other one among many.
    let pairs: Vec<[EventId; 2]> = vec![
        [ground.schedule(every(60)), ground.schedule(every(60))],
        [ground.schedule(once(500)), ground.schedule(once(500))],
        [ground.schedule(wish(Schedule::manual())), ground.schedule(wish(Schedule::manual()))],
        [ground.schedule(every(70)), ground.schedule(every(70))],
    ];
    for id in pairs[3] {
        ground.alter(id, &Change::RunNow, 1).unwrap();
    }
    assert_eq!(ground.claim(60).len(), 4, "two run-nows, and the pair at 60");
    for [alone, _] in &pairs {
        ground.alter(*alone, &Change::Pause { note: Some("no longer valid".to_owned()) }, 61).unwrap();
    }
    let many: Vec<EventId> = pairs.iter().map(|pair| pair[1]).collect();
    assert_eq!(pause_many(ground, &many, &[], 61), 4);
    for [alone, among] in pairs {
        let (one, other) = (ground.event(alone), ground.event(among));
        assert_eq!(other.state, EventState::Paused);
        assert_eq!(
            (one.state, one.reason, one.updated_at, one.finished_at, one.next_run_at, one.occurrences, one.skipped),
            (other.state, other.reason, other.updated_at, other.finished_at, other.next_run_at, other.occurrences, other.skipped)
        );
        let rows = |id| -> Vec<_> {
            let waiting = ground.store.waiting(id).unwrap();
            waiting.into_iter().map(|w| (w.occurrence.n, w.due_at, w.scheduled_for, w.cause, w.attempt, w.dead)).collect()
        };
        assert_eq!(rows(alone), rows(among));
        ground.alter(among, &Change::Resume, 62).unwrap();
    }
    assert_eq!(ground.claim(10_000).len(), 4, "resumed, all that was held is there: 60, 500, 70 and the run-now");
    ground.check_counts();
}

fn claimed_and_running(ground: &Ground) {
    let id = ground.schedule(every(60));
    let other = ground.schedule(every(60));
    ground.alter(id, &Change::RunNow, 50).unwrap();
    let mut claimed = ground.claim(60);
    claimed.sort_by_key(|o| o.id);
    assert_eq!(claimed.iter().map(|o| (o.id.event, o.id.n)).collect::<Vec<_>>(), [(id, 1), (id, 2), (other, 1)]);
    assert_eq!(pause_many(ground, &[id, other], &[claimed[0].id], 61), 2);
    assert!(ground.claim(10_000).is_empty() && ground.store.next_due(&[ground.bell]).unwrap().is_none());
    assert_eq!(ground.settle(&claimed[2], End::Succeeded, 62).outcome, Outcome::Lost, "claimed, not running: nothing old starts");
    assert_eq!(ground.settle(&claimed[1], End::Succeeded, 62).outcome, Outcome::Lost);
    let settled = ground.settle(&claimed[0], End::Succeeded, 63);
    assert_eq!((settled.outcome, settled.next_due, settled.state), (Outcome::Succeeded, None, EventState::Paused));
    assert_eq!((ground.ordinals(id), ground.ordinals(other)), (vec![2, 3], vec![1]), "its successor is held with the rest");
    ground.store.give_back(&ground.lease, &[(claimed[1].id, claimed[1].token)]).unwrap();
    assert!(ground.claim(10_000).is_empty(), "a claim given back too late moves nothing");
    ground.check_counts();
}

fn still_scheduled(ground: &Ground) {
    let [fine, paused, cancelled, completed] =
        [ground.schedule(every(600)), ground.schedule(once(20)), ground.schedule(once(30)), ground.schedule(once(10))];
    ground.settle(&ground.claim_one(10), End::Succeeded, 10);
    ground.alter(paused, &Change::Pause { note: Some("bell repair".to_owned()) }, 11).unwrap();
    ground.alter(cancelled, &Change::Cancel, 12).unwrap();
    let all = [paused, cancelled, EventId(12_345), fine, completed, fine];
    assert_eq!(pause_many(ground, &all, &[], 13), 1, "named twice is paused once");
    let now = |id| (ground.event(id).state, ground.event(id).reason, ground.event(id).updated_at);
    assert_eq!(now(fine), (EventState::Paused, Some("no longer valid".to_owned()), at(13)));
    assert_eq!(now(paused), (EventState::Paused, Some("bell repair".to_owned()), at(11)), "somebody else's pause keeps its reason");
    assert_eq!((now(cancelled).0, now(completed).0), (EventState::Cancelled, EventState::Completed));
    let before = ground.audited(&AuditFilter::default()).len();
    assert_eq!((pause_many(ground, &all, &[], 14), pause_many(ground, &[], &[], 14)), (0, 0));
    assert_eq!(ground.audited(&AuditFilter::default()).len(), before, "nothing done, nothing to tell");
    let scheduled = ground.schedule(every(60));
    let life = ground.restarted(15);
    let stale = ground.store.pause_many(&ground.lease, &[scheduled], "late", &[], &tester(), at(16));
    assert_eq!(stale.unwrap_err().kind, ErrorKind::Held, "a lease that was replaced pauses nothing");
    assert_eq!(life.event(scheduled).state, EventState::Scheduled);
    life.check_counts();
}

fn one_line(ground: &Ground) {
    let batch: Vec<_> = (0..150).map(|_| ground.intention(every(60))).collect();
    ground.store.schedule(&ground.lease, &batch, &tester(), at(0)).unwrap();
    let ids: Vec<EventId> = batch.iter().map(|intention| intention.id).collect();
    ground.alter(ids[0], &Change::Cancel, 1).unwrap();
    assert_eq!(pause_many(ground, &ids, &[], 2), 149);
    let filter = AuditFilter { subject: Some(ids[1].to_string()), verb_prefix: Some("event.pause".to_owned()), ..AuditFilter::default() };
    let mut lines = ground.audited(&filter);
    assert_eq!(lines.len(), 1);
    let line = lines.remove(0);
    assert_eq!((line.at, line.actor), (at(2), tester()));
    let named: Vec<String> = ids[1..=100].iter().map(EventId::to_string).collect();
    assert_eq!(line.detail, json!({ "count": 149, "reason": "no longer valid", "ids": named }));
    ground.check_counts();
}

fn at_once(ground: &Ground) {
    let batch: Vec<_> = (0..200).map(|_| ground.intention(once(10))).collect();
    ground.store.schedule(&ground.lease, &batch, &tester(), at(0)).unwrap();
    let ids: Vec<EventId> = batch.iter().map(|intention| intention.id).collect();
    let claimed = ground.claim(10);
    assert_eq!(claimed.len(), 200);
    let (paused, succeeded) = thread::scope(|scope| {
        let settler = scope.spawn(|| {
            let settle = |chunk: &[_]| {
                let ends: Vec<_> = chunk.iter().map(|o| ground.end(o, End::Succeeded, 11)).collect();
                ground.store.settle(&ground.lease, &ends, at(11)).unwrap()
            };
            let settled: Vec<_> = claimed.chunks(5).flat_map(settle).collect();
            settled.into_iter().filter(|s| s.outcome == Outcome::Succeeded).count()
        });
        let pausers: Vec<_> = (0..2).map(|_| scope.spawn(|| pause_many(ground, &ids, &[], 11))).collect();
        (pausers.into_iter().map(|p| p.join().unwrap()).sum::<u64>(), settler.join().unwrap())
    });
    assert_eq!(usize::try_from(paused).unwrap() + succeeded, 200, "each was settled first or paused first, and by one of them only");
    let held: BTreeSet<EventId> = ground.events().into_iter().filter(|e| e.state == EventState::Paused).map(|e| e.id).collect();
    assert_eq!(held.len(), usize::try_from(paused).unwrap());
    for id in held {
        ground.alter(id, &Change::Resume, 12).unwrap();
    }
    for occurrence in ground.claim(12) {
        ground.settle(&occurrence, End::Succeeded, 13);
    }
    assert!(ground.events().iter().all(|e| e.state == EventState::Completed), "and none is lost");
    ground.check_counts();
}
