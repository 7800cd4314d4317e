//! How many events that are due at one instant are run a second: claimed, run, settled.
//!
//! Scheduling is not counted: all are stored before they are due. What must hold: the clock runs from the due instant to the last settled run.

use super::{Report, Stretch, until_runs};
use crate::bench::rig::Place;
use crate::cli::{Done, Failure};
use chrono::{Duration, Utc};
use sexton_core::{Blame, Refusal};

/// Events when nobody says.
const EVENTS: usize = 20_000;
/// Events of a batch.
const BATCH: usize = 1_000;
/// How much is surely stored a second, for the choice of the instant.
const STORED_A_SECOND: usize = 5_000;

/// Runs the case.
///
/// # Errors
/// Whatever a host refuses.
pub fn run(place: &Place, n: Option<usize>, report: &Report) -> Done {
    let n = n.unwrap_or(EVENTS);
    let rig = place.rig(None)?;
    let lead = u32::try_from(n / STORED_A_SECOND).unwrap_or(u32::MAX);
    let due = Utc::now() + Duration::seconds(i64::from(lead) + 3);
    let bar = report.bar("storing", n);
    let mut left = n;
    while left > 0 {
        let size = left.min(BATCH);
        rig.desk.schedule((0..size).map(|_| rig.desk.event_at(due)).collect())?;
        left -= size;
        bar.set_position((n - left) as u64);
    }
    bar.finish_and_clear();
    let Ok(wait) = (due - Utc::now()).to_std() else {
        let why = "the events were due before all were stored";
        return Err(Failure::Failed(Refusal::new("HST007", Blame::World, why).remedy("try a smaller `--n`")));
    };
    std::thread::sleep(wait);
    let stretch = Stretch::begin();
    let bar = report.bar("running", n);
    until_runs(&rig, n, &bar)?;
    let line = stretch.line("drain", format!("due at one instant, {}", rig.desk.event_type()), n, None).placed(rig.placement());
    bar.finish_and_clear();
    let late = super::lateness::read(&rig, n)?;
    rig.stop();
    report.tell(&line.spread(late))
}
