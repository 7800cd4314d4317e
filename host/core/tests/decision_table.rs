//! The whole decision after a run as a table: state × end × whose occurrence × what else is left × kind of schedule × attempts × time.
//!
//! Not its finer points (`after_run`, `times`). What must hold: every cell has one rule, written down here from the design and not computed by
//! the code; a cell that the store cannot come to is named with the reason.

use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::calendar::Calendars;
use sexton_core::decide::{Consequence, End, Guilt, POISON_INTERRUPTIONS, Row, SkipReason, Standing, after_run};
use sexton_core::{Cause, EventId, EventState, NewEvent, Outcome, RetryPolicy, Schedule};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

static NONE: LazyLock<Calendars> = LazyLock::new(Calendars::default);

/// The instant that the schedule meant.
const MEANT: &str = "2027-05-01T10:00:00Z";
const STATES: [&str; 5] = ["scheduled", "paused", "completed", "cancelled", "discarded"];
const ENDS: [&str; 8] = ["succeeded", "failed", "permanent", "snoozed", "cancelled", "innocent", "suspect", "culprit"];
/// Whether the schedule gave the occurrence.
const WHOSE: [&str; 2] = ["schedule", "extra"];
/// Whether anything else of the event is still to run.
const OTHERS: [&str; 2] = ["last", "beside"];
/// Kinds of schedule: `over` has no further time, `spent` has run as often as it may.
const KINDS: [&str; 7] = ["once", "every", "after", "cron", "over", "spent", "manual"];
/// Attempts, and interruptions before the poison limit.
const TRIES: [&str; 2] = ["left", "spent"];
/// Whether the run ended before or after the next instants.
const TIMES: [(&str, &str); 2] = [("before", "2027-05-01T10:00:20Z"), ("after", "2027-05-01T10:12:30Z")];

/// What becomes of the occurrence, by state, end and tries.
const ROWS: &[([&str; 3], &str)] = &[
    (["cancelled", "*", "*"], "gone"),
    (["scheduled paused completed discarded", "succeeded cancelled", "*"], "gone"),
    (["scheduled paused completed discarded", "permanent", "*"], "dead"),
    (["scheduled paused completed discarded", "failed", "left"], "again"),
    (["scheduled paused completed discarded", "snoozed innocent", "*"], "again"),
    (["scheduled paused completed discarded", "suspect culprit", "left"], "again"),
    (["scheduled paused completed discarded", "failed suspect culprit", "spent"], "dead"),
];

