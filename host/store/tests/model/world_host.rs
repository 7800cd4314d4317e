//! What the host does: claims, judges, starts, settles, dies and comes again.
//!
//! Not the verbs of people (`world_verbs`). What must hold: a report under a void claim is recorded as lost and changes nothing else.

use super::book::Place as Where;
use super::ends::{Times, outcome};
use super::late::{Away, Judged, judge};
use super::ops::{Ending, Pick, Slots};
use super::timing::{MINUTE, Micros, at, micros};
use super::verdict::{Checked, Verdict, hold};
use super::world::{Claim, Flight, NO_CALENDARS, World, done};
use chrono::TimeDelta;
use sexton_core::decide::late::{Found, GRACE, Late, when_found};
use sexton_core::decide::order::effective;
use sexton_core::decide::{Absence, End, Guilt, SkipReason};
use sexton_core::{Cause, EventState, Occurrence, Outcome};
use sexton_store::Store;
use sexton_store::rows::{Aborted, Intention, Misfired, RunEnd};

impl World {
    pub fn claim(&mut self, limit: usize, ahead: Micros) -> Verdict {
        let (types, until) = (self.served_types(), self.wall + ahead);
        let wants = |entry: &super::book::Entry| !entry.is_pruned && self.served[entry.of_type].is_some();
        let mut open: Vec<(usize, i32, Micros)> = Vec::new();
        for entry in self.book.entries.iter().filter(|entry| wants(entry)) {
            let due = entry.rows.values().filter(|row| row.place == Where::Waiting && row.due <= until);
            open.extend(due.map(|row| (entry.of_type, entry.priority, row.due)));
        }
        let claimed = done("claim", self.store().claim(&self.lease, &types, at(until), limit))?;
        hold!(claimed.len() == limit.min(open.len()), "{} of {} were claimed, at most {limit}", claimed.len(), open.len());
        let greatest = self.token;
        for occurrence in &claimed {
            let id = occurrence.id;
            hold!(occurrence.token > greatest, "{id} is claimed under an old token");
            self.token = self.token.max(occurrence.token);
            let entry = self.book.find_mut(id.event).ok_or_else(|| format!("{id} is claimed, and its event is not there"))?;
            hold!(entry.state != EventState::Paused, "{id} is claimed, and its event is paused");
            let (of_type, priority) = (entry.of_type, entry.priority);
            let row = entry.rows.get_mut(&id.n).ok_or_else(|| format!("{id} is claimed, and the model has no such row"))?;
            hold!(row.place == Where::Waiting && row.due <= until, "{id} is claimed, and is {:?}, due at {}", row.place, row.due);
            let same = (micros(occurrence.scheduled_for), micros(occurrence.due_at), occurrence.counted_to.map(micros), occurrence.cause)
                == (row.meant, row.due, row.counted_to, row.cause);
            let more = (occurrence.attempt, occurrence.interruptions, occurrence.by_schedule);
            hold!(same && more == (row.attempt, row.interruptions, row.by_schedule), "claimed {occurrence:?}, the model has {row:?}");
            row.place = Where::Claimed(occurrence.token);
            let place = open.iter().position(|other| *other == (of_type, priority, row.due)).expect("it was open");
            open.remove(place);
        }
        // Of one type, nothing that was left goes before what was taken.
        for occurrence in &claimed {
            let entry = self.book.find(occurrence.id.event).expect("there");
            let (of_type, place) = (entry.of_type, effective(entry.priority, occurrence.due_at));
            let passed = open.iter().find(|(of, priority, due)| *of == of_type && effective(*priority, at(*due)) < place);
            hold!(passed.is_none(), "{} was claimed before {passed:?}", occurrence.id);
        }
        self.claims.extend(claimed.into_iter().map(|occurrence| Claim { occurrence, may_start: false }));
        self.count("claimed");
        Ok(())
    }

