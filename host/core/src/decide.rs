//! What follows from the end of a run: the one place where outcome, retry policy and schedule meet.
//!
//! Not a writer: the store calls it inside its settlement transaction, with the rows as they are then. What must hold: every
//! occurrence that leaves the due order has a run or is counted as skipped.

pub mod alert;
pub mod chain;
pub mod late;
mod newest;
pub mod order;
pub mod overlap;
pub mod rate;
pub mod share;
mod skips;
pub mod time_limit;

pub use skips::{Absence, SkipReason, Skips};

use crate::calendar::Calendars;
use crate::decide::overlap::Among;
use crate::event::{Cause, EventState, NewEvent};
use crate::ids::EventId;
use crate::refusal::Refusal;
use crate::run::{Outcome, RetryPolicy, scatter};
use crate::schedule::duration::text;
use crate::schedule::{Misfire, Plan, Rule, Schedule, instant};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// An occurrence whose process died this often with it becomes a dead letter.
pub const POISON_INTERRUPTIONS: u32 = 5;

/// How long an occurrence waits after its first, second … interruption that counts, in milliseconds: from, up to. What ran together when a
/// process died is suspect together; each comes back at its own moment of the span (by its jitter), so that the one that kills the process
/// soon dies alone and its neighbours of then end well. The first wait is short: most processes die of something else.
const SUSPECT_WAITS_MS: [(u64, u64); 4] = [(0, 1_000), (2_000, 4_000), (8_000, 16_000), (30_000, 60_000)];

/// The same for one that is known to have ended the process: no neighbour is blamed for it, so that it need not come back alone. Long enough for
/// what passes by itself to pass.
const CULPRIT_WAITS_MS: [u64; 4] = [100, 400, 1_600, 5_000];

/// No more than this is counted as skipped at once: thirty years of a second's rhythm.
pub const SKIPPED_MAX: i64 = 1_000_000_000;

/// No more than so many instants are asked for their jitter when a run has ended; a rhythm that gives more within its jitter is skipped ahead.
const JITTERED_MAX: usize = 1_000;

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
    Interrupted {
        /// What it had to do with that.
        guilt: Guilt,
    },
}

/// What an interrupted run had to do with the end of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// Nothing: somebody wanted that end, or another run is known to be why.
    Innocent,
    /// It may be why, as may what ran beside it. Counts towards [`POISON_INTERRUPTIONS`].
    Suspect,
    /// It is why: the process said so, or it was all that ran. Counts, too.
    Culprit,
}

/// The occurrence as it stands in the settlement transaction, and its event's state then.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// Which event: the jitter of its occurrences depends on it.
    pub event: EventId,
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
    /// When its first attempt was due, this one if it is the first: a retry's deadline counts from it.
    pub first_due_at: DateTime<Utc>,
    /// The instants of the schedule up to this one are accounted for, if that is further than `scheduled_for`.
    pub counted_to: Option<DateTime<Utc>>,
    /// Occurrences of the schedule that ended before this one.
    pub given: i64,
    /// The named calendars there are.
    pub calendars: &'a Calendars,
    /// The attempt that ended.
    pub attempt: u32,
    /// Interruptions before this end.
    pub interruptions: u32,
    /// Default retry policy of the type, if its plugin gave one.
    pub type_retry: Option<&'a RetryPolicy>,
    /// Other rows of the event still to run, of any cause, the schedule's own included; this one and dead letters excluded.
    /// Zero at the end of a run-now therefore means that the schedule has nothing left either.
    pub others_left: i64,
    /// When the attempt began.
    pub started_at: DateTime<Utc>,
    /// When the run ended, as far as it is not after the settlement: a retry's delay and `After` count from it.
    pub finished_at: DateTime<Utc>,
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
    /// That one was held back by this one: it is due at once, with the cause `queued`.
    pub is_queued: bool,
    /// Instants of the schedule between this one and the successor that nobody will run.
    pub skips: Skips,
    /// The event's new state, if it changes.
    pub state: Option<EventState>,
}

/// Decides. Errors only if the schedule cannot give its next instant (its zone is gone, its text is not understood any more); the caller
/// then pauses the event with [`without_successor`] and that reason. `now` is the instant of the settlement, which may come long after
/// `finished_at` if the store could not write: what the grid gave meanwhile is skipped.
pub fn after_run(s: &Standing<'_>, end: &End, now: DateTime<Utc>) -> Result<Consequence, Refusal> {
    after_run_among(s, &Among::default(), end, now)
}

