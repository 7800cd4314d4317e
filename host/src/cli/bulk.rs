//! Verbs on all of a kind: the flags that say which, and the pages that the host takes one after the other, with how far it is.
//!
//! Not the filters' meaning, which is the host's. What must hold: nothing is taken in bulk without a filter or `--all`; a bar is drawn on a
//! terminal only, else a line now and then; what was done before a refusal is said.

use crate::cli::connect::Door;
use crate::cli::event::labels;
use crate::cli::{Failure, input};
use crate::client::Client;
use crate::output;
use chrono::{SecondsFormat, Utc};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Rows that the host takes at once.
const PAGE: usize = 1_000;
/// Between two lines of how far it is, where there is no terminal.
const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// Which of a kind; flags that a verb does not have stay unsaid.
#[derive(Debug, Default, Args)]
pub struct Which {
    /// Of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Of this bot, by its id
    #[arg(long, value_name = "ID")]
    pub bot: Option<String>,
    /// With this label; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// All there are: without any other filter it has to be said
    #[arg(long)]
    pub all: bool,
    /// Only say how many
    #[arg(long)]
    pub dry_run: bool,
}

impl Which {
    /// The filter as the host takes it, with what the verb adds.
    ///
    /// # Errors
    /// `INP016` for a label that is none.
    pub fn filter(&self, more: &[(&str, Option<String>)]) -> Result<Map<String, Value>, Failure> {
        let mut filter = Map::new();
        let own = [("type", self.event_type.clone()), ("bot", self.bot.clone())];
        for (name, value) in own.iter().chain(more) {
            if let Some(value) = value {
                filter.insert((*name).to_owned(), json!(value));
            }
        }
        if !self.label.is_empty() {
            filter.insert("labels".to_owned(), labels(&self.label)?);
        }
        Ok(filter)
    }
}

/// `--since` as the host takes it.
///
/// # Errors
/// `INP006`.
pub fn since(written: Option<&String>) -> Result<Option<String>, Failure> {
    let since = written.map(|text| input::since(text, Utc::now())).transpose()?;
    Ok(since.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

/// A verb of the host on many.
pub struct Bulk<'a> {
    /// Where.
    pub path: &'a str,
    /// Which.
    pub filter: Map<String, Value>,
    /// Everything is meant.
    pub all: bool,
    /// What it is done to, in the plural.
    pub what: &'a str,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Came {
    /// Taken.
    pub done: u64,
    /// Left as they are.
    pub refused: u64,
    /// Why, of some.
    pub refusals: Vec<Value>,
    /// Runs that go on.
    pub running: Vec<Value>,
}

impl Bulk<'_> {
    fn body(&self, more: &[(&str, Value)]) -> Value {
        let mut body = json!({ "filter": self.filter, "all": self.all, "limit": PAGE });
        for (name, value) in more {
            body[*name] = value.clone();
        }
        body
    }

    /// How many it would take.
    ///
    /// # Errors
    /// The host's refusal, or no host.
    pub fn count(&self, client: &Client) -> Result<u64, Failure> {
        let answer = client.post(self.path, &self.body(&[("dry_run", json!(true))]))?;
        Ok(answer["matched"].as_u64().unwrap_or(0))
    }

    /// Takes page after page until there is none. Cut off, it may be said again: it goes on with what is left.
    ///
    /// # Errors
    /// The host's refusal, or no host; how far it came is said.
    pub fn run(&self, client: &Client) -> Result<Came, Failure> {
        let mut way = Way::of(self.what, self.count(client)?);
        let (mut came, mut after) = (Came::default(), Value::Null);
        loop {
            let answer = client.post(self.path, &self.body(&[("after", after)]));
            let mut answer = answer.inspect_err(|_| {
                way.end();
                output::note(&format!("{} of the {} were done before this; say it again for the rest", came.done, self.what));
            })?;
            came.done += answer["done"].as_u64().unwrap_or(0);
            came.refused += answer["refused"].as_u64().unwrap_or(0);
            for (from, to) in [("refusals", &mut came.refusals), ("running", &mut came.running)] {
                if let Some(items) = answer[from].as_array_mut() {
                    to.append(items);
                }
            }
            way.at(came.done + came.refused);
            after = answer["next"].take();
            if after.is_null() {
                way.end();
                return Ok(came);
            }
        }
    }

    /// Runs it, or only counts; writes what came of it. Fails if some were refused.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn answered(&self, door: &Door, dry_run: bool, past: &str) -> Result<(), Failure> {
        let client = door.open()?;
        if dry_run {
            let matched = self.count(&client)?;
            return door.answer(&json!({ "matched": matched }), |_| format!("{matched} {} would be {past}", self.what));
        }
        let came = self.run(&client)?;
        let answer = json!({ "done": came.done, "refused": came.refused, "refusals": came.refusals, "running": came.running });
        door.answer(&answer, |_| {
            let mut lines = vec![format!("{} {} {past}", came.done, self.what)];
            if came.refused > 0 {
                lines.push(format!("{} refused:", came.refused));
                lines.extend(
                    came.refusals.iter().map(|why| {
                        format!("  {}: {}", why["code"].as_str().unwrap_or_default(), why["message"].as_str().unwrap_or_default())
                    }),
                );
            }
            if !came.running.is_empty() {
                lines.push(format!("{} runs of them go on", came.running.len()));
            }
            lines.join("\n")
        })?;
        if came.refused > 0 { Err(Failure::Told(4)) } else { Ok(()) }
    }
}

/// How far it is, for people: never on standard output.
struct Way<'a> {
    what: &'a str,
    total: u64,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl<'a> Way<'a> {
    fn of(what: &'a str, total: u64) -> Self {
        let bar = (std::io::stderr().is_terminal() && total > 0).then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}, {eta} left");
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what.to_owned())
        });
        Self { what, total, bar, told: Instant::now() }
    }

    fn at(&mut self, done: u64) {
        // More may have come since they were counted.
        self.total = self.total.max(done);
        if let Some(bar) = &self.bar {
            bar.set_length(self.total);
            bar.set_position(done);
        } else if self.told.elapsed() >= NOW_AND_THEN {
            self.told = Instant::now();
            output::note(&format!("{done} of {} {}", self.total, self.what));
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_what_was_said_and_nothing_else() {
        let which = Which { event_type: Some("a.b".into()), label: vec!["team=web".into()], ..Which::default() };
        let filter = which.filter(&[("reason", Some("x".into())), ("code", None)]).expect("a filter");
        assert_eq!(Value::Object(filter), json!({"type": "a.b", "labels": {"team": "web"}, "reason": "x"}));
        assert!(Which { label: vec!["x".into()], ..Which::default() }.filter(&[]).is_err());
    }
}
