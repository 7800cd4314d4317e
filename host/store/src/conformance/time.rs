//! Themes of time: what was found late, bounds, jitter, clock steps, backfill, calendars, zones.
//!
//! Not the policies: those are the core's. What must hold: what an adapter is told is stored as it was told, and every instant that is
//! passed over is counted with its reason.

use super::ground::{Ground, at, code, every, once, tester, wish};
use crate::rows::{AuditFilter, Change, Edit, Misfired, Page};
use chrono::TimeDelta;
use serde_json::json;
use sexton_core::calendar::Calendar;
use sexton_core::decide::late::Late;
use sexton_core::decide::{End, SkipReason, Skips};
use sexton_core::schedule::Misfire;
use sexton_core::schedule::zone::ZoneRules;
use sexton_core::{Cause, EventId, EventState, NewEvent, Outcome, Schedule};
use std::collections::BTreeMap;

/// The themes of this file.
pub const THEMES: &[super::Theme] = &[
    ("time: a late one is meant for another instant", meant_anew),
    ("time: a late one is passed over and the schedule goes on", passed_over),
    ("time: what has no further instant ends when it is passed over", passed_over_for_good),
    ("time: a decision about a claim that was taken back is left alone", taken_back),
    ("time: what is accounted for is not counted again", counted_once),
    ("time: a resume follows the misfire policy", resumed),
    ("time: the last of so many runs ends the event", max_runs),
    ("time: jitter moves the due instant and not the meant one", jittered),
    ("time: a clock set back moves waits and elapsed rhythms", clock_back),
    ("time: what was given before the clock was set back does not come again", clock_back_and_changed),
    ("time: a clock set forward moves waits only", clock_forward),
    ("time: a backfill stands beside the schedule", backfilled),
    ("time: a changed calendar moves the events that name it", calendar_moves),
    ("time: a calendar in use is kept, an unknown one is refused", calendar_kept),
    ("time: a zone's events are planned again page by page", zone_pages),
];

fn with(mut wish: NewEvent, change: impl FnOnce(&mut Schedule)) -> NewEvent {
    change(&mut wish.schedule);
    wish
}

fn skips(ground: &Ground, id: EventId) -> BTreeMap<SkipReason, i64> {
    let event = ground.event(id);
    assert_eq!(event.skips.values().sum::<i64>(), event.skipped, "the total and its reasons move together");
    event.skips
}

fn misfire(ground: &Ground, found: &sexton_core::Occurrence, late: Late, seconds: i64) -> bool {
    let schedule = found.wish.schedule.clone();
    let found = Misfired { occurrence: found.id, token: found.token, schedule, late };
    ground.store.misfire(&ground.lease, &[found], at(seconds)).unwrap() == [true]
}

fn meant_anew(ground: &Ground) {
    let id = ground.schedule(every(60));
    let claimed = ground.claim_one(60);
    let late = Late::RunFor { scheduled_for: at(600), counted_to: None, skips: Skips::of(SkipReason::Downtime, 9) };
    assert!(misfire(ground, &claimed, late, 610));
    assert_eq!(ground.settle(&claimed, End::Succeeded, 611).next_due, Some(at(660)));
    assert_eq!(ground.runs(id)[0].scheduled_for, at(600));
    assert_eq!(skips(ground, id), BTreeMap::from([(SkipReason::Downtime, 9)]), "between 600 and 611 nothing was due");
}

fn passed_over(ground: &Ground) {
    let id = ground.schedule(every(60));
    let claimed = ground.claim_one(60);
    let late = Late::Skip { successor: Some(at(660)), skips: Skips::of(SkipReason::Unresolved, 10) };
    assert!(misfire(ground, &claimed, late, 610));
    assert_eq!(ground.event(id).next_run_at, Some(at(660)));
    assert!(ground.runs(id).is_empty() && ground.claim(659).is_empty());
    let next = ground.claim_one(660);
    assert_eq!((next.id.n, next.scheduled_for), (2, at(660)), "an ordinal is never given twice");
    assert_eq!(skips(ground, id), BTreeMap::from([(SkipReason::Unresolved, 10)]));
    assert_eq!(ground.settle(&claimed, End::Succeeded, 612).outcome, Outcome::Lost, "the claim went with its row");
}

