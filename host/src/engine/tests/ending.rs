//! Ends that are none of the job's doing: cancel, a generation that is gone, the host's stop, the host's death.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::clock;
use parking_lot::Mutex;
use sexton_core::{EventState, Outcome};
use sexton_loader::flight::FlightFile;
use sexton_loader::seam::{Death, DeathKind, Farewell, Memory, Report};
use sexton_store::Store;
use sexton_store::sqlite::Sqlite;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_run_is_asked_to_stop_and_one_that_is_not_there_is_refused() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let occurrence = rig.engine.in_flight()[0].occurrence;
    rig.engine.cancel_run(occurrence, &rig.by).unwrap();
    until("it is cancelled", || rig.outcomes(id) == [Outcome::Cancelled]);
    until("it is out of the table", || rig.engine.in_flight().is_empty());
    assert_eq!(rig.engine.cancel_run(occurrence, &rig.by).unwrap_err().code, "INP012");
}

#[test]
fn a_generation_that_is_gone_interrupts_what_had_started_and_gives_up_the_rest() {
    let rig = Rig::new();
    let first = Arc::new(Mutex::new(true));
    let old = Generation::new(&rig, 1, 8, move |_| if std::mem::take(&mut *first.lock()) { Does::Holds } else { Does::Sits });
    rig.serve(&[("a.a", Some(&old.serving))]);
    let started = rig.schedule(event("a.a", once(in_ms(0))));
    old.until("one has started", |seen| seen.ran.len() == 1);
    let waiting = rig.schedule(event("a.a", once(in_ms(0))));
    old.until("it has two", |seen| seen.ran.len() == 2);
    old.go();
    until("the started one is interrupted", || rig.outcomes(started) == [Outcome::Interrupted]);
    let new = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&new.serving))]);
    until("both ran", || rig.outcomes(started).len() == 2 && rig.outcomes(waiting).len() == 1);
    assert_eq!(rig.outcomes(started), [Outcome::Interrupted, Outcome::Succeeded]);
    assert_eq!(rig.outcomes(waiting), [Outcome::Succeeded]);
    assert!(rig.runs().iter().all(|r| r.attempt == 1), "no attempt is spent by it");
}

#[test]
fn a_stop_waits_for_what_runs() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let engine = rig.engine.clone();
    let stopping = std::thread::spawn(move || engine.stop(super::rig::DEADLINE, Duration::ZERO));
    let of = rig.registry.now().types["a.a"].id;
    let later = rig.schedule(event("a.a", once(in_ms(0))));
    generation.release();
    stopping.join().unwrap();
    assert_eq!(rig.outcomes(id), [Outcome::Succeeded]);
    assert!(rig.outcomes(later).len() == 1 || rig.store.next_due(&[of]).unwrap().is_some(), "run before the stop, or back in the store");
}

