//! `sexton calendar`: named days and hours that schedules leave out, or keep to.
//!
//! Not what a calendar says (`sexton-core`). What must hold: `check` needs no host, and says what a host would.

pub mod file;

use crate::cli::Done;
use crate::cli::Failure;
use crate::cli::connect::Door;
use crate::client::{Body, encode};
use crate::output::table::{Column, card, instant as shown, text};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sexton_core::Refusal;
use sexton_core::calendar::Calendar as Days;
use sexton_core::schedule::{instant, zone};

/// Boundaries that a check shows.
const BOUNDARIES: usize = 6;
/// Stretches that a check looks at to find them; neighbours may say the same.
const LOOKS: usize = 10_000;

/// Verbs on calendars.
#[derive(Debug, Subcommand)]
pub enum Calendar {
    /// List calendars
    List,
    /// Show one calendar
    Show(Name),
    /// Store a calendar under a name; events that name it are planned again
    Set(Set),
    /// Forget a calendar that no open event names
    Remove(Name),
    /// Read a calendar here, without a host, and say whether an instant is inside
    Check(Check),
}

/// Which calendar.
#[derive(Debug, Args)]
pub struct Name {
    /// The calendar's name
    #[arg(value_name = "NAME")]
    pub name: String,
}

const EXAMPLES: &str = "\
Examples:
  sexton calendar set holidays --from holidays.ics --tz Europe/Paris
  sexton calendar set office --from - <<< '{\"tz\": \"Europe/Paris\", \"weekly\": [{\"days\": \"mon-fri\", \"from\": \"09:00\", \"to\": \"17:00\"}]}'
  sexton event schedule shell.run --args @job.json --cron '*/10 * * * *' --only office --exclude holidays

A calendar is a JSON object, or the same in TOML, with any of
  tz (UTC if absent)   dates [\"2026-12-25\", \"2026-12-24..2027-01-02\"]   annual [\"05-01\", \"12-24..01-02\"]
  weekly [{\"days\": \"mon-fri\", \"from\": \"09:00\", \"to\": \"17:00\"}]   daily [\"12:00..13:00\"]   ics \"BEGIN:VCALENDAR…\"
An instant is inside if any entry contains it.";

/// What to store.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Set {
    /// The calendar's name: lower-case letters, digits, `-` and `_`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its content.
    #[command(flatten)]
    pub file: File,
}

/// Where a calendar is written.
#[derive(Debug, Args)]
pub struct File {
    /// A .json, .toml or .ics file; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    pub from: String,
    /// The zone of times in an .ics file that name none [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct Check {
    /// Its content.
    #[command(flatten)]
    pub file: File,
    /// The instant [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub at: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column { head: "NAME", cell: |c| text(c, "name") },
    Column { head: "EVENTS", cell: |c| text(c, "events") },
    Column { head: "SET", cell: |c| shown(c, "updated_at") },
    Column { head: "BY", cell: |c| text(c, "updated_by") },
];

impl Calendar {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List => {
                let answer = door.open()?.get("/api/v1/calendars")?;
                door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "no calendars")
            }
            Self::Show(Name { name }) => door.answer(&door.open()?.get(&at(&name))?, drawn),
            Self::Set(Set { name, file }) => {
                let calendar = file::read(&file.from, file.tz.as_deref())?;
                let answer = door.open()?.call("PUT", &at(&name), Body::Json(calendar.to_string()))?;
                door.answer(&answer, |answer| match answer["moved"].as_i64() {
                    Some(1) => format!("set {name}; the next run of 1 event moved"),
                    moved => format!("set {name}; the next runs of {} events moved", moved.unwrap_or(0)),
                })
            }
            Self::Remove(Name { name }) => {
                let answer = door.open()?.call("DELETE", &at(&name), Body::Empty)?;
                door.answer(&answer, |_| format!("removed {name}"))
            }
            Self::Check(check) => check.run(door),
        }
    }
}

fn at(name: &str) -> String {
    format!("/api/v1/calendars/{}", encode(name))
}

fn drawn(row: &Value) -> String {
    let head = card(&[
        ("name", text(row, "name")),
        ("events", text(row, "events")),
        ("set", format!("{} by {}", shown(row, "updated_at"), text(row, "updated_by"))),
    ]);
    let content = serde_json::to_string_pretty(&row["calendar"]).expect("a value is JSON");
    format!("{head}\n\n{content}")
}

