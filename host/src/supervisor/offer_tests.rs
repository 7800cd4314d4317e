//! Tests of what a batch may hold.

use super::*;
use crate::registry::{KnownType, Placement, ServedAction, Serving};
use serde_json::json;
use sexton_core::TypeId;
use std::sync::Arc;

const OFFERS_MAX: usize = 256;

fn offered(event_type: &str) -> TypeOffer {
    serde_json::from_value(json!({"event_type": event_type, "args_schema": {"type": "object"}})).expect("an offer")
}

fn batch(types: &[&str]) -> Batch {
    Batch { types: types.iter().map(|t| offered(t)).collect(), ..Batch::default() }
}

fn standing(key: &str, event_type: &str) -> StandingEvent {
    StandingEvent {
        key: key.to_owned(),
        event_type: event_type.to_owned(),
        args: json!({}),
        schedule: json!({"every": "5m"}),
        description: None,
    }
}

/// A snapshot in which `plugin` serves a type and an action.
fn served_by(plugin: &str) -> Snapshot {
    let serving = Arc::new(Serving {
        plugin: plugin.to_owned(),
        generation: 1,
        digest: String::new(),
        placement: Placement::InProcess,
        orders: std::sync::mpsc::channel().0,
        run_time: None,
        output_max: 1 << 20,
        in_flight_max: 1,
        succeeded: false.into(),
    });
    let known = KnownType {
        time_limit: sexton_core::TimeLimit::default(),
        event_type: "acme.start".to_owned(),
        id: TypeId(1),
        owner: Some(plugin.to_owned()),
        args_schema: json!(true),
        coming: None,
        validator: validator(&json!(true)).expect("a schema"),
        serving: Some(Arc::clone(&serving)),
    };
    let offer = ActionOffer { uid: "acme.action.go".to_owned(), bulk: true, accepts_complement: false };
    let mut snapshot = Snapshot::default();
    snapshot.types.insert(known.event_type.clone(), Arc::new(known));
    snapshot.actions.insert(offer.uid.clone(), Arc::new(ServedAction { offer, serving }));
    snapshot
}

fn code(plugin: &str, batch: Batch, now: &Snapshot) -> (String, String) {
    let refusal = check(plugin, batch, now, OFFERS_MAX).expect_err("refused");
    (refusal.code.clone(), refusal.to_string())
}

#[test]
fn a_good_batch_passes_whole() {
    let mut good = batch(&["acme.start", "acme.stop-all.v2"]);
    good.types[0].retry = Some(Retry { attempts: Some(0), first_delay_ms: Some(7), max_delay_ms: None, deadline_ms: Some(9) });
    (good.types[0].timeout_ms, good.types[0].grace_ms) = (Some(30_000), Some(0));
    good.standing.push(standing("nightly", "acme.start"));
    let checked = check("acme", good, &served_by("acme"), OFFERS_MAX).expect("its own types");
    assert_eq!(checked.offers.len(), 2);
    assert_eq!(
        checked.offers[0].retry,
        Some(RetryPolicy { attempts: 1, first_delay_ms: 7, deadline_ms: Some(9), ..RetryPolicy::default() })
    );
    let limit = checked.offers[0].time_limit;
    let ms = std::time::Duration::from_millis;
    assert_eq!((limit.timeout, limit.grace), (Some(ms(30_000)), Some(ms(1))), "no time at all is the shortest there is");
    assert_eq!(checked.offers[1].time_limit, sexton_core::TimeLimit::default());
    assert!(checked.validators["acme.start"].is_valid(&json!({})) && !checked.validators["acme.start"].is_valid(&json!(1)));
}

#[test]
fn ids_are_lower_case_dotted_words() {
    let long = format!("a.{}", "b".repeat(127));
    for bad in
        ["", "start", "Acme.start", "acme.", ".start", "acme..start", "acme.st art", "acme.stärt", "acme._x", "acme.2", long.as_str()]
    {
        let (found, text) = code("acme", batch(&[bad]), &Snapshot::default());
        assert_eq!(found, "PLG034", "{bad:?}: {text}");
    }
    let longest = format!("a.{}", "b".repeat(126));
    check("acme", batch(&[longest.as_str()]), &Snapshot::default(), OFFERS_MAX).expect("128 bytes are allowed");
}

#[test]
fn the_reserved_prefix_is_for_the_host() {
    assert_eq!(code("acme", batch(&["sexton.noop"]), &Snapshot::default()).0, "PLG032");
    check(HOST, batch(&["sexton.noop"]), &Snapshot::default(), OFFERS_MAX).expect("the host's own");
}

#[test]
fn twice_in_one_batch() {
    assert_eq!(code("acme", batch(&["acme.start", "acme.stop", "acme.start"]), &Snapshot::default()).0, "PLG033");
    let action = ActionOffer { uid: "acme.action.go".to_owned(), bulk: true, accepts_complement: true };
    let actions = Batch { actions: vec![action.clone(), action], ..Batch::default() };
    assert_eq!(code("acme", actions, &Snapshot::default()).0, "PLG033");
}

#[test]
fn what_another_serves_is_refused_with_both_names() {
    let now = served_by("first");
    let action = ActionOffer { uid: "acme.action.go".to_owned(), bulk: true, accepts_complement: true };
    for offered in [batch(&["acme.start"]), Batch { actions: vec![action], ..Batch::default() }] {
        let (found, text) = code("second", offered, &now);
        assert_eq!(found, "PLG031");
        assert!(text.contains("`first`") && text.contains("`second`"), "{text}");
    }
}

#[test]
fn a_schema_must_be_one_and_stay_at_home() {
    for schema in [
        json!({"type": "no such type"}),
        json!("text"),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"type": "string", "pattern": "(unclosed"}),
        json!({"description": "x".repeat(SCHEMA_MAX)}),
    ] {
        let mut bad = batch(&["acme.start"]);
        bad.types[0].args_schema = schema;
        let (found, text) = code("acme", bad, &Snapshot::default());
        assert_eq!(found, "PLG039", "{text}");
    }
}

#[test]
fn standing_events_belong_to_the_batch() {
    for events in [
        vec![standing("k", "acme.other")],
        vec![standing("", "acme.start")],
        vec![standing("k", "acme.start"), standing("k", "acme.start")],
    ] {
        let mut bad = batch(&["acme.start"]);
        bad.standing = events;
        assert_eq!(code("acme", bad, &Snapshot::default()).0, "PLG040");
    }
}

#[test]
fn there_is_a_limit() {
    let many: Vec<String> = (0..=OFFERS_MAX).map(|i| format!("acme.t{i}")).collect();
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(code("acme", batch(&names), &Snapshot::default()).0, "INP015");
    check("acme", batch(&names[1..]), &Snapshot::default(), OFFERS_MAX).expect("256 are allowed");
}
