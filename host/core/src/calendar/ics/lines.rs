//! The lines of an iCalendar file (RFC 5545): unfolded, cut into name, parameters and value, and what such values say.
//!
//! Not what an event means. What must hold: a refusal carries the line's number and the line itself; nothing read here depends on a zone.

use super::super::read::refused;
use crate::refusal::Refusal;
use crate::schedule::zone;
use jiff::civil::{Date, DateTime as Civil, Time};

/// The most letters of a line that a refusal repeats.
const SHOWN: usize = 200;

/// One content line.
#[derive(Debug)]
pub(super) struct Line {
    /// Number of its first line in the file, from 1.
    pub(super) number: usize,
    text: String,
    /// Where the value begins.
    value_at: usize,
    /// In capitals.
    pub(super) name: String,
    /// Names in capitals, values without quotes.
    parameters: Vec<(String, String)>,
}

/// A date or a time as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) civil: Civil,
    /// Name of its zone; none = the calendar's.
    pub(super) tz: Option<String>,
    pub(super) is_date: bool,
}

/// Content lines of a file. A line that begins with a space or a tab goes on with the one before it.
pub(super) fn unfold(file: &str) -> Result<Vec<Line>, Refusal> {
    let mut texts: Vec<(usize, String)> = Vec::new();
    for (number, raw) in (1..).zip(file.split('\n')) {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        match (raw.strip_prefix([' ', '\t']), texts.last_mut()) {
            (Some(more), Some((_, text))) => text.push_str(more),
            _ if raw.trim().is_empty() => {}
            _ => texts.push((number, raw.to_owned())),
        }
    }
    texts.into_iter().map(|(number, text)| cut(number, text)).collect()
}

fn cut(number: usize, text: String) -> Result<Line, Refusal> {
    let mut is_quoted = false;
    let mut cuts = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ';' if !is_quoted => cuts.push(at),
            ':' if !is_quoted => {
                cuts.push(at);
                let mut parts = cuts.iter().scan(0, |from, to| Some(&text[std::mem::replace(from, to + 1)..*to]));
                let name = parts.next().unwrap_or_default().to_ascii_uppercase();
                let parameters = parts.filter_map(|part| part.split_once('='));
                let parameters = parameters.map(|(name, value)| (name.to_ascii_uppercase(), value.trim_matches('"').to_owned())).collect();
                return Ok(Line { number, value_at: at + 1, name, parameters, text });
            }
            _ => {}
        }
    }
    let line = Line { number, value_at: 0, name: String::new(), parameters: Vec::new(), text };
    Err(line.refused("this is no line of an iCalendar file", "a name and a value, such as `DTSTART:20261225T090000Z`"))
}

impl Line {
    /// Refuses the value of this line.
    pub(super) fn refused(&self, message: impl std::fmt::Display, expected: impl Into<String>) -> Refusal {
        let shown: String = self.text.chars().take(SHOWN).collect();
        let start = self.value_at.min(shown.len());
        refused(format!("ics, line {}: {message}", self.number)).expected(expected).at(&shown, start, shown.len())
    }

