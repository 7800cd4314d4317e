//! `sexton schedule`: when would it run? Answered here, without a host, unless it names calendars that only a host has.
//!
//! Not scheduling (`sexton event schedule`). What must hold: the answer is the one that a host would act on.

use crate::cli::calendar::{file, weekday};
use crate::cli::connect::Door;
use crate::cli::when::{Terms, in_flags};
use crate::cli::{Done, Failure};
use crate::client::Trouble;
use crate::output::table::distance;
use crate::preview;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use sexton_core::calendar::{Calendar, Calendars};
use sexton_core::schedule::instant;
use sexton_core::{Blame, Refusal, Schedule as Plan};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  sexton schedule preview '30 2 * * *' --tz Europe/Paris --after 2026-03-27T12:00:00Z -n 3
  sexton schedule preview --kind rrule 'FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=18;BYMINUTE=0;BYSECOND=0' --tz Asia/Tokyo
  sexton schedule preview --kind every '1 month' --anchor 2026-01-31T08:00:00Z
  sexton schedule preview '*/30 * * * *' --only office --calendar office=office.toml
  sexton schedule explain '0 0 L-2 * ? *' --dialect quartz";

/// Verbs on schedules.
#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// Show the next instants
    #[command(after_help = EXAMPLES)]
    Preview {
        /// Which schedule.
        #[command(flatten)]
        expression: Box<Expression>,
        /// Instants after this one [default: now]
        #[arg(long, value_name = "RFC3339")]
        after: Option<String>,
        /// How many
        #[arg(short, default_value_t = 5, value_name = "N")]
        n: usize,
    },
    /// Say it in words
    #[command(after_help = EXAMPLES)]
    Explain(Box<Expression>),
}

/// A schedule as one text.
#[derive(Debug, Args)]
pub struct Expression {
    /// A cron expression, or what the kind wants
    #[arg(value_name = "EXPR")]
    pub text: String,
    /// What the text is
    #[arg(long, value_enum, default_value = "cron")]
    pub kind: Kind,
    /// Take this calendar from a file instead of asking the host (may be repeated)
    #[arg(long, value_name = "NAME=FILE")]
    pub calendar: Vec<String>,
    /// Zone, bounds and policies of it.
    #[command(flatten)]
    pub terms: Terms,
}

/// The kinds that have a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 0 2 * * *
    Cron,
    /// 5m or `1 day`, a fixed grid
    Every,
    /// 5m after each run
    After,
    /// 2026-12-24T18:00:00+01:00
    Once,
    /// FREQ=MONTHLY;BYDAY=-1FR
    Rrule,
    /// ID[:success|failure|any], several with commas
    Follows,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Every => "every",
            Self::After => "after",
            Self::Once => "once",
            Self::Rrule => "rrule",
            Self::Follows => "follows",
        }
    }
}

impl Expression {
    /// The schedule's JSON.
    fn json(&self, now: DateTime<Utc>) -> Result<Value, Failure> {
        self.terms.with(self.kind.word(), &self.text, now).map_err(input)
    }

    fn plan(&self, now: DateTime<Utc>) -> Result<Plan, Failure> {
        Plan::from_json(&self.json(now)?).map_err(input)
    }

    /// Whether it names calendars of which no file was given.
    fn asks_host(&self) -> bool {
        self.calendar.is_empty() && self.terms.calendars().next().is_some()
    }

    /// The calendars whose files were given.
    fn calendars(&self) -> Result<Calendars, Failure> {
        let mut calendars = Calendars::new();
        for text in &self.calendar {
            let Some((name, path)) = text.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty()) else {
                let refusal = Refusal::new("INP016", Blame::Input, "`--calendar` is not understood").at(text, 0, text.len());
                return Err(Failure::Input(refusal.expected("NAME=FILE, such as office=office.toml")));
            };
            let calendar = Calendar::read(&file::read(path, None)?).map_err(|refusal| Failure::Input(named(path, refusal)))?;
            calendars.insert(name, Arc::new(calendar)).map_err(Failure::Input)?;
        }
        Ok(calendars)
    }

    fn ask(&self, door: &Door, path: &str, body: &Value) -> Result<Value, Failure> {
        door.open()?.post(path, body).map_err(|trouble| match trouble {
            Trouble::NoHost(refusal) => {
                let names: Vec<String> = self.terms.calendars().map(|name| format!("`{name}`")).collect();
                Failure::NoHost(Refusal {
                    message: format!("the schedule names calendars that a host keeps ({}), and {}", names.join(" "), refusal.message),
                    ..refusal.remedy("give their files with `--calendar NAME=FILE`, or name the host that keeps them with `--host`")
                })
            }
            Trouble::Refused(refusal) => Failure::Host(worded(refusal)),
            other => other.into(),
        })
    }
}

fn named(path: &str, mut refusal: Refusal) -> Refusal {
    refusal.message = format!("{path}: {}", refusal.message);
    refusal
}

/// In the words of these flags.
fn worded(refusal: Refusal) -> Refusal {
    in_flags(refusal, |kind| format!("--kind {kind}"))
}

fn input(refusal: Refusal) -> Failure {
    Failure::Input(worded(refusal))
}

