//! `GET /runs/{occurrence}/logs`: what one attempt logged, also while it is under way.
//!
//! Not the keeping of lines (the engine's, then the store's). What must hold: one who asks again with `next` as `after` sees every kept line
//! once, whether or not the run ended in between.

use crate::engine::run_logs::Kept;
use crate::http::answer::{Answer, No, blocking, ok};
use crate::http::asked::{Asked, PAGE_MAX, occurrence_id};
use crate::http::{Rooms, Shared, runs};
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sexton_core::{Blame, OccurrenceId, Refusal, Run};
use sexton_store::rows::{Page, RunFilter, RunLine};

/// What one attempt logged.
#[derive(Serialize)]
pub struct Logs {
    occurrence: OccurrenceId,
    attempt: u32,
    /// It is under way, or not durably settled.
    running: bool,
    /// It has not begun.
    waiting: bool,
    items: Vec<Line>,
    /// Lines of the attempt that were not kept.
    dropped: u64,
    /// `after` of the next question.
    next: u64,
}

/// A line, its level as a word.
#[derive(Serialize)]
struct Line {
    at: DateTime<Utc>,
    level: &'static str,
    target: String,
    message: String,
    spans: String,
}

/// `GET /runs/{occurrence}/logs`.
pub async fn show(State(rooms): State<Shared>, Path(occurrence): Path<String>, mut asked: Asked) -> Answer<Logs> {
    let attempt = asked.read("attempt", "the number of an attempt, from 1")?;
    let after = asked.read("after", "`next` of the answer before")?.unwrap_or(0);
    asked.done()?;
    let occurrence = occurrence_id(&occurrence)?;
    ok(blocking(move || find(&rooms, occurrence, attempt, after)).await?)
}

/// First what is under way: its log is there until the store has it.
fn find(rooms: &Rooms, occurrence: OccurrenceId, attempt: Option<u32>, after: u64) -> Result<Logs, No> {
    let answer = |attempt, kept: &Kept, running, waiting| Logs {
        occurrence,
        attempt,
        running,
        waiting,
        items: kept.after(after).into_iter().map(line).collect(),
        dropped: kept.dropped(),
        next: kept.count(),
    };
    if let Some(going) = rooms.engine.run_log(occurrence, attempt) {
        return Ok(answer(going.attempt, &going.kept, true, false));
    }
    let filter = RunFilter { event: Some(occurrence.event), n: Some(occurrence.n), ..RunFilter::default() };
    let newest_first = rooms.store.runs(&filter, &Page { before: None, limit: PAGE_MAX })?;
    let mut made = newest_first.iter().map(|(_, run)| run);
    if let Some(run) = made.find(|run| attempt.is_none_or(|a| a == run.attempt)) {
        let kept = rooms.store.run_log(occurrence, Some(run.attempt))?.map(Kept::of_stored).unwrap_or_default();
        return Ok(answer(run.attempt, &kept, false, false));
    }
    let waiting = rooms.store.waiting(occurrence.event)?.into_iter().find(|w| w.occurrence == occurrence);
    match &waiting {
        Some(w) if w.dead.is_none() && attempt.is_none_or(|a| a == w.attempt) => Ok(answer(w.attempt, &Kept::default(), false, true)),
        None if newest_first.is_empty() => Err(No(runs::no_run(occurrence))),
        _ => Err(No(no_attempt(occurrence, attempt.unwrap_or(0), newest_first.iter().map(|(_, run)| run)))),
    }
}

fn line(line: RunLine) -> Line {
    let RunLine { at, level, target, message, spans } = line;
    let level = match level {
        1 => "error",
        // Also the line that says what is left out.
        0 | 2 => "warn",
        3 => "info",
        4 => "debug",
        _ => "trace",
    };
    Line { at, level, target, message, spans }
}

fn no_attempt<'a>(occurrence: OccurrenceId, attempt: u32, made: impl Iterator<Item = &'a Run>) -> Refusal {
    let mut numbers: Vec<u32> = made.map(|run| run.attempt).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let found = if numbers.is_empty() { "none made so far".to_owned() } else { numbers.join(", ") };
    Refusal::new("INP012", Blame::Input, format!("there is no attempt {attempt} at {occurrence}"))
        .expected("an attempt that was made")
        .found(found)
        .remedy(format!("`sexton run show {occurrence}` shows them"))
}
