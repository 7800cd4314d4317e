//! The finer points of what follows from a run: what was missed meanwhile, waits, bounds, schedules that cannot be asked.
//!
//! Not the table of all cells (`decision_table`), and no test of instants (`times`). What must hold: each point has its case.

use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::calendar::Calendars;
use sexton_core::decide::{Consequence, End, Guilt, POISON_INTERRUPTIONS, Row, SkipReason, Standing, after_run, without_successor};
use sexton_core::schedule::Misfire;
use sexton_core::{Cause, EventId, EventState, NewEvent, Outcome, RetryPolicy, Schedule};
use std::sync::LazyLock;
use std::time::Duration;

static NONE: LazyLock<Calendars> = LazyLock::new(Calendars::default);

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

fn wish(schedule: Schedule) -> NewEvent {
    let mut wish: NewEvent = serde_json::from_str(r#"{"event_type": "sexton.noop", "schedule": {"manual": true}}"#).expect("an event");
    wish.schedule = schedule;
    wish.retry = Some(RetryPolicy { attempts: 3, first_delay_ms: 10_000, max_delay_ms: 60_000, deadline_ms: None });
    wish
}

const SCHEDULED_FOR: &str = "2027-05-01T10:00:00Z";
const NOW: &str = "2027-05-01T10:00:20Z";

fn standing<'a>(wish: &'a NewEvent, state: EventState, by_schedule: bool, others_left: i64) -> Standing<'a> {
    Standing {
        event: EventId(7),
        wish,
        state,
        cause: if by_schedule { Cause::Schedule } else { Cause::RunNow },
        by_schedule,
        scheduled_for: at(SCHEDULED_FOR),
        counted_to: None,
        given: 0,
        first_due_at: at(SCHEDULED_FOR),
        calendars: &NONE,
        attempt: 1,
        interruptions: 0,
        type_retry: None,
        others_left,
        started_at: at(SCHEDULED_FOR),
        finished_at: at(NOW),
        jitter: 0x8000_0000,
    }
}

/// What follows when the occurrence meant for `scheduled_for` ran from `started_at` to `now`.
fn ran(schedule: &Schedule, scheduled_for: &str, started_at: &str, now: &str) -> Consequence {
    let wish = wish(schedule.clone());
    let (scheduled_for, started_at, now) = (at(scheduled_for), at(started_at), at(now));
    let given = Standing { scheduled_for, started_at, finished_at: now, ..standing(&wish, EventState::Scheduled, true, 0) };
    after_run(&given, &End::Succeeded, now).expect("a consequence")
}

fn skips(then: &Consequence) -> Vec<(SkipReason, i64)> {
    then.skips.iter().collect()
}

