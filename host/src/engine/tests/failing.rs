//! A store that cannot write: nothing is lost, nothing new starts, and it is said.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use sexton_core::calendar::Calendar;
use sexton_core::decide::alert::{Alert, AlertStanding};
use sexton_core::limit::{Limit, LimitOn};
use sexton_core::schedule::zone::ZoneRules;
use sexton_core::{Event, EventId, Occurrence, OccurrenceId, Outcome, Refusal, RetentionRule, Run, TypeId};
use sexton_loader::flight::FlightFile;
use sexton_plugin_api::wire::JobEnd;
use sexton_store::rows::{
    Aborted, Actor, AlertFound, AlertMove, AlertRow, AuditFilter, AuditLine, CalendarRow, Change, ClockPage, Counts, Crash, DeadFilter,
    DeadLetter, DeadPage, Decision, EventFilter, GenerationRow, Intention, Lease, LimitRow, LinkRow, Misfired, NextClaim, Offer,
    Overlapped, Page, PluginRow, Pruned, Pruning, RetentionRow, RunEnd, RunFilter, RunLog, Settled, StateRow, Stored, TypeRow, TypeStats,
    Waiting, ZonePage, ZoneRow,
};
use sexton_store::sqlite::Sqlite;
use sexton_store::store::{Each, Result, StandingOffer};
use sexton_store::{DeadLetters, ErrorKind, History, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The real store, behind a disk that fails when the test says so.
struct Failing {
    inner: Sqlite,
    with: Mutex<Option<StoreError>>,
    refused: AtomicUsize,
}

impl Failing {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: Sqlite::in_memory().unwrap(), with: Mutex::new(None), refused: AtomicUsize::new(0) })
    }

    fn fails(&self, with: Option<StoreError>) {
        *self.with.lock() = with;
    }

    fn look(&self) -> Result<()> {
        let error = self.with.lock().clone();
        error.map_or(Ok(()), |error| {
            self.refused.fetch_add(1, Ordering::SeqCst);
            Err(error)
        })
    }
}

macro_rules! passed_on {
    ($(fn $name:ident(&self $(, $arg:ident: $of:ty)*) -> $answer:ty;)*) => {
        $(fn $name(&self $(, $arg: $of)*) -> $answer { self.inner.$name($($arg),*) })*
    };
}

