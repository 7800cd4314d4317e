//! The flight record: an mmapped file that says which occurrence runs where, right now, so that the next start knows after a `kill -9`.
//!
//! Not a log and not fsynced: it outlives the process, not the machine (a slot carries the boot it belongs to). What must hold: a slot is
//! whole or free at every instant (its state word is written last), freeing costs no system call, and one process has the record at a time.

mod crash_note;
mod form;

use crate::runner::post_mortem;
use form::{HEADER_SIZE, SLOT_SIZE, State};
use memmap2::MmapRaw;
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Greatest record that is read back, in bytes.
const READ_MAX: u64 = 64 << 20;
const CAPACITY_MAX: usize = 65_536;

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
pub struct FlightRecord {
    /// Locked; the map outlives it, the lock does not.
    file: File,
    map: MmapRaw,
    capacity: usize,
    /// Indices of free slots.
    free: Mutex<Vec<usize>>,
}

/// The file of the record: locked and read, but not emptied.
#[derive(Debug)]
pub struct FlightFile {
    file: File,
    boot: String,
}

/// What an earlier life of this host left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Slots that were occupied when it ended.
    pub slots: Vec<Slot>,
    /// The record belongs to an earlier boot of the machine, or was unreadable: nothing can be said of what had started.
    pub of_another_boot: bool,
    /// How the host itself died, if it could say so.
    pub host_death: Option<HostDeath>,
}

/// The death of a host process by code placed `in-process`, or by a fault of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDeath {
    /// For people: `signal 11 (SIGSEGV)`.
    pub cause: String,
    /// The generation whose code the thread was in; none if it was in no plugin's.
    pub generation: Option<i64>,
}

impl FlightFile {
    /// Opens or makes the file, locks it and reads what an earlier life left, which stays there until [`FlightFile::begin`].
    ///
    /// # Errors
    /// `WouldBlock` if another process has the record; what the file system says otherwise.
    pub fn open(path: &Path) -> io::Result<(Self, Left)> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?);
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let left = left_of(&mut file, &boot)?;
        Ok((Self { file, boot }, left))
    }

    /// Begins a record with `capacity` slots, all free: to be called once what was left is durable elsewhere.
    ///
    /// # Errors
    /// A capacity of none or too many; no space for a file of another size.
    pub fn begin(self, capacity: usize) -> io::Result<FlightRecord> {
        let Self { mut file, boot } = self;
        if capacity == 0 || capacity > CAPACITY_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a flight record has 1 to {CAPACITY_MAX} slots, not {capacity}"),
            ));
        }
        let size = HEADER_SIZE + capacity * SLOT_SIZE;
        // A file of the right size has its blocks, so that a full disk keeps no host from starting.
        if file.metadata()?.len() != size as u64 {
            // To nothing and back: every byte is zero, and no slot of another capacity is left behind.
            file.set_len(0)?;
            take_blocks(&mut file, size)?;
        }
        let map = memmap2::MmapOptions::new().len(size).map_raw(&file)?;
        let record = FlightRecord { file, map, capacity, free: Mutex::new((0..capacity).rev().collect()) };
        for index in 0..capacity {
            record.state(index).store(State::Free as u32, Ordering::Release);
        }
        form::write_header(&record.map, capacity, &boot);
        crash_note::listen(record.map.as_mut_ptr());
        Ok(record)
    }
}

impl FlightRecord {
    /// Lets another process have the record: nothing is started any more.
    pub fn release(&self) {
        if let Err(error) = rustix::fs::flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "the flight record stays locked until the process ends");
        }
    }

    /// Fills a free slot; `None` when all are occupied.
    #[must_use]
    pub fn occupy(&self, slot: &Slot) -> Option<usize> {
        let index = self.free.lock().pop()?;
        form::write_slot(&self.map, index, slot);
        self.state(index).store(State::Occupied as u32, Ordering::Release);
        Some(index)
    }

    /// Frees a slot after its settlement is durable (or the run was given back). A slot that is free already stays so.
    pub fn free(&self, index: usize) {
        if index < self.capacity && self.state(index).swap(State::Free as u32, Ordering::AcqRel) == State::Occupied as u32 {
            self.free.lock().push(index);
        }
    }

    /// How many slots are occupied.
    #[must_use]
    pub fn occupied(&self) -> usize {
        self.capacity - self.free.lock().len()
    }

    fn state(&self, index: usize) -> &AtomicU32 {
        assert!(index < self.capacity, "an index of a slot is always below the capacity");
        // SAFETY: inside the map (just checked), aligned (header and slots are multiples of 8), and only ever accessed atomically.
        unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(HEADER_SIZE + index * SLOT_SIZE).cast()) }
    }
}

/// Blocks now, not when a slot is written: on a full disk that would be a SIGBUS.
fn take_blocks(file: &mut File, size: usize) -> io::Result<()> {
    match rustix::fs::fallocate(&*file, FallocateFlags::empty(), 0, size as u64) {
        // Some file systems (NFS before 4.2, ZFS) know no such call: then by writing.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
            file.rewind()?;
            io::copy(&mut io::repeat(0).take(size as u64), file).map(drop)
        }
        other => Ok(other?),
    }
}

fn left_of(file: &mut File, boot: &str) -> io::Result<Left> {
    let size = file.metadata()?.len();
    if size == 0 {
        return Ok(Left::default());
    }
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    let slots = if size > READ_MAX { None } else { form::read(&bytes, boot) };
    let Some(slots) = slots else { return Ok(Left { of_another_boot: true, ..Left::default() }) };
    let host_death = form::read_note(&bytes).map(|(how, generation)| HostDeath {
        cause: match i32::try_from(how) {
            Ok(signal) if how != crash_note::EXIT => format!("signal {signal} ({})", post_mortem::name(signal)),
            _ => "`exit` was called".to_owned(),
        },
        generation: Some(generation).filter(|g| *g != 0),
    });
    Ok(Left { slots, of_another_boot: false, host_death })
}

impl Drop for FlightRecord {
    fn drop(&mut self) {
        crash_note::forget(self.map.as_mut_ptr());
    }
}

#[cfg(test)]
mod tests;
