//! The model: events and what is left of them to run, as plain values; and the account of every instant that a schedule gave.
//!
//! Not rows and not SQL. What must hold: no instant is counted twice (`account`), no ordinal is given twice (`give`).

use super::late::Judged;
use super::timing::{Micros, Rule, Timing};
use super::verdict::Verdict;
use sexton_core::decide::SkipReason;
use sexton_core::{Cause, EventId, EventState, Outcome};
use std::collections::{BTreeMap, HashMap};

/// Where an occurrence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Waiting,
    Claimed(i64),
    Held,
    Dead,
}

/// An occurrence.
#[derive(Clone, Debug)]
pub struct Row {
    pub by_schedule: bool,
    pub meant: Micros,
    /// Not before this.
    pub due: Micros,
    /// Nor after this: what is scattered is taken as the store has it, once it was seen to be within.
    pub due_most: Micros,
    pub counted_to: Option<Micros>,
    pub cause: Cause,
    pub attempt: u32,
    pub interruptions: u32,
    pub place: Place,
    /// Under which count of instants it was given.
    pub era: u32,
}

impl Row {
    pub fn is_live(&self) -> bool {
        self.place != Place::Dead
    }

    /// Tried already, so that an edit or a return leaves it be.
    pub fn is_tried(&self) -> bool {
        self.cause != Cause::Schedule || self.interruptions > 0
    }

    /// Up to where its instants are accounted for.
    pub fn accounted(&self) -> Micros {
        self.counted_to.map_or(self.meant, |to| to.max(self.meant))
    }

    pub fn due_at(&mut self, due: Micros) {
        (self.due, self.due_most) = (due, due);
    }
}

/// A run that was.
pub type Ran = (i64, u32, Outcome, Micros);

/// An event.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: EventId,
    pub of_type: usize,
    pub timing: Timing,
    pub key: Option<u8>,
    pub is_standing: bool,
    pub note: u8,
    pub attempts: u32,
    pub priority: i32,
    pub skips_overlaps: bool,
    pub state: EventState,
    pub finished: Option<Micros>,
    pub last_n: i64,
    /// Occurrences of the schedule that ended.
    pub given: u32,
    pub rows: BTreeMap<i64, Row>,
    pub skips: BTreeMap<SkipReason, i64>,
    /// With the number of each among all runs.
    pub runs: Vec<(u64, Ran)>,
    pub is_pruned: bool,
    /// The count of instants begins anew when the schedule is changed, or a clock set back gives them again.
    pub era: u32,
    since: Micros,
    fates: HashMap<(u32, Micros), &'static str>,
}

