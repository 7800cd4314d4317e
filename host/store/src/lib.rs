//! The durable rows of Sexton: events, occurrences, runs, ownership, decisions, audit. All SQL lives in this crate.
//!
//! It knows rows and time, not plugins or processes. What must hold: a verb is acknowledged after it is durable, and a
//! settlement is all or nothing.

#![forbid(unsafe_code)]

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod error;
pub mod history;
pub mod rows;
pub mod sqlite;
pub mod store;

pub use error::{ErrorKind, StoreError};
pub use history::History;
pub use store::{DeadLetters, Store};
