//! Theme: an event that follows others.

use super::Theme;
use super::ground::{DOOR, Ground, at, code, every, once, tester, wish};
use crate::rows::{Aborted, AuditFilter, Change, Edit, EventFilter, Page, Stored};
use sexton_core::decide::End;
use sexton_core::decide::chain::{DEPTH_MAX, FOLLOWERS_MAX};
use sexton_core::schedule::follows::{Link, On};
use sexton_core::{Cause, EventId, EventState, NewEvent, Occurrence, RetryPolicy, Schedule};
use std::time::Duration;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("chains: a success sets off what follows it, in its settlement", success),
    ("chains: only the end that counts sets off", ends_that_count),
    ("chains: a fan-in waits for all, and marks are not counted", fan_in),
    ("chains: what can never run any more is ended with the reason", never_again),
    ("chains: cascades end from event to event", cascade),
    ("chains: an event that ended already counts at once, or is refused", ended_already),
    ("chains: terms bound it", terms),
    ("chains: a paused follower holds what it is to run", paused),
    ("chains: an expired occurrence is skipped and the follower goes on", expired),
    ("chains: edits make no cycle and set nothing off", edits),
    ("chains: depth and width are bounded", bounds),
    ("chains: follow-ups follow each other, and the run that scheduled them", follow_ups),
    ("chains: a poisoned run found at a restart is a failure", poisoned),
    ("chains: a pruned event leaves its mark, and links go with their follower", pruned),
    ("chains: events are found by what they follow", listed),
];

fn follows(links: &[(EventId, On)]) -> NewEvent {
    let links = links.iter().map(|(event, on)| Link { event: *event, on: *on }).collect();
    NewEvent { event_type: DOOR.to_owned(), ..wish(Schedule::follows(links)) }
}

fn after(event: EventId) -> NewEvent {
    follows(&[(event, On::Success)])
}

fn at_most(runs: u32, mut wish: NewEvent) -> NewEvent {
    wish.schedule.terms.max_runs = Some(runs);
    wish
}

fn refusal(ground: &Ground, wish: NewEvent) -> String {
    code(ground.store.schedule(&ground.lease, &[ground.intention(wish)], &tester(), at(0)))
}

fn run(ground: &Ground, event: EventId, end: End, seconds: i64) {
    let claimed = ground.claim(seconds);
    let mine: Vec<&Occurrence> = claimed.iter().filter(|o| o.id.event == event).collect();
    assert_eq!(mine.len(), 1, "one occurrence of {event}: {claimed:?}");
    for other in claimed.iter().filter(|o| o.id.event != event) {
        ground.store.give_back(&ground.lease, &[(other.id, other.token)]).unwrap();
    }
    ground.settle(mine[0], end, seconds);
}

fn success(ground: &Ground) {
    let upstream = ground.schedule(once(10));
    let follower = ground.schedule(after(upstream));
    let event = ground.event(follower);
    assert_eq!((event.state, event.next_run_at, event.occurrences), (EventState::Scheduled, None, 0), "it has no times of its own");
    let link = ground.store.links(follower).unwrap().remove(0);
    assert_eq!((link.event, link.on, link.satisfied, link.state), (upstream, On::Success, false, Some(EventState::Scheduled)));
    let settled = ground.settle(&ground.claim_one(10), End::Succeeded, 12);
    assert_eq!((settled.state, settled.next_due), (EventState::Completed, Some(at(12))), "whoever settles hears of it");
    let found = ground.claim_one(12);
    assert_eq!((found.id.event, found.id.n, found.cause, found.by_schedule), (follower, 1, Cause::Chain, false));
    assert_eq!((found.scheduled_for, found.due_at), (at(12), at(12)), "meant for the end of what it follows");
    let settled = ground.settle(&found, End::Succeeded, 13);
    assert_eq!(settled.state, EventState::Completed, "it had its run, and what it follows came to its end");
    assert_eq!(ground.event(follower).reason, None);
    let ends: Vec<_> = ground.audited(&AuditFilter {
        subject: Some(follower.to_string()),
        verb_prefix: Some("event.end".to_owned()),
        ..AuditFilter::default()
    });
    assert_eq!((ends.len(), ends[0].detail["state"].as_str()), (1, Some("completed")));
    ground.check_counts();
}

