//! Theme: who did what.

use super::Theme;
use super::ground::{BELL, Ground, at, every, once, tester};
use crate::rows::{Actor, AuditFilter, AuditLine, Change, Decision, Edit, Page, Verdict};
use serde_json::json;

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("audit: one line a verb, with the actor", one_line),
    ("audit: a refused verb leaves none", none),
    ("audit: pages", pages),
    ("audit: by subject and by the beginning of the verb", filters),
    ("audit: by actor and since when", actors),
];

fn lines(ground: &Ground) -> Vec<AuditLine> {
    ground.audited(&AuditFilter::default())
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
    let first = ground.store.audit_lines(&AuditFilter::default(), &Page { before: None, limit: 4 }).unwrap();
    let second = ground.store.audit_lines(&AuditFilter::default(), &Page { before: Some(first[3].0), limit: 4 }).unwrap();
    let verbs: Vec<&str> = first.iter().chain(&second).map(|(_, line)| line.verb.as_str()).collect();
    assert_eq!(verbs, ["v9", "v8", "v7", "v6", "v5", "v4", "v3", "v2"]);
}

fn filters(ground: &Ground) {
    let subjects = ["bells", "doors", "bells%", "bell"];
    let verbs = ["plugin.load", "plugin.reload", "event.pause", "plugin_x"];
    for (i, subject) in (0..).zip(subjects.iter().cycle().take(32)) {
        let verb = verbs[usize::try_from(i).unwrap() / 4 % 4].to_owned();
        let line = AuditLine { at: at(i), actor: tester(), verb, subject: format!("the {subject}"), detail: json!(i) };
        ground.store.audit(&line).unwrap();
    }
    let all = lines(ground);
    let of = |subject: Option<&str>, verb: Option<&str>| {
        let filter = AuditFilter { subject: subject.map(str::to_owned), verb_prefix: verb.map(str::to_owned), ..AuditFilter::default() };
        let is_asked = |line: &&AuditLine| {
            subject.is_none_or(|subject| line.subject == subject) && verb.is_none_or(|verb| line.verb.starts_with(verb))
        };
        let expected: Vec<_> = all.iter().filter(is_asked).map(|line| line.detail.clone()).collect();
        let found: Vec<_> = ground.audited(&filter).into_iter().map(|line| line.detail).collect();
        assert_eq!(found, expected, "{filter:?}");
        found.len()
    };
    assert_eq!(of(None, None), all.len());
    assert_eq!((of(Some("the bells"), None), of(Some("the bell"), None)), (8, 8), "the whole subject, not its beginning");
    assert_eq!(of(Some("the bells"), Some("plugin.")), 4, "no letter stands for another");
    assert_eq!((of(Some("the bells"), Some("plugin.reload")), of(None, Some("event.pause"))), (2, 8));
    assert_eq!((of(Some("the bells"), Some("")), of(Some("nobody"), None), of(None, Some("lugin"))), (8, 0, 0));
    assert_eq!(of(Some("the bells%"), Some("%")), 0);
    let filter = AuditFilter { subject: Some("the doors".to_owned()), verb_prefix: Some("plugin".to_owned()), ..AuditFilter::default() };
    let page = |before| ground.store.audit_lines(&filter, &Page { before, limit: 4 }).unwrap();
    let (first, second) = (page(None), page(page(None).last().map(|(id, _)| *id)));
    let seen: Vec<_> = first.into_iter().chain(second).map(|(_, line)| line.detail).collect();
    assert_eq!(seen, [29, 21, 17, 13, 5, 1].map(|i| json!(i)).to_vec(), "pages of what is asked for");
}

fn actors(ground: &Ground) {
    for (second, actor) in (10..).zip(["cli:ada", "cli:adam", "watcher", "plugin:bells", "cli:ada", "a_cli:ada"]) {
        let actor = Actor(actor.to_owned());
        ground
            .store
            .audit(&AuditLine { at: at(second), actor, verb: "v".to_owned(), subject: String::new(), detail: json!(second) })
            .unwrap();
    }
    let of = |actor: Option<&str>, since: Option<i64>| -> Vec<i64> {
        let filter = AuditFilter { actor: actor.map(str::to_owned), since: since.map(at), ..AuditFilter::default() };
        ground.audited(&filter).into_iter().filter_map(|line| line.detail.as_i64()).collect()
    };
    assert_eq!(of(Some("cli:ada"), None), [10, 14], "exactly that one");
    assert_eq!(of(Some("cli:"), None), [10, 11, 14], "all that begin so");
    assert_eq!((of(Some("watcher"), None), of(Some("watch"), None)), (vec![12], vec![]));
    assert_eq!(of(None, Some(13)), [13, 14, 15], "that instant is in it");
    assert_eq!((of(Some("cli:ada"), Some(11)), of(None, Some(16))), (vec![14], vec![]));
    assert_eq!(of(Some("%:"), None), [0_i64; 0]);
}