/// What follows for the event, by the occurrence, state, whose, others, kind and time: the successor with how many instants it passed
/// over, and the event's new state.
type Follows = (&'static str, i64, &'static str);
const NOTHING: Follows = ("", 0, "");
const EVENTS: &[([&str; 6], Follows)] = &[
    //  row         state               whose       others    kind                    time
    // An occurrence that comes again leaves all else as it is; what is over stays over.
    (["again", "*", "*", "*", "*", "*"], NOTHING),
    (["gone dead", "completed cancelled", "*", "*", "*", "*"], NOTHING),
    // The schedule goes on, whatever else there is.
    (["gone dead", "scheduled paused", "schedule", "*", "every", "before"], ("2027-05-01T10:01:00Z", 0, "")),
    (["gone dead", "scheduled paused", "schedule", "*", "every", "after"], ("2027-05-01T10:13:00Z", 12, "")),
    (["gone dead", "scheduled paused", "schedule", "*", "cron", "before"], ("2027-05-01T10:05:00Z", 0, "")),
    (["gone dead", "scheduled paused", "schedule", "*", "cron", "after"], ("2027-05-01T10:15:00Z", 2, "")),
    (["gone dead", "scheduled paused", "schedule", "*", "after", "before"], ("2027-05-01T10:01:20Z", 0, "")),
    (["gone dead", "scheduled paused", "schedule", "*", "after", "after"], ("2027-05-01T10:13:30Z", 0, "")),
    // The last one of the schedule.
    (["gone", "scheduled paused", "schedule", "last", "once", "*"], ("", 0, "completed")),
    (["gone", "scheduled paused", "schedule", "beside", "once", "*"], NOTHING),
    (["dead", "scheduled paused", "schedule", "*", "once", "*"], ("", 0, "discarded")),
    (["gone dead", "scheduled paused", "schedule", "last", "over spent", "*"], ("", 0, "completed")),
    (["gone dead", "scheduled paused", "schedule", "beside", "over spent", "*"], NOTHING),
    // One beside the schedule ends the event if nothing is left; but not one that is held until somebody mends its schedule.
    (["gone dead", "scheduled paused", "extra", "last", "once", "*"], ("", 0, "completed")),
    (["gone dead", "scheduled", "extra", "last", "every after cron over spent", "*"], ("", 0, "completed")),
    (["gone dead", "paused", "extra", "last", "every after cron over spent", "*"], NOTHING),
    (["gone dead", "scheduled paused", "extra", "beside", "once every after cron over spent", "*"], NOTHING),
    // Only an operator's word ends a manual event.
    (["gone dead", "scheduled paused discarded", "*", "*", "manual", "*"], NOTHING),
    // A dead letter that was put back, and is done now.
    (["gone", "discarded", "schedule", "last", "once", "*"], ("", 0, "completed")),
    (["dead", "discarded", "schedule", "last", "once", "*"], NOTHING),
    (["gone dead", "discarded", "schedule", "beside", "once", "*"], NOTHING),
    (["gone dead", "discarded", "extra", "*", "once", "*"], NOTHING),
    (["gone dead", "discarded", "*", "*", "every after cron over spent", "*"], NOTHING),
];

/// Cells that the store does not come to, by state, whose, others and kind; they have their rules all the same.
const NEVER: &[([&str; 4], &str)] = &[
    (["discarded", "*", "*", "every after cron over spent manual"], "only a one-shot is discarded"),
    (["*", "schedule", "*", "manual"], "an edit to manual takes the occurrence from the schedule"),
    (["scheduled", "extra", "last", "every after cron"], "a schedule with further times has its own occurrence"),
    (["completed", "extra", "*", "*"], "completed with the last of all, and no run-now or backfill after"),
];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

fn matches<const N: usize>(patterns: &[&str; N], words: &[&str; N]) -> bool {
    patterns.iter().zip(words).all(|(pattern, word)| *pattern == "*" || pattern.split(' ').any(|one| one == *word))
}

/// The one rule of a cell.
fn rule<const N: usize, T: Copy>(table: &[([&str; N], T)], cell: [&str; N]) -> (usize, T) {
    let found: Vec<usize> = (0..table.len()).filter(|place| matches(&table[*place].0, &cell)).collect();
    assert_eq!(found.len(), 1, "one rule for {cell:?}: {:?}", found.iter().map(|place| table[*place].0).collect::<Vec<_>>());
    (found[0], table[found[0]].1)
}

/// Every word of a pattern is one of the dimension.
fn check_words<const N: usize, T>(table: &[([&str; N], T)], dimensions: [&[&str]; N]) {
    for (patterns, _) in table {
        for (pattern, words) in patterns.iter().zip(dimensions) {
            let strange = pattern.split(' ').find(|one| *one != "*" && !words.contains(one));
            assert!(strange.is_none(), "{strange:?} in {patterns:?} is none of {words:?}");
        }
    }
}

fn wish(kind: &str) -> NewEvent {
    let every = || Schedule::every(Duration::from_secs(60), Some(at(MEANT)));
    let schedule = match kind {
        "once" => Schedule::once(at(MEANT)),
        "every" => every(),
        "after" => Schedule::after(Duration::from_secs(60)),
        "cron" => Schedule::cron("*/5 * * * *", "UTC"),
        "over" => Schedule::cron("0 0 10 1 5 * 2027", "UTC"),
        "spent" => {
            let mut spent = every();
            spent.terms.max_runs = Some(1);
            spent
        }
        "manual" => Schedule::manual(),
        other => panic!("{other} is no kind"),
    };
    let retry = RetryPolicy { attempts: 3, first_delay_ms: 10_000, max_delay_ms: 60_000, deadline_ms: None };
    NewEvent { retry: Some(retry), ..NewEvent::new("sexton.noop", schedule) }
}

