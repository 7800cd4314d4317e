//! The engine: takes events in, runs them on time, settles how they ended.
//!
//! It does not load plugins (it reads the registry's snapshots) and decides nothing itself (`sexton-core` does). What must hold: a started
//! run has a slot in the flight record until its settlement is durable.

pub mod act;
pub mod ahead;
pub mod alerts;
pub mod almanac;
pub mod alter;
pub mod calls;
pub mod cancel;
pub mod chains;
pub mod claimer;
pub mod dead_letters;
pub mod due;
pub mod duty;
pub mod executor;
pub mod history;
pub mod inbound;
pub mod intake;
pub mod late;
pub mod limiting;
pub mod limits;
pub mod observe;
pub mod overlap;
pub mod overruns;
pub mod progress;
pub mod recover;
pub mod run_logs;
pub mod scheduler;
pub mod schema;
pub mod settler;
pub mod shared;
pub mod stop;
pub mod table;
#[cfg(test)]
mod tests;
pub mod told;
pub mod turns;
pub mod wake;

use crate::clock;
use crate::engine::almanac::Backfill;
use crate::engine::dead_letters::DeadVerb;
use crate::engine::observe::Listener;
use crate::engine::run_logs::Going;
use crate::engine::scheduler::{Message, Scheduler};
use crate::engine::shared::{Door, Parts, Shared};
use crate::engine::stop::Duties;
use crate::engine::told::HostEvent;
use crate::problem;
use crate::registry::{Registry, Serving};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::limit::{Limit, LimitOn};
use sexton_core::{Event, EventId, NewEvent, OccurrenceId, Refusal};
use sexton_loader::flight::{FlightFile, Left};
use sexton_loader::seam::{LogLine, Order, Stamped};
use sexton_plugin_api::wire::{Bot, Resource, StandingEvent};
use sexton_store::Store;
use sexton_store::rows::{Actor, Change, DeadFilter, EventFilter, Lease, Page};
use sexton_store::store::StandingOffer;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// What the engine stands on.
pub struct Ground {
    /// The durable rows.
    pub store: Arc<dyn Store>,
    /// This host's right to claim.
    pub lease: Lease,
    /// Who serves what.
    pub registry: Arc<Registry>,
    /// Where it is written down which runs are under way; not yet emptied.
    pub flight: FlightFile,
    /// How many may be under way or unsettled.
    pub slots: usize,
    /// What the flight record of an earlier life said.
    pub left: Left,
}

/// A handle; clones share one engine.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    duties: Arc<Mutex<Option<Duties>>>,
}

/// An event as accepted.
#[derive(Clone, Debug, Serialize)]
pub struct Accepted {
    /// Its id.
    pub id: EventId,
    /// When it is due first; none for manual.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Nobody serves its type on this host now; it waits.
    pub unresolved: bool,
    /// Things worth knowing: `the time is in the past: it runs at once`.
    pub notes: Vec<String>,
    /// Nothing was stored: the event with this id is the same, and stays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Events that were the same, cancelled for it, each with what of it already ran and goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<chains::Replaced>,
}

/// The answer to a verb on an event.
#[derive(Clone, Debug, Serialize)]
pub struct Altered {
    /// As stored now.
    pub event: Event,
    /// Runs of it that were already going and go on.
    pub running: Vec<OccurrenceId>,
}

/// A run under way.
#[derive(Clone, Debug, Serialize)]
pub struct InFlight {
    /// Which.
    pub occurrence: OccurrenceId,
    /// Of which type.
    pub event_type: String,
    /// Whose code.
    pub plugin: String,
    /// Which generation.
    pub generation: i64,
    /// Which attempt.
    pub attempt: u32,
    /// When it was handed over.
    pub started_at: DateTime<Utc>,
    /// Asked to stop.
    pub cancelling: bool,
    /// When it will be asked to stop, or was.
    pub deadline: Option<DateTime<Utc>>,
    /// It does not stop although its time is over, and nobody can end it: it is a thread of the host.
    pub stuck: bool,
    /// Since when.
    pub stuck_since: Option<DateTime<Utc>>,
    /// `(done, total, note)` as last reported; null until it was. `total` is never less than `done`.
    pub progress: Option<(u64, Option<u64>, String)>,
}

