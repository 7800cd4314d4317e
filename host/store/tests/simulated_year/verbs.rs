//! What befalls the events of the year: pauses, edits, calendars, clock steps; each with what it means for what is owed.
//!
//! Not when it befalls them. What must hold: the ledger moves by the rules of the design, told by the schedule and by the one row that it gave,
//! never by the store's counts.

use super::ledger::{Instant, MICROSECOND};
use super::part::Part;
use super::tower::{Tower, by};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::{Cause, EventState, OccurrenceId, Schedule};
use sexton_store::Store;
use sexton_store::rows::{Change, Edit, Waiting};
use std::sync::Arc;

/// The row that the schedule gave.
pub struct Given {
    pub n: i64,
    pub meant: Instant,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its first start.
    Fresh,
    /// Waits for another.
    Tried,
    Running,
}

impl Tower {
    /// The one row that the schedule of an open event gave; none only for a manual event, and for one whose schedule is over.
    pub fn given(&self, at: usize) -> Option<Given> {
        let part = &self.parts[at];
        let is_given = |row: &Waiting| row.dead.is_none() && !part.extras.contains(&row.occurrence.n);
        let rows: Vec<Waiting> = self.store.waiting(part.id).expect("read").into_iter().filter(is_given).collect();
        assert!(rows.len() <= 1, "a schedule gives one row at a time: {rows:?}");
        let row = rows.into_iter().next()?;
        let n = row.occurrence.n;
        let flight = self.running.iter().find(|flight| flight.occurrence.id == row.occurrence);
        let state = match flight {
            Some(_) => State::Running,
            None if row.cause == Cause::Schedule && row.attempt == 1 && !part.interrupted.contains(&n) => State::Fresh,
            None => State::Tried,
        };
        Some(Given { n, meant: flight.map_or(row.scheduled_for, |flight| flight.occurrence.scheduled_for), state })
    }

    fn running_of(&self, part: &Part) -> Vec<OccurrenceId> {
        self.running.iter().map(|flight| flight.occurrence.id).filter(|id| id.event == part.id).collect()
    }

    fn alter(&self, at: usize, change: &Change) {
        let part = &self.parts[at];
        self.store.alter(&self.lease, part.id, change, &self.running_of(part), &by(), self.wall).expect("altered");
    }

    /// An open event whose schedule has no end has a row.
    fn goes_on(&self, at: usize) {
        let part = &self.parts[at];
        let is_open = matches!(self.state_of(part.id), EventState::Scheduled | EventState::Paused);
        let may_be_over = part.schedule.terms.max_runs.is_some() || part.schedule.terms.end.is_some();
        if is_open && part.schedule.recurs() && !may_be_over {
            assert!(self.given(at).is_some(), "an open event goes on");
        }
    }

    pub fn pause(&mut self, at: usize) -> bool {
        if self.state_of(self.parts[at].id) != EventState::Scheduled {
            return false;
        }
        self.alter(at, &Change::Pause { note: Some("maintenance".to_owned()) });
        self.goes_on(at);
        let (wall, elapsed, part) = (self.wall, self.elapsed, &mut self.parts[at]);
        part.paused_at = Some(elapsed);
        part.note(wall, "paused");
        true
    }

    pub fn resume(&mut self, at: usize) {
        let Some(since) = self.parts[at].paused_at.take() else { return };
        let (wall, away) = (self.wall, self.elapsed - since);
        // What the policy passes over then waits for the next instant.
        let part = &mut self.parts[at];
        part.excuse += away + part.role.silence.unwrap_or_default();
        if self.state_of(self.parts[at].id) == EventState::Paused {
            self.alter(at, &Change::Resume);
            self.goes_on(at);
            self.parts[at].note(wall, "resumed");
        }
    }

    pub fn run_now(&mut self, at: usize) -> bool {
        let id = self.parts[at].id;
        if self.state_of(id) != EventState::Scheduled {
            return false;
        }
        let (before, next) = (self.rows(at), self.given(at).map(|given| given.meant));
        let part = &self.parts[at];
        let asked = self.store.alter(&self.lease, id, &Change::RunNow, &self.running_of(part), &by(), self.wall);
        if let Err(refused) = asked {
            // Something of it is going: this one is counted, and no occurrence of the schedule.
            assert_eq!(refused.refusal.as_ref().map(|refusal| refusal.code.as_str()), Some("INP029"), "{refused}");
            assert_eq!(self.rows(at), before, "a refused one leaves no row");
            let wall = self.wall;
            self.parts[at].refused += 1;
            self.parts[at].note(wall, "run-now refused");
            return true;
        }
        self.take_extras(at, &before, "run-now");
        assert_eq!(self.given(at).map(|given| given.meant), next, "a run-now leaves the next time alone");
        true
    }

