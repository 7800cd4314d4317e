//! Crontabs: environment lines, comments, nicknames, five fields and a command; a user before it in the system's form.
//!
//! Not the check of the fields, which the schedule does. What must hold: what a line means depends on the lines above it only, as in cron.

use super::{Line, Objection, Taken, object, objection};
use crate::schedule::zone;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where a crontab comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A user's: the command follows the times.
    User,
    /// The system's (`/etc/crontab`, `/etc/cron.d`): a user stands before the command.
    System,
}

const NICKNAMES: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const FIELDS: usize = 5;
const TIME_LIMIT: &str = "cron knows no time limit: a run of `shell.run` is ended after an hour, unless its `timeout_s` says otherwise";

/// Reads a crontab. `tz` is the zone of lines without one of their own: that of the machine where the crontab ran.
#[must_use]
pub fn read_crontab(text: &str, form: Form, tz: &str) -> Vec<Line> {
    let mut environment = BTreeMap::new();
    let mut zone = (tz.to_owned(), false);
    let mut lines = Vec::new();
    for (line_no, raw) in (1..).zip(text.lines()) {
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = assignment(line) {
            match name.as_str() {
                "CRON_TZ" => zone = (value, false),
                "TZ" => {
                    zone = (value.clone(), true);
                    environment.insert(name, value);
                }
                _ => drop(environment.insert(name, value)),
            }
            continue;
        }
        lines.push(match entry(line, form, &zone.0, &environment) {
            Ok(mut taken) => {
                taken.line_no = line_no;
                taken.text = raw.to_owned();
                if zone.1 {
                    taken.notes.push("`TZ` is taken for the zone of the times; some crons give it to the command only".to_owned());
                }
                Line::Taken(Box::new(taken))
            }
            Err((why, remedy)) => Line::not_taken(line_no, raw, why, remedy),
        });
    }
    lines
}

/// `NAME = value`, either side in quotes of one kind. A name holds no blank, so that no line of times is taken for one.
fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let (name, bare) = (name.trim(), unquoted(name.trim()));
    let is_name = !bare.is_empty() && (bare != name || !name.contains(|c: char| c.is_whitespace() || c == '*'));
    is_name.then(|| (bare.to_owned(), unquoted(value.trim()).to_owned()))
}

fn unquoted(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

/// The next word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

fn entry(line: &str, form: Form, tz: &str, environment: &BTreeMap<String, String>) -> Result<Taken, Objection> {
    // SUSE and cronie: not to be logged.
    let line = line.strip_prefix('-').unwrap_or(line);
    let (expression, mut rest) = if line.starts_with('@') { nickname(line)? } else { five_fields(line)? };
    let mut user = None;
    if form == Form::System {
        let (name, after) = word(rest);
        (user, rest) = (Some(name.to_owned()), after);
    }
    let command = rest.trim();
    if command.is_empty() {
        let missing = if form == Form::System { "there is no command after times and user" } else { "there is no command after the times" };
        return objection(missing, "look whether this is a user's or the system's crontab: the system's names a user before the command");
    }
    let script = without_percent(command)?;
    if let Err(unknown) = zone::zone(tz) {
        return objection(unknown.message, "name the zone as the IANA database does, such as `CRON_TZ=Europe/Paris`");
    }
    let cwd = environment.get("HOME");
    let mut notes = vec![TIME_LIMIT.to_owned()];
    if let Some(user) = &user {
        notes.push(format!("it ran as `{user}`; `shell.run` runs as the user of its plugin's process (`run_as`)"));
    }
    if cwd.is_none() {
        notes.push("cron starts a command in the user's home; here it starts in `/`, unless `cwd` says otherwise".to_owned());
    }
    let args = object([
        ("script", Some(json!(script))),
        ("interpreter", environment.get("SHELL").map(|shell| json!([shell, "-c"]))),
        ("cwd", cwd.map(|home| json!(home))),
        ("env", Some(json!(environment)).filter(|_| !environment.is_empty())),
    ]);
    Ok(Taken {
        schedule_json: json!({"cron": expression, "tz": tz}),
        args_json: Some(args),
        command: Some(command.to_owned()),
        environment: environment.clone(),
        user,
        notes,
        ..Taken::default()
    })
}

fn nickname(line: &str) -> Result<(Value, &str), Objection> {
    let (name, rest) = word(line);
    let lower = name.to_ascii_lowercase();
    if NICKNAMES.contains(&lower.as_str()) {
        return Ok((json!(lower), rest));
    }
    if lower == "@reboot" {
        return objection(
            "`@reboot` is no time: it runs when the machine starts",
            "use a systemd service with `WantedBy=multi-user.target`, or schedule a rhythm with `--every`",
        );
    }
    objection(format!("`{name}` is no nickname of cron"), "write the five fields, or use `--every` for a rhythm such as `@every 5m`")
}

fn five_fields(line: &str) -> Result<(Value, &str), Objection> {
    let mut rest = line;
    let mut fields = Vec::new();
    while fields.len() < FIELDS {
        let (field, after) = word(rest);
        if field.is_empty() {
            return objection(
                format!("there are only {} of the five fields", fields.len()),
                "write minute, hour, day of month, month and day of week",
            );
        }
        if let Some(wrong) = field.chars().find(|c| !c.is_ascii_alphanumeric() && !"*,-/?#".contains(*c)) {
            return match wrong {
                '~' => objection(format!("`{field}` is a time at random"), "write the first time, and `jitter` in the schedule"),
                _ => {
                    objection(format!("`{field}` is no field of times"), "minute, hour, day of month, month, day of week, then the command")
                }
            };
        }
        fields.push(field);
        rest = after;
    }
    Ok((json!(fields.join(" ")), rest))
}

/// The command with `\%` as `%`. The first `%` without a backslash ends the command and begins its standard input.
fn without_percent(command: &str) -> Result<String, Objection> {
    let mut script = String::with_capacity(command.len());
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'%') => script.extend(letters.next()),
            '%' => {
                return objection(
                    "`%` without a backslash ends the command: what follows is its standard input",
                    "write `\\%` if a percent sign is meant; else schedule `shell.run` with the input in its argument `stdin`",
                );
            }
            other => script.push(other),
        }
    }
    Ok(script)
}
