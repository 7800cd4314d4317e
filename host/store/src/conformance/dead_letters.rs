//! Theme: what spent its attempts, and verbs on many: listed, put back, removed, hurried, cancelled.
//!
//! Not how an occurrence becomes a dead letter (`settle`). What must hold: nothing is put back twice, and no event has two occurrences of its
//! schedule by it.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, every, once, tester};
use crate::rows::{AuditFilter, Change, DeadFilter, DeadLetter, DeadPage, Order, RunEnd};
use sexton_core::decide::{End, Guilt};
use sexton_core::{
    Bot, Cause, ErrorCode, EventId, EventState, NewEvent, OccurrenceId, Outcome, Resource, ResourceEnd, RetryPolicy, RunPolicy, Schedule,
};
use std::collections::BTreeMap;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("dead letters: listed by what they are", listed),
    ("dead letters: pages by key in both orders", pages),
    ("dead letters: a discarded one-shot is scheduled again until it is done", one_shot),
    ("dead letters: a recurring event gets no second successor", recurring),
    ("dead letters: held with its paused event, taken up with its completed one", paused_and_completed),
    ("dead letters: a key that was taken meanwhile refuses its own only", key_taken),
    ("dead letters: one whose equal was stored since stays what it is", equal_taken),
    ("dead letters: removed, runs and event stay", removed),
    ("dead letters: a put-back one has all its attempts and what it had done", anew),
    ("retry: what waits for its next attempt is due at once", hastened),
    ("retry: a deadline counts from the first due instant", deadline),
    ("cancel: many at once", cancelled),
    ("runs: what went wrong is a word", words),
];

const PERMANENT: End = End::Failed { permanent: true };

/// Claims and fails for good whatever is due by then.
fn kill(ground: &Ground, seconds: i64) -> Vec<OccurrenceId> {
    let claimed = ground.claim(seconds);
    for occurrence in &claimed {
        ground.settle(occurrence, PERMANENT, seconds);
    }
    claimed.into_iter().map(|occurrence| occurrence.id).collect()
}

/// One event of that wish, dead at that second.
fn dead(ground: &Ground, wish: NewEvent, seconds: i64) -> OccurrenceId {
    let id = ground.schedule(wish);
    *kill(ground, seconds).iter().find(|of| of.event == id).expect("it was due")
}

fn list(ground: &Ground, filter: &DeadFilter) -> Vec<DeadLetter> {
    ground.store.dead_letters(filter, &DeadPage { past: None, order: Order::OldestFirst, limit: 1_000 }).unwrap()
}

fn requeue(ground: &Ground, of: OccurrenceId, seconds: i64) -> Result<(), String> {
    ground.store.requeue(&ground.lease, &[of], &tester(), at(seconds)).unwrap().remove(0).map_err(|refusal| refusal.code)
}

fn audited(ground: &Ground, verb: &str) -> Vec<serde_json::Value> {
    let filter = AuditFilter { verb_prefix: Some(verb.to_owned()), ..AuditFilter::default() };
    ground.audited(&filter).into_iter().map(|line| line.detail).collect()
}

