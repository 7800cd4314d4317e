//! Chains: when an event that follows others runs, and when it never can again.
//!
//! Not a writer: the store asks inside the transaction that settles an upstream run. What must hold: an end counts for the links that wait for
//! it and for no others, a full set of marks is one run, and an event that nothing can start any more is ended with the reason.

use super::Row;
use crate::event::EventState;
use crate::ids::EventId;
use crate::run::Outcome;
use crate::schedule::Terms;
use crate::schedule::follows::On;
use chrono::{DateTime, Utc};

/// The longest way from the first event of a chain to its last.
pub const DEPTH_MAX: usize = 32;
/// The most open events that follow one event: its settlement stores what they run.
pub const FOLLOWERS_MAX: usize = 1_000;

/// How an occurrence came to its end for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// A run of it succeeded.
    Success,
    /// It became a dead letter.
    Failure,
    /// Neither: it was cancelled.
    Cancelled,
}

impl Over {
    /// What a settlement made of an occurrence; `None` if it runs again.
    #[must_use]
    pub fn of(outcome: Outcome, row: &Row) -> Option<Self> {
        match (row, outcome) {
            (Row::Again { .. }, _) | (_, Outcome::Lost) => None,
            (Row::DeadLetter { .. }, _) => Some(Self::Failure),
            (Row::Gone, Outcome::Succeeded) => Some(Self::Success),
            // Of an event that was cancelled meanwhile: there is no retry.
            (Row::Gone, Outcome::Failed) => Some(Self::Failure),
            (Row::Gone, Outcome::Cancelled | Outcome::Interrupted | Outcome::Snoozed) => Some(Self::Cancelled),
        }
    }

    /// What the last run of an event says about its last occurrence, now that the event has ended.
    #[must_use]
    pub fn last(outcome: Outcome, state: EventState) -> Option<Self> {
        match (outcome, state) {
            (_, EventState::Scheduled | EventState::Paused) | (Outcome::Lost, _) => None,
            (Outcome::Succeeded, _) => Some(Self::Success),
            (Outcome::Failed, _) | (Outcome::Interrupted, EventState::Discarded) => Some(Self::Failure),
            (Outcome::Cancelled | Outcome::Snoozed | Outcome::Interrupted, _) => Some(Self::Cancelled),
        }
    }

    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "succeeded",
            Self::Failure => "failed for good",
            Self::Cancelled => "was cancelled",
        }
    }
}

impl On {
    /// Whether such an end counts.
    #[must_use]
    pub fn counts(self, over: Over) -> bool {
        match self {
            Self::Success => over == Over::Success,
            Self::Failure => over == Over::Failure,
            Self::Any => true,
        }
    }
}

/// A link as it stands in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Which event is followed.
    pub event: EventId,
    /// Which end of it counts.
    pub on: On,
    /// Whether there was one since the follower ran last.
    pub satisfied: bool,
    /// The event's state now; `None`: it is pruned.
    pub state: Option<EventState>,
}

impl Followed {
    fn is_open(&self) -> bool {
        matches!(self.state, Some(EventState::Scheduled | EventState::Paused))
    }
}

/// An open event that follows others, as it stands in the transaction.
#[derive(Clone, Copy, Debug)]
pub struct Follower<'a> {
    /// What it follows.
    pub links: &'a [Followed],
    /// Its terms.
    pub terms: &'a Terms,
    /// How often it was set off.
    pub given: i64,
    /// Rows of it still to run, dead letters excluded.
    pub rows_left: i64,
}

/// How an event is ended that can never run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Completed or discarded.
    pub state: EventState,
    /// Why, if it is discarded.
    pub reason: Option<String>,
}

impl Follower<'_> {
    /// Whether an upstream end at this instant counts at all.
    #[must_use]
    pub fn hears(&self, at: DateTime<Utc>) -> bool {
        !self.is_spent() && self.terms.start.is_none_or(|start| at >= start) && self.terms.end.is_none_or(|end| at <= end)
    }

    /// Whether it is to run now: every link has its mark.
    #[must_use]
    pub fn fires(&self) -> bool {
        !self.is_spent() && !self.links.is_empty() && self.links.iter().all(|link| link.satisfied)
    }

    /// How it is to be ended, if nothing of it is left to run and nothing can ever set it off again.
    #[must_use]
    pub fn ending(&self, now: DateTime<Utc>) -> Option<Ending> {
        if self.rows_left > 0 {
            return None;
        }
        let completed = Ending { state: EventState::Completed, reason: None };
        if self.is_spent() || self.terms.end.is_some_and(|end| end < now) {
            return Some(completed);
        }
        let lost = self.links.iter().find(|link| !link.satisfied && !link.is_open())?;
        // It had its runs, and what it follows came to its own end.
        if self.given > 0 && lost.state != Some(EventState::Cancelled) {
            return Some(completed);
        }
        let how = match lost.state {
            Some(EventState::Completed) => format!("is completed without the end that counts ({})", lost.on.word()),
            Some(EventState::Cancelled) => "was cancelled".to_owned(),
            Some(EventState::Discarded) => "was discarded".to_owned(),
            Some(EventState::Scheduled | EventState::Paused) | None => "is not there any more".to_owned(),
        };
        let again = if self.given > 0 { "again" } else { "at all" };
        let reason = format!("event {}, which it follows, {how}: it can never run {again}", lost.event);
        Some(Ending { state: EventState::Discarded, reason: Some(reason) })
    }

    fn is_spent(&self) -> bool {
        self.terms.max_runs.is_some_and(|most| self.given >= i64::from(most))
    }
}
