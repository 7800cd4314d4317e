//! The balance of the year: what was owed, what was run, what was skipped and why, event by event.
//!
//! Not how it came to that. What must hold: it is read from the store at the end, and compared with the ledgers and with what the host saw.

use super::days;
use super::ledger::Instant;
use super::part::Part;
use super::year::Year;
use sexton_core::decide::SkipReason;
use sexton_core::{Event, Outcome, Run};
use sexton_store::Store;
use sexton_store::rows::{Page, RunFilter};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

const PAGE: usize = 5_000;

/// A line of the balance.
struct Line {
    owed: Option<i64>,
    run: i64,
    extras: usize,
    skips: BTreeMap<SkipReason, i64>,
}

fn runs(store: &dyn Store, part: &Part) -> Vec<Run> {
    let filter = RunFilter { event: Some(part.id), ..RunFilter::default() };
    let (mut runs, mut before) = (Vec::new(), None);
    loop {
        let page = store.runs(&filter, &Page { before, limit: PAGE }).expect("read");
        before = page.last().map(|(number, _)| *number);
        let is_last = page.len() < PAGE;
        runs.extend(page.into_iter().map(|(_, run)| run));
        if is_last {
            return runs;
        }
    }
}

/// Balances every event; panics at the first that does not balance, with its history.
pub fn strike(seed: u64, year: &Year) -> String {
    let mut table = format!("seed {seed}\n{:<32} {:<7} {:>7} {:>7} {:>6}  skipped\n", "event", "kind", "owed", "run", "beside");
    let (mut owed, mut run, mut skipped) = (0, 0, 0);
    for part in &year.tower.parts {
        let line = balance(seed, year, part);
        let skips: Vec<String> = line.skips.iter().map(|(reason, n)| format!("{} {n}", reason.word())).collect();
        let owes = line.owed.map_or("-".to_owned(), |owed| owed.to_string());
        writeln!(
            table,
            "{:<32} {:<7} {owes:>7} {:>7} {:>6}  {}",
            part.role.name,
            part.schedule.kind(),
            line.run,
            line.extras,
            skips.join(", ")
        )
        .expect("a text takes more");
        let of_event: i64 = line.skips.values().sum();
        owed += line.owed.unwrap_or(line.run + of_event);
        run += line.run;
        skipped += of_event;
    }
    let done: Vec<String> = year.done.iter().map(|(what, n)| format!("{what} {n}")).collect();
    writeln!(table, "{owed} occurrences owed = {run} run + {skipped} skipped; {} runs started", year.tower.runs)
        .expect("a text takes more");
    writeln!(table, "{}; down for {} h", done.join(", "), year.down.num_hours()).expect("a text takes more");
    assert_eq!(owed, run + skipped, "seed {seed}: the sums");
    table
}

fn balance(seed: u64, year: &Year, part: &Part) -> Line {
    let store = &year.tower.store;
    let mut event = store.event(part.id).expect("read").expect("there");
    // What an operator asked for in vain is counted with the rest, and was owed by no schedule.
    event.skipped -= part.refused;
    if let Some(overlaps) = event.skips.get_mut(&SkipReason::Overlap) {
        *overlaps -= part.refused;
    }
    let runs = runs(store, part);
    let seen = Seen::of(year, part, &runs);
    let owed = (part.schedule.kind() != "after").then(|| part.ledger.owed(&part.schedule, &year.tower.calendars, year.tower.wall));
    let run = i64::try_from(seen.ended.len()).expect("few");
    let mut faults = seen.faults;
    if owed.is_some_and(|owed| owed != run + event.skipped) {
        faults.push(format!("owed {owed:?}, run {run} + skipped {}: {:?}", event.skipped, event.skips));
    }
    faults.extend(reasons(year, part, &event));
    faults.extend(part.role.daily.and_then(|(zone, minute)| each_day(year, part, &event, zone, minute)));
    if let Some(most) = part.schedule.terms.max_runs.filter(|most| run > i64::from(*most)) {
        faults.push(format!("{run} were run, at most {most} were wanted"));
    }
    if !faults.is_empty() {
        let history = part.history.join("\n  ");
        panic!("seed {seed}: {} ({}), {:?}:\n  {history}\n{}", part.role.name, part.id, part.schedule, faults.join("\n"));
    }
    Line { owed, run, extras: seen.extras, skips: event.skips }
}

