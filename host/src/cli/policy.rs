//! The flags by which an event asks about its runs: overlap, time limit, uniqueness, shared limit.
//!
//! Not their meaning, which is the host's. What must hold: what was not said is not sent.

use crate::cli::{Failure, input};
use clap::Args;
use serde_json::{Map, Value, json};
use sexton_core::{Blame, Refusal};

/// How many wait at most under `--overlap queue_all` that names no number.
const QUEUED: u32 = 100;

/// What an event asks about its runs.
#[derive(Debug, Default, Args)]
pub struct Policy {
    /// If the one before is still going: skip, queue_one, queue_all, queue_all:N, cancel_previous, allow [default: skip]
    #[arg(long, value_name = "POLICY")]
    pub overlap: Option<String>,
    /// Ask a run to stop that takes longer, such as 30s
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// How long a run that was asked to stop may take to [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub grace: Option<String>,
    /// No two of a kind: {"by": ["type", "args"], "while": ["scheduled", "paused"], "conflict": "keep|replace|reject"}
    #[arg(long, value_name = "JSON")]
    pub unique: Option<String>,
    /// Shares a limit with all events that have the same word
    #[arg(long, value_name = "WORD")]
    pub limit_key: Option<String>,
}

impl Policy {
    /// Whether any of it was said.
    #[must_use]
    pub fn is_said(&self) -> bool {
        let Self { overlap, timeout, grace, unique, limit_key } = self;
        [overlap, timeout, grace, unique, limit_key].into_iter().any(Option::is_some)
    }

    /// Puts what was said over what was asked before.
    ///
    /// # Errors
    /// `INP016` for an overlap policy that is none, `INP011` for what is no JSON.
    pub fn onto(&self, mut stored: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
        if let Some(written) = &self.overlap {
            stored.insert("overlap".to_owned(), overlap(written)?);
        }
        for (name, value) in [("timeout", &self.timeout), ("grace", &self.grace), ("limit_key", &self.limit_key)] {
            if let Some(value) = value {
                stored.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(unique) = &self.unique {
            stored.insert("unique".to_owned(), input::json("--unique", unique)?);
        }
        Ok(stored)
    }
}

fn overlap(written: &str) -> Result<Value, Failure> {
    let number = |most: &str| most.parse::<u32>().ok();
    match written.split_once(':') {
        None if ["skip", "queue_one", "cancel_previous", "allow"].contains(&written) => Ok(json!(written)),
        None if written == "queue_all" => Ok(json!({ "queue_all": QUEUED })),
        Some(("queue_all", most)) if number(most).is_some() => Ok(json!({ "queue_all": number(most) })),
        _ => {
            let refusal = Refusal::new("INP016", Blame::Input, "`--overlap` is not understood").at(written, 0, written.len());
            Err(Failure::Input(refusal.expected("skip, queue_one, queue_all, queue_all:20, cancel_previous or allow")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_goes_over_what_was_asked_and_nothing_else_moves() {
        let said = Policy { overlap: Some("queue_all:7".into()), timeout: Some("30s".into()), ..Policy::default() };
        let stored = json!({"timeout": "1s", "limit_key": "db"}).as_object().cloned().unwrap();
        let onto = said.onto(stored).unwrap();
        assert_eq!(Value::Object(onto), json!({"overlap": {"queue_all": 7}, "timeout": "30s", "limit_key": "db"}));
        assert!(said.is_said() && !Policy::default().is_said());
    }

    #[test]
    fn every_overlap_policy_is_a_word_and_others_are_none() {
        for word in ["skip", "queue_one", "queue_all", "queue_all:3", "cancel_previous", "allow"] {
            assert!(serde_json::from_value::<sexton_core::Overlap>(overlap(word).unwrap()).is_ok(), "{word}");
        }
        for word in ["queue", "queue_all:", "queue_all:-1", "skip:3", ""] {
            assert!(overlap(word).is_err(), "{word}");
        }
    }
}
