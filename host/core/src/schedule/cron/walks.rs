//! The calendar against a slow second way: every minute of some months, each day judged by the words of the manual.
//!
//! Not the reading of texts (`tests`). What must hold: the slow way shares no code with the fast one; it knows days one by one and no sets.

use super::*;
use jiff::civil::{Date, Weekday, date};
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A part of a day field, as it is written and as it is meant.
#[derive(Clone, Debug)]
enum Day {
    Numbers(i8, i8, usize),
    BeforeLast(i8),
    Near(i8),
    NearLast(i8),
    Weekdays(i8, i8),
    Nth(i8, i8),
    Last(i8),
}

fn is_weekday(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The nearest weekday in the same month; of two that are as near there are none, Saturday and Sunday being neighbours.
fn nearest_weekday(target: Date) -> Date {
    let off = |days: i64| target.checked_add(days.days()).unwrap();
    let near = [0, -1, 1, -2, 2].into_iter().map(off);
    near.filter(|day| day.month() == target.month()).find(|day| is_weekday(*day)).unwrap()
}

impl Day {
    fn text(&self) -> String {
        match self {
            Self::Numbers(from, to, 1) if from == to => from.to_string(),
            Self::Numbers(from, to, 1) => format!("{from}-{to}"),
            Self::Numbers(from, to, step) => format!("{from}-{to}/{step}"),
            Self::BeforeLast(0) => "L".to_owned(),
            Self::BeforeLast(before) => format!("L-{before}"),
            Self::Near(day) => format!("{day}W"),
            Self::NearLast(0) => "lw".to_owned(),
            Self::NearLast(before) => format!("L-{before}W"),
            Self::Weekdays(from, to) if from == to => from.to_string(),
            Self::Weekdays(from, to) => format!("{from}-{to}"),
            Self::Nth(day, nth) => format!("{day}#{nth}"),
            Self::Last(day) => format!("{day}L"),
        }
    }

    fn has(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        let at = |day: i8| Date::new(date.year(), date.month(), day).ok();
        match *self {
            Self::Numbers(from, to, step) => (from..=if from <= to { to } else { to + 31 })
                .step_by(step)
                .any(|day| if day > 31 { day - 31 == date.day() } else { day == date.day() }),
            Self::BeforeLast(before) => date.day() + before == date.days_in_month(),
            Self::Near(day) => at(day).is_some_and(|target| nearest_weekday(target) == date),
            Self::NearLast(before) => at(date.days_in_month() - before).is_some_and(|target| nearest_weekday(target) == date),
            Self::Weekdays(from, to) => (0..7).map(|on| (from + on) % 7).take_while(|day| *day != (to + 1) % 7).any(|day| day == weekday),
            Self::Nth(day, nth) => weekday == day && (date.day() + 6) / 7 == nth,
            Self::Last(day) => weekday == day && date.day() + 7 > date.days_in_month(),
        }
    }
}

/// A pattern as it is written, and what its days are by definition.
#[derive(Clone, Debug)]
struct Written {
    text: String,
    seconds: BTreeSet<i8>,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    months: BTreeSet<i8>,
    years: Option<i16>,
    month_days: Option<Vec<Day>>,
    week_days: Option<Vec<Day>>,
}

impl Written {
    fn has_day(&self, date: Date, day_match: DayMatch) -> bool {
        let any = |days: &Option<Vec<Day>>| days.as_ref().is_none_or(|days| days.iter().any(|day| day.has(date)));
        let (of_month, of_week) = (any(&self.month_days), any(&self.week_days));
        let either = day_match == DayMatch::Or && self.month_days.is_some() && self.week_days.is_some();
        self.months.contains(&date.month())
            && self.years.is_none_or(|year| year == date.year())
            && if either { of_month || of_week } else { of_month && of_week }
    }

    /// All times in `[from, to)`, by walking minutes.
    fn walk(&self, from: Civil, to: Civil, day_match: DayMatch) -> Vec<Civil> {
        let mut found = Vec::new();
        let mut minute = from.date().at(0, 0, 0, 0);
        while minute < to {
            if minute.hour() == 0 && minute.minute() == 0 && !self.has_day(minute.date(), day_match) {
                minute = minute.date().tomorrow().unwrap().at(0, 0, 0, 0);
                continue;
            }
            if self.hours.contains(&minute.hour()) && self.minutes.contains(&minute.minute()) {
                found.extend(self.seconds.iter().map(|second| minute.with().second(*second).build().unwrap()));
            }
            minute = minute.checked_add(SignedDuration::from_mins(1)).unwrap();
        }
        found.retain(|time| *time >= from && *time < to);
        found
    }
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

fn part(low: i8, high: i8) -> impl Strategy<Value = (String, BTreeSet<i8>)> {
    let some = proptest::collection::btree_set(low..=high, 1..4).prop_map(|set| (list(&set), set));
    let step = (low..=high, 1..=high)
        .prop_map(move |(from, step)| (format!("{from}/{step}"), (from..=high).step_by(usize::try_from(step).unwrap()).collect()));
    let wrapped = (low..=high, low..=high).prop_map(move |(from, to)| {
        let set = if from <= to { (from..=to).collect() } else { (from..=high).chain(low..=to).collect() };
        (format!("{from}-{to}"), set)
    });
    prop_oneof![3 => some, 2 => step, 1 => wrapped, 1 => Just(("*".to_owned(), (low..=high).collect()))]
}

fn days(one: impl Strategy<Value = Day>) -> impl Strategy<Value = Option<Vec<Day>>> {
    proptest::option::weighted(0.7, proptest::collection::vec(one, 1..4))
}

fn written() -> impl Strategy<Value = Written> {
    let of_month = prop_oneof![
        3 => (1i8..=31).prop_map(|day| Day::Numbers(day, day, 1)),
        2 => (1i8..=31, 1i8..=31, 1usize..9).prop_map(|(from, to, step)| Day::Numbers(from, to, step)),
        1 => (0i8..=30).prop_map(Day::BeforeLast),
        2 => (1i8..=31).prop_map(Day::Near),
        1 => (0i8..=30).prop_map(Day::NearLast),
    ];
    let of_week = prop_oneof![
        (0i8..7).prop_map(|day| Day::Weekdays(day, day)),
        (0i8..7, 0i8..7)
            .prop_filter("a whole week stops at once", |(from, to)| (to + 1) % 7 != *from)
            .prop_map(|(f, t)| Day::Weekdays(f, t)),
        (0i8..7, 1i8..=5).prop_map(|(day, nth)| Day::Nth(day, nth)),
        (0i8..7).prop_map(Day::Last),
    ];
    let seconds = prop_oneof![2 => Just(BTreeSet::from([0])), 1 => proptest::collection::btree_set(0i8..60, 1..3)];
    let years = proptest::option::weighted(0.2, 2_023i16..2_029);
    (seconds, part(0, 59), part(0, 23), part(1, 12), days(of_month), days(of_week), years).prop_map(
        |(seconds, (minute, minutes), (hour, hours), (month, months), month_days, week_days, years)| {
            let day = |days: &Option<Vec<Day>>| days.as_ref().map_or("*".to_owned(), |days| list(days.iter().map(Day::text)));
            let year = years.map_or("*".to_owned(), |year| year.to_string());
            let text = format!("{} {minute} {hour} {} {month} {} {year}", list(&seconds), day(&month_days), day(&week_days));
            Written { text, seconds, minutes, hours, months, years, month_days, week_days }
        },
    )
}

fn day_match() -> impl Strategy<Value = DayMatch> {
    prop_oneof![Just(DayMatch::Or), Just(DayMatch::And)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn next_and_count_agree_with_a_walk(written in written(), day_match in day_match(), start in 0i64..2_000, second in 0i64..86_400, nanos in prop_oneof![Just(0i32), 0i32..1_000_000_000], span in 0i64..90 * 86_400) {
        let pattern = read(&written.text, Options { day_match, ..Options::default() }).unwrap();
        let from = date(2023, 1, 1).at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(start * 86_400 + second)).unwrap();
        let from = from.with().subsec_nanosecond(nanos).build().unwrap();
        let to = from.checked_add(SignedDuration::from_secs(span)).unwrap();
        let walked = written.walk(from, to, day_match);
        prop_assert_eq!(pattern.count(from, to), i64::try_from(walked.len()).unwrap(), "{} from {} to {}", written.text, from, to);
        let mut at = from;
        for expected in walked.iter().take(40) {
            let found = pattern.next(at, &mut Steps::new());
            prop_assert_eq!(found, Some(*expected), "{} from {}", written.text, at);
            at = expected.checked_add(SignedDuration::from_secs(1)).unwrap();
        }
        let beyond = pattern.next(walked.last().map_or(from, |last| last.checked_add(SignedDuration::from_secs(1)).unwrap()), &mut Steps::new());
        prop_assert!(beyond.is_none_or(|next| next >= to), "{} from {} to {}: {:?}", written.text, from, to, beyond);
        prop_assert!(pattern.words().ends_with('.'));
    }

    #[test]
    fn a_gap_of_centuries_holds_nothing(written in written(), day_match in day_match(), year in 1i16..9_000) {
        let pattern = read(&written.text, Options { day_match, ..Options::default() }).unwrap();
        let from = date(year, 1, 1).at(0, 0, 0, 0);
        let mut steps = Steps::new();
        match pattern.next(from, &mut steps) {
            Some(next) => {
                prop_assert_eq!(pattern.count(from, next), 0, "{}", written.text);
                prop_assert_eq!(pattern.count(next, next.checked_add(SignedDuration::from_secs(1)).unwrap()), 1, "{}", written.text);
            }
            None => prop_assert_eq!(pattern.count(from, date(9_999, 12, 31).at(23, 59, 59, 999_999_999)), 0, "{}", written.text),
        }
        prop_assert!(steps.taken() <= 15 * 12, "{}: {} steps", written.text, steps.taken());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[0-9*/,#LW?+a-zA-Z@ -]{0,40}|\\PC{0,20}|([0-9*/,LW#?-]{1,5} ){4,7}[0-9*/,LW#-]{1,4}|@every \\PC{0,9}") {
        for dialect in [Dialect::Vixie, Dialect::Quartz] {
            match read(&text, Options { dialect, day_match: DayMatch::Or }) {
                Ok(pattern) => {
                    prop_assert!(pattern.words().ends_with('.'));
                    let next = pattern.next(date(2027, 1, 1).at(0, 0, 0, 0), &mut Steps::new());
                    prop_assert_eq!(next.is_none(), pattern.count(date(2027, 1, 1).at(0, 0, 0, 0), Civil::MAX) == 0);
                }
                Err(refusal) => {
                    let place = refusal.place.expect("every refusal of an expression has a place");
                    prop_assert!(text.get(place.start..place.end).is_some(), "{:?}", place);
                }
            }
        }
        if let Some(Err(refusal)) = every(&text) {
            let place = refusal.place.expect("every refusal of an expression has a place");
            prop_assert!(text.get(place.start..place.end).is_some(), "{:?}", place);
        }
    }
}

#[test]
fn what_never_comes_is_known_at_once() {
    for (text, day_match) in [
        ("0 0 30 2 *", DayMatch::Or),
        ("0 0 31 2,4,6,9,11 *", DayMatch::Or),
        ("* * * 30 2 * 1-9999", DayMatch::Or),
        ("0 0 1 * FRI#5", DayMatch::And),
        ("0 0 0 1 * FRI#5 1-9999", DayMatch::And),
        ("0 0 0 29 2 * 2100", DayMatch::Or),
        ("0 0 0 * * * 2026", DayMatch::Or),
    ] {
        let pattern = read(text, Options { day_match, ..Options::default() }).expect(text);
        let mut steps = Steps::new();
        assert_eq!(pattern.next(date(2027, 6, 1).at(0, 0, 0, 0), &mut steps), None, "{text}");
        assert!(!steps.is_spent() && steps.taken() <= 15 * 12, "{text}: {} steps", steps.taken());
    }
}

#[test]
fn the_rarest_days_are_found() {
    for (text, day_match, from, expected) in [
        ("0 0 29 2 *", DayMatch::Or, (2096, 3, 1), (2104, 2, 29)),
        ("0 0 29 2 SUN", DayMatch::And, (2196, 3, 1), (2224, 2, 29)),
        ("0 0 29 2 MON", DayMatch::And, (1888, 1, 1), (1892, 2, 29)),
        ("0 0 0 1 1 * 9999", DayMatch::Or, (1, 1, 1), (9999, 1, 1)),
        ("0 0 0 1 1 * 1", DayMatch::Or, (-40, 1, 1), (1, 1, 1)),
        ("0 0 31 12 *", DayMatch::Or, (9999, 12, 31), (9999, 12, 31)),
    ] {
        let pattern = read(text, Options { day_match, ..Options::default() }).expect(text);
        let next = pattern.next(date(from.0, from.1, from.2).at(0, 0, 0, 0), &mut Steps::new());
        assert_eq!(next, Some(date(expected.0, expected.1, expected.2).at(0, 0, 0, 0)), "{text}");
    }
    let minutely = read("* * * * *", Options::default()).expect("good");
    assert_eq!(minutely.next(Civil::MAX, &mut Steps::new()), None);
    assert_eq!(minutely.next(Civil::MIN, &mut Steps::new()), Some(Civil::MIN));
    assert_eq!(minutely.count(date(2001, 1, 1).at(0, 0, 0, 0), date(2401, 1, 1).at(0, 0, 0, 0)), 146_097 * 1_440);
}
