//! The instants that schedules give over the changes of zones, as tables, and what settling and JSON accept.
//!
//! Not the laws that hold for every schedule (`laws`), nor the places of mistakes in texts (those stand with the readers). What must hold:
//! the tables are facts of the zones, worked out by hand and not by this code.

use chrono::{DateTime, Utc};
use sexton_core::calendar::Calendars;
use sexton_core::schedule::instant;
use sexton_core::{Refusal, Schedule};
use std::time::{Duration, Instant};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

fn cron(expression: &str, tz: &str) -> Schedule {
    Schedule::cron(expression, tz)
}

fn json(text: &str) -> Result<Schedule, Refusal> {
    Schedule::from_json(&serde_json::from_str(text).expect(text))
}

fn settled(schedule: Schedule, now: DateTime<Utc>) -> Result<Schedule, Refusal> {
    schedule.settle(now, &Calendars::default())
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
    // A day field that begins with `*` makes a day match both fields, as in Vixie's cron.
    ("UTC", "0 0 */14 * FRI", "2027-08-01T00:00:00Z", &["2027-10-01T00:00:00Z", "2027-10-15T00:00:00Z", "2027-10-29T00:00:00Z"]),
    ("UTC", "0 0 */28 2 MON", "2027-02-02T00:00:00Z", &["2038-02-01T00:00:00Z", "2044-02-01T00:00:00Z", "2044-02-29T00:00:00Z"]),
    ("UTC", "0 9 L-3 * *", "2027-02-01T00:00:00Z", &["2027-02-25T09:00:00Z", "2027-03-28T09:00:00Z"]),
    ("UTC", "0 22-2/2 * * FRI-MON", "2027-01-05T00:00:00Z", &["2027-01-08T00:00:00Z", "2027-01-08T02:00:00Z", "2027-01-08T22:00:00Z"]),
    ("UTC", "30 15 10 1 1 ? 2030-2031", "2027-01-01T00:00:00Z", &["2030-01-01T10:15:30Z", "2031-01-01T10:15:30Z"]),
    ("UTC", "@yearly", "2027-01-01T00:00:00Z", &["2028-01-01T00:00:00Z"]),
    ("UTC", "@weekly", "2027-01-01T00:00:00Z", &["2027-01-03T00:00:00Z"]),
    ("Asia/Kathmandu", "0 0 * * *", "2027-01-01T00:00:00Z", &["2027-01-01T18:15:00Z"]),
];

