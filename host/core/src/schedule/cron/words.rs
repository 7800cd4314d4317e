//! A pattern in English: one sentence, made from the sets, so that two texts of the same meaning read the same.
//!
//! Not the zone (that sentence is the schedule's). What must hold: a rhythm is called one only if it goes on over the end of its hour or day.

use super::Pattern;
use super::days::Days;
use std::fmt::Write as _;

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NTH: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// So many times of day are named one by one.
const NAMED_TIMES: i64 = 6;
const EVERY_MONTH: u64 = 0xfff;
const EVERY_WEEKDAY: u64 = 0x7f;

impl Pattern {
    /// What the pattern says, in a sentence: `At 02:30 on Monday to Friday.`
    pub(crate) fn words(&self) -> String {
        let (times, gap) = if self.clock.per_day() <= NAMED_TIMES { (self.times_of_day(), " ") } else { (self.rhythm(), ", ") };
        let months = (u64::from(self.months) != EVERY_MONTH).then(|| runs(&named(u64::from(self.months), &MONTHS, 12), "and"));
        let (days, names_months) = self.days.words(months.as_deref());
        let mut words = times;
        if let Some(days) = &days {
            let _ = write!(words, "{gap}{days}");
        }
        if let Some(months) = months.filter(|_| !names_months) {
            // Of two kinds of days it must be clear that both are meant.
            let gap = if days.is_some() && !self.days.both { ", " } else { gap };
            let _ = write!(words, "{gap}in {months}");
        }
        let years = self.years.listed();
        if !self.years.is_every() {
            let plural = if years.len() == 1 { "" } else { "s" };
            let _ = write!(words, ", in the year{plural} {}", numbers(&years));
        }
        words.push('.');
        words
    }

    /// `At 08:00, 12:00 and 18:00`.
    fn times_of_day(&self) -> String {
        let with_seconds = self.clock.seconds != 1;
        let mut times = Vec::new();
        for hour in members(self.clock.hours) {
            for minute in members(self.clock.minutes) {
                for second in members(self.clock.seconds) {
                    let seconds = if with_seconds { format!(":{second:02}") } else { String::new() };
                    times.push(format!("{hour:02}:{minute:02}{seconds}"));
                }
            }
        }
        format!("At {}", list(&times, "and"))
    }

    /// `Every 5 minutes, between 09:00 and 17:59`.
    fn rhythm(&self) -> String {
        let (seconds, minutes, hours) = (members(self.clock.seconds), members(self.clock.minutes), members(self.clock.hours));
        let (every_minute, every_hour) = (minutes.len() == 60, hours.len() == 24);
        if seconds == [0] && minutes.len() == 1 {
            return on_hours(minutes[0], &hours);
        }
        let mut words = if seconds == [0] {
            match beat(&minutes, 60) {
                Some(1) => "Every minute".to_owned(),
                Some(step) => format!("Every {step} minutes"),
                None => return format!("At {} past {}", counted(&minutes, "minute"), past_hours(&hours)),
            }
        } else {
            match beat(&seconds, 60) {
                Some(1) => "Every second".to_owned(),
                Some(step) => format!("Every {step} seconds"),
                None if every_minute => format!("At {} past every minute", counted(&seconds, "second")),
                None => format!("At {} past the minute", counted(&seconds, "second")),
            }
        };
        if seconds != [0] && !every_minute {
            let _ = match beat(&minutes, 60) {
                Some(step) => write!(words, ", in every {} minute", ordinal(step)),
                None => write!(words, ", in {}", in_units(&minutes, "minute")),
            };
        }
        if !every_hour {
            let _ = match (span(&hours), beat(&hours, 24)) {
                (Some((first, last)), _) => write!(words, ", between {first:02}:00 and {last:02}:59"),
                (None, Some(step)) => write!(words, ", in every {} hour", ordinal(step)),
                (None, None) => write!(words, ", in {}", in_units(&hours, "hour")),
            };
        }
        words
    }
}

