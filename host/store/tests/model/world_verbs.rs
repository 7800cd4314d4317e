//! Verbs of people and plugins: done to the store, and to the model; and both have to answer the same.
//!
//! Not what they mean (`verbs`). What must hold: after a verb on an event nothing that was claimed and not started starts.

use super::book::Entry;
use super::ends::{FIRST_DELAY, MOST_DELAY};
use super::ops::{Edited, Pick, Wish};
use super::timing::{Micros, at, micros};
use super::verbs::Answer;
use super::verdict::{Checked, Verdict, hold};
use super::world::{NO_CALENDARS, TYPES, World, by, done, offer, refusal};
use sexton_core::{EventId, NewEvent, Overlap, RetryPolicy, RunPolicy};
use sexton_store::rows::{Change, Edit, Intention, PrunePlace, Pruning, Spent};
use sexton_store::store::StandingOffer;
use sexton_store::{History, Store};

fn retry(attempts: u32) -> RetryPolicy {
    let millis = |micros: Micros| u64::try_from(micros / 1_000).expect("not below zero");
    RetryPolicy { attempts, first_delay_ms: millis(FIRST_DELAY), max_delay_ms: millis(MOST_DELAY), deadline_ms: None }
}

impl World {
    /// What the host makes of a wish: checked as the engine does, or `None` if it would be refused before it came to the store.
    pub fn intend(&mut self, wish: &Wish) -> Option<(Wish, Intention)> {
        let timing = wish.timing.from(self.wall);
        let schedule = timing.schedule().settle(at(self.wall), &NO_CALENDARS).ok()?;
        let first = schedule.plan(&NO_CALENDARS).and_then(|plan| plan.first(at(self.wall))).ok()?;
        let id = self.next_id();
        let overlap = if wish.skips_overlaps { Overlap::Skip } else { Overlap::Allow };
        let new = NewEvent {
            key: wish.key.map(|key| format!("key {key}")),
            description: Some(format!("note {}", wish.note)),
            priority: wish.priority,
            retry: Some(retry(wish.attempts)),
            policy: RunPolicy { overlap, ..RunPolicy::default() },
            ..NewEvent::new(TYPES[wish.of_type].1, schedule)
        };
        let intention = Intention { id, type_id: self.types[wish.of_type], wish: new, first, standing_of: None };
        Some((Wish { timing, ..wish.clone() }, intention))
    }

    fn add(&mut self, wish: &Wish, id: EventId, is_standing: bool) {
        let entry = Entry::new(id, wish, wish.timing, is_standing, self.wall);
        self.book.entries.push(entry);
    }

    pub fn schedule(&mut self, wishes: &[Wish]) -> Verdict {
        let intended: Vec<(Wish, Intention)> = wishes.iter().filter_map(|wish| self.intend(wish)).collect();
        let clashes = self.clashes(&intended);
        let intentions: Vec<Intention> = intended.iter().map(|(_, intention)| intention.clone()).collect();
        let answer = refusal(self.store().schedule(&self.lease, &intentions, &by(), at(self.wall)).map(|_| ()))?;
        let expected = if clashes { Err("INP008".to_owned()) } else { Ok(()) };
        hold!(answer == expected, "scheduling answers {answer:?}, expected {expected:?}");
        self.count(if clashes { "key in use" } else { "scheduled" });
        for (wish, intention) in intended.iter().filter(|_| !clashes) {
            self.add(wish, intention.id, false);
            self.note(format_args!("{} is {:?}", intention.id, wish.timing));
        }
        Ok(())
    }

    /// Whether a batch takes a key that is in use, or one twice.
    fn clashes(&self, intended: &[(Wish, Intention)]) -> bool {
        let same = |one: &Wish, other: &Wish| one.key.is_some() && one.key == other.key && one.of_type == other.of_type;
        intended.iter().enumerate().any(|(place, (wish, _))| {
            self.book.holder(wish.of_type, wish.key).is_some() || intended[..place].iter().any(|(other, _)| same(wish, other))
        })
    }

