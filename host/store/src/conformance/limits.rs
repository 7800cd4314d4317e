//! Theme: limits: how many at once, how many in a time, who comes first.
//!
//! Not the arithmetic of a rate (the core's own tests). What must hold: a slot comes free with whatever ends a claim, and a row that waits for
//! one is treated by every verb as one that waits.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, once, tester};
use crate::rows::{Aborted, AuditFilter, Change, Edit, LimitRow, Misfired, NextClaim};
use chrono::TimeDelta;
use sexton_core::decide::End;
use sexton_core::decide::late::Late;
use sexton_core::decide::{SkipReason, Skips};
use sexton_core::limit::Limit;
use sexton_core::{EventId, EventState, NewEvent, Occurrence, Outcome, RunPolicy};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("limits: a type has no more than its slots, and one comes free with the end of a run", slots_of_a_type),
    ("limits: whatever ends a claim frees its slot", whatever_ends_a_claim),
    ("limits: recovery frees the slots of a life that ended", recovered),
    ("limits: what is limited is claimed when it is due, not ahead", on_time),
    ("limits: the types of a plugin share its limit, events of any type that of their key", shared),
    ("limits: what waits behind a key is claimed, paused, edited and cancelled as what waits", behind_a_key),
    ("limits: a full key holds up nothing else, and is looked at once", full_key),
    ("limits: a rate lets through its burst, then one at a time", rate),
    ("limits: set, lowered, removed while runs go on", set_lowered_removed),
    ("limits: they are listed, audited, and not more than can be looked at", listed),
    ("limits: a step of the clock moves the rate along", stepped),
    ("order: a level of priority is worth a minute of waiting", ageing),
];

fn set(ground: &Ground, on: &str, concurrency: Option<u32>, rate: Option<&str>) {
    let limit = Limit::ask(on.parse().unwrap(), concurrency, rate, None).unwrap();
    ground.store.set_limit(&ground.lease, &limit, &tester(), at(0)).unwrap();
}

fn remove(ground: &Ground, on: &str) -> bool {
    ground.store.remove_limit(&ground.lease, &on.parse().unwrap(), &tester(), at(0)).unwrap()
}

fn row(ground: &Ground, on: &str, seconds: i64) -> LimitRow {
    let rows = ground.store.limits(at(seconds)).unwrap();
    rows.into_iter().find(|row| row.limit.on.to_string() == on).unwrap_or_else(|| panic!("{on} is not listed"))
}

fn taken(ground: &Ground, on: &str) -> u32 {
    row(ground, on, 0).taken
}

fn next(ground: &Ground, seconds: i64) -> NextClaim {
    ground.store.next_claim(&[ground.bell, ground.door], at(seconds)).unwrap()
}

fn keyed(wish: NewEvent, key: &str) -> NewEvent {
    NewEvent { policy: RunPolicy { limit_key: Some(key.to_owned()), ..RunPolicy::default() }, ..wish }
}

fn on_door(wish: NewEvent) -> NewEvent {
    NewEvent { event_type: DOOR.to_owned(), ..wish }
}

fn ids(claimed: &[Occurrence]) -> Vec<EventId> {
    claimed.iter().map(|o| o.id.event).collect()
}

fn slots_of_a_type(ground: &Ground) {
    let all: Vec<EventId> = (1..=5).map(|second| ground.schedule(once(second))).collect();
    let door = ground.schedule(on_door(once(3)));
    let bell = format!("type:{BELL}");
    set(ground, &bell, Some(2), None);
    let first = ground.claim(10);
    assert_eq!(ids(&first), [all[0], all[1], door], "two slots, and the other type is not limited");
    assert_eq!(taken(ground, &bell), 2);
    assert_eq!(next(ground, 10), NextClaim { held_back: true, limited: true, ..NextClaim::default() }, "what is full wakes nobody");
    assert!(ground.claim(10).is_empty());
    assert_eq!(ground.settle(&first[0], End::Failed { permanent: false }, 10).outcome, Outcome::Failed);
    assert_eq!((taken(ground, &bell), ids(&ground.claim(10))), (1, vec![all[2]]), "a failure frees its slot, too");
    ground.settle(&first[1], End::Succeeded, 10);
    ground.settle(&first[2], End::Succeeded, 10);
    assert_eq!(ids(&ground.claim(10)), [all[3]]);
    ground.settle(&first[1], End::Succeeded, 11);
    assert_eq!(taken(ground, &bell), 2, "a lost end frees nothing");
}

