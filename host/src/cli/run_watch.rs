//! `sexton run watch`: one occurrence until it is over, with a bar, its log and its outcome.
//!
//! Not a history of it (`run show`). What must hold: each line of the log is printed once; the exit code is that of the last outcome: 0 if it
//! succeeded, else 1.

use crate::cli::connect::Door;
use crate::cli::watch::{progress, took};
use crate::cli::{Done, Failure, run_logs};
use crate::client::{Client, Trouble, encode, query};
use crate::output::bar::{Pace, State, span};
use crate::output::screen::Screen;
use crate::output::table::{distance, instant, outcome_style, text};
use crate::output::{self, Format};
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

const AFTER: &str = "\
It follows the occurrence over all its attempts until it has succeeded, was given up or was cancelled, and ends with 0 if it succeeded, else with 1.
The bar is on standard error; without a terminal there are plain lines instead. The run goes on when this command is ended.

Examples:
  sexton run watch 0k3v9x2m4q8rt.1
  sexton run watch 0k3v9x2m4q8rt.1 --once --output ndjson
  sexton event run-now 0k3v9x2m4q8rt --watch";

/// Whose run.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub struct Watch {
    /// The occurrence: an event's id, a dot, a number
    #[arg(value_name = "OCCURRENCE")]
    pub occurrence: String,
    /// End with this attempt, whatever follows
    #[arg(long)]
    pub once: bool,
}

impl Watch {
    /// Runs the verb.
    ///
    /// # Errors
    /// No host, the host's refusal, or an occurrence that did not succeed.
    pub fn run(&self, door: &Door) -> Done {
        Follower::new(door, &self.occurrence)?.follow(self.once, false)
    }
}

/// Follows an occurrence that this very command brought about.
///
/// # Errors
/// As [`Watch::run`].
pub fn from_its_start(door: &Door, occurrence: &str) -> Done {
    Follower::new(door, occurrence)?.follow(false, true)
}

struct Follower<'a> {
    client: Client,
    format: Format,
    occurrence: &'a str,
    screen: Screen,
    /// Attempts that ended, as far as they were told.
    told: usize,
    /// The attempt whose log is read, and how much of it was.
    reading: (u64, u64),
    /// Since when the attempt is watched, and its pace.
    pace: (Instant, Pace),
    shown: Value,
}

impl<'a> Follower<'a> {
    fn new(door: &Door, occurrence: &'a str) -> Result<Self, Failure> {
        let pace = (Instant::now(), Pace::default());
        let screen = Screen::new(door.format != Format::Table);
        Ok(Self { client: door.open()?, format: door.format, occurrence, screen, told: 0, reading: (0, 0), pace, shown: Value::Null })
    }

    fn follow(mut self, once: bool, from_its_start: bool) -> Done {
        let path = format!("/api/v1/runs/{}", encode(self.occurrence));
        let mut looked = false;
        loop {
            let card = match self.client.get(&path) {
                Err(Trouble::Refused(refusal)) if looked && refusal.code == "INP012" => return self.vanished(),
                card => card?,
            };
            let runs = card["runs"].as_array().map_or(&[][..], Vec::as_slice);
            let waits = card["waiting"].is_object() && card["waiting"]["dead"].is_null();
            let over = !waits && card["in_flight"].is_null();
            if !std::mem::replace(&mut looked, true) && !from_its_start {
                // What came before is `run show`'s; of what is over already the end is told.
                self.told = if over { runs.len().saturating_sub(1) } else { runs.len() };
                self.reading.0 = if over { u64::MAX } else { 0 };
            }
            let news = &runs[self.told.min(runs.len())..];
            // Another attempt may have come and gone since the last look.
            let news = if once { &news[..news.len().min(1)] } else { news };
            for run in news {
                // After an interruption the same attempt begins anew, and its log is the new one's.
                self.ended(run, card["in_flight"]["attempt"] == run["attempt"])?;
            }
            self.told += news.len();
            if over || (once && !news.is_empty()) {
                return self.end(&card, news.last().or(runs.last()));
            }
            if card["in_flight"].is_object() {
                self.under_way(&card["in_flight"])?;
            } else {
                self.waits(&card["waiting"])?;
            }
            std::thread::sleep(POLL);
        }
    }

    fn under_way(&mut self, going: &Value) -> Done {
        let attempt = going["attempt"].as_u64().unwrap_or(0);
        if self.reading.0 != attempt {
            self.begin(attempt);
        }
        self.logs(attempt)?;
        let now = self.pace.0.elapsed();
        let steps = going["progress"].as_array().and_then(|p| Some((p.first()?.as_u64()?, p.get(1)?.as_u64())));
        if let Some((done, total)) = steps {
            self.pace.1.note(now, done, total);
        }
        if self.format == Format::Ndjson && self.shown != going["progress"] && steps.is_some() {
            let line = json!({"what": "progress", "occurrence": self.occurrence, "attempt": attempt, "progress": going["progress"]});
            output::line(&line.to_string())?;
            self.shown = going["progress"].clone();
        }
        let started = text(going, "started_at").parse::<DateTime<Utc>>();
        let elapsed = started.ok().and_then(|at| (Utc::now() - at).to_std().ok()).unwrap_or_default();
        let mut name = format!("attempt {attempt}");
        for (field, word) in [("cancelling", "asked to stop"), ("stuck", "stuck")] {
            if going[field] == true {
                name += &format!(", {word}");
            }
        }
        let note = going["progress"][2].as_str().unwrap_or_default();
        let plain = progress(going).map_or_else(|| format!("{name} is under way"), |said| format!("{name}: {said}"));
        self.screen.progress(&State { name: &name, steps, note, elapsed, left: self.pace.1.left(now) }, &plain);
        Ok(())
    }