impl Check {
    fn run(&self, door: &Door) -> Done {
        let at = self.at.as_ref().map(|t| instant::parse(t)).transpose().map_err(Failure::Input)?.unwrap_or_else(Utc::now);
        let json = file::read(&self.file.from, self.file.tz.as_deref())?;
        let answer = look(&json, at).map_err(Failure::Input)?;
        door.answer(&answer, checked)
    }
}

/// Whether an instant is inside, until when, and where that changes next.
fn look(json: &Value, at: DateTime<Utc>) -> Result<Value, Refusal> {
    let calendar = Days::read(json)?;
    let tz = json["tz"].as_str().unwrap_or("UTC");
    let written = |at: DateTime<Utc>| Ok(zone::on_clock_of(tz, at)?.to_rfc3339_opts(SecondsFormat::AutoSi, false));
    let inside = calendar.span_at(at)?.inside;
    let boundaries: Result<Vec<Value>, Refusal> =
        boundaries(&calendar, at)?.into_iter().map(|(at, inside)| Ok(json!({"at": written(at)?, "inside": inside}))).collect();
    let boundaries = boundaries?;
    let until = boundaries.first().map_or(Value::Null, |first| first["at"].clone());
    Ok(json!({"at": written(at)?, "inside": inside, "until": until, "boundaries": boundaries}))
}

fn boundaries(calendar: &Days, at: DateTime<Utc>) -> Result<Vec<(DateTime<Utc>, bool)>, Refusal> {
    let (mut found, mut from, mut inside) = (Vec::new(), at, None);
    for _ in 0..LOOKS {
        let span = calendar.span_at(from)?;
        if inside.is_some_and(|inside| inside != span.inside) {
            found.push((from, span.inside));
        }
        inside = Some(span.inside);
        from = span.until;
        if found.len() == BOUNDARIES || from >= instant::last() {
            break;
        }
    }
    Ok(found)
}

fn checked(answer: &Value) -> String {
    let word = |inside: &Value| if *inside == true { "inside" } else { "outside" };
    let until = match answer["until"].as_str() {
        Some(until) => format!("until {}", weekday(until)),
        None => "for good".to_owned(),
    };
    let mut said = format!("{} is {}, {until}", weekday(&text(answer, "at")), word(&answer["inside"]));
    for boundary in answer["boundaries"].as_array().into_iter().flatten() {
        said += &format!("\n  {}  {}", weekday(&text(boundary, "at")), word(&boundary["inside"]));
    }
    said
}

/// An instant with its weekday and offset, on the clock that it was written by.
pub fn weekday(written: &str) -> String {
    DateTime::parse_from_rfc3339(written).map_or_else(|_| written.to_owned(), |at| at.format("%a %Y-%m-%d %H:%M:%S %:z").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: &Value, at: &str) -> Value {
        look(json, at.parse().expect("a time")).expect("good")
    }

    #[test]
    fn an_instant_is_inside_until_the_next_boundary() {
        let office = json!({"tz": "Europe/Paris", "weekly": [{"days": "mon-fri", "from": "09:00", "to": "17:00"}]});
        let answer = ask(&office, "2026-03-27T15:00:00Z");
        assert_eq!((&answer["inside"], &answer["until"]), (&json!(true), &json!("2026-03-27T17:00:00+01:00")));
        assert_eq!(answer["boundaries"].as_array().map(Vec::len), Some(BOUNDARIES));
        assert_eq!(answer["boundaries"][1], json!({"at": "2026-03-30T09:00:00+02:00", "inside": true}), "the clocks changed between");
        let said = checked(&answer);
        assert!(said.starts_with("Fri 2026-03-27 16:00:00 +01:00 is inside, until Fri 2026-03-27 17:00:00 +01:00\n"), "{said}");
    }

    #[test]
    fn what_never_changes_has_no_boundary() {
        for (json, inside) in [(json!({}), false), (json!({"weekly": [{"days": "mon-sun"}]}), true)] {
            let answer = ask(&json, "2026-03-27T15:00:00Z");
            assert_eq!((&answer["inside"], &answer["until"], &answer["boundaries"]), (&json!(inside), &Value::Null, &json!([])), "{json}");
            assert!(checked(&answer).ends_with("for good"));
        }
        // Days that touch are one stretch.
        let answer = ask(&json!({"dates": ["2026-12-24", "2026-12-25"]}), "2026-12-24T12:00:00Z");
        assert_eq!(answer["until"], json!("2026-12-26T00:00:00+00:00"));
        assert_eq!(look(&json!({"dates": ["2026-02-30"]}), Utc::now()).expect_err("no such day").code, "INP024");
    }
}
