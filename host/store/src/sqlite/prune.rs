//! Deleting what was kept long enough, in steps that do not hold up the writer.
//!
//! Not the rules (`sexton_core::retention`). What must hold: nothing open is deleted, no run of an occurrence that is not over, and no event
//! whose runs are kept; a step looks at a bounded number of rows beside the writer, and deletes a bounded number in a bounded time on it.

use super::codec::{is_open, micros, outcome_of, row, state_of};
use super::counters::{DEAD_LETTERS, RUNS};
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{PrunePlace, Pruned, Pruning, Spent};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::{EventState, Outcome};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, StoreError>;

/// Runs or events that one step looks at, by number, beside the writer.
const LOOK: usize = 5_000;
/// After so long a step stops deleting, wherever it is: others wait for the writer.
const STEP_TIME: Duration = Duration::from_millis(20);
/// Rows between two looks at the clock.
const CLOCK_EVERY: usize = 32;

/// The text that looks at runs: by number alone, which is the order of their settlement.
pub(super) const LOOK_AT_RUNS: &str = "SELECT id, event, n, type, outcome, finished_at FROM runs WHERE id > ?1 ORDER BY id LIMIT ?2";
/// The text that looks at ended events.
pub(super) const LOOK_AT_EVENTS: &str =
    "SELECT id, type, state, finished_at FROM events WHERE id > ?1 AND state >= 2 AND finished_at < ?2 ORDER BY id LIMIT ?3";

/// What has been kept long enough, for one type.
#[derive(Clone, Copy)]
struct Cut {
    succeeded_before: i64,
    others_before: i64,
    most: i64,
}

impl Cut {
    fn of(&self, outcome: Outcome) -> i64 {
        if outcome == Outcome::Succeeded { self.succeeded_before } else { self.others_before }
    }

    /// An event that ended well is a success, one that was given up is not.
    fn of_event(&self, state: EventState) -> i64 {
        if state == EventState::Discarded { self.others_before } else { self.succeeded_before }
    }
}

/// The cuts of all types, as the rules were when a step began.
pub(super) struct Cuts {
    all: Cut,
    own: HashMap<i64, Cut>,
    /// Runs of these events that ended at this instant or later are asked about by an alert.
    spared: HashMap<i64, i64>,
}

impl Cuts {
    pub(super) fn read(conn: &Connection, spent: Spent, now: DateTime<Utc>) -> Result<Self> {
        let spared = super::alerts::spared(conn, micros(now))?;
        if let Spent::Before(before) = spent {
            let all = Cut { succeeded_before: micros(before), others_before: micros(before), most: i64::MAX };
            return Ok(Self { all, own: HashMap::new(), spared });
        }
        let cut = |kept: &sexton_core::Retention| Cut {
            succeeded_before: micros(kept.cut(Outcome::Succeeded, now)),
            others_before: micros(kept.cut(Outcome::Failed, now)),
            most: i64::try_from(kept.max_runs).unwrap_or(i64::MAX),
        };
        let (all, own) = super::retention::in_force(conn)?;
        Ok(Self { all: cut(&all), own: own.iter().map(|(type_id, kept)| (*type_id, cut(kept))).collect(), spared })
    }

    fn of(&self, type_id: i64) -> &Cut {
        self.own.get(&type_id).unwrap_or(&self.all)
    }

    /// Before this instant something may be spent by its age.
    fn newest(&self) -> i64 {
        let each = self.own.values().chain([&self.all]);
        each.map(|cut| cut.succeeded_before.max(cut.others_before)).max().unwrap_or(i64::MIN)
    }

