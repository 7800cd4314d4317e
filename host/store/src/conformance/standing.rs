//! Theme: events that a plugin declares at every load.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, every, offer, once, tester, wish};
use crate::rows::Change;
use crate::store::StandingOffer;
use serde_json::value::RawValue;
use sexton_core::decide::End;
use sexton_core::{Event, EventState, NewEvent, Schedule};
use std::time::Duration;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("standing: declared again, it is left alone", left_alone),
    ("standing: declared differently, it is replaced in place", replaced),
    ("standing: what an operator did outlives a load", operator),
    ("standing: what ended is stored anew only if it differs", ended),
    ("standing: refused with its batch", refused),
];

fn declare(ground: &Ground, event_type: &str, wish: NewEvent, seconds: i64) -> crate::store::Result<()> {
    let first = wish.schedule.plan(&ground.calendars()).unwrap().first(at(seconds)).unwrap();
    let wish = NewEvent { key: Some("standing".to_owned()), ..wish };
    let standing = [StandingOffer { event_type: event_type.to_owned(), id: ground.id(), wish, first }];
    ground.store.publish(&ground.lease, "bells", 1, &[offer(BELL)], &standing, &tester(), at(seconds)).map(drop)
}

fn only(ground: &Ground) -> Event {
    let mut events = ground.events();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn left_alone(ground: &Ground) {
    declare(ground, BELL, every(60), 0).unwrap();
    let first = only(ground);
    assert_eq!((first.standing_of.as_deref(), first.wish.key.as_deref()), (Some("bells"), Some("standing")));
    declare(ground, BELL, every(60), 500).unwrap();
    let again = only(ground);
    assert_eq!((again.id, again.updated_at, again.next_run_at), (first.id, first.updated_at, Some(at(60))));
    // An anchor that was filled in when it was declared is none of the declaration.
    let anchored = |seconds| wish(Schedule::every(Duration::from_secs(90), Some(at(seconds))));
    declare(ground, BELL, anchored(1_000), 1_000).unwrap();
    let anchor = only(ground).wish.schedule;
    declare(ground, BELL, anchored(5_017), 5_017).unwrap();
    assert_eq!(only(ground).wish.schedule, anchor);
    declare(ground, BELL, anchored(3), 5_018).unwrap();
    assert_ne!(only(ground).wish.schedule, anchor, "one that was chosen is");
    ground.check_counts();
}

fn replaced(ground: &Ground) {
    declare(ground, BELL, every(60), 0).unwrap();
    let first = only(ground);
    let described = NewEvent { description: Some("rings".to_owned()), ..every(60) };
    declare(ground, BELL, described.clone(), 1).unwrap();
    let event = only(ground);
    assert_eq!((event.id, event.wish.description.as_deref(), event.next_run_at), (first.id, Some("rings"), Some(at(60))));
    let args = RawValue::from_string(r#"{"strokes":3}"#.to_owned()).unwrap();
    declare(ground, BELL, NewEvent { args, ..described.clone() }, 2).unwrap();
    assert_eq!(only(ground).updated_at, at(1), "the same arguments in other spaces are the same");
    let args = RawValue::from_string(r#"{"strokes":4}"#.to_owned()).unwrap();
    declare(ground, BELL, NewEvent { args, ..described }, 3).unwrap();
    assert_eq!(only(ground).wish.args.get(), r#"{"strokes":4}"#);
    let running = ground.claim_one(60);
    declare(ground, BELL, every(45), 61).unwrap();
    assert_eq!(
        ground.settle(&running, End::Succeeded, 62).next_due,
        Some(at(90)),
        "what runs settles; its successor follows the new schedule"
    );
    declare(ground, BELL, every(100), 63).unwrap();
    let event = only(ground);
    assert_eq!((event.id, event.next_run_at, event.occurrences), (first.id, Some(at(100)), 3));
    ground.check_counts();
}

fn operator(ground: &Ground) {
    declare(ground, BELL, every(60), 0).unwrap();
    let id = only(ground).id;
    ground.alter(id, &Change::Pause { note: Some("repair".to_owned()) }, 1).unwrap();
    declare(ground, BELL, every(60), 2).unwrap();
    assert_eq!(only(ground).state, EventState::Paused);
    declare(ground, BELL, every(30), 3).unwrap();
    let event = only(ground);
    assert_eq!((event.state, event.next_run_at), (EventState::Paused, None), "also if it is declared differently");
    ground.alter(id, &Change::Cancel, 4).unwrap();
    declare(ground, BELL, every(30), 5).unwrap();
    assert_eq!(only(ground).state, EventState::Cancelled);
    declare(ground, BELL, every(20), 6).unwrap();
    let events = ground.events();
    assert_eq!((events.len(), events[0].state), (2, EventState::Scheduled), "a new declaration is a new event");
    ground.check_counts();
}

fn ended(ground: &Ground) {
    declare(ground, BELL, once(10), 0).unwrap();
    ground.settle(&ground.claim_one(10), End::Succeeded, 11);
    declare(ground, BELL, once(10), 12).unwrap();
    assert_eq!(only(ground).state, EventState::Completed, "once is once, however often it is declared");
    declare(ground, BELL, once(50), 13).unwrap();
    assert_eq!(ground.events().len(), 2);
    assert_eq!(ground.claim(50).len(), 1);
}

fn refused(ground: &Ground) {
    assert_eq!(code(declare(ground, DOOR, every(60), 1)), "PLG040", "a type that another plugin owns");
    ground.schedule(NewEvent { key: Some("standing".to_owned()), ..once(10) });
    assert_eq!(code(declare(ground, BELL, every(60), 1)), "INP008", "a user's event has the key");
    assert_eq!(ground.events().len(), 1);
}
