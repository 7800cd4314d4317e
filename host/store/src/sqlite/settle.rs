//! Settling ends of runs: the row, the run, the successor, the follow-ups and the event's state move together.
//!
//! Not the decision what follows: that is `sexton_core::decide::after_run`, asked with the rows of this transaction. What must
//! hold: a stale token or epoch records a `lost` run and moves nothing else.

use super::chains;
use super::codec::{
    cause_number, cause_of, from_json, from_json_or_default, instant, is_open, jitter, json, micros, row, small, state_number, state_of,
};
use super::counters::DEAD_LETTERS;
use super::ended::Ended;
use super::hosts::is_current;
use super::overlap::{self, Beside};
use super::record::{Place, lost, record};
use super::schedule::{Fresh, NotStored, insert, insert_scheduled};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Lease, Settled, Stored};
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use serde_json::json as object;
use sexton_core::calendar::Calendars;
use sexton_core::decide::chain::Over;
use sexton_core::decide::overlap::Among;
use sexton_core::decide::{Consequence, End, Row, Standing, after_run_among, without_successor};
use sexton_core::schedule::Rule;
use sexton_core::{Cause, ErrorCode, EventId, EventState, NewEvent, OccurrenceId, Outcome, Overlap, Schedule};

type Result<T> = std::result::Result<T, StoreError>;

/// The occurrence and its event, as they are now.
struct Rows {
    type_id: i64,
    lane: i64,
    scheduled_for: i64,
    counted_to: Option<i64>,
    due_at: i64,
    cause: i64,
    by_schedule: bool,
    attempt: i64,
    interruptions: i64,
    resources_done: Option<String>,
    event_state: i64,
    schedule: String,
    policy: Option<String>,
    retry: Option<String>,
    type_retry: Option<String>,
    last_n: i64,
    given: i64,
    others_left: i64,
    /// Its successor is stored.
    followed: bool,
    first_due: Option<i64>,
    /// Other events follow its event.
    is_upstream: bool,
}

/// Settles a batch, in order.
pub(super) fn settle(tx: &mut Tx<'_>, lease: &Lease, ends: &[Ended], now: DateTime<Utc>) -> Result<Vec<Settled>> {
    let current = is_current(tx, lease)?;
    let mut settled = Vec::with_capacity(ends.len());
    for end in ends {
        let rows = if current { rows_under(tx, end)? } else { None };
        settled.push(match rows {
            Some(rows) => conclude(tx, lease, &rows, end, now)?,
            None => lost(tx, lease, end)?,
        });
    }
    Ok(settled)
}

/// Settles one claimed occurrence whose process ended first. `None` if the claim is not its own.
pub(super) fn interrupt(tx: &mut Tx<'_>, lease: &Lease, end: &Ended, now: DateTime<Utc>) -> Result<Option<Settled>> {
    let Some(rows) = rows_under(tx, end)? else {
        return Ok(None);
    };
    conclude(tx, lease, &rows, end, now).map(Some)
}

/// The columns of [`Rows`], of the rows for which this holds.
macro_rules! rows_where {
    ($holds:literal) => {
        concat!(
            "SELECT o.type, o.lane, o.scheduled_for, o.due_at, o.cause, o.by_schedule, o.attempt, o.interruptions, o.resources_done,
                    e.state, e.schedule, e.retry, t.retry, e.last_n, o.counted_to, e.given,
                    (SELECT count(*) FROM occurrences x WHERE x.event = o.event AND x.n <> o.n AND x.state <> 3), e.policy, o.followed,
                    o.first_due, e.followed
             FROM occurrences o JOIN events e ON e.id = o.event JOIN event_types t ON t.id = o.type
             WHERE o.event = ?1 AND o.n = ?2 AND ",
            $holds
        )
    };
}

/// The rows, if the occurrence is claimed under this very token.
fn rows_under(tx: &Tx<'_>, end: &Ended) -> Result<Option<Rows>> {
    let mut select = tx.conn.prepare_cached(rows_where!("o.token = ?3 AND o.state = 1"))?;
    Ok(select.query_row((end.event, end.n, end.token), Rows::read).optional()?)
}

