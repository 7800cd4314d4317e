//! What the kernel says of processes: who is whose child, which processes have anything of a site in hand.
//!
//! Not what a process holds (`held`). What must hold: a process that ends while it is looked at is one that is not there.

use crate::{Site, until};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// `R S D T Z …`, as `/proc/<pid>/stat` has it.
    pub state: char,
    /// Its name, at most 15 bytes.
    pub name: String,
}

impl Process {
    /// The process of this id, if there is one; one that has ended and was not waited for is one, too.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The name may hold anything, also `)`: what follows the last one does not.
        let (before, after) = text.rsplit_once(')')?;
        let mut words = after.split_whitespace();
        let state = words.next()?.chars().next()?;
        let parent = words.next()?.parse().ok()?;
        Some(Self { pid, parent, state, name: before.split_once('(')?.1.to_owned() })
    }

    /// All that are there.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("/proc can be read").flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Self::of).collect()
    }

    /// Whether it has not ended: a zombie has.
    #[must_use]
    pub fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether its arguments, its working directory or what it has mapped lie under this path.
    #[must_use]
    pub fn has_in_hand(&self, path: &Path) -> bool {
        let needle = path.as_os_str().as_encoded_bytes();
        let read = |what: &str| fs::read(format!("/proc/{}/{what}", self.pid)).unwrap_or_default();
        let at = fs::read_link(format!("/proc/{}/cwd", self.pid)).unwrap_or_default();
        at.starts_with(path) || [read("cmdline"), read("maps")].iter().any(|text| text.windows(needle.len()).any(|found| found == needle))
    }
}

/// The children of a process, ended ones that nobody has waited for included.
#[must_use]
pub fn children(pid: u32) -> Vec<Process> {
    Process::all().into_iter().filter(|process| process.parent == pid).collect()
}

/// The children of a process, their children and so on.
#[must_use]
pub fn descendants(pid: u32) -> Vec<Process> {
    let all = Process::all();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// What a host is the cause of, but for itself: living processes that descend from it, and those that have anything of the site in hand, whoever's
/// children they are by now. Runners, and whatever those have started.
#[must_use]
pub fn at_work(site: &Site, host: Option<u32>) -> Vec<Process> {
    let descended = host.map(descendants).unwrap_or_default();
    let ours = [Some(std::process::id()), host];
    let living = Process::all().into_iter().filter(|process| process.lives() && !ours.contains(&Some(process.pid)));
    living.filter(|process| descended.iter().any(|known| known.pid == process.pid) || process.has_in_hand(site.path())).collect()
}

/// Waits until none of these lives.
pub fn until_ended(pids: &[u32], deadline: Duration) {
    until(&format!("processes {pids:?} have ended"), deadline, || {
        pids.iter().all(|pid| Process::of(*pid).is_none_or(|process| !process.lives())).then_some(())
    });
}
