//! Theme: alerts: what the rows say about their subjects, and that one is moved and told in one transaction.
//!
//! Not the decision: that has a table of its own in the core. What must hold: what is found is compared with the runs that were settled.

use super::Theme;
use super::ground::{BELL, DOOR, Ground, at, code, every, once, tester};
use crate::rows::{AlertFound, AlertMove, AlertRow, AuditFilter, Change, PrunePlace, Pruning, Spent};
use serde_json::{Value, json};
use sexton_core::NewEvent;
use sexton_core::decide::End;
use sexton_core::decide::alert::{Alert, AlertStanding};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("alerts: are set, replaced and removed, each with its line", set_and_removed),
    ("alerts: what is known of an event", of_event),
    ("alerts: what is known of a type, also of pruned runs", of_type),
    ("alerts: what began late since somebody looked", late),
    ("alerts: moved and told together, and only as it was looked at", moved),
    ("alerts: runs that one asks about are not pruned", spared),
];

fn alert(json: Value) -> Alert {
    serde_json::from_value(json).unwrap()
}

fn set(ground: &Ground, name: &str, definition: Value, second: i64) -> AlertRow {
    ground.store.set_alert(&ground.lease, name, &alert(definition), &tester(), at(second)).unwrap();
    row(ground, name)
}

fn row(ground: &Ground, name: &str) -> AlertRow {
    ground.store.alerts().unwrap().into_iter().find(|row| row.name == name).unwrap()
}

fn found(ground: &Ground, row: &AlertRow) -> AlertFound {
    ground.store.alert_facts(row).unwrap()
}

