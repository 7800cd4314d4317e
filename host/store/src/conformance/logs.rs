//! Theme: what runs said.

use super::Theme;
use super::ground::{Ground, at, every, once};
use crate::rows::{Change, RunEnd, RunLine, RunLog, Settled};
use chrono::TimeDelta;
use sexton_core::decide::{End, Guilt};
use sexton_core::{EventId, Occurrence, OccurrenceId, Outcome};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("logs: come back as they were given, of the run that said them", whole),
    ("logs: the newest of an occurrence, or of an attempt", newest),
    ("logs: a run that said nothing has none", silent),
    ("logs: a lost run keeps its own", lost),
    ("logs: a batch that fails stores none", all_or_nothing),
    ("logs: go with their runs", pruned),
];

const FAILED: End = End::Failed { permanent: false };

fn said(message: &str) -> RunLog {
    RunLog { lines: vec![RunLine { at: at(5), message: message.to_owned(), ..RunLine::default() }], dropped: 0 }
}

fn ended(ground: &Ground, occurrence: &Occurrence, end: End, seconds: i64, log: Option<RunLog>) -> RunEnd {
    RunEnd { log, ..ground.end(occurrence, end, seconds) }
}

fn settle(ground: &Ground, occurrence: &Occurrence, end: End, seconds: i64, log: Option<RunLog>) -> Settled {
    ground.store.settle(&ground.lease, &[ended(ground, occurrence, end, seconds, log)], at(seconds)).unwrap().remove(0)
}

fn log_of(ground: &Ground, occurrence: OccurrenceId) -> Option<RunLog> {
    ground.store.run_log(occurrence, None).unwrap()
}

fn message_of(ground: &Ground, occurrence: OccurrenceId, attempt: Option<u32>) -> Option<String> {
    ground.store.run_log(occurrence, attempt).unwrap().map(|log| log.lines[0].message.clone())
}

fn whole(ground: &Ground) {
    let line = |level, message: &str| RunLine {
        at: at(10) + TimeDelta::microseconds(123_456 + i64::from(level)),
        level,
        target: "bells::rope \"quoted\"".to_owned(),
        message: message.to_owned(),
        spans: "peal{stroke=3}:pull".to_owned(),
    };
    let lines = vec![line(1, "the rope broke"), line(255, "two\nlines, a \u{0}, and \u{1f514}"), line(3, "")];
    let log = RunLog { lines, dropped: u64::MAX };
    let (first, second) = (ground.schedule(once(10)), ground.schedule(once(11)));
    let mut claimed = ground.claim(11);
    claimed.sort_by_key(|o| o.id);
    assert_eq!(log_of(ground, claimed[0].id), None, "before its end there is none");
    let ends =
        [ended(ground, &claimed[0], End::Succeeded, 12, Some(log.clone())), ended(ground, &claimed[1], FAILED, 12, Some(said("other")))];
    ground.store.settle(&ground.lease, &ends, at(12)).unwrap();
    assert_eq!(log_of(ground, OccurrenceId { event: first, n: 1 }), Some(log));
    assert_eq!(log_of(ground, OccurrenceId { event: second, n: 1 }), Some(said("other")));
    assert_eq!(log_of(ground, OccurrenceId { event: first, n: 2 }), None);
    assert_eq!(log_of(ground, OccurrenceId { event: EventId(12_345), n: 1 }), None);
    assert_eq!((ground.outcomes(first), ground.outcomes(second)), (vec![Outcome::Succeeded], vec![Outcome::Failed]));
    ground.check_counts();
}

