//! The schema, forward only: each text applied once, in order, with its checksum remembered.
//!
//! Not a way back. What must hold: a file written by a newer Sexton, or by a changed text, is refused untouched.

use super::codec::micros;
use crate::error::{ErrorKind, StoreError};
use chrono::Utc;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// `SXTN`, in the header of every file of ours.
const APPLICATION_ID: i32 = 0x5358_544e;

/// A step of the schema; its number is its place in the list, from 1.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { name: "rows", sql: include_str!("migrations/0001_rows.sql") },
    Migration { name: "history", sql: include_str!("migrations/0002_history.sql") },
    Migration { name: "time", sql: include_str!("migrations/0003_time.sql") },
    Migration { name: "policy", sql: include_str!("migrations/0004_policy.sql") },
    Migration { name: "overlap", sql: include_str!("migrations/0005_overlap.sql") },
    Migration { name: "limits", sql: include_str!("migrations/0006_limits.sql") },
    Migration { name: "attempts", sql: include_str!("migrations/0007_attempts.sql") },
    Migration { name: "chains", sql: include_str!("migrations/0008_chains.sql") },
    Migration { name: "kept", sql: include_str!("migrations/0009_history.sql") },
];

/// Brings a database to this version's schema, or refuses it.
pub(super) fn apply(conn: &mut Connection) -> Result<(), StoreError> {
    apply_list(conn, MIGRATIONS)
}

/// As a Sexton that knows only the first `known` steps: for tests of what a later one does with its file.
#[cfg(test)]
pub(super) fn apply_first(conn: &mut Connection, known: usize) -> Result<(), StoreError> {
    apply_list(conn, MIGRATIONS.get(..known).expect("so many steps"))
}

fn apply_list(conn: &mut Connection, list: &[Migration]) -> Result<(), StoreError> {
    let is_new = is_new_or_ours(conn)?;
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
    )?;
    if is_new {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let applied: Vec<(u32, String, String)> = tx
        .prepare("SELECT number, name, checksum FROM migrations ORDER BY number")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (number, name, checksum_then) in &applied {
        let Some(known) = place_of(*number).and_then(|place| list.get(place)) else {
            return Err(StoreError::new(
                ErrorKind::NewerSchema,
                format!("the store has schema {number} (`{name}`); this version of Sexton knows schemas up to {}", list.len()),
            ));
        };
        if checksum(known.sql) != *checksum_then {
            return Err(StoreError::new(
                ErrorKind::ChangedMigration,
                format!("schema {number} (`{name}`) was applied from another text than this version of Sexton has"),
            ));
        }
    }
    for (number, migration) in (1_u32..).zip(list).skip(applied.len()) {
        tx.execute_batch(migration.sql)?;
        tx.execute(
            "INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
            (number, migration.name, checksum(migration.sql), micros(Utc::now())),
        )?;
    }
    tx.commit()?;
    Ok(())
}

/// Migrations are numbered from 1.
fn place_of(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// Whether the file is new. A database of somebody else is not ours to fill.
fn is_new_or_ours(conn: &Connection) -> Result<bool, StoreError> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let some_table: Option<String> =
        conn.query_row("SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1", [], |row| row.get(0)).optional()?;
    match some_table {
        Some(table) if id != APPLICATION_ID => Err(StoreError::new(
            ErrorKind::Corrupt,
            format!("the file is an SQLite database but no store of Sexton (it has a table `{table}`)"),
        )),
        _ => Ok(id != APPLICATION_ID),
    }
}

fn checksum(sql: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(sql.as_bytes()) {
        write!(hex, "{byte:02x}").expect("a String takes all that is written");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[Migration] = &[Migration { name: "one", sql: "CREATE TABLE one (a INTEGER) STRICT" }];
    const NEW: &[Migration] = &[
        Migration { name: "one", sql: "CREATE TABLE one (a INTEGER) STRICT" },
        Migration { name: "two", sql: "ALTER TABLE one ADD COLUMN b INTEGER" },
    ];
    const CHANGED: &[Migration] = &[Migration { name: "one", sql: "CREATE TABLE one (a TEXT) STRICT" }];
    const BROKEN: &[Migration] = &[
        Migration { name: "one", sql: "CREATE TABLE one (a INTEGER) STRICT" },
        Migration { name: "two", sql: "ALTER TABLE one ADD COLUMN b INTEGER; ALTER TABLE nowhere ADD COLUMN b INTEGER" },
    ];

    fn columns(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM pragma_table_info('one')", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn steps_are_applied_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        apply_list(&mut conn, OLD).unwrap();
        assert_eq!(columns(&conn), 1);
        apply_list(&mut conn, NEW).unwrap();
        assert_eq!(columns(&conn), 2);
        apply_list(&mut conn, NEW).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_so_is_a_changed_text() {
        let mut conn = Connection::open_in_memory().unwrap();
        apply_list(&mut conn, NEW).unwrap();
        assert_eq!(apply_list(&mut conn, OLD).unwrap_err().kind, ErrorKind::NewerSchema);
        let mut conn = Connection::open_in_memory().unwrap();
        apply_list(&mut conn, OLD).unwrap();
        assert_eq!(apply_list(&mut conn, CHANGED).unwrap_err().kind, ErrorKind::ChangedMigration);
    }

    #[test]
    fn a_step_that_fails_leaves_the_schema_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        apply_list(&mut conn, OLD).unwrap();
        apply_list(&mut conn, BROKEN).unwrap_err();
        assert_eq!(columns(&conn), 1);
        apply_list(&mut conn, NEW).unwrap();
    }

    #[test]
    fn somebody_elses_database_is_left_alone() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
        let error = apply_list(&mut conn, OLD).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert!(error.message.contains("songs"), "{error}");
    }
}
