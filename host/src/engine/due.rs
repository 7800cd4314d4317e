//! The due queue: claimed occurrences, first those that wait for their instant, then those that are due and wait for room.
//!
//! Not a clock and not the store's due order. What must hold: an occurrence stands in it once, under its newest token; what is due keeps its
//! order (priority with ageing) until it is started or given back.

use chrono::{DateTime, Utc};
use sexton_core::decide::order::effective;
use sexton_core::{EventId, Occurrence, OccurrenceId, TypeId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An occurrence with its fencing number: what it takes to give it back.
pub type Claim = (OccurrenceId, i64);
/// The order of what is due: by priority with ageing, then the lesser id.
pub type ReadyKey = (DateTime<Utc>, OccurrenceId);

/// Owned by the scheduler's thread.
#[derive(Debug, Default)]
pub struct DueQueue {
    waiting: BTreeMap<(DateTime<Utc>, OccurrenceId), Occurrence>,
    ready: HashMap<TypeId, BTreeMap<ReadyKey, Occurrence>>,
    ready_len: usize,
}

impl DueQueue {
    /// How many it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.ready_len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them are due.
    #[must_use]
    pub fn ready_len(&self) -> usize {
        self.ready_len
    }

    /// When the next of those that wait is due.
    #[must_use]
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.waiting.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes one in; a second claim of the same occurrence replaces the first.
    pub fn push(&mut self, occurrence: Occurrence) {
        let key = (occurrence.due_at, occurrence.id);
        match self.waiting.get(&key) {
            Some(present) if present.token > occurrence.token => {}
            _ => {
                self.waiting.insert(key, occurrence);
            }
        }
    }

    /// Moves what is due at `now` to what is ready.
    pub fn ripen(&mut self, now: DateTime<Utc>) {
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > now {
                break;
            }
            let occurrence = first.remove();
            let key = (effective(occurrence.priority, occurrence.due_at), occurrence.id);
            let lane = self.ready.entry(occurrence.type_id).or_default();
            if lane.insert(key, occurrence).is_none() {
                self.ready_len += 1;
            }
        }
    }

    /// Types of which something is due.
    pub fn ready_types(&self) -> Vec<TypeId> {
        self.ready.keys().copied().collect()
    }

    /// How many of a type are due.
    #[must_use]
    pub fn ready_of(&self, of: TypeId) -> usize {
        self.ready.get(&of).map_or(0, BTreeMap::len)
    }

    /// From how many on that are due a type has enough, if `all` types together may have so many.
    #[must_use]
    pub fn crowd(&self, all: usize) -> usize {
        (all / self.ready.len().max(1)).max(1)
    }

    /// Types of which enough is due: all others together have less than `all`.
    #[must_use]
    pub fn crowded(&self, all: usize) -> HashSet<TypeId> {
        let enough = self.crowd(all);
        self.ready.iter().filter(|(_, lane)| lane.len() >= enough).map(|(of, _)| *of).collect()
    }

    /// Takes out the last that are due of a type, so that `keep` are left.
    pub fn trim(&mut self, of: TypeId, keep: usize) -> Vec<Claim> {
        let Some(lane) = self.ready.get_mut(&of) else { return Vec::new() };
        let mut taken = Vec::new();
        while lane.len() > keep.max(1) {
            taken.extend(lane.pop_last().map(|(_, o)| (o.id, o.token)));
        }
        self.ready_len -= taken.len();
        taken
    }

    /// The key of the first that is due of a type.
    #[must_use]
    pub fn head(&self, of: TypeId) -> Option<ReadyKey> {
        self.ready.get(&of).and_then(|lane| lane.first_key_value()).map(|(key, _)| *key)
    }

    /// The first that is due of a type.
    #[must_use]
    pub fn peek(&self, of: TypeId) -> Option<&Occurrence> {
        self.ready.get(&of).and_then(|lane| lane.first_key_value()).map(|(_, occurrence)| occurrence)
    }

    /// Takes out the first that is due of a type.
    pub fn pop(&mut self, of: TypeId) -> Option<Occurrence> {
        let lane = self.ready.get_mut(&of)?;
        let taken = lane.pop_first().map(|(_, occurrence)| occurrence);
        if lane.is_empty() {
            self.ready.remove(&of);
        }
        self.ready_len -= usize::from(taken.is_some());
        taken
    }

    /// Takes out everything of a type that is due.
    pub fn take_ready(&mut self, of: TypeId) -> Vec<Claim> {
        let lane = self.ready.remove(&of).unwrap_or_default();
        self.ready_len -= lane.len();
        lane.into_values().map(|o| (o.id, o.token)).collect()
    }

    /// Takes out everything of an event.
    pub fn take_event(&mut self, event: EventId) -> Vec<Claim> {
        self.take_if(|o| o.id.event == event)
    }

    /// Takes out everything.
    pub fn take_all(&mut self) -> Vec<Claim> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, wanted: impl Fn(&Occurrence) -> bool) -> Vec<Claim> {
        let mut taken: Vec<Claim> = self.waiting.extract_if(.., |_, o| wanted(o)).map(|(_, o)| (o.id, o.token)).collect();
        for lane in self.ready.values_mut() {
            let before = taken.len();
            taken.extend(lane.extract_if(.., |_, o| wanted(o)).map(|(_, o)| (o.id, o.token)));
            self.ready_len -= taken.len() - before;
        }
        self.ready.retain(|_, lane| !lane.is_empty());
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use sexton_core::{Cause, NewEvent, Schedule};
    use std::sync::Arc;

    fn occurrence(event: i64, of: i64, due_s: i64, priority: i32) -> Occurrence {
        let due_at = DateTime::UNIX_EPOCH + TimeDelta::seconds(due_s);
        let wish = NewEvent { priority, ..NewEvent::new("t.t", Schedule::manual()) };
        Occurrence {
            id: OccurrenceId { event: EventId(event), n: 1 },
            type_id: TypeId(of),
            scheduled_for: due_at,
            due_at,
            counted_to: None,
            cause: Cause::Schedule,
            by_schedule: true,
            attempt: 1,
            interruptions: 0,
            resources_done: vec![],
            token: 7,
            priority,
            followed: false,
            crowded: false,
            wish: Arc::new(wish),
        }
    }

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(s)
    }

    #[test]
    fn what_is_due_comes_by_priority_with_ageing() {
        let mut queue = DueQueue::default();
        for (event, due, priority) in [(1, 1_005, 0), (2, 1_003, 0), (3, 1_064, 1), (4, 1_066, 99), (5, 1_062, 1), (6, 1_000, -1)] {
            queue.push(occurrence(event, 1, due, priority));
        }
        assert_eq!(queue.next_at(), Some(at(1_000)));
        queue.ripen(at(1_065));
        assert_eq!((queue.len(), queue.ready_len(), queue.next_at()), (6, 5, Some(at(1_066))));
        let order: Vec<i64> = std::iter::from_fn(|| queue.pop(TypeId(1))).map(|o| o.id.event.0).collect();
        assert_eq!(order, [5, 2, 3, 1, 6], "a level of priority is worth a minute");
        assert_eq!((queue.len(), queue.ready_len(), queue.ready_types()), (1, 0, vec![]));
    }

    #[test]
    fn an_event_is_taken_out_wherever_it_stands() {
        let mut queue = DueQueue::default();
        queue.push(occurrence(1, 1, 5, 0));
        queue.push(Occurrence { id: OccurrenceId { event: EventId(1), n: 2 }, ..occurrence(1, 1, 50, 0) });
        queue.push(occurrence(2, 2, 5, 0));
        queue.ripen(at(10));
        assert_eq!(queue.take_event(EventId(1)).len(), 2);
        assert_eq!((queue.len(), queue.ready_len()), (1, 1));
        assert_eq!(queue.take_ready(TypeId(2)), [(OccurrenceId { event: EventId(2), n: 1 }, 7)]);
        assert_eq!((queue.len(), queue.ready_len(), queue.take_all().len()), (0, 0, 0));
    }

    #[test]
    fn a_type_has_enough_by_its_share_and_gives_back_its_last() {
        let mut queue = DueQueue::default();
        for event in 1..=10 {
            queue.push(occurrence(event, 1, 5, 0));
        }
        queue.push(occurrence(11, 2, 5, 0));
        queue.push(occurrence(12, 1, 60, 0));
        queue.ripen(at(10));
        assert_eq!((queue.ready_of(TypeId(1)), queue.ready_of(TypeId(2)), queue.ready_of(TypeId(3))), (10, 1, 0));
        assert_eq!(queue.crowded(20), [TypeId(1)].into(), "ten is the half of twenty");
        assert!(queue.crowded(22).is_empty());
        assert_eq!(queue.crowded(0).len(), 2, "a share is never nothing");
        let given_back: Vec<i64> = queue.trim(TypeId(1), 8).into_iter().map(|(id, _)| id.event.0).collect();
        assert_eq!((given_back, queue.ready_len(), queue.len()), (vec![10, 9], 9, 10));
        assert!(queue.trim(TypeId(3), 0).is_empty());
    }

    #[test]
    fn a_newer_claim_replaces_the_older_and_not_the_other_way() {
        let mut queue = DueQueue::default();
        queue.push(Occurrence { token: 9, ..occurrence(1, 1, 5, 0) });
        queue.push(Occurrence { token: 8, ..occurrence(1, 1, 5, 0) });
        assert_eq!(queue.len(), 1);
        queue.ripen(at(5));
        queue.push(Occurrence { token: 10, ..occurrence(1, 1, 5, 0) });
        queue.ripen(at(5));
        assert_eq!((queue.len(), queue.pop(TypeId(1)).map(|o| o.token)), (1, Some(10)));
    }
}
