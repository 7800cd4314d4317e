//! Named calendars: sets of times that a schedule leaves out, or keeps to.
//!
//! Not schedules, and not what is open when nobody names a calendar. What must hold: a calendar says of each instant whether it is inside and
//! until when that surely holds, by arithmetic and never by walking days; its times are the clock's of a zone, on days of clock changes too.

mod days;
mod edges;
mod ics;
mod named;
mod read;
#[cfg(test)]
mod tests;
mod week;

pub use ics::{EVENTS_MAX as ICS_EVENTS_MAX, RECURRING_MAX as ICS_RECURRING_MAX, SIZE_MAX as ICS_SIZE_MAX};
pub use named::{Calendars, check_name};
pub use read::{DATES_MAX, PATTERNS_MAX};

use crate::refusal::Refusal;
use crate::schedule::steps::Steps;
use crate::schedule::{instant, zone};
use chrono::{DateTime, TimeDelta, Utc};
use days::{Annual, Listed};
use edges::Answer;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use week::Week;

/// What a calendar says of an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Whether the instant is inside.
    pub inside: bool,
    /// Later than the instant; until here nothing changes. It need not change here. The end of the calendar (9999-12-30) if it never will.
    pub until: DateTime<Utc>,
}

/// A calendar, read and checked. It contains an instant if any of its entries does.
///
/// JSON: `{"tz": "Europe/Paris", "dates": ["2026-12-25", "2026-12-24..2027-01-02"], "annual": ["12-25", "12-24..01-02"],
/// "weekly": [{"days": "mon-fri", "from": "09:00", "to": "17:00"}], "daily": ["12:00..13:00"], "ics": "BEGIN:VCALENDAR…"}`; every key may be
/// left out, the zone is UTC then. Days are whole and ranges of days hold their last; times end before their last. A window over midnight
/// belongs to the day it begins. 29 February is a day of leap years only.
///
/// When clocks change: a time that the clock skips is the end of the skip; a window begins with the first and ends with the last pass of a
/// time that comes twice; a day ends where the next one begins.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Calendar {
    json: Value,
    entries: Vec<Entry>,
}

/// A set of times on the clock of one zone. The zone is looked up with each question, so that newer zone data is used once it is there.
#[derive(Clone, Debug)]
struct Entry {
    tz: String,
    set: Set,
}

#[derive(Clone, Debug)]
enum Set {
    Listed(Listed),
    Annual(Annual),
    Week(Week),
    Recurring(Box<ics::Recurring>),
}

impl Calendar {
    /// Reads the JSON form. Refuses (`INP024`) what is not understood, naming the entry and the place in its text; `INP004` for a zone.
    pub fn read(json: &Value) -> Result<Self, Refusal> {
        Ok(Self { json: json.clone(), entries: read::read(json)? })
    }

    /// The JSON form as it was read.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.json.clone()
    }

    /// Whether it is certain that no instant at all is inside: a calendar without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the instant is inside, and until when that holds. Refuses only if a zone has gone from the zone data since (`INP004`), or if
    /// the events of the ICS part that come again need more steps than one question may take (`INP024`).
    pub fn span_at(&self, at: DateTime<Utc>) -> Result<Span, Refusal> {
        let Ok(now) = Timestamp::from_microsecond(at.timestamp_micros()) else { return Ok(span(at, false, None)) };
        let (mut inside, mut leaves, mut enters) = (false, Some(Timestamp::MIN), None::<Timestamp>);
        let mut steps = Steps::new();
        let mut zone: Option<(&str, TimeZone)> = None;
        for entry in &self.entries {
            let here = match zone.take() {
                Some((name, zone)) if name == entry.tz => zone,
                _ => zone::zone(&entry.tz)?,
            };
            let (is_in, until) = entry.set.ask(&here, now, &mut steps)?;
            zone = Some((&entry.tz, here));
            inside |= is_in;
            if is_in {
                leaves = leaves.zip(until).map(|(a, b)| a.max(b));
            } else {
                enters = enters.into_iter().chain(until).min();
            }
        }
        Ok(span(at, inside, if inside { leaves } else { enters }))
    }
}

fn span(at: DateTime<Utc>, inside: bool, until: Option<Timestamp>) -> Span {
    let until = until.and_then(|until| DateTime::from_timestamp_micros(until.as_microsecond())).unwrap_or_else(instant::last);
    // Past the last instant that schedules reach there is still a later one.
    Span { inside, until: until.min(instant::last()).max(at.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(at)) }
}

impl Set {
    fn is_empty(&self) -> bool {
        match self {
            Self::Listed(listed) => *listed == Listed::default(),
            Self::Annual(annual) => *annual == Annual::new(&[]),
            Self::Week(week) => *week == Week::new(&[]),
            Self::Recurring(_) => false,
        }
    }

    fn ask(&self, zone: &TimeZone, at: Timestamp, steps: &mut Steps) -> Result<Answer, Refusal> {
        let civil = zone.to_datetime(at);
        Ok(match self {
            Self::Listed(listed) => edges::ask(zone, at, listed.around(civil)),
            Self::Annual(annual) if annual.is_always() => (true, None),
            Self::Annual(annual) => edges::ask(zone, at, annual.around(civil)),
            Self::Week(Week::Always) => (true, None),
            Self::Week(week) => edges::ask(zone, at, week.around(civil)),
            Self::Recurring(recurring) => recurring.ask(zone, at, steps)?,
        })
    }
}

/// What is written decides: the entries follow from it.
impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl TryFrom<Value> for Calendar {
    type Error = Refusal;

    fn try_from(json: Value) -> Result<Self, Refusal> {
        Self::read(&json)
    }
}

impl From<Calendar> for Value {
    fn from(calendar: Calendar) -> Self {
        calendar.json
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A calendar may hold ten thousand days.
        f.debug_struct("Calendar").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}
