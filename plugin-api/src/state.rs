//! A small versioned key-value state per plugin, kept by the host.
//!
//! Not a database and not shared between plugins. What must hold: a write that names a version changes nothing if the version is another.

use crate::door::{Door, NOT_YET_ACTIVE, unreadable};
use crate::wire::{CallRefusal, HostCall};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The state of this plugin. Reads and writes go to the host at once, also inside a run.
///
/// ```
/// use sexton_plugin_api::prelude::*;
///
/// fn count(cx: &JobContext) -> JobResult {
///     let state = cx.state();
///     let seen = state.get::<u64>("seen")?;
///     let (count, version) = seen.map_or((0, 0), |s| (s.value, s.version));
///     state.put_if("seen", &(count + 1), version)?; // fails if somebody else counted meanwhile: the retry counts again
///     Ok(())
/// }
/// ```
pub struct State {
    door: Door,
    run: u64,
}

/// A value with the version it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// What was stored.
    pub value: T,
    /// Rises with every write of the key.
    pub version: i64,
}

/// Why the state could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The generation is not active yet (`load` may only register), or no more.
    #[error("API002: the state cannot be used before the plugin is active: {0}")]
    NotYetActive(String),
    /// The key has another version than the write named.
    #[error("`{key}` has version {found}, not {expected}")]
    Conflict {
        /// The key.
        key: String,
        /// The version that the write named.
        expected: i64,
        /// The version that it has.
        found: i64,
    },
    /// The value cannot be written as JSON, or what is stored is no such value.
    #[error("the value of `{key}` does not fit: {why}")]
    Value {
        /// The key.
        key: String,
        /// What serde says.
        why: String,
    },
    /// The host refused.
    #[error("{code}: {message}")]
    Refused {
        /// The host's code.
        code: String,
        /// One sentence.
        message: String,
    },
}

impl From<CallRefusal> for StateError {
    fn from(refusal: CallRefusal) -> Self {
        if refusal.code == NOT_YET_ACTIVE {
            Self::NotYetActive(refusal.message)
        } else {
            Self::Refused { code: refusal.code, message: refusal.message }
        }
    }
}

#[derive(Deserialize)]
struct Got {
    #[serde(default)]
    value: Value,
    #[serde(default)]
    version: i64,
}

#[derive(Deserialize)]
struct Put {
    version: Option<i64>,
    conflict: Option<i64>,
}

impl State {
    pub(crate) fn new(door: Door, run: u64) -> Self {
        Self { door, run }
    }

    /// The value of a key with its version; none if there is none.
    ///
    /// # Errors
    /// [`StateError`], but never `Conflict`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Versioned<T>>, StateError> {
        let answer = self.door.call(self.run, &HostCall::StateGet { key: key.to_owned() })?;
        let got: Got = read(answer)?;
        if got.value.is_null() {
            return Ok(None);
        }
        let value = serde_json::from_value(got.value).map_err(|e| StateError::Value { key: key.to_owned(), why: e.to_string() })?;
        Ok(Some(Versioned { value, version: got.version }))
    }

    /// Writes a key whatever its version; answers the new version.
    ///
    /// # Errors
    /// [`StateError`], but never `Conflict`.
    pub fn put(&self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<i64, StateError> {
        self.write(key, as_json(key, value)?, None)
    }

    /// Writes a key if it still has the version `expected` (0: if it is absent); answers the new version.
    ///
    /// # Errors
    /// `Conflict` if it has another version, or another [`StateError`].
    pub fn put_if(&self, key: &str, value: &(impl Serialize + ?Sized), expected: i64) -> Result<i64, StateError> {
        self.write(key, as_json(key, value)?, Some(expected))
    }

    /// Removes a key whatever its version. No error if it is absent.
    ///
    /// # Errors
    /// [`StateError`], but never `Conflict`.
    pub fn remove(&self, key: &str) -> Result<(), StateError> {
        self.write(key, Value::Null, None).map(|_| ())
    }

    fn write(&self, key: &str, value: Value, expected: Option<i64>) -> Result<i64, StateError> {
        let answer = self.door.call(self.run, &HostCall::StatePut { key: key.to_owned(), value, expected })?;
        let put: Put = read(answer)?;
        match (put.version, put.conflict) {
            (Some(version), _) => Ok(version),
            (None, Some(found)) => Err(StateError::Conflict { key: key.to_owned(), expected: expected.unwrap_or_default(), found }),
            (None, None) => Err(unreadable("the host answered a write with neither a version nor a conflict").into()),
        }
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, StateError> {
    serde_json::from_value(answer).map_err(|e| unreadable(&format!("the host's answer is not understood: {e}")).into())
}

fn as_json(key: &str, value: &(impl Serialize + ?Sized)) -> Result<Value, StateError> {
    let json = serde_json::to_value(value).map_err(|e| StateError::Value { key: key.to_owned(), why: e.to_string() })?;
    if json.is_null() {
        return Err(StateError::Value { key: key.to_owned(), why: "null means absence; use `remove`".to_owned() });
    }
    Ok(json)
}
