//! Dead letters and verbs on many: over the model, and as calls.
//!
//! Not what made them dead (`ends`). What must hold: what is put back runs once more as if anew, and is accounted for once.

use super::book::{Book, Entry, Place};
use super::ops::Pick;
use super::timing::{Micros, at};
use super::verbs::Answer;
use super::verdict::{Verdict, hold};
use super::world::{World, by, done, refusal};
use sexton_core::{Cause, EventId, EventState, OccurrenceId};
use sexton_store::rows::{DeadFilter, DeadPage, Order};
use sexton_store::store::DeadLetters;

impl Book {
    /// Puts a dead letter back into the due order.
    fn requeue(&mut self, of: OccurrenceId, now: Micros) -> Result<(), &'static str> {
        let Some(entry) = self.find(of.event) else { return Err("INP034") };
        let Some(row) = entry.rows.get(&of.n).filter(|row| !row.is_live()) else { return Err("INP034") };
        // What discarded its one-shot decides about it again.
        let decides = row.by_schedule && entry.state == EventState::Discarded && !entry.timing.recurs();
        let reopens = decides || entry.state == EventState::Completed;
        if reopens && self.holder(entry.of_type, entry.key).is_some() {
            return Err("INP033");
        }
        let entry = self.find_mut(of.event).expect("there");
        if reopens {
            (entry.state, entry.finished) = (EventState::Scheduled, None);
            entry.given -= u32::from(decides);
        }
        let place = if entry.state == EventState::Paused { Place::Held } else { Place::Waiting };
        let row = entry.rows.get_mut(&of.n).expect("there");
        (row.by_schedule, row.place, row.cause, row.attempt, row.interruptions) = (decides, place, Cause::Requeue, 1, 0);
        row.due_at(now);
        let (era, meant) = (row.era, row.meant);
        if decides {
            entry.take_back(era, meant);
        }
        Ok(())
    }

    fn dead_letters(&self) -> Vec<OccurrenceId> {
        let of = |entry: &Entry| -> Vec<OccurrenceId> {
            let dead = entry.rows.iter().filter(|(_, row)| !row.is_live());
            dead.map(|(n, _)| OccurrenceId { event: entry.id, n: *n }).collect()
        };
        self.entries.iter().filter(|entry| !entry.is_pruned).flat_map(of).collect()
    }
}

impl Entry {
    /// Makes what waits for its next attempt due now.
    fn hasten(&mut self, n: i64, is_running: bool, now: Micros) -> Answer {
        let state = self.state;
        let Some(row) = self.rows.get_mut(&n) else { return Answer::Refused("INP035") };
        let was_tried = matches!(row.cause, Cause::Retry | Cause::Snooze) || row.interruptions > 0;
        let runs = matches!(row.place, Place::Claimed(_)) && is_running;
        if runs || row.place == Place::Dead || !was_tried {
            return Answer::Refused("INP035");
        }
        if state == EventState::Paused {
            return Answer::Refused("INP010");
        }
        row.place = Place::Waiting;
        row.due_at(row.due.min(now));
        Answer::Done
    }
}

impl World {
    fn pick_dead(&self, pick: Pick) -> Option<OccurrenceId> {
        let mut dead = self.book.dead_letters();
        // Put back, what may not overlap would wait behind what goes: that is not modelled.
        dead.retain(|id| self.book.find(id.event).is_some_and(|entry| !entry.skips_overlaps));
        (!dead.is_empty()).then(|| dead[usize::from(pick) % dead.len()])
    }