const SNOOZED_UNTIL: &str = "2027-05-01T11:00:00Z";

fn end(word: &str) -> End {
    match word {
        "succeeded" => End::Succeeded,
        "failed" => End::Failed { permanent: false },
        "permanent" => End::Failed { permanent: true },
        "snoozed" => End::Snoozed { until: at(SNOOZED_UNTIL) },
        "cancelled" => End::Cancelled,
        "innocent" => End::Interrupted { guilt: Guilt::Innocent },
        "suspect" => End::Interrupted { guilt: Guilt::Suspect },
        "culprit" => End::Interrupted { guilt: Guilt::Culprit },
        other => panic!("{other} is no end"),
    }
}

/// A cell, as words.
#[derive(Clone, Copy, Debug)]
struct Cell {
    state: &'static str,
    end: &'static str,
    whose: &'static str,
    others: &'static str,
    kind: &'static str,
    tries: &'static str,
    time: (&'static str, &'static str),
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for state in STATES {
        for end in ENDS {
            for whose in WHOSE {
                for others in OTHERS {
                    for kind in KINDS {
                        for tries in TRIES {
                            cells.extend(TIMES.map(|time| Cell { state, end, whose, others, kind, tries, time }));
                        }
                    }
                }
            }
        }
    }
    cells
}

impl Cell {
    fn standing<'a>(&self, wish: &'a NewEvent) -> Standing<'a> {
        let by_schedule = self.whose == "schedule";
        let is_left = self.tries == "left";
        Standing {
            event: EventId(7),
            wish,
            state: serde_json::from_value(self.state.into()).expect("a state"),
            cause: if by_schedule { Cause::Schedule } else { Cause::RunNow },
            by_schedule,
            scheduled_for: at(MEANT),
            first_due_at: at(MEANT),
            counted_to: None,
            given: 0,
            calendars: &NONE,
            attempt: if is_left { 2 } else { 3 },
            interruptions: if is_left { POISON_INTERRUPTIONS - 2 } else { POISON_INTERRUPTIONS - 1 },
            type_retry: None,
            others_left: i64::from(self.others == "beside"),
            started_at: at(MEANT),
            finished_at: at(self.time.1),
            jitter: 0x8000_0000,
        }
    }

    fn check_row(&self, then: &Consequence, s: &Standing<'_>, expected: &str) {
        let now = at(self.time.1);
        let Row::Again { due_at, cause, attempt, interruptions } = &then.row else {
            let found = if then.row == Row::Gone { "gone" } else { "dead" };
            assert_eq!(found, expected, "{self:?}");
            assert!(!matches!(&then.row, Row::DeadLetter { reason } if reason.is_empty()), "{self:?}: a dead letter says why");
            return;
        };
        assert_eq!(expected, "again", "{self:?}: {:?}", then.row);
        let (from, to, expected) = match self.end {
            "failed" => (now, now + TimeDelta::seconds(20), (Cause::Retry, s.attempt + 1, s.interruptions)),
            "snoozed" => (at(SNOOZED_UNTIL), at(SNOOZED_UNTIL), (Cause::Snooze, s.attempt, s.interruptions)),
            "innocent" => (now, now, (s.cause, s.attempt, s.interruptions)),
            "suspect" => (now + TimeDelta::seconds(30), now + TimeDelta::seconds(60), (s.cause, s.attempt, s.interruptions + 1)),
            "culprit" => (now + TimeDelta::seconds(5), now + TimeDelta::seconds(5), (s.cause, s.attempt, s.interruptions + 1)),
            other => panic!("{self:?}: {other} does not come again"),
        };
        assert_eq!((*cause, *attempt, *interruptions), expected, "{self:?}");
        assert!((from..=to).contains(due_at), "{self:?}: due at {due_at}, not in {from} to {to}");
    }

    fn check(&self, row: &str, (successor, passed, state): Follows) {
        let wish = wish(self.kind);
        let standing = self.standing(&wish);
        let then = after_run(&standing, &end(self.end), at(self.time.1)).unwrap_or_else(|refusal| panic!("{self:?}: {refusal}"));
        let outcome = match self.end {
            "succeeded" => Outcome::Succeeded,
            "failed" | "permanent" => Outcome::Failed,
            "snoozed" => Outcome::Snoozed,
            "cancelled" => Outcome::Cancelled,
            _ => Outcome::Interrupted,
        };
        assert_eq!(then.outcome, outcome, "{self:?}");
        self.check_row(&then, &standing, row);
        assert_eq!(then.successor, Some(successor).filter(|text| !text.is_empty()).map(at), "{self:?}");
        let skips: Vec<(SkipReason, i64)> = then.skips.iter().collect();
        let expected: Vec<(SkipReason, i64)> = Some((SkipReason::Overlap, passed)).filter(|_| passed > 0).into_iter().collect();
        assert_eq!(skips, expected, "{self:?}");
        let state = Some(state).filter(|word| !word.is_empty());
        assert_eq!(then.state, state.map(|word| serde_json::from_value::<EventState>(word.into()).expect("a state")), "{self:?}");
    }
}

