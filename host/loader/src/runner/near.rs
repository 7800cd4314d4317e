//! The near side of a runner: orders become frames, frames become reports, the end of the process becomes `Gone`.
//!
//! It decides nothing about the plugin. What must hold: every report that the process has sent is passed on before `Gone`, and `Gone` comes however it ends;
//! a runner that does not read, does not end or says nonsense is killed.

use super::frame::{self, Inbox};
use super::output::Lines;
use super::post_mortem::{self, Findings};
use super::spawn::{Spawned, Spawner};
use super::usage::Usage;
use super::{Start, ToHost, ToRunner};
use crate::confine::{Applied, Group};
use crate::generation::logs::{Gate, Verdict};
use crate::rejection::Rejection;
use crate::seam::{Farewell, Killing, LogLine, Memory, Order, Report, Stamped};
use chrono::Utc;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ChildStdout};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Orders in one frame, at most.
const AT_ONCE: usize = 256;
/// A runner that takes nothing for so long is looked at: perhaps it is to be killed.
const STALLED: Duration = Duration::from_millis(100);
/// A warden that was told to end, or whose runner is gone, has so long to clear away what is left.
const CLEARING: Duration = Duration::from_secs(5);
/// What stays in a pipe when the process is gone is read up to this many chunks: a descendant may go on writing.
const REST_MAX: usize = 256;
const INFO: u8 = 3;

/// A runner on its way, as its owner holds it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The near end of the seam.
    pub orders: Sender<Order>,
    /// What it uses.
    pub usage: Usage,
    /// What it is confined to, once it has said so.
    pub applied: Arc<OnceLock<Applied>>,
}

/// What both threads of a runner hold.
struct Near {
    generation: i64,
    plugin: String,
    reports: Sender<Stamped>,
    logs: Gate,
    usage: Usage,
    applied: Arc<OnceLock<Applied>>,
    group: Option<Group>,
    killing: Mutex<Option<Killing>>,
}

/// Starts a generation in a process of its own. As with `open_in_process`, it waits for `Order::Load`, everything else is said in reports, and
/// dropping the sender is `Drain` and `Unload`.
#[must_use]
pub fn open(spawner: &Spawner, mut start: Start, reports: Sender<Stamped>) -> Opened {
    let (orders, inbox) = channel();
    let opened = Opened { orders, usage: Usage::default(), applied: Arc::default() };
    let limits = &start.confinement.limits;
    let group = Group::make(&start.plugin, start.generation, limits);
    start.group = group.as_ref().map(Group::report);
    let logs = Gate::of(limits.log_lines);
    // By level the runner itself chooses.
    logs.set_level(5);
    let near = Arc::new(Near {
        generation: start.generation,
        plugin: start.plugin.clone(),
        reports,
        logs,
        usage: opened.usage.clone(),
        applied: Arc::clone(&opened.applied),
        group,
        killing: Mutex::default(),
    });
    let (own, spawner) = (Arc::clone(&near), spawner.clone());
    let name = format!("w{}-{}", near.generation, near.plugin);
    if let Err(error) = std::thread::Builder::new().name(name).spawn(move || begin(&own, &spawner, start, &inbox)) {
        near.not_started(&error);
    }
    opened
}

