//! Theme: how long runs are kept, by age, outcome and count, for a type and for all.
//!
//! Not the deleting by a given age: that is `prune`. What must hold: the expectation is worked out from the list of runs, not from the store.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, every, once, tester};
use crate::rows::{Page, PrunePlace, Pruned, Pruning, RunFilter, Spent};
use serde_json::{Value, json};
use sexton_core::decide::End;
use sexton_core::{NewEvent, Outcome, RetentionRule};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("retention: what is said stands over what was said, and over all types", rules),
    ("retention: by age and outcome, each type by its own rule", ages),
    ("retention: beyond a number the oldest go, and their events with them", numbers),
    ("retention: a dry run tells what would go", dry),
    ("retention: what is not over stays, however many there are", not_over),
    ("retention: two at once delete no more than one", at_once),
];

const DAY: i64 = 86_400;

fn rule(json: Value) -> RetentionRule {
    serde_json::from_value(json).unwrap()
}

fn set(ground: &Ground, event_type: Option<&str>, said: Value) -> RetentionRule {
    ground.store.set_retention(&ground.lease, event_type, &rule(said), &tester(), at(1)).unwrap()
}

/// Every step of a pruning by the rules; what it did in all.
fn prune(ground: &Ground, limit: usize, dry_run: bool, now: i64) -> Pruned {
    let (mut sum, mut from) = (Pruned::default(), PrunePlace::default());
    loop {
        let step = ground.store.prune(&Pruning { spent: Spent::ByRules, dry_run, from, limit }, at(now)).unwrap();
        assert!(step.runs <= i64::try_from(limit).unwrap(), "{step:?}");
        sum.runs += step.runs;
        sum.events += step.events;
        match step.next {
            Some(next) => from = next,
            None => return sum,
        }
    }
}

/// Runs one-shot events of a type that end in these seconds, so.
fn ran(ground: &Ground, event_type: &str, end: &End, seconds: impl Iterator<Item = i64>) {
    for second in seconds {
        ground.schedule(NewEvent { event_type: event_type.to_owned(), ..once(second) });
        ground.settle(&ground.claim_one(second), end.clone(), second);
    }
}

/// What is left: type, outcome, second of the end; oldest first.
fn left(ground: &Ground) -> Vec<(String, Outcome, i64)> {
    let runs = ground.store.runs(&RunFilter::default(), &Page { before: None, limit: 10_000 }).unwrap();
    let second = |finished_at: chrono::DateTime<chrono::Utc>| (finished_at - at(0)).num_seconds();
    runs.into_iter().rev().map(|(_, run)| (run.event_type, run.outcome, second(run.finished_at))).collect()
}

fn rules(ground: &Ground) {
    assert!(ground.store.retention().unwrap().is_empty());
    set(ground, None, json!({"keep": "10d"}));
    assert_eq!(set(ground, Some(BELL), json!({"keep": "1d", "max_runs": 5})), rule(json!({"keep": "1d", "max_runs": 5})));
    assert_eq!(set(ground, Some(BELL), json!({"keep": "2d"})), rule(json!({"keep": "2d", "max_runs": 5})), "what was said besides stands");
    let rows = ground.store.retention().unwrap();
    let said: Vec<_> = rows.iter().map(|row| (row.event_type.as_deref(), row.rule)).collect();
    assert_eq!(said, [(None, rule(json!({"keep": "10d"}))), (Some(BELL), rule(json!({"keep": "2d", "max_runs": 5})))]);
    let refused = |event_type, said| code(ground.store.set_retention(&ground.lease, event_type, &rule(said), &tester(), at(1)));
    assert_eq!(refused(Some("no.such"), json!({"keep": "1d"})), "INP001");
    assert_eq!((refused(None, json!({})), refused(Some(BELL), json!({"max_runs": 0}))), ("INP040".to_owned(), "INP040".to_owned()));
    let clear = |event_type| ground.store.clear_retention(&ground.lease, event_type, &tester(), at(2)).unwrap();
    assert_eq!((clear(Some(BELL)), clear(Some(BELL)), clear(None), clear(None)), (true, false, true, false));
    assert!(ground.store.retention().unwrap().is_empty());
    let verbs: Vec<_> = ground
        .audited(&crate::rows::AuditFilter { verb_prefix: Some("retention.".to_owned()), ..Default::default() })
        .into_iter()
        .map(|line| (line.verb, line.subject))
        .collect();
    let told = |verb: &str, subject: &str| (format!("retention.{verb}"), subject.to_owned());
    assert_eq!(verbs, [told("set", ""), told("set", BELL), told("set", BELL), told("clear", BELL), told("clear", "")]);
}

