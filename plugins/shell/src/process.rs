//! One command with everything that belongs to it: its process group, its pipes, its watch.
//!
//! It knows nothing of events. What must hold: when `run` returns, nothing of the group is left; when this process dies in whatever way, the
//! watch ends the group; the captured text is bounded however much the command writes.

use crate::capture::Capture;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Waits on its standard input for the end of the plugin's process, then takes the group with it. TERM is for the others.
const WATCH: &str = "trap '' HUP INT QUIT TERM TSTP; read -r line; kill -KILL 0";
/// How often the caller is asked whether to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long pipes may stay open after the whole group was killed: somebody outside the group holds them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What to run.
pub struct Plan {
    /// Program, arguments, directory and environment.
    pub command: Command,
    /// Written to its standard input, which is then closed.
    pub stdin: Vec<u8>,
    /// Bytes kept of each stream.
    pub max_output: usize,
    /// Time to live.
    pub timeout: Duration,
    /// Time between TERM and KILL.
    pub grace: Duration,
}

/// Why a command was stopped before it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The run was cancelled.
    Cancelled,
    /// The timeout passed.
    TimedOut,
}

/// How it ended.
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Whether we ended it.
    pub stopped: Option<Stopped>,
    /// What it wrote.
    pub stdout: Capture,
    /// What it complained.
    pub stderr: Capture,
}

/// Runs the command to its end. `cancelled` is asked every few milliseconds.
pub fn run(plan: Plan, cancelled: impl Fn() -> bool) -> io::Result<Ended> {
    let group = Group::new()?;
    let Plan { mut command, stdin, max_output, timeout, grace } = plan;
    command.process_group(group.id.as_raw_nonzero().get());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut pipes = Pipes::of(&mut child, stdin, max_output);
    let stopped = attend(&child, &mut pipes, &group, timeout, grace, cancelled);
    // What the command left in the background ends with it; that also closes the pipes.
    drop(group);
    let status = child.wait()?;
    let stopped = stopped?;
    let until = Instant::now() + LAST_WORDS;
    while pipes.open() && Instant::now() < until {
        pipes.wait(None, TICK)?;
    }
    Ok(Ended { status, stopped, stdout: pipes.stdout.kept, stderr: pipes.stderr.kept })
}

/// Waits for the command's end, moving its input and output, ending it where it has to be ended.
fn attend(
    child: &Child,
    pipes: &mut Pipes,
    group: &Group,
    timeout: Duration,
    grace: Duration,
    cancelled: impl Fn() -> bool,
) -> io::Result<Option<Stopped>> {
    pipes.never_block()?;
    let exit = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let began = Instant::now();
    let (mut stopped, mut kill_at) = (None, None);
    while !pipes.wait(Some(&exit), TICK)? {
        let now = Instant::now();
        let reason = match stopped {
            None if cancelled() => Some(Stopped::Cancelled),
            None if now.duration_since(began) >= timeout => Some(Stopped::TimedOut),
            _ => None,
        };
        if reason.is_some() {
            stopped = reason;
            kill_at = Some(now + grace);
            group.signal(Signal::TERM);
        }
        if kill_at.is_some_and(|at| now >= at) {
            group.signal(Signal::KILL);
            kill_at = None;
        }
    }
    Ok(stopped)
}

/// A process group led by the watch. As long as the watch is not reaped, its number belongs to nobody else.
struct Group {
    watch: Child,
    id: Pid,
    // Its other end is the watch's standard input: closed by the kernel when this process ends, however it ends.
    _alive: Option<ChildStdin>,
}

impl Group {
    fn new() -> io::Result<Self> {
        let mut watch = Command::new("/bin/sh");
        watch.args(["-c", WATCH]).env_clear().current_dir("/").process_group(0);
        let mut watch = watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let alive = watch.stdin.take().expect("standard input was asked to be a pipe");
        Ok(Self { id: Pid::from_child(&watch), _alive: Some(alive), watch })
    }

    fn signal(&self, signal: Signal) {
        // The only refusal is that nobody is left, which is what a signal is for.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.watch.wait();
    }
}

/// The near ends of the command's three streams, none of which may block.
struct Pipes {
    stdin: Option<ChildStdin>,
    input: Vec<u8>,
    written: usize,
    stdout: Source<ChildStdout>,
    stderr: Source<ChildStderr>,
}

struct Source<R> {
    pipe: Option<R>,
    kept: Capture,
}

impl Pipes {
    fn of(child: &mut Child, input: Vec<u8>, max_output: usize) -> Self {
        let stdin = child.stdin.take().filter(|_| !input.is_empty());
        let stdout = Source { pipe: child.stdout.take(), kept: Capture::new(max_output) };
        let stderr = Source { pipe: child.stderr.take(), kept: Capture::new(max_output) };
        Self { stdin, input, written: 0, stdout, stderr }
    }