    /// What a run scheduled, stored with its success; what takes a key in use is left out.
    pub fn follow_up(&mut self, intended: Vec<(Wish, Intention)>) {
        for (wish, intention) in intended {
            if self.book.holder(wish.of_type, wish.key).is_none() {
                self.add(&wish, intention.id, false);
                self.count("followed up");
            }
        }
    }

    pub fn publish(&mut self, wish: &Wish) -> Verdict {
        let Some((wish, intention)) = self.intend(wish) else { return Ok(()) };
        let (plugin, event_type) = TYPES[wish.of_type];
        let generation = done("a generation", self.store().new_generation(plugin, "d1", at(self.wall)))?;
        let declared = StandingOffer { event_type: event_type.to_owned(), id: intention.id, wish: intention.wish, first: intention.first };
        let answer = self.store().publish(&self.lease, plugin, generation, &[offer(event_type)], &[declared], &by(), at(self.wall));
        let answer = refusal(answer)?.map(drop);
        let expected = match self.declare(&wish, intention.id) {
            Answer::Done => Ok(()),
            Answer::Refused(code) => Err(code.to_owned()),
            Answer::Fault(fault) => return Err(fault),
        };
        hold!(answer == expected, "publishing answers {answer:?}, expected {expected:?}");
        self.count("published");
        Ok(())
    }

    /// The same declaration changes nothing; another replaces the open event; of one that ended, only another is stored anew.
    fn declare(&mut self, wish: &Wish, id: EventId) -> Answer {
        let now = self.wall;
        let stood = |entry: &&mut Entry| entry.is_standing && entry.of_type == wish.of_type && entry.key == wish.key && !entry.is_pruned;
        let entries = &mut self.book.entries;
        let open = entries.iter_mut().filter(stood).find(|entry| entry.is_open());
        if let Some(open) = open {
            return if open.is_same(wish) { Answer::Done } else { open.replace(wish, now) };
        }
        let ended = entries.iter_mut().filter(stood).max_by_key(|entry| entry.id);
        if ended.is_some_and(|ended| ended.is_same(wish)) {
            return Answer::Done;
        }
        if self.book.holder(wish.of_type, wish.key).is_some() {
            return Answer::Refused("INP008");
        }
        self.add(wish, id, true);
        Answer::Done
    }

    /// Does a verb to both; what it voids is dropped by the host as soon as it hears the answer.
    fn alter(
        &mut self,
        place: Option<usize>,
        what: &'static str,
        change: &Change,
        model: impl FnOnce(&mut Entry, &dyn Fn(i64) -> bool, Micros) -> Answer,
    ) -> Verdict {
        let Some(place) = place else { return Ok(()) };
        let (now, id) = (self.wall, self.book.entries[place].id);
        let running = self.running_of(id);
        let answer = refusal(self.store().alter(&self.lease, id, change, &running, &by(), at(now)))?;
        let entry = &mut self.book.entries[place];
        let expected = match entry.is_pruned {
            true => Answer::Refused("INP009"),
            false => model(entry, &|n| running.iter().any(|occurrence| occurrence.n == n), now),
        };
        let code = answer.as_ref().err().cloned();
        self.note(format_args!("{id}: {what}, {}", code.as_deref().unwrap_or("done")));
        match (answer, expected) {
            (_, Answer::Fault(fault)) => Err(fault),
            (Err(code), Answer::Refused(expected)) if code == expected => Ok(()),
            (Ok(event), Answer::Done) => {
                hold!(event.state == self.book.entries[place].state, "{id} is answered as {:?}", event.state);
                self.count(what);
                Ok(())
            }
            (answer, Answer::Refused(expected)) => Err(format!("{id}: {what} answers {answer:?}, expected {expected}")),
            (answer, Answer::Done) => Err(format!("{id}: {what} answers {answer:?}, and has to be done")),
        }
    }

