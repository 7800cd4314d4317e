//! Theme: events of which there are no two.

use super::Theme;
use super::ground::{DOOR, Ground, at, code, every, once, tester};
use crate::rows::{AuditFilter, Change, Edit, EventFilter, Page, RunFilter, Stored};
use crate::store::Result;
use serde_json::value::RawValue;
use sexton_core::decide::End;
use sexton_core::{Bot, Conflict, EventId, EventState, NewEvent, Outcome, Resource, RunPolicy, Unique, UniqueBy};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("unique: keep answers the one that is there", keep),
    ("unique: replace cancels it in the same transaction", replace),
    ("unique: reject names it", reject),
    ("unique: the scope is what was chosen", scopes),
    ("unique: the states are those that were named", states),
    ("unique: within a batch one comes after another", batch),
    ("unique: an edit makes no second one", edited),
    ("unique: follow-ups that are there already are left out, and the run succeeds", follow_ups),
    ("unique: of many callers one stores", threads),
    ("filters: runs by plugin, and by what their event says", runs),
];

const OPEN: [EventState; 2] = [EventState::Scheduled, EventState::Paused];

fn unique(by: &[UniqueBy], states: &[EventState], conflict: Conflict, wish: NewEvent) -> NewEvent {
    let unique = Unique { by: by.to_vec(), states: states.to_vec(), conflict };
    NewEvent { policy: RunPolicy { unique: Some(unique), ..wish.policy }, ..wish }
}

fn by_args(conflict: Conflict) -> NewEvent {
    unique(&[UniqueBy::Type, UniqueBy::Args], &OPEN, conflict, once(10))
}

fn args(text: &str, wish: NewEvent) -> NewEvent {
    NewEvent { args: RawValue::from_string(text.to_owned()).unwrap(), ..wish }
}

/// Stores one; the id that was asked for, and what became of it.
fn store(ground: &Ground, wish: NewEvent) -> (EventId, Result<Stored>) {
    let intention = ground.intention(wish);
    let stored = ground.store.schedule(&ground.lease, std::slice::from_ref(&intention), &tester(), at(0));
    (intention.id, stored.map(|mut stored| stored.remove(0)))
}

fn is_new(ground: &Ground, wish: NewEvent) -> EventId {
    let (id, stored) = store(ground, wish);
    assert!(matches!(stored.unwrap(), Stored::New { replaced, .. } if replaced.is_empty()));
    id
}

