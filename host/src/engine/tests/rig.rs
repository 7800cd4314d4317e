//! What the tests stand on: a host without plugins, and generations that answer orders as the test says.
//!
//! Not a mock: the engine, the store, the flight record and the queues are the real ones. What must hold: waiting is for a condition, with a
//! deadline that only a fault reaches.

use crate::clock;
use crate::engine::{Engine, Ground};
use crate::registry::{KnownType, Placement, Registry, ServedAction, Serving, Snapshot};
use crate::reports;
use chrono::{DateTime, Utc};
use parking_lot::{Condvar, Mutex};
use serde_json::json;
use sexton_core::{EventId, NewEvent, Outcome, Run, Schedule, TimeLimit, TypeId};
use sexton_loader::flight::{FlightFile, Left};
use sexton_loader::seam::{Death, Ended, Farewell, Killing, Memory, Order, Report, Stamped};
use sexton_plugin_api::wire::{ActOrder, ActionOffer, CallRefusal, EntryFailure, HostCall, JobEnd, RunOrder, RunReply};
use sexton_store::Store;
use sexton_store::rows::{Actor, EventFilter, Lease, Offer, Page, RunFilter};
use sexton_store::sqlite::Sqlite;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Only a fault reaches it.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A host without plugins.
pub struct Rig {
    pub engine: Engine,
    pub store: Arc<dyn Store>,
    pub lease: Lease,
    pub registry: Arc<Registry>,
    pub reports: Sender<Stamped>,
    pub state: tempfile::TempDir,
    pub by: Actor,
    routed: Option<JoinHandle<()>>,
}

impl Rig {
    pub fn new() -> Self {
        Self::on(Arc::new(Sqlite::in_memory().unwrap()), 1_024)
    }

    pub fn with_slots(slots: usize) -> Self {
        Self::on(Arc::new(Sqlite::in_memory().unwrap()), slots)
    }

    pub fn on(store: Arc<dyn Store>, slots: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (flight, left) = FlightFile::open(&state.path().join("flight")).unwrap();
        Self::after(store, flight, left, slots, state)
    }

    /// Another life of a host on the same store.
    pub fn after(store: Arc<dyn Store>, flight: FlightFile, left: Left, slots: usize, state: tempfile::TempDir) -> Self {
        let lease = store.attach("here", clock::now()).unwrap();
        let registry = Arc::new(Registry::default());
        let ground = Ground { store: Arc::clone(&store), lease: lease.clone(), registry: Arc::clone(&registry), flight, slots, left };
        let engine = Engine::start(ground).unwrap();
        let (reports, queue) = mpsc::channel();
        let routed = reports::spawn(queue, engine.clone(), drop).unwrap();
        Self { engine, store, lease, registry, reports, state, by: Actor("test".into()), routed: Some(routed) }
    }

    /// Makes a type known to the store; answers its number.
    pub fn publish(&self, event_type: &str) -> TypeId {
        self.publish_limited(event_type, TimeLimit::default())
    }

    /// The same, with a time limit of its own.
    pub fn publish_limited(&self, event_type: &str, time_limit: TimeLimit) -> TypeId {
        let args_schema = json!({"type": "object", "properties": {"wait": {"type": "boolean"}}, "additionalProperties": false});
        let offer = Offer { event_type: event_type.into(), args_schema, retry: None, time_limit };
        let plugin = event_type.split('.').next().unwrap();
        let rows = self.store.publish(&self.lease, plugin, 1, &[offer], &[], &self.by, clock::now()).unwrap();
        rows[0].id
    }

    /// Swaps the registry: these types, each served by whom, or by nobody.
    pub fn serve(&self, types: &[(&str, Option<&Arc<Serving>>)]) {
        self.serve_with(types, &[]);
    }

    pub fn serve_with(&self, types: &[(&str, Option<&Arc<Serving>>)], actions: &[(&str, &Arc<Serving>)]) {
        let mut snapshot = Snapshot::default();
        let rows: HashMap<String, _> = self.store.types().unwrap().into_iter().map(|t| (t.event_type.clone(), t)).collect();
        for (name, serving) in types {
            let id = rows.get(*name).map_or_else(|| self.publish(name), |t| t.id);
            let args_schema = self.store.types().unwrap().into_iter().find(|t| t.id == id).unwrap().args_schema;
            let known = Arc::new(KnownType {
                event_type: (*name).into(),
                id,
                owner: name.split('.').next().map(Into::into),
                coming: None,
                time_limit: self.store.types().unwrap().into_iter().find(|t| t.id == id).unwrap().time_limit,
                validator: jsonschema::validator_for(&args_schema).unwrap(),
                args_schema,
                serving: serving.map(Arc::clone),
            });
            snapshot.by_id.insert(id, Arc::clone(&known));
            snapshot.types.insert((*name).into(), known);
        }
        for (uid, serving) in actions {
            let offer = ActionOffer { uid: (*uid).into(), bulk: true, accepts_complement: false };
            snapshot.actions.insert((*uid).into(), Arc::new(ServedAction { offer, serving: Arc::clone(serving) }));
        }
        self.registry.swap(snapshot);
        self.engine.registry_changed();
    }

