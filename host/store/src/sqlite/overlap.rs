//! What falls due, or is asked for, while an earlier occurrence of its event is going: started, left to wait, or taken away and counted.
//!
//! Not the decision (`sexton_core::decide::overlap`) and not the finding out what runs: the host says that. What must hold: what waits is let
//! go by the end of what it waits behind, and what is taken away is counted in the same transaction. Nothing here is asked about an event
//! that has one occurrence at a time.

use super::claim::give_back;
use super::codec::{cause_number, cause_of, from_json_or_default, instant, micros, row};
use super::hosts::require_current;
use super::misfire;
use super::replan::Head;
use super::schedule::Fresh;
use super::settle;
use super::skips;
use super::writer::Tx;
use crate::error::{ErrorKind, StoreError};
use crate::rows::{Lease, Overlapped};
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use sexton_core::decide::late::{Found, Late};
use sexton_core::decide::overlap::{Arrival, AtDue, Siblings, at_due, is_owed, passed_over};
use sexton_core::decide::{SkipReason, Skips};
use sexton_core::{Blame, Cause, EventId, EventState, OccurrenceId, Overlap, Refusal, RunPolicy};
use std::collections::{BTreeMap, HashSet};

type Result<T> = std::result::Result<T, StoreError>;

/// Of a row: it was started before, so that it is going while it waits. Causes `retry` and `snooze` are 1 and 2.
pub(super) const TRIED: &str = "(cause IN (1, 2) OR interruptions > 0)";

/// A row of the event.
struct Sibling {
    n: i64,
    state: i64,
    token: Option<i64>,
    scheduled_for: i64,
    due_at: i64,
    counted_to: Option<i64>,
    cause: Cause,
    /// The schedule gave it, and its successor is not there yet.
    by_schedule: bool,
    is_tried: bool,
    has_waited: bool,
}

impl Sibling {
    /// One of those of which the policy lets only so many wait.
    fn takes_room(&self) -> bool {
        self.state == row::QUEUED && !is_owed(self.cause)
    }

    /// An operator asked for it, and it is about to start.
    fn is_asked_for(&self) -> bool {
        self.cause == Cause::RunNow && matches!(self.state, row::WAITING | row::CLAIMED) && !self.is_tried
    }
}

/// An event with all that is left of it, dead letters excluded.
struct Scene {
    head: Head,
    policy: Overlap,
    rows: Vec<Sibling>,
    /// Ordinals of its runs that are not settled.
    running: HashSet<i64>,
}

impl Scene {
    fn read(tx: &Tx<'_>, head: Head, running: HashSet<i64>) -> Result<Self> {
        let policy: Option<String> =
            tx.conn.prepare_cached("SELECT policy FROM events WHERE id = ?1")?.query_row([head.id], |found| found.get(0))?;
        let policy = from_json_or_default::<RunPolicy>(policy.as_deref())?.overlap;
        let mut select = tx.conn.prepare_cached(&format!(
            "SELECT n, state, token, scheduled_for, due_at, counted_to, cause, by_schedule AND NOT followed, {TRIED}, queued_at IS NOT NULL
             FROM occurrences WHERE event = ?1 AND state <> 3 ORDER BY n"
        ))?;
        let mut found = select.query([head.id])?;
        let mut rows = Vec::new();
        while let Some(of) = found.next()? {
            rows.push(Sibling {
                n: of.get(0)?,
                state: of.get(1)?,
                token: of.get(2)?,
                scheduled_for: of.get(3)?,
                due_at: of.get(4)?,
                counted_to: of.get(5)?,
                cause: cause_of(of.get(6)?)?,
                by_schedule: of.get(7)?,
                is_tried: of.get(8)?,
                has_waited: of.get(9)?,
            });
        }
        Ok(Self { head, policy, rows, running })
    }

    fn runs(&self, of: &Sibling) -> bool {
        of.state == row::CLAIMED && self.running.contains(&of.n)
    }

    fn is_going(&self, of: &Sibling) -> bool {
        self.runs(of) || (of.is_tried && of.state != row::QUEUED)
    }

