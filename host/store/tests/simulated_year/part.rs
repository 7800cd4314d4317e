//! One event of the year with what was seen of it.
//!
//! Not its rows. What must hold: what is noted here comes from claims and ends as the host saw them, never from the store's own counts.

use super::cast::Role;
use super::ledger::{Instant, Ledger};
use chrono::TimeDelta;
use sexton_core::{EventId, OccurrenceId, Schedule};
use std::collections::{HashMap, HashSet};

pub struct Part {
    pub id: EventId,
    pub role: Role,
    /// The schedule in force.
    pub schedule: Schedule,
    pub ledger: Ledger,
    /// Ordinals that the schedule did not give: run-nows and backfills.
    pub extras: HashSet<i64>,
    /// Ordinals whose run was cut off by a crash.
    pub interrupted: HashSet<i64>,
    /// Occurrences of the schedule that ended, each with the instant it was run for.
    pub ended: HashMap<i64, Instant>,
    /// Run-nows that were refused and counted, because something of it was going.
    pub refused: i64,
    /// Extras that ended.
    pub extras_ended: HashSet<i64>,
    /// Which occurrence started for an instant.
    pub started: HashMap<Instant, i64>,
    /// A clock set back has given instants of it again.
    pub is_rewound: bool,
    pub paused_at: Option<TimeDelta>,
    /// When the last occurrence ended, in elapsed time, and for how long since then something was in the way.
    pub last_end: Option<TimeDelta>,
    pub excuse: TimeDelta,
    pub history: Vec<String>,
}

impl Part {
    pub fn new(id: EventId, role: Role, schedule: Schedule, since: Instant) -> Self {
        Self {
            id,
            role,
            schedule,
            ledger: Ledger::new(since),
            extras: HashSet::new(),
            interrupted: HashSet::new(),
            ended: HashMap::new(),
            refused: 0,
            extras_ended: HashSet::new(),
            started: HashMap::new(),
            is_rewound: false,
            paused_at: None,
            last_end: None,
            excuse: TimeDelta::zero(),
            history: Vec::new(),
        }
    }

    pub fn note(&mut self, wall: Instant, what: impl std::fmt::Display) {
        self.history.push(format!("{wall} {what}"));
    }

    /// An occurrence of the schedule is started for the first time, or anew.
    pub fn starts(&mut self, id: OccurrenceId, meant: Instant, wall: Instant, elapsed: TimeDelta, is_first: bool) {
        if is_first && self.started.get(&meant) != Some(&id.n) {
            assert!(wall >= meant, "{id} started at {wall}, before its instant {meant}");
        }
        let other = self.started.insert(meant, id.n).filter(|other| *other != id.n);
        assert!(other.is_none() || self.is_rewound, "{meant} was given to {id} and to {other:?}");
        assert!(!self.ended.contains_key(&id.n), "{id} ended already");
        if let (Some(most), Some(end)) = (self.role.silence.filter(|_| is_first), self.last_end.take()) {
            let most = most + self.excuse + TimeDelta::minutes(2);
            let begins = self.schedule.terms.start.is_some_and(|start| meant - start < most);
            assert!(begins || elapsed - end <= most, "silent for {} before {id} at {wall}, at most {most}", elapsed - end);
        }
    }

    /// An occurrence of the schedule is over.
    pub fn ends(&mut self, n: i64, meant: Instant, elapsed: TimeDelta) {
        assert!(self.ended.insert(n, meant).is_none(), "{}.{n} ended twice", self.id);
        (self.last_end, self.excuse) = (Some(elapsed), TimeDelta::zero());
    }
}
