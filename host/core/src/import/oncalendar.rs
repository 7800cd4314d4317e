//! systemd's calendar events (`Mon..Fri *-*-* 09:00:00 Europe/Paris`) as cron expressions with seconds first.
//!
//! Not the times of other timers. What must hold: an expression has the same civil times as the event, up to the year 2199 where systemd
//! ends; what cron cannot say is refused with the reason, never nearly said.

use super::{Objection, object, objection};
use crate::schedule::zone;
use serde_json::{Value, json};

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const SHORTHANDS: [(&str, &str); 12] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
    ("anually", "*-01-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("biannually", "*-01,07-01 00:00:00"),
    ("semi-annually", "*-01,07-01 00:00:00"),
];

/// A part of an event: its name, its least and its greatest number.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    least: u32,
    most: u32,
}

const YEAR: Part = Part { name: "year", least: 0, most: 2199 };
const MONTH: Part = Part { name: "month", least: 1, most: 12 };
const DAY: Part = Part { name: "day", least: 1, most: 31 };
const HOUR: Part = Part { name: "hour", least: 0, most: 23 };
const MINUTE: Part = Part { name: "minute", least: 0, most: 59 };
const SECOND: Part = Part { name: "second", least: 0, most: 59 };

/// The schedule of a calendar event: `cron`, `tz`, and `day_match` if days of month and of week must both match. `tz` is the zone of events
/// that name none.
pub(super) fn schedule(event: &str, tz: &str) -> Result<Vec<(&'static str, Value)>, Objection> {
    let (rest, tz) = split_zone(event.trim(), tz);
    let lower = rest.to_ascii_lowercase();
    let shorthand = SHORTHANDS.iter().chain(&[("bi-annually", "*-01,07-01 00:00:00")]).find(|(name, _)| *name == lower);
    let rest = shorthand.map_or(rest, |(_, meant)| *meant);
    if rest.starts_with('@') {
        return objection("a time in seconds of the epoch comes once", "schedule it with `--at`");
    }
    let (week_days, rest) = split_weekdays(rest)?;
    let (date, time) = split_date(rest)?;
    let (year, month, days) = date_fields(date.unwrap_or("*-*-*"))?;
    let time = time_fields(time.unwrap_or("00:00:00"))?;
    let both = days != "*" && week_days != "*";
    let mut fields = vec![time, days, month, week_days];
    if year != "*" {
        fields.push(year);
    }
    let mut parts = vec![("cron", json!(fields.join(" "))), ("tz", json!(tz))];
    if both {
        parts.push(("day_match", json!("and")));
    }
    Ok(parts)
}

/// The schedule as JSON, for tests and for who wants no more.
#[cfg(test)]
pub(super) fn json_of(event: &str, tz: &str) -> Result<Value, Objection> {
    schedule(event, tz).map(|parts| Value::Object(parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

fn split_zone<'a>(event: &'a str, tz: &'a str) -> (&'a str, String) {
    if let Some((rest, last)) = event.rsplit_once(char::is_whitespace)
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
        && let Ok(zone) = zone::zone(last)
    {
        return (rest.trim(), zone.iana_name().unwrap_or(last).to_owned());
    }
    (event, tz.to_owned())
}

/// Days of the week in front, as a cron field, and what follows them.
fn split_weekdays(event: &str) -> Result<(String, &str), Objection> {
    if !event.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(("*".to_owned(), event));
    }
    let end = event.find(char::is_whitespace).unwrap_or(event.len());
    let (days, rest) = event.split_at(end);
    let mut items = Vec::new();
    for item in days.trim_end_matches(',').split(',') {
        let ends = item.split_once("..").or_else(|| item.split_once('-'));
        let (first, last) = ends.unwrap_or((item, item));
        let (from, to) = (weekday(first)?, weekday(last)?);
        if from > to {
            return objection(format!("the days `{item}` go over the end of the week"), "write two ranges, such as `Fri..Sun,Mon`");
        }
        let name = |at: usize| WEEKDAYS[at][..3].to_ascii_uppercase();
        items.push(if from == to { name(from) } else { format!("{}-{}", name(from), name(to)) });
    }
    Ok((items.join(","), rest.trim_start()))
}

fn weekday(text: &str) -> Result<usize, Objection> {
    let wanted = text.to_ascii_lowercase();
    match WEEKDAYS.iter().position(|day| *day == wanted || day[..3] == wanted) {
        Some(at) => Ok(at),
        None => objection(
            format!("`{text}` is no day of the week, no shorthand and no zone that is known"),
            "days are Mon to Sun; zones are IANA names",
        ),
    }
}

fn split_date(rest: &str) -> Result<(Option<&str>, Option<&str>), Objection> {
    match rest.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] => Ok((None, None)),
        [one] if one.contains(':') => Ok((None, Some(one))),
        [one] => Ok((Some(one), None)),
        [date, time] => Ok((Some(date), Some(time))),
        _ => objection("there is more than days of the week, a date, a time and a zone", "write `Mon..Fri *-*-* 09:00:00 Europe/Paris`"),
    }
}