    pub fn pause(&mut self, pick: Pick) -> Verdict {
        self.alter(self.pick(pick), "paused", &Change::Pause { note: None }, |entry, is_running, _| entry.pause(is_running))
    }

    pub fn resume(&mut self, pick: Pick) -> Verdict {
        // Most resumes are of what is paused.
        let paused: Vec<usize> = (0..self.book.entries.len())
            .filter(|at| self.book.entries[*at].state == sexton_core::EventState::Paused && !self.book.entries[*at].is_pruned)
            .collect();
        let place = if paused.is_empty() || pick % 8 == 7 { None } else { Some(paused[usize::from(pick) % paused.len()]) };
        self.alter(place.or_else(|| self.pick(pick)), "resumed", &Change::Resume, |entry, _, now| entry.resume(now))
    }

    pub fn cancel(&mut self, pick: Pick) -> Verdict {
        self.alter(self.pick(pick), "cancelled", &Change::Cancel, |entry, is_running, now| entry.cancel(is_running, now))
    }

    pub fn run_now(&mut self, pick: Pick) -> Verdict {
        self.alter(self.pick(pick), "run now", &Change::RunNow, super::overlap::run_now)
    }

    pub fn edit(&mut self, pick: Pick, edited: &Edited) -> Verdict {
        match edited {
            Edited::Timing(timing) => {
                let timing = timing.from(self.wall);
                if self.would_wait(pick, matches!(timing.rule, super::timing::Rule::Once(_))) {
                    return Ok(());
                }
                let Ok(schedule) = timing.schedule().settle(at(self.wall), &NO_CALENDARS) else { return Ok(()) };
                let edit = Edit { schedule: Some(schedule), ..Edit::default() };
                self.alter(self.pick(pick), "edited", &Change::Edit(Box::new(edit)), |entry, is_running, now| {
                    entry.edit_timing(&timing, is_running, now)
                })
            }
            Edited::Priority(priority) => {
                let edit = Edit { priority: Some(*priority), ..Edit::default() };
                self.alter(self.pick(pick), "priority edited", &Change::Edit(Box::new(edit)), |entry, is_running, _| {
                    plain_edit(entry, is_running, |entry| entry.priority = *priority)
                })
            }
            Edited::Attempts(attempts) => {
                let edit = Edit { retry: Some(retry(*attempts)), ..Edit::default() };
                self.alter(self.pick(pick), "retry edited", &Change::Edit(Box::new(edit)), |entry, is_running, _| {
                    plain_edit(entry, is_running, |entry| entry.attempts = *attempts)
                })
            }
        }
    }

    /// Whether what is asked for would make occurrences of an event wait that lets nothing overlap.
    fn would_wait(&self, pick: Pick, is_owed: bool) -> bool {
        is_owed && self.pick(pick).is_some_and(|place| self.book.entries[place].skips_overlaps)
    }

    pub fn pause_many(&mut self, picks: &[Pick]) -> Verdict {
        let mut places: Vec<usize> = picks.iter().filter_map(|pick| self.pick(*pick)).collect();
        places.sort_unstable();
        places.dedup();
        let ids: Vec<EventId> = places.iter().map(|place| self.book.entries[*place].id).collect();
        let running: Vec<_> = ids.iter().flat_map(|id| self.running_of(*id)).collect();
        let answer = done("pause", self.store().pause_many(&self.lease, &ids, "maintenance", &running, &by(), at(self.wall)))?;
        let mut paused = 0;
        for place in places {
            let entry = &mut self.book.entries[place];
            let id = entry.id;
            let is_running = |n: i64| running.iter().any(|occurrence| occurrence.event == id && occurrence.n == n);
            paused += u64::from(!entry.is_pruned && matches!(entry.pause(&is_running), Answer::Done));
        }
        hold!(answer == paused, "{answer} were paused, expected {paused}");
        self.count("paused many");
        Ok(())
    }