impl Rows {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            type_id: row.get(0)?,
            lane: row.get(1)?,
            scheduled_for: row.get(2)?,
            due_at: row.get(3)?,
            cause: row.get(4)?,
            by_schedule: row.get(5)?,
            attempt: row.get(6)?,
            interruptions: row.get(7)?,
            resources_done: row.get(8)?,
            event_state: row.get(9)?,
            schedule: row.get(10)?,
            retry: row.get(11)?,
            type_retry: row.get(12)?,
            last_n: row.get(13)?,
            counted_to: row.get(14)?,
            given: row.get(15)?,
            others_left: row.get(16)?,
            policy: row.get(17)?,
            followed: row.get(18)?,
            first_due: row.get(19)?,
            is_upstream: row.get(20)?,
        })
    }
}

/// What the core says follows.
struct Decided {
    consequence: Consequence,
    /// The successor's instant, and when it is due.
    successor: Option<(i64, i64)>,
    /// Why there can be none.
    no_successor: Option<String>,
    /// Its schedule follows other events.
    is_follower: bool,
}

/// What the core says follows; or, if the schedule cannot say or the rows cannot be read, what follows without it and the sentence to
/// pause the event with. A run that was is settled whatever its event's row has become: else its whole batch would fail for ever.
fn decide(rows: &Rows, end: &Ended, beside: &Beside, calendars: &Calendars, now: DateTime<Utc>) -> Result<Decided> {
    // `after_run` reads schedule and policies only: the rest of the wish stays unread on the writer's thread.
    let mut fault = None;
    let wish = NewEvent {
        retry: unless_damaged(rows.retry.as_deref().map(from_json).transpose(), &mut fault).flatten(),
        policy: unless_damaged(from_json_or_default(rows.policy.as_deref()), &mut fault).unwrap_or_default(),
        ..NewEvent::new("", unless_damaged(from_json(&rows.schedule), &mut fault).unwrap_or_else(Schedule::manual))
    };
    let type_retry = unless_damaged(rows.type_retry.as_deref().map(from_json).transpose(), &mut fault).flatten();
    let standing = Standing {
        event: EventId(end.event),
        wish: &wish,
        state: state_of(rows.event_state)?,
        cause: unless_damaged(cause_of(rows.cause), &mut fault).unwrap_or(Cause::Schedule),
        by_schedule: rows.by_schedule,
        scheduled_for: unless_damaged(instant(rows.scheduled_for), &mut fault).unwrap_or(now),
        first_due_at: unless_damaged(instant(rows.first_due.unwrap_or(rows.due_at)), &mut fault).unwrap_or(now),
        counted_to: unless_damaged(rows.counted_to.map(instant).transpose(), &mut fault).flatten(),
        // Those that are under way are to have been given, too.
        given: rows.given.saturating_add(beside.given),
        calendars,
        attempt: unless_damaged(small(rows.attempt), &mut fault).unwrap_or(1),
        interruptions: unless_damaged(small(rows.interruptions), &mut fault).unwrap_or(0),
        type_retry: type_retry.as_ref(),
        others_left: rows.others_left,
        started_at: instant(end.started_at.unwrap_or(end.finished_at))?,
        finished_at: instant(end.finished_at)?,
        jitter: jitter(end.event, end.n, rows.attempt),
    };
    let among = Among {
        queued: beside.queued,
        held_until: (standing.cause == Cause::Queued).then(|| instant(rows.due_at)).transpose()?,
        is_superseded: beside.queued > 0 && wish.policy.overlap == Overlap::CancelPrevious,
        is_followed: rows.followed,
    };
    let consequence = match fault {
        Some(fault) => Err(fault),
        None => after_run_among(&standing, &among, &end.end, now).map_err(|refusal| refusal.to_string()),
    };
    let (consequence, no_successor) =
        consequence.map_or_else(|why| (without_successor(&standing, &end.end, now), Some(why)), |consequence| (consequence, None));
    let due_at = |at| if consequence.is_queued { now } else { wish.schedule.due_at(EventId(end.event), at) };
    let successor = consequence.successor.map(|at| (micros(at), micros(due_at(at))));
    let is_follower = matches!(wish.schedule.rule, Rule::Follows { .. });
    Ok(Decided { consequence, successor, no_successor, is_follower })
}

