//! What becomes of an occurrence that is found late: the misfire policy, the catch-up window, and what expired.
//!
//! Not a writer: the store asks when it claims a row, and when an event is resumed. What must hold: every instant from the one the row was
//! meant for up to now is run, left for a later run, or counted once as skipped; one claim runs one occurrence at most, so that no return is
//! a flood.

use super::SKIPPED_MAX;
use super::newest;
use super::skips::{Absence, SkipReason, Skips};
use crate::refusal::Refusal;
use crate::schedule::{Misfire, Plan, Rule, Schedule, instant};
use chrono::{DateTime, TimeDelta, Utc};

/// An occurrence that starts within so long after it was due is in time.
pub const GRACE: TimeDelta = TimeDelta::seconds(60);
/// With the policy `all` no more than so many missed occurrences are run, the newest.
pub const ALL_MAX: i64 = 1_000;

type Instant = DateTime<Utc>;

/// What is to be done with a late occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late {
    /// Run it as it is.
    Run,
    /// Run one for this instant; what was passed over is counted.
    RunFor {
        /// The instant it is meant for now.
        scheduled_for: Instant,
        /// The instants up to this one are accounted for: the successor lies after it. `None`: up to `scheduled_for`.
        counted_to: Option<Instant>,
        /// What was passed over.
        skips: Skips,
    },
    /// Do not run it.
    Skip {
        /// The schedule's next occurrence; `None`: it has none, the event is over.
        successor: Option<Instant>,
        /// What was passed over, this occurrence included.
        skips: Skips,
    },
}

/// A row as it is found, not started before.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The instant it is meant for.
    pub scheduled_for: Instant,
    /// When it is due.
    pub due_at: Instant,
    /// Judged before, and accounted for up to here.
    pub counted_to: Option<Instant>,
}

/// Judges a row that the schedule gave and that was not started yet.
pub fn when_found(schedule: &Schedule, plan: &Plan<'_>, found: &Found, absence: &Absence, now: Instant) -> Result<Late, Refusal> {
    judge(schedule, plan, found, absence, Instant::MIN_UTC, now)
}

/// The same for a row that had waited behind an earlier one: it is late from when it was let go, which is when it was due; what passed
/// until then was held up as it was.
pub fn when_found_queued(schedule: &Schedule, plan: &Plan<'_>, found: &Found, absence: &Absence, now: Instant) -> Result<Late, Refusal> {
    judge(schedule, plan, found, absence, found.due_at, now)
}

/// The same for a row whose successor is there already: it concerns its own instant, and what came after it is the successor's. Where one run
/// makes up for all that was missed, that is the successor's, too.
pub fn when_found_followed(schedule: &Schedule, found: &Found, absence: &Absence, now: Instant) -> Late {
    let terms = &schedule.terms;
    let (now, own) = (instant::to_micros(now), found.scheduled_for);
    let age = now - own;
    let is_older = |than: TimeDelta| age > than;
    let skip = |reason| Late::Skip { successor: None, skips: Skips::of(reason, 1) };
    if terms.expires.and_then(|expires| TimeDelta::from_std(expires).ok()).is_some_and(is_older) {
        return skip(SkipReason::Expired);
    }
    if now - found.due_at.max(own) <= GRACE {
        return Late::Run;
    }
    if is_older(TimeDelta::from_std(terms.window()).unwrap_or(TimeDelta::MAX)) {
        return skip(SkipReason::CatchUp);
    }
    match terms.misfire {
        Misfire::All | Misfire::Earliest => Late::Run,
        Misfire::Latest | Misfire::Skip => skip(absence.of(own)),
    }
}

fn judge(schedule: &Schedule, plan: &Plan<'_>, found: &Found, absence: &Absence, held: Instant, now: Instant) -> Result<Late, Refusal> {
    let terms = &schedule.terms;
    let (now, own) = (instant::to_micros(now), found.scheduled_for);
    let expires = terms.expires.and_then(|expires| TimeDelta::from_std(expires).ok());
    let is_expired = expires.is_some_and(|expires| now - own > expires);
    // A row that was judged before keeps the due time of the instant it was meant for then.
    if now - found.due_at.max(own) <= GRACE && !is_expired {
        return Ok(Late::Run);
    }
    if !schedule.recurs() {
        let expired = Late::Skip { successor: None, skips: Skips::of(SkipReason::Expired, 1) };
        return Ok(if is_expired { expired } else { Late::Run });
    }
    if let Rule::After { .. } = schedule.rule {
        // Its one occurrence waits for its run, however long that takes.
        let reason = if is_expired { Some(SkipReason::Expired) } else { None };
        return match reason.or_else(|| (terms.misfire == Misfire::Skip).then(|| absence.of(own))) {
            Some(reason) => Ok(Late::Skip { successor: plan.next_after(now)?, skips: Skips::of(reason, 1) }),
            None => Ok(Late::Run),
        };
    }
    if found.counted_to.is_some() && !is_expired {
        return Ok(Late::Run);
    }
    let window = TimeDelta::from_std(terms.window()).unwrap_or(TimeDelta::MAX);
    let (reach, too_old) = match expires {
        Some(expires) if expires < window => (expires, SkipReason::Expired),
        _ => (window, SkipReason::CatchUp),
    };
    let floor = now.checked_sub_signed(reach).map_or(Instant::MIN_UTC, before);
    let counted = found.counted_to.map_or(own, |to| to.max(own));
    let missed = Missed { plan, own, counted, absence, held, now, floor, too_old, cap: Instant::MIN_UTC };
    match terms.misfire {
        Misfire::Skip => missed.none(),
        Misfire::Latest => missed.latest(),
        Misfire::Earliest => missed.earliest(),
        Misfire::All => Missed { cap: missed.floor_of_newest()?, ..missed }.all(),
    }
}