    /// How many runs of each type there are beyond what is kept.
    fn excess(&self, conn: &Connection, gone: &BTreeMap<i64, i64>) -> Result<HashMap<i64, i64>> {
        let mut select = conn.prepare_cached("SELECT type, n FROM counters WHERE kind = ?1")?;
        let rows = select.query_map([RUNS], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let mut excess = HashMap::new();
        for row in rows {
            let (type_id, runs) = row?;
            let beyond = runs.saturating_sub(self.of(type_id).most) - gone.get(&type_id).copied().unwrap_or(0);
            if beyond > 0 {
                excess.insert(type_id, beyond);
            }
        }
        Ok(excess)
    }
}

/// A run that may go.
pub(super) struct Old {
    id: i64,
    event: i64,
    n: i64,
    type_id: i64,
    finished_at: i64,
    /// Only because there are too many.
    by_count: bool,
}

/// What a look found.
pub(super) struct Found {
    old: Vec<Old>,
    /// Ended events without runs.
    ended: Vec<i64>,
    next: Option<PrunePlace>,
}

impl Found {
    /// Whether there is nothing for the writer to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.old.is_empty() && self.ended.is_empty()
    }

    /// As a step that did nothing; of a dry run, as one that did it.
    pub(super) fn only_looked(self) -> Pruned {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Pruned { runs: count(self.old.len()), events: count(self.ended.len()), next: self.next }
    }
}

/// Looks at what comes next, by number.
pub(super) fn look(conn: &Connection, cuts: &Cuts, what: &Pruning) -> Result<Found> {
    if what.from.is_at_events { events_ahead(conn, cuts, what) } else { runs_ahead(conn, cuts, what) }
}

fn runs_ahead(conn: &Connection, cuts: &Cuts, what: &Pruning) -> Result<Found> {
    let mut excess = cuts.excess(conn, &what.from.gone)?;
    let (mut place, newest) = (what.from.clone(), cuts.newest());
    let (mut old, mut seen, mut is_all_young) = (Vec::new(), 0, true);
    let mut select = conn.prepare_cached(LOOK_AT_RUNS)?;
    let mut rows = select.query((place.after, super::limit_of(LOOK)))?;
    while let (true, Some(row)) = (old.len() < what.limit, rows.next()?) {
        let run =
            Old { id: row.get(0)?, event: row.get(1)?, n: row.get(2)?, type_id: row.get(3)?, finished_at: row.get(5)?, by_count: false };
        let is_aged = run.finished_at < cuts.of(run.type_id).of(outcome_of(row.get(4)?)?);
        (seen, place.after, is_all_young) = (seen + 1, run.id, is_all_young && run.finished_at >= newest);
        let beyond = excess.get_mut(&run.type_id).filter(|beyond| **beyond > 0);
        let is_asked_about = cuts.spared.get(&run.event).is_some_and(|since| run.finished_at >= *since);
        if is_asked_about || (!is_aged && beyond.is_none()) {
            continue;
        }
        if let Some(beyond) = beyond {
            *beyond -= 1;
        }
        if what.dry_run {
            *place.gone.entry(run.type_id).or_default() += 1;
        }
        old.push(Old { by_count: !is_aged, ..run });
    }
    let is_end = old.len() < what.limit && seen < LOOK;
    // Numbers are the order of settlement: what comes after a page of young ones is young too, but for stragglers, which a later time finds.
    let is_rest_young = old.is_empty() && is_all_young && excess.values().all(|beyond| *beyond <= 0);
    if is_end || is_rest_young {
        place = PrunePlace { is_at_events: true, after: i64::MIN, gone: BTreeMap::new() };
    }
    Ok(Found { old, ended: Vec::new(), next: Some(place) })
}

/// Ended events that have no run (any more): those that never ran, or whose runs went while they were open.
fn events_ahead(conn: &Connection, cuts: &Cuts, what: &Pruning) -> Result<Found> {
    let mut ended = Vec::new();
    let (mut seen, mut after) = (0, what.from.after);
    let mut select = conn.prepare_cached(LOOK_AT_EVENTS)?;
    let mut rows = select.query((after, cuts.newest(), super::limit_of(LOOK)))?;
    while let (true, Some(row)) = (ended.len() < what.limit, rows.next()?) {
        let (type_id, state, finished_at): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        (seen, after) = (seen + 1, row.get(0)?);
        let is_run: bool =
            conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM runs WHERE event = ?1)")?.query_row([after], |row| row.get(0))?;
        if !is_run && finished_at < cuts.of(type_id).of_event(state_of(state)?) {
            ended.push(after);
        }
    }
    let is_end = ended.len() < what.limit && seen < LOOK;
    let next = (!is_end).then(|| PrunePlace { is_at_events: true, after, gone: BTreeMap::new() });
    Ok(Found { old: Vec::new(), ended, next })
}