#[test]
fn instants_over_the_changes_of_zones() {
    for (tz, expression, after, expected) in GAPS.iter().chain(FOLDS).chain(CALENDAR) {
        let (schedule, calendars) = (cron(expression, tz), Calendars::default());
        let plan = schedule.plan(&calendars).expect(expression);
        let found = plan.upcoming(at(after), expected.len()).expect(expression);
        let expected: Vec<DateTime<Utc>> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(found, expected, "{expression} in {tz} after {after}");
        let last = expected[expected.len() - 1];
        assert_eq!(plan.count(at(after), last, i64::MAX), Ok(i64::try_from(expected.len()).expect("few")), "{expression} in {tz}");
        assert_eq!(plan.latest(at(after), last), Ok(Some(last)), "{expression} in {tz} up to {last}");
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
        ("0 0 0 31 4 ? 2030-9999", "UTC"),
        // Always in the gap, and elapsed-like: such a time does not exist.
        ("*/30 2 * 3 SUN#5,SUN#4", "America/Nowhere"),
        ("*/15 2 * 3 SUN#2", "America/New_York"),
    ] {
        let refusal = settled(cron(expression, tz), now).expect_err(expression);
        let expected = if tz.ends_with("Nowhere") { "INP004" } else { "INP007" };
        assert_eq!((refusal.code.as_str(), refusal.place.is_some()), (expected, true), "{expression}: {refusal}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn settling_fills_in_and_checks() {
    let now = at("2027-06-01T00:00:00.123456789Z");
    let (every, none) = (settled(json(r#"{"every": "5m"}"#).unwrap(), now).unwrap(), Calendars::default());
    assert_eq!(every, Schedule::every(Duration::from_secs(300), Some(at("2027-06-01T00:00:00.123456Z"))));
    assert_eq!(every.plan(&none).unwrap().first(now), Ok(Some(at("2027-06-01T00:05:00.123456Z"))));
    let daily = settled(json(r#"{"every": "1 day"}"#).unwrap(), now).unwrap();
    assert_eq!(daily, json(r#"{"every": "1d", "anchor": "2027-06-01T00:00:00Z"}"#).unwrap(), "whole seconds on the calendar");
    assert_eq!(daily.plan(&none).unwrap().first(now), Ok(Some(at("2027-06-02T00:00:00Z"))));
    assert_eq!(settled(cron("0 2 * * *", "europe/paris"), now), Ok(cron("0 2 * * *", "Europe/Paris")));
    let past = Schedule::once(at("2020-01-01T00:00:00.000000999Z"));
    assert_eq!(settled(past, now), Ok(Schedule::once(at("2020-01-01T00:00:00Z"))), "a past time is due at once");
    assert_eq!(settled(Schedule::manual(), now), Ok(Schedule::manual()));
    assert_eq!(Schedule::manual().plan(&none).unwrap().first(now), Ok(None));
    let after = settled(json(r#"{"after": "90s"}"#).unwrap(), now).unwrap();
    assert_eq!(after.plan(&none).unwrap().first(now), Ok(Some(at("2027-06-01T00:01:30.123456Z"))));
    for (schedule, code) in [
        (Schedule::every(Duration::ZERO, None), "INP005"),
        (Schedule::every(Duration::from_millis(999), None), "INP005"),
        (Schedule::every(Duration::MAX, None), "INP005"),
        (Schedule::every(Duration::new(1, 1), None), "INP005"),
        (Schedule::after(Duration::ZERO), "INP005"),
        (Schedule::after(Duration::MAX), "INP005"),
        (Schedule::once(DateTime::<Utc>::MAX_UTC), "INP006"),
        (Schedule::every(Duration::from_secs(1), Some(DateTime::<Utc>::MAX_UTC)), "INP006"),
        (cron("x", "UTC"), "INP003"),
        (cron("0 2 * * *", "Mars"), "INP004"),
    ] {
        assert_eq!(settled(schedule.clone(), now).map_err(|refusal| refusal.code), Err(code.to_owned()), "{schedule:?}");
    }
}

#[test]
fn schedules_say_what_they_mean() {
    for (text, words) in [
        (r#"{"once": "2027-06-01T02:00:00+02:00"}"#, "Once, at 2027-06-01T00:00:00Z."),
        (r#"{"every": "1h 30m"}"#, "Every 1 hour 30 minutes, on a fixed grid in elapsed time."),
        (
            r#"{"every": "2w", "tz": "Europe/Paris", "anchor": "2027-06-01T00:00:00Z"}"#,
            "Every 2 weeks on the calendar of Europe/Paris through 2027-06-01T00:00:00Z.",
        ),
        (r#"{"after": "1d"}"#, "1 day after the end of each run."),
        (r#"{"cron": "0 2 * * mon"}"#, "At 02:00 on Monday. Read on the clocks of UTC."),
        (r#"{"cron": "*/5 * * * *"}"#, "Every 5 minutes. Read on the clocks of UTC. It follows elapsed time when the clocks change."),
        (r#"{"cron": "0 9 lw * *"}"#, "At 09:00 on the last weekday of the month. Read on the clocks of UTC."),
        (r#"{"manual": true}"#, "Only when somebody says so."),
        (
            r#"{"cron": "0 2 * * *", "max_runs": 3, "jitter": "5m", "fold": "both", "misfire": "all", "exclude": ["a", "b"]}"#,
            "At 02:00. Read on the clocks of UTC. 3 times at most. Never inside the calendar a and b. Spread over the 5 minutes after each \
             time. A time that comes twice counts twice. After downtime each missed occurrence is run.",
        ),
    ] {
        assert_eq!(json(text).expect(text).describe(), Ok(words.to_owned()), "{text}");
    }
    assert_eq!(cron("nonsense", "UTC").describe().map_err(|refusal| refusal.code), Err("INP003".to_owned()));
}

#[test]
fn json_that_contradicts_itself_is_refused() {
    for (text, code) in [
        (r"{}", "INP016"),
        (r#"{"manual": false}"#, "INP016"),
        (r#"{"every": "5m", "cron": "* * * * *"}"#, "INP016"),
        (r#"{"once": "2027-01-01T00:00:00Z", "manual": true}"#, "INP016"),
        (r#"{"manual": true, "after": "5m", "every": "5m"}"#, "INP016"),
        (r#"{"every": "5m", "tz": "UTC"}"#, "INP016"),
        (r#"{"after": "5m", "tz": "UTC"}"#, "INP016"),
        (r#"{"once": "2027-01-01T00:00:00Z", "tz": "UTC"}"#, "INP016"),
        (r#"{"cron": "@every 5m", "tz": "UTC"}"#, "INP016"),
        (r#"{"every": "5m", "dialect": "quartz"}"#, "INP016"),
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
        let refusal = json(text).expect_err(text);
        assert_eq!(refusal.code, code, "{text}: {refusal}");
        assert!(!refusal.message.is_empty() && refusal.expected.is_some(), "{text}: {refusal}");
        let through_serde = serde_json::from_str::<Schedule>(text).map_err(|error| error.to_string()).expect_err(text);
        assert!(code == "INP011" || through_serde.contains(code), "{through_serde}");
    }
    let now = at("2027-06-01T00:00:00Z");
    assert_eq!(Schedule::once_in("1m", now), Ok(Schedule::once(at("2027-06-01T00:01:00Z"))));
    assert_eq!(Schedule::once_in("1y", now).map_err(|refusal| refusal.code), Err("INP005".to_owned()));
    assert_eq!(Schedule::once_in("36525d", instant::last()).map_err(|refusal| refusal.code), Err("INP005".to_owned()));
}

#[test]
fn terms_that_do_not_fit_are_refused_when_settled() {
    let now = at("2027-06-01T00:00:00Z");
    for (text, code) in [
        (r#"{"every": "5m", "gap": "skip"}"#, "INP016"),
        (r#"{"every": "5m", "jitter": "5m"}"#, "INP016"),
        (r#"{"cron": "0 2 * * *", "jitter": "25h"}"#, "INP016"),
        (r#"{"cron": "0 2 * * *", "max_runs": 0}"#, "INP016"),
        (r#"{"cron": "0 2 * * *", "start": "2027-07-02T00:00:00Z", "end": "2027-07-01T00:00:00Z"}"#, "INP016"),
        (r#"{"once": "2027-07-01T00:00:00Z", "end": "2027-07-01T00:00:00Z"}"#, "INP016"),
        (r#"{"once": "2027-07-01T00:00:00Z", "misfire": "skip"}"#, "INP016"),
        (r#"{"after": "5m", "fold": "both"}"#, "INP016"),
        (r#"{"manual": true, "expires": "1h"}"#, "INP016"),
        (r#"{"cron": "0 2 * * *", "end": "2027-06-01T01:00:00Z"}"#, "INP007"),
        (r#"{"after": "5m", "end": "2027-06-01T00:04:59Z"}"#, "INP007"),
        (r#"{"every": "1h", "anchor": "2027-06-01T00:30:00Z", "end": "2027-06-01T00:29:59Z"}"#, "INP007"),
        (r#"{"cron": "0 2 * * *", "exclude": ["holidays"]}"#, "INP026"),
        (r#"{"after": "5m", "only": ["holidays"]}"#, "INP026"),
    ] {
        let refusal = settled(json(text).expect(text), now).expect_err(text);
        assert_eq!(refusal.code, code, "{text}: {refusal}");
    }
    for text in [
        r#"{"every": "1d", "tz": "Europe/Paris", "gap": "skip", "fold": "last"}"#,
        r#"{"once": "2027-07-01T00:00:00Z", "jitter": "1h", "expires": "2h"}"#,
        r#"{"after": "5m", "start": "2027-07-02T00:00:00Z", "max_runs": 1, "misfire": "skip", "catch_up": "1h"}"#,
        r#"{"cron": "0 2 * * *", "start": "2027-07-02T02:00:00Z", "end": "2027-07-02T02:00:00Z"}"#,
    ] {
        settled(json(text).expect(text), now).expect(text);
    }
}

/// Schedule, asked after, and the instants that follow, all of them if fewer than asked for.
type Bounded = (&'static str, &'static str, usize, &'static [&'static str]);

const BOUNDS: &[Bounded] = &[
    // Start and end are both still inside.
    (
        r#"{"cron": "0 2 * * *", "start": "2027-07-02T02:00:00Z", "end": "2027-07-03T02:00:00Z"}"#,
        "2027-06-01T00:00:00Z",
        5,
        &["2027-07-02T02:00:00Z", "2027-07-03T02:00:00Z"],
    ),
    (r#"{"cron": "0 2 * * *", "start": "2027-07-02T02:00:00.000001Z"}"#, "2027-06-01T00:00:00Z", 1, &["2027-07-03T02:00:00Z"]),
    (r#"{"cron": "0 2 * * *", "end": "2027-07-03T01:59:59.999999Z"}"#, "2027-07-02T00:00:00Z", 5, &["2027-07-02T02:00:00Z"]),
    (r#"{"every": "1h", "start": "2027-07-02T02:30:00Z"}"#, "2027-06-01T00:00:00Z", 2, &["2027-07-02T02:30:00Z", "2027-07-02T03:30:00Z"]),
    (r#"{"after": "1h", "start": "2027-07-02T02:30:00Z"}"#, "2027-06-01T00:00:00Z", 2, &["2027-07-02T02:30:00Z", "2027-07-02T03:30:00Z"]),
    (r#"{"cron": "0 2 * * *", "max_runs": 2}"#, "2027-06-01T00:00:00Z", 5, &["2027-06-01T02:00:00Z", "2027-06-02T02:00:00Z"]),
    // Months are counted from the anchor: the 31st comes back.
    (
        r#"{"every": "1 month", "anchor": "2027-01-31T09:00:00Z"}"#,
        "2027-01-31T08:00:00Z",
        4,
        &["2027-01-31T09:00:00Z", "2027-02-28T09:00:00Z", "2027-03-31T09:00:00Z", "2027-04-30T09:00:00Z"],
    ),
    // A day keeps the time of day in its zone, a day's hours do not; 28 March 2027 has 23.
    (
        r#"{"every": "1 day", "tz": "Europe/Paris", "anchor": "2027-03-26T08:00:00Z"}"#,
        "2027-03-26T09:00:00Z",
        3,
        &["2027-03-27T08:00:00Z", "2027-03-28T07:00:00Z", "2027-03-29T07:00:00Z"],
    ),
    (
        r#"{"every": "24h", "anchor": "2027-03-26T08:00:00Z"}"#,
        "2027-03-26T09:00:00Z",
        3,
        &["2027-03-27T08:00:00Z", "2027-03-28T08:00:00Z", "2027-03-29T08:00:00Z"],
    ),
    // Days are fixed-time: in the gap at its end, and a time that comes twice at its first pass.
    (
        r#"{"every": "1 day", "tz": "Europe/Paris", "anchor": "2027-03-26T01:30:00Z"}"#,
        "2027-03-27T01:00:00Z",
        3,
        &["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
    ),
    (
        r#"{"every": "1 day", "tz": "Europe/Paris", "anchor": "2027-03-26T01:30:00Z", "gap": "skip", "fold": "both"}"#,
        "2027-03-27T01:00:00Z",
        2,
        &["2027-03-27T01:30:00Z", "2027-03-29T00:30:00Z"],
    ),
    (
        r#"{"every": "1 day", "tz": "Europe/Paris", "anchor": "2027-03-26T01:30:00Z", "gap": "skip", "fold": "both"}"#,
        "2027-10-30T01:00:00Z",
        3,
        &["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"],
    ),
    // An anchor with parts of a second: the grid has none.
    (
        r#"{"every": "1 day", "anchor": "2027-03-26T01:30:00.75Z"}"#,
        "2027-03-27T01:30:00Z",
        2,
        &["2027-03-28T01:30:00Z", "2027-03-29T01:30:00Z"],
    ),
    (
        r#"{"rrule": "FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "tz": "Europe/Paris", "start": "2027-02-10T08:00:00Z"}"#,
        "2027-02-10T08:00:00Z",
        2,
        &["2027-02-28T08:00:00Z", "2027-03-31T07:00:00Z"],
    ),
];

#[test]
fn bounds_grids_of_the_calendar_and_recurrences() {
    let calendars = Calendars::default();
    for (text, after, n, expected) in BOUNDS {
        let schedule = settled(json(text).expect(text), at(after)).expect(text);
        let plan = schedule.plan(&calendars).expect(text);
        let found = plan.upcoming(at(after), *n).expect(text);
        let expected: Vec<DateTime<Utc>> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(found, expected, "{text} after {after}");
    }
}

#[test]
fn unsettled_values_never_panic() {
    let far = [DateTime::<Utc>::MIN_UTC, at("0000-12-31T23:59:59Z"), at("2027-01-01T00:00:00Z"), instant::last(), DateTime::<Utc>::MAX_UTC];
    let schedules = [
        Schedule::every(Duration::ZERO, None),
        Schedule::every(Duration::from_nanos(1), Some(DateTime::<Utc>::MIN_UTC)),
        Schedule::every(Duration::MAX, Some(DateTime::<Utc>::MAX_UTC)),
        Schedule::every(Duration::from_secs(1), Some(DateTime::<Utc>::MAX_UTC)),
        Schedule::after(Duration::MAX),
        cron("* * * * *", "Pacific/Apia"),
        cron("0 0 1 1 *", "America/New_York"),
        json(r#"{"every": "1d", "tz": "Pacific/Apia"}"#).expect("good"),
        json(r#"{"every": "3 months", "tz": "Europe/Paris", "anchor": "9999-12-29T23:00:00Z"}"#).expect("good"),
    ];
    let calendars = Calendars::default();
    for schedule in &schedules {
        for (start, end) in [None].into_iter().chain(far.map(Some)).flat_map(|start| [(start, None), (start, start), (None, start)]) {
            let mut schedule = schedule.clone();
            (schedule.terms.start, schedule.terms.end) = (start, end);
            let plan = schedule.plan(&calendars).expect("no refusal");
            for after in far {
                let next = plan.next_after(after).expect("no refusal");
                assert!(next.is_none_or(|next| next > after && instant::is_in_reach(next)), "{schedule:?} {after}: {next:?}");
                for until in far {
                    assert!(plan.count(after, until, i64::MAX).expect("no refusal") >= 0);
                    let latest = plan.latest(after, until).expect("no refusal");
                    assert!(latest.is_none_or(|latest| after < latest && latest <= until), "{schedule:?} {after} {until}: {latest:?}");
                }
                assert!(plan.upcoming(after, 3).expect("no refusal").len() <= 3);
                assert!(schedule.due_at(sexton_core::EventId(1), after) >= after);
            }
        }
    }
}
