//! Theme: storing events, keys, reading them back.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, every, once, tester, wish};
use crate::rows::{EventFilter, Page};
use serde_json::json;
use sexton_core::decide::End;
use sexton_core::{Bot, Cause, EventState, NewEvent, Overlap, Resource, RetryPolicy, RunPolicy, Schedule, TypeId};
use std::collections::BTreeMap;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("schedule: what was written comes back", comes_back),
    ("schedule: a batch is all or nothing", all_or_nothing),
    ("schedule: a key is unique among open events", keys),
    ("schedule: an unknown type is refused", unknown_type),
    ("schedule: listing, filters and pages", listing),
    ("schedule: manual events wait for nobody", manual),
];

fn comes_back(ground: &Ground) {
    let full = NewEvent {
        key: Some("nightly".to_owned()),
        description: Some("rings at night".to_owned()),
        bot: Some(Bot { id: "b1".to_owned(), name: "Night bot".to_owned() }),
        resources: vec![Resource {
            id: "r1".to_owned(),
            kind: "bell".to_owned(),
            properties: BTreeMap::from([("kg".to_owned(), json!(12))]),
        }],
        labels: BTreeMap::from([("team".to_owned(), "tower \"A\"".to_owned())]),
        priority: -7,
        retry: Some(RetryPolicy { attempts: 2, first_delay_ms: 10, max_delay_ms: 20, deadline_ms: Some(90_000) }),
        policy: RunPolicy { overlap: Overlap::QueueOne, limit_key: Some("db".to_owned()), ..RunPolicy::default() },
        ..every(60)
    };
    let id = ground.schedule(full.clone());
    let event = ground.event(id);
    assert_eq!(serde_json::to_value(&event.wish).unwrap(), serde_json::to_value(&full).unwrap());
    assert_eq!(event.wish.args.get(), full.args.get(), "arguments are kept to the byte");
    assert_eq!((event.id, event.state, event.type_id), (id, EventState::Scheduled, ground.bell));
    assert_eq!((event.created_at, event.updated_at, event.finished_at), (at(0), at(0), None));
    assert_eq!((event.created_by.as_str(), event.occurrences, event.skipped), ("test", 1, 0));
    assert_eq!(event.next_run_at, Some(at(60)));
    let waiting = ground.store.waiting(id).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].scheduled_for, waiting[0].due_at, waiting[0].cause, waiting[0].attempt), (at(60), at(60), Cause::Schedule, 1));
    assert!(ground.store.event(ground.id()).unwrap().is_none());
    ground.check_counts();
}

fn all_or_nothing(ground: &Ground) {
    let keyed = |key: &str| NewEvent { key: Some(key.to_owned()), ..once(10) };
    let holder = ground.schedule(keyed("taken"));
    let batch = [ground.intention(once(1)), ground.intention(keyed("free")), ground.intention(keyed("taken")), ground.intention(once(2))];
    let refused = ground.store.schedule(&ground.lease, &batch, &tester(), at(0));
    let sentence = refused.as_ref().unwrap_err().to_string();
    assert_eq!(code(refused), "INP008");
    assert!(sentence.contains(&holder.to_string()), "the refusal names the event: {sentence}");
    assert_eq!(ground.events().len(), 1, "nothing of the batch was stored");
    assert_eq!(ground.store.next_due(&[ground.bell]).unwrap(), Some(at(10)));
    let twice = [ground.intention(keyed("same")), ground.intention(keyed("same"))];
    assert_eq!(code(ground.store.schedule(&ground.lease, &twice, &tester(), at(0))), "INP008", "twice within a batch");
    assert_eq!(ground.events().len(), 1);
    ground.store.schedule(&ground.lease, &[], &tester(), at(0)).unwrap();
    ground.check_counts();
}

