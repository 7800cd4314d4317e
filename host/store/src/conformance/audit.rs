//! Theme: who did what.

use super::Theme;
use super::ground::{BELL, Ground, at, every, once, tester};
use crate::rows::{Actor, AuditLine, Change, Decision, Edit, Page, Verdict};
use serde_json::json;

/// The themes of this file.
pub const THEMES: &[Theme] =
    &[("audit: one line a verb, with the actor", one_line), ("audit: a refused verb leaves none", none), ("audit: pages", pages)];

fn lines(ground: &Ground) -> Vec<AuditLine> {
    let lines = ground.store.audit_lines(&Page { before: None, limit: 1_000 }).unwrap();
    lines.into_iter().rev().map(|(_, line)| line).collect()
}

fn one_line(ground: &Ground) {
    let before = lines(ground).len();
    let batch: Vec<_> = (0..5).map(|i| ground.intention(every(60 + i))).collect();
    let id = batch[0].id;
    ground.store.schedule(&ground.lease, &batch, &Actor("cli:root".to_owned()), at(1)).unwrap();
    ground.alter(id, &Change::Pause { note: Some("why".to_owned()) }, 2).unwrap();
    ground.alter(id, &Change::Resume, 3).unwrap();
    ground.alter(id, &Change::RunNow, 4).unwrap();
    ground.alter(id, &Change::Edit(Box::new(Edit { priority: Some(1), ..Edit::default() })), 5).unwrap();
    ground.alter(id, &Change::Cancel, 6).unwrap();
    let decision = Decision { verdict: Verdict::Unload, digest: "d".to_owned(), by: tester(), at: at(7), serve: None };
    ground.store.decide("bells", Some(&decision), &tester(), at(7)).unwrap();
    ground.store.release_type(BELL, &tester(), at(8)).unwrap();
    let own =
        AuditLine { at: at(9), actor: tester(), verb: "plugin.load".to_owned(), subject: "bells".to_owned(), detail: json!({"x": [1]}) };
    ground.store.audit(&own).unwrap();
    let lines = lines(ground).split_off(before);
    let verbs: Vec<&str> = lines.iter().map(|line| line.verb.as_str()).collect();
    let expected = [
        "event.schedule",
        "event.pause",
        "event.resume",
        "event.run_now",
        "event.edit",
        "event.cancel",
        "plugin.decision",
        "type.release",
        "plugin.load",
    ];
    assert_eq!(verbs, expected);
    assert_eq!(
        (lines[0].actor.0.as_str(), lines[0].at, &lines[0].detail["count"]),
        ("cli:root", at(1), &json!(5)),
        "one line for the batch"
    );
    assert_eq!((lines[1].subject.clone(), &lines[1].detail["note"]), (id.to_string(), &json!("why")));
    assert_eq!(lines[8].detail, own.detail);
}

fn none(ground: &Ground) {
    let id = ground.schedule(once(10));
    let before = lines(ground).len();
    ground.alter(id, &Change::Resume, 1).unwrap_err();
    ground.store.release_type("no.such", &tester(), at(1)).unwrap_err();
    let twice = ground.intention(once(1));
    ground.store.schedule(&ground.lease, &[twice.clone(), twice], &tester(), at(1)).unwrap_err();
    assert_eq!(lines(ground).len(), before);
}

fn pages(ground: &Ground) {
    for i in 0..10 {
        let line = AuditLine { at: at(i), actor: tester(), verb: format!("v{i}"), subject: String::new(), detail: json!(null) };
        ground.store.audit(&line).unwrap();
    }
    let first = ground.store.audit_lines(&Page { before: None, limit: 4 }).unwrap();
    let second = ground.store.audit_lines(&Page { before: Some(first[3].0), limit: 4 }).unwrap();
    let verbs: Vec<&str> = first.iter().chain(&second).map(|(_, line)| line.verb.as_str()).collect();
    assert_eq!(verbs, ["v9", "v8", "v7", "v6", "v5", "v4", "v3", "v2"]);
}
