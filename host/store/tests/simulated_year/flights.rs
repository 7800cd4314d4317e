//! Runs of the year: how long they take, how they end, and what becomes of them when their host stops or dies.
//!
//! Not what follows from an end: that is the store's. What must hold: whether an end was the last of its occurrence is judged here by the
//! retry policy alone, and compared with the rows at the end of the year.

use super::ledger::Instant;
use super::tower::Tower;
use chrono::TimeDelta;
use sexton_core::decide::{End, Guilt, POISON_INTERRUPTIONS};
use sexton_core::{Cause, Occurrence, Outcome};
use sexton_store::Store;
use sexton_store::rows::{Aborted, RunEnd, Settled};

/// A run that goes on.
pub struct Flight {
    pub occurrence: Occurrence,
    started_at: Instant,
    /// In elapsed time.
    pub ends_at: TimeDelta,
    end: Planned,
}

#[derive(Clone, Copy)]
enum Planned {
    Succeeds,
    Fails { permanent: bool },
    Snoozes,
    IsCancelled,
}

impl Tower {
    pub fn start(&mut self, occurrence: Occurrence) {
        self.runs += 1;
        let (wall, elapsed) = (self.wall, self.elapsed);
        let part = self.part(occurrence.id.event);
        assert_eq!(occurrence.by_schedule, !part.extras.contains(&occurrence.id.n), "{} and who gave it", occurrence.id);
        if occurrence.by_schedule {
            let is_first = occurrence.attempt == 1 && occurrence.cause == Cause::Schedule && occurrence.interruptions == 0;
            part.starts(occurrence.id, occurrence.scheduled_for, wall, elapsed, is_first);
        }
        let (lasts, end) = if self.is_quick { (TimeDelta::zero(), Planned::Succeeds) } else { self.fate() };
        let mut ends_at = elapsed + lasts;
        if lasts < TimeDelta::minutes(2) {
            // On a whole minute, as others: what ends together is settled together.
            ends_at = TimeDelta::minutes((ends_at + TimeDelta::seconds(59)).num_minutes()).max(elapsed);
        }
        self.running.push(Flight { occurrence, started_at: wall, ends_at, end });
    }

    fn fate(&mut self) -> (TimeDelta, Planned) {
        let lasts = match self.dice.between(0, 100) {
            0..70 => self.dice.span(1, 120),
            70..95 => self.dice.span(60, 1_200),
            _ => self.dice.span(1_200, 7_200),
        };
        let end = match self.dice.between(0, 100) {
            0..88 => Planned::Succeeds,
            88..96 => Planned::Fails { permanent: false },
            96 => Planned::Fails { permanent: true },
            97 => Planned::IsCancelled,
            _ => Planned::Snoozes,
        };
        (lasts, end)
    }

    /// Settles the runs that have ended.
    pub fn settle(&mut self) {
        let elapsed = self.elapsed;
        let flights: Vec<Flight> = self.running.extract_if(.., |flight| flight.ends_at <= elapsed).collect();
        let ends = flights
            .into_iter()
            .map(|flight| {
                let end = match flight.end {
                    Planned::Succeeds => End::Succeeded,
                    Planned::Fails { permanent } => End::Failed { permanent },
                    Planned::Snoozes => End::Snoozed { until: self.wall + TimeDelta::minutes(10) },
                    Planned::IsCancelled => End::Cancelled,
                };
                (flight, end)
            })
            .collect();
        self.settle_as(ends);
    }

    fn settle_as(&mut self, ends: Vec<(Flight, End)>) {
        if ends.is_empty() {
            return;
        }
        let rows: Vec<RunEnd> = ends.iter().map(|(flight, end)| self.row(flight, end.clone())).collect();
        let settled = self.store.settle(&self.lease, &rows, self.wall).expect("settled");
        for ((flight, end), Settled { outcome, .. }) in ends.into_iter().zip(settled) {
            assert_ne!(outcome, Outcome::Lost, "{} was ours", flight.occurrence.id);
            let attempts = self.part(flight.occurrence.id.event).role.attempts;
            let is_over = match end {
                End::Succeeded | End::Cancelled | End::Failed { permanent: true } => true,
                End::Failed { permanent: false } => flight.occurrence.attempt >= attempts,
                End::Snoozed { .. } | End::Interrupted { .. } => false,
            };
            if is_over {
                self.is_over(&flight.occurrence);
            }
        }
    }