fn keys(ground: &Ground) {
    let keyed = |event_type: &str| NewEvent { event_type: event_type.to_owned(), key: Some("k".to_owned()), ..once(10) };
    let first = ground.schedule(keyed(BELL));
    ground.schedule(keyed(DOOR));
    let again = || ground.store.schedule(&ground.lease, &[ground.intention(keyed(BELL))], &tester(), at(0));
    assert_eq!(code(again()), "INP008");
    ground.alter(first, &crate::rows::Change::Pause { note: None }, 1).unwrap();
    assert_eq!(code(again()), "INP008", "a paused event keeps its key");
    ground.alter(first, &crate::rows::Change::Resume, 1).unwrap();
    let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(10), 1).unwrap();
    ground.settle(&claimed[0], End::Succeeded, 11);
    assert_eq!(ground.event(first).state, EventState::Completed);
    again().unwrap();
    let second = ground.events()[0].id;
    ground.alter(second, &crate::rows::Change::Cancel, 12).unwrap();
    again().unwrap();
    let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(10), 1).unwrap();
    ground.settle(&claimed[0], End::Failed { permanent: true }, 13);
    assert_eq!(ground.events()[0].state, EventState::Discarded);
    again().unwrap();
    ground.check_counts();
}

fn unknown_type(ground: &Ground) {
    let mut intention = ground.intention(once(1));
    intention.type_id = TypeId(9_999);
    assert_eq!(code(ground.store.schedule(&ground.lease, &[intention], &tester(), at(0))), "INP001");
    assert!(ground.events().is_empty());
}

fn listing(ground: &Ground) {
    let mut ids = Vec::new();
    for i in 0..30_i64 {
        let labels = BTreeMap::from([("third".to_owned(), (i % 3).to_string()), ("it's".to_owned(), "x".to_owned())]);
        let bot = (i % 10 == 0).then(|| Bot { id: "b7".to_owned(), name: "Seven".to_owned() });
        let event_type = if i % 2 == 0 { BELL } else { DOOR }.to_owned();
        ids.push(ground.schedule(NewEvent { event_type, labels, bot, key: Some(format!("k{i}")), ..once(100 + i) }));
    }
    ids.reverse();
    let page = |before, limit| Page { before, limit };
    let list =
        |filter: &EventFilter| -> Vec<_> { ground.store.events(filter, &page(None, 100)).unwrap().into_iter().map(|e| e.id).collect() };
    assert_eq!(list(&EventFilter::default()), ids, "newest first");
    let mut walked = Vec::new();
    let mut before = None;
    loop {
        let some = ground.store.events(&EventFilter::default(), &page(before, 7)).unwrap();
        let Some(last) = some.last() else { break };
        before = Some(last.id.0);
        walked.extend(some.iter().map(|e| e.id));
    }
    assert_eq!(walked, ids, "pages by key neither skip nor repeat");
    let count = |filter| list(&filter).len();
    assert_eq!(count(EventFilter { event_type: Some(BELL.to_owned()), ..EventFilter::default() }), 15);
    assert_eq!(count(EventFilter { event_type: Some("no.such".to_owned()), ..EventFilter::default() }), 0);
    assert_eq!(count(EventFilter { bot: Some("b7".to_owned()), ..EventFilter::default() }), 3);
    assert_eq!(count(EventFilter { key: Some("k5".to_owned()), ..EventFilter::default() }), 1);
    let labels = BTreeMap::from([("third".to_owned(), "1".to_owned()), ("it's".to_owned(), "x".to_owned())]);
    assert_eq!(count(EventFilter { labels, ..EventFilter::default() }), 10);
    let labels = BTreeMap::from([("third".to_owned(), "1".to_owned()), ("it's".to_owned(), "y".to_owned())]);
    assert_eq!(count(EventFilter { labels, ..EventFilter::default() }), 0);
    ground.alter(ids[3], &crate::rows::Change::Pause { note: None }, 1).unwrap();
    assert_eq!(list(&EventFilter { state: Some(EventState::Paused), ..EventFilter::default() }), [ids[3]]);
}

fn manual(ground: &Ground) {
    let id = ground.schedule(wish(Schedule::manual()));
    let event = ground.event(id);
    assert_eq!((event.next_run_at, event.occurrences, event.state), (None, 0, EventState::Scheduled));
    assert!(ground.store.waiting(id).unwrap().is_empty());
    assert_eq!(ground.store.next_due(&[ground.bell, ground.door]).unwrap(), None);
}
