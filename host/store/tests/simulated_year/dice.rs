//! Random numbers from a seed, so that a year can be lived again.
//!
//! Not for secrets. What must hold: the same seed gives the same year on every machine.

use chrono::TimeDelta;

/// A splitmix generator.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give the same numbers one place further on.
        let mut dice = Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5e87_0a5c_2027_0101);
        Self(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From `low`, before `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).expect("low is below high");
        low + i64::try_from(self.next() % span).expect("below the span")
    }

    pub fn chance(&mut self, percent: i64) -> bool {
        self.between(0, 100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.between(0, i64::try_from(from.len()).expect("a short list"));
        from[usize::try_from(at).expect("not below zero")]
    }

    /// Between so many seconds, each doubling as probable as the next, to the microsecond.
    pub fn span(&mut self, least: i64, most: i64) -> TimeDelta {
        let doublings = i64::from((most / least).ilog2());
        let low = least << self.between(0, doublings + 1);
        TimeDelta::microseconds(self.between(low * 1_000_000, (low * 2).min(most).max(low + 1) * 1_000_000))
    }
}