    pub fn backfill(&mut self, pick: Pick, n: u8) -> Verdict {
        let Some(place) = self.pick(pick).filter(|_| !self.would_wait(pick, true)) else { return Ok(()) };
        let (now, id) = (self.wall, self.book.entries[place].id);
        let instants: Vec<Micros> = (1..=Micros::from(n)).map(|n| now - n * 3_600_000_000).collect();
        let asked: Vec<_> = instants.iter().map(|instant| at(*instant)).collect();
        let answer = refusal(self.store().backfill(&self.lease, id, &asked, &by(), at(now)))?;
        let entry = &mut self.book.entries[place];
        let expected = if entry.is_pruned { Answer::Refused("INP009") } else { entry.backfill(&instants, now) };
        match (answer, expected) {
            (Ok(()), Answer::Done) => self.count("backfilled"),
            (Err(code), Answer::Refused(expected)) if code == expected => {}
            (answer, _) => return Err(format!("{id}: a backfill answers {answer:?}")),
        }
        Ok(())
    }

    /// Deletes what was long ago.
    pub fn prune(&mut self, age: Micros, limit: usize) -> Verdict {
        let before = self.wall - age;
        let mut what = Pruning { spent: Spent::Before(at(before)), dry_run: false, from: PrunePlace::default(), limit };
        let mut answer = 0;
        loop {
            let step = done("prune", self.store().prune(&what, at(self.wall)))?;
            hold!(usize::try_from(step.runs).is_ok_and(|runs| runs <= limit), "a step of {limit} deleted {} runs", step.runs);
            answer += step.runs + step.events;
            let Some(next) = step.next else { break };
            what.from = next;
        }
        let expected = self.book.prune(before);
        hold!(answer == expected, "{answer} rows were pruned, expected {expected}");
        self.count("pruned");
        Ok(())
    }

    /// The clock is set, as the engine answers it.
    pub fn set_clock(&mut self, step: Micros) -> Verdict {
        self.wall += step;
        let by = chrono::TimeDelta::microseconds(step);
        done("move", self.store().move_retries(&self.lease, by))?;
        self.book.entries.iter_mut().for_each(|entry| entry.clock_moved(step));
        self.count(if step > 0 { "clock forward" } else { "clock back" });
        if step > 0 {
            return Ok(());
        }
        let mut last = None;
        loop {
            let page = done("set back", self.store().clock_set_back(&self.lease, -by, last, 3, at(self.wall)))?;
            last = page.last;
            if last.is_none() {
                break;
            }
        }
        let now = self.wall;
        self.book.entries.iter_mut().for_each(|entry| entry.clock_set_back(-step, now));
        Ok(())
    }

    /// As the store has it: scattered waits are taken over once they were seen to be within their bounds.
    pub fn adopt(&mut self) -> Checked<()> {
        for place in 0..self.book.entries.len() {
            let entry = &self.book.entries[place];
            if entry.is_pruned || entry.rows.values().all(|row| row.due == row.due_most) {
                continue;
            }
            for row in done("read", self.store().waiting(entry.id))? {
                let due = micros(row.due_at);
                let Some(kept) = self.book.entries[place].rows.get_mut(&row.occurrence.n) else { continue };
                hold!(
                    (kept.due..=kept.due_most).contains(&due),
                    "{} is due at {due}, not in {}..={}",
                    row.occurrence,
                    kept.due,
                    kept.due_most
                );
                kept.due_at(due);
            }
        }
        Ok(())
    }
}

fn plain_edit(entry: &mut Entry, is_running: &dyn Fn(i64) -> bool, set: impl FnOnce(&mut Entry)) -> Answer {
    if !entry.is_open() {
        return Answer::Refused("INP010");
    }
    entry.unclaim(is_running);
    set(entry);
    Answer::Done
}