/// What was read; or nothing, and the first such fault is kept.
fn unless_damaged<T>(read: Result<T>, fault: &mut Option<String>) -> Option<T> {
    read.map_err(|error| fault.get_or_insert(error.message)).ok()
}

fn conclude(tx: &mut Tx<'_>, lease: &Lease, rows: &Rows, end: &Ended, now: DateTime<Utc>) -> Result<Settled> {
    let decided = decide_among(tx, rows, end, now)?;
    let outcome = decided.consequence.outcome;
    let place = Place { type_id: rows.type_id, scheduled_for: rows.scheduled_for, due_at: rows.due_at };
    record(tx, lease, &place, end, outcome)?;
    let settled = go_on(tx, rows, end, decided, now)?;
    if outcome == Outcome::Succeeded {
        follow_up(tx, end, now)?;
    }
    Ok(settled)
}

/// What waits behind this one is counted where there is something beside it at all.
fn decide_among(tx: &mut Tx<'_>, rows: &Rows, end: &Ended, now: DateTime<Utc>) -> Result<Decided> {
    let calendars = tx.calendars()?;
    let beside = if rows.others_left > 0 { overlap::beside(tx, end.event, end.n)? } else { Beside::default() };
    decide(rows, end, &beside, &calendars, now)
}

/// Ends an occurrence that waits to be tried again, as cancelled: another takes its place. There is no run to record.
pub(super) fn end_unrun(tx: &mut Tx<'_>, event: i64, n: i64, now: DateTime<Utc>) -> Result<()> {
    let rows = tx.conn.prepare_cached(rows_where!("(o.state < 3 OR o.state = 5)"))?.query_row((event, n), Rows::read).optional()?;
    let Some(rows) = rows else { return Ok(()) };
    let end = Ended::without_run(event, n, now);
    let decided = decide_among(tx, &rows, &end, now)?;
    go_on(tx, &rows, &end, decided, now).map(drop)
}

/// Stores the successor of an occurrence of the schedule that has just started, and notes it there, so that its end gives no other. What was
/// missed before it began is counted. Answers when the successor is due; nothing if the claim is not its own any more, or if the schedule
/// cannot say: then the end of the run does, as ever.
pub(super) fn follow(tx: &mut Tx<'_>, event: i64, n: i64, token: i64, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let begun = Ended { token, end: End::Succeeded, ..Ended::without_run(event, n, now) };
    let Some(rows) = rows_under(tx, &begun)?.filter(|rows| rows.by_schedule && !rows.followed) else { return Ok(None) };
    let Decided { consequence, successor, no_successor: None, .. } = decide_among(tx, &rows, &begun, now)? else { return Ok(None) };
    tx.conn.prepare_cached("UPDATE occurrences SET followed = 1 WHERE event = ?1 AND n = ?2")?.execute((event, n))?;
    super::skips::add(tx, event, &consequence.skips, now)?;
    let Some((scheduled_for, due_at)) = successor else { return Ok(None) };
    let (n, held) = (rows.last_n + 1, state_of(rows.event_state)? == EventState::Paused);
    insert_scheduled(tx, &Fresh { event, n, type_id: rows.type_id, lane: rows.lane, scheduled_for, due_at, held })?;
    tx.conn.prepare_cached("UPDATE events SET last_n = ?2 WHERE id = ?1")?.execute((event, n))?;
    instant(due_at).map(|due| (!held).then_some(due))
}