    /// What was claimed is judged; what is late is written.
    pub fn judge(&mut self) -> Verdict {
        let now = self.wall;
        let (mut found, mut judged) = (Vec::new(), Vec::new());
        for place in 0..self.claims.len() {
            let claim = &self.claims[place];
            if claim.may_start || !is_suspect(&claim.occurrence, now) {
                self.claims[place].may_start = true;
                continue;
            }
            let (misfired, expected) = self.judge_one(&claim.occurrence)?;
            if misfired.late == Late::Run {
                self.claims[place].may_start = true;
                continue;
            }
            found.push(misfired);
            judged.push((place, expected));
        }
        if found.is_empty() {
            return Ok(());
        }
        self.count("found late");
        let stood = done("misfire", self.store().misfire(&self.lease, &found, at(now)))?;
        let mut gone = Vec::new();
        for ((place, judged), (stood, misfired)) in judged.into_iter().zip(stood.into_iter().zip(found)) {
            let occurrence = self.claims[place].occurrence.clone();
            // Judged by another schedule than its event has now, it is given back.
            let is_of_now = self.stands(&occurrence) && self.has_schedule_of(&occurrence);
            hold!(stood == is_of_now, "the claim of {} stood: {stood}, expected {is_of_now}", occurrence.id);
            if self.stands(&occurrence) && !is_of_now {
                self.book.find_mut(occurrence.id.event).expect("there").give_back(occurrence.id.n);
            }
            if stood {
                self.book.find_mut(occurrence.id.event).expect("there").take(occurrence.id.n, &judged, now)?;
            }
            match misfired.late {
                Late::RunFor { scheduled_for, counted_to, .. } if stood => {
                    let claim = &mut self.claims[place];
                    (claim.occurrence.scheduled_for, claim.occurrence.counted_to, claim.may_start) = (scheduled_for, counted_to, true);
                }
                _ => gone.push(place),
            }
        }
        for place in gone.into_iter().rev() {
            self.ghosts.push(self.claims.remove(place).occurrence);
        }
        Ok(())
    }

    /// Whether its event has still the schedule that it was claimed with: a plugin may have declared it anew.
    fn has_schedule_of(&self, occurrence: &Occurrence) -> bool {
        self.book.find(occurrence.id.event).is_some_and(|entry| entry.timing.schedule() == occurrence.wish.schedule)
    }

    /// The product's judgement, and the model's: they have to agree.
    fn judge_one(&self, occurrence: &Occurrence) -> Checked<(Misfired, Judged)> {
        let (schedule, now) = (occurrence.wish.schedule.clone(), self.wall);
        let of_type = self.types.iter().position(|of| *of == occurrence.type_id).expect("a known type");
        let type_since = self.served[of_type].unwrap_or(self.host_since);
        let absence = Absence { host_since: at(self.host_since), type_since: at(type_since), otherwise: SkipReason::Late };
        let at_claim = Found { scheduled_for: occurrence.scheduled_for, due_at: occurrence.due_at, counted_to: occurrence.counted_to };
        let plan = schedule.plan(&NO_CALENDARS).map_err(|refusal| refusal.to_string())?;
        let late = when_found(&schedule, &plan, &at_claim, &absence, at(now)).map_err(|refusal| refusal.to_string())?;
        let judged = if self.stands(occurrence) && self.has_schedule_of(occurrence) {
            let entry = self.book.find(occurrence.id.event).expect("there");
            let away = Away { host_since: self.host_since, type_since, otherwise: SkipReason::Late };
            let judged = judge(&entry.timing, &entry.rows[&occurrence.id.n], &away, now);
            hold!(is_same(&late, &judged), "{} is judged as {late:?}, expected {judged:?}", occurrence.id);
            judged
        } else {
            Judged::Run
        };
        Ok((Misfired { occurrence: occurrence.id, token: occurrence.token, schedule, late }, judged))
    }

    /// What was judged and is due starts; what was voided meanwhile does not.
    pub fn start(&mut self, most: u8) -> Verdict {
        let wall = self.wall;
        let (mut left, mut crowded) = (Vec::new(), Vec::new());
        let mut started = 0;
        for claim in std::mem::take(&mut self.claims) {
            if !self.stands(&claim.occurrence) {
                self.ghosts.push(claim.occurrence);
            } else if claim.may_start && claim.occurrence.due_at <= at(wall) && started < most && self.is_crowded(&claim.occurrence) {
                crowded.push(claim);
            } else if claim.may_start && claim.occurrence.due_at <= at(wall) && started < most {
                started += 1;
                self.note(format_args!("{} starts", claim.occurrence.id));
                self.flights.push(Flight { occurrence: claim.occurrence, started: wall });
            } else {
                left.push(claim);
            }
        }
        self.claims = left;
        if started > 0 {
            self.count("started");
        }
        self.give_way(crowded)
    }

