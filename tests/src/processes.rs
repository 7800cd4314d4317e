//! What the kernel says of processes: who is whose child, what a process holds, which processes have anything of a site in hand.
//!
//! Not the host's own figures: those are compared with these. What must hold: a process that ends while it is looked at is one that is not there.

use crate::{HostProcess, SOON, Site, until};
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

/// What a host holds of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Open files.
    pub fds: usize,
    /// Threads.
    pub threads: usize,
    /// Lines of its memory map.
    pub maps: usize,
    /// Mappings of files, by path, each path once.
    pub files: Vec<String>,
    /// Children, zombies included.
    pub children: usize,
    /// Resident memory, bytes.
    pub resident: u64,
}

impl Held {
    /// Now.
    #[must_use]
    pub fn by(host: &HostProcess) -> Self {
        let maps = host.maps();
        let mut files: Vec<String> =
            maps.iter().filter_map(|line| line.split_whitespace().nth(5)).filter(|path| path.starts_with('/')).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Self {
            fds: host.entries("fd"),
            threads: host.entries("task"),
            maps: maps.len(),
            files,
            children: children(host.pid()).len(),
            resident: host.resident_bytes(),
        }
    }

    /// What `self` has more than `warm`, or less where that is a loss too; none if the host has returned to what it was.
    #[must_use]
    pub fn beyond(&self, warm: &Self) -> Option<String> {
        /// A malloc arena or a thread's stack more is no leak; a mapping a cycle is.
        const ANONYMOUS: usize = 32;
        const RESIDENT: u64 = 16 * 1024 * 1024;
        let same = self.fds == warm.fds && self.threads == warm.threads && self.children == warm.children;
        let returned = same && self.files.len() == warm.files.len() && self.maps <= warm.maps + ANONYMOUS;
        (!returned || self.resident > warm.resident + RESIDENT).then(|| format!("{} instead of {}", self.short(), warm.short()))
    }

    /// Waits until the host has returned to `warm`; what it holds then. Prints both.
    pub fn until_returned(host: &HostProcess, warm: &Self) -> Self {
        let mut last = String::new();
        let began = std::time::Instant::now();
        loop {
            let now = Self::by(host);
            match now.beyond(warm) {
                None => {
                    println!("held: {} after warm-up, {} at the end", warm.short(), now.short());
                    return now;
                }
                Some(_) if began.elapsed() < SOON => last = now.short(),
                Some(beyond) => panic!("the host does not return to what it was: {beyond} (before that {last})"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn short(&self) -> String {
        format!(
            "{} files open, {} threads, {} maps ({} files), {} children, {} KiB",
            self.fds,
            self.threads,
            self.maps,
            self.files.len(),
            self.children,
            self.resident / 1024
        )
    }
}
