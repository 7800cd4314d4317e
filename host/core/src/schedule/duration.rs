//! Durations as people write them: `90s`, `1h 30m`, `2 days`.
//!
//! Not a calendar: months and years have no fixed length and are refused. What must hold: what [`text`] writes, [`parse`] reads back as the
//! same duration.

use crate::refusal::{Blame, Refusal};
use std::fmt::Write as _;
use std::time::Duration;

/// The longest duration that is understood: 100 years of 365.25 days.
pub const LONGEST: Duration = Duration::from_secs(36_525 * 86_400);
const LONGEST_TEXT: usize = 128;
const UNITS: &str = "a number and a unit, several if need be: `90s`, `5m`, `1h 30m`, `2d`, `1w` (units: us ms s m h d w)";

/// Reads a duration. Refuses (`INP005`) what is no duration, months and years, parts of a microsecond, and more than [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, Refusal> {
    if text.len() > LONGEST_TEXT {
        return Err(refused(text, 0, text.len(), "the duration is too long a text").expected(format!("at most {LONGEST_TEXT} bytes")));
    }
    if let Some((start, end)) = split_number(text) {
        return Err(refused(text, start, end, "a number is split by a space").expected(UNITS));
    }
    let value = humantime::parse_duration(text).map_err(|error| explain(text, error))?;
    if let Some((start, end)) = calendar_unit(text) {
        return Err(refused(text, start, end, format!("`{}` has no fixed length", &text[start..end]))
            .expected("a unit of fixed length: us ms s m h d w")
            .remedy("use days, or a cron expression for times of a calendar (`m` is minutes)"));
    }
    if !value.subsec_nanos().is_multiple_of(1_000) {
        return Err(refused(text, 0, text.len(), "the duration is finer than a microsecond").expected("whole microseconds"));
    }
    if value > LONGEST {
        return Err(refused(text, 0, text.len(), "the duration is longer than 100 years").expected("at most 36525d"));
    }
    Ok(value)
}

/// Reads a duration that must be at least `least`. `what` names it in the sentence: `the step of every`.
pub fn parse_at_least(text: &str, least: Duration, what: &str) -> Result<Duration, Refusal> {
    let value = parse(text)?;
    if value < least {
        return Err(refused(text, 0, text.len(), format!("{what} is too short")).expected(format!("at least {}", self::text(least))));
    }
    Ok(value)
}

/// Writes a duration so that [`parse`] reads it back: `1h 30m`. Parts of a microsecond are dropped.
#[must_use]
pub fn text(duration: Duration) -> String {
    let (seconds, micros) = (duration.as_secs(), duration.subsec_micros());
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(micros / 1_000), "ms"),
        (u64::from(micros % 1_000), "us"),
    ];
    let mut out = String::new();
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
        let gap = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{gap}{count}{unit}");
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// Writes a duration in words: `1 hour 30 minutes`.
#[must_use]
pub fn words(duration: Duration) -> String {
    let mut out = String::new();
    for part in text(duration).split(' ') {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &part[digits.len()..] {
            "d" => "day",
            "h" => "hour",
            "m" => "minute",
            "s" => "second",
            "ms" => "millisecond",
            _ => "microsecond",
        };
        let (gap, plural) = (if out.is_empty() { "" } else { " " }, if digits == "1" { "" } else { "s" });
        let _ = write!(out, "{gap}{digits} {unit}{plural}");
    }
    out
}

fn refused(text: &str, start: usize, end: usize, message: impl Into<String>) -> Refusal {
    Refusal::new("INP005", Blame::Input, message).at(text, start, end)
}