struct Seen {
    ended: BTreeSet<i64>,
    extras: usize,
    faults: Vec<String>,
}

impl Seen {
    /// What the rows say, and where they differ from what the host saw.
    fn of(year: &Year, part: &Part, runs: &[Run]) -> Self {
        let dead =
            year.tower.store.waiting(part.id).expect("read").into_iter().filter(|row| row.dead.is_some()).map(|row| row.occurrence.n);
        let is_end = |run: &&Run| matches!(run.outcome, Outcome::Succeeded | Outcome::Cancelled);
        let all: BTreeSet<i64> = runs.iter().filter(is_end).map(|run| run.occurrence.n).chain(dead).collect();
        let (extras, ended): (BTreeSet<i64>, BTreeSet<i64>) = all.into_iter().partition(|n| part.extras.contains(n));
        let mut faults = Vec::new();
        if ended != part.ended.keys().copied().collect() {
            let differ: Vec<i64> = ended.symmetric_difference(&part.ended.keys().copied().collect()).copied().collect();
            faults.push(format!("the rows and the host do not say the same of {differ:?}"));
        }
        if extras.len() != part.extras.len() {
            faults.push(format!("asked for beside the schedule: {:?}, run: {extras:?}", part.extras));
        }
        let mut instants: HashSet<Instant> = HashSet::new();
        for (n, meant) in part.ended.iter().filter(|_| !part.is_rewound) {
            if !instants.insert(*meant) {
                faults.push(format!("{meant} was run twice, the last time as {n}"));
            }
        }
        Self { ended, extras: extras.len(), faults }
    }
}

/// A reason without its cause.
fn reasons(year: &Year, part: &Part, event: &Event) -> Vec<String> {
    let noted = |what: &str| part.history.iter().any(|line| line.contains(what));
    let has = |reason: SkipReason| event.skips.get(&reason).is_some_and(|n| *n > 0);
    let mut faults = Vec::new();
    let mut wants = |reason: SkipReason, is_caused: bool| {
        if has(reason) && !is_caused {
            faults.push(format!("skipped as {} without a cause", reason.word()));
        }
    };
    wants(SkipReason::Paused, noted("paused"));
    wants(SkipReason::Edited, noted("edited"));
    wants(SkipReason::Unresolved, part.role.of_type == 1);
    wants(SkipReason::Expired, part.schedule.terms.expires.is_some() || !part.role.edits.is_empty());
    wants(SkipReason::Downtime, ["stopped", "crashed", "died with a claim"].iter().any(|what| year.done.contains_key(what)));
    if event.skips.values().sum::<i64>() != event.skipped {
        faults.push(format!("{} skipped, by reason {:?}", event.skipped, event.skips));
    }
    faults
}

/// Every local day of the year has its occurrence once, or it is among the skipped.
fn each_day(year: &Year, part: &Part, event: &Event, zone: &str, minute: i64) -> Option<String> {
    let days: BTreeSet<Instant> =
        days::zone(zone).daily(minute, super::tower::first_of_january(2027), year.tower.wall).into_iter().collect();
    let run: BTreeSet<Instant> = part.ended.values().copied().collect();
    let missed = days.difference(&run).count();
    let strange: Vec<&Instant> = run.difference(&days).collect();
    let is_right = strange.is_empty() && run.len() == part.ended.len() && i64::try_from(missed).is_ok_and(|missed| missed == event.skipped);
    (!is_right).then(|| {
        format!("{} days, {} run, {missed} missed, {} skipped; run at other times: {strange:?}", days.len(), run.len(), event.skipped)
    })
}
