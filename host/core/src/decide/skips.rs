//! Why occurrences were not run, and how many.
//!
//! Not the decision to skip. What must hold: an occurrence is counted under exactly one reason.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why an occurrence of a schedule was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The host did not run.
    Downtime,
    /// Nobody served the event type.
    Unresolved,
    /// The host ran and was late: too much to do, suspended, or its clock was set forward.
    Late,
    /// The event was paused.
    Paused,
    /// The run before it went on.
    Overlap,
    /// It had not started when it expired.
    Expired,
    /// It was missed longer ago than the catch-up window, or there were more than are made up for.
    CatchUp,
    /// The schedule was changed before it ran.
    Edited,
}

impl SkipReason {
    /// Each of them.
    pub const ALL: [Self; 8] =
        [Self::Downtime, Self::Unresolved, Self::Late, Self::Paused, Self::Overlap, Self::Expired, Self::CatchUp, Self::Edited];

    /// The word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Downtime => "downtime",
            Self::Unresolved => "unresolved",
            Self::Late => "late",
            Self::Paused => "paused",
            Self::Overlap => "overlap",
            Self::Expired => "expired",
            Self::CatchUp => "catch_up",
            Self::Edited => "edited",
        }
    }
}

/// Skipped occurrences by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skips(Vec<(SkipReason, i64)>);

impl Skips {
    /// So many of one reason.
    #[must_use]
    pub fn of(reason: SkipReason, count: i64) -> Self {
        let mut skips = Self::default();
        skips.add(reason, count);
        skips
    }

    /// Counts more.
    pub fn add(&mut self, reason: SkipReason, count: i64) {
        match self.0.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None if count > 0 => self.0.push((reason, count)),
            None => {}
        }
    }

    /// Each reason with its count, none of them zero.
    pub fn iter(&self) -> impl Iterator<Item = (SkipReason, i64)> + '_ {
        self.0.iter().copied()
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// Until when which reason is the one to be named.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// Up to this instant the host was down.
    pub host_since: DateTime<Utc>,
    /// Up to this instant, and not down, nobody served the type.
    pub type_since: DateTime<Utc>,
    /// What it was later.
    pub otherwise: SkipReason,
}

impl Absence {
    /// One reason for all.
    #[must_use]
    pub fn always(reason: SkipReason) -> Self {
        Self { host_since: DateTime::<Utc>::MIN_UTC, type_since: DateTime::<Utc>::MIN_UTC, otherwise: reason }
    }

    /// The stretches after `after`, up to and including `until`, each with its reason.
    pub(super) fn stretches(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> [(SkipReason, DateTime<Utc>, DateTime<Utc>); 3] {
        let until = until.max(after);
        let host = self.host_since.clamp(after, until);
        let served = self.type_since.clamp(host, until);
        [(SkipReason::Downtime, after, host), (SkipReason::Unresolved, host, served), (self.otherwise, served, until)]
    }

    /// The reason of one instant.
    pub(super) fn of(&self, instant: DateTime<Utc>) -> SkipReason {
        match instant {
            _ if instant <= self.host_since => SkipReason::Downtime,
            _ if instant <= self.type_since => SkipReason::Unresolved,
            _ => self.otherwise,
        }
    }
}
