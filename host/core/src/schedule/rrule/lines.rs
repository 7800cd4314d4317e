//! The lines of a recurrence: DTSTART, RRULE, EXDATE, RDATE, with their zone and their dates.
//!
//! Not the parts of a rule (`parts`). What must hold: all lines are read in one zone, and what names a second one is refused.

use super::parts::{self, Parts};
use super::source::{PROPERTIES, Source};
use crate::refusal::Refusal;
use jiff::civil::{Date, DateTime as Civil};
use jiff::tz::TimeZone;
use std::ops::Range;

/// Rules of one text.
const RULES_MAX: usize = 8;
const WRITTEN: &str = "`FREQ=…`, or lines that open with DTSTART, RRULE, EXDATE, RDATE";
const DATE_TIME: &str = "a time like `20260131T090000` or `20260131T090000Z`";

/// A civil time, or one in UTC that still has to be put on the clocks of the rule's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) civil: Civil,
    pub(super) is_utc: bool,
}

impl Moment {
    /// The moment on the clocks of `tz`. At the very ends of the calendar it stays as it is.
    pub(super) fn on_clocks(self, tz: &TimeZone) -> Self {
        let instant = if self.is_utc { TimeZone::UTC.to_timestamp(self.civil).ok() } else { None };
        Self { civil: instant.map_or(self.civil, |instant| tz.to_datetime(instant)), is_utc: false }
    }
}

/// A line's date: a time, or a whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Time(Moment),
    Day(Date),
}

/// What the lines say.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) rules: Vec<Parts>,
    pub(super) start: Option<Civil>,
    pub(super) tz: Option<String>,
    /// EXDATE.
    pub(super) without: Vec<Stamp>,
    /// RDATE.
    pub(super) with: Vec<Stamp>,
}

/// A line, taken apart.
struct Line {
    name: String,
    /// The name's place, or for a bare rule the rule's.
    name_at: Range<usize>,
    /// Names in capitals, values as typed, and the place of both.
    params: Vec<(String, String, Range<usize>)>,
    value: Range<usize>,
}

/// Reads all lines. Refuses with `INP023`.
pub(super) fn read(source: &Source<'_>) -> Result<Lines, Refusal> {
    let mut lines = Lines::default();
    let whole = 0..source.clean.len();
    for range in source.lines() {
        let line = take_apart(source, range)?;
        lines.take(source, line)?;
    }
    if lines.rules.is_empty() {
        return Err(source.refused(&whole, "there is no rule").expected(WRITTEN));
    }
    Ok(lines)
}

fn take_apart(source: &Source<'_>, range: Range<usize>) -> Result<Line, Refusal> {
    let text = source.get(&range);
    let name_at = source.trimmed(range.start..range.start + text.find([':', ';']).unwrap_or(text.len()));
    if source.get(&name_at).contains('=') {
        return Ok(Line { name: "RRULE".to_owned(), name_at: range.clone(), params: Vec::new(), value: range });
    }
    let name = source.get(&name_at).to_ascii_uppercase();
    if !PROPERTIES.contains(&name.as_str()) {
        return Err(source.refused(&name_at, format!("{} is no line of a recurrence", source.quote(&name_at))).expected(WRITTEN));
    }
    if name == "EXRULE" {
        return Err(source
            .refused(&name_at, "`EXRULE` is no longer part of the standard")
            .remedy("list the dates as EXDATE, or exclude by a calendar"));
    }
    let Some(colon) = text.find(':') else {
        return Err(source.refused(&range, format!("`{name}` has no `:` and no value")).expected(format!("`{name}:…`")));
    };
    let mut params = Vec::new();
    for param in source.split(range.start..range.start + colon, ';').into_iter().skip(1) {
        let Some((key, value)) = source.get(&param).split_once('=') else {
            return Err(source
                .refused(&param, format!("{} has no `=`", source.quote(&param)))
                .expected("`TZID=Europe/Paris` or `VALUE=DATE`"));
        };
        params.push((key.trim().to_ascii_uppercase(), value.trim().trim_matches('"').to_owned(), param.clone()));
    }
    Ok(Line { name, name_at, params, value: source.trimmed(range.start + colon + 1..range.end) })
}

impl Lines {
    fn take(&mut self, source: &Source<'_>, line: Line) -> Result<(), Refusal> {
        match line.name.as_str() {
            "RRULE" => {
                if let Some((_, _, place)) = line.params.first() {
                    return Err(source.refused(place, "`RRULE` takes nothing before its `:`").expected("`RRULE:FREQ=…`"));
                }
                if self.rules.len() == RULES_MAX {
                    return Err(source
                        .refused(&line.name_at, "the recurrence has too many rules")
                        .expected(format!("at most {RULES_MAX}")));
                }
                self.rules.push(parts::read(source, line.value)?);
            }
            "DTSTART" => {
                if self.start.is_some() {
                    return Err(source.refused(&line.name_at, "`DTSTART` is there twice"));
                }
                self.start = Some(self.start_of(source, &line)?);
            }
            name => {
                let stamps = self.stamps(source, &line)?;
                if name == "EXDATE" { self.without.extend(stamps) } else { self.with.extend(stamps) }
            }
        }
        Ok(())
    }

