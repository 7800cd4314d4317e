//! Limits, turns and priority, seen from a generation: how many are with it at once, and who comes first.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use crate::clock;
use sexton_core::limit::Limit;
use sexton_core::{EventId, NewEvent, Outcome, RunPolicy, Schedule};
use sexton_plugin_api::wire::{JobEnd, RunOrder};
use sexton_store::rows::Change;

fn limit(rig: &Rig, on: &str, concurrency: Option<u32>, rate: Option<&str>, burst: Option<u32>) {
    rig.engine.set_limit(&Limit::ask(on.parse().unwrap(), concurrency, rate, burst).unwrap(), &rig.by).unwrap();
}

fn keyed(event_type: &str, key: &str) -> NewEvent {
    NewEvent { policy: RunPolicy { limit_key: Some(key.into()), ..RunPolicy::default() }, ..event(event_type, once(in_ms(0))) }
}

fn done(rig: &Rig) -> usize {
    rig.runs().iter().filter(|run| run.outcome == Outcome::Succeeded).count()
}

fn types_of(ran: &[RunOrder]) -> Vec<&str> {
    ran.iter().map(|order| order.event_type.as_str()).collect()
}

#[test]
fn no_more_than_the_slots_are_under_way_and_the_next_starts_when_one_ends() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 64, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving)), ("a.b", Some(&generation.serving))]);
    limit(&rig, "type:a.a", Some(3), None, None);
    let limited: Vec<EventId> = (0..9).map(|_| rig.schedule(event("a.a", once(in_ms(0))))).collect();
    generation.until("three are there", |seen| seen.ran.len() == 3);
    let free = rig.schedule(event("a.b", once(in_ms(0))));
    generation.until("another type is not held up", |seen| seen.ran.len() == 4);
    // A run that ends makes room for one. By a verb too: nobody but the freed slot wakes the scheduler.
    for ended in 1..=6 {
        let running = rig.engine.in_flight().into_iter().find(|run| run.event_type == "a.a").unwrap();
        rig.engine.cancel_run(running.occurrence, &rig.by).unwrap();
        generation.until("the next has come", |seen| seen.ran.len() == 4 + ended);
        assert!(rig.engine.in_flight().iter().filter(|run| run.event_type == "a.a").count() <= 3);
    }
    generation.release();
    until("all are over", || limited.iter().chain([&free]).all(|id| rig.outcomes(*id).len() == 1));
    let row = rig.store.limits(clock::now()).unwrap().remove(0);
    assert_eq!(row.taken, 0);
}

#[test]
fn what_was_claimed_ahead_is_recalled_when_a_limit_is_set() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 64, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let of = rig.registry.now().types["a.a"].id;
    let due = in_ms(700);
    for _ in 0..5 {
        rig.schedule(event("a.a", once(due)));
    }
    until("all are claimed ahead", || rig.store.next_due(&[of]).unwrap().is_none());
    limit(&rig, "plugin:a", Some(2), None, None);
    generation.until("two have started", |seen| seen.ran.len() == 2);
    until("the others wait for a slot", || clock::now() > due && rig.store.next_claim(&[of], clock::now()).unwrap().held_back);
    assert_eq!(rig.store.limits(clock::now()).unwrap()[0].taken, 2);
    assert!(rig.engine.remove_limit(&"plugin:a".parse().unwrap(), &rig.by).unwrap());
    generation.until("without it all start", |seen| seen.ran.len() == 5);
    generation.release();
    until("all are over", || done(&rig) == 5);
}

#[test]
fn events_of_two_types_share_the_limit_of_their_word_and_a_pause_frees_its_slot() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 64, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving)), ("b.b", Some(&generation.serving))]);
    limit(&rig, "key:rope", Some(1), None, None);
    let ids: Vec<EventId> = ["a.a", "b.b", "a.a", "b.b"].into_iter().map(|of| rig.schedule(keyed(of, "rope"))).collect();
    generation.until("one has started", |seen| seen.ran.len() == 1);
    let types: Vec<_> = ["a.a", "b.b"].iter().map(|of| rig.registry.now().types[*of].id).collect();
    until("the rest waits behind the gate", || {
        let next = rig.store.next_claim(&types, clock::now()).unwrap();
        next.held_back && next.ahead.is_none()
    });
    let second = ids.iter().copied().find(|id| rig.engine.in_flight().iter().all(|run| run.occurrence.event != *id)).unwrap();
    rig.engine.alter(second, Change::Pause { note: None }, &rig.by).unwrap();
    generation.release();
    until("all but the paused one ran", || done(&rig) == 3);
    assert!(rig.outcomes(second).is_empty());
    rig.engine.alter(second, Change::Resume, &rig.by).unwrap();
    until("it ran", || rig.outcomes(second) == [Outcome::Succeeded]);
}

