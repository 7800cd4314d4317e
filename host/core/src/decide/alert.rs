//! When an alert is raised, repeated and over: conditions on what did not run, failed, or began late.
//!
//! Not the telling: the host stores an event with what is said here. What must hold: one episode is raised once, however often somebody looks;
//! what cannot be known yet changes nothing.

mod told;

pub use told::{described, filled};

use crate::ids::{EventId, OccurrenceId};
use crate::policy::span;
use crate::refusal::{Blame, Refusal};
use crate::schedule::duration;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The host looks each quarter of a minute: what is shorter is never seen in time.
const LEAST: Duration = Duration::from_secs(1);
/// No longer row of failures is asked about.
const ROW_MAX: u32 = 1_000;

type Instant = DateTime<Utc>;

/// What somebody wants to hear of: about one event or one type, one condition, and what is scheduled when it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// About this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// About all events of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// No run succeeded for so long.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub did_not_run: Option<Duration>,
    /// So many attempts failed, with no success in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// An occurrence began later than so long after it was due, or is that late and has not begun.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub late: Option<Duration>,
    /// The event type that is told.
    pub notify: String,
    /// Its arguments: see [`filled`].
    #[serde(default = "no_args")]
    pub args: Value,
    /// Told again after so long, if it still holds.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub again: Option<Duration>,
}

fn no_args() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The one condition of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// See [`Alert::did_not_run`].
    DidNotRun(Duration),
    /// See [`Alert::failed`].
    Failed(u32),
    /// See [`Alert::late`].
    Late(Duration),
}

impl Condition {
    /// Its word in the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::DidNotRun(_) => "did_not_run",
            Self::Failed(_) => "failed",
            Self::Late(_) => "late",
        }
    }

    /// Its bound, as it was written.
    #[must_use]
    pub fn bound(self) -> Value {
        match self {
            Self::DidNotRun(span) | Self::Late(span) => duration::text(span).into(),
            Self::Failed(row) => row.into(),
        }
    }
}

impl Alert {
    /// The condition; the first, if there is more than one.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        let did_not_run = self.did_not_run.map(Condition::DidNotRun);
        did_not_run.or_else(|| self.failed.map(Condition::Failed)).or_else(|| self.late.map(Condition::Late))
    }

    /// What it is about, for people.
    #[must_use]
    pub fn subject(&self) -> String {
        match (&self.event, &self.event_type) {
            (Some(event), _) => format!("event {event}"),
            (None, name) => format!("`{}`", name.as_deref().unwrap_or_default()),
        }
    }

    /// Refuses (`INP042`) what cannot be meant.
    ///
    /// # Errors
    /// With what would have been right.
    pub fn check(&self) -> Result<(), Refusal> {
        let refused = |said: &str| Refusal::new("INP042", Blame::Input, said);
        if self.event.is_some() == self.event_type.is_some() {
            return Err(refused("an alert is about one thing").expected("either `event` or `event_type`"));
        }
        let said = [self.did_not_run.is_some(), self.failed.is_some(), self.late.is_some()];
        if said.iter().filter(|said| **said).count() != 1 {
            return Err(refused("an alert has one condition").expected("one of `did_not_run`, `failed`, `late`").remedy("set two alerts"));
        }
        for (name, span) in [("did_not_run", self.did_not_run), ("late", self.late), ("again", self.again)] {
            if let Some(short) = span.filter(|span| *span < LEAST) {
                let refusal = refused(&format!("`{name}` is too short")).expected(format!("at least {}", duration::text(LEAST)));
                return Err(refusal.found(duration::text(short)));
            }
        }
        if let Some(row) = self.failed.filter(|row| !(1..=ROW_MAX).contains(row)) {
            return Err(refused("`failed` is no row of failures").expected(format!("1 to {ROW_MAX}")).found(row.to_string()));
        }
        if !self.args.is_object() {
            return Err(refused("the arguments of the notification are no object").expected("a JSON object").found(self.args.to_string()));
        }
        Ok(())
    }
}

