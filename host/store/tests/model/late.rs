//! What has to become of an occurrence that is found late: the rules of misfires, said once more over a list of instants.
//!
//! Not the product's `decide::late`, which does it by arithmetic. What must hold: written from the design, by walking.

use super::book::Row;
use super::timing::{DAY, Micros, Rule, SECOND, Timing};
use sexton_core::decide::SkipReason;
use sexton_core::schedule::Misfire;

/// With `all`, so many are made up for, the newest.
const MOST: usize = 1_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    Run,
    RunFor { meant: Micros, counted_to: Option<Micros>, skipped: Vec<(SkipReason, Micros)> },
    Skip { successor: Option<Micros>, skipped: Vec<(SkipReason, Micros)> },
}

/// Who was away until when.
#[derive(Clone, Copy, Debug)]
pub struct Away {
    pub host_since: Micros,
    pub type_since: Micros,
    pub otherwise: SkipReason,
}

impl Away {
    pub fn always(otherwise: SkipReason) -> Self {
        Self { host_since: Micros::MIN, type_since: Micros::MIN, otherwise }
    }

    fn of(&self, instant: Micros) -> SkipReason {
        if instant <= self.host_since {
            SkipReason::Downtime
        } else if instant <= self.type_since {
            SkipReason::Unresolved
        } else {
            self.otherwise
        }
    }
}

/// Judges it.
pub fn judge(timing: &Timing, row: &Row, away: &Away, now: Micros) -> Judged {
    let own = row.meant;
    let is_expired = timing.expires.is_some_and(|expires| now - own > expires);
    if now - row.due.max(own) <= 60 * SECOND && !is_expired {
        return Judged::Run;
    }
    match timing.rule {
        Rule::Once(_) | Rule::Manual if is_expired => Judged::Skip { successor: None, skipped: vec![(SkipReason::Expired, own)] },
        Rule::Once(_) | Rule::Manual => Judged::Run,
        Rule::After(_) if is_expired => Judged::Skip { successor: timing.next_after(now), skipped: vec![(SkipReason::Expired, own)] },
        Rule::After(_) if timing.misfire == Misfire::Skip => {
            Judged::Skip { successor: timing.next_after(now), skipped: vec![(away.of(own), own)] }
        }
        Rule::After(_) => Judged::Run,
        // Judged before: it stands for all that was missed then.
        _ if row.counted_to.is_some() && !is_expired => Judged::Run,
        _ => of_a_grid(timing, row, away, now),
    }
}

fn of_a_grid(timing: &Timing, row: &Row, away: &Away, now: Micros) -> Judged {
    let counted = row.accounted();
    let mut open = vec![row.meant];
    open.extend(timing.within(counted, now));
    let window = timing.catch_up.unwrap_or(DAY);
    let (reach, too_old) = match timing.expires {
        Some(expires) if expires < window => (expires, SkipReason::Expired),
        _ => (window, SkipReason::CatchUp),
    };
    let is_too_old = |instant: Micros| instant < now - reach;
    let is_too_many = |place: usize| timing.misfire == Misfire::All && place + MOST < open.len();
    let why = |place: usize| match open[place] {
        instant if is_too_old(instant) => (too_old, instant),
        instant if is_too_many(place) => (SkipReason::CatchUp, instant),
        instant => (away.of(instant), instant),
    };
    let chosen = match timing.misfire {
        Misfire::Skip => None,
        Misfire::Latest => Some(open.len() - 1).filter(|place| !is_too_old(open[*place])),
        Misfire::Earliest | Misfire::All => (0..open.len()).find(|place| !is_too_old(open[*place]) && !is_too_many(*place)),
    };
    let Some(chosen) = chosen else {
        // A clock set back must not repeat what is counted.
        return Judged::Skip { successor: timing.next_after(now.max(counted)), skipped: (0..open.len()).map(why).collect() };
    };
    // With `all` the later ones have their own runs.
    let passed = |place: &usize| *place < chosen || (*place > chosen && timing.misfire == Misfire::Earliest);
    let skipped = (0..open.len()).filter(passed).map(why).collect();
    let counted_to = (timing.misfire == Misfire::Earliest).then_some(now);
    if chosen == 0 && timing.misfire != Misfire::Earliest {
        return Judged::Run;
    }
    Judged::RunFor { meant: open[chosen], counted_to, skipped }
}
