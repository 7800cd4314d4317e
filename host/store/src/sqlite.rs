//! The embedded store: SQLite in a file, or in memory for tests.
//!
//! Not the rules of the rows: each area has its module; this file only says which thread does what. What must hold: one
//! writer thread, reads beside it, one process a file.

mod alerts;
mod alter;
mod audit;
mod backfill;
mod calendars;
mod cancel_many;
mod chains;
mod claim;
mod clock;
mod codec;
mod connection;
mod counters;
mod crashes;
mod dead_letters;
mod dead_verbs;
mod ended;
mod events;
mod failure;
mod gates;
mod history;
mod hosts;
mod lanes;
mod limits;
mod links;
mod lock;
mod logs;
mod migrations;
mod misfire;
mod overlap;
mod pause;
mod plugins;
mod prune;
mod readers;
mod record;
mod recover;
mod replan;
mod retention;
mod runs;
mod schedule;
mod settle;
mod skips;
mod standing;
pub mod state;
mod stats;
mod status;
#[cfg(test)]
mod tests;
mod types;
mod unique;
mod unreadable;
mod writer;
mod zones;

use crate::rows::{
    Aborted, Actor, AuditFilter, AuditLine, CalendarRow, Change, ClockPage, Counts, Crash, Decision, EventFilter, GenerationRow, Intention,
    Lease, LimitRow, LinkRow, Misfired, NextClaim, Offer, Overlapped, Page, PluginRow, RunEnd, RunFilter, RunLog, Settled, StateRow,
    Stored, TypeRow, Waiting, ZonePage, ZoneRow,
};
use crate::store::{Result, StandingOffer, Store};
use chrono::{DateTime, TimeDelta, Utc};
use codec::micros;
use parking_lot::Mutex;
use rusqlite::Connection;
use schedule::EventRow;
use serde_json::Value;
use serde_json::value::RawValue;
use sexton_core::calendar::Calendar;
use sexton_core::limit::{Limit, LimitOn};
use sexton_core::schedule::zone::ZoneRules;
use sexton_core::{Event, EventId, Occurrence, OccurrenceId, Run, TypeId};
use std::path::{Path, PathBuf};

/// A store in SQLite. Dropped without [`Store::close`], it closes itself.
pub struct Sqlite {
    writer: writer::Writer,
    /// None in memory: the writer's connection is the only one.
    readers: Option<readers::Readers>,
    lock: Mutex<Option<lock::Lock>>,
    /// Held by a step of pruning from its look to its deletion: two would each take what is too much.
    pruning: Mutex<()>,
}

impl Sqlite {
    /// Opens the store in a file, creating it if there is none; `<path>.lock` beside it keeps every other process out. The directory must
    /// exist.
    pub fn open(path: &Path) -> Result<Self> {
        let lock = lock::Lock::take(path)?;
        let mut conn = connection::open_writer(path)?;
        migrations::apply(&mut conn)?;
        Ok(Self {
            writer: writer::Writer::start(conn)?,
            readers: Some(readers::Readers::new(PathBuf::from(path))),
            lock: Mutex::new(Some(lock)),
            pruning: Mutex::default(),
        })
    }

    /// Opens an empty store that ends with this value.
    pub fn in_memory() -> Result<Self> {
        let mut conn = connection::open_in_memory()?;
        migrations::apply(&mut conn)?;
        Ok(Self { writer: writer::Writer::start(conn)?, readers: None, lock: Mutex::new(None), pruning: Mutex::default() })
    }

    /// Transactions committed since it was opened: fewer than verbs, if group commit works.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.call(work),
            None => self.writer.call(0, move |tx| work(tx.conn)),
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

/// A limit as SQLite takes it.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Store for Sqlite {
    fn attach(&self, name: &str, now: DateTime<Utc>) -> Result<Lease> {
        let name = name.to_owned();
        self.writer.call(1, move |tx| hosts::attach(tx, &name, now))
    }

    fn recover(&self, lease: &Lease, aborted: &[Aborted], now: DateTime<Utc>) -> Result<(i64, i64)> {
        let (lease, aborted) = (lease.clone(), aborted.to_vec());
        self.writer.call(aborted.len(), move |tx| recover::recover(tx, &lease, &aborted, now))
    }

