//! `sexton event import`: crontabs and systemd timers become events.
//!
//! Not the reading of their lines (`sexton_core::import`). What must hold: nothing is stored under `--dry-run`, and nothing if a line cannot be
//! taken, unless `--skip` says so; a line that was imported before is not stored twice.

mod drawn;
mod source;

use crate::cli::connect::Door;
use crate::cli::event::labels;
use crate::cli::{Done, Failure};
use crate::client::{Body, Trouble};
use crate::preview;
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use sexton_core::calendar::Calendars;
use sexton_core::import::{EVENT_TYPE, Form, Line, Taken};
use sexton_core::{Refusal, Schedule};
use sha2::{Digest, Sha256};
use source::Found;
use std::collections::BTreeMap;

/// Times shown of each line.
const SHOWN: usize = 3;
/// Hexadecimal digits of a key.
const DIGITS: usize = 16;

const EXAMPLES: &str = "\
Examples:
  crontab -l | sexton event import --crontab - --dry-run
  sexton event import --crontab /etc/crontab --system-crontab --tz Europe/Paris --label from=cron
  sexton event import --systemd /etc/systemd/system/backup.timer

Each line becomes an event of shell.run, shown with its next times. All are stored, or none. A line that cannot be
taken is named with the reason, and nothing is stored then, unless --skip is given. Importing the same line again is
refused: it has a key. The service of a timer is looked for among the files, then beside the timer.";

/// What to take over.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("source").required(true))]
pub struct Import {
    /// A user's crontab; `-` is standard input
    #[arg(long, value_name = "FILE|-", group = "source")]
    pub crontab: Option<String>,
    /// It is the system's crontab: a user stands before each command
    #[arg(long, requires = "crontab", conflicts_with = "systemd")]
    pub system_crontab: bool,
    /// systemd timers, and services that they start
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source")]
    pub systemd: Vec<String>,
    /// The event type of the events
    #[arg(long = "type", value_name = "TYPE", default_value = EVENT_TYPE)]
    pub event_type: String,
    /// The zone whose clocks the times are read by [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Only show what would be stored; needs no host
    #[arg(long)]
    pub dry_run: bool,
    /// Leave out the lines that cannot be taken, and store the rest
    #[arg(long)]
    pub skip: bool,
    /// For filters; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
}

/// A line that becomes an event.
#[derive(Debug, Serialize)]
pub struct Ready {
    file: String,
    line: usize,
    text: String,
    schedule: Value,
    next: Vec<String>,
    event_type: String,
    args: Value,
    key: String,
    notes: Vec<String>,
}

/// A line that does not.
#[derive(Debug, Serialize)]
pub struct Left {
    file: String,
    line: usize,
    text: String,
    code: String,
    why: String,
    remedy: String,
}

/// What came of the files.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The zone of lines that name none.
    tz: String,
    taken: Vec<Ready>,
    not_taken: Vec<Left>,
    /// The host's answers, one for each that was taken; none if nothing was stored.
    stored: Vec<Value>,
}

impl Import {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, the host's refusal; exit code 1 when a line was not taken.
    pub fn run(self, door: &Door) -> Done {
        let labels = labels(&self.label)?;
        let tz = self.tz.clone().unwrap_or_else(source::machine_zone);
        // An unknown zone is one mistake, not one for each line.
        let tz = sexton_core::schedule::zone::name_of(&tz).map_err(Failure::Input)?;
        let found = match &self.crontab {
            Some(path) => source::crontab(path, if self.system_crontab { Form::System } else { Form::User }, &tz)?,
            None => source::timers(&self.systemd, &tz)?,
        };
        let mut outcome = self.sorted(found, tz, Utc::now());
        let is_whole = outcome.not_taken.is_empty();
        if !self.dry_run && !outcome.taken.is_empty() && (is_whole || self.skip) {
            outcome.stored = store(door, &outcome.taken, &labels)?;
        }
        door.answer(&json!(outcome), |_| drawn::drawn(&outcome, self.dry_run, self.skip))?;
        if is_whole || self.skip { Ok(()) } else { Err(Failure::Told(1)) }
    }

