//! Two thousand one-shot events over twenty seconds: each exactly once, and how late.
//!
//! Not a bench: numbers are printed, not judged (but for a bound that no sane machine misses). What must hold: each occurrence stands once in the job's
//! own witness file and has one `succeeded` run.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, count, in_millis, until};
use std::time::Duration;

#[test]
fn two_thousand_one_shots_alone() {
    for placement in Placement::ALL {
        exactly_once(placement);
    }
}

fn exactly_once(placement: Placement) {
    let site = Site::with(placement, &["fx_witness"]);
    let _host = HostProcess::start(&site);
    let witness = site.witness("lines");
    let events = count(2_000, 20_000);
    let window_ms: i64 = 20_000;
    let wishes: Vec<Value> = (0..events)
        .map(|n| {
            // Over the window, beginning late enough for the whole file to be stored before.
            let at = 2_000 + i64::try_from(n).expect("a small number") * window_ms / i64::try_from(events).expect("a small number");
            json!({"event_type": "fx.witness", "schedule": {"once": in_millis(at)}, "args": {"witness": witness.path()}})
        })
        .collect();
    let ids = site.schedule_all(&wishes);
    assert_eq!(ids.len(), events);
    until("every event has left its line", Duration::from_secs(60) + SOON, || (witness.len() >= events).then_some(()));
    let runs = until("every run is settled", SOON, || Some(site.runs(&["--outcome", "succeeded"])).filter(|runs| runs.len() >= events));

    let times = witness.times();
    let expected: std::collections::BTreeSet<String> = ids.iter().map(|id| format!("{id}.1")).collect();
    assert_eq!(times.keys().cloned().collect::<std::collections::BTreeSet<_>>(), expected, "other occurrences than were scheduled");
    assert!(times.values().all(|&n| n == 1), "an occurrence ran twice");
    assert_eq!(runs.len(), events);
    assert_eq!(site.runs(&[]).len(), events, "runs beside the succeeded ones");

    let mut late: Vec<i64> = runs.iter().map(lateness_micros).collect();
    late.sort_unstable();
    let at = |share: usize| late[(late.len() - 1) * share / 1000];
    println!(
        "{}: {events} events over {} s: lateness p50 {} us, p99 {} us, max {} us",
        placement.name(),
        window_ms / 1000,
        at(500),
        at(990),
        at(1000)
    );
    assert!(late[0] >= 0, "a run began before it was due: {} us", late[0]);
    assert!(at(500) < 1_000_000, "half of the runs began more than a second late");
}

fn lateness_micros(run: &Value) -> i64 {
    let at = |name: &str| run[name].as_str().and_then(|t| t.parse::<chrono::DateTime<chrono::Utc>>().ok()).expect("an instant");
    (at("started_at") - at("due_at")).num_microseconds().expect("less than an age")
}
