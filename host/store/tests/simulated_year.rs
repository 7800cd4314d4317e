//! A year of a host on a clock that is a number: downtimes, crashes, clock steps, changes of clocks, pauses, edits; and its balance.
//!
//! Not the engine, and no machine's clock: the host of the test follows the engine's claimer over the public verbs of the store. What must
//! hold: every occurrence that a schedule gave is accounted for exactly once, as run or as skipped with a reason.
//!
//! `SEXTON_YEAR_SEED=7` lives the year of that seed, `SEXTON_SOAK=1` twenty years.

#[path = "simulated_year/balance.rs"]
mod balance;
#[path = "simulated_year/cast.rs"]
mod cast;
#[path = "simulated_year/days.rs"]
mod days;
#[path = "simulated_year/dice.rs"]
mod dice;
#[path = "simulated_year/flights.rs"]
mod flights;
#[path = "simulated_year/ledger.rs"]
mod ledger;
#[path = "simulated_year/part.rs"]
mod part;
#[path = "simulated_year/tower.rs"]
mod tower;
#[path = "simulated_year/verbs.rs"]
mod verbs;
#[path = "simulated_year/year.rs"]
mod year;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

fn seeds() -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok();
    if let Some(seed) = read("SEXTON_YEAR_SEED") {
        return vec![seed.parse().expect("SEXTON_YEAR_SEED is a number")];
    }
    if read("SEXTON_SOAK").is_some_and(|soak| soak == "1") { (1..=20).collect() } else { vec![2_027] }
}

#[test]
fn every_occurrence_of_a_year_is_accounted_for_once() {
    for seed in seeds() {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let mut year = year::Year::new(seed);
            let lived = catch_unwind(AssertUnwindSafe(|| year.live()));
            if let Err(fault) = lived {
                eprintln!("{}", histories(&year));
                resume_unwind(fault);
            }
            balance::strike(seed, &year)
        }));
        match lived {
            Ok(balance) => println!("{balance}"),
            Err(fault) => {
                eprintln!("the year of seed {seed} failed: SEXTON_YEAR_SEED={seed} lives it again");
                resume_unwind(fault);
            }
        }
    }
}

/// The last of what happened to each event.
fn histories(year: &year::Year) -> String {
    let of = |part: &part::Part| {
        let last = part.history.len().saturating_sub(25);
        format!("{} ({}): {:?}\n  {}\n", part.role.name, part.id, part.schedule, part.history[last..].join("\n  "))
    };
    year.tower.parts.iter().map(of).collect()
}
