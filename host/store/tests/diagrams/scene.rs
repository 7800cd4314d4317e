//! One store, events of each kind in each state, and everything that can be done to them.
//!
//! Not what is expected: that is the diagram's. What must hold: each event is looked at alone; what it leaves behind is taken away.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::decide::late::{Found, Late, when_found};
use sexton_core::decide::{Absence, End, Guilt, SkipReason};
use sexton_core::ids::EventIds;
use sexton_core::schedule::Misfire;
use sexton_core::schedule::follows::{Link, On};
use sexton_core::{EventId, NewEvent, Occurrence, OccurrenceId, RetryPolicy, Schedule, TimeLimit, TypeId};
use sexton_store::rows::{Aborted, Actor, Change, Edit, Intention, Lease, Misfired, Offer, PrunePlace, Pruning, RunEnd, Spent};
use sexton_store::sqlite::Sqlite;
use sexton_store::store::StandingOffer;
use sexton_store::{DeadLetters, History, Store};
use std::sync::Arc;
use std::time::Duration;

const TYPE: &str = "acme.ring_bell";
const FILE: &str = "scene.db";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Seconds after the beginning: a midnight.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(20_834 * 86_400 + seconds, 0).expect("within reach")
}

/// Kinds of events, such that each edge has one that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Once,
    /// A one-shot that is not wanted late.
    Expiring,
    Every,
    /// Without a time after its first one, and not wanted late.
    Last,
    /// May run once.
    Spent,
    /// With times that a calendar can close, up to an end.
    Gated,
    /// Nobody knows its zone.
    Nowhere,
    /// Follows the failures of an event that may run twice.
    Follower,
    Manual,
}

pub const KINDS: &[Kind] =
    &[Kind::Once, Kind::Expiring, Kind::Every, Kind::Last, Kind::Spent, Kind::Gated, Kind::Nowhere, Kind::Follower, Kind::Manual];

impl Kind {
    fn schedule(self, now: i64, upstream: Option<EventId>) -> Schedule {
        let every = || Schedule::every(Duration::from_secs(60), Some(at(0)));
        let mut schedule = match self {
            Self::Once | Self::Expiring => Schedule::once(at(now + MINUTE)),
            Self::Every | Self::Last | Self::Spent | Self::Gated => every(),
            Self::Nowhere => Schedule::cron("0 2 * * *", "Europe/Nowhere"),
            Self::Follower => Schedule::follows(upstream.map(|event| Link { event, on: On::Failure }).into_iter().collect()),
            Self::Manual => Schedule::manual(),
        };
        let terms = &mut schedule.terms;
        match self {
            Self::Expiring => terms.expires = Some(Duration::from_secs(60)),
            Self::Last => (terms.end, terms.misfire) = (Some(at(now + MINUTE)), Misfire::Skip),
            Self::Spent => terms.max_runs = Some(1),
            Self::Gated => (terms.end, terms.exclude) = (Some(at(now + 10 * MINUTE)), vec!["closed".to_owned()]),
            _ => {}
        }
        schedule
    }
}

/// An event of the scene, with what of it is claimed or runs.
pub struct Staged {
    pub id: EventId,
    /// What it follows.
    upstream: Option<EventId>,
    taken: Vec<Occurrence>,
    /// Whether those run.
    runs: bool,
}

impl Staged {
    fn running(&self) -> Vec<OccurrenceId> {
        if self.runs { self.taken.iter().map(|occurrence| occurrence.id).collect() } else { Vec::new() }
    }

    /// Its claims are void from now on, and it does not know.
    pub fn void(&mut self, scene: &mut Scene) {
        scene.store.alter(&scene.lease, self.id, &Change::Pause { note: None }, &[], &by(), at(scene.now)).expect("paused");
    }
}

fn by() -> Actor {
    Actor("scene".to_owned())
}

pub struct Scene {
    store: Sqlite,
    /// Where the store's file is, if it has one.
    folder: Option<tempfile::TempDir>,
    lease: Lease,
    bell: TypeId,
    ids: EventIds,
    now: i64,
}

