//! `--watch` of the verbs that bring a run about: the verb, then the run until it is over.
//!
//! Not the following itself (`run_watch`). What must hold: for programs there is one kind of answer: that of `run watch`.

use super::drawn::{accepted, altered};
use crate::cli::connect::Door;
use crate::cli::{Done, Failure, run_watch};
use crate::client::encode;
use crate::output::table::text;
use crate::output::{self, Format};
use serde_json::{Value, json};
use sexton_core::{Blame, Refusal};

/// Follows the first run of what was scheduled.
pub(super) fn first_run(door: &Door, answer: &Value) -> Done {
    if door.format == Format::Table {
        output::line(&accepted(answer))?;
    }
    run_watch::from_its_start(door, &format!("{}.1", text(answer, "id")))
}

/// Runs one event now, and follows the run.
pub(super) fn run_now(door: &Door, ids: &[String]) -> Done {
    let [id] = ids else {
        let refusal = Refusal::new("INP016", Blame::Input, "`--watch` follows one run").found(format!("{} events", ids.len()));
        return Err(Failure::Input(refusal.expected("one event").remedy("leave `--watch` out, and see all with `sexton watch`")));
    };
    let (client, address) = (door.open()?, format!("/api/v1/events/{}", encode(id)));
    let before = client.get(&address)?["occurrences"].as_i64();
    let answer = client.post(&format!("{address}/run-now"), &json!({}))?;
    if door.format == Format::Table {
        output::line(&altered(&answer))?;
    }
    if answer["event"]["occurrences"].as_i64() <= before {
        output::note("there is no run to follow: what was asked for was skipped");
        return Err(Failure::Told(1));
    }
    // The greatest number that the event has given is that of the run which this verb asked for.
    run_watch::from_its_start(door, &format!("{id}.{}", text(&answer, "event.occurrences")))
}
