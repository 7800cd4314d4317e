//! The year: what happens when, and the loop that lives it.
//!
//! Not what it means for the events (`verbs`). What must hold: everything comes from the seed; time jumps from one instant at which something
//! happens to the next.

use super::cast::{Role, TYPES, cast};
use super::days::ZONES;
use super::ledger::{Instant, Ledger};
use super::part::Part;
use super::tower::{Tower, by, first_of_january};
use super::verbs::{State, calendar};
use chrono::TimeDelta;
use sexton_core::ids::EventIds;
use sexton_core::{EventState, NewEvent, RetryPolicy, Schedule};
use sexton_store::Store;
use sexton_store::rows::Intention;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Action {
    Stop(TimeDelta),
    Crash(TimeDelta),
    /// With the next claim.
    DieAtClaim(TimeDelta),
    StartUp(TimeDelta),
    Stall(TimeDelta),
    Step(TimeDelta),
    Pause(TimeDelta),
    Resume(usize),
    Edit,
    RunNow,
    Backfill,
    Calendar,
    Unserve,
    Serve(TimeDelta),
}

/// What the dice make of it.
type Roll = fn(&mut super::dice::Dice) -> Action;

pub struct Year {
    pub tower: Tower,
    agenda: BTreeMap<(TimeDelta, u32), Action>,
    asked: u32,
    /// How often each thing was done.
    pub done: BTreeMap<&'static str, u32>,
    /// How long the host is down if it dies with a claim.
    dead_for: TimeDelta,
    versions: usize,
    pub down: TimeDelta,
}

impl Year {
    pub fn new(seed: u64) -> Self {
        let mut tower = Tower::new(seed, first_of_january(2027));
        for name in ["holidays", "office"] {
            tower.set_calendar(name, &calendar(name, 0));
        }
        let mut ids = EventIds::new(u8::try_from(tower.lease.host).expect("small"), None);
        for role in cast() {
            schedule(&mut tower, &mut ids, role);
        }
        let mut year = Self {
            tower,
            agenda: BTreeMap::new(),
            asked: 0,
            done: BTreeMap::new(),
            dead_for: TimeDelta::minutes(5),
            versions: 0,
            down: TimeDelta::zero(),
        };
        year.plan();
        year
    }

    fn ask(&mut self, at: TimeDelta, action: Action) {
        self.asked += 1;
        self.agenda.insert((at, self.asked), action);
    }

    /// At any time of the year, or near a change of clocks.
    fn some_time(&mut self) -> TimeDelta {
        let dice = &mut self.tower.dice;
        if dice.chance(70) {
            return TimeDelta::seconds(dice.between(3_600, 364 * 86_400));
        }
        let zone = dice.between(0, 5);
        let (at, _) =
            ZONES[usize::try_from(zone).expect("one of five")].changes()[usize::try_from(dice.between(0, 2)).expect("one of two")];
        at - first_of_january(2027) + TimeDelta::seconds(dice.between(-7_200, 7_200))
    }

    fn plan(&mut self) {
        let times: [(i64, Roll); 12] = [
            (4, |dice| Action::Stop(dice.span(120, 10 * 86_400))),
            (5, |dice| Action::Crash(dice.span(120, 10 * 86_400))),
            (6, |dice| Action::DieAtClaim(dice.span(120, 86_400))),
            (6, |dice| Action::Stall(dice.span(600, 3 * 3_600))),
            (4, |_| Action::Step(TimeDelta::hours(1))),
            (8, |dice| Action::Step(if dice.chance(70) { -TimeDelta::hours(1) } else { -dice.span(60, 3_600) })),
            (16, |dice| Action::Pause(dice.span(3_600, 30 * 86_400))),
            (14, |_| Action::Edit),
            (16, |_| Action::RunNow),
            (2, |_| Action::Backfill),
            (6, |_| Action::Calendar),
            (1, |_| Action::Unserve),
        ];
        for (often, make) in times {
            for _ in 0..often {
                let (at, action) = (self.some_time(), make(&mut self.tower.dice));
                if matches!(action, Action::Step(step) if step < TimeDelta::zero()) && self.tower.dice.chance(50) {
                    // Changes in the hour that comes again.
                    self.ask(at + TimeDelta::minutes(5), Action::Calendar);
                    (6..12).for_each(|minute| self.ask(at + TimeDelta::minutes(minute), Action::Edit));
                }
                self.ask(at, action);
            }
        }
        // Nobody is there when the ones of June are due.
        let june = TimeDelta::days(165) + TimeDelta::hours(11);
        let away = self.tower.dice.span(7_200, 3 * 86_400);
        self.ask(june, Action::Stop(away));
    }