    /// One claim that is good, and one that may not be.
    pub fn give_back(&mut self, pick: Pick) -> Verdict {
        let mut claims = Vec::new();
        if !self.claims.is_empty() {
            let claim = self.claims.remove(usize::from(pick) % self.claims.len());
            claims.push(claim.occurrence);
        }
        if !self.ghosts.is_empty() {
            claims.push(self.ghosts[usize::from(pick) % self.ghosts.len()].clone());
        }
        let given: Vec<_> = claims.iter().map(|occurrence| (occurrence.id, occurrence.token)).collect();
        done("give back", self.store().give_back(&self.lease, &given))?;
        for occurrence in claims {
            if self.stands(&occurrence) {
                self.book.find_mut(occurrence.id.event).expect("there").give_back(occurrence.id.n);
                self.count("given back");
            }
            self.ghosts.push(occurrence);
        }
        Ok(())
    }

    pub fn settle(&mut self, ends: &[(Pick, Ending)], lag: Micros) -> Verdict {
        let mut batch = Vec::new();
        for (pick, ending) in ends {
            if !self.flights.is_empty() {
                let flight = self.flights.remove(usize::from(*pick) % self.flights.len());
                batch.push((flight, ending.clone()));
            }
        }
        self.settle_batch(batch, lag)
    }

    /// Settles runs, good ones and late ones, and compares each answer.
    fn settle_batch(&mut self, batch: Vec<(Flight, Ending)>, lag: Micros) -> Verdict {
        let (now, finished) = (self.wall, self.wall - lag);
        let mut rows = Vec::new();
        let mut follow_ups = Vec::new();
        for (flight, ending) in &batch {
            let wishes = if let Ending::Succeeds(wishes) = ending { wishes.as_slice() } else { &[] };
            let intended: Vec<_> = wishes.iter().filter_map(|wish| self.intend(wish)).collect();
            let stored = intended.iter().map(|(_, intention)| intention.clone()).collect();
            rows.push(row(flight, self.end_of(ending), finished, stored));
            follow_ups.push(intended);
        }
        let settled = done("settle", self.store().settle(&self.lease, &rows, at(now)))?;
        for (((flight, _), row), (settled, intended)) in batch.into_iter().zip(rows).zip(settled.into_iter().zip(follow_ups)) {
            let id = flight.occurrence.id;
            let stands = self.stands(&flight.occurrence);
            let expected = if stands { outcome(&row.end) } else { Outcome::Lost };
            hold!(settled.outcome == expected, "the run of {id} is {:?}, expected {expected:?}", settled.outcome);
            self.note(format_args!("{id} ends as {expected:?}"));
            self.book.record(id.event, (id.n, row.attempt, expected, finished));
            let mut last_n = 0;
            if stands {
                let entry = self.book.find_mut(id.event).expect("there");
                last_n = entry.last_n;
                entry.ends(id.n, &row.end, Times { started: flight.started, finished, now })?;
            }
            let state = self.book.find(id.event).map_or(EventState::Cancelled, |entry| entry.state);
            hold!(settled.state == state, "the event of {id} is {:?}, expected {state:?}", settled.state);
            if stands {
                self.hint_holds(&flight.occurrence, last_n, settled.next_due.map(micros))?;
            }
            if expected == Outcome::Succeeded {
                self.follow_up(intended);
            }
            self.count(word(expected));
            self.ghosts.push(flight.occurrence);
        }
        Ok(())
    }

    /// The hint for the due queue: the row due again, or else the successor (given after `last_n`); none if they are held.
    fn hint_holds(&self, occurrence: &Occurrence, last_n: i64, next_due: Option<Micros>) -> Verdict {
        let entry = self.book.find(occurrence.id.event).expect("there");
        let again = entry.rows.get(&occurrence.id.n).filter(|row| row.is_live());
        let next = again.or_else(|| entry.rows.get(&(last_n + 1))).filter(|row| row.place == Where::Waiting);
        let holds = match (next, next_due) {
            (Some(row), Some(due)) => (row.due..=row.due_most).contains(&due),
            (next, due) => next.is_none() && due.is_none(),
        };
        hold!(holds, "after {} the next is due at {next_due:?}, expected {next:?}", occurrence.id);
        Ok(())
    }