fn listed(ground: &Ground) {
    let labelled = NewEvent {
        labels: BTreeMap::from([("team".to_owned(), "tower".to_owned())]),
        bot: Some(Bot { id: "b1".to_owned(), name: "Night".to_owned() }),
        description: Some("ring".to_owned()),
        key: Some("k".to_owned()),
        ..once(10)
    };
    let bell = dead(ground, labelled, 10);
    let door = dead(ground, NewEvent::new(DOOR, Schedule::once(at(20))), 20);
    ground.schedule(NewEvent { retry: Some(RetryPolicy { attempts: 1, ..RetryPolicy::default() }), ..once(30) });
    let last = ground.claim_one(30);
    ground.settle(&last, End::Failed { permanent: false }, 30);
    let spent = last.id;
    let found = list(ground, &DeadFilter::default());
    assert_eq!(found.iter().map(|letter| letter.occurrence).collect::<Vec<_>>(), [bell, door, spent]);
    let first = &found[0];
    assert_eq!((first.event_type.as_str(), first.event_state, first.attempt, first.dead_at), (BELL, EventState::Discarded, 1, at(10)));
    assert_eq!((first.key.as_deref(), first.description.as_deref()), (Some("k"), Some("ring")));
    assert_eq!((first.bot.as_ref().map(|bot| bot.name.as_str()), first.error_code), (Some("Night"), Some(ErrorCode::Error)));
    let only = |filter: DeadFilter| {
        let found: Vec<OccurrenceId> = list(ground, &filter).into_iter().map(|letter| letter.occurrence).collect();
        assert_eq!(ground.store.count_dead_letters(&filter).unwrap(), i64::try_from(found.len()).unwrap(), "{filter:?}");
        found
    };
    let any = DeadFilter::default;
    assert_eq!(only(any()), [bell, door, spent]);
    assert_eq!(only(DeadFilter { event_type: Some(DOOR.to_owned()), ..any() }), [door]);
    assert_eq!(only(DeadFilter { event_type: Some("no.such".to_owned()), ..any() }), []);
    assert_eq!(only(DeadFilter { event: Some(spent.event), ..any() }), [spent]);
    assert_eq!(only(DeadFilter { since: Some(at(20)), ..any() }), [door, spent]);
    assert_eq!(only(DeadFilter { reason: Some("NO FURTHER".to_owned()), ..any() }), [bell, door]);
    assert_eq!(only(DeadFilter { code: Some(ErrorCode::Error), ..any() }), [bell, door, spent]);
    assert_eq!(only(DeadFilter { code: Some(ErrorCode::Timeout), ..any() }), []);
    assert_eq!(only(DeadFilter { bot: Some("b1".to_owned()), ..any() }), [bell]);
    assert_eq!(only(DeadFilter { labels: BTreeMap::from([("team".to_owned(), "tower".to_owned())]), ..any() }), [bell]);
    assert_eq!(only(DeadFilter { labels: BTreeMap::from([("team".to_owned(), "moat".to_owned())]), ..any() }), []);
    ground.check_counts();
}

fn pages(ground: &Ground) {
    for _ in 0..7 {
        ground.schedule(once(10));
    }
    let all = kill(ground, 10);
    for (order, mut expected) in [(Order::OldestFirst, all.clone()), (Order::NewestFirst, all)] {
        expected.sort();
        if order == Order::NewestFirst {
            expected.reverse();
        }
        let (mut seen, mut past) = (Vec::new(), None);
        loop {
            let page = ground.store.dead_letters(&DeadFilter::default(), &DeadPage { past, order, limit: 3 }).unwrap();
            let Some(last) = page.last() else { break };
            past = Some(last.occurrence);
            seen.extend(page.iter().map(|letter| letter.occurrence));
        }
        assert_eq!(seen, expected);
    }
    // What is put back and dies again is not met by who goes on by key.
    let page = |past, limit| {
        let page = ground.store.dead_letters(&DeadFilter::default(), &DeadPage { past, order: Order::OldestFirst, limit }).unwrap();
        page.into_iter().map(|letter| letter.occurrence).collect::<Vec<_>>()
    };
    let first = page(None, 3);
    assert!(ground.store.requeue(&ground.lease, &first, &tester(), at(20)).unwrap().iter().all(Result::is_ok));
    assert_eq!(kill(ground, 20).len(), 3);
    assert_eq!(page(first.last().copied(), 10).len(), 4);
}

fn one_shot(ground: &Ground) {
    let of = dead(ground, once(10), 10);
    assert_eq!(ground.event(of.event).state, EventState::Discarded);
    requeue(ground, of, 50).unwrap();
    let event = ground.event(of.event);
    assert_eq!((event.state, event.reason, event.finished_at, event.next_run_at), (EventState::Scheduled, None, None, Some(at(50))));
    assert_eq!(requeue(ground, of, 51), Err("INP034".to_owned()), "it is none any more");
    ground.check_counts();
    // Dead again: discarded again. Put back and done: completed.
    assert_eq!(kill(ground, 50), [of]);
    assert_eq!(ground.event(of.event).state, EventState::Discarded);
    requeue(ground, of, 60).unwrap();
    let claimed = ground.claim_one(60);
    assert_eq!((claimed.id, claimed.cause, claimed.attempt, claimed.scheduled_for), (of, Cause::Requeue, 1, at(10)));
    ground.settle(&claimed, End::Succeeded, 60);
    assert_eq!(ground.event(of.event).state, EventState::Completed);
    assert_eq!(ground.outcomes(of.event), [Outcome::Failed, Outcome::Failed, Outcome::Succeeded]);
    assert!(ground.store.waiting(of.event).unwrap().is_empty());
    let lines = audited(ground, "dead_letter.requeue");
    assert_eq!((lines.len(), &lines[0]["count"], &lines[0]["occurrences"][0]), (2, &1.into(), &of.to_string().into()));
    ground.check_counts();
}