/// The writer's thread, from the start of the process on.
fn begin(near: &Arc<Near>, spawner: &Spawner, mut start: Start, inbox: &Receiver<Order>) {
    let started = spawner.spawn(start.confinement.environment.clone()).and_then(|spawned| {
        let Spawned { mut child, pidfd, socket } = spawned;
        let pidfd = Arc::new(pidfd);
        near.usage.watch(child.id(), Arc::clone(&pidfd));
        if let Some(group) = &near.group
            && let Err(error) = group.adopt(child.id())
        {
            tracing::warn!(plugin = near.plugin, %error, "the runner's control group does not take it: its limits there are not enforced");
            start.group = None;
        }
        let writer = socket.try_clone()?;
        writer.set_write_timeout(Some(STALLED))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        for pipe in [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let (own, watched) = (Arc::clone(near), Arc::clone(&pidfd));
        let reader = Reader {
            near: own,
            socket,
            child,
            pidfd: watched,
            out,
            err,
            inbox: Inbox::default(),
            findings: Findings::default(),
            farewell: None,
        };
        std::thread::Builder::new().name(format!("r{}-{}", near.generation, near.plugin)).spawn(move || reader.run())?;
        Ok((writer, pidfd))
    });
    match started {
        Ok((socket, pidfd)) => write_orders(near, &socket, &pidfd, start, inbox),
        Err(error) => near.not_started(&error),
    }
}

/// Whether the process behind a pidfd has ended.
pub(super) fn is_over(pidfd: &OwnedFd) -> bool {
    let mut watched = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

fn write_orders(near: &Near, socket: &UnixStream, pidfd: &OwnedFd, start: Start, inbox: &Receiver<Order>) {
    let mut late = Vec::new();
    if !send(near, socket, pidfd, &ToRunner::Start(Box::new(start)), inbox, &mut late) {
        return;
    }
    loop {
        let mut orders = std::mem::take(&mut late);
        if orders.is_empty() {
            let Ok(first) = inbox.recv() else {
                send(near, socket, pidfd, &ToRunner::HangUp, inbox, &mut late);
                return;
            };
            orders.push(first);
        }
        while orders.len() < AT_ONCE
            && let Ok(order) = inbox.try_recv()
        {
            orders.push(order);
        }
        if near.kill_if_told(&mut orders, pidfd) || !send_all(near, socket, pidfd, orders, inbox, &mut late) {
            // Whoever sends from now on is told so by the closed queue.
            return;
        }
    }
}

/// In one frame, or in several if they are too large together.
fn send_all(near: &Near, socket: &UnixStream, pidfd: &OwnedFd, orders: Vec<Order>, inbox: &Receiver<Order>, late: &mut Vec<Order>) -> bool {
    if orders.len() > 1 && frame::encode(&ToRunner::Orders(orders.clone())).is_err() {
        return orders.into_iter().all(|order| send_all(near, socket, pidfd, vec![order], inbox, late));
    }
    if let [Order::Run(runs)] = &orders[..]
        && runs.len() > 1
        && frame::encode(&ToRunner::Orders(orders.clone())).is_err()
    {
        let alone = runs.iter().map(|run| vec![Order::Run(vec![run.clone()])]).collect::<Vec<_>>();
        return alone.into_iter().all(|order| send_all(near, socket, pidfd, order, inbox, late));
    }
    send(near, socket, pidfd, &ToRunner::Orders(orders), inbox, late)
}

/// False once nothing more can be said to it. What comes in while it does not take anything is put aside; a killing among it is obeyed.
fn send(near: &Near, socket: &UnixStream, pidfd: &OwnedFd, message: &ToRunner, inbox: &Receiver<Order>, late: &mut Vec<Order>) -> bool {
    let bytes = match frame::encode(message) {
        Ok(bytes) => bytes,
        Err(error) => {
            near.kill(Killing { kind: crate::seam::DeathKind::Protocol, why: format!("protocol error: {error}"), run: None }, pidfd);
            return false;
        }
    };
    let (mut left, mut socket) = (&bytes[..], socket);
    while !left.is_empty() {
        match socket.write(left) {
            Ok(written) => left = &left[written..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                late.extend(inbox.try_iter());
                if near.kill_if_told(late, pidfd) || is_over(pidfd) {
                    return false;
                }
            }
            // It has ended; the reader says how.
            Err(_) => return false,
        }
    }
    true
}

impl Near {
    fn report(&self, report: Report) {
        // A host that no longer listens is shutting down.
        let _gone = self.reports.send(Stamped { generation: self.generation, report });
    }

    fn not_started(&self, error: &io::Error) {
        self.report(Report::Loaded(Err(Rejection::new(
            "PLG050",
            format!("no runner can be started for plugin `{}`: {error}", self.plugin),
        )
        .expected("a process of its own for the plugin")
        .remedy(
            "raise the limit of processes (`ulimit -u`, `TasksMax=`) or free memory; the plugin is tried again by `sexton plugin load`",
        ))));
        self.report(Report::Gone(Farewell { memory: Memory::None, unload: None, death: None }));
    }

    /// Obeys the first killing of a list.
    fn kill_if_told(&self, orders: &mut Vec<Order>, pidfd: &OwnedFd) -> bool {
        let killing = orders.iter().find_map(|order| if let Order::Kill(killing) = order { Some(killing.clone()) } else { None });
        let Some(killing) = killing else { return false };
        orders.clear();
        self.kill(killing, pidfd);
        true
    }

    /// Ends the process with all that descends from it. The warden does it; one that cannot is killed itself, and the runner with it.
    fn kill(&self, killing: Killing, pidfd: &OwnedFd) {
        self.killing.lock().get_or_insert(killing);
        if let Some(group) = &self.group {
            // The warden does it all the same.
            let _already_empty = group.kill();
        }
        // An error says that it has ended.
        let _over = rustix::process::pidfd_send_signal(pidfd, Signal::TERM);
        let mut watched = [PollFd::new(pidfd, PollFlags::IN)];
        let patience = Timespec { tv_sec: i64::try_from(CLEARING.as_secs()).unwrap_or(1), tv_nsec: 0 };
        if !poll(&mut watched, Some(&patience)).is_ok_and(|ready| ready > 0) {
            let _over = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
        }
    }

    fn log(&self, line: LogLine) {
        match self.logs.admit(line.level, Instant::now()) {
            Verdict::Drop => return,
            Verdict::Pass => {}
            Verdict::PassAfter(dropped) => self.report(Report::Log(dropped)),
        }
        self.report(Report::Log(line));
    }

    fn log_output(&self, stream: &str, text: &str) {
        let target = stream.to_owned();
        self.log(LogLine { at: Utc::now(), run: 0, level: INFO, target, message: text.to_owned(), spans: String::new() });
    }
}

/// The reader's thread.
struct Reader {
    near: Arc<Near>,
    socket: UnixStream,
    child: Child,
    pidfd: Arc<OwnedFd>,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    inbox: Inbox,
    findings: Findings,
    farewell: Option<Farewell>,
}

impl Reader {
    fn run(mut self) {
        let (mut out_lines, mut err_lines) = (Lines::default(), Lines::default());
        let mut listens = true;
        let mut deadline = None;
        while !self.wait(listens, deadline) {
            if listens && !self.read_frames() {
                // The runner is gone, or not to be listened to any more: the warden has a while to clear away.
                listens = false;
                deadline = Some(Instant::now() + CLEARING);
            }
            read_lines(&self.near, &mut self.out, &mut out_lines, "stdout", 1);
            read_lines(&self.near, &mut self.err, &mut err_lines, "stderr", 1);
        }
        // What it had said is still there.
        while listens && self.read_frames() && self.has_more() {}
        read_lines(&self.near, &mut self.out, &mut out_lines, "stdout", REST_MAX);
        read_lines(&self.near, &mut self.err, &mut err_lines, "stderr", REST_MAX);
        out_lines.flush(&mut |line| self.near.log_output("stdout", line));
        err_lines.flush(&mut |line| self.near.log_output("stderr", line));
        self.near.usage.forget();
        self.conclude(err_lines);
    }

    /// Waits until there is something to read. True: the warden has ended, and with it all.
    fn wait(&self, listens: bool, deadline: Option<Instant>) -> bool {
        let mut watched = vec![PollFd::new(&*self.pidfd, PollFlags::IN)];
        if listens {
            watched.push(PollFd::new(&self.socket, PollFlags::IN));
        }
        watched.extend(self.out.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        watched.extend(self.err.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        if let Err(error) = poll(&mut watched, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            tracing::error!(generation = self.near.generation, %error, "a runner cannot be watched: it is killed");
            let _over = rustix::process::pidfd_send_signal(&*self.pidfd, Signal::KILL);
        }
        if left.is_some_and(|left| left.is_zero()) {
            let _over = rustix::process::pidfd_send_signal(&*self.pidfd, Signal::KILL);
        }
        !watched[0].revents().is_empty()
    }

    /// Reads what is there; false: there will be no more.
    fn read_frames(&mut self) -> bool {
        match self.inbox.fill(&mut WithoutWaiting(&self.socket)) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(e) => return matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
        loop {
            match self.inbox.take::<ToHost>() {
                Ok(Some(ToHost::Report(report))) => self.pass_on(report),
                // A second one is the plugin's invention.
                Ok(Some(ToHost::Confined(applied))) => drop(self.near.applied.set(applied)),
                Ok(None) => return true,
                Err(error) => {
                    self.findings.nonsense = Some(error.to_string());
                    // An error says that it has ended.
                    let _over = rustix::process::pidfd_send_signal(&*self.pidfd, Signal::TERM);
                    return false;
                }
            }
        }
    }

    /// Whether the socket has anything left to read.
    fn has_more(&self) -> bool {
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    fn pass_on(&mut self, report: Report) {
        match report {
            // Told when the process is gone, too.
            Report::Gone(farewell) => self.farewell = Some(farewell),
            Report::Log(line) => self.near.log(line),
            // After its farewell nothing is to be believed.
            other if self.farewell.is_none() => self.near.report(other),
            _ => {}
        }
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
