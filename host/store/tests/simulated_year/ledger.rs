//! What an event owes: how many instants its schedules gave, counted beside the product from the schedule alone.
//!
//! Not what was run or skipped. What must hold: each count is made twice, by arithmetic and by walking, and both agree.

use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::Schedule;
use sexton_core::calendar::Calendars;

pub type Instant = DateTime<Utc>;
pub const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

/// Instants that were given before `since`, and how far the clock has come after it.
pub struct Ledger {
    before: i64,
    since: Instant,
    high: Instant,
    is_over: bool,
}

impl Ledger {
    pub fn new(since: Instant) -> Self {
        Self { before: 0, since, high: since, is_over: false }
    }

    /// Of an event that has one instant.
    pub fn of_one(since: Instant) -> Self {
        Self { before: 1, is_over: true, ..Self::new(since) }
    }

    /// The clock shows `wall`, and may be set back next.
    pub fn see(&mut self, wall: Instant) {
        self.high = self.high.max(wall);
    }

    /// Whether the clock has shown this time before.
    pub fn has_seen(&self, wall: Instant) -> bool {
        wall < self.high
    }

    /// Everything up to `until` is owed under this schedule; from `from` on the count begins anew.
    pub fn cut(&mut self, schedule: &Schedule, calendars: &Calendars, until: Instant, from: Instant) {
        assert!(self.is_over || until + MICROSECOND >= self.since, "counted to {until} after {}", self.since);
        self.before += self.count(schedule, calendars, until);
        (self.since, self.high) = (from, from);
    }

    /// As `cut`, for good.
    pub fn end(&mut self, schedule: &Schedule, calendars: &Calendars, until: Instant) {
        self.cut(schedule, calendars, until, until);
        self.is_over = true;
    }

    /// Owed by now.
    pub fn owed(&self, schedule: &Schedule, calendars: &Calendars, now: Instant) -> i64 {
        self.before + self.count(schedule, calendars, self.high.max(now))
    }

    fn count(&self, schedule: &Schedule, calendars: &Calendars, until: Instant) -> i64 {
        if self.is_over || until <= self.since {
            return 0;
        }
        if schedule.kind() == "after" {
            return 0;
        }
        let plan = schedule.plan(calendars).expect("a settled schedule");
        let counted = plan.count(self.since, until, i64::MAX).expect("countable");
        let (mut walked, mut at) = (0, self.since);
        while let Some(next) = plan.next_after(at).expect("walkable").filter(|next| *next <= until) {
            assert!(next > at, "instants rise");
            (walked, at) = (walked + 1, next);
        }
        assert_eq!(counted, walked, "counting agrees with walking: {schedule:?} from {} to {until}", self.since);
        counted
    }
}