    /// A report under a claim that is over.
    pub fn report_late(&mut self, pick: Pick, ending: &Ending) -> Verdict {
        if self.ghosts.is_empty() {
            return Ok(());
        }
        let occurrence = self.ghosts[usize::from(pick) % self.ghosts.len()].clone();
        hold!(!self.stands(&occurrence), "the token of {} was given twice", occurrence.id);
        self.settle_batch(vec![(Flight { occurrence, started: self.wall - MINUTE }, ending.clone())], 0)
    }

    /// Verbs under the lease of an earlier life: ends are lost, all else is refused.
    pub fn haunt(&mut self, pick: Pick) -> Verdict {
        let Some(old) = self.old_lease.clone() else { return Ok(()) };
        let claim = self.store().claim(&old, &self.types, at(self.wall), 10);
        hold!(claim.is_err(), "a claim of an earlier life is answered: {claim:?}");
        if self.flights.is_empty() {
            return Ok(());
        }
        // Even under a token that stands.
        let flight = self.flights[usize::from(pick) % self.flights.len()].clone();
        let id = flight.occurrence.id;
        let end = row(&flight, End::Succeeded, self.wall, Vec::new());
        let settled = done("settle", self.store().settle(&old, &[end], at(self.wall)))?;
        hold!(settled[0].outcome == Outcome::Lost, "{id} of an earlier life is {:?}", settled[0].outcome);
        self.book.record(id.event, (id.n, flight.occurrence.attempt, Outcome::Lost, self.wall));
        self.count("from the grave");
        Ok(())
    }

    /// All that runs in it is interrupted.
    pub fn runner_dies(&mut self, of_type: usize, guilt: Guilt) -> Verdict {
        let of = self.types[of_type];
        let dead: Vec<Flight> = self.flights.extract_if(.., |flight| flight.occurrence.type_id == of).collect();
        self.settle_batch(dead.into_iter().map(|flight| (flight, Ending::Interrupted(guilt))).collect(), 0)
    }

    /// The host ends without a word; what its flight record kept is told by the next.
    pub fn crash(&mut self, slots: Slots, away: Micros) -> Verdict {
        let flights = std::mem::take(&mut self.flights);
        let claims = std::mem::take(&mut self.claims);
        self.wall += away;
        self.reopen()?;
        let kept = match slots {
            Slots::All => flights.len(),
            Slots::Half => flights.len() / 2,
            Slots::None => 0,
        };
        let aborted: Vec<Aborted> = flights[..kept].iter().map(aborted).collect();
        let answer = done("recover", self.store().recover(&self.lease, &aborted, at(self.wall)))?;
        let expected = self.recover(&flights[..kept])?;
        hold!(answer == expected, "{answer:?} were interrupted and given back, expected {expected:?}");
        self.count("crashed");
        self.ghosts.extend(flights.into_iter().map(|flight| flight.occurrence));
        self.ghosts.extend(claims.into_iter().map(|claim| claim.occurrence));
        self.is_back();
        Ok(())
    }

    /// Over the model: what had started is interrupted, every other claim is given back.
    fn recover(&mut self, aborted: &[Flight]) -> Checked<(i64, i64)> {
        let now = self.wall;
        let (mut interrupted, mut given_back) = (0, 0);
        let mut claimed: Vec<(sexton_core::EventId, i64)> = Vec::new();
        for entry in self.book.entries.iter().filter(|entry| !entry.is_pruned) {
            let rows = entry.rows.iter().filter(|(_, row)| matches!(row.place, Where::Claimed(_)));
            claimed.extend(rows.map(|(n, _)| (entry.id, *n)));
        }
        claimed.sort_unstable();
        for (id, n) in claimed {
            let flight = aborted.iter().find(|flight| flight.occurrence.id.event == id && flight.occurrence.id.n == n);
            match flight.filter(|flight| self.stands(&flight.occurrence)) {
                Some(flight) => {
                    self.book.record(id, (n, flight.occurrence.attempt, Outcome::Interrupted, now));
                    let end = End::Interrupted { guilt: Guilt::Suspect };
                    let times = Times { started: flight.started, finished: now, now };
                    self.book.find_mut(id).expect("there").ends(n, &end, times)?;
                    interrupted += 1;
                }
                None => {
                    self.book.find_mut(id).expect("there").give_back(n);
                    given_back += 1;
                }
            }
        }
        Ok((interrupted, given_back))
    }