/// A call of an action.
#[derive(Clone, Debug)]
pub struct ActionCall {
    /// Which.
    pub uid: String,
    /// On whose behalf.
    pub bot: Bot,
    /// Its settings.
    pub settings: Value,
    /// What matched.
    pub matches: Vec<Resource>,
    /// What did not.
    pub non_matches: Vec<Resource>,
}

impl Engine {
    /// Resolves what an earlier life left (`recover`) and starts the threads. Types may be served later.
    pub fn start(ground: Ground) -> Result<Self, Refusal> {
        recover::recover(&ground)?;
        let Ground { store, lease, registry, flight, slots, .. } = ground;
        // Only now: until what it said is durable, a start that fails must find it again.
        let flight = flight.begin(slots).map_err(|e| problem::flight_record(&e))?;
        let wake = wake::Wake::new().map_err(|e| problem::stopped_duty("scheduler").found(format!("no timer can be had: {e}")))?;
        let (inbox, messages) = mpsc::channel();
        let (endings, ended) = mpsc::channel();
        let (calls, asked) = mpsc::channel();
        let (errands, sent_for) = mpsc::channel();
        let (begun, begins) = mpsc::channel();
        let (pages, turned) = mpsc::channel();
        let door = Door { inbox, bell: wake.bell() };
        let shared = Arc::new(Shared::new(Parts { store, lease, registry, flight, door: door.clone(), endings, calls, begun, pages }));
        shared.read_calendars()?;
        let health = &shared.health;

        let (own, asked) = (Arc::clone(&shared), Arc::new(Mutex::new(asked)));
        let settler = duty::spawn("settler", health, move || settler::run(&own, &ended))?;
        let own = Arc::clone(&shared);
        let claimer = duty::spawn("claimer", health, move || claimer::run(&own, &sent_for, &door))?;
        let own = Arc::clone(&shared);
        let scheduler = duty::spawn("scheduler", health, move || Scheduler::new(own, messages, wake, errands).run())?;
        let own = Arc::clone(&shared);
        let overruns = duty::spawn("overruns", health, move || overruns::run(&own, &begins))?;
        let own = Arc::clone(&shared);
        let progress = duty::spawn("progress", health, move || progress::run(&own))?;
        let own = Arc::clone(&shared);
        let almanac = duty::spawn("almanac", health, move || almanac::run(&own, &turned))?;
        let mut calls = Vec::new();
        for _ in 0..calls::THREADS {
            let (own, asked) = (Arc::clone(&shared), Arc::clone(&asked));
            calls.push(duty::spawn("calls", health, move || calls::run(&own, &asked))?);
        }
        let duties = Duties { scheduler, claimer, settler, overruns, progress, almanac, calls, asked };
        Ok(Self { shared, duties: Arc::new(Mutex::new(Some(duties))) })
    }

    /// Validates (type known, args by schema, schedule), stores, and rings the due queue. All or nothing. With several events a refusal
    /// names the place, counted from 1: `event 3: …`.
    pub fn schedule(&self, events: Vec<NewEvent>, by: &Actor) -> Result<Vec<Accepted>, Refusal> {
        self.schedule_lines(events, &[], by)
    }