/// Moves the occurrence, its event and what comes next.
fn go_on(tx: &mut Tx<'_>, rows: &Rows, end: &Ended, decided: Decided, now: DateTime<Utc>) -> Result<Settled> {
    let Decided { consequence, successor, no_successor, is_follower } = decided;
    let state = consequence.state.unwrap_or(state_of(rows.event_state)?);
    let held = state == EventState::Paused;
    move_row(tx, rows, end, &consequence.row, held)?;
    let mut next_due = match &consequence.row {
        Row::Again { due_at, .. } if !held => Some(*due_at),
        _ => None,
    };
    if let Some((scheduled_for, due_at)) = successor {
        let n = rows.last_n + 1;
        let fresh = Fresh { event: end.event, n, type_id: rows.type_id, lane: rows.lane, scheduled_for, due_at, held };
        if consequence.is_queued {
            overlap::insert_waited(tx, &fresh)?;
        } else {
            insert_scheduled(tx, &fresh)?;
        }
        next_due = next_due.or((!held).then_some(instant(due_at)?));
    }
    move_event(tx, rows, end, &consequence, no_successor.as_deref())?;
    super::skips::add(tx, end.event, &consequence.skips, now)?;
    if let (Some(reason), EventState::Paused) = (no_successor, state) {
        let detail = object!({ "reason": reason, "occurrence": OccurrenceId { event: EventId(end.event), n: end.n } });
        super::audit::add(tx, now, "host", "event.pause", &EventId(end.event).to_string(), &detail)?;
    }
    let (set_off, rested) = chain(tx, rows, end, (&consequence, is_follower), now)?;
    let state = rested.unwrap_or(state);
    let is_again = matches!(consequence.row, Row::Again { .. });
    let is_let_go = rows.others_left > 0 && !is_again && overlap::release(tx, end.event, state, now)?;
    let next_due = if is_let_go { Some(now) } else { next_due.into_iter().chain(set_off).min() };
    Ok(Settled { outcome: consequence.outcome, next_due, state, crowds: is_again && rows.others_left > 0 })
}

/// Sets off what follows the event, and ends the event itself if it follows others and was set off for the last time. Before the follow-ups:
/// one that follows this very event finds it as it is now.
fn chain(
    tx: &mut Tx<'_>,
    rows: &Rows,
    end: &Ended,
    (consequence, is_follower): (&Consequence, bool),
    now: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, Option<EventState>)> {
    let over = Over::of(consequence.outcome, &consequence.row);
    let has_ended = consequence.state.is_some_and(|state| !is_open(state));
    let mut set_off = None;
    if rows.is_upstream && (over.is_some() || has_ended) {
        let heard = over.map(|over| Ok::<_, StoreError>((over, instant(end.finished_at)?))).transpose()?;
        set_off = chains::after(tx, end.event, heard, now)?;
    }
    let rested = if is_follower && over.is_some() { chains::rest(tx, end.event, now)? } else { None };
    Ok((set_off, rested))
}

/// What becomes of the occurrence's own row.
fn move_row(tx: &mut Tx<'_>, rows: &Rows, end: &Ended, to: &Row, held: bool) -> Result<()> {
    match to {
        Row::Gone => {
            tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND n = ?2")?.execute((end.event, end.n))?;
        }
        Row::Again { due_at, cause, attempt, interruptions } => {
            let state = if held { row::HELD } else { row::WAITING };
            tx.conn
                .prepare_cached(
                    "UPDATE occurrences SET state = ?3, due_at = ?4, cause = ?5, attempt = ?6, interruptions = ?7, resources_done = ?8,
                                            first_due = coalesce(first_due, due_at), host = NULL, token = NULL WHERE event = ?1 AND n = ?2",
                )?
                .execute(rusqlite::params![
                    end.event,
                    end.n,
                    state,
                    micros(*due_at),
                    cause_number(*cause),
                    attempt,
                    interruptions,
                    all_done(rows, end)?
                ])?;
        }
        Row::DeadLetter { reason } => {
            tx.conn
                .prepare_cached(
                    "UPDATE occurrences SET state = 3, dead = ?3, resources_done = ?4, dead_at = ?5, dead_code = ?6, host = NULL, token = NULL
                     WHERE event = ?1 AND n = ?2",
                )?
                .execute((end.event, end.n, reason, all_done(rows, end)?, end.finished_at, end.code.map(ErrorCode::word)))?;
            tx.hot.deltas.add(rows.type_id, DEAD_LETTERS, 1);
        }
    }
    Ok(())
}