#[test]
fn no_more_start_in_a_time_than_the_rate_says_and_none_later_than_it_must() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    limit(&rig, "type:a.a", None, Some("20/1s"), Some(5));
    let from = clock::now();
    for _ in 0..25 {
        rig.schedule(event("a.a", once(in_ms(0))));
    }
    until("all ran", || done(&rig) == 25);
    let mut starts: Vec<_> = rig.runs().into_iter().filter_map(|run| run.started_at).collect();
    starts.sort_unstable();
    // Twenty of them had to be waited for, at twenty a second.
    assert!(*starts.last().unwrap() - from >= chrono::TimeDelta::milliseconds(950), "{:?}", *starts.last().unwrap() - from);
    assert!(starts[4] - from < chrono::TimeDelta::milliseconds(900), "the burst does not wait");
}

#[test]
fn one_that_is_due_waits_for_no_backlog_of_another_type() {
    let rig = Rig::new();
    let generation =
        Generation::new(&rig, 1, 1, |order| if order.event_type == "a.hold" { Does::Holds } else { Does::Ends(JobEnd::Succeeded) });
    rig.serve(&["a.hold", "a.flood", "a.few"].map(|of| (of, Some(&generation.serving))));
    rig.schedule(event("a.hold", once(in_ms(0))));
    generation.until("the room is taken", |seen| seen.ran.len() == 1);
    // In one transaction, so that one claim brings them together.
    let due = in_ms(0);
    let events = (0..200).map(|_| "a.flood").chain(["a.few"; 3]).map(|of| event(of, once(due))).collect();
    rig.engine.schedule(events, &rig.by).unwrap();
    let of = |name: &str| rig.registry.now().types[name].id;
    until("all are claimed", || rig.store.next_due(&[of("a.flood"), of("a.few")]).unwrap().is_none());
    generation.release();
    until("all ran", || done(&rig) == 204);
    let ran = generation.ran();
    let last_of_few = types_of(&ran).iter().rposition(|of| *of == "a.few").unwrap();
    assert!(last_of_few <= 7, "in turns: {:?}", &types_of(&ran)[..10]);
}

#[test]
fn within_a_type_priority_comes_first_and_waiting_counts_against_it() {
    let rig = Rig::new();
    let generation =
        Generation::new(&rig, 1, 1, |order| if order.event_type == "a.hold" { Does::Holds } else { Does::Ends(JobEnd::Succeeded) });
    rig.serve(&["a.hold", "a.a"].map(|of| (of, Some(&generation.serving))));
    rig.schedule(event("a.hold", once(in_ms(0))));
    generation.until("the room is taken", |seen| seen.ran.len() == 1);
    let ago = |seconds: i64| Schedule::once(clock::now() - chrono::TimeDelta::seconds(seconds));
    let of = rig.registry.now().types["a.a"].id;
    let wishes = [("low", -5, 0), ("plain", 0, 0), ("high", 5, 0), ("old", 0, 360), ("older", -5, 900)];
    // The last one is claimed when what was claimed before it has come to the scheduler.
    for some in [&wishes[..], &[("last", -50, 0)]] {
        for (name, priority, waited) in some {
            rig.schedule(NewEvent { priority: *priority, description: Some((*name).into()), ..event("a.a", ago(*waited)) });
        }
        until("all are claimed", || rig.store.next_due(&[of]).unwrap().is_none());
    }
    generation.release();
    until("all ran", || done(&rig) == 7);
    let order: Vec<String> = generation.ran().into_iter().filter_map(|order| order.description).collect();
    assert_eq!(order, ["older", "old", "high", "plain", "low", "last"]);
}
