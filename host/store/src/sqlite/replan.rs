//! Moving an event to another schedule, to other instants of its own, and back into the due order.
//!
//! Not the verbs: `alter`, `standing`, `calendars`, `zones` and `clock` call this. What must hold: what runs now settles normally, an event
//! has at most one row that its schedule gave and that is not followed by another, and no ordinal is given twice.

use super::codec::{cause_number, instant, json, lane, micros, row, state_of};
use super::misfire::{Claimed, over, run_for, skip};
use super::overlap;
use super::schedule::{Fresh, insert_scheduled, zone_column};
use super::skips;
use super::writer::Tx;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use sexton_core::calendar::Calendars;
use sexton_core::decide::late::{Found, Late, when_found, when_found_followed, when_found_queued};
use sexton_core::decide::{Absence, SKIPPED_MAX, SkipReason, Skips};
use sexton_core::schedule::Rule;
use sexton_core::{Blame, Cause, EventId, EventState, Refusal, Schedule};

type Result<T> = std::result::Result<T, StoreError>;

/// What the verbs need of an event.
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) type_id: i64,
    pub(super) state: EventState,
    pub(super) last_n: i64,
    pub(super) given: i64,
    pub(super) priority: i32,
    pub(super) schedule: Schedule,
}

impl Head {
    /// Reads it; `None` if there is no such event.
    pub(super) fn read(tx: &Tx<'_>, id: i64) -> Result<Option<Self>> {
        let found: Option<(i64, i64, i64, i64, i32, String)> = tx
            .conn
            .prepare_cached("SELECT type, state, last_n, given, priority, schedule FROM events WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))
            .optional()?;
        let Some((type_id, state, last_n, given, priority, schedule)) = found else {
            return Ok(None);
        };
        let (state, schedule) = (state_of(state)?, super::codec::from_json(&schedule)?);
        Ok(Some(Self { id, type_id, state, last_n, given, priority, schedule }))
    }

    /// The next ordinal, given for good.
    pub(super) fn next_n(&mut self, tx: &Tx<'_>) -> Result<i64> {
        self.last_n += 1;
        tx.conn.prepare_cached("UPDATE events SET last_n = ?2 WHERE id = ?1")?.execute((self.id, self.last_n))?;
        Ok(self.last_n)
    }

    /// Stores what the schedule gives, held if the event is paused.
    pub(super) fn insert_next(&mut self, tx: &Tx<'_>, schedule: &Schedule, at: DateTime<Utc>) -> Result<()> {
        let n = self.next_n(tx)?;
        let held = self.state == EventState::Paused;
        insert_scheduled(tx, &Fresh::of(self.id, n, self.type_id, lane(self.priority), schedule, at, held))
    }

    /// Writes another schedule into the event.
    pub(super) fn write_schedule(&self, tx: &Tx<'_>, schedule: &Schedule) -> Result<()> {
        tx.conn.prepare_cached("UPDATE events SET schedule = ?2, tz = ?3 WHERE id = ?1")?.execute((
            self.id,
            json(schedule)?,
            zone_column(schedule),
        ))?;
        super::links::relink(tx, self.id, schedule)?;
        super::calendars::note_uses(tx, self.id, schedule, false)
    }

    /// Means a row for another instant of the schedule.
    pub(super) fn mean(&self, tx: &Tx<'_>, n: i64, at: DateTime<Utc>) -> Result<()> {
        let due_at = self.schedule.due_at(EventId(self.id), at);
        tx.conn
            .prepare_cached(
                "UPDATE occurrences SET scheduled_for = ?3, due_at = ?4, counted_to = NULL, first_due = NULL WHERE event = ?1 AND n = ?2",
            )?
            .execute((self.id, n, micros(at), micros(due_at)))?;
        Ok(())
    }

    pub(super) fn as_claimed(&self, n: i64) -> Claimed {
        Claimed { id: self.id, n, type_id: self.type_id, lane: lane(self.priority), state: self.state, last_n: self.last_n }
    }
}

/// A row that the schedule gave.
struct Given {
    n: i64,
    state: i64,
    scheduled_for: i64,
    due_at: i64,
    counted_to: Option<i64>,
    /// Tried already, or planned by somebody else: not simply the next instant.
    is_tried: bool,
    /// It had waited behind another.
    was_queued: bool,
    /// Its successor is a row of its own.
    is_followed: bool,
}

fn given_rows(tx: &Tx<'_>, event: i64) -> Result<Vec<Given>> {
    let mut select = tx.conn.prepare_cached(
        "SELECT n, state, scheduled_for, due_at, counted_to, cause NOT IN (?2, ?4) OR interruptions > 0, cause = ?4, followed FROM occurrences
         WHERE event = ?1 AND by_schedule AND state <> ?3",
    )?;
    let rows = select.query_map((event, cause_number(Cause::Schedule), row::DEAD, cause_number(Cause::Queued)), |row| {
        Ok(Given {
            n: row.get(0)?,
            state: row.get(1)?,
            scheduled_for: row.get(2)?,
            due_at: row.get(3)?,
            counted_to: row.get(4)?,
            is_tried: row.get(5)?,
            was_queued: row.get(6)?,
            is_followed: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The last instant after `now` that the schedule gave before the one of this row: there is one only if the clock was set back since, and it
/// must not come again.
fn last_given(given: &Given, schedule: &Schedule, calendars: &Calendars, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let before = instant(given.scheduled_for - 1).ok()?;
    // A schedule that cannot be asked any more has nothing to say about it.
    schedule.plan(calendars).and_then(|plan| plan.latest(now, before)).ok().flatten()
}

/// Puts an event on another schedule. Never fires: the next instant is after `now`. An occurrence that runs (`is_running`, by ordinal) or
/// waits for its retry still counts as going, and its successor follows the new schedule, from now on: what the old one gave meanwhile is
/// counted here, and the new one has no past.
pub(super) fn move_to(tx: &mut Tx<'_>, head: &mut Head, to: &Schedule, is_running: impl Fn(i64) -> bool, now: DateTime<Utc>) -> Result<()> {
    let calendars = tx.calendars()?;
    let rows = given_rows(tx, head.id)?;
    // The same rule on other terms goes on with itself: what it gave before the clock was set back does not come again.
    let before = rows.iter().filter(|_| head.schedule.rule == to.rule).find_map(|row| last_given(row, &head.schedule, &calendars, now));
    let next = first_after(head, to, &calendars, before.unwrap_or(now))?;
    let (mut goes_on, mut skipped) = (false, Skips::default());
    for given in rows {
        let scheduled_for = instant(given.scheduled_for)?;
        let accounted_to = given.counted_to.map(instant).transpose()?.unwrap_or(scheduled_for).max(scheduled_for);
        // The old schedule may be what is mended here: if it cannot be asked, its own occurrence is counted.
        let count = || head.schedule.plan(&calendars).and_then(|plan| plan.count(accounted_to, now, SKIPPED_MAX)).unwrap_or(0);
        // What came after one that is followed is its successor's.
        let more = || if given.is_followed { 0 } else { count() };
        let stays = given.is_tried || (given.state == row::CLAIMED && is_running(given.n));
        if stays {
            skipped.add(SkipReason::Edited, more());
            goes_on |= to.recurs() && !given.is_followed;
            // If the new schedule does not recur it gives its own row, and this one belongs to the old one alone.
            tx.conn.prepare_cached("UPDATE occurrences SET by_schedule = ?3, counted_to = ?4 WHERE event = ?1 AND n = ?2")?.execute((
                head.id,
                given.n,
                to.recurs(),
                micros(accounted_to.max(now)),
            ))?;
        } else {
            if scheduled_for <= now {
                skipped.add(SkipReason::Edited, 1 + more());
            }
            tx.conn.execute("DELETE FROM occurrences WHERE event = ?1 AND n = ?2", (head.id, given.n))?;
        }
    }
    if let (Some(at), false) = (next, goes_on) {
        head.insert_next(tx, to, at)?;
    }
    skips::add(tx, head.id, &skipped, now)?;
    // What it waited behind may have been one of those.
    overlap::release(tx, head.id, head.state, now)?;
    Ok(())
}

/// The first instant that a schedule gives from now on; none for manual.
fn first_after(head: &Head, schedule: &Schedule, calendars: &Calendars, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let first = match &schedule.rule {
        Rule::Manual | Rule::Follows { .. } => return Ok(None),
        Rule::Once { when } => Some(*when).filter(|when| *when > now),
        _ => schedule.plan(calendars)?.next_after(now)?,
    };
    if let Some(most) = schedule.terms.max_runs.filter(|most| head.given >= i64::from(*most)) {
        return Err(Refusal::new(
            "INP007",
            Blame::Input,
            format!("the event has run {} times, and the new schedule allows {most}", head.given),
        )
        .remedy("give a greater `max_runs`, or cancel the event")
        .into());
    }
    match first {
        Some(_) => Ok(first),
        None => Err(Refusal::new("INP007", Blame::Input, "the new schedule has no instant after now, and an edit never fires")
            .expected("a schedule with an instant in the future")
            .remedy("give a later time, or use `sexton event run-now`")
            .into()),
    }
}

/// Puts the rows of a paused event back into the due order. What fell due meanwhile is judged by the misfire policy, so that a return is no
/// flood. A recurring event whose schedule gave no row (it was paused because it could not) gets its next one; if there is none any more, the
/// event is over once what was asked for beside its schedule is done.
pub(super) fn resume(tx: &mut Tx<'_>, head: &mut Head, now: DateTime<Utc>) -> Result<()> {
    tx.conn.prepare_cached("UPDATE occurrences SET state = ?2 WHERE event = ?1 AND state = ?3")?.execute((
        head.id,
        row::WAITING,
        row::HELD,
    ))?;
    overlap::release(tx, head.id, head.state, now)?;
    if !head.schedule.recurs() {
        return Ok(());
    }
    let (calendars, schedule) = (tx.calendars()?, head.schedule.clone());
    let plan = schedule.plan(&calendars)?;
    let given = given_rows(tx, head.id)?;
    for one in given.iter().filter(|given| !given.is_tried && given.state == row::WAITING) {
        let found = Found {
            scheduled_for: instant(one.scheduled_for)?,
            due_at: instant(one.due_at)?,
            counted_to: one.counted_to.map(instant).transpose()?,
        };
        let absence = Absence::always(SkipReason::Paused);
        let late = match one {
            one if one.is_followed => when_found_followed(&schedule, &found, &absence, now),
            one if one.was_queued => when_found_queued(&schedule, &plan, &found, &absence, now)?,
            _ => when_found(&schedule, &plan, &found, &absence, now)?,
        };
        match late {
            Late::Run => {}
            Late::RunFor { scheduled_for, counted_to, skips } => {
                run_for(tx, &head.as_claimed(one.n), scheduled_for, counted_to, &skips, now)?;
            }
            Late::Skip { successor, skips } => {
                skip(tx, &head.as_claimed(one.n), &schedule, successor, &skips, now)?;
                overlap::release(tx, head.id, head.state, now)?;
            }
        }
    }
    if !given.is_empty() {
        return Ok(());
    }
    let is_spent = schedule.terms.max_runs.is_some_and(|most| head.given >= i64::from(most));
    match if is_spent { None } else { plan.next_after(now)? } {
        Some(next) => head.insert_next(tx, &schedule, next),
        None => over(tx, &head.as_claimed(0), &schedule, &Skips::default(), now),
    }
}

/// Asks the schedule again for its next instant, because its zone or a calendar changed. What is due already, claimed or tried stays.
/// `before`: the calendars from before the change, if it is they that changed. Answers whether something moved.
pub(super) fn again(tx: &mut Tx<'_>, head: &mut Head, before: Option<&Calendars>, now: DateTime<Utc>) -> Result<bool> {
    if !head.schedule.recurs() {
        return Ok(false);
    }
    let (calendars, schedule) = (tx.calendars()?, head.schedule.clone());
    let plan = schedule.plan(&calendars)?;
    let mut is_moved = false;
    for given in given_rows(tx, head.id)? {
        if given.is_tried
            || given.was_queued
            || given.is_followed
            || given.state == row::CLAIMED
            || instant(given.scheduled_for)? <= now
            || matches!(schedule.rule, Rule::After { .. })
        {
            continue;
        }
        let last_given = before.and_then(|before| last_given(&given, &schedule, before, now));
        match plan.next_after(last_given.unwrap_or(now))? {
            Some(next) if micros(next) == given.scheduled_for => {}
            Some(next) => {
                head.mean(tx, given.n, next)?;
                is_moved = true;
            }
            // A calendar may end what ends by itself; what goes on for ever must not be over because of a definition that may be a slip.
            None if before.is_some() && schedule.terms.end.is_none() => {
                return Err(Refusal::new("INP007", Blame::Input, "its schedule would have no further time")
                    .expected("a calendar that leaves it some time")
                    .remedy("give the calendar another content, or edit or cancel that event first")
                    .into());
            }
            None => {
                skip(tx, &head.as_claimed(given.n), &schedule, None, &Skips::default(), now)?;
                is_moved = true;
            }
        }
    }
    Ok(is_moved)
}
