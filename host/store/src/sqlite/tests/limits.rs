//! What limits cost where there are none, and what holds of their rows whatever is done.
//!
//! Not what they do: that is the conformance suite's. What must hold: without a concurrency limit there is no trigger on `occurrences`; the count of a
//! limit is that of its rows.

use crate::conformance::ground::{BELL, Ground, at, once, tester};
use crate::rows::Change;
use crate::sqlite::Sqlite;
use sexton_core::decide::End;
use sexton_core::limit::Limit;
use sexton_core::{NewEvent, Occurrence, RunPolicy};
use std::sync::Arc;

fn ask<T: rusqlite::types::FromSql + Send + 'static>(store: &Sqlite, sql: &'static str) -> T {
    store.writer.call(0, move |tx| Ok(tx.conn.query_row(sql, [], |row| row.get(0))?)).unwrap()
}

fn triggers(store: &Sqlite) -> i64 {
    ask(store, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'occurrences'")
}

#[test]
fn triggers_are_there_while_a_concurrency_limit_is() {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let ground = Ground::on(store.clone());
    let set = |on: &str, concurrency, rate| {
        let limit = Limit::ask(on.parse().unwrap(), concurrency, rate, None).unwrap();
        ground.store.set_limit(&ground.lease, &limit, &tester(), at(0)).unwrap();
    };
    let remove = |on: &str| ground.store.remove_limit(&ground.lease, &on.parse().unwrap(), &tester(), at(0)).unwrap();
    assert_eq!(triggers(&store), 0);
    set("key:a", None, Some("1/1s"));
    assert_eq!(triggers(&store), 0, "a rate has no slots to free");
    set("key:b", Some(1), None);
    set("key:c", Some(1), None);
    assert_eq!(triggers(&store), 2);
    assert!(remove("key:b"));
    assert_eq!(triggers(&store), 2);
    set("key:c", None, Some("1/1s"));
    assert_eq!(triggers(&store), 0);
    assert!(remove("key:a") && remove("key:c"));
    assert_eq!(ask::<i64>(&store, "SELECT count(*) FROM limits"), 0, "nothing is left of them");
}

/// A small generator, so that a failure comes again.
fn draw(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound
}

#[test]
fn the_count_of_a_limit_is_that_of_its_claimed_rows_whatever_is_done() {
    let store = Arc::new(Sqlite::in_memory().unwrap());
    let mut ground = Ground::on(store.clone());
    let (mut random, mut claimed, mut second): (_, Vec<Occurrence>, i64) = (7, Vec::new(), 0);
    let names = [format!("type:{BELL}"), "plugin:bells".to_owned(), "key:rope".to_owned()];
    let mut most = [None; 3];
    for step in 0..3_000 {
        second += 1;
        match draw(&mut random, 10) {
            0 => {
                let which = usize::try_from(draw(&mut random, 3)).unwrap();
                let concurrency = u32::try_from(1 + draw(&mut random, 6)).unwrap();
                let limit = Limit::ask(names[which].parse().unwrap(), Some(concurrency), None, None).unwrap();
                ground.store.set_limit(&ground.lease, &limit, &tester(), at(second)).unwrap();
                most[which] = Some(concurrency);
            }
            1 if draw(&mut random, 3) == 0 => {
                let which = usize::try_from(draw(&mut random, 3)).unwrap();
                ground.store.remove_limit(&ground.lease, &names[which].parse().unwrap(), &tester(), at(second)).unwrap();
                most[which] = None;
            }
            1..=3 => {
                let limit_key = (draw(&mut random, 2) == 0).then(|| "rope".to_owned());
                ground.schedule(NewEvent { policy: RunPolicy { limit_key, ..RunPolicy::default() }, ..once(second) });
            }
            4 | 5 => {
                let limit = usize::try_from(1 + draw(&mut random, 5)).unwrap();
                claimed.extend(ground.store.claim(&ground.lease, &[ground.bell], at(second), limit).unwrap());
            }
            6 if draw(&mut random, 20) == 0 => {
                ground = ground.restarted(second);
                ground.store.recover(&ground.lease, &[], at(second)).unwrap();
                claimed.clear();
            }
            _ if claimed.is_empty() => {}
            way => {
                let which = usize::try_from(draw(&mut random, claimed.len() as u64)).unwrap();
                let one = claimed.swap_remove(which);
                match way {
                    6 => ground.store.give_back(&ground.lease, &[(one.id, one.token)]).unwrap(),
                    7 => drop(ground.settle(&one, End::Failed { permanent: false }, second)),
                    8 => drop(ground.alter(one.id.event, &Change::Cancel, second)),
                    _ => drop(ground.settle(&one, End::Succeeded, second)),
                }
            }
        }
        let wrong: i64 = ask(
            &store,
            "SELECT count(*) FROM limits l WHERE taken <> (SELECT count(*) FROM slots s WHERE s.limit_id = l.id)
                OR (concurrency IS NOT NULL AND taken <>
                    (SELECT count(*) FROM occurrences o JOIN events e ON e.id = o.event WHERE o.state = 1
                        AND (l.scope < 2 OR e.policy ->> '$.limit_key' = 'rope')))",
        );
        assert_eq!(wrong, 0, "step {step}: a count is not that of the rows");
        assert_eq!(ask::<i64>(&store, "SELECT count(*) FROM slots WHERE limit_id NOT IN (SELECT id FROM limits)"), 0, "step {step}");
    }
}
