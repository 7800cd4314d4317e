//! The flight record: an mmapped file that says which occurrence runs where, right now, so that the next start knows after a `kill -9`.
//!
//! Not a log and not fsynced: it outlives the process, not the machine (a slot carries the boot it belongs to). What must hold: a slot is
//! whole or free at every instant (its state word is written last), and freeing costs no system call.

use std::io;
use std::path::Path;

/// What a slot says of a started run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The event's id.
    pub event: i64,
    /// The occurrence's ordinal.
    pub n: i64,
    /// Which attempt.
    pub attempt: u32,
    /// The claim's token.
    pub token: i64,
    /// Which generation.
    pub generation: i64,
    /// SHA-256 of the code, hex; empty for the host's own.
    pub digest: String,
    /// The plugin's name (at most 63 bytes are kept).
    pub plugin: String,
    /// `in-process` or `runner`.
    pub placement: String,
    /// Microseconds since the Unix epoch.
    pub started_at_us: i64,
}

/// The mmapped record, shared by executor and settler.
#[derive(Debug)]
pub struct FlightRecord {}

/// What an earlier life of this host left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Slots that were occupied when it ended.
    pub slots: Vec<Slot>,
    /// The record belongs to an earlier boot of the machine, or was unreadable: nothing can be said of what had started.
    pub of_another_boot: bool,
}

impl FlightRecord {
    /// Opens or makes the record with `capacity` slots, reads what an earlier life left, and frees it all.
    pub fn open(_path: &Path, _capacity: usize) -> io::Result<(Self, Left)> {
        Ok((Self {}, Left::default()))
    }

    /// Fills a free slot; `None` when all are occupied.
    #[must_use]
    pub fn occupy(&self, _slot: &Slot) -> Option<usize> {
        None
    }

    /// Frees a slot after its settlement is durable (or the run was given back).
    pub fn free(&self, _index: usize) {}

    /// How many slots are occupied.
    #[must_use]
    pub fn occupied(&self) -> usize {
        0
    }
}