fn keep(ground: &Ground) {
    let first = is_new(ground, args(r#"{"a": 1, "b": [2]}"#, by_args(Conflict::Keep)));
    let (id, stored) = store(ground, args(r#"{ "b":[2],"a":1 }"#, by_args(Conflict::Keep)));
    assert_eq!(stored.unwrap(), Stored::Kept { event: first }, "equal as values, however they are written");
    assert!(ground.store.event(id).unwrap().is_none());
    is_new(ground, args(r#"{"a": 1, "b": [3]}"#, by_args(Conflict::Keep)));
    assert_eq!(ground.events().len(), 2);
    ground.check_counts();
}

fn replace(ground: &Ground) {
    let first = is_new(ground, by_args(Conflict::Replace));
    let running = ground.claim_one(10);
    let (second, stored) = store(ground, by_args(Conflict::Replace));
    assert_eq!(stored.unwrap(), Stored::New { next_due: Some(at(10)), replaced: vec![first] });
    let event = ground.event(first);
    assert_eq!((event.state, event.reason), (EventState::Cancelled, Some(format!("replaced by {second}"))));
    let settled = ground.settle(&running, End::Succeeded, 11);
    assert_eq!((settled.outcome, settled.state), (Outcome::Succeeded, EventState::Cancelled), "what ran of it ends as it does");
    let (third, stored) = store(ground, by_args(Conflict::Replace));
    assert!(matches!(stored.unwrap(), Stored::New { replaced, .. } if replaced == [second]));
    assert!(ground.ordinals(second).is_empty(), "what waited of it is gone");
    let lines = ground.audited(&AuditFilter {
        subject: Some(second.to_string()),
        verb_prefix: Some("event.cancel".to_owned()),
        ..AuditFilter::default()
    });
    assert_eq!(lines[0].detail["reason"].as_str(), Some(format!("replaced by {third}").as_str()));
    // A key of its own is free for the one that replaces its holder, and for no other.
    let keyed = |text: &str| NewEvent { key: Some("k".to_owned()), ..args(text, by_args(Conflict::Replace)) };
    let holder = is_new(ground, keyed("[1]"));
    let (_, stored) = store(ground, keyed("[1]"));
    assert!(matches!(stored.unwrap(), Stored::New { replaced, .. } if replaced == [holder]));
    is_new(ground, args("[2]", by_args(Conflict::Replace)));
    assert_eq!(code(store(ground, keyed("[2]")).1), "INP008");
    assert_eq!(ground.events().iter().filter(|event| event.state == EventState::Scheduled).count(), 3, "nothing was cancelled for it");
    ground.check_counts();
}

fn reject(ground: &Ground) {
    let first = is_new(ground, by_args(Conflict::Reject));
    let (_, refused) = store(ground, by_args(Conflict::Reject));
    assert!(refused.as_ref().unwrap_err().to_string().contains(&first.to_string()), "{refused:?}");
    assert_eq!(code(refused), "INP036");
    ground.schedule(once(10));
    assert_eq!(ground.events().len(), 2, "what asks for nothing is no trouble");
    ground.check_counts();
}

fn scopes(ground: &Ground) {
    let keyed = |key: &str, text: &str, event_type: Option<&str>, by: &[UniqueBy]| {
        let wish = args(text, unique(by, &OPEN, Conflict::Keep, once(10)));
        let event_type = event_type.map_or(wish.event_type.clone(), str::to_owned);
        NewEvent { key: Some(key.to_owned()), event_type, ..wish }
    };
    let by = [UniqueBy::Key];
    let first = is_new(ground, keyed("k", "1", None, &by));
    assert_eq!(store(ground, keyed("k", "2", Some(DOOR), &by)).1.unwrap(), Stored::Kept { event: first }, "of whatever type");
    is_new(ground, keyed("l", "1", None, &by));
    let by = [UniqueBy::Key, UniqueBy::Type];
    is_new(ground, keyed("m", "1", None, &by));
    let other = is_new(ground, keyed("m", "1", Some(DOOR), &by));
    let turned = [UniqueBy::Type, UniqueBy::Key, UniqueBy::Type];
    assert_eq!(
        store(ground, keyed("m", "9", Some(DOOR), &turned)).1.unwrap(),
        Stored::Kept { event: other },
        "in whatever order it is said"
    );
    let by = [UniqueBy::Args];
    let plain = is_new(ground, NewEvent { key: None, ..keyed("", r#"{"z": 1}"#, None, &by) });
    assert_eq!(
        store(ground, NewEvent { key: None, ..keyed("", r#"{"z": 1}"#, Some(DOOR), &by) }).1.unwrap(),
        Stored::Kept { event: plain }
    );
    ground.check_counts();
}

fn states(ground: &Ground) {
    let wish = |states: &[EventState]| unique(&[UniqueBy::Type], states, Conflict::Keep, once(10));
    let first = is_new(ground, wish(&OPEN));
    ground.settle(&ground.claim_one(10), End::Succeeded, 10);
    assert_eq!(store(ground, wish(&[EventState::Completed])).1.unwrap(), Stored::Kept { event: first }, "once is once");
    let second = is_new(ground, wish(&OPEN));
    ground.alter(second, &Change::Pause { note: None }, 1).unwrap();
    assert_eq!(store(ground, wish(&OPEN)).1.unwrap(), Stored::Kept { event: second }, "a paused one counts");
    let third = is_new(ground, wish(&[EventState::Scheduled]));
    let all = [EventState::Completed, EventState::Paused, EventState::Scheduled];
    assert_eq!(store(ground, wish(&all)).1.unwrap(), Stored::Kept { event: third }, "an open one before others");
    ground.alter(third, &Change::Cancel, 2).unwrap();
    assert_eq!(store(ground, wish(&[EventState::Cancelled])).1.unwrap(), Stored::Kept { event: third });
    ground.check_counts();
}

fn batch(ground: &Ground) {
    let three = |conflict| [0; 3].map(|_| ground.intention(by_args(conflict)));
    let kept = three(Conflict::Keep);
    let stored = ground.store.schedule(&ground.lease, &kept, &tester(), at(0)).unwrap();
    assert_eq!(stored[1..], [Stored::Kept { event: kept[0].id }, Stored::Kept { event: kept[0].id }]);
    let line =
        ground.audited(&AuditFilter { subject: Some(kept[0].id.to_string()), verb_prefix: None, ..AuditFilter::default() }).remove(0);
    assert_eq!(line.detail["count"], 1, "the audit counts what was stored");
    let refused = three(Conflict::Reject);
    assert_eq!(code(ground.store.schedule(&ground.lease, &refused, &tester(), at(0))), "INP036");
    assert_eq!(ground.events().len(), 1, "all or nothing");
    let last = three(Conflict::Replace);
    ground.store.schedule(&ground.lease, &last, &tester(), at(0)).unwrap();
    let open: Vec<_> = ground.events().into_iter().filter(|event| event.state == EventState::Scheduled).map(|event| event.id).collect();
    assert_eq!(open, [last[2].id], "each took the place of the one before");
    ground.check_counts();
}

fn edited(ground: &Ground) {
    let (one, two) = (is_new(ground, args("[1]", by_args(Conflict::Replace))), is_new(ground, args("[2]", by_args(Conflict::Replace))));
    let edit = |id, text: &str| {
        let edit = Edit { args: Some(RawValue::from_string(text.to_owned()).unwrap()), ..Edit::default() };
        ground.alter(id, &Change::Edit(Box::new(edit)), 1)
    };
    assert_eq!(code(edit(two, "[1]")), "INP036", "an edit never replaces");
    assert_eq!(ground.event(two).wish.args.get(), "[2]");
    edit(two, "[3]").unwrap();
    let free = is_new(ground, args("[2]", by_args(Conflict::Replace)));
    let (_, stored) = store(ground, args("[3]", by_args(Conflict::Replace)));
    assert!(matches!(stored.unwrap(), Stored::New { replaced, .. } if replaced == [two]), "it is found by what it is now");
    let nothing = Edit { policy: Some(RunPolicy::default()), ..Edit::default() };
    ground.alter(one, &Change::Edit(Box::new(nothing)), 2).unwrap();
    is_new(ground, args("[1]", by_args(Conflict::Reject)));
    let back = Edit { policy: Some(by_args(Conflict::Keep).policy), ..Edit::default() };
    assert_eq!(code(ground.alter(one, &Change::Edit(Box::new(back)), 3)), "INP036");
    assert_eq!(ground.event(free).state, EventState::Scheduled);
    ground.check_counts();
}

fn follow_ups(ground: &Ground) {
    let there = is_new(ground, args("[1]", NewEvent { event_type: DOOR.to_owned(), ..by_args(Conflict::Keep) }));
    let old = is_new(ground, args("[2]", NewEvent { event_type: DOOR.to_owned(), ..by_args(Conflict::Keep) }));
    ground.schedule(once(5));
    let occurrence = ground.claim_one(5);
    let follow_up = |text: &str, conflict| ground.intention(args(text, NewEvent { event_type: DOOR.to_owned(), ..by_args(conflict) }));
    let all = [
        follow_up("[1]", Conflict::Keep),
        follow_up("[1]", Conflict::Reject),
        follow_up("[2]", Conflict::Replace),
        follow_up("[3]", Conflict::Keep),
    ];
    let mut end = ground.end(&occurrence, End::Succeeded, 6);
    end.follow_ups = all.to_vec();
    let settled = ground.store.settle(&ground.lease, &[end], at(6)).unwrap().remove(0);
    assert_eq!(settled.outcome, Outcome::Succeeded);
    assert_eq!(ground.event(old).reason, Some(format!("replaced by {}", all[2].id)));
    let is_stored: Vec<bool> = all.iter().map(|intention| ground.store.event(intention.id).unwrap().is_some()).collect();
    assert_eq!(is_stored, [false, false, true, true]);
    let kept = ground.audited(&AuditFilter {
        subject: Some(there.to_string()),
        verb_prefix: Some("event.schedule.kept".to_owned()),
        ..AuditFilter::default()
    });
    assert_eq!(kept.len(), 1);
    let refused = ground.audited(&AuditFilter { subject: Some(all[1].id.to_string()), verb_prefix: None, ..AuditFilter::default() });
    assert_eq!(refused[0].detail["code"].as_str(), Some("INP036"));
    ground.check_counts();
}

fn threads(ground: &Ground) {
    for (text, conflict) in [("[1]", Conflict::Reject), ("[2]", Conflict::Keep), ("[3]", Conflict::Replace)] {
        let answers: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| store(ground, args(text, by_args(conflict))))).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        let wish = args(text, once(10)).args;
        let open: BTreeSet<EventId> = ground
            .events()
            .into_iter()
            .filter(|e| e.state == EventState::Scheduled && e.wish.args.get() == wish.get())
            .map(|e| e.id)
            .collect();
        assert_eq!(open.len(), 1, "{conflict:?}");
        let won = answers.iter().filter(|(_, stored)| matches!(stored, Ok(Stored::New { .. }))).count();
        assert_eq!(won, if conflict == Conflict::Replace { 8 } else { 1 }, "{conflict:?}");
        for (_, answer) in answers {
            match answer {
                Ok(Stored::Kept { event }) => assert!(conflict == Conflict::Keep && open.contains(&event)),
                Ok(Stored::New { .. }) => {}
                refused => assert_eq!(code(refused), "INP036"),
            }
        }
    }
    ground.check_counts();
}

fn runs(ground: &Ground) {
    let resource = |id: &str| Resource { id: id.to_owned(), kind: String::new(), properties: BTreeMap::new() };
    let full = NewEvent {
        bot: Some(Bot { id: "b1".to_owned(), name: "One".to_owned() }),
        labels: BTreeMap::from([("team".to_owned(), "a".to_owned()), ("it's".to_owned(), "x".to_owned())]),
        resources: vec![resource("r1"), resource("r2")],
        ..every(10)
    };
    let (full, plain) = (ground.schedule(full), ground.schedule(every(10)));
    for second in [10, 20, 30] {
        for occurrence in ground.claim(second) {
            ground.settle(&occurrence, End::Succeeded, second);
        }
    }
    let list = |filter: RunFilter| -> Vec<EventId> {
        // In pages of two, so that the filter and the page go together.
        let (mut before, mut found) = (None, Vec::new());
        loop {
            let page = ground.store.runs(&filter, &Page { before, limit: 2 }).unwrap();
            let Some((row, _)) = page.last() else { return found };
            before = Some(*row);
            found.extend(page.into_iter().map(|(_, run)| run.event_id));
        }
    };
    let labels = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned()), ("it's".to_owned(), "x".to_owned())]);
    for (filter, expected) in [
        (RunFilter { bot: Some("b1".to_owned()), ..RunFilter::default() }, 3),
        (RunFilter { bot: Some("b2".to_owned()), ..RunFilter::default() }, 0),
        (RunFilter { resource: Some("r2".to_owned()), ..RunFilter::default() }, 3),
        (RunFilter { resource: Some("r3".to_owned()), ..RunFilter::default() }, 0),
        (RunFilter { labels: labels("a"), ..RunFilter::default() }, 3),
        (RunFilter { labels: labels("b"), ..RunFilter::default() }, 0),
        (RunFilter { plugin: Some("bells".to_owned()), ..RunFilter::default() }, 6),
        (RunFilter { plugin: Some("doors".to_owned()), ..RunFilter::default() }, 0),
    ] {
        let found = list(filter.clone());
        assert_eq!(found.len(), expected, "{filter:?}");
        assert!(expected == 6 || found.iter().all(|id| *id == full && *id != plain));
    }
    let by_resource = |id: &str| EventFilter { resource: Some(id.to_owned()), ..EventFilter::default() };
    let found = |id: &str| ground.store.events(&by_resource(id), &Page { before: None, limit: 10 }).unwrap().len();
    assert_eq!((found("r1"), found("r3")), (1, 0));
}
