//! `sexton schedule`: when would it run? Answered here, without a host.
//!
//! Not scheduling (`sexton event schedule`). What must hold: the answer is the one that a host would act on.

use crate::cli::connect::Door;
use crate::cli::when::not_built;
use crate::cli::{Done, Failure};
use crate::preview::preview;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use sexton_core::Schedule as Plan;
use sexton_core::schedule::{Flag, instant};

/// Verbs on schedules.
#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// Show the next instants
    Preview {
        /// Which schedule.
        #[command(flatten)]
        expression: Expression,
        /// Instants after this one [default: now]
        #[arg(long, value_name = "RFC3339")]
        after: Option<String>,
        /// How many
        #[arg(short, default_value_t = 5, value_name = "N")]
        n: usize,
    },
    /// Say it in words
    Explain(Expression),
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
    /// The IANA zone, such as Europe/Paris [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
}

/// The kinds that have a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 0 2 * * *
    Cron,
    /// 5m, a fixed grid
    Every,
    /// 5m after each run
    After,
    /// 2026-12-24T18:00:00+01:00
    Once,
    /// Not built yet
    Rrule,
}

impl Expression {
    fn plan(&self, now: DateTime<Utc>) -> Result<Plan, Failure> {
        let flag = match self.kind {
            Kind::Cron => Flag::Cron,
            Kind::Every => Flag::Every,
            Kind::After => Flag::AfterEach,
            Kind::Once => Flag::At,
            Kind::Rrule => return Err(Failure::Input(not_built("rrule"))),
        };
        Plan::parse_text(flag, &self.text, self.tz.as_deref(), now).and_then(|plan| plan.settle(now)).map_err(Failure::Input)
    }
}

impl Schedule {
    /// Runs the verb.
    ///
    /// # Errors
    /// When the schedule is not understood.
    pub fn run(self, door: &Door) -> Done {
        let now = Utc::now();
        match self {
            Self::Preview { expression, after, n } => {
                let after = after.as_ref().map(|t| instant::parse(t)).transpose().map_err(Failure::Input)?.unwrap_or(now);
                let shown = preview(expression.plan(after)?, after, n).map_err(Failure::Input)?;
                door.answer(&json!(shown), |_| {
                    let notes = shown.notes.iter().map(|note| format!("note: {note}"));
                    shown.next.iter().cloned().chain(notes).collect::<Vec<_>>().join("\n")
                })
            }
            Self::Explain(expression) => {
                let words = expression.plan(now)?.describe().map_err(Failure::Input)?;
                door.answer(&json!({"text": words}), |_| words.clone())
            }
        }
    }
}
