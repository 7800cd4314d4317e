//! How late runs start when events fall due at a steady rate.
//!
//! Not throughput. What must hold: lateness is a run's `started_at` minus its `due_at`, as every run records them.

use super::{Report, Stretch, until_runs};
use crate::bench::rig::{Place, Rig};
use crate::cli::{Done, Failure};
use crate::problem::from_store;
use chrono::{Duration, Utc};
use sexton_store::rows::{Page, RunFilter};

/// Seconds of events when nobody says how many.
const SECONDS: usize = 10;
/// Events of a batch.
const BATCH: usize = 1_000;
/// Rows of a page.
const PAGE: usize = 5_000;

/// Runs the case.
///
/// # Errors
/// Whatever a host refuses.
pub fn run(place: &Place, n: Option<usize>, rate: u32, report: &Report) -> Done {
    let n = n.unwrap_or(rate as usize * SECONDS);
    let rig = place.rig(None)?;
    let first = Utc::now() + Duration::seconds(3);
    let step_ns = 1_000_000_000 / i64::from(rate);
    let instants: Vec<_> =
        (0..n).filter_map(|i| Some(first + Duration::nanoseconds(step_ns.checked_mul(i64::try_from(i).ok()?)?))).collect();
    for batch in instants.chunks(BATCH) {
        rig.desk.schedule(batch.iter().map(|when| rig.desk.event_at(*when)).collect())?;
    }
    if let Ok(wait) = (first - Utc::now()).to_std() {
        std::thread::sleep(wait);
    }
    let bar = report.bar("running", n);
    let stretch = Stretch::begin();
    until_runs(&rig, n, &bar)?;
    let line = stretch.line("lateness", format!("{rate} a second, {}", rig.desk.event_type()), n, None).placed(rig.placement());
    bar.finish_and_clear();
    let late = read(&rig, n)?;
    rig.stop();
    report.tell(&line.spread(late))
}

/// Lateness of the `n` newest runs, in milliseconds.
///
/// # Errors
/// When the store cannot be read.
pub fn read(rig: &Rig, n: usize) -> Result<Vec<f64>, Failure> {
    let store = &rig.house.rooms.store;
    let (mut late, mut before) = (Vec::with_capacity(n), None);
    loop {
        let limit = PAGE.min(n - late.len());
        if limit == 0 {
            return Ok(late);
        }
        let page = store.runs(&RunFilter::default(), &Page { before, limit }).map_err(|e| Failure::Failed(from_store(&e)))?;
        let Some((last, _)) = page.last() else { return Ok(late) };
        before = Some(*last);
        let started = page.iter().filter_map(|(_, run)| (run.started_at? - run.due_at).num_microseconds());
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a lateness")]
        late.extend(started.map(|us| us as f64 / 1_000.0));
    }
}
