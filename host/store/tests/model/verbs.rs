//! What the verbs on an event have to do to it, over the model.
//!
//! Not the store's calls (`world_verbs`). What must hold: a refusal changes nothing; its code is said before anything is touched.

use super::book::{Entry, Place};
use super::late::{Away, judge};
use super::ops::Wish;
use super::timing::{Micros, Rule, Timing};
use super::verdict::Verdict;
use sexton_core::decide::SkipReason;
use sexton_core::{Cause, EventState};

/// Done, or refused with a code; or the account does not balance.
pub enum Answer {
    Done,
    Refused(&'static str),
    Fault(String),
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        verdict.map_or_else(Self::Fault, |()| Self::Done)
    }
}

/// Whether a claim of that ordinal is of a run that goes on.
pub type IsRunning<'a> = &'a dyn Fn(i64) -> bool;

impl Entry {
    pub fn pause(&mut self, is_running: IsRunning<'_>) -> Answer {
        if self.state != EventState::Scheduled {
            return Answer::Refused("INP010");
        }
        self.state = EventState::Paused;
        for (n, row) in &mut self.rows {
            match row.place {
                Place::Waiting => row.place = Place::Held,
                Place::Claimed(_) if !is_running(*n) => row.place = Place::Held,
                _ => {}
            }
        }
        Answer::Done
    }

    /// What fell due meanwhile is judged as one that was found late.
    pub fn resume(&mut self, now: Micros) -> Answer {
        if self.state != EventState::Paused {
            return Answer::Refused("INP010");
        }
        let mut resumed = self.clone();
        resumed.state = EventState::Scheduled;
        resumed.rows.values_mut().filter(|row| row.place == Place::Held).for_each(|row| row.place = Place::Waiting);
        if resumed.timing.recurs() {
            let given = resumed.given_rows();
            for n in &given {
                let row = &resumed.rows[n];
                if row.is_tried() || row.place != Place::Waiting {
                    continue;
                }
                let judged = judge(&resumed.timing, row, &Away::always(SkipReason::Paused), now);
                if let Err(fault) = resumed.take(*n, &judged, now) {
                    return Answer::Fault(fault);
                }
            }
            if given.is_empty() {
                resumed.resume_without_a_row(now);
            }
        }
        *self = resumed;
        Answer::Done
    }

    /// Its schedule could not say the next instant; or it is spent, and what else there is goes on alone.
    fn resume_without_a_row(&mut self, now: Micros) {
        let is_spent = self.timing.max_runs.is_some_and(|most| self.given >= most);
        match self.timing.next_after(now).filter(|_| !is_spent) {
            Some(next) => self.give_next(next),
            None => self.end_unrun(now),
        }
    }

    pub fn cancel(&mut self, is_running: IsRunning<'_>, now: Micros) -> Answer {
        if !self.is_open() {
            return Answer::Refused("INP010");
        }
        self.state = EventState::Cancelled;
        self.finished = Some(now);
        self.rows.retain(|n, row| matches!(row.place, Place::Claimed(_)) && is_running(*n));
        Answer::Done
    }

    pub fn run_now(&mut self, now: Micros) -> Answer {
        if self.state != EventState::Scheduled {
            return Answer::Refused("INP010");
        }
        self.give(Cause::RunNow, now, now);
        Answer::Done
    }

    pub fn backfill(&mut self, instants: &[Micros], now: Micros) -> Answer {
        if !self.is_open() {
            return Answer::Refused("INP010");
        }
        instants.iter().for_each(|instant| self.give(Cause::Backfill, *instant, now));
        Answer::Done
    }

    /// An operator's edit of the schedule: it never fires, and has no past.
    pub fn edit_timing(&mut self, to: &Timing, is_running: IsRunning<'_>, now: Micros) -> Answer {
        if !self.is_open() {
            return Answer::Refused("INP010");
        }
        let mut edited = self.clone();
        match edited.move_to(to, is_running, now) {
            Answer::Done => {}
            other => return other,
        }
        edited.unclaim(is_running);
        *self = edited;
        Answer::Done
    }

    /// Claims that do not run are void.
    pub fn unclaim(&mut self, is_running: IsRunning<'_>) {
        let to = if self.state == EventState::Paused { Place::Held } else { Place::Waiting };
        for (n, row) in &mut self.rows {
            if matches!(row.place, Place::Claimed(_)) && !is_running(*n) {
                row.place = to;
            }
        }
    }