    fn sorted(&self, found: Vec<Found>, tz: String, now: DateTime<Utc>) -> Outcome {
        let mut outcome = Outcome { tz, ..Outcome::default() };
        let mut keys = BTreeMap::new();
        for Found { file, origin, line } in found {
            match line {
                Line::NotTaken(not) => {
                    outcome.not_taken.push(Left {
                        file,
                        line: not.line_no,
                        text: not.text,
                        code: "INP025".to_owned(),
                        why: not.why,
                        remedy: not.remedy,
                    });
                }
                Line::Taken(taken) => match self.ready(&file, &origin, &taken, &mut keys, now) {
                    Ok(ready) => outcome.taken.push(ready),
                    Err(refusal) => outcome.not_taken.push(Left {
                        file,
                        line: taken.line_no,
                        text: taken.text,
                        code: refusal.code,
                        why: refusal.message,
                        remedy: refusal.remedy.or(refusal.expected).unwrap_or_default(),
                    }),
                },
            }
        }
        outcome
    }

    /// The event of a line, if its schedule holds and its command is known.
    fn ready(
        &self,
        file: &str,
        origin: &str,
        taken: &Taken,
        keys: &mut BTreeMap<String, usize>,
        now: DateTime<Utc>,
    ) -> Result<Ready, Refusal> {
        let shown = preview::preview(Schedule::from_json(&taken.schedule_json)?, &Calendars::new(), now, SHOWN)?;
        let args = taken.args_json.clone().ok_or_else(|| {
            let why = taken.notes.iter().find(|note| note.contains("was not given")).cloned();
            let why = why.unwrap_or_else(|| "its command is not known".to_owned());
            Refusal::new("INP025", sexton_core::Blame::Input, why).remedy("name the file of the service too, behind the timer's")
        })?;
        Ok(Ready {
            file: file.to_owned(),
            line: taken.line_no,
            text: taken.text.clone(),
            schedule: taken.schedule_json.clone(),
            next: shown.next,
            event_type: self.event_type.clone(),
            args,
            key: key(origin, &taken.text, keys),
            notes: taken.notes.iter().chain(&shown.notes).cloned().collect(),
        })
    }
}