    fn schedule(&self, lease: &Lease, intentions: &[Intention], by: &Actor, now: DateTime<Utc>) -> Result<Vec<Stored>> {
        let rows: Vec<EventRow> = intentions.iter().map(EventRow::of).collect::<Result<_>>()?;
        let (lease, by) = (lease.clone(), by.0.clone());
        self.writer.call(rows.len(), move |tx| {
            hosts::require_current(tx, &lease)?;
            schedule::schedule(tx, &rows, &by, now)
        })
    }

    fn claim_at(&self, lease: &Lease, types: &[TypeId], now: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<Occurrence>> {
        let (lease, types) = (lease.clone(), types.to_vec());
        let claims = self.writer.call(limit, move |tx| claim::claim(tx, &lease, &types, now, until, limit))?;
        let (occurrences, unreadable) = claims.decode();
        if !unreadable.is_empty() {
            let rows = unreadable.len();
            // What can be read was claimed and must reach the caller; the rest is claimed anew after the next attach.
            if let Err(error) = self.writer.call(rows, move |tx| unreadable::hold(tx, &unreadable, until)) {
                tracing::error!(rows, %error, "occurrences that cannot be read could not be held");
            }
        }
        Ok(occurrences)
    }

    fn misfire(&self, lease: &Lease, found: &[Misfired], now: DateTime<Utc>) -> Result<Vec<bool>> {
        let (lease, found) = (lease.clone(), found.to_vec());
        self.writer.call(found.len(), move |tx| misfire::misfire(tx, &lease, &found, now))
    }

    fn overlapped(
        &self,
        lease: &Lease,
        claims: &[(OccurrenceId, i64)],
        running: &[OccurrenceId],
        now: DateTime<Utc>,
    ) -> Result<Overlapped> {
        let (lease, claims, running) = (lease.clone(), claims.to_vec(), running.to_vec());
        self.writer.call(claims.len(), move |tx| overlap::overlapped(tx, &lease, &claims, &running, now))
    }

    fn follow(&self, lease: &Lease, claims: &[(OccurrenceId, i64)], now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let (lease, claims) = (lease.clone(), claims.to_vec());
        self.writer.call(claims.len(), move |tx| overlap::follow(tx, &lease, &claims, now))
    }

    fn backfill(&self, lease: &Lease, id: EventId, instants: &[DateTime<Utc>], by: &Actor, now: DateTime<Utc>) -> Result<()> {
        let (lease, instants, by) = (lease.clone(), instants.to_vec(), by.0.clone());
        self.writer.call(instants.len(), move |tx| backfill::backfill(tx, &lease, id, &instants, &by, now))
    }

    fn calendars(&self) -> Result<Vec<CalendarRow>> {
        self.read(calendars::list)
    }

    fn set_calendar(&self, lease: &Lease, name: &str, calendar: &Calendar, by: &Actor, now: DateTime<Utc>) -> Result<i64> {
        let (lease, name, calendar, by) = (lease.clone(), name.to_owned(), calendar.clone(), by.0.clone());
        self.writer.call(1, move |tx| calendars::set(tx, &lease, &name, &calendar, &by, now))
    }

    fn remove_calendar(&self, lease: &Lease, name: &str, by: &Actor, now: DateTime<Utc>) -> Result<bool> {
        let (lease, name, by) = (lease.clone(), name.to_owned(), by.0.clone());
        self.writer.call(1, move |tx| calendars::remove(tx, &lease, &name, &by, now))
    }

    fn zones(&self) -> Result<Vec<ZoneRow>> {
        self.read(zones::in_use)
    }

    fn note_zone(&self, lease: &Lease, tz: &str, rules: &ZoneRules) -> Result<()> {
        let (lease, tz, rules) = (lease.clone(), tz.to_owned(), rules.clone());
        self.writer.call(1, move |tx| zones::note(tx, &lease, &tz, &rules))
    }

    fn replan_zone(&self, lease: &Lease, tz: &str, rules: &ZoneRules, limit: usize, now: DateTime<Utc>) -> Result<ZonePage> {
        let (lease, tz, rules) = (lease.clone(), tz.to_owned(), rules.clone());
        self.writer.call(limit, move |tx| zones::replan(tx, &lease, &tz, &rules, limit, now))
    }

    fn move_retries(&self, lease: &Lease, step: TimeDelta) -> Result<i64> {
        let lease = lease.clone();
        self.writer.call(1, move |tx| clock::move_retries(tx, &lease, step))
    }

    fn clock_set_back(
        &self,
        lease: &Lease,
        back: TimeDelta,
        after: Option<OccurrenceId>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<ClockPage> {
        let lease = lease.clone();
        self.writer.call(limit, move |tx| clock::set_back(tx, &lease, back, after, limit, now))
    }

    fn give_back(&self, lease: &Lease, claims: &[(OccurrenceId, i64)]) -> Result<()> {
        let (lease, claims) = (lease.clone(), claims.to_vec());
        self.writer.call(claims.len(), move |tx| {
            hosts::require_current(tx, &lease)?;
            for (occurrence, token) in &claims {
                claim::give_back(tx, occurrence.event.0, occurrence.n, *token)?;
            }
            Ok(())
        })
    }

    fn settle(&self, lease: &Lease, ends: &[RunEnd], now: DateTime<Utc>) -> Result<Vec<Settled>> {
        let (lease, ends) = (lease.clone(), ended::columns(ends)?);
        let rows = ends.iter().map(|end| 1 + usize::from(end.log.is_some()) + end.follow_ups.len()).sum();
        self.writer.call(rows, move |tx| settle::settle(tx, &lease, &ends, now))
    }

    fn next_claim(&self, types: &[TypeId], now: DateTime<Utc>) -> Result<NextClaim> {
        let types = types.to_vec();
        self.read(move |conn| gates::next_claim(conn, &types, now))
    }

    fn set_limit(&self, lease: &Lease, limit: &Limit, by: &Actor, now: DateTime<Utc>) -> Result<()> {
        let (lease, limit, by) = (lease.clone(), limit.clone(), by.0.clone());
        self.writer.call(1, move |tx| limits::set(tx, &lease, &limit, &by, now))
    }

    fn remove_limit(&self, lease: &Lease, on: &LimitOn, by: &Actor, now: DateTime<Utc>) -> Result<bool> {
        let (lease, on, by) = (lease.clone(), on.clone(), by.0.clone());
        self.writer.call(1, move |tx| limits::remove(tx, &lease, &on, &by, now))
    }

    fn limits(&self, now: DateTime<Utc>) -> Result<Vec<LimitRow>> {
        self.read(move |conn| limits::list(conn, now))
    }

    fn alter(
        &self,
        lease: &Lease,
        id: EventId,
        change: &Change,
        running: &[OccurrenceId],
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Event> {
        let (lease, change, running, by) = (lease.clone(), change.clone(), running.to_vec(), by.clone());
        self.writer.call(1, move |tx| alter::alter(tx, &lease, id, &change, &running, &by, now))?.map_err(Into::into)
    }

    fn pause_many(
        &self,
        lease: &Lease,
        ids: &[EventId],
        reason: &str,
        running: &[OccurrenceId],
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let (lease, by, reason) = (lease.clone(), by.0.clone(), reason.to_owned());
        let (ids, running) = (ids.to_vec(), running.iter().copied().collect());
        self.writer.call(ids.len(), move |tx| pause::many(tx, &lease, &ids, &reason, &running, &by, now))
    }

    fn event(&self, id: EventId) -> Result<Option<Event>> {
        self.read(move |conn| events::one(conn, id))
    }

    fn events(&self, filter: &EventFilter, page: &Page) -> Result<Vec<Event>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |conn| events::list(conn, &filter, &page))
    }

    fn links(&self, id: EventId) -> Result<Vec<LinkRow>> {
        self.read(move |conn| links::shown(conn, id))
    }

    fn waiting(&self, id: EventId) -> Result<Vec<Waiting>> {
        self.read(move |conn| events::waiting(conn, id))
    }

    fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Vec<(i64, Run)>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |conn| runs::list(conn, &filter, &page))
    }

    fn args_of(&self, type_id: TypeId, after: Option<EventId>, limit: usize) -> Result<Vec<(EventId, Box<RawValue>)>> {
        self.read(move |conn| events::args_of(conn, type_id, after, limit))
    }

    fn run_log(&self, occurrence: OccurrenceId, attempt: Option<u32>) -> Result<Option<RunLog>> {
        self.read(move |conn| logs::read(conn, occurrence, attempt))
    }

    fn counts(&self) -> Result<Counts> {
        self.read(status::counts)
    }

    fn new_generation(&self, plugin: &str, digest: &str, now: DateTime<Utc>) -> Result<i64> {
        let (plugin, digest) = (plugin.to_owned(), digest.to_owned());
        self.writer.call(1, move |tx| plugins::new_generation(tx, &plugin, &digest, now))
    }

    fn placed(&self, generation: i64, placement: &str) -> Result<()> {
        let placement = placement.to_owned();
        self.writer.call(1, move |tx| plugins::placed(tx, generation, &placement))
    }

    fn generations(&self, plugin: &str, limit: usize) -> Result<Vec<GenerationRow>> {
        let plugin = plugin.to_owned();
        self.read(move |conn| plugins::generations(conn, &plugin, limit))
    }

    fn publish(
        &self,
        lease: &Lease,
        plugin: &str,
        generation: i64,
        offers: &[Offer],
        standing: &[StandingOffer],
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<TypeRow>> {
        let batch = types::Batch::of(plugin, generation, offers, standing)?;
        let (lease, by) = (lease.clone(), by.0.clone());
        self.writer.call(offers.len() + standing.len(), move |tx| types::publish(tx, &lease, batch, &by, now))
    }

    fn types(&self) -> Result<Vec<TypeRow>> {
        self.read(types::list)
    }

    fn release_type(&self, event_type: &str, by: &Actor, now: DateTime<Utc>) -> Result<Option<String>> {
        let (event_type, by) = (event_type.to_owned(), by.0.clone());
        self.writer.call(1, move |tx| types::release(tx, &event_type, &by, now))
    }

    fn release_unused(&self, plugin: &str, by: &Actor, now: DateTime<Utc>) -> Result<Vec<String>> {
        let (plugin, by) = (plugin.to_owned(), by.0.clone());
        self.writer.call(1, move |tx| types::release_unused(tx, &plugin, &by, now))
    }

    fn plugins(&self) -> Result<Vec<PluginRow>> {
        self.read(plugins::list)
    }

    fn decide(&self, plugin: &str, decision: Option<&Decision>, by: &Actor, now: DateTime<Utc>) -> Result<()> {
        let (plugin, decision, by) = (plugin.to_owned(), decision.cloned(), by.0.clone());
        self.writer.call(1, move |tx| plugins::decide(tx, &plugin, decision.as_ref(), &by, now))
    }

    fn crashed(&self, crash: &Crash) -> Result<()> {
        let crash = crash.clone();
        self.writer.call(1, move |tx| crashes::add(tx, &crash))
    }

    fn forgive_crashes(&self, plugin: &str) -> Result<()> {
        let plugin = plugin.to_owned();
        self.writer.call(1, move |tx| crashes::forgive(tx, &plugin))
    }

    fn crashes(&self, plugin: &str, since: DateTime<Utc>) -> Result<Vec<Crash>> {
        let plugin = plugin.to_owned();
        self.read(move |conn| crashes::list(conn, &plugin, micros(since)))
    }

    fn state_keys(&self, plugin: &str) -> Result<Vec<StateRow>> {
        let plugin = plugin.to_owned();
        self.read(move |conn| state::keys(conn, &plugin))
    }

    fn state_get(&self, plugin: &str, key: &str) -> Result<(Option<Value>, i64)> {
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.read(move |conn| state::get(conn, &plugin, &key))
    }

    fn state_put(&self, plugin: &str, key: &str, value: Option<&Value>, expected: Option<i64>) -> Result<std::result::Result<i64, i64>> {
        let text = value.map(codec::json).transpose()?;
        state::check(plugin, key, text.as_deref())?;
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.writer.call(1, move |tx| state::put(tx, &plugin, &key, text.as_deref(), expected))
    }

    fn audit(&self, line: &AuditLine) -> Result<()> {
        let line = line.clone();
        self.writer.call(1, move |tx| audit::add(tx, line.at, &line.actor.0, &line.verb, &line.subject, &line.detail))
    }

    fn audit_lines(&self, filter: &AuditFilter, page: &Page) -> Result<Vec<(i64, AuditLine)>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |conn| audit::lines(conn, &filter, &page))
    }

    fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.close();
        }
        self.writer.close();
        drop(self.lock.lock().take());
    }
}