    fn never_block(&self) -> io::Result<()> {
        let stdin = self.stdin.as_ref().map(AsFd::as_fd);
        let outputs = [self.stdout.pipe.as_ref().map(AsFd::as_fd), self.stderr.pipe.as_ref().map(AsFd::as_fd)];
        for pipe in outputs.into_iter().chain([stdin]).flatten() {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(())
    }

    fn open(&self) -> bool {
        self.stdout.pipe.is_some() || self.stderr.pipe.is_some()
    }

    /// Moves what can be moved, waiting at most `tick`. True once `exit` says that the command has ended.
    fn wait(&mut self, exit: Option<&OwnedFd>, tick: Duration) -> io::Result<bool> {
        let mut ended = false;
        {
            let mut fds = Vec::with_capacity(4);
            fds.extend(exit.map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.stdin.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
            fds.extend(self.stdout.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            fds.extend(self.stderr.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(tick.subsec_nanos()) };
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) => ended = exit.is_some() && fds[0].revents().contains(PollFlags::IN),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.feed();
        self.stdout.drain();
        self.stderr.drain();
        Ok(ended)
    }

    fn feed(&mut self) {
        let Some(pipe) = &mut self.stdin else { return };
        let closed = match pipe.write(&self.input[self.written..]) {
            Ok(n) => {
                self.written += n;
                self.written == self.input.len()
            }
            // A command that does not read its input is no failure.
            Err(e) => e.kind() != ErrorKind::WouldBlock && e.kind() != ErrorKind::Interrupted,
        };
        if closed {
            self.stdin = None;
        }
    }
}

impl<R: Read> Source<R> {
    /// Reads what is there, at most a few pipes full, so that a command that never stops writing cannot hold the loop.
    fn drain(&mut self) {
        let mut chunk = [0; 16 * 1024];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(n) => self.kept.take(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn sh(script: &str) -> Plan {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let long = Duration::from_secs(60);
        Plan { command, stdin: Vec::new(), max_output: 1000, timeout: long, grace: Duration::from_millis(200) }
    }

    fn gone(pid: &str) -> bool {
        // A zombie waiting for an init that does not reap is as good as gone.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
    }

    fn until_gone(pid: &str) {
        let began = Instant::now();
        while !gone(pid) {
            assert!(began.elapsed() < Duration::from_secs(20), "process {pid} is still there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn streams_and_exit_code_come_back() {
        let mut plan = sh("cat; echo complaint >&2; exit 3");
        plan.stdin = b"line\n".repeat(50_000);
        plan.max_output = 1_000_000;
        let ended = run(plan, || false).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(ended.stopped, None);
        assert_eq!(ended.stdout.text().len(), 250_000);
        assert_eq!(ended.stderr.text(), "complaint\n");
    }

    #[test]
    fn endless_output_is_bounded_and_the_timeout_ends_it() {
        let mut plan = sh("while :; do echo yes; done");
        plan.timeout = Duration::from_millis(300);
        let ended = run(plan, || false).unwrap();
        assert_eq!(ended.stopped, Some(Stopped::TimedOut));
        assert!(ended.stdout.left_out() > 10_000);
        assert!(ended.stdout.text().len() < 1_100, "{}", ended.stdout.text().len());
    }

    #[test]
    fn cancel_ends_the_whole_group_even_if_it_ignores_term() {
        let mut plan = sh("trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo $!; wait");
        plan.timeout = Duration::from_secs(60);
        let asked = Cell::new(0);
        let ended = run(plan, || {
            asked.set(asked.get() + 1);
            asked.get() > 3
        });
        let ended = ended.unwrap();
        assert_eq!(ended.stopped, Some(Stopped::Cancelled));
        assert_eq!(ended.status.code(), None);
        until_gone(&ended.stdout.text());
    }

    #[test]
    fn term_is_tried_first() {
        let mut plan = sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done");
        plan.timeout = Duration::from_millis(300);
        plan.grace = Duration::from_secs(30);
        let ended = run(plan, || false).unwrap();
        assert_eq!(ended.status.code(), Some(0));
        assert_eq!(ended.stdout.text(), "up\nbye\n");
    }

    #[test]
    fn what_is_left_in_the_background_ends_with_the_command() {
        let began = Instant::now();
        let ended = run(sh("sleep 1000 & echo $!"), || false).unwrap();
        assert_eq!(ended.status.code(), Some(0));
        until_gone(&ended.stdout.text());
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn the_group_ends_when_its_maker_does() {
        let mut group = Group::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' TERM HUP; while :; do sleep 1; done"]).process_group(group.id.as_raw_nonzero().get());
        let mut child = command.spawn().unwrap();
        // The kernel does this when the maker dies.
        group._alive = None;
        assert_eq!(child.wait().unwrap().code(), None);
    }

    #[test]
    fn a_missing_program_is_an_error_and_leaves_nothing() {
        let mut plan = sh("");
        plan.command = Command::new("/nonexistent/program");
        assert_eq!(run(plan, || false).err().unwrap().kind(), ErrorKind::NotFound);
    }
}
