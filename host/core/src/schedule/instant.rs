//! Instants as people write them (RFC 3339) and as the store keeps them (whole microseconds, at most the year 9999).
//!
//! Not a clock and not a zone: an instant carries its offset in its text. What must hold: a refusal points at the first byte that is wrong.

use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

const FORM: &str = "RFC 3339, as in `2027-03-01T09:30:00Z` or `2027-03-01T10:30:00+01:00`";
/// 9999-12-30T00:00:00Z in seconds: what zone arithmetic and a four-digit year can both say.
const LAST_SECOND: i64 = 253_402_128_000;
/// 0001-01-01T00:00:00Z in seconds.
const FIRST_SECOND: i64 = -62_135_596_800;

/// Reads an RFC 3339 instant (a space may stand for the `T`); finer parts than a microsecond are dropped. Refuses with `INP006`.
pub fn parse(text: &str) -> Result<DateTime<Utc>, Refusal> {
    let mut scan = Scan { text, at: 0 };
    let (year, _) = scan.number(4, "the year", 1, 9999)?;
    scan.one_of("-", "`-` after the year")?;
    let (month, _) = scan.number(2, "the month", 1, 12)?;
    scan.one_of("-", "`-` after the month")?;
    let (day, day_at) = scan.number(2, "the day", 1, 31)?;
    let date = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, day)).ok_or_else(|| {
        refused(text, day_at, day_at + 2, format!("there is no day {day} in that month")).expected("a day of the calendar")
    })?;
    scan.one_of("Tt ", "`T` and the time of day")?;
    let (hour, _) = scan.number(2, "the hour", 0, 23)?;
    scan.one_of(":", "`:` after the hour")?;
    let (minute, _) = scan.number(2, "the minute", 0, 59)?;
    scan.one_of(":", "`:` and the seconds")?;
    let (second, _) = scan.number(2, "the second", 0, 59)?;
    let micros = scan.fraction()?;
    let offset = scan.offset()?;
    if scan.at < text.len() {
        return Err(refused(text, scan.at, text.len(), "there is more after the offset").expected(FORM));
    }
    date.and_hms_micro_opt(hour, minute, second, micros)
        .and_then(|civil| civil.checked_sub_signed(TimeDelta::seconds(offset)))
        .map(|civil| civil.and_utc())
        .filter(|instant| is_in_reach(*instant))
        .ok_or_else(|| refused(text, 0, text.len(), "the time is outside the calendar").expected("a time from the year 1 to 9999-12-30"))
}

/// The instant without parts finer than a microsecond, as a store keeps it.
#[must_use]
pub fn to_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant)
}

/// Whether schedules reach this instant: from the year 1 to 9999-12-30.
#[must_use]
pub fn is_in_reach(instant: DateTime<Utc>) -> bool {
    (FIRST_SECOND..=LAST_SECOND).contains(&instant.timestamp())
}

/// The first instant that schedules reach.
#[must_use]
pub fn earliest() -> DateTime<Utc> {
    DateTime::from_timestamp(FIRST_SECOND, 0).expect("a constant within the calendar")
}

/// The last instant that schedules reach.
#[must_use]
pub fn last() -> DateTime<Utc> {
    DateTime::from_timestamp(LAST_SECOND, 0).expect("a constant within the calendar")
}

