//! The store under test, the model beside it, and the host between them.
//!
//! Not the engine: it claims, judges and starts over the public verbs, on a clock that is a number. What must hold: each step is done to both,
//! and both are compared after it.

use super::book::{Book, Place as Where};
use super::ops::{Op, Pick};
use super::timing::{Micros, at};
use super::verdict::{Checked, Verdict};
use serde_json::json;
use sexton_core::calendar::Calendars;
use sexton_core::ids::EventIds;
use sexton_core::{EventId, Occurrence, OccurrenceId, TimeLimit, TypeId};
use sexton_store::rows::{Actor, Lease, Offer};
use sexton_store::sqlite::Sqlite;
use sexton_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::LazyLock;

pub static NO_CALENDARS: LazyLock<Calendars> = LazyLock::new(Calendars::new);

/// The types, each with the plugin that owns it.
pub const TYPES: [(&str, &str); 2] = [("bells", "acme.ring_bell"), ("doors", "acme.open_door")];

/// Where the rows are.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Memory,
    /// Opened again at each crash.
    File,
}

/// What the host took.
#[derive(Clone, Debug)]
pub struct Claim {
    pub occurrence: Occurrence,
    /// Judged, if it had to be.
    pub may_start: bool,
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Flight {
    pub occurrence: Occurrence,
    pub started: Micros,
}

pub struct World {
    pub store: Option<Sqlite>,
    folder: Option<tempfile::TempDir>,
    pub lease: Lease,
    pub old_lease: Option<Lease>,
    pub types: Vec<TypeId>,
    pub wall: Micros,
    pub host_since: Micros,
    /// Since when each type is served; `None`: it is not.
    pub served: Vec<Option<Micros>>,
    pub book: Book,
    pub claims: Vec<Claim>,
    pub flights: Vec<Flight>,
    /// Claims that are void, or whose run is settled.
    pub ghosts: Vec<Occurrence>,
    ids: EventIds,
    /// The greatest token seen.
    pub token: i64,
    /// What happened, for people.
    pub history: Vec<String>,
    /// How often each thing was done.
    pub done: BTreeMap<&'static str, u64>,
}

pub fn by() -> Actor {
    Actor("model".to_owned())
}

/// The code of a refusal; what else goes wrong is a fault.
pub fn refusal<T>(answer: Result<T, StoreError>) -> Checked<Result<T, String>> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(StoreError { refusal: Some(refusal), .. }) => Ok(Err(refusal.code)),
        Err(error) => Err(format!("the store fails: {error}")),
    }
}

/// What has to be done.
pub fn done<T>(what: &str, answer: Result<T, StoreError>) -> Checked<T> {
    answer.map_err(|error| format!("{what}: {error}"))
}

