//! What a store can say instead of an answer.
//!
//! Not the public sentence: the host turns a kind into a `Refusal` with a code. What must hold: after an error nothing of
//! the verb was stored.

use sexton_core::Refusal;

/// What went wrong, as far as somebody can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The verb was refused by a rule of the rows; `refusal` says which.
    Refused,
    /// No space left; nothing was stored; worth trying again.
    Full,
    /// The file or its directory cannot be written.
    ReadOnly,
    /// Another host holds this store.
    Held,
    /// Written by a newer version.
    NewerSchema,
    /// A migration's text is not the one that was applied.
    ChangedMigration,
    /// The file is damaged or no store at all.
    Corrupt,
    /// The store was closed.
    Closed,
    /// Anything else from the engine below.
    Engine,
}

/// An error of the store.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// One sentence, with the engine's own words where they help.
    pub message: String,
    /// With `ErrorKind::Refused`: the refusal to pass on.
    pub refusal: Option<Box<Refusal>>,
}

impl StoreError {
    /// An error of a kind, with a sentence.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), refusal: None }
    }

    /// Whether the same verb may succeed later without anybody changing it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Full | ErrorKind::Engine)
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self { kind: ErrorKind::Refused, message: refusal.to_string(), refusal: Some(Box::new(refusal)) }
    }
}
