//! Arguments against their JSON Schema, and the sentence when they do not fit.
//!
//! Not the compiler of schemas (that is done once, when a type is published). What must hold: the refusal points at the place.

use crate::registry::KnownType;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use sexton_core::{Blame, Refusal};

/// How much of a value is shown.
const SHOWN: usize = 120;

/// Refuses arguments that break the schema of their type (`INP002`). `schema` is only read for the sentence.
pub fn check(event_type: &str, schema: &Value, validator: &Validator, args: &str) -> Result<(), Refusal> {
    let args: Value = serde_json::from_str(args).map_err(|e| {
        Refusal::new("INP011", Blame::Input, format!("the arguments are no JSON: {e}")).expected("a JSON value").found(shorten(args))
    })?;
    let mut errors = validator.iter_errors(&args);
    let Some(first) = errors.next() else { return Ok(()) };
    Err(refusal(event_type, schema, &first, errors.count()))
}

/// Refuses what breaks the schema of a known type, or the one that is to take its place: what is stored while a new build is being taken in
/// may run in either.
pub fn fits(known: &KnownType, args: &str) -> Result<(), Refusal> {
    check(&known.event_type, &known.args_schema, &known.validator, args)?;
    let Some(coming) = &known.coming else { return Ok(()) };
    check(&known.event_type, &coming.args_schema, &coming.validator, args).map_err(|refusal| {
        let message =
            format!("a new build of plugin `{}` is being loaded, and arguments have to fit both: {}", coming.plugin, refusal.message);
        let remedy = "give arguments that fit both, or try again in a moment, when it is loaded or refused";
        Refusal { message, ..refusal }.remedy(remedy)
    })
}

fn refusal(event_type: &str, schema: &Value, error: &ValidationError<'_>, more: usize) -> Refusal {
    let pointer = error.instance_path().as_str();
    let place = if pointer.is_empty() { "at the top".to_owned() } else { format!("at `{pointer}`") };
    let more = match more {
        0 => String::new(),
        n => format!(" (and in {n} more place{})", if n == 1 { "" } else { "s" }),
    };
    let what = shorten(&error.masked_with(VALUE).to_string());
    let refusal = Refusal::new("INP002", Blame::Input, format!("the arguments of `{event_type}` break its schema {place}: {what}{more}"))
        .found(shorten(&error.instance().to_string()))
        .remedy(format!("`sexton event-type show {event_type}` shows the schema"));
    match rule(schema, error.schema_path().as_str()) {
        Some(rule) => refusal.expected(rule),
        None => refusal,
    }
}

const VALUE: &str = "the value";

/// The keyword that was broken, with what it says: `"type": "boolean"`.
fn rule(schema: &Value, path: &str) -> Option<String> {
    let keyword = path.rsplit('/').next()?;
    let said = schema.pointer(path)?;
    Some(shorten(&format!("\"{keyword}\": {said}")))
}

/// A text cut to what a sentence bears.
#[must_use]
pub fn shorten(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(SHOWN)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(args: &str) -> Result<(), Refusal> {
        let schema = json!({"type": "object", "properties": {"wait": {"type": "boolean"}, "names": {"type": "array", "items": {"type": "string"}}},
            "required": ["names"], "additionalProperties": false});
        check("acme.x", &schema, &jsonschema::validator_for(&schema).expect("a schema"), args)
    }

    #[test]
    fn the_place_is_a_pointer_and_the_rule_is_quoted() {
        assert_eq!(answer(r#"{"names": ["a"], "wait": true}"#), Ok(()));
        let refusal = answer(r#"{"names": ["a", 7]}"#).expect_err("7 is no text");
        assert_eq!(refusal.code, "INP002");
        assert!(refusal.message.contains("`/names/1`"), "{refusal}");
        assert_eq!((refusal.expected.as_deref(), refusal.found.as_deref()), (Some("\"type\": \"string\""), Some("7")));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let refusal = answer("{}").expect_err("names are missing");
        assert!(refusal.message.contains("at the top") && refusal.message.contains("names"), "{refusal}");
        let refusal = answer(r#"{"names": [], "wiat": true, "wait": 1}"#).expect_err("an unknown field and a wrong type");
        assert!(refusal.message.contains("and in 1 more place"), "{refusal}");
        assert_eq!(answer("{").expect_err("no JSON").code, "INP011");
    }
}
