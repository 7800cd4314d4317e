//! A `sexton serve` under test: started, waited for, ended in every way a host can end.
//!
//! Not the commands given to it: those are the site's. What must hold: no host outlives its test, and a failed test shows what the host said.

use crate::SOON;
use crate::built::binary;
use crate::said::Said;
use crate::site::{Site, clean};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A host that has said `ready`.
pub struct HostProcess {
    child: Child,
    stderr: PathBuf,
    lines: Receiver<String>,
    /// How long it took from start to `ready`.
    pub startup: Duration,
}

impl HostProcess {
    /// Starts a host on the site and waits until it serves.
    #[must_use]
    pub fn start(site: &Site) -> Self {
        Self::start_with(site, |_| {})
    }

    /// The same, with further flags or environment.
    #[must_use]
    pub fn start_with(site: &Site, change: impl FnOnce(&mut Command)) -> Self {
        let stderr = site.path().join(format!("host-{}.stderr", fs::read_dir(site.path()).map_or(0, Iterator::count)));
        let mut command = serve(site);
        command.stdout(Stdio::piped()).stderr(File::create(&stderr).expect("the site can be written"));
        change(&mut command);
        let began = Instant::now();
        let mut child = command.spawn().expect("the binary is built");
        let lines = read_lines(&mut child);
        let mut host = Self { child, stderr, lines, startup: Duration::ZERO };
        host.wait_ready(began);
        host
    }

    /// Starts a host that is expected to refuse and end by itself; what it said.
    #[must_use]
    pub fn refused(site: &Site, change: impl FnOnce(&mut Command)) -> Said {
        let mut command = serve(site);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let child = command.spawn().expect("the binary is built");
        let pid = Pid::from_child(&child);
        let (over, waited) = channel::<()>();
        let watch = std::thread::spawn(move || {
            // Ends it if it serves after all, so that the test fails rather than hangs.
            if waited.recv_timeout(SOON).is_err() {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let output = child.wait_with_output().expect("a child can be waited for");
        let _ = over.send(());
        watch.join().expect("the watch does not panic");
        Said::new("serve".to_owned(), &output)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// `kill -9`: what a crash of the machine's memory looks like to the store.
    pub fn kill(mut self) {
        self.child.kill().expect("our child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, then waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(SOON + SOON)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our child can be signalled");
    }

    /// Waits for the end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        crate::until("the host has ended", deadline, || self.child.try_wait().expect("a child can be asked"))
    }

    /// What it wrote to its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Resident memory, bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the host runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has a VmRSS line");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB");
        kib * 1024
    }

    /// How many entries `/proc/<pid>/<what>` has: `fd`, `task`.
    #[must_use]
    pub fn entries(&self, what: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{what}", self.pid())).expect("the host runs").count()
    }

    /// The lines of its memory map.
    #[must_use]
    pub fn maps(&self) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/maps", self.pid())).expect("the host runs");
        text.lines().map(str::to_owned).collect()
    }

    fn wait_ready(&mut self, began: Instant) {
        loop {
            let left = SOON.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with("ready") => break,
                Ok(_) => {}
                Err(e) => panic!("the host did not say `ready` ({e})"),
            }
        }
        self.startup = began.elapsed();
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = self.stderr();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- the host (pid {}) said last:", self.child.id());
            for line in &lines[lines.len().saturating_sub(80)..] {
                eprintln!("{line}");
            }
        }
    }
}

fn serve(site: &Site) -> Command {
    let mut command = Command::new(binary());
    command.arg("serve").arg("--state").arg(site.state()).arg("--plugins").arg(site.plugins.path()).stdin(Stdio::null());
    clean(&mut command);
    command
}

fn read_lines(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let (send, lines) = channel();
    std::thread::spawn(move || {
        // Reads on after `ready`, so that the host never blocks on a full pipe; ends with the host.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