fn recurring(ground: &Ground) {
    let of = dead(ground, every(60), 60);
    let before = ground.event(of.event);
    assert_eq!((before.state, before.next_run_at), (EventState::Scheduled, Some(at(120))));
    requeue(ground, of, 70).unwrap();
    for (due, end) in [(70, PERMANENT), (71, End::Succeeded)] {
        let claimed = ground.claim_one(due);
        assert_eq!((claimed.id, claimed.by_schedule), (of, false));
        ground.settle(&claimed, end.clone(), due);
        if end == PERMANENT {
            requeue(ground, of, 71).unwrap();
        }
    }
    assert_eq!(ground.ordinals(of.event), [2], "the one successor that there was");
    let event = ground.event(of.event);
    assert_eq!((event.state, event.next_run_at, event.skipped, event.occurrences), (EventState::Scheduled, Some(at(120)), 0, 2));
    ground.check_counts();
}

fn paused_and_completed(ground: &Ground) {
    let of = dead(ground, every(60), 60);
    ground.alter(of.event, &Change::Pause { note: None }, 61).unwrap();
    requeue(ground, of, 62).unwrap();
    assert_eq!(ground.claim(119).len(), 0, "held with its event");
    ground.alter(of.event, &Change::Resume, 63).unwrap();
    let claimed = ground.claim_one(63);
    assert_eq!(claimed.id, of);
    ground.settle(&claimed, End::Succeeded, 63);
    ground.alter(of.event, &Change::Cancel, 64).unwrap();

    let last = NewEvent::new(BELL, Schedule::from_json(&serde_json::json!({"every": "60s", "start": at(0), "max_runs": 1})).unwrap());
    let of = dead(ground, last, 200);
    let ended = ground.event(of.event);
    assert_eq!(ended.state, EventState::Completed, "its schedule has no more: {ended:?}");
    requeue(ground, of, 201).unwrap();
    assert_eq!(ground.event(of.event).state, EventState::Scheduled);
    ground.settle(&ground.claim_one(201), End::Succeeded, 201);
    assert_eq!(ground.event(of.event).state, EventState::Completed);
    assert!(ground.store.waiting(of.event).unwrap().is_empty());
    ground.check_counts();
}

fn key_taken(ground: &Ground) {
    let keyed = |key: &str| NewEvent { key: Some(key.to_owned()), ..once(10) };
    let (a, b) = (dead(ground, keyed("a"), 10), dead(ground, keyed("b"), 10));
    let (twin, other) = (dead(ground, keyed("a"), 10), ground.schedule(keyed("b")));
    let each = ground.store.requeue(&ground.lease, &[a, b, twin], &tester(), at(20)).unwrap();
    assert!(each[0].is_ok());
    let refused: Vec<_> = each[1..].iter().map(|end| end.clone().unwrap_err()).collect();
    assert!(refused.iter().all(|refusal| refusal.code == "INP033"), "{refused:?}");
    assert!(refused[0].message.contains(&other.to_string()) && refused[1].message.contains(&a.event.to_string()), "{refused:?}");
    assert_eq!(list(ground, &DeadFilter::default()).len(), 2);
    assert_eq!((ground.event(b.event).state, ground.event(a.event).state), (EventState::Discarded, EventState::Scheduled));
    let lines = audited(ground, "dead_letter.requeue");
    assert_eq!((&lines[0]["count"], &lines[0]["refused"]), (&1.into(), &2.into()));
    ground.check_counts();
}

fn equal_taken(ground: &Ground) {
    let alone = || NewEvent { policy: RunPolicy { unique: serde_json::from_str("{}").ok(), ..RunPolicy::default() }, ..once(10) };
    let of = dead(ground, alone(), 10);
    let other = ground.schedule(alone());
    let refused = ground.store.requeue(&ground.lease, &[of], &tester(), at(20)).unwrap().remove(0).unwrap_err();
    assert!(refused.code == "INP033" && refused.message.contains(&other.to_string()), "{refused:?}");
    ground.alter(other, &Change::Cancel, 21).unwrap();
    requeue(ground, of, 22).unwrap();
    assert_eq!(ground.event(of.event).state, EventState::Scheduled);
    ground.check_counts();
}

