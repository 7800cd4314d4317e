//! What a host holds of the machine: open files, threads, mappings, children, memory; and whether it has returned to what it was.
//!
//! Not the host's own figures: the kernel's. What must hold: a difference is told with the names of what is too much.

use crate::{HostProcess, SOON, children};
use std::fs;
use std::time::{Duration, Instant};

/// A malloc arena or a thread's stack more is no leak; a mapping a cycle is.
const ANONYMOUS_MORE: usize = 32;
/// The same for memory, bytes.
const RESIDENT_MORE: u64 = 16 * 1024 * 1024;
/// The store opens readers as they are needed, so many at most; with the writer, so many times a file of it may be open whenever one looks.
const STORE_OPEN: usize = 5;
/// So long nothing may change for it to be called rest.
const REST: Duration = Duration::from_millis(500);

/// At one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Open files, by what they lead to, without numbers of sockets and pipes.
    pub fds: Vec<String>,
    /// Names of threads.
    pub threads: Vec<String>,
    /// Files that are mapped, each path once.
    pub images: Vec<String>,
    /// Children, zombies included, by name.
    pub children: Vec<String>,
    /// Lines of its memory map.
    pub maps: usize,
    /// Resident memory, bytes.
    pub resident: u64,
}

impl Held {
    /// Now.
    #[must_use]
    pub fn by(host: &HostProcess) -> Self {
        let maps = host.maps();
        let pid = host.pid();
        let listed = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).expect("the host runs").flatten();
        let leads = listed("fd").filter_map(|entry| fs::read_link(entry.path()).ok()).map(|to| to.to_string_lossy().into_owned());
        let names = listed("task").filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
        let images = maps.iter().filter_map(|line| line.split_whitespace().nth(5)).filter(|path| path.starts_with('/'));
        let mut held = Self {
            fds: leads.map(|to| to.split(":[").next().unwrap_or_default().to_owned()).collect(),
            threads: names.map(|name| of_any_generation(name.trim())).collect(),
            images: images.map(str::to_owned).collect(),
            children: children(pid).into_iter().map(|child| child.name).collect(),
            maps: maps.len(),
            resident: host.resident_bytes(),
        };
        for list in [&mut held.fds, &mut held.threads, &mut held.images, &mut held.children] {
            list.sort();
        }
        held.images.dedup();
        held
    }

    /// As soon as it is at rest: what came in passing (a connection, a generation on its way out) is gone.
    #[must_use]
    pub fn at_rest(host: &HostProcess) -> Self {
        let began = Instant::now();
        let (mut last, mut since) = (Self::by(host), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let now = Self::by(host);
            let same = now.fds == last.fds && now.threads == last.threads && now.images == last.images && now.children == last.children;
            if same && since.elapsed() > REST {
                return now;
            }
            assert!(began.elapsed() < SOON, "the host does not come to rest: {last:?}, then {now:?}");
            if !same {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Waits until the host has returned to `warm`, and prints both; what it holds then.
    ///
    /// # Panics
    /// With what is too much, if it does not.
    pub fn until_returned(host: &HostProcess, warm: &Self) -> Self {
        let began = Instant::now();
        loop {
            let now = Self::by(host);
            let beyond = now.beyond(warm);
            if beyond.is_empty() {
                println!("held after warm-up: {}; at the end: {}", warm.short(), now.short());
                return now;
            }
            assert!(
                began.elapsed() < SOON,
                "the host does not return to what it was: {beyond:?}: {} instead of {}",
                now.short(),
                warm.short()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What `self` has and `warm` has not. Images are counted, not named: a generation's file has a name of its own.
    fn beyond(&self, warm: &Self) -> Vec<String> {
        let mut beyond = Vec::new();
        for (what, now, then) in
            [("open file", &self.fds, &warm.fds), ("thread", &self.threads, &warm.threads), ("child", &self.children, &warm.children)]
        {
            let mut left = then.clone();
            for name in now {
                match left.iter().position(|known| known == name) {
                    Some(at) => drop(left.swap_remove(at)),
                    None if name.contains("/sexton.db") && now.iter().filter(|file| *file == name).count() <= STORE_OPEN => {}
                    None => beyond.push(format!("{what} {name}")),
                }
            }
        }
        if self.images.len() > warm.images.len() {
            beyond.push(format!("images {:?}", self.images));
        }
        if self.maps > warm.maps + ANONYMOUS_MORE {
            beyond.push(format!("{} maps", self.maps - warm.maps));
        }
        if self.resident > warm.resident + RESIDENT_MORE {
            beyond.push(format!("{} KiB", (self.resident - warm.resident) / 1024));
        }
        beyond
    }

    fn short(&self) -> String {
        let (files, threads, images) = (self.fds.len(), self.threads.len(), self.images.len());
        let (children, kib) = (self.children.len(), self.resident / 1024);
        format!("{files} open files, {threads} threads, {} maps of {images} images, {children} children, {kib} KiB", self.maps)
    }
}

/// `g17-fx-cycles` is `g#`: the thread of a generation, whichever. `g` in its own process or the host's, `r` and `w` at the host's end of a runner.
fn of_any_generation(name: &str) -> String {
    for letter in ['g', 'r', 'w'] {
        let number = name.strip_prefix(letter).and_then(|rest| rest.split('-').next());
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())) {
            return format!("{letter}#");
        }
    }
    name.to_owned()
}
