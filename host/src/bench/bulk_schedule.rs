//! How many events are stored a second: one by one, by many callers at once, in batches, and through the socket.
//!
//! Nothing runs: the events lie a year ahead. What must hold: every call is acknowledged after fsync, as everywhere.

use super::{Report, Stretch};
use crate::bench::rig::{Desk, Place};
use crate::cli::{Done, Failure};
use crate::client::{Body, Client};
use chrono::{DateTime, Duration, Utc};
use indicatif::ProgressBar;
use parking_lot::Mutex;
use sexton_core::{Blame, Refusal};

/// Callers of the case with many.
const CALLERS: usize = 32;
/// Events of a batch.
const BATCH: usize = 1_000;

/// How many cases there are.
pub const CASES: usize = 4;

/// Runs one case.
///
/// # Errors
/// Whatever a host refuses.
pub fn run(place: &Place, n: Option<usize>, case: usize, report: &Report) -> Done {
    match case {
        0 => one_by_one(place, 1, n.unwrap_or(1_000), report),
        1 => one_by_one(place, CALLERS, n.unwrap_or(10_000), report),
        2 => batches(place, n.unwrap_or(100_000), report),
        _ => through_the_socket(place, n.unwrap_or(100_000), report),
    }
}

fn far() -> DateTime<Utc> {
    Utc::now() + Duration::days(365)
}

fn one_by_one(place: &Place, callers: usize, n: usize, report: &Report) -> Done {
    let rig = place.rig(None)?;
    let case = if callers == 1 { "one by one".to_owned() } else { format!("one by one, {callers} callers") };
    let bar = report.bar(&case, n);
    let calls = Mutex::new(Ok(Vec::with_capacity(n)));
    let stretch = Stretch::begin();
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let share = n / callers + usize::from(caller < n % callers);
            let (desk, bar, calls) = (&rig.desk, &bar, &calls);
            scope.spawn(move || {
                let times = call(desk, share, bar);
                let mut all = calls.lock();
                match (&mut *all, times) {
                    (Ok(all), Ok(times)) => all.extend(times),
                    (_, Err(failure)) => *all = Err(failure),
                    (Err(_), Ok(_)) => {}
                }
            });
        }
    });
    let line = stretch.line("bulk-schedule", case, n, None);
    bar.finish_and_clear();
    rig.stop();
    report.tell(&line.spread(calls.into_inner()?))
}

/// Milliseconds of each call.
fn call(desk: &Desk, share: usize, bar: &ProgressBar) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::with_capacity(share);
    for _ in 0..share {
        times.push(desk.schedule(vec![desk.event_at(far())])?.as_secs_f64() * 1_000.0);
        bar.inc(1);
    }
    Ok(times)
}

fn batches(place: &Place, n: usize, report: &Report) -> Done {
    let rig = place.rig(None)?;
    let bar = report.bar("batches", n);
    let mut times = Vec::new();
    let stretch = Stretch::begin();
    let mut left = n;
    while left > 0 {
        let events: Vec<_> = (0..left.min(BATCH)).map(|_| rig.desk.event_at(far())).collect();
        left -= events.len();
        times.push(rig.desk.schedule(events)?.as_secs_f64() * 1_000.0);
        bar.set_position((n - left) as u64);
    }
    let line = stretch.line("bulk-schedule", format!("batches of {BATCH}"), n, None);
    bar.finish_and_clear();
    rig.stop();
    report.tell(&line.spread(times))
}

/// As a client sends them: NDJSON over the Unix socket, the host in this process.
fn through_the_socket(place: &Place, n: usize, report: &Report) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rig = place.rig(Some(&runtime))?;
    let client = Client::new(&rig.socket.display().to_string())?;
    let text = serde_json::to_string(&rig.desk.event_at(far()));
    let text = text.map_err(|e| Failure::Failed(Refusal::new("HST007", Blame::Bug, format!("an event is no JSON: {e}"))))? + "\n";
    let bar = report.bar("through the socket", n);
    let mut times = Vec::new();
    let stretch = Stretch::begin();
    let mut left = n;
    while left > 0 {
        let size = left.min(BATCH);
        let began = std::time::Instant::now();
        client.call("POST", "/api/v1/events", Body::Ndjson(text.repeat(size)))?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        left -= size;
        bar.set_position((n - left) as u64);
    }
    let line = stretch.line("bulk-schedule", format!("batches of {BATCH}, through the socket"), n, None);
    bar.finish_and_clear();
    rig.stop();
    runtime.shutdown_background();
    report.tell(&line.spread(times))
}
