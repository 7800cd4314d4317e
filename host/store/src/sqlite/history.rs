//! The verbs on history, each on its thread.
//!
//! Not their rules: each area has its module. What must hold: a step of pruning looks beside the writer and only deletes on it.

use super::schedule::EventRow;
use super::{Sqlite, alerts, prune, retention, stats};
use crate::history::History;
use crate::rows::{Actor, AlertFound, AlertMove, AlertRow, Intention, Lease, Pruned, Pruning, RetentionRow, TypeStats};
use crate::store::Result;
use chrono::{DateTime, Utc};
use sexton_core::RetentionRule;
use sexton_core::decide::alert::{Alert, AlertStanding};

impl History for Sqlite {
    fn retention(&self) -> Result<Vec<RetentionRow>> {
        self.read(retention::list)
    }

    fn set_retention(
        &self,
        lease: &Lease,
        event_type: Option<&str>,
        said: &RetentionRule,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<RetentionRule> {
        let (lease, event_type, said, by) = (lease.clone(), event_type.map(str::to_owned), *said, by.0.clone());
        self.writer.call(1, move |tx| retention::set(tx, &lease, event_type.as_deref(), &said, &by, now))
    }

    fn clear_retention(&self, lease: &Lease, event_type: Option<&str>, by: &Actor, now: DateTime<Utc>) -> Result<bool> {
        let (lease, event_type, by) = (lease.clone(), event_type.map(str::to_owned), by.0.clone());
        self.writer.call(1, move |tx| retention::clear(tx, &lease, event_type.as_deref(), &by, now))
    }

    fn prune(&self, what: &Pruning, now: DateTime<Utc>) -> Result<Pruned> {
        let _one_at_a_time = self.pruning.lock();
        let asked = what.clone();
        let (cuts, found) = self.read(move |conn| {
            let cuts = prune::Cuts::read(conn, asked.spent, now)?;
            let found = prune::look(conn, &cuts, &asked)?;
            Ok((cuts, found))
        })?;
        if what.dry_run || found.is_nothing() {
            return Ok(found.only_looked());
        }
        self.writer.call(what.limit, move |tx| prune::delete(tx, &cuts, found))
    }

    fn statistics(&self, event_type: Option<&str>, since: Option<DateTime<Utc>>) -> Result<Vec<TypeStats>> {
        let event_type = event_type.map(str::to_owned);
        self.read(move |conn| stats::read(conn, event_type.as_deref(), since))
    }

    fn alerts(&self) -> Result<Vec<AlertRow>> {
        self.read(alerts::list)
    }

    fn set_alert(&self, lease: &Lease, name: &str, alert: &Alert, by: &Actor, now: DateTime<Utc>) -> Result<()> {
        let (lease, name, alert, by) = (lease.clone(), name.to_owned(), alert.clone(), by.0.clone());
        self.writer.call(1, move |tx| alerts::set(tx, &lease, &name, &alert, &by, now))
    }

    fn remove_alert(&self, lease: &Lease, name: &str, by: &Actor, now: DateTime<Utc>) -> Result<bool> {
        let (lease, name, by) = (lease.clone(), name.to_owned(), by.0.clone());
        self.writer.call(1, move |tx| alerts::remove(tx, &lease, &name, &by, now))
    }

    fn alert_facts(&self, row: &AlertRow) -> Result<AlertFound> {
        let row = row.clone();
        self.read(move |conn| alerts::facts(conn, &row))
    }

    fn move_alert(
        &self,
        lease: &Lease,
        row: &AlertRow,
        to: (&AlertStanding, AlertMove),
        tells: Option<&Intention>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let (lease, row, standing, how) = (lease.clone(), row.clone(), to.0.clone(), to.1);
        let tells = tells.map(EventRow::of).transpose()?;
        self.writer.call(1, move |tx| alerts::step(tx, &lease, &row, (&standing, how), tells.as_ref(), now))
    }
}