impl Schedule {
    /// Runs the verb.
    ///
    /// # Errors
    /// When the schedule is not understood, or no host is there to say what its calendars are.
    pub fn run(self, door: &Door) -> Done {
        let now = Utc::now();
        match self {
            Self::Preview { expression, after, n } => {
                let after = after.as_ref().map(|t| instant::parse(t)).transpose().map_err(Failure::Input)?.unwrap_or(now);
                let answer = if expression.asks_host() {
                    expression.ask(
                        door,
                        "/api/v1/schedule/preview",
                        &json!({"schedule": expression.json(after)?, "after": after, "n": n}),
                    )?
                } else {
                    json!(preview::preview(expression.plan(after)?, &expression.calendars()?, after, n).map_err(input)?)
                };
                door.answer(&answer, drawn)
            }
            Self::Explain(expression) => {
                let answer = if expression.asks_host() {
                    expression.ask(door, "/api/v1/schedule/explain", &json!({"schedule": expression.json(now)?}))?
                } else {
                    json!({"text": preview::explain(expression.plan(now)?, &expression.calendars()?, now).map_err(input)?})
                };
                door.answer(&answer, |answer| answer["text"].as_str().unwrap_or_default().to_owned())
            }
        }
    }
}

/// For people: the local time with weekday and offset, how far it is from now, and the notes below.
fn drawn(answer: &Value) -> String {
    let texts = |name: &str| answer[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let (next, notes): (Vec<String>, Vec<String>) = (texts("next"), texts("notes"));
    let next = next.iter().map(|at| format!("{}  {}", weekday(at), distance(&json!({"at": at}), "at")));
    next.chain(notes.iter().map(|note| format!("note: {note}"))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(kind: Kind, text: &str, terms: Terms) -> Expression {
        Expression { text: text.to_owned(), kind, calendar: Vec::new(), terms }
    }

    #[test]
    fn people_see_weekdays_offsets_and_distances() {
        let said = drawn(&json!({"next": ["2001-03-28T02:30:00+02:00"], "notes": ["so it is"]}));
        assert!(said.starts_with("Wed 2001-03-28 02:30:00 +02:00  ") && said.contains("d ago") | said.contains("h ago"), "{said}");
        assert!(said.ends_with("\nnote: so it is"), "{said}");
    }

    #[test]
    fn each_kind_that_is_not_understood_is_refused_at_its_place() {
        for (kind, text, code) in [
            (Kind::Cron, "0 25 * * *", "INP003"),
            (Kind::Every, "1 fortnight", "INP005"),
            (Kind::After, "soon", "INP005"),
            (Kind::Once, "2026-02-30T00:00:00Z", "INP006"),
            (Kind::Rrule, "FREQ=NEVER", "INP023"),
        ] {
            let now = Utc::now();
            let refused = expression(kind, text, Terms::default())
                .plan(now)
                .and_then(|plan| preview::preview(plan, &Calendars::new(), now, 1).map_err(input));
            let Err(failure) = refused else { panic!("{text} is taken") };
            assert_eq!(failure.code(), 2);
            let refusal = failure.refusal().expect("a refusal");
            assert_eq!(refusal.code, code);
            let place = refusal.place.as_ref().unwrap_or_else(|| panic!("{text} has no place: {refusal}"));
            assert!(place.text == text && place.start < place.end, "{place:?}");
        }
    }

    #[test]
    fn refusals_speak_of_flags() {
        let terms = Terms { anchor: Some("2026-01-01T00:00:00Z".to_owned()), ..Terms::default() };
        let failure = expression(Kind::Cron, "@daily", terms).plan(Utc::now()).expect_err("refused");
        assert_eq!(failure.refusal().map(|r| r.message.as_str()), Some("`--anchor` does not go with `--kind cron`"));
    }

    #[test]
    fn calendars_come_from_files_or_from_the_host() {
        let mut asked = expression(Kind::Cron, "@daily", Terms { exclude: vec!["a".to_owned()], ..Terms::default() });
        assert!(asked.asks_host());
        let door = Door { address: Some("/nonexistent/sexton.sock".to_owned()), format: crate::output::Format::Json };
        let failure = asked.ask(&door, "/api/v1/schedule/explain", &json!({})).expect_err("nobody there");
        assert_eq!(failure.code(), 3);
        assert!(
            failure.refusal().is_some_and(|r| r.message.contains("`a`") && r.remedy.as_deref().is_some_and(|t| t.contains("--calendar")))
        );
        let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
        std::fs::write(file.path(), "dates = [2026-12-25]").expect("ours");
        asked.calendar = vec![format!("a={}", file.path().display())];
        assert!(!asked.asks_host());
        let at: DateTime<Utc> = "2026-12-24T12:00:00Z".parse().expect("a time");
        let shown = preview::preview(asked.plan(at).expect("good"), &asked.calendars().expect("good"), at, 1).expect("good");
        assert_eq!(shown.next, ["2026-12-26T00:00:00+00:00"]);
        for wrong in ["a", "=f", "a=", "A=x"] {
            asked.calendar = vec![wrong.to_owned()];
            assert_eq!(asked.calendars().expect_err(wrong).code(), 2, "{wrong}");
        }
    }
}
