//! The executor: takes what is due from the queue to the generation that serves its type at this moment.
//!
//! It runs on the scheduler's thread and waits for nothing. What must hold: a slot of the flight record is filled before a run is handed over;
//! what cannot be handed over keeps its place, or is given back if nobody serves it.

use crate::clock;
use crate::engine::claimer::Errand;
use crate::engine::due::Claim;
use crate::engine::late;
use crate::engine::scheduler::Scheduler;
use crate::engine::settler::{self, Ending};
use crate::engine::table::{Phase, Running};
use crate::engine::{overlap, overruns};
use crate::registry::{Serving, Snapshot};
use chrono::{DateTime, Utc};
use sexton_core::{Occurrence, TypeId};
use sexton_loader::flight::Slot;
use sexton_loader::seam::Order;
use sexton_plugin_api::wire::{Bot, Resource, RunOrder};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A generation, how much more it takes now, and what it is to be handed.
struct Lane {
    serving: Arc<Serving>,
    room: usize,
    runs: Vec<(u64, Running)>,
    orders: Vec<RunOrder>,
}

impl Scheduler {
    /// Starts what is due, as far as slots and generations have room.
    pub(super) fn start_due(&mut self, now: DateTime<Utc>) {
        if self.queue.ready_len() == 0 {
            self.shared.table.starved.store(false, Ordering::SeqCst);
            return;
        }
        // Before room is measured: who makes room after that rings.
        self.shared.table.starved.store(true, Ordering::SeqCst);
        let snapshot = self.shared.registry.now();
        let (types, mut lanes) = self.lanes(&snapshot);
        let crowd = self.fill(&types, &mut lanes, &snapshot, now);
        if !crowd.is_empty() {
            // Without a claimer the next start resolves them.
            let _ = self.errands.send(Errand::Overlap(crowd));
        }
        for lane in lanes.into_values() {
            self.hand_over(lane);
        }
        if self.queue.ready_len() == 0 {
            self.shared.table.starved.store(false, Ordering::SeqCst);
        }
    }

    /// Resolves the types of which something is due; gives back what nobody serves.
    fn lanes(&mut self, snapshot: &Snapshot) -> (Vec<(TypeId, i64)>, HashMap<i64, Lane>) {
        let (mut types, mut lanes, mut unserved) = (Vec::new(), HashMap::new(), Vec::new());
        let rows = self.shared.table.rows();
        for of in self.queue.ready_types() {
            let serving = snapshot.by_id.get(&of).and_then(|t| t.serving.as_ref()).filter(|s| rows.is_open(s.generation));
            let Some(serving) = serving else {
                unserved.push(of);
                continue;
            };
            types.push((of, serving.generation));
            lanes.entry(serving.generation).or_insert_with(|| Lane {
                serving: Arc::clone(serving),
                room: serving.in_flight_max.max(1).saturating_sub(rows.load(serving.generation)),
                runs: Vec::new(),
                orders: Vec::new(),
            });
        }
        drop(rows);
        self.turns.forget(|generation| lanes.contains_key(&generation));
        for of in unserved {
            let claims = self.queue.take_ready(of);
            tracing::debug!(type_id = of.0, claims = claims.len(), "nobody serves the type: given back");
            self.give_back(claims);
        }
        (types, lanes)
    }

    /// Takes from the queue, each type in its turn and of each in its order, passing over generations without room, until no slot is free.
    /// Answers what is not to start now because something of its event is going.
    fn fill(&mut self, types: &[(TypeId, i64)], lanes: &mut HashMap<i64, Lane>, snapshot: &Snapshot, now: DateTime<Utc>) -> Vec<Claim> {
        let (mut crowd, mut starting) = (Vec::new(), HashSet::new());
        loop {
            let with_room = types.iter().filter(|(_, generation)| lanes.get(generation).is_some_and(|l| l.room > 0));
            let place = |generation, of| self.turns.place(generation, of);
            let heads =
                with_room.filter_map(|(of, generation)| self.queue.head(*of).map(|key| (place(*generation, *of), key, *of, *generation)));
            let Some((_, _, of, generation)) = heads.min() else { return crowd };
            let lane = lanes.get_mut(&generation).expect("a lane was made for each type that has room");
            let next = self.queue.peek(of).expect("a lane has room only for what has a head");
            if late::is_expired(next, now) {
                // Given back, it is claimed again and judged.
                let expired = self.queue.pop(of).map(|expired| (expired.id, expired.token));
                self.give_back(expired.into_iter().collect());
                self.expect_due(Some(now));
                continue;
            }
            if overlap::is_crowded(&self.shared, next, &starting) {
                crowd.extend(self.queue.pop(of).map(|crowded| (crowded.id, crowded.token)));
                continue;
            }
            let Some(slot) = self.shared.flight.occupy(&slot_of(next, &lane.serving, now)) else { return crowd };
            let occurrence = self.queue.pop(of).expect("what was looked at is still there: this thread owns the queue");
            let number = self.shared.run_number();
            self.turns.started(generation, of, occurrence.priority);
            lane.room -= 1;
            starting.insert(occurrence.id.event);
            let bounds = overruns::bounds(&occurrence, snapshot, &lane.serving);
            lane.orders.push(order_of(number, &occurrence, bounds.timeout.map(|(limit, _)| clock::later(now, limit))));
            lane.runs.push((
                number,
                Running {
                    occurrence,
                    serving: Arc::clone(&lane.serving),
                    slot,
                    handed_at: now,
                    entered_at: None,
                    phase: Phase::Handed,
                    cancelling: false,
                    stopped: false,
                    overrun: false,
                    bounds,
                    stuck_since: None,
                    altered: false,
                    progress: None,
                    follow_ups: Vec::new(),
                },
            ));
        }
    }

