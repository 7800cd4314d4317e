//! How much of everything: a limit on each thing that a caller, a plugin or a queue can make large.
//!
//! Not configuration: these are safe for every machine. What must hold: a limit that is exceeded is named in the refusal (`INP015`).

use sexton_core::policy::QUEUED_MOST;
use sexton_core::{Blame, NewEvent, Overlap, Refusal, RetryPolicy, RunPolicy, Unique, UniqueBy};
use std::collections::HashSet;
use std::time::Duration;

/// Bytes of an event's arguments.
pub const ARGS_BYTES: usize = 256 * 1024;
/// How deep arguments and the properties of resources may be nested: their answers stand deeper still, and readers stop at 128.
pub const DEPTH: usize = 64;
/// Events stored by one call.
pub const BATCH: usize = 10_000;
/// Resources of one event.
pub const RESOURCES: usize = 10_000;
/// Bytes of an event's resources, written as JSON.
pub const RESOURCES_BYTES: usize = 4 * 1024 * 1024;
/// Labels of one event.
pub const LABELS: usize = 64;
/// Bytes of a label's name.
pub const LABEL_NAME_BYTES: usize = 128;
/// Bytes of a label's value.
pub const LABEL_VALUE_BYTES: usize = 1024;
/// Bytes of a key, and of an event type's name.
pub const KEY_BYTES: usize = 256;
/// Bytes of a description.
pub const DESCRIPTION_BYTES: usize = 4096;
/// Attempts that a retry policy may ask for.
pub const ATTEMPTS: u32 = 1_000;
/// Bytes of a job's output that are kept.
pub const OUTPUT_BYTES: usize = 1024 * 1024;
/// Lines of a run's log that are kept from its beginning, and from its end.
pub const LOG_LINES: (usize, usize) = (100, 400);
/// Bytes of a run's log that are kept from its beginning, and from its end.
pub const LOG_BYTES: (usize, usize) = (32 * 1024, 96 * 1024);
/// Bytes of a progress note that are kept.
pub const NOTE_BYTES: usize = 512;
/// Bytes of an error's text that are kept.
pub const ERROR_BYTES: usize = 16 * 1024;

/// How far ahead occurrences are claimed.
pub const HORIZON: Duration = Duration::from_secs(2);
/// Claimed and not started, at most.
pub const CLAIMED: usize = 4_096;
/// On top of [`CLAIMED`]: what is due already is claimed even when the horizon is full.
pub const CLAIMED_URGENT: usize = 1_024;
/// By one claim, at most: between two of them it is seen which types have enough.
pub const CLAIMED_AT_ONCE: usize = 1_024;
/// Claimed and not started, types that have enough included: beyond that, these give back.
pub const HELD: usize = 4 * CLAIMED;
/// Settled in one transaction, at most.
pub const SETTLED_AT_ONCE: usize = 1_000;
/// Dead letters put back or removed in one transaction, at most.
pub const TREATED_AT_ONCE: usize = 1_000;
/// An action that has not answered by then is asked to stop.
pub const ACTION_WAIT: Duration = Duration::from_secs(600);

fn exceeded(what: &str, limit: usize, found: usize) -> Refusal {
    Refusal::new("INP015", Blame::Input, format!("{what}: the limit is exceeded"))
        .expected(format!("at most {limit}"))
        .found(found.to_string())
}

/// Refuses more than `limit` of `what`.
pub fn at_most(what: &str, limit: usize, found: usize) -> Result<(), Refusal> {
    if found > limit { Err(exceeded(what, limit, found)) } else { Ok(()) }
}

/// Arguments: not too long, not too deep.
pub fn check_args(args: &str) -> Result<(), Refusal> {
    at_most("the arguments (bytes)", ARGS_BYTES, args.len())?;
    at_most("the nesting of the arguments", DEPTH, depth(args))
}

