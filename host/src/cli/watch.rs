//! `sexton watch`: what happens on a host, as it happens, one line a thing.
//!
//! Not one run (`run watch`) and not what was before (`run list`, `audit`). What must hold: the JSON of a line is the host's, untouched; an end
//! that the host announced is told apart from one that it did not.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure};
use crate::client::query;
use crate::client::stream::Cut;
use crate::output::table::{cut, instant, outcome_style, text};
use crate::output::{self, Format};
use anstyle::Style;
use chrono::{DateTime, Local, Utc};
use clap::Args;
use serde_json::Value;

const AFTER: &str = "\
It shows what happens from now on, until it is ended or the host stops. What is about nothing that a filter names is left out: with `--plugin` no event
that is stored, with `--event` nothing about plugins. The output for programs is one JSON object a line.

Examples:
  sexton watch
  sexton watch --type acme.start_resource --what started,ended
  sexton watch --plugin shell --output ndjson";

/// Which of all that happens.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub struct Watch {
    /// About this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// About events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// About this plugin and the runs of its code
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// About events of this bot, by its id
    #[arg(long, value_name = "ID")]
    pub bot: Option<String>,
    /// Only these: stored, started, progress, ended, plugin
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', value_parser = ["stored", "started", "progress", "ended", "plugin"])]
    pub what: Vec<String>,
}

impl Watch {
    /// Runs the verb.
    ///
    /// # Errors
    /// No host, the host's refusal, or a host that went away without a word.
    pub fn run(&self, door: &Door) -> Done {
        let pairs = [
            ("event", self.event.clone()),
            ("type", self.event_type.clone()),
            ("plugin", self.plugin.clone()),
            ("bot", self.bot.clone()),
            ("what", Some(self.what.join(",")).filter(|what| !what.is_empty())),
        ];
        let format = door.format;
        let heard = door.open()?.listen(&query("/api/v1/stream", &pairs), |told| {
            output::line(&if format == Format::Table { drawn(&told) } else { told.to_string() })
        });
        match heard {
            Ok(()) => {
                output::note("the host has stopped");
                Ok(())
            }
            Err(Cut::Trouble(trouble)) => Err(trouble.into()),
            Err(Cut::Own(error)) => Err(Failure::from(error)),
        }
    }
}

/// `10:22:29.123  ended     0k3v9x2m4q8rt.1  acme.start_resource  attempt 1 succeeded after 12 ms, by acme #3`.
fn drawn(told: &Value) -> String {
    let dim = Style::new().dimmed();
    if told["what"] == "missed" {
        return format!("{dim}… {} more happened than this reader could take{dim:#}", text(told, "missed"));
    }
    let at = text(told, "at").parse::<DateTime<Utc>>();
    let at = at.map_or_else(|_| text(told, "at"), |at| at.with_timezone(&Local).format("%H:%M:%S%.3f").to_string());
    let what = text(told, "what");
    let (subject, rest) = match what.as_str() {
        "plugin" => (text(told, "plugin"), of_plugin(told)),
        "stored" => (text(told, "event_id"), of_stored(told)),
        _ => (text(told, "occurrence"), of_run(&what, told)),
    };
    format!("{dim}{at}{dim:#}  {what:8}  {subject:16}  {rest}")
}

fn of_stored(told: &Value) -> String {
    let due = instant(told, "next_run_at");
    let due = if due.is_empty() { "no time".to_owned() } else { format!("due {due}") };
    format!("{}  {due}", text(told, "event_type"))
}

fn of_plugin(told: &Value) -> String {
    let state = text(told, "state");
    let style = outcome_style(&state);
    let generation = Some(text(told, "generation")).filter(|g| !g.is_empty()).map_or_else(String::new, |g| format!(" #{g}"));
    let version = Some(text(told, "version")).filter(|v| !v.is_empty()).map_or_else(String::new, |v| format!(", version {v}"));
    let refused = Some(text(told, "rejection")).filter(|r| !r.is_empty()).map_or_else(String::new, |r| format!(", refused: {r}"));
    format!("{style}{state}{style:#}{generation}{version}{refused}")
}

