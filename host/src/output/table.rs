//! Tables for people, out of the same JSON that programs get.
//!
//! Not a place for decisions. What must hold: a missing field is an empty cell, never an error.

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Local, Utc};
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde_json::Value;

/// A column: its head, and how a row fills it.
pub struct Column {
    /// Upper-case head.
    pub head: &'static str,
    /// The cell's text.
    pub cell: fn(&Value) -> String,
}

/// Draws rows; no rows give the sentence `none`.
#[must_use]
pub fn draw(columns: &[Column], rows: &[Value], none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let mut table = Table::new();
    // Whoever writes it takes the colours away again where they are not wanted (`anstream`).
    table.enforce_styling().style_text_only();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|c| c.head));
    for row in rows {
        table.add_row(columns.iter().map(|c| tinted(c.head, (c.cell)(row))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// States and outcomes in colour: green is well, yellow waits for something, red went wrong.
fn tinted(head: &str, text: String) -> Cell {
    if !matches!(head, "STATE" | "OUTCOME" | "SERVED") {
        return Cell::new(text);
    }
    let colour = match tint(&text) {
        Some(AnsiColor::Red) => Color::Red,
        Some(AnsiColor::Yellow) => Color::Yellow,
        Some(_) => Color::Green,
        None => return Cell::new(text),
    };
    Cell::new(text).fg(colour)
}

fn tint(text: &str) -> Option<AnsiColor> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["failed", "rejected", "discarded", "quarantined", "stuck"]) {
        Some(AnsiColor::Red)
    } else if has(&["unresolved", "interrupted", "paused", "draining", "unloaded", "lost"]) {
        Some(AnsiColor::Yellow)
    } else if has(&["succeeded", "active", "running"]) {
        Some(AnsiColor::Green)
    } else {
        None
    }
}

/// The same colours for a word that stands in a line.
#[must_use]
pub fn outcome_style(text: &str) -> Style {
    Style::new().fg_color(tint(text).map(Into::into))
}

/// Draws one thing as lines of `name  value`; empty values are left out.
#[must_use]
pub fn card(lines: &[(&str, String)]) -> String {
    let width = lines.iter().filter(|(_, v)| !v.is_empty()).map(|(k, _)| k.len()).max().unwrap_or(0);
    let drawn = lines.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| {
        let indented = v.replace('\n', &format!("\n{:width$}  ", ""));
        format!("{k:width$}  {indented}")
    });
    drawn.collect::<Vec<_>>().join("\n")
}

/// A field as text: strings bare, nothing for null, JSON for the rest. `path` may go down with dots.
#[must_use]
pub fn text(row: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(row, |at, name| at.get(name));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// An instant in the reader's zone, to the second.
#[must_use]
pub fn instant(row: &Value, path: &str) -> String {
    let written = text(row, path);
    match written.parse::<DateTime<Utc>>() {
        Ok(at) => at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => written,
    }
}

/// An instant as distance from now: `in 5m 3s`, `2h ago`.
#[must_use]
pub fn distance(row: &Value, path: &str) -> String {
    let Ok(at) = text(row, path).parse::<DateTime<Utc>>() else { return String::new() };
    let seconds = (at - Utc::now()).num_seconds();
    let span = coarse(seconds.unsigned_abs());
    if seconds >= 0 { format!("in {span}") } else { format!("{span} ago") }
}

/// Two units at most: `3d 4h`, `5m 3s`.
fn coarse(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown: Vec<_> = parts.iter().skip_while(|(n, _)| *n == 0).take(2).filter(|(n, _)| *n > 0).map(|(n, u)| format!("{n}{u}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// Cut to `width` characters, with an ellipsis.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    let one_line = text.replace('\n', " ");
    if one_line.chars().count() <= width { one_line } else { one_line.chars().take(width - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_forgiving() {
        let row = json!({"a": "x", "b": {"c": 3}, "l": ["p", "q"], "n": null});
        assert_eq!([text(&row, "a"), text(&row, "b.c"), text(&row, "l"), text(&row, "n"), text(&row, "zz.y")], ["x", "3", "p, q", "", ""]);
        assert_eq!([coarse(0), coarse(59), coarse(3_600), coarse(90_061)], ["0s", "59s", "1h", "1d 1h"]);
        assert_eq!([cut("abcdef", 4), cut("ab", 4)], ["abc…", "ab"]);
    }

    #[test]
    fn states_are_tinted_and_nothing_else() {
        let columns = [Column { head: "NAME", cell: |r| text(r, "name") }, Column { head: "STATE", cell: |r| text(r, "state") }];
        let drawn = draw(&columns, &[json!({"name": "failed", "state": "active"}), json!({"name": "b", "state": "completed"})], "none");
        assert_eq!(anstream::adapter::strip_str(&drawn).to_string(), "NAME    STATE\nfailed  active\nb       completed");
        assert_eq!(drawn.matches("\u{1b}[38;5;10m").count(), 1, "{drawn:?}");
        assert_eq!(draw(&columns, &[], "nothing"), "nothing");
    }

    #[test]
    fn a_card_leaves_out_what_is_empty() {
        assert_eq!(card(&[("id", "7".into()), ("nothing", String::new()), ("state", "a\nb".into())]), "id     7\nstate  a\n       b");
    }
}
