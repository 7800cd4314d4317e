//! How a connection is opened and set: durability, limits, file mode.
//!
//! Not who uses it: one writer, some readers. What must hold: what is acknowledged survives the power cut (WAL with
//! `synchronous=FULL`), and the files are the owner's alone.

use super::failure::from_io;
use crate::error::{ErrorKind, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// How long a statement waits for somebody from outside (a backup, an operator's shell) to let go.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Statements kept prepared per connection; there are fewer in this crate.
const STATEMENTS_KEPT: usize = 128;

/// Opens the writer's connection of a file, creating the file if there is none.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    create(path)?;
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_WAIT)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::new(
            ErrorKind::Engine,
            format!("{} cannot keep a write-ahead log here (journal mode stays `{mode}`): is it on a network file system?", path.display()),
        ));
    }
    set(&conn)?;
    Ok(conn)
}

/// Opens a connection of its own that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_WAIT)?;
    set(&conn)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// Opens a store that ends with its connection.
pub(super) fn open_in_memory() -> Result<Connection, StoreError> {
    let conn = Connection::open_in_memory()?;
    set(&conn)?;
    Ok(conn)
}

fn set(conn: &Connection) -> Result<(), StoreError> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Plans do not depend on bound values: otherwise SQLite prepares some statements anew at every call, which made a settlement
    // five times as dear. Conditions of partial indexes are therefore literals in every text.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // In KiB: the upper levels of every tree stay in memory, and a host that runs for long does not grow by what it once wrote.
    conn.pragma_update(None, "cache_size", -8_192)?;
    // A checkpoint syncs the database itself: less often than every thousand pages, and the log is cut back after a burst.
    conn.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// Creates the file with mode 0600 before SQLite would with the umask's; the log and its index inherit it.
fn create(path: &Path) -> Result<(), StoreError> {
    let doing = |what: &str| format!("{what} the store {}", path.display());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| from_io(&doing("opening"), &error))?;
    let found = file.metadata().map_err(|error| from_io(&doing("looking at"), &error))?;
    if !found.is_file() {
        return Err(StoreError::new(ErrorKind::Corrupt, format!("{} is not a regular file", path.display())));
    }
    refuse_network(path, &file)?;
    if found.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| from_io(&doing("closing to others"), &error))?;
    }
    Ok(())
}

/// File systems on which neither the lock nor the log's shared memory can be trusted, by the number that `statfs` gives.
const NETWORK_FILE_SYSTEMS: &[(u64, &str)] =
    &[(0x6969, "NFS"), (0x517b, "SMB"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x00c3_6400, "Ceph"), (0x5346_414f, "AFS")];

fn refuse_network(path: &Path, file: &File) -> Result<(), StoreError> {
    let Ok(found) = rustix::fs::fstatfs(file) else {
        return Ok(());
    };
    let number = u64::try_from(found.f_type).unwrap_or(0) & 0xffff_ffff;
    match NETWORK_FILE_SYSTEMS.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => Err(StoreError::new(
            ErrorKind::Engine,
            format!(
                "{} is on a network file system ({name}), where two hosts could hold the store at once; put it on a local disk",
                path.display()
            ),
        )),
        None => Ok(()),
    }
}
