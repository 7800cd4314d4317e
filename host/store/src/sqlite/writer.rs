//! The one thread that writes, and group commit: many callers, one fsync.
//!
//! Not SQL of its own beyond BEGIN, SAVEPOINT and COMMIT. What must hold: a caller is answered after the commit that made
//! its rows durable; a job that fails takes back its own rows only; a commit that fails answers everybody in it.

use super::counters::Deltas;
use super::ended::Build;
use super::failure::closed;
use crate::error::{ErrorKind, StoreError};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use sexton_core::calendar::Calendars;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

type Result<T> = std::result::Result<T, StoreError>;

/// Jobs waiting for the writer; the next caller blocks.
const QUEUE_MAX: usize = 1_024;
/// Rows after which a batch is committed although more is queued: bounds the log's growth and the wait of the first caller.
const BATCH_ROWS_MAX: usize = 16_384;

/// What a job sees: the connection inside the batch's transaction, and what the writer remembers between jobs.
pub(super) struct Tx<'a> {
    /// The writer's connection, in a transaction.
    pub(super) conn: &'a Connection,
    /// What the writer remembers.
    pub(super) hot: &'a mut Hot,
}

/// What the writer remembers. Caches only name rows that stand: a rollback forgets them.
#[derive(Default)]
pub(super) struct Hot {
    /// Changes of the counters, not yet written.
    pub(super) deltas: Deltas,
    /// The epoch that the store had when this process opened it: whoever claimed under it or before is dead.
    pub(super) opened_epoch: i64,
    /// The greatest token given. Gaps are harmless; an epoch starts above it.
    pub(super) token: i64,
    /// Where the next claim starts its round.
    pub(super) round: usize,
    /// Types known to exist.
    pub(super) types: HashSet<i64>,
    /// Numbers of the builds that ran.
    pub(super) builds: HashMap<Arc<Build>, i64>,
    /// The calendars, once somebody asked for them.
    pub(super) calendars: Option<Arc<Calendars>>,
    /// Whether there is any limit, once somebody asked.
    pub(super) limited: Option<bool>,
}

impl Hot {
    fn forget(&mut self) {
        self.types.clear();
        self.builds.clear();
        self.calendars = None;
        self.limited = None;
    }
}

/// A job's end: whether its rows may stand, and the answer, given once the fate of the batch is known.
struct Done {
    failed: Option<StoreError>,
    answer: Answer,
}

/// Told the error if the batch as a whole failed.
type Answer = Box<dyn FnOnce(Option<&StoreError>)>;

type Work = Box<dyn FnOnce(Result<&mut Tx<'_>>) -> Done + Send>;

struct Job {
    rows: usize,
    work: Work,
}

/// The near side of the thread.
pub(super) struct Writer {
    queue: RwLock<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread on its connection.
    pub(super) fn start(conn: Connection) -> Result<Self> {
        let opened_epoch = conn.query_row("SELECT epoch FROM store", [], |row| row.get(0))?;
        let hot = Hot { opened_epoch, ..Hot::default() };
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Bench { conn, hot, commits: counted }.run(&jobs))
            .map_err(|error| StoreError::new(ErrorKind::Engine, format!("the store's writer thread cannot be started: {error}")))?;
        Ok(Self { queue: RwLock::new(Some(queue)), thread: Mutex::new(Some(thread)), commits })
    }

    /// Runs `work` on the writer's connection and answers when its rows are durable. `rows` is about how many it writes.
    pub(super) fn call<T, F>(&self, rows: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = sync_channel::<Result<T>>(1);
        let work: Work = Box::new(move |tx| {
            let result = tx.and_then(work);
            Done {
                failed: result.as_ref().err().cloned(),
                answer: Box::new(move |fate| {
                    let result = match (result, fate) {
                        (Ok(_), Some(error)) => Err(error.clone()),
                        (result, _) => result,
                    };
                    // Nobody waits any more: a caller's thread that is gone is no trouble of the store's.
                    drop(reply.send(result));
                }),
            }
        });
        // Taken out of the lock: a full queue must not block `close`.
        let queue = self.queue.read().clone().ok_or_else(closed)?;
        queue.send(Job { rows, work }).map_err(|_| closed())?;
        drop(queue);
        answer.recv().map_err(|_| panicked())?
    }

    /// Transactions committed so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Takes no more jobs, ends what is queued, and closes the connection with an emptied log.
    pub(super) fn close(&self) {
        drop(self.queue.write().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread had panicked");
        }
    }
}

