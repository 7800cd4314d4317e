//! Why a library is not taken: a code, what was expected, what was found, what to do.
//!
//! Not the host's `Refusal` (this crate does not know `sexton-core`); the host turns one into the other field by field. What must hold:
//! a rejection has changed nothing.

use crate::seam::Death;
use serde::{Deserialize, Serialize};

/// A library refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// `PLG…`, one page each.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// What was there instead.
    pub found: Option<String>,
    /// What to do now.
    pub remedy: Option<String>,
}

impl Rejection {
    /// A rejection with a code and a sentence.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), expected: None, found: None, remedy: None }
    }

    /// The process in which it was opened died before `load` had answered.
    #[must_use]
    pub fn died_while_loading(plugin: &str, death: &Death) -> Self {
        Self::new("PLG051", format!("the process of plugin `{plugin}` died while it was opened or in `load`: {}", death.cause))
            .expected("`load` answers and the process goes on")
            .found(death.cause.clone())
            .remedy("correct the plugin: its own words are in the log; a changed file is tried anew")
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
}