/// How an alert stands, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertStanding {
    /// The condition holds, seen first then.
    pub raised_at: Option<Instant>,
    /// When it was told last.
    pub told_at: Option<Instant>,
    /// How often, in this episode.
    pub times: u32,
    /// Episodes so far.
    pub episodes: u64,
    /// What was said, for people.
    pub text: Option<String>,
    /// The event that told it last.
    pub notified: Option<EventId>,
    /// Why it could not be told; it is tried again at each look.
    pub trouble: Option<String>,
    /// Runs up to this number were looked at for lateness.
    pub seen: i64,
}

/// An occurrence that is or was late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateOne {
    /// Which, if that is known.
    pub occurrence: Option<OccurrenceId>,
    /// When it was due.
    pub due_at: Instant,
    /// When it began; none: it has not.
    pub started_at: Option<Instant>,
}

/// What was found about an alert's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFacts {
    /// Something of it should run: an event that is neither paused nor over; of a type, at least one.
    pub is_on: bool,
    /// From when on a run is waited for, if none has succeeded since: the event was created, resumed or edited, or the alert was set.
    pub waited_from: Instant,
    /// When one succeeded last.
    pub last_success: Option<Instant>,
    /// How many attempts failed since.
    pub failed_in_a_row: u64,
    /// What the last one that failed said.
    pub last_error: Option<String>,
    /// The latest of those looked at that are or were too late.
    pub late: Option<LateOne>,
    /// One began in time, of those looked at.
    pub is_in_time: bool,
}

/// What is to be done about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing.
    Stay,
    /// It is told: a new episode, or the same once more.
    Tell {
        /// The condition began then.
        since: Instant,
        /// Whether it was told before in this episode.
        again: bool,
        /// One sentence.
        text: String,
    },
    /// It no longer holds.
    Clear,
}

enum Holds {
    Yes {
        since: Instant,
        text: String,
    },
    No,
    /// Nothing new is known.
    AsBefore,
}

/// What is to be done about an alert, by what was found.
#[must_use]
pub fn alert(alert: &Alert, standing: &AlertStanding, facts: &AlertFacts, now: Instant) -> Move {
    match (holds(alert, facts, now), standing.raised_at) {
        (Holds::Yes { since, text }, None) => Move::Tell { since, again: false, text },
        (Holds::Yes { since, text }, Some(_)) => {
            let again = alert.again.and_then(|again| TimeDelta::from_std(again).ok());
            let is_due = again.zip(standing.told_at).is_some_and(|(again, told_at)| now - told_at >= again);
            // Of what is paused or over nobody need be told twice.
            if is_due && facts.is_on { Move::Tell { since, again: true, text } } else { Move::Stay }
        }
        (Holds::No, Some(_)) => Move::Clear,
        (Holds::No, None) | (Holds::AsBefore, _) => Move::Stay,
    }
}

fn holds(alert: &Alert, facts: &AlertFacts, now: Instant) -> Holds {
    let subject = alert.subject();
    match alert.condition() {
        Some(Condition::DidNotRun(within)) => {
            let since = facts.last_success.map_or(facts.waited_from, |at| at.max(facts.waited_from));
            let is_over = TimeDelta::from_std(within).is_ok_and(|within| now - since > within);
            if !facts.is_on || !is_over {
                return Holds::No;
            }
            let last = facts
                .last_success
                .map_or_else(|| "no success is known".to_owned(), |at| format!("the last success was at {}", told::at(at)));
            Holds::Yes { since, text: format!("{subject} has not succeeded for {}: {last}", duration::words(within)) }
        }
        Some(Condition::Failed(row)) if facts.failed_in_a_row >= u64::from(row) => {
            let said = facts.last_error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
            let times = facts.failed_in_a_row;
            let text = format!("{subject} failed {times} time{} in a row{said}", if times == 1 { "" } else { "s" });
            Holds::Yes { since: facts.last_success.unwrap_or(facts.waited_from), text }
        }
        Some(Condition::Late(by)) => match (&facts.late, facts.is_in_time) {
            (Some(late), _) => Holds::Yes { since: late.due_at, text: told::late(&subject, late, by, now) },
            (None, true) => Holds::No,
            (None, false) if !facts.is_on => Holds::No,
            (None, false) => Holds::AsBefore,
        },
        Some(Condition::Failed(_)) | None => Holds::No,
    }
}
