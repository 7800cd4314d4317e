//! Theme: what an end of a run leaves behind.

use super::Theme;
use super::ground::{BELL, Ground, at, code, every, once, tester, wish};
use crate::rows::{AuditFilter, Change, Page, RunEnd, RunFilter, Settled};
use serde_json::json;
use serde_json::value::RawValue;
use sexton_core::decide::End;
use sexton_core::{Cause, EventState, NewEvent, Outcome, Resource, ResourceEnd, RetryPolicy, Schedule, TypeId};
use std::collections::{BTreeMap, BTreeSet};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("settle: a one-shot that succeeds is completed", one_shot),
    ("settle: a recurring one gets its successor", recurring),
    ("settle: failed, again, and at last a dead letter", retries),
    ("settle: a recurring event goes on past a dead letter", past_dead_letter),
    ("settle: snoozed and cancelled", snoozed_and_cancelled),
    ("settle: resources that succeeded are not run again", resources),
    ("settle: a stale token drops its own row only", stale_token),
    ("settle: a stale epoch is lost", stale_epoch),
    ("settle: follow-ups come with success only", follow_ups),
    ("settle: a batch is all or nothing", all_or_nothing),
    ("settle: a delay counts from the end of the run", late_settlement),
    ("settle: a successor that cannot be computed pauses the event", no_successor),
    ("settle: an ordinal is never given twice", ordinals),
    ("settle: listing runs", listing),
];

const FAILED: End = End::Failed { permanent: false };

