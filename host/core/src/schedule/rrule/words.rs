//! Recurrences in English.
//!
//! Not what decides their times. What must hold: no zone in it, no full stop at its end, and nothing that only a start could say before
//! there is one.

use super::Rules;
use super::lines::Moment;
use super::parts::{Freq, Parts, WeekDay};
use super::rule;
use jiff::civil::Date;

/// Times of a day that are listed; more are counted.
const LISTED: usize = 6;
/// Single dates that are listed; more are counted.
const LISTED_DATES: usize = 2;
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// All rules, and the dates added and taken away.
pub(super) fn of(rules: &Rules) -> String {
    let mut text = String::new();
    for (at, parts) in rules.parts.iter().enumerate() {
        let rule = of_rule(&rules.start.map_or_else(|| parts.clone(), |start| rule::filled(parts.clone(), start)));
        text += &if at == 0 { rule } else { format!("; and e{}", &rule[1..]) };
    }
    if let Some(dates) = dates(&rules.with, &rules.with_days) {
        text += &format!("; and on {dates}");
    }
    if let Some(dates) = dates(&rules.without, &rules.without_days) {
        text += &format!("; but not on {dates}");
    }
    text
}

/// One rule. Opens with `Every`.
fn of_rule(parts: &Parts) -> String {
    let unit = match parts.freq {
        Freq::Daily => "day",
        Freq::Weekly => "week",
        Freq::Monthly => "month",
        Freq::Yearly => "year",
    };
    let mut text = if parts.interval == 1 { format!("Every {unit}") } else { format!("Every {} {unit}s", parts.interval) };
    let choice = choice(parts);
    if let Some(days) = choice.clone().or_else(|| day_words(parts)) {
        text += &format!(" {days}");
    }
    if !parts.months.is_empty() {
        let months = parts.months.iter().filter_map(|month| name(&MONTHS, month - 1));
        text += &format!(" in {}", list(months, "and"));
    }
    text += &time_words(parts);
    if choice.is_none() && !parts.set_pos.is_empty() {
        let places = from_front(&parts.set_pos).map(ordinal);
        text += &format!(", of these only the {} of each {unit}", list(places, "and"));
    }
    match (parts.count, parts.until) {
        (Some(1), _) => text += ", once",
        (Some(count), _) => text += &format!(", {count} times"),
        (None, Some(until)) => text += &format!(", until {}", moment(until)),
        (None, None) => {}
    }
    text
}

/// `on the last weekday`: `BYSETPOS` where it chooses days by nothing but their weekday, once a day.
fn choice(parts: &Parts) -> Option<String> {
    let is_once = [&parts.hours, &parts.minutes, &parts.seconds].into_iter().all(|list| list.len() <= 1);
    let is_plain = parts.weeks.is_empty() && parts.year_days.is_empty() && parts.month_days.is_empty();
    let has_nth = parts.week_days.iter().any(|day| day.nth != 0);
    if parts.set_pos.is_empty() || parts.week_days.is_empty() || has_nth || !is_once || !is_plain || parts.freq != Freq::Monthly {
        return None;
    }
    let days: Vec<i32> = parts.week_days.iter().map(|day| day.day).collect();
    let days = match days.as_slice() {
        [0, 1, 2, 3, 4] => "weekday".to_owned(),
        [0, 1, 2, 3, 4, 5, 6] => "day".to_owned(),
        [5, 6] => "day of a weekend".to_owned(),
        days => list(days.iter().filter_map(|day| name(&DAYS, *day)), "or"),
    };
    let places = from_front(&parts.set_pos).map(ordinal);
    Some(format!("on the {} {days}", list(places, "and")))
}

/// The days of a rule. `None`: every day of the period.
fn day_words(parts: &Parts) -> Option<String> {
    let mut pieces = Vec::new();
    if !parts.weeks.is_empty() {
        pieces.push(format!("in the {} week of the year", list(from_front(&parts.weeks).map(numeral), "and")));
    }
    if !parts.year_days.is_empty() {
        pieces.push(format!("on the {} day of the year", list(from_front(&parts.year_days).map(numeral), "and")));
    }
    if !parts.month_days.is_empty() {
        // `on the 4th of the month`, where neither the period nor a month after it says which.
        let of_month = if parts.freq == Freq::Monthly || !parts.months.is_empty() { "" } else { " of the month" };
        let day = |day: i32| if day < 0 { format!("{} day", numeral(day)) } else { numeral(day) };
        pieces.push(format!("on the {}{of_month}", list(from_front(&parts.month_days).map(day), "and")));
    }
    if !parts.week_days.is_empty() {
        let days = week_days(&parts.week_days, parts.freq == Freq::Yearly && parts.months.is_empty());
        let is_alone = parts.month_days.is_empty() && parts.year_days.is_empty();
        let any = list(days, if is_alone { "and" } else { "or" });
        pieces.push(if is_alone { format!("on {any}") } else { format!("if that is {any}") });
    }
    if pieces.is_empty() { None } else { Some(pieces.join(" ")) }
}