/// The same where other occurrences of the event wait behind this one, or this one had waited itself: the overlap policy has its say.
pub fn after_run_among(s: &Standing<'_>, among: &Among, end: &End, now: DateTime<Utc>) -> Result<Consequence, Refusal> {
    let outcome = outcome_of(end);
    let row = match row_after(s, end, now) {
        _ if s.state == EventState::Cancelled => Row::Gone,
        Row::Again { .. } if among.is_superseded => Row::Gone,
        row => row,
    };
    let unchanged = Consequence { outcome, row, successor: None, is_queued: false, skips: Skips::default(), state: None };
    if s.state == EventState::Cancelled || matches!(unchanged.row, Row::Again { .. }) {
        return Ok(unchanged);
    }
    let goes_on = matches!(s.state, EventState::Scheduled | EventState::Paused);
    if s.by_schedule && goes_on && s.wish.schedule.recurs() && !among.is_followed {
        let plan = s.wish.schedule.plan(s.calendars)?;
        let Next { at: successor, is_queued, skips } = successor(s, among, &plan, now)?;
        let state = if successor.is_none() { state_at_the_end(s, &unchanged.row) } else { None };
        return Ok(Consequence { successor, is_queued, skips, state, ..unchanged });
    }
    Ok(Consequence { state: state_at_the_end(s, &unchanged.row), ..unchanged })
}

/// The schedule's next occurrence, and what was passed over on the way to it.
struct Next {
    at: Option<DateTime<Utc>>,
    /// It passed while the one before it went on, and waits no longer.
    is_queued: bool,
    skips: Skips,
}

/// The next instant that the schedule gives after this occurrence.
fn successor(s: &Standing<'_>, among: &Among, plan: &Plan<'_>, now: DateTime<Utc>) -> Result<Next, Refusal> {
    let to_come = |at| Next { at, is_queued: false, skips: Skips::default() };
    if s.wish.schedule.terms.max_runs.is_some_and(|most| s.given.saturating_add(1) >= i64::from(most)) {
        return Ok(to_come(None));
    }
    if let Rule::After { .. } = s.wish.schedule.rule {
        return Ok(to_come(plan.next_after(completion(s, now))?));
    }
    let after = s.counted_to.map_or(s.scheduled_for, |to| to.max(s.scheduled_for));
    // What passed until it was let go was held up as it was itself; what was missed from then until the first attempt began was not.
    let held = among.held_until.map_or(after, |until| until.clamp(after, now.max(after)));
    let began = if s.attempt == 1 { s.started_at.clamp(held, now.max(held)) } else { held };
    if s.wish.schedule.terms.misfire == Misfire::All
        && let Some(next) = plan.next_within(after, began)?
    {
        return Ok(Next { is_queued: next <= held, ..to_come(Some(next)) });
    }
    if after > now && s.wish.schedule.is_elapsed_like() {
        // The clock was set back while it ran: an elapsed rhythm goes on from here, it does not wait until the clock has caught up.
        return Ok(to_come(plan.next_after(now)?));
    }
    let (next, passed) = onward(s.event, &s.wish.schedule, plan, after, now)?;
    let waiting = overlap::first_of_waiting(s.wish.policy.overlap, among.queued, plan, after, passed)?;
    // Up to the one that waits, or to all that passed.
    let until = waiting.and_then(just_before).unwrap_or(passed);
    let mut skips = Skips::default();
    for (reason, from, to) in [(SkipReason::Overlap, after, held), (SkipReason::Late, held, began), (SkipReason::Overlap, began, passed)] {
        skips.add(reason, plan.count(from.min(until), to.min(until), SKIPPED_MAX)?);
    }
    Ok(Next { at: waiting.or(next), is_queued: waiting.is_some(), skips })
}

fn just_before(instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    instant.checked_sub_signed(TimeDelta::microseconds(1))
}

/// The next instant to come after what is accounted for, and up to where what lies before it has passed: up to now, or to just before what
/// of it is still to come by its jitter. A clock set back must not repeat what was run.
fn onward(
    event: EventId,
    schedule: &Schedule,
    plan: &Plan<'_>,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, DateTime<Utc>), Refusal> {
    let from = now.max(after);
    let next = match not_due_yet(event, schedule, plan, after, from)? {
        Some(next) => Some(next),
        None => plan.next_after(from)?,
    };
    Ok((next, next.and_then(just_before).map_or(from, |before| before.min(from))))
}

