//! Random sequences of everything that can befall a store, beside a small model of it: in memory, and in a file that is opened again at each
//! crash of the host.
//!
//! Not the engine, and no machine's clock: the host of the test follows the engine over the public verbs of the store. What must hold: after
//! each step the rows are what the model says, every instant of every schedule is run, waits, or is counted once as skipped.
//!
//! `SEXTON_MODEL_SEED=7` begins with that seed, `SEXTON_MODEL_STEPS=500` takes so many steps, `SEXTON_SOAK=1` takes 100,000. A failure is told
//! as the shortest sequence found, with what happened at each step.
//!
//! A feature of the store joins as a new [`ops::Op`] with its strategy, what the model makes of it (`book`), and its call (`world`).

#[path = "model/book.rs"]
mod book;
#[path = "model/compare.rs"]
mod compare;
#[path = "model/dead.rs"]
mod dead;
#[path = "model/ends.rs"]
mod ends;
#[path = "model/late.rs"]
mod late;
#[path = "model/ops.rs"]
mod ops;
#[path = "model/overlap.rs"]
mod overlap;
#[path = "model/timing.rs"]
mod timing;
#[path = "model/verbs.rs"]
mod verbs;
#[path = "model/verdict.rs"]
mod verdict;
#[path = "model/world.rs"]
mod world;
#[path = "model/world_host.rs"]
mod world_host;
#[path = "model/world_verbs.rs"]
mod world_verbs;

use ops::Op;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use world::{Place, World};

const SEED: u64 = 2_027;
const STEPS: u64 = 2_000;
const STEPS_OF_SOAK: u64 = 100_000;
/// No longer than this a failing sequence is made shorter.
const SHORTENING: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

fn steps_wanted() -> u64 {
    let soak = std::env::var("SEXTON_SOAK").is_ok_and(|soak| soak == "1");
    number("SEXTON_MODEL_STEPS").unwrap_or(if soak { STEPS_OF_SOAK } else { STEPS })
}

/// The sequence of a seed.
fn sequence_of(seed: u64) -> Vec<Op> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    ops::sequence().new_tree(&mut runner).expect("a sequence").current()
}

/// Leaves out what a failure does not need: what comes after it, then halves, quarters … single steps, then what is in
/// each.
fn shortest(place: Place, mut ops: Vec<Op>) -> Vec<Op> {
    let fails = |ops: &[Op]| World::new(place).live(ops).is_err();
    let begun = Instant::now();
    let mut size = ops.len();
    while size > 0 {
        let mut at = 0;
        let mut is_shorter = false;
        while at < ops.len() && begun.elapsed() < SHORTENING {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + size).min(ops.len()));
            if fails(&fewer) {
                (ops, is_shorter) = (fewer, true);
            } else {
                at += size;
            }
        }
        if !is_shorter || size > 1 {
            size /= 2;
        }
    }
    let mut place_of = 0;
    while place_of < ops.len() && begun.elapsed() < SHORTENING {
        let plainer = ops[place_of].simpler().into_iter().find_map(|op| {
            let mut plainer = ops.clone();
            plainer[place_of] = op;
            fails(&plainer).then_some(plainer)
        });
        match plainer {
            Some(plainer) => ops = plainer,
            None => place_of += 1,
        }
    }
    ops
}

/// Lives sequences until enough steps are taken.
fn exercise(place: Place) {
    let (mut seed, wanted, begun) = (number("SEXTON_MODEL_SEED").unwrap_or(SEED), steps_wanted(), Instant::now());
    let (first, mut taken) = (seed, 0);
    let mut done = BTreeMap::<&'static str, u64>::new();
    while taken < wanted {
        let ops = sequence_of(seed);
        let mut world = World::new(place);
        if let Err(why) = world.live(&ops) {
            fail(place, seed, &why, ops);
        }
        taken += u64::try_from(ops.len()).expect("few");
        for (what, n) in world.done {
            *done.entry(what).or_default() += n;
        }
        seed += 1;
    }
    let secs = begun.elapsed().as_secs_f64();
    println!("{place:?}: seeds {first}..{seed}, {taken} steps in {secs:.1} s");
    let done: Vec<String> = done.iter().map(|(what, n)| format!("{what} {n}")).collect();
    println!("  {}", done.join(", "));
}

/// Tells a failure as shortly as it can be told.
fn fail(place: Place, seed: u64, why: &str, ops: Vec<Op>) -> ! {
    eprintln!("{place:?}: the sequence of SEXTON_MODEL_SEED={seed} fails: {why}\nmaking it shorter …");
    let ops = shortest(place, ops);
    let mut world = World::new(place);
    let why = world.live(&ops).err().unwrap_or_else(|| format!("{why}\n(not a second time)"));
    let ops: Vec<String> = ops.iter().map(|op| format!("    {op:?}")).collect();
    panic!(
        "{why}\n\nthe shortest sequence found ({place:?}, SEXTON_MODEL_SEED={seed}):\n{}\n\nwhat happens:\n    {}",
        ops.join("\n"),
        world.history.join("\n    ")
    );
}

#[test]
fn whatever_befalls_a_store_in_memory_its_rows_are_the_models() {
    exercise(Place::Memory);
}

#[test]
fn whatever_befalls_a_store_in_a_file_its_rows_are_the_models() {
    exercise(Place::File);
}
