//! What every theme stands on: a store with a host and two event types, a clock that is a number, and short words for verbs.
//!
//! Not a fake store. What must hold: nothing here reads the machine's clock.

use crate::Store;
use crate::error::{ErrorKind, StoreError};
use crate::rows::{
    Actor, AuditFilter, AuditLine, Change, EventFilter, Intention, Lease, Offer, Page, PrunePlace, Pruning, RunEnd, RunFilter, Settled,
    Spent, TypeRow,
};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde_json::json;
use serde_json::value::RawValue;
use sexton_core::calendar::Calendars;
use sexton_core::decide::End;
use sexton_core::ids::EventIds;
use sexton_core::{ErrorCode, Event, EventId, NewEvent, Occurrence, OccurrenceId, Outcome, Run, Schedule, TimeLimit, TypeId};
use std::sync::Arc;
use std::time::Duration;

/// The first type of the ground.
pub const BELL: &str = "acme.ring_bell";
/// The second, of another plugin.
pub const DOOR: &str = "acme.open_door";

/// Seconds after the beginning of the test's time.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// A store with a host attached and two types published.
pub struct Ground {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// The lease of host `tower`.
    pub lease: Lease,
    /// The number of [`BELL`].
    pub bell: TypeId,
    /// The number of [`DOOR`].
    pub door: TypeId,
    ids: Mutex<EventIds>,
}

/// An offer of a type whose arguments may be anything.
pub fn offer(event_type: &str) -> Offer {
    Offer { event_type: event_type.to_owned(), args_schema: json!({"type": "object"}), retry: None, time_limit: TimeLimit::default() }
}

/// Whoever acts in a theme.
pub fn tester() -> Actor {
    Actor("test".to_owned())
}

/// A wish on [`BELL`].
pub fn wish(schedule: Schedule) -> NewEvent {
    NewEvent { args: RawValue::from_string(r#"{"strokes":  3}"#.to_owned()).unwrap(), ..NewEvent::new(BELL, schedule) }
}

/// Once, at that second.
pub fn once(seconds: i64) -> NewEvent {
    wish(Schedule::once(at(seconds)))
}

/// Each `step` seconds, on the grid of the beginning.
pub fn every(step: u64) -> NewEvent {
    wish(Schedule::every(Duration::from_secs(step), Some(at(0))))
}

/// The refusal's code, or what came instead.
pub fn code<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError { kind: ErrorKind::Refused, refusal: Some(refusal), .. }) => refusal.code,
        other => format!("{other:?}"),
    }
}

impl Ground {
    /// Attaches host `tower` at second 0 and publishes the two types.
    pub fn on(store: Arc<dyn Store>) -> Self {
        let lease = store.attach("tower", at(0)).unwrap();
        let publish = |plugin: &str, event_type: &str| -> TypeRow {
            let generation = store.new_generation(plugin, "d1", at(0)).unwrap();
            store.publish(&lease, plugin, generation, &[offer(event_type)], &[], &tester(), at(0)).unwrap().remove(0)
        };
        let (bell, door) = (publish("bells", BELL).id, publish("doors", DOOR).id);
        let ids = Mutex::new(EventIds::new(u8::try_from(lease.host).unwrap(), lease.greatest_event));
        Self { store, lease, bell, door, ids }
    }

    /// The same store after its host ended and came again.
    pub fn restarted(&self, seconds: i64) -> Self {
        let lease = self.store.attach("tower", at(seconds)).unwrap();
        let ids = Mutex::new(EventIds::new(u8::try_from(lease.host).unwrap(), lease.greatest_event));
        Self { store: Arc::clone(&self.store), lease, bell: self.bell, door: self.door, ids }
    }

    /// An id never given before.
    pub fn id(&self) -> EventId {
        self.ids.lock().next(at(0).timestamp_millis())
    }

    /// A wish made ready to be stored, created at second 0.
    pub fn intention(&self, wish: NewEvent) -> Intention {
        let type_id = if wish.event_type == DOOR { self.door } else { self.bell };
        let first = wish.schedule.plan(&self.calendars()).unwrap().first(at(0)).unwrap();
        Intention { id: self.id(), type_id, wish, first, standing_of: None }
    }

    /// The calendars as stored.
    pub fn calendars(&self) -> Calendars {
        let mut calendars = Calendars::new();
        for row in self.store.calendars().unwrap() {
            calendars.insert(&row.name, Arc::new(row.calendar)).unwrap();
        }
        calendars
    }

    /// Stores an event; answers its id.
    pub fn schedule(&self, wish: NewEvent) -> EventId {
        let intention = self.intention(wish);
        let id = intention.id;
        self.store.schedule(&self.lease, &[intention], &tester(), at(0)).unwrap();
        id
    }

    /// Claims what is due of both types.
    pub fn claim(&self, until: i64) -> Vec<Occurrence> {
        self.store.claim(&self.lease, &[self.bell, self.door], at(until), 1_000).unwrap()
    }

