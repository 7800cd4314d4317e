//! The instants that schedules give over the changes of zones, as tables, and what settling, JSON and flags accept.
//!
//! Not the laws that hold for every schedule (`laws`), nor the places of mistakes in texts (those stand with the readers). What must hold:
//! the tables are facts of the zones, worked out by hand and not by this code.

use chrono::{DateTime, Utc};
use sexton_core::Schedule;
use sexton_core::schedule::Flag;
use std::time::{Duration, Instant};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

fn cron(expression: &str, tz: &str) -> Schedule {
    Schedule::Cron { expression: expression.to_owned(), tz: tz.to_owned() }
}

/// Zone, expression, asked after, and the instants that follow.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);

const GAPS: &[Case] = &[
    // Paris, 28 March 2027: 02:00 becomes 03:00 at 01:00Z.
    ("Europe/Paris", "30 2 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]),
    ("Europe/Paris", "0,15,30,45 2 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]),
    ("Europe/Paris", "30 2,3 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"]),
    ("Europe/Paris", "0 2,3 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]),
    ("Europe/Paris", "* 30 2 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]),
    ("Europe/Paris", "*/30 2 * * *", "2027-03-27T12:00:00Z", &["2027-03-29T00:00:00Z", "2027-03-29T00:30:00Z"]),
    ("Europe/Paris", "30 * * * *", "2027-03-28T00:00:00Z", &["2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z", "2027-03-28T02:30:00Z"]),
    ("Europe/Paris", "0 */2 * * *", "2027-03-27T23:30:00Z", &["2027-03-28T02:00:00Z", "2027-03-28T04:00:00Z"]),
    ("Europe/Paris", "30 2 * * *", "2027-03-28T01:00:00Z", &["2027-03-29T00:30:00Z"]),
    ("Europe/Paris", "30 2 * * *", "2027-03-28T00:59:59.999999Z", &["2027-03-28T01:00:00Z"]),
    // The gap's end itself is a time of the expression: not twice.
    ("Europe/Paris", "30,59 2,3 28 3 *", "2027-03-28T00:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z", "2027-03-28T01:59:00Z"]),
    // New York, 14 March 2027: 02:00 becomes 03:00 at 07:00Z.
    ("America/New_York", "15 2 * * *", "2027-03-13T12:00:00Z", &["2027-03-14T07:00:00Z", "2027-03-15T06:15:00Z"]),
    // Lord Howe, 3 October 2027: 02:00 becomes 02:30 at 15:30Z of the day before.
    ("Australia/Lord_Howe", "15 2 * * *", "2027-10-01T16:00:00Z", &["2027-10-02T15:30:00Z", "2027-10-03T15:15:00Z"]),
    ("Australia/Lord_Howe", "0 2 * * *", "2027-10-01T16:00:00Z", &["2027-10-02T15:30:00Z", "2027-10-03T15:00:00Z"]),
    (
        "Australia/Lord_Howe",
        "*/15 * * * *",
        "2027-10-02T15:10:00Z",
        &["2027-10-02T15:15:00Z", "2027-10-02T15:30:00Z", "2027-10-02T15:45:00Z"],
    ),
    // Apia had no 30 December 2011: the 31st begins at 10:00Z.
    ("Pacific/Apia", "0 12 30 12 *", "2011-12-01T00:00:00Z", &["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"]),
    ("Pacific/Apia", "0 12 * * *", "2011-12-29T12:00:00Z", &["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]),
    (
        "Pacific/Apia",
        "0 0,6,12,18 * * *",
        "2011-12-30T05:00:00Z",
        &["2011-12-30T10:00:00Z", "2011-12-30T16:00:00Z", "2011-12-30T22:00:00Z"],
    ),
    ("Pacific/Apia", "0 * * * *", "2011-12-30T08:30:00Z", &["2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z"]),
    // São Paulo, 4 November 2018: midnight becomes 01:00 at 03:00Z.
    ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z", &["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]),
    ("America/Sao_Paulo", "30 0 * * SUN", "2018-11-03T12:00:00Z", &["2018-11-04T03:00:00Z", "2018-11-11T02:30:00Z"]),
    // Cairo, 30 April 2027: midnight becomes 01:00 at 22:00Z of the day before.
    ("Africa/Cairo", "@daily", "2027-04-29T12:00:00Z", &["2027-04-29T22:00:00Z", "2027-04-30T21:00:00Z"]),
    // Both zone changes of a year in one walk.
    (
        "Europe/Paris",
        "30 2 28,31 3,10 *",
        "2027-03-01T00:00:00Z",
        &["2027-03-28T01:00:00Z", "2027-03-31T00:30:00Z", "2027-10-28T00:30:00Z", "2027-10-31T00:30:00Z"],
    ),
];

const FOLDS: &[Case] = &[
    // Paris, 31 October 2027: 03:00 becomes 02:00 at 01:00Z.
    ("Europe/Paris", "30 2 * * *", "2027-10-30T12:00:00Z", &["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]),
    ("Europe/Paris", "30 2 * * *", "2027-10-31T01:10:00Z", &["2027-11-01T01:30:00Z"]),
    ("Europe/Paris", "30 2 * * *", "2027-10-31T01:00:00Z", &["2027-11-01T01:30:00Z"]),
    ("Europe/Paris", "0 2,3 * * *", "2027-10-30T12:00:00Z", &["2027-10-31T00:00:00Z", "2027-10-31T02:00:00Z", "2027-11-01T01:00:00Z"]),
    ("Europe/Paris", "0 2,3 * * *", "2027-10-31T01:59:59.5Z", &["2027-10-31T02:00:00Z"]),
    ("Europe/Paris", "15,45 2 * * *", "2027-10-31T00:20:00Z", &["2027-10-31T00:45:00Z", "2027-11-01T01:15:00Z"]),
    ("Europe/Paris", "30 * * * *", "2027-10-31T00:00:00Z", &["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"]),
    (
        "Europe/Paris",
        "*/30 2 * * *",
        "2027-10-30T12:00:00Z",
        &["2027-10-31T00:00:00Z", "2027-10-31T00:30:00Z", "2027-10-31T01:00:00Z", "2027-10-31T01:30:00Z", "2027-11-01T01:00:00Z"],
    ),
    (
        "Europe/Paris",
        "0 */2 * * *",
        "2027-10-30T21:00:00Z",
        &["2027-10-30T22:00:00Z", "2027-10-31T00:00:00Z", "2027-10-31T01:00:00Z", "2027-10-31T03:00:00Z"],
    ),
    (
        "Europe/Paris",
        "*/20 * * * *",
        "2027-10-31T00:50:00Z",
        &["2027-10-31T01:00:00Z", "2027-10-31T01:20:00Z", "2027-10-31T01:40:00Z", "2027-10-31T02:00:00Z"],
    ),
    // New York, 7 November 2027: 02:00 becomes 01:00 at 06:00Z.
    ("America/New_York", "0 1 * * *", "2027-11-07T04:00:00Z", &["2027-11-07T05:00:00Z", "2027-11-08T06:00:00Z"]),
    ("America/New_York", "59 59 1 * * *", "2027-11-07T05:00:00Z", &["2027-11-07T05:59:59Z", "2027-11-08T06:59:59Z"]),
    // Lord Howe, 4 April 2027: 02:00 becomes 01:30 at 15:00Z of the day before.
    ("Australia/Lord_Howe", "45 1 * * *", "2027-04-03T12:00:00Z", &["2027-04-03T14:45:00Z", "2027-04-04T15:15:00Z"]),
    (
        "Australia/Lord_Howe",
        "45 * * * *",
        "2027-04-03T14:00:00Z",
        &["2027-04-03T14:45:00Z", "2027-04-03T15:15:00Z", "2027-04-03T16:15:00Z"],
    ),
    ("Australia/Lord_Howe", "15 * * * *", "2027-04-03T14:00:00Z", &["2027-04-03T14:15:00Z", "2027-04-03T15:45:00Z"]),
    // Cairo, 29 October 2027: midnight becomes 23:00 at 21:00Z of the day before.
    ("Africa/Cairo", "0 0 * * *", "2027-10-28T12:00:00Z", &["2027-10-28T22:00:00Z", "2027-10-29T22:00:00Z"]),
    ("Africa/Cairo", "30 23 * * *", "2027-10-28T12:00:00Z", &["2027-10-28T20:30:00Z", "2027-10-29T21:30:00Z"]),
    // São Paulo, 18 February 2018: midnight becomes 23:00 of the 17th at 02:00Z.
    ("America/Sao_Paulo", "30 23 17 2 *", "2018-02-17T12:00:00Z", &["2018-02-18T01:30:00Z", "2019-02-18T02:30:00Z"]),
    // Vancouver keeps -07:00 from 2026 on: its November has no fold and its March no gap.
    ("America/Vancouver", "30 1 * * *", "2026-10-31T12:00:00Z", &["2026-11-01T08:30:00Z", "2026-11-02T08:30:00Z"]),
    ("America/Vancouver", "30 2 * * *", "2027-03-13T12:00:00Z", &["2027-03-14T09:30:00Z", "2027-03-15T09:30:00Z"]),
];

const CALENDAR: &[Case] = &[
    ("UTC", "0 2 * * *", "2027-01-01T02:00:00Z", &["2027-01-02T02:00:00Z"]),
    ("UTC", "0 9 LW * *", "2027-01-01T00:00:00Z", &["2027-01-29T09:00:00Z", "2027-02-26T09:00:00Z"]),
    ("UTC", "0 9 L * *", "2027-01-31T09:00:00Z", &["2027-02-28T09:00:00Z"]),
    ("UTC", "0 9 15W * *", "2027-05-01T00:00:00Z", &["2027-05-14T09:00:00Z", "2027-06-15T09:00:00Z"]),
    ("UTC", "0 9 * * FRI#2", "2027-05-01T00:00:00Z", &["2027-05-14T09:00:00Z"]),
    ("UTC", "0 9 * * 5L", "2027-05-01T00:00:00Z", &["2027-05-28T09:00:00Z"]),
    ("UTC", "0 0 13 * FRI", "2027-08-01T00:00:00Z", &["2027-08-06T00:00:00Z", "2027-08-13T00:00:00Z", "2027-08-20T00:00:00Z"]),
    ("UTC", "0 0 13 * +FRI", "2027-08-01T00:00:00Z", &["2027-08-13T00:00:00Z", "2028-10-13T00:00:00Z"]),
    ("UTC", "0 0 29 2 +MON", "2027-01-01T00:00:00Z", &["2044-02-29T00:00:00Z"]),
    ("UTC", "30 15 10 1 1 ? 2030-2031", "2027-01-01T00:00:00Z", &["2030-01-01T10:15:30Z", "2031-01-01T10:15:30Z"]),
    ("UTC", "@yearly", "2027-01-01T00:00:00Z", &["2028-01-01T00:00:00Z"]),
    ("UTC", "@weekly", "2027-01-01T00:00:00Z", &["2027-01-03T00:00:00Z"]),
    ("Asia/Kathmandu", "0 0 * * *", "2027-01-01T00:00:00Z", &["2027-01-01T18:15:00Z"]),
];

#[test]
fn instants_over_the_changes_of_zones() {
    for (tz, expression, after, expected) in GAPS.iter().chain(FOLDS).chain(CALENDAR) {
        let schedule = cron(expression, tz);
        let found = schedule.upcoming(at(after), expected.len()).expect(expression);
        let expected: Vec<DateTime<Utc>> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(found, expected, "{expression} in {tz} after {after}");
        assert_eq!(
            schedule.count(at(after), expected[expected.len() - 1], i64::MAX),
            i64::try_from(expected.len()).map_err(|_| unreachable!())
        );
    }
}

#[test]
fn what_can_never_fire_is_refused_at_once() {
    let now = at("2027-06-01T00:00:00Z");
    let started = Instant::now();
    for (expression, tz) in [
        ("0 0 30 2 *", "UTC"),
        ("0 0 31 2,4,6,9,11 *", "UTC"),
        ("* * * 30 2 *", "Europe/Paris"),
        ("0 0 0 1 1 ? 2020", "UTC"),
        ("0 0 0 29 2 * 2100", "UTC"),
        ("0 0 0 31 4 +MON 2030-5000", "UTC"),
        // Always in the gap, and elapsed-like: such a time does not exist.
        ("*/30 2 * 3 SUN#5,SUN#4", "America/Nowhere"),
        ("*/15 2 14 3 +SUN", "America/New_York"),
    ] {
        let refusal = cron(expression, tz).settle(now).expect_err(expression);
        let expected = if tz.ends_with("Nowhere") { "INP004" } else { "INP007" };
        assert_eq!((refusal.code.as_str(), refusal.place.is_some()), (expected, true), "{expression}: {refusal}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn settling_fills_in_and_checks() {
    let now = at("2027-06-01T00:00:00.123456789Z");
    let every = Schedule::parse_text(Flag::Every, "5m", None, now).unwrap().settle(now).unwrap();
    assert_eq!(every, Schedule::Every { step: Duration::from_secs(300), anchor: Some(at("2027-06-01T00:00:00.123456Z")) });
    assert_eq!(every.first(now), Ok(Some(at("2027-06-01T00:05:00.123456Z"))));
    assert_eq!(cron("0 2 * * *", "europe/paris").settle(now), Ok(cron("0 2 * * *", "Europe/Paris")));
    let past = Schedule::Once { when: at("2020-01-01T00:00:00.000000999Z") };
    assert_eq!(past.settle(now), Ok(Schedule::Once { when: at("2020-01-01T00:00:00Z") }), "a past time is due at once");
    assert_eq!(Schedule::Manual.settle(now), Ok(Schedule::Manual));
    assert_eq!(Schedule::Manual.first(now), Ok(None));
    let after = Schedule::parse_text(Flag::AfterEach, "90s", None, now).unwrap().settle(now).unwrap();
    assert_eq!(after.first(now), Ok(Some(at("2027-06-01T00:01:30.123456Z"))));
    for (schedule, code) in [
        (Schedule::Every { step: Duration::ZERO, anchor: None }, "INP005"),
        (Schedule::Every { step: Duration::from_millis(999), anchor: None }, "INP005"),
        (Schedule::Every { step: Duration::MAX, anchor: None }, "INP005"),
        (Schedule::Every { step: Duration::new(1, 1), anchor: None }, "INP005"),
        (Schedule::After { delay: Duration::ZERO }, "INP005"),
        (Schedule::After { delay: Duration::MAX }, "INP005"),
        (Schedule::Once { when: DateTime::<Utc>::MAX_UTC }, "INP006"),
        (cron("x", "UTC"), "INP003"),
        (cron("0 2 * * *", "Mars"), "INP004"),
    ] {
        assert_eq!(schedule.clone().settle(now).map_err(|refusal| refusal.code), Err(code.to_owned()), "{schedule:?}");
    }
}

#[test]
fn schedules_say_what_they_mean() {
    let now = at("2027-06-01T00:00:00Z");
    for (flag, text, words) in [
        (Flag::At, "2027-06-01T02:00:00+02:00", "Once, at 2027-06-01T00:00:00Z."),
        (Flag::In, "1m", "Once, at 2027-06-01T00:01:00Z."),
        (Flag::Every, "1h 30m", "Every 1 hour 30 minutes, on a fixed grid in elapsed time."),
        (Flag::AfterEach, "1d", "1 day after the end of each run."),
        (Flag::Cron, "0 2 * * mon", "At 02:00, on Monday. Read on the clocks of UTC."),
        (Flag::Cron, "*/5 * * * *", "Every 5 minutes. Read on the clocks of UTC."),
        (Flag::Cron, "0 9 lw * *", "At 09:00, on the last weekday of the month. Read on the clocks of UTC."),
        (Flag::Manual, "", "Only when somebody says so."),
    ] {
        let words = Ok(words.to_owned());
        assert_eq!(Schedule::parse_text(flag, text, None, now).expect(text).describe(), words, "{text}");
    }
    assert_eq!(cron("nonsense", "UTC").describe().map_err(|refusal| refusal.code), Err("INP003".to_owned()));
}

#[test]
fn json_and_flags_that_contradict_themselves_are_refused() {
    for (json, code) in [
        (r"{}", "INP016"),
        (r#"{"manual": false}"#, "INP016"),
        (r#"{"every": "5m", "cron": "* * * * *"}"#, "INP016"),
        (r#"{"once": "2027-01-01T00:00:00Z", "manual": true}"#, "INP016"),
        (r#"{"manual": true, "after": "5m", "every": "5m"}"#, "INP016"),
        (r#"{"every": "5m", "tz": "UTC"}"#, "INP016"),
        (r#"{"after": "5m", "anchor": "2027-01-01T00:00:00Z"}"#, "INP016"),
        (r#"{"tz": "UTC"}"#, "INP016"),
        (r#"{"every": 5}"#, "INP011"),
        (r#"{"evry": "5m"}"#, "INP011"),
        (r#""5m""#, "INP011"),
        (r"null", "INP011"),
        (r#"{"every": "5"}"#, "INP005"),
        (r#"{"every": "0s"}"#, "INP005"),
        (r#"{"after": "0s"}"#, "INP005"),
        (r#"{"once": "tomorrow"}"#, "INP006"),
        (r#"{"every": "5m", "anchor": "noon"}"#, "INP006"),
    ] {
        let value: serde_json::Value = serde_json::from_str(json).expect(json);
        let refusal = Schedule::from_json(&value).expect_err(json);
        assert_eq!(refusal.code, code, "{json}: {refusal}");
        assert!(!refusal.message.is_empty() && refusal.expected.is_some(), "{json}: {refusal}");
        let through_serde = serde_json::from_str::<Schedule>(json).map_err(|error| error.to_string()).expect_err(json);
        assert!(code == "INP011" || through_serde.contains(code), "{through_serde}");
    }
    let now = at("2027-06-01T00:00:00Z");
    for (flag, text, tz, code) in [
        (Flag::Every, "5m", Some("UTC"), "INP016"),
        (Flag::At, "2027-06-01T00:00:00Z", Some("UTC"), "INP016"),
        (Flag::Manual, "", Some("UTC"), "INP016"),
        (Flag::In, "1y", None, "INP005"),
        (Flag::At, "12:00", None, "INP006"),
        (Flag::AfterEach, "soon", None, "INP005"),
    ] {
        assert_eq!(Schedule::parse_text(flag, text, tz, now).map_err(|refusal| refusal.code), Err(code.to_owned()), "{text}");
    }
    let late = Schedule::parse_text(Flag::In, "36525d", None, sexton_core::schedule::instant::last());
    assert_eq!(late.map_err(|refusal| refusal.code), Err("INP005".to_owned()));
}

#[test]
fn unsettled_values_never_panic() {
    let far = [
        DateTime::<Utc>::MIN_UTC,
        at("0000-12-31T23:59:59Z"),
        at("2027-01-01T00:00:00Z"),
        sexton_core::schedule::instant::last(),
        DateTime::<Utc>::MAX_UTC,
    ];
    let schedules = [
        Schedule::Every { step: Duration::ZERO, anchor: None },
        Schedule::Every { step: Duration::from_nanos(1), anchor: Some(DateTime::<Utc>::MIN_UTC) },
        Schedule::Every { step: Duration::MAX, anchor: Some(DateTime::<Utc>::MAX_UTC) },
        Schedule::Every { step: Duration::from_secs(1), anchor: Some(DateTime::<Utc>::MAX_UTC) },
        Schedule::After { delay: Duration::MAX },
        cron("* * * * *", "Pacific/Apia"),
        cron("0 0 1 1 *", "America/New_York"),
    ];
    for schedule in &schedules {
        for after in far {
            let next = schedule.next_after(after).expect("no refusal");
            assert!(
                next.is_none_or(|next| next > after && sexton_core::schedule::instant::is_in_reach(next)),
                "{schedule:?} {after}: {next:?}"
            );
            for until in far {
                assert!(schedule.count(after, until, i64::MAX).expect("no refusal") >= 0);
            }
            assert!(schedule.upcoming(after, 3).expect("no refusal").len() <= 3);
        }
    }
}
