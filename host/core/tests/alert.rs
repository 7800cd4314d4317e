//! The table of alerts: condition × how it stands × what was found, and what is to be done.
//!
//! Not the rows that are asked. What must hold: every condition is shown raised, told again, quiet and cleared.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sexton_core::decide::alert::{Alert, AlertFacts, AlertStanding, LateOne, Move, alert, described, filled};

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + 60 * minutes, 0).expect("an instant")
}

fn set(condition: &Value) -> Alert {
    let mut definition = json!({"event_type": "a.b", "notify": "c.d"});
    definition.as_object_mut().expect("an object").extend(condition.as_object().expect("an object").clone());
    serde_json::from_value(definition).expect("an alert")
}

fn facts() -> AlertFacts {
    AlertFacts { is_on: true, waited_from: at(0), last_success: None, failed_in_a_row: 0, last_error: None, late: None, is_in_time: false }
}

fn raised(told: i64) -> AlertStanding {
    AlertStanding { raised_at: Some(at(0)), told_at: Some(at(told)), times: 1, episodes: 1, ..AlertStanding::default() }
}

fn late(started: Option<i64>) -> Option<LateOne> {
    Some(LateOne { occurrence: None, due_at: at(10), started_at: started.map(at) })
}

/// `raise`, `again`, `clear` or `stay`.
fn word(of: &Move) -> &'static str {
    match of {
        Move::Tell { again: false, .. } => "raise",
        Move::Tell { again: true, .. } => "again",
        Move::Clear => "clear",
        Move::Stay => "stay",
    }
}

#[test]
fn the_table() {
    let quiet = AlertStanding::default();
    let did_not_run = set(&json!({"did_not_run": "1h", "again": "30m"}));
    let once = set(&json!({"did_not_run": "1h"}));
    let failed = set(&json!({"failed": 3, "again": "30m"}));
    let too_late = set(&json!({"late": "5m", "again": "30m"}));
    let f = facts;
    let cells = [
        ("nothing is due yet", &did_not_run, &quiet, f(), 60, "stay"),
        ("an hour without success", &did_not_run, &quiet, f(), 61, "raise"),
        ("success counts", &did_not_run, &quiet, AlertFacts { last_success: Some(at(30)), ..f() }, 90, "stay"),
        ("and is over", &did_not_run, &quiet, AlertFacts { last_success: Some(at(30)), ..f() }, 91, "raise"),
        ("resumed since", &did_not_run, &quiet, AlertFacts { last_success: Some(at(-600)), waited_from: at(50), ..f() }, 91, "stay"),
        ("paused", &did_not_run, &quiet, AlertFacts { is_on: false, ..f() }, 999, "stay"),
        ("told already", &did_not_run, &raised(61), f(), 90, "stay"),
        ("told again", &did_not_run, &raised(61), f(), 91, "again"),
        ("never told again", &once, &raised(61), f(), 9_999, "stay"),
        ("it ran", &did_not_run, &raised(61), AlertFacts { last_success: Some(at(70)), ..f() }, 71, "clear"),
        ("paused while raised", &did_not_run, &raised(61), AlertFacts { is_on: false, ..f() }, 71, "clear"),
        ("two failures", &failed, &quiet, AlertFacts { failed_in_a_row: 2, ..f() }, 1, "stay"),
        ("three", &failed, &quiet, AlertFacts { failed_in_a_row: 3, ..f() }, 1, "raise"),
        ("three of what is over", &failed, &quiet, AlertFacts { failed_in_a_row: 3, is_on: false, ..f() }, 1, "raise"),
        ("more", &failed, &raised(1), AlertFacts { failed_in_a_row: 4, ..f() }, 2, "stay"),
        ("more, later", &failed, &raised(1), AlertFacts { failed_in_a_row: 9, ..f() }, 31, "again"),
        ("over: once is enough", &failed, &raised(1), AlertFacts { failed_in_a_row: 9, is_on: false, ..f() }, 31, "stay"),
        ("a success", &failed, &raised(1), AlertFacts { last_success: Some(at(2)), ..f() }, 2, "clear"),
        ("nothing known", &too_late, &quiet, f(), 11, "stay"),
        ("not begun", &too_late, &quiet, AlertFacts { late: late(None), ..f() }, 16, "raise"),
        ("began late", &too_late, &quiet, AlertFacts { late: late(Some(16)), is_in_time: true, ..f() }, 20, "raise"),
        ("nothing new", &too_late, &raised(16), f(), 99, "stay"),
        ("still late", &too_late, &raised(16), AlertFacts { late: late(None), ..f() }, 46, "again"),
        ("in time again", &too_late, &raised(16), AlertFacts { is_in_time: true, ..f() }, 20, "clear"),
        ("in time all along", &too_late, &quiet, AlertFacts { is_in_time: true, ..f() }, 20, "stay"),
        ("cancelled while late", &too_late, &raised(16), AlertFacts { is_on: false, ..f() }, 20, "clear"),
    ];
    for (why, of, standing, found, minute, expected) in cells {
        assert_eq!(word(&alert(of, standing, &found, at(minute))), expected, "{why}");
    }
}

