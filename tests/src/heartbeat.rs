//! The heartbeat: an innocent plugin's events, one due every 100 ms, beside whatever a test does to the host.
//!
//! Ten events, each once a second (the shortest step of `every`), a tenth of a second apart. What must hold at the end: every occurrence of each has its
//! one run, none was skipped, and none began 2 s late.

use crate::{Build, SOON, Site, Way, until};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

const EVENTS: i64 = 10;
/// No run may begin later than this.
const LATE_MAX: Duration = Duration::seconds(2);

/// One that goes on until it is checked.
pub struct Heartbeat {
    ids: Vec<String>,
    began: DateTime<Utc>,
}

impl Heartbeat {
    /// Drops `fx_witness` in and schedules its events. Waits until the first have run.
    #[must_use]
    pub fn start(site: &Site) -> Self {
        let build = Build::of("fx_witness").answering("heartbeat");
        site.plugins.put("fx_witness", &build, Way::Move);
        site.until_serving("fx-witness", &build);
        let began = Utc::now();
        let witness = site.witness("heartbeat");
        let event = |n: i64| {
            let anchor = (began + Duration::milliseconds(n * 1_000 / EVENTS)).to_rfc3339_opts(SecondsFormat::Micros, true);
            json!({"event_type": "fx.witness", "schedule": {"every": "1s", "anchor": anchor}, "args": {"witness": witness.path()}})
        };
        let ids = site.schedule_all(&(0..EVENTS).map(event).collect::<Vec<_>>());
        until("the heart beats", SOON, || (witness.len() >= 10).then_some(()));
        Self { ids, began }
    }

    /// Stops it and looks at every beat. Prints how many there were and the greatest lateness.
    pub fn check(self, site: &Site) {
        let mut latest = Duration::zero();
        let mut beats = 0;
        let ended = Utc::now();
        for id in &self.ids {
            site.sexton(&["event", "pause", id]).fine();
            until("the last beat is settled", SOON, || (site.event(id)["running"] == false).then_some(()));
            let event = site.event(id);
            assert_eq!(event["skipped"], 0, "beats were skipped: {event}");
            let mut runs: Vec<(DateTime<Utc>, DateTime<Utc>)> = site.runs(&["--event", id]).iter().map(beat).collect();
            runs.sort();
            for pair in runs.windows(2) {
                assert_eq!(pair[1].0 - pair[0].0, Duration::seconds(1), "a beat of {id} is missing or was run twice: {pair:?}");
            }
            let last = runs.last().expect("it has beaten").0;
            assert!(ended - last < Duration::seconds(1) + LATE_MAX, "{id} beat last at {last}, and it is {ended}");
            beats += runs.len();
            latest = runs.iter().map(|(due, started)| *started - *due).fold(latest, Duration::max);
        }
        let seconds = (ended - self.began).num_seconds();
        println!("heartbeat: {beats} beats in {seconds} s, none missed; greatest lateness {} ms", latest.num_milliseconds());
        assert!(latest < LATE_MAX, "a beat came {} ms late", latest.num_milliseconds());
    }
}

/// When it was due and when it began.
fn beat(run: &Value) -> (DateTime<Utc>, DateTime<Utc>) {
    assert_eq!((&run["outcome"], &run["attempt"]), (&json!("succeeded"), &json!(1)), "{run}");
    (instant(run, "scheduled_for"), instant(run, "started_at"))
}

/// A field of a run that is an instant.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn instant(run: &Value, field: &str) -> DateTime<Utc> {
    let text = run[field].as_str().unwrap_or_else(|| panic!("`{field}` is no text in {run}"));
    text.parse().unwrap_or_else(|e| panic!("`{field}` is no instant ({e}) in {run}"))
}
