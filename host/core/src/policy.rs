//! What an author of an event may ask about its runs beside their times: overlap, time limit, uniqueness, a shared limit.
//!
//! Not the decisions: those are `decide`. What must hold: what is not said has the default of the design, and is not written.

use crate::event::EventState;
use crate::schedule::duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// No more than so many occurrences wait behind one that goes on, whatever `queue_all` asks for.
pub const QUEUED_MOST: u32 = 10_000;

/// What becomes of an occurrence that falls due while an earlier one of its event is still going (running, or waiting for its retry).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is counted as skipped.
    #[default]
    Skip,
    /// One waits for the end of what is going; more than one are counted as skipped.
    QueueOne,
    /// They wait, up to so many; what is beyond that is counted as skipped.
    QueueAll(u32),
    /// What is going is asked to stop, and gets no retry; then it starts.
    CancelPrevious,
    /// It starts beside the other.
    Allow,
}

impl Overlap {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// By what two events count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniqueBy {
    /// Their event type.
    Type,
    /// Their key.
    Key,
    /// Their arguments, as JSON values.
    Args,
}

/// What becomes of an event that is the same as one already stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// The stored one stays, and is the answer.
    Keep,
    /// The stored one is cancelled, and the new one stored.
    Replace,
    /// The new one is refused.
    #[default]
    Reject,
}

/// A promise that there are no two of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// What makes two events the same. Default: type and arguments.
    #[serde(default = "type_and_args")]
    pub by: Vec<UniqueBy>,
    /// The states in which a stored event counts. Default: scheduled and paused.
    #[serde(default = "open_states", rename = "while")]
    pub states: Vec<EventState>,
    /// What then. Default: the new one is refused.
    #[serde(default)]
    pub conflict: Conflict,
}

fn type_and_args() -> Vec<UniqueBy> {
    vec![UniqueBy::Type, UniqueBy::Args]
}

fn open_states() -> Vec<EventState> {
    vec![EventState::Scheduled, EventState::Paused]
}

/// What an event asks about its runs: `policy` in its JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPolicy {
    /// What if the previous one is still going.
    #[serde(default, skip_serializing_if = "Overlap::is_default")]
    pub overlap: Overlap,
    /// A run that takes longer is asked to stop; none = the type's.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How long a run that was asked to stop may take to; none = the type's.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
    /// There are no two of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// What else it shares a limit with: events of any type with the same word count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_key: Option<String>,
}

impl RunPolicy {
    /// Whether nothing was asked.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What it asks about the time of a run.
    #[must_use]
    pub fn time_limit(&self) -> TimeLimit {
        TimeLimit { timeout: self.timeout, grace: self.grace }
    }
}

/// How long a run may take, and then to stop, as somebody asks who may: an event's author, a type's, or nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimit {
    /// A run that takes longer is asked to stop.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How long a run that was asked to stop may take to.
    #[serde(default, with = "span", skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
}

impl TimeLimit {
    /// Whether nothing was asked.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A duration as people write it: `30s`, `1h 30m`.
pub mod span {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, duration};

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        span.map(duration::text).serialize(to)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| duration::parse(&text)).transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_asked_is_written_as_it_is_read_and_defaults_are_not() {
        assert_eq!(serde_json::to_value(RunPolicy::default()).unwrap(), json!({}));
        let all = json!({
            "overlap": {"queue_all": 7}, "timeout": "1m 30s", "grace": "5s", "limit_key": "db1",
            "unique": {"by": ["key"], "while": ["completed"], "conflict": "keep"}
        });
        let read: RunPolicy = serde_json::from_value(all.clone()).unwrap();
        assert_eq!((read.overlap, read.timeout), (Overlap::QueueAll(7), Some(Duration::from_secs(90))));
        assert_eq!(serde_json::to_value(&read).unwrap(), all);
    }

    #[test]
    fn every_word_of_overlap_is_read() {
        for (text, overlap) in [
            (json!("skip"), Overlap::Skip),
            (json!("queue_one"), Overlap::QueueOne),
            (json!("cancel_previous"), Overlap::CancelPrevious),
            (json!("allow"), Overlap::Allow),
        ] {
            assert_eq!(serde_json::from_value::<Overlap>(text).unwrap(), overlap);
        }
        assert!(serde_json::from_value::<Overlap>(json!("queue")).is_err());
    }

    #[test]
    fn uniqueness_that_says_nothing_is_by_type_and_arguments_among_open_events() {
        let unique: Unique = serde_json::from_value(json!({})).unwrap();
        assert_eq!(unique, Unique { by: type_and_args(), states: open_states(), conflict: Conflict::Reject });
        assert!(serde_json::from_value::<RunPolicy>(json!({"timeout": "soon"})).is_err());
    }
}
