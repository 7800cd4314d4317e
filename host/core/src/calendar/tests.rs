//! Calendars against tables written from the calendar, and against sampling.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn calendar(json: &Value) -> Calendar {
    Calendar::read(json).unwrap_or_else(|refusal| panic!("{json}: {refusal}"))
}

fn instant_of(text: &str) -> DateTime<Utc> {
    instant::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

/// Edges from `from` on: what the calendar says there, and each instant at which that changes.
fn edges(calendar: &Calendar, from: &str, most: usize) -> (bool, Vec<String>) {
    let mut at = instant_of(from);
    let first = calendar.span_at(at).expect("an answer");
    let (mut inside, mut found, mut asked) = (first.inside, Vec::new(), 0);
    while found.len() < most && at < instant::last() {
        let span = calendar.span_at(at).expect("an answer");
        assert!(span.until > at, "{at}");
        if span.inside != inside {
            found.push(at.format("%FT%TZ").to_string());
            inside = span.inside;
        }
        at = span.until;
        asked += 1;
        assert!(asked < 2_000, "the answers reach far enough: {found:?}");
    }
    (first.inside, found)
}

#[track_caller]
fn has_edges(json: &Value, from: &str, wanted: &[&str]) {
    let (inside, found) = edges(&calendar(json), from, wanted.len());
    assert!(!inside, "{json} begins outside");
    assert_eq!(found, wanted, "{json}");
}

#[test]
fn dates_are_whole_days_of_the_zone_and_ranges_hold_their_last() {
    let dates = json!({"tz": "Europe/Paris", "dates": ["2026-12-25", "2026-12-24..2026-12-25", "2026-12-26", "2027-01-01..2027-01-02"]});
    has_edges(
        &dates,
        "2026-01-01T00:00:00Z",
        &["2026-12-23T23:00:00Z", "2026-12-26T23:00:00Z", "2026-12-31T23:00:00Z", "2027-01-02T23:00:00Z"],
    );
    let after = calendar(&dates).span_at(instant_of("2027-01-02T23:00:00Z")).expect("an answer");
    assert_eq!(after, Span { inside: false, until: instant::last() });
}

#[test]
fn days_of_clock_changes_have_their_23_and_25_hours() {
    let dates = json!({"tz": "Europe/Paris", "dates": ["2026-03-29", "2026-10-25"]});
    has_edges(
        &dates,
        "2026-01-01T00:00:00Z",
        &["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
    );
    // Havana's clocks go back from 01:00 to 00:00 and forward from 00:00 to 01:00.
    let havana = json!({"tz": "America/Havana", "dates": ["2024-03-10", "2024-11-03"]});
    has_edges(
        &havana,
        "2024-01-01T00:00:00Z",
        &["2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"],
    );
    // A day that never was.
    let apia = json!({"tz": "Pacific/Apia", "dates": ["2011-12-30", "2012-01-05"]});
    has_edges(&apia, "2011-12-01T00:00:00Z", &["2012-01-04T10:00:00Z", "2012-01-05T10:00:00Z"]);
    let apia = json!({"tz": "Pacific/Apia", "dates": ["2011-12-29..2011-12-31"]});
    has_edges(&apia, "2011-12-01T00:00:00Z", &["2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z"]);
}

#[test]
fn windows_keep_the_clock_of_the_zone_where_it_jumps() {
    let work = json!({"tz": "Europe/Paris", "daily": ["09:00..17:00"]});
    has_edges(&work, "2026-03-28T18:00:00Z", &["2026-03-29T07:00:00Z", "2026-03-29T15:00:00Z", "2026-03-30T07:00:00Z"]);
    // 02:00 to 03:00 is skipped on 29 March: the window begins late, or is not there.
    has_edges(
        &json!({"tz": "Europe/Paris", "daily": ["02:15..04:00"]}),
        "2026-03-28T12:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
    );
    has_edges(
        &json!({"tz": "Europe/Paris", "daily": ["02:15..02:45"]}),
        "2026-03-28T12:00:00Z",
        &["2026-03-30T00:15:00Z", "2026-03-30T00:45:00Z"],
    );
    has_edges(
        &json!({"tz": "Europe/Paris", "daily": ["01:15..02:45"]}),
        "2026-03-28T12:00:00Z",
        &["2026-03-29T00:15:00Z", "2026-03-29T01:00:00Z"],
    );
    // 02:00 to 03:00 comes twice on 25 October: from its first to its last pass.
    has_edges(
        &json!({"tz": "Europe/Paris", "daily": ["02:15..02:45"]}),
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:15:00Z", "2026-10-25T01:45:00Z"],
    );
    has_edges(
        &json!({"tz": "Europe/Paris", "daily": ["02:15..04:00"]}),
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:15:00Z", "2026-10-25T03:00:00Z"],
    );
    // Half an hour in Lord Howe: 02:00 back to 01:30 on 5 April, 02:00 to 02:30 on 4 October.
    let howe = json!({"tz": "Australia/Lord_Howe", "daily": ["01:40..01:50"]});
    has_edges(&howe, "2026-04-04T12:00:00Z", &["2026-04-04T14:40:00Z", "2026-04-04T15:20:00Z", "2026-04-05T15:10:00Z"]);
    let howe = json!({"tz": "Australia/Lord_Howe", "daily": ["02:10..02:40"]});
    has_edges(&howe, "2026-10-03T12:00:00Z", &["2026-10-03T15:30:00Z", "2026-10-03T15:40:00Z"]);
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_begins() {
    let night = json!({"weekly": [{"days": ["fri", "sun"], "from": "22:00", "to": "06:00"}]});
    has_edges(
        &night,
        "2026-11-26T00:00:00Z",
        &["2026-11-27T22:00:00Z", "2026-11-28T06:00:00Z", "2026-11-29T22:00:00Z", "2026-11-30T06:00:00Z", "2026-12-04T22:00:00Z"],
    );
    // From Sunday night into Monday's whole day: one window over the turn of the week.
    let joined = json!({"weekly": [{"days": "sun", "from": "20:00", "to": "24:00"}, {"days": "mon"}]});
    has_edges(&joined, "2026-11-28T00:00:00Z", &["2026-11-29T20:00:00Z", "2026-12-01T00:00:00Z", "2026-12-06T20:00:00Z"]);
    let inside = calendar(&joined).span_at(instant_of("2026-11-29T21:00:00Z")).expect("an answer");
    assert_eq!(inside, Span { inside: true, until: instant_of("2026-12-01T00:00:00Z") });
    let weekend = json!({"weekly": [{"days": "fri-mon"}]});
    has_edges(&weekend, "2026-11-26T00:00:00Z", &["2026-11-27T00:00:00Z", "2026-12-01T00:00:00Z"]);
    let inside = calendar(&json!({"daily": ["22:00..06:00"]})).span_at(instant_of("2026-11-26T05:59:59.999999Z")).expect("an answer");
    assert_eq!(inside, Span { inside: true, until: instant_of("2026-11-26T06:00:00Z") });
}

#[test]
fn annual_days_go_over_the_turn_of_the_year_and_know_leap_years() {
    let yule = json!({"annual": ["12-24..01-02", "05-01"]});
    has_edges(
        &yule,
        "2026-11-01T00:00:00Z",
        &["2026-12-24T00:00:00Z", "2027-01-03T00:00:00Z", "2027-05-01T00:00:00Z", "2027-05-02T00:00:00Z", "2027-12-24T00:00:00Z"],
    );
    has_edges(
        &json!({"annual": ["02-29"]}),
        "2026-01-01T00:00:00Z",
        &["2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z", "2032-02-29T00:00:00Z"],
    );
    has_edges(&json!({"annual": ["02-29"]}), "1896-03-01T00:00:00Z", &["1904-02-29T00:00:00Z", "1904-03-01T00:00:00Z"]);
    has_edges(
        &json!({"annual": ["02-28..02-29"]}),
        "2027-01-01T00:00:00Z",
        &["2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z", "2028-02-28T00:00:00Z", "2028-03-01T00:00:00Z"],
    );
    has_edges(
        &json!({"annual": ["02-29..03-01"]}),
        "2027-01-01T00:00:00Z",
        &["2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z", "2028-02-29T00:00:00Z"],
    );
}

#[test]
fn what_never_changes_reaches_to_the_end() {
    for (json, inside) in [
        (json!({}), false),
        (json!({"annual": ["01-01..12-31"]}), true),
        (json!({"annual": ["03-01..02-29"]}), true),
        (json!({"weekly": [{"days": "mon-sun"}]}), true),
        (json!({"daily": ["00:00..12:00", "12:00..24:00"]}), true),
        (json!({"daily": ["06:00..05:00", "04:00..07:00"]}), true),
        (json!({"dates": ["0001-01-01..9999-12-31"]}), true),
        (json!({"dates": []}), false),
    ] {
        for at in ["0001-01-02T00:00:00Z", "2026-10-25T01:30:00.000001Z", "9999-12-29T00:00:00Z"] {
            let span = calendar(&json).span_at(instant_of(at)).expect("an answer");
            assert_eq!(span, Span { inside, until: instant::last() }, "{json} at {at}");
        }
        let beyond = DateTime::<Utc>::MAX_UTC - TimeDelta::days(1);
        for at in [instant::last(), beyond, DateTime::<Utc>::MIN_UTC] {
            assert!(calendar(&json).span_at(at).expect("an answer").until > at);
        }
    }
}

#[test]
fn a_file_of_events_is_read() {
    let file = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Paris\r\nBEGIN:DAYLIGHT\r\nDTSTART:19810329T020000\r\nRRULE:FREQ=YEARLY\r\n\
                END:DAYLIGHT\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\nBEGIN:VALARM\r\nDURATION:PT5M\r\n\
                END:VALARM\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART;TZID=America/New_York:20270110T090000\r\nDURATION:PT1H30M\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n\
                DTSTART:20270111T090000Z\r\nDTEND;TZID=Europe/Paris:20270111T113000\r\nTRANSP:TRANSPARENT\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSTATUS:CANCELLED\r\n\
                DTSTART:20270112T090000Z\r\nDTEND:20270112T100000Z\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:20270113T120000\r\nDTEND:20270113T1\r\n 30000\r\nEND:VEVENT\r\n\
                BEGIN:VEVENT\r\nDTSTART:20270114T120000Z\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270115\r\nRDATE;VALUE=DATE:20270117,20270119\r\n\
                EXDATE;VALUE=DATE:20270117\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    has_edges(
        &json!({"tz": "Europe/Paris", "ics": file}),
        "2026-12-01T00:00:00Z",
        &[
            "2026-12-23T23:00:00Z",
            "2026-12-26T23:00:00Z", // days of the calendar's zone
            "2027-01-10T14:00:00Z",
            "2027-01-10T15:30:00Z",
            "2027-01-11T09:00:00Z",
            "2027-01-11T10:30:00Z",
            "2027-01-13T11:00:00Z",
            "2027-01-13T12:00:00Z",
            "2027-01-14T23:00:00Z",
            "2027-01-15T23:00:00Z",
            "2027-01-18T23:00:00Z",
            "2027-01-19T23:00:00Z",
        ],
    );
}

/// A file of events, each given by its lines.
fn file_of(events: &[&str]) -> Value {
    let events: String = events.iter().map(|lines| format!("BEGIN:VEVENT\n{lines}\nEND:VEVENT\n")).collect();
    json!({"tz": "Europe/Paris", "ics": format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n")})
}

#[test]
fn events_come_again_by_their_rules() {
    // Over the change of clocks: 22:00 to 06:00 in Paris.
    let night = "DTSTART;TZID=Europe/Paris:20261023T220000\nDTEND;TZID=Europe/Paris:20261024T060000\nRRULE:FREQ=DAILY;COUNT=3";
    has_edges(
        &file_of(&[night]),
        "2026-01-01T00:00:00Z",
        &[
            "2026-10-23T20:00:00Z",
            "2026-10-24T04:00:00Z",
            "2026-10-24T20:00:00Z",
            "2026-10-25T05:00:00Z",
            "2026-10-25T21:00:00Z",
            "2026-10-26T05:00:00Z",
        ],
    );
    // One instance is left out, one is moved, one is cancelled, one is added.
    let weekly = "UID:w\nDTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;UNTIL=20260202T090000Z\nEXDATE:20260112T090000Z\nRDATE:20260109T090000Z";
    let moved = "UID:w\nRECURRENCE-ID;TZID=Europe/Paris:20260119T100000\nDTSTART:20260120T150000Z\nDURATION:PT2H";
    let cancelled = "UID:w\nRECURRENCE-ID:20260126T090000Z\nSTATUS:CANCELLED\nDTSTART:20260126T090000Z\nDURATION:PT1H";
    for order in [[weekly, moved, cancelled], [cancelled, moved, weekly]] {
        has_edges(
            &file_of(&order),
            "2026-01-01T00:00:00Z",
            &[
                "2026-01-05T09:00:00Z",
                "2026-01-05T10:00:00Z",
                "2026-01-09T09:00:00Z",
                "2026-01-09T10:00:00Z",
                "2026-01-20T15:00:00Z",
                "2026-01-20T17:00:00Z",
                "2026-02-02T09:00:00Z",
                "2026-02-02T10:00:00Z",
            ],
        );
        let after = calendar(&file_of(&order)).span_at(instant_of("2026-02-02T10:00:00Z")).expect("an answer");
        assert_eq!(after, Span { inside: false, until: instant::last() });
    }
    // Whole days of the calendar's zone; a start that the rule does not name is an instance all the same.
    has_edges(
        &file_of(&["DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=MONTHLY;BYDAY=-1FR"]),
        "2025-12-01T00:00:00Z",
        &["2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z", "2026-01-29T23:00:00Z", "2026-01-30T23:00:00Z", "2026-02-26T23:00:00Z"],
    );
    // Instances that overlap: from Monday 09:00 on for ever.
    let overlapping = calendar(&file_of(&["DTSTART:20260105T090000Z\nDURATION:P3D\nRRULE:FREQ=DAILY"]));
    for at in ["2026-01-05T09:00:00Z", "2040-06-01T09:00:00Z", "2040-06-01T08:59:59.999999Z"] {
        assert!(overlapping.span_at(instant_of(at)).expect("an answer").inside, "{at}");
    }
    for (events, code) in [
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY", "INP023"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYDAY=XX", "INP023"),
        ("DTSTART:20260105T090000Z\nDURATION:P367D\nRRULE:FREQ=DAILY", "INP024"),
        ("DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "INP024"),
        ("DTSTART:20260105T090000Z\nEXRULE:FREQ=WEEKLY", "INP024"),
    ] {
        let refusal = Calendar::read(&file_of(&[events])).expect_err(events);
        assert!(refusal.code == code && refusal.message.starts_with("ics, line "), "{events}: {refusal}");
        assert!(refusal.place.is_some_and(|place| place.text.get(place.start..place.end).is_some()));
    }
}

#[test]
fn a_large_file_answers_at_once() {
    let daily: Vec<String> = (0..ICS_RECURRING_MAX)
        .map(|n| format!("UID:{n}\nDTSTART:19700101T{:02}{:02}00Z\nDURATION:PT30S\nRRULE:FREQ=DAILY;INTERVAL={}", n % 24, n % 60, n + 1))
        .collect();
    let events: Vec<&str> = daily.iter().map(String::as_str).collect();
    let (calendar, at) = (calendar(&file_of(&events)), instant_of("2126-11-26T12:00:15Z"));
    let span = calendar.span_at(at).expect("within the steps of one question");
    assert!(span.until - at < TimeDelta::days(2));
    assert_eq!(Calendar::read(&file_of(&[&events[..], &[events[0]]].concat())).expect_err("one more").code, "INP024");
}

#[test]
fn what_is_not_understood_is_refused_at_its_entry_and_place() {
    for (json, entry, start, end) in [
        (json!({"dates": ["2026-12-25", "2026-12-24..2026-13-01"]}), "dates[1]: ", 12, 22),
        (json!({"dates": ["2026-02-30"]}), "dates[0]: ", 0, 10),
        (json!({"dates": ["2026-12-24..2026-12-23"]}), "dates[0]: ", 12, 22),
        (json!({"dates": ["26-12-24"]}), "dates[0]: ", 0, 8),
        (json!({"annual": ["12-25", "02-30"]}), "annual[1]: ", 0, 5),
        (json!({"annual": ["12-24..1-2"]}), "annual[0]: ", 7, 10),
        (json!({"daily": ["12:00"]}), "daily[0]: ", 0, 5),
        (json!({"daily": ["12:00..12:00"]}), "daily[0]: ", 7, 12),
        (json!({"daily": ["24:00..12:00"]}), "daily[0]: ", 0, 5),
        (json!({"daily": ["12:00..24:01"]}), "daily[0]: ", 7, 12),
        (json!({"daily": ["12:0é..13:00"]}), "daily[0]: ", 0, 6),
        (json!({"weekly": [{"days": "mon-fry"}]}), "weekly[0].days: ", 4, 7),
        (json!({"weekly": [{"days": ["mon", "tus"]}]}), "weekly[0].days[1]: ", 0, 3),
        (json!({"weekly": [{"days": "mon", "from": "9:00", "to": "17:00"}]}), "weekly[0].from: ", 0, 4),
        (json!({"weekly": [{"days": "mon", "until": "17:00"}]}), "weekly[0]: `until` ", 0, 5),
        (json!({"date": []}), "`date` ", 0, 4),
        (
            json!({"ics": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;TZID=Romance Standard Time:20260101T000000\nEND:VEVENT\nEND:VCALENDAR"}),
            "ics, line 3: ",
            35,
            50,
        ),
        (json!({"ics": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260101T000000\n"}), "ics, line 3: ", 34, 49),
        (json!({"ics": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR"}), "ics, line 3: ", 4, 10),
        (json!({"ics": "BEGIN:VCALENDAR\nEND:VEVENT"}), "ics, line 2: ", 4, 10),
    ] {
        let refusal = Calendar::read(&json).expect_err(&json.to_string());
        assert!(refusal.code == "INP024" && refusal.message.starts_with(entry), "{json}: {refusal}");
        let place = refusal.place.unwrap_or_else(|| panic!("{json} has a place"));
        assert_eq!((place.start, place.end), (start, end), "{json}: {:?}", place.text);
        assert!(place.text.get(start..end).is_some());
    }
    for json in [
        json!([]),
        json!({"dates": "2026-12-25"}),
        json!({"dates": [5]}),
        json!({"weekly": ["mon"]}),
        json!({"weekly": [{"from": "09:00", "to": "17:00"}]}),
        json!({"weekly": [{"days": []}]}),
        json!({"weekly": [{"days": "mon", "from": "09:00"}]}),
        json!({"dates": vec!["2026-12-25"; DATES_MAX + 1]}),
        json!({"daily": vec!["12:00..13:00"; PATTERNS_MAX + 1]}),
        json!({"ics": "x".repeat(ICS_SIZE_MAX + 1)}),
        json!({"ics": ""}),
        json!({"ics": "BEGIN:VEVENT\nEND:VEVENT"}),
        json!({"ics": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101T000000Z\nDTEND:20250101T000000Z\nEND:VEVENT\nEND:VCALENDAR"}),
        json!({"ics": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101T000000Z\nEND:VEVENT"}),
    ] {
        assert_eq!(Calendar::read(&json).expect_err("refused").code, "INP024", "{}", json.to_string().chars().take(80).collect::<String>());
    }
    assert_eq!(Calendar::read(&json!({"tz": "Mars/Olympus"})).expect_err("refused").code, "INP004");
}

#[test]
fn what_is_read_is_written_as_it_was() {
    let json = json!({"tz": "europe/paris", "dates": ["2026-12-25"], "weekly": [{"days": ["sat", "sun"]}]});
    let text = serde_json::to_string(&calendar(&json)).expect("JSON");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), json);
    assert_eq!(serde_json::from_str::<Calendar>(&text).expect("a calendar"), calendar(&json));
    assert!(serde_json::from_str::<Calendar>(r#"{"days": []}"#).is_err());
}

#[test]
fn a_gate_is_inside_every_only_and_outside_every_exclude() {
    let mut calendars = Calendars::new();
    let mut add = |name: &str, json: Value| calendars.insert(name, std::sync::Arc::new(calendar(&json))).map(drop);
    add("office", json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "17:00"}]})).expect("a name");
    add("lunch", json!({"daily": ["12:00..13:00"]})).expect("a name");
    add("yule", json!({"annual": ["12-24..12-26"]})).expect("a name");
    for name in ["", "Office", "9to5", "of fice", "-a", "é", &"x".repeat(65)] {
        assert_eq!(add(name, json!({})).expect_err(name).code, "INP024", "{name}");
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (exclude, only) = (names(&["lunch", "yule"]), names(&["office"]));
    for (at, open, until) in [
        ("2026-12-23T08:00:00Z", false, "2026-12-23T09:00:00Z"),
        ("2026-12-23T09:00:00Z", true, "2026-12-23T12:00:00Z"),
        ("2026-12-23T12:30:00Z", false, "2026-12-23T13:00:00Z"),
        ("2026-12-24T12:30:00Z", false, "2026-12-27T00:00:00Z"),
        ("2026-12-27T00:00:00Z", false, "2026-12-28T09:00:00Z"),
    ] {
        let span = calendars.open_at(&exclude, &only, instant_of(at)).expect("known names");
        assert_eq!(span, Span { inside: open, until: instant_of(until) }, "{at}");
    }
    assert_eq!(calendars.open_at(&[], &[], instant_of("2026-12-23T08:00:00Z")), Ok(Span { inside: true, until: instant::last() }));
    let refusal = calendars.open_at(&names(&["offise"]), &[], instant_of("2026-12-23T08:00:00Z")).expect_err("unknown");
    assert_eq!((refusal.code.as_str(), refusal.remedy.as_deref()), ("INP026", Some("did you mean `office`?")));
    assert_eq!(calendars.check(&names(&["lunch", "nothing"])).expect_err("unknown").code, "INP026");
    assert_eq!(calendars.check(&only), Ok(()));
}

/// The definition, for calendars without windows at times that are skipped or come twice: the clock shows a time that is inside.
fn shows_inside(json: &Value, zone: &TimeZone, at: DateTime<Utc>) -> bool {
    let civil = zone.to_datetime(Timestamp::from_microsecond(at.timestamp_micros()).expect("in reach"));
    let (date, time) = (civil.date().to_string(), civil.time().strftime("%H:%M").to_string());
    let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();
    let is_between = |range: &Value, value: &str| {
        let (first, last) = range.as_str().expect("a text").split_once("..").expect("a range");
        if first <= last { first <= value && value <= last } else { first <= value || value <= last }
    };
    list("dates").iter().any(|range| is_between(range, &date))
        || list("annual").iter().any(|range| is_between(range, &date[5..]))
        || list("daily").iter().any(|range| {
            let (from, to) = range.as_str().expect("a text").split_once("..").expect("a range");
            if from <= to { from <= time.as_str() && time.as_str() < to } else { from <= time.as_str() || time.as_str() < to }
        })
}

fn a_calendar() -> impl Strategy<Value = Value> {
    let zones = ["UTC", "Europe/Paris", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"];
    let day = (1u32..=12, 1u32..=28).prop_map(|(month, day)| format!("{month:02}-{day:02}"));
    let annual = proptest::collection::vec((day.clone(), day.clone()).prop_map(|(a, b)| format!("{a}..{b}")), 0..3);
    let dates = (2010i32..2013, day.clone(), 0i32..2, day).prop_filter_map("in order", |(year, a, more, b)| {
        let (first, last) = (format!("{year}-{a}"), format!("{}-{b}", year + more));
        (first <= last).then(|| format!("{first}..{last}"))
    });
    let time = (0u32..24, 0u32..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
    let daily = (time.clone(), time).prop_filter_map("two times", |(a, b)| (a != b).then(|| format!("{a}..{b}")));
    let lists = (annual, proptest::collection::vec(dates, 0..3), proptest::collection::vec(daily, 0..3));
    (proptest::sample::select(zones.to_vec()), lists)
        .prop_map(|(tz, (annual, dates, daily))| json!({"tz": tz, "annual": annual, "dates": dates, "daily": daily}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_said_holds_until_it_may_change(json in a_calendar(), seconds in 1_260_000_000i64..1_360_000_000, weekly in 0u8..127) {
        let days: Vec<&str> = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].into_iter().enumerate().filter(|(at, _)| weekly >> at & 1 == 1).map(|(_, day)| day).collect();
        let mut json = json;
        if !days.is_empty() {
            json["weekly"] = json!([{"days": days, "from": "22:30", "to": "03:15"}]);
        }
        let calendar = calendar(&json);
        let at = DateTime::from_timestamp(seconds, 0).expect("in reach");
        let span = calendar.span_at(at).expect("an answer");
        prop_assert!(span.until > at);
        let length = (span.until - at).min(TimeDelta::days(800));
        for part in 0..200 {
            let between = at + length * part / 200;
            prop_assert_eq!(calendar.span_at(between).expect("an answer").inside, span.inside, "{} at {}", json, between);
        }
        prop_assert_eq!(calendar.span_at(at + length - TimeDelta::microseconds(1)).expect("an answer").inside, span.inside);
    }

    #[test]
    fn inside_is_what_the_clock_shows_but_near_its_jumps(json in a_calendar(), seconds in 1_260_000_000i64..1_360_000_000) {
        let calendar = calendar(&json);
        let zone = zone::zone(json["tz"].as_str().expect("a text")).expect("a zone");
        let at = DateTime::from_timestamp(seconds, 0).expect("in reach");
        // Windows of times of day are longer or shorter around a jump; days are not.
        let offset = |hours: i64| zone.to_offset(Timestamp::from_second(seconds + hours * 3_600).expect("in reach"));
        if json["daily"] == json!([]) || (offset(-26) == offset(0) && offset(0) == offset(26)) {
            prop_assert_eq!(calendar.span_at(at).expect("an answer").inside, shows_inside(&json, &zone, at), "{} at {}", json, at);
        }
    }

    #[test]
    fn no_file_of_events_makes_it_panic(lines in proptest::collection::vec(
        prop_oneof![
            Just("BEGIN:VCALENDAR".to_owned()), Just("END:VCALENDAR".to_owned()), Just("BEGIN:VEVENT".to_owned()), Just("END:VEVENT".to_owned()),
            "RRULE:FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY);(COUNT=3|BYDAY=MO|BYMONTH=2;BYMONTHDAY=30|INTERVAL=7)",
            "(DTSTART|DTEND|DURATION|EXDATE|RDATE|RECURRENCE-ID)(;TZID=Europe/Paris|;TZID=\"é\"|;VALUE=DATE)?:[0-9TZP/,-]{0,24}", "[ \\t;:\"A-Zé]{0,12}",
        ], 0..16)) {
        let text = std::iter::once("BEGIN:VCALENDAR\nBEGIN:VEVENT".to_owned()).chain(lines).collect::<Vec<_>>().join("\n");
        if let Err(refusal) = Calendar::read(&json!({"ics": text})) {
            prop_assert!(refusal.place.is_none_or(|place| place.text.get(place.start..place.end).is_some()));
        } else {
            let calendar = calendar(&json!({"ics": text}));
            prop_assert!(calendar.span_at(instant_of("2026-10-25T01:30:00Z")).is_ok_and(|span| span.until > instant_of("2026-10-25T01:30:00Z")));
        }
    }
}
