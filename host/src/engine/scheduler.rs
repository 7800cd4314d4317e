//! The scheduler: one thread, the only owner of the due queue. It claims ahead, waits for the instant, and starts.
//!
//! It makes no store call (the claimer does) and knows no plugin code. What must hold: between the instant and the start nothing waits for a
//! disk; an idle scheduler is in one `poll`; after an event was frozen nothing old of it starts.

use crate::clock;
use crate::engine::ahead;
use crate::engine::almanac::ClockWatch;
use crate::engine::claimer::{Brought, Errand};
use crate::engine::due::{Claim, DueQueue};
use crate::engine::shared::Shared;
use crate::engine::turns::Turns;
use crate::engine::wake::Wake;
use chrono::{DateTime, TimeDelta, Utc};
use sexton_core::{EventId, OccurrenceId, TypeId};
use sexton_store::StoreError;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// First and greatest wait after a claim that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// What others tell the scheduler.
#[derive(Debug)]
pub enum Message {
    /// Something was stored that is due then.
    Due(DateTime<Utc>),
    /// Other types are served, or by others.
    RegistryChanged,
    /// Give back what has not started: another limit holds for it now.
    Recall,
    /// What a claim brought.
    Brought(Result<Brought, StoreError>),
    /// These runs were refused by a draining generation, or lost with one that is gone: they never started.
    Unstarted(Vec<u64>),
    /// Start nothing of this event until `Thaw`.
    Freeze {
        /// Which.
        event: EventId,
        /// Gets what runs of it.
        reply: Sender<Frozen>,
    },
    /// A frozen event may start again; its claims are given back and taken anew.
    Thaw {
        /// Which.
        event: EventId,
    },
    /// Start nothing more and give everything back.
    Stop {
        /// Told when all is given back.
        reply: Sender<()>,
    },
    /// Let the thread end.
    End,
}

/// What was running of an event when it was frozen.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    /// Every run whose settlement is not durable.
    pub unsettled: Vec<OccurrenceId>,
    /// Those that have not ended.
    pub under_way: Vec<OccurrenceId>,
}

/// The thread's own state.
pub struct Scheduler {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: DueQueue,
    pub(super) errands: Sender<Errand>,
    inbox: Receiver<Message>,
    wake: Wake,
    /// Events that a verb is at work on: how many verbs, and the claims taken out.
    frozen: HashMap<EventId, (usize, Vec<Claim>)>,
    /// Thawed while a claim was out: what that claim brings of them may be old.
    suspects: HashSet<EventId>,
    /// The earliest instant at which something unclaimed is known, or suspected, to be due.
    pub(super) unclaimed: Option<DateTime<Utc>>,
    /// When something that is under a limit can be claimed: then, and not before.
    pub(super) opens: Option<DateTime<Utc>>,
    /// Who is next to start.
    pub(super) turns: Turns,
    pub(super) claiming: bool,
    /// Types that the last look left out of its claim because enough of them is due and waits for room.
    pub(super) left_out: HashSet<TypeId>,
    backoff: Duration,
    /// No claim before that boot time.
    pub(super) not_before: Duration,
    pub(super) recheck_at: Duration,
    pub(super) stop: Option<Option<Sender<()>>>,
    clocks: ClockWatch,
}

impl Scheduler {
    /// Nothing queued; asks the store at once.
    pub fn new(shared: Arc<Shared>, inbox: Receiver<Message>, wake: Wake, errands: Sender<Errand>) -> Self {
        Self {
            shared,
            queue: DueQueue::default(),
            errands,
            inbox,
            wake,
            frozen: HashMap::new(),
            suspects: HashSet::new(),
            unclaimed: Some(clock::now()),
            opens: None,
            turns: Turns::default(),
            claiming: false,
            left_out: HashSet::new(),
            backoff: BACKOFF.0,
            not_before: Duration::ZERO,
            recheck_at: clock::boot_time() + ahead::RECHECK,
            stop: None,
            clocks: ClockWatch::start(),
        }
    }

    /// Runs until `End`.
    pub fn run(mut self) {
        loop {
            self.wake.hush();
            while let Ok(message) = self.inbox.try_recv() {
                if matches!(message, Message::End) {
                    // Without a claimer the next start resolves what is claimed.
                    let _ = self.errands.send(Errand::End);
                    return;
                }
                self.take(message);
            }
            if let Some(step) = self.clocks.step() {
                self.step(step);
            }
            let now = clock::now();
            if self.stop.is_none() {
                self.queue.ripen(now);
                self.start_due(now);
                self.claim_ahead(now);
            } else {
                self.answer_stop();
            }
            let until = self.next_look(clock::now());
            match self.wake.wait(until) {
                Ok(false) => {}
                // The clock was set: what the store holds may be due by now.
                Ok(true) => self.unclaimed = Some(clock::now()),
                Err(error) => panic!("the scheduler cannot wait: {error}"),
            }
        }
    }