#[test]
fn what_is_said_names_the_thing_and_the_limit() {
    let said = |of: &Alert, found: &AlertFacts, minute| match alert(of, &AlertStanding::default(), found, at(minute)) {
        Move::Tell { text, .. } => text,
        other => panic!("{other:?}"),
    };
    let facts = AlertFacts { failed_in_a_row: 3, last_error: Some("no disk".to_owned()), late: late(Some(16)), ..facts() };
    assert_eq!(said(&set(&json!({"did_not_run": "2h"})), &facts, 121), "`a.b` has not succeeded for 2 hours: no success is known");
    assert_eq!(said(&set(&json!({"failed": 1})), &facts, 1), "`a.b` failed 3 times in a row: no disk");
    let told = said(&set(&json!({"late": "5m"})), &facts, 20);
    assert_eq!(told, "`a.b`, due at 2027-01-15T08:10:00Z, began 6m late; 5m is the limit");
}

#[test]
fn a_description_has_the_same_fields_whatever_the_condition() {
    let now = at(20);
    let fields = |condition: Value| {
        let of = set(&condition);
        let value = described("night", &of, &raised(1), &AlertFacts { late: late(None), ..facts() }, ("so it is", at(3)), now);
        value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
    };
    let all = fields(json!({"failed": 2}));
    assert_eq!(all.len(), 15, "{all:?}");
    assert_eq!((fields(json!({"late": "5m"})), fields(json!({"did_not_run": "5m"}))), (all.clone(), all));
    let value =
        described("night", &set(&json!({"late": "5m"})), &raised(1), &AlertFacts { late: late(None), ..facts() }, ("x", at(3)), now);
    assert_eq!((&value["limit"], &value["times"], &value["late_ms"]), (&json!("5m"), &json!(2), &json!(600_000)));
    assert_eq!(now - at(10), TimeDelta::minutes(10));
}

#[test]
fn arguments_take_the_description_where_they_name_it_else_as_a_whole() {
    let described = json!({"text": "it failed", "times": 3, "last_error": null});
    assert_eq!(filled(&json!({"to": "ops"}), &described), json!({"to": "ops", "alert": described}));
    for (given, made) in [
        (json!({"body": "{alert.text}!"}), json!({"body": "it failed!"})),
        (json!({"a": [{"b": "{alert.times}x{alert.times}"}], "n": 1}), json!({"a": [{"b": "3x3"}], "n": 1})),
        (json!({"a": "{alert.last_error}."}), json!({"a": "."})),
        (json!({"a": "{alert.text", "b": "{alert.text}"}), json!({"a": "{alert.text", "b": "it failed"})),
    ] {
        assert_eq!(filled(&given, &described), made);
    }
    let unknown = json!({"a": "{alert.nothing} {alert.}"});
    assert_eq!(filled(&unknown, &described), json!({"a": "{alert.nothing} {alert.}", "alert": described}), "no such field");
}

#[test]
fn an_alert_that_cannot_be_meant_is_refused() {
    for wrong in [
        json!({"notify": "c.d", "failed": 1}),
        json!({"notify": "c.d", "event_type": "a.b"}),
        json!({"notify": "c.d", "event_type": "a.b", "failed": 1, "late": "5m"}),
        json!({"notify": "c.d", "event_type": "a.b", "failed": 0}),
        json!({"notify": "c.d", "event_type": "a.b", "failed": 1001}),
        json!({"notify": "c.d", "event_type": "a.b", "late": "10ms"}),
        json!({"notify": "c.d", "event_type": "a.b", "failed": 1, "again": "0s"}),
        json!({"notify": "c.d", "event_type": "a.b", "failed": 1, "args": [1]}),
    ] {
        let read: Alert = serde_json::from_value(wrong.clone()).expect("its fields are known");
        assert_eq!(read.check().expect_err("refused").code, "INP042", "{wrong}");
    }
    assert_eq!(set(&json!({"late": "1s"})).check(), Ok(()));
    assert!(serde_json::from_value::<Alert>(json!({"notify": "c.d", "event_type": "a.b", "failed": 1, "to": 2})).is_err());
}
