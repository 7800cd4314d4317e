//! The surface of the boundary, written down: the tables' functions, the layouts of what they take, the JSON that goes through them.
//!
//! Not a check of behaviour. What must hold: a change here is a change of the API's version. Tables grow at their end; JSON fields are only
//! ever added, with a default. `INSTA_UPDATE=always` rewrites the snapshots, and then `git diff` is the review.

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TypeLayout};
use serde_json::value::RawValue;
use sexton_plugin_api::abi::{API_MAJOR, API_MINOR, HostTable_Ref, LogRecord, PluginRoot_Ref, Reply};
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::wire::*;
use std::fmt::Write;

/// A table: its functions in order, and how many of them every version has.
fn table(layout: &'static TypeLayout, text: &mut String) {
    // A `_Ref` is a pointer; the table proper is what it is a phantom of.
    let table = layout.phantom_fields().get(0).expect("a reference refers to a table").layout();
    let TLData::PrefixType(prefix) = table.data() else { panic!("{} is no prefix type", table.name()) };
    let _ = writeln!(text, "{}: the first {} functions are in every version", table.name(), prefix.first_suffix_field);
    for field in prefix.fields.iter() {
        for function in field.function_range() {
            let signature = function.to_string();
            let _ = writeln!(text, "    {}: {}", field.name(), signature.lines().next().unwrap_or_default());
        }
    }
}

/// A plain struct: its fields in order, with their sizes.
fn value(layout: &'static TypeLayout, text: &mut String) {
    let _ = writeln!(text, "{}: {} bytes, aligned to {}", layout.name(), layout.size(), layout.alignment());
    for field in layout.get_fields().into_iter().flat_map(|fields| fields.iter()) {
        let _ = writeln!(text, "    {}: {}, {} bytes", field.name(), field.full_type(), field.layout().size());
    }
}

