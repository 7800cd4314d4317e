//! The dynamic section: what the linker is told to load, run and look up.
//!
//! What must hold: every pointer of it leads into the image; every string ends within the string table.

use super::super::concern::Concern;
use super::numbers as elf;
use super::symbols::Symbols;
use super::{Image, broken, not_a_library, unsafe_memory};
use crate::rejection::Rejection;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

const ENTRIES_MAX: u64 = 1024;
/// Generic tags; those of GNU; those of the machine. The linker passes over others, and over what a damaged one was to say.
const TAGS: [RangeInclusive<i64>; 3] = [0..=40, 0x6fff_f000..=0x6fff_ffff, 0x7000_0000..=0x7fff_ffff];
const NEEDED_MAX: usize = 64;
/// start code and `frame_dummy`: what every cdylib has.
const USUAL_CONSTRUCTORS: u64 = 2;

/// Address and size of the lists of constructors and destructors.
const ARRAYS: [(i64, i64); 2] = [(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ), (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ)];

/// Libraries that every host process has anyway; `ld-linux*` besides.
pub(in super::super) const ALLOWED: [&str; 6] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"];

/// The parsed section.
pub(super) struct Dynamic<'a> {
    tags: BTreeMap<i64, u64>,
    /// The string table.
    strings: &'a [u8],
    /// Names of needed libraries.
    pub needed: Vec<&'a str>,
    /// Where the section itself lies: no relocation may write to it.
    pub place: (u64, u64),
}

impl<'a> Dynamic<'a> {
    pub(super) fn read(image: &Image<'a>) -> Result<Self, Rejection> {
        let mut found = image.segments.iter().filter(|s| s.kind == elf::PT_DYNAMIC);
        let (Some(segment), None) = (found.next(), found.next()) else {
            return Err(broken("it has not exactly one dynamic section"));
        };
        let size = segment.in_file / 16 * 16;
        let bytes = image.at(segment.address, size).filter(|_| size <= ENTRIES_MAX * 16);
        let bytes = bytes.ok_or_else(|| broken("its dynamic section lies outside the file"))?;
        let mut tags = BTreeMap::new();
        let mut needed_at = Vec::new();
        let mut ended = false;
        for entry in bytes.chunks_exact(16) {
            let tag = super::u64_at(entry, 0).unwrap_or_default().cast_signed();
            let value = super::u64_at(entry, 8).unwrap_or_default();
            match tag {
                elf::DT_NULL => {
                    ended = true;
                    break;
                }
                elf::DT_NEEDED => needed_at.push(value),
                _ if !TAGS.iter().any(|known| known.contains(&tag)) => {
                    return Err(broken(format!("its dynamic section has an entry of no kind ({tag:#x})")));
                }
                _ => {
                    tags.insert(tag, value);
                }
            }
        }
        if !ended || needed_at.len() > NEEDED_MAX {
            return Err(broken("its dynamic section has no end"));
        }
        let mut dynamic = Self { tags, strings: &[], needed: Vec::new(), place: (segment.address, segment.address + segment.in_memory) };
        dynamic.strings = dynamic.table(image, elf::DT_STRTAB, elf::DT_STRSZ)?.unwrap_or_default();
        if dynamic.strings.last() != Some(&0) {
            return Err(broken("its string table has no end"));
        }
        dynamic.needed = needed_at.into_iter().map(|at| dynamic.string(at)).collect::<Result<_, _>>()?;
        if let Some(name) = dynamic.get(elf::DT_SONAME) {
            dynamic.string(name)?;
        }
        Ok(dynamic)
    }

    pub(super) fn get(&self, tag: i64) -> Option<u64> {
        self.tags.get(&tag).copied()
    }

    /// The bytes of a table given by address and size; `None` if the section does not name it.
    pub(super) fn table(&self, image: &Image<'a>, address: i64, size: i64) -> Result<Option<&'a [u8]>, Rejection> {
        match (self.get(address), self.get(size)) {
            (None, None | Some(0)) | (Some(_), Some(0)) => Ok(None),
            (Some(at), Some(size)) => {
                let bytes = image.at(at, size).ok_or_else(|| broken(format!("dynamic table {address:#x} lies outside the file")))?;
                Ok(Some(bytes))
            }
            _ => Err(broken(format!("dynamic table {address:#x} has an address without a size, or a size without an address"))),
        }
    }

    /// A string of the string table (which ends with a zero byte).
    pub(super) fn string(&self, at: u64) -> Result<&'a str, Rejection> {
        let tail =
            usize::try_from(at).ok().and_then(|at| self.strings.get(at..)).ok_or_else(|| broken("a name lies outside its string table"))?;
        let name = tail.split(|b| *b == 0).next().unwrap_or_default();
        std::str::from_utf8(name).map_err(|_| broken("a name is not UTF-8"))
    }

