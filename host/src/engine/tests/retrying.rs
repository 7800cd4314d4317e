//! Dead letters put back through the engine, and the next attempt of what waits at once.
//!
//! Not the rules of the rows (the store's suite). What must hold: what was put back starts without anybody waiting for a look at the store.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::engine::dead_letters::DeadVerb;
use crate::engine::limits::TREATED_AT_ONCE;
use sexton_core::{NewEvent, OccurrenceId, Outcome, RetryPolicy};
use sexton_plugin_api::wire::JobEnd;
use sexton_store::rows::{DeadFilter, EventFilter, Page};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn failed(permanent: bool) -> JobEnd {
    JobEnd::Failed { message: "no rope".into(), permanent }
}

#[test]
fn pages_of_dead_letters_are_put_back_and_each_runs_once() {
    let rig = Rig::new();
    let mended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&mended);
    let generation =
        Generation::new(&rig, 1, 1_024, move |_| Does::Ends(if seen.load(Ordering::SeqCst) { JobEnd::Succeeded } else { failed(true) }));
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let many = 2 * TREATED_AT_ONCE + 7;
    rig.engine.schedule((0..many).map(|_| event("a.a", once(in_ms(0)))).collect(), &rig.by).unwrap();
    let dead = || usize::try_from(rig.store.count_dead_letters(&DeadFilter::default()).unwrap()).unwrap();
    until("all are dead", || dead() == many);
    mended.store(true, Ordering::SeqCst);
    let (mut done, mut past, mut pages) = (0, None, 0);
    loop {
        let page = rig.engine.treat_dead_letters(DeadVerb::Requeue, &DeadFilter::default(), past, usize::MAX, &rig.by).unwrap();
        (done, past, pages) = (done + page.done, page.next, pages + 1);
        assert_eq!((page.refused, page.refusals.len()), (0, 0));
        if past.is_none() {
            break;
        }
    }
    assert_eq!((done, pages, dead()), (many, 3, 0));
    until("all ran again", || rig.store.counts().unwrap().runs == i64::try_from(2 * many).unwrap());
    let succeeded: Vec<OccurrenceId> =
        rig.runs().into_iter().filter(|run| run.outcome == Outcome::Succeeded && run.attempt == 1).map(|run| run.occurrence).collect();
    let once: HashSet<OccurrenceId> = succeeded.iter().copied().collect();
    assert_eq!((succeeded.len(), once.len()), (many, many));
}

#[test]
fn the_next_attempt_is_made_at_once_if_somebody_says_so() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |order| {
        Does::Ends(match order.attempt {
            1 => failed(false),
            2 => failed(true),
            _ => panic!("a put-back one begins anew"),
        })
    });
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let retry = RetryPolicy { attempts: 5, first_delay_ms: 3_600_000_000, max_delay_ms: 3_600_000_000, deadline_ms: None };
    let id = rig.schedule(NewEvent { retry: Some(retry), ..event("a.a", once(in_ms(0))) });
    let of = OccurrenceId { event: id, n: 1 };
    let attempts = |rig: &Rig| rig.store.waiting(id).unwrap().first().map(|row| (row.attempt, row.dead.is_some()));
    until("it waits for its second", || attempts(&rig) == Some((2, false)) && rig.engine.in_flight().is_empty());
    rig.engine.retry(of, &rig.by).unwrap();
    until("it is dead", || attempts(&rig) == Some((2, true)));
    rig.engine.retry(of, &rig.by).unwrap();
    until("it begins anew", || rig.outcomes(id).len() == 3 && attempts(&rig) == Some((2, false)));
    let never = OccurrenceId { event: id, n: 7 };
    assert_eq!(rig.engine.retry(never, &rig.by).unwrap_err().code, "INP035");
    assert_eq!(rig.engine.treat_dead_letter(DeadVerb::Discard, of, &rig.by).unwrap_err().code, "INP034");
    let later = rig.schedule(event("a.a", once(in_ms(3_600_000))));
    assert_eq!(rig.engine.retry(OccurrenceId { event: later, n: 1 }, &rig.by).unwrap_err().code, "INP035");
}

#[test]
fn events_of_a_kind_are_cancelled_page_by_page_and_what_runs_of_them_is_named() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving)), ("b.b", None)]);
    let running = rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("one runs", |seen| seen.ran.len() == 1);
    let many = (0..700).map(|_| event("a.a", once(in_ms(3_600_000)))).collect();
    rig.engine.schedule(many, &rig.by).unwrap();
    let other = rig.schedule(event("b.b", once(in_ms(0))));
    let filter = EventFilter { event_type: Some("a.a".into()), state: Some(sexton_core::EventState::Scheduled), ..EventFilter::default() };
    let (mut done, mut going, mut before) = (0, Vec::new(), None);
    loop {
        let page = rig.engine.cancel_events(&filter, &Page { before, limit: 300 }, &rig.by).unwrap();
        done += page.done;
        going.extend(page.running);
        before = page.next.map(|id| id.0);
        if before.is_none() {
            break;
        }
    }
    assert_eq!((done, going), (701, vec![OccurrenceId { event: running, n: 1 }]));
    let counts = rig.store.counts().unwrap();
    assert_eq!((counts.scheduled, rig.store.waiting(other).unwrap().len()), (1, 1));
    generation.release();
    until("what ran is settled", || rig.outcomes(running) == [Outcome::Succeeded]);
}
