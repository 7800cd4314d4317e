//! The host of the year: it claims and judges over the public verbs of the store, on a clock that is a number.
//!
//! Not what it starts (`flights`), and not the engine, whose claimer it follows (`claim`, `when_found`, `misfire`) step by step. What must hold: nothing here reads the machine's
//! clock, and elapsed time goes on when the wall clock is set.

use super::cast::TYPES;
use super::dice::Dice;
use super::flights::Flight;
use super::ledger::Instant;
use super::part::Part;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sexton_core::calendar::Calendars;
use sexton_core::decide::late::{Found, GRACE, Late, when_found};
use sexton_core::decide::{Absence, SkipReason};
use sexton_core::{Cause, EventId, EventState, Occurrence, TimeLimit, TypeId};
use sexton_store::Store;
use sexton_store::rows::{Aborted, Actor, Lease, Misfired, Offer};
use sexton_store::sqlite::Sqlite;
use std::collections::HashMap;

pub struct Tower {
    pub store: Sqlite,
    pub lease: Lease,
    pub types: Vec<TypeId>,
    pub wall: Instant,
    pub elapsed: TimeDelta,
    pub dice: Dice,
    pub parts: Vec<Part>,
    pub by_id: HashMap<EventId, usize>,
    pub calendars: Calendars,
    pub is_up: bool,
    pub host_since: Instant,
    /// When the next is due, as the store said last.
    due: Option<Instant>,
    /// Since when each type is served; `None`: it is not.
    pub served: Vec<Option<Instant>>,
    pub running: Vec<Flight>,
    pub aborted: Vec<(Aborted, Occurrence)>,
    pub unstarted: usize,
    /// The host dies with the next claim, before all of it is started.
    pub dies_at_claim: bool,
    /// Runs take no time and succeed.
    pub is_quick: bool,
    pub runs: u64,
}

pub fn by() -> Actor {
    Actor("year".to_owned())
}

impl Tower {
    pub fn new(seed: u64, wall: Instant) -> Self {
        let store = Sqlite::in_memory().expect("a store in memory");
        let lease = store.attach("tower", wall).expect("a lease");
        let mut types = Vec::new();
        for (plugin, event_type) in ["bells", "doors"].into_iter().zip(TYPES) {
            let generation = store.new_generation(plugin, "d1", wall).expect("a generation");
            let (args_schema, time_limit) = (json!({ "type": "object" }), TimeLimit::default());
            let offer = Offer { event_type: event_type.to_owned(), args_schema, retry: None, time_limit };
            types.extend(
                store.publish(&lease, plugin, generation, &[offer], &[], &by(), wall).expect("published").into_iter().map(|row| row.id),
            );
        }
        Self {
            store,
            lease,
            served: vec![Some(wall); types.len()],
            types,
            wall,
            elapsed: TimeDelta::zero(),
            dice: Dice::new(seed),
            parts: Vec::new(),
            by_id: HashMap::new(),
            calendars: Calendars::new(),
            is_up: true,
            host_since: wall,
            due: None,
            running: Vec::new(),
            aborted: Vec::new(),
            unstarted: 0,
            dies_at_claim: false,
            is_quick: false,
            runs: 0,
        }
    }

    pub fn add(&mut self, part: Part) {
        self.by_id.insert(part.id, self.parts.len());
        self.parts.push(part);
    }

    pub fn part(&mut self, id: EventId) -> &mut Part {
        &mut self.parts[self.by_id[&id]]
    }

    pub fn served_types(&self) -> Vec<TypeId> {
        self.types.iter().zip(&self.served).filter(|(_, since)| since.is_some()).map(|(of, _)| *of).collect()
    }

    /// Time goes by.
    pub fn pass(&mut self, by: TimeDelta) {
        self.wall += by;
        self.elapsed += by;
    }

