//! The next instants of a schedule, with what a reader should know about them.
//!
//! Not the planning of events. What must hold: the same question gives the same answer with and without a host.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sexton_core::calendar::Calendars;
use sexton_core::schedule::Rule;
use sexton_core::{Blame, Refusal, Schedule};

/// Instants shown when nobody says.
const SHOWN: usize = 5;
/// Instants shown at most.
const SHOWN_MAX: usize = 1_000;

/// What is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The schedule.
    pub schedule: Schedule,
    /// Instants after this one; now, if absent.
    #[serde(default)]
    pub after: Option<DateTime<Utc>>,
    /// How many.
    #[serde(default)]
    pub n: Option<usize>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// RFC 3339 on the clock of the schedule's zone.
    pub next: Vec<String>,
    /// In words, for people.
    pub notes: Vec<String>,
}

/// Answers a question.
///
/// # Errors
/// What `Schedule::settle` refuses; `INP015` for too many.
pub fn of_json(question: &Question, calendars: &Calendars, now: DateTime<Utc>) -> Result<Preview, Refusal> {
    preview(question.schedule.clone(), calendars, question.after.unwrap_or(now), question.n.unwrap_or(SHOWN))
}

/// The next `n` instants after `after`.
///
/// # Errors
/// As [`of_json`].
pub fn preview(schedule: Schedule, calendars: &Calendars, after: DateTime<Utc>, n: usize) -> Result<Preview, Refusal> {
    if !(1..=SHOWN_MAX).contains(&n) {
        return Err(Refusal::new("INP015", Blame::Input, format!("{n} instants are not shown")).expected(format!("1 to {SHOWN_MAX}")));
    }
    let schedule = schedule.settle(after, calendars)?;
    let instants = schedule.plan(calendars)?.upcoming(after, n)?;
    let on_clock: Result<Vec<_>, _> = instants.iter().map(|at| schedule.on_its_clock(*at)).collect();
    let mut notes = match instants.last() {
        Some(last) => schedule.notes(calendars, after, *last)?,
        None => Vec::new(),
    };
    if matches!(schedule.rule, Rule::Once { when } if when <= after) {
        notes.push("the time is in the past: an event with it runs at once".to_owned());
    }
    if let Rule::Follows { .. } = schedule.rule {
        notes.push("it has no times of its own: it runs when what it follows has come to an end".to_owned());
    } else if instants.len() < n {
        notes.push(match instants.len() {
            0 => "it has no further instant".to_owned(),
            found => format!("it has no instant after these {found}"),
        });
    }
    Ok(Preview { next: on_clock?.into_iter().map(written).collect(), notes })
}

/// The schedule in words, once it is sure that it holds.
///
/// # Errors
/// What `Schedule::settle` refuses.
pub fn explain(schedule: Schedule, calendars: &Calendars, now: DateTime<Utc>) -> Result<String, Refusal> {
    schedule.settle(now, calendars)?.describe()
}

fn written(at: DateTime<FixedOffset>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: &str, after: &str, n: usize) -> Result<Preview, Refusal> {
        let schedule = Schedule::from_json(&serde_json::from_str(json).expect("JSON"))?;
        preview(schedule, &Calendars::default(), after.parse().expect("a time"), n)
    }

    #[test]
    fn offsets_and_clock_changes_are_shown() {
        let shown = ask(r#"{"cron": "30 2 * * *", "tz": "Europe/Paris"}"#, "2026-03-27T12:00:00Z", 3).expect("good");
        assert_eq!(shown.next, ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]);
        assert_eq!(
            shown.notes,
            ["the clocks go forward at 2026-03-29 03:00, from +01:00 to +02:00: a time that they jump over is shifted to it"]
        );
    }

    #[test]
    fn other_kinds() {
        let shown = ask(r#"{"every": "5m", "anchor": "2026-01-01T00:00:00Z"}"#, "2026-01-01T00:01:00Z", 2).expect("good");
        assert_eq!(shown.next, ["2026-01-01T00:05:00+00:00", "2026-01-01T00:10:00+00:00"]);
        let shown = ask(r#"{"once": "2026-01-01T00:00:00Z"}"#, "2026-06-01T00:00:00Z", 2).expect("good");
        assert!(shown.next.is_empty() && shown.notes[0].contains("past"), "{shown:?}");
        assert_eq!(ask(r#"{"cron": "0 0 30 2 *"}"#, "2026-06-01T00:00:00Z", 2).expect_err("never").code, "INP007");
        let shown = ask(r#"{"follows": ["05jp19e000800"]}"#, "2026-06-01T00:00:00Z", 2).expect("good");
        assert!(
            shown.next.is_empty() && shown.notes == ["it has no times of its own: it runs when what it follows has come to an end"],
            "{shown:?}"
        );
        assert_eq!(ask(r#"{"manual": true}"#, "2026-06-01T00:00:00Z", 0).expect_err("none").code, "INP015");
    }
}