fn removed(ground: &Ground) {
    let (of, stays) = (dead(ground, once(10), 10), dead(ground, every(20), 20));
    let nobody = OccurrenceId { event: EventId(1), n: 1 };
    let each = ground.store.discard(&ground.lease, &[of, nobody], &tester(), at(30)).unwrap();
    assert!(each[0].is_ok());
    assert_eq!(each[1].as_ref().unwrap_err().code, "INP034");
    assert_eq!(list(ground, &DeadFilter::default()).iter().map(|letter| letter.occurrence).collect::<Vec<_>>(), [stays]);
    assert_eq!((ground.event(of.event).state, ground.outcomes(of.event)), (EventState::Discarded, vec![Outcome::Failed]));
    assert_eq!(requeue(ground, of, 31), Err("INP034".to_owned()));
    let lines = audited(ground, "dead_letter.discard");
    assert!(lines[0]["reasons"][0].as_str().is_some_and(|reason| reason.contains("no further attempt")), "{lines:?}");
    ground.check_counts();
}

fn anew(ground: &Ground) {
    let resource = |id: &str| Resource { id: id.to_owned(), kind: "bell".to_owned(), properties: BTreeMap::new() };
    let retry = RetryPolicy { attempts: 2, first_delay_ms: 0, max_delay_ms: 0, deadline_ms: Some(60_000) };
    let id = ground.schedule(NewEvent { resources: vec![resource("r1"), resource("r2")], retry: Some(retry), ..once(10) });
    let claimed = ground.claim_one(10);
    ground.settle(&claimed, End::Interrupted { guilt: Guilt::Suspect }, 10);
    for second in [20, 30] {
        let claimed = ground.claim_one(second);
        let done = ResourceEnd { id: "r1".to_owned(), outcome: Outcome::Succeeded, error: None };
        let end = RunEnd { resources: vec![done], ..ground.end(&claimed, End::Failed { permanent: false }, second) };
        ground.store.settle(&ground.lease, &[end], at(second)).unwrap();
    }
    let of = list(ground, &DeadFilter::default()).remove(0).occurrence;
    requeue(ground, of, 10_000).unwrap();
    let claimed = ground.claim_one(10_000);
    assert_eq!((claimed.attempt, claimed.interruptions, claimed.resources_done.clone()), (1, 0, vec!["r1".to_owned()]));
    // The deadline counts from the new first attempt: long after the old one, there is a second.
    ground.settle(&claimed, End::Failed { permanent: false }, 10_030);
    assert_eq!(ground.claim_one(10_030).attempt, 2);
    assert_eq!(ground.event(id).state, EventState::Scheduled);
}

fn hastened(ground: &Ground) {
    let slow = RetryPolicy { attempts: 3, first_delay_ms: 3_600_000, max_delay_ms: 3_600_000, deadline_ms: None };
    let id = ground.schedule(NewEvent { retry: Some(slow), ..once(10) });
    let of = OccurrenceId { event: id, n: 1 };
    let hasten = |running: &[OccurrenceId], seconds| ground.store.hasten(&ground.lease, of, running, &tester(), at(seconds));
    assert_eq!(code(hasten(&[], 5)), "INP035", "not tried yet");
    let claimed = ground.claim_one(10);
    assert_eq!(code(hasten(&[of], 10)), "INP035", "it runs");
    ground.settle(&claimed, End::Snoozed { until: at(5_000) }, 11);
    hasten(&[], 12).unwrap();
    ground.settle(&ground.claim_one(12), End::Failed { permanent: false }, 13);
    hasten(&[], 14).unwrap();
    // Claimed and not started: that claim is void, and it is due all the same.
    let claimed = ground.claim_one(14);
    hasten(&[], 15).unwrap();
    assert_eq!(ground.settle(&claimed, End::Succeeded, 15).outcome, Outcome::Lost);
    let again = ground.claim_one(15);
    assert_eq!((again.attempt, again.cause), (2, Cause::Retry));
    ground.settle(&again, End::Failed { permanent: false }, 16);
    ground.alter(id, &Change::Pause { note: None }, 17).unwrap();
    assert_eq!(code(hasten(&[], 18)), "INP010");
    ground.alter(id, &Change::Resume, 19).unwrap();
    hasten(&[], 20).unwrap();
    ground.settle(&ground.claim_one(20), PERMANENT, 21);
    assert_eq!(code(hasten(&[], 22)), "INP035", "a dead letter is put back by its own verb");
    ground.store.discard(&ground.lease, &[of], &tester(), at(23)).unwrap();
    assert_eq!(code(hasten(&[], 24)), "INP035", "it is over");
    assert_eq!(audited(ground, "run.retry").len(), 4);
}