fn passed_over_for_good(ground: &Ground) {
    let (one, many) = (ground.schedule(once(10)), ground.schedule(every(60)));
    let gone = || Late::Skip { successor: None, skips: Skips::of(SkipReason::Expired, 1) };
    let mut claimed = ground.claim(60);
    claimed.sort_by_key(|o| o.due_at);
    assert!(misfire(ground, &claimed[0], gone(), 100) && misfire(ground, &claimed[1], gone(), 100));
    let (one, many) = (ground.event(one), ground.event(many));
    assert_eq!((one.state, one.skipped, one.finished_at), (EventState::Discarded, 1, Some(at(100))));
    assert!(one.reason.is_some_and(|reason| reason.contains("expired")));
    assert_eq!((many.state, many.skipped), (EventState::Completed, 1));
    let counts = ground.store.counts().unwrap();
    assert_eq!(counts.scheduled, 0);
}

fn taken_back(ground: &Ground) {
    let id = ground.schedule(every(60));
    let claimed = ground.claim_one(60);
    ground.alter(id, &Change::Pause { note: None }, 61).unwrap();
    let late = Late::Skip { successor: Some(at(660)), skips: Skips::of(SkipReason::Downtime, 10) };
    assert!(!misfire(ground, &claimed, late, 610));
    assert_eq!((ground.event(id).skipped, ground.ordinals(id)), (0, vec![1]));
    let newer = ground.restarted(700);
    let refused = newer.store.misfire(&ground.lease, &[], at(701)).map(drop);
    assert!(refused.is_err(), "an earlier life decides nothing any more: {refused:?}");
}

fn counted_once(ground: &Ground) {
    let id = ground.schedule(with(every(60), |schedule| schedule.terms.misfire = Misfire::Earliest));
    let claimed = ground.claim_one(60);
    let late = Late::RunFor { scheduled_for: at(60), counted_to: Some(at(610)), skips: Skips::of(SkipReason::Downtime, 9) };
    assert!(misfire(ground, &claimed, late, 610));
    // Given back and claimed again, it still knows.
    ground.store.give_back(&ground.lease, &[(claimed.id, claimed.token)]).unwrap();
    let again = ground.claim_one(700);
    assert_eq!((again.scheduled_for, again.counted_to), (at(60), Some(at(610))));
    assert_eq!(ground.settle(&again, End::Succeeded, 615).next_due, Some(at(660)));
    assert_eq!(skips(ground, id), BTreeMap::from([(SkipReason::Downtime, 9)]));
}

fn resumed(ground: &Ground) {
    let hold = |misfire: Misfire| {
        let id = ground.schedule(with(every(60), |schedule| schedule.terms.misfire = misfire));
        ground.alter(id, &Change::Pause { note: Some("maintenance".to_owned()) }, 1).unwrap();
        ground.alter(id, &Change::Resume, 3_610).unwrap();
        id
    };
    let latest = hold(Misfire::Latest);
    let run = ground.claim_one(3_610);
    assert_eq!((run.id.event, run.scheduled_for), (latest, at(3_600)), "one run for all that the pause held");
    ground.settle(&run, End::Succeeded, 3_611);
    assert_eq!(skips(ground, latest), BTreeMap::from([(SkipReason::Paused, 59)]));
    let skip = hold(Misfire::Skip);
    assert!(ground.claim(3_659).is_empty());
    assert_eq!(ground.event(skip).next_run_at, Some(at(3_660)));
    assert_eq!(skips(ground, skip), BTreeMap::from([(SkipReason::Paused, 60)]));
    ground.alter(latest, &Change::Cancel, 3_612).unwrap();
    ground.alter(skip, &Change::Cancel, 3_612).unwrap();
    let earliest = hold(Misfire::Earliest);
    let run = ground.claim_one(3_610);
    assert_eq!((run.id.event, run.scheduled_for), (earliest, at(60)));
    assert_eq!(ground.settle(&run, End::Succeeded, 3_611).next_due, Some(at(3_660)));
    assert_eq!(skips(ground, earliest), BTreeMap::from([(SkipReason::Paused, 59)]));
    ground.alter(earliest, &Change::Cancel, 3_612).unwrap();
    let all = hold(Misfire::All);
    for n in 1..=60 {
        let run = ground.claim_one(3_611);
        assert_eq!((run.id.event, run.scheduled_for), (all, at(60 * n)));
        ground.settle(&run, End::Succeeded, 3_611);
    }
    assert!(ground.claim(3_659).is_empty() && skips(ground, all).is_empty());
}

