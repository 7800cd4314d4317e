//! What is one transaction, counted by the engine's commits.
//!
//! Not speed. What must hold: a run with all that it scheduled, and all that its end sets off, is one commit.

use super::super::Sqlite;
use crate::conformance::ground::{Ground, at, every, once, tester, wish};
use sexton_core::decide::End;
use sexton_core::schedule::follows::{Link, On};
use sexton_core::{Cause, Schedule};
use std::sync::Arc;

#[test]
fn a_success_with_a_thousand_follow_ups_and_followers_is_one_commit() {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let ground = Ground::on(Arc::clone(&store) as Arc<dyn crate::Store>);
    let parent = ground.schedule(every(10));
    let links = vec![Link { event: parent, on: On::Success }];
    let followers: Vec<_> = (0..500).map(|_| ground.intention(wish(Schedule::follows(links.clone())))).collect();
    let before = store.commits();
    ground.store.schedule(&ground.lease, &followers, &tester(), at(0)).unwrap();
    assert_eq!(store.commits(), before + 1);
    let occurrence = ground.claim_one(10);
    let mut end = ground.end(&occurrence, End::Succeeded, 10);
    end.follow_ups = (0..1_000).map(|_| ground.intention(once(20))).collect();
    let before = store.commits();
    ground.store.settle(&ground.lease, &[end], at(10)).unwrap();
    assert_eq!(store.commits(), before + 1);
    let claimed = ground.store.claim(&ground.lease, &[ground.bell], at(20), 10_000).unwrap();
    let set_off = claimed.iter().filter(|occurrence| occurrence.cause == Cause::Chain).count();
    assert_eq!((set_off, claimed.len()), (500, 1_501), "and the parent's own next one");
    ground.check_counts();
}
