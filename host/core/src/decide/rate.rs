//! How many may start now under a rate, and when the next may: a token bucket, kept as the one instant at which it is full again.
//!
//! Not a clock and not a row: both are given. What must hold: in any stretch of time no more than `burst` and what the rate gives in that
//! time are let through; a clock that was set back silences nothing for longer than the bucket takes to fill.

use crate::refusal::{Blame, Refusal};
use crate::schedule::duration;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Tokens that come within so many nanoseconds are waited for together: claims because of a rate cost at most fifty transactions a second.
const TOGETHER_NS: i128 = 20_000_000;
/// No rate gives a token more often than this, in nanoseconds.
const SHORTEST_NS: i128 = 1_000;
/// An empty bucket is full again within so long.
const LONGEST_NS: i128 = 10 * 366 * 86_400 * 1_000_000_000;
const SHAPE: &str = "a number and a duration: `10/1m`, `500/1s`";

/// So many in a time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Duration,
    burst: u32,
}

impl Rate {
    /// `count` in each `per`; `burst` at once. Without a burst: what the rate gives in a second, one at least, so that nothing of it is lost
    /// between two looks.
    ///
    /// # Errors
    /// `INP031` if one of them is nothing, the rate is above a million a second, or the bucket takes more than ten years to fill.
    pub fn new(count: u32, per: Duration, burst: Option<u32>) -> Result<Self, Refusal> {
        let refused = |why: &str| Refusal::new("INP031", Blame::Input, format!("the rate cannot be kept: {why}"));
        if count == 0 || per.is_zero() || burst == Some(0) {
            return Err(refused("it lets nothing through").expected("1 or more").remedy("pause the events, or unload the plugin"));
        }
        let in_a_second = (u128::from(count) * 1_000_000_000).div_ceil(per.as_nanos().max(1));
        let burst = burst.unwrap_or_else(|| u32::try_from(in_a_second).unwrap_or(u32::MAX).max(1));
        let rate = Self { count, per, burst };
        if rate.interval() < SHORTEST_NS {
            return Err(refused("it is above a million a second").expected("at most 1000000/1s"));
        }
        if rate.depth() > LONGEST_NS {
            return Err(refused("the burst takes more than ten years to come again").expected("a smaller burst, or a greater rate"));
        }
        Ok(rate)
    }

    /// Reads `10/1m`.
    ///
    /// # Errors
    /// `INP031` if it is none; `INP005` if the time is none.
    pub fn parse(text: &str, burst: Option<u32>) -> Result<Self, Refusal> {
        let refused = || Refusal::new("INP031", Blame::Input, format!("`{text}` is no rate")).expected(SHAPE);
        let (count, per) = text.split_once('/').ok_or_else(refused)?;
        let count = count.trim().parse().map_err(|_| refused())?;
        Self::new(count, duration::parse(per.trim())?, burst)
    }

    /// As it was written: `10/1m`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}/{}", self.count, duration::text(self.per))
    }

    /// How many in each [`Rate::per`].
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// In what time.
    #[must_use]
    pub fn per(&self) -> Duration {
        self.per
    }

    /// How many at once, after a pause.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// How many may start now. `full_at`: when the bucket is full again, in nanoseconds since 1970; none = it is.
    #[must_use]
    pub fn tokens(&self, full_at: Option<i64>, now: DateTime<Utc>) -> u32 {
        let missing = self.full(full_at, nanos(now)) - nanos(now);
        u32::try_from((self.depth() - missing) / self.interval()).unwrap_or(0)
    }

    /// The bucket after `taken` were let through now.
    #[must_use]
    pub fn spend(&self, full_at: Option<i64>, now: DateTime<Utc>, taken: u32) -> i64 {
        let full = self.full(full_at, nanos(now)) + i128::from(taken) * self.interval();
        i64::try_from(full).unwrap_or(i64::MAX)
    }

    /// When it is worth looking again: at once if there is something to be had, else when so many have come as come within a moment.
    #[must_use]
    pub fn opens_at(&self, full_at: Option<i64>, now: DateTime<Utc>) -> DateTime<Utc> {
        let wanted = (TOGETHER_NS / self.interval()).clamp(1, i128::from(self.burst));
        let opens = self.full(full_at, nanos(now)) - (i128::from(self.burst) - wanted) * self.interval();
        // Rounded up: a microsecond early, there would be nothing yet.
        let micros = (opens + 999).div_euclid(1_000);
        i64::try_from(micros).ok().and_then(DateTime::from_timestamp_micros).map_or(now, |opens| opens.max(now))
    }

    /// From one token to the next, rounded up so that a rate is never exceeded.
    fn interval(&self) -> i128 {
        let per = i128::try_from(self.per.as_nanos()).unwrap_or(i128::MAX / 2);
        (per + i128::from(self.count) - 1) / i128::from(self.count)
    }

    /// From empty to full.
    fn depth(&self) -> i128 {
        i128::from(self.burst).saturating_mul(self.interval())
    }

    /// When it is full: never before now, and never further away than empty is, whatever the clock did since.
    fn full(&self, full_at: Option<i64>, now: i128) -> i128 {
        full_at.map_or(now, |at| i128::from(at).clamp(now, now + self.depth()))
    }
}

fn nanos(at: DateTime<Utc>) -> i128 {
    i128::from(at.timestamp()) * 1_000_000_000 + i128::from(at.timestamp_subsec_nanos())
}

#[cfg(test)]
mod tests;