fn of_run(what: &str, told: &Value) -> String {
    let by = format!("{} #{}", text(told, "plugin"), text(told, "generation"));
    let said = match what {
        "progress" => format!(": {}", progress(told).unwrap_or_default()),
        "ended" => {
            let (outcome, error) = (text(told, "outcome"), text(told, "error"));
            let style = outcome_style(&outcome);
            let took = took(told).map_or_else(String::new, |took| format!(" after {took}"));
            let error = if error.is_empty() { error } else { format!(": {}", cut(&error, 120)) };
            format!(" {style}{outcome}{style:#}{took}, by {by}{error}")
        }
        _ => format!(" started, by {by}"),
    };
    format!("{}  attempt {}{said}", text(told, "event_type"), text(told, "attempt"))
}

/// From start to end, if it had a start.
#[must_use]
pub fn took(run: &Value) -> Option<String> {
    let at = |name: &str| text(run, name).parse::<DateTime<Utc>>().ok();
    let millis = (at("finished_at")? - at("started_at")?).num_milliseconds().max(0);
    Some(if millis < 10_000 { format!("{millis} ms") } else { crate::output::bar::span(millis.unsigned_abs() / 1_000) })
}

/// `3 of 10 (30 %), copying`: how far a run is, if it has said so.
#[must_use]
pub fn progress(row: &Value) -> Option<String> {
    let [done, total, note] = row["progress"].as_array()?.as_slice() else { return None };
    let (done, total) = (done.as_u64()?, total.as_u64());
    let of = total.map_or_else(String::new, |total| match crate::output::bar::percent(done, total) {
        Some(percent) => format!(" of {total} ({percent} %)"),
        None => format!(" of {total}"),
    });
    let note = note.as_str().filter(|note| !note.is_empty()).map_or_else(String::new, |note| format!(", {note}"));
    Some(format!("{done}{of}{note}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(told: &Value) -> String {
        let drawn = anstream::adapter::strip_str(&drawn(told)).to_string();
        drawn.split_once("  ").map_or(drawn.clone(), |(_, rest)| rest.to_owned())
    }

    #[test]
    fn each_thing_is_a_line() {
        let run = |what: &str, more: Value| {
            let mut told = json!({"id": 7, "at": "2026-11-25T10:22:29.123456Z", "what": what, "occurrence": "abc.1", "event_type": "acme.a",
                "attempt": 2, "plugin": "acme", "generation": 3});
            told.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            plain(&told)
        };
        assert_eq!(run("started", json!({})), "started   abc.1             acme.a  attempt 2 started, by acme #3");
        assert_eq!(
            run("progress", json!({"progress": [3, 10, "copying"]})),
            "progress  abc.1             acme.a  attempt 2: 3 of 10 (30 %), copying"
        );
        let ended = json!({"outcome": "failed", "error": "no\nroom", "started_at": "2026-11-25T10:00:00Z", "finished_at": "2026-11-25T10:00:01.5Z"});
        assert_eq!(run("ended", ended), "ended     abc.1             acme.a  attempt 2 failed after 1500 ms, by acme #3: no room");
        let plugin = json!({"what": "plugin", "at": "2026-11-25T10:22:29Z", "plugin": "acme", "state": "active", "generation": 4, "version": "0.1.0"});
        assert_eq!(plain(&plugin), "plugin    acme              active #4, version 0.1.0");
        let stored =
            json!({"what": "stored", "at": "2026-11-25T10:22:29Z", "event_id": "abc", "event_type": "acme.a", "next_run_at": null});
        assert_eq!(plain(&stored), "stored    abc               acme.a  no time");
        assert_eq!(
            anstream::adapter::strip_str(&drawn(&json!({"what": "missed", "missed": 9}))).to_string(),
            "… 9 more happened than this reader could take"
        );
    }

    #[test]
    fn progress_says_what_is_known() {
        for (progress_of, said) in [
            (json!([3, 10, "copying"]), Some("3 of 10 (30 %), copying")),
            (json!([3, null, ""]), Some("3")),
            (json!([0, 0, "nothing to do"]), Some("0 of 0, nothing to do")),
            (Value::Null, None),
        ] {
            assert_eq!(progress(&json!({"progress": progress_of})).as_deref(), said);
        }
    }
}
