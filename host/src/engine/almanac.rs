//! The almanac: calendars as schedules see them, zone data that changes while the host runs, and clock steps.
//!
//! Not the rules of any of them. What must hold: every question about a schedule sees a calendar at once after the verb that stored it was
//! answered; only events in zones whose rules changed are planned again, a page at a time, so that no run waits for it.

use crate::clock;
use crate::engine::alerts;
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::problem;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::schedule::zone::{self, ZoneRules};
use sexton_core::{EventId, Refusal};
use sexton_store::StoreError;
use sexton_store::rows::Actor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Between two looks at the zone data.
const LOOK: Duration = Duration::from_secs(15);
/// Events that one transaction plans again.
const PAGE: usize = 200;
/// Between two pages, so that the writer is free for others.
const BREATH: Duration = Duration::from_millis(5);
/// Rows that one transaction looks at after a step of the clock.
const CLOCK_PAGE: usize = 1_000;
/// A smaller change of the clock is its daily correction.
const STEP_LEAST: TimeDelta = TimeDelta::seconds(1);
/// Two readings of a clock with one of the other between them lie nearer than this, but for a thread that was held up.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Occurrences that one backfill stores at most.
pub const BACKFILL_MAX: usize = 10_000;

/// What the almanac's thread is told.
#[derive(Debug)]
pub enum Page {
    /// Look now.
    Look,
    /// Nothing more.
    End,
}

/// What a backfill stores, or would store.
#[derive(Clone, Debug, Serialize)]
pub struct Backfill {
    /// The instants, rising.
    pub instants: Vec<DateTime<Utc>>,
    /// Whether they were stored.
    pub stored: bool,
}