/// The first instant after `after`, up to `now`, that its jitter makes due later than `now`: nothing overlapped it.
fn not_due_yet(
    event: EventId,
    schedule: &Schedule,
    plan: &Plan<'_>,
    after: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Refusal> {
    let Some(jitter) = schedule.terms.jitter.and_then(|jitter| TimeDelta::from_std(jitter).ok()) else { return Ok(None) };
    let mut last = now.checked_sub_signed(jitter).map_or(after, |earliest| earliest.max(after));
    for _ in 0..JITTERED_MAX {
        match plan.next_within(last, now)? {
            Some(next) if schedule.due_at(event, next) > now => return Ok(Some(next)),
            Some(next) => last = next,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// What follows when [`after_run`] was refused by the schedule, or when there is no schedule that can be read: the row and the outcome as
/// ever, no successor, and the event, if it is open, paused until somebody mends its schedule and resumes it.
#[must_use]
pub fn without_successor(s: &Standing<'_>, end: &End, now: DateTime<Utc>) -> Consequence {
    let row = if s.state == EventState::Cancelled { Row::Gone } else { row_after(s, end, now) };
    let is_open = matches!(s.state, EventState::Scheduled | EventState::Paused);
    let state = is_open.then_some(EventState::Paused);
    Consequence { outcome: outcome_of(end), row, successor: None, is_queued: false, skips: Skips::default(), state }
}

fn outcome_of(end: &End) -> Outcome {
    match end {
        End::Succeeded => Outcome::Succeeded,
        End::Failed { .. } => Outcome::Failed,
        End::Snoozed { .. } => Outcome::Snoozed,
        End::Cancelled => Outcome::Cancelled,
        End::Interrupted { .. } => Outcome::Interrupted,
    }
}

fn row_after(s: &Standing<'_>, end: &End, now: DateTime<Utc>) -> Row {
    match end {
        End::Succeeded | End::Cancelled => Row::Gone,
        End::Failed { permanent: true } => Row::DeadLetter { reason: "the job said that no further attempt can help".to_owned() },
        End::Failed { permanent: false } => {
            let default = RetryPolicy::default();
            let policy = s.wish.retry.as_ref().or(s.type_retry).unwrap_or(&default);
            if s.attempt >= policy.attempts {
                return Row::DeadLetter { reason: format!("attempt {} of {} failed", s.attempt, policy.attempts.max(1)) };
            }
            let due_at = later(completion(s, now), policy.delay_after(s.attempt, s.jitter));
            if let Some(deadline) = policy.deadline().filter(|deadline| due_at > later(s.first_due_at, *deadline)) {
                let (attempt, of) = (s.attempt, policy.attempts);
                return Row::DeadLetter {
                    reason: format!(
                        "attempt {attempt} of {of} failed, and the next would be due past the retry deadline of {}",
                        text(deadline)
                    ),
                };
            }
            Row::Again { due_at, cause: Cause::Retry, attempt: s.attempt + 1, interruptions: s.interruptions }
        }
        End::Snoozed { until } => {
            let due_at = instant::to_micros((*until).clamp(now, instant::last()));
            Row::Again { due_at, cause: Cause::Snooze, attempt: s.attempt, interruptions: s.interruptions }
        }
        End::Interrupted { guilt: Guilt::Innocent } => {
            Row::Again { due_at: instant::to_micros(now), cause: s.cause, attempt: s.attempt, interruptions: s.interruptions }
        }
        End::Interrupted { guilt: guilt @ (Guilt::Suspect | Guilt::Culprit) } => {
            let interruptions = s.interruptions.saturating_add(1);
            if interruptions >= POISON_INTERRUPTIONS {
                return Row::DeadLetter { reason: format!("its process ended {interruptions} times while it ran (poison)") };
            }
            let due_at = later(now, apart(*guilt, interruptions, s.jitter));
            Row::Again { due_at, cause: s.cause, attempt: s.attempt, interruptions }
        }
    }
}

/// The event's new state when this occurrence is over and the schedule gives no other. Only an operator's word ends a manual event.
fn state_at_the_end(s: &Standing<'_>, row: &Row) -> Option<EventState> {
    let is_over = s.others_left == 0;
    let is_dead = matches!(row, Row::DeadLetter { .. });
    let completed = |when: bool| when.then_some(EventState::Completed);
    match (&s.wish.schedule.rule, s.state) {
        // What follows others ends by another word: `chain`.
        (Rule::Manual | Rule::Follows { .. }, _) | (_, EventState::Completed | EventState::Cancelled) => None,
        (Rule::Once { .. }, EventState::Scheduled | EventState::Paused) if s.by_schedule && is_dead => Some(EventState::Discarded),
        (Rule::Once { .. }, EventState::Scheduled | EventState::Paused) => completed(is_over),
        // A dead letter that was put back, and is done now.
        (Rule::Once { .. }, EventState::Discarded) => completed(is_over && s.by_schedule && !is_dead),
        (_, EventState::Scheduled) => completed(is_over),
        // Held without an occurrence of its own: its schedule could not give the next instant. A resume asks again.
        (_, EventState::Paused) => completed(is_over && s.by_schedule),
        (_, EventState::Discarded) => None,
    }
}

/// When the run ended; a clock that was set back since must not make that the future.
fn completion(s: &Standing<'_>, now: DateTime<Utc>) -> DateTime<Utc> {
    s.finished_at.min(now)
}

/// The wait after so many interruptions (from 1), the same on every host.
fn apart(guilt: Guilt, interruptions: u32, jitter: u32) -> Duration {
    let place = usize::try_from(interruptions.saturating_sub(1)).unwrap_or(usize::MAX);
    if guilt == Guilt::Culprit {
        return Duration::from_millis(CULPRIT_WAITS_MS[place.min(CULPRIT_WAITS_MS.len() - 1)]);
    }
    let (from, to) = SUSPECT_WAITS_MS[place.min(SUSPECT_WAITS_MS.len() - 1)];
    Duration::from_micros(from * 1_000 + (((to - from) * 1_000 * u64::from(scatter(jitter, interruptions))) >> 32))
}

fn later(now: DateTime<Utc>, delay: Duration) -> DateTime<Utc> {
    let due = TimeDelta::from_std(delay).ok().and_then(|delay| now.checked_add_signed(delay));
    instant::to_micros(due.map_or_else(instant::last, |due| due.min(instant::last())))
}
