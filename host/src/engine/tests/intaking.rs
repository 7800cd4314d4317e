//! What is refused at the door, and how it is said.

use super::rig::{Rig, event, in_ms, once};
use crate::engine::limits;
use crate::registry::{Coming, KnownType, Snapshot};
use chrono::{DateTime, Utc};
use sexton_core::schedule::Rule;
use sexton_core::{EventState, NewEvent, Resource, Schedule};
use sexton_store::rows::{Change, Edit};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn raw(text: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(text.into()).unwrap()
}

fn resource(id: &str) -> Resource {
    Resource { id: id.into(), kind: String::new(), properties: BTreeMap::new() }
}

#[test]
fn what_is_wrong_is_refused_with_its_code_and_stores_nothing() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let plain = || event("a.a", Schedule::manual());
    let long = "x".repeat(limits::KEY_BYTES + 1);
    let cases: Vec<(&str, NewEvent)> = vec![
        ("INP001", event("a.b", Schedule::manual())),
        ("INP002", NewEvent { args: raw(r#"{"wait": "yes"}"#), ..plain() }),
        ("INP002", NewEvent { args: raw("[]"), ..plain() }),
        ("INP015", NewEvent { args: raw(&format!("\"{}\"", "x".repeat(limits::ARGS_BYTES))), ..plain() }),
        ("INP015", NewEvent { key: Some(long.clone()), ..plain() }),
        ("INP015", NewEvent { description: Some("x".repeat(limits::DESCRIPTION_BYTES + 1)), ..plain() }),
        ("INP015", NewEvent { labels: [(long.clone(), String::new())].into(), ..plain() }),
        ("INP015", NewEvent { resources: vec![resource(&long)], ..plain() }),
        ("INP015", NewEvent { retry: Some(sexton_core::RetryPolicy { attempts: 0, ..Default::default() }), ..plain() }),
        ("INP018", NewEvent { resources: vec![resource("r"), resource("r")], ..plain() }),
        ("INP003", event("a.a", Schedule::cron("61 * * * *", "UTC"))),
        ("INP004", event("a.a", Schedule::cron("1 * * * *", "Mars/Olympus"))),
    ];
    for (code, wrong) in cases {
        let refusal = rig.engine.schedule(vec![wrong.clone()], &rig.by).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(!refusal.message.starts_with("event "), "one event needs no number: {refusal}");
        let refusal = rig.engine.schedule(vec![plain(), plain(), wrong], &rig.by).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(refusal.message.starts_with("event 3: "), "{refusal}");
    }
    let many = vec![plain(); limits::BATCH + 1];
    assert_eq!(rig.engine.schedule(many, &rig.by).unwrap_err().code, "INP015");
    assert_eq!(rig.events(), 0);
    assert_eq!(rig.engine.schedule(vec![], &rig.by).unwrap().len(), 0);
}

#[test]
fn while_a_build_comes_in_arguments_fit_its_schema_as_well() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None), ("a.b", None)]);
    let stored = rig.schedule(event("a.a", Schedule::manual()));
    let schema = serde_json::json!({"type": "object", "required": ["wait"]});
    let now = rig.registry.now();
    let old = &now.types["a.a"];
    let coming = Coming { plugin: "a".into(), validator: jsonschema::validator_for(&schema).unwrap(), args_schema: schema };
    let known = Arc::new(KnownType {
        event_type: "a.a".into(),
        id: old.id,
        owner: old.owner.clone(),
        args_schema: old.args_schema.clone(),
        validator: old.validator.clone(),
        time_limit: old.time_limit,
        coming: Some(Arc::new(coming)),
        serving: None,
    });
    let (mut types, mut by_id) = (now.types.clone(), now.by_id.clone());
    types.insert("a.a".into(), Arc::clone(&known));
    by_id.insert(known.id, known);
    rig.registry.swap(Snapshot { types, by_id, actions: BTreeMap::new() });
    for (args, message) in [("{}", "a new build of plugin `a` is being loaded"), (r#"{"wait": "yes"}"#, "break its schema at `/wait`")] {
        let event = NewEvent { args: raw(args), ..event("a.a", Schedule::manual()) };
        let refusal = rig.engine.schedule(vec![event], &rig.by).unwrap_err();
        assert!(refusal.code == "INP002" && refusal.message.contains(message) && refusal.remedy.is_some(), "{refusal}");
        let edit = Change::Edit(Box::new(Edit { args: Some(raw(args)), ..Edit::default() }));
        let refusal = rig.engine.alter(stored, edit, &rig.by).unwrap_err();
        assert!(refusal.code == "INP002" && refusal.message.contains(message), "{refusal}");
    }
    rig.schedule(NewEvent { args: raw(r#"{"wait": true}"#), ..event("a.a", Schedule::manual()) });
    rig.schedule(event("a.b", Schedule::manual()));
    assert_eq!(rig.events(), 3);
}

#[test]
fn many_are_paused_in_one_go_and_what_is_not_scheduled_is_passed_over() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let all: Vec<_> = (0..1_100).map(|_| event("a.a", once(in_ms(3_600_000)))).collect();
    let mut ids: Vec<_> = rig.engine.schedule(all[..600].to_vec(), &rig.by).unwrap().iter().map(|a| a.id).collect();
    ids.extend(rig.engine.schedule(all[600..].to_vec(), &rig.by).unwrap().iter().map(|a| a.id));
    rig.engine.alter(ids[3], Change::Cancel, &rig.by).unwrap();
    assert_eq!(rig.engine.pause_many(&ids, "args_rejected: x", &rig.by).unwrap(), 1_099);
    let event = rig.store.event(ids[1_000]).unwrap().unwrap();
    assert_eq!((event.state, event.reason.as_deref()), (EventState::Paused, Some("args_rejected: x")));
    assert_eq!(rig.store.event(ids[3]).unwrap().unwrap().state, EventState::Cancelled);
    rig.engine.alter(ids[5], Change::Resume, &rig.by).unwrap();
}

#[test]
fn a_key_in_use_is_refused_and_names_the_event() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let keyed = || NewEvent { key: Some("nightly".into()), ..event("a.a", once(in_ms(3_600_000))) };
    let first = rig.schedule(keyed());
    let refusal = rig.engine.schedule(vec![keyed()], &rig.by).unwrap_err();
    assert_eq!(refusal.code, "INP008");
    assert!(refusal.to_string().contains(&first.to_string()), "{refusal}");
    assert_eq!(rig.events(), 1);
}

#[test]
fn a_key_twice_in_one_call_names_both_places() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None), ("a.b", None)]);
    let keyed = |name: &str| NewEvent { key: Some("nightly".into()), ..event(name, Schedule::manual()) };
    let batch = || vec![event("a.a", Schedule::manual()), keyed("a.a"), keyed("a.b"), keyed("a.a")];
    for (lines, second, first) in [(&[][..], "event 4: ", "event 2"), (&[1, 3, 4, 9][..], "line 9: ", "line 3")] {
        let refusal = rig.engine.schedule_lines(batch(), lines, &rig.by).unwrap_err();
        assert_eq!(refusal.code, "INP008");
        assert!(refusal.message.starts_with(second) && refusal.message.contains(first), "{refusal}");
        assert!(!refusal.to_string().contains("evt_"), "nothing that was rolled back is named: {refusal}");
    }
    assert_eq!(rig.events(), 0);
    let refusal = rig.engine.schedule_lines(vec![event("a.c", Schedule::manual())], &[7], &rig.by).unwrap_err();
    assert!(refusal.message.starts_with("line 7: "), "{refusal}");
    assert_eq!(rig.engine.schedule(batch().split_off(1)[..2].to_vec(), &rig.by).unwrap().len(), 2, "another type may use it");
}

