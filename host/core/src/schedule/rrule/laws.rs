//! Recurrences as properties: seeking against walking, counting against walking, and texts of any kind.
//!
//! Not the tables (`tests`). What must hold: the slow way decides each day by jiff's own calendar, from the definitions of the RFC, and shares
//! no arithmetic with the search.

use super::*;
use jiff::civil::Weekday;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeSet;

const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// A rule of the laws: its parts as numbers, so that the slow way reads no text.
#[derive(Clone, Debug)]
struct Sketch {
    freq: &'static str,
    interval: i32,
    months: Vec<i8>,
    month_days: Vec<i8>,
    week_days: Vec<(i8, usize)>,
    hours: Vec<i8>,
    set_pos: Vec<i32>,
    week_start: usize,
    start: Civil,
}

fn list<T: ToString>(name: &str, items: &[T]) -> String {
    if items.is_empty() { String::new() } else { format!(";{name}={}", items.iter().map(T::to_string).collect::<Vec<_>>().join(",")) }
}

impl Sketch {
    fn text(&self) -> String {
        let week_days: Vec<String> = self
            .week_days
            .iter()
            .map(|(nth, day)| if *nth == 0 { DAYS[*day].to_owned() } else { format!("{nth}{}", DAYS[*day]) })
            .collect();
        format!(
            "DTSTART:{}\nRRULE:FREQ={};INTERVAL={};WKST={}{}{}{}{}{}",
            self.start.strftime("%Y%m%dT%H%M%S"),
            self.freq,
            self.interval,
            DAYS[self.week_start],
            list("BYMONTH", &self.months),
            list("BYMONTHDAY", &self.month_days),
            list("BYDAY", &week_days),
            list("BYHOUR", &self.hours),
            list("BYSETPOS", &self.set_pos),
        )
    }

    /// Which period a day belongs to, counted from the start's.
    fn period(&self, day: Date) -> i32 {
        let week_start = Weekday::from_monday_zero_offset(i8::try_from(self.week_start).unwrap()).unwrap();
        let week = |day: Date| day.checked_sub(i32::from(day.weekday().since(week_start)).days()).unwrap();
        let between = |from: Date, to: Date| from.until((Unit::Day, to)).unwrap().get_days();
        match self.freq {
            "DAILY" => between(self.start.date(), day),
            "WEEKLY" => between(week(self.start.date()), week(day)) / 7,
            "MONTHLY" => i32::from(day.year() - self.start.year()) * 12 + i32::from(day.month() - self.start.month()),
            _ => i32::from(day.year() - self.start.year()),
        }
    }

    fn takes(&self, day: Date) -> bool {
        let is_open = self.month_days.is_empty() && self.week_days.is_empty();
        let mut months = self.months.clone();
        let is_day = match (self.freq, is_open) {
            ("WEEKLY", true) => day.weekday() == self.start.weekday(),
            ("MONTHLY", true) => day.day() == self.start.day(),
            ("YEARLY", true) => {
                if months.is_empty() {
                    months.push(self.start.month());
                }
                day.day() == self.start.day()
            }
            _ => true,
        };
        let back = day.day() - day.days_in_month() - 1;
        let in_month = self.month_days.is_empty() || self.month_days.iter().any(|wanted| *wanted == day.day() || *wanted == back);
        let in_week = self.week_days.is_empty() || self.week_days.iter().any(|(nth, at)| self.is_week_day(day, *nth, *at));
        is_day && in_month && in_week && (months.is_empty() || months.contains(&day.month()))
    }

    fn is_week_day(&self, day: Date, nth: i8, at: usize) -> bool {
        let weekday = Weekday::from_monday_zero_offset(i8::try_from(at).unwrap()).unwrap();
        if nth == 0 || day.weekday() != weekday {
            return nth == 0 && day.weekday() == weekday;
        }
        if self.freq == "YEARLY" && self.months.is_empty() {
            let edge = if nth > 0 { day.first_of_year().yesterday() } else { day.last_of_year().tomorrow() };
            return edge.unwrap().nth_weekday(nth.into(), weekday).is_ok_and(|found| found == day);
        }
        day.nth_weekday_of_month(nth, weekday).is_ok_and(|found| found == day)
    }