/// The instant just before.
fn before(instant: Instant) -> Instant {
    instant.checked_sub_signed(TimeDelta::microseconds(1)).unwrap_or(Instant::MIN_UTC)
}

/// What is open: the row's own instant, whether or not the schedule still gives it (a zone's rules changed, or a calendar), and the
/// instants of the schedule after `counted`, up to `now`.
struct Missed<'a> {
    plan: &'a Plan<'a>,
    own: Instant,
    counted: Instant,
    absence: &'a Absence,
    /// What lies at or before this instant was held back by an earlier run, and by nobody's absence.
    held: Instant,
    now: Instant,
    /// What lies at or before this instant is too old to be run.
    floor: Instant,
    too_old: SkipReason,
    /// What lies at or before this instant is more than is made up for.
    cap: Instant,
}

impl Missed<'_> {
    fn none(&self) -> Result<Late, Refusal> {
        // A clock that was set back must not repeat what is counted.
        Ok(Late::Skip { successor: self.plan.next_after(self.now.max(self.counted))?, skips: self.own_and(self.now)? })
    }

    fn latest(&self) -> Result<Late, Refusal> {
        let last = self.plan.latest(self.counted, self.now)?.unwrap_or(self.own);
        if last <= self.floor {
            return self.none();
        }
        if last == self.own {
            return Ok(Late::Run);
        }
        Ok(Late::RunFor { scheduled_for: last, counted_to: None, skips: self.own_and(before(last))? })
    }

    fn earliest(&self) -> Result<Late, Refusal> {
        let Some((first, mut skips)) = self.first_above(self.floor)? else { return self.none() };
        self.pass(&mut skips, first.max(self.counted), self.now)?;
        Ok(Late::RunFor { scheduled_for: first, counted_to: Some(self.now), skips })
    }

    fn all(&self) -> Result<Late, Refusal> {
        let Some((first, skips)) = self.first_above(self.floor.max(self.cap))? else { return self.none() };
        Ok(if first == self.own { Late::Run } else { Late::RunFor { scheduled_for: first, counted_to: None, skips } })
    }

    /// The first instant above a floor, with what lies below it.
    fn first_above(&self, floor: Instant) -> Result<Option<(Instant, Skips)>, Refusal> {
        if self.own > floor {
            return Ok(Some((self.own, Skips::default())));
        }
        let first = self.plan.next_within(floor.max(self.counted), self.now)?;
        first.map(|first| Ok((first, self.own_and(before(first))?))).transpose()
    }

    /// The row's own instant and those up to `until`, passed over.
    fn own_and(&self, until: Instant) -> Result<Skips, Refusal> {
        let reason = match self.own {
            own if own <= self.floor => self.too_old,
            own if own <= self.cap => SkipReason::CatchUp,
            own if own <= self.held => SkipReason::Overlap,
            own => self.absence.of(own),
        };
        let mut skips = Skips::of(reason, 1);
        self.pass(&mut skips, self.counted, until)?;
        Ok(skips)
    }

    /// Counts the instants in `(after, until]`: those that are too old, those that are too many, and the others by who was away.
    fn pass(&self, skips: &mut Skips, after: Instant, until: Instant) -> Result<(), Refusal> {
        if until <= after {
            return Ok(());
        }
        let floor = self.floor.clamp(after, until);
        let cap = self.cap.clamp(floor, until);
        let held = self.held.clamp(cap, until);
        let over = [(self.too_old, after, floor), (SkipReason::CatchUp, floor, cap), (SkipReason::Overlap, cap, held)];
        for (reason, from, to) in over.into_iter().chain(self.absence.stretches(held, until)) {
            skips.add(reason, self.plan.count(from, to, SKIPPED_MAX)?);
        }
        Ok(())
    }

    /// The instant above which no more than [`ALL_MAX`] missed ones lie.
    fn floor_of_newest(&self) -> Result<Instant, Refusal> {
        // The row's own instant is one of them.
        if self.plan.count(self.counted, self.now, ALL_MAX)? < ALL_MAX {
            return Ok(before(self.own));
        }
        newest::floor(self.plan, before(self.counted), self.now, ALL_MAX)
    }
}
