//! Resolving the claims of a life that ended.
//!
//! Not reading the flight record: the host says what had started. What must hold: no claim of an earlier epoch is left.

use super::claim::give_back;
use super::codec::micros;
use super::ended::{Build, Ended};
use super::hosts::{require_current, stale_claims};
use super::settle::interrupt;
use super::writer::Tx;
use crate::error::StoreError;
use crate::rows::{Aborted, Lease};
use chrono::{DateTime, Utc};
use sexton_core::ErrorCode;
use sexton_core::decide::{End, Guilt};
use std::collections::HashMap;
use std::sync::Arc;

/// Interrupts what had started and gives the rest back; answers how many of each.
pub(super) fn recover(tx: &mut Tx<'_>, lease: &Lease, aborted: &[Aborted], now: DateTime<Utc>) -> Result<(i64, i64), StoreError> {
    require_current(tx, lease)?;
    let started: HashMap<(i64, i64, i64), &Aborted> =
        aborted.iter().map(|run| ((run.occurrence.event.0, run.occurrence.n, run.token), run)).collect();
    let (mut interrupted, mut given_back) = (0, 0);
    for (event, n, token) in stale_claims(tx, lease)? {
        match started.get(&(event, n, token)) {
            Some(run) if interrupt(tx, lease, &ended(run, now), now)?.is_some() => interrupted += 1,
            _ => {
                give_back(tx, event, n, token)?;
                given_back += 1;
            }
        }
    }
    Ok((interrupted, given_back))
}

fn ended(run: &Aborted, now: DateTime<Utc>) -> Ended {
    Ended {
        event: run.occurrence.event.0,
        n: run.occurrence.n,
        token: run.token,
        attempt: run.attempt,
        started_at: Some(micros(run.started_at)),
        finished_at: micros(now),
        end: End::Interrupted { guilt: Guilt::Suspect },
        error: Some(run.cause.clone()),
        code: Some(ErrorCode::HostEnded),
        output: None,
        resources: None,
        done: Vec::new(),
        build: Arc::new(Build {
            plugin: run.plugin.clone(),
            generation: run.generation,
            digest: run.digest.clone(),
            placement: run.placement.clone(),
        }),
        follow_ups: Vec::new(),
        log: None,
    }
}