    /// Its times up to `last`, day by day.
    fn slow(&self, last: Date) -> BTreeSet<Civil> {
        let hours = if self.hours.is_empty() { vec![self.start.hour()] } else { self.hours.clone() };
        let (mut all, mut set, mut open) = (BTreeSet::new(), Vec::new(), None);
        // From a year's length before the start, so that the first period is whole.
        let mut day = self.start.date().checked_sub(400.days()).unwrap();
        // Past the last day, so that the last period is whole.
        while day <= last.checked_add(400.days()).unwrap() {
            let period = self.period(day);
            if open != Some(period) {
                all.extend(self.choose(&set));
                set.clear();
                open = Some(period);
            }
            if period.rem_euclid(self.interval) == 0 && self.takes(day) {
                set.extend(hours.iter().map(|hour| day.at(*hour, self.start.minute(), self.start.second(), 0)));
            }
            day = day.tomorrow().unwrap();
        }
        all.into_iter().filter(|at| *at >= self.start && at.date() <= last).collect()
    }

    fn choose(&self, set: &[Civil]) -> Vec<Civil> {
        let mut set = set.to_vec();
        set.sort();
        if self.set_pos.is_empty() {
            return set;
        }
        let place = |pos: &i32| if *pos > 0 { *pos - 1 } else { *pos + i32::try_from(set.len()).unwrap() };
        self.set_pos.iter().filter_map(|pos| usize::try_from(place(pos)).ok().and_then(|at| set.get(at)).copied()).collect()
    }
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let signed = |most: i8| (1..=most).prop_flat_map(|number| select(vec![number, -number]));
    let often = |list: BoxedStrategy<Vec<i8>>| prop_oneof![3 => Just(Vec::new()), 1 => list];
    let lists = (
        often(subsequence((1..=12).collect::<Vec<i8>>(), 1..5).boxed()),
        often(vec(signed(31), 1..5).boxed()),
        prop_oneof![Just(Vec::new()), vec((prop_oneof![3 => Just(0), 1 => signed(5)], 0..7_usize), 1..4)],
        often(subsequence((0..24).collect::<Vec<i8>>(), 1..4).boxed()),
        prop_oneof![3 => Just(Vec::new()), 1 => vec((1..6).prop_flat_map(|number: i32| select(vec![number, -number])), 1..3)],
    );
    let start = (1995..2035_i16, 1..=12_i8, 1..=31_i8, 0..24_i8, 0..60_i8, 0..60_i8);
    (select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]), 1..5_i32, 0..7_usize, lists, start).prop_map(
        |(freq, interval, week_start, (months, month_days, week_days, hours, set_pos), (year, month, day, hour, minute, second))| {
            let day = day.min(Date::new(year, month, 1).unwrap().days_in_month());
            let takes_nth = matches!(freq, "MONTHLY" | "YEARLY");
            let month_days = if freq == "WEEKLY" { Vec::new() } else { month_days };
            let week_days: Vec<(i8, usize)> = week_days.into_iter().map(|(nth, day)| (if takes_nth { nth } else { 0 }, day)).collect();
            let is_bare = months.is_empty() && month_days.is_empty() && week_days.is_empty() && hours.is_empty();
            let set_pos = if is_bare { Vec::new() } else { set_pos };
            let start = Date::new(year, month, day).unwrap().at(hour, minute, second, 0);
            Sketch { freq, interval, months, month_days, week_days, hours, set_pos, week_start, start }
        },
    )
}

fn settled(text: &str) -> Rules {
    read(text).expect(text).settled(&TimeZone::UTC).expect(text)
}