/// Deletes what a look found, as far as the time of a step goes.
pub(super) fn delete(tx: &mut Tx<'_>, cuts: &Cuts, found: Found) -> Result<Pruned> {
    let mut step = Pruned { next: found.next, ..Pruned::default() };
    let began = Instant::now();
    let mut touched: BTreeMap<i64, bool> = found.ended.into_iter().map(|id| (id, false)).collect();
    for (place, run) in found.old.iter().enumerate() {
        if place % CLOCK_EVERY == CLOCK_EVERY - 1 && began.elapsed() > STEP_TIME {
            step.next = Some(PrunePlace { after: run.id - 1, ..PrunePlace::default() });
            break;
        }
        if self::run(tx, run)? {
            step.runs += 1;
            // One that went for its age lets its event go for its age; so both must have gone for their number.
            let by_count = touched.entry(run.event).or_insert(run.by_count);
            *by_count |= run.by_count;
        }
    }
    for (event, by_count) in touched {
        step.events += i64::from(self::event(tx, cuts, event, by_count)?);
    }
    Ok(step)
}

/// Deletes a run with its log, unless its occurrence is not over. A dead letter holds its runs until they are old.
fn run(tx: &mut Tx<'_>, run: &Old) -> Result<bool> {
    let waits: Option<i64> = tx
        .conn
        .prepare_cached("SELECT state FROM occurrences WHERE event = ?1 AND n = ?2")?
        .query_row((run.event, run.n), |row| row.get(0))
        .optional()?;
    if waits.is_some_and(|state| state != row::DEAD || run.by_count) {
        return Ok(false);
    }
    // A number may have been given again since somebody looked.
    let deleted = tx.conn.prepare_cached("DELETE FROM runs WHERE id = ?1 AND event = ?2 AND finished_at = ?3")?.execute((
        run.id,
        run.event,
        run.finished_at,
    ))?;
    if deleted == 0 {
        return Ok(false);
    }
    super::logs::remove(tx, run.id)?;
    tx.hot.deltas.add(run.type_id, RUNS, -1);
    Ok(true)
}

/// Deletes an event that ended long enough ago, has no run left and nothing still running. Its dead letters go with it. One whose runs went
/// because there were too many goes with them, unless it was given up: a dead letter is kept as long as its age says.
fn event(tx: &mut Tx<'_>, cuts: &Cuts, id: i64, by_count: bool) -> Result<bool> {
    let found: Option<(i64, i64, Option<i64>, bool)> = tx
        .conn
        .prepare_cached(
            "SELECT type, state, finished_at,
                    EXISTS (SELECT 1 FROM runs WHERE runs.event = events.id)
                 OR EXISTS (SELECT 1 FROM occurrences o WHERE o.event = events.id AND o.state <> 3)
             FROM events WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((type_id, state, Some(finished_at), false)) = found else {
        return Ok(false);
    };
    let state = state_of(state)?;
    let holds_dead_letters = || -> Result<bool> {
        let mut select = tx.conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM occurrences WHERE event = ?1)")?;
        Ok(select.query_row([id], |row| row.get(0))?)
    };
    let goes_with_its_runs = by_count && state != EventState::Discarded && !holds_dead_letters()?;
    if is_open(state) || !(goes_with_its_runs || finished_at < cuts.of(type_id).of_event(state)) {
        return Ok(false);
    }
    let dead = tx.conn.prepare_cached("DELETE FROM occurrences WHERE event = ?1 AND state = ?2")?.execute((id, row::DEAD))?;
    tx.conn.prepare_cached("DELETE FROM events WHERE id = ?1")?.execute([id])?;
    tx.conn.prepare_cached("DELETE FROM skips WHERE event = ?1")?.execute([id])?;
    super::calendars::forget_uses(tx, id)?;
    super::links::forget(tx, id)?;
    tx.hot.deltas.add(type_id, DEAD_LETTERS, -i64::try_from(dead).unwrap_or(0));
    tx.hot.deltas.moved(type_id, Some(state), None);
    Ok(true)
}