fn max_runs(ground: &Ground) {
    let id = ground.schedule(with(every(60), |schedule| schedule.terms.max_runs = Some(2)));
    ground.alter(id, &Change::RunNow, 1).unwrap();
    ground.settle(&ground.claim_one(1), End::Succeeded, 2);
    assert_eq!(ground.settle(&ground.claim_one(60), End::Succeeded, 61).state, EventState::Scheduled, "a run-now is none of them");
    let last = ground.claim_one(120);
    let settled = ground.settle(&last, End::Failed { permanent: true }, 121);
    assert_eq!((settled.state, settled.next_due), (EventState::Completed, None), "a dead letter is one of them");
    let id = ground.schedule(with(every(60), |schedule| schedule.terms.max_runs = Some(5)));
    ground.settle(&ground.claim_one(60), End::Succeeded, 61);
    let edit = |schedule| Change::Edit(Box::new(Edit { schedule: Some(schedule), ..Edit::default() }));
    let fewer = with(every(30), |schedule| schedule.terms.max_runs = Some(1)).schedule;
    assert_eq!(code(ground.alter(id, &edit(fewer), 62)), "INP007", "it has run once already");
}

fn jittered(ground: &Ground) {
    let spread = with(every(60), |schedule| schedule.terms.jitter = Some(std::time::Duration::from_secs(50)));
    let intention = ground.intention(spread);
    let (id, due) = (intention.id, intention.wish.schedule.due_at(intention.id, at(60)));
    assert!(at(60) <= due && due < at(110));
    ground.store.schedule(&ground.lease, &[intention], &tester(), at(0)).unwrap();
    assert_eq!(ground.event(id).next_run_at, Some(due));
    let claimed = ground.claim_one(110);
    assert_eq!((claimed.scheduled_for, claimed.due_at), (at(60), due));
    let next = ground.settle(&claimed, End::Succeeded, 111).next_due.unwrap();
    assert_eq!(next, claimed.wish.schedule.due_at(id, at(120)), "the successor has its own");
}

fn clock_back(ground: &Ground) {
    // The clock showed 7200 and is set back to 3600.
    let back = TimeDelta::seconds(3_600);
    let rhythm = ground.schedule(wish(Schedule::every(std::time::Duration::from_secs(300), Some(at(0)))));
    let fixed = ground.schedule(wish(Schedule::cron("30 10 * * *", "UTC")));
    let after = ground.schedule(wish(Schedule::after(std::time::Duration::from_secs(600))));
    let long = ground.schedule(wish(Schedule::after(std::time::Duration::from_secs(30_000))));
    let retry = ground.schedule(once(7_100));
    for _ in 0..24 {
        for occurrence in ground.claim(7_199).into_iter().filter(|o| o.id.event != retry) {
            ground.settle(&occurrence, End::Succeeded, occurrence.due_at.timestamp() - at(0).timestamp());
        }
    }
    let _ = ground.store.claim(&ground.lease, &[ground.bell], at(7_199), 10).unwrap();
    let due = |id: EventId| ground.event(id).next_run_at.unwrap();
    assert_eq!((due(rhythm), due(fixed), due(after)), (at(7_200), at(9_000), at(7_200)));
    // A retry that waits: given back as one is not the same, so one is made by failing.
    let claimed = ground.restarted(7_190);
    claimed.store.recover(&claimed.lease, &[], at(7_190)).unwrap();
    let one = claimed.claim(7_199).into_iter().find(|o| o.id.event == retry).unwrap();
    let waits = claimed.settle(&one, End::Failed { permanent: false }, 7_195).next_due.unwrap();
    assert!(waits > at(7_195));
    assert_eq!(claimed.store.move_retries(&claimed.lease, -back).unwrap(), 1);
    let mut moved = 0;
    let mut last = None;
    loop {
        let page = claimed.store.clock_set_back(&claimed.lease, back, last, 1, at(3_600)).unwrap();
        moved += page.moved;
        last = page.last;
        if last.is_none() {
            break;
        }
    }
    assert_eq!(moved, 3);
    assert_eq!(claimed.event(retry).next_run_at, Some(waits - back), "the wait keeps its length");
    assert_eq!(claimed.event(rhythm).next_run_at, Some(at(3_600)), "the rhythm goes on in elapsed time");
    assert_eq!(claimed.event(after).next_run_at, Some(at(3_600)), "and so does a delay");
    assert_eq!(claimed.event(long).next_run_at, Some(at(26_400)), "however long it is");
    assert_eq!(claimed.event(fixed).next_run_at, Some(at(9_000)), "a fixed time does not");
}

