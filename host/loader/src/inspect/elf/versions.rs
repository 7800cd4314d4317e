//! Symbol versions: the linker follows their lists by offsets, and aborts the process when a list names a library that is not needed.
//!
//! What must hold: each list ends, each name ends, and each symbol's version has been named by a list.

use super::dynamic::Dynamic;
use super::numbers as elf;
use super::{Image, broken, u16_at, u32_at};
use crate::rejection::Rejection;

const RECORDS_MAX: usize = 4096;
/// 0 = local, 1 = global: always there.
const BUILT_IN: u16 = 1;
const HIDDEN: u16 = 0x8000;

/// Checks the version tables against `symbols` symbols.
pub(super) fn check(image: &Image<'_>, dynamic: &Dynamic<'_>, symbols: u64) -> Result<(), Rejection> {
    let mut greatest = BUILT_IN;
    if let Some(at) = dynamic.get(elf::DT_VERNEED) {
        greatest = greatest.max(needed(image, dynamic, at)?);
    }
    if let Some(at) = dynamic.get(elf::DT_VERDEF) {
        greatest = greatest.max(defined(image, dynamic, at)?);
    }
    // The linker looks into the one as soon as there is one of the others.
    let lists = dynamic.get(elf::DT_VERNEED).is_some() || dynamic.get(elf::DT_VERDEF).is_some();
    let Some(at) = dynamic.get(elf::DT_VERSYM) else {
        return if lists { Err(broken("it lists versions but gives its symbols none")) } else { Ok(()) };
    };
    let table = image.at(at, symbols * 2).ok_or_else(outside)?;
    if table.chunks_exact(2).filter_map(|b| u16_at(b, 0)).any(|version| version & !HIDDEN > greatest) {
        return Err(broken("a symbol has a version that is not listed"));
    }
    Ok(())
}

fn outside() -> Rejection {
    broken("its version tables lie outside the file or have no end")
}

fn needed(image: &Image<'_>, dynamic: &Dynamic<'_>, mut at: u64) -> Result<u16, Rejection> {
    let mut greatest = 0;
    for _ in 0..RECORDS_MAX {
        let record = image.at(at, 16).ok_or_else(outside)?;
        if u16_at(record, 0) != Some(1) {
            return Err(broken("a version table is of an unknown form"));
        }
        let (count, file) = (u16_at(record, 2).unwrap_or_default(), u32_at(record, 4).unwrap_or_default());
        let (aux, next) = (u32_at(record, 8).unwrap_or_default(), u32_at(record, 12).unwrap_or_default());
        let file = dynamic.string(u64::from(file))?;
        if !dynamic.needed.contains(&file) {
            return Err(broken(format!("it wants versions of `{file}` but does not need that library")));
        }
        let mut entry_at = at + u64::from(aux);
        for i in 0..count {
            let entry = image.at(entry_at, 16).ok_or_else(outside)?;
            greatest = greatest.max(u16_at(entry, 6).unwrap_or_default() & !HIDDEN);
            dynamic.string(u64::from(u32_at(entry, 8).unwrap_or_default()))?;
            let step = u32_at(entry, 12).unwrap_or_default();
            // The linker stops at the zero step, not at the count.
            if (step == 0) != (i + 1 == count) {
                return Err(outside());
            }
            entry_at += u64::from(step);
        }
        if count == 0 {
            return Err(outside());
        }
        if next == 0 {
            return Ok(greatest);
        }
        at += u64::from(next);
    }
    Err(outside())
}

fn defined(image: &Image<'_>, dynamic: &Dynamic<'_>, mut at: u64) -> Result<u16, Rejection> {
    let mut greatest = 0;
    for _ in 0..RECORDS_MAX {
        let record = image.at(at, 20).ok_or_else(outside)?;
        if u16_at(record, 0) != Some(1) {
            return Err(broken("a version table is of an unknown form"));
        }
        greatest = greatest.max(u16_at(record, 4).unwrap_or_default() & !HIDDEN);
        let (aux, next) = (u32_at(record, 12).unwrap_or_default(), u32_at(record, 16).unwrap_or_default());
        let entry = image.at(at + u64::from(aux), 8).ok_or_else(outside)?;
        dynamic.string(u64::from(u32_at(entry, 0).unwrap_or_default()))?;
        if next == 0 {
            return Ok(greatest);
        }
        at += u64::from(next);
    }
    Err(outside())
}