impl World {
    pub fn new(place: Place) -> Self {
        let folder = matches!(place, Place::File).then(|| tempfile::tempdir().expect("a folder"));
        let store = match &folder {
            Some(folder) => Sqlite::open(&folder.path().join("model.db")).expect("a store in a file"),
            None => Sqlite::in_memory().expect("a store in memory"),
        };
        let lease = store.attach("tower", at(0)).expect("a lease");
        let ids = EventIds::new(u8::try_from(lease.host).expect("small"), lease.greatest_event);
        let types = TYPES.map(|(plugin, event_type)| {
            let generation = store.new_generation(plugin, "d1", at(0)).expect("a generation");
            let offers = [offer(event_type)];
            store.publish(&lease, plugin, generation, &offers, &[], &by(), at(0)).expect("published")[0].id
        });
        Self {
            store: Some(store),
            folder,
            lease,
            old_lease: None,
            types: types.to_vec(),
            wall: 0,
            host_since: 0,
            served: vec![Some(0); TYPES.len()],
            book: Book::default(),
            claims: Vec::new(),
            flights: Vec::new(),
            ghosts: Vec::new(),
            ids,
            token: 0,
            history: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    pub fn store(&self) -> &Sqlite {
        self.store.as_ref().expect("open")
    }

    /// The store after its host ended: in a file it is another one, in memory the same.
    pub fn reopen(&mut self) -> Verdict {
        if let Some(folder) = &self.folder {
            drop(self.store.take());
            self.store = Some(done("open again", Sqlite::open(&folder.path().join("model.db")))?);
        }
        self.old_lease = Some(self.lease.clone());
        self.lease = done("attach", self.store().attach("tower", at(self.wall)))?;
        Ok(())
    }

    pub fn next_id(&mut self) -> EventId {
        self.ids.next(at(self.wall).timestamp_millis())
    }

    pub fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    pub fn note(&mut self, what: impl std::fmt::Display) {
        self.history.push(format!("  {what}"));
    }

    pub fn served_types(&self) -> Vec<TypeId> {
        self.types.iter().zip(&self.served).filter(|(_, since)| since.is_some()).map(|(of, _)| *of).collect()
    }

    /// One of the events that are there; pruned ones too, rarely open.
    pub fn pick(&self, pick: Pick) -> Option<usize> {
        let open: Vec<usize> = (0..self.book.entries.len()).filter(|at| self.book.entries[*at].is_open()).collect();
        // Most verbs are for what is open; one in eight takes whatever there is.
        let from = if open.is_empty() || pick % 8 == 7 { (0..self.book.entries.len()).collect() } else { open };
        (!from.is_empty()).then(|| from[usize::from(pick) % from.len()])
    }

    pub fn running_of(&self, id: EventId) -> Vec<OccurrenceId> {
        self.flights.iter().map(|flight| flight.occurrence.id).filter(|occurrence| occurrence.event == id).collect()
    }

    /// Whether the row is claimed under the token of this occurrence.
    pub fn stands(&self, occurrence: &Occurrence) -> bool {
        let row = self.book.find(occurrence.id.event).and_then(|entry| entry.rows.get(&occurrence.id.n));
        row.is_some_and(|row| row.place == Where::Claimed(occurrence.token))
    }

    /// Lives a sequence: each step is done to the store and to the model.
    pub fn live(&mut self, ops: &[Op]) -> Verdict {
        for (number, op) in ops.iter().enumerate() {
            self.history.push(format!("{number}: at {}: {op:?}", self.wall));
            self.step(op).and_then(|()| self.compare()).map_err(|why| format!("step {number}, {op:?}: {why}"))?;
            if number % 16 == 15 {
                self.compare_all().map_err(|why| format!("after step {number}: {why}"))?;
            }
        }
        self.compare_all().map_err(|why| format!("at the end: {why}"))
    }

    fn step(&mut self, op: &Op) -> Verdict {
        match op {
            Op::Schedule(wishes) => self.schedule(wishes),
            Op::Publish(wish) => self.publish(wish),
            Op::Edit(pick, edited) => self.edit(*pick, edited),
            Op::Pause(pick) => self.pause(*pick),
            Op::PauseMany(picks) => self.pause_many(picks),
            Op::Resume(pick) => self.resume(*pick),
            Op::Cancel(pick) => self.cancel(*pick),
            Op::RunNow(pick) => self.run_now(*pick),
            Op::Backfill(pick, n) => self.backfill(*pick, *n),
            Op::Claim { limit, ahead } => self.claim(*limit, *ahead),
            Op::Work(limit) => self.claim(*limit, 0).and_then(|()| self.judge()).and_then(|()| self.start(u8::MAX)),
            Op::Judge => self.judge(),
            Op::Start(n) => self.start(*n),
            Op::GiveBack(pick) => self.give_back(*pick),
            Op::Settle(ends, lag) => self.settle(ends, *lag),
            Op::Late(pick, ending) => self.report_late(*pick, ending),
            Op::FromTheGrave(pick) => self.haunt(*pick),
            Op::RunnerDies(of_type, guilt) => self.runner_dies(*of_type, *guilt),
            Op::Crash(slots, away) => self.crash(*slots, *away),
            Op::Stop(away) => self.stop(*away),
            Op::Advance(by) => {
                self.wall += by;
                Ok(())
            }
            Op::SetForward(by) => self.set_clock(*by),
            Op::SetBack(by) => self.set_clock(-by),
            Op::Serve(is_served) => {
                self.served[1] = is_served.then(|| self.served[1].unwrap_or(self.wall));
                Ok(())
            }
            Op::Requeue(picks) => self.requeue(picks),
            Op::Discard(pick) => self.discard(*pick),
            Op::Hasten(pick) => self.hasten(*pick),
            Op::CancelMany(picks) => self.cancel_many(picks),
            Op::Prune { age, limit } => self.prune(*age, *limit),
        }
    }
}

pub fn offer(event_type: &str) -> Offer {
    Offer { event_type: event_type.to_owned(), args_schema: json!({ "type": "object" }), retry: None, time_limit: TimeLimit::default() }
}