fn week_days(days: &[WeekDay], is_in_year: bool) -> Vec<String> {
    let plain: Vec<i32> = days.iter().filter(|day| day.nth == 0).map(|day| day.day).collect();
    let mut words: Vec<String> = match plain.as_slice() {
        [0, 1, 2, 3, 4] => vec!["a weekday".to_owned()],
        plain => plain.iter().filter_map(|day| name(&DAYS, *day)).collect(),
    };
    let of_year = if is_in_year { " of the year" } else { "" };
    let nth = days.iter().filter(|day| day.nth != 0);
    words.extend(nth.filter_map(|day| Some(format!("the {} {}{of_year}", ordinal(day.nth), name(&DAYS, day.day)?))));
    words
}

/// ` at 09:00`; nothing while the start, which would give it, is not known.
fn time_words(parts: &Parts) -> String {
    if parts.hours.is_empty() {
        return if parts.minutes.is_empty() && parts.seconds.is_empty() { String::new() } else { " at its minutes and seconds".to_owned() };
    }
    let or_zero = |list: &[i32]| if list.is_empty() { vec![0] } else { list.to_vec() };
    let (minutes, seconds) = (or_zero(&parts.minutes), or_zero(&parts.seconds));
    let mut times = Vec::new();
    for hour in &parts.hours {
        for minute in &minutes {
            times.extend(seconds.iter().map(|second| match (*second, seconds.len()) {
                (0, 1) => format!("{hour:02}:{minute:02}"),
                (second, _) => format!("{hour:02}:{minute:02}:{second:02}"),
            }));
        }
    }
    match times.as_slice() {
        [first, .., last] if times.len() > LISTED => format!(" at {} times from {first} to {last}", times.len()),
        times => format!(" at {}", list(times.iter().cloned(), "and")),
    }
}

/// `2 dates` or the dates themselves. `None`: there are none.
fn dates(moments: &[Moment], days: &[Date]) -> Option<String> {
    match moments.len() + days.len() {
        0 => None,
        few if few <= LISTED_DATES => Some(list(moments.iter().map(|at| moment(*at)).chain(days.iter().map(ToString::to_string)), "and")),
        many => Some(format!("{many} single dates")),
    }
}

fn moment(moment: Moment) -> String {
    let zone = if moment.is_utc { " UTC" } else { "" };
    let at = moment.civil;
    match (at.hour(), at.minute(), at.second()) {
        (23, 59, 59) if !moment.is_utc => at.date().to_string(),
        (_, _, 0) => format!("{}{zone}", at.strftime("%Y-%m-%d %H:%M")),
        _ => format!("{}{zone}", at.strftime("%Y-%m-%d %H:%M:%S")),
    }
}

/// What counts from the front, then what counts from the back.
fn from_front(places: &[i32]) -> impl Iterator<Item = i32> {
    let front = places.iter().filter(|place| **place > 0);
    front.chain(places.iter().filter(|place| **place < 0)).copied()
}

fn name(names: &[&str], at: i32) -> Option<String> {
    usize::try_from(at).ok().and_then(|at| names.get(at)).map(|name| (*name).to_owned())
}

/// `1st`, `last`, `2nd to last`.
fn numeral(place: i32) -> String {
    let number = place.abs();
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    match place {
        -1 => "last".to_owned(),
        ..0 => format!("{number}{ending} to last"),
        _ => format!("{number}{ending}"),
    }
}

/// `first`, `last`, `second to last`; a numeral past five.
fn ordinal(place: i32) -> String {
    match (name(&["first", "second", "third", "fourth", "fifth"], place.abs() - 1), place) {
        (Some(word), 1..) => word,
        (Some(word), ..-1) => format!("{word} to last"),
        _ => numeral(place),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list(items: impl IntoIterator<Item = String>, word: &str) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    let Some(last) = items.pop() else { return String::new() };
    if items.is_empty() { last } else { format!("{} {word} {last}", items.join(", ")) }
}