fn newest(ground: &Ground) {
    let id = ground.schedule(every(1_000));
    let first = ground.claim_one(1_000);
    settle(ground, &first, FAILED, 1_001, Some(said("attempt 1")));
    let again = ground.claim_one(100_000);
    assert_eq!((again.id, again.attempt), (first.id, 2));
    settle(ground, &again, End::Interrupted { guilt: Guilt::Innocent }, 1_010, Some(said("attempt 2, cut short")));
    let again = ground.claim_one(100_000);
    assert_eq!((again.id, again.attempt), (first.id, 2));
    settle(ground, &again, FAILED, 1_020, Some(said("attempt 2")));
    let again = ground.claim_one(100_000);
    settle(ground, &again, End::Succeeded, 1_030, None);
    let next = ground.claim_one(100_000);
    settle(ground, &next, End::Succeeded, 2_001, Some(said("the next occurrence")));
    assert_eq!((again.attempt, next.id.n, ground.runs(id).len()), (3, 2, 5));
    let of = |attempt| message_of(ground, first.id, attempt);
    assert_eq!(of(None).as_deref(), Some("attempt 2"), "the newest that said something");
    assert_eq!(of(Some(1)).as_deref(), Some("attempt 1"));
    assert_eq!(of(Some(2)).as_deref(), Some("attempt 2"), "the newest run of the attempt");
    assert_eq!((of(Some(3)), of(Some(4))), (None, None));
    assert_eq!(message_of(ground, next.id, None).as_deref(), Some("the next occurrence"));
}

fn silent(ground: &Ground) {
    let id = ground.schedule(every(10));
    settle(ground, &ground.claim_one(10), End::Succeeded, 10, Some(RunLog::default()));
    assert_eq!(log_of(ground, OccurrenceId { event: id, n: 1 }), None);
    let dropped = RunLog { lines: Vec::new(), dropped: 4 };
    settle(ground, &ground.claim_one(20), End::Succeeded, 20, Some(dropped.clone()));
    assert_eq!(log_of(ground, OccurrenceId { event: id, n: 2 }), Some(dropped), "that all was dropped is worth knowing");
}

fn lost(ground: &Ground) {
    let id = ground.schedule(every(60));
    let stale = ground.claim_one(60);
    ground.alter(id, &Change::Pause { note: None }, 61).unwrap();
    ground.alter(id, &Change::Resume, 62).unwrap();
    let fresh = ground.claim_one(62);
    settle(ground, &fresh, End::Succeeded, 63, Some(said("the run that counts")));
    assert_eq!(settle(ground, &stale, End::Succeeded, 64, Some(said("too late"))).outcome, Outcome::Lost);
    assert_eq!(ground.outcomes(id), [Outcome::Succeeded, Outcome::Lost]);
    assert_eq!(message_of(ground, stale.id, None).as_deref(), Some("too late"), "the newest run, though it changed nothing");
    let gone = Occurrence { id: OccurrenceId { event: EventId(12_345), n: 1 }, ..stale };
    assert_eq!(settle(ground, &gone, End::Succeeded, 65, Some(said("of nothing"))).outcome, Outcome::Lost);
    assert_eq!(log_of(ground, gone.id), None, "no run, no log");
    ground.check_counts();
}

fn all_or_nothing(ground: &Ground) {
    ground.schedule(once(10));
    let occurrence = ground.claim_one(10);
    let mut unknown = ground.intention(once(20));
    unknown.type_id = sexton_core::TypeId(999);
    let end = RunEnd { follow_ups: vec![unknown], ..ended(ground, &occurrence, End::Succeeded, 11, Some(said("nothing of it"))) };
    ground.store.settle(&ground.lease, &[end], at(11)).unwrap_err();
    assert_eq!(log_of(ground, occurrence.id), None);
    settle(ground, &occurrence, End::Succeeded, 12, Some(said("again")));
    assert_eq!(message_of(ground, occurrence.id, None).as_deref(), Some("again"));
}

fn pruned(ground: &Ground) {
    let id = ground.schedule(every(10));
    for second in [10, 20, 30] {
        settle(ground, &ground.claim_one(second), End::Succeeded, second, Some(said(&second.to_string())));
    }
    let has_log = |n| log_of(ground, OccurrenceId { event: id, n }).is_some();
    assert_eq!(ground.prune(25, 100), 2, "logs are counted with their runs");
    assert_eq!([1, 2, 3].map(has_log), [false, false, true]);
    assert_eq!(ground.prune(35, 100), 1);
    // With no run left, a store may number the next ones as before.
    for (n, second) in [(4, 40), (5, 50), (6, 60)] {
        settle(ground, &ground.claim_one(second), End::Succeeded, second, None);
        assert!(!has_log(n), "a run does not inherit");
    }
    for second in [70, 80, 90] {
        settle(ground, &ground.claim_one(second), End::Succeeded, second, Some(said("own")));
    }
    assert_eq!([6, 7, 9].map(has_log), [false, true, true]);
    ground.check_counts();
}
