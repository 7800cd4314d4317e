//! Statistics of types: gathered in memory while a batch is settled, added to the hour's row when it commits.
//!
//! Not the sums themselves (`sexton_core::stats`). What must hold: a run is in its hour's tally exactly if its row was committed, and stays
//! there when the row is pruned.

use super::codec::{from_json, instant, json, micros};
use crate::error::StoreError;
use crate::rows::TypeStats;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use sexton_core::stats::{Ran, Tally};
use std::collections::BTreeMap;

type Result<T> = std::result::Result<T, StoreError>;

/// An hour in microseconds.
const HOUR: i64 = 3_600_000_000;

/// Sums not yet written: by type and hour.
#[derive(Default)]
pub(super) struct Tallies(BTreeMap<(i64, i64), Tally>);

impl Tallies {
    /// Counts a run.
    pub(super) fn add(&mut self, type_id: i64, ran: &Ran) {
        self.0.entry((type_id, ran.finished_at.div_euclid(HOUR))).or_default().add(ran);
    }

    /// Takes over what another one counted later.
    pub(super) fn take(&mut self, later: &mut Self) {
        if self.0.is_empty() {
            std::mem::swap(self, later);
        }
        for (place, tally) in std::mem::take(&mut later.0) {
            self.0.entry(place).or_default().merge(&tally);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds everything to the rows.
    pub(super) fn write(&mut self, conn: &Connection) -> Result<()> {
        for ((type_id, hour), tally) in std::mem::take(&mut self.0) {
            let stored: Option<String> = conn
                .prepare_cached("SELECT tally FROM type_stats WHERE type = ?1 AND hour = ?2")?
                .query_row((type_id, hour), |row| row.get(0))
                .optional()?;
            let sum = match stored.as_deref().map(from_json::<Tally>) {
                None => tally,
                Some(Ok(mut sum)) => {
                    sum.merge(&tally);
                    sum
                }
                // Runs that were must be settled whatever has become of this row; what it said is lost.
                Some(Err(error)) => {
                    tracing::error!(type_id, hour, %error, "the statistics of an hour cannot be read: they begin anew");
                    tally
                }
            };
            conn.prepare_cached(
                "INSERT INTO type_stats (type, hour, tally) VALUES (?1, ?2, ?3) ON CONFLICT (type, hour) DO UPDATE SET tally = excluded.tally",
            )?
            .execute((type_id, hour, json(&sum)?))?;
        }
        Ok(())
    }
}

/// The text of [`read`].
pub(super) const READ: &str = "SELECT hour, tally FROM type_stats WHERE type = ?1 AND hour >= ?2 ORDER BY hour";

/// The sums of one type or of all, over the hours that `since` lies in or before.
pub(super) fn read(conn: &Connection, event_type: Option<&str>, since: Option<DateTime<Utc>>) -> Result<Vec<TypeStats>> {
    let from = since.map_or(i64::MIN, |since| micros(since).div_euclid(HOUR));
    let mut types = conn.prepare_cached("SELECT id, name FROM event_types WHERE ?1 IS NULL OR name = ?1 ORDER BY name")?;
    let types: Vec<(i64, String)> =
        types.query_map([event_type], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<std::result::Result<_, _>>()?;
    let mut all = Vec::new();
    for (type_id, event_type) in types {
        let mut select = conn.prepare_cached(READ)?;
        let mut rows = select.query((type_id, from))?;
        let mut found: Option<(i64, Tally)> = None;
        while let Some(row) = rows.next()? {
            let tally: Tally = from_json(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
            match &mut found {
                Some((_, sum)) => sum.merge(&tally),
                None => found = Some((row.get(0)?, tally)),
            }
        }
        if let Some((hour, tally)) = found {
            all.push(TypeStats { event_type, from: instant(hour.saturating_mul(HOUR))?, tally });
        }
    }
    Ok(all)
}

/// When a run of a type succeeded last, and how many attempts failed since. From the newest hour back to one with a success.
pub(super) fn newest(conn: &Connection, type_id: i64) -> Result<(Option<DateTime<Utc>>, u64)> {
    let mut select = conn.prepare_cached("SELECT tally FROM type_stats WHERE type = ?1 ORDER BY hour DESC")?;
    let mut rows = select.query([type_id])?;
    let mut failed = 0;
    while let Some(row) = rows.next()? {
        let tally: Tally = from_json(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        failed += tally.failed_in_a_row;
        if let Some(at) = tally.last_success {
            return Ok((Some(instant(at)?), failed));
        }
    }
    Ok((None, failed))
}