fn ages(ground: &Ground) {
    let failed = End::Failed { permanent: true };
    set(ground, None, json!({"keep": "10d", "keep_failed": "20d"}));
    set(ground, Some(DOOR), json!({"keep": "1d"}));
    for day in 1..=30 {
        for (i, (event_type, end)) in (0..).zip([(BELL, &End::Succeeded), (BELL, &failed), (DOOR, &End::Succeeded), (DOOR, &failed)]) {
            ran(ground, event_type, end, [day * DAY + i].into_iter());
        }
    }
    let before = left(ground);
    let now = 31 * DAY;
    let is_kept = |(event_type, outcome, second): &(String, Outcome, i64)| {
        let days = match (event_type.as_str(), outcome) {
            (_, Outcome::Failed) => 20,
            (DOOR, _) => 1,
            _ => 10,
        };
        *second >= now - days * DAY
    };
    let expected: Vec<_> = before.iter().filter(|run| is_kept(run)).cloned().collect();
    let gone = prune(ground, 7, false, now);
    assert_eq!(left(ground), expected);
    let runs = i64::try_from(before.len() - expected.len()).unwrap();
    assert_eq!((gone.runs, gone.events), (runs, runs), "each event with its last run; the discarded with its dead letter");
    assert_eq!(prune(ground, 7, false, now), Pruned::default());
    ground.check_counts();
}

fn numbers(ground: &Ground) {
    set(ground, None, json!({"max_runs": 8}));
    set(ground, Some(DOOR), json!({"max_runs": 3}));
    ran(ground, BELL, &End::Succeeded, 1..=20);
    ran(ground, DOOR, &End::Succeeded, 21..=30);
    ran(ground, BELL, &End::Succeeded, 31..=32);
    let gone = prune(ground, 4, false, 40);
    assert_eq!((gone.runs, gone.events), (14 + 7, 14 + 7), "an event that is over goes with its last run, however young");
    let of = |event_type: &str| left(ground).iter().filter(|run| run.0 == event_type).map(|run| run.2).collect::<Vec<_>>();
    assert_eq!((of(BELL), of(DOOR)), ([15, 16, 17, 18, 19, 20, 31, 32].to_vec(), [28, 29, 30].to_vec()), "the newest are kept");
    ground.check_counts();
}

fn dry(ground: &Ground) {
    set(ground, None, json!({"max_runs": 4, "keep": "1d"}));
    ran(ground, BELL, &End::Succeeded, 1..=10);
    ran(ground, DOOR, &End::Succeeded, [11, 2 * DAY].into_iter());
    let before = left(ground);
    let told = prune(ground, 3, true, 2 * DAY);
    assert_eq!((told.runs, left(ground).len()), (11, before.len()), "all bells and the old door");
    assert_eq!(prune(ground, 3, false, 2 * DAY).runs, 11);
    // Young ones, by number alone, in more than one step.
    ran(ground, BELL, &End::Succeeded, 2 * DAY + 1..=2 * DAY + 10);
    assert_eq!(prune(ground, 3, true, 2 * DAY + 20).runs, 6);
    assert_eq!(prune(ground, 3, false, 2 * DAY + 20).runs, 6);
}

fn not_over(ground: &Ground) {
    set(ground, None, json!({"max_runs": 1, "keep": "1m", "keep_failed": "1d"}));
    let retried = ground.schedule(once(1));
    ground.settle(&ground.claim_one(1), End::Failed { permanent: false }, 1);
    let dead = ground.schedule(once(2));
    let occurrence = ground.claim(2).into_iter().find(|o| o.id.event == dead).unwrap();
    ground.settle(&occurrence, End::Failed { permanent: true }, 2);
    ran(ground, DOOR, &End::Succeeded, 3..=4);
    prune(ground, 10, false, 5);
    assert_eq!(ground.outcomes(retried), [Outcome::Failed], "its retry is to come");
    assert_eq!(ground.outcomes(dead), [Outcome::Failed], "a dead letter can be explained as long as its age allows");
    prune(ground, 10, false, 2 * DAY);
    assert_eq!(ground.outcomes(retried), [Outcome::Failed], "however old it is");
    assert!(ground.store.event(dead).unwrap().is_none());
    let again = ground.claim(3 * DAY).into_iter().find(|o| o.id.event == retried).unwrap();
    ground.settle(&again, End::Succeeded, 3 * DAY);
    prune(ground, 10, false, 5 * DAY);
    assert!(ground.store.event(retried).unwrap().is_none());
    ground.check_counts();
}

fn at_once(ground: &Ground) {
    set(ground, None, json!({"max_runs": 50}));
    ground.schedule(every(1));
    for second in 1..=150 {
        ground.settle(&ground.claim_one(second), End::Succeeded, second);
    }
    std::thread::scope(|scope| {
        for limit in [3, 5, 7] {
            scope.spawn(move || prune(ground, limit, false, 200));
        }
    });
    assert_eq!(left(ground).iter().map(|run| run.2).collect::<Vec<_>>(), (101..=150).collect::<Vec<_>>());
    ground.check_counts();
}
