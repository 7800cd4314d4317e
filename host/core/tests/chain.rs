//! Tables over the decision about chains: which end counts for which link, when a follower runs, and how it ends.
//!
//! Not the store's transaction (its conformance suite). What must hold: each combination is named, and a walk of random ends agrees with a count
//! made in another way.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use sexton_core::decide::Row;
use sexton_core::decide::chain::{Ending, Followed, Follower, Over};
use sexton_core::schedule::Terms;
use sexton_core::schedule::follows::On;
use sexton_core::{Cause, EventId, EventState, Outcome};

const OUTCOMES: [Outcome; 6] =
    [Outcome::Succeeded, Outcome::Failed, Outcome::Snoozed, Outcome::Cancelled, Outcome::Interrupted, Outcome::Lost];

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

#[test]
fn what_a_settlement_says_of_an_occurrence() {
    let again = Row::Again { due_at: at(1), cause: Cause::Retry, attempt: 2, interruptions: 0 };
    let dead = Row::DeadLetter { reason: "so it is".to_owned() };
    // S success, F failure, C cancelled, - not over; in the order of OUTCOMES.
    for (row, expected) in [(&again, "------"), (&Row::Gone, "SFCCC-"), (&dead, "FFFFF-")] {
        let said: String = OUTCOMES.iter().map(|outcome| letter(Over::of(*outcome, row))).collect();
        assert_eq!(said, expected, "{row:?}");
    }
    for (state, expected) in [
        (EventState::Scheduled, "------"),
        (EventState::Paused, "------"),
        (EventState::Completed, "SFCCC-"),
        (EventState::Cancelled, "SFCCC-"),
        (EventState::Discarded, "SFCCF-"),
    ] {
        let said: String = OUTCOMES.iter().map(|outcome| letter(Over::last(*outcome, state))).collect();
        assert_eq!(said, expected, "{state:?}");
    }
    for (on, expected) in [(On::Success, "S"), (On::Failure, "F"), (On::Any, "SFC")] {
        let counted = [Over::Success, Over::Failure, Over::Cancelled].into_iter().filter(|over| on.counts(*over));
        assert_eq!(counted.map(|over| letter(Some(over))).collect::<String>(), expected, "{on:?}");
    }
}

fn letter(over: Option<Over>) -> char {
    over.map_or('-', |over| match over {
        Over::Success => 'S',
        Over::Failure => 'F',
        Over::Cancelled => 'C',
    })
}

fn link(n: i64, satisfied: bool, state: Option<EventState>) -> Followed {
    Followed { event: EventId(n), on: On::Success, satisfied, state }
}

#[test]
fn it_runs_when_every_link_has_its_mark_within_its_bounds() {
    let open = Some(EventState::Scheduled);
    let (one, both) = ([link(1, true, open), link(2, false, open)], [link(1, true, open), link(2, true, open)]);
    let terms = Terms { start: Some(at(10)), end: Some(at(20)), max_runs: Some(2), ..Terms::default() };
    let of = |links, given| Follower { links, terms: &terms, given, rows_left: 0 };
    assert!(!of(&one, 0).fires() && of(&both, 0).fires() && of(&both, 1).fires());
    assert!(!of(&both, 2).fires(), "max_runs is spent");
    assert!(!of(&[], 0).fires(), "nothing that it follows is known");
    for (second, hears) in [(9, false), (10, true), (20, true), (21, false)] {
        assert_eq!(of(&one, 0).hears(at(second)), hears, "{second}");
    }
    assert!(!of(&one, 2).hears(at(15)), "max_runs is spent");
}

/// Every cell: what is left to run × how often it ran × the state of the event of a link × whether the link has its mark.
#[test]
fn how_it_ends() {
    let states = [
        (Some(EventState::Scheduled), "....", "...."),
        (Some(EventState::Paused), "....", "...."),
        // Never ran: discarded. Ran: its upstream simply came to its end.
        (Some(EventState::Completed), "D...", "C..."),
        (None, "D...", "C..."),
        (Some(EventState::Cancelled), "D...", "D..."),
        (Some(EventState::Discarded), "D...", "C..."),
    ];
    for (state, never_ran, ran) in states {
        for (given, expected) in [(0, never_ran), (3, ran)] {
            let cells = [(false, 0), (true, 0), (false, 1), (true, 1)];
            let said: String = cells
                .iter()
                .map(|(satisfied, rows_left)| {
                    let links = [link(1, *satisfied, state), link(2, true, Some(EventState::Scheduled))];
                    let follower = Follower { links: &links, terms: &Terms::default(), given, rows_left: *rows_left };
                    match follower.ending(at(0)) {
                        None => '.',
                        Some(Ending { state: EventState::Completed, reason: None }) => 'C',
                        Some(Ending { state: EventState::Discarded, reason: Some(why) }) if why.contains(&EventId(1).to_string()) => 'D',
                        Some(other) => panic!("{other:?}"),
                    }
                })
                .collect();
            assert_eq!(said, expected, "{state:?}, ran {given} times");
        }
    }
    let links = [link(1, false, Some(EventState::Scheduled))];
    let spent = Terms { max_runs: Some(1), ..Terms::default() };
    let past = Terms { end: Some(at(5)), ..Terms::default() };
    let ending = |terms, given, rows_left, now| Follower { links: &links, terms, given, rows_left }.ending(now).map(|ending| ending.state);
    assert_eq!(ending(&spent, 1, 0, at(0)), Some(EventState::Completed));
    assert_eq!(ending(&spent, 1, 1, at(0)), None, "its last occurrence is still to run");
    assert_eq!(ending(&past, 0, 0, at(6)), Some(EventState::Completed));
    assert_eq!(ending(&past, 0, 0, at(5)), None);
}

proptest! {
    /// Random ends of random events: a follower of all of them runs as often as the rarest of them came to the end that counts, counted
    /// round by round in another way.
    #[test]
    fn one_run_for_each_full_set(ons in proptest::collection::vec(0..3_usize, 1..5), ends in proptest::collection::vec((0..5_usize, 0..3_usize), 0..60)) {
        let words = [On::Success, On::Failure, On::Any];
        let overs = [Over::Success, Over::Failure, Over::Cancelled];
        let terms = Terms::default();
        let mut links: Vec<Followed> = ons.iter().enumerate().map(|(i, on)| Followed {
            event: EventId(i64::try_from(i).expect("small")), on: words[*on], satisfied: false, state: Some(EventState::Scheduled),
        }).collect();
        let (mut runs, mut rounds, mut missing) = (0, 0, (0..links.len()).collect::<std::collections::BTreeSet<_>>());
        for (n, (of, over)) in ends.iter().enumerate() {
            let (of, over) = (of % links.len(), overs[*over]);
            let now = at(0) + TimeDelta::seconds(i64::try_from(n).expect("small"));
            let before = Follower { links: &links, terms: &terms, given: runs, rows_left: 0 };
            prop_assert!(before.hears(now));
            links[of].satisfied |= links[of].on.counts(over);
            let after = Follower { links: &links, terms: &terms, given: runs, rows_left: 0 };
            if after.fires() {
                runs += 1;
                links.iter_mut().for_each(|link| link.satisfied = false);
            }
            // By another way: who is still missing in this round?
            if matches!((words[ons[of]], over), (On::Any, _) | (On::Success, Over::Success) | (On::Failure, Over::Failure)) {
                missing.remove(&of);
            }
            if missing.is_empty() {
                rounds += 1;
                missing = (0..links.len()).collect();
            }
            prop_assert_eq!(runs, rounds);
        }
    }
}
