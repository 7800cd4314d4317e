//! The flags that say when: exactly one kind of schedule, as JSON for the host.
//!
//! Not the parser of schedules (`sexton-core`). What must hold: what the host will refuse is left to the host, so that there is one sentence.

use crate::cli::{Failure, input};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::{Value, json};
use sexton_core::{Blame, Refusal};

/// One of the kinds of schedule.
#[derive(Clone, Debug, Default, Args)]
pub struct When {
    /// Once, at an instant
    #[arg(long, value_name = "RFC3339", group = "when", help_heading = "When")]
    pub at: Option<String>,
    /// Once, after a duration from now
    #[arg(long = "in", value_name = "DURATION", group = "when", help_heading = "When")]
    pub after_now: Option<String>,
    /// On a fixed grid
    #[arg(long, value_name = "DURATION", group = "when", help_heading = "When")]
    pub every: Option<String>,
    /// A delay after each completion
    #[arg(long, value_name = "DURATION", group = "when", help_heading = "When")]
    pub after_each: Option<String>,
    /// By a cron expression of 5, 6 or 7 fields
    #[arg(long, value_name = "EXPR", group = "when", help_heading = "When")]
    pub cron: Option<String>,
    /// By a recurrence rule (not built yet)
    #[arg(long, value_name = "RULE", group = "when", help_heading = "When")]
    pub rrule: Option<String>,
    /// Only by `event run-now`
    #[arg(long, group = "when", help_heading = "When")]
    pub manual: bool,
    /// The IANA zone of `--cron`, such as Europe/Paris [default: UTC]
    #[arg(long, value_name = "ZONE", help_heading = "When")]
    pub tz: Option<String>,
}

impl When {
    /// The schedule's JSON; `None` when nothing was said.
    ///
    /// # Errors
    /// `INP005`, `INP006` for a duration or time that is not understood; `INP016` for what does not go together.
    pub fn schedule(&self, now: DateTime<Utc>) -> Result<Option<Value>, Failure> {
        if self.tz.is_some() && self.cron.is_none() && self.rrule.is_none() {
            let refusal = Refusal::new("INP016", Blame::Input, "`--tz` says nothing without `--cron`");
            return Err(Failure::Input(refusal.remedy("leave it out, or write the offset into the time: 2026-12-24T18:00:00+01:00")));
        }
        if self.rrule.is_some() {
            return Err(Failure::Input(not_built("rrule")));
        }
        let text = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        Ok(if let Some(at) = &self.at {
            Some(json!({"once": text(input::instant("--at", at)?)}))
        } else if let Some(duration) = &self.after_now {
            Some(json!({"once": text(input::later("--in", now, duration)?)}))
        } else if let Some(step) = &self.every {
            Some(json!({"every": step}))
        } else if let Some(delay) = &self.after_each {
            Some(json!({"after": delay}))
        } else if let Some(expression) = &self.cron {
            Some(match &self.tz {
                Some(tz) => json!({"cron": expression, "tz": tz}),
                None => json!({"cron": expression}),
            })
        } else {
            self.manual.then(|| json!({"manual": true}))
        })
    }
}

/// The refusal of a kind that the design names and this build does not have.
#[must_use]
pub fn not_built(kind: &str) -> Refusal {
    Refusal::new("INP016", Blame::Input, format!("schedules of the kind `{kind}` are not built yet"))
        .expected("once, every, after, cron or manual")
        .remedy("most rules can be said as cron: `--cron \"0 2 * * MON\" --tz Europe/Paris`")
}
