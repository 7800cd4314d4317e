//! The lock file beside the database: the lease of a store in a file.
//!
//! Not SQLite's own locks, which come and go with each transaction. What must hold: the kernel gives it to one open file
//! at a time and takes it back when the process ends, however it ends.

use super::failure::from_io;
use crate::error::{ErrorKind, StoreError};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Enough for a pid and a host name; a longer file is not ours.
const HOLDER_BYTES_MAX: u64 = 512;

/// The lock, held as long as this value lives. The file stays: removing it would let two processes lock two files.
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the database at `database`, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let doing = |what: &str| format!("{what} the lock file {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| from_io(&doing("opening"), &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(database, &mut file)),
            Err(error) => return Err(from_io(&doing("locking"), &error.into())),
        }
        let holder = format!("pid {} on host {}\n", std::process::id(), this_machine());
        let written =
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)).map(drop)).and_then(|()| file.write_all(holder.as_bytes()));
        // On a full disk the name of the holder is lost, the lock is not.
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the lock is held, but its file does not say by whom");
        }
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file gives the lock back; the text would only mislead whoever reads it afterwards.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock file keeps the name of its last holder");
        }
    }
}

fn held(database: &Path, file: &mut File) -> StoreError {
    let mut holder = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => "another process",
        _ if read.is_err() => "another process",
        named => named,
    };
    StoreError::new(ErrorKind::Held, format!("the store {} is held by {holder}", database.display()))
}

fn this_machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// `<database><suffix>`.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
