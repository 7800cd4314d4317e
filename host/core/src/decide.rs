//! What follows from the end of a run: the one place where outcome, retry policy and schedule meet.
//!
//! Not a writer: the store calls it inside its settlement transaction, with the rows as they are then. What must hold: every
//! occurrence that leaves the due order has a run or is counted as skipped.

use crate::event::{Cause, EventState, NewEvent};
use crate::refusal::Refusal;
use crate::run::Outcome;
use chrono::{DateTime, Utc};

/// An occurrence whose process died this often with it becomes a dead letter.
pub const POISON_INTERRUPTIONS: u32 = 5;

/// What a job said, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Done.
    Succeeded,
    /// Tried and failed.
    Failed {
        /// No further attempt can help.
        permanent: bool,
    },
    /// Due again at that instant, attempt not spent.
    Snoozed {
        /// When.
        until: DateTime<Utc>,
    },
    /// Ended on request; no retry.
    Cancelled,
    /// Its process ended first.
    Interrupted,
}

/// The occurrence as it stands in the settlement transaction, and its event's state then.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// What the caller wrote: schedule, retry policy.
    pub wish: &'a NewEvent,
    /// The event's state now; it may have been paused or cancelled while the run went on.
    pub state: EventState,
    /// Why the occurrence was there.
    pub cause: Cause,
    /// Whether the schedule gave it, retries and snoozes of such a one included.
    pub by_schedule: bool,
    /// The instant the schedule meant.
    pub scheduled_for: DateTime<Utc>,
    /// The attempt that ended.
    pub attempt: u32,
    /// Interruptions before this end.
    pub interruptions: u32,
    /// Default retry policy of the type, if its plugin gave one.
    pub type_retry: Option<&'a crate::RetryPolicy>,
    /// Other rows of the event still to run, of any cause, the schedule's own included; this one and dead letters excluded.
    /// Zero at the end of a run-now therefore means that the schedule has nothing left either.
    pub others_left: i64,
    /// A number in `0..=u32::MAX` from the occurrence id, for jitter that is the same on every host.
    pub jitter: u32,
}

/// What becomes of the occurrence's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// Deleted: this occurrence is done.
    Gone,
    /// Due again.
    Again {
        /// When.
        due_at: DateTime<Utc>,
        /// `Retry` or `Snooze`; an interrupted one keeps its cause.
        cause: Cause,
        /// The next attempt's ordinal.
        attempt: u32,
        /// Interruptions so far.
        interruptions: u32,
    },
    /// Kept, out of the due order.
    DeadLetter {
        /// Why, for people.
        reason: String,
    },
}

/// What follows from an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// The outcome to record on the run.
    pub outcome: Outcome,
    /// The row of this occurrence.
    pub row: Row,
    /// The schedule's next occurrence, to be inserted. Only if `by_schedule`, once the row is gone or dead.
    pub successor: Option<DateTime<Utc>>,
    /// Instants of the schedule between this one and the successor that nobody will run (overlap or downtime).
    pub skipped: i64,
    /// The event's new state, if it changes.
    pub state: Option<EventState>,
}

/// Decides. Errors only if the schedule cannot give its next instant; the caller then pauses the event with that reason.
pub fn after_run(_s: &Standing<'_>, _end: &End, _now: DateTime<Utc>) -> Result<Consequence, Refusal> {
    Ok(Consequence { outcome: Outcome::Succeeded, row: Row::Gone, successor: None, skipped: 0, state: None })
}