/// How deep JSON is nested; `text` is known to be JSON.
fn depth(text: &str) -> usize {
    let (mut deepest, mut now, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => now += 1,
            b']' | b'}' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

/// Looks at everything of an event that has a size.
pub fn check(event: &NewEvent) -> Result<(), Refusal> {
    at_most("the event type (bytes)", KEY_BYTES, event.event_type.len())?;
    check_args(event.args.get())?;
    at_most("the key (bytes)", KEY_BYTES, event.key.as_ref().map_or(0, String::len))?;
    at_most("the description (bytes)", DESCRIPTION_BYTES, event.description.as_ref().map_or(0, String::len))?;
    check_labels(&event.labels)?;
    if let Some(bot) = &event.bot {
        at_most("the bot's id (bytes)", KEY_BYTES, bot.id.len())?;
        at_most("the bot's name (bytes)", DESCRIPTION_BYTES, bot.name.len())?;
    }
    if let Some(retry) = &event.retry {
        check_retry(retry)?;
    }
    check_policy(&event.policy)?;
    check_scope(event.policy.unique.as_ref(), event.key.as_deref())?;
    check_resources(event)
}

/// A retry policy, of an event or of an edit.
pub fn check_retry(retry: &RetryPolicy) -> Result<(), Refusal> {
    at_most("`attempts` of the retry policy", ATTEMPTS as usize, retry.attempts as usize)?;
    if retry.attempts == 0 {
        return Err(Refusal::new("INP015", Blame::Input, "a retry policy needs at least one attempt").expected("1 or more").found("0"));
    }
    Ok(())
}

/// What an event asks about its runs, of an event or of an edit.
pub fn check_policy(policy: &RunPolicy) -> Result<(), Refusal> {
    let nothing = |what: &str| Refusal::new("INP015", Blame::Input, format!("{what} is nothing")).expected("1 or more").found("0");
    match policy.overlap {
        Overlap::QueueAll(0) => return Err(nothing("the bound of `queue_all`").remedy("`skip` lets none wait")),
        Overlap::QueueAll(most) => at_most("the bound of `queue_all`", QUEUED_MOST as usize, most as usize)?,
        _ => {}
    }
    for (what, span) in [("`timeout`", policy.timeout), ("`grace`", policy.grace)] {
        let span = span.unwrap_or(Duration::from_millis(1));
        if span.is_zero() {
            return Err(nothing(what).expected("1ms or more"));
        }
    }
    if policy.unique.as_ref().is_some_and(|unique| unique.by.is_empty() || unique.states.is_empty()) {
        return Err(nothing("what `unique` goes `by`, or the states in `while`,").remedy("leave them out for the defaults"));
    }
    at_most("the `limit_key` (bytes)", KEY_BYTES, policy.limit_key.as_ref().map_or(0, String::len))
}

/// Uniqueness by key needs a key: without one all such events would be the same.
pub fn check_scope(unique: Option<&Unique>, key: Option<&str>) -> Result<(), Refusal> {
    if key.is_none() && unique.is_some_and(|unique| unique.by.contains(&UniqueBy::Key)) {
        return Err(Refusal::new("INP016", Blame::Input, "`unique` goes by `key`, and the event has no key")
            .remedy("give it a key, or leave `key` out of `by`"));
    }
    Ok(())
}

/// Labels, of an event or of an edit.
pub fn check_labels(labels: &std::collections::BTreeMap<String, String>) -> Result<(), Refusal> {
    at_most("the number of labels", LABELS, labels.len())?;
    for (name, value) in labels {
        at_most("a label's name (bytes)", LABEL_NAME_BYTES, name.len())?;
        at_most("a label's value (bytes)", LABEL_VALUE_BYTES, value.len())?;
    }
    Ok(())
}

fn check_resources(event: &NewEvent) -> Result<(), Refusal> {
    at_most("the number of resources", RESOURCES, event.resources.len())?;
    if event.resources.is_empty() {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(event.resources.len());
    for resource in &event.resources {
        at_most("a resource's id (bytes)", KEY_BYTES, resource.id.len())?;
        if !seen.insert(resource.id.as_str()) {
            return Err(Refusal::new("INP018", Blame::Input, format!("two resources of the event have the id `{}`", resource.id))
                .expected("an id of its own for each resource")
                .remedy("name each resource once: results are kept by its id"));
        }
    }
    let text = serde_json::to_string(&event.resources).unwrap_or_default();
    at_most("the resources (bytes of JSON)", RESOURCES_BYTES, text.len())?;
    at_most("the nesting of the resources", DEPTH, depth(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        for (text, deep) in [("1", 0), ("{}", 1), (r#"{"a": [1, {"b": []}], "c": {}}"#, 4), (r#"{"a": "[[[\"[[\\\\"}"#, 1)] {
            assert_eq!(depth(text), deep, "{text}");
        }
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check_args(&nested(DEPTH)), Ok(()));
        let refusal = check_args(&nested(DEPTH + 1)).expect_err("too deep");
        assert_eq!((refusal.code.as_str(), refusal.found.as_deref()), ("INP015", Some("65")));
    }
}
