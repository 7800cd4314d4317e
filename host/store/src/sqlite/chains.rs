//! Chains: setting off what follows an event, in the transaction in which its occurrence came to an end.
//!
//! Not the decision (`sexton_core::decide::chain`), and not which links may be made (`links`). What must hold: what an end sets off is stored with it or
//! not at all; an event that nothing can set off any more is ended in the transaction that makes it so; nobody pays who is not followed.

use super::codec::{cause_number, is_open, lane, micros, row, state_number, state_word};
use super::links;
use super::replan::Head;
use super::writer::Tx;
use crate::error::{ErrorKind, StoreError};
use chrono::{DateTime, Utc};
use serde_json::json as object;
use sexton_core::decide::chain::{Ending, Followed, Follower, Over};
use sexton_core::{Cause, EventId, EventState};

type Result<T> = std::result::Result<T, StoreError>;

/// An end, and when it was.
pub(super) type Heard = (Over, DateTime<Utc>);

/// Follows from an end of an occurrence of `upstream`, from its own end, or from both. Answers when the first event that it sets off is due.
pub(super) fn after(tx: &mut Tx<'_>, upstream: i64, heard: Option<Heard>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let (mut first_due, mut heard, mut ended) = (None, heard, vec![upstream]);
    while let Some(of) = ended.pop() {
        for (follower, on) in links::followers(tx, of)? {
            let Some(mut head) = readable(tx, follower)?.filter(|head| is_open(head.state)) else { continue };
            let mut standing = Standing::read(tx, &head)?;
            if let Some((over, at)) = heard
                && on.counts(over)
                && standing.follower(&head).hears(at)
            {
                standing.mark(tx, follower, of)?;
                if standing.follower(&head).fires() {
                    let due = standing.set_off(tx, &mut head, at)?;
                    let held = head.state == EventState::Paused;
                    first_due = Some(due).filter(|_| !held).into_iter().chain(first_due).min();
                }
            }
            if let Some(ending) = standing.follower(&head).ending(now) {
                end(tx, &head, &ending, now)?;
                ended.push(follower);
            }
        }
        // What ends because of it has no outcome of its own.
        heard = None;
    }
    Ok(first_due)
}

/// An event has ended: it follows nothing any more, and what follows it may have nothing to wait for.
pub(super) fn ended(tx: &mut Tx<'_>, event: i64, now: DateTime<Utc>) -> Result<()> {
    links::close(tx, event)?;
    after(tx, event, None, now).map(drop)
}

/// A row of an event that follows others is over: was it the last that can be? Answers its state then.
pub(super) fn rest(tx: &mut Tx<'_>, event: i64, now: DateTime<Utc>) -> Result<Option<EventState>> {
    let Some(head) = readable(tx, event)?.filter(|head| is_open(head.state)) else { return Ok(None) };
    let Some(ending) = Standing::read(tx, &head)?.follower(&head).ending(now) else { return Ok(None) };
    end(tx, &head, &ending, now)?;
    after(tx, event, None, now)?;
    Ok(Some(ending.state))
}

/// Sets off a new event whose links were all satisfied before it was there. Answers when it is due.
pub(super) fn begin(tx: &mut Tx<'_>, event: i64, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let Some(mut head) = Head::read(tx, event)? else { return Ok(None) };
    let mut standing = Standing::read(tx, &head)?;
    if !standing.follower(&head).fires() {
        return Ok(None);
    }
    standing.set_off(tx, &mut head, now).map(Some)
}

/// The event; `None`, and a line in the log, if it cannot be read: the end that is settled must not wait for it.
fn readable(tx: &Tx<'_>, event: i64) -> Result<Option<Head>> {
    match Head::read(tx, event) {
        Err(error) if error.kind == ErrorKind::Corrupt => {
            tracing::error!(event = %EventId(event), %error, "an event that follows another cannot be read and is passed over");
            Ok(None)
        }
        other => other,
    }
}

/// What of a follower is in other tables.
struct Standing {
    links: Vec<Followed>,
    rows_left: i64,
    given: i64,
}

impl Standing {
    fn read(tx: &Tx<'_>, head: &Head) -> Result<Self> {
        let rows_left = tx
            .conn
            .prepare_cached("SELECT count(*) FROM occurrences WHERE event = ?1 AND state <> ?2")?
            .query_row((head.id, row::DEAD), |row| row.get(0))?;
        Ok(Self { links: links::of(tx.conn, head.id)?, rows_left, given: head.given })
    }

    fn follower<'a>(&'a self, head: &'a Head) -> Follower<'a> {
        Follower { links: &self.links, terms: &head.schedule.terms, given: self.given, rows_left: self.rows_left }
    }

    fn mark(&mut self, tx: &Tx<'_>, follower: i64, upstream: i64) -> Result<()> {
        tx.conn
            .prepare_cached("UPDATE links SET satisfied = 1 WHERE follower = ?1 AND upstream = ?2 AND satisfied = 0")?
            .execute((follower, upstream))?;
        self.links.iter_mut().filter(|link| link.event.0 == upstream).for_each(|link| link.satisfied = true);
        Ok(())
    }

    /// Stores the occurrence, held if the event is paused, and takes the marks away.
    fn set_off(&mut self, tx: &Tx<'_>, head: &mut Head, at: DateTime<Utc>) -> Result<DateTime<Utc>> {
        let n = head.next_n(tx)?;
        let due = head.schedule.due_at(EventId(head.id), at);
        tx.conn.prepare_cached("UPDATE events SET given = given + 1 WHERE id = ?1")?.execute([head.id])?;
        tx.conn.prepare_cached("UPDATE links SET satisfied = 0 WHERE follower = ?1")?.execute([head.id])?;
        tx.conn
            .prepare_cached(
                "INSERT INTO occurrences (event, n, type, lane, state, due_at, scheduled_for, cause, by_schedule, attempt, interruptions)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 1, 0)",
            )?
            .execute((
                head.id,
                n,
                head.type_id,
                lane(head.priority),
                if head.state == EventState::Paused { row::HELD } else { row::WAITING },
                micros(due),
                micros(at),
                cause_number(Cause::Chain),
            ))?;
        self.links.iter_mut().for_each(|link| link.satisfied = false);
        self.given += 1;
        self.rows_left += 1;
        Ok(due)
    }
}

fn end(tx: &mut Tx<'_>, head: &Head, ending: &Ending, now: DateTime<Utc>) -> Result<()> {
    tx.conn.prepare_cached("UPDATE events SET state = ?2, finished_at = ?3, reason = coalesce(?4, reason) WHERE id = ?1")?.execute((
        head.id,
        state_number(ending.state),
        micros(now),
        &ending.reason,
    ))?;
    tx.hot.deltas.moved(head.type_id, Some(head.state), Some(ending.state));
    links::close(tx, head.id)?;
    let detail = object!({ "state": state_word(ending.state), "reason": ending.reason });
    super::audit::add(tx, now, "host", "event.end", &EventId(head.id).to_string(), &detail)
}