impl Entry {
    pub fn new(id: EventId, wish: &super::ops::Wish, timing: Timing, is_standing: bool, now: Micros) -> Self {
        let mut entry = Self {
            id,
            of_type: wish.of_type,
            timing,
            key: wish.key,
            is_standing,
            note: wish.note,
            attempts: wish.attempts,
            priority: wish.priority,
            skips_overlaps: wish.skips_overlaps,
            state: EventState::Scheduled,
            finished: None,
            last_n: 0,
            given: 0,
            rows: BTreeMap::new(),
            skips: BTreeMap::new(),
            runs: Vec::new(),
            is_pruned: false,
            era: 0,
            since: now,
            fates: HashMap::new(),
        };
        if let Some(first) = timing.first(now) {
            entry.give(Cause::Schedule, first, first);
        }
        entry
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, EventState::Scheduled | EventState::Paused)
    }

    /// Another occurrence, under the next ordinal.
    pub fn give(&mut self, cause: Cause, meant: Micros, due: Micros) {
        self.last_n += 1;
        let place = if self.state == EventState::Paused { Place::Held } else { Place::Waiting };
        let row = Row {
            by_schedule: cause == Cause::Schedule,
            meant,
            due,
            due_most: due,
            counted_to: None,
            cause,
            attempt: 1,
            interruptions: 0,
            place,
            era: self.era,
        };
        self.rows.insert(self.last_n, row);
    }

    /// The schedule's next one.
    pub fn give_next(&mut self, at: Micros) {
        self.give(Cause::Schedule, at, at);
    }

    /// Live occurrences of the schedule.
    pub fn given_rows(&self) -> Vec<i64> {
        self.rows.iter().filter(|(_, row)| row.by_schedule && row.is_live()).map(|(n, _)| *n).collect()
    }

    /// Live occurrences but one.
    pub fn others(&self, n: i64) -> usize {
        self.rows.iter().filter(|(other, row)| **other != n && row.is_live()).count()
    }

    /// The count of instants begins anew.
    pub fn begin_era(&mut self, since: Micros) {
        self.era += 1;
        self.since = since;
    }

    /// What became of an instant: known once.
    pub fn account(&mut self, era: u32, instant: Micros, fate: &'static str) -> Verdict {
        match self.fates.insert((era, instant), fate) {
            Some(before) => Err(format!("{}: the instant {instant} is {before}, and then {fate}", self.id)),
            None => Ok(()),
        }
    }

    /// An instant that had its run is to have it again.
    pub fn take_back(&mut self, era: u32, instant: Micros) {
        self.fates.remove(&(era, instant));
    }

    /// Instants that nobody runs.
    pub fn skip(&mut self, era: u32, skipped: &[(SkipReason, Micros)]) -> Verdict {
        for (reason, instant) in skipped {
            *self.skips.entry(*reason).or_default() += 1;
            self.account(era, *instant, reason.word())?;
        }
        Ok(())
    }

    /// Writes down what was decided about an occurrence found late.
    pub fn take(&mut self, n: i64, judged: &Judged, now: Micros) -> Verdict {
        match judged {
            Judged::Run => Ok(()),
            Judged::RunFor { meant, counted_to, skipped } => {
                let (era, own) = (self.era, self.rows[&n].meant);
                self.skip_from(n, skipped)?;
                let row = self.rows.get_mut(&n).expect("there");
                row.era = if *meant == own { row.era } else { era };
                (row.meant, row.counted_to) = (*meant, *counted_to);
                Ok(())
            }
            Judged::Skip { successor, skipped } => {
                self.skip_from(n, skipped)?;
                self.rows.remove(&n);
                match successor {
                    Some(at) => self.give_next(*at),
                    None => self.end_unrun(now),
                }
                Ok(())
            }
        }
    }

    /// The row's own instant belongs to the era it was given in, all others to the present one.
    fn skip_from(&mut self, n: i64, skipped: &[(SkipReason, Micros)]) -> Verdict {
        let (own, own_era) = (self.rows[&n].meant, self.rows[&n].era);
        for (reason, instant) in skipped {
            let era = if *instant == own { own_era } else { self.era };
            self.skip(era, &[(*reason, *instant)])?;
        }
        Ok(())
    }

    /// The schedule gives nothing any more, and not by the end of a run.
    pub fn end_unrun(&mut self, now: Micros) {
        if self.is_open() && self.others(0) == 0 {
            self.state = if self.timing.recurs() { EventState::Completed } else { EventState::Discarded };
            self.finished = Some(now);
        }
    }

    /// Nothing is lost: what lies before the occurrence that waits, or before the end, has its fate.
    pub fn check_account(&self) -> Verdict {
        let live = self.rows.values().find(|row| row.by_schedule && row.is_live());
        let until = match live {
            Some(row) if row.era == self.era => row.meant - 1,
            None if self.is_open() || self.state == EventState::Completed => match self.timing.end {
                Some(end) if self.timing.max_runs.is_none() => end,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        let owed = if let Rule::Once(_) = self.timing.rule { Vec::new() } else { self.timing.within(self.since, until) };
        match owed.into_iter().find(|instant| !self.fates.contains_key(&(self.era, *instant))) {
            Some(lost) => Err(format!("{}: the instant {lost} was given, and is neither run nor waits nor is counted as skipped", self.id)),
            None => Ok(()),
        }
    }
}

/// All events, by the order in which they were stored.
#[derive(Debug, Default)]
pub struct Book {
    pub entries: Vec<Entry>,
    /// Runs recorded, pruned ones included.
    pub run_count: u64,
}

impl Book {
    pub fn find(&self, id: EventId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id && !entry.is_pruned)
    }

    pub fn find_mut(&mut self, id: EventId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id && !entry.is_pruned)
    }

    /// The open event that has a key.
    pub fn holder(&self, of_type: usize, key: Option<u8>) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.of_type == of_type && key.is_some() && entry.key == key && entry.is_open() && !entry.is_pruned)
    }

    /// Deletes the runs that ended before an instant, but for those of an occurrence that is not over, and then events that ended and have none left.
    pub fn prune(&mut self, before: Micros) -> i64 {
        let mut gone = 0;
        for entry in &mut self.entries {
            let had = entry.runs.len();
            let rows = &entry.rows;
            entry.runs.retain(|(_, ran)| ran.3 >= before || rows.get(&ran.0).is_some_and(Row::is_live));
            gone += had - entry.runs.len();
            let is_over = !entry.is_pruned && !entry.is_open() && entry.finished.is_some_and(|at| at < before);
            if is_over && entry.runs.is_empty() && entry.rows.values().all(|row| !row.is_live()) {
                entry.is_pruned = true;
                gone += 1;
            }
        }
        i64::try_from(gone).expect("few")
    }

    /// A run was recorded.
    pub fn record(&mut self, id: EventId, ran: Ran) {
        let number = self.run_count + 1;
        if let Some(entry) = self.find_mut(id) {
            entry.runs.push((number, ran));
            self.run_count = number;
        }
    }
}