/// Each way out of a claim, by name.
type WayOut = (&'static str, fn(&Ground, &Occurrence));

fn whatever_ends_a_claim(ground: &Ground) {
    let ways: &[WayOut] = &[
        ("success", |g, o| {
            g.settle(o, End::Succeeded, 10);
        }),
        ("a dead letter", |g, o| {
            g.settle(o, End::Failed { permanent: true }, 10);
        }),
        ("a snooze", |g, o| {
            g.settle(o, End::Snoozed { until: at(900) }, 10);
        }),
        ("given back", |g, o| g.store.give_back(&g.lease, &[(o.id, o.token)]).unwrap()),
        ("paused", |g, o| {
            g.alter(o.id.event, &Change::Pause { note: None }, 10).unwrap();
        }),
        ("cancelled", |g, o| {
            g.alter(o.id.event, &Change::Cancel, 10).unwrap();
        }),
        ("edited", |g, o| {
            g.alter(o.id.event, &Change::Edit(Box::default()), 10).unwrap();
        }),
        ("another schedule", |g, o| {
            let schedule = Some(once(500).schedule);
            g.alter(o.id.event, &Change::Edit(Box::new(Edit { schedule, ..Edit::default() })), 10).unwrap();
        }),
        ("many paused", |g, o| {
            g.store.pause_many(&g.lease, &[o.id.event], "why", &[], &tester(), at(10)).unwrap();
        }),
        ("found too late", |g, o| {
            let mut skips = Skips::default();
            skips.add(SkipReason::Late, 1);
            let late = Late::Skip { successor: None, skips };
            let found = Misfired { occurrence: o.id, token: o.token, schedule: o.wish.schedule.clone(), late };
            assert_eq!(g.store.misfire(&g.lease, &[found], at(10)).unwrap(), [true]);
        }),
    ];
    let limits = [format!("type:{BELL}"), "plugin:bells".to_owned(), "key:rope".to_owned()];
    limits.iter().for_each(|on| set(ground, on, Some(1), None));
    for (way, end) in ways {
        let event = ground.schedule(keyed(once(1), "rope"));
        ground.claim(10);
        let claimed = ground.claim(10);
        // The first look sends it behind its gate; an adapter may take it in one.
        let one = claimed.first().cloned().unwrap_or_else(|| panic!("{way}: it is claimed"));
        assert_eq!(limits.each_ref().map(|on| taken(ground, on)), [1, 1, 1], "{way}: one slot of each");
        end(ground, &one);
        assert_eq!(limits.each_ref().map(|on| taken(ground, on)), [0, 0, 0], "{way} frees them");
        // Whatever is left of it does not get in the way of the next.
        if ground.event(event).state == EventState::Scheduled || ground.event(event).state == EventState::Paused {
            ground.alter(event, &Change::Cancel, 11).unwrap();
        }
    }
}

fn recovered(ground: &Ground) {
    let bell = format!("type:{BELL}");
    set(ground, &bell, Some(2), None);
    for second in 1..=4 {
        ground.schedule(once(second));
    }
    let claimed = ground.claim(10);
    assert_eq!(claimed.len(), 2);
    let again = ground.restarted(20);
    assert_eq!(taken(&again, &bell), 2, "until it is known what became of them, they count");
    let started = Aborted {
        occurrence: claimed[0].id,
        token: claimed[0].token,
        attempt: 1,
        started_at: at(10),
        plugin: "bells".into(),
        generation: 1,
        digest: "d1".into(),
        placement: "runner".into(),
        cause: "the host ended".into(),
    };
    assert_eq!(again.store.recover(&again.lease, &[started], at(20)).unwrap(), (1, 1));
    assert_eq!(taken(&again, &bell), 0);
    assert_eq!(again.claim(20).len(), 2, "and the limit still holds");
}

fn on_time(ground: &Ground) {
    let (bell, door) = (ground.schedule(once(8)), ground.schedule(on_door(once(8))));
    set(ground, &format!("type:{BELL}"), Some(5), None);
    assert_eq!(next(ground, 5), NextClaim { ahead: Some(at(8)), on_time: Some(at(8)), held_back: false, limited: true });
    let both = [ground.bell, ground.door];
    let ahead = ground.store.claim_at(&ground.lease, &both, at(7), at(9), 10).unwrap();
    assert_eq!(ids(&ahead), [door], "a slot is not held by what cannot start yet");
    assert_eq!(next(ground, 7), NextClaim { on_time: Some(at(8)), limited: true, ..NextClaim::default() });
    assert_eq!(ids(&ground.store.claim_at(&ground.lease, &both, at(8), at(10), 10).unwrap()), [bell]);
}

fn shared(ground: &Ground) {
    set(ground, "plugin:bells", Some(1), None);
    set(ground, "plugin:nobody", Some(1), None);
    for second in 1..=2 {
        ground.schedule(once(second));
    }
    for second in 1..=2 {
        ground.schedule(on_door(once(second)));
    }
    let claimed = ground.claim(10);
    assert_eq!(claimed.iter().filter(|o| o.type_id == ground.bell).count(), 1, "{claimed:?}");
    assert_eq!(claimed.len(), 3);
    for one in &claimed {
        ground.settle(one, End::Succeeded, 10);
    }
    assert!(remove(ground, "plugin:bells"));
    for one in &ground.claim(10) {
        ground.settle(one, End::Succeeded, 10);
    }
    // One word, two types.
    set(ground, "key:tower", Some(1), None);
    let (bell, door) = (ground.schedule(keyed(once(20), "tower")), ground.schedule(on_door(keyed(once(21), "tower"))));
    let free = ground.schedule(keyed(once(22), "cellar"));
    let mut claimed = ground.claim(30);
    claimed.extend(ground.claim(30));
    claimed.sort_by_key(|o| o.due_at);
    let [first, other] = ids(&claimed)[..] else { panic!("{claimed:?}") };
    assert!([bell, door].contains(&first), "the types take turns");
    assert_eq!(other, free, "the word that nothing is set on is free");
    assert!(next(ground, 30).held_back);
    ground.settle(&claimed[0], End::Succeeded, 30);
    assert_eq!(ids(&ground.claim(30)), [if first == bell { door } else { bell }]);
}

fn behind_a_key(ground: &Ground) {
    set(ground, "key:rope", Some(1), None);
    let events: Vec<EventId> = (1..=6).map(|second| ground.schedule(keyed(once(second), "rope"))).collect();
    let mut held = ground.claim(10);
    held.extend(ground.claim(10));
    assert_eq!(ids(&held), [events[0]]);
    let waits = |event: EventId| ground.event(event).next_run_at;
    assert_eq!(waits(events[1]), Some(at(2)), "what waits behind a gate is still to come");
    // Paused, it is not let through; resumed, it is again.
    ground.alter(events[1], &Change::Pause { note: None }, 11).unwrap();
    assert_eq!(waits(events[1]), None);
    ground.alter(events[2], &Change::Cancel, 11).unwrap();
    assert!(ground.ordinals(events[2]).is_empty());
    let urgent = Edit { priority: Some(50), ..Edit::default() };
    ground.alter(events[4], &Change::Edit(Box::new(urgent)), 11).unwrap();
    let freed = Edit { policy: Some(RunPolicy::default()), ..Edit::default() };
    ground.alter(events[5], &Change::Edit(Box::new(freed)), 11).unwrap();
    assert_eq!(ids(&ground.claim(12)), [events[5]], "it shares the limit no more");
    ground.settle(&held[0], End::Succeeded, 12);
    let second = ground.claim_one(12);
    assert_eq!(second.id.event, events[4], "by priority, also behind a gate");
    ground.alter(events[1], &Change::Resume, 13).unwrap();
    ground.settle(&second, End::Failed { permanent: false }, 13);
    assert_eq!(ground.store.waiting(events[1]).unwrap().len(), 1);
    let mut order = Vec::new();
    while let Some(one) = [ground.claim(14), ground.claim(14)].concat().pop() {
        order.push(one.id.event);
        ground.settle(&one, End::Succeeded, 14);
    }
    assert_eq!(order, [events[1], events[3]]);
    assert_eq!((taken(ground, "key:rope"), ground.outcomes(events[4])), (0, vec![Outcome::Failed]));
    ground.check_counts();
}

fn full_key(ground: &Ground) {
    set(ground, "key:rope", Some(1), None);
    let flood: Vec<EventId> = (0..300).map(|_| ground.schedule(keyed(once(1), "rope"))).collect();
    let plain = ground.schedule(once(2));
    let claim = || ground.store.claim(&ground.lease, &[ground.bell], at(10), 50).unwrap();
    let mut claimed = Vec::new();
    for _ in 0..10 {
        claimed.extend(claim());
    }
    assert!(claimed.iter().any(|o| o.id.event == plain), "three hundred that wait for a slot hold nothing up");
    assert_eq!(claimed.len(), 2, "one slot");
    assert_eq!(next(ground, 10), NextClaim { held_back: true, limited: true, ..NextClaim::default() }, "and nothing is asked again");
    assert!(remove(ground, "key:rope"));
    assert!(!remove(ground, "key:rope"), "it is not there any more");
    let mut rest = 0;
    while let found @ 1.. = claim().len() {
        rest += found;
    }
    assert_eq!(rest, flood.len() - 1, "without the limit all go on from where they stand");
    set(ground, "key:rope", Some(1), None);
    assert_eq!(taken(ground, "key:rope"), 300, "set again, it counts what is claimed");
}

fn rate(ground: &Ground) {
    let bell = format!("type:{BELL}");
    set(ground, &bell, None, Some("6/1m"));
    for second in 0..4 {
        ground.schedule(once(second));
    }
    assert_eq!(ground.claim(100).len(), 1, "the burst of a slow rate is one");
    assert_eq!(next(ground, 100), NextClaim { on_time: Some(at(110)), limited: true, ..NextClaim::default() });
    assert!(ground.claim(109).is_empty());
    assert_eq!(ground.claim(110).len(), 1);
    let row = row(ground, &bell, 110);
    assert_eq!((row.tokens, row.opens_at, row.taken), (Some(0), Some(at(120)), 0), "a rate takes no slots");
    assert_eq!(ground.claim(500).len(), 1, "what was not used is not saved up beyond the burst");
    // Behind a key, with a burst.
    assert!(remove(ground, &bell));
    ground.claim(500);
    let limit = Limit::ask("key:rope".parse().unwrap(), None, Some("1/1m"), Some(3)).unwrap();
    ground.store.set_limit(&ground.lease, &limit, &tester(), at(600)).unwrap();
    for second in 0..5 {
        ground.schedule(keyed(once(600 + second), "rope"));
    }
    assert_eq!(ground.claim(700).len() + ground.claim(700).len(), 3);
    assert_eq!(next(ground, 700).on_time, Some(at(760)));
    assert_eq!((ground.claim(759).len(), ground.claim(760).len(), ground.claim(820).len(), ground.claim(999).len()), (0, 1, 1, 0));
}

fn set_lowered_removed(ground: &Ground) {
    let bell = format!("type:{BELL}");
    for second in 1..=6 {
        ground.schedule(once(second));
    }
    let before = ground.store.claim(&ground.lease, &[ground.bell], at(10), 3).unwrap();
    set(ground, &bell, Some(4), None);
    assert_eq!(taken(ground, &bell), 3, "what was claimed before counts");
    assert_eq!(ground.claim(10).len(), 1);
    set(ground, &bell, Some(2), None);
    assert_eq!(taken(ground, &bell), 4, "lowered, it lets those finish");
    for one in &before[..2] {
        ground.settle(one, End::Succeeded, 10);
    }
    assert!(ground.claim(10).is_empty(), "two of two");
    ground.settle(&before[2], End::Succeeded, 10);
    assert_eq!(ground.claim(10).len(), 1);
    set(ground, &bell, None, Some("100/1s"));
    assert_eq!(taken(ground, &bell), 0, "a limit without a concurrency has no slots");
    assert_eq!(ground.claim(10).len(), 1);
    set(ground, &bell, Some(1), None);
    assert_eq!(taken(ground, &bell), 3);
    assert!(remove(ground, &bell));
    assert_eq!(next(ground, 10), NextClaim::default());
    for second in 20..25 {
        ground.schedule(once(second));
    }
    assert_eq!(ground.claim(30).len(), 5);
}

fn listed(ground: &Ground) {
    assert!(ground.store.limits(at(0)).unwrap().is_empty());
    assert!(!next(ground, 0).limited);
    set(ground, "key:rope", Some(3), Some("30/1m"));
    set(ground, "plugin:bells", Some(1), None);
    set(ground, "plugin:bells", Some(2), None);
    let rows = ground.store.limits(at(5)).unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| (row.limit.on.to_string(), row.limit.concurrency, row.limit.rate.map(|r| r.text()))).collect();
    assert_eq!(shown, [("plugin:bells".into(), Some(2), None), ("key:rope".into(), Some(3), Some("30/1m".into()))]);
    assert_eq!((rows[1].tokens, rows[1].opens_at, rows[1].set_by.as_str()), (Some(1), Some(at(5)), "test"));
    assert_eq!((rows[0].tokens, rows[0].opens_at, rows[0].set_at), (None, None, at(0)));
    assert!(remove(ground, "plugin:bells") && !remove(ground, "type:acme.nothing"));
    let filter =
        |subject: &str| AuditFilter { subject: Some(subject.into()), verb_prefix: Some("limit.".into()), ..AuditFilter::default() };
    let verbs: Vec<String> = ground.audited(&filter("plugin:bells")).into_iter().map(|line| line.verb).collect();
    assert_eq!(verbs, ["limit.set", "limit.set", "limit.remove"]);
    assert_eq!(ground.audited(&filter("key:rope"))[0].detail["rate"], "30/1m");
    (0..999).for_each(|n| set(ground, &format!("key:{n}"), Some(1), None));
    let one_more = Limit::ask("key:one more".parse().unwrap(), Some(1), None, None).unwrap();
    assert_eq!(code(ground.store.set_limit(&ground.lease, &one_more, &tester(), at(0))), "INP015");
    set(ground, "key:7", Some(2), None);
    let stale = &ground.lease;
    let newer = ground.restarted(1);
    assert!(newer.store.set_limit(stale, &one_more, &tester(), at(0)).is_err(), "not under a replaced lease");
}

