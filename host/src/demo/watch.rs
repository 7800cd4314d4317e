//! What has run: asked for page by page, told once.
//!
//! Not a stream (a later issue). What must hold: a run is told once, even across a restart of the host.

use crate::cli::Failure;
use crate::client::{Client, query};
use crate::output::table::{Column, text};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// Every run seen so far.
#[derive(Default)]
pub struct Watch {
    seen: HashSet<(String, i64, String)>,
    by_event: BTreeMap<String, Vec<String>>,
}

impl Watch {
    /// Runs that were not there at the last look, oldest first.
    pub fn news(&mut self, client: &Client) -> Result<Vec<Value>, Failure> {
        let mut fresh = Vec::new();
        let mut before = None;
        loop {
            let mut answer = client.get(&query("/api/v1/runs", &[("limit", Some("100".to_owned())), ("before", before)]))?;
            let Value::Array(page) = answer["items"].take() else { break };
            let known = page.len();
            let unseen: Vec<_> = page.into_iter().filter(|run| self.take(run)).collect();
            let all_new = unseen.len() == known;
            fresh.extend(unseen);
            before = answer["next"].as_str().map(str::to_owned);
            if !all_new || before.is_none() {
                break;
            }
        }
        fresh.reverse();
        Ok(fresh)
    }

    /// Outcomes of an event's runs so far.
    pub fn outcomes(&self, event: &str) -> &[String] {
        self.by_event.get(event).map_or(&[], Vec::as_slice)
    }

    /// How many runs had this outcome.
    pub fn count(&self, outcome: &str) -> usize {
        self.by_event.values().flatten().filter(|o| *o == outcome).count()
    }

    fn take(&mut self, run: &Value) -> bool {
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let key = (text("occurrence"), run["attempt"].as_i64().unwrap_or(0), text("finished_at"));
        let fresh = self.seen.insert(key);
        if fresh {
            self.by_event.entry(text("event_id")).or_default().push(text("outcome"));
        }
        fresh
    }
}

/// Plugins as the demo introduces them.
pub const PLUGIN_COLUMNS: &[Column] = &[
    Column { head: "PLUGIN", cell: |p| text(p, "name") },
    Column { head: "VERSION", cell: |p| text(p, "version") },
    Column { head: "STATE", cell: |p| text(p, "state") },
    Column { head: "DIGEST", cell: |p| text(p, "digest").chars().take(12).collect() },
    Column { head: "EVENT TYPES", cell: |p| text(p, "event_types") },
];
