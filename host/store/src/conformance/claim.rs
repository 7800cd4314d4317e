//! Theme: who gets what falls due, in which order, and giving it back.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, every, once};
use crate::error::ErrorKind;
use crate::rows::Change;
use sexton_core::decide::End;
use sexton_core::{Cause, NewEvent, Occurrence, TypeId};
use std::collections::BTreeSet;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("claim: what is due by an instant, once", due_once),
    ("claim: the limit is shared between types", fair),
    ("claim: with less than one a type, the turns go round", turns),
    ("claim: priority first, then the earliest", order),
    ("claim: what nobody serves is left alone", unserved),
    ("claim: given back, it is due again as if never claimed", give_back),
    ("claim: a token is never given twice, and rises over restarts", tokens),
    ("claim: a replaced lease claims nothing", replaced_lease),
];

fn on(event_type: &str, seconds: i64) -> NewEvent {
    NewEvent { event_type: event_type.to_owned(), ..once(seconds) }
}

fn of(claimed: &[Occurrence], type_id: TypeId) -> usize {
    claimed.iter().filter(|o| o.type_id == type_id).count()
}

fn due_once(ground: &Ground) {
    let (early, late) = (ground.schedule(once(10)), ground.schedule(NewEvent { priority: 4, ..every(20) }));
    let both = [ground.bell, ground.door];
    assert_eq!(ground.store.next_due(&both).unwrap(), Some(at(10)));
    assert!(ground.claim(9).is_empty());
    let claimed = ground.claim_one(10);
    assert_eq!((claimed.id.event, claimed.id.n, claimed.type_id), (early, 1, ground.bell));
    assert_eq!((claimed.scheduled_for, claimed.due_at, claimed.cause, claimed.by_schedule), (at(10), at(10), Cause::Schedule, true));
    assert_eq!((claimed.attempt, claimed.interruptions, claimed.resources_done.len()), (1, 0, 0));
    assert_eq!(claimed.wish.args.get(), once(10).args.get());
    assert_eq!(ground.store.next_due(&both).unwrap(), Some(at(20)), "a claimed one is out of the due order");
    let other = ground.claim_one(30);
    assert_eq!((other.id.event, other.priority), (late, 4));
    assert!(ground.claim(1_000).is_empty(), "nothing is claimed twice");
    assert_eq!(ground.store.next_due(&both).unwrap(), None);
}

fn fair(ground: &Ground) {
    for second in 0..40 {
        ground.schedule(on(BELL, second));
    }
    for second in 0..10 {
        ground.schedule(on(DOOR, 50 + second));
    }
    let claim = |limit| ground.store.claim(&ground.lease, &[ground.bell, ground.door], at(100), limit).unwrap();
    let first = claim(12);
    assert_eq!((of(&first, ground.bell), of(&first, ground.door)), (6, 6), "a backlog does not take the other's share");
    let second = claim(20);
    assert_eq!((of(&second, ground.bell), of(&second, ground.door)), (16, 4), "what one does not need goes to the other");
    let rest = claim(usize::MAX);
    assert_eq!((of(&rest, ground.bell), of(&rest, ground.door)), (18, 0));
    assert!(claim(5).is_empty());
    assert!(claim(0).is_empty());
    assert!(ground.store.claim(&ground.lease, &[], at(100), 5).unwrap().is_empty());
}

fn turns(ground: &Ground) {
    for second in 0..4 {
        ground.schedule(on(BELL, second));
        ground.schedule(on(DOOR, second));
    }
    let mut types = Vec::new();
    for _ in 0..8 {
        let claimed = ground.store.claim(&ground.lease, &[ground.bell, ground.door], at(100), 1).unwrap();
        types.extend(claimed.iter().map(|o| o.type_id));
    }
    assert_eq!(types.len(), 8);
    assert!(types.windows(2).all(|pair| pair[0] != pair[1]), "each type in turn: {types:?}");
}