#[test]
fn a_stop_asks_then_interrupts_and_gives_claims_back() {
    let rig = Rig::with_slots(4);
    let generation = Generation::new(&rig, 1, 8, |order| match order.description.as_deref() {
        Some("deaf") => Does::Deaf,
        Some("sits") => Does::Sits,
        Some("behind") => Does::Queues,
        _ => Does::Holds,
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let hears = rig.schedule(event("a.a", once(in_ms(0))));
    let named = |name: &str| sexton_core::NewEvent { description: Some(name.into()), ..event("a.a", once(in_ms(0))) };
    let (deaf, behind, sits) = (rig.schedule(named("deaf")), rig.schedule(named("behind")), rig.schedule(named("sits")));
    generation.until("all four are there", |seen| seen.ran.len() == 4);
    until("the deaf one has started", || rig.engine.in_flight().len() == 4);
    let queued = rig.schedule(event("a.a", once(in_ms(0))));
    let of = rig.registry.now().types["a.a"].id;
    until("the fifth is claimed", || rig.store.next_due(&[of]).unwrap().is_none());
    rig.engine.stop(Duration::from_millis(5), Duration::from_millis(200));
    assert_eq!((rig.outcomes(hears), rig.outcomes(deaf)), (vec![Outcome::Interrupted], vec![Outcome::Interrupted]), "to run again");
    assert!(rig.outcomes(behind).is_empty() && rig.outcomes(sits).is_empty(), "never started: no run, no attempt");
    for id in [hears, deaf, behind, sits, queued] {
        assert_eq!(rig.store.waiting(id).unwrap().len(), 1, "all is there for the next start");
    }
    assert!(rig.outcomes(queued).is_empty() && rig.store.next_due(&[of]).unwrap().is_some());
    assert_eq!(rig.store.event(deaf).unwrap().unwrap().state, EventState::Scheduled);
    let call = crate::engine::ActionCall {
        uid: "a.action".into(),
        bot: sexton_plugin_api::wire::Bot::default(),
        settings: serde_json::Value::Null,
        matches: vec![],
        non_matches: vec![],
    };
    assert_eq!(rig.engine.act(call, &rig.by).unwrap_err().code, "HST006");
}

#[test]
fn a_second_word_to_stop_is_no_cancel_and_a_cancel_before_it_stays_one() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let (stopped, cancelled) = (rig.schedule(event("a.a", once(in_ms(0)))), rig.schedule(event("a.a", once(in_ms(0)))));
    generation.until("both have started", |seen| seen.ran.len() == 2);
    let of = |id| rig.engine.in_flight().into_iter().find(|r| r.occurrence.event == id).map(|r| r.occurrence);
    // The deaf ear of a cancel whose answer is on its way: marked as the operator's, not yet ended.
    rig.engine.shared.table.rows().runs.values_mut().filter(|r| r.occurrence.id.event == cancelled).for_each(|r| r.cancelling = true);
    assert!(of(stopped).is_some());
    rig.engine.ask_to_stop();
    rig.engine.stop(super::rig::DEADLINE, Duration::ZERO);
    assert_eq!((rig.outcomes(stopped), rig.outcomes(cancelled)), (vec![Outcome::Interrupted], vec![Outcome::Cancelled]));
    assert_eq!(rig.store.event(stopped).unwrap().unwrap().state, EventState::Scheduled, "it runs again at the next start");
    assert_eq!((rig.store.waiting(stopped).unwrap().len(), rig.store.waiting(cancelled).unwrap().len()), (1, 0));
}

#[test]
fn a_cancel_outlives_the_generation_that_had_not_started_it() {
    let rig = Rig::new();
    let old = Generation::new(&rig, 1, 8, |_| Does::Sits);
    rig.serve(&[("a.a", Some(&old.serving))]);
    let (cancelled, other) = (rig.schedule(event("a.a", once(in_ms(0)))), rig.schedule(event("a.a", once(in_ms(0)))));
    old.until("it has both", |seen| seen.ran.len() == 2);
    let run = rig.engine.in_flight().into_iter().find(|r| r.occurrence.event == cancelled).unwrap();
    rig.engine.cancel_run(run.occurrence, &rig.by).unwrap();
    old.go();
    let new = Generation::succeeding(&rig, 2);
    rig.serve(&[("a.a", Some(&new.serving))]);
    until("both are settled", || rig.outcomes(cancelled).len() == 1 && rig.outcomes(other).len() == 1);
    assert_eq!((rig.outcomes(cancelled), rig.outcomes(other)), (vec![Outcome::Cancelled], vec![Outcome::Succeeded]));
    let run = rig.runs().into_iter().find(|r| r.event_id == cancelled).unwrap();
    assert_eq!((run.started_at, new.ran().len()), (None, 1), "nobody started it");
}

#[test]
fn the_next_life_interrupts_what_had_started_and_voids_every_other_claim() {
    let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
    let first = Rig::on(Arc::clone(&store), 3);
    let generation = Generation::new(&first, 1, 8, |_| Does::Deaf);
    first.serve(&[("a.a", Some(&generation.serving))]);
    first.engine.schedule((0..10).map(|_| event("a.a", once(in_ms(0)))).collect(), &first.by).unwrap();
    generation.until("three have started", |seen| seen.ran.len() == 3);
    let of = first.registry.now().types["a.a"].id;
    until("the rest is claimed", || store.next_due(&[of]).unwrap().is_none());
    // The death of the first host: its flight record as the disk has it, and a lease that is younger than its own.
    let state = tempfile::tempdir().unwrap();
    std::fs::copy(first.state.path().join("flight"), state.path().join("flight")).unwrap();
    let (flight, left) = FlightFile::open(&state.path().join("flight")).unwrap();
    assert_eq!(left.slots.len(), 3);
    let second = Rig::after(Arc::clone(&store), flight, left, 3, state);
    assert_eq!((second.runs().len(), second.lease.stale_claims), (3, 10));
    assert!(second.runs().iter().all(|r| r.outcome == Outcome::Interrupted && r.error.as_deref() == Some("the host ended")));
    let new = Generation::succeeding(&second, 2);
    second.serve(&[("a.a", Some(&new.serving))]);
    until("all ran", || second.runs().len() == 13);
    let succeeded = second.runs().iter().filter(|r| r.outcome == Outcome::Succeeded && r.attempt == 1).count();
    assert_eq!((succeeded, new.ran().len()), (10, 10));
    // What the dead host still says is recorded and changes nothing.
    generation.release();
    first.stop();
    let lost = second.runs().iter().filter(|r| r.outcome == Outcome::Lost).count();
    assert_eq!(lost, 3, "its three runs, interrupted by its stop, under a stale epoch");
    assert!(second.runs().iter().all(|r| r.finished_at <= clock::now()));
}

/// Lets a process die with one or two runs in it, `named` by its last words or not; answers after how long the first of them is due again.
fn due_again_after_a_crash(rig: &Rig, number: i64, id: sexton_core::EventId, beside: bool, named: bool) -> chrono::TimeDelta {
    let generation = Generation::new(rig, number, 8, |_| Does::Deaf);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let more = beside.then(|| rig.schedule(event("a.a", once(in_ms(0)))));
    until("all have started", || {
        let rows = rig.engine.shared.table.rows();
        rows.under_way().filter(|(_, r)| r.phase == crate::engine::table::Phase::Entered).count() == if beside { 2 } else { 1 }
    });
    let run = rig.engine.shared.table.rows().under_way().find(|(_, r)| r.occurrence.id.event == id).map(|(number, _)| number);
    let before = rig.outcomes(id).len();
    rig.serve(&[("a.a", None)]);
    let death = Death { kind: DeathKind::Signal, cause: "signal 11".into(), run: run.filter(|_| named) };
    generation.report(Report::Gone(Farewell { memory: Memory::Unmapped, unload: None, death: Some(death) }));
    until("it is settled", || rig.outcomes(id).len() > before && rig.engine.in_flight().is_empty());
    if let Some(more) = more {
        until("so is the other", || rig.outcomes(more).len() == 1);
        rig.engine.alter(more, sexton_store::rows::Change::Cancel, &rig.by).unwrap();
    }
    let waiting = rig.store.waiting(id).unwrap().remove(0);
    let last = rig.runs().into_iter().filter(|r| r.event_id == id).map(|r| r.finished_at).max().unwrap();
    waiting.due_at - last
}

#[test]
fn who_is_known_to_have_killed_its_process_comes_back_sooner_than_who_may_have() {
    let [twice, soon, late] = [400, 1_500, 2_000].map(chrono::TimeDelta::milliseconds);
    for (beside, named, known) in [(false, false, true), (true, true, true), (true, false, false)] {
        let rig = Rig::new();
        let id = rig.schedule({
            rig.serve(&[("a.a", None)]);
            event("a.a", once(in_ms(0)))
        });
        due_again_after_a_crash(&rig, 1, id, beside, named);
        let wait = due_again_after_a_crash(&rig, 2, id, beside, named);
        // The second wait is longer than the first: both were counted.
        assert!(if known { wait >= twice && wait < soon } else { wait >= late }, "beside {beside}, named {named}: {wait}");
    }
}
