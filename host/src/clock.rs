//! The host's two clocks: wall time for due instants, boot time for everything that is a length.
//!
//! Not passed into `sexton-core`, which is told the time. What must hold: wall time has microseconds, as the store has; boot time never steps
//! and counts suspended time.

use chrono::{DateTime, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// No time that somebody sets for something to end is longer: a year, which every clock can add.
pub const LONGEST_WAIT: Duration = Duration::from_secs(365 * 86_400);

/// The wall clock, cut to microseconds.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Time since the machine started, suspended time included.
#[must_use]
pub fn boot_time() -> Duration {
    let t = clock_gettime(ClockId::Boottime);
    Duration::new(t.tv_sec.try_into().unwrap_or(0), t.tv_nsec.try_into().unwrap_or(0))
}

/// `at + by`, or the greatest instant there is.
#[must_use]
pub fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    chrono::Duration::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
