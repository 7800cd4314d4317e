//! The deadline of retries: no attempt due later than so long after the first was, and a dead letter that says so.
//!
//! Not the delays between attempts (`after_run`). What must hold: what is due at the very deadline is still made, and each kind of end goes its own way.

use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::calendar::Calendars;
use sexton_core::decide::{End, Guilt, Row, Standing, after_run};
use sexton_core::{Cause, EventId, EventState, NewEvent, RetryPolicy, Schedule};
use std::sync::LazyLock;

static NONE: LazyLock<Calendars> = LazyLock::new(Calendars::default);
/// Delays of this policy are anything from none to ten seconds: half of it for the jitter below.
const DELAY_MS: u64 = 10_000;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}

fn wish(deadline_ms: Option<u64>) -> NewEvent {
    let retry = RetryPolicy { attempts: 3, first_delay_ms: DELAY_MS, max_delay_ms: DELAY_MS, deadline_ms };
    NewEvent { retry: Some(retry), ..NewEvent::new("a.a", Schedule::once(at(0))) }
}

/// First due at 0, ended at `finished`; whether it goes on, else why not.
fn after(
    wish: &NewEvent,
    type_retry: Option<&RetryPolicy>,
    attempt: u32,
    finished: DateTime<Utc>,
    end: &End,
) -> Result<DateTime<Utc>, String> {
    let standing = Standing {
        event: EventId(7),
        wish,
        state: EventState::Scheduled,
        cause: Cause::Schedule,
        by_schedule: true,
        scheduled_for: at(0),
        first_due_at: at(0),
        counted_to: None,
        given: 0,
        calendars: &NONE,
        attempt,
        interruptions: 0,
        type_retry,
        others_left: 0,
        started_at: at(0),
        finished_at: finished,
        jitter: 0x8000_0000,
    };
    match after_run(&standing, end, finished).expect("a consequence").row {
        Row::Again { due_at, .. } => Ok(due_at),
        Row::DeadLetter { reason } => Err(reason),
        Row::Gone => panic!("gone"),
    }
}

const FAILED: End = End::Failed { permanent: false };

#[test]
fn an_attempt_is_due_by_the_deadline_or_not_at_all() {
    let free = wish(None);
    for attempt in [1, 2] {
        for finished in [0, 1_000, 59_000, 3_600_000] {
            // Where the next attempt would be without a deadline says which deadlines it keeps.
            let due = after(&free, None, attempt, at(finished), &FAILED).expect("an attempt is left");
            let needed = u64::try_from((due - at(0)).num_milliseconds()).expect("after the first") + 1;
            for (deadline_ms, goes_on) in [(0, false), (needed - 2, false), (needed, true), (needed + 1, true), (u64::MAX, true)] {
                let came = after(&wish(Some(deadline_ms)), None, attempt, at(finished), &FAILED);
                assert_eq!(came.is_ok(), goes_on, "attempt {attempt}, ended after {finished} ms, deadline {deadline_ms} ms: {came:?}");
                match came {
                    Ok(then) => assert_eq!(then, due, "the deadline moves no attempt"),
                    Err(reason) => {
                        assert!(reason.contains(&format!("attempt {attempt} of 3")) && reason.contains("retry deadline"), "{reason}");
                    }
                }
            }
        }
    }
    let exact = RetryPolicy { attempts: 2, first_delay_ms: 0, max_delay_ms: 0, deadline_ms: Some(5_000) };
    let exact = NewEvent { retry: Some(exact), ..wish(None) };
    assert_eq!(after(&exact, None, 1, at(5_000), &FAILED), Ok(at(5_000)), "due at the very deadline");
    let reason = after(&exact, None, 1, at(5_001), &FAILED).expect_err("past it");
    assert_eq!(reason, "attempt 1 of 2 failed, and the next would be due past the retry deadline of 5s");
}

#[test]
fn the_deadline_is_of_the_policy_that_counts_and_of_failures_alone() {
    let strict = RetryPolicy { attempts: 3, first_delay_ms: 0, max_delay_ms: 0, deadline_ms: Some(1_000) };
    let silent = NewEvent { retry: None, ..wish(None) };
    assert!(after(&silent, Some(&strict), 1, at(60_000), &FAILED).is_err(), "the type's");
    assert!(after(&wish(None), Some(&strict), 1, at(60_000), &FAILED).is_ok(), "the event's policy takes the place of the type's whole");
    assert!(after(&silent, None, 1, at(31_536_000_000), &FAILED).is_ok(), "nobody set one");
    let strict = NewEvent { retry: Some(strict), ..silent };
    for end in [End::Snoozed { until: at(90_000) }, End::Interrupted { guilt: Guilt::Suspect }, End::Interrupted { guilt: Guilt::Innocent }]
    {
        assert!(after(&strict, None, 1, at(60_000), &end).is_ok(), "{end:?} spends no attempt");
    }
    let spent = after(&strict, None, 3, at(60_000), &FAILED).expect_err("spent");
    assert_eq!(spent, "attempt 3 of 3 failed", "the nearer reason is said");
}