    /// What is pulled in, and from where: refused where no placement helps, else a concern.
    pub(super) fn check_libraries(&self) -> Result<Vec<Concern>, Rejection> {
        if self.get(elf::DT_FLAGS_1).is_some_and(|flags| flags & elf::DF_1_PIE != 0) {
            return Err(not_a_library("a program"));
        }
        if self.get(elf::DT_TEXTREL).is_some() || self.get(elf::DT_FLAGS).is_some_and(|f| f & elf::DF_TEXTREL != 0) {
            return Err(unsafe_memory("it has text relocations"));
        }
        for (tag, name) in
            [(elf::DT_AUXILIARY, "AUXILIARY"), (elf::DT_FILTER, "FILTER"), (elf::DT_AUDIT, "AUDIT"), (elf::DT_DEPAUDIT, "DEPAUDIT")]
        {
            if self.get(tag).is_some() {
                return Err(Rejection::new("PLG009", format!("the library pulls in another one in its own place (DT_{name})"))
                    .expected("needed libraries only")
                    .found(format!("DT_{name}"))
                    .remedy("link without `--audit`, `--depaudit`, `--auxiliary` and `--filter`"));
            }
        }
        let mut concerns = Vec::new();
        for (tag, kind) in [(elf::DT_RPATH, "RPATH"), (elf::DT_RUNPATH, "RUNPATH")] {
            if let Some(at) = self.get(tag) {
                let needed = self.needed.iter().map(|name| (*name).to_owned()).collect();
                concerns.push(Concern::SearchPath { kind, path: self.string(at)?.to_owned(), needed });
            }
        }
        let private = self.needed.iter().filter(|name| !ALLOWED.contains(*name) && !is_linker(name));
        concerns.extend(private.map(|name| Concern::Library((*name).to_owned())));
        Ok(concerns)
    }

    /// What the linker calls: `init`, `fini` and the arrays.
    pub(super) fn check_functions(&self, image: &Image<'_>) -> Result<(), Rejection> {
        for tag in [elf::DT_INIT, elf::DT_FINI] {
            if self.get(tag).is_some_and(|at| !image.is_code(at)) {
                return Err(broken(format!("dynamic entry {tag} does not lead to code")));
            }
        }
        for (at, size) in ARRAYS {
            if self.get(at).is_some() != self.get(size).is_some() {
                return Err(broken("a list of constructors has no size, or a size and no list"));
            }
        }
        for (at, size) in self.arrays() {
            if at % 8 != 0 || size % 8 != 0 || !image.is_writable(at, size) {
                return Err(broken("a list of constructors lies outside the image"));
            }
        }
        if self.get(elf::DT_PLTGOT).is_some_and(|at| !image.is_writable(at, 24)) {
            return Err(broken("its procedure table lies outside the image"));
        }
        Ok(())
    }

    /// Address and size in bytes of the lists of constructors and destructors.
    pub(super) fn arrays(&self) -> impl Iterator<Item = (u64, u64)> {
        ARRAYS.into_iter().filter_map(|(at, size)| Some((self.get(at)?, self.get(size)?))).filter(|(_, size)| *size > 0)
    }

    /// What runs before a check, or stays after a closing.
    pub(super) fn residue(&self, symbols: &Symbols<'_>) -> Vec<Concern> {
        let constructors = self.get(elf::DT_INIT_ARRAYSZ).unwrap_or_default() / 8;
        let extra = constructors.checked_sub(USUAL_CONSTRUCTORS).filter(|count| *count > 0).map(Concern::Constructors);
        let flags = self.get(elf::DT_FLAGS_1).unwrap_or_default();
        let no_delete = (flags & elf::DF_1_NODELETE != 0).then_some(Concern::NoDelete);
        let unique = symbols.unique.map(|name| Concern::Unique(name.to_owned()));
        extra.into_iter().chain(no_delete).chain(unique).collect()
    }
}

/// The dynamic linker itself, by name alone.
fn is_linker(name: &str) -> bool {
    name.starts_with("ld-linux") && !name.contains('/')
}