/// Year, month and day as cron fields.
fn date_fields(date: &str) -> Result<(String, String, String), Objection> {
    let (before, from_end) = match date.split_once('~') {
        Some((before, day)) => (before, Some(day)),
        None => (date, None),
    };
    let mut parts: Vec<&str> = before.split('-').collect();
    parts.extend(from_end);
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] => (*year, *month, *day),
        [month, day] => ("*", *month, *day),
        _ => return objection(format!("`{date}` is no date"), "write year, month and day, as `*-12-25`"),
    };
    let day = if from_end.is_some() { last_days(day)? } else { field(day, DAY)? };
    Ok((years(year)?, field(month, MONTH)?, day))
}

/// Days counted from the end of a month: `1` is the last.
fn last_days(text: &str) -> Result<String, Objection> {
    let mut days = Vec::new();
    for item in text.split(',') {
        let (from, to, step) = item_of(item, DAY)?;
        match (from, to, step) {
            (from, None, None) => days.push(from),
            (from, Some(to), step) => days.extend((from..=to).step_by(usize::try_from(step.unwrap_or(1)).unwrap_or(1))),
            // Steps go towards the end of the month.
            (from, None, Some(step)) => days.extend((1..=from).rev().step_by(usize::try_from(step).unwrap_or(1))),
        }
    }
    days.sort_unstable();
    days.dedup();
    let name = |day: &u32| if *day == 1 { "L".to_owned() } else { format!("L-{}", day - 1) };
    Ok(days.iter().map(name).collect::<Vec<_>>().join(","))
}

fn time_fields(time: &str) -> Result<String, Objection> {
    let parts: Vec<&str> = time.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute, second] => (*hour, *minute, *second),
        [hour, minute] => (*hour, *minute, "0"),
        _ => return objection(format!("`{time}` is no time"), "write hour, minute and second, as `*:0/15:00`"),
    };
    Ok(format!("{} {} {}", field(second, SECOND)?, field(minute, MINUTE)?, field(hour, HOUR)?))
}

fn years(text: &str) -> Result<String, Objection> {
    let field = field(text, YEAR)?;
    // Two digits are years around 2000.
    let whole = |digits: &str| match digits.parse::<u32>() {
        Ok(year) if digits.len() <= 2 => (year + if year < 70 { 2000 } else { 1900 }).to_string(),
        _ => digits.to_owned(),
    };
    let item = |item: &str| {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let range = range.split('-').map(whole).collect::<Vec<_>>().join("-");
        step.map_or(range.clone(), |step| format!("{range}/{step}"))
    };
    Ok(if field == "*" { field } else { field.split(',').map(item).collect::<Vec<_>>().join(",") })
}

/// A part as a cron field.
fn field(text: &str, part: Part) -> Result<String, Objection> {
    if text == "*" {
        return Ok("*".to_owned());
    }
    let mut items = Vec::new();
    for item in text.split(',') {
        items.push(match item_of(item, part)? {
            // From the least number on it is a rhythm.
            (from, None, Some(1)) if from == part.least => "*".to_owned(),
            (from, None, Some(step)) if from == part.least && part.name != "year" => format!("*/{step}"),
            (from, None, Some(step)) => format!("{from}/{step}"),
            (from, Some(to), Some(step)) => format!("{from}-{to}/{step}"),
            (from, Some(to), None) => format!("{from}-{to}"),
            (from, None, None) => from.to_string(),
        });
    }
    Ok(items.join(","))
}

/// `a`, `a..b`, `a/n` or `a..b/n`.
fn item_of(item: &str, part: Part) -> Result<(u32, Option<u32>, Option<u32>), Objection> {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    let (from, to) = range.split_once("..").map_or((range, None), |(from, to)| (from, Some(to)));
    let number = |text: &str, least: u32| {
        if part.name == "second" && text.contains('.') {
            return objection(format!("`{item}` is finer than a second"), "write whole seconds");
        }
        let digits = Some(text).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()).filter(|number| (least..=part.most).contains(number)) {
            Some(number) => Ok(number),
            None => objection(
                format!("`{item}` is no {}", part.name),
                format!("numbers from {} to {}, `a..b`, `a/n`, or `*` alone", part.least, part.most),
            ),
        }
    };
    let (from, to) = (number(from, part.least)?, to.map(|to| number(to, part.least)).transpose()?);
    let step = step.map(|step| number(step, 1)).transpose()?;
    if to.is_some_and(|to| to < from) {
        return objection(format!("`{item}` ends before it begins"), "write two items");
    }
    Ok((from, to, step))
}

/// The whole as an object with further terms.
pub(super) fn with_terms(parts: Vec<(&'static str, Value)>, misfire: Value, catch_up: Option<Value>, jitter: Option<Value>) -> Value {
    let mut json = object([("misfire", Some(misfire)), ("catch_up", catch_up), ("jitter", jitter)]);
    if let Value::Object(map) = &mut json {
        map.extend(parts.into_iter().map(|(key, value)| (key.to_owned(), value)));
    }
    json
}