fn stepped(ground: &Ground) {
    set(ground, &format!("type:{BELL}"), None, Some("1/1h"));
    for _ in 0..2 {
        ground.schedule(once(10));
    }
    assert_eq!(ground.claim(10_000).len(), 1);
    ground.store.move_retries(&ground.lease, TimeDelta::seconds(-9_000)).unwrap();
    assert_eq!(next(ground, 1_000).on_time, Some(at(4_600)), "an hour is an hour");
    assert_eq!((ground.claim(4_599).len(), ground.claim(4_600).len()), (0, 1));
}

fn ageing(ground: &Ground) {
    // (due, priority), in the order in which they are to come.
    let order = [(0, 10), (1, 10), (0, 0), (59, 0), (600, 9), (1, -1), (602, 9), (63, 0), (0, -10)];
    let mut events: Vec<(i64, i32)> = order.to_vec();
    events.reverse();
    for (due, priority) in events {
        ground.schedule(NewEvent { priority, ..once(due) });
    }
    let mut got = Vec::new();
    for limit in [1, 2, 3, 3] {
        let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(2_000), limit).unwrap();
        got.extend(claimed.iter().map(|o| ((o.due_at - at(0)).num_seconds(), o.priority)));
    }
    assert_eq!(got, order);
    // A flood of a higher priority that goes on does not hold up what waits: ten levels are ten minutes.
    let low = ground.schedule(once(3_000));
    let mut waited = None;
    for second in 3_000..4_000 {
        for _ in 0..2 {
            ground.schedule(NewEvent { priority: 10, ..once(second) });
        }
        let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(second), 2).unwrap();
        assert_eq!(claimed.len(), 2);
        for one in &claimed {
            ground.settle(one, End::Succeeded, second);
        }
        if claimed.iter().any(|o| o.id.event == low) {
            waited = Some(second - 3_000);
            break;
        }
    }
    assert_eq!(waited, Some(601));
}