fn set_and_removed(ground: &Ground) {
    let id = ground.schedule(every(10));
    set(ground, "b", json!({"event": id, "failed": 3, "notify": DOOR}), 1);
    let first = set(ground, "a", json!({"event_type": BELL, "late": "5m", "notify": DOOR, "args": {"to": "ops"}}), 2);
    assert_eq!(ground.store.alerts().unwrap().iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let second = set(ground, "a", json!({"event_type": BELL, "late": "6m", "notify": DOOR}), 3);
    assert!(second.version > first.version && second.alert != first.alert);
    let refused = |definition| code(ground.store.set_alert(&ground.lease, "c", &alert(definition), &tester(), at(4)));
    assert_eq!(refused(json!({"event": ground.id(), "failed": 3, "notify": DOOR})), "INP009");
    assert_eq!(refused(json!({"event_type": "no.such", "failed": 3, "notify": DOOR})), "INP001");
    assert_eq!(refused(json!({"event_type": BELL, "notify": DOOR})), "INP042");
    let remove = |name| ground.store.remove_alert(&ground.lease, name, &tester(), at(5)).unwrap();
    assert_eq!((remove("a"), remove("a"), remove("b")), (true, false, true));
    assert!(ground.store.alerts().unwrap().is_empty());
    let lines = ground.audited(&AuditFilter { verb_prefix: Some("alert.".to_owned()), ..AuditFilter::default() });
    let told: Vec<_> = lines.iter().map(|line| (line.verb.as_str(), line.subject.as_str())).collect();
    assert_eq!(told, [("alert.set", "b"), ("alert.set", "a"), ("alert.set", "a"), ("alert.remove", "a"), ("alert.remove", "b")]);
}

fn of_event(ground: &Ground) {
    let id = ground.schedule(every(10));
    let row = set(ground, "a", json!({"event": id, "failed": 3, "notify": DOOR}), 5);
    let facts = found(ground, &row).facts;
    assert_eq!((facts.is_on, facts.waited_from, facts.last_success, facts.failed_in_a_row), (true, at(5), None, 0), "from when it was set");
    ground.settle(&ground.claim_one(10), End::Succeeded, 11);
    for second in [20, 30] {
        ground.settle(&ground.claim_one(second), End::Failed { permanent: true }, second);
    }
    ground.settle(&ground.claim_one(40), End::Cancelled, 40);
    let facts = found(ground, &row).facts;
    assert_eq!((facts.last_success, facts.failed_in_a_row, facts.last_error.as_deref()), (Some(at(11)), 2, Some("the rope broke")));
    assert_eq!(facts.waited_from, at(0), "it was created then");
    ground.alter(id, &Change::Pause { note: None }, 41).unwrap();
    assert!(!found(ground, &row).facts.is_on);
    assert!(found(ground, &row).waiting.is_empty(), "what is held is not waited for");
    ground.alter(id, &Change::Resume, 600).unwrap();
    let after = found(ground, &row);
    assert_eq!((after.facts.is_on, after.facts.waited_from), (true, at(600)), "a resume begins anew");
    assert_eq!(after.waiting.len(), 1);
    ground.alter(id, &Change::Cancel, 601).unwrap();
    assert!(!found(ground, &row).facts.is_on);
    let claimed = ground.schedule(once(700));
    let row = set(ground, "b", json!({"event": claimed, "late": "1m", "notify": DOOR}), 650);
    let occurrence = ground.claim_one(700);
    assert_eq!(found(ground, &row).waiting, [(Some(occurrence.id), at(700))], "claimed and not ended");
}

fn of_type(ground: &Ground) {
    let row = set(ground, "a", json!({"event_type": BELL, "did_not_run": "1h", "notify": DOOR}), 5);
    assert!(!found(ground, &row).facts.is_on, "there is none of it");
    ground.schedule(every(10));
    ground.settle(&ground.claim_one(10), End::Succeeded, 10);
    for second in [20, 4_000, 8_000] {
        let occurrence = ground.claim_one(second);
        ground.settle(&occurrence, End::Failed { permanent: true }, second);
    }
    let known = |ground: &Ground| {
        let AlertFound { facts, waiting, .. } = found(ground, &row);
        (facts.is_on, facts.last_success, facts.failed_in_a_row, waiting.len())
    };
    assert_eq!(known(ground), (true, Some(at(10)), 3, 1), "over more hours than one");
    assert_eq!(found(ground, &row).facts.last_error.as_deref(), Some("the rope broke"));
    while ground.prune(1_000_000, 100) > 0 {}
    assert_eq!(known(ground), (true, Some(at(10)), 3, 1), "it is known though its runs are gone");
}

fn late(ground: &Ground) {
    let of = |event_type: &str, second: i64| NewEvent { event_type: event_type.to_owned(), ..once(second) };
    let ran = |event_type: &str, due: i64, ended: i64| {
        let id = ground.schedule(of(event_type, due));
        let occurrence = ground.claim(due).into_iter().find(|o| o.id.event == id).unwrap();
        ground.settle(&occurrence, End::Succeeded, ended);
        occurrence.id
    };
    ran(BELL, 10, 500);
    let row = set(ground, "a", json!({"event_type": BELL, "late": "1m", "notify": DOOR}), 500);
    let facts = found(ground, &row).facts;
    assert_eq!((facts.late, facts.is_in_time), (None, false), "what was before it was set is not asked about");
    ran(DOOR, 20, 600);
    ran(BELL, 600, 601);
    let facts = found(ground, &row).facts;
    assert_eq!((facts.late, facts.is_in_time), (None, true), "the other type is not asked about");
    let (first, second) = (ran(BELL, 610, 900), ran(BELL, 620, 900));
    let worst = found(ground, &row).facts.late.unwrap();
    assert_eq!((worst.occurrence, worst.due_at), (Some(second), at(620)), "the newest");
    let of_one = set(ground, "b", json!({"event": first.event, "late": "1m", "notify": DOOR}), 1_000);
    assert_eq!(found(ground, &of_one).facts.late, None, "set after it");
    let looked = AlertRow { standing: AlertStanding { seen: 0, ..of_one.standing.clone() }, ..of_one };
    assert_eq!(found(ground, &looked).facts.late.unwrap().occurrence, Some(first));
}

fn moved(ground: &Ground) {
    let row = set(ground, "a", json!({"event_type": BELL, "failed": 1, "notify": DOOR}), 1);
    let tells = ground.intention(NewEvent { event_type: DOOR.to_owned(), ..once(10) });
    let raised = AlertStanding { raised_at: Some(at(10)), told_at: Some(at(10)), times: 1, episodes: 1, ..row.standing.clone() };
    let step = |row: &AlertRow, how, tells| ground.store.move_alert(&ground.lease, row, (&raised, how), tells, at(10)).unwrap();
    assert!(step(&row, AlertMove::Told, Some(&tells)));
    let (stands, stored) = (self::row(ground, "a"), ground.events().len());
    assert_eq!((&stands.standing, stored), (&raised, 1));
    let again = ground.intention(NewEvent { event_type: DOOR.to_owned(), ..once(10) });
    assert!(!step(&row, AlertMove::Told, Some(&again)), "looked at before it moved");
    assert_eq!(ground.events().len(), 1, "nothing is told twice");
    // A notification that cannot be stored leaves the alert as it was.
    let mut wrong = again.clone();
    wrong.type_id = sexton_core::TypeId(9_999);
    ground.store.move_alert(&ground.lease, &stands, (&AlertStanding::default(), AlertMove::Told), Some(&wrong), at(11)).unwrap_err();
    assert_eq!(self::row(ground, "a").standing, raised);
    assert!(step(&stands, AlertMove::Noted, None));
    let latest = self::row(ground, "a");
    ground.store.remove_alert(&ground.lease, "a", &tester(), at(12)).unwrap();
    assert!(!step(&latest, AlertMove::Cleared, None), "it is gone");
    let lines = ground.audited(&AuditFilter { subject: Some("a".to_owned()), ..AuditFilter::default() });
    let raises = lines.iter().filter(|line| line.verb == "alert.raise").count();
    assert_eq!((raises, lines[1].actor.0.as_str(), &lines[1].detail["event"]), (1, "host", &json!(tells.id)));
}

fn spared(ground: &Ground) {
    let (watched, other) = (ground.schedule(every(10)), ground.schedule(NewEvent { event_type: DOOR.to_owned(), ..every(10) }));
    set(ground, "a", json!({"event": watched, "did_not_run": "1d", "notify": DOOR}), 1);
    for occurrence in ground.claim(10) {
        ground.settle(&occurrence, End::Succeeded, 10);
    }
    let day = 86_400;
    let prune = |now: i64| {
        let mut what = Pruning { spent: Spent::Before(at(now)), dry_run: false, from: PrunePlace::default(), limit: 10 };
        while let Some(next) = ground.store.prune(&what, at(now)).unwrap().next {
            what.from = next;
        }
        (ground.runs(watched).len(), ground.runs(other).len())
    };
    assert_eq!(prune(day), (1, 0), "the alert asks about a day, and a day more");
    assert_eq!(prune(2 * day + 100), (0, 0), "now it does not");
}
