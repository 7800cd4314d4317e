//! What people and programs see: tables, JSON, NDJSON, and refusals with a caret under the place.
//!
//! Not the wording of any command. What must hold: standard output carries only answers; everything else goes to standard error.

pub mod bar;
pub mod refusal;
pub mod screen;
pub mod table;

use serde_json::Value;
use std::io::{self, Write};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one JSON value.
    Json,
    /// For programs: one JSON object a line.
    Ndjson,
}

/// Writes a line to standard output.
///
/// # Errors
/// When the reader has gone away or the disk is full.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))
}

/// Writes one value: pretty JSON, or one line.
///
/// # Errors
/// As [`line()`].
pub fn value(format: Format, value: &Value) -> io::Result<()> {
    match format {
        Format::Ndjson => match value {
            Value::Array(rows) => rows.iter().try_for_each(|row| line(&row.to_string())),
            one => line(&one.to_string()),
        },
        Format::Table | Format::Json => line(&serde_json::to_string_pretty(value).expect("a value is JSON")),
    }
}

/// A remark for people, on standard error.
pub fn note(text: &str) {
    anstream::eprintln!("{text}");
}
