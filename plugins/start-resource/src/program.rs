//! Runs one program to its end: what the kinds `command` and `systemd` come down to.
//!
//! Not the shell plugin: no input, no output kept but the last complaint. What must hold: it ends within its timeout, its whole process group with it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use sexton_plugin_api::prelude::*;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Instant;

/// How often the caller is asked whether to stop.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Between TERM and KILL.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
/// Bytes kept of the program's complaints: the last ones.
const COMPLAINT: usize = 2048;

/// Runs `argv` and waits for it. Success is exit code 0.
///
/// # Errors
/// Failed with the exit code and the last words of standard error; cancelled if the run was.
pub fn run(argv: &[String], timeout: std::time::Duration, cancelled: impl Fn() -> bool) -> JobResult {
    let Some((program, arguments)) = argv.split_first() else { return fail_permanently("the command is empty") };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|e| JobError::fail(format!("`{program}` cannot be started: {e}")))?;
    let mut complaint = Complaint { pipe: child.stderr.take(), last: Vec::new() };
    let stopped = attend(&child, &mut complaint, timeout, cancelled);
    if !matches!(stopped, Ok(None)) {
        // Whatever went wrong, nothing stays behind.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait()?;
    complaint.drain();
    match stopped? {
        Some(Stop::Cancelled) => cancel(format!("`{program}` was stopped")),
        Some(Stop::TimedOut) => fail(format!("`{program}` did not end within {} s{}", timeout.as_secs(), complaint.words())),
        None if status.success() => Ok(()),
        None => fail(format!("`{program}` ended with {status}{}", complaint.words())),
    }
}

#[derive(Clone, Copy)]
enum Stop {
    Cancelled,
    TimedOut,
}

fn attend(child: &Child, complaint: &mut Complaint, timeout: std::time::Duration, cancelled: impl Fn() -> bool) -> JobResult<Option<Stop>> {
    complaint.never_block()?;
    let exit = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let began = Instant::now();
    let mut stop: Option<(Stop, Instant)> = None;
    loop {
        let mut fds = vec![PollFd::new(&exit, PollFlags::IN)];
        fds.extend(complaint.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut fds, Some(&TICK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ended = fds[0].revents().contains(PollFlags::IN);
        complaint.drain();
        match stop {
            _ if ended => return Ok(stop.map(|(why, _)| why)),
            Some((why, at)) if at.elapsed() >= GRACE => return Ok(Some(why)),
            None if cancelled() => stop = Some((Stop::Cancelled, Instant::now())),
            None if began.elapsed() >= timeout => stop = Some((Stop::TimedOut, Instant::now())),
            _ => continue,
        }
        let _ = kill_process_group(Pid::from_child(child), Signal::TERM);
    }
}

/// The end of the program's standard error.
struct Complaint {
    pipe: Option<ChildStderr>,
    last: Vec<u8>,
}

impl Complaint {
    fn never_block(&self) -> JobResult {
        if let Some(pipe) = &self.pipe {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(())
    }

    fn drain(&mut self) {
        let mut chunk = [0; 4096];
        for _ in 0..64 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(n) => {
                    self.last.extend_from_slice(&chunk[..n]);
                    let over = self.last.len().saturating_sub(COMPLAINT);
                    self.last.drain(..over);
                }
                Err(_) => return,
            }
        }
    }

    fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.last);
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn exit_codes_and_complaints() {
        run(&sh("exit 0"), LONG, || false).unwrap();
        let error = run(&sh("i=0; while [ $i -lt 3000 ]; do echo a long complaint $i >&2; i=$((i+1)); done; exit 7"), LONG, || false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 7") && error.ends_with("a long complaint 2999"), "{error}");
        assert!(error.len() < 3000);
        let error = run(&["/nonexistent/ctl".to_owned()], LONG, || false).unwrap_err().to_string();
        assert!(error.contains("`/nonexistent/ctl` cannot be started"), "{error}");
        assert!(run(&[], LONG, || false).is_err());
    }

    #[test]
    fn timeout_and_cancel_end_it() {
        let began = Instant::now();
        let error = run(&sh("echo waiting >&2; sleep 1000"), Duration::from_millis(100), || false).unwrap_err().to_string();
        assert!(error.contains("did not end within 0 s: waiting"), "{error}");
        let asked = Cell::new(0);
        let error = run(&sh("trap '' TERM; sleep 1000"), LONG, || {
            asked.set(asked.get() + 1);
            asked.get() > 2
        });
        assert!(error.unwrap_err().to_string().contains("cancelled"));
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
