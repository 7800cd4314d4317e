//! Lengths of time as an author writes them: `std::time::Duration` and `chrono::Duration` alike.
//!
//! Not a parser. What must hold: a negative length counts as none; nothing here panics on overflow.

use std::time::Duration;

/// A length of time: `std::time::Duration` or `chrono::Duration` (which a negative value makes zero).
pub trait IntoSpan {
    /// The length.
    fn into_span(self) -> Duration;
}

impl IntoSpan for Duration {
    fn into_span(self) -> Duration {
        self
    }
}

impl IntoSpan for chrono::Duration {
    fn into_span(self) -> Duration {
        self.to_std().unwrap_or(Duration::ZERO)
    }
}

/// Whole milliseconds, rounded up so that a short wait is never none.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whole microseconds, rounded up.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The host's text form: one number and one unit, exact to the microsecond.
pub(crate) fn text(span: Duration) -> String {
    let micros = micros(span);
    for (unit, size) in [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)] {
        if micros.is_multiple_of(size) {
            return format!("{}{unit}", micros / size);
        }
    }
    format!("{micros}us")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_in_the_largest_unit() {
        for (span, expected) in [
            (Duration::from_secs(7200), "2h"),
            (Duration::from_secs(300), "5m"),
            (Duration::from_secs(90), "90s"),
            (Duration::from_millis(1500), "1500ms"),
            (Duration::from_micros(7), "7us"),
            (Duration::from_nanos(1), "1us"),
            (chrono::Duration::hours(12).into_span(), "12h"),
            (chrono::Duration::hours(-1).into_span(), "0h"),
        ] {
            assert_eq!(text(span), expected);
        }
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(micros(Duration::MAX), u64::MAX);
    }
}