/// One minute of several hours: `Every hour`, `Every hour from 09:30 to 17:30`, `At 30 minutes past every second hour`.
fn on_hours(minute: u32, hours: &[u32]) -> String {
    match (span(hours), beat(hours, 24)) {
        (_, Some(1)) if minute == 0 => "Every hour".to_owned(),
        (_, Some(step)) if minute == 0 => format!("Every {step} hours"),
        (Some((first, last)), None) => format!("Every hour from {first:02}:{minute:02} to {last:02}:{minute:02}"),
        _ if minute == 0 => format!("On the hour, in {}", in_units(hours, "hour")),
        _ => format!("At {} past {}", counted(&[minute], "minute"), past_hours(hours)),
    }
}

fn past_hours(hours: &[u32]) -> String {
    match (span(hours), beat(hours, 24)) {
        (_, Some(1)) => "every hour".to_owned(),
        (_, Some(step)) => format!("every {} hour", ordinal(step)),
        (Some((first, last)), None) => format!("every hour, between {first:02}:00 and {last:02}:59"),
        (None, None) => in_units(hours, "hour"),
    }
}

impl Days {
    /// The days in words, and whether they name the months too. None: every day.
    fn words(&self, months: Option<&str>) -> (Option<String>, bool) {
        let (every_day, every_weekday) = (self.numbered & 0x7fff_ffff == 0x7fff_ffff, u64::from(self.weekly) == EVERY_WEEKDAY);
        let of = months.unwrap_or("the month");
        match (every_day, every_weekday) {
            (true, true) => (None, false),
            (true, false) | (false, true) if !self.both => (None, false),
            (false, true) => (Some(format!("on {}", self.of_month(of))), months.is_some()),
            (true, false) => (Some(format!("on {}", self.of_week(of, "and"))), months.is_some() && self.weekly == 0),
            (false, false) if self.both => {
                let falls = if self.is_one_day() { "it falls" } else { "they fall" };
                (Some(format!("on {} when {falls} on {}", self.of_month(of), self.of_week("the month", "or"))), months.is_some())
            }
            (false, false) => (Some(format!("on {} or on {}", self.of_month("the month"), self.of_week("the month", "and"))), false),
        }
    }

    fn is_one_day(&self) -> bool {
        (self.numbered.count_ones() + self.before_last.count_ones() + self.near.count_ones() + self.near_last.count_ones()) == 1
    }

    fn of_month(&self, of: &str) -> String {
        let mut parts = Vec::new();
        let numbered: Vec<u32> = members(u64::from(self.numbered)).iter().map(|bit| bit + 1).collect();
        match (numbered.as_slice(), every_nth(&numbered, 31)) {
            ([], _) => {}
            ([day], _) => parts.push(format!("day {day}")),
            (_, Some((1, step))) => parts.push(format!("every {} day from the first", ordinal(step))),
            (_, Some((first, step))) => parts.push(format!("every {} day from day {first}", ordinal(step))),
            (days, None) => parts.push(format!("days {}", numbers(days))),
        }
        for before in members(u64::from(self.before_last)) {
            parts.push(before_the_last(before));
        }
        for before in members(u64::from(self.near_last)) {
            parts.push(if before == 0 {
                "the last weekday".to_owned()
            } else {
                format!("the weekday nearest to {}", before_the_last(before))
            });
        }
        for day in members(u64::from(self.near)) {
            parts.push(format!("the weekday nearest to day {}", day + 1));
        }
        format!("{} of {of}", list(&parts, "and"))
    }

    fn of_week(&self, of: &str, word: &str) -> String {
        let mut parts = Vec::new();
        if self.weekly != 0 {
            parts.push(runs(&named(u64::from(self.weekly), &WEEKDAYS, 7), word));
        }
        let mut special = Vec::new();
        for (nth, weekdays) in NTH.iter().zip(self.nth) {
            special.extend(members(u64::from(weekdays)).into_iter().filter_map(|day| Some(format!("the {nth} {}", weekday(day)?))));
        }
        special.extend(members(u64::from(self.last)).into_iter().filter_map(|day| Some(format!("the last {}", weekday(day)?))));
        if !special.is_empty() {
            parts.push(format!("{} of {of}", list(&special, word)));
        }
        parts.join(&format!(" {word} on "))
    }
}