    pub fn schedule(&self, event: NewEvent) -> EventId {
        self.engine.schedule(vec![event], &self.by).unwrap()[0].id
    }

    pub fn runs(&self) -> Vec<Run> {
        let page = Page { before: None, limit: 100_000 };
        self.store.runs(&RunFilter::default(), &page).unwrap().into_iter().map(|(_, run)| run).collect()
    }

    pub fn outcomes(&self, of: EventId) -> Vec<Outcome> {
        let mut runs: Vec<Run> = self.runs().into_iter().filter(|r| r.event_id == of).collect();
        runs.sort_by_key(|r| (r.occurrence.n, r.finished_at));
        runs.into_iter().map(|r| r.outcome).collect()
    }

    pub fn events(&self) -> usize {
        self.store.events(&EventFilter::default(), &Page { before: None, limit: 100_000 }).unwrap().len()
    }

    /// Stops the engine; every slot must be free then unless the test says otherwise.
    pub fn stop(&self) {
        self.engine.stop(Duration::ZERO, Duration::ZERO);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.engine.stop(Duration::ZERO, Duration::ZERO);
        if !std::thread::panicking() {
            assert_eq!(self.engine.health(), None);
        }
        // The router ends with the last sender; generations of the test may live longer.
        drop(self.routed.take());
    }
}

pub fn event(event_type: &str, schedule: Schedule) -> NewEvent {
    NewEvent::new(event_type, schedule)
}

pub fn once(when: DateTime<Utc>) -> Schedule {
    Schedule::once(when)
}

pub fn in_ms(ms: u64) -> DateTime<Utc> {
    clock::later(clock::now(), Duration::from_millis(ms))
}

/// What a generation does with a run.
#[derive(Clone, Debug)]
pub enum Does {
    /// Ends so, at once.
    Ends(JobEnd),
    /// Starts, and ends when it is released or asked to stop.
    Holds,
    /// Starts and asks this of the host; ends so after the answer.
    Asks(HostCall, JobEnd),
    /// Queues it: starts nothing, and ends it when it is asked to stop.
    Queues,
    /// Takes it and starts nothing.
    Sits,
    /// Starts, and ends neither by itself nor when it is asked to.
    Deaf,
    /// Refuses it, as a draining one does.
    Refuses,
}

type Plan = Box<dyn FnMut(&RunOrder) -> Does + Send>;
type ActPlan = Box<dyn FnMut(&ActOrder) -> (Option<HostCall>, Result<(), EntryFailure>) + Send>;

/// What the test sees of a generation.
#[derive(Debug, Default)]
pub struct Seen {
    pub ran: Vec<RunOrder>,
    pub answers: Vec<Result<serde_json::Value, CallRefusal>>,
    pub cancelled: Vec<u64>,
    pub killed: Vec<Killing>,
    held: Vec<(u64, DateTime<Utc>)>,
    released: bool,
}

/// A generation: one thread that answers orders.
pub struct Generation {
    pub serving: Arc<Serving>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    reports: Sender<Stamped>,
}

impl Generation {
    pub fn new(rig: &Rig, number: i64, in_flight_max: usize, plan: impl FnMut(&RunOrder) -> Does + Send + 'static) -> Self {
        Self::with_actions(rig, number, in_flight_max, Box::new(plan), Box::new(|_| (None, Ok(()))))
    }

    /// One with a process of its own, as far as the engine can tell.
    pub fn in_runner(rig: &Rig, number: i64, plan: impl FnMut(&RunOrder) -> Does + Send + 'static) -> Self {
        Self::placed(rig, Placement::Runner, number, 8, Box::new(plan), Box::new(|_| (None, Ok(()))))
    }

    pub fn with_actions(rig: &Rig, number: i64, in_flight_max: usize, plan: Plan, act: ActPlan) -> Self {
        Self::placed(rig, Placement::InProcess, number, in_flight_max, plan, act)
    }

    fn placed(rig: &Rig, placement: Placement, number: i64, in_flight_max: usize, plan: Plan, act: ActPlan) -> Self {
        let (orders, inbox) = mpsc::channel();
        let serving = Arc::new(Serving {
            plugin: format!("p{number}"),
            generation: number,
            digest: format!("digest-{number}"),
            placement,
            orders,
            run_time: None,
            output_max: 1 << 20,
            in_flight_max,
            succeeded: false.into(),
        });
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let worker = Worker { number, reports: rig.reports.clone(), seen: Arc::clone(&seen), asking: HashMap::new(), plan, act };
        std::thread::spawn(move || worker.run(&inbox));
        Self { serving, seen, reports: rig.reports.clone() }
    }

    pub fn succeeding(rig: &Rig, number: i64) -> Self {
        Self::new(rig, number, 1_024, |_| Does::Ends(JobEnd::Succeeded))
    }

