//! What plugins ask of their host inside a run.

use super::rig::{Does, Generation, Rig, event, in_ms, once, until};
use serde_json::{Value, json};
use sexton_core::Outcome;
use sexton_loader::seam::{Farewell, Memory, Report, Stamped};
use sexton_plugin_api::wire::{HostCall, JobEnd, ScheduleOrder};

fn order(event_type: &str, args: Value) -> ScheduleOrder {
    let plain: ScheduleOrder = serde_json::from_value(json!({"event_type": event_type, "schedule": {"once": in_ms(0)}})).unwrap();
    ScheduleOrder { args, ..plain }
}

fn asking(rig: &Rig, call: HostCall, end: JobEnd) -> Generation {
    let mut call = Some(call);
    let generation = Generation::new(rig, 1, 8, move |_| call.take().map_or(Does::Ends(JobEnd::Succeeded), |c| Does::Asks(c, end.clone())));
    rig.serve(&[("a.a", Some(&generation.serving))]);
    generation
}

#[test]
fn what_a_run_schedules_is_stored_with_its_success() {
    let rig = Rig::new();
    let generation = asking(&rig, HostCall::Schedule { events: vec![order("a.a", json!({}))] }, JobEnd::Succeeded);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("both ran", || rig.runs().len() == 2);
    let answer = generation.ran();
    assert!(answer[1].occurrence.as_str() != answer[0].occurrence && answer[0].occurrence.starts_with(&id.to_string()));
    generation.until("the ids were answered", |seen| {
        matches!(&seen.answers[..], [Ok(Value::Array(ids))] if ids.len() == 1 && answer[1].occurrence.starts_with(ids[0].as_str().unwrap()))
    });
}

#[test]
fn what_a_run_that_failed_had_scheduled_is_dropped() {
    let rig = Rig::new();
    let failed = JobEnd::Failed { message: "no".into(), permanent: true };
    let generation = asking(&rig, HostCall::Schedule { events: vec![order("a.a", json!({}))] }, failed);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("it failed", || rig.outcomes(id) == [Outcome::Failed]);
    generation.until("the ids were answered all the same", |seen| matches!(&seen.answers[..], [Ok(_)]));
    assert_eq!(rig.events(), 1);
}

#[test]
fn a_call_is_refused_as_anybody_is_and_stores_nothing() {
    let rig = Rig::new();
    let events = vec![order("a.a", json!({})), order("a.a", json!({"wait": 7}))];
    let generation = asking(&rig, HostCall::Schedule { events }, JobEnd::Succeeded);
    let id = rig.schedule(event("a.a", once(in_ms(0))));
    until("it ran", || rig.outcomes(id) == [Outcome::Succeeded]);
    generation.until("it was refused", |seen| match &seen.answers[..] {
        [Err(refusal)] => {
            refusal.code == "API001" && refusal.message.starts_with("INP002: event 2: ") && refusal.message.contains("`/wait`")
        }
        _ => false,
    });
    assert_eq!(rig.events(), 1);
}

#[test]
fn state_is_versioned_and_a_plugin_has_its_own() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    let put = |value, expected| HostCall::StatePut { key: "seen".into(), value, expected };
    for (call, request) in
        [put(json!(7), Some(0)), put(json!(8), Some(0)), HostCall::StateGet { key: "seen".into() }].into_iter().enumerate()
    {
        generation.report(Report::Call { call: call as u64, run: 0, request });
        generation.until("it was answered", |seen| seen.answers.len() == call + 1);
    }
    generation.until("the second put met a conflict", |seen| {
        let answers: Vec<Value> = seen.answers.iter().map(|a| a.clone().unwrap()).collect();
        answers == [json!({"version": 1}), json!({"conflict": 1}), json!({"value": 7, "version": 1})]
    });
    assert_eq!(rig.store.state_get("p2", "seen").unwrap(), (None, 0));
}

#[test]
fn progress_is_seen_while_the_run_goes_on() {
    let rig = Rig::new();
    let generation = Generation::new(&rig, 1, 8, |_| Does::Holds);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    rig.schedule(event("a.a", once(in_ms(0))));
    generation.until("it has started", |seen| seen.ran.len() == 1);
    let run = generation.ran()[0].run;
    generation.report(Report::Call { call: 5, run, request: HostCall::Progress { done: 3, total: Some(9), note: "three".into() } });
    generation.until("it was answered", |seen| seen.answers == [Ok(Value::Null)]);
    assert_eq!(rig.engine.in_flight()[0].progress, Some((3, Some(9), "three".into())));
}

#[test]
fn only_the_host_may_prune_and_a_run_that_ended_may_not_schedule() {
    let rig = Rig::new();
    let generation = Generation::succeeding(&rig, 1);
    rig.serve(&[("a.a", Some(&generation.serving))]);
    generation.report(Report::Call { call: 1, run: 0, request: HostCall::Prune { older_than_s: Some(0) } });
    generation.until("it was refused", |seen| matches!(&seen.answers[..], [Err(_)]));
    let events = vec![order("a.a", json!({}))];
    generation.report(Report::Call { call: 2, run: 4_711, request: HostCall::Schedule { events } });
    generation.until("it was refused", |seen| matches!(&seen.answers[..], [_, Err(r)] if r.message.starts_with("INP012")));
    let events = vec![order("a.a", json!({}))];
    generation.report(Report::Call { call: 3, run: 0, request: HostCall::Schedule { events } });
    until("outside a run it is stored at once", || rig.events() == 1);
}

#[test]
fn a_generation_that_nobody_introduced_fills_no_log_however_much_it_asks() {
    let rig = Rig::new();
    let said = std::sync::Arc::new(parking_lot::Mutex::new(Vec::<u8>::new()));
    let lines = || String::from_utf8_lossy(&said.lock()).lines().map(str::to_owned).collect::<Vec<_>>();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Log(said.clone())).with_max_level(tracing::Level::WARN).finish();
    tracing::subscriber::with_default(log, || {
        for call in 0..1_000 {
            rig.engine
                .report(Stamped { generation: 7, report: Report::Call { call, run: 0, request: HostCall::Schedule { events: vec![] } } });
        }
        assert_eq!(lines().len(), 1, "{:?}", lines().last());
        let farewell = Farewell { memory: Memory::None, unload: None, death: None };
        rig.engine.report(Stamped { generation: 7, report: Report::Gone(farewell) });
    });
    assert!(matches!(&lines()[..], [_, last] if last.contains("asked=1000")), "{:?}", lines());
}

/// A log that is kept.
#[derive(Clone)]
struct Log(std::sync::Arc<parking_lot::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