#[test]
fn now_is_not_the_past() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let notes = |when| rig.engine.schedule(vec![event("a.a", once(when))], &rig.by).unwrap().remove(0).notes;
    let past = |notes: Vec<String>| notes.iter().any(|n| n.contains("past"));
    assert!(!past(notes(in_ms(0))) && past(notes(in_ms(0) - chrono::TimeDelta::minutes(1))));
}

#[test]
fn what_is_accepted_says_when_and_what_to_know() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let future = in_ms(3_600_000);
    let accepted = rig.engine.schedule(
        vec![event("a.a", once(DateTime::<Utc>::UNIX_EPOCH)), event("a.a", once(future)), event("a.a", Schedule::manual())],
        &rig.by,
    );
    let accepted = accepted.unwrap();
    assert!(accepted[0].notes.iter().any(|n| n == "the time is in the past: it runs at once"));
    assert_eq!((accepted[1].next_run_at, accepted[1].notes.len()), (Some(future), 1));
    assert_eq!(accepted[2].next_run_at, None);
    assert!(accepted[0].id < accepted[1].id && accepted[1].id < accepted[2].id);
}

#[test]
fn standing_events_are_held_to_the_same_rules_and_name_themselves() {
    let rig = Rig::new();
    let schema = serde_json::json!({"type": "object", "required": ["path"]});
    let validator = jsonschema::validator_for(&schema).unwrap();
    let standing = |args: serde_json::Value, schedule: serde_json::Value| sexton_plugin_api::wire::StandingEvent {
        key: "hourly".into(),
        event_type: "new.type".into(),
        args,
        schedule,
        description: None,
    };
    let every = || serde_json::json!({"every": "1h"});
    let offer = rig.engine.standing(&standing(serde_json::json!({"path": "/"}), every()), &validator).unwrap();
    assert!(
        offer.first.is_some()
            && offer.wish.key.as_deref() == Some("hourly")
            && matches!(offer.wish.schedule.rule, Rule::Every { anchor: Some(_), .. })
    );
    let refusal = rig.engine.standing(&standing(serde_json::json!({}), every()), &validator).unwrap_err();
    assert!(refusal.code == "INP002" && refusal.message.starts_with("standing event `hourly` of `new.type`: "), "{refusal}");
    let refusal =
        rig.engine.standing(&standing(serde_json::json!({"path": "/"}), serde_json::json!({"every": "soon"})), &validator).unwrap_err();
    assert_eq!(refusal.code, "INP005", "{refusal}");
}

#[test]
fn the_answer_says_when_it_is_due_with_its_jitter() {
    let rig = Rig::new();
    rig.serve(&[("a.a", None)]);
    let mut spread = Schedule::every(Duration::from_secs(3_600), None);
    spread.terms.jitter = Some(Duration::from_secs(3_000));
    let accepted = rig.engine.schedule(vec![event("a.a", spread)], &rig.by).unwrap().remove(0);
    let stored = rig.store.event(accepted.id).unwrap().unwrap();
    assert_eq!(accepted.next_run_at, stored.next_run_at, "as the store has it");
}
