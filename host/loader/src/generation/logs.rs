//! The gate for log records of a plugin: by level, and by number.
//!
//! A plugin that logs in a tight loop must not fill the host's memory. What must hold: dropped records are counted, and the count is said once
//! per window.

use crate::seam::LogLine;
use chrono::Utc;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Records in a window, where nobody says otherwise.
pub(crate) const RECORDS_MAX: u32 = 2000;
const WINDOW: Duration = Duration::from_secs(1);
const WARN: u8 = 2;

/// What the gate says of a record.
pub(crate) enum Verdict {
    Pass,
    /// Passes, and so many before it did not: say so first.
    PassAfter(LogLine),
    Drop,
}

struct Window {
    since: Instant,
    passed: u32,
    dropped: u64,
}

/// One per generation.
pub(crate) struct Gate {
    most: u32,
    level: AtomicU8,
    window: Mutex<Window>,
}

impl Gate {
    /// So many records a window.
    pub(crate) fn of(most: u32) -> Self {
        Self { most, level: AtomicU8::new(3), window: Mutex::new(Window { since: Instant::now(), passed: 0, dropped: 0 }) }
    }

    pub(crate) fn set_level(&self, level: u8) {
        self.level.store(level, Ordering::Relaxed);
    }

    pub(crate) fn admit(&self, level: u8, now: Instant) -> Verdict {
        if level == 0 || level > self.level.load(Ordering::Relaxed) {
            return Verdict::Drop;
        }
        let mut window = self.window.lock();
        if now.saturating_duration_since(window.since) >= WINDOW {
            let dropped = std::mem::take(&mut window.dropped);
            *window = Window { since: now, passed: 1, dropped: 0 };
            return if dropped == 0 { Verdict::Pass } else { Verdict::PassAfter(self.line(dropped)) };
        }
        if window.passed >= self.most {
            window.dropped += 1;
            return Verdict::Drop;
        }
        window.passed += 1;
        Verdict::Pass
    }

    /// What is still unsaid at the end.
    pub(crate) fn dropped_line(&self) -> Option<LogLine> {
        let dropped = std::mem::take(&mut self.window.lock().dropped);
        (dropped > 0).then(|| self.line(dropped))
    }

    fn line(&self, dropped: u64) -> LogLine {
        LogLine {
            at: Utc::now(),
            run: 0,
            level: WARN,
            target: "sexton_loader".to_owned(),
            message: format!("{dropped} log records of this plugin were dropped: more than {} within a second", self.most),
            spans: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted_once() {
        let gate = Gate::of(RECORDS_MAX);
        let start = Instant::now();
        let passed = (0..RECORDS_MAX * 2).filter(|_| matches!(gate.admit(3, start), Verdict::Pass)).count();
        assert_eq!(passed, RECORDS_MAX as usize);
        let Verdict::PassAfter(said) = gate.admit(3, start + WINDOW) else { panic!("the count is said") };
        assert!(said.message.starts_with("2000 "), "{}", said.message);
        assert!(matches!(gate.admit(3, start + WINDOW), Verdict::Pass));
        assert!(gate.dropped_line().is_none());
    }

    #[test]
    fn what_is_above_the_level_is_cut_without_a_count() {
        let gate = Gate::of(RECORDS_MAX);
        let now = Instant::now();
        assert!(matches!(gate.admit(4, now), Verdict::Drop) && matches!(gate.admit(0, now), Verdict::Drop));
        gate.set_level(5);
        assert!(matches!(gate.admit(5, now), Verdict::Pass));
        assert!(gate.dropped_line().is_none());
    }
}