fn deadline(ground: &Ground) {
    let retry = RetryPolicy { attempts: 100, first_delay_ms: 0, max_delay_ms: 0, deadline_ms: Some(30_000) };
    let id = ground.schedule(NewEvent { retry: Some(retry), ..once(10) });
    ground.settle(&ground.claim_one(10), End::Interrupted { guilt: Guilt::Innocent }, 15);
    let mut attempts = 0;
    for second in [20, 30, 40, 41] {
        ground.settle(&ground.claim_one(second), End::Failed { permanent: false }, second);
        attempts += 1;
        let waiting = ground.store.waiting(id).unwrap().remove(0);
        assert_eq!(waiting.dead.is_some(), second > 40, "first due at 10, so until 40: {waiting:?}");
    }
    let letter = list(ground, &DeadFilter::default()).remove(0);
    assert_eq!((attempts, letter.attempt), (4, 4));
    assert!(letter.reason.contains("retry deadline of 30s"), "{}", letter.reason);
    // A clock that is set moves the instant that it counts from along with the wait.
    let retry = RetryPolicy { attempts: 100, first_delay_ms: 20_000, max_delay_ms: 20_000, deadline_ms: Some(30_000) };
    let id = ground.schedule(NewEvent { retry: Some(retry), ..once(100) });
    ground.settle(&ground.claim_one(100), End::Failed { permanent: false }, 101);
    ground.store.move_retries(&ground.lease, chrono::TimeDelta::seconds(10_000)).unwrap();
    ground.settle(&ground.claim_one(10_121), End::Failed { permanent: false }, 10_105);
    assert!(ground.store.waiting(id).unwrap()[0].dead.is_none(), "five seconds after the first was due, by the clock of now");
}

fn cancelled(ground: &Ground) {
    let (ends, pauses, runs) = (ground.schedule(once(500)), ground.schedule(every(500)), ground.schedule(every(30)));
    ground.alter(pauses, &Change::Pause { note: None }, 1).unwrap();
    let letter = dead(ground, every(20), 20);
    let running = ground.claim_one(30);
    let over = ground.schedule(once(400));
    ground.alter(over, &Change::Cancel, 31).unwrap();
    let ids = [ends, pauses, runs, letter.event, over, EventId(1)];
    assert_eq!(ground.store.cancel_many(&ground.lease, &ids, &[running.id], &tester(), at(32)).unwrap(), 4);
    for id in [ends, pauses, runs, letter.event] {
        let event = ground.event(id);
        assert_eq!((event.state, event.finished_at), (EventState::Cancelled, Some(at(32))));
        assert_eq!(ground.ordinals(id).len(), usize::from(id == runs), "only what runs is left");
    }
    ground.settle(&running, End::Failed { permanent: false }, 33);
    assert_eq!((ground.outcomes(runs), ground.ordinals(runs)), (vec![Outcome::Failed], vec![]), "no retry of a cancelled event");
    assert_eq!(ground.store.cancel_many(&ground.lease, &ids, &[], &tester(), at(34)).unwrap(), 0);
    let lines = audited(ground, "event.cancel");
    assert_eq!((lines.len(), &lines[1]["count"]), (2, &4.into()), "one line for all");
    ground.check_counts();
}

fn words(ground: &Ground) {
    let id = ground.schedule(NewEvent { policy: RunPolicy::default(), ..every(60) });
    let mut expected = Vec::new();
    for (turn, word) in ErrorCode::ALL.into_iter().map(Some).chain([None]).enumerate() {
        let second = 60 + 60 * i64::try_from(turn).unwrap();
        let claimed = ground.claim_one(second);
        let end = RunEnd { code: word, ..ground.end(&claimed, PERMANENT, second) };
        ground.store.settle(&ground.lease, &[end], at(second)).unwrap();
        expected.push(word);
    }
    assert_eq!(ground.runs(id).into_iter().map(|run| run.error_code).collect::<Vec<_>>(), expected);
    let page = crate::rows::Page { before: None, limit: 100 };
    let filter = crate::rows::RunFilter { code: Some(ErrorCode::Panic), ..crate::rows::RunFilter::default() };
    let found = ground.store.runs(&filter, &page).unwrap();
    assert_eq!(found.iter().map(|(_, run)| run.error_code).collect::<Vec<_>>(), [Some(ErrorCode::Panic)]);
}
