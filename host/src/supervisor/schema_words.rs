//! The difference of two JSON Schemas in words, for people who decide about a build.
//!
//! Not a proof of compatibility: stored arguments are checked one by one. What must hold: schemas that differ never give an empty answer, and the
//! answer is short whatever they hold.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Lines at most.
const LINES_MAX: usize = 20;
/// Letters of a value.
const VALUE_MAX: usize = 60;
/// How deep schemas are followed.
const DEPTH_MAX: usize = 16;
/// What says nothing about which arguments fit.
const REMARKS: [&str; 6] = ["title", "description", "$schema", "$id", "examples", "$comment"];

/// The differences, each in a line.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", before, after, 0, &mut lines);
    if lines.is_empty() && before != after {
        lines.push("only titles, descriptions, examples or definitions differ".to_owned());
    }
    let more = lines.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.truncate(LINES_MAX - 1);
        lines.push(format!("and {} more differences", more + 1));
    }
    lines
}

fn walk(at: &str, before: &Value, after: &Value, depth: usize, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (before, after) else {
        return lines.push(format!("{}: {} is now {}", place(at), short(before), short(after)));
    };
    if depth > DEPTH_MAX {
        return lines.push(format!("{}: something inside differs", place(at)));
    }
    properties(at, a, b, depth, lines);
    required(at, a, b, lines);
    for keyword in ["$defs", "definitions"] {
        each(a, b, keyword, |key, then, now| {
            // Of one that came or went, whoever refers to it says so.
            if let (Some(then), Some(now)) = (then, now) {
                walk(&format!("#{key}"), then, now, depth + 1, lines);
            }
        });
    }
    let keywords: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for keyword in keywords {
        if REMARKS.contains(&keyword.as_str()) || ["properties", "required", "$defs", "definitions"].contains(&keyword.as_str()) {
            continue;
        }
        match (a.get(keyword), b.get(keyword)) {
            (Some(then), Some(now)) if keyword == "items" => walk(&format!("{at}/*"), then, now, depth + 1, lines),
            (Some(then), Some(now)) if then != now => {
                lines.push(format!("{}: `{keyword}` {} is now {}", place(at), short(then), short(now)));
            }
            (Some(then), None) => lines.push(format!("{}: `{keyword}` {} does not hold any more", place(at), short(then))),
            (None, Some(now)) => lines.push(format!("{}: `{keyword}` {} holds now", place(at), short(now))),
            _ => {}
        }
    }
}

fn properties(at: &str, a: &Map<String, Value>, b: &Map<String, Value>, depth: usize, lines: &mut Vec<String>) {
    each(a, b, "properties", |key, then, now| {
        let inner = format!("{at}/{key}");
        match (then, now) {
            (Some(then), Some(now)) => walk(&inner, then, now, depth + 1, lines),
            (Some(_), None) => lines.push(format!("{} is gone", place(&inner))),
            (None, Some(now)) => {
                let needed = if requires(b).contains(key) { ", required" } else { "" };
                lines.push(format!("{} is new: {}{needed}", place(&inner), kind(now)));
            }
            (None, None) => {}
        }
    });
}

/// Of properties that were there before.
fn required(at: &str, a: &Map<String, Value>, b: &Map<String, Value>, lines: &mut Vec<String>) {
    let (then, now) = (requires(a), requires(b));
    let has = |schema: &Map<String, Value>, key: &str| schema.get("properties").is_some_and(|p| p.get(key).is_some());
    for key in now.difference(&then).filter(|key| has(a, key) || !has(b, key)) {
        lines.push(format!("{} is required now", place(&format!("{at}/{key}"))));
    }
    for key in then.difference(&now).filter(|key| has(b, key) || !has(a, key)) {
        lines.push(format!("{} is not required any more", place(&format!("{at}/{key}"))));
    }
}

fn each(a: &Map<String, Value>, b: &Map<String, Value>, keyword: &str, mut tell: impl FnMut(&str, Option<&Value>, Option<&Value>)) {
    let (then, now) = (a.get(keyword).and_then(Value::as_object), b.get(keyword).and_then(Value::as_object));
    let keys: BTreeSet<&String> = then.into_iter().chain(now).flat_map(Map::keys).collect();
    for key in keys {
        tell(key, then.and_then(|t| t.get(key)), now.and_then(|n| n.get(key)));
    }
}

fn requires(schema: &Map<String, Value>) -> BTreeSet<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn place(at: &str) -> String {
    match at.strip_prefix('#') {
        Some(definition) => format!("in the definition `{definition}`"),
        None if at.is_empty() => "at the top".to_owned(),
        None => format!("`{at}`"),
    }
}

fn kind(schema: &Value) -> String {
    schema
        .get("type")
        .or_else(|| schema.get("$ref"))
        .map_or_else(|| short(schema), |kind| kind.as_str().map_or_else(|| short(kind), str::to_owned))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= VALUE_MAX {
        return text;
    }
    format!("{}…", &text[..text.floor_char_boundary(VALUE_MAX)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_types_and_requirements_are_said() {
        let before = json!({"type": "object", "title": "A", "properties": {"gone": {"type": "string"}, "n": {"type": "integer", "minimum": 0},
            "opt": {"type": "string"}, "list": {"type": "array", "items": {"type": "string"}}}, "required": ["n"]});
        let after = json!({"type": "object", "title": "B", "properties": {"new": {"type": "boolean"}, "n": {"type": ["integer", "null"], "minimum": 1},
            "opt": {"type": "string"}, "list": {"type": "array", "items": {"type": "integer"}}}, "required": ["new", "opt"],
            "additionalProperties": false});
        let lines = differences(&before, &after);
        for wanted in [
            "`/gone` is gone",
            "`/new` is new: boolean, required",
            "`/n`: `type` \"integer\" is now [\"integer\",\"null\"]",
            "`/n`: `minimum` 0 is now 1",
            "`/n` is not required any more",
            "`/opt` is required now",
            "`/list/*`: `type` \"string\" is now \"integer\"",
            "at the top: `additionalProperties` false holds now",
        ] {
            assert!(lines.iter().any(|line| line == wanted), "{wanted} is missing in {lines:#?}");
        }
        assert_eq!(lines.len(), 8, "{lines:#?}");
    }

    #[test]
    fn definitions_and_whole_schemas_are_said() {
        let of = |kind: &str| json!({"$defs": {"Mode": {"type": kind}}, "properties": {"mode": {"$ref": "#/$defs/Mode"}}});
        assert_eq!(differences(&of("string"), &of("integer")), ["in the definition `Mode`: `type` \"string\" is now \"integer\""]);
        assert_eq!(differences(&json!(true), &json!({"type": "object"})), ["at the top: true is now {\"type\":\"object\"}"]);
    }

    #[test]
    fn what_differs_is_never_silent_and_never_long() {
        assert!(differences(&json!({"a": 1}), &json!({"a": 1})).is_empty());
        let remark = differences(&json!({"title": "a"}), &json!({"title": "b"}));
        assert_eq!(remark, ["only titles, descriptions, examples or definitions differ"]);
        let many: Map<String, Value> = (0..100).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
        let lines = differences(&json!({}), &json!({"properties": many}));
        assert_eq!((lines.len(), lines[LINES_MAX - 1].as_str()), (LINES_MAX, "and 81 more differences"));
    }
}
