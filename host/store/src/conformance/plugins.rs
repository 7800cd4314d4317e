//! Theme: who owns which type, decisions, generations, a plugin's own keys.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, offer, once, tester};
use crate::rows::{Actor, Change, Decision, Offer, Verdict};
use serde_json::json;
use sexton_core::{RetryPolicy, TimeLimit};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("plugins: the first to publish owns a type", ownership),
    ("plugins: what is offered is remembered", offers),
    ("plugins: a released type may be taken by another", release),
    ("plugins: types on which no event is left are released together", release_unused),
    ("plugins: the number of a generation is never given twice", generations),
    ("plugins: what each generation was", history),
    ("plugins: one decision at a time", decisions),
    ("plugins: state by versions", state),
    ("plugins: state has limits", state_limits),
];

fn publish(ground: &Ground, plugin: &str, offers: &[Offer]) -> crate::store::Result<Vec<crate::rows::TypeRow>> {
    let generation = ground.store.new_generation(plugin, "d9", at(1)).unwrap();
    ground.store.publish(&ground.lease, plugin, generation, offers, &[], &tester(), at(1))
}

fn owner(ground: &Ground, event_type: &str) -> Option<Option<String>> {
    ground.store.types().unwrap().into_iter().find(|row| row.event_type == event_type).map(|row| row.owner)
}

fn ownership(ground: &Ground) {
    let refused = publish(ground, "thieves", &[offer("thieves.own"), offer(BELL)]);
    let sentence = refused.as_ref().unwrap_err().to_string();
    assert_eq!(code(refused), "PLG031");
    assert!(sentence.contains("bells") && sentence.contains("thieves"), "both owners are named: {sentence}");
    assert_eq!(owner(ground, "thieves.own"), None, "nothing of the batch was published");
    assert_eq!(owner(ground, BELL), Some(Some("bells".to_owned())));
    let rows = publish(ground, "bells", &[offer("acme.second"), offer(BELL)]).unwrap();
    assert_eq!(rows.iter().map(|row| row.event_type.as_str()).collect::<Vec<_>>(), ["acme.second", BELL], "in the order of the offers");
    assert_eq!(rows[1].id, ground.bell, "a newer generation of the owner takes over, under the same number");
    publish(ground, "host", &[offer("sexton.noop")]).unwrap();
    assert_eq!(owner(ground, "sexton.noop"), Some(Some("host".to_owned())));
}

