//! What a plugin's `load` offered, checked before anything of it is published.
//!
//! Not the store's rule of ownership, though a type or action that another plugin serves now is refused here already. What must hold: a
//! batch is taken whole or refused whole, with a sentence that names the offender.

use crate::registry::Snapshot;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use sexton_core::{Blame, Refusal, RetryPolicy, TimeLimit};
use sexton_plugin_api::ids::{ID_MAX_BYTES, RESERVED_PREFIX, fault_in_id};
use sexton_plugin_api::wire::{ActionOffer, Batch, Retry, StandingEvent, TypeOffer};
use sexton_store::rows::Offer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Whose the built-in types are.
pub const HOST: &str = "host";
/// The key of a standing event, in bytes, at most.
const KEY_MAX: usize = 128;
/// A schema as JSON text, in bytes, at most.
const SCHEMA_MAX: usize = 256 * 1024;
/// Attempts of a retry policy, at most.
const ATTEMPTS_MAX: u32 = 1_000;

/// A batch that may be published.
#[derive(Debug)]
pub struct Checked {
    /// For the store, in the order of the batch.
    pub offers: Vec<Offer>,
    /// The compiled schemas, by type.
    pub validators: BTreeMap<String, Validator>,
    /// For the registry.
    pub actions: Vec<ActionOffer>,
    /// Their types are the plugin's; args and schedules are not yet looked at.
    pub standing: Vec<StandingEvent>,
}

/// Checks a batch of `plugin` against the rules and against what others serve in `now`; at most `most` of each sort.
pub fn check(plugin: &str, batch: Batch, now: &Snapshot, most: usize) -> Result<Checked, Refusal> {
    for (what, count) in [("event types", batch.types.len()), ("actions", batch.actions.len()), ("standing events", batch.standing.len())] {
        if count > most {
            let refusal = refuse("INP015", format!("plugin `{plugin}` offers {count} {what}")).expected(format!("at most {most}"));
            return Err(refusal.remedy("offer fewer, or raise `event_types` in the `[limits]` of its settings file"));
        }
    }
    let mut seen = BTreeSet::new();
    let mut validators = BTreeMap::new();
    let mut offers = Vec::with_capacity(batch.types.len());
    for offer in batch.types {
        check_id(plugin, "event type", &offer.event_type)?;
        if !seen.insert(offer.event_type.clone()) {
            return Err(twice(plugin, "event type", &offer.event_type));
        }
        let serving = now.types.get(&offer.event_type).and_then(|t| t.serving.as_ref());
        if let Some(other) = serving.filter(|s| s.plugin != plugin) {
            return Err(owned(plugin, "event type", &offer.event_type, &other.plugin));
        }
        validators.insert(offer.event_type.clone(), compile(plugin, &offer)?);
        let time_limit = TimeLimit { timeout: span(offer.timeout_ms), grace: span(offer.grace_ms) };
        let retry = offer.retry.as_ref().map(policy);
        offers.push(Offer { retry, time_limit, event_type: offer.event_type, args_schema: offer.args_schema });
    }
    let mut uids = BTreeSet::new();
    for action in &batch.actions {
        check_id(plugin, "action", &action.uid)?;
        if !uids.insert(&action.uid) {
            return Err(twice(plugin, "action", &action.uid));
        }
        if let Some(other) = now.actions.get(&action.uid).filter(|a| a.serving.plugin != plugin) {
            return Err(owned(plugin, "action", &action.uid, &other.serving.plugin));
        }
    }
    check_standing(plugin, &batch.standing, &validators)?;
    Ok(Checked { offers, validators, actions: batch.actions, standing: batch.standing })
}

/// Compiles a schema of arguments. References to other documents are refused: a host fetches nothing on a plugin's word.
pub fn validator(schema: &Value) -> Result<Validator, String> {
    let options = jsonschema::options().offline().with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|e| e.to_string())
}

/// A standing event whose arguments or schedule are not right: the inner reason under the code that names the plugin's fault.
pub fn standing_refused(plugin: &str, key: &str, inner: Refusal) -> Refusal {
    let message = format!("standing event `{key}` of plugin `{plugin}` is refused: {}: {}", inner.code, inner.message);
    Refusal { code: "PLG040".to_owned(), blame: Blame::Plugin, message, ..inner }
}