    /// Lives it up to its end.
    pub fn live(&mut self) {
        let end = first_of_january(2028);
        while self.tower.wall < end || !self.tower.is_up {
            self.tower.settle();
            let was_up = self.tower.is_up;
            self.tower.claim();
            if was_up && !self.tower.is_up {
                self.count("died with a claim");
                self.ask(self.tower.elapsed + self.dead_for, Action::StartUp(self.dead_for));
            }
            let asked = self.agenda.first_key_value().map(|((at, _), _)| (*at - self.tower.elapsed).max(TimeDelta::zero()));
            let wait = self.tower.next_in().into_iter().chain(asked).min().expect("something is to come");
            self.tower.pass(wait);
            while let Some(entry) = self.agenda.first_entry() {
                if entry.key().0 > self.tower.elapsed {
                    break;
                }
                let action = entry.remove();
                self.act(action);
            }
        }
        self.drain();
    }

    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn act(&mut self, action: Action) {
        if !self.tower.is_up && !matches!(action, Action::StartUp(_)) {
            // Nobody is there to do it.
            let wait = TimeDelta::seconds(self.tower.dice.between(1, 43_200));
            return self.ask(self.tower.elapsed + wait, action);
        }
        match action {
            Action::Stop(away) => {
                self.count("stopped");
                self.tower.stop();
                self.ask(self.tower.elapsed + away, Action::StartUp(away));
            }
            Action::Crash(away) => {
                self.count("crashed");
                self.tower.crash(0);
                self.ask(self.tower.elapsed + away, Action::StartUp(away));
            }
            Action::DieAtClaim(away) => (self.tower.dies_at_claim, self.dead_for) = (true, away),
            Action::StartUp(away) => {
                self.down += away;
                self.tower.start_up();
                if self.tower.dice.chance(25) {
                    // It dies again with its first claim, when what was missed is judged and not all of it started.
                    (self.tower.dies_at_claim, self.dead_for) = (true, self.tower.dice.span(60, 7_200));
                }
                self.tower.excuse(|_| true, away);
            }
            Action::Stall(away) => {
                self.count("stalled");
                self.tower.pass(away);
                self.tower.excuse(|_| true, away);
            }
            Action::Step(step) => {
                self.count(if step > TimeDelta::zero() { "clock forward" } else { "clock back" });
                // What is due goes first: the step is between two looks of the host.
                self.tower.step(step);
            }
            Action::Serve(away) => {
                self.tower.serve_second(true);
                self.tower.excuse(|part| part.role.of_type == 1, away);
            }
            Action::Unserve => {
                self.count("unserved");
                self.tower.serve_second(false);
                self.ask(self.tower.elapsed + TimeDelta::weeks(2), Action::Serve(TimeDelta::weeks(2)));
            }
            Action::Resume(at) => self.tower.resume(at),
            Action::Calendar => {
                self.count("calendar set");
                self.versions += 1;
                let name = self.tower.dice.pick(&["holidays", "office"]);
                self.tower.set_calendar(name, &calendar(name, self.versions));
            }
            Action::Pause(_) | Action::Edit | Action::RunNow | Action::Backfill => self.act_on_one(action),
        }
    }

    /// On an event that it can be done to.
    fn act_on_one(&mut self, action: Action) {
        let at = usize::try_from(self.tower.dice.between(0, i64::try_from(self.tower.parts.len()).expect("few"))).expect("not below zero");
        let part = &self.tower.parts[at];
        let kind = part.schedule.kind();
        let done = match &action {
            Action::Pause(away) => {
                let done = self.tower.pause(at);
                if done {
                    self.ask(self.tower.elapsed + *away, Action::Resume(at));
                }
                done.then_some("paused")
            }
            Action::Edit if !part.role.edits.is_empty() => {
                let to = part.role.edits
                    [usize::try_from(self.tower.dice.between(0, i64::try_from(part.role.edits.len()).expect("few"))).expect("small")]
                .clone();
                self.tower.edit(at, &to).then_some("edited")
            }
            Action::RunNow if kind != "after" => self.tower.run_now(at).then_some("run-now"),
            Action::Backfill => self.tower.backfill(at).then_some("backfilled"),
            _ => None,
        };
        match done {
            Some(what) => self.count(what),
            // Another one, soon.
            None if self.tower.wall < first_of_january(2028) => self.ask(self.tower.elapsed + TimeDelta::minutes(1), action),
            None => {}
        }
    }

    /// All that waits is resumed, served and run, until nothing is left but what is to come.
    fn drain(&mut self) {
        self.tower.is_quick = true;
        self.tower.dies_at_claim = false;
        if self.tower.served[1].is_none() {
            self.tower.serve_second(true);
            self.tower.excuse(|part| part.role.of_type == 1, TimeDelta::weeks(2));
        }
        (0..self.tower.parts.len()).for_each(|at| self.tower.resume(at));
        for _ in 0..100_000 {
            self.tower.settle();
            self.tower.claim();
            if self.is_drained() {
                return;
            }
            let wait = self.tower.next_in().expect("something is to come");
            self.tower.pass(wait);
        }
        panic!("what waits is not run");
    }

    fn is_drained(&self) -> bool {
        let tower = &self.tower;
        let waits = |at: usize| tower.given(at).is_some_and(|given| given.state != State::Fresh || given.meant <= tower.wall);
        let is_left = |at: usize| tower.parts[at].extras.len() != tower.parts[at].extras_ended.len();
        tower.running.is_empty() && (0..tower.parts.len()).all(|at| !waits(at) && !is_left(at))
    }
}

fn schedule(tower: &mut Tower, ids: &mut EventIds, role: Role) {
    let now: Instant = tower.wall;
    let schedule = Schedule::from_json(&role.schedule).and_then(|schedule| schedule.settle(now, &tower.calendars)).expect(role.name);
    let first = schedule.plan(&tower.calendars).and_then(|plan| plan.first(now)).expect(role.name);
    let retry = RetryPolicy { attempts: role.attempts, first_delay_ms: 300_000, max_delay_ms: 3_600_000, deadline_ms: None };
    let wish = NewEvent { retry: Some(retry), ..NewEvent::new(TYPES[role.of_type], schedule.clone()) };
    let id = ids.next(now.timestamp_millis());
    let intention = Intention { id, type_id: tower.types[role.of_type], wish, first, standing_of: None };
    tower.store.schedule(&tower.lease, &[intention], &by(), now).expect(role.name);
    assert_eq!(tower.state_of(id), EventState::Scheduled);
    let mut part = Part::new(id, role, schedule, now);
    if part.schedule.kind() == "once" {
        part.ledger = Ledger::of_one(now);
    }
    tower.add(part);
}