fn ends_that_count(ground: &Ground) {
    let retry = Some(RetryPolicy { attempts: 2, first_delay_ms: 1, max_delay_ms: 1, deadline_ms: None });
    let permanent = End::Failed { permanent: true };
    for (end, set_off) in [(End::Succeeded, "SA"), (permanent, "FA"), (End::Cancelled, "A")] {
        let upstream = ground.schedule(NewEvent { retry: retry.clone(), ..every(10) });
        let named =
            [("S", On::Success), ("F", On::Failure), ("A", On::Any)].map(|(name, on)| (name, ground.schedule(follows(&[(upstream, on)]))));
        run(ground, upstream, End::Failed { permanent: false }, 10);
        run(ground, upstream, End::Snoozed { until: at(11) }, 11);
        assert!(named.iter().all(|(_, id)| ground.event(*id).occurrences == 0), "an attempt is not the end of an occurrence");
        run(ground, upstream, end.clone(), 11);
        let run: String = named.iter().filter(|(_, id)| ground.event(*id).occurrences == 1).map(|(name, _)| *name).collect();
        assert_eq!(run, set_off, "{end:?}");
        for id in named.iter().map(|(_, id)| *id).chain([upstream]) {
            ground.alter(id, &Change::Cancel, 12).or_else(|_| ground.store.event(id).map(|event| event.unwrap())).unwrap();
        }
    }
    ground.check_counts();
}

fn fan_in(ground: &Ground) {
    let (one, two) = (ground.schedule(every(10)), ground.schedule(every(15)));
    let follower = ground.schedule(follows(&[(one, On::Success), (two, On::Any)]));
    run(ground, one, End::Succeeded, 10);
    run(ground, one, End::Succeeded, 20);
    assert_eq!(ground.event(follower).occurrences, 0, "it waits for the other");
    assert_eq!(ground.store.links(follower).unwrap().iter().map(|link| link.satisfied).collect::<Vec<_>>(), [true, false]);
    run(ground, two, End::Failed { permanent: true }, 21);
    let waiting = ground.store.waiting(follower).unwrap();
    assert_eq!((waiting.len(), waiting[0].scheduled_for), (1, at(21)), "two successes of the one were one mark");
    assert!(ground.store.links(follower).unwrap().iter().all(|link| !link.satisfied), "it begins anew");
    run(ground, two, End::Succeeded, 30);
    assert_eq!(ground.event(follower).occurrences, 1);
    run(ground, one, End::Succeeded, 30);
    assert_eq!(ground.event(follower).occurrences, 2, "also while the one before waits: what then is the overlap policy's business");
    ground.check_counts();
}

fn never_again(ground: &Ground) {
    // Failed: a success can never come.
    let upstream = ground.schedule(once(10));
    let (good, bad) = (ground.schedule(after(upstream)), ground.schedule(follows(&[(upstream, On::Failure)])));
    run(ground, upstream, End::Failed { permanent: true }, 10);
    let event = ground.event(good);
    assert_eq!((event.state, event.finished_at), (EventState::Discarded, Some(at(10))));
    assert_eq!(event.reason, Some(format!("event {upstream}, which it follows, was discarded: it can never run at all")));
    assert_eq!(ground.event(bad).state, EventState::Scheduled, "its run is to come");
    run(ground, bad, End::Succeeded, 11);
    assert_eq!(ground.event(bad).state, EventState::Completed);
    // Cancelled by hand, before and after it ran.
    let upstream = ground.schedule(every(10));
    let (fresh, ran) = (ground.schedule(follows(&[(upstream, On::Failure)])), ground.schedule(after(upstream)));
    run(ground, upstream, End::Succeeded, 10);
    run(ground, ran, End::Succeeded, 11);
    ground.alter(upstream, &Change::Cancel, 12).unwrap();
    for (id, again) in [(fresh, "at all"), (ran, "again")] {
        let event = ground.event(id);
        assert_eq!(event.state, EventState::Discarded);
        assert_eq!(event.reason, Some(format!("event {upstream}, which it follows, was cancelled: it can never run {again}")));
    }
    // Completed without its failing ever; and an occurrence that expired is no end of a run.
    let upstream = ground.schedule(once(20));
    let failing = ground.schedule(follows(&[(upstream, On::Failure)]));
    run(ground, upstream, End::Succeeded, 20);
    assert!(ground.event(failing).reason.unwrap().contains("without the end that counts (failure)"));
    ground.check_counts();
}

