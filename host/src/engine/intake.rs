//! Intake: what a caller wishes becomes something that can be stored, or a refusal that says where and why.
//!
//! It does not store. What must hold: everything that can be refused is refused here, before the store's transaction.

use crate::clock;
use crate::engine::limits;
use crate::engine::schema;
use crate::engine::shared::Shared;
use crate::registry::Snapshot;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sexton_core::calendar::Calendars;
use sexton_core::schedule::{Rule, ScheduleText};
use sexton_core::{Blame, Conflict, EventId, NewEvent, Refusal, Schedule};
use sexton_plugin_api::wire::{ScheduleOrder, StandingEvent};
use sexton_store::rows::Intention;
use sexton_store::store::StandingOffer;
use std::collections::HashMap;
use std::sync::Arc;

/// A time that is this much before now was meant to be now: `--in 0s` took a moment to arrive.
const PAST: TimeDelta = TimeDelta::seconds(1);

/// An event that may be stored, and what its caller should know.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// What to store.
    pub intention: Intention,
    /// Nobody serves its type on this host now.
    pub unresolved: bool,
    /// For people.
    pub notes: Vec<String>,
}

/// What people call an event of a call: `line 4` of a file, else `event 3` of several, else nothing.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The line of each, if they came in lines.
    pub lines: &'a [usize],
    /// How many there are.
    pub count: usize,
}

impl Places<'_> {
    /// The name of the event with this index.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        self.lines.get(index).map_or_else(|| format!("event {}", index + 1), |line| format!("line {line}"))
    }

    fn named(&self, index: usize, mut refusal: Refusal) -> Refusal {
        if self.count > 1 || !self.lines.is_empty() {
            refusal.message = format!("{}: {}", self.name(index), refusal.message);
        }
        refusal
    }
}

/// Validates all, or refuses the first that is wrong; with several, the refusal names its place, from 1, or its line. The snapshot by which
/// they were judged is to be held until they are stored: a check of what is stored waits for it.
pub fn admit(shared: &Shared, events: Vec<NewEvent>, lines: &[usize]) -> Result<(Vec<Admitted>, Arc<Snapshot>), Refusal> {
    limits::at_most("the number of events in one call", limits::BATCH, events.len())?;
    let places = Places { lines, count: events.len() };
    let (now, snapshot) = (clock::now(), shared.registry.now());
    let (ids, calendars) = (shared.event_ids(events.len()), shared.calendars());
    let admitted = events
        .into_iter()
        .zip(ids)
        .enumerate()
        .map(|(i, (event, id))| admit_one(&snapshot, &calendars, event, id, now).map_err(|refusal| places.named(i, refusal)));
    let admitted = admitted.collect::<Result<Vec<_>, _>>()?;
    each_key_once(&admitted, places)?;
    Ok((admitted, snapshot))
}

/// The store would name the earlier event by an id that nobody can look up: its transaction is rolled back.
fn each_key_once(admitted: &[Admitted], places: Places<'_>) -> Result<(), Refusal> {
    let mut seen = HashMap::new();
    for (i, wish) in admitted.iter().map(|a| &a.intention.wish).enumerate() {
        let Some(key) = &wish.key else { continue };
        // One that keeps or replaces says itself what then.
        if wish.policy.unique.as_ref().is_some_and(|unique| unique.conflict != Conflict::Reject) {
            continue;
        }
        if let Some(first) = seen.insert((&wish.event_type, key), i) {
            let said = format!("the key `{key}` of `{}` stands here a second time; {} has it too", wish.event_type, places.name(first));
            let refusal = Refusal::new("INP008", Blame::Input, said).expected("a key of its own for each event of a type");
            return Err(places.named(i, refusal.remedy("give one of the two another key, or leave one out; nothing was stored")));
        }
    }
    Ok(())
}

fn admit_one(snapshot: &Snapshot, calendars: &Calendars, event: NewEvent, id: EventId, now: DateTime<Utc>) -> Result<Admitted, Refusal> {
    limits::check(&event)?;
    let known = snapshot.types.get(&event.event_type).ok_or_else(|| unknown_type(snapshot, &event.event_type))?;
    schema::fits(known, event.args.get())?;
    let mut notes = Vec::new();
    if matches!(event.schedule.rule, Rule::Once { when } if when < now - PAST) {
        notes.push("the time is in the past: it runs at once".to_owned());
    }
    let unresolved = known.serving.is_none();
    if unresolved {
        notes.push(format!("nobody serves `{}` on this host now: it waits until somebody does", event.event_type));
    }
    let (wish, first) = settle(event, calendars, now)?;
    Ok(Admitted { intention: Intention { id, type_id: known.id, wish, first, standing_of: None }, unresolved, notes })
}

fn settle(event: NewEvent, calendars: &Calendars, now: DateTime<Utc>) -> Result<(NewEvent, Option<DateTime<Utc>>), Refusal> {
    let schedule = event.schedule.settle(now, calendars)?;
    let first = schedule.plan(calendars)?.first(now)?;
    Ok((NewEvent { schedule, ..event }, first))
}