    /// The same for events that stood in these lines of a text: a refusal says `line 4: …`.
    pub fn schedule_lines(&self, events: Vec<NewEvent>, lines: &[usize], by: &Actor) -> Result<Vec<Accepted>, Refusal> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (mut accepted, mut intentions) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        let (admitted, _judged_by) = intake::admit(&self.shared, events, lines)?;
        for intake::Admitted { intention, unresolved, notes } in admitted {
            accepted.push(Accepted { id: intention.id, next_run_at: None, unresolved, notes, kept: false, replaced: Vec::new() });
            intentions.push(intention);
        }
        let stored = calls::store(&self.shared, &intentions, by)?;
        accepted.iter_mut().zip(stored).try_for_each(|(accepted, stored)| chains::tell(&self.shared, accepted, stored))?;
        Ok(accepted)
    }

    /// The named calendars of this moment.
    #[must_use]
    pub fn calendars(&self) -> Arc<Calendars> {
        self.shared.calendars()
    }

    /// Stores a calendar, plans again the events that name it, and answers how many of them moved.
    pub fn set_calendar(&self, name: &str, calendar: &Calendar, by: &Actor) -> Result<i64, Refusal> {
        almanac::set_calendar(&self.shared, name, calendar, by)
    }

    /// Forgets a calendar that no open event names; answers whether it was there.
    pub fn remove_calendar(&self, name: &str, by: &Actor) -> Result<bool, Refusal> {
        almanac::remove_calendar(&self.shared, name, by)
    }

    /// Stores an occurrence for each instant of an event's schedule in `[from, to]`, or only finds them.
    pub fn backfill(&self, id: EventId, range: (DateTime<Utc>, DateTime<Utc>), dry_run: bool, by: &Actor) -> Result<Backfill, Refusal> {
        almanac::backfill(&self.shared, id, range, dry_run, by)
    }

    /// Sets a limit, in place of what was on the same thing; what runs goes on.
    pub fn set_limit(&self, limit: &Limit, by: &Actor) -> Result<(), Refusal> {
        limiting::set(&self.shared, limit, by)
    }

    /// Takes a limit away; answers whether it was there.
    pub fn remove_limit(&self, on: &LimitOn, by: &Actor) -> Result<bool, Refusal> {
        limiting::remove(&self.shared, on, by)
    }

    /// How often the clock was set since the start.
    #[must_use]
    pub fn clock_steps(&self) -> u64 {
        self.shared.almanac.clock_steps.load(Ordering::Relaxed)
    }

    /// Looks at the zone data now, instead of soon.
    pub fn look_at_zones(&self) {
        // A thread that has stopped was said when it did.
        let _ = self.shared.pages.send(almanac::Page::Look);
    }

    /// Validates a standing event of a batch against the compiled schema of its type, settles its schedule and gives it an id, so that it
    /// can go into `Store::publish`.
    pub fn standing(&self, event: &StandingEvent, validator: &jsonschema::Validator) -> Result<StandingOffer, Refusal> {
        intake::admit_standing(&self.shared, event, validator)
    }

    /// Pauses those of `ids` that are scheduled, as [`Engine::alter`] does one, with `reason` as their note. Answers how many.
    pub fn pause_many(&self, ids: &[EventId], reason: &str, by: &Actor) -> Result<u64, Refusal> {
        alter::pause_many(&self.shared, ids, reason, by)
    }

    /// Changes one event: its entries are out of the due queue before the answer.
    pub fn alter(&self, id: EventId, change: Change, by: &Actor) -> Result<Altered, Refusal> {
        alter::alter(&self.shared, id, change, by)
    }

    /// Runs under way, the longest first.
    #[must_use]
    pub fn in_flight(&self) -> Vec<InFlight> {
        let rows = self.shared.table.rows();
        let mut runs: Vec<InFlight> = rows.under_way().map(|(_, running)| view(running)).collect();
        drop(rows);
        runs.sort_by_key(|r| (r.started_at, r.occurrence));
        runs
    }

    /// Runs under way of one generation.
    #[must_use]
    pub fn load_of(&self, generation: i64) -> usize {
        self.shared.table.rows().load(generation)
    }

    /// Asks a run to stop; one that does not is ended after its grace, where it has a process. Refused if it is not under way.
    pub fn cancel_run(&self, occurrence: OccurrenceId, by: &Actor) -> Result<(), Refusal> {
        cancel::one(&self.shared, occurrence, by)
    }

    /// The same for all of these that are under way, or only names them.
    pub fn cancel_runs(&self, which: &cancel::Which, dry_run: bool, by: &Actor) -> Vec<OccurrenceId> {
        cancel::many(&self.shared, which, dry_run, by)
    }

    /// Cancels a page of the events in one state.
    pub fn cancel_events(&self, filter: &EventFilter, page: &Page, by: &Actor) -> Result<cancel::Events, Refusal> {
        cancel::events(&self.shared, filter, page, by)
    }

    /// Puts a page of dead letters back, or removes it.
    pub fn treat_dead_letters(
        &self,
        verb: DeadVerb,
        filter: &DeadFilter,
        past: Option<OccurrenceId>,
        limit: usize,
        by: &Actor,
    ) -> Result<dead_letters::Treated, Refusal> {
        dead_letters::treat(&self.shared, verb, filter, past, limit, by)
    }

    /// Puts one dead letter back, or removes it.
    pub fn treat_dead_letter(&self, verb: DeadVerb, occurrence: OccurrenceId, by: &Actor) -> Result<(), Refusal> {
        dead_letters::treat_one(&self.shared, verb, occurrence, by)
    }

    /// Lets an occurrence have its next attempt at once: a dead letter is put back.
    pub fn retry(&self, occurrence: OccurrenceId, by: &Actor) -> Result<(), Refusal> {
        dead_letters::retry(&self.shared, occurrence, by)
    }

    /// Asks every run to stop because the host does: one that obeys is to run again at the next start.
    pub fn ask_to_stop(&self) {
        stop::ask_to_stop(&self.shared);
    }

    /// Calls an action and waits for it (at most ten minutes); answers the ids of events that it scheduled.
    pub fn act(&self, call: ActionCall, by: &Actor) -> Result<Vec<EventId>, Refusal> {
        act::act(&self.shared, call, by, limits::ACTION_WAIT)
    }

    /// The registry was swapped: look again at what is served.
    pub fn registry_changed(&self) {
        self.shared.table.remember(&self.shared.registry.now());
        // A scheduler that has stopped is in `health`.
        let _ = self.shared.door.send(Message::RegistryChanged);
    }

    /// Takes a report that concerns runs, actions or calls (`Started Done Refused Acted Call`), or the `Gone` of a generation.
    pub fn report(&self, stamped: Stamped) {
        inbound::take(&self.shared, stamped);
    }

    /// A generation of this plugin is about to be opened: what it says from now on goes under that name.
    pub fn opening(&self, generation: i64, plugin: &str) {
        self.shared.run_logs.name(generation, plugin);
    }

    /// A generation is about to become active: from now on what it asks is answered, also if it serves neither types nor actions.
    pub fn introduce(&self, serving: &Arc<Serving>) {
        self.shared.table.introduce(serving);
    }

    /// Keeps a line that a generation logged with the run in which it was said. Answers the plugin, and the occurrence if it was in a run.
    #[must_use]
    pub fn logged(&self, generation: i64, line: &LogLine) -> (Option<Arc<str>>, Option<OccurrenceId>) {
        self.shared.run_logs.take(generation, line)
    }

    /// What a run has logged so far, as long as its settlement is not durable; of that attempt, else of the one under way.
    #[must_use]
    pub fn run_log(&self, occurrence: OccurrenceId, attempt: Option<u32>) -> Option<Going> {
        self.shared.run_logs.of(occurrence, attempt)
    }

    /// Lets a generation log from `level` on (0 = nothing, 1 = error … 5 = trace); false if it is not there to be told.
    #[must_use]
    pub fn set_log_level(&self, generation: i64, level: u8) -> bool {
        let serving = self.shared.table.rows().serving(generation);
        serving.is_some_and(|serving| serving.orders.send(Order::LogLevel(level)).is_ok())
    }

    /// Hears of everything that happens from now on, unless `most` do already; a slow listener loses the oldest.
    pub fn watch(&self, most: usize) -> Result<Listener, Refusal> {
        self.shared.observers.watch(most)
    }

    /// Tells whoever listens.
    pub fn tell(&self, what: impl FnOnce() -> HostEvent) {
        self.shared.observers.tell(what);
    }

    /// The duty that has stopped, if one did: the host is to be restarted.
    #[must_use]
    pub fn health(&self) -> Option<Refusal> {
        self.shared.health.problem()
    }

    /// Takes no new runs, waits `drain` for the running, asks them to stop, waits `grace`, settles what ended, gives claims back. A second
    /// call waits for the first.
    pub fn stop(&self, drain: Duration, grace: Duration) {
        self.stop_within(drain, grace, stop::LAST_WORDS);
    }

    /// The same, with a word on how long a store that answers slowly is waited for at the end.
    pub(crate) fn stop_within(&self, drain: Duration, grace: Duration, last_words: Duration) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let mut duties = self.duties.lock();
        if let Some(duties) = duties.take() {
            stop::stop(&self.shared, duties, drain, grace, last_words);
        }
    }
}

fn view(running: &table::Running) -> InFlight {
    InFlight {
        occurrence: running.occurrence.id,
        event_type: running.occurrence.wish.event_type.clone(),
        plugin: running.serving.plugin.clone(),
        generation: running.serving.generation,
        attempt: running.occurrence.attempt,
        started_at: running.entered_at.unwrap_or(running.handed_at),
        cancelling: running.cancelling || running.overrun,
        deadline: running.bounds.timeout.map(|(limit, _)| clock::later(running.entered_at.unwrap_or(running.handed_at), limit)),
        stuck: running.stuck_since.is_some(),
        stuck_since: running.stuck_since,
        progress: running.progress.as_ref().map(progress::Progress::shown),
    }
}
