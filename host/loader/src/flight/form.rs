//! The bytes of the flight record: a header, then slots of one size.
//!
//! Not shared between machines: the host's byte order. What must hold: `read` takes what `write_*` wrote, and nothing else; a changed form has
//! another version.

use super::Slot;
use memmap2::MmapRaw;

pub(super) const HEADER_SIZE: usize = 128;
pub(super) const SLOT_SIZE: usize = 256;

const MAGIC: &[u8; 8] = b"SXFLIGHT";
const VERSION: u32 = 2;
const BOOT_SIZE: usize = 40;

// Within the header: magic, version, capacity, boot.
const AT_VERSION: usize = 8;
const AT_CAPACITY: usize = 12;
const AT_BOOT: usize = 16;
/// How a dying host died, and in the code of which generation.
pub(super) const AT_NOTE: usize = 64;
pub(super) const AT_NOTE_OF: usize = 72;

// Within a slot; the state word comes first and is written last.
const AT_ATTEMPT: usize = 4;
const AT_EVENT: usize = 8;
const AT_N: usize = 16;
const AT_TOKEN: usize = 24;
const AT_GENERATION: usize = 32;
const AT_STARTED: usize = 40;
const AT_DIGEST: (usize, usize) = (48, 65);
const AT_PLUGIN: (usize, usize) = (113, 64);
const AT_PLACEMENT: (usize, usize) = (177, 16);

/// The state word of a slot.
#[derive(Clone, Copy)]
pub(super) enum State {
    Free = 0,
    Occupied = 1,
}

/// Fills the header of a fresh map.
pub(super) fn write_header(map: &MmapRaw, capacity: usize, boot: &str) {
    let mut header = [0u8; HEADER_SIZE];
    header[..8].copy_from_slice(MAGIC);
    header[AT_VERSION..AT_VERSION + 4].copy_from_slice(&VERSION.to_ne_bytes());
    header[AT_CAPACITY..AT_CAPACITY + 4].copy_from_slice(&u32::try_from(capacity).unwrap_or(u32::MAX).to_ne_bytes());
    put_text(&mut header, (AT_BOOT, BOOT_SIZE), boot);
    // SAFETY: the map is longer than the header and nobody else has it yet.
    unsafe { std::ptr::copy_nonoverlapping(header.as_ptr(), map.as_mut_ptr(), HEADER_SIZE) };
}

/// Fills all of a free slot but its state word. `index` was taken from the list of free slots.
pub(super) fn write_slot(map: &MmapRaw, index: usize, slot: &Slot) {
    let mut bytes = [0u8; SLOT_SIZE];
    bytes[AT_ATTEMPT..AT_ATTEMPT + 4].copy_from_slice(&slot.attempt.to_ne_bytes());
    for (at, value) in
        [(AT_EVENT, slot.event), (AT_N, slot.n), (AT_TOKEN, slot.token), (AT_GENERATION, slot.generation), (AT_STARTED, slot.started_at_us)]
    {
        bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
    put_text(&mut bytes, AT_DIGEST, &slot.digest);
    put_text(&mut bytes, AT_PLUGIN, &slot.plugin);
    put_text(&mut bytes, AT_PLACEMENT, &slot.placement);
    let at = HEADER_SIZE + index * SLOT_SIZE;
    assert!(at + SLOT_SIZE <= map.len(), "an index of a slot is always below the capacity");
    // SAFETY: inside the map (just checked); the slot is free and taken by this caller alone, and its state word is left out.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().add(AT_ATTEMPT), map.as_mut_ptr().add(at + AT_ATTEMPT), SLOT_SIZE - AT_ATTEMPT) };
}

/// The occupied slots of a record of this boot; `None` if it is of another one, or not understood.
pub(super) fn read(bytes: &[u8], boot: &str) -> Option<Vec<Slot>> {
    let header = bytes.get(..HEADER_SIZE)?;
    let capacity = u32_at(header, AT_CAPACITY)? as usize;
    let ours = header.starts_with(MAGIC) && u32_at(header, AT_VERSION)? == VERSION && text(header, (AT_BOOT, BOOT_SIZE))? == boot;
    let slots = bytes.get(HEADER_SIZE..)?;
    if !ours || slots.len() != capacity.checked_mul(SLOT_SIZE)? {
        return None;
    }
    let occupied = slots.chunks_exact(SLOT_SIZE).filter(|s| u32_at(s, 0) == Some(State::Occupied as u32));
    occupied.map(read_slot).collect()
}

/// The note in a record that [`read`] understood: how, and in whose code.
pub(super) fn read_note(bytes: &[u8]) -> Option<(u32, i64)> {
    let how = u32_at(bytes, AT_NOTE).filter(|how| *how != 0)?;
    Some((how, i64::from_ne_bytes(bytes.get(AT_NOTE_OF..AT_NOTE_OF + 8)?.try_into().ok()?)))
}

fn read_slot(bytes: &[u8]) -> Option<Slot> {
    let number = |at: usize| Some(i64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(Slot {
        event: number(AT_EVENT)?,
        n: number(AT_N)?,
        attempt: u32_at(bytes, AT_ATTEMPT)?,
        token: number(AT_TOKEN)?,
        generation: number(AT_GENERATION)?,
        digest: text(bytes, AT_DIGEST)?.to_owned(),
        plugin: text(bytes, AT_PLUGIN)?.to_owned(),
        placement: text(bytes, AT_PLACEMENT)?.to_owned(),
        started_at_us: number(AT_STARTED)?,
    })
}

/// Whole characters, and a zero byte after them.
fn put_text(bytes: &mut [u8], (at, size): (usize, usize), text: &str) {
    let end = (0..=text.len().min(size - 1)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or_default();
    bytes[at..at + end].copy_from_slice(&text.as_bytes()[..end]);
}

fn text(bytes: &[u8], (at, size): (usize, usize)) -> Option<&str> {
    let field = bytes.get(at..at + size)?;
    std::str::from_utf8(&field[..field.iter().position(|b| *b == 0)?]).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
