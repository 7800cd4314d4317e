//! What only a file can show: reopening, the lock, modes, damage, a directory that cannot be written.

use super::as_child;
use crate::conformance::Ground;
use crate::conformance::ground::{at, once};
use crate::sqlite::Sqlite;
use crate::{ErrorKind, Store};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn open_error(path: &Path) -> crate::StoreError {
    match Sqlite::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let (id, claimed) = {
        let ground = Ground::on(Arc::new(Sqlite::open(&path).unwrap()));
        let id = ground.schedule(once(10));
        (id, ground.claim_one(10))
    };
    let store = Sqlite::open(&path).unwrap();
    let lease = store.attach("tower", at(20)).unwrap();
    assert_eq!((lease.greatest_event, lease.stale_claims), (Some(id), 1));
    assert_eq!(store.recover(&lease, &[], at(20)).unwrap(), (0, 1));
    let types: Vec<_> = store.types().unwrap().into_iter().map(|row| row.id).collect();
    let again = store.claim(&lease, &types, at(20), 10).unwrap().remove(0);
    assert_eq!(again.id, claimed.id);
    assert!(again.token > claimed.token, "fencing holds over a restart");
}

#[test]
fn claims_of_a_host_that_changed_its_name_are_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    {
        let ground = Ground::on(Arc::new(Sqlite::open(&path).unwrap()));
        ground.schedule(once(10));
        ground.claim_one(10);
    }
    let store = Sqlite::open(&path).unwrap();
    let lease = store.attach("renamed", at(20)).unwrap();
    assert_eq!(lease.stale_claims, 1, "the lock says that nobody else lives");
    assert_eq!(store.recover(&lease, &[], at(20)).unwrap(), (0, 1));
}

#[test]
fn a_second_open_is_told_who_holds_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let first = Sqlite::open(&path).unwrap();
    let error = open_error(&path);
    assert_eq!(error.kind, ErrorKind::Held);
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(error.message.contains(&format!("pid {} on host {machine}", std::process::id())), "{error}");
    first.close();
    let second = Sqlite::open(&path).unwrap();
    drop(first);
    assert_eq!(open_error(&path).kind, ErrorKind::Held, "a closed store takes nobody's lock away");
    drop(second);
    Sqlite::open(&path).unwrap();
}

#[test]
fn the_files_are_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ground = Ground::on(Arc::new(Sqlite::open(&path).unwrap()));
    ground.schedule(once(1));
    let mut seen = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", entry.path().display());
        seen += 1;
    }
    assert_eq!(seen, 4, "database, log, log index, lock");
}

#[test]
fn close_leaves_no_log_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let ground = Ground::on(Arc::new(Sqlite::open(&path).unwrap()));
    let id = ground.schedule(once(1));
    ground.store.close();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("-wal")), "{left:?}");
    let alone = Connection::open(&path).unwrap();
    assert!(alone.prepare("SELECT 1 FROM events WHERE id = ?1").unwrap().exists([id.0]).unwrap());
}

#[test]
fn a_newer_or_changed_schema_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    drop(Sqlite::open(&path).unwrap());
    let outside = Connection::open(&path).unwrap();
    outside.execute("INSERT INTO migrations VALUES (99, 'from the future', 'x', 0)", []).unwrap();
    let error = open_error(&path);
    assert_eq!(error.kind, ErrorKind::NewerSchema);
    assert!(error.message.contains("99"), "{error}");
    outside.execute("DELETE FROM migrations WHERE number = 99", []).unwrap();
    outside.execute("UPDATE migrations SET checksum = 'other'", []).unwrap();
    assert_eq!(open_error(&path).kind, ErrorKind::ChangedMigration);
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "Dear diary, today nothing rang.\n".repeat(100)).unwrap();
    assert_eq!(open_error(&text).kind, ErrorKind::Corrupt);
    assert!(fs::read_to_string(&text).unwrap().starts_with("Dear diary"));
    let songs = dir.path().join("songs.db");
    Connection::open(&songs).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    let error = open_error(&songs);
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("songs"), "{error}");
    assert_eq!(open_error(dir.path()).kind, ErrorKind::Corrupt, "a directory");
    assert_eq!(open_error(&dir.path().join("nowhere/s.db")).kind, ErrorKind::ReadOnly, "no such directory");
}

#[test]
fn damage_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    {
        let ground = Ground::on(Arc::new(Sqlite::open(&path).unwrap()));
        let batch: Vec<_> = (0..2_000).map(|i| ground.intention(once(i))).collect();
        ground.store.schedule(&ground.lease, &batch, &crate::conformance::ground::tester(), at(0)).unwrap();
    }
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    assert!(pages > 80, "{pages}");
    // The schema, which stands in front, is whole: it opens.
    bytes[pages / 2 * 4096..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let store = Sqlite::open(&path).unwrap();
    let lease = store.attach("tower", at(1)).unwrap_err();
    assert_eq!(lease.kind, ErrorKind::Corrupt, "{lease}");
    let page = crate::rows::Page { before: None, limit: 5_000 };
    assert_eq!(store.events(&crate::rows::EventFilter::default(), &page).unwrap_err().kind, ErrorKind::Corrupt);
}

/// Root may write anywhere, so the attempt is made by a child under an unprivileged uid.
#[test]
fn a_directory_that_cannot_be_written_is_said_so() {
    if let Some(dir) = as_child("SEXTON_STORE_READ_ONLY") {
        let error = open_error(&Path::new(&dir).join("new.db"));
        assert_eq!(error.kind, ErrorKind::ReadOnly, "{error}");
        assert!(error.message.contains("new.db"), "{error}");
        let error = open_error(&Path::new(&dir).join("old.db"));
        assert_eq!(error.kind, ErrorKind::ReadOnly, "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    drop(Sqlite::open(&dir.path().join("old.db")).unwrap());
    fs::set_permissions(dir.path().join("old.db.lock"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(dir.path().join("old.db"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // A copy that the other uid can reach.
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = home.path().join("store-tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let name = "sqlite::tests::file::a_directory_that_cannot_be_written_is_said_so";
    let child = command.args(["--exact", name]).env("SEXTON_STORE_READ_ONLY", dir.path()).current_dir("/").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
