//! systemd timers: when they elapse, and what of their other settings a schedule can say.
//!
//! Not the calendar events themselves (`oncalendar`) and not the command (`exec`). What must hold: each setting of the section `[Timer]` is
//! taken, noted or named; each trigger is an event of its own, as each can start the service.

use super::unit::{self, Key};
use super::{Line, Objection, Taken, exec, object, objection, oncalendar};
use crate::schedule::duration;
use serde_json::{Value, json};

const NO_BOOT: &str = "schedule a rhythm with `--every`, or leave it to systemd";

/// Reads a timer and, if it is given, the service that it starts. `tz` is the zone of calendar events that name none: that of the machine
/// where the timer ran. Without the service the schedule is taken, and the command is missing.
#[must_use]
pub fn read_timer(unit_name: &str, timer_text: &str, service_text: Option<&str>, tz: &str) -> Vec<Line> {
    let keys = unit::section(timer_text, "Timer");
    let mut lines = Vec::new();
    if keys.is_empty() {
        return vec![Line::not_taken(
            1,
            unit_name,
            format!("`{unit_name}` has no section `[Timer]` that says anything"),
            "give a timer unit",
        )];
    }
    let rhythms = |key: &&Key| matches!(key.name.as_str(), "OnCalendar" | "OnUnitActiveSec" | "OnUnitInactiveSec");
    let has_rhythm = keys.iter().any(|key| rhythms(&key));
    for key in &keys {
        let line = match key.name.as_str() {
            "OnCalendar" | "OnUnitActiveSec" | "OnUnitInactiveSec" => taken(key, &keys, unit_name, service_text, tz),
            // Beside a rhythm they only begin it; the event says so.
            "OnBootSec" | "OnStartupSec" | "OnActiveSec" if has_rhythm => continue,
            "OnBootSec" | "OnStartupSec" => objection(format!("`{}` counts from a start of the machine or of systemd", key.name), NO_BOOT),
            "OnActiveSec" => objection("`OnActiveSec` counts from the start of the timer", "schedule it once with `--in`"),
            "OnClockChange" | "OnTimezoneChange" if unit::is_yes(&key.value) => {
                objection(format!("`{}` is no time", key.name), "leave it to systemd")
            }
            "OnClockChange" | "OnTimezoneChange" => continue,
            "Persistent" | "RandomizedDelaySec" | "FixedRandomDelay" | "AccuracySec" | "Unit" | "WakeSystem" | "RemainAfterElapse" => {
                continue;
            }
            other => objection(format!("`{other}` is not known"), "look whether it changes when the timer elapses"),
        };
        lines.push(match line {
            Ok(taken) => Line::Taken(Box::new(taken)),
            Err((why, remedy)) => Line::not_taken(key.line_no, &key.text, why, remedy),
        });
    }
    lines
}

/// The unit that a timer starts: what `Unit=` says, or the service of the same name.
#[must_use]
pub fn started_unit(unit_name: &str, timer_text: &str) -> String {
    started(unit_name, &unit::section(timer_text, "Timer"))
}

fn started(unit_name: &str, keys: &[Key]) -> String {
    let stem = unit_name.strip_suffix(".timer").unwrap_or(unit_name);
    unit::last(keys, "Unit").map_or_else(|| format!("{stem}.service"), |key| key.value.clone())
}

fn taken(key: &Key, keys: &[Key], unit_name: &str, service: Option<&str>, tz: &str) -> Result<Taken, Objection> {
    let mut taken = Taken { line_no: key.line_no, text: key.text.clone(), ..Taken::default() };
    let jitter = jitter(keys)?;
    taken.schedule_json = match key.name.as_str() {
        "OnCalendar" => calendar(key, keys, jitter, tz, &mut taken.notes)?,
        name => {
            let length = unit::length(&key.value)?;
            let kind = if name == "OnUnitActiveSec" { "every" } else { "after" };
            if kind == "every" && length.as_secs() == 0 {
                return objection(format!("`{}` is shorter than a second", key.value), "put rhythms below a second into the job");
            }
            let beginnings: Vec<String> = ["OnBootSec", "OnStartupSec", "OnActiveSec"]
                .into_iter()
                .filter_map(|name| unit::last(keys, name))
                .map(|begin| format!("`{}={}`", begin.name, begin.value))
                .collect();
            if !beginnings.is_empty() {
                taken.notes.push(format!("{} is not kept: the rhythm begins when the event is stored", beginnings.join(" and ")));
            }
            object([(kind, Some(json!(unit::clock_text(length)))), ("jitter", jitter)])
        }
    };
    if taken.schedule_json.get("jitter").is_some() {
        taken.notes.push("`RandomizedDelaySec` is a jitter: the same for an occurrence wherever it is computed".to_owned());
    }
    if let Some(accuracy) = unit::last(keys, "AccuracySec") {
        taken.notes.push(format!("`AccuracySec={}` is not kept: runs start at their time", accuracy.value));
    }
    if unit::last(keys, "WakeSystem").is_some_and(|key| unit::is_yes(&key.value)) {
        taken.notes.push("`WakeSystem` is not kept: a sleeping machine is not woken".to_owned());
    }
    match service {
        Some(service) => exec::add_service(&mut taken, service)?,
        None => taken.notes.push(format!("the command is in `{}`, which was not given", started(unit_name, keys))),
    }
    Ok(taken)
}

fn jitter(keys: &[Key]) -> Result<Option<Value>, Objection> {
    let Some(key) = unit::last(keys, "RandomizedDelaySec") else { return Ok(None) };
    let length = unit::length(&key.value)?;
    Ok((!length.is_zero()).then(|| json!(duration::text(length))))
}

fn calendar(key: &Key, keys: &[Key], jitter: Option<Value>, tz: &str, notes: &mut Vec<String>) -> Result<Value, Objection> {
    let parts = oncalendar::schedule(&key.value, tz)?;
    let is_persistent = unit::last(keys, "Persistent").is_some_and(|key| unit::is_yes(&key.value));
    // systemd makes up for one missed time however long ago that was.
    let (misfire, catch_up) = if is_persistent { ("latest", Some(json!(duration::text(duration::LONGEST)))) } else { ("skip", None) };
    if keys.iter().filter(|other| other.name == "OnCalendar").count() > 1 {
        notes.push("each `OnCalendar` is an event of its own: where two name the same time, both run".to_owned());
    }
    notes.push(
        "when clocks change systemd differs: here a time that is skipped runs at the end of the skip, one that comes twice runs once"
            .to_owned(),
    );
    Ok(oncalendar::with_terms(parts, json!(misfire), catch_up, jitter))
}