    /// What there is beside one of them.
    fn beside(&self, n: i64) -> Siblings {
        let count = |wanted: &dyn Fn(&Sibling) -> bool| {
            i64::try_from(self.rows.iter().filter(|of| of.n != n && wanted(of)).count()).unwrap_or(i64::MAX)
        };
        Siblings { going: count(&|of| self.is_going(of)), queued: count(&Sibling::takes_room) }
    }

    fn id(&self, n: i64) -> OccurrenceId {
        OccurrenceId { event: EventId(self.head.id), n }
    }

    /// Lets one wait.
    fn queue(&mut self, tx: &Tx<'_>, n: i64, now: DateTime<Utc>) -> Result<()> {
        tx.conn
            .prepare_cached(
                "UPDATE occurrences SET state = ?3, host = NULL, token = NULL, queued_at = coalesce(queued_at, ?4),
                                        cause = CASE WHEN cause = ?5 THEN ?6 ELSE cause END WHERE event = ?1 AND n = ?2",
            )?
            .execute((self.head.id, n, row::QUEUED, micros(now), cause_number(Cause::Schedule), cause_number(Cause::Queued)))?;
        if let Some(of) = self.rows.iter_mut().find(|of| of.n == n) {
            (of.state, of.has_waited) = (row::QUEUED, true);
        }
        Ok(())
    }

    /// Takes one away and counts it. The schedule's own gives way to its successor; if the schedule cannot be asked any more, it waits.
    fn skip(&mut self, tx: &mut Tx<'_>, n: i64, now: DateTime<Utc>) -> Result<bool> {
        let Some(of) = self.rows.iter().find(|of| of.n == n) else { return Ok(false) };
        if of.by_schedule {
            let found = Found {
                scheduled_for: instant(of.scheduled_for)?,
                due_at: instant(of.due_at)?,
                counted_to: of.counted_to.map(instant).transpose()?,
            };
            let (calendars, schedule) = (tx.calendars()?, self.head.schedule.clone());
            let passed = schedule.plan(&calendars).and_then(|plan| passed_over(EventId(self.head.id), &schedule, &plan, &found, now));
            let Ok(Late::Skip { successor, skips }) = passed else {
                self.queue(tx, n, now)?;
                return Ok(false);
            };
            misfire::skip(tx, &self.head.as_claimed(n), &schedule, successor, &skips, now)?;
            self.head.last_n += i64::from(successor.is_some());
        } else {
            tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND n = ?2")?.execute((self.head.id, n))?;
            skips::add(tx, self.head.id, &Skips::of(SkipReason::Overlap, 1), now)?;
        }
        self.rows.retain(|of| of.n != n);
        Ok(true)
    }

    /// Makes way for a new one: what waited goes, what waits to be tried again has had its run, and what runs is named.
    fn clear(&mut self, tx: &mut Tx<'_>, but: Option<i64>, out: &mut Overlapped, now: DateTime<Utc>) -> Result<bool> {
        let is_other = |of: &&Sibling| Some(of.n) != but;
        let replaced = |of: &&Sibling| of.takes_room() || (of.is_asked_for() && !self.runs(of));
        let waiting: Vec<i64> = self.rows.iter().filter(is_other).filter(replaced).map(|of| of.n).collect();
        for n in waiting {
            out.skipped += i64::from(self.skip(tx, n, now)?);
        }
        let tried = |of: &&Sibling| self.is_going(of) && !self.runs(of);
        let tried: Vec<i64> = self.rows.iter().filter(is_other).filter(tried).map(|of| of.n).collect();
        for n in tried {
            settle::end_unrun(tx, self.head.id, n, now)?;
            self.rows.retain(|of| of.n != n);
            if let Some(head) = Head::read(tx, self.head.id)? {
                self.head = head;
            }
        }
        let running: Vec<OccurrenceId> = self.rows.iter().filter(is_other).filter(|of| self.runs(of)).map(|of| self.id(of.n)).collect();
        let runs = !running.is_empty();
        out.cancel.extend(running);
        Ok(runs)
    }

