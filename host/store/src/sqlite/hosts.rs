//! Which host may claim and settle: leases, epochs, tokens.
//!
//! Not the file lock, which keeps other processes out. What must hold: a token is never given twice, not even after a
//! restart: its high bits are an epoch that the store has given once.

use super::codec::{micros, row};
use super::writer::Tx;
use crate::error::{ErrorKind, StoreError};
use crate::rows::Lease;
use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension;
use sexton_core::{Blame, EventId, Refusal};

type Result<T> = std::result::Result<T, StoreError>;

/// Low bits of a token: claims within one epoch.
const TOKEN_BITS: u32 = 40;

/// Registers a host and raises the epoch.
pub(super) fn attach(tx: &mut Tx<'_>, name: &str, now: DateTime<Utc>) -> Result<Lease> {
    let epoch: i64 = tx.conn.query_row("UPDATE store SET epoch = epoch + 1 RETURNING epoch", [], |row| row.get(0))?;
    let known: Option<i64> = tx.conn.query_row("SELECT id FROM hosts WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    let host = match known {
        Some(host) => host,
        None => free_number(tx)?,
    };
    tx.conn.execute(
        "INSERT INTO hosts (id, name, epoch, attached_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, attached_at = excluded.attached_at",
        (host, name, epoch, micros(now)),
    )?;
    let greatest: Option<i64> = tx.conn.query_row("SELECT max(id) FROM events", [], |row| row.get(0))?;
    let lease = Lease { host, name: name.to_owned(), epoch, greatest_event: greatest.map(EventId), stale_claims: 0 };
    let stale_claims = i64::try_from(stale_claims(tx, &lease)?.len()).unwrap_or(i64::MAX);
    Ok(Lease { stale_claims, ..lease })
}

fn free_number(tx: &Tx<'_>) -> Result<i64> {
    let greatest: i64 = tx.conn.query_row("SELECT coalesce(max(id), 0) FROM hosts", [], |row| row.get(0))?;
    if greatest >= 255 {
        let refusal = Refusal::new("INP015", Blame::Config, "the store knows 255 hosts already; a host's number must fit a byte")
            .remedy("serve this store under one of the host names it knows");
        return Err(refusal.into());
    }
    Ok(greatest + 1)
}

/// Claims of earlier epochs: (event, n, token). Those of other hosts too, once they are older than this process: the file lock says
/// that nobody else lives.
pub(super) fn stale_claims(tx: &Tx<'_>, lease: &Lease) -> Result<Vec<(i64, i64, i64)>> {
    let mut select = tx.conn.prepare_cached(
        "SELECT event, n, token FROM occurrences
         WHERE state = ?1 AND (token >> ?2) < CASE WHEN host = ?3 THEN ?4 ELSE ?5 END ORDER BY event, n",
    )?;
    let rows = select.query_map((row::CLAIMED, TOKEN_BITS, lease.host, lease.epoch, tx.hot.opened_epoch + 1), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Whether the lease is the newest of its host.
pub(super) fn is_current(tx: &Tx<'_>, lease: &Lease) -> Result<bool> {
    let epoch: Option<i64> =
        tx.conn.prepare_cached("SELECT epoch FROM hosts WHERE id = ?1")?.query_row([lease.host], |row| row.get(0)).optional()?;
    Ok(epoch == Some(lease.epoch))
}

/// Refuses a verb under a lease that a later attach replaced.
pub(super) fn require_current(tx: &Tx<'_>, lease: &Lease) -> Result<()> {
    if is_current(tx, lease)? {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Held,
        format!("the lease of host `{}` (epoch {}) was replaced by a later attach", lease.name, lease.epoch),
    ))
}

/// A token never given before.
pub(super) fn fresh_token(tx: &mut Tx<'_>, lease: &Lease) -> i64 {
    tx.hot.token = tx.hot.token.max(lease.epoch << TOKEN_BITS) + 1;
    tx.hot.token
}
