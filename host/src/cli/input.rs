//! What commands read: JSON on the command line, in files, on standard input.
//!
//! Not the host's validation. What must hold: text that is not understood is refused with its place.

use crate::cli::Failure;
use chrono::{DateTime, Utc};
use serde_json::Value;
use serde_json::value::RawValue;
use sexton_core::schedule::{duration, instant};
use sexton_core::{Blame, Refusal};
use std::io::Read;

/// Nobody types or pipes more than this.
const INPUT_MAX: u64 = 1 << 30;

/// A file's text; `-` is standard input.
///
/// # Errors
/// `INP020` when it cannot be read.
pub fn read(path: &str) -> Result<String, Failure> {
    let unreadable = |e: std::io::Error| {
        let what = if path == "-" { "standard input".to_owned() } else { format!("the file {path}") };
        Failure::Input(Refusal::new("INP020", Blame::Input, format!("{what} cannot be read: {e}")).expected("UTF-8 text"))
    };
    let mut text = String::new();
    if path == "-" {
        std::io::stdin().lock().take(INPUT_MAX).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        std::fs::File::open(path).and_then(|f| f.take(INPUT_MAX).read_to_string(&mut text)).map_err(unreadable)?;
    }
    // What some editors write before UTF-8 text.
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// `JSON`, `@FILE` or `-`, kept as written.
///
/// # Errors
/// `INP011` for what is no JSON, `INP020` for a file that cannot be read.
pub fn raw_json(flag: &str, written: &str) -> Result<Box<RawValue>, Failure> {
    let text = match written.strip_prefix('@') {
        Some(path) => read(path)?,
        None if written == "-" => read("-")?,
        None => written.to_owned(),
    };
    let text = text.trim().to_owned();
    serde_json::from_str::<Value>(&text).map_err(|e| Failure::Input(not_json(flag, &text, &e)))?;
    RawValue::from_string(text.clone()).map_err(|e| Failure::Input(not_json(flag, &text, &e)))
}

/// As [`raw_json`], as a value.
///
/// # Errors
/// As [`raw_json`].
pub fn json(flag: &str, written: &str) -> Result<Value, Failure> {
    let raw = raw_json(flag, written)?;
    serde_json::from_str(raw.get()).map_err(|e| Failure::Input(not_json(flag, raw.get(), &e)))
}

/// A refusal that points at the place where the JSON ends to make sense.
#[must_use]
pub fn not_json(what: &str, text: &str, e: &serde_json::Error) -> Refusal {
    let at = place(text, e.line(), e.column());
    let said = e.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    Refusal::new("INP011", Blame::Input, format!("{what}: this is not the JSON that is wanted: {said}")).at(
        text,
        at,
        (at + 1).min(text.len()),
    )
}

/// The byte of a line and column, both from 1 as `serde_json` counts (columns in bytes).
fn place(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len().saturating_sub(1))
}

/// A list of JSON objects: one array, or one object a line.
///
/// # Errors
/// `INP011` with the line.
pub fn objects(what: &str, path: &str) -> Result<Vec<Value>, Failure> {
    let text = read(path)?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text).map_err(|e| Failure::Input(not_json(what, &text, &e)));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| serde_json::from_str(line).map_err(|e| Failure::Input(not_json(&format!("{what}, line {}", i + 1), line, &e))))
        .collect()
}

/// An instant, or a duration to go back from `now`.
///
/// # Errors
/// `INP006`.
pub fn since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    match duration::parse(text).ok().and_then(|back| chrono::Duration::from_std(back).ok()) {
        Some(back) => Ok(now - back),
        None => instant::parse(text).map_err(Failure::Input),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T: std::fmt::Debug>(of: Result<T, Failure>) -> Refusal {
        match of {
            Err(Failure::Input(refusal)) => refusal,
            other => panic!("not refused as input: {other:?}"),
        }
    }

    #[test]
    fn json_is_kept_as_written_or_refused_at_its_place() {
        assert_eq!(raw_json("--args", r#" {"a": 1.50} "#).expect("good").get(), r#"{"a": 1.50}"#);
        let refused = refusal(raw_json("--args", r#"{"a": nope}"#));
        assert_eq!((refused.code.as_str(), refused.place.map(|p| p.start)), ("INP011", Some(7)));
        assert_eq!(refusal(raw_json("--args", "")).code, "INP011");
        assert_eq!(refusal(raw_json("--args", "@/nowhere/at/all")).code, "INP020");
    }

    #[test]
    fn since_is_an_instant_or_a_way_back() {
        let now = DateTime::from_timestamp(1_000_000_000, 0).expect("a time");
        assert_eq!(since("1h", now).expect("good").timestamp(), 999_996_400);
        assert_eq!(since("2001-09-09T03:46:40+02:00", now).expect("good"), now);
        assert_eq!(refusal(since("yesterday", now)).code, "INP006");
    }
}
