//! `sexton event`: schedule, look at and change events.
//!
//! Not the rules. What must hold: the JSON of an answer is the host's, untouched.

pub(in crate::cli) mod drawn;
mod watched;

use crate::cli::backfill::Backfill;
use crate::cli::cancel::CancelEvents;
use crate::cli::connect::{Door, List};
use crate::cli::import::Import;
use crate::cli::policy::Policy;
use crate::cli::when::When;
use crate::cli::{Done, Failure, input};
use crate::client::{Body, encode};
use chrono::Utc;
use clap::{Args, Subcommand};
use drawn::{COLUMNS, accepted, all_accepted, altered, drawn};
use serde_json::{Map, Value, json};
use sexton_core::{Blame, Refusal};

/// Verbs on events.
#[derive(Debug, Subcommand)]
pub enum Event {
    /// Schedule an event, or many from a file
    Schedule(Box<Schedule>),
    /// List events, newest first
    List(Filter),
    /// Show one event, what of it waits, and its last runs
    Show {
        /// The event's id.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Change an event; never fires it
    Edit(Box<Edit>),
    /// End events, by name or all of a kind; what already runs is named
    Cancel(CancelEvents),
    /// Hold events
    Pause {
        /// Which.
        #[command(flatten)]
        ids: Ids,
        /// Why, for people
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Let paused events go on; what was missed follows their misfire policy
    Resume(Ids),
    /// Run events once now; their schedules stay as they are
    RunNow {
        /// Which.
        #[command(flatten)]
        ids: Ids,
        /// Follow the run until it is over, as `run watch` does; for one event
        #[arg(long)]
        watch: bool,
    },
    /// Run instants of the past that were missed, or came before the event
    Backfill(Backfill),
    /// Take over a crontab or systemd timers as events
    Import(Box<Import>),
}

/// One or more ids.
#[derive(Debug, Args)]
pub struct Ids {
    /// Ids of events
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  sexton event schedule shell.run --in 90s --args '{\"argv\": [\"date\"]}'
  sexton event schedule shell.run --args @job.json --key nightly --cron '0 2 * * *' --tz Europe/Paris
  sexton event schedule acme.start_resource --at 2026-12-24T18:00:00+01:00 --resource @web.json
  sexton event schedule shell.run --args @job.json --rrule 'FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=18;BYMINUTE=0;BYSECOND=0'
  sexton event schedule shell.run --args @job.json --every '1 month' --anchor 2026-01-31T08:00:00Z
  sexton event schedule shell.run --args @job.json --every 10m --only office --exclude holidays --jitter 30s
  sexton event schedule shell.run --args @job.json --cron @hourly --misfire all --catch-up 6h --expires 30m
  sexton event schedule shell.run --args @report.json --follows 05jp19e000800 --follows 05jp19e000801:any
  sexton event schedule --from events.ndjson

A line of a file is an object with event_type and schedule, and, if wanted,
args key description bot resources labels priority retry policy. All lines are stored, or none.

A schedule is one of
  {\"once\": \"2026-12-24T18:00:00+01:00\"}   {\"every\": \"5m\"}   {\"every\": \"1 month\", \"tz\": \"Europe/Paris\"}   {\"after\": \"5m\"}
  {\"cron\": \"0 2 * * *\", \"tz\": \"Europe/Paris\"}   {\"rrule\": \"FREQ=DAILY\", \"tz\": \"Europe/Paris\"}
  {\"follows\": [\"ID\", {\"event\": \"ID\", \"on\": \"failure\"}]}   {\"manual\": true}
with its terms beside it: start end max_runs expires jitter exclude only misfire catch_up gap fold dialect day_match";

/// What to schedule.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Schedule {
    /// The event type, such as acme.start_resource
    #[arg(value_name = "TYPE", required_unless_present = "from")]
    pub event_type: Option<String>,
    /// Many events, one JSON object a line; `-` is standard input
    #[arg(long, value_name = "FILE.ndjson|-", conflicts_with_all = ["event_type", "when", "Terms", "args", "key", "description", "bot", "resource", "label", "priority", "retry", "Policy"])]
    pub from: Option<String>,
    /// When.
    #[command(flatten)]
    pub when: When,
    /// Arguments of the job
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub args: Option<String>,
    /// Unique per event type among open events: scheduling it twice is refused
    #[arg(long)]
    pub key: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// On whose behalf: a name, or {"id": …, "name": …}
    #[arg(long, value_name = "BOT")]
    pub bot: Option<String>,
    /// What the job acts on: {"id": …, "kind": …, …}; may be said again
    #[arg(long, value_name = "JSON|@FILE")]
    pub resource: Vec<String>,
    /// For filters; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// Higher first among what is due at once [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// Retry policy: {"attempts": 3, "first_delay_ms": 1000, "max_delay_ms": 60000}
    #[arg(long, value_name = "JSON")]
    pub retry: Option<String>,
    /// What else is asked about its runs.
    #[command(flatten)]
    pub policy: Policy,
    /// Follow its first run until it is over, as `run watch` does
    #[arg(long, conflicts_with_all = ["from", "manual"])]
    pub watch: bool,
}

/// Which events.
#[derive(Debug, Args)]
pub struct Filter {
    /// Of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// In this stored state
    #[arg(long, value_parser = ["scheduled", "paused", "completed", "cancelled", "discarded"])]
    pub state: Option<String>,
    /// With this key
    #[arg(long)]
    pub key: Option<String>,
    /// Of this bot, by its id
    #[arg(long, value_name = "ID")]
    pub bot: Option<String>,
    /// With this label; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// With this resource, by its id
    #[arg(long, value_name = "ID")]
    pub resource: Option<String>,
    /// That follow this event
    #[arg(long, value_name = "ID")]
    pub follows: Option<String>,
    /// Only those whose type nobody serves now
    #[arg(long)]
    pub unresolved: bool,
    /// At most this many [default: 200 in a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// What to change.
#[derive(Debug, Args)]
pub struct Edit {
    /// The event's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// New schedule.
    #[command(flatten)]
    pub when: When,
    /// New arguments
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub args: Option<String>,
    /// New description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// New labels, all of them; may be said again
    #[arg(long, value_name = "K=V")]
    pub label: Vec<String>,
    /// New priority
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// New retry policy, all of it: {"attempts": 3, …}
    #[arg(long, value_name = "JSON")]
    pub retry: Option<String>,
    /// What is asked about its runs; what is not said stays.
    #[command(flatten)]
    pub policy: Policy,
}

impl Event {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::Schedule(schedule) => schedule.run(door),
            Self::List(filter) => filter.run(door),
            Self::Show { id } => {
                let event = door.open()?.get(&format!("/api/v1/events/{}", encode(&id)))?;
                door.answer(&event, drawn)
            }
            Self::Edit(edit) => edit.run(door),
            Self::Cancel(cancel) => cancel.run(door),
            Self::Pause { ids, note } => verb(door, &ids, "pause", &json!({"note": note})),
            Self::Resume(ids) => verb(door, &ids, "resume", &json!({})),
            Self::RunNow { ids, watch } if watch => watched::run_now(door, &ids.ids),
            Self::RunNow { ids, .. } => verb(door, &ids, "run-now", &json!({})),
            Self::Backfill(backfill) => backfill.run(door),
            Self::Import(import) => import.run(door),
        }
    }
}

/// One verb on each id in turn; the first refusal ends it.
fn verb(door: &Door, ids: &Ids, verb: &str, body: &Value) -> Done {
    let client = door.open()?;
    for id in &ids.ids {
        let answer = client.post(&format!("/api/v1/events/{}/{verb}", encode(id)), body)?;
        door.answer(&answer, altered)?;
    }
    Ok(())
}

impl Schedule {
    fn run(&self, door: &Door) -> Done {
        let mut lines = Vec::new();
        let body = match &self.from {
            Some(path) => {
                let text = input::read(path)?;
                lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(i, _)| i + 1).collect();
                Body::Ndjson(text)
            }
            None => Body::Json(self.body()?),
        };
        let answer = door.open()?.call("POST", "/api/v1/events", body).map_err(|trouble| self.when.told(trouble))?;
        if self.watch {
            return watched::first_run(door, &answer);
        }
        door.answer(&answer, |answer| match answer {
            Value::Array(all) => all_accepted(all, &lines),
            one => accepted(one),
        })
    }

    /// The event's JSON. Arguments stay as they were written.
    fn body(&self) -> Result<String, Failure> {
        let schedule = self.when.schedule(Utc::now())?.ok_or_else(|| {
            let refusal = Refusal::new("INP016", Blame::Input, "nobody said when the event is to run");
            Failure::Input(refusal.remedy("add one of --at, --in, --every, --after-each, --cron, --rrule, --follows, --manual"))
        })?;
        let mut event = Map::new();
        event.insert("event_type".to_owned(), json!(self.event_type));
        event.insert("schedule".to_owned(), schedule);
        for (name, value) in [("key", &self.key), ("description", &self.description)] {
            if let Some(value) = value {
                event.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(bot) = &self.bot {
            let bot = if bot.starts_with('{') { input::json("--bot", bot)? } else { json!({"id": bot, "name": bot}) };
            event.insert("bot".to_owned(), bot);
        }
        if !self.resource.is_empty() {
            let resources: Result<Vec<_>, _> = self.resource.iter().map(|r| input::json("--resource", r)).collect();
            event.insert("resources".to_owned(), json!(resources?));
        }
        if !self.label.is_empty() {
            event.insert("labels".to_owned(), labels(&self.label)?);
        }
        if let Some(priority) = self.priority {
            event.insert("priority".to_owned(), json!(priority));
        }
        if let Some(retry) = &self.retry {
            event.insert("retry".to_owned(), input::json("--retry", retry)?);
        }
        let policy = self.policy.onto(Map::new())?;
        if !policy.is_empty() {
            event.insert("policy".to_owned(), Value::Object(policy));
        }
        with_args(event, self.args.as_deref())
    }
}

/// The object as text, with raw arguments inside.
fn with_args(fields: Map<String, Value>, args: Option<&str>) -> Result<String, Failure> {
    let mut text = Value::Object(fields).to_string();
    if let Some(args) = args {
        let raw = input::raw_json("--args", args)?;
        text.pop();
        let comma = if text.len() > 1 { "," } else { "" };
        text = format!("{text}{comma}\"args\":{}}}", raw.get());
    }
    Ok(text)
}

/// `k=v` pairs as an object.
///
/// # Errors
/// `INP016` for one without `=`.
pub fn labels(pairs: &[String]) -> Result<Value, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((k, v)) if !k.is_empty() => Ok((k.to_owned(), json!(v))),
        _ => {
            let refusal = Refusal::new("INP016", Blame::Input, "`--label` is not understood").at(text, 0, text.len());
            Err(Failure::Input(refusal.expected("K=V, such as team=web")))
        }
    };
    Ok(Value::Object(pairs.iter().map(pair).collect::<Result<_, _>>()?))
}

impl Filter {
    fn run(&self, door: &Door) -> Done {
        labels(&self.label)?;
        let mut pairs =
            vec![("type", self.event_type.clone()), ("state", self.state.clone()), ("key", self.key.clone()), ("bot", self.bot.clone())];
        pairs.extend([("resource", self.resource.clone()), ("follows", self.follows.clone())]);
        pairs.extend(self.label.iter().map(|l| ("label", Some(l.clone()))));
        door.pages(&List {
            path: "/api/v1/events",
            pairs: &pairs,
            limit: self.limit,
            keep: if self.unresolved { |e| e["unresolved"] == true } else { |_| true },
            columns: COLUMNS,
            none: "no events",
        })
    }
}

impl Edit {
    fn run(&self, door: &Door) -> Done {
        let mut fields = Map::new();
        if let Some(schedule) = self.when.schedule(Utc::now())? {
            fields.insert("schedule".to_owned(), schedule);
        }
        if let Some(description) = &self.description {
            fields.insert("description".to_owned(), json!(description));
        }
        if !self.label.is_empty() {
            fields.insert("labels".to_owned(), labels(&self.label)?);
        }
        if let Some(priority) = self.priority {
            fields.insert("priority".to_owned(), json!(priority));
        }
        if let Some(retry) = &self.retry {
            fields.insert("retry".to_owned(), input::json("--retry", retry)?);
        }
        let client = door.open()?;
        let address = format!("/api/v1/events/{}", encode(&self.id));
        if self.policy.is_said() {
            let stored = client.get(&address)?;
            let stored = stored["policy"].as_object().cloned().unwrap_or_default();
            fields.insert("policy".to_owned(), Value::Object(self.policy.onto(stored)?));
        }
        if fields.is_empty() && self.args.is_none() {
            let refusal = Refusal::new("INP016", Blame::Input, "nothing to change was said");
            return Err(Failure::Input(
                refusal.remedy("add --args, --description, --label, --priority, --retry, --overlap or a schedule such as --every 5m"),
            ));
        }
        let body = with_args(fields, self.args.as_deref())?;
        let answer = client.call("PATCH", &address, Body::Json(body));
        let answer = answer.map_err(|trouble| self.when.told(trouble))?;
        door.answer(&answer, altered)
    }
}