fn order(ground: &Ground) {
    let wishes = [(30, 0), (10, 0), (20, 0), (40, 5), (35, 5), (5, -5), (1, i32::MIN), (50, i32::MAX)];
    for (seconds, priority) in wishes {
        ground.schedule(NewEvent { priority, ..once(seconds) });
    }
    let mut got = Vec::new();
    for _ in 0..wishes.len() {
        let one = ground.store.claim(&ground.lease, &[ground.bell], at(100), 1).unwrap().remove(0);
        got.push((one.due_at.timestamp() - at(0).timestamp(), one.priority));
    }
    assert_eq!(got, [(50, i32::MAX), (35, 5), (40, 5), (10, 0), (20, 0), (30, 0), (5, -5), (1, i32::MIN)]);
    for (seconds, priority) in wishes {
        ground.schedule(NewEvent { priority, ..once(seconds) });
    }
    let batch: Vec<i32> = ground.claim(100).iter().map(|o| o.priority).collect();
    assert_eq!(batch, [i32::MAX, 5, 5, 0, 0, 0, -5, i32::MIN], "a batch is in the same order");
}

fn unserved(ground: &Ground) {
    let waiting = ground.schedule(on(DOOR, 1));
    ground.schedule(on(BELL, 2));
    let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(100), 10).unwrap();
    assert_eq!(of(&claimed, ground.bell), 1);
    assert_eq!(claimed.len(), 1);
    assert_eq!(ground.store.next_due(&[ground.bell]).unwrap(), None);
    assert_eq!(ground.event(waiting).next_run_at, Some(at(1)), "it waits");
}

fn give_back(ground: &Ground) {
    let id = ground.schedule(once(10));
    let first = ground.claim_one(10);
    ground.store.give_back(&ground.lease, &[(first.id, first.token + 1)]).unwrap();
    assert!(ground.claim(10).is_empty(), "a stale token gives nothing back");
    ground.store.give_back(&ground.lease, &[(first.id, first.token)]).unwrap();
    assert_eq!(ground.store.next_due(&[ground.bell]).unwrap(), Some(at(10)));
    let second = ground.claim_one(10);
    assert_eq!((second.id, second.attempt), (first.id, 1), "no attempt was spent");
    assert_ne!(second.token, first.token);
    ground.store.give_back(&ground.lease, &[(first.id, first.token)]).unwrap();
    assert!(ground.claim(10).is_empty(), "the old token holds nothing any more");
    assert!(ground.runs(id).is_empty(), "no run row");
    // Claimed, then paused or ended while it ran, then given back after all.
    ground.alter_while(id, &Change::Pause { note: None }, &[second.id], 11).unwrap();
    ground.store.give_back(&ground.lease, &[(second.id, second.token)]).unwrap();
    assert!(ground.claim(20).is_empty(), "it went out of the due order with its paused event");
    ground.alter(id, &Change::Resume, 12).unwrap();
    let third = ground.claim_one(20);
    ground.alter_while(id, &Change::Cancel, &[third.id], 13).unwrap();
    ground.store.give_back(&ground.lease, &[(third.id, third.token)]).unwrap();
    assert!(ground.ordinals(id).is_empty(), "it went with its cancelled event");
}

fn tokens(ground: &Ground) {
    let mut seen = BTreeSet::new();
    let mut greatest = 0;
    ground.schedule(every(1));
    let mut life = ground.restarted(0);
    for second in 1..30 {
        let occurrence = life.claim_one(second);
        assert!(occurrence.token > greatest, "tokens rise");
        greatest = occurrence.token;
        assert!(seen.insert(occurrence.token));
        if second % 3 == 0 {
            life = life.restarted(second);
            life.store.recover(&life.lease, &[], at(second)).unwrap();
            let again = life.claim_one(second);
            assert!(again.token > greatest, "a restart gives no token twice");
            greatest = again.token;
            life.settle(&again, End::Succeeded, second);
        } else {
            life.settle(&occurrence, End::Succeeded, second);
        }
    }
}

fn replaced_lease(ground: &Ground) {
    ground.schedule(once(1));
    let newer = ground.restarted(5);
    assert!(newer.lease.epoch > ground.lease.epoch);
    assert_eq!(newer.lease.host, ground.lease.host, "the same name is the same host");
    let refused = ground.store.claim(&ground.lease, &[ground.bell], at(10), 1).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Held, "{refused}");
    assert_eq!(newer.claim(10).len(), 1);
    let other = ground.store.attach("spire", at(6)).unwrap();
    assert_ne!(other.host, newer.lease.host);
    assert!(other.epoch > newer.lease.epoch);
    newer.store.recover(&other, &[], at(6)).unwrap();
    assert!(newer.claim(10).is_empty(), "a living host's claims are nobody else's to recover");
}
