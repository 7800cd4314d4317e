//! Overlap policies: the decision about one that falls due as a table with every cell, and what waits when a run has ended.
//!
//! Not the balance over a host's life: that is `late.rs`, whose hosts follow these policies too. What must hold: one that falls due starts,
//! waits, or is counted; what waited already, and what is owed, is never skipped.

use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::calendar::Calendars;
use sexton_core::decide::late::{Found, Late, when_found, when_found_followed, when_found_queued};
use sexton_core::decide::overlap::{Among, Arrival, AtDue, Siblings, at_due, is_owed, passed_over, runs_ahead};
use sexton_core::decide::{Absence, Consequence, End, Guilt, Row, SkipReason, Standing, after_run_among};
use sexton_core::schedule::Misfire;
use sexton_core::{Cause, EventId, EventState, NewEvent, Overlap, RunPolicy, Schedule};
use std::time::Duration;

fn at(text: &str) -> DateTime<Utc> {
    let text = if text.len() == 5 { format!("2027-05-01T{text}:00Z") } else { text.to_owned() };
    text.parse().expect("an instant")
}

const CAUSES: [Cause; 7] = [Cause::Schedule, Cause::Retry, Cause::Snooze, Cause::RunNow, Cause::Backfill, Cause::Queued, Cause::Requeue];

/// Policy; then what becomes of one that something is going beside, with 0, 1 and 2 waiting: the schedule's own, a run-now, a backfill or a
/// dead letter put back, a one-shot's own. S starts, - is skipped, Q waits, C takes the place.
const TABLE: &[(Overlap, [&str; 4])] = &[
    (Overlap::Skip, ["---", "---", "QQQ", "QQQ"]),
    (Overlap::QueueOne, ["Q--", "Q--", "QQQ", "QQQ"]),
    (Overlap::QueueAll(1), ["Q--", "Q--", "QQQ", "QQQ"]),
    (Overlap::QueueAll(2), ["QQ-", "QQ-", "QQQ", "QQQ"]),
    (Overlap::CancelPrevious, ["CCC", "CCC", "QQQ", "CCC"]),
    (Overlap::Allow, ["SSS", "SSS", "SSS", "SSS"]),
];

