//! Theme: what the model-based test found (`tests/model.rs`), each as the few steps that show it.

use super::Theme;
use super::ground::{BELL, Ground, at, every, offer, tester, wish};
use crate::rows::{Change, Misfired};
use crate::store::StandingOffer;
use sexton_core::decide::late::Late;
use sexton_core::decide::{End, SkipReason, Skips};
use sexton_core::{EventState, NewEvent, Schedule};
use std::time::Duration;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("found: a late claim is not judged by a schedule that its event no longer has", judged_by_the_old),
    ("found: a resume begins no schedule anew that has given all it may", resumed_when_spent),
];

fn judged_by_the_old(ground: &Ground) {
    let declare = |schedule: Schedule, seconds: i64| {
        let id = ground.id();
        let wish = NewEvent { key: Some("matins".to_owned()), ..wish(schedule.clone()) };
        let first = schedule.plan(&ground.calendars()).unwrap().first(at(seconds)).unwrap();
        let standing = StandingOffer { event_type: BELL.to_owned(), id, wish, first };
        let generation = ground.store.new_generation("bells", "d2", at(seconds)).unwrap();
        ground.store.publish(&ground.lease, "bells", generation, &[offer(BELL)], &[standing], &tester(), at(seconds)).unwrap();
        id
    };
    let id = declare(every(60).schedule, 0);
    let claimed = ground.claim_one(600);
    // The plugin is loaded anew after the claim and before the judgement, and declares another rhythm.
    declare(Schedule::every(Duration::from_secs(1_000), Some(at(0))), 601);
    let late = Late::Skip { successor: Some(at(660)), skips: Skips::of(SkipReason::Downtime, 10) };
    let found = Misfired { occurrence: claimed.id, token: claimed.token, schedule: claimed.wish.schedule.clone(), late };
    assert_eq!(ground.store.misfire(&ground.lease, &[found], at(602)).unwrap(), [false], "it must not be started");
    assert_eq!(ground.ordinals(id), [1], "the old rhythm gives nothing any more");
    let again = ground.claim_one(602);
    assert_eq!((again.id, again.wish.schedule.kind()), (claimed.id, "every"), "given back, and claimed with the new one");
    assert_eq!(ground.settle(&again, End::Succeeded, 603).next_due, Some(at(1_000)));
    assert_eq!(ground.event(id).skipped, 9, "120 to 600, when it was declared anew");
}

fn resumed_when_spent(ground: &Ground) {
    let twice = |most: u32| {
        let mut wish = every(60);
        wish.schedule.terms.max_runs = Some(most);
        ground.schedule(wish)
    };
    // Its only occurrence is done, and a run beside it is not.
    let id = twice(1);
    ground.alter(id, &Change::RunNow, 1).unwrap();
    for occurrence in ground.claim(60) {
        if occurrence.by_schedule {
            ground.settle(&occurrence, End::Succeeded, 61);
        } else {
            ground.store.give_back(&ground.lease, &[(occurrence.id, occurrence.token)]).unwrap();
        }
    }
    ground.alter(id, &Change::Pause { note: None }, 62).unwrap();
    let event = ground.alter(id, &Change::Resume, 63).unwrap();
    assert_eq!((event.state, ground.ordinals(id)), (EventState::Scheduled, vec![2]), "what was asked for beside it is still to run");
    let settled = ground.settle(&ground.claim_one(64), End::Succeeded, 65);
    assert_eq!((settled.state, settled.next_due), (EventState::Completed, None));
    // The same, and it ends during the pause: nothing is left to resume.
    let id = twice(1);
    ground.alter(id, &Change::RunNow, 70).unwrap();
    let running = ground.claim(120);
    let running: Vec<_> = running.iter().map(|occurrence| (occurrence, occurrence.by_schedule)).collect();
    for (occurrence, _) in running.iter().filter(|(_, by_schedule)| *by_schedule) {
        ground.settle(occurrence, End::Succeeded, 121);
    }
    let beside = running.iter().find(|(_, by_schedule)| !by_schedule).unwrap().0;
    ground.alter_while(id, &Change::Pause { note: None }, &[beside.id], 122).unwrap();
    assert_eq!(ground.settle(beside, End::Succeeded, 123).state, EventState::Paused);
    let event = ground.alter(id, &Change::Resume, 124).unwrap();
    assert_eq!((event.state, event.finished_at, event.next_run_at), (EventState::Completed, Some(at(124)), None));
    ground.check_counts();
}