type Reach = fn(&mut Scene, &mut Staged) -> bool;
pub type Stimulate = fn(&mut Scene, &mut Staged);

/// How an event comes into each state, if its kind can.
pub const REACHED: &[(&str, Reach)] = &[
    ("scheduled", |_, _| true),
    ("paused", |scene, event| scene.alter(event, &Change::Pause { note: None })),
    ("completed", |scene, event| scene.ends(event, &End::Succeeded)),
    ("completed", |scene, event| scene.ends(event, &End::Failed { permanent: true })),
    ("cancelled", |scene, event| scene.alter(event, &Change::Cancel)),
    ("discarded", |scene, event| scene.ends(event, &End::Failed { permanent: true })),
];

/// Everything that can be done to an event, each with the word that the diagram has for it.
pub const STIMULI: &[(&str, &str, Stimulate)] = &[
    ("pause", "pause", |scene, event| {
        scene.alter(event, &Change::Pause { note: None });
    }),
    ("pause many", "pause", |scene, event| {
        scene.store.pause_many(&scene.lease, &[event.id], "many", &event.running(), &by(), at(scene.now)).expect("answered");
    }),
    ("resume", "resume", |scene, event| {
        scene.alter(event, &Change::Resume);
    }),
    ("resume, late", "resume", |scene, event| {
        scene.now += HOUR;
        scene.alter(event, &Change::Resume);
    }),
    ("cancel", "cancel", |scene, event| {
        scene.alter(event, &Change::Cancel);
    }),
    ("run now", "run now", |scene, event| {
        scene.alter(event, &Change::RunNow);
    }),
    ("edit", "edit", |scene, event| {
        let schedule = Schedule::once(at(scene.now + HOUR));
        scene.alter(event, &Change::Edit(Box::new(Edit { schedule: Some(schedule), ..Edit::default() })));
    }),
    ("backfill", "backfill", |scene, event| {
        // Refused for what has ended.
        let _ = scene.store.backfill(&scene.lease, event.id, &[at(scene.now - HOUR)], &by(), at(scene.now));
    }),
    ("requeue", "requeue", |scene, event| {
        scene.store.requeue(&scene.lease, &scene.dead(event), &by(), at(scene.now)).expect("answered");
    }),
    ("discard", "discard", |scene, event| {
        scene.store.discard(&scene.lease, &scene.dead(event), &by(), at(scene.now)).expect("answered");
    }),
    ("cancel many", "cancel", |scene, event| {
        scene.store.cancel_many(&scene.lease, &[event.id], &event.running(), &by(), at(scene.now)).expect("answered");
    }),
    ("upstream cancelled", "chain", |scene, event| {
        if let Some(upstream) = event.upstream {
            scene.store.alter(&scene.lease, upstream, &Change::Cancel, &[], &by(), at(scene.now)).expect("cancelled");
        }
    }),
    ("upstream over", "chain", |scene, event| {
        if let Some(upstream) = event.upstream {
            scene.runs(upstream, &End::Failed { permanent: true });
            scene.runs(event.id, &End::Succeeded);
            scene.runs(upstream, &End::Succeeded);
        }
    }),
    ("publish", "publish", |scene, event| scene.publish(event)),
    ("success", "end", |scene, event| {
        scene.ends(event, &End::Succeeded);
    }),
    ("failure", "end", |scene, event| {
        scene.ends(event, &End::Failed { permanent: false });
    }),
    ("last failure", "end", |scene, event| {
        scene.ends(event, &End::Failed { permanent: true });
    }),
    ("snooze", "end", |scene, event| {
        scene.ends(event, &End::Snoozed { until: at(scene.now + HOUR) });
    }),
    ("cancelled", "end", |scene, event| {
        scene.ends(event, &End::Cancelled);
    }),
    ("interrupted", "end", |scene, event| {
        scene.ends(event, &End::Interrupted { guilt: Guilt::Suspect });
    }),
    ("found late", "late", |scene, event| scene.judges(event)),
    ("given back", "give back", |scene, event| {
        let claims: Vec<_> = event.taken.iter().map(|occurrence| (occurrence.id, occurrence.token)).collect();
        scene.store.give_back(&scene.lease, &claims).expect("answered");
    }),
    ("clock back", "clock", |scene, _| {
        scene.now -= 10 * MINUTE;
        scene.store.move_retries(&scene.lease, -TimeDelta::minutes(10)).expect("moved");
        scene.store.clock_set_back(&scene.lease, TimeDelta::minutes(10), None, 10_000, at(scene.now)).expect("moved");
    }),
    ("calendar", "calendar", |scene, _| {
        scene.close(&["2020-01-01..2100-12-31"]);
        scene.close(&["1999-01-01"]);
    }),
    ("crash", "crash", |scene, event| scene.crashes(event)),
    ("prune", "prune", |scene, _| scene.prunes()),
];