fn clock_back_and_changed(ground: &Ground) {
    let noon = || with(wish(Schedule::cron("0 12 * * *", "UTC")), |schedule| schedule.terms.exclude = vec!["audit".to_owned()]);
    let closed = |day: &str| Calendar::read(&json!({ "dates": [day] })).unwrap();
    ground.store.set_calendar(&ground.lease, "audit", &closed("2027-03-01"), &tester(), at(0)).unwrap();
    let id = ground.schedule(noon());
    let seconds = 4 * 3_600;
    ground.settle(&ground.claim_one(seconds), End::Succeeded, seconds + 60);
    let tomorrow = Some(at(seconds + 86_400));
    // The clock is set back to half past eleven.
    let back = seconds - 1_800;
    assert_eq!(ground.store.clock_set_back(&ground.lease, TimeDelta::seconds(1_900), None, 10, at(back)).unwrap().moved, 0);
    ground.store.set_calendar(&ground.lease, "audit", &closed("2027-03-02"), &tester(), at(back)).unwrap();
    assert_eq!(ground.event(id).next_run_at, tomorrow, "a calendar changes");
    let patient = with(noon(), |schedule| schedule.terms.misfire = Misfire::All).schedule;
    ground.alter(id, &Change::Edit(Box::new(Edit { schedule: Some(patient), ..Edit::default() })), back).unwrap();
    assert_eq!(ground.event(id).next_run_at, tomorrow, "the same rule goes on, on other terms");
}

fn clock_forward(ground: &Ground) {
    let id = ground.schedule(once(10));
    let waits = ground.settle(&ground.claim_one(10), End::Failed { permanent: false }, 11).next_due.unwrap();
    assert_eq!(ground.store.move_retries(&ground.lease, TimeDelta::seconds(3_600)).unwrap(), 1);
    assert_eq!(ground.event(id).next_run_at, Some(waits + TimeDelta::seconds(3_600)));
}

fn backfilled(ground: &Ground) {
    let id = ground.schedule(every(3_600));
    let instants = [at(-7_200), at(-3_600)];
    ground.store.backfill(&ground.lease, id, &instants, &tester(), at(100)).unwrap();
    assert_eq!(ground.event(id).next_run_at, Some(at(100)), "due at once");
    let claimed = ground.claim(100);
    let meant: Vec<_> = claimed.iter().map(|o| (o.scheduled_for, o.cause, o.by_schedule)).collect();
    assert_eq!(meant, [(at(-7_200), Cause::Backfill, false), (at(-3_600), Cause::Backfill, false)]);
    for occurrence in &claimed {
        assert_eq!(ground.settle(occurrence, End::Succeeded, 101).state, EventState::Scheduled);
    }
    assert_eq!(ground.event(id).next_run_at, Some(at(3_600)), "the schedule's own is where it was");
    ground.alter(id, &Change::Cancel, 102).unwrap();
    assert_eq!(code(ground.store.backfill(&ground.lease, id, &instants, &tester(), at(103))), "INP010");
    assert_eq!(code(ground.store.backfill(&ground.lease, EventId(77), &instants, &tester(), at(103))), "INP009");
}

/// Second 0 of the ground is 2027-01-15T08:00:00Z, a Friday.
fn closed_until(seconds: i64) -> Calendar {
    let day = at(seconds).format("%Y-%m-%d").to_string();
    Calendar::read(&json!({ "dates": [format!("2027-01-15..{day}")] })).unwrap()
}