fn weekday(day: u32) -> Option<&'static str> {
    WEEKDAYS.get(usize::try_from(day).ok()?).copied()
}

fn before_the_last(before: u32) -> String {
    match before {
        0 => "the last day".to_owned(),
        1 => "the day before the last".to_owned(),
        _ => format!("the day {before} days before the last"),
    }
}

fn members(set: u64) -> Vec<u32> {
    (0..64).filter(|bit| set >> bit & 1 == 1).collect()
}

/// The step of values that go on evenly over the end of their round.
fn beat(values: &[u32], round: u32) -> Option<u32> {
    let step = values.get(1)? - values[0];
    let is_even = values[0] == 0 && values.windows(2).all(|pair| pair[1] - pair[0] == step);
    (is_even && values.last()? + step == round).then_some(step)
}

/// First value and step of three or more that are evenly apart, up to the end of their field.
fn every_nth(values: &[u32], highest: u32) -> Option<(u32, u32)> {
    let step = values.get(2)? - values[1];
    let is_even = step > 1 && values.windows(2).all(|pair| pair[1] - pair[0] == step);
    (is_even && values.last()? + step > highest).then(|| (values[0], step))
}

/// First and last hour of one stretch, which may go over midnight.
fn span(hours: &[u32]) -> Option<(u32, u32)> {
    let breaks: Vec<usize> = (1..hours.len()).filter(|at| hours[*at] != hours[at - 1] + 1).collect();
    match breaks.as_slice() {
        [] => Some((*hours.first()?, *hours.last()?)),
        [at] if hours[0] == 0 && *hours.last()? == 23 => Some((hours[*at], hours[at - 1])),
        _ => None,
    }
}

/// Stretches of neighbours in a set of names that come round, as (first, last).
fn named(set: u64, names: &[&'static str], round: u32) -> Vec<(&'static str, &'static str, u32)> {
    let has = |at: u32| set >> (at % round) & 1 == 1;
    let name = |at: u32| usize::try_from(at % round).ok().and_then(|at| names.get(at)).copied().unwrap_or_default();
    if (0..round).all(has) {
        return vec![(name(0), name(round - 1), round)];
    }
    let mut found = Vec::new();
    for first in (0..round).filter(|at| has(*at) && !has(at + round - 1)) {
        let length = (1..=round).find(|length| !has(first + length)).unwrap_or(round);
        found.push((name(first), name(first + length - 1), length));
    }
    found
}

fn runs(stretches: &[(&'static str, &'static str, u32)], word: &str) -> String {
    let mut parts = Vec::new();
    for (first, last, length) in stretches {
        match length {
            1 => parts.push((*first).to_owned()),
            2 => parts.extend([(*first).to_owned(), (*last).to_owned()]),
            _ => parts.push(format!("{first} to {last}")),
        }
    }
    list(&parts, word)
}

/// `1, 5 and 10 to 20`.
fn numbers(values: &[u32]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for run in values.chunk_by(|a, b| a + 1 == *b) {
        match run {
            [first, .., last] if run.len() > 2 => parts.push(format!("{first} to {last}")),
            _ => parts.extend(run.iter().map(u32::to_string)),
        }
    }
    list(&parts, "and")
}

/// `5 and 20 minutes`, `1 minute`.
fn counted(values: &[u32], unit: &str) -> String {
    let plural = if values == [1] { "" } else { "s" };
    format!("{} {unit}{plural}", numbers(values))
}

/// `the minutes 5 and 20`, `minute 5`.
fn in_units(values: &[u32], unit: &str) -> String {
    if values.len() == 1 { format!("{unit} {}", numbers(values)) } else { format!("the {unit}s {}", numbers(values)) }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    if number == 2 { "second".to_owned() } else { format!("{number}{ending}") }
}

fn list(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} {word} {last}", before.join(", ")),
    }
}
