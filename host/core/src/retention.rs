//! How long runs are kept: by age, by outcome, by count; for a type, else for all.
//!
//! Not the deleting: the store does that, in steps. What must hold: a rule that says nothing of something leaves that to the rule beneath it.

use crate::policy::span;
use crate::refusal::{Blame, Refusal};
use crate::run::Outcome;
use crate::schedule::{duration, instant};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Whoever wants to see how a run ended needs a moment to look.
const LEAST: Duration = Duration::from_secs(60);

/// How long runs of a type are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Runs that succeeded: so long after their end.
    #[serde(serialize_with = "written")]
    pub keep: Duration,
    /// All others: so long after their end.
    #[serde(serialize_with = "written")]
    pub keep_failed: Duration,
    /// Beyond so many runs the oldest go, whatever their age.
    pub max_runs: u64,
}

fn written<S: serde::Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&duration::text(*span))
}

impl Default for Retention {
    /// A month shows the last run of a monthly job beside this one; what failed is asked for later, when the quarter is looked back at. A hundred
    /// thousand runs are some thirty megabytes: a job that runs each second keeps a day of them, and a flood does not fill the disk.
    fn default() -> Self {
        Self { keep: 30 * DAY, keep_failed: 90 * DAY, max_runs: 100_000 }
    }
}

impl Retention {
    /// Runs of this outcome that ended before the answer have been kept long enough.
    #[must_use]
    pub fn cut(&self, outcome: Outcome, now: DateTime<Utc>) -> DateTime<Utc> {
        let keep = if outcome == Outcome::Succeeded { self.keep } else { self.keep_failed };
        let cut = TimeDelta::from_std(keep).ok().and_then(|keep| now.checked_sub_signed(keep));
        cut.map_or(DateTime::<Utc>::MIN_UTC, instant::to_micros)
    }
}

/// What somebody said about it; absent = as the rule beneath says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// See [`Retention::keep`].
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub keep: Option<Duration>,
    /// See [`Retention::keep_failed`].
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub keep_failed: Option<Duration>,
    /// See [`Retention::max_runs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<u64>,
}

impl RetentionRule {
    /// This rule over another.
    #[must_use]
    pub fn over(&self, beneath: Retention) -> Retention {
        Retention {
            keep: self.keep.unwrap_or(beneath.keep),
            keep_failed: self.keep_failed.unwrap_or(beneath.keep_failed),
            max_runs: self.max_runs.unwrap_or(beneath.max_runs),
        }
    }

    /// This rule where it says something, else another one.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            keep: self.keep.or(other.keep),
            keep_failed: self.keep_failed.or(other.keep_failed),
            max_runs: self.max_runs.or(other.max_runs),
        }
    }

    /// Refuses (`INP040`) a rule that says nothing, or keeps nothing.
    ///
    /// # Errors
    /// With what would have been right.
    pub fn check(&self) -> Result<(), Refusal> {
        let refused = |said: String| Refusal::new("INP040", Blame::Input, said);
        if *self == Self::default() {
            return Err(refused("the rule of retention says nothing".to_owned()).expected("one of `keep`, `keep_failed`, `max_runs`"));
        }
        for (name, span) in [("keep", self.keep), ("keep_failed", self.keep_failed)] {
            if let Some(short) = span.filter(|span| *span < LEAST) {
                return Err(refused(format!("`{name}` is so short that nobody could look at a run"))
                    .expected(format!("at least {}", duration::text(LEAST)))
                    .found(duration::text(short)));
            }
        }
        if self.max_runs == Some(0) {
            return Err(refused("`max_runs` keeps no run at all".to_owned()).expected("1 or more").found("0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(json: serde_json::Value) -> RetentionRule {
        serde_json::from_value(json).expect("a rule")
    }

    #[test]
    fn a_rule_stands_on_the_one_beneath_it() {
        let all = rule(json!({"keep": "7d", "max_runs": 10})).over(Retention::default());
        assert_eq!(all, Retention { keep: 7 * DAY, keep_failed: 90 * DAY, max_runs: 10 });
        assert_eq!(rule(json!({"keep_failed": "1d", "max_runs": 2})).over(all), Retention { keep: 7 * DAY, keep_failed: DAY, max_runs: 2 });
        assert_eq!(rule(json!({"keep": "1h"})).or(&rule(json!({"keep": "2h", "max_runs": 3}))), rule(json!({"keep": "1h", "max_runs": 3})));
        let written = serde_json::to_value(Retention::default()).expect("JSON");
        assert_eq!(written, json!({"keep": "30d", "keep_failed": "90d", "max_runs": 100_000}));
    }

    #[test]
    fn what_succeeded_and_what_did_not_have_cuts_of_their_own() {
        let now: DateTime<Utc> = "2030-06-01T00:00:00Z".parse().expect("an instant");
        let kept = Retention { keep: DAY, keep_failed: 2 * DAY, max_runs: 1 };
        assert_eq!(kept.cut(Outcome::Succeeded, now), now - TimeDelta::days(1));
        for other in [Outcome::Failed, Outcome::Snoozed, Outcome::Cancelled, Outcome::Interrupted, Outcome::Lost] {
            assert_eq!(kept.cut(other, now), now - TimeDelta::days(2), "{other:?}");
        }
        let for_ever = Retention { keep: Duration::from_secs(u64::MAX / 4), ..kept };
        assert_eq!(for_ever.cut(Outcome::Succeeded, now), DateTime::<Utc>::MIN_UTC);
    }

    #[test]
    fn rules_that_say_or_keep_nothing_are_refused() {
        for wrong in [json!({}), json!({"keep": "59s"}), json!({"keep_failed": "0s"}), json!({"max_runs": 0})] {
            assert_eq!(rule(wrong.clone()).check().expect_err("refused").code, "INP040", "{wrong}");
        }
        for right in [json!({"keep": "1m"}), json!({"max_runs": 1}), json!({"keep_failed": "36525d"})] {
            assert_eq!(rule(right.clone()).check(), Ok(()), "{right}");
        }
        assert!(serde_json::from_value::<RetentionRule>(json!({"keep": "soon"})).is_err());
    }
}
