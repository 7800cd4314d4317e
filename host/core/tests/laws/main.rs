//! The laws of schedules as properties: near the changes of ten zones, against a slow second way of finding and counting instants.
//!
//! Not the tables (`times`). Here are the rules themselves, in `terms` bounds, calendars and jitter. What must hold: the slow way shares no
//! code with the fast one but the zone's own offsets.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod slow;
mod terms;

use chrono::{DateTime, TimeDelta, Utc};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use sexton_core::Schedule;
use sexton_core::calendar::Calendars;
use sexton_core::schedule::{Fold, Gap, zone};
use slow::by_enumeration;
use std::collections::BTreeSet;
use std::time::Duration;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

fn cron(expression: &str, tz: &str) -> Schedule {
    Schedule::cron(expression, tz)
}

const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Vancouver",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Antarctica/Troll",
];

/// Minutes and hours of an expression, and how they are written.
#[derive(Clone, Debug)]
struct Clock {
    text: String,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    elapsed_like: bool,
}

fn part(limit: i8) -> impl Strategy<Value = (String, BTreeSet<i8>, bool)> {
    let list = proptest::collection::btree_set(0..limit, 1..5).prop_map(|set| {
        let text = set.iter().map(i8::to_string).collect::<Vec<_>>().join(",");
        (text, set, false)
    });
    let step = (1..limit).prop_map(move |n| (format!("*/{n}"), (0..limit).step_by(usize::try_from(n).unwrap()).collect(), true));
    let star = Just(("*".to_owned(), (0..limit).collect::<BTreeSet<i8>>(), true));
    prop_oneof![4 => list, 2 => step, 1 => star]
}

fn clock() -> impl Strategy<Value = Clock> {
    (part(60), part(24)).prop_map(|((m_text, minutes, m_star), (h_text, hours, h_star))| Clock {
        text: format!("{m_text} {h_text} * * *"),
        minutes,
        hours,
        elapsed_like: m_star || h_star,
    })
}