    /// Fills in what the schedule gave over the last days.
    pub fn backfill(&mut self, at: usize) -> bool {
        let part = &self.parts[at];
        if self.state_of(part.id) != EventState::Scheduled || !part.schedule.recurs() || part.schedule.kind() == "after" {
            return false;
        }
        let plan = part.schedule.plan(&self.calendars).expect("a settled schedule");
        let from = self.wall - TimeDelta::days(3);
        let instants: Vec<_> = plan.upcoming(from, 40).expect("walkable").into_iter().filter(|at| *at <= self.wall).collect();
        let (before, next) = (self.rows(at), self.given(at).map(|given| given.meant));
        self.store.backfill(&self.lease, part.id, &instants, &by(), self.wall).expect("stored");
        self.take_extras(at, &before, "backfill");
        assert_eq!(self.given(at).map(|given| given.meant), next, "a backfill leaves the next time alone");
        !instants.is_empty()
    }

    fn rows(&self, at: usize) -> Vec<i64> {
        self.store.waiting(self.parts[at].id).expect("read").into_iter().map(|row| row.occurrence.n).collect()
    }

    fn take_extras(&mut self, at: usize, before: &[i64], what: &str) {
        let extras: Vec<i64> = self.rows(at).into_iter().filter(|n| !before.contains(n)).collect();
        let wall = self.wall;
        self.parts[at].note(wall, format_args!("{what}: {extras:?}"));
        self.parts[at].extras.extend(extras);
    }

    /// Another schedule: the old one is owed up to now, the new one from now on.
    pub fn edit(&mut self, at: usize, to: &Value) -> bool {
        let part = &self.parts[at];
        if !matches!(self.state_of(part.id), EventState::Scheduled | EventState::Paused) {
            return false;
        }
        let schedule = match Schedule::from_json(to).and_then(|schedule| schedule.settle(self.wall, &self.calendars)) {
            Ok(schedule) => schedule,
            // Past its end.
            Err(refusal) => {
                assert_eq!(refusal.code, "INP007", "{refusal}");
                return false;
            }
        };
        let given = self.given(at).expect("an open event has a row");
        self.alter(at, &Change::Edit(Box::new(Edit { schedule: Some(schedule.clone()), ..Edit::default() })));
        self.goes_on(at);
        let wall = self.wall;
        let part = &mut self.parts[at];
        // Another rule knows nothing of what an earlier one gave in the hour that comes again.
        part.is_rewound |= part.ledger.has_seen(wall) && part.schedule.rule != schedule.rule;
        let (until, from) = if given.state == State::Fresh {
            let from = if part.schedule.rule == schedule.rule { last_given(part, &self.calendars, &given, wall) } else { wall };
            (wall.max(given.meant - MICROSECOND), from)
        } else {
            // It goes on, and what follows it lies after it, whatever the clock says.
            (wall.max(given.meant), wall.max(given.meant))
        };
        part.ledger.cut(&part.schedule, &self.calendars, until, from);
        part.note(wall, format_args!("edited to {to}, {}.{} {:?}", given.meant, given.n, given.state));
        part.schedule = schedule;
        part.last_end = None;
        let id = part.id;
        for flight in self.running.iter_mut().filter(|flight| flight.occurrence.id.event == id && flight.occurrence.by_schedule) {
            flight.occurrence.counted_to = flight.occurrence.counted_to.max(Some(wall));
        }
        true
    }

    /// Another calendar under the name: what waits for its first start after now is planned anew, all else goes on as it is, and what
    /// comes after it follows the new calendar.
    pub fn set_calendar(&mut self, name: &str, json: &Value) {
        let calendar = Calendar::read(json).expect("a calendar");
        let (old, wall) = (self.calendars.clone(), self.wall);
        let named = |part: &Part| part.schedule.terms.exclude.iter().chain(&part.schedule.terms.only).any(|other| other == name);
        let users: Vec<(usize, Given)> =
            (0..self.parts.len()).filter(|at| named(&self.parts[*at])).filter_map(|at| Some((at, self.given(at)?))).collect();
        self.store.set_calendar(&self.lease, name, &calendar, &by(), wall).expect("stored");
        self.calendars.insert(name, Arc::new(calendar)).expect("a name");
        for (at, given) in users {
            let part = &mut self.parts[at];
            part.note(wall, format_args!("calendar {name}: {} {:?}", given.meant, given.state));
            if given.state == State::Fresh && given.meant > wall {
                let from = last_given(part, &old, &given, wall);
                part.ledger.cut(&part.schedule, &old, given.meant - MICROSECOND, from);
            } else {
                let counted = self
                    .running
                    .iter()
                    .find(|flight| flight.occurrence.id.event == part.id)
                    .and_then(|flight| flight.occurrence.counted_to);
                let until = counted.map_or(given.meant, |to| to.max(given.meant));
                part.ledger.cut(&part.schedule, &old, until, until);
            }
        }
    }