    /// One that falls due.
    fn take(&mut self, tx: &mut Tx<'_>, n: i64, token: i64, out: &mut Overlapped, now: DateTime<Utc>) -> Result<()> {
        let Some(of) = self.rows.iter().find(|of| of.n == n && of.state == row::CLAIMED && of.token == Some(token)) else {
            return Ok(());
        };
        let arrival = Arrival {
            cause: of.cause,
            is_tried: of.is_tried,
            has_waited: of.has_waited,
            is_single: of.by_schedule && !self.head.schedule.recurs(),
        };
        let waits = match at_due(self.policy, &arrival, &self.beside(n)) {
            AtDue::Start => false,
            AtDue::Queue => true,
            AtDue::CancelPrevious => self.clear(tx, Some(n), out, now)?,
            AtDue::Skip => {
                let is_gone = self.skip(tx, n, now)?;
                out.skipped += i64::from(is_gone);
                out.queued += i64::from(!is_gone);
                return Ok(());
            }
        };
        if waits {
            self.queue(tx, n, now)?;
            out.queued += 1;
        } else {
            give_back(tx, self.head.id, n, token)?;
        }
        Ok(())
    }
}

/// Settles what becomes of claims that fell due beside others of their events.
pub(super) fn overlapped(
    tx: &mut Tx<'_>,
    lease: &Lease,
    claims: &[(OccurrenceId, i64)],
    running: &[OccurrenceId],
    now: DateTime<Utc>,
) -> Result<Overlapped> {
    require_current(tx, lease)?;
    let mut of_events: BTreeMap<EventId, Vec<(i64, i64)>> = BTreeMap::new();
    for (occurrence, token) in claims {
        of_events.entry(occurrence.event).or_default().push((occurrence.n, *token));
    }
    let mut out = Overlapped::default();
    for (event, claims) in of_events {
        let running = running.iter().filter(|id| id.event == event).map(|id| id.n).collect();
        match Head::read(tx, event.0).and_then(|head| head.map(|head| Scene::read(tx, head, running)).transpose()) {
            Ok(Some(mut scene)) => {
                for (n, token) in claims {
                    scene.take(tx, n, token, &mut out, now)?;
                }
            }
            Ok(None) => {}
            // The next claim finds what cannot be read, and holds it with the reason.
            Err(error) if error.kind == ErrorKind::Corrupt => {
                for (n, token) in claims {
                    give_back(tx, event.0, n, token)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(out)
}

/// What becomes of a `run-now`.
pub(super) enum Asked {
    /// It is due now.
    Now,
    /// It waits.
    Behind,
    /// It is counted as skipped.
    Refused(Refusal),
}

/// Asks the policy about a `run-now`. One that was asked for before and has not started yet counts as going.
pub(super) fn ask(tx: &mut Tx<'_>, head: &mut Head, running: &HashSet<i64>, now: DateTime<Utc>) -> Result<Asked> {
    let Some(own) = Head::read(tx, head.id)? else { return Ok(Asked::Now) };
    let mut scene = Scene::read(tx, own, running.clone())?;
    let about_to = scene.rows.iter().filter(|of| of.is_asked_for() && !scene.runs(of)).count();
    let mut beside = scene.beside(0);
    beside.going += i64::try_from(about_to).unwrap_or(i64::MAX);
    let arrival = Arrival { cause: Cause::RunNow, is_tried: false, has_waited: false, is_single: false };
    let asked = match at_due(scene.policy, &arrival, &beside) {
        AtDue::Start => Asked::Now,
        AtDue::Queue => Asked::Behind,
        AtDue::Skip => {
            skips::add(tx, head.id, &Skips::of(SkipReason::Overlap, 1), now)?;
            Asked::Refused(scene.refusal())
        }
        AtDue::CancelPrevious => {
            if scene.clear(tx, None, &mut Overlapped::default(), now)? {
                Asked::Behind
            } else {
                Asked::Now
            }
        }
    };
    head.last_n = scene.head.last_n;
    Ok(asked)
}

impl Scene {
    fn refusal(&self) -> Refusal {
        let event = EventId(self.head.id);
        if let Some(most) = sexton_core::decide::overlap::room(self.policy) {
            return Refusal::new("INP030", Blame::Input, format!("as many occurrences of event {event} wait as may: {most}"))
                .expected(format!("fewer than {most} that wait behind what is going"))
                .found(format!("{} that wait; this one is counted as skipped", self.beside(0).queued))
                .remedy(format!("`sexton event show {event}` names them; try again when one has ended, or give the event more room: `sexton event edit {event} --overlap queue_all:N`"));
        }
        let going = self.rows.iter().find(|of| self.is_going(of) || of.is_asked_for());
        let (found, id) = going.map_or(("", self.id(0)), |of| {
            let how = match of {
                of if self.runs(of) => "runs",
                of if of.is_tried => "waits for its retry",
                _ => "is about to start",
            };
            (how, self.id(of.n))
        });
        Refusal::new("INP029", Blame::Input, format!("event {event} is going, and its overlap policy is `skip`"))
            .expected("an event of which nothing runs or waits for its retry")
            .found(format!("occurrence {id}, which {found}; this one is counted as skipped"))
            .remedy(format!("wait for its end, stop it with `sexton run cancel {id}`, or give the event another policy: `sexton event edit {event} --overlap queue_one`"))
    }
}

/// Lets the first that waits go, unless something waits to be tried again: that one's end does it then. Answers whether it is due now.
pub(super) fn release(tx: &Tx<'_>, event: i64, state: EventState, now: DateTime<Utc>) -> Result<bool> {
    let first: Option<i64> = tx
        .conn
        .prepare_cached("SELECT n FROM occurrences WHERE event = ?1 AND state = ?2 ORDER BY n LIMIT 1")?
        .query_row((event, row::QUEUED), |found| found.get(0))
        .optional()?;
    let Some(n) = first else { return Ok(false) };
    let is_tried = tx
        .conn
        .prepare_cached(&format!("SELECT 1 FROM occurrences WHERE event = ?1 AND (state < 3 OR state = 5) AND {TRIED}"))?
        .exists([event])?;
    if is_tried {
        return Ok(false);
    }
    let is_held = state == EventState::Paused;
    tx.conn.prepare_cached("UPDATE occurrences SET state = ?3, due_at = ?4 WHERE event = ?1 AND n = ?2")?.execute((
        event,
        n,
        if is_held { row::HELD } else { row::WAITING },
        micros(now),
    ))?;
    Ok(!is_held)
}

/// What there is of an event beside one row.
#[derive(Default)]
pub(super) struct Beside {
    /// How many wait, of those that take room.
    pub(super) queued: i64,
    /// How many the schedule gave that are not dead.
    pub(super) given: i64,
}

/// Counts what there is beside a row.
pub(super) fn beside(tx: &Tx<'_>, event: i64, n: i64) -> Result<Beside> {
    Ok(tx
        .conn
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE state = ?3 AND cause NOT IN (?4, ?5)), count(*) FILTER (WHERE by_schedule)
             FROM occurrences WHERE event = ?1 AND n <> ?2 AND state <> 3",
        )?
        .query_row((event, n, row::QUEUED, cause_number(Cause::Backfill), cause_number(Cause::Requeue)), |found| {
            Ok(Beside { queued: found.get(0)?, given: found.get(1)? })
        })?)
}

/// Has the successors of occurrences that have just started stored; answers when the first of them is due.
pub(super) fn follow(tx: &mut Tx<'_>, lease: &Lease, claims: &[(OccurrenceId, i64)], now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    require_current(tx, lease)?;
    let mut first = None;
    for (occurrence, token) in claims {
        let due = settle::follow(tx, occurrence.event.0, occurrence.n, *token, now)?;
        first = first.into_iter().chain(due).min();
    }
    Ok(first)
}

/// Stores the schedule's next occurrence, of an instant that passed while the one before it went on.
pub(super) fn insert_waited(tx: &Tx<'_>, fresh: &Fresh) -> Result<()> {
    tx.conn
        .prepare_cached(
            "INSERT INTO occurrences (event, n, type, lane, state, due_at, scheduled_for, cause, by_schedule, attempt, interruptions, queued_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, 1, 0, ?6)",
        )?
        .execute((
            fresh.event,
            fresh.n,
            fresh.type_id,
            fresh.lane,
            if fresh.held { row::HELD } else { row::WAITING },
            fresh.due_at,
            fresh.scheduled_for,
            cause_number(Cause::Queued),
        ))?;
    Ok(())
}