#[test]
fn the_tables_and_what_they_take() {
    let mut text = format!("API {API_MAJOR}.{API_MINOR}\n");
    table(<PluginRoot_Ref as StableAbi>::LAYOUT, &mut text);
    table(<HostTable_Ref as StableAbi>::LAYOUT, &mut text);
    value(<Reply as StableAbi>::LAYOUT, &mut text);
    value(<LogRecord<'static> as StableAbi>::LAYOUT, &mut text);
    insta::assert_snapshot!("tables", text);
}

fn raw(json: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(json).expect("JSON")
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("an instant")
}

/// An event with every field set.
fn event() -> ScheduleOrder {
    ScheduleOrder {
        event_type: "acme.x".into(),
        schedule: json!({ "every": "5m" }),
        args: json!({ "a": 1 }),
        key: Some("k".into()),
        description: Some("d".into()),
        bot: Some(Bot::new("b", "B")),
        resources: vec![Resource::new("r", "kind").with("p", 1)],
        labels: [("l".into(), "v".into())].into(),
        priority: 2,
        policy: Some(json!({ "overlap": "allow" })),
    }
}

/// A batch with every field set.
fn batch() -> Batch {
    let retry = Retry { attempts: Some(3), first_delay_ms: Some(10), max_delay_ms: Some(20), deadline_ms: Some(30) };
    let offer = TypeOffer {
        event_type: "acme.x".into(),
        args_schema: json!(true),
        multi_resource: true,
        retry: Some(retry),
        timeout_ms: Some(40),
        grace_ms: Some(50),
    };
    let standing = StandingEvent {
        key: "k".into(),
        event_type: "acme.x".into(),
        args: json!({}),
        schedule: json!({ "manual": true }),
        description: Some("d".into()),
    };
    Batch {
        types: vec![offer],
        actions: vec![ActionOffer { uid: "acme.action.y".into(), bulk: true, accepts_complement: true }],
        standing: vec![standing],
    }
}

/// Everything that crosses as JSON, with every field set.
fn full() -> Vec<(&'static str, Value)> {
    fn of(value: impl Serialize) -> Value {
        serde_json::to_value(value).expect("JSON")
    }
    let event = event();
    let order = RunOrder {
        run: 1,
        occurrence: "e.1".into(),
        event_type: "acme.x".into(),
        args: raw(&json!({})),
        attempt: 2,
        scheduled_for: at(0),
        deadline: Some(at(60)),
        bot: event.bot.clone(),
        resources: event.resources.clone(),
        resources_done: vec!["r".into()],
        description: Some("d".into()),
        labels: event.labels.clone(),
    };
    let ends = [
        JobEnd::Succeeded,
        JobEnd::Failed { message: "m".into(), permanent: true },
        JobEnd::Panicked { message: "m".into(), place: Some("f:1:2".into()) },
        JobEnd::Snoozed { after_ms: 5 },
        JobEnd::Cancelled { reason: "r".into() },
    ];
    let resources = ends.iter().map(|end| ResourceReply { id: "r".into(), end: end.clone() }).collect();
    let calls = [
        HostCall::Schedule { events: vec![event.clone()] },
        HostCall::StateGet { key: "k".into() },
        HostCall::StatePut { key: "k".into(), value: json!(1), expected: Some(4) },
        HostCall::Progress { done: 1, total: Some(2), note: "n".into() },
        HostCall::Prune { older_than_s: Some(60) },
    ];
    let act = ActOrder {
        run: 1,
        uid: "acme.action.y".into(),
        bot: Bot::new("b", "B"),
        settings: json!({}),
        matches: event.resources.clone(),
        non_matches: vec![],
    };
    vec![
        ("LoadOrder", of(LoadOrder { plugin: "p".into(), settings: json!({}), log_level: 3 })),
        ("Batch", of(batch())),
        ("RunOrder", of(order)),
        ("RunReply", of(RunReply { run: 1, end: JobEnd::Succeeded, output: Some(raw(&json!([1]))), resources })),
        ("ActOrder", of(act)),
        ("HostCall", of(calls)),
        ("CallRefusal", of(CallRefusal { code: "API001".into(), message: "m".into() })),
        ("EntryFailure", of(EntryFailure { kind: "panic".into(), message: "m".into(), place: Some("f:1:2".into()) })),
    ]
}

#[test]
fn the_json_that_goes_through_them() {
    let text = full().into_iter().fold(String::new(), |text, (name, json)| text + name + ": " + &format!("{json:#}") + "\n");
    insta::assert_snapshot!("wire", text);
}

/// What version 1.0 may leave out, every later version must be able to do without. Texts are only ever added here.
#[test]
fn the_least_that_version_1_0_says_is_understood() {
    fn read<T: for<'de> Deserialize<'de>>(text: &str) {
        if let Err(error) = serde_json::from_str::<T>(text) {
            panic!("{text}: {error}");
        }
    }
    read::<LoadOrder>(r#"{"plugin": "p", "log_level": 3}"#);
    read::<Batch>("{}");
    read::<Batch>(r#"{"types": [{"event_type": "a.b", "args_schema": {}}], "actions": [{"uid": "a.c"}]}"#);
    read::<Batch>(r#"{"standing": [{"key": "k", "event_type": "a.b", "args": {}, "schedule": {}}]}"#);
    read::<RunOrder>(
        r#"{"run": 1, "occurrence": "e.1", "event_type": "a.b", "args": {}, "attempt": 1, "scheduled_for": "2026-01-01T00:00:00Z"}"#,
    );
    read::<RunReply>(r#"{"run": 1, "end": {"end": "succeeded"}}"#);
    read::<RunReply>(r#"{"run": 1, "end": {"end": "failed", "message": "m"}, "resources": [{"id": "r", "end": "cancelled"}]}"#);
    read::<ActOrder>(r#"{"run": 1, "uid": "a.c", "bot": {"id": "b"}, "matches": [{"id": "r"}]}"#);
    read::<HostCall>(r#"{"call": "schedule", "events": [{"event_type": "a.b", "schedule": {}}]}"#);
    read::<HostCall>(r#"{"call": "state_put", "key": "k", "value": 1}"#);
    read::<HostCall>(r#"{"call": "progress", "done": 1}"#);
    read::<EntryFailure>(r#"{"kind": "error", "message": "m"}"#);
    read::<Identity>(r#"{"plugin": "p", "version": "1.0.0", "api_major": 1, "api_minor": 0, "rustc": "r", "panic": "unwind"}"#);
    // And what a later version adds is passed over by this one.
    read::<RunReply>(r#"{"run": 1, "end": {"end": "snoozed", "after_ms": 1, "until": "dawn"}, "mood": "good"}"#);
}
