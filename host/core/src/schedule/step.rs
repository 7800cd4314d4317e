//! The step of a grid: in clock units, or in units of the calendar.
//!
//! Not the grid. What must hold: `1 day` and `24h` differ, and which of the two a text means is seen from its units alone.

use super::grid::CivilStep;
use super::{EVERY_LEAST, duration};
use crate::refusal::{Blame, Refusal};
use std::time::Duration;

/// The longest step in days or months: a hundred years.
const DAYS_MAX: u32 = 36_525;
const MONTHS_MAX: u32 = 1_200;

/// How far apart the points of a grid are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Elapsed time, at least [`EVERY_LEAST`].
    Clock(Duration),
    /// Days of the calendar: the time of day stays.
    Days(u32),
    /// Months of the calendar: day of month and time of day stay; a day that a month has not is its last.
    Months(u32),
}

impl Step {
    /// Reads a step: `90s`, `1h 30m`; `1 day`, `2w`, `3 months`, `1y`. Refuses with `INP005`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let Some(parts) = calendar_parts(text) else {
            return Ok(Self::Clock(duration::parse_at_least(text, EVERY_LEAST, "the step of `every`")?));
        };
        let refused = |message: &str| Refusal::new("INP005", Blame::Input, message).at(text, 0, text.len());
        let (mut days, mut months) = (0_u32, 0_u32);
        for (number, unit) in parts {
            let (sum, of_one) = match unit {
                Unit::Day => (&mut days, 1),
                Unit::Week => (&mut days, 7),
                Unit::Month => (&mut months, 1),
                Unit::Year => (&mut months, 12),
            };
            let whole = number.checked_mul(of_one).and_then(|more| sum.checked_add(more));
            *sum = whole.ok_or_else(|| refused("the step of `every` is too long").expected("at most 100 years"))?;
        }
        match (days, months) {
            (0, 0) => Err(refused("the step of `every` is too short").expected("at least one day, or a step in clock units")),
            (days, 0) => Ok(Self::Days(days)),
            (0, months) => Ok(Self::Months(months)),
            _ => Err(refused("months and days do not make one step")
                .expected("days and weeks, or months and years")
                .remedy("a month has no fixed number of days: use one of the two, or a cron expression")),
        }
    }

    /// Writes it so that [`Step::parse`] reads it back.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Clock(step) if step.as_secs() >= 86_400 && is_whole_days(step) => {
                // Days would be read as days of the calendar.
                format!("{}h", step.as_secs() / 3_600)
            }
            Self::Clock(step) => duration::text(step),
            Self::Days(days) => format!("{days}d"),
            Self::Months(months) if months % 12 == 0 => format!("{}y", months / 12),
            Self::Months(months) => format!("{months} {}", if months == 1 { "month" } else { "months" }),
        }
    }

    /// In words: `2 weeks`, `month`.
    pub(super) fn words(self) -> String {
        let plural = |count: u32, unit: &str| if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") };
        match self {
            Self::Clock(step) => duration::words(step),
            Self::Days(days) if days % 7 == 0 => plural(days / 7, "week"),
            Self::Days(days) => plural(days, "day"),
            Self::Months(months) if months % 12 == 0 => plural(months / 12, "year"),
            Self::Months(months) => plural(months, "month"),
        }
    }

    /// The step of a floating grid; none in clock units.
    pub(super) fn civil(self) -> Option<CivilStep> {
        match self {
            Self::Clock(_) => None,
            Self::Days(days) => Some(CivilStep::Days(days)),
            Self::Months(months) => Some(CivilStep::Months(months)),
        }
    }

    pub(super) fn check(self) -> Result<(), Refusal> {
        let is_good = match self {
            Self::Clock(step) => return check_span(step, EVERY_LEAST, "the step of `every`"),
            Self::Days(days) => (1..=DAYS_MAX).contains(&days),
            Self::Months(months) => (1..=MONTHS_MAX).contains(&months),
        };
        let refused =
            || Refusal::new("INP005", Blame::Input, "the step of `every` is no length").expected("one day to 100 years").found(self.text());
        if is_good { Ok(()) } else { Err(refused()) }
    }

    /// Why a step in clock units takes no zone.
    pub(super) fn no_zone(self) -> Refusal {
        Refusal::new("INP016", Blame::Input, "`tz` does not go with a step in clock units")
            .found(self.text())
            .expected("`tz` beside a step of days, weeks, months or years")
            .remedy("`24h` follows elapsed time in every zone alike; `1 day` keeps the time of day in its zone")
    }

    /// Why a step in clock units takes no `gap` and no `fold`.
    pub(super) fn no_clock_change(self) -> Refusal {
        Refusal::new("INP016", Blame::Input, "`gap` and `fold` do not go with a step in clock units")
            .found(self.text())
            .expected("`gap` and `fold` beside times that are read on the clocks of a zone")
            .remedy("leave them out: elapsed time knows no change of clocks")
    }
}

fn is_whole_days(step: Duration) -> bool {
    step.as_secs().is_multiple_of(86_400) && step.subsec_nanos() == 0
}

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

/// Numbers and units, if all units are of the calendar; otherwise it is a text for `duration`.
fn calendar_parts(text: &str) -> Option<Vec<(u32, Unit)>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = match &rest[..letters] {
            "d" | "day" | "days" => Unit::Day,
            "w" | "week" | "weeks" => Unit::Week,
            "M" | "month" | "months" => Unit::Month,
            "y" | "yr" | "year" | "years" => Unit::Year,
            _ => return None,
        };
        parts.push((number, unit));
        rest = rest[letters..].trim_start();
    }
    (!parts.is_empty()).then_some(parts)
}

pub(super) fn check_span(span: Duration, least: Duration, what: &str) -> Result<(), Refusal> {
    let refused = |message: String| Refusal::new("INP005", Blame::Input, message).found(duration::text(span));
    if span < least {
        return Err(refused(format!("{what} is too short")).expected(format!("at least {}", duration::text(least))));
    }
    if span > duration::LONGEST || !span.subsec_nanos().is_multiple_of(1_000) {
        return Err(refused(format!("{what} is too long, or finer than a microsecond")).expected("at most 36525d, in whole microseconds"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_say_which_step_is_meant() {
        for (text, step, written) in [
            ("90s", Step::Clock(Duration::from_secs(90)), "1m 30s"),
            ("24h", Step::Clock(Duration::from_secs(86_400)), "24h"),
            ("48 hours", Step::Clock(Duration::from_secs(172_800)), "48h"),
            ("1d 12h", Step::Clock(Duration::from_secs(129_600)), "1d 12h"),
            ("1 day", Step::Days(1), "1d"),
            ("2w 1d", Step::Days(15), "15d"),
            ("1 month", Step::Months(1), "1 month"),
            ("3M", Step::Months(3), "3 months"),
            ("1y 6 months", Step::Months(18), "18 months"),
            ("2 years", Step::Months(24), "2y"),
        ] {
            assert_eq!(Step::parse(text).expect(text), step, "{text}");
            assert_eq!(step.text(), written, "{text}");
            assert_eq!(Step::parse(written).expect(written), step, "{written}");
        }
        for text in ["", "0d", "1 month 1d", "99999999999d", "4000000000w", "500ms", "1 fortnight", "d", "1.5d 1y", "-1d"] {
            let refused = Step::parse(text).and_then(|step| step.check().map(|()| step)).expect_err(text);
            assert_eq!(refused.code, "INP005", "{text}");
        }
        assert!(Step::Days(40_000).check().is_err() && Step::Months(1_201).check().is_err());
    }
}