fn compile(plugin: &str, offer: &TypeOffer) -> Result<Validator, Refusal> {
    let refused = |why: &str| {
        refuse(
            "PLG039",
            format!("the arguments of `{}` of plugin `{plugin}` are not described by a usable JSON Schema: {why}", offer.event_type),
        )
        .remedy("derive the schema from the job's type, or correct it, and build the plugin again")
    };
    let size = offer.args_schema.to_string().len();
    if size > SCHEMA_MAX {
        return Err(refused("it is too large").expected(format!("at most {SCHEMA_MAX} bytes")).found(format!("{size} bytes")));
    }
    if !offer.args_schema.is_object() && !offer.args_schema.is_boolean() {
        return Err(refused("it is neither an object nor a boolean"));
    }
    validator(&offer.args_schema).map_err(|why| refused(&why))
}

fn check_standing(plugin: &str, standing: &[StandingEvent], validators: &BTreeMap<String, Validator>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for event in standing {
        let refused = |why: String| refuse("PLG040", format!("standing event `{}` of plugin `{plugin}` is refused: {why}", event.key));
        if event.key.is_empty() || event.key.len() > KEY_MAX {
            return Err(refused(format!("its key must have 1 to {KEY_MAX} bytes")));
        }
        if !validators.contains_key(&event.event_type) {
            return Err(refused(format!("the event type `{}` is not in the same batch", event.event_type))
                .remedy("register the job of that type in the same plugin"));
        }
        if !seen.insert((&event.event_type, &event.key)) {
            return Err(refused(format!("`{}` is declared twice under that key", event.event_type)));
        }
    }
    Ok(())
}

/// The one rule of ids, and `sexton.` belongs to the host.
fn check_id(plugin: &str, what: &str, id: &str) -> Result<(), Refusal> {
    if let Some(fault) = fault_in_id(id) {
        return Err(refuse("PLG034", format!("plugin `{plugin}` offers the {what} `{id:.128}`, which is no allowed id: {fault}"))
            .expected(format!("parts of a-z 0-9 _ - with dots between them, at most {ID_MAX_BYTES} bytes, such as `acme.start_resource`"))
            .remedy("rename it in the plugin's source"));
    }
    if plugin != HOST && id.starts_with(RESERVED_PREFIX) {
        return Err(refuse("PLG032", format!("plugin `{plugin}` offers the {what} `{id}`, but `sexton.` belongs to the host"))
            .expected("a prefix of your own, such as `acme.`")
            .remedy("rename it in the plugin's source"));
    }
    Ok(())
}

fn policy(retry: &Retry) -> RetryPolicy {
    let default = RetryPolicy::default();
    RetryPolicy {
        attempts: retry.attempts.unwrap_or(default.attempts).clamp(1, ATTEMPTS_MAX),
        first_delay_ms: retry.first_delay_ms.unwrap_or(default.first_delay_ms),
        max_delay_ms: retry.max_delay_ms.unwrap_or(default.max_delay_ms),
        deadline_ms: retry.deadline_ms.or(default.deadline_ms),
    }
}

/// No time at all is nothing that a run could keep to: the shortest there is.
fn span(ms: Option<u64>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.max(1)))
}

fn twice(plugin: &str, what: &str, id: &str) -> Refusal {
    refuse("PLG033", format!("plugin `{plugin}` offers the {what} `{id}` twice"))
        .remedy("register it once; two versions of the plugin's code may be linked into one library")
}

fn owned(plugin: &str, what: &str, id: &str, owner: &str) -> Refusal {
    let let_go = if what == "action" { String::new() } else { format!(" and let go of it with `sexton event-type release {id}`") };
    refuse("PLG031", format!("the {what} `{id}` belongs to plugin `{owner}`; plugin `{plugin}` may not offer it"))
        .expected(format!("an {what} that nobody owns, or that `{plugin}` owns"))
        .remedy(format!("rename it in `{plugin}`, or unload `{owner}`{let_go}"))
}

fn refuse(code: &str, message: String) -> Refusal {
    Refusal::new(code, Blame::Plugin, message)
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
