//! The warden: the process between host and runner, which sees to it that nothing of a runner outlives it.
//!
//! It runs no code of the plugin and holds neither socket nor pipe. What must hold: when the runner has ended, or the host has, or the host asks
//! (SIGTERM), every process that descends from the runner is killed and reaped, whatever session it has put itself into; then the
//! warden ends as the runner did.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So long descendants are killed that come again and again; then the warden ends and leaves them to the host.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two rounds of killing.
const ROUND: Duration = Duration::from_millis(2);

/// Makes this process the one that its descendants fall to. Called before the fork.
pub(super) fn prepare() {
    // SAFETY: plain system calls that take numbers; the process has one thread.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        // Before the fork, so that no end of the child is missed.
        let awaited = awaited();
        libc::sigprocmask(libc::SIG_BLOCK, &raw const awaited, std::ptr::null_mut());
    }
}

/// What the child undoes of [`prepare`] and adds: a session of its own, and death with the warden.
pub(super) fn leave(warden: libc::pid_t) {
    // SAFETY: as in `prepare`.
    unsafe {
        let awaited = awaited();
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const awaited, std::ptr::null_mut());
        libc::setsid();
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != warden {
            libc::_exit(1);
        }
    }
}

static WAS_STOPPED: AtomicBool = AtomicBool::new(false);

/// How the warden ends when it had to end a runner that was stopped.
pub(super) const STOPPED: c_int = 119;

/// Watches over `runner`, and never returns.
pub(super) fn watch(runner: libc::pid_t) -> ! {
    // SAFETY: the numbers are this process's own descriptors, which nobody uses any more.
    unsafe {
        for descriptor in 0..4 {
            libc::close(descriptor);
        }
        libc::prctl(libc::PR_SET_NAME, c"sexton-warden".as_ptr());
    }
    let awaited = awaited();
    loop {
        if let Some(status) = reap(runner) {
            sweep();
            end_like(status);
        }
        // SAFETY: the set is initialised; no information is asked for.
        let signal = unsafe { libc::sigwaitinfo(&raw const awaited, std::ptr::null_mut()) };
        if signal == libc::SIGTERM {
            // The host asks, or has ended.
            // SAFETY: the runner is our child and not reaped, so that the number is its own.
            unsafe { libc::kill(runner, libc::SIGKILL) };
        }
    }
}

fn awaited() -> libc::sigset_t {
    // SAFETY: a zeroed set is initialised by `sigemptyset`.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        set
    }
}

/// Reaps whoever has ended; the runner's status if it was among them. A runner that is stopped would hold its runs for ever, and none of its threads
/// could answer the host: it is ended.
fn reap(runner: libc::pid_t) -> Option<c_int> {
    let mut of_runner = None;
    loop {
        let mut status = 0;
        // SAFETY: the status is written to a number of ours.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) } {
            stopped if stopped == runner && libc::WIFSTOPPED(status) => {
                // SAFETY: our child, and not reaped.
                unsafe { libc::kill(runner, libc::SIGKILL) };
                WAS_STOPPED.store(true, Ordering::Relaxed);
            }
            ended if ended == runner => of_runner = Some(status),
            ended if ended > 0 => {}
            _ => return of_runner,
        }
    }
}

/// Kills what is left of the runner. Whatever a killed process had begun falls to us in turn: no list is needed, only another round.
fn sweep() {
    let end = Instant::now() + PATIENCE;
    loop {
        let children = children_of(std::process::id());
        for child in &children {
            // SAFETY: a child of ours that is not reaped: the number is its own.
            unsafe { libc::kill(*child, libc::SIGKILL) };
        }
        let none_left = loop {
            let mut status = 0;
            // SAFETY: as in `reap`.
            match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
                0 => break false,
                -1 => break true,
                _ => {}
            }
        };
        if none_left || Instant::now() >= end {
            return;
        }
        std::thread::sleep(ROUND);
    }
}

/// The processes whose parent is the first thread of this one.
pub(crate) fn children_of(parent: u32) -> Vec<libc::pid_t> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    text.map_or_else(|_| children_by_search(parent), |text| text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect())
}

/// For kernels without that file.
fn children_by_search(parent: u32) -> Vec<libc::pid_t> {
    let own = parent.to_string();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_child = |pid: &libc::pid_t| {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)) == Some(&own)
    };
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// The host reads the runner's end off ours.
fn end_like(status: c_int) -> ! {
    // SAFETY: plain system calls; no core of the warden is wanted, it is the runner's end that is told.
    unsafe {
        if WAS_STOPPED.load(Ordering::Relaxed) {
            libc::_exit(STOPPED);
        }
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            let mut only: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut only);
            libc::sigaddset(&raw mut only, signal);
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut());
        }
        libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 })
    }
}
