//! What has to follow from the end of a run: the table of outcomes, said once more over the model.
//!
//! Not the product's `decide`. What must hold: written from the design and the state diagram.

use super::book::{Entry, Place};
use super::timing::{Micros, Rule, SECOND};
use super::verdict::Verdict;
use sexton_core::decide::{End, Guilt, SkipReason};
use sexton_core::schedule::Misfire;
use sexton_core::{Cause, EventState, Outcome};

/// So many deaths of its process make a dead letter.
const POISON: u32 = 5;
/// Waits after each death before that: from, up to, in seconds.
const SUSPECT: [(Micros, Micros); 4] = [(0, SECOND), (2 * SECOND, 4 * SECOND), (8 * SECOND, 16 * SECOND), (30 * SECOND, 60 * SECOND)];
const CULPRIT: [Micros; 4] = [SECOND / 10, 4 * SECOND / 10, 16 * SECOND / 10, 5 * SECOND];
/// Of the policy that all events of the test have.
pub const FIRST_DELAY: Micros = 10 * SECOND;
pub const MOST_DELAY: Micros = 60 * SECOND;

/// When a run began and ended, and when that is written.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub started: Micros,
    pub finished: Micros,
    pub now: Micros,
}

pub fn outcome(end: &End) -> Outcome {
    match end {
        End::Succeeded => Outcome::Succeeded,
        End::Failed { .. } => Outcome::Failed,
        End::Snoozed { .. } => Outcome::Snoozed,
        End::Cancelled => Outcome::Cancelled,
        End::Interrupted { .. } => Outcome::Interrupted,
    }
}

/// What is left of an occurrence.
enum Left {
    Nothing,
    Dead,
    Again,
}

impl Entry {
    /// An occurrence's run ended. The clock of the host is `times.now`.
    pub fn ends(&mut self, n: i64, end: &End, times: Times) -> Verdict {
        if self.state == EventState::Cancelled {
            self.rows.remove(&n);
            return Ok(());
        }
        let left = self.what_is_left(n, end, times);
        let others = self.others(n);
        let row = self.rows[&n].clone();
        match left {
            Left::Again => return Ok(()),
            Left::Nothing => drop(self.rows.remove(&n)),
            Left::Dead => self.rows.get_mut(&n).expect("there").place = Place::Dead,
        }
        let is_dead = matches!(left, Left::Dead);
        if row.by_schedule {
            self.given += 1;
            if self.timing.grid().is_some() || !self.timing.recurs() {
                self.account(row.era, row.meant, "run")?;
            }
        }
        if row.by_schedule
            && self.is_open()
            && self.timing.recurs()
            && let Some(next) = self.successor(&row, times)?
        {
            self.give_next(next);
            return Ok(());
        }
        self.may_be_over(row.by_schedule, is_dead, others, times.finished);
        Ok(())
    }

    /// The row after the end.
    fn what_is_left(&mut self, n: i64, end: &End, times: Times) -> Left {
        let completed = times.finished.min(times.now);
        let (attempts, is_paused) = (self.attempts, self.state == EventState::Paused);
        let row = self.rows.get_mut(&n).expect("there");
        match end {
            End::Succeeded | End::Cancelled => return Left::Nothing,
            End::Failed { permanent: true } => return Left::Dead,
            End::Failed { .. } if row.attempt >= attempts => return Left::Dead,
            End::Failed { .. } => {
                let most = (FIRST_DELAY << (row.attempt - 1)).min(MOST_DELAY);
                (row.due, row.due_most, row.cause, row.attempt) = (completed, completed + most, Cause::Retry, row.attempt + 1);
            }
            End::Snoozed { until } => {
                row.due_at(super::timing::micros(*until).max(times.now));
                row.cause = Cause::Snooze;
            }
            End::Interrupted { guilt: Guilt::Innocent } => row.due_at(times.now),
            End::Interrupted { .. } if row.interruptions + 1 >= POISON => return Left::Dead,
            End::Interrupted { guilt } => {
                let place = usize::try_from(row.interruptions).expect("few");
                let (from, to) = if *guilt == Guilt::Culprit { (CULPRIT[place], CULPRIT[place]) } else { SUSPECT[place] };
                (row.due, row.due_most, row.interruptions) = (times.now + from, times.now + to, row.interruptions + 1);
            }
        }
        row.place = if is_paused { Place::Held } else { Place::Waiting };
        Left::Again
    }

    /// The schedule's next instant, with what was passed over.
    fn successor(&mut self, row: &super::book::Row, times: Times) -> Result<Option<Micros>, String> {
        if self.timing.max_runs.is_some_and(|most| self.given >= most) {
            return Ok(None);
        }
        if let Rule::After(_) = self.timing.rule {
            return Ok(self.timing.next_after(times.finished.min(times.now)));
        }
        let (counted, now) = (row.accounted(), times.now);
        if counted > now && self.timing.is_elapsed_like() {
            // The clock was set back while it ran: the rhythm goes on from here.
            self.begin_era(now);
            return Ok(self.timing.next_after(now));
        }
        // Missed before it began: late. Missed while it ran, the first attempt too: overlapped.
        let began = if row.attempt == 1 { times.started } else { Micros::MIN };
        let passed = self.timing.within(counted, now);
        if let (Misfire::All, Some(first)) = (self.timing.misfire, passed.first().filter(|first| **first <= began)) {
            return Ok(Some(*first));
        }
        let why = |instant: &Micros| (if *instant <= began { SkipReason::Late } else { SkipReason::Overlap }, *instant);
        let skipped: Vec<_> = passed.iter().map(why).collect();
        self.skip(self.era, &skipped)?;
        Ok(self.timing.next_after(now.max(counted)))
    }

    /// An occurrence is over, and the schedule gives no other.
    fn may_be_over(&mut self, by_schedule: bool, is_dead: bool, others: usize, finished: Micros) {
        let to = match (self.timing.rule, self.state) {
            // Only an operator's word ends it.
            (Rule::Manual, _) => return,
            (Rule::Once(_), EventState::Scheduled | EventState::Paused) if by_schedule && is_dead => EventState::Discarded,
            (Rule::Once(_), EventState::Scheduled | EventState::Paused) if others == 0 => EventState::Completed,
            // A dead letter that was put back.
            (Rule::Once(_), EventState::Discarded) if by_schedule && !is_dead && others == 0 => EventState::Completed,
            (Rule::Once(_), _) => return,
            (_, EventState::Scheduled) if others == 0 => EventState::Completed,
            (_, EventState::Paused) if others == 0 && by_schedule => EventState::Completed,
            _ => return,
        };
        self.state = to;
        self.finished = self.finished.or(Some(finished));
    }
}
