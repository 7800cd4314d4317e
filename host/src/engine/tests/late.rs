//! What is found late goes by its misfire policy, and what expires is not started; steps of the clock move what waits.
//!
//! Not the policy's table (`sexton-core`) nor its rows (the store's suite). What must hold: every instant is run or counted, once.

use crate::clock;
use crate::engine::tests::rig::{Generation, Rig, event, until};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::json;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::decide::SkipReason;
use sexton_core::schedule::Misfire;
use sexton_core::{EventId, Outcome, Schedule};
use sexton_store::rows::Intention;
use std::collections::BTreeMap;
use std::time::Duration;

/// The last whole minute.
fn minute() -> DateTime<Utc> {
    clock::now().duration_trunc(TimeDelta::minutes(1)).expect("a time of our century")
}

/// Stores an event as it was planned `ago` minutes before the last whole one.
fn planned(rig: &Rig, schedule: Schedule, ago: i64) -> EventId {
    let type_id = rig.publish("a.a");
    let (id, first) = (EventId(1 + rig.events() as i64), minute() - TimeDelta::minutes(ago));
    let intention = Intention { id, type_id, wish: event("a.a", schedule), first: Some(first), standing_of: None };
    rig.store.schedule(&rig.lease, &[intention], &rig.by, first).expect("it is stored");
    id
}

fn each_minute(misfire: Misfire) -> Schedule {
    let mut schedule = Schedule::every(Duration::from_secs(60), Some(DateTime::UNIX_EPOCH));
    schedule.terms.misfire = misfire;
    schedule
}

#[test]
fn what_downtime_missed_goes_by_the_policy_of_each_event() {
    let rig = Rig::new();
    // Before its host was there nobody served it: 90 instants, the last of them the whole minute itself.
    let latest = planned(&rig, each_minute(Misfire::Latest), 89);
    let skip = planned(&rig, each_minute(Misfire::Skip), 89);
    let all = planned(&rig, each_minute(Misfire::All), 9);
    let mut old = each_minute(Misfire::Latest);
    old.rule = Schedule::cron("0 0 29 2 *", "UTC").rule;
    let too_old = planned(&rig, old, 60 * 24 * 3);
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    until("each has gone on", || rig.outcomes(latest).len() == 1 && rig.outcomes(all).len() >= 10 && skips(&rig, too_old).len() == 1);
    let run = rig.runs().into_iter().find(|run| run.event_id == latest).expect("one");
    assert!(minute() - run.scheduled_for <= TimeDelta::minutes(1), "meant for the latest: {run:?}");
    assert_eq!(skips(&rig, latest)[&SkipReason::Downtime] / 10, 8, "and the 89 before it, or 90 at the turn of a minute, are counted");
    assert_eq!((rig.outcomes(skip).len(), skips(&rig, skip)[&SkipReason::Downtime] / 10), (0, 9));
    assert!(rig.outcomes(all).iter().all(|outcome| *outcome == Outcome::Succeeded));
    assert_eq!(skips(&rig, too_old), BTreeMap::from([(SkipReason::CatchUp, 1)]), "three days are more than the window");
    assert!(rig.store.event(too_old).expect("readable").expect("there").next_run_at.is_some());
}

fn skips(rig: &Rig, id: EventId) -> BTreeMap<SkipReason, i64> {
    rig.store.event(id).expect("readable").expect("there").skips
}

#[test]
fn what_expired_is_not_started() {
    let rig = Rig::new();
    let mut once = Schedule::once(minute() - TimeDelta::seconds(30));
    once.terms.expires = Some(Duration::from_secs(5));
    let id = rig.schedule(event_of(&rig, once));
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    until("it is passed over", || !skips(&rig, id).is_empty());
    let event = rig.store.event(id).expect("readable").expect("there");
    assert_eq!((event.state, event.skips), (sexton_core::EventState::Discarded, BTreeMap::from([(SkipReason::Expired, 1)])));
    assert!(generation.ran().is_empty());
}

fn event_of(rig: &Rig, schedule: Schedule) -> sexton_core::NewEvent {
    rig.serve(&[("a.a", None)]);
    event("a.a", schedule)
}

#[test]
fn a_schedule_that_cannot_be_asked_any_more_pauses_its_event() {
    let rig = Rig::new();
    let mut gated = each_minute(Misfire::Latest);
    gated.terms.exclude = vec!["holidays".to_owned()];
    rig.engine.set_calendar("holidays", &Calendar::read(&json!({})).expect("a calendar"), &rig.by).expect("stored");
    let id = planned(&rig, gated, 5);
    // Nobody can remove a calendar in use; a store that was mended by hand may lack one.
    *rig.engine.shared.almanac.calendars.write() = std::sync::Arc::new(Calendars::new());
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let event = || rig.store.event(id).expect("readable").expect("there");
    until("it is paused", || event().state == sexton_core::EventState::Paused);
    assert!(event().reason.is_some_and(|reason| reason.contains("holidays")));
    assert!(generation.ran().is_empty());
}

#[test]
fn a_step_of_the_clock_moves_waits_and_is_counted() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    // Planned when the clock showed two hours more.
    let (rhythm, fixed) = (planned(&rig, each_minute(Misfire::Latest), -121), planned(&rig, Schedule::cron("7 7 * * *", "UTC"), -121));
    let due = |id| rig.store.event(id).expect("readable").expect("there").next_run_at.expect("it recurs");
    let before = due(fixed);
    assert!(due(rhythm) > clock::now() + TimeDelta::hours(2));
    crate::engine::almanac::stepped(&rig.engine.shared, -TimeDelta::hours(2));
    assert!(due(rhythm) <= clock::now() + TimeDelta::minutes(2), "{}", due(rhythm));
    assert_eq!((due(fixed), rig.engine.clock_steps()), (before, 1), "a fixed time comes when the clock shows it");
}
