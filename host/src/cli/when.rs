//! The flags that say when: exactly one kind of schedule, as JSON for the host.
//!
//! Not the parser of schedules (`sexton-core`). What must hold: every text is read by the
//! parser that the host uses, so that there is one sentence for each mistake.

use crate::cli::Failure;
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;
use sexton_core::schedule::Flag;
use sexton_core::{Blame, Refusal, Schedule};

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
        if self.rrule.is_some() {
            return Err(Failure::Input(not_built("rrule")));
        }
        let said = [
            (Flag::At, self.at.as_deref()),
            (Flag::In, self.after_now.as_deref()),
            (Flag::Every, self.every.as_deref()),
            (Flag::AfterEach, self.after_each.as_deref()),
            (Flag::Cron, self.cron.as_deref()),
            (Flag::Manual, self.manual.then_some("")),
        ];
        let Some((flag, text)) = said.into_iter().find_map(|(flag, text)| Some((flag, text?))) else {
            return match &self.tz {
                None => Ok(None),
                Some(_) => Err(Failure::Input(Refusal::new("INP016", Blame::Input, "`--tz` says nothing without `--cron`"))),
            };
        };
        let schedule = Schedule::parse_text(flag, text, self.tz.as_deref(), now).map_err(Failure::Input)?;
        Ok(Some(serde_json::to_value(schedule).expect("a schedule is JSON")))
    }
}

/// The refusal of a kind that the design names and this build does not have.
#[must_use]
pub fn not_built(kind: &str) -> Refusal {
    Refusal::new("INP016", Blame::Input, format!("schedules of the kind `{kind}` are not built yet"))
        .expected("once, every, after, cron or manual")
        .remedy("most rules can be said as cron: `--cron \"0 2 * * MON\" --tz Europe/Paris`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_flag_is_a_kind() {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (When { at: some("2026-12-24T18:00:00+01:00"), ..When::default() }, json!({"once": "2026-12-24T17:00:00Z"})),
            (When { after_now: some("90s"), ..When::default() }, json!({"once": "2026-01-01T00:01:30Z"})),
            (When { every: some("5m"), ..When::default() }, json!({"every": "5m"})),
            (When { after_each: some("5m"), ..When::default() }, json!({"after": "5m"})),
            (When { cron: some("0 2 * * *"), ..When::default() }, json!({"cron": "0 2 * * *", "tz": "UTC"})),
            (When { manual: true, ..When::default() }, json!({"manual": true})),
        ];
        for (when, schedule) in cases {
            assert_eq!(when.schedule(now).expect("good"), Some(schedule));
        }
        assert_eq!(When::default().schedule(now).expect("nothing said"), None);
        let refused = [
            (When { after_now: some("soon"), ..When::default() }, "INP005"),
            (When { at: some("tomorrow"), ..When::default() }, "INP006"),
            (When { rrule: some("FREQ=DAILY"), ..When::default() }, "INP016"),
            (When { tz: some("Europe/Paris"), ..When::default() }, "INP016"),
            (When { tz: some("Europe/Paris"), every: some("5m"), ..When::default() }, "INP016"),
        ];
        for (when, code) in refused {
            assert!(matches!(when.schedule(now), Err(Failure::Input(r)) if r.code == code), "{when:?}");
        }
    }
}