    fn waits(&mut self, waiting: &Value) -> Done {
        let (attempt, cause) = (text(waiting, "attempt"), text(waiting, "cause"));
        let due = text(waiting, "due_at").parse::<DateTime<Utc>>().is_ok_and(|at| at > Utc::now());
        let sentence = if due {
            format!("attempt {attempt} is due {} ({cause})", distance(waiting, "due_at"))
        } else {
            format!("attempt {attempt} is due and waits for its turn ({cause})")
        };
        let plain = format!("attempt {attempt} is due {} ({cause})", instant(waiting, "due_at"));
        self.screen.say(&sentence, &plain);
        Ok(())
    }

    fn begin(&mut self, attempt: u64) {
        self.reading = (attempt, 0);
        self.pace = (Instant::now(), Pace::default());
        self.shown = Value::Null;
        self.screen.turn();
    }

    /// Prints what an attempt has logged since the last time.
    fn logs(&mut self, attempt: u64) -> Done {
        let path = format!("/api/v1/runs/{}/logs", encode(self.occurrence));
        let pairs = [("attempt", Some(attempt.to_string())), ("after", Some(self.reading.1.to_string()))];
        let answer = match self.client.get(&query(&path, &pairs)) {
            // It was pruned, or has not been stored yet: it has no log to show.
            Err(Trouble::Refused(refusal)) if refusal.code == "INP012" => return Ok(()),
            answer => answer?,
        };
        for item in answer["items"].as_array().into_iter().flatten() {
            match self.format {
                Format::Table => self.screen.line(&run_logs::drawn(item))?,
                Format::Ndjson => {
                    let mut line = json!({"what": "log", "occurrence": self.occurrence, "attempt": attempt});
                    line.as_object_mut().into_iter().for_each(|line| line.extend(item.as_object().cloned().unwrap_or_default()));
                    output::line(&line.to_string())?;
                }
                Format::Json => {}
            }
        }
        self.reading.1 = answer["next"].as_u64().unwrap_or(self.reading.1);
        Ok(())
    }

    /// The rest of its log, if that is still to be had, then how it ended.
    fn ended(&mut self, run: &Value, again: bool) -> Done {
        let attempt = run["attempt"].as_u64().unwrap_or(0);
        if self.reading.0 != u64::MAX && !again {
            if self.reading.0 != attempt {
                self.begin(attempt);
            }
            self.logs(attempt)?;
        }
        self.begin(0);
        match self.format {
            Format::Table => self.screen.line(&end_of(run))?,
            Format::Ndjson => {
                let mut line = run.clone();
                line["what"] = json!("ended");
                output::line(&line.to_string())?;
            }
            Format::Json => {}
        }
        Ok(())
    }

    fn end(self, card: &Value, last: Option<&Value>) -> Done {
        let dead = text(card, "waiting.dead");
        match self.format {
            Format::Table if !dead.is_empty() => self.screen.line(&format!("dead letter: {dead}"))?,
            Format::Json => output::value(Format::Json, card)?,
            Format::Table | Format::Ndjson => {}
        }
        if last.is_some_and(|run| run["outcome"] == "succeeded") { Ok(()) } else { Err(Failure::Told(1)) }
    }

    fn vanished(self) -> Done {
        let occurrence = self.occurrence;
        drop(self);
        output::note(&format!("{occurrence} will not run: its event was cancelled or edited, or it was skipped"));
        Err(Failure::Told(1))
    }
}

/// `attempt 2 failed after 12 ms: no room left`.
fn end_of(run: &Value) -> String {
    let (outcome, error) = (text(run, "outcome"), text(run, "error"));
    let style = outcome_style(&outcome);
    let took = took(run).map_or_else(String::new, |took| format!(" after {took}"));
    let error = if error.is_empty() { error } else { format!(": {error}") };
    format!("attempt {} {style}{outcome}{style:#}{took}{error}", text(run, "attempt"))
}

/// How long ago, in words.
#[must_use]
pub fn age(row: &Value, path: &str) -> String {
    let at = text(row, path).parse::<DateTime<Utc>>();
    at.map_or_else(|_| String::new(), |at| span((Utc::now() - at).num_seconds().max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_sentence() {
        let run = json!({"attempt": 2, "outcome": "failed", "error": "no room", "started_at": "2026-11-25T10:00:00Z",
            "finished_at": "2026-11-25T10:02:07Z"});
        assert_eq!(anstream::adapter::strip_str(&end_of(&run)).to_string(), "attempt 2 failed after 2m 07s: no room");
        let run = json!({"attempt": 1, "outcome": "interrupted", "error": null, "started_at": null, "finished_at": "2026-11-25T10:00:00Z"});
        assert_eq!(anstream::adapter::strip_str(&end_of(&run)).to_string(), "attempt 1 interrupted");
    }
}
