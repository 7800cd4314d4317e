//! Group commit, driven job by job: a first job holds the writer until the others are queued.

use super::*;
use std::sync::mpsc::Receiver;

fn writer() -> Arc<Writer> {
    Arc::new(Writer::start(connection()).unwrap())
}

fn connection() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE store (epoch INTEGER); INSERT INTO store VALUES (0);
         CREATE TABLE counters (type INTEGER, kind INTEGER, n INTEGER, PRIMARY KEY (type, kind)) WITHOUT ROWID;
         CREATE TABLE plain (a INTEGER PRIMARY KEY);
         CREATE TABLE owed (a INTEGER REFERENCES plain (a) DEFERRABLE INITIALLY DEFERRED);",
    )
    .unwrap();
    conn
}

/// Queues a job without waiting for its answer.
fn queue(writer: &Writer, work: impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static) -> Receiver<Result<()>> {
    let (reply, answer) = sync_channel(1);
    let work: Work = Box::new(move |tx| {
        let result = tx.and_then(work);
        let failed = result.as_ref().err().cloned();
        Done { failed, answer: Box::new(move |fate| reply.send(fate.map_or(result, |error| Err(error.clone()))).unwrap()) }
    });
    writer.queue.read().as_ref().unwrap().send(Job { rows: 1, work }).map_err(|_| "queue").unwrap();
    answer
}

fn insert(table: &'static str, a: i64) -> impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static {
    move |tx| {
        tx.hot.deltas.add(1, 6, 1);
        tx.conn.execute(&format!("INSERT INTO {table} VALUES (?1)"), [a])?;
        Ok(())
    }
}

/// Holds the writer inside a batch until the sender is used.
fn hold(writer: &Writer) -> (SyncSender<()>, Receiver<Result<()>>) {
    let (let_go, gate) = sync_channel::<()>(1);
    (let_go, queue(writer, move |_| gate.recv().map_err(|_| closed())))
}

fn rows(writer: &Writer) -> (Vec<i64>, Option<i64>) {
    writer
        .call(0, |tx| {
            let rows = tx
                .conn
                .prepare("SELECT a FROM plain ORDER BY a")?
                .query_map([], |row| row.get(0))?
                .collect::<std::result::Result<_, _>>()?;
            Ok((rows, tx.conn.query_row("SELECT sum(n) FROM counters", [], |row| row.get(0))?))
        })
        .unwrap()
}

#[test]
fn many_callers_share_one_commit() {
    let writer = writer();
    let (let_go, held) = hold(&writer);
    let answers: Vec<_> = (0..100).map(|a| queue(&writer, insert("plain", a))).collect();
    assert!(answers.iter().all(|answer| answer.try_recv().is_err()), "nobody is answered before the commit");
    let_go.send(()).unwrap();
    held.recv().unwrap().unwrap();
    answers.iter().for_each(|answer| answer.recv().unwrap().unwrap());
    assert_eq!(writer.commits(), 1);
    assert_eq!(rows(&writer), ((0..100).collect(), Some(100)));
}

#[test]
fn a_job_that_fails_takes_back_its_own_rows_only() {
    let writer = writer();
    let (let_go, held) = hold(&writer);
    let good = queue(&writer, insert("plain", 1));
    let refused = queue(&writer, |tx| {
        insert("plain", 2)(tx)?;
        insert("plain", 1)(tx)
    });
    let panics = queue(&writer, |tx| {
        insert("plain", 3)(tx)?;
        panic!("a bug in a verb");
    });
    let after = queue(&writer, insert("plain", 4));
    let_go.send(()).unwrap();
    held.recv().unwrap().unwrap();
    good.recv().unwrap().unwrap();
    refused.recv().unwrap().unwrap_err();
    assert!(panics.recv().is_err(), "its caller hears of it by the reply that never comes");
    after.recv().unwrap().unwrap();
    assert_eq!(rows(&writer), (vec![1, 4], Some(2)), "and their counts");
    assert_eq!(writer.call(1, |_| -> Result<()> { panic!("again") }).unwrap_err().kind, ErrorKind::Engine);
}

#[test]
fn a_first_job_that_fails_does_not_take_the_others_along() {
    let writer = writer();
    let (let_go, gate) = sync_channel::<()>(1);
    let first = queue(&writer, move |tx| {
        gate.recv().map_err(|_| closed())?;
        insert("plain", 1)(tx)?;
        insert("plain", 1)(tx)
    });
    let second = queue(&writer, insert("plain", 2));
    let_go.send(()).unwrap();
    first.recv().unwrap().unwrap_err();
    second.recv().unwrap().unwrap();
    assert_eq!(rows(&writer), (vec![2], Some(1)));
}

#[test]
fn a_commit_that_fails_answers_everybody_and_stores_nothing() {
    let writer = writer();
    let (let_go, held) = hold(&writer);
    let good = queue(&writer, insert("plain", 1));
    let owing = queue(&writer, insert("owed", 77));
    let_go.send(()).unwrap();
    for answer in [held, good, owing] {
        answer.recv().unwrap().unwrap_err();
    }
    assert_eq!(rows(&writer), (vec![], None), "the connection can be used again");
    writer.call(1, insert("plain", 5)).unwrap();
    assert_eq!(rows(&writer), (vec![5], Some(1)));
}

#[test]
fn when_the_engine_ends_the_transaction_the_jobs_before_hear_it() {
    let writer = writer();
    let (let_go, held) = hold(&writer);
    let before = queue(&writer, insert("plain", 1));
    let ends_it = queue(&writer, |tx| {
        // What SQLite does by itself on some disk errors.
        tx.conn.execute_batch("ROLLBACK")?;
        Err(StoreError::new(ErrorKind::Full, "no space"))
    });
    let after = queue(&writer, insert("plain", 2));
    let_go.send(()).unwrap();
    assert_eq!(held.recv().unwrap().unwrap_err().kind, ErrorKind::Full);
    assert_eq!(before.recv().unwrap().unwrap_err().kind, ErrorKind::Full);
    ends_it.recv().unwrap().unwrap_err();
    after.recv().unwrap().unwrap();
    assert_eq!(rows(&writer), (vec![2], Some(1)));
}

#[test]
fn a_transaction_that_could_not_be_rolled_back_is_gone_before_the_next() {
    let conn = connection();
    // What a ROLLBACK that failed leaves behind.
    conn.execute_batch("BEGIN; INSERT INTO plain VALUES (1)").unwrap();
    let writer = Writer::start(conn).unwrap();
    writer.call(1, insert("plain", 2)).unwrap();
    assert_eq!(rows(&writer), (vec![2], Some(1)));
}

#[test]
fn what_is_queued_at_close_is_ended_first() {
    let writer = writer();
    let (let_go, _held) = hold(&writer);
    let queued = queue(&writer, insert("plain", 1));
    let closing = Arc::clone(&writer);
    let closer = std::thread::spawn(move || closing.close());
    while writer.queue.read().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(writer.call(1, insert("plain", 2)).unwrap_err().kind, ErrorKind::Closed);
    let_go.send(()).unwrap();
    queued.recv().unwrap().unwrap();
    closer.join().unwrap();
}