/// An instant near a zone change of the zone (or anywhere in Kathmandu and UTC), within 2010..2030.
fn near_a_change(tz: &str, pick: u32, minutes_off: i64, seconds_off: i64) -> DateTime<Utc> {
    let zone = zone::zone(tz).unwrap();
    let start = at("2010-01-01T00:00:00Z") + TimeDelta::days(i64::from(pick % 7_000));
    let start_jiff = Timestamp::from_second(start.timestamp()).unwrap();
    let change = zone.following(start_jiff).next().map(|change| change.timestamp()).filter(|t| t.as_second() < 1_893_456_000);
    let center = change.unwrap_or(start_jiff).as_second();
    DateTime::from_timestamp(center + minutes_off * 60 + seconds_off, 0).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cron_agrees_with_the_slow_way(
        clock in clock(),
        gap in select(vec![None, Some(Gap::Shift), Some(Gap::Skip)]),
        fold in select(vec![None, Some(Fold::First), Some(Fold::Last), Some(Fold::Both)]),
        zone_at in 0..ZONES.len(),
        pick: u32,
        minutes in -1_500i64..1_500,
        seconds in 0i64..60,
    ) {
        let tz = ZONES[zone_at];
        let after = near_a_change(tz, pick, minutes, seconds);
        let (mut schedule, calendars) = (cron(&clock.text, tz), Calendars::default());
        (schedule.terms.gap, schedule.terms.fold) = (gap, fold);
        let plan = schedule.plan(&calendars).unwrap();
        // The classes of the design, where nothing is said.
        let (by_class, twice) = if clock.elapsed_like { (Gap::Skip, Fold::Both) } else { (Gap::Shift, Fold::First) };
        let slow = by_enumeration(&clock, tz, after, gap.unwrap_or(by_class), fold.unwrap_or(twice));
        let told = format!("{} in {tz} after {after}, {gap:?} {fold:?}", clock.text);
        prop_assert_eq!(&plan.upcoming(after, slow.len()).unwrap(), &slow, "{}", told);
        let until = after + TimeDelta::days(slow::DAYS);
        prop_assert_eq!(plan.count(after, until, i64::MAX).unwrap(), i64::try_from(slow.len()).unwrap(), "{}", told);
        prop_assert_eq!(plan.latest(after, until).unwrap(), slow.last().copied(), "{}", told);
    }

    #[test]
    fn cron_rises_strictly_and_one_walk_is_as_good_as_many(clock in clock(), zone_at in 0..ZONES.len(), pick: u32, minutes in -1_500i64..1_500, between in 1i64..86_400) {
        let tz = ZONES[zone_at];
        let after = near_a_change(tz, pick, minutes, 0);
        let (schedule, calendars) = (cron(&clock.text, tz), Calendars::default());
        let plan = schedule.plan(&calendars).unwrap();
        let walk = plan.upcoming(after, 12).unwrap();
        prop_assert_eq!(walk.len(), 12);
        prop_assert!(walk[0] > after);
        prop_assert!(walk.windows(2).all(|pair| pair[0] < pair[1]));
        // Asked from anywhere between two instants, the answer is the later one.
        let somewhere = after + TimeDelta::seconds(between);
        if let Some(expected) = walk.iter().find(|instant| **instant > somewhere) {
            prop_assert_eq!(plan.next_after(somewhere).unwrap(), Some(*expected));
        }
        prop_assert_eq!(plan.count(after, walk[11], 12).unwrap(), 12);
    }

    #[test]
    fn counting_is_as_good_as_walking(
        clock in clock(),
        days in prop_oneof![Just("* * *"), Just("*/7 * MON"), Just("1-7,L-2W * MON"), Just("L,15W * ?"), Just("*/2 * FRI#2"), Just("* 3,4,10,11 SUN"), Just("31 * *"), Just("* * 5L")],
        seconds in prop_oneof![3 => Just("0"), 1 => Just("*/17")],
        zone_at in 0..ZONES.len(),
        pick: u32,
        minutes in -3_000i64..3_000,
        span in prop_oneof![0i64..100_000, 0i64..2_000_000],
    ) {
        let tz = ZONES[zone_at];
        let after = near_a_change(tz, pick, minutes, 0);
        let until = after + TimeDelta::seconds(span);
        let mut expression = clock.text.clone();
        expression.truncate(expression.len() - "* * *".len());
        let (schedule, calendars) = (cron(&format!("{seconds} {expression}{days}"), tz), Calendars::default());
        let plan = schedule.plan(&calendars).unwrap();
        let walk = plan.upcoming(after, 2_000).unwrap();
        let walked = walk.iter().filter(|instant| **instant <= until).count();
        prop_assume!(walked < 2_000);
        prop_assert_eq!(plan.count(after, until, i64::MAX).unwrap(), i64::try_from(walked).unwrap(), "{:?} after {} until {}", schedule, after, until);
    }

    #[test]
    fn a_grid_is_the_same_from_wherever_it_is_asked(step_ms in 1_000u64..10_000_000, anchor_s in -2_000_000_000i64..4_000_000_000, after_us in -2_000_000_000_000_000i64..4_000_000_000_000_000) {
        let anchor = DateTime::from_timestamp(anchor_s, 0).unwrap();
        let after = DateTime::from_timestamp_micros(after_us).unwrap();
        let (schedule, calendars) = (Schedule::every(Duration::from_millis(step_ms), Some(anchor)), Calendars::default());
        let plan = schedule.plan(&calendars).unwrap();
        let next = plan.next_after(after).unwrap().unwrap();
        let step = TimeDelta::milliseconds(i64::try_from(step_ms).unwrap());
        prop_assert!(next > after && next - step <= after);
        prop_assert_eq!((next - anchor).num_microseconds().unwrap() % step.num_microseconds().unwrap(), 0);
        prop_assert_eq!(plan.next_after(next).unwrap(), Some(next + step));
        prop_assert_eq!(plan.count(after, next + step, i64::MAX).unwrap(), 2);
    }

    #[test]
    fn what_is_settled_is_written_and_read_back(step in 1u64..1_000_000, micros in 0i64..4_000_000_000_000_000, clock in clock(), zone_at in 0..ZONES.len()) {
        let now = DateTime::from_timestamp_micros(micros).unwrap();
        let all = [
            Schedule::once(now),
            Schedule::every(Duration::from_secs(step), Some(now)),
            Schedule::after(Duration::from_millis(step)),
            cron(&clock.text, ZONES[zone_at]),
            Schedule::manual(),
        ];
        for schedule in all {
            let settled = schedule.settle(now, &Calendars::default()).unwrap();
            prop_assert_eq!(settled.clone().settle(now + TimeDelta::days(1), &Calendars::default()).unwrap(), settled.clone());
            let json = serde_json::to_value(&settled).unwrap();
            prop_assert_eq!(Schedule::from_json(&json).unwrap(), settled.clone());
            prop_assert_eq!(serde_json::from_value::<Schedule>(json).unwrap(), settled);
        }
    }
}