/// The same for a store in a file.
pub const STIMULI_OF_A_FILE: &[(&str, &str, Stimulate)] = &[("damage", "cannot be read", |scene, event| scene.damages(event))];

impl Scene {
    pub fn in_memory() -> Self {
        Self::on(Sqlite::in_memory().expect("a store"), None)
    }

    /// Slower, and somebody else can write into it.
    pub fn in_a_file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::on(Sqlite::open(&folder.path().join(FILE)).expect("a store"), Some(folder))
    }

    fn on(store: Sqlite, folder: Option<tempfile::TempDir>) -> Self {
        let lease = store.attach("tower", at(0)).expect("a lease");
        let generation = store.new_generation("bells", "d1", at(0)).expect("a generation");
        let bell = store.publish(&lease, "bells", generation, &[offer()], &[], &by(), at(0)).expect("published")[0].id;
        let ids = EventIds::new(u8::try_from(lease.host).expect("small"), None);
        let scene = Self { store, folder, lease, bell, ids, now: 0 };
        scene.close(&["1999-01-01"]);
        scene
    }

    fn close(&self, dates: &[&str]) {
        let calendar = Calendar::read(&json!({ "tz": "UTC", "dates": dates })).expect("a calendar");
        self.store.set_calendar(&self.lease, "closed", &calendar, &by(), at(self.now)).expect("set");
    }

    fn calendars(&self) -> Calendars {
        let mut calendars = Calendars::new();
        for row in self.store.calendars().expect("read") {
            calendars.insert(&row.name, Arc::new(row.calendar)).expect("a name");
        }
        calendars
    }

    /// An event of that kind; with `running`, its first occurrence (or one asked for) was started.
    pub fn event(&mut self, kind: Kind, running: bool) -> Staged {
        // A minute that no other event of the scene has.
        self.now += 2 * HOUR;
        self.now -= self.now.rem_euclid(MINUTE);
        let upstream = (kind == Kind::Follower).then(|| self.upstream());
        let schedule = kind.schedule(self.now, upstream);
        let first = match kind {
            Kind::Nowhere => Some(at(self.now + MINUTE)),
            _ => schedule.plan(&self.calendars()).and_then(|plan| plan.first(at(self.now))).expect("a plan"),
        };
        let id = self.ids.next(at(self.now).timestamp_millis());
        let retry = Some(RetryPolicy { attempts: 2, ..RetryPolicy::default() });
        let wish = NewEvent { key: Some(id.to_string()), retry, ..NewEvent::new(TYPE, schedule) };
        let intention = Intention { id, type_id: self.bell, wish, first, standing_of: Some("bells".to_owned()) };
        self.store.schedule(&self.lease, &[intention], &by(), at(self.now)).expect("stored");
        let mut event = Staged { id, upstream, taken: Vec::new(), runs: running };
        if running {
            if matches!(kind, Kind::Manual | Kind::Follower) {
                self.alter(&event, &Change::RunNow);
            }
            self.takes(&mut event);
        }
        event
    }

    /// An event to follow: it may run twice.
    fn upstream(&mut self) -> EventId {
        let mut schedule = Schedule::every(Duration::from_secs(60), Some(at(0)));
        schedule.terms.max_runs = Some(2);
        let first = schedule.plan(&Calendars::new()).and_then(|plan| plan.first(at(self.now))).expect("a plan");
        let id = self.ids.next(at(self.now).timestamp_millis());
        let intention = Intention { id, type_id: self.bell, wish: NewEvent::new(TYPE, schedule), first, standing_of: None };
        self.store.schedule(&self.lease, &[intention], &by(), at(self.now)).expect("stored");
        id
    }

    /// What is due of an event runs, and ends so.
    fn runs(&mut self, id: EventId, end: &End) {
        let mut event = Staged { id, upstream: None, taken: Vec::new(), runs: false };
        self.ends(&mut event, end);
    }

    fn dead(&self, event: &Staged) -> Vec<OccurrenceId> {
        let waiting = self.store.waiting(event.id).expect("read");
        waiting.into_iter().filter(|row| row.dead.is_some()).map(|row| row.occurrence).collect()
    }

    /// As a word; none if it is pruned.
    pub fn state(&self, event: &Staged) -> Option<String> {
        let event = self.store.event(event.id).expect("read")?;
        Some(serde_json::to_value(event.state).expect("a word").as_str().expect("a word").to_owned())
    }

    /// Takes away what an event leaves behind.
    pub fn clear(&mut self, event: &Staged) {
        // Refused if it ended by itself, or is gone.
        for id in std::iter::once(event.id).chain(event.upstream) {
            let _ = self.store.alter(&self.lease, id, &Change::Cancel, &[], &by(), at(self.now));
        }
    }

    fn alter(&self, event: &Staged, change: &Change) -> bool {
        self.store.alter(&self.lease, event.id, change, &event.running(), &by(), at(self.now)).is_ok()
    }

    /// Claims what is due of it within two minutes; all else goes back.
    fn takes(&mut self, event: &mut Staged) {
        self.now += 2 * MINUTE;
        let claimed = self.store.claim(&self.lease, &[self.bell], at(self.now), 10_000).expect("claimed");
        let (own, other): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|occurrence| occurrence.id.event == event.id);
        let back: Vec<_> = other.iter().map(|occurrence| (occurrence.id, occurrence.token)).collect();
        self.store.give_back(&self.lease, &back).expect("given back");
        event.taken = own;
    }

    /// Its run ends so; answers whether there was one.
    fn ends(&mut self, event: &mut Staged, end: &End) -> bool {
        if !event.runs {
            self.takes(event);
            event.runs = true;
        }
        let had = !event.taken.is_empty();
        let ends: Vec<RunEnd> = event.taken.drain(..).map(|occurrence| row(&occurrence, end.clone(), at(self.now))).collect();
        self.store.settle(&self.lease, &ends, at(self.now)).expect("settled");
        had
    }

    /// What becomes of its one occurrence if it ends so.
    pub fn follows(&mut self, event: &mut Staged, end: &End) -> &'static str {
        let rows = |scene: &Self| scene.store.waiting(event.id).expect("read").into_iter().next();
        let before = rows(self).map(|row| (row.due_at, row.attempt, row.cause));
        self.ends(event, end);
        match self.store.waiting(event.id).expect("read").into_iter().next() {
            None => "gone",
            Some(row) if row.dead.is_some() => "dead letter",
            Some(row) if before == Some((row.due_at, row.attempt, row.cause)) => "nothing",
            Some(_) => "again",
        }
    }

    /// Its occurrence is due again, and runs.
    pub fn runs_again(&mut self, event: &mut Staged) -> bool {
        self.now += 2 * 24 * HOUR;
        self.takes(event);
        !event.taken.is_empty()
    }

    /// An hour late, it is claimed and judged.
    fn judges(&mut self, event: &mut Staged) {
        if event.runs {
            return;
        }
        self.now += HOUR;
        self.takes(event);
        let calendars = self.calendars();
        let mut found = Vec::new();
        for occurrence in &event.taken {
            let schedule = occurrence.wish.schedule.clone();
            let row = Found { scheduled_for: occurrence.scheduled_for, due_at: occurrence.due_at, counted_to: occurrence.counted_to };
            let judged = schedule
                .plan(&calendars)
                .and_then(|plan| when_found(&schedule, &plan, &row, &Absence::always(SkipReason::Late), at(self.now)));
            match judged {
                Ok(late) if late != Late::Run => {
                    found.push(Misfired { occurrence: occurrence.id, token: occurrence.token, schedule, late });
                }
                Ok(_) => {}
                // The host pauses what cannot be asked.
                Err(why) => {
                    self.store.pause_many(&self.lease, &[event.id], &why.to_string(), &[], &by(), at(self.now)).expect("paused");
                }
            }
        }
        self.store.misfire(&self.lease, &found, at(self.now)).expect("written");
    }

    /// Its plugin declares it anew.
    fn publish(&mut self, event: &Staged) {
        let schedule = Schedule::every(Duration::from_secs(600), Some(at(0)));
        let first = schedule.plan(&Calendars::new()).and_then(|plan| plan.first(at(self.now))).expect("a plan");
        let wish = NewEvent { key: Some(event.id.to_string()), ..NewEvent::new(TYPE, schedule) };
        let id = self.ids.next(at(self.now).timestamp_millis());
        let standing = StandingOffer { event_type: TYPE.to_owned(), id, wish, first };
        let generation = self.store.new_generation("bells", "d1", at(self.now)).expect("a generation");
        self.store.publish(&self.lease, "bells", generation, &[offer()], &[standing], &by(), at(self.now)).expect("published");
        // What stands in its place is not looked at.
        let _ = self.store.alter(&self.lease, id, &Change::Cancel, &[], &by(), at(self.now));
    }

    fn crashes(&mut self, event: &mut Staged) {
        let aborted: Vec<Aborted> =
            event.taken.drain(..).filter(|_| event.runs).map(|occurrence| aborted(&occurrence, at(self.now))).collect();
        self.lease = self.store.attach("tower", at(self.now)).expect("a lease");
        self.store.recover(&self.lease, &aborted, at(self.now)).expect("recovered");
    }

    /// Somebody wrote into the file what is no JSON, and it falls due.
    fn damages(&mut self, event: &mut Staged) {
        let folder = self.folder.as_ref().expect("only what is in a file can be written from outside");
        let conn = rusqlite::Connection::open(folder.path().join(FILE)).expect("a second connection");
        let id = event.id.0;
        let set = |column: &str, text: &str| {
            conn.execute(&format!("UPDATE events SET {column} = ?2 WHERE id = ?1"), (id, text)).expect("written");
        };
        set("labels", "no JSON");
        if !event.runs {
            self.takes(event);
        }
        set("labels", "{}");
    }

    fn prunes(&self) {
        let mut what = Pruning { spent: Spent::Before(at(self.now + 1)), dry_run: false, from: PrunePlace::default(), limit: 1_000 };
        while let Some(next) = self.store.prune(&what, at(self.now)).expect("pruned").next {
            what.from = next;
        }
    }
}

fn offer() -> Offer {
    Offer { event_type: TYPE.to_owned(), args_schema: json!({ "type": "object" }), retry: None, time_limit: TimeLimit::default() }
}

fn row(occurrence: &Occurrence, end: End, now: DateTime<Utc>) -> RunEnd {
    RunEnd {
        occurrence: occurrence.id,
        token: occurrence.token,
        attempt: occurrence.attempt,
        started_at: Some(now),
        finished_at: now,
        end,
        error: None,
        code: None,
        output: None,
        resources: Vec::new(),
        plugin: "bells".to_owned(),
        generation: 1,
        digest: "d1".to_owned(),
        placement: "runner".to_owned(),
        follow_ups: Vec::new(),
        log: None,
    }
}

fn aborted(occurrence: &Occurrence, now: DateTime<Utc>) -> Aborted {
    Aborted {
        occurrence: occurrence.id,
        token: occurrence.token,
        attempt: occurrence.attempt,
        started_at: now,
        plugin: "bells".to_owned(),
        generation: 1,
        digest: "d1".to_owned(),
        placement: "runner".to_owned(),
        cause: "the host ended".to_owned(),
    }
}
