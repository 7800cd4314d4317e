//! `sexton event cancel` and `sexton run cancel`: some by name, or all of a kind.
//!
//! Not the rules. What must hold: nothing is cancelled in bulk without a filter or `--all`.

use crate::cli::Done;
use crate::cli::bulk::{Bulk, Came, Which};
use crate::cli::connect::Door;
use crate::cli::event::drawn::altered;
use crate::client::encode;
use crate::output::table::text;
use clap::Args;
use serde_json::{Value, json};

/// Which events to end.
#[derive(Debug, Args)]
pub struct CancelEvents {
    /// Ids of events
    #[arg(value_name = "ID", conflicts_with_all = ["Which", "state"], required_unless_present_any = ["event_type", "bot", "label", "all"])]
    pub ids: Vec<String>,
    /// All of a kind.
    #[command(flatten)]
    pub which: Which,
    /// Only those in this state [default: both]
    #[arg(long, value_parser = ["scheduled", "paused"])]
    pub state: Option<String>,
}

impl CancelEvents {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(&self, door: &Door) -> Done {
        if !self.ids.is_empty() {
            let client = door.open()?;
            for id in &self.ids {
                let answer = client.post(&format!("/api/v1/events/{}/cancel", encode(id)), &json!({}))?;
                door.answer(&answer, altered)?;
            }
            return Ok(());
        }
        self.of_a_kind(door)
    }

    /// State by state, as what was cancelled is in neither any more.
    fn of_a_kind(&self, door: &Door) -> Done {
        let client = door.open()?;
        let states = self.state.as_deref().map_or(vec!["scheduled", "paused"], |state| vec![state]);
        let (mut matched, mut came) = (0, Came::default());
        for state in states {
            let filter = self.which.filter(&[("state", Some(state.to_owned()))])?;
            let bulk = Bulk { path: "/api/v1/events/cancel", filter, all: self.which.all, what: "events" };
            if self.which.dry_run {
                matched += bulk.count(&client)?;
                continue;
            }
            let Came { done, running, .. } = bulk.run(&client)?;
            came.done += done;
            came.running.extend(running);
        }
        if self.which.dry_run {
            return door.answer(&json!({ "matched": matched }), |_| format!("{matched} events would be cancelled"));
        }
        let answer = json!({ "done": came.done, "running": came.running });
        door.answer(&answer, |_| {
            let going = if came.running.is_empty() {
                String::new()
            } else {
                format!("; {} runs of them go on: `sexton run cancel` ends those too", came.running.len())
            };
            format!("{} events cancelled{going}", came.done)
        })
    }
}

/// Which runs to end.
#[derive(Debug, Args)]
pub struct CancelRuns {
    /// Occurrences that run
    #[arg(value_name = "OCCURRENCE", conflicts_with_all = ["Which", "event", "plugin"], required_unless_present_any = ["event_type", "bot", "label", "all", "event", "plugin"])]
    pub occurrences: Vec<String>,
    /// All of a kind that are under way.
    #[command(flatten)]
    pub which: Which,
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// By this plugin's code
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
}

impl CancelRuns {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(&self, door: &Door) -> Done {
        let client = door.open()?;
        if !self.occurrences.is_empty() {
            for occurrence in &self.occurrences {
                let answer = client.post(&format!("/api/v1/runs/{}/cancel", encode(occurrence)), &json!({}))?;
                door.answer(&answer, |_| format!("asked {occurrence} to stop"))?;
            }
            return Ok(());
        }
        let filter = self.which.filter(&[("event", self.event.clone()), ("plugin", self.plugin.clone())])?;
        let body = json!({ "filter": filter, "all": self.which.all, "dry_run": self.which.dry_run });
        let answer = client.post("/api/v1/in-flight/cancel", &body)?;
        let asked = if self.which.dry_run { "would be asked to stop" } else { "asked to stop" };
        door.answer(&answer, |answer| {
            let runs = answer["cancelling"].as_array().map_or(&[][..], Vec::as_slice);
            let named: Vec<&str> = runs.iter().filter_map(Value::as_str).collect();
            if named.is_empty() { "no such run is under way".to_owned() } else { format!("{asked}: {}", text(answer, "cancelling")) }
        })
    }
}
