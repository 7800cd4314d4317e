//! The laws of bounds, calendars, grids of the calendar and jitter.
//!
//! Not the rules by themselves (the parent). What must hold: what is bounded or gated is the open walk, less what lies outside.

use super::slow::placed;
use super::{ZONES, at, near_a_change};
use chrono::{DateTime, TimeDelta, Utc};
use jiff::{Span, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::schedule::{Fold, Gap, Step, zone};
use sexton_core::{EventId, Schedule};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const CALENDARS: [(&str, &str); 8] = [
    ("weekend", r#"{"tz": "Europe/Paris", "weekly": [{"days": "sat-sun"}]}"#),
    ("office", r#"{"tz": "America/New_York", "weekly": [{"days": "mon-fri", "from": "09:00", "to": "17:00"}]}"#),
    ("night", r#"{"tz": "Australia/Lord_Howe", "daily": ["22:30..02:15"]}"#),
    ("two", r#"{"tz": "Africa/Cairo", "daily": ["00:30..00:45", "12:00..13:00"]}"#),
    (
        "holidays",
        r#"{"tz": "Pacific/Apia", "annual": ["12-24..01-02", "03-28", "10-31"], "dates": ["2011-12-30", "2027-03-27..2027-03-29"]}"#,
    ),
    ("always", r#"{"daily": ["00:00..24:00"]}"#),
    ("never", "{}"),
    ("afternoon", r#"{"daily": ["13:00..17:00"]}"#),
];

static NAMED: LazyLock<Calendars> = LazyLock::new(|| {
    let mut calendars = Calendars::default();
    for (name, json) in CALENDARS {
        let calendar = Calendar::read(&serde_json::from_str(json).unwrap()).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        calendars.insert(name, Arc::new(calendar)).unwrap();
    }
    calendars
});

fn schedule(json: &str) -> Schedule {
    Schedule::from_json(&serde_json::from_str(json).expect(json)).unwrap_or_else(|refusal| panic!("{json}: {refusal}"))
}

/// Rules of every kind that has instants, on the clocks of a zone.
fn rules(tz: &str) -> [Schedule; 8] {
    [
        schedule(r#"{"every": "17m", "anchor": "2020-01-01T00:00:00Z"}"#),
        schedule(r#"{"every": "6h", "anchor": "2020-01-01T00:30:00.5Z"}"#),
        schedule(&format!(r#"{{"every": "1 day", "anchor": "2020-01-01T01:30:00Z", "tz": "{tz}"}}"#)),
        schedule(&format!(r#"{{"cron": "*/20 * * * *", "tz": "{tz}"}}"#)),
        schedule(&format!(r#"{{"cron": "30 0-4,12 * * *", "tz": "{tz}"}}"#)),
        schedule(&format!(r#"{{"cron": "15 2,9 * * MON-FRI", "tz": "{tz}", "fold": "both"}}"#)),
        schedule(&format!(r#"{{"cron": "0 0 2 L * ?", "tz": "{tz}", "gap": "skip"}}"#)),
        schedule(&format!(
            r#"{{"rrule": "DTSTART:20100101T020000\\nRRULE:FREQ=DAILY;INTERVAL=2;BYHOUR=2,14;BYMINUTE=0,30", "tz": "{tz}"}}"#
        )),
    ]
}

/// What the schedule gives in `(after, until]`, walked one by one.
fn walk(schedule: &Schedule, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let plan = schedule.plan(&NAMED).unwrap();
    let (mut found, mut last) = (Vec::new(), after);
    while let Some(next) = plan.next_within(last, until).unwrap() {
        assert!(last < next && next <= until, "{schedule:?}: {next} after {last}");
        assert_eq!(plan.next_after(last), Ok(Some(next)), "{schedule:?} after {last}");
        found.push(next);
        last = next;
    }
    found
}

/// Counting, the last one, and another way to walk say the same as the walk.
fn agrees(schedule: &Schedule, after: DateTime<Utc>, until: DateTime<Utc>, expected: &[DateTime<Utc>]) -> Result<(), TestCaseError> {
    let plan = schedule.plan(&NAMED).unwrap();
    let told = format!("{schedule:?} after {after} until {until}");
    prop_assert_eq!(walk(schedule, after, until), expected, "{}", told);
    prop_assert_eq!(plan.count(after, until, i64::MAX).unwrap(), i64::try_from(expected.len()).unwrap(), "{}", told);
    prop_assert_eq!(plan.count(after, until, 3).unwrap(), i64::try_from(expected.len().min(3)).unwrap(), "{}", told);
    prop_assert_eq!(plan.latest(after, until).unwrap(), expected.last().copied(), "{}", told);
    prop_assert_eq!(&plan.upcoming(after, expected.len()).unwrap(), expected, "{}", told);
    Ok(())
}

fn gates() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let names = |most: usize| {
        proptest::collection::btree_set(select(vec!["weekend", "office", "night", "two", "holidays", "always", "never"]), 0..most)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    (names(3), names(2))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_gated_and_bounded_is_the_walk_less_what_lies_outside(
        (exclude, only) in gates(),
        zone_at in 0..ZONES.len(),
        rule_at in 0usize..8,
        pick: u32,
        minutes in -3_000i64..3_000,
        span in prop_oneof![0i64..100_000, 0i64..1_500_000],
        (from, to) in (proptest::option::of(-100_000i64..1_000_000), proptest::option::of(0i64..1_500_000)),
    ) {
        let after = near_a_change(ZONES[zone_at], pick, minutes, 0);
        let until = after + TimeDelta::seconds(span);
        let open = rules(ZONES[zone_at])[rule_at].clone();
        let mut bounded = open.clone();
        bounded.terms.start = from.map(|from| after + TimeDelta::seconds(from));
        bounded.terms.end = to.map(|to| after + TimeDelta::seconds(to)).filter(|end| bounded.terms.start.is_none_or(|start| start <= *end));
        (bounded.terms.exclude, bounded.terms.only) = (exclude, only);
        let (start, end) = (bounded.terms.start, bounded.terms.end);
        let all = walk(&open, after, until);
        agrees(&open, after, until, &all)?;
        let is_inside = |name: &String, at: DateTime<Utc>| NAMED.get(name).unwrap().span_at(at).unwrap().inside;
        let left: Vec<DateTime<Utc>> = all
            .into_iter()
            .filter(|at| start.is_none_or(|start| *at >= start) && end.is_none_or(|end| *at <= end))
            .filter(|at| bounded.terms.only.iter().all(|name| is_inside(name, *at)))
            .filter(|at| !bounded.terms.exclude.iter().any(|name| is_inside(name, *at)))
            .collect();
        agrees(&bounded, after, until, &left)?;
    }

    #[test]
    fn a_grid_of_the_calendar_keeps_the_time_of_day(
        step in prop_oneof![(1u32..40).prop_map(Step::Days), (1u32..30).prop_map(Step::Months)],
        gap in select(vec![Gap::Shift, Gap::Skip]),
        fold in select(vec![Fold::First, Fold::Last, Fold::Both]),
        zone_at in 0..ZONES.len(),
        pick: u32,
        (anchor_days, anchor_minutes) in (-2_000i64..2_000, -200i64..200),
        minutes in -3_000i64..3_000,
    ) {
        let tz = ZONES[zone_at];
        let after = near_a_change(tz, pick, minutes, 0);
        let until = after + TimeDelta::days(400);
        // Near a change in its time of day, and some day of the month.
        let anchor = near_a_change(tz, pick, anchor_minutes, 0) + TimeDelta::days(anchor_days);
        let unit = match step {
            Step::Days(days) => format!("{days} days"),
            Step::Months(months) => format!("{months} months"),
            Step::Clock(_) => unreachable!("not made above"),
        };
        let mut schedule = schedule(&format!(r#"{{"every": "{unit}", "tz": "{tz}", "anchor": "{}"}}"#, anchor.to_rfc3339()));
        (schedule.terms.gap, schedule.terms.fold) = (Some(gap), Some(fold));
        let zone = zone::zone(tz).unwrap();
        let civil = zone.to_datetime(Timestamp::from_second(anchor.timestamp()).unwrap());
        let mut slow = BTreeSet::new();
        for n in -8_000i64..8_000 {
            let span = match step {
                Step::Days(days) => Span::new().days(n * i64::from(days)),
                Step::Months(months) if n.abs() * i64::from(months) < 1_200 => Span::new().months(n * i64::from(months)),
                _ => continue,
            };
            let point = civil.checked_add(span).unwrap();
            let away = point.date().until(zone.to_datetime(Timestamp::from_second(after.timestamp()).unwrap()).date()).unwrap();
            if away.get_days().abs() < 450 {
                slow.extend(placed(&zone, point, gap, fold));
            }
        }
        let within = |at: &i64| *at > after.timestamp() && *at <= until.timestamp();
        let slow: Vec<DateTime<Utc>> =
            slow.into_iter().map(Timestamp::as_second).filter(within).map(|at| DateTime::from_timestamp(at, 0).unwrap()).collect();
        agrees(&schedule, after, until, &slow)?;
    }

    #[test]
    fn jitter_is_the_same_each_time_and_below_its_length(event: i64, micros in 0i64..4_000_000_000_000_000, length in 1u64..86_400_000_000, zone_at in 0..ZONES.len()) {
        let meant = DateTime::from_timestamp_micros(micros).unwrap();
        let mut schedule = rules(ZONES[zone_at])[3].clone();
        schedule.terms.jitter = Some(Duration::from_micros(length));
        let due = schedule.due_at(EventId(event), meant);
        prop_assert!(due >= meant && due < meant + TimeDelta::microseconds(i64::try_from(length).unwrap()), "{due} of {meant}");
        // It depends on nothing else of the schedule.
        let mut other = schedule.clone();
        other.rule = rules("UTC")[0].rule.clone();
        prop_assert_eq!(due, other.due_at(EventId(event), meant));
        let read: Schedule = serde_json::from_value(serde_json::to_value(&schedule).unwrap()).unwrap();
        prop_assert_eq!(due, read.due_at(EventId(event), meant));
    }
}

#[test]
fn what_is_closed_for_ever_is_answered_soon() {
    let now = at("2027-06-01T00:00:00Z");
    let started = Instant::now();
    for (json, code) in [
        (r#"{"every": "1s", "exclude": ["always"]}"#, "INP007"),
        (r#"{"cron": "* * * * * *", "only": ["never"]}"#, "INP007"),
        (r#"{"after": "1ms", "only": ["never"]}"#, "INP007"),
        (r#"{"after": "1ms", "start": "2027-07-01T00:00:00Z", "exclude": ["always"]}"#, "INP007"),
        (r#"{"rrule": "FREQ=DAILY", "only": ["never"]}"#, "INP007"),
        (r#"{"cron": "* 0-12 * * *", "only": ["afternoon"]}"#, "INP022"),
        (r#"{"every": "1 day", "anchor": "2027-01-01T12:00:00Z", "only": ["afternoon"]}"#, "INP022"),
        (r#"{"rrule": "DTSTART:20270101T120000\nRRULE:FREQ=DAILY", "only": ["afternoon"]}"#, "INP022"),
        (
            r#"{"cron": "0 12 * * *", "tz": "Europe/Paris", "exclude": ["two"], "only": ["afternoon"], "end": "2028-01-01T00:00:00Z"}"#,
            "INP007",
        ),
    ] {
        let refusal = schedule(json).settle(now, &NAMED).expect_err(json);
        assert_eq!(refusal.code, code, "{json}: {refusal}");
    }
    // A delay waits until the gate opens, also when its start is closed.
    for (json, after, next) in [
        (r#"{"after": "1h", "only": ["afternoon"]}"#, "2027-06-01T00:00:00Z", "2027-06-01T13:00:00Z"),
        (r#"{"after": "1h", "only": ["afternoon"]}"#, "2027-06-01T12:30:00Z", "2027-06-01T13:30:00Z"),
        (r#"{"after": "1h", "only": ["afternoon"], "start": "2027-06-02T17:00:00Z"}"#, "2027-06-01T12:30:00Z", "2027-06-03T13:00:00Z"),
        (r#"{"after": "1h", "only": ["afternoon"], "start": "2027-06-02T14:00:00Z"}"#, "2027-06-01T12:30:00Z", "2027-06-02T14:00:00Z"),
    ] {
        let schedule = schedule(json);
        assert_eq!(schedule.plan(&NAMED).unwrap().next_after(at(after)), Ok(Some(at(next))), "{json} after {after}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
