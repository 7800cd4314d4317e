//! Limits as the store answers them.
//!
//! Not what they mean (`sexton_core::limit`). What must hold: a count is that of the rows at the moment of asking.

use chrono::{DateTime, Utc};
use sexton_core::limit::Limit;

/// A limit, with what is taken of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    /// The limit.
    pub limit: Limit,
    /// Slots taken: occurrences claimed under it, which run or are about to.
    pub taken: u32,
    /// Tokens to be had now; none without a rate.
    pub tokens: Option<u32>,
    /// When there are tokens again, now if there are; none without a rate.
    pub opens_at: Option<DateTime<Utc>>,
    /// When it was set last.
    pub set_at: DateTime<Utc>,
    /// By whom.
    pub set_by: String,
}

/// When something can be claimed next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextClaim {
    /// The earliest due instant of what is under no limit: it may be claimed ahead of that.
    pub ahead: Option<DateTime<Utc>>,
    /// When something that is under a limit may be claimed; not before.
    pub on_time: Option<DateTime<Utc>>,
    /// Something is due that waits for a slot: whoever frees one is to look again.
    pub held_back: bool,
    /// There are limits.
    pub limited: bool,
}
