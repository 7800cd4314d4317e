//! An end of a run as columns, made on the caller's thread so that the writer's only writes.
//!
//! Not what follows from it. What must hold: nothing here looks at the rows.

use super::codec::{json, micros};
use super::schedule::EventRow;
use crate::error::StoreError;
use crate::rows::RunEnd;
use chrono::{DateTime, Utc};
use sexton_core::decide::End;
use sexton_core::{ErrorCode, Outcome, ResourceEnd};
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// Which code ran, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Build {
    pub(super) plugin: String,
    pub(super) generation: i64,
    pub(super) digest: String,
    pub(super) placement: String,
}

/// An end as columns, made on the caller's thread.
pub(super) struct Ended {
    pub(super) event: i64,
    pub(super) n: i64,
    pub(super) token: i64,
    pub(super) attempt: u32,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: i64,
    pub(super) end: End,
    pub(super) error: Option<String>,
    pub(super) code: Option<ErrorCode>,
    pub(super) output: Option<String>,
    pub(super) resources: Option<String>,
    /// Resources that succeeded in this attempt.
    pub(super) done: Vec<String>,
    pub(super) build: Arc<Build>,
    pub(super) follow_ups: Vec<EventRow>,
    /// What it said, if anything.
    pub(super) log: Option<String>,
}

impl Ended {
    /// The end of what had no run: nothing of it is recorded.
    pub(super) fn without_run(event: i64, n: i64, now: DateTime<Utc>) -> Self {
        let build = Build { plugin: String::new(), generation: 0, digest: String::new(), placement: String::new() };
        Self {
            event,
            n,
            token: 0,
            attempt: 1,
            started_at: None,
            finished_at: micros(now),
            end: End::Cancelled,
            error: None,
            code: None,
            output: None,
            resources: None,
            done: Vec::new(),
            build: Arc::new(build),
            follow_ups: Vec::new(),
            log: None,
        }
    }
}

/// The columns of a batch of ends.
pub(super) fn columns(ends: &[RunEnd]) -> Result<Vec<Ended>> {
    let mut columns: Vec<Ended> = Vec::with_capacity(ends.len());
    for end in ends {
        let build =
            Build { plugin: end.plugin.clone(), generation: end.generation, digest: end.digest.clone(), placement: end.placement.clone() };
        let succeeded = |r: &&ResourceEnd| r.outcome == Outcome::Succeeded;
        columns.push(Ended {
            event: end.occurrence.event.0,
            n: end.occurrence.n,
            token: end.token,
            attempt: end.attempt,
            started_at: end.started_at.map(micros),
            finished_at: micros(end.finished_at),
            end: end.end.clone(),
            error: end.error.clone(),
            code: end.code,
            output: end.output.as_ref().map(|raw| raw.get().to_owned()),
            resources: if end.resources.is_empty() { None } else { Some(json(&end.resources)?) },
            done: end.resources.iter().filter(succeeded).map(|r| r.id.clone()).collect(),
            build: Arc::new(build),
            follow_ups: end.follow_ups.iter().map(EventRow::of).collect::<Result<_>>()?,
            log: end.log.as_ref().map_or(Ok(None), super::logs::text)?,
        });
    }
    Ok(columns)
}