/// Resources that succeeded in this attempt or an earlier one.
fn all_done(rows: &Rows, end: &Ended) -> Result<Option<String>> {
    if end.done.is_empty() {
        return Ok(rows.resources_done.clone());
    }
    let Ok(mut done) = from_json_or_default::<Vec<String>>(rows.resources_done.as_deref()) else {
        // Left as it is: the next claim cannot read it either, and holds it with that reason.
        return Ok(rows.resources_done.clone());
    };
    for id in &end.done {
        if !done.contains(id) {
            done.push(id.clone());
        }
    }
    json(&done).map(Some)
}

fn move_event(tx: &mut Tx<'_>, rows: &Rows, end: &Ended, consequence: &Consequence, no_successor: Option<&str>) -> Result<()> {
    let from = state_of(rows.event_state)?;
    let to = consequence.state.unwrap_or(from);
    let reason = match &consequence.row {
        Row::DeadLetter { reason } if to == EventState::Discarded => Some(reason.as_str()),
        _ => no_successor,
    };
    let is_given = rows.by_schedule && !matches!(consequence.row, Row::Again { .. });
    if to == from && !is_given && reason.is_none() {
        return Ok(());
    }
    tx.conn
        .prepare_cached(
            "UPDATE events SET state = ?2, last_n = last_n + ?3, given = given + ?4, finished_at = coalesce(finished_at, ?5),
                               reason = coalesce(?6, reason) WHERE id = ?1",
        )?
        .execute((
            end.event,
            state_number(to),
            i64::from(consequence.successor.is_some()),
            i64::from(is_given),
            (!is_open(to)).then_some(end.finished_at),
            reason,
        ))?;
    if to != from {
        tx.hot.deltas.moved(rows.type_id, Some(from), Some(to));
    }
    Ok(())
}

/// Stores what the run scheduled. A key taken since it was checked must not hold up the batch for ever: that one is left out, and the
/// audit says so; one that is there already stays as it is, and the audit says that.
fn follow_up(tx: &mut Tx<'_>, end: &Ended, now: DateTime<Utc>) -> Result<()> {
    let by = format!("plugin:{}", end.build.plugin);
    let mut stored = 0;
    for event in &end.follow_ups {
        match insert(tx, event, &by, now) {
            Ok(Stored::New { .. }) => stored += 1,
            Ok(Stored::Kept { event: kept }) => {
                let detail = object!({ "occurrence": occurrence(end), "event_type": event.type_name, "instead_of": EventId(event.id) });
                super::audit::add(tx, now, &by, "event.schedule.kept", &kept.to_string(), &detail)?;
            }
            Err(NotStored::Refused(refusal)) => {
                let detail =
                    object!({ "occurrence": occurrence(end), "event_type": event.type_name, "code": refusal.code, "why": refusal.message });
                super::audit::add(tx, now, &by, "event.schedule.refused", &EventId(event.id).to_string(), &detail)?;
            }
            Err(NotStored::Error(error)) => return Err(error),
        }
    }
    if let (Some(first), 1..) = (end.follow_ups.first(), stored) {
        let detail = object!({ "count": stored, "event_type": first.type_name, "occurrence": occurrence(end) });
        super::audit::add(tx, now, &by, "event.schedule", &EventId(first.id).to_string(), &detail)?;
    }
    Ok(())
}

fn occurrence(end: &Ended) -> String {
    OccurrenceId { event: EventId(end.event), n: end.n }.to_string()
}