fn explain(text: &str, error: humantime::DurationError) -> Refusal {
    use humantime::DurationError::{Empty, InvalidCharacter, NumberExpected, NumberOverflow, UnknownUnit};
    match error {
        Empty => refused(text, 0, text.len(), "the duration is empty").expected(UNITS),
        InvalidCharacter(at) => {
            let found = text.get(at..).and_then(|rest| rest.chars().next());
            let end = at.min(text.len()) + found.map_or(0, char::len_utf8);
            let message =
                found.map_or_else(|| "the duration ends too early".to_owned(), |c| format!("`{c}` does not belong in a duration"));
            refused(text, at.min(text.len()), end, message).expected(UNITS)
        }
        NumberExpected(at) => {
            let end = text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8());
            refused(text, at, end, "a number is missing").expected(UNITS)
        }
        UnknownUnit { start, end, unit, value } if unit.is_empty() => {
            let start = text[..start].trim_end().rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |at| at + 1);
            refused(text, start, end.max(start), format!("the number {value} has no unit"))
                .expected(UNITS)
                .remedy(format!("`{value}s` is {value} seconds"))
        }
        UnknownUnit { start, end, unit, .. } => refused(text, start, end, format!("`{unit}` is no unit of time")).expected(UNITS),
        NumberOverflow => {
            refused(text, 0, text.len(), "the number is too large or too fine").expected("at most 36525d, in whole microseconds")
        }
    }
}

/// Digits, space, digits: humantime joins them, so that `1 0s` would be ten seconds.
fn split_number(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut last_digit: Option<usize> = None;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if let Some(before) = last_digit.filter(|before| before + 1 < at) {
                    return Some((before + 1, at));
                }
                last_digit = Some(at);
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => last_digit = None,
        }
    }
    None
}

/// The place of a unit that is no fixed length: humantime takes 30.44 days for a month.
fn calendar_unit(text: &str) -> Option<(usize, usize)> {
    let is_calendar = |word: &str| matches!(word, "M" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years");
    let mut start = 0;
    for word in text.split_inclusive(|c: char| !c.is_alphabetic()) {
        let letters = word.trim_end_matches(|c: char| !c.is_alphabetic());
        if is_calendar(letters) {
            return Some((start, start + letters.len()));
        }
        start += word.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read() {
        for (text, micros) in [
            ("90s", 90_000_000),
            ("1h 30m", 5_400_000_000),
            ("2 days", 172_800_000_000),
            ("1w", 604_800_000_000),
            ("250ms", 250_000),
            ("1.5h", 5_400_000_000),
            ("3us", 3),
            ("1h30m", 5_400_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text).map(|d| d.as_micros()), Ok(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_at_its_place() {
        for (text, start, end) in [
            ("", 0, 0),
            ("abc", 0, 1),
            ("5", 0, 1),
            ("1h 20", 3, 5),
            ("5 minuten", 2, 9),
            ("5x", 1, 2),
            ("1M", 1, 2),
            ("2 years", 2, 7),
            ("1d 3months", 4, 10),
            ("-5m", 0, 1),
            ("5m!", 2, 3),
            ("5m é", 3, 5),
            ("1 0s", 1, 2),
            ("500ns", 0, 5),
            ("99999999999999999999s", 0, 21),
            ("40000d", 0, 6),
            ("1.", 1, 2),
        ] {
            let refusal = parse(text).expect_err(text);
            assert_eq!(refusal.code, "INP005", "{text}");
            let place = refusal.place.expect(text);
            assert_eq!((place.start, place.end), (start, end), "{text}: {}", refusal.message);
        }
        assert_eq!(parse(&"1s ".repeat(100)).map_err(|r| r.code), Err("INP005".to_owned()));
    }

    #[test]
    fn words_are_english() {
        assert_eq!(words(Duration::from_secs(90_061)), "1 day 1 hour 1 minute 1 second");
        assert_eq!(words(Duration::from_millis(2_500)), "2 seconds 500 milliseconds");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 0u64..3_155_760_000_000_000) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse(&text(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            if let Err(refusal) = parse(&text) {
                let place = refusal.place.expect("every refusal of a duration has a place");
                prop_assert!(text.get(place.start..place.end).is_some());
            }
        }

        #[test]
        fn no_near_miss_makes_it_panic(text in "[0-9 .mshdwMyusµ-]{0,16}") {
            if let Err(refusal) = parse(&text) {
                let place = refusal.place.expect("every refusal of a duration has a place");
                prop_assert!(text.get(place.start..place.end).is_some(), "{:?}", place);
            }
        }
    }
}
