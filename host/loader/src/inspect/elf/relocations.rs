//! Relocations: what the linker writes into the image before any code runs.
//!
//! What must hold: each has a known type, writes to writable memory of the image and not over the linker's own tables, names an existing
//! symbol; each slot of the constructor lists gets the address of code.

use super::dynamic::Dynamic;
use super::numbers as elf;
use super::symbols::Symbols;
use super::{Image, MACHINE, broken, u32_at, u64_at};
use crate::rejection::Rejection;
use std::collections::BTreeSet;

const RELA: u64 = 24;
const RELR_MAX: usize = 1 << 22;

/// What a type asks of the linker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    /// Base plus addend.
    Relative,
    /// A symbol's address.
    Symbol,
    /// Something of thread-local storage; so many bytes.
    Tls(u64),
    /// The answer of a function of the image.
    Indirect,
}

/// By machine; `None` for what a shared library of it never has.
fn kind_of(number: u32) -> Option<Kind> {
    if MACHINE == elf::EM_X86_64 { kind_on_x86_64(number) } else { kind_on_aarch64(number) }
}

fn kind_on_x86_64(number: u32) -> Option<Kind> {
    Some(match number {
        elf::R_X86_64_NONE => Kind::Nothing,
        elf::R_X86_64_64 | elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => Kind::Symbol,
        elf::R_X86_64_RELATIVE => Kind::Relative,
        elf::R_X86_64_DTPMOD64 | elf::R_X86_64_DTPOFF64 | elf::R_X86_64_TPOFF64 => Kind::Tls(8),
        elf::R_X86_64_TLSDESC => Kind::Tls(16),
        elf::R_X86_64_IRELATIVE => Kind::Indirect,
        _ => return None,
    })
}

fn kind_on_aarch64(number: u32) -> Option<Kind> {
    Some(match number {
        elf::R_AARCH64_NONE => Kind::Nothing,
        elf::R_AARCH64_ABS64 | elf::R_AARCH64_GLOB_DAT | elf::R_AARCH64_JUMP_SLOT => Kind::Symbol,
        elf::R_AARCH64_RELATIVE => Kind::Relative,
        elf::R_AARCH64_TLS_DTPMOD | elf::R_AARCH64_TLS_DTPREL | elf::R_AARCH64_TLS_TPREL => Kind::Tls(8),
        elf::R_AARCH64_TLSDESC => Kind::Tls(16),
        elf::R_AARCH64_IRELATIVE => Kind::Indirect,
        _ => return None,
    })
}

/// Slots of the constructor lists, and which have been filled.
struct Slots {
    arrays: Vec<(u64, u64)>,
    filled: BTreeSet<u64>,
}

impl Slots {
    fn hold(&self, address: u64) -> bool {
        self.arrays.iter().any(|(at, size)| address.saturating_add(7) >= *at && address < at + size)
    }

    fn fill(&mut self, address: u64, leads_to_code: bool) -> Result<(), Rejection> {
        if leads_to_code && address.is_multiple_of(8) {
            self.filled.insert(address);
            return Ok(());
        }
        Err(broken("a constructor does not lead to code"))
    }

    fn all_filled(&self) -> bool {
        self.arrays.iter().all(|(at, size)| (*at..at + size).step_by(8).all(|slot| self.filled.contains(&slot)))
    }
}

/// Checks all tables.
pub(super) fn check(image: &Image<'_>, dynamic: &Dynamic<'_>, symbols: &Symbols<'_>) -> Result<(), Rejection> {
    if dynamic.get(elf::DT_REL).is_some() || dynamic.get(elf::DT_PLTREL).is_some_and(|kind| kind.cast_signed() != elf::DT_RELA) {
        return Err(broken("its relocations are of an unknown form"));
    }
    if dynamic.get(elf::DT_RELA).is_some() && dynamic.get(elf::DT_RELAENT) != Some(RELA) {
        return Err(broken("its relocations are of an unknown size"));
    }
    if dynamic.get(elf::DT_JMPREL).is_some() != dynamic.get(elf::DT_PLTREL).is_some() {
        return Err(broken("its procedure relocations have no form"));
    }
    let mut slots = Slots { arrays: dynamic.arrays().collect(), filled: BTreeSet::new() };
    let first_relative = dynamic.get(elf::DT_RELACOUNT).unwrap_or_default();
    if let Some(table) = dynamic.table(image, elf::DT_RELA, elf::DT_RELASZ)? {
        addend_table(table, first_relative, image, dynamic, symbols, &mut slots)?;
    }
    if let Some(table) = dynamic.table(image, elf::DT_JMPREL, elf::DT_PLTRELSZ)? {
        addend_table(table, 0, image, dynamic, symbols, &mut slots)?;
    }
    if let Some(table) = dynamic.table(image, elf::DT_RELR, elf::DT_RELRSZ)? {
        packed_table(table, image, dynamic, &mut slots)?;
    }
    if slots.all_filled() { Ok(()) } else { Err(broken("a constructor has no address")) }
}