fn cascade(ground: &Ground) {
    let first = ground.schedule(once(10));
    let mut chain = vec![first];
    for _ in 0..5 {
        chain.push(ground.schedule(after(chain[chain.len() - 1])));
    }
    ground.alter(chain[0], &Change::Cancel, 3).unwrap();
    for pair in chain.windows(2) {
        let event = ground.event(pair[1]);
        assert_eq!(event.state, EventState::Discarded);
        assert!(event.reason.unwrap().starts_with(&format!("event {}, which it follows,", pair[0])), "each names its own");
    }
    ground.check_counts();
}

fn ended_already(ground: &Ground) {
    let upstream = ground.schedule(once(10));
    run(ground, upstream, End::Succeeded, 10);
    let intention = ground.intention(after(upstream));
    let stored = ground.store.schedule(&ground.lease, std::slice::from_ref(&intention), &tester(), at(50)).unwrap();
    assert_eq!(
        stored,
        [Stored::New { next_due: Some(at(50)), replaced: Vec::new() }],
        "it is due at once, and whoever scheduled it hears of it"
    );
    run(ground, intention.id, End::Succeeded, 51);
    assert_eq!(ground.event(intention.id).state, EventState::Completed);
    assert_eq!(refusal(ground, follows(&[(upstream, On::Failure)])), "INP037");
    assert_eq!(refusal(ground, after(ground.id())), "INP037", "nobody there");
    let cancelled = ground.schedule(once(20));
    ground.alter(cancelled, &Change::Cancel, 1).unwrap();
    let refused =
        ground.store.schedule(&ground.lease, &[ground.intention(follows(&[(cancelled, On::Any)]))], &tester(), at(0)).unwrap_err();
    assert!(refused.to_string().contains("no run of it is kept"), "{refused}");
    // With another that is still open its mark is there from the beginning.
    let open = ground.schedule(once(60));
    let both = ground.schedule(follows(&[(upstream, On::Any), (open, On::Success)]));
    assert_eq!(ground.event(both).occurrences, 0);
    run(ground, open, End::Succeeded, 60);
    assert_eq!(ground.event(both).occurrences, 1);
    assert_eq!(ground.events().len(), 5, "what was refused left nothing");
    ground.check_counts();
}

fn terms(ground: &Ground) {
    let upstream = ground.schedule(every(10));
    let twice = ground.schedule(at_most(2, after(upstream)));
    let mut bounded = after(upstream);
    (bounded.schedule.terms.start, bounded.schedule.terms.end) = (Some(at(15)), Some(at(25)));
    let bounded = ground.schedule(bounded);
    let mut spread = after(upstream);
    spread.schedule.terms.jitter = Some(Duration::from_secs(5));
    let spread = ground.schedule(spread);
    for second in [10, 20, 30, 40] {
        run(ground, upstream, End::Succeeded, second);
    }
    assert_eq!(ground.event(twice).occurrences, 2);
    assert_eq!(ground.event(twice).state, EventState::Scheduled, "its last occurrence is still to run");
    assert_eq!(ground.event(bounded).occurrences, 1, "of the four ends one lies within its bounds");
    for row in ground.store.waiting(spread).unwrap() {
        let late = row.due_at - row.scheduled_for;
        assert!(late >= chrono::TimeDelta::zero() && late < chrono::TimeDelta::seconds(5), "{row:?}");
    }
    for occurrence in ground.claim(40) {
        ground.settle(&occurrence, End::Succeeded, 41);
    }
    assert_eq!(ground.event(twice).state, EventState::Completed);
    assert_eq!(ground.event(bounded).state, EventState::Completed, "its end is over, and nothing of it is left");
    ground.check_counts();
}

fn paused(ground: &Ground) {
    let upstream = ground.schedule(every(10));
    let follower = ground.schedule(after(upstream));
    ground.alter(follower, &Change::Pause { note: None }, 1).unwrap();
    let settled = ground.settle(&ground.claim_one(10), End::Succeeded, 10);
    assert_eq!(settled.next_due, Some(at(20)), "what is held is due for nobody");
    assert_eq!((ground.ordinals(follower), ground.claim(10).len()), (vec![1], 0));
    ground.alter(follower, &Change::Resume, 12).unwrap();
    assert_eq!(ground.claim_one(12).id.event, follower);
    ground.check_counts();
}

