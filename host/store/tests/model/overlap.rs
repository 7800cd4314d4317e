//! What falls due, or is asked for, while something of its event is going: with `skip` it is counted, with `allow` it starts.
//!
//! Not the policies that let one wait or take another's place. What must hold: an event with `skip` has no occurrence that would wait all the
//! same (a one-shot's own, a backfill), so that nothing here is ever queued.

use super::book::{Book, Entry, Place};
use super::late::Judged;
use super::timing::{Micros, Rule, at};
use super::verbs::{Answer, IsRunning};
use super::verdict::{Verdict, hold};
use super::world::{Claim, World, done};
use sexton_core::decide::SkipReason;
use sexton_core::{Cause, EventId, Occurrence, OccurrenceId};
use sexton_store::Store;
use std::collections::BTreeSet;

impl Entry {
    /// Whether something else of it runs, or waits to be tried again.
    fn is_going(&self, but: i64, is_running: IsRunning<'_>) -> bool {
        let goes = |n: i64, row: &super::book::Row| {
            let runs = matches!(row.place, Place::Claimed(_)) && is_running(n);
            let was_tried = matches!(row.cause, Cause::Retry | Cause::Snooze) || row.interruptions > 0;
            row.is_live() && (runs || was_tried)
        };
        self.rows.iter().any(|(n, row)| *n != but && goes(*n, row))
    }

    /// A run-now while something is going, or about to go because somebody asked before: refused, and counted.
    pub fn refuses(&mut self, is_running: IsRunning<'_>) -> bool {
        let is_asked_for = |row: &super::book::Row| {
            row.cause == Cause::RunNow && row.interruptions == 0 && matches!(row.place, Place::Waiting | Place::Claimed(_))
        };
        let refused = self.skips_overlaps && (self.is_going(0, is_running) || self.rows.values().any(is_asked_for));
        if refused {
            *self.skips.entry(SkipReason::Overlap).or_default() += 1;
        }
        refused
    }

    /// One that fell due is taken away; what else has passed by now is counted with it.
    fn pass_over(&mut self, n: i64, now: Micros) -> Verdict {
        let row = self.rows[&n].clone();
        if !row.by_schedule {
            self.rows.remove(&n);
            *self.skips.entry(SkipReason::Overlap).or_default() += 1;
            return Ok(());
        }
        let mut skipped = vec![(SkipReason::Overlap, row.meant)];
        let successor = if let Rule::After(_) = self.timing.rule {
            self.timing.next_after(now)
        } else {
            skipped.extend(self.timing.within(row.accounted(), now).into_iter().map(|instant| (SkipReason::Overlap, instant)));
            self.timing.next_after(now.max(row.accounted()))
        };
        self.take(n, &Judged::Skip { successor, skipped }, now)
    }
}

impl Book {
    fn skips_overlaps(&self, id: EventId) -> bool {
        self.find(id).is_some_and(|entry| entry.skips_overlaps)
    }
}

impl World {
    /// Whether a claim may have to give way: its event lets nothing overlap, and something of it is going.
    pub fn is_crowded(&self, occurrence: &Occurrence) -> bool {
        let id = occurrence.id;
        let running = self.running_of(id.event);
        let is_running = |n: i64| running.iter().any(|other| other.n == n);
        let entry = self.book.find(id.event).expect("its claim stands");
        self.book.skips_overlaps(id.event) && !occurrence.is_tried() && entry.is_going(id.n, &is_running)
    }

    /// The store decides about them.
    pub fn give_way(&mut self, claims: Vec<Claim>) -> Verdict {
        if claims.is_empty() {
            return Ok(());
        }
        let events: BTreeSet<EventId> = claims.iter().map(|claim| claim.occurrence.id.event).collect();
        let running: Vec<OccurrenceId> = events.iter().flat_map(|id| self.running_of(*id)).collect();
        let asked: Vec<_> = claims.iter().map(|claim| (claim.occurrence.id, claim.occurrence.token)).collect();
        let answer = done("overlapped", self.store().overlapped(&self.lease, &asked, &running, at(self.wall)))?;
        let skipped = i64::try_from(claims.len()).expect("few");
        hold!((answer.skipped, answer.queued) == (skipped, 0), "{answer:?}, expected {skipped} to be taken away");
        hold!(answer.cancel.is_empty(), "{:?} are to be stopped", answer.cancel);
        for claim in claims {
            let id = claim.occurrence.id;
            self.book.find_mut(id.event).expect("there").pass_over(id.n, self.wall)?;
            self.note(format_args!("{id} gives way"));
            self.ghosts.push(claim.occurrence);
        }
        self.count("overlapped");
        Ok(())
    }
}

/// A run-now, as the policy lets it.
pub fn run_now(entry: &mut Entry, is_running: IsRunning<'_>, now: Micros) -> Answer {
    if entry.state == sexton_core::EventState::Scheduled && entry.refuses(is_running) {
        return Answer::Refused("INP029");
    }
    entry.run_now(now)
}