/// The far side: what the thread owns.
struct Bench {
    conn: Connection,
    hot: Hot,
    commits: Arc<AtomicU64>,
}

impl Bench {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            self.batch(first, jobs);
        }
        if let Err(error) = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be emptied; the next open reads it");
        }
        if let Err((_, error)) = self.conn.close() {
            tracing::warn!(%error, "the store's connection did not close cleanly");
        }
    }

    /// One transaction over the first job and whatever is queued behind it.
    fn batch(&mut self, first: Job, jobs: &Receiver<Job>) {
        let mut answers = Vec::new();
        let mut rows = 0_usize;
        let mut next = Some(first);
        let mut open = false;
        while let Some(job) = next {
            // A caller's limit may be as large as it likes.
            rows = job.rows.saturating_add(rows);
            if !open && let Err(error) = self.begin() {
                answer_unrun(job, error.into());
                return;
            }
            // The first job needs no savepoint: if it fails, the transaction holds nothing else.
            open = self.one(job, &mut answers);
            next = if rows < BATCH_ROWS_MAX { jobs.try_recv().ok() } else { None };
        }
        if open {
            self.commit(answers);
        }
    }

    /// Opens the batch's transaction. One whose rollback failed may still be open: nothing of it was acknowledged, and nothing can begin
    /// before it is gone.
    fn begin(&self) -> rusqlite::Result<()> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
            tracing::warn!("a transaction of the store that had stayed open is rolled back");
        }
        self.conn.execute_batch("BEGIN IMMEDIATE")
    }

    /// Runs a job inside its own savepoint. Answers whether the transaction is still open.
    fn one(&mut self, job: Job, answers: &mut Vec<Done>) -> bool {
        let nested = !answers.is_empty();
        if nested && let Err(error) = self.conn.execute_batch("SAVEPOINT job") {
            let error = StoreError::from(error);
            answer_unrun(job, error.clone());
            return self.still_open(answers, &error);
        }
        let Self { conn, hot, .. } = self;
        let mut tx = Tx { conn, hot };
        let done = catch_unwind(AssertUnwindSafe(|| (job.work)(Ok(&mut tx))));
        // A panic dropped the reply: its caller hears of it by that.
        let done = done.unwrap_or_else(|_| Done { failed: Some(panicked()), answer: Box::new(|_| ()) });
        let Some(error) = done.failed.clone() else {
            self.hot.deltas.keep_job();
            answers.push(done);
            if nested && let Err(error) = self.conn.execute_batch("RELEASE job") {
                self.roll_back(std::mem::take(answers), &error.into());
                return false;
            }
            return true;
        };
        self.hot.deltas.drop_job();
        self.hot.forget();
        (done.answer)(None);
        let undo = if nested { "ROLLBACK TO job; RELEASE job" } else { "ROLLBACK" };
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch(undo)
        {
            self.roll_back(std::mem::take(answers), &error.into());
            return false;
        }
        self.still_open(answers, &error)
    }

    /// Whether the transaction is open. Some errors (disk full, I/O) make SQLite itself take all of it back: then the jobs before hear
    /// the error too.
    fn still_open(&mut self, answers: &mut Vec<Done>, error: &StoreError) -> bool {
        let open = !self.conn.is_autocommit();
        if !open {
            self.roll_back(std::mem::take(answers), error);
        }
        open
    }

    fn commit(&mut self, answers: Vec<Done>) {
        let written = self.hot.deltas.write(&self.conn);
        let committed = written.and_then(|()| self.conn.execute_batch("COMMIT").map_err(StoreError::from));
        match committed {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                for done in answers {
                    (done.answer)(None);
                }
            }
            Err(error) => self.roll_back(answers, &error),
        }
    }

    /// Nothing of the batch stands; the connection can be used again.
    fn roll_back(&mut self, answers: Vec<Done>, error: &StoreError) {
        self.hot.deltas.drop_all();
        self.hot.forget();
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction of the store could not be rolled back");
        }
        for done in answers {
            (done.answer)(Some(error));
        }
    }
}

fn answer_unrun(job: Job, error: StoreError) {
    let done = (job.work)(Err(error));
    (done.answer)(None);
}

fn panicked() -> StoreError {
    StoreError::new(ErrorKind::Engine, "a verb of the store panicked; nothing of it was stored")
}

#[cfg(test)]
mod tests;
