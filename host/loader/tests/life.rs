//! Real plugin files through the loader: inspected, opened, run, drained, closed.
//!
//! Each test is a process of its own under nextest; under `cargo test` they share one, and hold all the same.

#[path = "life/bench.rs"]
mod bench;
#[path = "life/damage.rs"]
mod damage;
#[path = "life/ends.rs"]
mod ends;
#[path = "life/files.rs"]
mod files;
#[path = "life/mutations.rs"]
mod mutations;
#[path = "life/placement.rs"]
mod placement;
#[path = "life/round_trip.rs"]
mod round_trip;
#[path = "life/runners.rs"]
mod runners;
#[path = "life/runs.rs"]
mod runs;
#[path = "life/signatures.rs"]
mod signatures;
#[path = "life/soak.rs"]
mod soak;