    fn start_of(&mut self, source: &Source<'_>, line: &Line) -> Result<Civil, Refusal> {
        let (is_zoned, takes_day) = self.params(source, line)?;
        match stamp(source, &line.value, takes_day)? {
            Stamp::Day(day) => Ok(day.to_datetime(jiff::civil::Time::midnight())),
            Stamp::Time(Moment { civil, is_utc: false }) => Ok(civil),
            Stamp::Time(_) if is_zoned => {
                Err(source.refused(&line.value, "`DTSTART` is in UTC and names a zone too").remedy("leave the `Z` away, or the zone"))
            }
            Stamp::Time(Moment { civil, .. }) => {
                self.zone(source, "UTC", &line.value)?;
                Ok(civil)
            }
        }
    }

    fn stamps(&mut self, source: &Source<'_>, line: &Line) -> Result<Vec<Stamp>, Refusal> {
        let (_, takes_day) = self.params(source, line)?;
        source.split(line.value.clone(), ',').iter().map(|item| stamp(source, item, takes_day)).collect()
    }

    /// Whether the line names a zone, and whether its dates may (`None`: as they like) be whole days.
    fn params(&mut self, source: &Source<'_>, line: &Line) -> Result<(bool, Option<bool>), Refusal> {
        let (mut is_zoned, mut takes_day) = (false, None);
        for (key, value, place) in &line.params {
            match (key.as_str(), value.to_ascii_uppercase().as_str()) {
                ("TZID", _) => {
                    self.zone(source, value, place)?;
                    is_zoned = true;
                }
                ("VALUE", "DATE") => takes_day = Some(true),
                ("VALUE", "DATE-TIME") => takes_day = Some(false),
                ("VALUE", _) => {
                    let refusal = source.refused(place, format!("{} is not read", source.quote(place)));
                    return Err(refusal.expected("`VALUE=DATE` or `VALUE=DATE-TIME`"));
                }
                _ => {
                    let refusal = source.refused(place, format!("{} does not belong here", source.quote(place)));
                    return Err(refusal.expected("`TZID=…` or `VALUE=…`"));
                }
            }
        }
        Ok((is_zoned, takes_day))
    }

    fn zone(&mut self, source: &Source<'_>, name: &str, place: &Range<usize>) -> Result<(), Refusal> {
        match &self.tz {
            Some(tz) if !tz.eq_ignore_ascii_case(name) => {
                let refusal = source.refused(place, "the recurrence names two zones").expected(format!("`{tz}` in every line"));
                Err(refusal.found(name.chars().take(64).collect::<String>()))
            }
            Some(_) => Ok(()),
            None => {
                self.tz = Some(name.to_owned());
                Ok(())
            }
        }
    }
}

/// The end of a rule. A whole day counts to its last second.
pub(super) fn until(source: &Source<'_>, value: &Range<usize>) -> Result<Moment, Refusal> {
    Ok(match stamp(source, value, None)? {
        Stamp::Time(moment) => moment,
        Stamp::Day(day) => Moment { civil: day.at(23, 59, 59, 0), is_utc: false },
    })
}

fn stamp(source: &Source<'_>, item: &Range<usize>, takes_day: Option<bool>) -> Result<Stamp, Refusal> {
    let text = source.get(item);
    let refused = |expected: &str| source.refused(item, format!("{} is not understood as a date", source.quote(item))).expected(expected);
    let (day, time) = match text.split_once(['T', 't']) {
        Some((day, time)) if takes_day != Some(true) => (day, Some(time)),
        None if takes_day != Some(false) => (text, None),
        Some(_) => return Err(refused("a day like `20260131`, as `VALUE=DATE` says")),
        None => return Err(refused(DATE_TIME)),
    };
    let date = digits(day, 8).and_then(|number| {
        let part = |number: i32| i8::try_from(number % 100).ok();
        Date::new(i16::try_from(number / 10_000).ok().filter(|year| *year > 0)?, part(number / 100)?, part(number)?).ok()
    });
    let date = date.ok_or_else(|| refused("a day like `20260131` or a time like `20260131T090000`, in the years 1 to 9999"))?;
    let Some(time) = time else { return Ok(Stamp::Day(date)) };
    let clock = time.strip_suffix(['Z', 'z']).unwrap_or(time);
    let civil = digits(clock, 6).and_then(|number| {
        let part = |number: i32| i8::try_from(number % 100).ok();
        Some(date.to_datetime(jiff::civil::Time::new(part(number / 10_000)?, part(number / 100)?, part(number)?, 0).ok()?))
    });
    let civil = civil.ok_or_else(|| refused(DATE_TIME))?;
    Ok(Stamp::Time(Moment { civil, is_utc: clock.len() < time.len() }))
}

fn digits(text: &str, len: usize) -> Option<i32> {
    if text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
