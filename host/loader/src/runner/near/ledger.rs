//! What a runner may still say: it answers what it was asked, once, and asks a bounded number of things itself.
//!
//! Not how large a report may be (`bounds`), nor whose a run is: that the engine knows. What must hold: whatever a runner says, the reports that are passed on
//! are bounded by the orders that it was given, its open calls by their number and memory, its log by the gate; so no queue of the host grows at a
//! plugin's word.

use crate::runner::bounds::{EVENTS_MAX, OFFERS_MAX, OPEN_CALLS_BYTES_MAX, OPEN_CALLS_MAX};
use crate::seam::{Order, Report};
use sexton_plugin_api::wire::{Batch, HostCall};
use std::collections::{HashMap, HashSet};

/// Of one runner.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    confined: bool,
    loaded: bool,
    quiescent: bool,
    /// Runs without an end, and whether they have been started.
    runs: HashMap<u64, bool>,
    actions: HashSet<u64>,
    questions: HashSet<u64>,
    /// Calls without an answer, and what each takes in memory.
    calls: HashMap<u64, usize>,
    calls_bytes: usize,
}

impl Ledger {
    /// Notes what the runner is about to be told.
    pub(super) fn ordered(&mut self, order: &Order) {
        match order {
            Order::Run(runs) => self.runs.extend(runs.iter().map(|run| (run.run, false))),
            Order::Act(order) => drop(self.actions.insert(order.run)),
            Order::Migrate { question, .. } => drop(self.questions.insert(*question)),
            Order::Answer { call, .. } => self.calls_bytes -= self.calls.remove(call).unwrap_or_default(),
            _ => {}
        }
    }

    /// Notes that it has said what confines it.
    ///
    /// # Errors
    /// As [`Ledger::heard`].
    pub(super) fn heard_confined(&mut self) -> Result<(), String> {
        once(&mut self.confined, "what confines it")
    }

    /// Notes a report that takes so many bytes.
    ///
    /// # Errors
    /// It may not be said, and why.
    pub(super) fn heard(&mut self, report: &Report, bytes: usize) -> Result<(), String> {
        match report {
            Report::Loaded(result) => {
                once(&mut self.loaded, "the answer of `load`")?;
                result.as_ref().map_or(Ok(()), few_offers)
            }
            Report::Started { run, .. } => match self.runs.get_mut(run) {
                Some(started) => once(started, "the start of a run"),
                None => Err(unasked("the start of run", *run)),
            },
            Report::Done(ended) => ended.iter().try_for_each(|one| self.end(one.reply.run, "the end of run")),
            Report::Refused(runs) => runs.iter().try_for_each(|run| self.end(*run, "a refusal of run")),
            Report::Acted { run, .. } => self.actions.remove(run).then_some(()).ok_or_else(|| unasked("the end of action", *run)),
            Report::Migrated { question, .. } => {
                self.questions.remove(question).then_some(()).ok_or_else(|| unasked("arguments migrated for question", *question))
            }
            Report::Call { call, request, .. } => self.open(*call, request, bytes),
            Report::Quiescent => once(&mut self.quiescent, "the end of all runs"),
            // The gate counts the one, and nothing is passed on after the other.
            Report::Log(_) | Report::Gone(_) => Ok(()),
        }
    }

    fn end(&mut self, run: u64, what: &str) -> Result<(), String> {
        self.runs.remove(&run).map(drop).ok_or_else(|| unasked(what, run))
    }

    fn open(&mut self, call: u64, request: &HostCall, bytes: usize) -> Result<(), String> {
        if let HostCall::Schedule { events } = request
            && events.len() > EVENTS_MAX
        {
            return Err(format!("a call with {} events, at most {EVENTS_MAX} are taken", events.len()));
        }
        if self.calls.len() == OPEN_CALLS_MAX {
            return Err(format!("more than {OPEN_CALLS_MAX} calls that wait for their answers"));
        }
        self.calls_bytes += bytes;
        if self.calls_bytes > OPEN_CALLS_BYTES_MAX {
            let most = OPEN_CALLS_BYTES_MAX >> 20;
            return Err(format!("calls that wait for their answers take more than {most} MiB together"));
        }
        self.calls.insert(call, bytes).map_or(Ok(()), |_| Err(format!("call {call} a second time before its answer")))
    }
}

fn few_offers(batch: &Batch) -> Result<(), String> {
    let counts = [("event types", batch.types.len()), ("actions", batch.actions.len()), ("standing events", batch.standing.len())];
    let many = counts.into_iter().find(|(_, count)| *count > OFFERS_MAX);
    many.map_or(Ok(()), |(what, count)| Err(format!("{count} {what} in a batch, at most {OFFERS_MAX} are taken")))
}

fn once(said: &mut bool, what: &str) -> Result<(), String> {
    if std::mem::replace(said, true) { Err(format!("{what} a second time")) } else { Ok(()) }
}