fn expired(ground: &Ground) {
    use sexton_core::decide::late::{Found, when_found};
    use sexton_core::decide::{Absence, SkipReason};
    let upstream = ground.schedule(every(10));
    let mut wish = after(upstream);
    wish.schedule.terms.expires = Some(Duration::from_secs(5));
    let follower = ground.schedule(wish);
    run(ground, upstream, End::Succeeded, 10);
    let found = ground.claim(16).into_iter().find(|o| o.id.event == follower).unwrap();
    let (calendars, schedule) = (ground.calendars(), found.wish.schedule.clone());
    let row = Found { scheduled_for: found.scheduled_for, due_at: found.due_at, counted_to: None };
    let late = when_found(&schedule, &schedule.plan(&calendars).unwrap(), &row, &Absence::always(SkipReason::Late), at(16)).unwrap();
    let misfired = crate::rows::Misfired { occurrence: found.id, token: found.token, schedule: schedule.clone(), late };
    assert_eq!(ground.store.misfire(&ground.lease, &[misfired], at(16)).unwrap(), [true]);
    let event = ground.event(follower);
    assert_eq!((event.state, event.skips.get(&SkipReason::Expired)), (EventState::Scheduled, Some(&1)));
    ground.check_counts();
}

fn edit(ground: &Ground, id: EventId, schedule: Schedule) -> String {
    let edit = Edit { schedule: Some(schedule), ..Edit::default() };
    ground.alter(id, &Change::Edit(Box::new(edit)), 5).map_or_else(|error| code::<()>(Err(error)), |_| "stored".to_owned())
}

fn edits(ground: &Ground) {
    let first = ground.schedule(every(10));
    let other = ground.schedule(every(10));
    let second = ground.schedule(after(first));
    let third = ground.schedule(follows(&[(second, On::Any), (other, On::Success)]));
    let around = Edit { schedule: Some(after(third).schedule), ..Edit::default() };
    let refused = ground.alter(first, &Change::Edit(Box::new(around)), 5).unwrap_err().refusal.unwrap();
    assert_eq!(refused.code, "INP038");
    assert_eq!(refused.found, Some(format!("{first} follows {third} follows {second} follows {first}")), "the cycle is named");
    assert_eq!(edit(ground, second, after(second).schedule), "INP038", "itself is a cycle, too");
    assert_eq!(ground.event(first).wish.schedule, every(10).schedule, "nothing of it was stored");
    assert_eq!(edit(ground, first, after(ground.id()).schedule), "INP037");
    // From a chain to times, and back: an edit sets nothing off, and begins anew.
    run(ground, other, End::Succeeded, 10);
    run(ground, first, End::Succeeded, 10);
    assert_eq!(ground.store.links(third).unwrap().iter().filter(|link| link.satisfied).count(), 1);
    assert_eq!(edit(ground, third, after(first).schedule), "stored");
    assert_eq!((ground.event(third).occurrences, ground.store.links(third).unwrap().len()), (0, 1));
    assert!(!ground.store.links(third).unwrap()[0].satisfied);
    assert_eq!(edit(ground, third, every(7).schedule), "stored");
    assert_eq!((ground.event(third).next_run_at, ground.store.links(third).unwrap()), (Some(at(7)), Vec::new()));
    assert_eq!(edit(ground, third, after(other).schedule), "stored");
    assert_eq!((ground.event(third).next_run_at, ground.ordinals(third)), (None, Vec::new()), "its waiting instant went with its schedule");
    let done = ground.schedule(once(12));
    run(ground, done, End::Succeeded, 12);
    assert_eq!(edit(ground, third, after(done).schedule), "INP037", "what has ended would have to set it off at once");
    ground.check_counts();
}

fn bounds(ground: &Ground) {
    let mut chain = vec![ground.schedule(every(2_000))];
    for _ in 1..DEPTH_MAX {
        chain.push(ground.schedule(after(chain[chain.len() - 1])));
    }
    assert_eq!(refusal(ground, after(chain[DEPTH_MAX - 1])), "INP039");
    let free = ground.schedule(every(2_000));
    assert_eq!(edit(ground, chain[0], after(free).schedule), "INP039", "what hangs below counts, too");
    let popular = ground.schedule(every(1_000));
    let batch: Vec<_> = (0..FOLLOWERS_MAX).map(|_| ground.intention(after(popular))).collect();
    ground.store.schedule(&ground.lease, &batch, &tester(), at(0)).unwrap();
    assert_eq!(refusal(ground, after(popular)), "INP039");
    run(ground, popular, End::Succeeded, 1_000);
    assert_eq!(ground.store.next_due(&[ground.door]).unwrap(), Some(at(1_000)));
    assert_eq!(ground.claim(1_000).iter().filter(|o| o.cause == Cause::Chain).count(), FOLLOWERS_MAX, "one settlement, all of them");
    ground.check_counts();
}