    /// Asked to stop: what runs is told to end, what is claimed is given back.
    pub fn stop(&mut self, away: Micros) -> Verdict {
        let flights = std::mem::take(&mut self.flights);
        self.settle_batch(flights.into_iter().map(|flight| (flight, Ending::Interrupted(Guilt::Innocent))).collect(), 0)?;
        while !self.claims.is_empty() {
            self.give_back(0)?;
        }
        self.wall += away;
        self.reopen()?;
        hold!(self.lease.stale_claims == 0, "{} claims outlive a stop", self.lease.stale_claims);
        self.count("stopped");
        self.is_back();
        Ok(())
    }

    fn is_back(&mut self) {
        self.host_since = self.wall;
        self.served.iter_mut().flatten().for_each(|since| *since = self.wall);
    }

    fn end_of(&self, ending: &Ending) -> End {
        match ending {
            Ending::Succeeds(_) => End::Succeeded,
            Ending::Fails { permanent } => End::Failed { permanent: *permanent },
            Ending::Snoozes(by) => End::Snoozed { until: at(self.wall + by) },
            Ending::Cancelled => End::Cancelled,
            Ending::Interrupted(guilt) => End::Interrupted { guilt: *guilt },
        }
    }
}

/// As the engine sees it: given by the schedule, not started before, and due some time ago or expired.
fn is_suspect(occurrence: &Occurrence, now: Micros) -> bool {
    let is_fresh =
        occurrence.by_schedule && occurrence.cause == Cause::Schedule && occurrence.attempt == 1 && occurrence.interruptions == 0;
    let expires = occurrence.wish.schedule.terms.expires;
    let is_expired = expires.is_some_and(|expires| at(now) - occurrence.scheduled_for > TimeDelta::from_std(expires).expect("short"));
    is_fresh && (at(now) - occurrence.due_at > GRACE || is_expired)
}

/// Instants as counts by reason.
fn is_same(late: &Late, judged: &Judged) -> bool {
    let counts = |skipped: &[(SkipReason, Micros)]| {
        let mut counts = std::collections::BTreeMap::<SkipReason, i64>::new();
        skipped.iter().for_each(|(reason, _)| *counts.entry(*reason).or_default() += 1);
        counts
    };
    match (late, judged) {
        (Late::Run, Judged::Run) => true,
        (Late::RunFor { scheduled_for, counted_to, skips }, Judged::RunFor { meant, counted_to: to, skipped }) => {
            (micros(*scheduled_for), counted_to.map(micros)) == (*meant, *to)
                && skips.iter().collect::<std::collections::BTreeMap<_, _>>() == counts(skipped)
        }
        (Late::Skip { successor, skips }, Judged::Skip { successor: next, skipped }) => {
            successor.map(micros) == *next && skips.iter().collect::<std::collections::BTreeMap<_, _>>() == counts(skipped)
        }
        _ => false,
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Snoozed => "snoozed",
        Outcome::Cancelled => "ended by a cancel",
        Outcome::Interrupted => "interrupted",
        Outcome::Lost => "lost",
    }
}

fn row(flight: &Flight, end: End, finished: Micros, follow_ups: Vec<Intention>) -> RunEnd {
    RunEnd {
        occurrence: flight.occurrence.id,
        token: flight.occurrence.token,
        attempt: flight.occurrence.attempt,
        started_at: Some(at(flight.started)),
        finished_at: at(finished),
        end,
        error: None,
        code: None,
        output: None,
        resources: Vec::new(),
        plugin: "bells".to_owned(),
        generation: 1,
        digest: "d1".to_owned(),
        placement: "runner".to_owned(),
        follow_ups,
        log: None,
    }
}

fn aborted(flight: &Flight) -> Aborted {
    Aborted {
        occurrence: flight.occurrence.id,
        token: flight.occurrence.token,
        attempt: flight.occurrence.attempt,
        started_at: at(flight.started),
        plugin: "bells".to_owned(),
        generation: 1,
        digest: "d1".to_owned(),
        placement: "runner".to_owned(),
        cause: "the host ended".to_owned(),
    }
}
