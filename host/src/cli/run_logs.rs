//! `sexton run logs`: what an attempt logged, once or until it ends.
//!
//! Not the host's own log. What must hold: following prints each line once, in order, and ends when the attempt does.

use crate::cli::Done;
use crate::cli::connect::Door;
use crate::client::{encode, query};
use crate::output::table::{instant, text};
use crate::output::{self, Format};
use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Local, Utc};
use clap::Args;
use serde_json::Value;
use std::time::Duration;

/// Between two questions while following.
const POLL: Duration = Duration::from_millis(250);

const AFTER: &str = "\
A run keeps its first 100 lines and its newest 400, 128 KiB at most; a line in between says how many are left out. Times are this machine's.
How much a plugin logs is its `log_level`: in its settings file, or until its next load with `sexton plugin log-level`.

Examples:
  sexton run logs 0k3v9x2m4q8rt.1
  sexton run logs 0k3v9x2m4q8rt.1 --attempt 2 --output ndjson
  sexton run logs 0k3v9x2m4q8rt.1 --follow";

/// Whose log.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub struct Logs {
    /// The occurrence: an event's id, a dot, a number
    #[arg(value_name = "OCCURRENCE")]
    pub occurrence: String,
    /// Of this attempt [default: the one under way, else the newest]
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Wait for its start, and go on until it ends
    #[arg(long, short)]
    pub follow: bool,
}

impl Logs {
    /// Runs the verb.
    ///
    /// # Errors
    /// No host, or the host's refusal.
    pub fn run(&self, door: &Door) -> Done {
        let (client, path) = (door.open()?, format!("/api/v1/runs/{}/logs", encode(&self.occurrence)));
        let (mut attempt, mut after, mut gathered, mut waits) = (self.attempt, None, Vec::new(), false);
        loop {
            let pairs = [("attempt", attempt.map(|a| a.to_string())), ("after", after)];
            let mut answer = client.get(&query(&path, &pairs))?;
            let Value::Array(items) = answer["items"].take() else { return Ok(()) };
            match door.format {
                Format::Table => items.iter().try_for_each(|item| output::line(&drawn(item)))?,
                Format::Ndjson => items.iter().try_for_each(|item| output::line(&item.to_string()))?,
                Format::Json => {}
            }
            gathered.extend(if door.format == Format::Json { items } else { Vec::new() });
            if answer["waiting"] == true && !std::mem::replace(&mut waits, true) {
                output::note(&format!("attempt {} has not started", text(&answer, "attempt")));
            }
            if !self.follow || (answer["running"] != true && answer["waiting"] != true) {
                if door.format == Format::Json {
                    answer["items"] = Value::Array(gathered);
                    output::value(Format::Json, &answer)?;
                } else if answer["next"] == 0 && !waits {
                    output::note(&format!("attempt {} has logged nothing", text(&answer, "attempt")));
                }
                return Ok(());
            }
            // From now on it is this attempt, though another may begin before the next question.
            attempt = answer["attempt"].as_u64().and_then(|n| u32::try_from(n).ok());
            after = Some(text(&answer, "next"));
            std::thread::sleep(POLL);
        }
    }
}

/// `2026-11-25 10:22:29.123  WARN acme::jobs: bell{no=3}: it rings`.
#[must_use]
pub fn drawn(item: &Value) -> String {
    let at = text(item, "at").parse::<DateTime<Utc>>();
    let at = at.map_or_else(|_| instant(item, "at"), |at| at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f").to_string());
    let (level, spans) = (text(item, "level").to_uppercase(), text(item, "spans"));
    let (tint, dim) = (tint(&level), Style::new().dimmed());
    let spans = if spans.is_empty() { spans } else { format!("{dim}{spans}{dim:#}: ") };
    format!("{dim}{at}{dim:#} {tint}{level:>5}{tint:#} {dim}{}:{dim:#} {spans}{}", text(item, "target"), text(item, "message"))
}

/// As the host's own log has it.
fn tint(level: &str) -> Style {
    let colour = match level {
        "ERROR" => AnsiColor::Red,
        "WARN" => AnsiColor::Yellow,
        "INFO" => AnsiColor::Green,
        "DEBUG" => AnsiColor::Blue,
        _ => AnsiColor::Magenta,
    };
    Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_has_time_level_target_spans_and_message() {
        let of = |spans: &str| {
            let item =
                json!({"at": "2026-11-25T10:22:29.123456Z", "level": "warn", "target": "acme", "message": "it rings", "spans": spans});
            let drawn = drawn(&item);
            assert!(drawn.contains("\u{1b}[33m WARN\u{1b}[0m"), "{drawn:?}");
            anstream::adapter::strip_str(&drawn).to_string().split_once(' ').expect("a date").1.to_owned()
        };
        let (bare, within) = (of(""), of("bell{no=3}"));
        assert!(bare.ends_with(":29.123  WARN acme: it rings"), "{bare}");
        assert!(within.ends_with(":29.123  WARN acme: bell{no=3}: it rings"), "{within}");
    }
}
