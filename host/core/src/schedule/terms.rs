//! The terms of a schedule: what bounds and bends its times, and what becomes of those that were missed.
//!
//! Not their effect: bounds and calendars are the plan's, misfire is `decide::late`'s, jitter has a file of its own. What must hold: terms that
//! contradict themselves, or do not go with the kind, are refused with the name of the one that is wrong.

use super::{Fold, Gap, duration, in_reach, text};
use crate::refusal::{Blame, Refusal};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest jitter.
pub const JITTER_MOST: Duration = Duration::from_secs(86_400);
/// The most calendars that one schedule names.
pub const CALENDARS_MAX: usize = 16;
/// How far back a missed occurrence is made up for, when nobody says.
pub const CATCH_UP: Duration = Duration::from_secs(86_400);

/// What is done about occurrences that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// One run for all of them, meant for the latest.
    #[default]
    Latest,
    /// One run for all of them, meant for the earliest within the window.
    Earliest,
    /// Each within the window, up to a cap, the newest.
    All,
    /// None: they are counted as skipped.
    Skip,
}

/// Bounds of a rule, and what happens at clock changes, on closed days and after downtime.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// Times that the clocks jump over; absent = as the class of the rule says.
    pub gap: Option<Gap>,
    /// Times that come twice; absent = as the class of the rule says.
    pub fold: Option<Fold>,
    /// No instant before this one.
    pub start: Option<DateTime<Utc>>,
    /// No instant after this one.
    pub end: Option<DateTime<Utc>>,
    /// The event is completed after so many occurrences of its schedule have been run, at least 1.
    pub max_runs: Option<u32>,
    /// An occurrence that has not started so long after its instant is skipped.
    pub expires: Option<Duration>,
    /// Each occurrence is due up to so much after its instant, by a part that depends on event and instant only.
    pub jitter: Option<Duration>,
    /// No instant inside any of these calendars.
    pub exclude: Vec<String>,
    /// Only instants inside all of these calendars.
    pub only: Vec<String>,
    /// What is done about missed occurrences.
    pub misfire: Misfire,
    /// How far back they are made up for; absent = [`CATCH_UP`].
    pub catch_up: Option<Duration>,
}

impl Terms {
    /// The window for what was missed.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.catch_up.unwrap_or(CATCH_UP)
    }

    /// Refuses (`INP016`) what contradicts itself or does not go with the kind.
    pub(super) fn check(&self, kind: &str) -> Result<(), Refusal> {
        let refused = |message: String| Refusal::new("INP016", Blame::Input, message);
        if let (Some(start), Some(end)) = (self.start, self.end)
            && end < start
        {
            return Err(refused("the schedule ends before it starts".to_owned()).found(format!(
                "start {}, end {}",
                text::instant_text(start),
                text::instant_text(end)
            )));
        }
        self.start.into_iter().chain(self.end).try_for_each(|bound| in_reach(bound).map(drop))?;
        let is_recurring = [
            ("start", self.start.is_some()),
            ("end", self.end.is_some()),
            ("max_runs", self.max_runs.is_some()),
            ("exclude", !self.exclude.is_empty()),
            ("only", !self.only.is_empty()),
            ("misfire", self.misfire != Misfire::default()),
            ("catch_up", self.catch_up.is_some()),
        ];
        let has_zone = [("gap", self.gap.is_some()), ("fold", self.fold.is_some())];
        let is_timed = [("jitter", self.jitter.is_some()), ("expires", self.expires.is_some())];
        let allowed = match kind {
            "manual" => &[][..],
            "once" => &["jitter", "expires"],
            "follows" => &["start", "end", "max_runs", "jitter", "expires"],
            "after" => &["start", "end", "max_runs", "exclude", "only", "misfire", "catch_up", "jitter", "expires"],
            _ => &["start", "end", "max_runs", "exclude", "only", "misfire", "catch_up", "jitter", "expires", "gap", "fold"],
        };
        for (name, is_given) in is_recurring.into_iter().chain(has_zone).chain(is_timed) {
            if is_given && !allowed.contains(&name) {
                return Err(
                    refused(format!("`{name}` does not go with `{kind}`")).remedy(format!("leave `{name}` out, or use another kind"))
                );
            }
        }
        if self.max_runs == Some(0) {
            return Err(refused("`max_runs` is 0".to_owned()).expected("1 or more"));
        }
        if self.jitter.is_some_and(|jitter| jitter > JITTER_MOST) {
            return Err(refused("the jitter is too long".to_owned()).expected(format!("at most {}", duration::text(JITTER_MOST))));
        }
        if self.exclude.len().max(self.only.len()) > CALENDARS_MAX {
            return Err(refused("the schedule names too many calendars".to_owned()).expected(format!("at most {CALENDARS_MAX}")));
        }
        Ok(())
    }
}
