//! Values as columns: times as microseconds, enumerations as small numbers, the rest as JSON text.
//!
//! Not SQL. What must hold: a number given to a variant here is never given to another; old files keep them.

use super::failure::damaged;
use crate::error::StoreError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sexton_core::{Cause, EventState, Outcome};

type Result<T> = std::result::Result<T, StoreError>;

/// States of an occurrence's row.
pub(super) mod row {
    /// In the due order.
    pub const WAITING: i64 = 0;
    /// Taken by a host, under a token.
    pub const CLAIMED: i64 = 1;
    /// Out of the due order while its event is paused.
    pub const HELD: i64 = 2;
    /// A dead letter.
    pub const DEAD: i64 = 3;
    /// Behind another of its event that is going.
    pub const QUEUED: i64 = 4;
    /// Behind the gate of a key limit, until it lets the row through.
    pub const GATED: i64 = 5;
}

/// The part of a priority that orders claims.
pub(super) fn lane(priority: i32) -> i64 {
    i64::from(sexton_core::decide::order::level(priority))
}

/// Microseconds since 1970.
pub(super) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// An instant from its column.
pub(super) fn instant(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| damaged(&format!("{micros} is no instant")))
}

/// An instant that may be absent.
pub(super) fn instant_or_none(micros: Option<i64>) -> Result<Option<DateTime<Utc>>> {
    micros.map(instant).transpose()
}

/// A count or ordinal that fits `u32`.
pub(super) fn small(number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| damaged(&format!("{number} is no ordinal")))
}

/// JSON text of a value of ours.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| damaged(&format!("a value has no JSON: {error}")))
}

/// A value of ours from its JSON text.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("{error} in `{}`", text.chars().take(80).collect::<String>())))
}

/// A value of ours from JSON text that may be absent; absent gives the default.
pub(super) fn from_json_or_default<T: DeserializeOwned + Default>(text: Option<&str>) -> Result<T> {
    text.map_or_else(|| Ok(T::default()), from_json)
}

/// The number of an event state.
pub(super) fn state_number(state: EventState) -> i64 {
    match state {
        EventState::Scheduled => 0,
        EventState::Paused => 1,
        EventState::Completed => 2,
        EventState::Cancelled => 3,
        EventState::Discarded => 4,
    }
}

/// The event state of a number.
pub(super) fn state_of(number: i64) -> Result<EventState> {
    Ok(match number {
        0 => EventState::Scheduled,
        1 => EventState::Paused,
        2 => EventState::Completed,
        3 => EventState::Cancelled,
        4 => EventState::Discarded,
        _ => return Err(damaged(&format!("{number} is no event state"))),
    })
}

/// Whether an event in this state may still have occurrences to run.
pub(super) fn is_open(state: EventState) -> bool {
    matches!(state, EventState::Scheduled | EventState::Paused)
}

/// The word for a state, as the API writes it.
pub(super) fn state_word(state: EventState) -> &'static str {
    match state {
        EventState::Scheduled => "scheduled",
        EventState::Paused => "paused",
        EventState::Completed => "completed",
        EventState::Cancelled => "cancelled",
        EventState::Discarded => "discarded",
    }
}

/// The number of a cause.
pub(super) fn cause_number(cause: Cause) -> i64 {
    match cause {
        Cause::Schedule => 0,
        Cause::Retry => 1,
        Cause::Snooze => 2,
        Cause::RunNow => 3,
        Cause::Backfill => 4,
        Cause::Queued => 5,
        Cause::Requeue => 6,
        Cause::Chain => 7,
    }
}

/// The cause of a number.
pub(super) fn cause_of(number: i64) -> Result<Cause> {
    Ok(match number {
        0 => Cause::Schedule,
        1 => Cause::Retry,
        2 => Cause::Snooze,
        3 => Cause::RunNow,
        4 => Cause::Backfill,
        5 => Cause::Queued,
        6 => Cause::Requeue,
        7 => Cause::Chain,
        _ => return Err(damaged(&format!("{number} is no cause"))),
    })
}

/// The number of an outcome. `Succeeded` is 0: the index of runs that did not go well leaves it out.
pub(super) fn outcome_number(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Succeeded => 0,
        Outcome::Failed => 1,
        Outcome::Snoozed => 2,
        Outcome::Cancelled => 3,
        Outcome::Interrupted => 4,
        Outcome::Lost => 5,
    }
}

/// The outcome of a number.
pub(super) fn outcome_of(number: i64) -> Result<Outcome> {
    Ok(match number {
        0 => Outcome::Succeeded,
        1 => Outcome::Failed,
        2 => Outcome::Snoozed,
        3 => Outcome::Cancelled,
        4 => Outcome::Interrupted,
        5 => Outcome::Lost,
        _ => return Err(damaged(&format!("{number} is no outcome"))),
    })
}

/// A number in `0..=u32::MAX` from occurrence and attempt, the same on every host.
pub(super) fn jitter(event: i64, n: i64, attempt: i64) -> u32 {
    let mut mixed = event.cast_unsigned() ^ n.cast_unsigned().rotate_left(24) ^ attempt.cast_unsigned().rotate_left(48);
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(factor);
    }
    u32::try_from(mixed >> 32).expect("the upper half of 64 bits fits 32")
}
