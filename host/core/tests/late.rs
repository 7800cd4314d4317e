//! What is found late: the misfire policies as a table, and the balance of simulated hosts that are away, paused, slow or on a clock that
//! is set.
//!
//! Not how it is written down (the store) nor when it is asked (the engine). What must hold: every instant that a schedule gives is run once
//! or counted once as skipped, whatever happens; nothing is invented.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::decide::late::{ALL_MAX, Found, GRACE, Late, when_found, when_found_queued};
use sexton_core::decide::overlap::{Among, passed_over, runs_ahead};
use sexton_core::decide::{Absence, Consequence, End, Guilt, Row, SkipReason, Skips, Standing, after_run_among};
use sexton_core::schedule::{Misfire, Plan};
use sexton_core::{Cause, EventId, EventState, NewEvent, Overlap, RetryPolicy, RunPolicy, Schedule};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

type Instant = DateTime<Utc>;

fn at(text: &str) -> Instant {
    text.parse().expect(text)
}

fn schedule(json: &str) -> Schedule {
    Schedule::from_json(&serde_json::from_str(json).expect(json)).expect(json)
}

static CALENDARS: LazyLock<Calendars> = LazyLock::new(|| {
    let mut calendars = Calendars::default();
    for (name, json) in [
        ("weekend", r#"{"tz": "Europe/Paris", "weekly": [{"days": "sat-sun"}]}"#),
        ("office", r#"{"tz": "America/New_York", "weekly": [{"days": "mon-fri", "from": "09:00", "to": "17:00"}]}"#),
        ("night", r#"{"tz": "Australia/Lord_Howe", "daily": ["22:30..02:15"]}"#),
    ] {
        let calendar = Calendar::read(&serde_json::from_str(json).expect(json)).expect(json);
        calendars.insert(name, Arc::new(calendar)).expect(name);
    }
    calendars
});

/// Three ways to say each full hour.
const HOURLY: [&str; 3] = [
    r#""every": "1h", "anchor": "2026-01-01T00:00:00Z""#,
    r#""cron": "0 0-23 * * *""#,
    r#""rrule": "DTSTART:20260101T000000\nRRULE:FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23", "tz": "UTC""#,
];

/// Terms, the row (meant for, due, counted up to), who was there from when (host, type), now, and what is to be done: `run`; `for` an
/// instant, `to` what is accounted for; `skip` with the next instant; then what is counted. Times are of 1 May 2027.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);
const TABLE: &[Case] = &[
    // In time, or late alone.
    (r#""misfire": "latest""#, "03:00", "06:30 06:30", "02:59", "run"),
    (r#""misfire": "skip""#, "03:00", "00:00 00:00", "03:01", "run"),
    (r#""misfire": "skip""#, "03:00", "00:00 00:00", "03:01:00.000001", "skip 04:00 late 1"),
    (r#""misfire": "latest""#, "03:00", "03:30 03:30", "03:59:59.999999", "run"),
    (r#""misfire": "earliest""#, "03:00", "03:30 03:30", "03:59:59.999999", "for 03:00 to 03:59:59.999999"),
    (r#""misfire": "all""#, "03:00", "03:30 03:30", "03:59:59.999999", "run"),
    (r#""misfire": "latest""#, "03:00", "04:00 04:00", "04:00", "for 04:00 downtime 1"),
    // Jitter: lateness counts from when it was due.
    (r#""misfire": "skip", "jitter": "30m""#, "03:00 03:10", "00:00 00:00", "03:11", "run"),
    (r#""misfire": "skip", "jitter": "30m""#, "03:00 03:10", "00:00 00:00", "03:12", "skip 04:00 late 1"),
    // Three hours away, in each policy, and whose absence it was: a boundary belongs to the absence.
    (r#""misfire": "latest""#, "03:00", "06:30 06:30", "06:30", "for 06:00 downtime 3"),
    (r#""misfire": "latest""#, "03:00", "00:00 00:00", "06:30", "for 06:00 late 3"),
    (r#""misfire": "latest""#, "03:00", "00:00 06:30", "06:30", "for 06:00 unresolved 3"),
    (r#""misfire": "latest""#, "03:00", "03:30 04:30", "06:30", "for 06:00 downtime 1 unresolved 1 late 1"),
    (r#""misfire": "latest""#, "03:00", "03:00 04:00", "06:30", "for 06:00 downtime 1 unresolved 1 late 1"),
    (r#""misfire": "latest""#, "03:00", "05:00 02:00", "06:30", "for 06:00 downtime 3"),
    (r#""misfire": "latest""#, "03:00", "paused", "06:30", "for 06:00 paused 3"),
    (r#""misfire": "earliest""#, "03:00", "06:30 06:30", "06:30", "for 03:00 to 06:30 downtime 3"),
    (r#""misfire": "earliest""#, "03:00", "04:00 05:00", "06:30", "for 03:00 to 06:30 downtime 1 unresolved 1 late 1"),
    (r#""misfire": "earliest""#, "03:00", "paused", "06:30", "for 03:00 to 06:30 paused 3"),
    (r#""misfire": "all""#, "03:00", "06:30 06:30", "06:30", "run"),
    (r#""misfire": "skip""#, "03:00", "06:30 06:30", "06:30", "skip 07:00 downtime 4"),
    (r#""misfire": "skip""#, "03:00", "03:00 04:00", "06:00", "skip 07:00 downtime 1 unresolved 1 late 2"),
    (r#""misfire": "skip""#, "03:00", "paused", "06:00", "skip 07:00 paused 4"),
    // The window: its first instant is inside.
    (r#""misfire": "latest", "catch_up": "30m""#, "03:00", "06:30 06:30", "06:30", "for 06:00 catch_up 3"),
    (r#""misfire": "latest", "catch_up": "29m""#, "03:00", "06:30 06:30", "06:30", "skip 07:00 catch_up 4"),
    (r#""misfire": "latest", "catch_up": "90m""#, "03:00", "06:30 06:30", "06:30", "for 06:00 catch_up 2 downtime 1"),
    (r#""misfire": "earliest", "catch_up": "2h 30m""#, "03:00", "06:30 06:30", "06:30", "for 04:00 to 06:30 catch_up 1 downtime 2"),
    (r#""misfire": "earliest", "catch_up": "2h 29m""#, "03:00", "06:30 06:30", "06:30", "for 05:00 to 06:30 catch_up 2 downtime 1"),
    (r#""misfire": "earliest", "catch_up": "29m""#, "03:00", "06:30 06:30", "06:30", "skip 07:00 catch_up 4"),
    (r#""misfire": "all", "catch_up": "2h 30m""#, "03:00", "06:30 06:30", "06:30", "for 04:00 catch_up 1"),
    (r#""misfire": "all", "catch_up": "29m""#, "03:00", "06:30 06:30", "06:30", "skip 07:00 catch_up 4"),
    (r#""misfire": "skip", "catch_up": "90m""#, "03:00", "06:30 06:30", "06:30", "skip 07:00 catch_up 2 downtime 2"),
    (r#""misfire": "latest""#, "2027-04-29T03:00:00Z", "06:30 06:30", "06:30", "for 06:00 catch_up 28 downtime 23"),
    // Expired: also within the grace, and instead of the window if it is the shorter.
    (r#""misfire": "latest", "expires": "30m""#, "03:00", "06:30 06:30", "03:30", "run"),
    (r#""misfire": "latest", "expires": "30m""#, "03:00", "06:30 06:30", "03:30:00.000001", "skip 04:00 expired 1"),
    (r#""misfire": "latest", "expires": "30s""#, "03:00", "00:00 00:00", "03:00:31", "skip 04:00 expired 1"),
    (r#""misfire": "earliest", "expires": "30s""#, "03:00", "00:00 00:00", "03:00:31", "skip 04:00 expired 1"),
    (r#""misfire": "all", "expires": "30s""#, "03:00", "00:00 00:00", "03:00:31", "skip 04:00 expired 1"),
    (r#""misfire": "skip", "expires": "30s""#, "03:00", "00:00 00:00", "03:00:31", "skip 04:00 expired 1"),
    (r#""misfire": "latest", "expires": "1h""#, "03:00", "06:30 06:30", "06:30", "for 06:00 expired 3"),
    (r#""misfire": "latest", "expires": "2h", "catch_up": "1h""#, "03:00", "06:30 06:30", "06:30", "for 06:00 catch_up 3"),
    (r#""misfire": "all", "expires": "2h""#, "03:00", "06:30 06:30", "06:30", "for 05:00 expired 2"),
    (r#""misfire": "skip", "expires": "2h""#, "03:00", "06:30 06:30", "06:30", "skip 07:00 expired 2 downtime 2"),
    // Judged before: what is accounted for is not counted again, its own instant is.
    (r#""misfire": "earliest""#, "03:00 03:00 06:30", "08:10 08:10", "08:10", "run"),
    (r#""misfire": "earliest", "expires": "2h""#, "03:00 03:00 06:30", "08:10 08:10", "08:10", "for 07:00 to 08:10 expired 1 downtime 1"),
    (r#""misfire": "earliest", "expires": "1h""#, "03:00 03:00 06:30", "06:40 06:40", "06:40", "skip 07:00 expired 1"),
    (r#""misfire": "latest", "expires": "1h""#, "03:00 03:00 06:30", "08:10 08:10", "08:10", "for 08:00 expired 2"),
    (r#""misfire": "all", "expires": "2h""#, "03:00 03:00 06:30", "08:10 08:10", "08:10", "for 07:00 expired 1"),
    (r#""misfire": "skip", "expires": "1h""#, "03:00 03:00 06:30", "08:10 08:10", "08:10", "skip 09:00 expired 2 downtime 1"),
    // The clock was set back to before what was accounted for.
    (r#""misfire": "skip", "expires": "1h""#, "03:00 03:00 06:30", "05:10 05:10", "05:10", "skip 07:00 expired 1"),
    (r#""misfire": "earliest", "expires": "1h""#, "03:00 03:00 06:30", "05:10 05:10", "05:10", "skip 07:00 expired 1"),
    // A row meant anew keeps its due time; before its instant it is not late, and with it the grace begins.
    (r#""misfire": "skip""#, "03:00 00:10", "02:00 02:00", "02:00", "run"),
    (r#""misfire": "skip""#, "03:00 00:10", "03:01 03:01", "03:01", "run"),
    // The schedule no longer gives the row's instant (its zone changed): it counts all the same.
    (r#""misfire": "latest""#, "03:20", "06:30 06:30", "06:30", "for 06:00 downtime 3"),
    (r#""misfire": "earliest""#, "03:20", "06:30 06:30", "06:30", "for 03:20 to 06:30 downtime 3"),
    (r#""misfire": "all", "catch_up": "3h""#, "03:20", "06:30 06:30", "06:30", "for 04:00 catch_up 1"),
    (r#""misfire": "skip""#, "03:20", "06:30 06:30", "06:30", "skip 07:00 downtime 4"),
    // The schedule ends.
    (r#""misfire": "latest", "end": "2027-05-01T05:00:00Z""#, "03:00", "06:30 06:30", "06:30", "for 05:00 downtime 2"),
    (r#""misfire": "skip", "end": "2027-05-01T05:00:00Z""#, "03:00", "06:30 06:30", "06:30", "skip - downtime 3"),
    (r#""misfire": "latest", "catch_up": "1h", "end": "2027-05-01T05:00:00Z""#, "03:00", "06:30 06:30", "06:30", "skip - catch_up 3"),
];

/// Kinds with one instant at a time.
const SINGLE: &[(&str, &str, &str)] = &[
    (r#"{"once": "2027-05-01T03:00:00Z"}"#, "2028-01-01T00:00:00Z", "run"),
    (r#"{"once": "2027-05-01T03:00:00Z", "expires": "1h"}"#, "04:00", "run"),
    (r#"{"once": "2027-05-01T03:00:00Z", "expires": "1h"}"#, "04:00:00.000001", "skip - expired 1"),
    (r#"{"once": "2027-05-01T03:00:00Z", "expires": "1s"}"#, "03:00:02", "skip - expired 1"),
    (r#"{"after": "1h"}"#, "2028-01-01T00:00:00Z", "run"),
    (r#"{"after": "1h", "misfire": "all"}"#, "06:30", "run"),
    (r#"{"after": "1h", "misfire": "earliest"}"#, "06:30", "run"),
    (r#"{"after": "1h", "misfire": "skip"}"#, "03:01", "run"),
    (r#"{"after": "1h", "misfire": "skip"}"#, "06:30", "skip 07:30 downtime 1"),
    (r#"{"after": "1h", "expires": "1h"}"#, "06:30", "skip 07:30 expired 1"),
    (r#"{"after": "1h", "misfire": "skip", "end": "2027-05-01T07:00:00Z"}"#, "06:30", "skip - downtime 1"),
];

fn time(text: &str) -> Instant {
    match text.len() {
        5 => at(&format!("2027-05-01T{text}:00Z")),
        ..=15 => at(&format!("2027-05-01T{text}Z")),
        _ => at(text),
    }
}

fn absence(text: &str) -> Absence {
    match text.split_once(' ') {
        Some((host, served)) => Absence { host_since: time(host), type_since: time(served), otherwise: SkipReason::Late },
        None => Absence::always(SkipReason::Paused),
    }
}

fn found(text: &str) -> Found {
    let mut times = text.split(' ').map(time);
    let scheduled_for = times.next().expect("an instant");
    Found { scheduled_for, due_at: times.next().unwrap_or(scheduled_for), counted_to: times.next() }
}

/// The decision in the words of the table.
fn written(late: &Late) -> String {
    let short = |at: &Instant| {
        let text = at.format("%H:%M:%S%.f").to_string();
        if text.len() == 8 { text.strip_suffix(":00").unwrap_or(&text).to_owned() } else { text }
    };
    let (mut said, skips) = match late {
        Late::Run => return "run".to_owned(),
        Late::RunFor { scheduled_for, counted_to, skips } => {
            (format!("for {}{}", short(scheduled_for), counted_to.map_or_else(String::new, |to| format!(" to {}", short(&to)))), skips)
        }
        Late::Skip { successor, skips } => (format!("skip {}", successor.as_ref().map_or_else(|| "-".to_owned(), short)), skips),
    };
    let mut counted: Vec<(SkipReason, i64)> = skips.iter().collect();
    let order =
        [SkipReason::Expired, SkipReason::CatchUp, SkipReason::Downtime, SkipReason::Unresolved, SkipReason::Paused, SkipReason::Late];
    counted.sort_by_key(|(reason, _)| order.iter().position(|other| other == reason));
    for (reason, n) in counted {
        said.push_str(&format!(" {} {n}", reason.word()));
    }
    said
}

#[test]
fn every_policy_counts_what_it_passes_over() {
    for (terms, row, there, now, expected) in TABLE {
        for rule in HOURLY {
            let schedule = schedule(&format!("{{{rule}, {terms}}}"));
            let plan = schedule.plan(&CALENDARS).expect(rule);
            let late = when_found(&schedule, &plan, &found(row), &absence(there), time(now)).expect(rule);
            assert_eq!(written(&late), *expected, "{terms}, {row}, {there}, {now}: {rule}");
        }
    }
    for (text, now, expected) in SINGLE {
        let schedule = schedule(text);
        let plan = schedule.plan(&CALENDARS).expect(text);
        let late = when_found(&schedule, &plan, &found("03:00"), &absence("06:30 06:30"), time(now)).expect(text);
        assert_eq!(written(&late), *expected, "{text} at {now}");
    }
}

#[test]
fn no_more_than_so_many_are_made_up_for() {
    // The own instant and 1,416 hours more.
    let (own, now) = (at("2027-01-01T00:00:00Z"), at("2027-03-01T00:30:00Z"));
    for (terms, passed) in
        [(r#""catch_up": "100d""#, vec![(SkipReason::CatchUp, 417)]), (r#""catch_up": "10d""#, vec![(SkipReason::CatchUp, 1_177)])]
    {
        for rule in HOURLY {
            let schedule = schedule(&format!(r#"{{{rule}, "misfire": "all", {terms}}}"#));
            let plan = schedule.plan(&CALENDARS).expect(rule);
            let row = Found { scheduled_for: own, due_at: own, counted_to: None };
            let late = when_found(&schedule, &plan, &row, &absence("06:30 06:30"), now).expect(rule);
            let Late::RunFor { scheduled_for, counted_to: None, skips } = late else { panic!("{late:?}") };
            assert_eq!(skips.iter().collect::<Vec<_>>(), passed, "{rule}, {terms}");
            let left = plan.count(scheduled_for - TimeDelta::microseconds(1), now, i64::MAX).expect(rule);
            assert_eq!(left + skips.total(), 1_417);
            assert!(left <= ALL_MAX);
        }
    }
}

#[test]
fn extreme_instants_do_not_panic() {
    let far = [
        Instant::MIN_UTC,
        at("0001-01-01T00:00:00Z"),
        at("2027-05-01T03:00:00Z"),
        sexton_core::schedule::instant::last(),
        Instant::MAX_UTC,
    ];
    for rule in [HOURLY[0], HOURLY[1], HOURLY[2], r#""after": "1h""#, r#""every": "1 month", "tz": "Europe/Paris""#] {
        for misfire in ["latest", "earliest", "all", "skip"] {
            let schedule = schedule(&format!(r#"{{{rule}, "misfire": "{misfire}", "expires": "36525d", "catch_up": "36525d"}}"#));
            let plan = schedule.plan(&CALENDARS).expect(rule);
            for (own, now) in far.into_iter().flat_map(|own| far.map(|now| (own, now))) {
                for counted_to in [None, Some(far[0]), Some(far[4])] {
                    let row = Found { scheduled_for: own, due_at: own, counted_to };
                    for absence in
                        [Absence::always(SkipReason::Paused), Absence { host_since: now, type_since: own, otherwise: SkipReason::Late }]
                    {
                        let late = when_found(&schedule, &plan, &row, &absence, now).expect(rule);
                        if let Late::RunFor { skips, .. } | Late::Skip { skips, .. } = late {
                            assert!(skips.iter().all(|(_, n)| n > 0), "{skips:?}");
                        }
                    }
                }
            }
        }
    }
}

/// What happens next to the simulated host.
#[derive(Clone, Debug)]
enum Turn {
    /// The row is claimed when it is due, so many seconds late, and runs for so many.
    Serve { late_ms: i64, takes_ms: i64, fate: Fate },
    /// It is claimed and judged, then the host is down for so long before it starts.
    DieBeforeStart { late_ms: i64, down_s: i64 },
    /// The host is down.
    Down(i64),
    /// Nobody serves the type.
    Unserved(i64),
    /// The event is paused and resumed.
    Paused(i64),
    /// The clock is set.
    Step(i64),
    /// A run-now goes on for so long when it falls due.
    Beside(i64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Succeed,
    Fail,
    FailForGood,
    Snooze,
    Interrupted { counts: bool },
}

fn span() -> impl Strategy<Value = i64> {
    prop_oneof![2 => 0i64..120, 3 => 0i64..7_200, 3 => 0i64..100_000, 1 => 0i64..600_000]
}

fn turn() -> impl Strategy<Value = Turn> {
    let fate = prop_oneof![
        6 => Just(Fate::Succeed),
        2 => Just(Fate::Fail),
        1 => Just(Fate::FailForGood),
        1 => Just(Fate::Snooze),
        1 => Just(Fate::Interrupted { counts: true }),
        1 => Just(Fate::Interrupted { counts: false }),
    ];
    let ms = || prop_oneof![3 => 0i64..2_000, 1 => 0i64..90_000, 1 => 0i64..10_000_000];
    prop_oneof![
        8 => (ms(), ms(), fate).prop_map(|(late_ms, takes_ms, fate)| Turn::Serve { late_ms, takes_ms, fate }),
        1 => (ms(), span()).prop_map(|(late_ms, down_s)| Turn::DieBeforeStart { late_ms, down_s }),
        2 => span().prop_map(Turn::Down),
        1 => span().prop_map(Turn::Unserved),
        2 => span().prop_map(Turn::Paused),
        1 => (-7_200i64..7_200).prop_map(Turn::Step),
        1 => (0i64..20_000).prop_map(Turn::Beside),
    ]
}

const RULES: [&str; 16] = [
    r#""every": "7s""#,
    r#""every": "5m""#,
    r#""every": "93m""#,
    r#""every": "1 day", "tz": "Europe/Paris", "anchor": "2027-01-01T01:30:00Z""#,
    r#""every": "1 day", "tz": "America/New_York", "anchor": "2027-01-01T06:30:00Z", "gap": "skip", "fold": "both""#,
    r#""every": "1 month", "tz": "Europe/Paris", "anchor": "2027-01-31T01:30:00Z""#,
    r#""cron": "* * * * * *", "tz": "UTC""#,
    r#""cron": "*/5 * * * *", "tz": "Australia/Lord_Howe""#,
    r#""cron": "30 2 * * *", "tz": "Europe/Paris""#,
    r#""cron": "0,20,40 1-3 * * *", "tz": "Europe/Paris", "fold": "both""#,
    r#""cron": "0,20,40 1-3 * * *", "tz": "America/New_York", "fold": "last", "gap": "skip""#,
    r#""cron": "0 */2 * * *", "tz": "America/New_York""#,
    r#""cron": "*/10 * * * *", "tz": "Europe/Paris", "exclude": ["night", "weekend"]"#,
    r#""every": "25m", "only": ["office"], "exclude": ["weekend"]"#,
    r#""rrule": "DTSTART:20270101T013000\nRRULE:FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30", "tz": "Europe/Paris""#,
    r#""after": "11m""#,
];

fn terms() -> impl Strategy<Value = (Misfire, Option<u64>, Option<u64>, Option<u64>, Option<u32>)> {
    let seconds = || proptest::option::weighted(0.4, prop_oneof![1u64..200, 200u64..20_000, 20_000u64..400_000]);
    (
        select(vec![Misfire::Latest, Misfire::Earliest, Misfire::All, Misfire::Skip]),
        seconds(),
        seconds(),
        proptest::option::weighted(0.3, 1u64..3_600),
        proptest::option::weighted(0.1, 1u32..20),
    )
}

/// Around these the clocks of the zones above change.
const ERAS: [&str; 6] = [
    "2027-03-26T00:00:00Z",
    "2027-10-29T00:00:00Z",
    "2027-03-12T00:00:00Z",
    "2027-11-05T00:00:00Z",
    "2027-04-02T00:00:00Z",
    "2027-06-15T12:34:56.789012Z",
];

#[derive(Clone, Copy, Debug)]
struct Waiting {
    found: Found,
    cause: Cause,
    attempt: u32,
    interruptions: u32,
}

/// One event on one host, and its balance.
struct Host<'a> {
    event: EventId,
    wish: &'a NewEvent,
    plan: &'a Plan<'a>,
    /// Since when instants are counted, and how many there were before.
    counted_from: Instant,
    before: i64,
    now: Instant,
    there: Absence,
    row: Option<Waiting>,
    /// Instants of the schedule up to here are run, skipped or waiting.
    settled_to: Instant,
    is_rewound: bool,
    rows: i64,
    ran: Vec<Instant>,
    skipped: Skips,
    /// Runs that began since somebody was away for longer than the grace.
    trace: Vec<String>,
}

impl<'a> Host<'a> {
    fn new(event: EventId, wish: &'a NewEvent, plan: &'a Plan<'a>, now: Instant) -> Self {
        let there = Absence { host_since: now, type_since: now, otherwise: SkipReason::Late };
        let trace = Vec::new();
        let mut host = Self {
            event,
            wish,
            plan,
            counted_from: now,
            before: 0,
            now,
            there,
            row: None,
            settled_to: now,
            is_rewound: false,
            rows: 0,
            ran: Vec::new(),
            skipped: Skips::default(),
            trace,
        };
        host.succeed(plan.first(now).expect("it is asked"), now);
        host
    }

    fn take(&mut self, turn: &Turn) {
        match turn {
            Turn::Serve { late_ms, takes_ms, fate } => {
                if self.claim(*late_ms) {
                    self.run(*takes_ms, *fate);
                }
            }
            Turn::DieBeforeStart { late_ms, down_s } => {
                self.claim(*late_ms);
                self.pass(*down_s);
                self.there.host_since = self.now;
                self.there.type_since = self.now;
            }
            Turn::Down(down_s) => {
                self.pass(*down_s);
                self.there.host_since = self.now;
                self.there.type_since = self.now;
            }
            Turn::Unserved(seconds) => {
                self.pass(*seconds);
                self.there.type_since = self.now;
            }
            Turn::Paused(seconds) => {
                self.pass(*seconds);
                self.judge(&Absence::always(SkipReason::Paused));
            }
            Turn::Step(seconds) => self.pass(*seconds),
            Turn::Beside(seconds) => {
                if self.claim(0) {
                    self.overlap(*seconds);
                }
            }
        }
        self.check(turn);
    }

    fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    /// Claims the row when it is due. Answers whether it is to be run.
    fn claim(&mut self, late_ms: i64) -> bool {
        let Some(row) = self.row else { return false };
        self.now = self.now.max(row.found.due_at) + TimeDelta::milliseconds(late_ms);
        let there = self.there;
        self.judge(&there)
    }

    fn judge(&mut self, absence: &Absence) -> bool {
        let Some(row) = self.row else { return false };
        if !matches!(row.cause, Cause::Schedule | Cause::Queued) || row.attempt != 1 || row.interruptions != 0 {
            return true;
        }
        let when_found = if row.cause == Cause::Queued { when_found_queued } else { when_found };
        let late = when_found(&self.wish.schedule, self.plan, &row.found, absence, self.now).expect("it is asked");
        self.trace.push(format!("{} {row:?} {late:?}", self.now));
        match late {
            Late::Run => true,
            Late::RunFor { scheduled_for, counted_to, skips } => {
                self.count(&skips);
                let found = Found { scheduled_for, counted_to, due_at: row.found.due_at };
                self.settled_to = self.settled_to.max(scheduled_for).max(counted_to.unwrap_or(scheduled_for));
                self.row = Some(Waiting { found, ..row });
                true
            }
            Late::Skip { successor, skips } => {
                self.count(&skips);
                self.succeed(successor, self.now);
                false
            }
        }
    }

    /// Something else of the event is going when the row falls due, and for a while on.
    fn overlap(&mut self, seconds: i64) {
        if self.wish.policy.overlap == Overlap::Allow {
            return;
        }
        let Some(row) = self.row.filter(|row| row.attempt == 1 && row.cause != Cause::Retry && row.cause != Cause::Snooze) else { return };
        if self.wish.policy.overlap == Overlap::Skip && row.cause == Cause::Schedule {
            let late = passed_over(self.event, &self.wish.schedule, self.plan, &row.found, self.now).expect("it is asked");
            let Late::Skip { successor, skips } = late else { panic!("{late:?}") };
            self.count(&skips);
            self.succeed(successor, self.now);
        } else {
            self.pass(seconds);
            let found = Found { due_at: self.now, ..row.found };
            self.row = Some(Waiting { found, cause: Cause::Queued, ..row });
        }
    }

    fn run(&mut self, takes_ms: i64, fate: Fate) {
        let Some(row) = self.row else { return };
        if runs_ahead(self.wish.policy.overlap, &self.wish.schedule) {
            return self.run_ahead(row, takes_ms);
        }
        let started_at = self.now;
        self.now += TimeDelta::milliseconds(takes_ms);
        let end = match fate {
            Fate::Succeed => End::Succeeded,
            Fate::Fail => End::Failed { permanent: false },
            Fate::FailForGood => End::Failed { permanent: true },
            Fate::Snooze => End::Snoozed { until: self.now + TimeDelta::milliseconds(takes_ms) },
            Fate::Interrupted { counts } => End::Interrupted { guilt: if counts { Guilt::Suspect } else { Guilt::Innocent } },
        };
        let then = self.ask(&row, started_at, &end, false);
        self.trace.push(format!("{started_at} to {} {row:?} {end:?} {then:?}", self.now));
        if let Row::Again { due_at, cause, attempt, interruptions } = then.row {
            self.row = Some(Waiting { found: Found { due_at, ..row.found }, cause, attempt, interruptions });
            return;
        }
        self.goes_on(&row, &then);
    }

    /// Its successor is there as soon as it has started, and may be found late before it has ended.
    fn run_ahead(&mut self, row: Waiting, takes_ms: i64) {
        let started_at = self.now;
        let then = self.ask(&row, started_at, &End::Succeeded, false);
        self.trace.push(format!("{started_at} {row:?} starts {then:?}"));
        self.goes_on(&row, &then);
        self.now += TimeDelta::milliseconds(takes_ms);
        let then = self.ask(&row, started_at, &End::Failed { permanent: true }, true);
        assert_eq!((then.successor, then.skips.total()), (None, 0), "its end gives no other");
    }

    fn ask(&self, row: &Waiting, started_at: Instant, end: &End, is_followed: bool) -> Consequence {
        let standing = Standing {
            event: self.event,
            wish: self.wish,
            state: EventState::Scheduled,
            cause: row.cause,
            by_schedule: true,
            scheduled_for: row.found.scheduled_for,
            counted_to: row.found.counted_to,
            first_due_at: row.found.scheduled_for,
            given: i64::try_from(self.ran.len()).expect("few"),
            calendars: &CALENDARS,
            attempt: row.attempt,
            interruptions: row.interruptions,
            type_retry: None,
            others_left: 0,
            started_at,
            finished_at: self.now,
            jitter: 12_345,
        };
        let held_until = (row.cause == Cause::Queued).then_some(row.found.due_at);
        let among = Among { held_until, is_followed, ..Among::default() };
        after_run_among(&standing, &among, end, self.now).expect("it is asked")
    }

    fn goes_on(&mut self, row: &Waiting, then: &Consequence) {
        self.ran.push(row.found.scheduled_for);
        self.count(&then.skips);
        // After the last of its runs nothing is missed any more.
        let is_over = self.wish.schedule.terms.max_runs.is_some_and(|most| self.ran.len() >= usize::try_from(most).expect("small"));
        let counted = row.found.counted_to.map_or(row.found.scheduled_for, |to| to.max(row.found.scheduled_for));
        if !is_over && counted > self.now && self.wish.schedule.is_elapsed_like() {
            self.rewind(counted);
        }
        self.succeed(then.successor, if is_over { self.settled_to } else { self.now });
        if let Some(waited) = self.row.as_mut().filter(|_| then.is_queued) {
            assert!(waited.found.scheduled_for <= self.now, "only what has passed has waited");
            (waited.found.due_at, waited.cause) = (self.now, Cause::Queued);
        }
    }

    /// The clock was set back while it ran: an elapsed rhythm goes on from now, and gives instants again that it gave before.
    fn rewind(&mut self, counted: Instant) {
        self.before += self.plan.count(self.counted_from, counted, i64::MAX).expect("it is asked");
        (self.counted_from, self.settled_to, self.is_rewound) = (self.now, self.now, true);
    }

    fn succeed(&mut self, successor: Option<Instant>, asked_at: Instant) {
        self.settled_to = successor.unwrap_or(asked_at).max(self.settled_to);
        self.rows += i64::from(successor.is_some());
        self.row = successor.map(|scheduled_for| Waiting {
            found: Found { scheduled_for, due_at: self.wish.schedule.due_at(self.event, scheduled_for), counted_to: None },
            cause: Cause::Schedule,
            attempt: 1,
            interruptions: 0,
        });
    }

    fn count(&mut self, skips: &Skips) {
        for (reason, n) in skips.iter() {
            assert!(n > 0, "{reason:?}");
            self.skipped.add(reason, n);
        }
    }

    /// The balance: what the schedule gave is what ran, what was skipped, and what waits.
    fn check(&self, turn: &Turn) {
        let waiting = i64::from(self.row.is_some());
        let ran = i64::try_from(self.ran.len()).expect("few");
        let given = if self.wish.schedule.kind() == "after" {
            self.rows
        } else {
            self.before + self.plan.count(self.counted_from, self.settled_to, i64::MAX).expect("it is asked")
        };
        let told = || format!("{:?} {turn:?} {:?}\n{}", self.wish.schedule, self.row, self.trace.join("\n"));
        assert_eq!(
            given,
            ran + self.skipped.total() + waiting,
            "up to {}: {ran} ran, {:?}, {waiting} waits: {}",
            self.settled_to,
            self.skipped,
            told()
        );
    }
}

/// `Plan::count` is checked against walking elsewhere; what ran is checked against the walk here.
fn none_is_invented(host: &Host<'_>) -> Result<(), TestCaseError> {
    let ran: BTreeSet<Instant> = host.ran.iter().copied().collect();
    prop_assert!(host.is_rewound || ran.len() == host.ran.len(), "no instant runs twice: {:?}", host.ran);
    if host.wish.schedule.kind() != "after" {
        for at in ran {
            prop_assert_eq!(host.plan.next_after(at - TimeDelta::microseconds(1)).expect("it is asked"), Some(at), "{:?}", host.trace);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_instant_is_run_or_skipped_once(
        rule in select(RULES.to_vec()),
        (misfire, catch_up, expires, jitter, max_runs) in terms(),
        ends in proptest::option::weighted(0.2, 0i64..1_000_000),
        era in select(ERAS.to_vec()),
        offset in -90_000i64..400_000,
        event in 0i64..1_000,
        overlap in select(vec![Overlap::Skip, Overlap::QueueOne, Overlap::QueueAll(1), Overlap::QueueAll(3), Overlap::QueueAll(1_000), Overlap::Allow, Overlap::CancelPrevious]),
        turns in proptest::collection::vec(turn(), 1..60),
    ) {
        let now = at(era) + TimeDelta::seconds(offset);
        let mut schedule = schedule(&format!("{{{rule}}}"));
        let seconds = |seconds: Option<u64>| seconds.map(std::time::Duration::from_secs);
        (schedule.terms.misfire, schedule.terms.max_runs) = (misfire, max_runs);
        (schedule.terms.catch_up, schedule.terms.expires, schedule.terms.jitter) = (seconds(catch_up), seconds(expires), seconds(jitter));
        schedule.terms.end = ends.map(|ends| now + TimeDelta::seconds(ends));
        if rule.contains("7s") {
            schedule.terms.jitter = None;
        }
        // An end that leaves nothing is refused.
        let Ok(schedule) = schedule.settle(now, &CALENDARS) else { return Ok(()) };
        let plan = schedule.plan(&CALENDARS).expect(rule);
        let mut wish: NewEvent = serde_json::from_str(r#"{"event_type": "sexton.noop", "schedule": {"manual": true}}"#).expect("an event");
        wish.schedule = schedule.clone();
        wish.policy = RunPolicy { overlap, ..RunPolicy::default() };
        wish.retry = Some(RetryPolicy { attempts: 3, first_delay_ms: 10_000, max_delay_ms: 600_000, deadline_ms: None });
        let mut host = Host::new(EventId(event), &wish, &plan, now);
        for turn in &turns {
            host.take(turn);
        }
        none_is_invented(&host)?;
    }

    /// An absence is made up for by one run, but with `all`.
    #[test]
    fn a_return_is_no_flood(
        rule in select(RULES.to_vec()),
        misfire in select(vec![Misfire::Latest, Misfire::Earliest, Misfire::Skip]),
        era in select(ERAS.to_vec()),
        down_s in 100i64..1_000_000,
        is_paused: bool,
        served in 1usize..30,
    ) {
        let now = at(era);
        let mut schedule = schedule(&format!("{{{rule}}}"));
        schedule.terms.misfire = misfire;
        let schedule = schedule.settle(now, &CALENDARS).expect(rule);
        let plan = schedule.plan(&CALENDARS).expect(rule);
        let mut wish: NewEvent = serde_json::from_str(r#"{"event_type": "sexton.noop", "schedule": {"manual": true}}"#).expect("an event");
        wish.schedule = schedule.clone();
        let mut host = Host::new(EventId(1), &wish, &plan, now);
        host.take(&if is_paused { Turn::Paused(down_s) } else { Turn::Down(down_s) });
        let back = host.now;
        for _ in 0..served {
            host.take(&Turn::Serve { late_ms: 0, takes_ms: 0, fate: Fate::Succeed });
        }
        let missed = host.ran.iter().filter(|ran| **ran <= back).count();
        let in_time = host.ran.iter().filter(|ran| **ran <= back && **ran >= back - GRACE).count();
        prop_assert!(missed <= 1, "{:?}", host.ran);
        prop_assert!(misfire != Misfire::Skip || missed == in_time, "{:?}", host.ran);
    }
}
