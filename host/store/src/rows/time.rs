//! Values of the verbs on time: what was found late, calendars, zones, clock steps.
//!
//! Not the decisions. What must hold: as for all rows, times are `DateTime<Utc>` with microseconds.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::calendar::Calendar;
use sexton_core::decide::late::Late;
use sexton_core::schedule::zone::ZoneRules;
use sexton_core::{EventId, OccurrenceId, Schedule};

/// A claimed occurrence that was found late, and what was decided about it.
#[derive(Clone, Debug)]
pub struct Misfired {
    /// Which.
    pub occurrence: OccurrenceId,
    /// The fencing number of the claim.
    pub token: i64,
    /// The schedule that was asked.
    pub schedule: Schedule,
    /// What becomes of it.
    pub late: Late,
}

/// A named calendar as the store keeps it.
#[derive(Clone, Debug, Serialize)]
pub struct CalendarRow {
    /// Its name.
    pub name: String,
    /// What it says.
    pub calendar: Calendar,
    /// When it was stored last.
    pub updated_at: DateTime<Utc>,
    /// By whom.
    pub updated_by: String,
    /// Events that name it, ended ones that are kept included.
    pub events: i64,
}

/// A zone that open events follow.
#[derive(Clone, Debug)]
pub struct ZoneRow {
    /// Its name.
    pub tz: String,
    /// The rules its events were planned by; `None`: never noted.
    pub planned_by: Option<ZoneRules>,
    /// A pass that re-plans them was cut off.
    pub is_passing: bool,
}

/// A page of re-planning the events of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonePage {
    /// Events looked at.
    pub looked: i64,
    /// Events whose next instant moved.
    pub moved: i64,
    /// Whether it was the last page.
    pub is_done: bool,
    /// The last event of the page.
    pub last: Option<EventId>,
}

/// A page of what follows from a clock set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPage {
    /// Occurrences that were moved.
    pub moved: i64,
    /// Where the next page begins; `None`: there is none.
    pub last: Option<OccurrenceId>,
}
