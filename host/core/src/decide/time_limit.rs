//! How long a run may take, and how long it may then take to stop: what event, type and operator say, brought together.
//!
//! Not a watch: the host has one. What must hold: what an operator set binds whatever an author asks, to the end of the grace.

use crate::policy::TimeLimit;
use std::time::Duration;

/// How long a run that was asked to stop may take to, when nobody says.
pub const GRACE: Duration = Duration::from_secs(2);

/// A longer time than this is this: nobody waits for it, and clocks can be asked about it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Whose word bounds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// The event's.
    Event,
    /// The event type's.
    Type,
    /// The operator's, in the plugin's settings.
    Settings,
}

impl Limiter {
    /// Where it was said, for people.
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::Event => "`timeout` of the event",
            Self::Type => "`timeout` of the event type",
            Self::Settings => "`run_time` in the plugin's `[limits]`",
        }
    }
}

/// The bounds of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// It is asked to stop after so long, and who says so; none = never.
    pub timeout: Option<(Duration, Limiter)>,
    /// So long after that its process is ended.
    pub timeout_grace: Duration,
    /// So long after somebody cancelled it its process is ended.
    pub cancel_grace: Duration,
}

/// The event's word goes before the type's; the operator's is a cap on both: of the two times the shorter counts, and no grace outlasts the
/// one that the operator's own limit would give.
#[must_use]
pub fn bounds(event: TimeLimit, of_type: TimeLimit, run_time: Option<Duration>) -> Bounds {
    let asked = event.timeout.map(|time| (time, Limiter::Event)).or(of_type.timeout.map(|time| (time, Limiter::Type)));
    let cap = run_time.map(|time| (time, Limiter::Settings));
    // The cap first: of two equal ones it is the one that nobody but the operator can move.
    let timeout = [cap, asked].into_iter().flatten().min_by_key(|(time, _)| *time).map(|(time, whose)| (time.min(LONGEST), whose));
    let cancel_grace = event.grace.or(of_type.grace).unwrap_or(GRACE).min(LONGEST);
    let timeout_grace = match (timeout, run_time) {
        (Some((time, _)), Some(cap)) => cancel_grace.min(cap.saturating_sub(time).saturating_add(GRACE)),
        _ => cancel_grace,
    };
    Bounds { timeout, timeout_grace, cancel_grace }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(timeout: u64, grace: u64) -> TimeLimit {
        let said = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        TimeLimit { timeout: said(timeout), grace: said(grace) }
    }

    /// Seconds, 0 for what nobody said: event, type, the operator's; then the time, whose it is, and the graces after it and after a cancel.
    type Line = ((u64, u64), (u64, u64), u64, Option<(u64, Limiter)>, u64, u64);
    const TABLE: &[Line] = &[
        ((0, 0), (0, 0), 0, None, 2, 2),
        ((0, 0), (0, 0), 10, Some((10, Limiter::Settings)), 2, 2),
        ((0, 0), (30, 0), 0, Some((30, Limiter::Type)), 2, 2),
        ((5, 0), (30, 0), 0, Some((5, Limiter::Event)), 2, 2),
        ((60, 0), (30, 0), 0, Some((60, Limiter::Event)), 2, 2),
        ((60, 0), (30, 0), 10, Some((10, Limiter::Settings)), 2, 2),
        ((5, 0), (30, 0), 10, Some((5, Limiter::Event)), 2, 2),
        ((10, 0), (0, 0), 10, Some((10, Limiter::Settings)), 2, 2),
        ((0, 1), (0, 9), 0, None, 1, 1),
        ((0, 0), (0, 9), 0, None, 9, 9),
        ((5, 60), (0, 0), 0, Some((5, Limiter::Event)), 60, 60),
        ((5, 60), (0, 0), 10, Some((5, Limiter::Event)), 7, 60),
        ((0, 60), (0, 0), 10, Some((10, Limiter::Settings)), 2, 60),
        ((0, 1), (0, 0), 10, Some((10, Limiter::Settings)), 1, 1),
    ];

    #[test]
    fn no_time_is_so_long_that_a_clock_cannot_add_it() {
        let endless = TimeLimit { timeout: Some(Duration::MAX), grace: Some(Duration::MAX) };
        for (of_type, cap) in [(endless, None), (TimeLimit::default(), Some(Duration::MAX)), (endless, Some(Duration::MAX))] {
            let bounds = bounds(endless, of_type, cap);
            let (time, _) = bounds.timeout.expect("a time");
            assert!(std::time::Instant::now().checked_add(time + bounds.timeout_grace + bounds.cancel_grace).is_some(), "{bounds:?}");
        }
    }

    #[test]
    fn who_binds_and_for_how_long() {
        for (event, of_type, cap, timeout, timeout_grace, cancel_grace) in TABLE {
            let cap = (*cap > 0).then(|| Duration::from_secs(*cap));
            let bounds = bounds(limit(event.0, event.1), limit(of_type.0, of_type.1), cap);
            let expected = Bounds {
                timeout: timeout.map(|(seconds, who)| (Duration::from_secs(seconds), who)),
                timeout_grace: Duration::from_secs(*timeout_grace),
                cancel_grace: Duration::from_secs(*cancel_grace),
            };
            assert_eq!(bounds, expected, "event {event:?}, type {of_type:?}, cap {cap:?}");
        }
    }
}