/// Looks at zone data and at alerts every quarter of a minute, and when it is told to.
pub fn run(shared: &Shared, pages: &Receiver<Page>) {
    loop {
        if let Err(error) = look(shared) {
            tracing::warn!(%error, "the zones could not be looked at; trying again soon");
        }
        alerts::look(shared);
        match pages.recv_timeout(LOOK) {
            Ok(Page::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Page::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Compares the rules of the zones in use with those that their events were planned by, and plans again what differs.
fn look(shared: &Shared) -> Result<(), StoreError> {
    if zone::refresh() {
        tracing::info!(tzdata = zone::tzdata_version(), "the zone data changed");
    }
    for row in shared.store.zones()? {
        // A zone that has gone from the zone data: its events say so when they are asked.
        let Ok(rules) = ZoneRules::of(&row.tz, clock::now()) else { continue };
        let agrees = row.planned_by.as_ref().map(|planned_by| planned_by.agrees_with(&rules));
        match agrees {
            Some(true) if !row.is_passing => {}
            None if !row.is_passing => shared.store.note_zone(&shared.lease, &row.tz, &rules)?,
            _ => plan_again(shared, &row.tz, &rules)?,
        }
    }
    Ok(())
}

fn plan_again(shared: &Shared, tz: &str, rules: &ZoneRules) -> Result<(), StoreError> {
    tracing::info!(tz, "the rules of the zone changed: its events are planned again");
    let mut moved = 0;
    loop {
        if shared.stopping.load(Ordering::SeqCst) {
            // What is left is done at the next start.
            return Ok(());
        }
        let page = shared.store.replan_zone(&shared.lease, tz, rules, PAGE, clock::now())?;
        moved += page.moved;
        let _ = shared.door.send(Message::Due(clock::now()));
        if page.is_done {
            tracing::info!(tz, moved, "the events of the zone are planned by its new rules");
            return Ok(());
        }
        std::thread::sleep(BREATH);
    }
}

impl Shared {
    /// The calendars of this moment.
    #[must_use]
    pub fn calendars(&self) -> Arc<Calendars> {
        Arc::clone(&self.almanac.calendars.read())
    }

    /// Reads them from the store.
    pub fn read_calendars(&self) -> Result<(), Refusal> {
        let mut read = Calendars::new();
        for row in self.store.calendars().map_err(|e| problem::from_store(&e))? {
            read.insert(&row.name, Arc::new(row.calendar))?;
        }
        *self.almanac.calendars.write() = Arc::new(read);
        Ok(())
    }
}

/// Stores a calendar; answers how many events moved.
pub fn set_calendar(shared: &Shared, name: &str, calendar: &Calendar, by: &Actor) -> Result<i64, Refusal> {
    let _one_at_a_time = shared.almanac.changing.lock();
    let moved = shared.store.set_calendar(&shared.lease, name, calendar, by, clock::now()).map_err(|e| problem::from_store(&e))?;
    shared.read_calendars()?;
    shared.door.send(Message::Due(clock::now()))?;
    Ok(moved)
}

/// Forgets a calendar; answers whether it was there.
pub fn remove_calendar(shared: &Shared, name: &str, by: &Actor) -> Result<bool, Refusal> {
    let _one_at_a_time = shared.almanac.changing.lock();
    let removed = shared.store.remove_calendar(&shared.lease, name, by, clock::now()).map_err(|e| problem::from_store(&e))?;
    shared.read_calendars()?;
    Ok(removed)
}

/// Finds the instants of an event's schedule in `(from, to]` and, unless it is only asked, stores an occurrence for each.
pub fn backfill(
    shared: &Shared,
    id: EventId,
    range: (DateTime<Utc>, DateTime<Utc>),
    dry_run: bool,
    by: &Actor,
) -> Result<Backfill, Refusal> {
    let (from, to) = range;
    let event = shared.store.event(id).map_err(|e| problem::from_store(&e))?.ok_or_else(|| super::alter::no_such_event(id))?;
    let instants = instants(shared, &event.wish.schedule, from, to)?;
    if !dry_run && !instants.is_empty() {
        shared.store.backfill(&shared.lease, id, &instants, by, clock::now()).map_err(|e| problem::from_store(&e))?;
        shared.door.send(Message::Due(clock::now()))?;
    }
    Ok(Backfill { stored: !dry_run && !instants.is_empty(), instants })
}

fn instants(
    shared: &Shared,
    schedule: &sexton_core::Schedule,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, Refusal> {
    use sexton_core::Blame;
    if to < from {
        return Err(Refusal::new("INP028", Blame::Input, "the range ends before it begins").found(format!("{from} to {to}")));
    }
    if to > clock::now() {
        return Err(Refusal::new("INP028", Blame::Input, "the range ends in the future")
            .expected("a range of the past")
            .remedy("what is to come is run by the schedule itself; `event run-now` runs one at once"));
    }
    if !schedule.recurs() || schedule.kind() == "after" {
        return Err(Refusal::new(
            "INP028",
            Blame::Input,
            format!("a schedule of the kind `{}` has no instants of the past", schedule.kind()),
        )
        .expected("a schedule on a grid, a cron expression or a recurrence rule"));
    }
    let calendars = shared.calendars();
    let plan = schedule.plan(&calendars)?;
    let most = i64::try_from(BACKFILL_MAX).unwrap_or(i64::MAX);
    let before = from - TimeDelta::microseconds(1);
    let count = plan.count(before, to, most + 1)?;
    if count > most {
        return Err(Refusal::new("INP028", Blame::Input, "the range holds too many occurrences")
            .expected(format!("at most {BACKFILL_MAX} at once"))
            .remedy("give a shorter range, several times"));
    }
    let mut found = plan.upcoming(before, usize::try_from(count).unwrap_or(0))?;
    found.retain(|at| *at <= to);
    Ok(found)
}

/// How far the wall clock is from the boot clock, to see when it is set.
#[derive(Debug)]
pub struct ClockWatch {
    offset: TimeDelta,
}

impl ClockWatch {
    /// As the clocks stand.
    #[must_use]
    pub fn start() -> Self {
        Self { offset: offset() }
    }

    /// By how much the clock was set since the last look; nothing for the small corrections that keep it right.
    pub fn step(&mut self) -> Option<TimeDelta> {
        self.step_to(offset())
    }

    fn step_to(&mut self, offset: TimeDelta) -> Option<TimeDelta> {
        let step = offset - self.offset;
        self.offset = offset;
        (step.abs() >= STEP_LEAST).then_some(step)
    }
}

fn offset() -> TimeDelta {
    offset_by(clock::boot_time, clock::now)
}

/// Two clocks cannot be read at once: whoever is stopped between the two readings would see a step. So the first is read again, and what
/// took too long is thrown away.
fn offset_by(mut boot_time: impl FnMut() -> Duration, mut now: impl FnMut() -> DateTime<Utc>) -> TimeDelta {
    loop {
        let (before, wall, after) = (boot_time(), now(), boot_time());
        if after.saturating_sub(before) < AT_ONCE {
            return wall - DateTime::UNIX_EPOCH - TimeDelta::from_std(before).unwrap_or_default();
        }
    }
}

/// After a step of the clock: waits keep their length, and what follows elapsed time goes on in it.
pub fn stepped(shared: &Shared, step: TimeDelta) {
    shared.almanac.clock_steps.fetch_add(1, Ordering::Relaxed);
    let (forward, seconds) = (step > TimeDelta::zero(), step.abs().as_seconds_f64());
    tracing::warn!(
        seconds,
        forward,
        "the clock was set: fixed times do not come twice, elapsed rhythms go on, what it jumped over is downtime"
    );
    let moved = shared.store.move_retries(&shared.lease, step).and_then(|retries| {
        if forward {
            return Ok((retries, 0));
        }
        let (mut moved, mut after) = (0, None);
        loop {
            let page = shared.store.clock_set_back(&shared.lease, -step, after, CLOCK_PAGE, clock::now())?;
            moved += page.moved;
            after = page.last;
            if after.is_none() {
                return Ok((retries, moved));
            }
        }
    });
    match moved {
        Ok((retries, occurrences)) => tracing::info!(retries, occurrences, "what waits was moved with the clock"),
        Err(error) => tracing::warn!(%error, "what waits could not be moved with the clock: it comes at its old instants"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_a_correction() {
        let mut watch = ClockWatch { offset: TimeDelta::zero() };
        assert_eq!(watch.step_to(TimeDelta::milliseconds(900)), None);
        assert_eq!(watch.step_to(TimeDelta::milliseconds(1_800)), None, "corrections may add up");
        assert_eq!(watch.step_to(TimeDelta::milliseconds(3_600_000 + 1_800)), Some(TimeDelta::hours(1)));
        assert_eq!(watch.step_to(TimeDelta::milliseconds(1_800)), Some(-TimeDelta::hours(1)));
        assert!(ClockWatch::start().step().is_none());
    }

    #[test]
    fn being_stopped_between_two_readings_is_no_step() {
        let at = |seconds: i64| DateTime::from_timestamp(1_000_000 + seconds, 0).expect("a time");
        // Held up for ten minutes after the first reading, and then not.
        let mut boots = [100, 700, 700, 700].into_iter().map(Duration::from_secs);
        let mut walls = [at(700), at(700)].into_iter();
        let offset = offset_by(|| boots.next().expect("read twice each time"), || walls.next().expect("read once each time"));
        assert_eq!(offset, TimeDelta::seconds(1_000_000));
    }
}