    pub(super) fn value(&self) -> &str {
        &self.text[self.value_at..]
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value as one date or time.
    pub(super) fn moment(&self) -> Result<Moment, Refusal> {
        self.moment_of(self.value())
    }

    /// One date or time of this line, `20261225` or `20261225T090000` or the same with `Z`.
    pub(super) fn moment_of(&self, part: &str) -> Result<Moment, Refusal> {
        const FORM: &str = "a date such as `20261225`, or a time such as `20261225T090000Z`";
        let (rest, is_utc) = part.trim().strip_suffix('Z').map_or((part.trim(), false), |rest| (rest, true));
        let (day, time) = rest.split_once('T').map_or((rest, None), |(day, time)| (day, Some(time)));
        let civil = date(day).zip(time.map_or(Some(Time::midnight()), clock)).map(|(date, time)| date.to_datetime(time));
        let civil = civil.ok_or_else(|| self.refused(format!("`{}` is no time", clipped(part)), FORM))?;
        let tz = match self.parameter("TZID") {
            _ if time.is_none() => None,
            _ if is_utc => Some("UTC".to_owned()),
            Some(name) => Some(self.zone(name)?),
            None => None,
        };
        Ok(Moment { civil, tz, is_date: time.is_none() })
    }

    /// Some programs put a path of their own before the name of the zone.
    fn zone(&self, name: &str) -> Result<String, Refusal> {
        let parts: Vec<&str> = name.split('/').collect();
        let tails = (0..parts.len()).map(|from| parts[from..].join("/"));
        let found = tails.take(if name.starts_with('/') { parts.len() } else { 1 }).find_map(|tail| zone::zone(&tail).ok());
        found.and_then(|zone| zone.iana_name().map(str::to_owned)).ok_or_else(|| {
            self.refused(format!("`{}` is no zone that is known", clipped(name)), "an IANA zone such as `Europe/Paris`")
                .remedy("export the calendar with IANA zones, or in UTC: the zones that a file describes itself (VTIMEZONE) are not read")
        })
    }

    /// A length such as `P1DT2H` in seconds: days are 24 hours of the clock.
    pub(super) fn seconds_of(&self, part: &str) -> Result<i64, Refusal> {
        length(part.trim()).ok_or_else(|| {
            self.refused(format!("`{}` is no length of time", clipped(part)), "a positive length such as `PT1H30M`, `P1D` or `P2W`")
        })
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(60).collect()
}

fn number(text: &str, from: usize, to: usize) -> Option<i16> {
    text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn date(text: &str) -> Option<Date> {
    let part = |from, to| number(text, from, to).and_then(|value| i8::try_from(value).ok());
    let year = number(text, 0, 4).filter(|year| text.len() == 8 && *year > 0)?;
    Date::new(year, part(4, 6)?, part(6, 8)?).ok()
}

/// A leap second is the second before it.
fn clock(text: &str) -> Option<Time> {
    let part = |from, to| number(text, from, to).and_then(|value| i8::try_from(value).ok());
    let second = part(4, 6).filter(|second| text.len() == 6 && *second <= 60)?;
    Time::new(part(0, 2)?, part(2, 4)?, second.min(59), 0).ok()
}

fn length(text: &str) -> Option<i64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text).strip_prefix('P').filter(|rest| !rest.is_empty())?;
    let (mut seconds, mut is_clock) = (0i64, false);
    while !rest.is_empty() {
        if let Some(more) = rest.strip_prefix('T').filter(|more| !is_clock && !more.is_empty()) {
            (rest, is_clock) = (more, true);
            continue;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match (rest.as_bytes().get(digits)?, is_clock) {
            (b'W', false) => 604_800,
            (b'D', false) => 86_400,
            (b'H', true) => 3_600,
            (b'M', true) => 60,
            (b'S', true) => 1,
            _ => return None,
        };
        let count: i64 = rest[..digits].parse().ok()?;
        seconds = count.checked_mul(unit).and_then(|more| seconds.checked_add(more))?;
        rest = &rest[digits + 1..];
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_unfolded_and_cut_outside_of_quotes() {
        let lines = unfold("BEGIN:VEVENT\r\nDTSTART;X=\"a:b;c\";TZID=Euro\r\n pe/Paris:2026\r\n\t1225T090000\r\n\r\n").expect("two lines");
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[1].name.as_str(), lines[1].value(), lines[1].number), ("DTSTART", "20261225T090000", 2));
        assert_eq!((lines[1].parameter("X"), lines[1].parameter("TZID")), (Some("a:b;c"), Some("Europe/Paris")));
        let moment = lines[1].moment().expect("a time");
        assert_eq!((moment.civil.to_string().as_str(), moment.tz.as_deref()), ("2026-12-25T09:00:00", Some("Europe/Paris")));
        assert_eq!(unfold("one\ntwo:2").expect_err("no colon").place.map(|place| place.text), Some("one".to_owned()));
    }

    #[test]
    fn lengths_are_read() {
        for (text, seconds) in [("PT15M", Some(900)), ("P1DT2H", Some(93_600)), ("P2W", Some(1_209_600)), ("+PT1H30M5S", Some(5_405))] {
            assert_eq!(length(text), seconds, "{text}");
        }
        for text in ["", "P", "PT", "-PT5M", "P5", "PT5D", "P5M", "PT1HT1M", "P99999999999999999999D", "1H", "P1é"] {
            assert_eq!(length(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_its_line() {
        for value in ["2026", "20261301", "20261225T0900", "20261225T250000Z", "20261225T090000+01", "00000101", "2026é225", ""] {
            let refusal = unfold(&format!("X:1\nDTSTART:{value}")).expect("lines")[1].moment().expect_err(value);
            assert!(refusal.code == "INP024" && refusal.message.starts_with("ics, line 2: "), "{value}: {refusal}");
            assert_eq!(refusal.place.map(|place| place.start), Some(8), "{value}");
        }
    }
}