    fn row(&self, flight: &Flight, end: End) -> RunEnd {
        RunEnd {
            occurrence: flight.occurrence.id,
            token: flight.occurrence.token,
            attempt: flight.occurrence.attempt,
            started_at: Some(flight.started_at),
            finished_at: self.wall,
            end,
            error: None,
            code: None,
            output: None,
            resources: Vec::new(),
            plugin: "bells".to_owned(),
            generation: 1,
            digest: "d1".to_owned(),
            placement: "in-process".to_owned(),
            follow_ups: Vec::new(),
            log: None,
        }
    }

    /// An occurrence has had its last run.
    fn is_over(&mut self, occurrence: &Occurrence) {
        let (wall, elapsed, part) = (self.wall, self.elapsed, &mut self.parts[self.by_id[&occurrence.id.event]]);
        if !occurrence.by_schedule {
            assert!(part.extras_ended.insert(occurrence.id.n), "{} ended twice", occurrence.id);
            return;
        }
        part.ends(occurrence.id.n, occurrence.scheduled_for, elapsed);
        let counted = occurrence.counted_to.map_or(occurrence.scheduled_for, |to| to.max(occurrence.scheduled_for));
        if part.schedule.terms.max_runs.is_some_and(|most| part.ended.len() >= usize::try_from(most).expect("small")) {
            part.ledger.end(&part.schedule, &self.calendars, counted);
        } else if part.schedule.recurs() && part.schedule.is_elapsed_like() && counted > wall {
            // The clock was set back while it ran: an elapsed rhythm goes on from here.
            part.note(wall, format_args!("{} ended before its instant {counted}", occurrence.id));
            part.ledger.cut(&part.schedule, &self.calendars, counted, wall);
            part.is_rewound = true;
        }
    }

    /// Asked to stop: what runs is told to end, and comes again.
    pub fn stop(&mut self) {
        let flights = std::mem::take(&mut self.running);
        self.settle_as(flights.into_iter().map(|flight| (flight, End::Interrupted { guilt: Guilt::Innocent })).collect());
        self.is_up = false;
    }

    /// Dies with all that runs, and with claims that were not started.
    pub fn crash(&mut self, unstarted: usize) {
        for flight in std::mem::take(&mut self.running) {
            let aborted = Aborted {
                occurrence: flight.occurrence.id,
                token: flight.occurrence.token,
                attempt: flight.occurrence.attempt,
                started_at: flight.started_at,
                plugin: "bells".to_owned(),
                generation: 1,
                digest: "d1".to_owned(),
                placement: "in-process".to_owned(),
                cause: "the host ended".to_owned(),
            };
            self.aborted.push((aborted, flight.occurrence));
        }
        self.unstarted = unstarted;
        self.is_up = false;
    }

    /// Comes again.
    pub fn start_up(&mut self) {
        let old = std::mem::replace(&mut self.lease, self.store.attach("tower", self.wall).expect("a lease"));
        let aborted = std::mem::take(&mut self.aborted);
        let told: Vec<Aborted> = aborted.iter().map(|(aborted, _)| aborted.clone()).collect();
        let resolved = self.store.recover(&self.lease, &told, self.wall).expect("recovered");
        let count = |n: usize| i64::try_from(n).expect("few");
        assert_eq!(resolved, (count(told.len()), count(std::mem::take(&mut self.unstarted))), "each claim of the earlier life is resolved");
        if let Some((_, occurrence)) = aborted.first() {
            // Its report comes too late, under a lease that is over.
            let flight = Flight { occurrence: occurrence.clone(), started_at: self.wall, ends_at: self.elapsed, end: Planned::Succeeds };
            let lost = self.store.settle(&old, &[self.row(&flight, End::Succeeded)], self.wall).expect("recorded");
            assert_eq!(lost[0].outcome, Outcome::Lost);
        }
        for (_, occurrence) in &aborted {
            let part = self.part(occurrence.id.event);
            part.interrupted.insert(occurrence.id.n);
            if occurrence.interruptions + 1 >= POISON_INTERRUPTIONS {
                self.is_over(occurrence);
            }
        }
        self.is_up = true;
        self.host_since = self.wall;
        self.served.iter_mut().flatten().for_each(|since| *since = self.wall);
    }
}
