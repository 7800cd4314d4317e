//! The written form of a calendar, read entry by entry.
//!
//! Not the ICS part (`ics`). What must hold: every refusal names its entry (`weekly[2].from`) and points into the text of that entry; a key
//! that is not known is refused, never passed over.

use super::days::{self, Annual, Listed};
use super::edges::Window;
use super::week::{Pattern, Week};
use super::{Entry, Set, ics};
use crate::refusal::{Blame, Refusal};
use crate::schedule::zone;
use jiff::civil::{Date, Time};
use serde_json::{Map, Value};

/// The most `dates`.
pub const DATES_MAX: usize = 10_000;
/// The most entries of `annual`, of `weekly` and of `daily`, each.
pub const PATTERNS_MAX: usize = 1_000;

const DAY: u32 = 86_400;
const KEYS: &str = "`tz` `dates` `annual` `weekly` `daily` `ics`";
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A refusal of a calendar.
pub(super) fn refused(message: impl Into<String>) -> Refusal {
    Refusal::new("INP024", Blame::Input, message)
}

/// A text with the name of its entry.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Named<'a> {
    /// Refuses `part`, a piece of the text.
    fn refused(&self, part: &str, message: impl std::fmt::Display, expected: &str) -> Refusal {
        // A piece cut out of the text knows where it was cut.
        let start = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize).min(self.text.len());
        let end = (start + part.len()).min(self.text.len());
        refused(format!("{}: {message}", self.name)).expected(expected).at(self.text, start, end)
    }

    /// The two sides of `..`, or the whole text.
    fn sides(&self) -> (&'a str, Option<&'a str>) {
        self.text.split_once("..").map_or((self.text, None), |(first, last)| (first, Some(last)))
    }
}

/// The entries of a calendar.
pub(super) fn read(json: &Value) -> Result<Vec<Entry>, Refusal> {
    let Value::Object(map) = json else {
        return Err(refused("a calendar is an object").expected(format!("an object with {KEYS}")).found(kind(json)));
    };
    known_keys(map, "", KEYS)?;
    let tz = match map.get("tz") {
        Some(tz) => text(tz, "tz")?,
        None => "UTC",
    };
    let tz = zone::zone(tz)?.iana_name().unwrap_or(tz).to_owned();
    let mut sets = Vec::new();
    let dates = each(map, "dates", DATES_MAX, date_range)?;
    sets.push(Set::Listed(Listed::new(dates)));
    sets.push(Set::Annual(Annual::new(&each(map, "annual", PATTERNS_MAX, annual_range)?)));
    let mut patterns = each(map, "weekly", PATTERNS_MAX, weekly)?;
    patterns.extend(each(map, "daily", PATTERNS_MAX, daily)?);
    sets.push(Set::Week(Week::new(&patterns)));
    let mut entries: Vec<Entry> = sets.into_iter().map(|set| Entry { tz: tz.clone(), set }).collect();
    if let Some(file) = map.get("ics") {
        entries.extend(ics::read(text(file, "ics")?, &tz)?);
    }
    entries.retain(|entry| !entry.set.is_empty());
    Ok(entries)
}

fn known_keys(map: &Map<String, Value>, within: &str, keys: &str) -> Result<(), Refusal> {
    match map.keys().find(|key| !keys.contains(&format!("`{key}`"))) {
        Some(key) => Err(refused(format!("{within}`{key}` is no key of a calendar")).expected(keys).at(key, 0, key.len())),
        None => Ok(()),
    }
}

fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn text<'a>(json: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    json.as_str().ok_or_else(|| refused(format!("{name} is no text")).expected("a string").found(kind(json)))
}

fn each<T>(map: &Map<String, Value>, key: &str, most: usize, read: fn(&Value, &str) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
    let list = match map.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(refused(format!("{key} is no list")).expected("a list").found(kind(other))),
    };
    if list.len() > most {
        return Err(refused(format!("{key} is too long")).expected(format!("at most {most} entries")).found(list.len().to_string()));
    }
    list.iter().enumerate().map(|(at, entry)| read(entry, &format!("{key}[{at}]"))).collect()
}

fn date_range(json: &Value, name: &str) -> Result<Window, Refusal> {
    let named = Named { name, text: text(json, name)? };
    let (first, last) = named.sides();
    let from = date(named, first)?;
    let last_text = last.unwrap_or(first);
    let last = date(named, last_text)?;
    if last < from {
        return Err(named.refused(
            last_text,
            "the last day is before the first",
            "a range of days in order, such as `2026-12-24..2027-01-02`",
        ));
    }
    let after = last.tomorrow().unwrap_or(Date::MAX);
    Ok((from.to_datetime(Time::midnight()), after.to_datetime(Time::midnight())))
}

fn date(named: Named<'_>, part: &str) -> Result<Date, Refusal> {
    const FORM: &str = "a day of the years 1 to 9999, such as `2026-12-25`";
    let numbers = digits(part, '-', &[4, 2, 2]).ok_or_else(|| named.refused(part, format!("`{part}` is no date"), FORM))?;
    let [year, month, day] = [numbers[0], numbers[1], numbers[2]];
    let date = i16::try_from(year).ok().filter(|year| *year > 0).zip(i8::try_from(month).ok()).zip(i8::try_from(day).ok());
    let date = date.and_then(|((year, month), day)| Date::new(year, month, day).ok());
    date.ok_or_else(|| named.refused(part, format!("there is no day `{part}`"), FORM))
}

fn annual_range(json: &Value, name: &str) -> Result<(usize, usize), Refusal> {
    let named = Named { name, text: text(json, name)? };
    let (first, last) = named.sides();
    Ok((annual_day(named, first)?, annual_day(named, last.unwrap_or(first))?))
}