fn offers(ground: &Ground) {
    let retry = RetryPolicy { attempts: 9, first_delay_ms: 1, max_delay_ms: 2, deadline_ms: None };
    let time_limit = TimeLimit { timeout: Some(std::time::Duration::from_secs(30)), grace: None };
    let schema = |one: &str, two: &str| serde_json::from_str(&format!(r#"{{"{one}": {{"b": 1, "a": 2}}, "{two}": 3}}"#)).unwrap();
    let with = |args_schema| Offer { event_type: BELL.to_owned(), args_schema, retry: Some(retry.clone()), time_limit };
    let before = ground.store.types().unwrap().into_iter().find(|row| row.event_type == BELL).unwrap();
    let row = publish(ground, "bells", &[with(schema("x", "y"))]).unwrap().remove(0);
    assert_eq!((&row.args_schema, &row.retry), (&json!({"x": {"a": 2, "b": 1}, "y": 3}), &Some(retry.clone())));
    assert_eq!((row.time_limit, before.time_limit), (time_limit, TimeLimit::default()));
    assert_eq!(row.first_seen_at, before.first_seen_at);
    assert_ne!(row.schema_digest, before.schema_digest);
    assert_eq!(row.schema_digest.len(), 64);
    let other = publish(ground, "bells", &[with(json!({"y": 3, "x": {"a": 2, "b": 1}}))]).unwrap().remove(0);
    assert_eq!(row.schema_digest, other.schema_digest, "the digest does not depend on the order of members");
    let known = ground.store.plugins().unwrap().into_iter().find(|row| row.name == "bells").unwrap();
    assert_eq!(known.last_generation.map(|(_, digest)| digest).as_deref(), Some("d9"));
}

fn release(ground: &Ground) {
    assert_eq!(code(ground.store.release_type("no.such", &tester(), at(2))), "INP001");
    ground.schedule(once(10));
    assert_eq!(ground.store.release_type(BELL, &tester(), at(2)).unwrap().as_deref(), Some("bells"));
    assert_eq!(owner(ground, BELL), Some(None), "an event waits on it: known, but nobody's");
    assert_eq!(ground.store.release_type(DOOR, &tester(), at(2)).unwrap().as_deref(), Some("doors"));
    assert_eq!(owner(ground, DOOR), None, "released and unused");
    let row = publish(ground, "ringers", &[offer(BELL)]).unwrap().remove(0);
    assert_eq!((row.id, row.owner.as_deref()), (ground.bell, Some("ringers")));
    assert_eq!(ground.claim(10).len(), 1, "its events are served by whoever owns it now");
}

fn release_unused(ground: &Ground) {
    publish(ground, "bells", &[offer("acme.unused")]).unwrap();
    let waiting = ground.schedule(once(10));
    assert_eq!(ground.store.release_unused("bells", &tester(), at(2)).unwrap(), ["acme.unused"]);
    assert_eq!(owner(ground, BELL), Some(Some("bells".to_owned())), "an event is left");
    assert!(ground.store.release_unused("nobody", &tester(), at(2)).unwrap().is_empty());
    ground.alter(waiting, &Change::Cancel, 3).unwrap();
    assert_eq!(ground.store.release_unused("bells", &tester(), at(4)).unwrap(), [BELL]);
    publish(ground, "thieves", &[offer(BELL)]).unwrap();
}

fn generations(ground: &Ground) {
    let mut last = 0;
    for plugin in ["a", "b", "a", "a"] {
        let number = ground.store.new_generation(plugin, "d", at(1)).unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    let names: Vec<String> = ground.store.plugins().unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["a", "b", "bells", "doors"]);
}

fn history(ground: &Ground) {
    let store = &ground.store;
    let of_bells = |limit| store.generations("bells", limit).unwrap();
    let first = of_bells(10).remove(0);
    assert_eq!((first.plugin.as_str(), first.digest.as_str(), first.placement.as_deref()), ("bells", "d1", None));
    assert_eq!((first.created_at, first.published_at), (at(0), Some(at(0))));
    let rejected = store.new_generation("bells", "d2", at(10)).unwrap();
    let served = store.new_generation("bells", "d3", at(20)).unwrap();
    store.placed(served, "runner").unwrap();
    assert_eq!(of_bells(10)[0].published_at, None, "placed, and not published yet");
    let publish = |plugin: &str, event_type: &str, number, seconds| {
        store.publish(&ground.lease, plugin, number, &[offer(event_type)], &[], &tester(), at(seconds))
    };
    assert_eq!(code(publish("bells", DOOR, served, 21)), "PLG031");
    assert_eq!(of_bells(10)[0].published_at, None, "refused: as before");
    publish("bells", BELL, served, 22).unwrap();
    publish("bells", BELL, served, 99).unwrap();
    publish("doors", DOOR, rejected, 23).unwrap();
    let seen: Vec<_> =
        of_bells(10).into_iter().map(|row| (row.number, row.digest, row.placement, row.created_at, row.published_at)).collect();
    let expected = [
        (served, "d3".to_owned(), Some("runner".to_owned()), at(20), Some(at(22))),
        (rejected, "d2".to_owned(), None, at(10), None),
        (first.number, "d1".to_owned(), None, at(0), Some(at(0))),
    ];
    assert_eq!(seen, expected, "newest first; published once, and not under another's name");
    assert_eq!(of_bells(2).into_iter().map(|row| row.number).collect::<Vec<_>>(), [served, rejected]);
    store.placed(served, "in-process").unwrap();
    store.placed(served + 1_000, "runner").unwrap();
    assert_eq!(of_bells(1)[0].placement.as_deref(), Some("in-process"), "the later word stands");
    assert!(of_bells(0).is_empty() && store.generations("unheard-of", 10).unwrap().is_empty());
    assert_eq!(store.generations("doors", 10).unwrap().len(), 1);
}

fn decisions(ground: &Ground) {
    let decision = |verdict, serve: Option<&str>| Decision {
        verdict,
        digest: "d1".to_owned(),
        by: Actor("cli:root".to_owned()),
        at: at(5),
        serve: serve.map(str::to_owned),
    };
    let known = |name: &str| ground.store.plugins().unwrap().into_iter().find(|row| row.name == name).and_then(|row| row.decision);
    assert_eq!(known("bells"), None);
    for decision in [decision(Verdict::Unload, None), decision(Verdict::Rollback, Some("d0")), decision(Verdict::Quarantine, None)] {
        ground.store.decide("bells", Some(&decision), &tester(), at(6)).unwrap();
        assert_eq!(known("bells"), Some(decision));
    }
    ground.store.decide("bells", None, &tester(), at(7)).unwrap();
    assert_eq!(known("bells"), None);
    ground.store.decide("unheard-of", Some(&decision(Verdict::Unload, None)), &tester(), at(8)).unwrap();
    assert!(known("unheard-of").is_some());
}

fn state(ground: &Ground) {
    let store = &ground.store;
    assert_eq!(store.state_get("bells", "seen").unwrap(), (None, 0));
    let first = store.state_put("bells", "seen", Some(&json!({"n": 1})), Some(0)).unwrap().unwrap();
    assert_eq!(store.state_get("bells", "seen").unwrap(), (Some(json!({"n": 1})), first));
    assert_eq!(store.state_get("doors", "seen").unwrap(), (None, 0), "keys are each plugin's own");
    assert_eq!(store.state_put("bells", "seen", Some(&json!(2)), Some(0)).unwrap(), Err(first), "somebody wrote meanwhile");
    let second = store.state_put("bells", "seen", Some(&json!(2)), Some(first)).unwrap().unwrap();
    assert!(second > first);
    let third = store.state_put("bells", "seen", Some(&json!(null)), None).unwrap().unwrap();
    assert_eq!(store.state_get("bells", "seen").unwrap(), (Some(json!(null)), third), "null is a value");
    assert_eq!(store.state_put("bells", "seen", None, Some(second)).unwrap(), Err(third));
    assert_eq!(store.state_put("bells", "seen", None, Some(third)).unwrap(), Ok(0));
    assert_eq!(store.state_get("bells", "seen").unwrap(), (None, 0));
    let anew = store.state_put("bells", "seen", Some(&json!(4)), None).unwrap().unwrap();
    assert!(anew > third, "a version is never given twice, not even after a removal");
    store.state_put("bells", "a", Some(&json!("é")), None).unwrap().unwrap();
    let keys: Vec<_> = store.state_keys("bells").unwrap().into_iter().map(|row| (row.key, row.bytes)).collect();
    assert_eq!(keys, [("a".to_owned(), 4), ("seen".to_owned(), 1)], "bytes, not characters");
    assert!(store.state_keys("doors").unwrap().is_empty());
}

fn state_limits(ground: &Ground) {
    let store = &ground.store;
    let put = |key: &str, value: &serde_json::Value| store.state_put("bells", key, Some(value), None);
    put(&"k".repeat(256), &json!(1)).unwrap().unwrap();
    assert_eq!(code(put(&"k".repeat(257), &json!(1))), "INP015");
    assert_eq!(code(put("", &json!(1))), "INP015");
    put("big", &json!("v".repeat(64 * 1024 - 2))).unwrap().unwrap();
    assert_eq!(code(put("big", &json!("v".repeat(64 * 1024 - 1)))), "INP015");
    // From several threads at once: a thousand commits one after the other would be a thousand fsyncs.
    std::thread::scope(|scope| {
        for caller in 0..16 {
            scope.spawn(move || {
                for i in (2..1_000).filter(|i| i % 16 == caller) {
                    put(&format!("key{i}"), &json!(i)).unwrap().unwrap();
                }
            });
        }
    });
    assert_eq!(code(put("one too many", &json!(1))), "INP015");
    put("key7", &json!("present ones can be written")).unwrap().unwrap();
    store.state_put("bells", "key8", None, None).unwrap().unwrap();
    put("one too many", &json!(1)).unwrap().unwrap();
    store.state_put("doors", "k", Some(&json!(1)), None).unwrap().unwrap();
}
