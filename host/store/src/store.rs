//! The port: what Sexton asks of a store, verb by verb, and who may lose the race.
//!
//! Not an adapter: those stand beside it (`sqlite`). What must hold: every adapter passes the one conformance suite.

mod dead_letters;

pub use dead_letters::{DeadLetters, Each};

use crate::error::StoreError;
use crate::history::History;
use crate::rows::{
    Aborted, Actor, AuditFilter, AuditLine, CalendarRow, Change, ClockPage, Counts, Crash, Decision, EventFilter, GenerationRow, Intention,
    Lease, LimitRow, LinkRow, Misfired, NextClaim, Offer, Overlapped, Page, PluginRow, RunEnd, RunFilter, RunLog, Settled, StateRow,
    Stored, TypeRow, Waiting, ZonePage, ZoneRow,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serde_json::value::RawValue;
use sexton_core::calendar::Calendar;
use sexton_core::limit::{Limit, LimitOn};
use sexton_core::schedule::zone::ZoneRules;
use sexton_core::{Event, EventId, Occurrence, OccurrenceId, Run, TypeId};

/// What a verb answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The durable rows. Calls block until durable; any thread may call.
pub trait Store: DeadLetters + History {
    /// Registers this host (by name) and takes its lease. Before: no other process holds the store (SQLite: the file lock, taken at
    /// open). After: the epoch is raised, so settlements of earlier lives of this host are `lost`.
    fn attach(&self, name: &str, now: DateTime<Utc>) -> Result<Lease>;

    /// Resolves every claim of earlier epochs of this host. Those in `aborted` get a run `interrupted`, one interruption more (it counts
    /// towards poison) and are due again a while later (or a dead letter past the poison limit); all others are given back as
    /// [`Store::give_back`] does: no run, no attempt. Answers how many of each.
    fn recover(&self, lease: &Lease, aborted: &[Aborted], now: DateTime<Utc>) -> Result<(i64, i64)>;

    /// Stores events with their first occurrences, all or nothing, durable on return. Refused if a key is in use (`INP008`, names the
    /// event). Two callers with one key: the first committed wins. Standing intentions (`standing_of`) replace the event of the same
    /// plugin, type and key if schedule, args or description differ, and leave it alone otherwise. An intention that asks for uniqueness
    /// and meets an event that is the same is refused (`INP036`), is answered by that event, or has it cancelled, as it says; of a batch,
    /// one after another. One that follows others is refused if one of them is not there or has ended otherwise (`INP037`), or if the chain
    /// would be too long or too wide (`INP039`). Answers what became of each, in order.
    fn schedule(&self, lease: &Lease, intentions: &[Intention], by: &Actor, now: DateTime<Utc>) -> Result<Vec<Stored>>;

    /// Claims up to `limit` occurrences due at or before `until`, for each type of `types` in turn so that none takes more than its
    /// share, by priority with ageing (`sexton_core::decide::order`). What is under a limit is claimed if it is due by `now` and the limit lets
    /// it through; it then holds a slot of each concurrency limit until it is claimed no more, and has spent a token of each rate. Rows whose
    /// events share a key limit go behind its gate, where they wait without being looked at again. After: what is claimed carries this host and
    /// a fresh token. Unserved types cost nothing. Rows that cannot be read are left out and their events paused, with the fault as the reason.
    fn claim_at(&self, lease: &Lease, types: &[TypeId], now: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<Occurrence>>;

    /// [`Store::claim_at`] of what is due by now.
    fn claim(&self, lease: &Lease, types: &[TypeId], until: DateTime<Utc>, limit: usize) -> Result<Vec<Occurrence>> {
        self.claim_at(lease, types, until, until, limit)
    }

    /// Writes what was decided about claimed occurrences that were found late (`sexton_core::decide::late`): meant for another instant, or
    /// taken away with the successor stored in their place; what was passed over is counted. Before: claimed under the token, and not
    /// started. After: for each whether the claim still stood; one that was taken back meanwhile is left alone, one that was judged by
    /// another schedule than its event has by now is given back, and neither must be started.
    fn misfire(&self, lease: &Lease, found: &[Misfired], now: DateTime<Utc>) -> Result<Vec<bool>>;

    /// Settles what becomes of claimed occurrences that fell due while something of their events was going: those of `running`, and what
    /// waits to be tried again (`sexton_core::decide::overlap`). Before: claimed under the token, not started, and taken out of every queue
    /// of the host with all else of their events; `running` names every run of these events that is not settled. After: taken away and
    /// counted, with the successor stored; or waiting behind what is going, whose end lets it go; or, if nothing is going by now, given
    /// back. With `cancel_previous` what waited to be tried again is gone, having had its run, and what runs is named in the answer. A
    /// stale token is passed over: an operator's verb came first.
    fn overlapped(&self, lease: &Lease, claims: &[(OccurrenceId, i64)], running: &[OccurrenceId], now: DateTime<Utc>)
    -> Result<Overlapped>;

    /// Stores the successors of occurrences that have just started, whose policy lets the next one start beside them or in their place
    /// (`sexton_core::decide::overlap::runs_ahead`). Before: claimed under the token. After: the end of each gives no other successor; what was
    /// missed before it began is counted. A stale token is passed over, and one that is followed already: its end came first. Answers when
    /// the first successor is due.
    fn follow(&self, lease: &Lease, claims: &[(OccurrenceId, i64)], now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>>;

    /// Stores one occurrence of cause `backfill` for each instant, due at once, all or nothing. The schedule's own next one stays where it
    /// is. Refused if the event is not there (`INP009`) or has ended (`INP010`).
    fn backfill(&self, lease: &Lease, id: EventId, instants: &[DateTime<Utc>], by: &Actor, now: DateTime<Utc>) -> Result<()>;

    /// Named calendars, by name.
    fn calendars(&self) -> Result<Vec<CalendarRow>>;
    /// Stores a calendar under its name, in place of one that was there, and re-plans the open events that name it: what is due, claimed or
    /// tried already stays. Answers how many moved.
    fn set_calendar(&self, lease: &Lease, name: &str, calendar: &Calendar, by: &Actor, now: DateTime<Utc>) -> Result<i64>;
    /// Forgets a calendar. Refused while an open event names it (`INP027`). Answers whether it was there.
    fn remove_calendar(&self, lease: &Lease, name: &str, by: &Actor, now: DateTime<Utc>) -> Result<bool>;

    /// Zones other than UTC that open events follow, each with the rules that they were planned by.
    fn zones(&self) -> Result<Vec<ZoneRow>>;
    /// Notes the rules by which a zone's events are planned. A pass that is on its way is left alone.
    fn note_zone(&self, lease: &Lease, tz: &str, rules: &ZoneRules) -> Result<()>;
    /// Re-plans the next `limit` events of a zone by its rules of now. To be asked until it is done; a pass that was cut off goes on where
    /// it came to. After the last page: the rules are noted, and an audit line says how many were looked at and moved.
    fn replan_zone(&self, lease: &Lease, tz: &str, rules: &ZoneRules, limit: usize, now: DateTime<Utc>) -> Result<ZonePage>;

    /// Moves the due instants of waiting retries with the host's clock, which was stepped by so much; answers how many.
    fn move_retries(&self, lease: &Lease, step: TimeDelta) -> Result<i64>;
    /// After the host's clock was set back: looks at the next `limit` rows after `after` and lets elapsed rhythms go on from `now`. To be
    /// asked until it names no last one.
    fn clock_set_back(
        &self,
        lease: &Lease,
        back: TimeDelta,
        after: Option<OccurrenceId>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<ClockPage>;

    /// Gives claims back unstarted: no run, no attempt. A stale token is passed over. Where a row goes is said by its event's state of
    /// now: held if it is paused, deleted if it is cancelled, else back into the due order at its old instant.
    fn give_back(&self, lease: &Lease, claims: &[(OccurrenceId, i64)]) -> Result<()>;

    /// Settles ends of runs in one transaction, in order: the run recorded, the row removed or due again, successor and follow-ups
    /// stored, event state and counters moved, as `sexton_core::decide::after_run` says with the rows of that moment. A stale token or
    /// epoch records the run as `lost` and changes nothing else. A run's log, if it has one, is stored with it, a lost run's too. An event whose row cannot be read, or whose schedule cannot say its next
    /// instant, is paused with the reason; its run stands. What follows the event is set off, or ended if nothing can set it off any more, in the
    /// same transaction. An error settles nothing.
    fn settle(&self, lease: &Lease, ends: &[RunEnd], now: DateTime<Utc>) -> Result<Vec<Settled>>;

    /// When something of these types can be claimed next. What a full concurrency limit holds back wakes nobody: see
    /// [`NextClaim::held_back`].
    fn next_claim(&self, types: &[TypeId], now: DateTime<Utc>) -> Result<NextClaim>;

    /// The earliest due instant of an unclaimed occurrence of these types, but for what a full concurrency limit holds back.
    fn next_due(&self, types: &[TypeId]) -> Result<Option<DateTime<Utc>>> {
        let next = self.next_claim(types, DateTime::<Utc>::MAX_UTC)?;
        Ok([next.ahead, next.on_time].into_iter().flatten().min())
    }

    /// Sets a limit in place of what was on the same thing. After: claims keep to it; what is claimed already counts and is left alone, so that
    /// a lowered limit lets what runs finish. Tokens spent stay spent.
    fn set_limit(&self, lease: &Lease, limit: &Limit, by: &Actor, now: DateTime<Utc>) -> Result<()>;
    /// Takes a limit away; what waited behind it can be claimed. Answers whether it was there.
    fn remove_limit(&self, lease: &Lease, on: &LimitOn, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
    /// Every limit, with what is taken of it now.
    fn limits(&self, now: DateTime<Utc>) -> Result<Vec<LimitRow>>;

    /// Changes one event. Tokens of its claimed occurrences are bumped, but not of those in `running`: they settle normally. Refused
    /// (`INP009` no such event, `INP010` state does not allow it, named). `Resume` judges the held row that the schedule gave by the misfire
    /// policy, as one that was found late, so that at most one run makes up for the pause; other rows go on as they are; an event whose schedule is spent and that has no row left is completed. `Edit`
    /// of the schedule re-plans from `now` on and counts what was missed as skipped, also while an occurrence runs or waits for its retry:
    /// the new schedule has no past. `RunNow` follows the overlap policy while something of the event is going, or is about to by an earlier
    /// `RunNow`: it waits, or is refused (`INP029`, `INP030` if its queue is full) and counted as skipped. After: the event as stored.
    fn alter(&self, lease: &Lease, id: EventId, change: &Change, running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>)
    -> Result<Event>;

    /// Pauses those of `ids` that are `scheduled`, in one transaction, each as [`Store::alter`] does with `Change::Pause`: `reason` is its
    /// note, its rows are held, tokens of claimed ones are bumped, but not of those in `running`: they settle normally. Before: whatever
    /// the states; an event that ended, was paused or pruned since somebody looked is passed over. After: one audit line for all, on the
    /// first of them (none if there were none). Answers how many were paused.
    fn pause_many(
        &self,
        lease: &Lease,
        ids: &[EventId],
        reason: &str,
        running: &[OccurrenceId],
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// One event.
    fn event(&self, id: EventId) -> Result<Option<Event>>;
    /// Events, newest first.
    fn events(&self, filter: &EventFilter, page: &Page) -> Result<Vec<Event>>;
    /// What an event follows, and which of that has come about since it was set off last; empty if its schedule is another.
    fn links(&self, id: EventId) -> Result<Vec<LinkRow>>;
    /// What is still to run of one event, dead letters included, by ordinal.
    fn waiting(&self, id: EventId) -> Result<Vec<Waiting>>;
    /// Runs, newest first, each with its row number to page on.
    fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Vec<(i64, Run)>>;
    /// Stored arguments of a type: those of events scheduled or paused, by rising id after `after`, at most `limit`. Before: the type may be
    /// served or not. After: fewer than `limit` means that there are no more; an event stored since has a greater id, so that asking on
    /// finds it. Rows that cannot be read are left out and do not count. Costs what the type's open events cost, whatever else is stored.
    fn args_of(&self, type_id: TypeId, after: Option<EventId>, limit: usize) -> Result<Vec<(EventId, Box<RawValue>)>>;
    /// What was said by the newest run that said something, of an occurrence or of one attempt at it. Before: settled; a run that goes on
    /// has no log here yet. None if no such run said anything, or if it is pruned.
    fn run_log(&self, occurrence: OccurrenceId, attempt: Option<u32>) -> Result<Option<RunLog>>;
    /// Counts for `status`.
    fn counts(&self) -> Result<Counts>;

    /// A number for a new generation of `plugin` (made known if new), never given before.
    fn new_generation(&self, plugin: &str, digest: &str, now: DateTime<Utc>) -> Result<i64>;
    /// Remembers where a generation's code runs. Before: its number was given; another number is passed over. After: told again, the
    /// later word stands.
    fn placed(&self, generation: i64, placement: &str) -> Result<()>;
    /// Generations of a plugin, newest first, at most `limit`: those that never served too.
    fn generations(&self, plugin: &str, limit: usize) -> Result<Vec<GenerationRow>>;
    /// Publishes a batch, all or nothing: each type becomes owned by `plugin` (`host` for built-ins) with its schema and policy;
    /// standing events (ids given) are stored. An occurrence of a replaced standing event that is claimed by then keeps its claim, as
    /// nobody here knows whether it runs: it runs once more with the arguments it was claimed with, and whoever hands it to the new
    /// code has to expect that. Refused if another plugin owns one of the types (`PLG031`, both named). After: the
    /// generation is remembered as published at `now`, unless it was before; the rows of the types, in the order of `offers`.
    #[expect(clippy::too_many_arguments, reason = "one transaction says all of it; a struct would only name the same eight things again")]
    fn publish(
        &self,
        lease: &Lease,
        plugin: &str,
        generation: i64,
        offers: &[Offer],
        standing: &[StandingOffer],
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<TypeRow>>;
    /// Every type ever published and not released; and released ones on which events still wait (owner none).
    fn types(&self) -> Result<Vec<TypeRow>>;
    /// Forgets who owns a type. Refused if it is not known (`INP001`). Answers who owned it.
    fn release_type(&self, event_type: &str, by: &Actor, now: DateTime<Utc>) -> Result<Option<String>>;
    /// Forgets the owner of every type of `plugin` of which no event is left that is neither completed, cancelled nor discarded: for a plugin whose file
    /// is gone. Answers the names.
    fn release_unused(&self, plugin: &str, by: &Actor, now: DateTime<Utc>) -> Result<Vec<String>>;
    /// Plugins that the store knows.
    fn plugins(&self) -> Result<Vec<PluginRow>>;
    /// Sets or (with `None`) ends the decision about a plugin.
    fn decide(&self, plugin: &str, decision: Option<&Decision>, by: &Actor, now: DateTime<Utc>) -> Result<()>;

    /// Remembers a crash. Before: nothing; the plugin need not be known. After: at most the newest 100 of that plugin are kept, and of
    /// nobody any that is more than 30 days older than this one.
    fn crashed(&self, crash: &Crash) -> Result<()>;
    /// Crashes of a plugin at or after `since`, newest first.
    fn crashes(&self, plugin: &str, since: DateTime<Utc>) -> Result<Vec<Crash>>;
    /// Forgets the crashes of a plugin: somebody trusts it again.
    fn forgive_crashes(&self, plugin: &str) -> Result<()>;

    /// The keys that a plugin keeps, by name.
    fn state_keys(&self, plugin: &str) -> Result<Vec<StateRow>>;
    /// Reads a plugin's own key: value and version (0 = absent).
    fn state_get(&self, plugin: &str, key: &str) -> Result<(Option<Value>, i64)>;
    /// Writes a plugin's own key if its version is `expected` (`None` = whatever it is); a `None` value removes it. Answers the new
    /// version, or the present one as `Err` inside if it differs.
    fn state_put(&self, plugin: &str, key: &str, value: Option<&Value>, expected: Option<i64>) -> Result<std::result::Result<i64, i64>>;

    /// Adds a line to the audit table.
    fn audit(&self, line: &AuditLine) -> Result<()>;
    /// Audit lines, newest first, with their numbers.
    fn audit_lines(&self, filter: &AuditFilter, page: &Page) -> Result<Vec<(i64, AuditLine)>>;

    /// Stops taking verbs, ends what is queued, checkpoints and releases the lock. Later verbs answer `Closed`.
    fn close(&self);
}

/// A standing event on its way to being published. Validated by the host, schedule settled.
#[derive(Clone, Debug)]
pub struct StandingOffer {
    /// The event type, one of the batch or already owned by the plugin.
    pub event_type: String,
    /// Id to use if it has to be stored anew.
    pub id: EventId,
    /// What to store; `wish.key` is the standing key.
    pub wish: sexton_core::NewEvent,
    /// First instant.
    pub first: Option<DateTime<Utc>>,
}