fn follow_ups(ground: &Ground) {
    let parent = ground.schedule(once(10));
    let occurrence = ground.claim_one(10);
    let first = ground.intention(once(20));
    let second = ground.intention(after(first.id));
    let of_parent = ground.intention(after(parent));
    let stranger = ground.intention(after(ground.id()));
    let mut end = ground.end(&occurrence, End::Succeeded, 11);
    end.follow_ups = vec![first.clone(), second.clone(), of_parent.clone(), stranger.clone()];
    ground.store.settle(&ground.lease, &[end], at(11)).unwrap();
    assert_eq!(ground.event(second.id).state, EventState::Scheduled);
    assert_eq!(ground.ordinals(of_parent.id), [1], "the run that scheduled it has succeeded: once");
    assert!(ground.store.event(stranger.id).unwrap().is_none(), "left out, as one whose key is in use");
    let refused = ground.audited(&AuditFilter { subject: Some(stranger.id.to_string()), verb_prefix: None, ..AuditFilter::default() });
    assert_eq!((refused.len(), refused[0].detail["code"].as_str()), (1, Some("INP037")));
    run(ground, first.id, End::Succeeded, 20);
    assert_eq!(ground.ordinals(second.id), [1]);
    ground.check_counts();
}

fn poisoned(ground: &Ground) {
    let upstream = ground.schedule(every(10));
    let follower = ground.schedule(follows(&[(upstream, On::Failure)]));
    let mut lease_of = ground.restarted(10);
    for round in 0..sexton_core::decide::POISON_INTERRUPTIONS {
        let second = 10 + i64::from(round) * 1_000;
        let occurrence = lease_of.claim_one(second);
        let aborted = Aborted {
            occurrence: occurrence.id,
            token: occurrence.token,
            attempt: occurrence.attempt,
            started_at: at(second),
            plugin: "bells".to_owned(),
            generation: 1,
            digest: "d1".to_owned(),
            placement: "runner".to_owned(),
            cause: "signal 11".to_owned(),
        };
        lease_of = lease_of.restarted(second + 1);
        assert_eq!(lease_of.store.recover(&lease_of.lease, &[aborted], at(second + 1)).unwrap(), (1, 0));
    }
    assert_eq!(ground.ordinals(follower), [1], "a dead letter is a failure, however it came about");
    ground.check_counts();
}

fn pruned(ground: &Ground) {
    let (short, long) = (ground.schedule(once(10)), ground.schedule(every(1_000)));
    let both = ground.schedule(follows(&[(short, On::Success), (long, On::Success)]));
    run(ground, short, End::Succeeded, 10);
    ground.prune(500, 100);
    assert!(ground.store.event(short).unwrap().is_none(), "its run was old");
    run(ground, long, End::Succeeded, 1_000);
    assert_eq!(ground.event(both).occurrences, 1, "its mark stayed");
    run(ground, both, End::Succeeded, 1_001);
    assert_eq!(ground.event(both).state, EventState::Completed, "it can never be set off again");
    ground.prune(5_000, 100);
    assert!(ground.store.event(both).unwrap().is_none() && ground.store.links(both).unwrap().is_empty());
    ground.check_counts();
}

fn listed(ground: &Ground) {
    let (one, two) = (ground.schedule(every(10)), ground.schedule(every(10)));
    let followers = [ground.schedule(after(one)), ground.schedule(follows(&[(one, On::Any), (two, On::Any)]))];
    ground.schedule(after(two));
    ground.alter(followers[0], &Change::Cancel, 1).unwrap();
    let filter = EventFilter { follows: Some(one), ..EventFilter::default() };
    let found: Vec<_> = ground.store.events(&filter, &Page { before: None, limit: 10 }).unwrap().into_iter().map(|e| e.id).collect();
    assert_eq!(found, [followers[1], followers[0]], "those that ended, too");
}
