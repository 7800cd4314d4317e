//! Filling in instants of the past: one occurrence for each, beside what the schedule gives.
//!
//! Not finding them. What must hold: all or none are stored, the schedule's own next one stays where it is.

use super::alter::no_such_event;
use super::codec::{cause_number, is_open, micros, row, state_word};
use super::hosts::require_current;
use super::replan::Head;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use serde_json::json as object;
use sexton_core::{Blame, Cause, EventId, EventState, Refusal};

/// Stores them, due now in their order.
pub(super) fn backfill(
    tx: &mut Tx<'_>,
    lease: &Lease,
    id: EventId,
    instants: &[DateTime<Utc>],
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    require_current(tx, lease)?;
    let Some(mut head) = Head::read(tx, id.0)? else {
        return Err(no_such_event(id).into());
    };
    if !is_open(head.state) {
        return Err(Refusal::new("INP010", Blame::Input, format!("event {id} is {}: `backfill` is not possible", state_word(head.state)))
            .expected("an event that is scheduled or paused")
            .found(state_word(head.state))
            .remedy("schedule a new event; what has ended is not taken up again")
            .into());
    }
    let state = if head.state == EventState::Paused { row::HELD } else { row::WAITING };
    for at in instants {
        let n = head.next_n(tx)?;
        tx.conn
            .prepare_cached(
                "INSERT INTO occurrences (event, n, type, lane, state, due_at, scheduled_for, cause, by_schedule, attempt, interruptions)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 1, 0)",
            )?
            .execute((
                head.id,
                n,
                head.type_id,
                super::codec::lane(head.priority),
                state,
                micros(now),
                micros(*at),
                cause_number(Cause::Backfill),
            ))?;
    }
    let detail = object!({ "count": instants.len(), "from": instants.first(), "to": instants.last() });
    super::audit::add(tx, now, by, "event.backfill", &id.to_string(), &detail)
}
