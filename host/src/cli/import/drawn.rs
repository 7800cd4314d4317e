//! An import as people read it: each line with its next times, each that was left out with the reason.
//!
//! Not the JSON that programs get. What must hold: the last line says whether anything was stored.

use super::{Left, Outcome, Ready};
use crate::cli::calendar::weekday;
use sexton_core::Schedule;
use std::collections::BTreeSet;

/// The whole outcome.
pub fn drawn(outcome: &Outcome, dry_run: bool, skip: bool) -> String {
    let mut told = BTreeSet::new();
    let taken = outcome.taken.iter().map(|ready| taken(ready, &mut told));
    let mut parts: Vec<String> = taken.collect();
    parts.extend(outcome.not_taken.iter().map(left));
    parts.push(end(outcome, dry_run, skip));
    parts.join("\n\n")
}

fn taken(ready: &Ready, told: &mut BTreeSet<String>) -> String {
    let words = Schedule::from_json(&ready.schedule).and_then(|schedule| schedule.describe()).unwrap_or_default();
    let next: Vec<String> = ready.next.iter().map(|at| weekday(at)).collect();
    let mut said = format!("{} line {}: {}\n  {words}\n  next  {}", ready.file, ready.line, ready.text.trim(), next.join(", "));
    said += &format!("\n  args  {}\n  key   {}", ready.args, ready.key);
    // What is said of every line is said once.
    for note in ready.notes.iter().filter(|note| told.insert((*note).clone())) {
        said += &format!("\n  note  {note}");
    }
    said
}

fn left(left: &Left) -> String {
    let Left { file, line, text, code, why, remedy } = left;
    format!("NOT TAKEN {file} line {line}: {}\n  {code}  {why}\n  remedy  {remedy}", text.trim())
}

fn end(outcome: &Outcome, dry_run: bool, skip: bool) -> String {
    let lines = |count: usize| if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    let (taken, not) = (outcome.taken.len(), outcome.not_taken.len());
    let tz = &outcome.tz;
    match (taken, not) {
        (0, 0) => "there is no line to take".to_owned(),
        _ if !outcome.stored.is_empty() && not == 0 => format!("stored {}, read on the clocks of {tz}", lines(taken)),
        _ if !outcome.stored.is_empty() => format!("stored {}, read on the clocks of {tz}; left out {}", lines(taken), lines(not)),
        (_, 0) => format!("{} can be taken, read on the clocks of {tz}; nothing was stored", lines(taken)),
        _ if dry_run || (skip && taken == 0) => format!("{} can be taken, {} not; nothing was stored", lines(taken), not),
        _ => format!("{} can be taken, {not} not; nothing was stored: mend them, or leave them out with --skip", lines(taken)),
    }
}
