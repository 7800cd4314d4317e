//! Theme: many callers at once, and the end of it.

use super::Theme;
use super::ground::{Ground, at, code, once, tester};
use crate::error::ErrorKind;
use crate::rows::{Actor, EventFilter, Page, RunFilter};
use sexton_core::decide::End;
use sexton_core::{NewEvent, OccurrenceId};
use std::collections::BTreeSet;
use std::thread;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("threads: everybody's events are stored", everybody),
    ("threads: one winner for a key", one_winner),
    ("threads: nobody's claim is anybody else's", claims),
    ("threads: after close every verb says so", closed),
];

const CALLERS: i64 = 8;

fn everybody(ground: &Ground) {
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || {
                for i in 0..25 {
                    let id = ground.schedule(once(caller * 100 + i));
                    assert!(ground.store.event(id).unwrap().is_some(), "a read sees what was acknowledged before it");
                }
            });
        }
    });
    assert_eq!(ground.events().len(), 200);
    ground.check_counts();
}

fn one_winner(ground: &Ground) {
    let stored: usize = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    let intention = ground.intention(NewEvent { key: Some("wanted".to_owned()), ..once(10) });
                    let result = ground.store.schedule(&ground.lease, &[intention], &tester(), at(0));
                    let won = result.is_ok();
                    assert!(won || code(result) == "INP008");
                    usize::from(won)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(stored, 1);
    assert_eq!(ground.events().len(), 1, "the losers took back their own rows only");
    ground.check_counts();
}

fn claims(ground: &Ground) {
    let batch: Vec<_> = (0..500).map(|i| ground.intention(once(i))).collect();
    ground.store.schedule(&ground.lease, &batch, &tester(), at(0)).unwrap();
    let claimed: Vec<OccurrenceId> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let some = ground.store.claim(&ground.lease, &[ground.bell], at(1_000), 7).unwrap();
                        if some.is_empty() {
                            return mine;
                        }
                        for occurrence in some {
                            ground.settle(&occurrence, End::Succeeded, 1_000);
                            mine.push(occurrence.id);
                        }
                    }
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(claimed.len(), 500);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 500, "nothing was claimed twice");
    assert_eq!(ground.store.counts().unwrap().runs, 500);
    ground.check_counts();
}

fn closed(ground: &Ground) {
    let (id, intention) = (ground.schedule(once(10)), ground.intention(once(1)));
    ground.store.close();
    ground.store.close();
    let (store, page) = (&ground.store, Page { before: None, limit: 1 });
    let kinds = [
        store.attach("tower", at(1)).map(drop),
        store.schedule(&ground.lease, &[intention], &Actor(String::new()), at(1)).map(drop),
        store.claim(&ground.lease, &[ground.bell], at(1), 1).map(drop),
        store.settle(&ground.lease, &[], at(1)).map(drop),
        store.event(id).map(drop),
        store.events(&EventFilter::default(), &page).map(drop),
        store.runs(&RunFilter::default(), &page).map(drop),
        store.counts().map(drop),
        store.statistics(None, None).map(drop),
    ];
    for result in kinds {
        assert_eq!(result.unwrap_err().kind, ErrorKind::Closed);
    }
}