    /// For so long nothing of it was started, and that is no fault of the schedule.
    pub fn excuse(&mut self, wanted: impl Fn(&Part) -> bool, by: TimeDelta) {
        self.parts.iter_mut().filter(|part| wanted(part)).for_each(|part| part.excuse += by);
    }

    /// When the host has to do something next, in elapsed time from now. Asks the store, once for each instant.
    pub fn next_in(&mut self) -> Option<TimeDelta> {
        if !self.is_up {
            return None;
        }
        self.due = self.store.next_due(&self.served_types()).expect("the next due");
        let due = self.due.map(|due| due - self.wall);
        let end = self.running.iter().map(|flight| flight.ends_at - self.elapsed).min();
        due.into_iter().chain(end).min().map(|wait| wait.max(TimeDelta::zero()))
    }

    /// Claims what is due by what the last question said, judges it, starts it.
    pub fn claim(&mut self) {
        if !self.is_up || self.due.is_none_or(|due| due > self.wall) {
            return;
        }
        let claimed = self.store.claim(&self.lease, &self.served_types(), self.wall, 1_000).expect("a claim");
        let go_on = self.judge(claimed);
        let dies = std::mem::take(&mut self.dies_at_claim);
        let mut unstarted = 0;
        for occurrence in go_on {
            if dies && self.dice.chance(60) {
                unstarted += 1;
                continue;
            }
            self.start(occurrence);
        }
        if dies {
            self.crash(unstarted);
        }
    }

    fn judge(&mut self, claimed: Vec<Occurrence>) -> Vec<Occurrence> {
        let now = self.wall;
        let (mut go_on, mut found, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for occurrence in claimed {
            let is_fresh = occurrence.cause == Cause::Schedule && occurrence.attempt == 1 && occurrence.interruptions == 0;
            let expires = occurrence.wish.schedule.terms.expires.map(|expires| TimeDelta::from_std(expires).expect("short"));
            let is_late = now - occurrence.due_at > GRACE || expires.is_some_and(|expires| now - occurrence.scheduled_for > expires);
            if !(is_fresh && is_late) {
                go_on.push(occurrence);
                continue;
            }
            let schedule = occurrence.wish.schedule.clone();
            let plan = schedule.plan(&self.calendars).expect("a settled schedule");
            let at = Found { scheduled_for: occurrence.scheduled_for, due_at: occurrence.due_at, counted_to: occurrence.counted_to };
            let of = self.types.iter().position(|of| *of == occurrence.type_id).expect("a known type");
            let type_since = self.served[of].expect("only served types are claimed");
            let absence = Absence { host_since: self.host_since, type_since, otherwise: SkipReason::Late };
            match when_found(&schedule, &plan, &at, &absence, now).expect("judged") {
                Late::Run => go_on.push(occurrence),
                decision => {
                    let part = self.part(occurrence.id.event);
                    if let (Late::Skip { .. }, Some(most)) = (&decision, part.role.silence) {
                        part.excuse += most;
                    }
                    part.note(now, format_args!("{} found late: {decision:?}", occurrence.id));
                    found.push(Misfired { occurrence: occurrence.id, token: occurrence.token, schedule, late: decision });
                    late.push(occurrence);
                }
            }
        }
        if found.is_empty() {
            return go_on;
        }
        let stood = self.store.misfire(&self.lease, &found, now).expect("written");
        assert!(stood.iter().all(|stood| *stood), "nobody took a claim back");
        for (occurrence, found) in late.into_iter().zip(found) {
            if let Late::RunFor { scheduled_for, counted_to, .. } = found.late {
                go_on.push(Occurrence { scheduled_for, counted_to, ..occurrence });
            }
        }
        go_on
    }

    pub fn state_of(&self, id: EventId) -> EventState {
        self.store.event(id).expect("read").expect("there").state
    }
}

/// The beginning of the year.
pub fn first_of_january(year: i32) -> DateTime<Utc> {
    chrono::NaiveDate::from_ymd_opt(year, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).expect("a day").and_utc()
}
