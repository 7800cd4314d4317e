//! The reader's thread: frames, output lines and the end of the process become reports.
//!
//! It says nothing to the runner. What must hold: every report that the process has sent is passed on before `Gone`, and `Gone` comes however it ends; what
//! may not be said ends the process; nobody, by writing on and on, keeps this thread from seeing the end.

use super::{CLEARING, Near};
use crate::runner::ToHost;
use crate::runner::frame::Inbox;
use crate::runner::output::Lines;
use crate::runner::post_mortem::{self, Findings};
use crate::seam::{Farewell, Memory, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between the end of what it says and the end of the process lies so much at most, if it ended by itself.
const PARTING: Duration = Duration::from_secs(1);
/// What stays in a socket or a pipe when the process is gone is read up to this many chunks, more than they hold: a descendant may go on writing.
const REST_MAX: usize = 256;
/// Before a poll that failed is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// What comes next for a runner that is not listened to any more.
#[derive(Clone, Copy)]
enum Parting {
    /// At that time its warden is told to end it and what descends from it.
    Sweep(Instant),
    /// At that time the warden itself is killed.
    Kill(Instant),
}

/// The reader.
pub(super) struct Reader {
    near: Arc<Near>,
    socket: UnixStream,
    child: Child,
    pidfd: Arc<OwnedFd>,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    inbox: Inbox,
    findings: Findings,
    farewell: Option<Farewell>,
    /// `None` as long as it is listened to.
    parting: Option<Parting>,
}

impl Reader {
    pub(super) fn of(near: Arc<Near>, socket: UnixStream, mut child: Child, pidfd: Arc<OwnedFd>) -> Self {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (inbox, findings) = (Inbox::default(), Findings::default());
        Self { near, socket, child, pidfd, out, err, inbox, findings, farewell: None, parting: None }
    }

    /// Its two pipes: they are to be read without waiting.
    pub(super) fn pipes(&mut self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.out.as_ref().map(AsFd::as_fd), self.err.as_ref().map(AsFd::as_fd)].into_iter().flatten()
    }

    /// The thread.
    pub(super) fn run(mut self) {
        let (mut out_lines, mut err_lines) = (Lines::default(), Lines::default());
        while !self.wait() {
            if self.parting.is_none() && !self.read_frames() {
                // Nonsense has been answered by SIGTERM already; one that has only gone silent may be about to end by itself.
                let now = Instant::now();
                let told = self.findings.nonsense.is_some();
                self.parting = Some(if told { Parting::Kill(now + CLEARING) } else { Parting::Sweep(now + PARTING) });
            }
            read_lines(&self.near, &mut self.out, &mut out_lines, "stdout", 1);
            read_lines(&self.near, &mut self.err, &mut err_lines, "stderr", 1);
        }
        // What it had said is still there.
        let mut rest = REST_MAX;
        while self.parting.is_none() && rest > 0 && self.has_more() && self.read_frames() {
            rest -= 1;
        }
        read_lines(&self.near, &mut self.out, &mut out_lines, "stdout", REST_MAX);
        read_lines(&self.near, &mut self.err, &mut err_lines, "stderr", REST_MAX);
        out_lines.flush(&mut |line| self.near.log_output("stdout", line));
        err_lines.flush(&mut |line| self.near.log_output("stderr", line));
        self.near.usage.forget();
        self.conclude(err_lines);
    }

    /// Waits until there is something to read or to do. True: the warden has ended, or is about to, and with it all.
    fn wait(&mut self) -> bool {
        let mut watched = vec![PollFd::new(&*self.pidfd, PollFlags::IN)];
        if self.parting.is_none() {
            watched.push(PollFd::new(&self.socket, PollFlags::IN));
        }
        watched.extend(self.out.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        watched.extend(self.err.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let left = self.parting.map(|(Parting::Sweep(at) | Parting::Kill(at))| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let polled = poll(&mut watched, timeout.as_ref());
        let is_over = polled.is_ok() && !watched[0].revents().is_empty();
        if let Err(error) = polled
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(generation = self.near.generation, %error, "a runner cannot be watched: it is ended");
            std::thread::sleep(AGAIN);
            self.parting.get_or_insert_with(|| Parting::Sweep(Instant::now()));
        }
        is_over || self.part()
    }

    /// Does what is due; true once the warden has been killed.
    fn part(&mut self) -> bool {
        let now = Instant::now();
        match self.parting {
            Some(Parting::Sweep(at)) if at <= now => {
                self.findings.went_on = true;
                self.signal(Signal::TERM);
                self.parting = Some(Parting::Kill(now + CLEARING));
                false
            }
            Some(Parting::Kill(at)) if at <= now => {
                self.signal(Signal::KILL);
                true
            }
            _ => false,
        }
    }

    fn signal(&self, signal: Signal) {
        // An error says that it has ended.
        let _over = rustix::process::pidfd_send_signal(&*self.pidfd, signal);
    }

    /// Reads what is there; false: there will be no more.
    fn read_frames(&mut self) -> bool {
        match self.inbox.fill(&mut WithoutWaiting(&self.socket)) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(e) => return matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
        loop {
            let heard = match self.inbox.take_weighed::<ToHost>() {
                Ok(None) => return true,
                Ok(Some((ToHost::Report(report), bytes))) => self.pass_on(report, bytes),
                Ok(Some((ToHost::Confined(applied), _))) => {
                    self.near.ledger.lock().heard_confined().map(|()| drop(self.near.applied.set(applied)))
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(nonsense) = heard {
                self.findings.nonsense = Some(nonsense);
                self.signal(Signal::TERM);
                return false;
            }
        }
    }

    /// Whether the socket has anything left to read.
    fn has_more(&self) -> bool {
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    fn pass_on(&mut self, report: Report, bytes: usize) -> Result<(), String> {
        // After its farewell nothing is to be believed.
        if self.farewell.is_some() {
            return Ok(());
        }
        self.near.ledger.lock().heard(&report, bytes)?;
        match report {
            // Told when the process is gone, too.
            Report::Gone(farewell) => self.farewell = Some(farewell),
            Report::Log(line) => self.near.log(line),
            other => self.near.report(other),
        }
        Ok(())
    }

    fn conclude(mut self, err_lines: Lines) {
        let status = match self.child.wait() {
            Ok(status) => status,
            Err(error) => {
                tracing::error!(generation = self.near.generation, %error, "a runner cannot be reaped");
                std::process::ExitStatus::default()
            }
        };
        self.findings.killing = self.near.killing.lock().take();
        self.findings.farewell = self.farewell.is_some();
        self.findings.words = err_lines.last_words;
        self.findings.last_line = err_lines.last;
        self.findings.no_memory = err_lines.no_memory;
        if let Some(dropped) = self.near.logs.dropped_line() {
            self.near.report(Report::Log(dropped));
        }
        let death = post_mortem::death(status, &self.findings);
        let unload = self.farewell.and_then(|farewell| farewell.unload);
        // Whatever the plugin held on to: its process is gone.
        self.near.report(Report::Gone(Farewell { memory: Memory::Unmapped, unload, death }));
    }
}

/// Reads up to `most` chunks; a stream that has ended is let go.
fn read_lines(near: &Near, stream: &mut Option<impl Read>, lines: &mut Lines, name: &str, most: usize) {
    for _ in 0..most {
        let Some(open) = stream else { return };
        match lines.read(open, &mut |line| near.log_output(name, line)) {
            Ok(true) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return,
            Ok(false) | Err(_) => *stream = None,
        }
    }
}

/// The socket is written to with waiting, by another thread, and read without.
struct WithoutWaiting<'a>(&'a UnixStream);

impl Read for WithoutWaiting<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.0, into, rustix::net::RecvFlags::DONTWAIT).map(|(read, _)| read)?)
    }
}
