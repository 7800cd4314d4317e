//! A schedule in words and on the reader's clock: for previews and explanations.
//!
//! Not the instants themselves. What must hold: nothing here decides when something runs.

use super::text::instant_text;
use super::{Schedule, cron, duration, from_jiff, to_jiff, zone};
use crate::refusal::Refusal;
use chrono::{DateTime, FixedOffset, Offset, Utc};

impl Schedule {
    /// The instant on the clock of the schedule's zone (UTC for kinds without one).
    pub fn on_its_clock(&self, at: DateTime<Utc>) -> Result<DateTime<FixedOffset>, Refusal> {
        let Self::Cron { tz, .. } = self else { return Ok(at.with_timezone(&Utc.fix())) };
        on_clock(tz, at)
    }

    /// The change of the zone's clocks that lies in `from..=to`, as `(when, before, after)` in seconds east of UTC, if there is one.
    pub fn clock_change(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Option<(DateTime<Utc>, i32, i32)>, Refusal> {
        let Self::Cron { tz, .. } = self else { return Ok(None) };
        let zone = zone::zone(tz)?;
        let (Some(from), Some(to)) = (to_jiff(from), to_jiff(to)) else { return Ok(None) };
        let mut earlier = zone.to_offset(from).seconds();
        for change in zone.following(from).take_while(|change| change.timestamp() <= to) {
            let later = change.offset().seconds();
            if later != earlier {
                return Ok(from_jiff(change.timestamp()).map(|when| (when, earlier, later)));
            }
            earlier = later;
        }
        Ok(None)
    }

    /// In English, a sentence or two. Refused only if the schedule does not hold (`INP003`).
    pub fn describe(&self) -> Result<String, Refusal> {
        Ok(match self {
            Self::Once { when } => format!("Once, at {}.", instant_text(*when)),
            Self::Every { step, anchor: None } => format!("Every {}, on a fixed grid in elapsed time.", duration::words(*step)),
            Self::Every { step, anchor: Some(anchor) } => {
                format!("Every {}, on a fixed grid in elapsed time through {}.", duration::words(*step), instant_text(*anchor))
            }
            Self::After { delay } => format!("{} after the end of each run.", duration::words(*delay)),
            Self::Cron { expression, tz } => {
                let pattern = cron::read(expression)?;
                format!("{} Read on the clocks of {tz}.", pattern_words(&pattern.cron))
            }
            Self::Manual => "Only when somebody says so.".to_owned(),
        })
    }
}

/// croner's English, mended where version 4.0.3 says it wrong: it matches the last weekday (`LW`) and calls it the last day.
fn pattern_words(cron: &croner::Cron) -> String {
    let words = cron.describe().replacen("At every", "Every", 1);
    let is_last_weekday = cron.as_str().split_whitespace().any(|field| field.split(',').any(|item| item == "LW"));
    if is_last_weekday { words.replace("the last day of the month", "the last weekday of the month") } else { words }
}

fn on_clock(tz: &str, at: DateTime<Utc>) -> Result<DateTime<FixedOffset>, Refusal> {
    let zone = zone::zone(tz)?;
    let seconds = to_jiff(at).map_or(0, |at| zone.to_offset(at).seconds());
    let offset = FixedOffset::east_opt(seconds).unwrap_or_else(|| Utc.fix());
    Ok(at.with_timezone(&offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(expression: &str, tz: &str) -> Schedule {
        Schedule::Cron { expression: expression.to_owned(), tz: tz.to_owned() }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn instants_stand_on_the_clock_of_the_zone() {
        let paris = cron("0 2 * * *", "Europe/Paris");
        assert_eq!(paris.on_its_clock(at("2026-01-01T00:00:00Z")).expect("a zone").to_rfc3339(), "2026-01-01T01:00:00+01:00");
        assert_eq!(paris.on_its_clock(at("2026-07-01T00:00:00Z")).expect("a zone").to_rfc3339(), "2026-07-01T02:00:00+02:00");
        assert_eq!(Schedule::Manual.on_its_clock(at("2026-07-01T00:00:00Z")).expect("UTC").to_rfc3339(), "2026-07-01T00:00:00+00:00");
        assert_eq!(cron("* * * * *", "Mars/Base").on_its_clock(at("2026-01-01T00:00:00Z")).expect_err("no zone").code, "INP004");
    }

    #[test]
    fn a_change_of_the_clocks_is_found() {
        let paris = cron("0 2 * * *", "Europe/Paris");
        let found = paris.clock_change(at("2026-03-28T00:00:00Z"), at("2026-04-01T00:00:00Z")).expect("a zone");
        assert_eq!(found, Some((at("2026-03-29T01:00:00Z"), 3_600, 7_200)));
        assert_eq!(paris.clock_change(at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z")).expect("a zone"), None);
        assert_eq!(cron("0 2 * * *", "UTC").clock_change(at("2026-01-01T00:00:00Z"), at("2030-05-01T00:00:00Z")).expect("UTC"), None);
    }

    #[test]
    fn schedules_have_words() {
        assert!(cron("0 2 * * *", "Europe/Paris").describe().expect("good").contains("Europe/Paris"));
        assert_eq!(cron("0 99 * * *", "UTC").describe().expect_err("hour 99").code, "INP003");
        assert_eq!(Schedule::Manual.describe().expect("good"), "Only when somebody says so.");
    }
}