    /// The clock is set, as the engine answers it.
    pub fn step(&mut self, step: TimeDelta) {
        let before = self.wall;
        self.parts.iter_mut().for_each(|part| part.ledger.see(before));
        self.wall += step;
        self.store.move_retries(&self.lease, step).expect("moved");
        if step > TimeDelta::zero() {
            return;
        }
        let expected = self.after_set_back(-step);
        let mut last = None;
        loop {
            let page = self.store.clock_set_back(&self.lease, -step, last, 7, self.wall).expect("moved");
            last = page.last;
            if last.is_none() {
                break;
            }
        }
        for (at, meant) in expected {
            let given = self.given(at).expect("it is still there");
            assert_eq!(given.meant, meant, "after the clock went from {before} to {}: {}", self.wall, self.parts[at].role.name);
        }
    }

    /// Where each row has to be once the clock is set back: fixed times stay, elapsed rhythms go on.
    fn after_set_back(&mut self, back: TimeDelta) -> Vec<(usize, Instant)> {
        let wall = self.wall;
        let mut expected = Vec::new();
        for at in 0..self.parts.len() {
            let Some(given) = self.given(at) else { continue };
            let part = &mut self.parts[at];
            let is_elapsed_like = part.schedule.recurs() && part.schedule.is_elapsed_like();
            if let Some(period) = part.role.silence.filter(|_| part.schedule.kind() != "after") {
                // A grid goes back by whole steps only.
                part.excuse += TimeDelta::seconds(back.num_seconds() % period.num_seconds());
            }
            if !is_elapsed_like || given.state != State::Fresh || given.meant <= wall {
                expected.push((at, given.meant));
                continue;
            }
            let wanted = (given.meant - back).max(wall);
            let next = if part.schedule.kind() == "after" {
                wanted
            } else {
                let plan = part.schedule.plan(&self.calendars).expect("a settled schedule");
                plan.next_after(wanted - MICROSECOND).expect("walkable").expect("it has one further on").min(given.meant)
            };
            if next < given.meant {
                part.ledger.cut(&part.schedule, &self.calendars, given.meant - MICROSECOND, next - MICROSECOND);
                part.is_rewound = true;
                part.note(wall, format_args!("rewound from {} to {next}", given.meant));
            }
            expected.push((at, next));
        }
        expected
    }

    /// Nobody serves the second type, or somebody does again.
    pub fn serve_second(&mut self, is_served: bool) {
        self.served[1] = is_served.then_some(self.wall);
    }
}

/// In an hour that comes again: the last instant of it that was given already, so that it does not come twice; else now.
fn last_given(part: &Part, calendars: &Calendars, given: &Given, wall: Instant) -> Instant {
    let plan = part.schedule.plan(calendars).expect("a settled schedule");
    let mut from = wall;
    while let Some(next) = plan.next_after(from).expect("walkable").filter(|next| *next < given.meant) {
        from = next;
    }
    from
}

/// Versions of the calendars.
pub fn calendar(name: &str, version: usize) -> Value {
    match (name, version % 3) {
        ("holidays", 0) => json!({ "tz": "Europe/Paris", "annual": ["01-01", "05-01", "12-25"], "dates": ["2027-03-29"] }),
        ("holidays", 1) => json!({ "tz": "Europe/Paris", "annual": ["01-01", "05-01", "12-25"], "dates": ["2027-07-12..2027-08-20"] }),
        ("holidays", _) => {
            json!({ "tz": "Europe/Paris", "annual": ["12-24..01-02"], "weekly": [{ "days": "wed", "from": "08:00", "to": "10:00" }] })
        }
        (_, 0) => json!({ "tz": "Europe/Paris", "weekly": [{ "days": "mon-fri", "from": "09:00", "to": "17:00" }] }),
        (_, 1) => {
            json!({ "tz": "Europe/Paris", "weekly": [{ "days": "mon-thu", "from": "08:00", "to": "18:00" }], "dates": ["2027-06-26"] })
        }
        (_, _) => json!({ "tz": "America/New_York", "daily": ["22:00..02:30"] }),
    }
}
