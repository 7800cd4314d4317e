//! Reading what was.
//!
//! Not writing: settlement does. What must hold: pages by row number never repeat or skip a run.

use super::codec::{from_json_or_default, instant, instant_or_none, micros, outcome_number, outcome_of, small};
use super::failure::damaged;
use crate::error::StoreError;
use crate::rows::{Page, RunFilter};
use rusqlite::types::Value as Column;
use rusqlite::{Connection, Row, params_from_iter};
use serde_json::value::RawValue;
use sexton_core::{ErrorCode, EventId, OccurrenceId, Run};

type Result<T> = std::result::Result<T, StoreError>;

/// Runs, newest first. Filters other than event, page and an outcome beside success scan.
pub(super) fn list(conn: &Connection, filter: &RunFilter, page: &Page) -> Result<Vec<(i64, Run)>> {
    let mut conditions = vec!["r.id < ?"];
    let mut values = vec![Column::Integer(page.before.unwrap_or(i64::MAX))];
    if let Some(event) = filter.event {
        conditions.push("r.event = ?");
        values.push(event.0.into());
    }
    if let Some(n) = filter.n {
        conditions.push("r.n = ?");
        values.push(n.into());
    }
    if let Some(event_type) = &filter.event_type {
        conditions.push("r.type = (SELECT id FROM event_types WHERE name = ?)");
        values.push(event_type.clone().into());
    }
    match filter.outcome.map(outcome_number) {
        // Two texts, so that the index of what did not go well is known to apply.
        Some(0) => conditions.push("r.outcome = 0"),
        Some(outcome) => {
            conditions.push("r.outcome = ? AND r.outcome <> 0");
            values.push(outcome.into());
        }
        None => {}
    }
    if let Some(since) = filter.since {
        conditions.push("r.finished_at >= ?");
        values.push(micros(since).into());
    }
    if let Some(code) = filter.code {
        conditions.push("r.error_code = ?");
        values.push(code.word().to_owned().into());
    }
    if let Some(plugin) = &filter.plugin {
        conditions.push("b.plugin = ?");
        values.push(plugin.clone().into());
    }
    of_event(filter, &mut conditions, &mut values);
    values.push(super::limit_of(page.limit).into());
    let sql = format!(
        "SELECT r.id, r.event, r.n, t.name, r.scheduled_for, r.due_at, r.attempt, r.started_at, r.finished_at, r.outcome, r.error, r.output,
                r.resources, b.plugin, b.generation, b.digest, b.placement, h.name, r.error_code
         FROM runs r JOIN event_types t ON t.id = r.type JOIN builds b ON b.id = r.build JOIN hosts h ON h.id = r.host
         WHERE {} ORDER BY r.id DESC LIMIT ?",
        conditions.join(" AND ")
    );
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push((row.get(0)?, decode(row)?));
    }
    Ok(runs)
}

/// A word that a later version wrote says nothing here; the sentence beside it does.
pub(super) fn code_of(word: Option<String>) -> Option<ErrorCode> {
    word.and_then(|word| word.parse().ok())
}

/// What is said of the run's event. A run outlives no event: what is pruned is pruned together.
fn of_event(filter: &RunFilter, conditions: &mut Vec<&str>, values: &mut Vec<Column>) {
    if let Some(bot) = &filter.bot {
        conditions.push("EXISTS (SELECT 1 FROM events e WHERE e.id = r.event AND e.bot IS NOT NULL AND e.bot ->> '$.id' = ?)");
        values.push(bot.clone().into());
    }
    if let Some(resource) = &filter.resource {
        conditions.push(
            "EXISTS (SELECT 1 FROM events e, json_each(e.resources) x WHERE e.id = r.event AND e.resources IS NOT NULL AND x.value ->> '$.id' = ?)",
        );
        values.push(resource.clone().into());
    }
    for (name, value) in &filter.labels {
        conditions.push(
            "EXISTS (SELECT 1 FROM events e, json_each(e.labels) x WHERE e.id = r.event AND e.labels IS NOT NULL AND x.key = ? AND x.value = ?)",
        );
        values.extend([name.clone().into(), value.clone().into()]);
    }
}

fn decode(row: &Row<'_>) -> Result<Run> {
    let event_id = EventId(row.get(1)?);
    let output: Option<String> = row.get(11)?;
    let output = output.map(RawValue::from_string).transpose().map_err(|error| damaged(&format!("output of a run: {error}")))?;
    let resources: Option<String> = row.get(12)?;
    Ok(Run {
        occurrence: OccurrenceId { event: event_id, n: row.get(2)? },
        event_id,
        event_type: row.get(3)?,
        scheduled_for: instant(row.get(4)?)?,
        due_at: instant(row.get(5)?)?,
        attempt: small(row.get(6)?)?,
        started_at: instant_or_none(row.get(7)?)?,
        finished_at: instant(row.get(8)?)?,
        outcome: outcome_of(row.get(9)?)?,
        error: row.get(10)?,
        error_code: code_of(row.get(18)?),
        output,
        resources: from_json_or_default(resources.as_deref())?,
        plugin: row.get(13)?,
        generation: row.get(14)?,
        digest: row.get(15)?,
        placement: row.get(16)?,
        host: row.get(17)?,
    })
}