fn unasked(what: &str, number: u64) -> String {
    format!("{what} {number}, which it was not asked for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::Ended;
    use chrono::Utc;
    use serde_json::{Value, json};
    use sexton_plugin_api::wire::{ActionOffer, RunOrder};

    fn run(run: u64) -> Order {
        let order = json!({"run": run, "occurrence": "a.1", "event_type": "a.b", "args": {}, "attempt": 1, "scheduled_for": Utc::now()});
        Order::Run(vec![serde_json::from_value::<RunOrder>(order).expect("an order")])
    }

    fn done(run: u64) -> Report {
        let ended = json!({"reply": {"run": run, "end": {"end": "succeeded"}}, "started_at": Utc::now(), "finished_at": Utc::now()});
        Report::Done(vec![serde_json::from_value::<Ended>(ended).expect("an end")])
    }

    fn started(run: u64) -> Report {
        Report::Started { run, at: Utc::now() }
    }

    fn call(call: u64) -> Report {
        Report::Call { call, run: 0, request: HostCall::StateGet { key: "k".to_owned() } }
    }

    fn refused(ledger: &mut Ledger, report: &Report) -> String {
        ledger.heard(report, 0).expect_err("it may not be said")
    }

    #[test]
    fn each_thing_is_answered_once_and_only_if_asked() {
        let mut ledger = Ledger::default();
        assert_eq!(refused(&mut ledger, &started(1)), "the start of run 1, which it was not asked for");
        ledger.ordered(&run(1));
        ledger.ordered(&run(2));
        ledger.heard(&started(1), 0).expect("asked for");
        assert_eq!(refused(&mut ledger, &started(1)), "the start of a run a second time");
        ledger.heard(&done(1), 0).expect("started");
        ledger.heard(&Report::Refused(vec![2]), 0).expect("asked for");
        for again in [done(1), Report::Refused(vec![2])] {
            assert!(refused(&mut ledger, &again).ends_with("which it was not asked for"));
        }
        ledger.ordered(&Order::Migrate { question: 3, event_type: "a.b".to_owned(), args: "{}".to_owned() });
        let migrated = Report::Migrated { question: 3, result: Ok("{}".to_owned()) };
        ledger.heard(&migrated, 0).expect("asked for");
        assert!(refused(&mut ledger, &migrated).contains("question 3"));
        assert!(refused(&mut ledger, &Report::Acted { run: 4, result: Ok(()) }).contains("action 4"));
        ledger.heard(&Report::Quiescent, 0).expect("the first");
        assert_eq!(refused(&mut ledger, &Report::Quiescent), "the end of all runs a second time");
        ledger.heard(&Report::Loaded(Ok(Batch::default())), 0).expect("the first");
        assert_eq!(refused(&mut ledger, &Report::Loaded(Ok(Batch::default()))), "the answer of `load` a second time");
        ledger.heard_confined().expect("the first");
        assert!(ledger.heard_confined().is_err());
    }

    #[test]
    fn open_calls_are_bounded_by_number_and_by_memory() {
        let mut ledger = Ledger::default();
        let most = u64::try_from(OPEN_CALLS_MAX).expect("small");
        for number in 0..most {
            ledger.heard(&call(number), 0).expect("room");
        }
        assert_eq!(refused(&mut ledger, &call(most)), "more than 1024 calls that wait for their answers");
        for number in 0..most {
            ledger.ordered(&Order::Answer { call: number, answer: Ok(Value::Null) });
        }
        ledger.heard(&call(1), OPEN_CALLS_BYTES_MAX).expect("room again");
        assert_eq!(ledger.heard(&call(2), 1).expect_err("full"), "calls that wait for their answers take more than 47 MiB together");
        let mut ledger = Ledger::default();
        ledger.heard(&call(1), 0).expect("room");
        assert_eq!(refused(&mut ledger, &call(1)), "call 1 a second time before its answer");
    }

    #[test]
    fn a_batch_and_a_call_hold_a_bounded_number() {
        let mut ledger = Ledger::default();
        let offer = ActionOffer { uid: "a".to_owned(), bulk: false, accepts_complement: false };
        let batch = Batch { actions: vec![offer; OFFERS_MAX + 1], ..Batch::default() };
        assert_eq!(refused(&mut ledger, &Report::Loaded(Ok(batch))), "4097 actions in a batch, at most 4096 are taken");
        let event = serde_json::from_value(json!({"event_type": "a.b", "schedule": {}})).expect("an event");
        let request = HostCall::Schedule { events: vec![event; EVENTS_MAX + 1] };
        let why = refused(&mut ledger, &Report::Call { call: 1, run: 0, request });
        assert_eq!(why, "a call with 10001 events, at most 10000 are taken");
    }
}