#[test]
fn every_cell_of_the_decision_has_one_rule_and_follows_it() {
    let times = TIMES.map(|(word, _)| word);
    check_words(ROWS, [&STATES, &ENDS, &TRIES]);
    check_words(EVENTS, [&["gone", "again", "dead"], &STATES, &WHOSE, &OTHERS, &KINDS, &times]);
    check_words(NEVER, [&STATES, &WHOSE, &OTHERS, &KINDS]);
    let (mut rows_used, mut events_used) = (BTreeMap::<usize, u32>::new(), BTreeMap::<usize, u32>::new());
    let cells = cells();
    assert_eq!(cells.len(), 5 * 8 * 2 * 2 * 7 * 2 * 2);
    for cell in &cells {
        let (place, row) = rule(ROWS, [cell.state, cell.end, cell.tries]);
        *rows_used.entry(place).or_default() += 1;
        let (place, follows) = rule(EVENTS, [row, cell.state, cell.whose, cell.others, cell.kind, cell.time.0]);
        *events_used.entry(place).or_default() += 1;
        cell.check(row, follows);
    }
    assert_eq!((rows_used.len(), events_used.len()), (ROWS.len(), EVENTS.len()), "a rule without a cell is a slip");
}

/// What cannot happen is said with its reason, and is not more than that: each rule of the table has a cell that can.
#[test]
fn what_the_store_cannot_come_to_is_named_and_leaves_every_rule_a_cell() {
    let is_never = |cell: &Cell| NEVER.iter().any(|(patterns, _)| matches(patterns, &[cell.state, cell.whose, cell.others, cell.kind]));
    let cells = cells();
    for (patterns, why) in NEVER {
        let named = cells.iter().filter(|cell| matches(patterns, &[cell.state, cell.whose, cell.others, cell.kind])).count();
        assert!(named > 0 && !why.is_empty(), "{patterns:?}");
    }
    let mut used = BTreeMap::<usize, u32>::new();
    for cell in cells.iter().filter(|cell| !is_never(cell)) {
        let row = rule(ROWS, [cell.state, cell.end, cell.tries]).1;
        *used.entry(rule(EVENTS, [row, cell.state, cell.whose, cell.others, cell.kind, cell.time.0]).0).or_default() += 1;
    }
    let idle: Vec<_> = (0..EVENTS.len()).filter(|place| !used.contains_key(place)).map(|place| EVENTS[place].0).collect();
    assert_eq!(idle, [["gone dead", "discarded", "*", "*", "every after cron over spent", "*"]], "rules that only hold what cannot happen");
}