fn found(rules: &Rules, from: Civil, to: Civil) -> BTreeSet<Civil> {
    let mut all = BTreeSet::new();
    let mut at = from;
    while let Some(next) = rules.next(at, &mut Steps::new()).filter(|next| *next < to) {
        assert!(next >= at && all.insert(next), "{next} rises");
        at = next.checked_add(1.second()).expect("before the year 9999");
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// From any point on the search finds what the day by day walk has from there on, and counts as many.
    #[test]
    fn seeking_is_walking(sketch in sketch(), from in 0..900_i32, second in 0..86_400_i64) {
        let text = sketch.text();
        let rules = settled(&text);
        let first = sketch.start.date().checked_add((from - 30).days()).unwrap().at(0, 0, 0, 0).checked_add(second.seconds()).unwrap();
        let last = sketch.start.date().checked_add(1_000.days()).unwrap();
        let to = last.tomorrow().unwrap().at(0, 0, 0, 0);
        let slow: BTreeSet<Civil> = sketch.slow(last).into_iter().filter(|at| *at >= first).collect();
        prop_assert_eq!(&found(&rules, first, to), &slow, "{}", text);
        prop_assert_eq!(rules.count(first, to), i64::try_from(slow.len()).unwrap(), "{}", text);
    }

    /// COUNT is the first so many, UNTIL the ones up to it, wherever the question begins.
    #[test]
    fn ends_are_where_they_are(sketch in sketch(), count in 1..40_usize, from in 0..900_i32) {
        let (text, to) = (sketch.text(), sketch.start.checked_add(1_000.days()).unwrap());
        let all: Vec<Civil> = found(&settled(&text), sketch.start, to).into_iter().collect();
        let from = sketch.start.checked_add(from.days()).unwrap();
        if let Some(last) = all.get(count - 1) {
            let expected: BTreeSet<Civil> = all[..count].iter().copied().filter(|at| *at >= from).collect();
            for end in [format!("COUNT={count}"), format!("UNTIL={}", last.strftime("%Y%m%dT%H%M%S"))] {
                let rules = settled(&format!("{text};{end}"));
                prop_assert_eq!(&found(&rules, from, Civil::MAX), &expected, "{};{}", text, end);
                prop_assert_eq!(rules.count(from, Civil::MAX), i64::try_from(expected.len()).unwrap());
            }
        }
    }

    /// Several rules are the union of their times, with what is added and without what is excepted; the count agrees.
    #[test]
    fn unions_count_once(first in sketch(), second in sketch(), with in vec(0..400_i32, 0..5), without in vec(0..60_usize, 0..8), day in 0..400_i32) {
        let start = first.start;
        let second = Sketch { start, ..second };
        let to = start.checked_add(400.days()).unwrap();
        let mut expected: BTreeSet<Civil> = found(&settled(&first.text()), Civil::MIN, to);
        expected.extend(found(&settled(&second.text()), Civil::MIN, to));
        let stamps = |at: &[Civil]| at.iter().map(|at| at.strftime("%Y%m%dT%H%M%S").to_string()).collect::<Vec<_>>().join(",");
        let all: Vec<Civil> = expected.iter().copied().collect();
        let added: Vec<Civil> = with.iter().map(|days| start.checked_add(days.days()).unwrap()).filter(|at| *at < to).collect();
        let excepted: Vec<Civil> = without.iter().filter_map(|at| all.get(*at)).copied().collect();
        let day = start.date().checked_add(day.days()).unwrap();
        let mut text = format!("{}\n{}\nEXDATE;VALUE=DATE:{}", first.text(), second.text().lines().nth(1).unwrap(), day.strftime("%Y%m%d"));
        for (name, list) in [("RDATE", &added), ("EXDATE", &excepted)] {
            if !list.is_empty() {
                text += &format!("\n{name}:{}", stamps(list));
            }
        }
        expected.extend(added);
        expected.retain(|at| !excepted.contains(at) && at.date() != day);
        let rules = settled(&text);
        prop_assert_eq!(&found(&rules, Civil::MIN, to), &expected, "{}", text);
        prop_assert_eq!(rules.count(Civil::MIN, to), i64::try_from(expected.len()).unwrap(), "{}", text);
    }

    /// Parts mean the same in every order and case.
    #[test]
    fn order_and_case_do_not_matter(sketch in sketch(), turn in 0..8_usize) {
        let text = sketch.text();
        let (start, rule) = text.split_once("\nRRULE:").unwrap();
        let mut parts: Vec<&str> = rule.split(';').collect();
        let turn = turn % parts.len();
        parts.rotate_left(turn);
        let other = format!("rrule:{};\\n{}", parts.join(" ; ").to_lowercase(), start.to_lowercase());
        let (one, two) = (read(&text).unwrap(), read(&other).unwrap());
        prop_assert_eq!((one.rules.parts, one.start), (two.rules.parts, two.start));
    }

    /// No text panics, and every refusal has a place in it.
    #[test]
    fn any_text_is_answered(text in "\\PC{0,60}", pieces in vec(select(vec![
        "DTSTART", "RRULE", "EXDATE", ";TZID=Europe/Paris", ";VALUE=DATE", ":", "20260131", "T090000", "Z", "FREQ=", "DAILY", "YEARLY", ";", "BYDAY=",
        "-1", "MO", ",", "BYSETPOS=", "366", "\n", "\\n", " ", "COUNT=", "UNTIL=", "=", "é", "BYWEEKNO=", "53", "99990101", "\t", "INTERVAL=100000",
    ]), 0..24)) {
        for text in [text, pieces.concat()] {
            match read(&text) {
                Ok(read) => {
                    let _ = read.rules.words();
                    if let Ok(rules) = read.settled(&TimeZone::UTC) {
                        let _ = rules.next(Civil::MIN, &mut Steps::new());
                    }
                }
                Err(refusal) => {
                    let place = refusal.place.expect("a place");
                    prop_assert!(text.get(place.start..place.end).is_some(), "{}", text);
                }
            }
        }
    }
}