/// A standing event of a batch whose types are not in the registry yet.
pub fn admit_standing(shared: &Shared, event: &StandingEvent, validator: &jsonschema::Validator) -> Result<StandingOffer, Refusal> {
    let order = ScheduleOrder {
        event_type: event.event_type.clone(),
        schedule: event.schedule.clone(),
        args: event.args.clone(),
        key: Some(event.key.clone()),
        description: event.description.clone(),
        bot: None,
        resources: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        priority: 0,
        policy: None,
    };
    let named = |mut refusal: Refusal| {
        refusal.message = format!("standing event `{}` of `{}`: {}", event.key, event.event_type, refusal.message);
        refusal
    };
    let wish = from_order(order).map_err(named)?;
    limits::check(&wish).map_err(named)?;
    schema::check(&event.event_type, &Value::Null, validator, wish.args.get()).map_err(named)?;
    let (wish, first) = settle(wish, &shared.calendars(), clock::now()).map_err(named)?;
    let id = shared.event_ids(1).pop().expect("one id was asked for");
    Ok(StandingOffer { event_type: event.event_type.clone(), id, wish, first })
}

/// From the shape that plugins send to the shape that the host validates.
pub fn from_order(order: ScheduleOrder) -> Result<NewEvent, Refusal> {
    let args = if order.args.is_null() { Value::Object(serde_json::Map::new()) } else { order.args };
    let args = serde_json::value::to_raw_value(&args).map_err(|e| not_understood("the arguments", &e))?;
    Ok(NewEvent {
        event_type: order.event_type,
        schedule: read_schedule(order.schedule)?,
        args,
        key: order.key,
        description: order.description,
        bot: order.bot.map(|b| sexton_core::Bot { id: b.id, name: b.name }),
        resources: order
            .resources
            .into_iter()
            .map(|r| sexton_core::Resource { id: r.id, kind: r.kind, properties: r.properties })
            .collect(),
        labels: order.labels,
        priority: order.priority,
        retry: None,
        policy: order.policy.map_or_else(|| Ok(sexton_core::RunPolicy::default()), read_policy)?,
    })
}

fn read_policy(policy: Value) -> Result<sexton_core::RunPolicy, Refusal> {
    serde_json::from_value(policy).map_err(|e| {
        let refusal = Refusal::new("INP011", Blame::Input, format!("the policy cannot be read: {e}"));
        refusal.expected(r#"JSON such as {"overlap": "allow", "unique": {"by": ["type"], "conflict": "keep"}}"#)
    })
}

/// A schedule in its JSON form. The refusal of its text keeps its own code.
pub fn read_schedule(schedule: Value) -> Result<Schedule, Refusal> {
    let text: ScheduleText = serde_json::from_value(schedule).map_err(|e| not_understood("the schedule", &e))?;
    Schedule::try_from(text)
}

fn not_understood(what: &str, error: &serde_json::Error) -> Refusal {
    Refusal::new("INP011", Blame::Input, format!("{what} cannot be read: {error}"))
        .expected(r#"JSON such as {"once": "2030-01-01T00:00:00Z"}, {"every": "5m"} or {"cron": "0 2 * * *", "tz": "Europe/Paris"}"#)
}

/// No plugin ever offered this type here.
#[must_use]
pub fn unknown_type(snapshot: &Snapshot, name: &str) -> Refusal {
    let refusal = Refusal::new("INP001", Blame::Input, format!("no plugin has registered the event type `{}`", schema::shorten(name)));
    let near = nearest(name, snapshot.types.keys().map(String::as_str));
    let refusal = if let Some(near) = near { refusal.expected(format!("perhaps `{near}`")) } else { refusal };
    refusal.remedy("`sexton event-type list` shows what there is; put the plugin that has this type into the plugin directory first")
}

/// The known name nearest to what was typed, if it is near enough to have been meant.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (typed.chars().count() / 3).clamp(1, 4);
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let near = known.filter(|name| typed.len() <= limits::KEY_BYTES && !name.is_empty()).map(|name| {
        let whole = distance(typed, name);
        // `start_resource` for `acme.start_resource`.
        (if last(name) == typed { 1 } else { whole }, name)
    });
    near.filter(|(d, _)| *d <= allowed).min().map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two texts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let known = ["acme.start_resource", "acme.stop_resource", "http.request", "sexton.noop"];
        for (typed, near) in [
            ("acme.start_resuorce", Some("acme.start_resource")),
            ("acme.startresource", Some("acme.start_resource")),
            ("start_resource", Some("acme.start_resource")),
            ("htp.request", Some("http.request")),
            ("sexton.nop", Some("sexton.noop")),
            ("weather.report", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known.iter().copied()), near, "{typed}");
        }
    }

    #[test]
    fn distances_count_swaps_once() {
        for (a, b, d) in [("", "", 0), ("ab", "ba", 1), ("kitten", "sitting", 3), ("", "abc", 3), ("é", "e", 1)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
