//! What a runner uses: memory, processor time, threads, read from `/proc`.
//!
//! Not a limit. What must hold: a number of a process that has ended is never told as this one's.

use parking_lot::Mutex;
use serde::Serialize;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Figures of one runner at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Its process id.
    pub pid: i32,
    /// Resident memory, bytes.
    pub memory_bytes: u64,
    /// Processor time since its start, milliseconds.
    pub cpu_ms: u64,
    /// Threads.
    pub threads: u64,
}

/// Asks for the figures of one runner, as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Mutex<Option<Watched>>>);

#[derive(Debug)]
struct Watched {
    warden: u32,
    pidfd: Arc<OwnedFd>,
}

impl Usage {
    pub(super) fn watch(&self, warden: u32, pidfd: Arc<OwnedFd>) {
        *self.0.lock() = Some(Watched { warden, pidfd });
    }

    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }

    /// The figures of now; `None` before its start and after its end.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        let watched = self.0.lock();
        let watched = watched.as_ref()?;
        // The warden is not reaped while it is watched, so its number is its own, and so are its children's as long as it lives.
        let pid = super::children_of(watched.warden).into_iter().next()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let alive = !super::near::is_over(&watched.pidfd);
        alive.then(|| read(pid, &stat)).flatten()
    }
}

/// Fields of `stat` after the name: 14 and 15 processor time in ticks, 20 threads, 24 resident pages.
fn read(pid: i32, stat: &str) -> Option<Figures> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Some(Figures {
        pid,
        memory_bytes: number(24)? * rustix::param::page_size() as u64,
        cpu_ms: (number(14)? + number(15)?) * 1000 / ticks,
        threads: number(20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_name_holds() {
        let rest = (3..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let figures = read(7, &format!("7 (a) b ) {rest}")).expect("understood");
        assert_eq!((figures.pid, figures.threads), (7, 20));
        assert_eq!(figures.memory_bytes, 24 * rustix::param::page_size() as u64);
        let own = std::fs::read_to_string("/proc/self/stat").expect("we live");
        assert!(read(1, &own).expect("understood").memory_bytes > 0);
        assert!(Usage::default().figures().is_none());
    }
}