    /// The clock was set: what waits for its instant goes back, so that it can be moved with what waits in the store.
    fn step(&mut self, step: TimeDelta) {
        let claims = self.queue.take_all();
        self.give_back(claims);
        // Without a claimer nothing is claimed any more either.
        let _ = self.errands.send(Errand::Stepped(step));
        self.expect_due(Some(clock::now()));
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Due(at) => self.expect_due(Some(at)),
            Message::RegistryChanged => self.expect_due(Some(clock::now())),
            Message::Recall => {
                let claims = self.queue.take_all();
                self.give_back(claims);
                self.expect_due(Some(clock::now()));
            }
            Message::Brought(answer) => self.receive(answer),
            Message::Unstarted(runs) => self.take_back(runs),
            Message::Freeze { event, reply } => {
                let taken = self.queue.take_event(event);
                let (mut unsettled, under_way) = self.shared.table.mark_altered(event);
                // Settled and claimed again before it left the table: its new claim is not running.
                unsettled.retain(|id| !taken.iter().any(|(t, _)| t == id));
                let entry = self.frozen.entry(event).or_default();
                entry.0 += 1;
                entry.1.extend(taken);
                // The caller waits; if it died, its `Thaw` never comes, and that costs this event until a restart, not a wrong start.
                let _ = reply.send(Frozen { unsettled, under_way });
            }
            Message::Thaw { event } => self.thaw(event),
            Message::Stop { reply } => {
                let claims = self.queue.take_all();
                self.give_back(claims);
                self.stop = Some(Some(reply));
            }
            Message::End => {}
        }
    }

    fn thaw(&mut self, event: EventId) {
        let Some(entry) = self.frozen.get_mut(&event) else { return };
        entry.0 -= 1;
        let claims = std::mem::take(&mut entry.1);
        if entry.0 == 0 {
            self.frozen.remove(&event);
            if self.claiming {
                self.suspects.insert(event);
            }
        }
        self.give_back(claims);
        self.expect_due(Some(clock::now()));
    }

    pub(super) fn expect_due(&mut self, at: Option<DateTime<Utc>>) {
        self.unclaimed = match (self.unclaimed, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn receive(&mut self, answer: Result<Brought, StoreError>) {
        self.claiming = false;
        let suspects = std::mem::take(&mut self.suspects);
        match answer {
            Ok(brought) => {
                if self.backoff > BACKOFF.0 {
                    tracing::info!("claims succeed again");
                }
                self.backoff = BACKOFF.0;
                self.expect_due(brought.next.ahead);
                self.opens = brought.next.on_time;
                let stopping = self.stop.is_some();
                let unwanted = |event: &EventId| stopping || self.frozen.contains_key(event) || suspects.contains(event);
                let (back, keep): (Vec<_>, Vec<_>) = brought.claimed.into_iter().partition(|o| unwanted(&o.id.event));
                self.give_back(back.iter().map(|o| (o.id, o.token)).collect());
                keep.into_iter().for_each(|o| self.queue.push(o));
                if !back.is_empty() {
                    self.expect_due(Some(clock::now()));
                }
            }
            Err(error) => {
                if self.backoff == BACKOFF.0 {
                    tracing::error!(%error, "nothing can be claimed; trying again");
                }
                self.not_before = clock::boot_time() + self.backoff;
                self.backoff = (self.backoff * 2).min(BACKOFF.1);
                self.expect_due(Some(clock::now()));
            }
        }
    }

    pub(super) fn give_back(&self, claims: Vec<Claim>) {
        if !claims.is_empty() {
            // Without a claimer the next start resolves them.
            let _ = self.errands.send(Errand::GiveBack(claims));
        }
    }

    pub(super) fn take_back(&mut self, runs: Vec<u64>) {
        let (mut again, mut back) = self.release_unstarted(runs);
        if self.stop.is_some() {
            back.append(&mut again);
        }
        if !back.is_empty() {
            self.give_back(back.iter().map(|o| (o.id, o.token)).collect());
            self.expect_due(Some(clock::now()));
        }
        again.into_iter().for_each(|o| self.queue.push(o));
    }

    fn answer_stop(&mut self) {
        if self.claiming {
            return;
        }
        if let Some(reply) = self.stop.as_mut().and_then(Option::take) {
            // The one that stops the engine may have given up waiting.
            let _ = reply.send(());
        }
    }
}
