//! A few connections that only read, beside the writer.
//!
//! Not for `:memory:`, whose only connection is the writer's. What must hold: a read sees everything acknowledged before
//! it began.

use super::connection::open_reader;
use super::failure::closed;
use crate::error::StoreError;
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::path::PathBuf;

/// Reads at once; the next one waits.
const READERS_MAX: usize = 4;

/// The pool of a file's readers, opened as they are needed.
pub(super) struct Readers {
    path: PathBuf,
    shelf: Mutex<Shelf>,
    back: Condvar,
}

#[derive(Default)]
struct Shelf {
    free: Vec<Connection>,
    out: usize,
    closed: bool,
}

impl Readers {
    /// A pool with no connection open yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, shelf: Mutex::default(), back: Condvar::new() }
    }

    /// Runs `work` on a reader, on the caller's thread.
    pub(super) fn call<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut borrowed = Borrowed { readers: self, conn: self.take()? };
        let conn = match borrowed.conn.take() {
            Some(conn) => conn,
            None => open_reader(&self.path)?,
        };
        let result = work(&conn);
        borrowed.conn = Some(conn);
        result
    }

    /// Lends out no more; waits for what is lent.
    pub(super) fn close(&self) {
        let mut shelf = self.shelf.lock();
        shelf.closed = true;
        shelf.free.clear();
        while shelf.out > 0 {
            self.back.wait(&mut shelf);
        }
    }

    /// A free connection, or the right to open one.
    fn take(&self) -> Result<Option<Connection>, StoreError> {
        let mut shelf = self.shelf.lock();
        while shelf.out >= READERS_MAX && !shelf.closed {
            self.back.wait(&mut shelf);
        }
        if shelf.closed {
            return Err(closed());
        }
        shelf.out += 1;
        Ok(shelf.free.pop())
    }
}

/// Puts the place back however the work ended.
struct Borrowed<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut shelf = self.readers.shelf.lock();
        shelf.out -= 1;
        if let Some(conn) = self.conn.take()
            && !shelf.closed
        {
            shelf.free.push(conn);
        }
        drop(shelf);
        self.readers.back.notify_all();
    }
}
