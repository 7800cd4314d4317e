//! Statistics of runs: how many by outcome, how long they took, how late they began; in sums that can be added up.
//!
//! Not where they are kept: the store gathers them by type and hour. What must hold: adding up two tallies is the tally of both; a quantile
//! is off by a thirty-second of its value at most.

use crate::run::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Each doubling of a value is divided into `2^FINE` buckets.
const FINE: u32 = 4;
/// Values below this have a bucket each.
const EXACT: u64 = 1 << FINE;

/// How often which lengths of time occurred, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// By bucket.
    n: BTreeMap<u16, u64>,
    /// Of all values; no further than a `u64` goes.
    sum: u64,
    /// The greatest value, exactly.
    max: u64,
}

impl Histogram {
    /// Counts a value, in microseconds.
    pub fn add(&mut self, value: u64) {
        *self.n.entry(bucket_of(value)).or_default() += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// Counts what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, n) in &other.n {
            *self.n.entry(*bucket).or_default() += n;
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.n.values().sum()
    }

    /// The greatest value, in microseconds; none if nothing was counted.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        if self.n.is_empty() { None } else { Some(self.max) }
    }

    /// The mean, in microseconds; none if nothing was counted.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count())
    }

    /// The least value that at least so many thousandths of all do not exceed, in microseconds; off by a thirty-second at most.
    #[must_use]
    pub fn quantile(&self, thousandths: u32) -> Option<u64> {
        let wanted = (self.count().saturating_mul(u64::from(thousandths.min(1_000)))).div_ceil(1_000).max(1);
        let mut seen = 0;
        self.n.iter().find_map(|(bucket, n)| {
            seen += n;
            (seen >= wanted).then(|| middle_of(*bucket).min(self.max))
        })
    }
}

/// Buckets touch and rise with the value.
fn bucket_of(value: u64) -> u16 {
    if value < EXACT {
        return u16::try_from(value).expect("less than sixteen");
    }
    let doublings = value.ilog2() - FINE;
    let within = (value >> doublings) & (EXACT - 1);
    u16::try_from(u64::from(doublings + 1) * EXACT + within).expect("sixty doublings of sixteen")
}

/// The middle of a bucket: no value of it is further from it than a thirty-second of itself.
fn middle_of(bucket: u16) -> u64 {
    let (bucket, exact) = (u64::from(bucket), EXACT);
    if bucket < exact {
        return bucket;
    }
    let doublings = (bucket / exact - 1).min(u64::from(63 - FINE));
    let low = (exact + bucket % exact) << doublings;
    low + ((1 << doublings) >> 1)
}

/// A run as it is counted. Times are microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// How it ended.
    pub outcome: Outcome,
    /// When it was due.
    pub due_at: i64,
    /// When plugin code was entered.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: i64,
}

/// Runs by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ByOutcome {
    /// See [`Outcome::Succeeded`].
    pub succeeded: u64,
    /// See [`Outcome::Failed`].
    pub failed: u64,
    /// See [`Outcome::Snoozed`].
    pub snoozed: u64,
    /// See [`Outcome::Cancelled`].
    pub cancelled: u64,
    /// See [`Outcome::Interrupted`].
    pub interrupted: u64,
    /// See [`Outcome::Lost`].
    pub lost: u64,
}

impl ByOutcome {
    /// All of them.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.succeeded + self.failed + self.snoozed + self.cancelled + self.interrupted + self.lost
    }

    const fn of(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Succeeded => &mut self.succeeded,
            Outcome::Failed => &mut self.failed,
            Outcome::Snoozed => &mut self.snoozed,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Interrupted => &mut self.interrupted,
            Outcome::Lost => &mut self.lost,
        }
    }

    const fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.snoozed += other.snoozed;
        self.cancelled += other.cancelled;
        self.interrupted += other.interrupted;
        self.lost += other.lost;
    }
}

/// The sum over some runs of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many, by outcome.
    pub by: ByOutcome,
    /// From start to end, of those that were started, in microseconds.
    pub duration: Histogram,
    /// From due to start, of those that were started, in microseconds.
    pub lateness: Histogram,
    /// When the last of them that succeeded ended, in microseconds since 1970.
    pub last_success: Option<i64>,
    /// How many failed since the last one that succeeded, or in all.
    pub failed_in_a_row: u64,
}

impl Tally {
    /// Counts a run that ended after all that were counted before. A run under a stale claim was counted by whoever held the claim: only
    /// its outcome is noted.
    pub fn add(&mut self, ran: &Ran) {
        *self.by.of(ran.outcome) += 1;
        match ran.outcome {
            Outcome::Lost => return,
            Outcome::Succeeded => {
                self.last_success = self.last_success.max(Some(ran.finished_at));
                self.failed_in_a_row = 0;
            }
            Outcome::Failed => self.failed_in_a_row += 1,
            Outcome::Snoozed | Outcome::Cancelled | Outcome::Interrupted => {}
        }
        if let Some(started_at) = ran.started_at {
            // A clock that was set back in between makes neither negative.
            let between = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
            self.duration.add(between(started_at, ran.finished_at));
            self.lateness.add(between(ran.due_at, started_at));
        }
    }

    /// Counts what a later tally counted.
    pub fn merge(&mut self, later: &Self) {
        self.by.merge(&later.by);
        self.duration.merge(&later.duration);
        self.lateness.merge(&later.lateness);
        self.last_success = self.last_success.max(later.last_success);
        let begins_anew = later.by.succeeded > 0;
        self.failed_in_a_row = if begins_anew { later.failed_in_a_row } else { self.failed_in_a_row + later.failed_in_a_row };
    }
}
