//! What the seam costs: one run at a time, from the order to its end, in both placements.
//!
//! Not throughput (`runners`), and no assertion on time: it is printed. What must hold: each order comes back as one end.

use crate::bench::{Ground, Life, PATIENCE, in_both_placements, none};
use sexton_loader::seam::{Placement, Report};
use sexton_plugin_api::wire::JobEnd;
use std::time::{Duration, Instant};

const WARM_UP: u64 = 200;
const RUNS: u64 = 2_000;

fn one_run_at_a_time_soak(placement: Placement) {
    let life = Life::active(&Ground::of(placement), none());
    let mut times: Vec<Duration> =
        (1..=WARM_UP + RUNS).map(|run| round_trip(&life, run)).skip(usize::try_from(WARM_UP).expect("a small number")).collect();
    assert_eq!(times.len() as u64, RUNS);
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    println!("{placement}: order to end, one at a time: p50 {} us, p99 {} us, max {} us", at(50), at(99), at(100));
    assert_eq!(life.end().death, None);
}

fn round_trip(life: &Life, run: u64) -> Duration {
    let began = Instant::now();
    life.run(run, "fx.ok", &none());
    loop {
        if let Report::Done(ended) = life.reports.recv_timeout(PATIENCE).expect("its end").report {
            let took = began.elapsed();
            let [end] = &ended[..] else { panic!("one end expected: {ended:?}") };
            assert!(end.reply.run == run && end.reply.end == JobEnd::Succeeded, "{end:?}");
            return took;
        }
    }
}

in_both_placements!(one_run_at_a_time_soak);
