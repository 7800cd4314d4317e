//! What a notification says: an object that describes what happened, and how it gets into the arguments.
//!
//! Not when it is said. What must hold: the object has the same fields whatever the condition, so that a schema can name them.

use super::{Alert, AlertFacts, AlertStanding, LateOne};
use crate::schedule::duration;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// How the place of a field begins in a text of the arguments: `{alert.text}`.
const PLACE: &str = "{alert.";

/// An instant as it is written.
pub(super) fn at(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// One sentence about something late.
pub(super) fn late(subject: &str, late: &LateOne, by: Duration, now: DateTime<Utc>) -> String {
    let end = late.started_at.unwrap_or(now);
    // To the second: what is late is late by more.
    let so_late = Duration::from_secs((end - late.due_at).num_seconds().unsigned_abs());
    let began = if late.started_at.is_some() { "began" } else { "has not begun" };
    let which = late.occurrence.map_or_else(|| subject.to_owned(), |occurrence| format!("{subject}: occurrence {occurrence}"));
    format!("{which}, due at {}, {began} {} late; {} is the limit", at(late.due_at), duration::text(so_late), duration::text(by))
}

/// What happened. What does not belong to the condition is null.
#[must_use]
pub fn described(
    name: &str,
    alert: &Alert,
    standing: &AlertStanding,
    facts: &AlertFacts,
    said: (&str, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Value {
    let (text, since) = said;
    let late = facts.late.as_ref();
    json!({
        "name": name,
        "event_id": alert.event,
        "event_type": alert.event_type,
        "condition": alert.condition().map(super::Condition::word),
        "limit": alert.condition().map(super::Condition::bound),
        "text": text,
        "since": at(since),
        "raised_at": at(standing.raised_at.unwrap_or(now)),
        "times": standing.times + 1,
        "last_success": facts.last_success.map(at),
        "failed_in_a_row": facts.failed_in_a_row,
        "last_error": facts.last_error,
        "occurrence": late.and_then(|late| late.occurrence),
        "due_at": late.map(|late| at(late.due_at)),
        "late_ms": late.map(|late| (late.started_at.unwrap_or(now) - late.due_at).num_milliseconds()),
    })
}

/// The arguments of a notification. Where a text of the given ones names a field of the description, as `{alert.text}`, the field stands there;
/// if none does, the whole description is added under `alert`.
#[must_use]
pub fn filled(args: &Value, described: &Value) -> Value {
    let mut is_named = false;
    let mut filled = fill(args, described, &mut is_named);
    if !is_named && let Some(fields) = filled.as_object_mut() {
        fields.insert("alert".to_owned(), described.clone());
    }
    filled
}

fn fill(part: &Value, described: &Value, is_named: &mut bool) -> Value {
    match part {
        Value::String(text) if text.contains(PLACE) => fill_text(text, described, is_named).into(),
        Value::Array(parts) => parts.iter().map(|part| fill(part, described, is_named)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, part)| (name.clone(), fill(part, described, is_named))).collect(),
        other => other.clone(),
    }
}

/// What is no field stays as it is written.
fn fill_text(text: &str, described: &Value, is_named: &mut bool) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(PLACE) {
        let (before, place) = rest.split_at(start);
        out.push_str(before);
        let name = place[PLACE.len()..].split('}').next().unwrap_or_default();
        let end = PLACE.len() + name.len() + 1;
        match described.get(name) {
            Some(field) if place.len() >= end => {
                *is_named = true;
                match field {
                    Value::Null => {}
                    Value::String(said) => out.push_str(said),
                    other => out.push_str(&other.to_string()),
                }
                rest = &place[end..];
            }
            _ => {
                out.push_str(PLACE);
                rest = &place[PLACE.len()..];
            }
        }
    }
    out + rest
}