    fn hand_over(&mut self, lane: Lane) {
        let Lane { serving, runs, orders, .. } = lane;
        if orders.is_empty() {
            return;
        }
        let numbers: Vec<u64> = orders.iter().map(|o| o.run).collect();
        let followed = runs.iter().map(|(_, run)| &run.occurrence).filter(|o| overlap::is_to_be_followed(o));
        let followed: Vec<Claim> = followed.map(|o| (o.id, o.token)).collect();
        self.shared.run_logs.open(serving.generation, runs.iter().map(|(number, run)| (*number, &run.occurrence)));
        match self.shared.table.rows().hand_over(serving.generation, runs) {
            Err(runs) => {
                self.shared.run_logs.forget(numbers);
                for (_, run) in runs {
                    self.shared.flight.free(run.slot);
                    self.queue.push(run.occurrence);
                }
                return;
            }
            Ok(()) if serving.orders.send(Order::Run(orders)).is_ok() => {
                if !followed.is_empty() {
                    // Without a claimer the end of each gives its successor.
                    let _ = self.errands.send(Errand::Follow(followed));
                }
                return;
            }
            Ok(()) => {}
        }
        tracing::warn!(plugin = serving.plugin, generation = serving.generation, "the generation takes no orders any more");
        self.shared.table.rows().close(serving.generation);
        self.take_back(numbers);
    }

    /// Takes back runs that never started: those to start again, and those whose event was altered meanwhile, which only the store may
    /// place. Their generation gets nothing more.
    pub(super) fn release_unstarted(&self, numbers: Vec<u64>) -> (Vec<Occurrence>, Vec<Occurrence>) {
        let mut rows = self.shared.table.rows();
        let mut taken: Vec<Running> = Vec::new();
        for number in numbers {
            // Somebody cancelled it: that is its end, wherever it would have started.
            if rows.runs.get(&number).is_some_and(|r| r.phase == Phase::Handed && r.cancelling && !r.stopped) {
                if let Some(run) = rows.end(number) {
                    let end = settler::cancelled_unstarted(run, clock::now());
                    // Without a settler the slot stays filled, and the next start resolves it.
                    let _ = self.shared.endings.send(Ending::Run(number, Box::new(end)));
                }
            } else {
                let unstarted = rows.take_unstarted(number);
                self.shared.run_logs.forget(unstarted.iter().map(|_| number));
                taken.extend(unstarted);
            }
        }
        for run in &taken {
            rows.close(run.serving.generation);
            self.shared.flight.free(run.slot);
        }
        drop(rows);
        self.shared.table.tell_change();
        let (back, again): (Vec<Running>, Vec<Running>) = taken.into_iter().partition(|run| run.altered);
        (again.into_iter().map(|r| r.occurrence).collect(), back.into_iter().map(|r| r.occurrence).collect())
    }
}

fn slot_of(occurrence: &Occurrence, serving: &Serving, now: DateTime<Utc>) -> Slot {
    Slot {
        event: occurrence.id.event.0,
        n: occurrence.id.n,
        attempt: occurrence.attempt,
        token: occurrence.token,
        generation: serving.generation,
        digest: serving.digest.clone(),
        plugin: serving.plugin.clone(),
        placement: serving.placement.name().to_owned(),
        started_at_us: now.timestamp_micros(),
    }
}

fn order_of(number: u64, occurrence: &Occurrence, deadline: Option<DateTime<Utc>>) -> RunOrder {
    let wish = &occurrence.wish;
    RunOrder {
        run: number,
        occurrence: occurrence.id.to_string(),
        event_type: wish.event_type.clone(),
        args: wish.args.clone(),
        attempt: occurrence.attempt,
        scheduled_for: occurrence.scheduled_for,
        deadline,
        bot: wish.bot.as_ref().map(|b| Bot { id: b.id.clone(), name: b.name.clone() }),
        resources: wish.resources.iter().map(to_wire).collect(),
        resources_done: occurrence.resources_done.clone(),
        description: wish.description.clone(),
        labels: wish.labels.clone(),
    }
}

fn to_wire(resource: &sexton_core::Resource) -> Resource {
    Resource { id: resource.id.clone(), kind: resource.kind.clone(), properties: resource.properties.clone() }
}