fn annual_day(named: Named<'_>, part: &str) -> Result<usize, Refusal> {
    const FORM: &str = "month and day, such as `12-25` or `02-29`";
    let numbers = digits(part, '-', &[2, 2]).ok_or_else(|| named.refused(part, format!("`{part}` is no day of a year"), FORM))?;
    let day = u8::try_from(numbers[0]).ok().zip(u8::try_from(numbers[1]).ok()).and_then(|(month, day)| days::place_of(month, day));
    day.ok_or_else(|| named.refused(part, format!("no year has a day `{part}`"), FORM))
}

fn daily(json: &Value, name: &str) -> Result<Pattern, Refusal> {
    let named = Named { name, text: text(json, name)? };
    let (from, Some(to)) = named.sides() else {
        return Err(named.refused(named.text, "this is no window of a day", "two times, such as `12:00..13:00`"));
    };
    window(0x7f, (named, from), (named, to))
}

fn weekly(json: &Value, name: &str) -> Result<Pattern, Refusal> {
    const WEEKLY_KEYS: &str = "`days` `from` `to`";
    let Value::Object(map) = json else {
        return Err(refused(format!("{name} is no weekly window")).expected(format!("an object with {WEEKLY_KEYS}")).found(kind(json)));
    };
    known_keys(map, &format!("{name}: "), WEEKLY_KEYS)?;
    let days = match map.get("days") {
        None => return Err(refused(format!("{name} names no days")).expected("`days`, such as `mon-fri` or `[\"sat\", \"sun\"]`")),
        Some(Value::Array(list)) => {
            let read = |(at, day): (usize, &Value)| {
                let name = format!("{name}.days[{at}]");
                weekdays(Named { name: &name, text: text(day, &name)? })
            };
            list.iter().enumerate().map(read).try_fold(0, |days, more| more.map(|more| days | more))?
        }
        Some(day) => {
            let name = format!("{name}.days");
            weekdays(Named { name: &name, text: text(day, &name)? })?
        }
    };
    if days == 0 {
        return Err(refused(format!("{name} names no days")).expected("at least one day of the week"));
    }
    match (map.get("from"), map.get("to")) {
        (None, None) => Ok(Pattern { days, from: 0, length: DAY }),
        (Some(from), Some(to)) => {
            let (from_name, to_name) = (format!("{name}.from"), format!("{name}.to"));
            let (from, to) = (text(from, &from_name)?, text(to, &to_name)?);
            window(days, (Named { name: &from_name, text: from }, from), (Named { name: &to_name, text: to }, to))
        }
        (Some(_), None) | (None, Some(_)) => {
            Err(refused(format!("{name} has only one end")).expected("both `from` and `to`, or neither for whole days"))
        }
    }
}

/// A window that may go over midnight: then it belongs to the day it begins.
fn window(days: u8, from: (Named<'_>, &str), to: (Named<'_>, &str)) -> Result<Pattern, Refusal> {
    let (begin, end) = (time(from.0, from.1)?, time(to.0, to.1)?);
    if begin == DAY {
        return Err(from.0.refused(from.1, "`24:00` is an end, not a beginning", "a time from `00:00` to `23:59:59`"));
    }
    if begin == end {
        let remedy = "for whole days leave the times out of a weekly entry, or write `00:00` to `24:00`";
        return Err(to.0.refused(to.1, "the window ends where it begins", "two different times").remedy(remedy));
    }
    let length = if end > begin { end - begin } else { DAY - begin + end };
    Ok(Pattern { days, from: begin, length })
}

fn time(named: Named<'_>, part: &str) -> Result<u32, Refusal> {
    const FORM: &str = "a time such as `09:00`, `17:30:15` or `24:00`";
    let numbers = digits(part, ':', &[2, 2]).or_else(|| digits(part, ':', &[2, 2, 2]));
    let numbers = numbers.ok_or_else(|| named.refused(part, format!("`{part}` is no time of day"), FORM))?;
    let (hour, minute, second) = (numbers[0], numbers[1], numbers.get(2).copied().unwrap_or(0));
    let seconds = hour * 3_600 + minute * 60 + second;
    if minute > 59 || second > 59 || seconds > DAY {
        return Err(named.refused(part, format!("there is no time `{part}`"), FORM));
    }
    Ok(seconds)
}

/// Days such as `mon`, `mon-fri`, `fri-mon` or `mon,wed-fri`, as a set. Monday is bit 0.
fn weekdays(named: Named<'_>) -> Result<u8, Refusal> {
    let mut days = 0;
    for part in named.text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (weekday(named, first)?, weekday(named, last)?);
        (0..=(last + 7 - first) % 7).for_each(|step| days |= 1 << ((first + step) % 7));
    }
    Ok(days)
}

fn weekday(named: Named<'_>, part: &str) -> Result<u8, Refusal> {
    let wanted = part.trim().to_ascii_lowercase();
    let is_it = |day: &str| wanted == day || wanted == day[..3];
    let found = WEEKDAYS.iter().zip(0..).find_map(|(day, at)| is_it(day).then_some(at));
    found.ok_or_else(|| {
        named.refused(part, format!("`{part}` is no day of the week"), "mon tue wed thu fri sat sun, or a range such as `mon-fri`")
    })
}

/// Numbers of fixed widths between separators.
fn digits(text: &str, between: char, widths: &[usize]) -> Option<Vec<u32>> {
    let parts: Vec<&str> = text.split(between).collect();
    let fits = |(part, width): (&&str, &usize)| part.len() == *width && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != widths.len() || !parts.iter().zip(widths).all(fits) {
        return None;
    }
    parts.iter().map(|part| part.parse().ok()).collect()
}