    fn move_to(&mut self, to: &Timing, is_running: IsRunning<'_>, now: Micros) -> Answer {
        let given = self.given_rows();
        // The same rule goes on with itself: what it gave before the clock was set back does not come again.
        let is_same = self.timing.rule == to.rule;
        let last_given = given.iter().filter(|_| is_same).filter_map(|n| self.timing.within(now, self.rows[n].meant - 1).pop()).next();
        let from = last_given.unwrap_or(now);
        let first = match to.rule {
            Rule::Once(when) => Some(when).filter(|when| *when > now),
            _ => to.next_after(from),
        };
        if to.rule != Rule::Manual && (first.is_none() || to.max_runs.is_some_and(|most| self.given >= most)) {
            return Answer::Refused("INP007");
        }
        let (mut goes_on, mut since) = (false, from);
        for n in given {
            let row = self.rows[&n].clone();
            let mut missed = self.timing.within(row.accounted(), now);
            let stays = row.is_tried() || (matches!(row.place, Place::Claimed(_)) && is_running(n));
            if stays {
                goes_on |= to.recurs();
                since = row.accounted().max(now);
                let kept = self.rows.get_mut(&n).expect("there");
                (kept.by_schedule, kept.counted_to) = (to.recurs(), Some(since));
            } else {
                self.rows.remove(&n);
                if row.meant <= now {
                    if let Err(fault) = self.skip(row.era, &[(SkipReason::Edited, row.meant)]) {
                        return Answer::Fault(fault);
                    }
                } else {
                    missed.clear();
                }
            }
            let missed: Vec<_> = missed.into_iter().map(|instant| (SkipReason::Edited, instant)).collect();
            if let Err(fault) = self.skip(self.era, &missed) {
                return Answer::Fault(fault);
            }
        }
        self.timing = *to;
        self.begin_era(since);
        if let (Some(at), false) = (first, goes_on) {
            self.give_next(at);
        }
        Answer::Done
    }

    /// Whether a plugin declares the same again.
    pub fn is_same(&self, declared: &Wish) -> bool {
        self.timing == declared.timing && self.note == declared.note
    }

    /// A plugin declares it anew: what is claimed counts as running.
    pub fn replace(&mut self, declared: &Wish, now: Micros) -> Answer {
        let mut replaced = self.clone();
        if self.timing != declared.timing {
            match replaced.move_to(&declared.timing, &|_| true, now) {
                Answer::Done => {}
                other => return other,
            }
        }
        (replaced.note, replaced.attempts, replaced.priority) = (declared.note, declared.attempts, declared.priority);
        replaced.is_standing = true;
        replaced.skips_overlaps = declared.skips_overlaps;
        *self = replaced;
        Answer::Done
    }

    /// A claim is given back unstarted.
    pub fn give_back(&mut self, n: i64) {
        match self.state {
            EventState::Cancelled => drop(self.rows.remove(&n)),
            EventState::Paused => self.rows.get_mut(&n).expect("there").place = Place::Held,
            _ => self.rows.get_mut(&n).expect("there").place = Place::Waiting,
        }
    }

    /// Waits of retries keep their length when the clock is set.
    pub fn clock_moved(&mut self, step: Micros) {
        for row in self.rows.values_mut() {
            if row.cause == Cause::Retry && matches!(row.place, Place::Waiting | Place::Held) {
                (row.due, row.due_most) = (row.due + step, row.due_most + step);
            }
        }
    }

    /// The clock was set back to `now`: an elapsed rhythm goes on, a fixed time does not come twice.
    pub fn clock_set_back(&mut self, back: Micros, now: Micros) {
        if !self.timing.recurs() || !self.timing.is_elapsed_like() {
            return;
        }
        for n in self.given_rows() {
            let row = &self.rows[&n];
            let (meant, is_delay) = (row.meant, matches!(self.timing.rule, Rule::After(_)));
            let is_fresh = row.cause == Cause::Schedule && row.interruptions == 0 && matches!(row.place, Place::Waiting | Place::Held);
            if !is_fresh || row.due <= now || (meant > now + 2 * back && !is_delay) {
                continue;
            }
            let wanted = (meant - back).max(now);
            let next = if is_delay { Some(wanted) } else { self.timing.next_after(wanted - 1) };
            let Some(next) = next.filter(|next| *next < meant) else { continue };
            self.begin_era(next - 1);
            let era = self.era;
            let row = self.rows.get_mut(&n).expect("there");
            (row.meant, row.counted_to, row.era) = (next, None, era);
            row.due_at(next);
        }
    }
}
