//! From the engine's error codes to kinds that somebody can act on.
//!
//! Not a place for refusals: those are made where the rule is. What must hold: no code of SQLite becomes a panic.

use crate::error::{ErrorKind, StoreError};
use rusqlite::ErrorCode;
use std::io;

/// `SQLITE_IOERR_SHMSIZE`: the wal-index could not grow, which is a full disk in all but name.
const IOERR_SHMSIZE: i32 = 10 | (19 << 8);
/// `SQLITE_CONSTRAINT_UNIQUE`: a unique index said no.
const CONSTRAINT_UNIQUE: i32 = 19 | (8 << 8);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(code, _) => Self::new(kind_of(*code), format!("the store's engine: {error}")),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => damaged(&error.to_string()),
            _ => Self::new(ErrorKind::Engine, format!("the store's engine: {error}")),
        }
    }
}

fn kind_of(code: rusqlite::ffi::Error) -> ErrorKind {
    match code.code {
        ErrorCode::DiskFull => ErrorKind::Full,
        ErrorCode::SystemIoFailure if code.extended_code == IOERR_SHMSIZE => ErrorKind::Full,
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => ErrorKind::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ErrorKind::Corrupt,
        _ => ErrorKind::Engine,
    }
}

/// A row that cannot be what Sexton wrote.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::new(ErrorKind::Corrupt, format!("a row of the store cannot be read: {what}"))
}

/// The store was closed.
pub(super) fn closed() -> StoreError {
    StoreError::new(ErrorKind::Closed, "the store is closed")
}

/// An error of the file system, met while `doing` something to a file.
pub(super) fn from_io(doing: &str, error: &io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ErrorKind::ReadOnly
        }
        io::ErrorKind::IsADirectory => ErrorKind::Corrupt,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Engine,
    };
    StoreError::new(kind, format!("{doing}: {error}"))
}

/// Whether a unique index (not the primary key) refused a row.
pub(super) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(code, _) if code.extended_code == CONSTRAINT_UNIQUE)
}
