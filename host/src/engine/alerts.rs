//! Alerts: looked at each quarter of a minute by the almanac's thread, told by storing an event.
//!
//! Not the decision (`sexton_core::decide::alert`). What must hold: how an alert stands is in the store, so that a restart neither repeats nor
//! forgets it; what a notification says was accepted by the schema of its type when the alert was set.

use crate::clock;
use crate::engine::shared::Shared;
use crate::engine::{Engine, almanac, calls, intake, limits, schema};
use crate::problem;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sexton_core::decide::alert::{Alert, AlertFacts, AlertStanding, LateOne, Move, alert, described, filled};
use sexton_core::{Blame, NewEvent, OccurrenceId, Refusal, Schedule};
use sexton_store::rows::{Actor, AlertFound, AlertMove, AlertRow, Intention, Stored};
use std::collections::HashMap;
use std::sync::Arc;

/// Alerts of a store, at most: each is looked at four times a minute.
const ALERTS_MAX: usize = 1_000;
/// Bytes of an alert's name.
const NAME_MAX: usize = 64;
/// When so many runs were looked at for lateness, that is noted, so that they are not read again at each look.
const NOTED_EVERY: i64 = 5_000;

/// Refuses (`INP042`) what is no name of an alert: 1 to 64 lower-case letters, digits, `-`, `_` and `.`.
fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let shown = schema::shorten(name);
    let refusal = Refusal::new("INP042", Blame::Input, format!("`{shown}` is no name of an alert"));
    Err(refusal.expected("1 to 64 lower-case letters, digits, `-`, `_` and `.`"))
}

/// There is no such alert.
#[must_use]
pub fn none(name: &str) -> Refusal {
    Refusal::new("INP041", Blame::Input, format!("there is no alert `{}`", schema::shorten(name)))
        .expected("the name of an alert that is there")
        .remedy("`sexton alert list` shows those that are there")
}

/// Stores an alert whose notification its type would accept.
fn set(shared: &Shared, name: &str, wanted: &Alert, by: &Actor) -> Result<(), Refusal> {
    check_name(name)?;
    wanted.check()?;
    let others = shared.store.alerts().map_err(|e| problem::from_store(&e))?;
    limits::at_most("the number of alerts", ALERTS_MAX, others.iter().filter(|row| row.name != name).count() + 1)?;
    let snapshot = shared.registry.now();
    let known = snapshot.types.get(&wanted.notify).ok_or_else(|| intake::unknown_type(&snapshot, &wanted.notify))?;
    let text = filled(&wanted.args, &sample(name, wanted)).to_string();
    limits::check_args(&text)?;
    schema::fits(known, &text).map_err(|refusal| {
        let message = format!("the notification would not be accepted: {}", refusal.message);
        Refusal { message, ..refusal }.remedy("the description comes under `alert`; or name its fields in the arguments: `{alert.text}`")
    })?;
    shared.store.set_alert(&shared.lease, name, wanted, by, clock::now()).map_err(|e| problem::from_store(&e))
}

/// A description as it will come, with everything in it.
fn sample(name: &str, wanted: &Alert) -> Value {
    let now = clock::now();
    let late = LateOne { occurrence: None, due_at: now, started_at: None };
    let facts = AlertFacts {
        is_on: true,
        waited_from: now,
        last_success: Some(now),
        failed_in_a_row: 1,
        last_error: Some("what the job said".to_owned()),
        late: Some(late),
        is_in_time: false,
    };
    described(name, wanted, &AlertStanding::default(), &facts, ("what happened", now), now)
}

/// Looks at every alert. One that cannot be looked at is tried again the next time, and does not hold up the others.
pub fn look(shared: &Shared) {
    let rows = match shared.store.alerts() {
        Ok(rows) => rows,
        Err(error) => return tracing::warn!(%error, "the alerts could not be read; trying again soon"),
    };
    let begun = if rows.is_empty() { HashMap::new() } else { under_way(shared) };
    for row in rows {
        if shared.is_stopping() {
            return;
        }
        if let Err(refusal) = look_at(shared, &row, &begun) {
            tracing::warn!(alert = row.name, code = refusal.code, "an alert could not be looked at: {refusal}");
        }
    }
}

/// What plugin code was entered for, by type: when it was due, and when it began.
type UnderWay = HashMap<OccurrenceId, (String, DateTime<Utc>, Option<DateTime<Utc>>)>;

fn under_way(shared: &Shared) -> UnderWay {
    let rows = shared.table.rows();
    let of =
        |run: &super::table::Running| (run.occurrence.id, (run.occurrence.wish.event_type.clone(), run.occurrence.due_at, run.entered_at));
    rows.under_way().map(|(_, run)| of(run)).collect()
}

fn look_at(shared: &Shared, row: &AlertRow, begun: &UnderWay) -> Result<(), Refusal> {
    let mut found = shared.store.alert_facts(row).map_err(|e| problem::from_store(&e))?;
    let now = clock::now();
    if let Some(by) = row.alert.late.and_then(|by| TimeDelta::from_std(by).ok()) {
        add_what_goes_on(&row.alert, &mut found, begun, by, now);
    }
    let facts = &found.facts;
    let noted = AlertStanding { seen: found.seen, ..row.standing.clone() };
    match alert(&row.alert, &row.standing, facts, now) {
        Move::Tell { since, again, text } => tell(shared, row, facts, found.seen, (since, again, text), now),
        Move::Clear => {
            let standing = AlertStanding { raised_at: None, told_at: None, times: 0, trouble: None, ..noted };
            tracing::info!(alert = row.name, "the alert is over");
            step(shared, row, (&standing, AlertMove::Cleared), None, now)
        }
        // While it is raised, what was looked at must not be held against it again.
        Move::Stay if row.alert.late.is_some() && has_seen_much(row, found.seen) => {
            step(shared, row, (&noted, AlertMove::Noted), None, now)
        }
        Move::Stay => Ok(()),
    }
}