#[test]
fn every_cell_of_the_table_holds() {
    let mut cells = 0;
    for (policy, lines) in TABLE {
        for cause in CAUSES {
            for (is_single, queued, going) in
                [false, true].into_iter().flat_map(|s| (0..3).flat_map(move |q| (0..3).map(move |g| (s, q, g))))
            {
                for (is_tried, has_waited) in [(false, false), (true, false), (false, true), (true, true)] {
                    let line = match cause {
                        _ if is_owed(cause) => lines[2],
                        _ if is_single => lines[3],
                        Cause::RunNow => lines[1],
                        _ => lines[0],
                    };
                    let cell = match line.as_bytes()[queued] {
                        _ if going == 0 || is_tried => b'S',
                        b'S' => b'S',
                        _ if has_waited => b'Q',
                        cell => cell,
                    };
                    let arrival = Arrival { cause, is_tried, has_waited, is_single };
                    let siblings = Siblings { going, queued: i64::try_from(queued).expect("small") };
                    let written = match at_due(*policy, &arrival, &siblings) {
                        AtDue::Start => b'S',
                        AtDue::Skip => b'-',
                        AtDue::Queue => b'Q',
                        AtDue::CancelPrevious => b'C',
                    };
                    assert_eq!(char::from(written), char::from(cell), "{policy:?} {arrival:?} {siblings:?}");
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 6 * 7 * 2 * 9 * 4);
}

static NONE: std::sync::LazyLock<Calendars> = std::sync::LazyLock::new(Calendars::new);

fn hourly(overlap: Overlap) -> NewEvent {
    let schedule = Schedule::every(Duration::from_secs(3_600), Some(at("00:00")));
    NewEvent { policy: RunPolicy { overlap, ..RunPolicy::default() }, ..NewEvent::new("a.a", schedule) }
}

/// What follows when the occurrence meant for 03:00 ran from `began` to `now`.
fn ended(wish: &NewEvent, cause: Cause, among: &Among, end: &End, began: &str, now: &str) -> Consequence {
    let standing = Standing {
        event: EventId(7),
        wish,
        state: EventState::Scheduled,
        cause,
        by_schedule: true,
        scheduled_for: at("03:00"),
        first_due_at: at("03:00"),
        counted_to: None,
        given: 0,
        calendars: &NONE,
        attempt: 1,
        interruptions: 0,
        type_retry: None,
        others_left: among.queued,
        started_at: at(began),
        finished_at: at(now),
        jitter: 0,
    };
    after_run_among(&standing, among, end, at(now)).expect("it is asked")
}

fn written(then: &Consequence) -> String {
    let mut said = then.successor.map_or_else(|| "-".to_owned(), |at| at.format("%H:%M").to_string());
    if then.is_queued {
        said += " at once";
    }
    for (reason, n) in then.skips.iter() {
        said += &format!(" {} {n}", reason.word());
    }
    said
}

#[test]
fn the_newest_that_passed_wait_as_far_as_there_is_room() {
    use Cause::{Queued, Schedule};
    use Overlap::{Allow, CancelPrevious, QueueAll, QueueOne, Skip};

    let all = |wish: NewEvent| {
        let mut wish = wish;
        wish.schedule.terms.misfire = Misfire::All;
        wish
    };
    let waits = |queued| Among { queued, ..Among::default() };
    let held = |until: &str| Among { held_until: Some(at(until)), ..Among::default() };
    for (wish, cause, among, began, now, then) in [
        // Nothing has passed.
        (hourly(QueueOne), Schedule, waits(0), "03:00", "03:59", "04:00"),
        (hourly(QueueAll(9)), Schedule, waits(0), "03:00", "03:59", "04:00"),
        // One, and at its very instant.
        (hourly(QueueOne), Schedule, waits(0), "03:00", "04:00", "04:00 at once"),
        (hourly(QueueAll(9)), Schedule, waits(0), "03:00", "04:30", "04:00 at once"),
        (hourly(Skip), Schedule, waits(0), "03:00", "04:30", "05:00 overlap 1"),
        (hourly(Allow), Schedule, waits(0), "03:00", "04:30", "05:00 overlap 1"),
        (hourly(CancelPrevious), Schedule, waits(0), "03:00", "04:30", "05:00 overlap 1"),
        // Four: the latest; the newest so many, the first of them first.
        (hourly(QueueOne), Schedule, waits(0), "03:00", "07:30", "07:00 at once overlap 3"),
        (hourly(QueueAll(1)), Schedule, waits(0), "03:00", "07:30", "07:00 at once overlap 3"),
        (hourly(QueueAll(2)), Schedule, waits(0), "03:00", "07:30", "06:00 at once overlap 2"),
        (hourly(QueueAll(4)), Schedule, waits(0), "03:00", "07:30", "04:00 at once"),
        // Others wait already and take the room.
        (hourly(QueueOne), Schedule, waits(1), "03:00", "07:30", "08:00 overlap 4"),
        (hourly(QueueAll(4)), Schedule, waits(2), "03:00", "07:30", "06:00 at once overlap 2"),
        (hourly(QueueAll(4)), Schedule, waits(5), "03:00", "07:30", "08:00 overlap 4"),
        // It began late: what was missed before that was not held up by it, but waits as well.
        (hourly(QueueOne), Schedule, waits(0), "05:30", "07:30", "07:00 at once late 2 overlap 1"),
        (hourly(QueueAll(2)), Schedule, waits(0), "05:30", "07:30", "06:00 at once late 2"),
        (all(hourly(QueueOne)), Schedule, waits(0), "05:30", "07:30", "04:00"),
        // It had waited itself, until it was let go.
        (hourly(Skip), Queued, held("05:30"), "05:30", "07:30", "08:00 overlap 4"),
        (hourly(Skip), Queued, held("05:30"), "06:30", "07:30", "08:00 overlap 3 late 1"),
        (hourly(QueueOne), Queued, held("05:30"), "05:30", "05:40", "05:00 at once overlap 1"),
        (hourly(QueueAll(3)), Queued, held("05:30"), "05:30", "06:40", "04:00 at once"),
        (all(hourly(QueueAll(3))), Queued, held("05:30"), "05:30", "06:40", "04:00 at once"),
        (all(hourly(QueueAll(3))), Queued, held("03:30"), "05:30", "06:40", "04:00"),
    ] {
        let what = format!("{:?} {:?} {cause:?} {among:?} from {began} to {now}", wish.policy.overlap, wish.schedule.terms.misfire);
        let said = written(&ended(&wish, cause, &among, &End::Succeeded, began, now));
        // Reasons of one kind stand where the first of them came up.
        assert_eq!(said, then, "{what}");
    }
}

#[test]
fn nothing_waits_beyond_the_end_of_the_schedule() {
    let mut over = hourly(Overlap::QueueAll(9));
    over.schedule.terms.end = Some(at("05:00"));
    assert_eq!(written(&ended(&over, Cause::Schedule, &Among::default(), &End::Succeeded, "03:00", "09:30")), "04:00 at once");
    over.schedule.terms.max_runs = Some(1);
    let then = ended(&over, Cause::Schedule, &Among::default(), &End::Succeeded, "03:00", "09:30");
    assert_eq!((written(&then).as_str(), then.state), ("-", Some(EventState::Completed)));
}

#[test]
fn what_is_superseded_is_over_however_it_ended() {
    let wish = hourly(Overlap::CancelPrevious);
    let among = Among { queued: 1, is_superseded: true, ..Among::default() };
    for end in [
        End::Failed { permanent: false },
        End::Snoozed { until: at("09:00") },
        End::Cancelled,
        End::Interrupted { guilt: Guilt::Suspect },
        End::Interrupted { guilt: Guilt::Innocent },
    ] {
        let then = ended(&wish, Cause::Schedule, &among, &end, "03:00", "03:30");
        assert_eq!((&then.row, written(&then).as_str()), (&Row::Gone, "04:00"), "{end:?}");
    }
    let dead = ended(&wish, Cause::Schedule, &among, &End::Failed { permanent: true }, "03:00", "03:30");
    assert!(matches!(dead.row, Row::DeadLetter { .. }));
}

#[test]
fn the_schedules_own_passed_over_counts_itself_and_what_has_passed_since() {
    let calendars = Calendars::new();
    let found = |text| Found { scheduled_for: at(text), due_at: at(text), counted_to: None };
    let hourly = hourly(Overlap::Skip).schedule;
    for (schedule, now, next, n) in [
        (&hourly, "03:00", Some("04:00"), 1),
        (&hourly, "06:30", Some("07:00"), 4),
        (&Schedule::after(Duration::from_secs(600)), "03:05", Some("03:15"), 1),
        (&Schedule::once(at("03:00")), "03:00", None, 1),
    ] {
        let plan = schedule.plan(&calendars).expect("planned");
        let Late::Skip { successor, skips } = passed_over(EventId(7), schedule, &plan, &found("03:00"), at(now)).expect("asked") else {
            panic!("it is not skipped");
        };
        assert_eq!((successor, skips.iter().collect::<Vec<_>>()), (next.map(at), vec![(SkipReason::Overlap, n)]));
    }
}

#[test]
fn one_that_waited_is_late_from_when_it_was_let_go() {
    let calendars = Calendars::new();
    let mut schedule = hourly(Overlap::QueueOne).schedule;
    schedule.terms.misfire = Misfire::Skip;
    let plan = schedule.plan(&calendars).expect("planned");
    // Meant for 03:00, let go at 05:30.
    let found = Found { scheduled_for: at("03:00"), due_at: at("05:30"), counted_to: None };
    let down = |until: &str| Absence { host_since: at(until), type_since: at(until), otherwise: SkipReason::Late };
    assert_eq!(when_found_queued(&schedule, &plan, &found, &down("00:00"), at("05:31")), Ok(Late::Run), "in time");
    let judged = when_found_queued(&schedule, &plan, &found, &down("07:30"), at("08:30")).expect("asked");
    let Late::Skip { successor, skips } = judged else { panic!("{judged:?}") };
    let mut counted: Vec<_> = skips.iter().collect();
    counted.sort_unstable();
    assert_eq!(successor, Some(at("09:00")));
    let expected = [(SkipReason::Downtime, 2), (SkipReason::Late, 1), (SkipReason::Overlap, 3)];
    assert_eq!(counted, expected, "03:00 to 05:00 were held up, 06:00 and 07:00 nobody was there, at 08:00 it was slow");
    let unheld = when_found(&schedule, &plan, &found, &down("07:30"), at("08:30")).expect("asked");
    assert!(matches!(unheld, Late::Skip { skips, .. } if skips.iter().all(|(reason, _)| reason != SkipReason::Overlap)));
    let mut soon = schedule.clone();
    soon.terms.expires = Some(Duration::from_secs(1_800));
    let expired = when_found_queued(&soon, &plan, &found, &down("00:00"), at("05:30")).expect("asked");
    assert!(matches!(expired, Late::Skip { .. }), "it waited for longer than it may: {expired:?}");
    assert!(at("05:30") - at("03:00") > TimeDelta::minutes(30));
}

#[test]
fn one_that_is_followed_has_no_other_successor_and_is_late_for_itself_alone() {
    let wish = hourly(Overlap::Allow);
    let followed = Among { is_followed: true, queued: 0, ..Among::default() };
    let then = ended(&wish, Cause::Schedule, &followed, &End::Succeeded, "03:00", "07:30");
    assert_eq!((&then.row, written(&then).as_str()), (&Row::Gone, "-"), "what came meanwhile is its successor's");
    let found = Found { scheduled_for: at("03:00"), due_at: at("03:00"), counted_to: None };
    let absence = Absence { host_since: at("03:30"), type_since: at("03:30"), otherwise: SkipReason::Late };
    for (misfire, terms, now, skipped) in [
        (Misfire::Latest, "", "03:01", None),
        (Misfire::Latest, "", "03:30", Some(SkipReason::Downtime)),
        (Misfire::Skip, "", "03:30", Some(SkipReason::Downtime)),
        (Misfire::Earliest, "", "03:30", None),
        (Misfire::All, "", "03:30", None),
        (Misfire::All, "catch_up", "03:30", Some(SkipReason::CatchUp)),
        (Misfire::All, "expires", "03:01", Some(SkipReason::Expired)),
    ] {
        let mut schedule = wish.schedule.clone();
        schedule.terms.misfire = misfire;
        schedule.terms.catch_up = (terms == "catch_up").then_some(Duration::from_secs(600));
        schedule.terms.expires = (terms == "expires").then_some(Duration::from_secs(30));
        let skips = match when_found_followed(&schedule, &found, &absence, at(now)) {
            Late::Run => vec![],
            Late::Skip { successor: None, skips } => skips.iter().collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(skips, skipped.map(|reason| (reason, 1)).into_iter().collect::<Vec<_>>(), "{misfire:?} {terms} at {now}");
    }
}

#[test]
fn what_runs_ahead_is_what_may_start_beside_or_in_place_of_the_one_before() {
    let schedules =
        [hourly(Overlap::Skip).schedule, Schedule::once(at("03:00")), Schedule::after(Duration::from_secs(9)), Schedule::manual()];
    for overlap in [Overlap::Skip, Overlap::QueueOne, Overlap::QueueAll(2), Overlap::CancelPrevious, Overlap::Allow] {
        let may = matches!(overlap, Overlap::CancelPrevious | Overlap::Allow);
        let ahead: Vec<bool> = schedules.iter().map(|schedule| runs_ahead(overlap, schedule)).collect();
        assert_eq!(ahead, [may, false, false, false], "{overlap:?}");
    }
}
