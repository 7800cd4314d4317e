//! Events as people read them: rows, a card, and what a verb did.
//!
//! Not the JSON that programs get. What must hold: `running` and `unresolved` are shown wherever a state is.

use crate::output::table::{Column, card, cut, distance, draw, instant, text};
use chrono::{DateTime, Local, Utc};
use serde_json::Value;
use sexton_core::Schedule;
use sexton_core::schedule::zone::on_clock_of;

/// Notes on a file that are shown.
const NOTES: usize = 10;

/// The columns of lists.
pub const COLUMNS: &[Column] = &[
    Column { head: "ID", cell: |e| text(e, "id") },
    Column { head: "TYPE", cell: |e| text(e, "event_type") },
    Column { head: "STATE", cell: state },
    Column { head: "NEXT RUN", cell: |e| instant(e, "next_run_at") },
    Column { head: "", cell: |e| distance(e, "next_run_at") },
    Column { head: "SCHEDULE", cell: |e| schedule_text(&e["schedule"]) },
    Column { head: "KEY", cell: |e| text(e, "key") },
    Column { head: "DESCRIPTION", cell: |e| cut(&text(e, "description"), 40) },
];

/// `scheduled`, with the derived `running` and `unresolved` behind it.
fn state(event: &Value) -> String {
    let derived = ["running", "unresolved"].into_iter().filter(|name| event[*name] == true);
    std::iter::once(text(event, "state")).chain(derived.map(str::to_owned)).collect::<Vec<_>>().join(", ")
}

fn schedule_text(schedule: &Value) -> String {
    let Some(kinds) = schedule.as_object() else { return String::new() };
    let one = |name: &str| kinds.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if kinds.contains_key("once") {
        "once".to_owned()
    } else if kinds.contains_key("every") {
        format!("every {}", one("every"))
    } else if kinds.contains_key("after") {
        format!("{} after each", one("after"))
    } else if kinds.contains_key("cron") {
        [one("cron"), one("tz")].join(" ").trim_end().to_owned()
    } else if kinds.contains_key("rrule") {
        cut(&[one("rrule"), one("tz")].join(" "), 40)
    } else if let Some(links) = kinds.get("follows").and_then(Value::as_array) {
        cut(&format!("follows {}", links.iter().map(link_text).collect::<Vec<_>>().join(" ")), 40)
    } else {
        "manual".to_owned()
    }
}

/// `ID`, or `ID:failure`.
fn link_text(link: &Value) -> String {
    let id = link.as_str().map_or_else(|| text(link, "event"), str::to_owned);
    match link["on"].as_str() {
        None | Some("success") => id,
        Some(on) => format!("{id}:{on}"),
    }
}

