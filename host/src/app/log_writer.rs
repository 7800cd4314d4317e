//! The way of the host's words to standard error: a bounded queue, and one thread that writes.
//!
//! Not a format and not a filter. What must hold: whoever logs never waits for the reader of standard error; what finds no room is counted,
//! and the count is said as soon as somebody reads again.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that wait to be written, at most; as much again may be on its way.
const QUEUE_BYTES: usize = 1 << 20;
/// Between two words on how many were dropped, but for the last.
const NOTICE_EACH: Duration = Duration::from_secs(60);

/// Says in the log's own format how many lines were dropped.
pub type Notice = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// A handle; clones write to one queue. One `write` is one line.
#[derive(Clone)]
pub struct LogWriter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    turn: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    ending: bool,
    over: bool,
}

impl LogWriter {
    /// Writes to `out` on a thread of its own from now on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(out: impl Write + Send + 'static, notice: Notice) -> io::Result<Self> {
        let shared: Arc<Shared> = Arc::default();
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("sexton-log".to_owned()).spawn(move || own.run(out, &notice))?;
        Ok(Self(shared))
    }

    /// Puts a line in the queue, or counts it.
    pub fn put(&self, line: &[u8]) {
        let mut queue = self.0.queue.lock();
        if queue.bytes + line.len() > QUEUE_BYTES {
            queue.dropped += 1;
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.to_owned());
        drop(queue);
        self.0.turn.notify_one();
    }

    /// Writes what is there, for `wait` at most, and nothing after it; a second call does not wait. False if nobody reads: then standard error is not to be written to.
    pub fn finish(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let mut queue = self.0.queue.lock();
        if std::mem::replace(&mut queue.ending, true) {
            return queue.over;
        }
        self.0.turn.notify_one();
        while !queue.over && !self.0.ended.wait_until(&mut queue, deadline).timed_out() {}
        queue.over
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn run(&self, mut out: impl Write, notice: &Notice) {
        let mut notice_due = Instant::now();
        loop {
            let (lines, dropped, last) = self.next(notice_due);
            let failed = lines.iter().filter(|line| out.write_all(line).is_err()).count() as u64;
            if dropped > 0 {
                notice_due = Instant::now() + NOTICE_EACH;
                // Should this fail too, nothing can be said of it.
                let _ = out.write_all(&notice(dropped));
            }
            // It flushes a file that buffers; standard error does not.
            let _ = out.flush();
            let mut queue = self.queue.lock();
            queue.dropped += failed;
            if last {
                queue.over = true;
                self.ended.notify_all();
                return;
            }
        }
    }

    /// Waits for lines, or for the instant to say what was dropped. Answers the lines, the count if it is to be said, and whether these are
    /// the last.
    fn next(&self, notice_due: Instant) -> (VecDeque<Vec<u8>>, u64, bool) {
        let mut queue = self.queue.lock();
        while queue.lines.is_empty() && !queue.ending {
            if queue.dropped == 0 {
                self.turn.wait(&mut queue);
            } else if self.turn.wait_until(&mut queue, notice_due).timed_out() {
                break;
            }
        }
        queue.bytes = 0;
        let lines = std::mem::take(&mut queue.lines);
        let say = queue.ending || Instant::now() >= notice_due;
        let dropped = if say { std::mem::take(&mut queue.dropped) } else { 0 };
        (lines, dropped, queue.ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Takes a line only when the test has asked for one.
    struct Held {
        asked: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Held {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            // Once the test asks no more, it takes everything.
            let _ = self.asked.recv();
            let _ = self.written.send(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn held() -> (LogWriter, Sender<()>, Receiver<String>) {
        let ((ask, asked), (written, lines)) = (channel(), channel());
        let notice: Notice = Box::new(|dropped| format!("{dropped} dropped").into_bytes());
        (LogWriter::start(Held { asked, written }, notice).expect("a thread"), ask, lines)
    }

    #[test]
    fn who_logs_never_waits_and_what_was_dropped_is_said() {
        let (log, ask, lines) = held();
        let line = vec![b'x'; 1_000];
        // Nobody reads: more than twice the queue must find no room, whatever the thread has taken out.
        let sent = 2 * QUEUE_BYTES / line.len() + 100;
        (0..sent).for_each(|_| log.put(&line));
        assert!(!log.finish(Duration::from_millis(1)), "the thread is inside of a write");
        drop(ask);
        let written: Vec<String> = lines.iter().collect();
        let (said, written): (Vec<_>, Vec<_>) = written.into_iter().partition(|l| l.ends_with(" dropped"));
        let dropped: usize = said.iter().map(|l| l.split(' ').next().and_then(|n| n.parse::<usize>().ok()).expect("a count")).sum();
        assert!(dropped >= 100, "{dropped}");
        assert_eq!(written.len() + dropped, sent, "each line was written or counted");
    }

    #[test]
    fn the_end_writes_everything_in_order() {
        let (log, ask, lines) = held();
        (0..1_000).for_each(|n| log.put(n.to_string().as_bytes()));
        drop(ask);
        assert!(log.finish(Duration::from_secs(30)));
        assert_eq!(lines.iter().collect::<Vec<_>>(), (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(log.finish(Duration::ZERO), "a second end finds nothing to do");
    }
}