fn calendar_moves(ground: &Ground) {
    assert_eq!(ground.store.set_calendar(&ground.lease, "audit", &Calendar::read(&json!({})).unwrap(), &tester(), at(0)).unwrap(), 0);
    let gated = ground.schedule(with(every(3_600), |schedule| schedule.terms.exclude = vec!["audit".to_owned()]));
    let free = ground.schedule(every(3_600));
    assert_eq!(ground.event(gated).next_run_at, Some(at(3_600)));
    assert_eq!(ground.store.set_calendar(&ground.lease, "audit", &closed_until(86_400), &tester(), at(1)).unwrap(), 1);
    let opens = at(0).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc() + TimeDelta::days(2);
    assert_eq!(ground.event(gated).next_run_at, Some(opens), "it opens with the day after");
    assert_eq!(ground.event(free).next_run_at, Some(at(3_600)));
    let row = ground.store.calendars().unwrap().remove(0);
    assert_eq!((row.name.as_str(), row.events, row.updated_at), ("audit", 1, at(1)));
    assert_eq!(ground.store.set_calendar(&ground.lease, "audit", &Calendar::read(&json!({})).unwrap(), &tester(), at(2)).unwrap(), 1);
    assert_eq!(ground.event(gated).next_run_at, Some(at(3_600)), "and back");
    let always = Calendar::read(&json!({ "weekly": [{ "days": "mon-sun" }] })).unwrap();
    let refused = ground.store.set_calendar(&ground.lease, "audit", &always, &tester(), at(2)).unwrap_err();
    assert!(refused.to_string().contains(&gated.to_string()), "the event is named: {refused}");
    assert_eq!(ground.event(gated).next_run_at, Some(at(3_600)), "refused: as before");
    assert!(ground.store.calendars().unwrap()[0].calendar.is_empty(), "and the calendar too");
    assert_eq!(code(ground.store.set_calendar(&ground.lease, "Not a name", &closed_until(0), &tester(), at(2))), "INP024");
}

fn calendar_kept(ground: &Ground) {
    let gated = |name: &str| with(every(3_600), |schedule| schedule.terms.only = vec![name.to_owned()]);
    ground.store.set_calendar(&ground.lease, "days", &closed_until(864_000), &tester(), at(0)).unwrap();
    let id = ground.schedule(gated("days"));
    assert_eq!(code(ground.store.remove_calendar(&ground.lease, "days", &tester(), at(1))), "INP027");
    let mut unknown = ground.intention(every(60));
    unknown.wish = gated("nights");
    assert_eq!(code(ground.store.schedule(&ground.lease, &[unknown], &tester(), at(1))), "INP026");
    let edit = Change::Edit(Box::new(Edit { schedule: Some(every(60).schedule), ..Edit::default() }));
    ground.alter(id, &edit, 2).unwrap();
    assert!(ground.store.remove_calendar(&ground.lease, "days", &tester(), at(3)).unwrap(), "nobody names it any more");
    assert!(!ground.store.remove_calendar(&ground.lease, "days", &tester(), at(4)).unwrap());
    assert!(ground.store.calendars().unwrap().is_empty());
}

fn zone_pages(ground: &Ground) {
    let paris = || wish(Schedule::cron("0 9 * * *", "Europe/Paris"));
    let ids = [ground.schedule(paris()), ground.schedule(paris()), ground.schedule(paris())];
    ground.schedule(wish(Schedule::cron("0 9 * * *", "UTC")));
    let rules = ZoneRules::of("Europe/Paris", at(0)).unwrap();
    let zones = ground.store.zones().unwrap();
    assert_eq!(zones.len(), 1, "UTC has no rules that change: {zones:?}");
    assert!(zones[0].tz == "Europe/Paris" && zones[0].planned_by.is_none() && !zones[0].is_passing);
    ground.store.note_zone(&ground.lease, "Europe/Paris", &ZoneRules::of("Asia/Kathmandu", at(0)).unwrap()).unwrap();
    assert!(ground.store.zones().unwrap()[0].planned_by.as_ref().is_some_and(|planned_by| !planned_by.agrees_with(&rules)));
    let page = ground.store.replan_zone(&ground.lease, "Europe/Paris", &rules, 2, at(1)).unwrap();
    assert_eq!((page.looked, page.moved, page.is_done, page.last), (2, 0, false, Some(ids[1])));
    assert!(ground.store.zones().unwrap()[0].is_passing, "a host that comes again goes on with it");
    let again = ground.restarted(2);
    let page = again.store.replan_zone(&again.lease, "Europe/Paris", &rules, 2, at(3)).unwrap();
    assert_eq!((page.looked, page.is_done), (1, true));
    let zones = again.store.zones().unwrap();
    assert!(!zones[0].is_passing && zones[0].planned_by.as_ref().is_some_and(|planned_by| planned_by.agrees_with(&rules)));
    let line = again.store.audit_lines(&AuditFilter::default(), &Page { before: None, limit: 1 }).unwrap().remove(0).1;
    assert_eq!((line.verb.as_str(), line.subject.as_str()), ("zone.replan", "Europe/Paris"));
    assert_eq!((line.detail["events"].as_i64(), line.detail["moved"].as_i64()), (Some(3), Some(0)), "both pages together");
}