/// The same for the same line, also if lines before it came or went. cron runs a line that stands there twice twice: the second has its own.
fn key(origin: &str, text: &str, keys: &mut BTreeMap<String, usize>) -> String {
    let digest = Sha256::digest(format!("{origin}\n{}", text.trim()).as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("import:{}", &digits[..DIGITS]);
    let times = keys.entry(key.clone()).or_insert(0);
    *times += 1;
    if *times == 1 { key } else { format!("{key}:{times}") }
}

/// All of them in one batch. A refusal names the line instead of the number in the batch.
fn store(door: &Door, taken: &[Ready], labels: &Value) -> Result<Vec<Value>, Failure> {
    let events: Vec<Value> = taken
        .iter()
        .map(|ready| {
            json!({
                "event_type": ready.event_type,
                "schedule": ready.schedule,
                "args": ready.args,
                "key": ready.key,
                "labels": labels,
                "description": format!("{} line {}", ready.file, ready.line),
            })
        })
        .collect();
    let answer = door.open()?.call("POST", "/api/v1/events", Body::Json(json!(events).to_string()));
    match answer {
        Ok(Value::Array(stored)) => Ok(stored),
        Ok(_) => Ok(Vec::new()),
        Err(Trouble::Refused(refusal)) => Err(Failure::Host(at_line(refusal, taken))),
        Err(other) => Err(other.into()),
    }
}

fn at_line(mut refusal: Refusal, taken: &[Ready]) -> Refusal {
    let numbered = refusal.message.strip_prefix("event ").and_then(|rest| rest.split_once(": "));
    let numbered = numbered.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
    let (at, rest) = match (numbered, taken) {
        (Some((number, rest)), _) => (number.checked_sub(1).and_then(|at| taken.get(at)), rest),
        (None, [only]) => (Some(only), refusal.message.as_str()),
        // A key in use is named by itself.
        (None, _) => (taken.iter().find(|ready| refusal.message.contains(&format!("`{}`", ready.key))), refusal.message.as_str()),
    };
    if let Some(ready) = at {
        refusal.message = format!("{} line {}: {rest}", ready.file, ready.line);
    }
    if refusal.code == "INP008" {
        refusal = refusal.remedy("the line was imported before: cancel that event first, or take the line out of the file");
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::Blame;
    use sexton_core::import::read_crontab;

    fn import() -> Import {
        Import {
            crontab: Some("-".to_owned()),
            system_crontab: false,
            systemd: Vec::new(),
            event_type: EVENT_TYPE.to_owned(),
            tz: None,
            dry_run: true,
            skip: false,
            label: Vec::new(),
        }
    }

    fn outcome(crontab: &str) -> Outcome {
        let lines = read_crontab(crontab, Form::User, "Europe/Paris").into_iter();
        let found = lines.map(|line| Found { file: "c".to_owned(), origin: "crontab".to_owned(), line }).collect();
        import().sorted(found, "Europe/Paris".to_owned(), "2026-03-27T12:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn lines_become_events_with_their_next_times() {
        let outcome = outcome("30 2 * * * /bin/backup\n# no\n@reboot /bin/no\n0 25 * * * /bin/late\n0 0 30 2 * /bin/never\n");
        let [ready] = outcome.taken.as_slice() else { panic!("{outcome:?}") };
        assert_eq!((ready.line, &ready.schedule), (1, &json!({"cron": "30 2 * * *", "tz": "Europe/Paris"})));
        assert_eq!(ready.next, ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]);
        assert_eq!(ready.args["script"], "/bin/backup");
        assert!(ready.notes.iter().any(|note| note.contains("the clocks go forward")), "{:?}", ready.notes);
        let left: Vec<_> = outcome.not_taken.iter().map(|left| (left.line, left.code.as_str())).collect();
        assert_eq!(left, [(3, "INP025"), (4, "INP003"), (5, "INP007")]);
        assert!(outcome.not_taken.iter().all(|left| !left.why.is_empty() && !left.remedy.is_empty()), "{outcome:?}");
    }

    #[test]
    fn a_line_keeps_its_key() {
        let keys = |crontab: &str| outcome(crontab).taken.into_iter().map(|ready| ready.key).collect::<Vec<_>>();
        let first = keys("0 1 * * * /bin/a\n0 1 * * * /bin/b\n0 1 * * * /bin/a\n");
        assert_eq!(first.len(), 3);
        assert!(first[0].len() == 23 && first[2] == format!("{}:2", first[0]) && first[0] != first[1], "{first:?}");
        assert_eq!(keys("# more\n\n 0 1 * * * /bin/b\n"), first[1..2]);
        let mut none = BTreeMap::new();
        assert_ne!(key("a.timer", "OnCalendar=daily", &mut none), key("b.timer", "OnCalendar=daily", &mut none));
    }

    #[test]
    fn the_hosts_refusal_names_the_line() {
        let taken = outcome("\n0 1 * * * /bin/a\n\n0 2 * * * /bin/b\n").taken;
        let refused = |message: &str, code: &str| Refusal::new(code, Blame::Input, message);
        assert_eq!(at_line(refused("event 2: no", "INP002"), &taken).message, "c line 4: no");
        assert_eq!(at_line(refused("event 9: no", "INP002"), &taken).message, "event 9: no");
        assert_eq!(at_line(refused("no", "INP002"), &taken[..1]).message, "c line 2: no");
        let in_use = refused(&format!("the key `{}` is in use", taken[1].key), "INP008");
        assert!(at_line(in_use, &taken).message.starts_with("c line 4: the key"));
        assert!(at_line(refused("event 1: in use", "INP008"), &taken).remedy.is_some_and(|t| t.contains("imported before")));
    }
}
