//! The one shape in which Sexton says no: a code, who is to blame, what was expected, what was found, what to do.
//!
//! Not an error type of any one crate: store and loader errors become a `Refusal` at the edge of the host. What must hold:
//! every code has a page in `host/docs/errors/`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The request: what the caller typed or sent.
    Input,
    /// The configuration of the host.
    Config,
    /// A plugin.
    Plugin,
    /// The store.
    Store,
    /// The machine: disk, permissions, another process.
    World,
    /// Sexton itself.
    Bug,
}

/// Where in a text the trouble is, for a caret under it. Byte offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The text as it was given.
    pub text: String,
    /// First byte of the trouble.
    pub start: usize,
    /// Just past its last byte.
    pub end: usize,
}

/// A request that changed nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    /// Stable, documented: three letters and three digits.
    pub code: String,
    /// Who has to act.
    pub blame: Blame,
    /// One sentence.
    pub message: String,
    /// What would have been right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The place in the input, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Refusal {
    /// A refusal with code, blame and sentence; add the rest by the setters below.
    #[must_use]
    pub fn new(code: &str, blame: Blame, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), blame, message: message.into(), expected: None, found: None, remedy: None, place: None }
    }

    /// Says what would have been right.
    #[must_use]
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = Some(text.into());
        self
    }

    /// Says what was there instead.
    #[must_use]
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = Some(text.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }

    /// Points at `start..end` (bytes) of `text`.
    #[must_use]
    pub fn at(mut self, text: &str, start: usize, end: usize) -> Self {
        self.place = Some(Place { text: text.to_owned(), start, end });
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        for (word, text) in [("expected", &self.expected), ("found", &self.found), ("remedy", &self.remedy)] {
            if let Some(text) = text {
                write!(f, "; {word}: {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_everything_on_one_line_and_survives_json() {
        let short = Refusal::new("INP003", Blame::Input, "`x` is not understood");
        assert_eq!(short.to_string(), "INP003: `x` is not understood");
        let full = short.clone().expected("0-59").found("x").remedy("write a number").at("x * * * *", 0, 1);
        assert_eq!(full.to_string(), "INP003: `x` is not understood; expected: 0-59; found: x; remedy: write a number");
        for refusal in [short, full] {
            let json = serde_json::to_string(&refusal).expect("JSON");
            assert_eq!(serde_json::from_str::<Refusal>(&json).expect("a refusal"), refusal);
            assert!(!json.contains("null"), "what is absent is not written: {json}");
        }
    }
}