    /// Waits until it saw what the test expects.
    pub fn until(&self, what: &str, mut holds: impl FnMut(&Seen) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = self.seen.0.lock();
        while !holds(&seen) {
            assert!(!self.seen.1.wait_until(&mut seen, deadline).timed_out(), "waited in vain until {what}");
        }
    }

    /// Lets its runs take no longer. Before it serves.
    pub fn limit(&mut self, run_time: Option<Duration>) {
        Arc::get_mut(&mut self.serving).expect("it serves nobody yet").run_time = run_time;
    }

    pub fn killed(&self) -> Vec<Killing> {
        self.seen.0.lock().killed.clone()
    }

    pub fn ran(&self) -> Vec<RunOrder> {
        self.seen.0.lock().ran.clone()
    }

    /// Lets what it holds end, now and from now on.
    pub fn release(&self) {
        let mut seen = self.seen.0.lock();
        seen.released = true;
        let held = std::mem::take(&mut seen.held);
        drop(seen);
        let ended = held.into_iter().map(|(run, started)| ended(run, JobEnd::Succeeded, started)).collect();
        self.report(Report::Done(ended));
    }

    pub fn report(&self, report: Report) {
        self.reports.send(Stamped { generation: self.serving.generation, report }).unwrap();
    }

    pub fn go(&self) {
        self.report(Report::Gone(Farewell { memory: Memory::None, unload: None, death: None }));
    }

    /// Its process is ended as it was told to; answers that order.
    pub fn die_as_told(&self) -> Killing {
        let mut told = None;
        self.until("it is told to end", |seen| {
            told = seen.killed.first().cloned();
            told.is_some()
        });
        let killing = told.expect("waited for");
        let death = Death { kind: killing.kind, cause: killing.why.clone(), run: killing.run };
        self.report(Report::Gone(Farewell { memory: Memory::Unmapped, unload: None, death: Some(death) }));
        killing
    }

    /// Ends one of its runs by itself.
    pub fn end(&self, run: u64, end: JobEnd) {
        self.report(Report::Done(vec![ended(run, end, clock::now())]));
    }
}

fn ended(run: u64, end: JobEnd, started_at: DateTime<Utc>) -> Ended {
    Ended { reply: RunReply { run, end, output: None, resources: vec![] }, started_at, finished_at: clock::now() }
}

struct Worker {
    number: i64,
    reports: Sender<Stamped>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// By call: what to report after the answer.
    asking: HashMap<u64, Report>,
    plan: Plan,
    act: ActPlan,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Order>) {
        for order in inbox {
            match order {
                Order::Run(orders) => orders.into_iter().for_each(|order| self.take(order)),
                Order::Act(order) => self.take_act(&order),
                Order::Answer { call, answer } => {
                    self.see(|seen| seen.answers.push(answer));
                    if let Some(report) = self.asking.remove(&call) {
                        self.report(report);
                    }
                }
                Order::Cancel { run } => {
                    let mut held = None;
                    self.see(|seen| {
                        seen.cancelled.push(run);
                        held = seen.held.iter().position(|h| h.0 == run).map(|at| seen.held.remove(at));
                    });
                    if let Some((run, started)) = held {
                        self.report(Report::Done(vec![ended(run, JobEnd::Cancelled { reason: "asked to".into() }, started)]));
                    }
                }
                Order::Kill(killing) => self.see(|seen| seen.killed.push(killing)),
                _ => {}
            }
        }
    }

    fn take(&mut self, order: RunOrder) {
        let (run, now) = (order.run, clock::now());
        let does = (self.plan)(&order);
        if matches!(does, Does::Refuses) {
            self.report(Report::Refused(vec![run]));
            return self.see(|seen| seen.ran.push(order));
        }
        if !matches!(does, Does::Sits | Does::Queues) {
            self.report(Report::Started { run, at: now });
        }
        match does {
            Does::Ends(end) => self.report(Report::Done(vec![ended(run, end, now)])),
            Does::Asks(request, end) => {
                self.asking.insert(run, Report::Done(vec![ended(run, end, now)]));
                self.report(Report::Call { call: run, run, request });
            }
            Does::Holds | Does::Queues => {
                let mut at_once = false;
                self.see(|seen| {
                    at_once = seen.released;
                    if !at_once {
                        seen.held.push((run, now));
                    }
                });
                if at_once {
                    self.report(Report::Done(vec![ended(run, JobEnd::Succeeded, now)]));
                }
            }
            Does::Sits | Does::Deaf | Does::Refuses => {}
        }
        self.see(|seen| seen.ran.push(order));
    }

    fn take_act(&mut self, order: &ActOrder) {
        let (request, result) = (self.act)(order);
        let report = Report::Acted { run: order.run, result };
        let Some(request) = request else { return self.report(report) };
        self.asking.insert(order.run, report);
        self.report(Report::Call { call: order.run, run: order.run, request });
    }

    fn see(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.0.lock());
        self.seen.1.notify_all();
    }

    fn report(&self, report: Report) {
        // The host may have ended before the generation.
        let _ = self.reports.send(Stamped { generation: self.number, report });
    }
}
