//! How long the next time of a parsed cron expression takes, beside croner's, in one run on one machine.
//!
//! Not a check of the answers against others' (that is `oracle`), though both have to agree here. What must hold: a question of ours, zone, gap
//! and fold included, takes no more than 1.3 times croner's.

use chrono::{DateTime, Utc};
use croner::Cron;
use jiff::{Timestamp, Zoned};
use sexton_core::Schedule;
use sexton_core::calendar::Calendars;
use std::hint::black_box;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Expressions that both read alike; none asks in a gap or fold.
const EXPRESSIONS: [(&str, &str); 8] = [
    ("* * * * *", "UTC"),
    ("*/5 * * * *", "Europe/Paris"),
    ("0 2 * * *", "Europe/Paris"),
    ("30 8 * * MON-FRI", "America/New_York"),
    ("15,45 9-17 1,15 * *", "Asia/Kathmandu"),
    ("0 12 L * *", "Australia/Lord_Howe"),
    ("0 0 1 1 *", "UTC"),
    ("0 0 29 2 *", "Europe/Paris"),
];
/// Questions in a row, each from the last answer.
const WALK: usize = 200;
/// Walks of each, by turns; the fastest counts, so that what else the machine does is not measured.
const ROUNDS: usize = 25;
const MOST: f64 = 1.3;

fn start() -> Timestamp {
    "2027-01-13T07:11:13Z".parse().expect("an instant")
}

/// Rare times end before the calendar does.
fn asked(expression: &str) -> usize {
    if expression == "0 0 29 2 *" { WALK / 10 } else { WALK }
}

fn ours(schedule: &Schedule, n: usize) -> (Duration, DateTime<Utc>) {
    let calendars = Calendars::default();
    let mut at = DateTime::from_timestamp_micros(start().as_microsecond()).expect("an instant");
    let began = Instant::now();
    for _ in 0..n {
        // As settlement does: the plan is asked for again each time, and found among those that are kept.
        let plan = schedule.plan(&calendars).expect("a schedule");
        at = plan.next_after(black_box(at)).expect("in budget").expect("a further time");
    }
    (began.elapsed(), at)
}

fn theirs(cron: &Cron, tz: &str, n: usize) -> (Duration, Timestamp) {
    let mut at: Zoned = start().in_tz(tz).expect("a zone");
    let began = Instant::now();
    for _ in 0..n {
        at = cron.find_next_occurrence(black_box(&at), false).expect("a further time");
    }
    (began.elapsed(), at.timestamp())
}

#[test]
fn a_next_time_costs_no_more_than_croners() {
    println!("{:<24} {:<22} {:>10} {:>10} {:>7}", "expression", "zone", "ours", "croner", "ratio");
    let mut dear = Vec::new();
    for (expression, tz) in EXPRESSIONS {
        let (schedule, cron) = (Schedule::cron(expression, tz), Cron::from_str(expression).expect("an expression"));
        let n = asked(expression);
        let (mut a, mut b) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            let (took, mine) = ours(&schedule, n);
            a = a.min(took);
            let (took, other) = theirs(&cron, tz, n);
            b = b.min(took);
            assert_eq!(mine.timestamp_micros(), other.as_microsecond(), "{expression} in {tz}: the same walk");
        }
        let each = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(u32::try_from(n).expect("a small number"));
        let (a, b) = (each(a), each(b));
        println!("{expression:<24} {tz:<22} {a:>7.0} ns {b:>7.0} ns {:>7.2}", a / b);
        if a > MOST * b {
            dear.push(expression);
        }
    }
    assert!(dear.is_empty(), "more than {MOST} times croner's: {dear:?}");
}