fn has_seen_much(row: &AlertRow, seen: i64) -> bool {
    if row.standing.raised_at.is_some() { seen != row.standing.seen } else { (seen - row.standing.seen).abs() > NOTED_EVERY }
}

/// What has not ended is late if it has not begun, or has begun too late.
fn add_what_goes_on(wanted: &Alert, found: &mut AlertFound, begun: &UnderWay, by: TimeDelta, now: DateTime<Utc>) {
    let is_of = |id: &OccurrenceId, event_type: &str| {
        wanted.event.map_or_else(|| wanted.event_type.as_deref() == Some(event_type), |event| id.event == event)
    };
    let begun_late = begun.iter().filter(|(id, (event_type, ..))| is_of(id, event_type)).filter_map(|(id, (_, due_at, entered_at))| {
        let started_at = (*entered_at)?;
        (started_at - *due_at > by).then_some(LateOne { occurrence: Some(*id), due_at: *due_at, started_at: Some(started_at) })
    });
    let waiting = found.waiting.iter().filter(|(id, due_at)| {
        let has_begun = id.is_some_and(|id| begun.get(&id).is_some_and(|(_, _, entered_at)| entered_at.is_some()));
        !has_begun && now - *due_at > by
    });
    let waiting = waiting.map(|(occurrence, due_at)| LateOne { occurrence: *occurrence, due_at: *due_at, started_at: None });
    // What waits the longest says the most.
    let worst = waiting.min_by_key(|late| late.due_at).or_else(|| begun_late.min_by_key(|late| late.due_at));
    if worst.is_some() {
        found.facts.late = worst;
    }
}

fn tell(
    shared: &Shared,
    row: &AlertRow,
    facts: &AlertFacts,
    seen: i64,
    (since, again, text): (DateTime<Utc>, bool, String),
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let described = described(&row.name, &row.alert, &row.standing, facts, (&text, since), now);
    // Held until it is stored, as for every event.
    let (intention, _judged_by) = match notification(shared, &row.alert, &described) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            // Said once; the next look tries again.
            let trouble = Some(refusal.to_string());
            if row.standing.trouble != trouble {
                let standing = AlertStanding { trouble, ..row.standing.clone() };
                step(shared, row, (&standing, AlertMove::Noted), None, now)?;
            }
            return Err(refusal);
        }
    };
    let standing = AlertStanding {
        raised_at: Some(row.standing.raised_at.unwrap_or(now)),
        told_at: Some(now),
        times: if again { row.standing.times + 1 } else { 1 },
        episodes: row.standing.episodes + u64::from(!again),
        text: Some(text),
        notified: Some(intention.id),
        trouble: None,
        seen,
    };
    tracing::warn!(alert = row.name, again, "{}", standing.text.as_deref().unwrap_or_default());
    step(shared, row, (&standing, AlertMove::Told), Some(&intention), now)
}

fn notification(shared: &Shared, wanted: &Alert, described: &Value) -> Result<(Intention, Arc<crate::registry::Snapshot>), Refusal> {
    let args = serde_json::value::to_raw_value(&filled(&wanted.args, described))
        .map_err(|e| Refusal::new("INP011", Blame::Bug, format!("the notification cannot be written as JSON: {e}")))?;
    let text = described["text"].as_str().unwrap_or_default();
    let description = text[..text.floor_char_boundary(limits::DESCRIPTION_BYTES.min(text.len()))].to_owned();
    let event = NewEvent { args, description: Some(description), ..NewEvent::new(wanted.notify.clone(), Schedule::once(clock::now())) };
    let (mut admitted, judged_by) = intake::admit(shared, vec![event], &[])?;
    let admitted = admitted.pop().ok_or_else(|| problem::stopped_duty("almanac"))?;
    Ok((admitted.intention, judged_by))
}

fn step(
    shared: &Shared,
    row: &AlertRow,
    to: (&AlertStanding, AlertMove),
    tells: Option<&Intention>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let moved = shared.store.move_alert(&shared.lease, row, to, tells, now).map_err(|e| problem::from_store(&e))?;
    if let (true, Some(intention)) = (moved, tells) {
        let stored = Stored::New { next_due: intention.first, replaced: Vec::new() };
        calls::tell(shared, std::slice::from_ref(intention), &[stored]);
    }
    Ok(())
}

impl Engine {
    /// Stores an alert under its name, in place of one that was there.
    pub fn set_alert(&self, name: &str, wanted: &Alert, by: &Actor) -> Result<(), Refusal> {
        set(&self.shared, name, wanted, by)?;
        self.look_at_alerts();
        Ok(())
    }

    /// Forgets an alert; answers whether it was there.
    pub fn remove_alert(&self, name: &str, by: &Actor) -> Result<bool, Refusal> {
        let Self { shared, .. } = self;
        shared.store.remove_alert(&shared.lease, name, by, clock::now()).map_err(|e| problem::from_store(&e))
    }

    /// Looks at the alerts now, instead of soon.
    pub fn look_at_alerts(&self) {
        // A thread that has stopped was said when it did.
        let _ = self.shared.pages.send(almanac::Page::Look);
    }
}