fn addend_table(
    table: &[u8],
    first_relative: u64,
    image: &Image<'_>,
    dynamic: &Dynamic<'_>,
    symbols: &Symbols<'_>,
    slots: &mut Slots,
) -> Result<(), Rejection> {
    if !table.len().is_multiple_of(24) {
        return Err(broken("its table of relocations is cut short"));
    }
    for (i, entry) in table.chunks_exact(24).enumerate() {
        let (place, addend) = (u64_at(entry, 0).unwrap_or_default(), u64_at(entry, 16).unwrap_or_default());
        let (number, symbol) = (u32_at(entry, 8).unwrap_or_default(), u64::from(u32_at(entry, 12).unwrap_or_default()));
        let kind = kind_of(number).ok_or_else(|| broken(format!("relocation {i} is of unknown type {number}")))?;
        // The linker takes the first `RELACOUNT` for relative ones without looking.
        if (i as u64) < first_relative && kind != Kind::Relative {
            return Err(broken(format!("relocation {i} is not of the type that the count says")));
        }
        let leads_to_code = match kind {
            Kind::Nothing => continue,
            Kind::Relative if !image.spans(addend) => return Err(broken(format!("relocation {i} points outside the image"))),
            Kind::Relative => image.is_code(addend),
            Kind::Indirect if !image.is_code(addend) => return Err(broken(format!("relocation {i} calls what is no code"))),
            Kind::Indirect | Kind::Tls(_) => false,
            Kind::Symbol => symbols.is_code(symbol, image),
        };
        if symbol >= symbols.count {
            return Err(broken(format!("relocation {i} names a symbol that does not exist")));
        }
        let length = if let Kind::Tls(length) = kind { length } else { 8 };
        target(place, length, image, dynamic)?;
        if slots.hold(place) {
            slots.fill(place, leads_to_code)?;
        }
    }
    Ok(())
}

fn target(place: u64, length: u64, image: &Image<'_>, dynamic: &Dynamic<'_>) -> Result<(), Rejection> {
    let (from, to) = dynamic.place;
    if !image.is_writable(place, length) || (place < to && place.saturating_add(length) > from) {
        return Err(broken(format!("a relocation writes to {place:#x}, where it must not")));
    }
    Ok(())
}

/// The packed form: an address, then bit maps over the 63 words after it.
fn packed_table(table: &[u8], image: &Image<'_>, dynamic: &Dynamic<'_>, slots: &mut Slots) -> Result<(), Rejection> {
    let mut next = 0u64;
    let mut places = 0;
    for word in table.chunks_exact(8).filter_map(|w| u64_at(w, 0)) {
        let run: Vec<u64> = if word & 1 == 0 {
            next = word.saturating_add(8);
            vec![word]
        } else {
            let base = next;
            next = next.saturating_add(63 * 8);
            (0..63).filter(|bit| word >> (bit + 1) & 1 != 0).map(|bit| base.saturating_add(bit * 8)).collect()
        };
        places += run.len();
        if places > RELR_MAX {
            return Err(broken("it has more relocations than a plugin can have"));
        }
        for place in run {
            target(place, 8, image, dynamic)?;
            let value = image.at(place, 8).and_then(|b| u64_at(b, 0)).unwrap_or_default();
            if !image.spans(value) {
                return Err(broken("a packed relocation points outside the image"));
            }
            if slots.hold(place) {
                slots.fill(place, image.is_code(value))?;
            }
        }
    }
    Ok(())
}
