//! The doorbell of the plugin directory: it rings when the kernel says that something may have changed there.
//!
//! Not a source of truth: what changed is found by listing, and what it misses by the supervisor's own look each second. What must hold:
//! many events ring once until the bell is answered, and an event without a path (a full kernel queue) rings too.

use notify::event::{AccessKind, AccessMode};
use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Watches one directory, never a file of it: a file that is replaced would take its watch along.
#[derive(Debug)]
pub struct Doorbell {
    rung: Arc<AtomicBool>,
    _watcher: RecommendedWatcher,
}

impl Doorbell {
    /// Rings `ring` after a change in `directory`, once until [`Doorbell::answered`].
    pub fn hang(directory: &Path, ring: impl Fn() + Send + 'static) -> notify::Result<Self> {
        let rung = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&rung);
        let on_event = move |event: notify::Result<notify::Event>| {
            let worth_a_look = event.map_or(true, |e| matters(e.kind));
            if worth_a_look && !heard.swap(true, Ordering::AcqRel) {
                ring();
            }
        };
        let mut watcher = RecommendedWatcher::new(on_event, Config::default())?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Self { rung, _watcher: watcher })
    }

    /// To be called before looking, so that a change after the look rings again.
    pub fn answered(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

/// Our own reading of a file is no change; the end of somebody's writing is.
fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => matches!(access, AccessKind::Close(AccessMode::Write)),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn it_rings_once_until_answered_and_again_after() {
        let dir = tempfile::tempdir().expect("a directory");
        let (rings, heard) = channel();
        let bell = Doorbell::hang(dir.path(), move || rings.send(()).expect("the test listens")).expect("inotify");
        let patience = Duration::from_secs(10);
        std::fs::write(dir.path().join("a.so"), "1").expect("written");
        heard.recv_timeout(patience).expect("the first change rings");
        bell.answered();
        std::fs::rename(dir.path().join("a.so"), dir.path().join("b.so")).expect("renamed");
        heard.recv_timeout(patience).expect("a change after the answer rings");
    }

    #[test]
    fn reading_is_no_change() {
        assert!(!matters(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(matters(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(matters(EventKind::Other), "the kernel's queue overflowed: no path, but a look is due");
    }
}