fn one_shot(ground: &Ground) {
    let id = ground.schedule(once(10));
    let occurrence = ground.claim_one(10);
    let end =
        RunEnd { output: Some(RawValue::from_string(r#"{"rung": 3}"#.to_owned()).unwrap()), ..ground.end(&occurrence, End::Succeeded, 12) };
    let settled = ground.store.settle(&ground.lease, &[end], at(12)).unwrap();
    assert_eq!(settled, [Settled { outcome: Outcome::Succeeded, next_due: None, state: EventState::Completed, crowds: false }]);
    let event = ground.event(id);
    assert_eq!((event.state, event.finished_at, event.next_run_at), (EventState::Completed, Some(at(12)), None));
    assert!(ground.ordinals(id).is_empty());
    let run = ground.runs(id).remove(0);
    assert_eq!((run.occurrence, run.event_id, run.event_type.as_str()), (occurrence.id, id, BELL));
    assert_eq!((run.scheduled_for, run.due_at, run.finished_at, run.attempt), (at(10), at(10), at(12), 1));
    assert!(run.started_at.is_some_and(|started| started < at(12)));
    assert_eq!((run.outcome, run.error, run.output.unwrap().get()), (Outcome::Succeeded, None, r#"{"rung": 3}"#));
    assert_eq!((run.plugin.as_str(), run.generation, run.digest.as_str()), ("bells", 1, "d1"));
    assert_eq!((run.placement.as_str(), run.host.as_str()), ("in-process", "tower"));
    ground.check_counts();
}

fn recurring(ground: &Ground) {
    let id = ground.schedule(every(60));
    let settled = ground.settle(&ground.claim_one(60), End::Succeeded, 61);
    assert_eq!(settled, Settled { outcome: Outcome::Succeeded, next_due: Some(at(120)), state: EventState::Scheduled, crowds: false });
    assert_eq!(ground.ordinals(id), [2]);
    assert_eq!((ground.event(id).occurrences, ground.event(id).skipped), (2, 0));
    ground.settle(&ground.claim_one(120), End::Succeeded, 305);
    let event = ground.event(id);
    assert_eq!((event.next_run_at, event.skipped, event.occurrences), (Some(at(360)), 3, 3), "180, 240 and 300 are counted as skipped");
    ground.check_counts();
}

fn retries(ground: &Ground) {
    let policy = RetryPolicy { attempts: 3, first_delay_ms: 1_000, max_delay_ms: 4_000, deadline_ms: None };
    let id = ground.schedule(NewEvent { retry: Some(policy), ..once(10) });
    let mut now = 10;
    for attempt in 1..=2 {
        let occurrence = ground.claim_one(now);
        assert_eq!((occurrence.id.n, occurrence.attempt, occurrence.scheduled_for), (1, attempt, at(10)), "the same occurrence");
        assert!(occurrence.by_schedule);
        let settled = ground.settle(&occurrence, FAILED, now);
        assert_eq!((settled.outcome, settled.state), (Outcome::Failed, EventState::Scheduled));
        let waiting = ground.store.waiting(id).unwrap().remove(0);
        assert_eq!((waiting.cause, waiting.attempt, Some(waiting.due_at)), (Cause::Retry, attempt + 1, settled.next_due));
        assert!(waiting.due_at > at(now));
        now += 10;
    }
    let settled = ground.settle(&ground.claim_one(now), FAILED, now);
    assert_eq!(settled, Settled { outcome: Outcome::Failed, next_due: None, state: EventState::Discarded, crowds: false });
    let event = ground.event(id);
    assert!(event.reason.is_some() && event.finished_at == Some(at(now)), "{event:?}");
    assert!(ground.store.waiting(id).unwrap()[0].dead.is_some(), "the dead letter is kept");
    assert!(ground.claim(1_000_000).is_empty(), "and out of the due order");
    assert_eq!(ground.outcomes(id), [Outcome::Failed; 3]);
    assert_eq!(ground.runs(id)[0].error.as_deref(), Some("the rope broke"));
    ground.check_counts();
}

fn past_dead_letter(ground: &Ground) {
    let id = ground.schedule(every(60));
    let settled = ground.settle(&ground.claim_one(60), End::Failed { permanent: true }, 61);
    assert_eq!((settled.state, settled.next_due), (EventState::Scheduled, Some(at(120))));
    let waiting = ground.store.waiting(id).unwrap();
    assert_eq!(waiting.iter().map(|w| (w.occurrence.n, w.dead.is_some())).collect::<Vec<_>>(), [(1, true), (2, false)]);
    assert_eq!(ground.event(id).next_run_at, Some(at(120)), "a dead letter is no next run");
    assert_eq!(ground.claim_one(500).id.n, 2);
    ground.check_counts();
}

fn snoozed_and_cancelled(ground: &Ground) {
    let id = ground.schedule(once(10));
    let settled = ground.settle(&ground.claim_one(10), End::Snoozed { until: at(50) }, 11);
    assert_eq!(settled, Settled { outcome: Outcome::Snoozed, next_due: Some(at(50)), state: EventState::Scheduled, crowds: false });
    assert!(ground.claim(49).is_empty());
    let again = ground.claim_one(50);
    assert_eq!((again.id.n, again.attempt, again.cause), (1, 1, Cause::Snooze), "no attempt was spent");
    let settled = ground.settle(&again, End::Cancelled, 51);
    assert_eq!((settled.outcome, settled.state), (Outcome::Cancelled, EventState::Completed));
    assert_eq!(ground.outcomes(id), [Outcome::Snoozed, Outcome::Cancelled]);
    ground.check_counts();
}

fn resources(ground: &Ground) {
    let resource = |id: &str| Resource { id: id.to_owned(), kind: String::new(), properties: BTreeMap::new() };
    let id = ground.schedule(NewEvent { resources: vec![resource("a"), resource("b"), resource("c")], ..once(10) });
    let ended = |id: &str, outcome| ResourceEnd { id: id.to_owned(), outcome, error: None };
    let mut now = 10;
    for (attempt, done_before, succeeded) in [(1, vec![], "b"), (2, vec!["b"], "a"), (3, vec!["b", "a"], "c")] {
        let occurrence = ground.claim_one(now);
        assert_eq!((occurrence.attempt, &occurrence.resources_done), (attempt, &done_before.iter().map(ToString::to_string).collect()));
        let end = RunEnd {
            resources: vec![ended(succeeded, Outcome::Succeeded), ended("z", Outcome::Failed)],
            ..ground.end(&occurrence, FAILED, now)
        };
        ground.store.settle(&ground.lease, &[end], at(now)).unwrap();
        now += 100_000;
    }
    let run = ground.runs(id).remove(0);
    assert_eq!(run.resources, [ended("b", Outcome::Succeeded), ended("z", Outcome::Failed)]);
}

fn stale_token(ground: &Ground) {
    let ids = [ground.schedule(once(1)), ground.schedule(once(2)), ground.schedule(once(3))];
    let mut claimed = ground.claim(10);
    claimed.sort_by_key(|o| o.due_at);
    ground.store.give_back(&ground.lease, &[(claimed[1].id, claimed[1].token)]).unwrap();
    let current = ground.claim_one(10);
    let ends: Vec<RunEnd> = claimed.iter().map(|o| ground.end(o, End::Succeeded, 11)).collect();
    let settled = ground.store.settle(&ground.lease, &ends, at(11)).unwrap();
    let outcomes: Vec<Outcome> = settled.iter().map(|s| s.outcome).collect();
    assert_eq!(outcomes, [Outcome::Succeeded, Outcome::Lost, Outcome::Succeeded], "in the order of the batch");
    assert_eq!(settled[1].state, EventState::Scheduled);
    assert_eq!(ground.event(ids[1]).state, EventState::Scheduled, "a lost run moves nothing");
    let lost = ground.runs(ids[1]).remove(0);
    assert_eq!((lost.outcome, lost.scheduled_for, lost.due_at), (Outcome::Lost, at(2), at(2)));
    assert_eq!(ground.settle(&current, End::Succeeded, 12).outcome, Outcome::Succeeded, "the true claim settles");
    let twice = ground.settle(&current, End::Succeeded, 13);
    assert_eq!((twice.outcome, twice.state), (Outcome::Lost, EventState::Completed), "nothing is settled twice");
    let lost = ground.runs(ids[1]).remove(2);
    assert_eq!((lost.outcome, lost.scheduled_for), (Outcome::Lost, at(2)), "also when its row is gone");
    ground.check_counts();
}

fn stale_epoch(ground: &Ground) {
    let id = ground.schedule(every(60));
    let occurrence = ground.claim_one(60);
    let newer = ground.restarted(61);
    assert_eq!(newer.lease.stale_claims, 1);
    assert_eq!(ground.settle(&occurrence, End::Succeeded, 62).outcome, Outcome::Lost, "the old life's lease");
    assert_eq!(ground.ordinals(id), [1]);
    assert_eq!(newer.store.recover(&newer.lease, &[], at(63)).unwrap(), (0, 1));
    let again = newer.claim_one(63);
    assert_eq!(newer.settle(&occurrence, End::Succeeded, 64).outcome, Outcome::Lost, "the old life's token");
    assert_eq!(newer.settle(&again, End::Succeeded, 65).outcome, Outcome::Succeeded);
    assert_eq!(ground.outcomes(id), [Outcome::Lost, Outcome::Lost, Outcome::Succeeded]);
    assert_eq!(ground.ordinals(id), [2]);
}

fn follow_ups(ground: &Ground) {
    ground.schedule(every(60));
    let with = |end: End, now: i64, keys: &[&str]| {
        let follow_ups = keys.iter().map(|key| ground.intention(NewEvent { key: Some((*key).to_owned()), ..once(1_000_000) })).collect();
        let occurrence = ground.claim(now).remove(0);
        let end = RunEnd { follow_ups, ..ground.end(&occurrence, end, now) };
        ground.store.settle(&ground.lease, &[end], at(now)).unwrap();
    };
    with(FAILED, 60, &["no"]);
    with(End::Snoozed { until: at(100_000) }, 90_000, &["no"]);
    with(End::Cancelled, 100_000, &["no"]);
    assert_eq!(ground.events().len(), 1, "only success stores them");
    with(End::Succeeded, 100_060, &["a", "b"]);
    let events = ground.events();
    assert_eq!(events.len(), 3);
    assert!(events[..2].iter().all(|e| e.next_run_at == Some(at(1_000_000)) && e.created_by == "plugin:bells"));
    with(End::Succeeded, 100_120, &["b", "c"]);
    assert_eq!(ground.events().len(), 4, "a key taken meanwhile is left out, the rest is stored");
    let audit = ground.store.audit_lines(&AuditFilter::default(), &Page { before: None, limit: 10 }).unwrap();
    let refused = audit.iter().find(|(_, line)| line.verb == "event.schedule.refused").map(|(_, line)| line).unwrap();
    assert_eq!((refused.actor.0.as_str(), refused.detail["code"].as_str()), ("plugin:bells", Some("INP008")));
    ground.check_counts();
}

fn all_or_nothing(ground: &Ground) {
    let ids = [ground.schedule(once(1)), ground.schedule(once(2))];
    let claimed = ground.claim(10);
    let mut ends: Vec<RunEnd> = claimed.iter().map(|o| ground.end(o, End::Succeeded, 11)).collect();
    let mut bad = ground.intention(once(50));
    bad.type_id = TypeId(9_999);
    ends[1].follow_ups.push(bad);
    assert_eq!(code(ground.store.settle(&ground.lease, &ends, at(11))), "INP001");
    for id in ids {
        assert_eq!(ground.event(id).state, EventState::Scheduled);
        assert!(ground.runs(id).is_empty(), "an error settles nothing");
    }
    ends[1].follow_ups.clear();
    let settled = ground.store.settle(&ground.lease, &ends, at(11)).unwrap();
    assert!(settled.iter().all(|s| s.state == EventState::Completed), "the claims still held: {settled:?}");
    ground.check_counts();
}

fn late_settlement(ground: &Ground) {
    ground.schedule(wish(Schedule::after(std::time::Duration::from_secs(60))));
    let end = ground.end(&ground.claim_one(60), End::Succeeded, 70);
    let settled = ground.store.settle(&ground.lease, &[end], at(100)).unwrap().remove(0);
    assert_eq!(settled.next_due, Some(at(130)), "the store could not write for half a minute");
}

fn no_successor(ground: &Ground) {
    let mut intention = ground.intention(once(10));
    intention.wish.schedule = Schedule::cron("0 * * * *", "Mars/Olympus_Mons");
    let id = intention.id;
    ground.store.schedule(&ground.lease, &[intention], &tester(), at(0)).unwrap();
    let settled = ground.settle(&ground.claim_one(10), End::Succeeded, 11);
    assert_eq!(settled, Settled { outcome: Outcome::Succeeded, next_due: None, state: EventState::Paused, crowds: false });
    let event = ground.event(id);
    assert!(event.reason.as_deref().is_some_and(|reason| reason.contains("Mars/Olympus_Mons")), "{:?}", event.reason);
    assert_eq!(ground.outcomes(id), [Outcome::Succeeded], "the run stands");
    ground.alter(id, &Change::Resume, 12).unwrap_err();
    assert_eq!(ground.event(id).state, EventState::Paused, "and it cannot go on until its schedule is mended");
    let edit = crate::rows::Edit { schedule: Some(every(60).schedule), ..crate::rows::Edit::default() };
    ground.alter(id, &Change::Edit(Box::new(edit)), 13).unwrap();
    ground.alter(id, &Change::Resume, 14).unwrap();
    assert_eq!(ground.claim_one(60).id.n, 2);
    ground.check_counts();
}

fn ordinals(ground: &Ground) {
    let id = ground.schedule(every(60));
    let mut given = BTreeSet::new();
    let mut now = 60;
    for round in 0..12_u64 {
        for occurrence in ground.claim(now) {
            assert!(given.insert(occurrence.id.n), "{} was given before", occurrence.id);
            let end = if round % 3 == 0 { End::Failed { permanent: true } } else { End::Succeeded };
            ground.settle(&occurrence, end, now);
        }
        match round % 4 {
            0 => drop(ground.alter(id, &Change::RunNow, now).unwrap()),
            1 => {
                let edit = crate::rows::Edit { schedule: Some(every(60 + round).schedule), ..crate::rows::Edit::default() };
                ground.alter(id, &Change::Edit(Box::new(edit)), now).unwrap();
            }
            2 => {
                ground.alter(id, &Change::Pause { note: None }, now).unwrap();
                // The clock is set back while it is paused.
                ground.alter(id, &Change::Resume, now - 50).unwrap();
            }
            _ => {}
        }
        now += 100;
    }
    let greatest = given.last().copied().unwrap();
    assert!(ground.event(id).occurrences >= greatest);
    assert!(given.len() > 10, "{given:?}");
    ground.check_counts();
}

fn listing(ground: &Ground) {
    let (bell, door) = (ground.schedule(every(10)), ground.schedule(NewEvent { event_type: super::ground::DOOR.to_owned(), ..every(10) }));
    for second in 1..=10 {
        for occurrence in ground.claim(second * 10) {
            let end = if occurrence.id.event == bell && second % 5 == 0 { End::Failed { permanent: true } } else { End::Succeeded };
            ground.settle(&occurrence, end, second * 10);
        }
    }
    let list = |filter: &RunFilter, before, limit| ground.store.runs(filter, &Page { before, limit }).unwrap();
    let all = list(&RunFilter::default(), None, 100);
    assert_eq!(all.len(), 20);
    assert!(all.windows(2).all(|pair| pair[0].0 > pair[1].0), "newest first");
    let (mut walked, mut before) = (0, None);
    while let Some((number, _)) = list(&RunFilter::default(), before, 3).last() {
        walked += list(&RunFilter::default(), before, 3).len();
        before = Some(*number);
    }
    assert_eq!(walked, 20);
    let count = |filter: RunFilter| list(&filter, None, 100).len();
    assert_eq!(count(RunFilter { event: Some(door), ..RunFilter::default() }), 10);
    assert_eq!(count(RunFilter { event: Some(door), n: Some(3), ..RunFilter::default() }), 1);
    assert_eq!(count(RunFilter { event_type: Some(BELL.to_owned()), ..RunFilter::default() }), 10);
    assert_eq!(count(RunFilter { outcome: Some(Outcome::Failed), ..RunFilter::default() }), 2);
    assert_eq!(count(RunFilter { outcome: Some(Outcome::Succeeded), ..RunFilter::default() }), 18);
    assert_eq!(count(RunFilter { since: Some(at(90)), ..RunFilter::default() }), 4);
    assert_eq!(count(RunFilter { event_type: Some("no.such".to_owned()), ..RunFilter::default() }), 0);
    assert_eq!(json!(all[0].1)["event_type"], json!(all[0].1.event_type));
    let manual = ground.schedule(wish(Schedule::manual()));
    assert_eq!(count(RunFilter { event: Some(manual), ..RunFilter::default() }), 0);
}
