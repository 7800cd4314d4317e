//! `sexton alert`: be told when something did not run, failed, or began late.
//!
//! Not the conditions' meaning. What must hold: the JSON of an alert is the host's, untouched.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure, input};
use crate::client::{Body, encode};
use crate::output::table::{Column, card, cut, instant, text};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value};
use sexton_core::schedule::duration;

/// Verbs on alerts.
#[derive(Debug, Subcommand)]
pub enum Alert {
    /// Set an alert: when its condition holds, an event of the notification's type is scheduled, once an episode
    Set(Box<Set>),
    /// List alerts and how they stand
    List,
    /// Show one alert
    Show {
        /// The alert's name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Forget an alert
    Remove {
        /// The alert's name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  sexton alert set backup --event ID --did-not-run 26h --notify shell.run --args '{\"script\": \"mail -s alert ops\", \"stdin\": \"{alert.text}\"}'
  sexton alert set flaky --type http.request --failed 5 --notify acme.page --again 1h

The notification's arguments are those given, with what happened added under `alert`; or, if a text in them names a field of it as
{alert.text}, with that filled in. Fields: name event_id event_type condition limit text since raised_at times last_success
failed_in_a_row last_error occurrence due_at late_ms.";

/// What to be told of.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("about").required(true).args(["event", "event_type"])))]
#[command(group(ArgGroup::new("condition").required(true).args(["did_not_run", "failed", "late"])))]
pub struct Set {
    /// The alert's name: lower-case letters, digits, `-`, `_` and `.`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// About this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// About all events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// When no run has succeeded for so long
    #[arg(long, value_name = "DURATION")]
    pub did_not_run: Option<String>,
    /// When so many attempts have failed with no success in between
    #[arg(long, value_name = "N")]
    pub failed: Option<u32>,
    /// When an occurrence begins so much later than it was due, or is that late and has not begun
    #[arg(long, value_name = "DURATION")]
    pub late: Option<String>,
    /// The event type that is scheduled
    #[arg(long, value_name = "TYPE")]
    pub notify: String,
    /// Its arguments
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub args: Option<String>,
    /// Again after so long, as long as it holds
    #[arg(long, value_name = "DURATION")]
    pub again: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column { head: "NAME", cell: |a| text(a, "name") },
    Column { head: "ABOUT", cell: about },
    Column { head: "CONDITION", cell: condition },
    Column { head: "NOTIFY", cell: |a| text(a, "notify") },
    Column { head: "RAISED", cell: |a| instant(a, "standing.raised_at") },
    Column { head: "TIMES", cell: |a| text(a, "standing.episodes") },
    Column { head: "LAST", cell: |a| cut(&last(a), 60) },
];

fn about(alert: &Value) -> String {
    let event = text(alert, "event");
    if event.is_empty() { text(alert, "event_type") } else { event }
}

fn condition(alert: &Value) -> String {
    let words = [("did_not_run", "did not run for"), ("failed", "failed in a row:"), ("late", "late by")];
    words.iter().find(|(name, _)| !alert[*name].is_null()).map_or_else(String::new, |(name, said)| format!("{said} {}", text(alert, name)))
}

fn last(alert: &Value) -> String {
    match text(alert, "standing.trouble").as_str() {
        "" => text(alert, "standing.text"),
        trouble => format!("could not be told: {trouble}"),
    }
}

fn drawn(alert: &Value) -> String {
    let raised = instant(alert, "standing.raised_at");
    card(&[
        ("name", text(alert, "name")),
        ("about", about(alert)),
        ("condition", condition(alert)),
        ("notify", text(alert, "notify")),
        ("args", text(alert, "args")),
        ("again", text(alert, "again")),
        ("stands", if raised.is_empty() { "quiet".to_owned() } else { format!("raised since {raised}") }),
        ("told", instant(alert, "standing.told_at")),
        ("told by", text(alert, "standing.notified")),
        ("episodes", text(alert, "standing.episodes")),
        ("last", last(alert)),
        ("set", format!("{} by {}", instant(alert, "created_at"), text(alert, "created_by"))),
    ])
}

fn at(name: &str) -> String {
    format!("/api/v1/alerts/{}", encode(name))
}

impl Alert {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::Set(set) => {
                let (name, body) = (set.name.clone(), set.body()?);
                let answer = door.open()?.call("PUT", &at(&name), Body::Json(body.to_string()))?;
                door.answer(&answer, |_| format!("set {name}"))
            }
            Self::List => {
                let answer = door.open()?.get("/api/v1/alerts")?;
                door.rows(answer["items"].as_array().cloned().unwrap_or_default(), COLUMNS, "no alerts")
            }
            Self::Show { name } => door.answer(&door.open()?.get(&at(&name))?, drawn),
            Self::Remove { name } => {
                let answer = door.open()?.call("DELETE", &at(&name), Body::Empty)?;
                door.answer(&answer, |_| format!("removed {name}"))
            }
        }
    }
}

impl Set {
    fn body(self) -> Result<Value, Failure> {
        for span in [&self.did_not_run, &self.late, &self.again].into_iter().flatten() {
            duration::parse(span).map_err(Failure::Input)?;
        }
        let args = self.args.as_deref().map(|args| input::json("--args", args)).transpose()?;
        let fields = [
            ("event", self.event.map(Value::from)),
            ("event_type", self.event_type.map(Value::from)),
            ("did_not_run", self.did_not_run.map(Value::from)),
            ("failed", self.failed.map(Value::from)),
            ("late", self.late.map(Value::from)),
            ("notify", Some(Value::from(self.notify))),
            ("args", args),
            ("again", self.again.map(Value::from)),
        ];
        Ok(fields.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said?))).collect::<Map<_, _>>().into())
    }
}
