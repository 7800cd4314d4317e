//! Listeners: what they hear, how much of it, and what they cost nobody.
//!
//! Not the stream's form on the socket. What must hold: ids rise, the newest progress is heard, a slow listener is told what it missed.

use super::rig::{DEADLINE, Does, Generation, Rig, event, in_ms, once, until};
use crate::engine::observe::{Heard, Listener};
use crate::engine::told::{HostEvent, Told, What};
use sexton_core::{Bot, Outcome, Schedule};
use sexton_loader::seam::Report;
use sexton_plugin_api::wire::{HostCall, JobEnd};
use std::sync::Arc;
use std::time::Instant;

fn told(listener: &mut Listener) -> Vec<Arc<Told>> {
    let heard = std::iter::from_fn(|| listener.try_next());
    heard.filter_map(|heard| if let Heard::Told(told) = heard { Some(told) } else { None }).collect()
}

fn progress(call: u64, run: u64, done: u64, total: Option<u64>) -> Report {
    Report::Call { call, run, request: HostCall::Progress { done, total, note: "n".into() } }
}

#[test]
fn what_happens_is_heard_in_order_with_the_names_of_the_api() {
    let rig = Rig::new();
    let failed = JobEnd::Failed { message: "x".repeat(5_000), permanent: true };
    let generation = Generation::new(&rig, 1, 8, move |_| Does::Ends(failed.clone()));
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let mut listener = rig.engine.watch(1).unwrap();
    let mut wish = event("a.a", once(in_ms(0)));
    wish.bot = Some(Bot { id: "b1".into(), name: "Night".into() });
    let id = rig.schedule(wish);
    let mut heard = Vec::new();
    until("the end is heard", || {
        heard.extend(told(&mut listener));
        heard.len() == 3
    });
    assert_eq!(heard.iter().map(|t| t.event.what()).collect::<Vec<_>>(), [What::Stored, What::Started, What::Ended]);
    assert_eq!(heard.iter().map(|t| t.id).collect::<Vec<_>>(), [1, 2, 3]);
    for told in &heard {
        assert_eq!((told.event.event_id(), told.event.event_type(), told.event.bot()), (Some(id), Some("a.a"), Some("b1")));
    }
    assert_eq!([heard[0].event.plugin(), heard[2].event.plugin()], [None, Some("p1")]);
    let json = serde_json::to_value(heard[2].as_ref()).unwrap();
    let error = json["error"].as_str().unwrap();
    assert!(error.len() <= 1_024 && error.ends_with(" bytes dropped]"), "{error}");
    assert_eq!(json["occurrence"], format!("{id}.1"));
    for (name, value) in [("what", "ended"), ("outcome", "failed"), ("plugin", "p1"), ("event_type", "a.a")] {
        assert_eq!(json[name], value, "{json}");
    }
    assert_eq!((json["attempt"].as_u64(), json["generation"].as_i64(), json["bot"]["name"].as_str()), (Some(1), Some(1), Some("Night")));
}

#[test]
fn a_flood_of_progress_is_told_ten_times_a_second_and_the_newest_in_the_end() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let run = generation.ran()[0].run;
    let mut listener = rig.engine.watch(1).unwrap();
    let (began, most) = (Instant::now(), 20_000);
    (1..=most).for_each(|call| generation.report(progress(call, run, call, Some(10))));
    let mut heard = Vec::new();
    until("the newest is heard", || {
        // Its start may be heard too: the generation knows of it before the host.
        heard.extend(told(&mut listener).into_iter().filter(|t| t.event.what() == What::Progress));
        heard.last().is_some_and(|t| matches!(&t.event, HostEvent::Progress { progress, .. } if progress.0 == most))
    });
    let fitting = began.elapsed().as_millis() / 100 + 1;
    assert!(heard.len() as u128 <= fitting, "{} of {most} were told, {fitting} at most fit", heard.len());
    assert_eq!(rig.engine.in_flight()[0].progress, Some((most, Some(most), "n".into())), "a total that was too small has grown");
    generation.until("every call was answered", |seen| seen.answers.len() as u64 == most);
    generation.release();
    until("it ended", || rig.outcomes(id) == [Outcome::Succeeded]);
    // Said after the end, it is nobody's.
    generation.report(progress(most + 1, run, 1, None));
    generation.until("it was answered", |seen| seen.answers.len() as u64 == most + 1);
    until("the end is heard", || told(&mut listener).iter().any(|t| t.event.what() == What::Ended));
    assert!(told(&mut listener).is_empty());
}

#[test]
fn who_does_not_listen_in_time_is_told_how_much_it_missed() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let mut slow = rig.engine.watch(2).unwrap();
    let mut quick = rig.engine.watch(2).unwrap();
    let manual = || event("a.a", Schedule::manual());
    let mut heard = 0;
    for _ in 0..4 {
        rig.engine.schedule(std::iter::repeat_with(manual).take(5_000).collect(), &rig.by).unwrap();
        heard += told(&mut quick).len();
    }
    assert_eq!(heard, 20_000, "one who listens misses nothing");
    let Some(Heard::Missed(missed)) = slow.try_next() else { panic!("it was told nothing") };
    let rest = told(&mut slow);
    assert_eq!(missed + rest.len() as u64, 20_000);
    assert_eq!((rest[0].id, rest[rest.len() - 1].id), (missed + 1, 20_000), "the oldest are gone, and nothing else");
}

#[test]
fn listeners_are_bounded_and_a_place_comes_free() {
    let rig = Rig::new();
    let first = rig.engine.watch(2).unwrap();
    let _second = rig.engine.watch(2).unwrap();
    let refusal = rig.engine.watch(2).unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.found.as_deref()), ("INP044", Some("2 listen now")));
    drop(first);
    rig.engine.watch(2).unwrap();
}

#[test]
fn the_end_is_heard_after_everything_else_and_by_who_comes_late() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let mut listener = rig.engine.watch(2).unwrap();
    rig.schedule(event("a.a", once(in_ms(0))));
    let mut heard = Vec::new();
    until("its start is heard", || {
        heard.extend(told(&mut listener).iter().map(|t| t.event.what()));
        heard.len() == 2
    });
    rig.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let next =
        |listener: &mut Listener| runtime.block_on(async { tokio::time::timeout(DEADLINE, listener.next()).await.expect("it is heard") });
    while let Heard::Told(told) = next(&mut listener) {
        heard.push(told.event.what());
    }
    assert_eq!(heard, [What::Stored, What::Started, What::Ended]);
    let mut late = rig.engine.watch(2).unwrap();
    assert!(matches!(next(&mut late), Heard::Over));
}