fn refused(text: &str, start: usize, end: usize, message: impl Into<String>) -> Refusal {
    Refusal::new("INP006", Blame::Input, message).at(text, start, end)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn next_char_end(&self) -> usize {
        self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8())
    }

    fn refused_here(&self, what: &str) -> Refusal {
        let message =
            if self.at >= self.text.len() { format!("the time ends where {what} should be") } else { format!("here should be {what}") };
        refused(self.text, self.at, self.next_char_end(), message).expected(FORM)
    }

    /// `width` digits within `least..=most`; answers the number and where it starts.
    fn number(&mut self, width: usize, what: &str, least: u32, most: u32) -> Result<(u32, usize), Refusal> {
        let start = self.at;
        let mut value = 0;
        for _ in 0..width {
            let digit = self.text.as_bytes().get(self.at).filter(|b| b.is_ascii_digit());
            let digit = digit.ok_or_else(|| self.refused_here(&format!("{what} in {width} digits")))?;
            value = value * 10 + u32::from(digit - b'0');
            self.at += 1;
        }
        if (least..=most).contains(&value) {
            return Ok((value, start));
        }
        let refusal = refused(self.text, start, self.at, format!("{what} is {value}")).expected(format!("{least} to {most}"));
        Err(if what == "the second" && value == 60 { refusal.remedy("a leap second is written as the second after it") } else { refusal })
    }

    fn one_of(&mut self, set: &str, what: &str) -> Result<char, Refusal> {
        match self.text[self.at..].chars().next().filter(|c| set.contains(*c)) {
            Some(found) => {
                self.at += found.len_utf8();
                Ok(found)
            }
            None => Err(self.refused_here(what)),
        }
    }

    /// Microseconds of an optional fraction.
    fn fraction(&mut self) -> Result<u32, Refusal> {
        if !self.text[self.at..].starts_with('.') {
            return Ok(0);
        }
        self.at += 1;
        let digits = self.text[self.at..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(self.refused_here("a digit of the fraction"));
        }
        let kept = &self.text[self.at..self.at + digits.min(6)];
        self.at += digits;
        Ok(kept.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Result<i64, Refusal> {
        if self.at >= self.text.len() {
            return Err(refused(self.text, self.at, self.at, "the time does not say its offset from UTC")
                .expected(FORM)
                .remedy("add `Z` for UTC, or an offset such as `+02:00`"));
        }
        let sign = match self.one_of("Zz+-", "`Z` or an offset such as `+02:00`")? {
            'Z' | 'z' => return Ok(0),
            '+' => 1,
            _ => -1,
        };
        let (hours, _) = self.number(2, "the hours of the offset", 0, 23)?;
        self.one_of(":", "`:` in the offset")?;
        let (minutes, _) = self.number(2, "the minutes of the offset", 0, 59)?;
        Ok(sign * i64::from(hours * 3_600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_chrono_reads_them() {
        for text in ["2027-03-01T09:30:00Z", "2027-03-01t09:30:00.5z", "2024-02-29T23:59:59.123456+14:00", "1969-12-31T00:00:00-03:30"] {
            assert_eq!(parse(text).as_ref().ok(), DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc()).as_ref(), "{text}");
        }
        assert_eq!(parse("2027-03-01 09:30:00Z"), parse("2027-03-01T09:30:00Z"));
        assert_eq!(parse("2027-03-01T09:30:00.1234569Z").map(|t| t.timestamp_subsec_nanos()), Ok(123_456_000));
    }

    #[test]
    fn what_is_no_time_is_refused_at_its_place() {
        for (text, start, end) in [
            ("", 0, 0),
            ("tomorrow", 0, 1),
            ("2027-3-01T09:30:00Z", 6, 7),
            ("2027-13-01T09:30:00Z", 5, 7),
            ("2027-02-30T09:30:00Z", 8, 10),
            ("2027-02-28", 10, 10),
            ("2027-02-28T24:00:00Z", 11, 13),
            ("2027-02-28T09:30Z", 16, 17),
            ("2027-02-28T09:30:60Z", 17, 19),
            ("2027-02-28T09:30:00", 19, 19),
            ("2027-02-28T09:30:00.Z", 20, 21),
            ("2027-02-28T09:30:00+2:00", 21, 22),
            ("2027-02-28T09:30:00+02:00 ", 25, 26),
            ("2027-02-28T09:30:00 Europe/Paris", 19, 20),
            ("2027–02-28T09:30:00Z", 4, 7),
            ("9999-12-31T23:00:00-05:00", 0, 25),
        ] {
            let refusal = parse(text).expect_err(text);
            assert_eq!(refusal.code, "INP006", "{text}");
            let place = refusal.place.expect(text);
            assert_eq!((place.start, place.end), (start, end), "{text}: {}", refusal.message);
        }
    }

    proptest! {
        #[test]
        fn what_chrono_writes_is_read_back(micros in (FIRST_SECOND * 1_000_000)..(LAST_SECOND * 1_000_000)) {
            let instant = DateTime::from_timestamp_micros(micros).expect("in range");
            prop_assert_eq!(parse(&instant.to_rfc3339()), Ok(instant));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:+. –-]{0,32}") {
            if let Err(refusal) = parse(&text) {
                let place = refusal.place.expect("every refusal of a time has a place");
                prop_assert!(text.get(place.start..place.end).is_some());
            }
        }
    }
}