    pub fn requeue(&mut self, picks: &[Pick]) -> Verdict {
        let mut which: Vec<OccurrenceId> = picks.iter().filter_map(|pick| self.pick_dead(*pick)).collect();
        // One that was dead once, perhaps.
        let ghost = self.ghosts.last().map(|occurrence| occurrence.id);
        which.extend(ghost.filter(|id| self.book.find(id.event).is_none_or(|entry| !entry.skips_overlaps)));
        let each = done("requeue", self.store().requeue(&self.lease, &which, &by(), at(self.wall)))?;
        for (of, answer) in which.into_iter().zip(each) {
            let answer = answer.map_err(|refusal| refusal.code);
            let expected = self.book.requeue(of, self.wall).map_err(str::to_owned);
            hold!(answer == expected, "the requeue of {of} answers {answer:?}, expected {expected:?}");
            self.note(format_args!("{of} is put back: {answer:?}"));
            self.count(if answer.is_ok() { "requeued" } else { "not requeued" });
        }
        Ok(())
    }

    pub fn discard(&mut self, pick: Pick) -> Verdict {
        let Some(of) = self.pick_dead(pick) else { return Ok(()) };
        let each = done("discard", self.store().discard(&self.lease, &[of, of], &by(), at(self.wall)))?;
        let codes: Vec<Option<String>> = each.into_iter().map(|answer| answer.err().map(|refusal| refusal.code)).collect();
        hold!(codes == [None, Some("INP034".to_owned())], "removing {of} twice answers {codes:?}");
        self.book.find_mut(of.event).expect("there").rows.remove(&of.n);
        self.count("dead letter removed");
        Ok(())
    }

    pub fn hasten(&mut self, pick: Pick) -> Verdict {
        let of = |entry: &Entry| -> Vec<OccurrenceId> { entry.rows.keys().map(|n| OccurrenceId { event: entry.id, n: *n }).collect() };
        let rows: Vec<OccurrenceId> = self.book.entries.iter().filter(|entry| !entry.is_pruned).flat_map(of).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let (of, now) = (rows[usize::from(pick) % rows.len()], self.wall);
        let running = self.running_of(of.event);
        let answer = refusal(self.store().hasten(&self.lease, of, &running, &by(), at(now)))?;
        let expected = match self.book.find_mut(of.event).expect("there").hasten(of.n, running.contains(&of), now) {
            Answer::Done => Ok(()),
            Answer::Refused(code) => Err(code.to_owned()),
            Answer::Fault(fault) => return Err(fault),
        };
        hold!(answer == expected, "hurrying {of} answers {answer:?}, expected {expected:?}");
        self.count(if answer.is_ok() { "hurried" } else { "not hurried" });
        Ok(())
    }

    pub fn cancel_many(&mut self, picks: &[Pick]) -> Verdict {
        let mut places: Vec<usize> = picks.iter().filter_map(|pick| self.pick(*pick)).collect();
        places.sort_unstable();
        places.dedup();
        let ids: Vec<EventId> = places.iter().map(|place| self.book.entries[*place].id).collect();
        let running: Vec<OccurrenceId> = ids.iter().flat_map(|id| self.running_of(*id)).collect();
        let now = self.wall;
        let answer = done("cancel", self.store().cancel_many(&self.lease, &ids, &running, &by(), at(now)))?;
        let mut cancelled = 0;
        for place in places {
            let entry = &mut self.book.entries[place];
            let id = entry.id;
            let is_running = |n: i64| running.iter().any(|occurrence| occurrence.event == id && occurrence.n == n);
            cancelled += u64::from(!entry.is_pruned && matches!(entry.cancel(&is_running, now), Answer::Done));
        }
        hold!(answer == cancelled, "{answer} were cancelled, expected {cancelled}");
        self.count("cancelled many");
        Ok(())
    }

    /// The dead letters that are listed are those that there are.
    pub fn compare_dead_letters(&self) -> Verdict {
        let page = DeadPage { past: None, order: Order::OldestFirst, limit: 100_000 };
        let listed = done("dead letters", self.store().dead_letters(&DeadFilter::default(), &page))?;
        let listed: Vec<OccurrenceId> = listed.into_iter().map(|letter| letter.occurrence).collect();
        let mut expected = self.book.dead_letters();
        expected.sort_unstable();
        hold!(listed == expected, "the dead letters are {listed:?}, expected {expected:?}");
        Ok(())
    }
}