impl DeadLetters for Failing {
    passed_on! {
        fn dead_letters(&self, filter: &DeadFilter, page: &DeadPage) -> Result<Vec<DeadLetter>>;
        fn count_dead_letters(&self, filter: &DeadFilter) -> Result<i64>;
        fn requeue(&self, lease: &Lease, which: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Each>;
        fn discard(&self, lease: &Lease, which: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Each>;
        fn hasten(&self, lease: &Lease, occurrence: OccurrenceId, running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<()>;
        fn cancel_many(&self, lease: &Lease, ids: &[EventId], running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<u64>;
    }
}

impl Store for Failing {
    fn claim_at(&self, lease: &Lease, types: &[TypeId], now: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<Occurrence>> {
        self.look()?;
        self.inner.claim_at(lease, types, now, until, limit)
    }

    fn settle(&self, lease: &Lease, ends: &[RunEnd], now: DateTime<Utc>) -> Result<Vec<Settled>> {
        self.look()?;
        self.inner.settle(lease, ends, now)
    }

    fn give_back(&self, lease: &Lease, claims: &[(OccurrenceId, i64)]) -> Result<()> {
        self.look()?;
        self.inner.give_back(lease, claims)
    }

    fn misfire(&self, lease: &Lease, found: &[Misfired], now: DateTime<Utc>) -> Result<Vec<bool>> {
        self.look()?;
        self.inner.misfire(lease, found, now)
    }

    fn overlapped(
        &self,
        lease: &Lease,
        claims: &[(OccurrenceId, i64)],
        running: &[OccurrenceId],
        now: DateTime<Utc>,
    ) -> Result<Overlapped> {
        self.look()?;
        self.inner.overlapped(lease, claims, running, now)
    }

    fn recover(&self, lease: &Lease, aborted: &[Aborted], now: DateTime<Utc>) -> Result<(i64, i64)> {
        self.look()?;
        self.inner.recover(lease, aborted, now)
    }

    fn close(&self) {
        self.inner.close();
    }

    passed_on! {
        fn attach(&self, name: &str, now: DateTime<Utc>) -> Result<Lease>;
        fn schedule(&self, lease: &Lease, intentions: &[Intention], by: &Actor, now: DateTime<Utc>) -> Result<Vec<Stored>>;
        fn next_claim(&self, types: &[TypeId], now: DateTime<Utc>) -> Result<NextClaim>;
        fn set_limit(&self, lease: &Lease, limit: &Limit, by: &Actor, now: DateTime<Utc>) -> Result<()>;
        fn remove_limit(&self, lease: &Lease, on: &LimitOn, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
        fn limits(&self, now: DateTime<Utc>) -> Result<Vec<LimitRow>>;
        fn alter(&self, lease: &Lease, id: EventId, change: &Change, running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Event>;
        fn pause_many(&self, lease: &Lease, ids: &[EventId], reason: &str, running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<u64>;
        fn follow(&self, lease: &Lease, claims: &[(OccurrenceId, i64)], now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>>;
        fn backfill(&self, lease: &Lease, id: EventId, instants: &[DateTime<Utc>], by: &Actor, now: DateTime<Utc>) -> Result<()>;
        fn calendars(&self) -> Result<Vec<CalendarRow>>;
        fn set_calendar(&self, lease: &Lease, name: &str, calendar: &Calendar, by: &Actor, now: DateTime<Utc>) -> Result<i64>;
        fn remove_calendar(&self, lease: &Lease, name: &str, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
        fn zones(&self) -> Result<Vec<ZoneRow>>;
        fn note_zone(&self, lease: &Lease, tz: &str, rules: &ZoneRules) -> Result<()>;
        fn replan_zone(&self, lease: &Lease, tz: &str, rules: &ZoneRules, limit: usize, now: DateTime<Utc>) -> Result<ZonePage>;
        fn move_retries(&self, lease: &Lease, step: TimeDelta) -> Result<i64>;
        fn clock_set_back(&self, lease: &Lease, back: TimeDelta, after: Option<OccurrenceId>, limit: usize, now: DateTime<Utc>) -> Result<ClockPage>;
        fn event(&self, id: EventId) -> Result<Option<Event>>;
        fn events(&self, filter: &EventFilter, page: &Page) -> Result<Vec<Event>>;
        fn links(&self, id: EventId) -> Result<Vec<LinkRow>>;
        fn waiting(&self, id: EventId) -> Result<Vec<Waiting>>;
        fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Vec<(i64, Run)>>;
        fn args_of(&self, type_id: TypeId, after: Option<EventId>, limit: usize) -> Result<Vec<(EventId, Box<RawValue>)>>;
        fn run_log(&self, occurrence: OccurrenceId, attempt: Option<u32>) -> Result<Option<RunLog>>;
        fn counts(&self) -> Result<Counts>;
        fn new_generation(&self, plugin: &str, digest: &str, now: DateTime<Utc>) -> Result<i64>;
        fn placed(&self, generation: i64, placement: &str) -> Result<()>;
        fn generations(&self, plugin: &str, limit: usize) -> Result<Vec<GenerationRow>>;
        fn publish(&self, lease: &Lease, plugin: &str, generation: i64, offers: &[Offer], standing: &[StandingOffer], by: &Actor, now: DateTime<Utc>) -> Result<Vec<TypeRow>>;
        fn types(&self) -> Result<Vec<TypeRow>>;
        fn release_type(&self, event_type: &str, by: &Actor, now: DateTime<Utc>) -> Result<Option<String>>;
        fn release_unused(&self, plugin: &str, by: &Actor, now: DateTime<Utc>) -> Result<Vec<String>>;
        fn plugins(&self) -> Result<Vec<PluginRow>>;
        fn decide(&self, plugin: &str, decision: Option<&Decision>, by: &Actor, now: DateTime<Utc>) -> Result<()>;
        fn crashed(&self, crash: &Crash) -> Result<()>;
        fn crashes(&self, plugin: &str, since: DateTime<Utc>) -> Result<Vec<Crash>>;
        fn forgive_crashes(&self, plugin: &str) -> Result<()>;
        fn state_keys(&self, plugin: &str) -> Result<Vec<StateRow>>;
        fn state_get(&self, plugin: &str, key: &str) -> Result<(Option<Value>, i64)>;
        fn state_put(&self, plugin: &str, key: &str, value: Option<&Value>, expected: Option<i64>) -> Result<std::result::Result<i64, i64>>;
        fn audit(&self, line: &AuditLine) -> Result<()>;
        fn audit_lines(&self, filter: &AuditFilter, page: &Page) -> Result<Vec<(i64, AuditLine)>>;
    }
}

impl History for Failing {
    passed_on! {
        fn retention(&self) -> Result<Vec<RetentionRow>>;
        fn set_retention(&self, lease: &Lease, event_type: Option<&str>, said: &RetentionRule, by: &Actor, now: DateTime<Utc>) -> Result<RetentionRule>;
        fn clear_retention(&self, lease: &Lease, event_type: Option<&str>, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
        fn prune(&self, what: &Pruning, now: DateTime<Utc>) -> Result<Pruned>;
        fn statistics(&self, event_type: Option<&str>, since: Option<DateTime<Utc>>) -> Result<Vec<TypeStats>>;
        fn alerts(&self) -> Result<Vec<AlertRow>>;
        fn set_alert(&self, lease: &Lease, name: &str, alert: &Alert, by: &Actor, now: DateTime<Utc>) -> Result<()>;
        fn remove_alert(&self, lease: &Lease, name: &str, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
        fn alert_facts(&self, row: &AlertRow) -> Result<AlertFound>;
        fn move_alert(&self, lease: &Lease, row: &AlertRow, to: (&AlertStanding, AlertMove), tells: Option<&Intention>, now: DateTime<Utc>) -> Result<bool>;
    }
}

#[test]
fn a_full_disk_holds_the_slots_and_everything_settles_when_there_is_room() {
    let store = Failing::new();
    let rig = Rig::on(Arc::clone(&store) as Arc<dyn Store>, 5);
    let held = Arc::clone(&store);
    let generation = Generation::new(&rig, 1, 1_024, move |_| {
        held.fails(Some(StoreError::new(ErrorKind::Full, "no space left on the device")));
        Does::Ends(JobEnd::Succeeded)
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    rig.engine.schedule((0..30).map(|_| event("a.a", once(in_ms(0)))).collect(), &rig.by).unwrap();
    until("it was tried more than once", || store.refused.load(Ordering::SeqCst) >= 3);
    assert_eq!((generation.ran().len(), rig.runs().len()), (5, 0), "five slots, and no more until something settles");
    // From here on every run lets the disk fill again; the test empties it until all is through.
    until("all is settled", || {
        store.fails(None);
        rig.runs().len() == 30
    });
    assert!(rig.runs().iter().all(|r| r.outcome == Outcome::Succeeded));
    assert_eq!(generation.ran().len(), 30);
}

#[test]
fn claims_that_fail_are_tried_again() {
    let store = Failing::new();
    let rig = Rig::on(Arc::clone(&store) as Arc<dyn Store>, 5);
    let generation = Generation::succeeding(&rig, 1);
    store.fails(Some(StoreError::new(ErrorKind::Engine, "the disk hiccups")));
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("a claim was refused", || store.refused.load(Ordering::SeqCst) >= 1);
    store.fails(None);
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
}

#[test]
fn a_start_that_cannot_store_what_was_left_leaves_it_to_the_next() {
    let store = Failing::new();
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("flight");
    let slot = sexton_loader::flight::Slot {
        event: 1,
        n: 1,
        attempt: 1,
        token: 1,
        generation: 1,
        digest: String::new(),
        plugin: "p".into(),
        placement: "in-process".into(),
        started_at_us: 1,
    };
    let record = FlightFile::open(&path).unwrap().0.begin(8).unwrap();
    assert!(record.occupy(&slot).is_some());
    drop(record);
    store.fails(Some(StoreError::new(ErrorKind::Full, "no space left on the device")));
    let (flight, left) = FlightFile::open(&path).unwrap();
    let lease = store.attach("here", crate::clock::now()).unwrap();
    let ground =
        crate::engine::Ground { store: Arc::clone(&store) as Arc<dyn Store>, lease, registry: Arc::default(), flight, slots: 8, left };
    assert_eq!(crate::engine::Engine::start(ground).unwrap_err().code, "STO002");
    assert_eq!(FlightFile::open(&path).unwrap().1.slots, [slot]);
}

#[test]
fn what_is_given_back_late_is_looked_for_again() {
    let store = Failing::new();
    let rig = Rig::on(Arc::clone(&store) as Arc<dyn Store>, 5);
    let held = Arc::clone(&store);
    // The disk fails between the claim and the refusal of a generation that is replaced meanwhile.
    let old = Generation::new(&rig, 1, 8, move |_| {
        held.fails(Some(StoreError::new(ErrorKind::Full, "no space left on the device")));
        Does::Refuses
    });
    rig.serve(&[("a.a", Some(&old.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("a giving back was refused", || store.refused.load(Ordering::SeqCst) >= 1);
    let new = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&new.serving))]);
    rig.engine.registry_changed();
    until("the claimer has looked in vain", || rig.store.next_due(&[rig.registry.now().types["a.a"].id]).unwrap().is_none());
    store.fails(None);
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
}

#[test]
fn a_stop_with_a_full_disk_ends_and_leaves_the_rest_to_the_next_start() {
    let store = Failing::new();
    let rig = Rig::on(Arc::clone(&store) as Arc<dyn Store>, 5);
    let held = Arc::clone(&store);
    let generation = Generation::new(&rig, 1, 8, move |_| {
        held.fails(Some(StoreError::new(ErrorKind::Full, "no space left on the device")));
        Does::Ends(JobEnd::Succeeded)
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("its end was refused", || store.refused.load(Ordering::SeqCst) >= 1);
    rig.engine.stop_within(std::time::Duration::ZERO, std::time::Duration::ZERO, std::time::Duration::from_millis(20));
    store.fails(None);
    assert!(rig.outcomes(id).is_empty(), "its slot says what had started");
}

#[test]
fn follow_ups_that_the_store_refuses_fail_their_run_and_no_other() {
    let rig = Rig::new();
    let taken = || sexton_core::NewEvent { key: Some("k".into()), ..event("b.b", once(in_ms(3_600_000))) };
    let order = |key: &str| {
        serde_json::from_value(serde_json::json!({"event_type": "b.b", "schedule": {"manual": true}, "args": {}, "key": key})).unwrap()
    };
    let generation = Generation::new(&rig, 1, 8, move |o| match o.description.as_deref() {
        Some("clashes") => Does::Asks(sexton_plugin_api::wire::HostCall::Schedule { events: vec![order("k")] }, JobEnd::Succeeded),
        Some("fits") => Does::Asks(sexton_plugin_api::wire::HostCall::Schedule { events: vec![order("other")] }, JobEnd::Succeeded),
        _ => Does::Ends(JobEnd::Succeeded),
    });
    rig.serve(&[("a.a", Some(&generation.serving)), ("b.b", None)]);
    rig.schedule(taken());
    let retry = Some(sexton_core::RetryPolicy { attempts: 1, first_delay_ms: 1, max_delay_ms: 1, deadline_ms: None });
    let named = |name: &str| sexton_core::NewEvent { description: Some(name.into()), retry: retry.clone(), ..event("a.a", once(in_ms(5))) };
    let ids: Vec<EventId> =
        rig.engine.schedule(vec![named("clashes"), named("fits"), named("plain")], &rig.by).unwrap().into_iter().map(|a| a.id).collect();
    until("all three are settled", || ids.iter().all(|id| rig.outcomes(*id).len() == 1));
    let run = rig.runs().into_iter().find(|r| r.event_id == ids[0]).unwrap();
    assert!(rig.outcomes(ids[1]) == [Outcome::Succeeded] && rig.outcomes(ids[2]) == [Outcome::Succeeded]);
    let other = EventFilter { key: Some("other".into()), ..EventFilter::default() };
    assert_eq!(rig.store.events(&other, &Page { before: None, limit: 9 }).unwrap().len(), 1);
    match run.outcome {
        Outcome::Failed => assert!(run.error.unwrap().contains("INP008"), "the failure names the clash"),
        other => assert_eq!((other, rig.events()), (Outcome::Succeeded, 5), "or the store passes over the follow-up, keys being taken"),
    }
    let _: Option<Refusal> = rig.engine.health();
}