/// What it follows, line by line, and what of that has come about.
fn followed(event: &Value) -> String {
    let line = |link: &Value| {
        let state = link["state"].as_str().unwrap_or("not there any more");
        let mark = if link["satisfied"] == true { "has come about" } else { "waited for" };
        format!("{}, {state}: {mark}", link_text(link))
    };
    event["follows"].as_array().into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

/// The schedule in words; nothing if this build does not know it.
fn words(event: &Value) -> String {
    Schedule::from_json(&event["schedule"]).and_then(|schedule| schedule.describe()).unwrap_or_default()
}

/// The next run on the reader's clock, and on the schedule's where that is another one.
fn next_run(event: &Value) -> String {
    let Some(written) = event["next_run_at"].as_str() else { return String::new() };
    let mut said = format!("{}  {}", instant(event, "next_run_at"), distance(event, "next_run_at"));
    let tz = event["schedule"]["tz"].as_str();
    if let (Some(tz), Ok(at)) = (tz, written.parse::<DateTime<Utc>>())
        && let Ok(there) = on_clock_of(tz, at)
        && there.naive_local() != at.with_timezone(&Local).naive_local()
    {
        said += &format!("\n{} in {tz}", there.format("%a %Y-%m-%d %H:%M:%S %:z"));
    }
    if let Some(jitter) = event["schedule"]["jitter"].as_str() {
        said += &format!("\nwithin the {jitter} after the time that its schedule gives (jitter)");
    }
    said
}

/// How many wait behind another of the event; nothing if none does.
fn queued(event: &Value) -> String {
    let waiting = event["waiting"].as_array();
    match waiting.into_iter().flatten().filter(|waits| waits["queued"] == true).count() {
        0 => String::new(),
        n => n.to_string(),
    }
}

/// Why one waits: its cause, and that it does so behind another.
fn cause(waits: &Value) -> String {
    let cause = text(waits, "cause");
    if waits["queued"] == true && cause != "queued" { cause + ", queued" } else { cause }
}

/// How many were skipped, and why.
fn skipped(event: &Value) -> String {
    let total = event["skipped"].as_i64().unwrap_or(0);
    let reasons = event["skips"].as_object();
    let told: Vec<String> = reasons.into_iter().flatten().map(|(reason, count)| format!("{count} {}", reason.replace('_', "-"))).collect();
    match (total, told.is_empty()) {
        (0, _) => "0".to_owned(),
        (total, true) => total.to_string(),
        (total, false) => format!("{total}: {}", told.join(", ")),
    }
}

/// What a verb left.
pub fn altered(answer: &Value) -> String {
    let event = &answer["event"];
    let mut line = format!("{}  {}  {}", text(event, "id"), text(event, "event_type"), state(event));
    if event["next_run_at"].is_string() {
        line += &format!(", next run {} ({})", instant(event, "next_run_at"), distance(event, "next_run_at"));
    }
    match text(answer, "running").as_str() {
        "" => line,
        running => format!("{line}\nstill running: {running}"),
    }
}

/// What was accepted.
pub fn accepted(answer: &Value) -> String {
    let done = if answer["kept"] == true { "kept" } else { "scheduled" };
    let mut line = format!("{done} {}", text(answer, "id"));
    if answer["next_run_at"].is_string() {
        line += &format!(", first run {} ({})", instant(answer, "next_run_at"), distance(answer, "next_run_at"));
    }
    if answer["unresolved"] == true {
        line += "\nunresolved: nobody serves its type on this host now; it waits until somebody does";
    }
    for replaced in answer["replaced"].as_array().into_iter().flatten() {
        line += &format!("\nreplaced {}", text(replaced, "id"));
        match text(replaced, "running").as_str() {
            "" | "[]" => {}
            running => line += &format!(", still running: {running}"),
        }
    }
    for note in answer["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        line += &format!("\nnote: {note}");
    }
    line
}

/// What was accepted out of a file: how many, and the first notes with the lines they are about.
pub fn all_accepted(answers: &[Value], lines: &[usize]) -> String {
    let mut said = match answers.len() {
        1 => "scheduled 1 event".to_owned(),
        n => format!("scheduled {n} events"),
    };
    let of = |answer: &Value| answer["notes"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let notes = answers.iter().zip(lines).flat_map(|(answer, line)| {
        let notes: Vec<String> = of(answer);
        notes.into_iter().map(move |note| (line, note))
    });
    let notes: Vec<_> = notes.collect();
    for (line, note) in notes.iter().take(NOTES) {
        said += &format!("\nnote: line {line}: {note}");
    }
    if notes.len() > NOTES {
        said += &format!("\nnote: and {} more; `--output json` has them all", notes.len() - NOTES);
    }
    said
}

/// One event as a card, with what waits and what ran.
pub fn drawn(event: &Value) -> String {
    let mut all = card(&[
        ("id", text(event, "id")),
        ("type", text(event, "event_type")),
        ("state", state(event)),
        ("reason", text(event, "reason")),
        ("next run", next_run(event)),
        ("schedule", [words(event), event["schedule"].to_string()].join("\n").trim_start().to_owned()),
        ("follows", followed(event)),
        ("zone", text(event, "schedule.tz")),
        ("args", text(event, "args")),
        ("key", text(event, "key")),
        ("description", text(event, "description")),
        ("bot", text(event, "bot")),
        ("resources", filled(event, "resources")),
        ("labels", filled(event, "labels")),
        ("priority", text(event, "priority")),
        ("retry", text(event, "retry")),
        ("policy", Some(text(event, "policy")).filter(|policy| policy != "{}").unwrap_or_default()),
        ("standing of", text(event, "standing_of")),
        ("occurrences", text(event, "occurrences")),
        ("queued", queued(event)),
        ("skipped", skipped(event)),
        ("created", format!("{} by {}", instant(event, "created_at"), text(event, "created_by"))),
        ("finished", instant(event, "finished_at")),
    ]);
    let rows = |name: &str| event[name].as_array().cloned().unwrap_or_default();
    let waiting = rows("waiting");
    if !waiting.is_empty() {
        all += &format!("\n\nWaiting\n{}", draw(WAITING, &waiting, ""));
    }
    let runs = rows("runs");
    if !runs.is_empty() {
        all += &format!("\n\nLast runs\n{}", draw(crate::cli::run::COLUMNS, &runs, ""));
    }
    all
}

/// A list or an object as JSON; nothing if it is empty.
fn filled(event: &Value, name: &str) -> String {
    let found = text(event, name);
    if matches!(found.as_str(), "[]" | "{}") { String::new() } else { found }
}

const WAITING: &[Column] = &[
    Column { head: "OCCURRENCE", cell: |w| text(w, "occurrence") },
    Column { head: "DUE", cell: |w| instant(w, "due_at") },
    Column { head: "", cell: |w| distance(w, "due_at") },
    Column { head: "CAUSE", cell: cause },
    Column { head: "ATTEMPT", cell: |w| text(w, "attempt") },
    Column { head: "DEAD", cell: |w| cut(&text(w, "dead"), 60) },
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_card_says_the_schedule_in_words_and_why_runs_were_skipped() {
        let event = json!({
            "id": "evt_1", "state": "scheduled", "next_run_at": "2026-03-29T01:00:13Z", "skipped": 9, "skips": {"catch_up": 2, "downtime": 7},
            "waiting": [{"occurrence": "evt_1.2", "cause": "run_now", "queued": true}, {"occurrence": "evt_1.1", "cause": "schedule", "queued": false}],
            "schedule": {"cron": "30 2 * * *", "tz": "Pacific/Apia", "jitter": "1m"},
        });
        let said = drawn(&event);
        for part in [
            "Read on the clocks of Pacific/Apia.",
            "{\"cron\":\"30 2 * * *\"",
            "zone      Pacific/Apia",
            "Sun 2026-03-29 14:00:13 +13:00 in Pacific/Apia",
            "within the 1m after",
            "9: 2 catch-up, 7 downtime",
            "queued    1",
            "run_now, queued",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(skipped(&json!({"skipped": 0, "skips": {}})), "0");
        assert_eq!(skipped(&json!({"skipped": 3, "skips": {}})), "3");
        assert!(words(&json!({"schedule": {"phase_of_the_moon": "full"}})).is_empty(), "what a newer host knows is shown as it is");
    }

    #[test]
    fn notes_of_a_file_name_their_lines_and_end() {
        let past = json!({"id": "evt_1", "notes": ["the time is in the past: it runs at once"]});
        let none = json!({"id": "evt_2", "notes": []});
        let said = all_accepted(&[none.clone(), past.clone()], &[1, 3]);
        assert_eq!(said, "scheduled 2 events\nnote: line 3: the time is in the past: it runs at once");
        assert_eq!(all_accepted(&[none], &[1]), "scheduled 1 event");
        let many = vec![past; 13];
        let said = all_accepted(&many, &(1..=13).collect::<Vec<_>>());
        assert_eq!(said.lines().count(), 12);
        assert!(said.ends_with("note: and 3 more; `--output json` has them all"), "{said}");
    }
}