    /// Claims what must be exactly one occurrence.
    pub fn claim_one(&self, until: i64) -> Occurrence {
        let mut claimed = self.claim(until);
        assert_eq!(claimed.len(), 1, "one occurrence due by {until}: {claimed:?}");
        claimed.remove(0)
    }

    /// The end of a run of `occurrence`, at that second.
    pub fn end(&self, occurrence: &Occurrence, end: End, seconds: i64) -> RunEnd {
        RunEnd {
            occurrence: occurrence.id,
            token: occurrence.token,
            attempt: occurrence.attempt,
            started_at: Some(at(seconds) - TimeDelta::milliseconds(5)),
            finished_at: at(seconds),
            code: matches!(end, End::Failed { .. }).then_some(ErrorCode::Error),
            error: matches!(end, End::Failed { .. }).then(|| "the rope broke".to_owned()),
            end,
            output: None,
            resources: Vec::new(),
            plugin: "bells".to_owned(),
            generation: 1,
            digest: "d1".to_owned(),
            placement: "in-process".to_owned(),
            follow_ups: Vec::new(),
            log: None,
        }
    }

    /// Settles one end at its second.
    pub fn settle(&self, occurrence: &Occurrence, end: End, seconds: i64) -> Settled {
        self.store.settle(&self.lease, &[self.end(occurrence, end, seconds)], at(seconds)).unwrap().remove(0)
    }

    /// Changes an event, with nothing of it running.
    pub fn alter(&self, id: EventId, change: &Change, seconds: i64) -> Result<Event, StoreError> {
        self.alter_while(id, change, &[], seconds)
    }

    /// Changes an event while those run.
    pub fn alter_while(&self, id: EventId, change: &Change, running: &[OccurrenceId], seconds: i64) -> Result<Event, StoreError> {
        self.store.alter(&self.lease, id, change, running, &tester(), at(seconds))
    }

    /// An event that must be there.
    pub fn event(&self, id: EventId) -> Event {
        self.store.event(id).unwrap().unwrap()
    }

    /// Every event, newest first.
    pub fn events(&self) -> Vec<Event> {
        self.store.events(&EventFilter::default(), &Page { before: None, limit: 10_000 }).unwrap()
    }

    /// Runs of an event, oldest first.
    pub fn runs(&self, id: EventId) -> Vec<Run> {
        let filter = RunFilter { event: Some(id), ..RunFilter::default() };
        let runs = self.store.runs(&filter, &Page { before: None, limit: 10_000 }).unwrap();
        runs.into_iter().rev().map(|(_, run)| run).collect()
    }

    /// Outcomes of the runs of an event, oldest first.
    pub fn outcomes(&self, id: EventId) -> Vec<Outcome> {
        self.runs(id).into_iter().map(|run| run.outcome).collect()
    }

    /// Ordinals of what is still to run of an event, dead letters included.
    pub fn ordinals(&self, id: EventId) -> Vec<i64> {
        self.store.waiting(id).unwrap().into_iter().map(|w| w.occurrence.n).collect()
    }

    /// Lines of the audit, oldest first.
    pub fn audited(&self, filter: &AuditFilter) -> Vec<AuditLine> {
        let lines = self.store.audit_lines(filter, &Page { before: None, limit: 1_000 }).unwrap();
        lines.into_iter().rev().map(|(_, line)| line).collect()
    }

    /// Deletes what ended before that second, up to the first step that finds something. Answers how many rows.
    pub fn prune(&self, before: i64, limit: usize) -> i64 {
        let mut what = Pruning { spent: Spent::Before(at(before)), dry_run: false, from: PrunePlace::default(), limit };
        loop {
            let step = self.store.prune(&what, at(before)).unwrap();
            match step.next {
                Some(next) if step.runs + step.events == 0 => what.from = next,
                _ => return step.runs + step.events,
            }
        }
    }

    /// Compares the counts of `status` with the rows.
    pub fn check_counts(&self) {
        let (counts, events) = (self.store.counts().unwrap(), self.events());
        let in_state = |state| i64::try_from(events.iter().filter(|e| e.state == state).count()).unwrap();
        assert_eq!(counts.scheduled, in_state(sexton_core::EventState::Scheduled), "scheduled events counted");
        assert_eq!(counts.paused, in_state(sexton_core::EventState::Paused), "paused events counted");
        let runs = self.store.runs(&RunFilter::default(), &Page { before: None, limit: 100_000 }).unwrap();
        assert_eq!(counts.runs, i64::try_from(runs.len()).unwrap(), "runs counted");
        let dead: usize = events.iter().map(|e| self.store.waiting(e.id).unwrap().iter().filter(|w| w.dead.is_some()).count()).sum();
        assert_eq!(counts.dead_letters, i64::try_from(dead).unwrap(), "dead letters counted");
        assert_eq!(counts.open_by_type.values().sum::<i64>(), counts.scheduled + counts.paused, "open events by type");
    }
}
