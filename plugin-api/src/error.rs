//! Why an entry of a plugin failed: `load`, `unload`, an action.
//!
//! Not how a job ends (see [`crate::job::JobError`]). What must hold: it holds text only, so that nothing of the plugin's
//! memory outlives the call that brings it to the host.

use crate::job::JobError;
use std::error::Error;
use std::fmt;

/// Why `load`, `unload` or an action failed, in words. `?` makes one from any error.
///
/// ```
/// # use sexton_plugin_api::prelude::*;
/// fn first_line(path: &str) -> Result<String, PluginError> {
///     let text = std::fs::read_to_string(path)?;
///     text.lines().next().map(str::to_owned).ok_or_else(|| PluginError::new(format!("`{path}` is empty")))
/// }
/// assert!(first_line("/nonexistent").unwrap_err().to_string().contains("No such file"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PluginError {
    message: String,
}

/// What an action returns.
pub type ActionResult = Result<(), PluginError>;

impl PluginError {
    /// An error with this sentence.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl<E: Error> From<E> for PluginError {
    fn from(error: E) -> Self {
        Self { message: chain_of(&error) }
    }
}

/// An action or a `load` may fail as a job does: with the same words.
impl From<JobError> for PluginError {
    fn from(error: JobError) -> Self {
        Self::new(error.to_string())
    }
}

/// A job may call what an action calls: its failure is retried by policy.
impl From<PluginError> for JobError {
    fn from(error: PluginError) -> Self {
        Self::fail(error.message)
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The error and its sources, joined by `: `, without saying a part twice.
pub(crate) fn chain_of(error: &dyn Error) -> String {
    /// A chain may be a ring by mistake.
    const DEEPEST: usize = 16;
    let mut text = error.to_string();
    let mut source = error.source();
    for _ in 0..DEEPEST {
        let Some(inner) = source else { break };
        let part = inner.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = inner.source();
    }
    text
}