#[test]
fn missed_instants_are_counted_and_never_run() {
    let every = Schedule::every(Duration::from_secs(1), Some(at("2026-01-01T00:00:00Z")));
    let cron = Schedule::cron("0 * * * *", "Europe/Paris");
    let secondly = Schedule::cron("* * * * * *", "UTC");
    let daily = Schedule::cron("0 4 * * *", "UTC");
    for (what, schedule, after, now, next, skipped) in [
        ("nothing missed", &every, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00.5Z", "2027-01-01T00:00:01Z", 0),
        (
            "the instant of now is missed, its turn is over",
            &every,
            "2027-01-01T00:00:00Z",
            "2027-01-01T00:00:02Z",
            "2027-01-01T00:00:03Z",
            2,
        ),
        ("a year of seconds", &every, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z", 31_536_000),
        ("three hours", &cron, "2027-05-01T01:00:00Z", "2027-05-01T04:30:00Z", "2027-05-01T05:00:00Z", 3),
        ("the clock was set back: a rhythm goes on", &cron, "2027-05-01T04:00:00Z", "2027-05-01T01:30:00Z", "2027-05-01T02:00:00Z", 0),
        ("and a fixed time does not come twice", &daily, "2027-05-01T04:00:00Z", "2027-05-01T03:30:00Z", "2027-05-02T04:00:00Z", 0),
        ("a year of seconds, by cron", &secondly, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z", 31_536_000),
    ] {
        let overlapped = ran(schedule, after, after, now);
        assert_eq!((overlapped.successor, overlapped.skips.total()), (Some(at(next)), skipped), "{what}");
        assert!(skips(&overlapped).iter().all(|(reason, _)| *reason == SkipReason::Overlap), "{what}: {overlapped:?}");
        let late = ran(schedule, after, now, now);
        assert_eq!((late.successor, late.skips.total()), (Some(at(next)), skipped), "{what}");
        assert!(skips(&late).iter().all(|(reason, _)| *reason == SkipReason::Late), "{what}: {late:?}");
    }
    let after = ran(&Schedule::after(Duration::from_secs(30)), "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-05T00:00:00Z");
    assert_eq!(
        (after.successor, skips(&after)),
        (Some(at("2027-01-05T00:00:30Z")), Vec::new()),
        "completion plus delay, nothing is missed"
    );
}

#[test]
fn a_run_that_began_late_and_took_long_tells_both() {
    let every = Schedule::every(Duration::from_secs(60), Some(at(SCHEDULED_FOR)));
    let then = ran(&every, SCHEDULED_FOR, "2027-05-01T10:00:00Z", "2027-05-01T10:02:30Z");
    assert_eq!((then.successor, skips(&then)), (Some(at("2027-05-01T10:03:00Z")), vec![(SkipReason::Overlap, 2)]));
    let then = ran(&every, SCHEDULED_FOR, "2027-05-01T10:02:00Z", "2027-05-01T10:05:59Z");
    let both = vec![(SkipReason::Late, 2), (SkipReason::Overlap, 3)];
    assert_eq!((then.successor, skips(&then)), (Some(at("2027-05-01T10:06:00Z")), both));
    // With `all` what was missed before it began is run.
    let mut all = every;
    all.terms.misfire = Misfire::All;
    let then = ran(&all, SCHEDULED_FOR, "2027-05-01T10:02:00Z", "2027-05-01T10:05:59Z");
    assert_eq!((then.successor, skips(&then)), (Some(at("2027-05-01T10:01:00Z")), Vec::new()));
    let then = ran(&all, "2027-05-01T10:02:00Z", "2027-05-01T10:02:30Z", "2027-05-01T10:05:59Z");
    assert_eq!((then.successor, skips(&then)), (Some(at("2027-05-01T10:06:00Z")), vec![(SkipReason::Overlap, 3)]));
}

#[test]
fn what_was_counted_already_is_not_counted_again() {
    let wish = wish(Schedule::every(Duration::from_secs(60), Some(at(SCHEDULED_FOR))));
    let counted_to = Some(at("2027-05-01T10:04:30Z"));
    let given = Standing { counted_to, started_at: at("2027-05-01T10:04:30Z"), ..standing(&wish, EventState::Scheduled, true, 0) };
    for (now, next, skipped) in [("2027-05-01T10:04:40Z", "2027-05-01T10:05:00Z", 0), ("2027-05-01T10:06:10Z", "2027-05-01T10:07:00Z", 2)] {
        let then = after_run(&given, &End::Succeeded, at(now)).expect("a consequence");
        assert_eq!((then.successor, then.skips.total()), (Some(at(next)), skipped), "{now}");
    }
}

#[test]
fn the_last_of_so_many_runs_ends_the_event() {
    let mut schedule = Schedule::every(Duration::from_secs(60), Some(at(SCHEDULED_FOR)));
    schedule.terms.max_runs = Some(3);
    let wish = wish(schedule);
    for (given, goes_on) in [(0, true), (1, true), (2, false), (3, false)] {
        let standing = Standing { given, ..standing(&wish, EventState::Scheduled, true, 0) };
        let then = after_run(&standing, &End::Succeeded, at("2027-05-01T10:05:30Z")).expect("a consequence");
        assert_eq!((then.successor.is_some(), then.state), (goes_on, (!goes_on).then_some(EventState::Completed)), "{given}");
        assert_eq!(then.skips.total() > 0, goes_on, "nothing is missed of a schedule that is over");
        let retried = after_run(&standing, &End::Failed { permanent: false }, at(NOW)).expect("a consequence");
        assert!(matches!(retried.row, Row::Again { .. }) && retried.state.is_none(), "an attempt is no run");
    }
}

#[test]
fn what_is_due_only_later_by_its_jitter_is_not_overlapped() {
    let mut schedule = Schedule::cron("* * * * *", "UTC");
    schedule.terms.jitter = Some(Duration::from_secs(55));
    let wish = wish(schedule.clone());
    let mut kept = 0;
    for event in 0..200 {
        let given = Standing { event: EventId(event), ..standing(&wish, EventState::Scheduled, true, 0) };
        let now = at("2027-05-01T10:02:30Z");
        let then = after_run(&given, &End::Succeeded, now).expect("a consequence");
        let next = then.successor.expect("a successor");
        let is_pending = schedule.due_at(EventId(event), at("2027-05-01T10:02:00Z")) > now;
        let expected = if is_pending { ("2027-05-01T10:02:00Z", 1) } else { ("2027-05-01T10:03:00Z", 2) };
        assert_eq!((next, then.skips.total()), (at(expected.0), expected.1), "{event}");
        kept += i32::from(is_pending);
    }
    assert!((60..140).contains(&kept), "about half of them: {kept}");
}

#[test]
fn a_schedule_that_cannot_say_its_next_instant_is_an_error_only_when_asked() {
    let wish = wish(Schedule::cron("0 2 * * *", "Europe/Nowhere"));
    let given = standing(&wish, EventState::Scheduled, true, 0);
    assert_eq!(after_run(&given, &End::Succeeded, at(NOW)).map_err(|refusal| refusal.code), Err("INP004".to_owned()));
    assert!(after_run(&given, &End::Failed { permanent: false }, at(NOW)).is_ok(), "a retry asks no schedule");
    let then = without_successor(&given, &End::Failed { permanent: true }, at(NOW));
    assert!(matches!(then.row, Row::DeadLetter { .. }), "a dead letter is kept whatever the schedule says");
    assert_eq!((then.outcome, then.state, then.successor), (Outcome::Failed, Some(EventState::Paused), None));
    let cancelled = standing(&wish, EventState::Cancelled, true, 0);
    let then = without_successor(&cancelled, &End::Failed { permanent: true }, at(NOW));
    assert_eq!((then.row, then.state), (Row::Gone, None), "what is over stays over");
    assert!(after_run(&cancelled, &End::Succeeded, at(NOW)).is_ok());
}

#[test]
fn the_retry_policy_of_the_event_wins_over_that_of_the_type_over_the_default() {
    let mut wish = wish(Schedule::once(at(SCHEDULED_FOR)));
    let type_retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let fail = End::Failed { permanent: false };
    let is_dead = |wish: &NewEvent, type_retry: Option<&RetryPolicy>, attempt: u32| {
        let given = Standing { attempt, type_retry, ..standing(wish, EventState::Scheduled, true, 0) };
        matches!(after_run(&given, &fail, at(NOW)).expect("a consequence").row, Row::DeadLetter { .. })
    };
    assert!(!is_dead(&wish, Some(&type_retry), 2) && is_dead(&wish, Some(&type_retry), 3));
    wish.retry = None;
    assert!(is_dead(&wish, Some(&type_retry), 1));
    assert!(!is_dead(&wish, None, 4) && is_dead(&wish, None, 5));
    wish.retry = Some(RetryPolicy { attempts: 0, ..RetryPolicy::default() });
    assert!(is_dead(&wish, None, 1), "no attempts at all is one attempt");
}

#[test]
fn retry_delays_grow_stay_bounded_and_differ() {
    let policy = RetryPolicy { attempts: 100, first_delay_ms: 1_000, max_delay_ms: 60_000, deadline_ms: None };
    for attempt in 1..=90 {
        let bound = Duration::from_millis((1_000u64 << (attempt - 1).min(20)).min(60_000));
        let delays: Vec<Duration> = (0..1_000u32).map(|n| policy.delay_after(attempt, n.wrapping_mul(2_654_435_761))).collect();
        assert!(delays.iter().all(|delay| *delay < bound));
        let mean = delays.iter().sum::<Duration>() / 1_000;
        assert!(mean > bound * 2 / 5 && mean < bound * 3 / 5, "attempt {attempt}: {mean:?} of {bound:?}");
    }
    assert_ne!(policy.delay_after(8, 7), policy.delay_after(9, 7), "an unlucky occurrence is not unlucky each time");
    assert_eq!(policy.delay_after(3, 7), policy.delay_after(3, 7));
    let widest = RetryPolicy { attempts: 2, first_delay_ms: u64::MAX, max_delay_ms: u64::MAX, deadline_ms: None };
    let wish = NewEvent { retry: Some(widest), ..wish(Schedule::manual()) };
    let given = Standing { attempt: 1, jitter: u32::MAX, ..standing(&wish, EventState::Scheduled, true, 0) };
    let then = after_run(&given, &End::Failed { permanent: false }, at(NOW)).expect("a consequence");
    assert!(matches!(then.row, Row::Again { due_at, .. } if due_at <= sexton_core::schedule::instant::last()), "{:?}", then.row);
}

#[test]
fn a_snooze_never_lies_in_the_past_nor_past_the_calendar() {
    let wish = wish(Schedule::manual());
    for (until, due) in [(DateTime::<Utc>::MIN_UTC, at(NOW)), (DateTime::<Utc>::MAX_UTC, sexton_core::schedule::instant::last())] {
        let then = after_run(&standing(&wish, EventState::Scheduled, true, 0), &End::Snoozed { until }, at(NOW)).expect("a consequence");
        assert!(matches!(then.row, Row::Again { due_at, .. } if due_at == due), "{:?}", then.row);
    }
}

fn after_interruption(interruptions: u32, jitter: u32) -> (TimeDelta, u32) {
    after(Guilt::Suspect, interruptions, jitter)
}

fn after(guilt: Guilt, interruptions: u32, jitter: u32) -> (TimeDelta, u32) {
    let wish = wish(Schedule::manual());
    let given = Standing { interruptions, jitter, ..standing(&wish, EventState::Scheduled, true, 0) };
    match after_run(&given, &End::Interrupted { guilt }, at(NOW)).expect("a consequence").row {
        Row::Again { due_at, interruptions, .. } => (due_at - at(NOW), interruptions),
        row => panic!("{row:?}"),
    }
}

#[test]
fn what_was_interrupted_waits_longer_each_time_each_at_its_own_moment() {
    for (before, from, to) in [(0, 0, 1_000), (1, 2_000, 4_000), (2, 8_000, 16_000), (3, 30_000, 60_000)] {
        let waits: Vec<TimeDelta> = (0..100u32).map(|n| after_interruption(before, n.wrapping_mul(2_654_435_761)).0).collect();
        assert!(waits.iter().all(|wait| (from..to).contains(&wait.num_milliseconds())), "{before}: {waits:?}");
        let distinct: std::collections::BTreeSet<_> = waits.iter().collect();
        assert!(distinct.len() > 95, "{before}: {} moments of 100", distinct.len());
    }
}

#[test]
fn a_known_culprit_comes_back_soon_and_is_counted_all_the_same() {
    let mut waits = Vec::new();
    for before in 0..POISON_INTERRUPTIONS - 1 {
        for jitter in [0, u32::MAX] {
            let (wait, counted) = after(Guilt::Culprit, before, jitter);
            waits.push(wait.num_milliseconds());
            assert_eq!(counted, before + 1);
        }
    }
    assert_eq!(waits, [100, 100, 400, 400, 1_600, 1_600, 5_000, 5_000]);
    let wish = wish(Schedule::manual());
    let given = Standing { interruptions: POISON_INTERRUPTIONS - 1, ..standing(&wish, EventState::Scheduled, true, 0) };
    let then = after_run(&given, &End::Interrupted { guilt: Guilt::Culprit }, at(NOW)).expect("a consequence");
    assert!(matches!(then.row, Row::DeadLetter { reason } if reason.contains("poison")));
}

#[test]
fn delays_count_from_the_end_of_the_run_however_late_it_is_settled() {
    let finished_at = at("2027-05-01T10:00:05Z");
    let settled = |schedule: Schedule, end: &End, finished_at: DateTime<Utc>| {
        let wish = wish(schedule);
        after_run(&Standing { finished_at, ..standing(&wish, EventState::Scheduled, true, 0) }, end, at(NOW)).expect("a consequence")
    };
    let after = Schedule::after(Duration::from_secs(60));
    assert_eq!(settled(after.clone(), &End::Succeeded, finished_at).successor, Some(at("2027-05-01T10:01:05Z")));
    assert_eq!(settled(after, &End::Succeeded, at("2027-05-01T12:00:00Z")).successor, Some(at("2027-05-01T10:01:20Z")), "no future end");
    let every = Schedule::every(Duration::from_secs(10), Some(at(SCHEDULED_FOR)));
    let then = settled(every, &End::Succeeded, finished_at);
    assert_eq!((then.successor, then.skips.total()), (Some(at("2027-05-01T10:00:30Z")), 2), "a grid goes on from now");
    let failed = End::Failed { permanent: false };
    let due = |finished_at| match settled(Schedule::manual(), &failed, finished_at).row {
        Row::Again { due_at, .. } => due_at,
        row => panic!("{row:?}"),
    };
    assert_eq!(due(at(NOW)) - due(finished_at), TimeDelta::seconds(15));
}

/// Twelve runs of 100 ms; the first kills the process 50 ms after it starts, and the next process is there a second later.
#[test]
fn the_neighbours_of_a_poisonous_run_end_well() {
    const START: TimeDelta = TimeDelta::zero();
    for seed in 0..50_u32 {
        let mut waiting: Vec<(u32, TimeDelta, u32)> = (0..12).map(|n| (n, START, 0)).collect();
        let mut killed = 0;
        while let Some(&(_, kills_at, interruptions)) = waiting.iter().find(|(n, ..)| *n == 0) {
            let dies = kills_at + TimeDelta::milliseconds(50);
            let lives_again = dies + TimeDelta::seconds(1);
            waiting.retain(|(_, starts, _)| *starts + TimeDelta::milliseconds(100) > dies);
            killed += 1;
            if interruptions + 1 == POISON_INTERRUPTIONS {
                break;
            }
            for (n, starts, interruptions) in &mut waiting {
                if *starts < dies {
                    let (wait, more) = after_interruption(*interruptions, (seed * 12 + *n).wrapping_mul(2_654_435_761));
                    (*starts, *interruptions) = (lives_again + wait, more);
                } else {
                    *starts = (*starts).max(lives_again);
                }
            }
        }
        assert_eq!(killed, POISON_INTERRUPTIONS);
        let worst = waiting.iter().filter(|(n, ..)| *n != 0).map(|(_, _, interruptions)| *interruptions).max();
        assert!(worst.is_none_or(|worst| worst + 1 < POISON_INTERRUPTIONS), "seed {seed}: {waiting:?}");
    }
}
