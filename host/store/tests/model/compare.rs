//! The store and the model side by side.
//!
//! Not a repair. What must hold: what differs is said with the event, the row and both values.

use super::book::{Entry, Place};
use super::timing::micros;
use super::verdict::{Verdict, hold};
use super::world::{TYPES, World, done};
use sexton_core::{EventState, Outcome};
use sexton_store::Store;
use sexton_store::rows::{EventFilter, Page, RunFilter};
use std::collections::{BTreeMap, BTreeSet};

const ALL: Page = Page { before: None, limit: 100_000 };

impl World {
    /// After each step: the open events and what of them waits, the due order, the counts.
    pub fn compare(&mut self) -> Verdict {
        self.adopt()?;
        for entry in self.book.entries.iter().filter(|entry| !entry.is_pruned && (entry.is_open() || !entry.rows.is_empty())) {
            self.compare_entry(entry)?;
        }
        let next_due = done("next due", self.store().next_due(&self.types))?.map(micros);
        let due = |entry: &Entry| entry.rows.values().filter(|row| row.place == Place::Waiting).map(|row| row.due).min();
        let expected = self.book.entries.iter().filter(|entry| !entry.is_pruned).filter_map(due).min();
        hold!(next_due == expected, "the next is due at {next_due:?}, expected {expected:?}");
        self.compare_counts()
    }

    /// Now and then: every event, its history, its account; and what must hold among events.
    pub fn compare_all(&mut self) -> Verdict {
        let events = done("events", self.store().events(&EventFilter::default(), &ALL))?;
        let there = self.book.entries.iter().filter(|entry| !entry.is_pruned);
        hold!(events.len() == there.clone().count(), "{} events are stored, expected {}", events.len(), there.count());
        let mut keys = BTreeSet::new();
        for event in events.iter().filter(|event| matches!(event.state, EventState::Scheduled | EventState::Paused)) {
            if let Some(key) = &event.wish.key {
                hold!(keys.insert((event.type_id, key)), "two open events have the key {key}");
            }
        }
        for entry in self.book.entries.iter().filter(|entry| !entry.is_pruned) {
            self.compare_entry(entry)?;
            self.compare_history(entry)?;
            entry.check_account()?;
        }
        self.compare_dead_letters()
    }

    fn compare_entry(&self, entry: &Entry) -> Verdict {
        let id = entry.id;
        let event = done("event", self.store().event(id))?.ok_or_else(|| format!("{id} is not there"))?;
        hold!(event.state == entry.state, "{id} is {:?}, expected {:?}", event.state, entry.state);
        hold!(event.occurrences == entry.last_n, "{id} has given {} ordinals, expected {}", event.occurrences, entry.last_n);
        hold!(event.skips == entry.skips, "{id} has skipped {:?}, expected {:?}", event.skips, entry.skips);
        hold!(event.skipped == event.skips.values().sum::<i64>(), "{id} has skipped {}, by reason {:?}", event.skipped, event.skips);
        hold!(event.finished_at.map(micros) == entry.finished, "{id} ended at {:?}, expected {:?}", event.finished_at, entry.finished);
        let (priority, key) = (event.wish.priority, event.wish.key.as_deref());
        hold!(priority == entry.priority, "{id} has the priority {priority}, expected {}", entry.priority);
        hold!(key == entry.key.map(|key| format!("key {key}")).as_deref(), "{id} has the key {key:?}, expected {:?}", entry.key);
        hold!(
            event.wish.schedule == entry.timing.schedule(),
            "{id} has the schedule {:?}, expected {:?}",
            event.wish.schedule,
            entry.timing
        );
        let waits = |row: &&super::book::Row| matches!(row.place, Place::Waiting | Place::Claimed(_));
        let next = entry.rows.values().filter(waits).map(|row| row.due).min();
        hold!(event.next_run_at.map(micros) == next, "{id} runs next at {:?}, expected {next:?}", event.next_run_at.map(micros));
        self.compare_rows(entry)
    }

    fn compare_rows(&self, entry: &Entry) -> Verdict {
        let rows = done("waiting", self.store().waiting(entry.id))?;
        let (found, expected): (Vec<i64>, Vec<i64>) =
            (rows.iter().map(|row| row.occurrence.n).collect(), entry.rows.keys().copied().collect());
        hold!(found == expected, "{} has the rows {found:?}, expected {expected:?}", entry.id);
        for row in rows {
            let kept = &entry.rows[&row.occurrence.n];
            let found = (micros(row.scheduled_for), micros(row.due_at), row.cause, row.attempt, row.dead.is_some());
            let expected = (kept.meant, kept.due, kept.cause, kept.attempt, kept.place == Place::Dead);
            // What a dead letter was due at says nothing any more.
            let same = found == expected || (row.dead.is_some() && (found.0, found.3, found.4) == (expected.0, expected.3, expected.4));
            hold!(same, "{} is {found:?}, expected {expected:?}", row.occurrence);
        }
        let given = entry.given_rows().len();
        hold!(given <= 1, "{} has {given} live rows that its schedule gave", entry.id);
        let most = entry.timing.max_runs.map_or(u32::MAX, |most| most.max(entry.given));
        let all = entry.given + u32::try_from(given).expect("few");
        hold!(!entry.is_open() || all <= most, "{} has given {all} occurrences, at most {most} are wanted", entry.id);
        Ok(())
    }

    fn compare_history(&self, entry: &Entry) -> Verdict {
        let filter = RunFilter { event: Some(entry.id), ..RunFilter::default() };
        let runs = done("runs", self.store().runs(&filter, &ALL))?;
        let found: Vec<(i64, u32, Outcome, i64)> =
            runs.iter().rev().map(|(_, run)| (run.occurrence.n, run.attempt, run.outcome, micros(run.finished_at))).collect();
        let expected: Vec<_> = entry.runs.iter().map(|(_, ran)| *ran).collect();
        hold!(found == expected, "{} has the history {found:?}, expected {expected:?}", entry.id);
        Ok(())
    }

    fn compare_counts(&self) -> Verdict {
        let counts = done("counts", self.store().counts())?;
        let there = || self.book.entries.iter().filter(|entry| !entry.is_pruned);
        let number = |n: usize| i64::try_from(n).expect("few");
        let in_state = |state: EventState| number(there().filter(|entry| entry.state == state).count());
        let dead = number(there().map(|entry| entry.rows.values().filter(|row| !row.is_live()).count()).sum());
        let runs = number(there().map(|entry| entry.runs.len()).sum());
        let found = (counts.scheduled, counts.paused, counts.dead_letters, counts.runs);
        let expected = (in_state(EventState::Scheduled), in_state(EventState::Paused), dead, runs);
        hold!(found == expected, "scheduled, paused, dead letters, runs are counted as {found:?}, expected {expected:?}");
        let mut by_type = BTreeMap::<String, i64>::new();
        for entry in there().filter(|entry| entry.is_open()) {
            *by_type.entry(TYPES[entry.of_type].1.to_owned()).or_default() += 1;
        }
        let found: BTreeMap<String, i64> = counts.open_by_type.into_iter().filter(|(_, n)| *n != 0).collect();
        hold!(found == by_type, "open events by type are counted as {found:?}, expected {by_type:?}");
        Ok(())
    }
}
