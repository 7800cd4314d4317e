//! The structure of an ELF file: header, machine, segments; everything that the dynamic linker believes without looking.
//!
//! Not a linker and not a proof: a file that passes can still be nonsense. What must hold: no byte is read outside the file, whatever the
//! file says, and what the linker would map, write or jump to lies inside what the file maps.

mod dynamic;
mod foreign;
mod numbers;
mod relocations;
mod symbols;
mod versions;

pub(super) use dynamic::ALLOWED;

use super::concern::Concern;
use crate::rejection::Rejection;
use numbers as elf;

const HEADER: usize = 64;
const PROGRAM_HEADER: u64 = 56;
const SEGMENTS_MAX: u64 = 128;
const SPAN_MAX: u64 = 4 << 30;
/// The smallest page of the supported machines; where pages are larger the linker itself says so.
const PAGE: u64 = 4096;
const TLS_MAX: u64 = 1 << 20;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = elf::EM_AARCH64;

/// One segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
    align: u64,
}

impl Segment {
    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn holds(&self, address: u64, length: u64) -> bool {
        address >= self.address && address.checked_add(length).is_some_and(|end| end <= self.address + self.in_memory)
    }

    fn holds_in_file(&self, address: u64, length: u64) -> bool {
        address >= self.address && address.checked_add(length).is_some_and(|end| end <= self.address + self.in_file)
    }
}

/// A file with a checked header and checked segments.
pub(super) struct Image<'a> {
    bytes: &'a [u8],
    segments: Vec<Segment>,
    table_offset: u64,
}

/// Checks everything beyond the segments. Answers what depends on where the code is to run.
pub(super) fn check(image: &Image<'_>) -> Result<Vec<Concern>, Rejection> {
    let dynamic = dynamic::Dynamic::read(image)?;
    let mut concerns = dynamic.check_libraries()?;
    let symbols = symbols::Symbols::read(image, &dynamic)?;
    versions::check(image, &dynamic, symbols.count)?;
    dynamic.check_functions(image)?;
    relocations::check(image, &dynamic, &symbols)?;
    symbols.require(abi_stable::library::ROOT_MODULE_LOADER_NAME)?;
    concerns.extend(dynamic.residue(&symbols));
    Ok(concerns)
}

impl<'a> Image<'a> {
    /// Reads header and segments.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Rejection> {
        foreign::refuse_other_files(bytes)?;
        if bytes.len() < HEADER {
            return Err(broken(format!("it ends within the header, after {} bytes", bytes.len())));
        }
        refuse_other_machines(bytes)?;
        let kind = u16_at(bytes, 16).unwrap_or_default();
        if kind != elf::ET_DYN {
            return Err(not_a_library(match kind {
                elf::ET_EXEC => "a program",
                elf::ET_REL => "an object file (`.o`)",
                elf::ET_CORE => "a core dump",
                _ => "of an unknown kind",
            }));
        }
        let table_offset = u64_at(bytes, 32).unwrap_or_default();
        let count = u64::from(u16_at(bytes, 56).unwrap_or_default());
        if u64::from(u16_at(bytes, 54).unwrap_or_default()) != PROGRAM_HEADER || count == 0 || count > SEGMENTS_MAX {
            return Err(broken("its table of segments is not understood"));
        }
        let table = slice(bytes, table_offset, count * PROGRAM_HEADER).ok_or_else(|| broken("it ends before its table of segments"))?;
        let segments = table.chunks_exact(56).map(segment).collect::<Option<Vec<_>>>().ok_or_else(|| broken("a segment is cut short"))?;
        let image = Self { bytes, segments, table_offset };
        image.check_loads()?;
        image.check_stack()?;
        image.check_others()?;
        Ok(image)
    }

    fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|s| s.kind == elf::PT_LOAD)
    }

    /// The file's bytes at an address of the image.
    fn at(&self, address: u64, length: u64) -> Option<&'a [u8]> {
        let segment = self.loads().find(|s| s.holds_in_file(address, length))?;
        slice(self.bytes, segment.offset + (address - segment.address), length)
    }

    fn is_writable(&self, address: u64, length: u64) -> bool {
        self.loads().any(|s| s.is(elf::PF_W) && s.holds(address, length))
    }

    fn is_code(&self, address: u64) -> bool {
        self.loads().any(|s| s.is(elf::PF_X) && s.holds_in_file(address, 1))
    }

    /// Whether an address lies between the image's first and last byte (the last excluded by one: `end` symbols are legal).
    fn spans(&self, address: u64) -> bool {
        let end = self.loads().map(|s| s.address + s.in_memory).max().unwrap_or_default();
        address <= end
    }

    fn tls_size(&self) -> u64 {
        self.segments.iter().find(|s| s.kind == elf::PT_TLS).map_or(0, |s| s.in_memory)
    }

    fn check_loads(&self) -> Result<(), Rejection> {
        let mut free_from = 0u64;
        for (i, s) in self.loads().enumerate() {
            let end_in_file = s.offset.checked_add(s.in_file).ok_or_else(|| broken(format!("segment {i} overflows")))?;
            if end_in_file > self.bytes.len() as u64 {
                return Err(broken(format!("segment {i} ends at byte {end_in_file}, the file at {}", self.bytes.len())));
            }
            let end = s.address.checked_add(s.in_memory).filter(|end| *end <= SPAN_MAX);
            let end = end.ok_or_else(|| broken(format!("segment {i} reaches past the greatest size of an image")))?;
            let aligned = s.align.is_power_of_two() && s.align >= PAGE && s.address % s.align == s.offset % s.align;
            if s.in_file > s.in_memory || !aligned {
                return Err(broken(format!("segment {i} cannot be mapped: its sizes or its alignment contradict each other")));
            }
            if s.address / PAGE * PAGE < free_from {
                return Err(broken(format!("segment {i} overlaps the one before it")));
            }
            free_from = end.next_multiple_of(PAGE);
            if s.is(elf::PF_W) && s.is(elf::PF_X) {
                return Err(unsafe_memory("a segment is both writable and executable"));
            }
        }
        if !self.loads().any(|s| s.is(elf::PF_X)) {
            return Err(broken("no segment holds code"));
        }
        Ok(())
    }

    fn check_stack(&self) -> Result<(), Rejection> {
        match self.segments.iter().find(|s| s.kind == elf::PT_GNU_STACK) {
            Some(stack) if stack.is(elf::PF_X) => Err(unsafe_memory("it asks for an executable stack")),
            Some(_) => Ok(()),
            None => Err(unsafe_memory("it does not say that its stack need not be executable (no `PT_GNU_STACK`)")),
        }
    }

    /// Segments that describe parts of others.
    fn check_others(&self) -> Result<(), Rejection> {
        for s in &self.segments {
            let fits = match s.kind {
                elf::PT_LOAD | elf::PT_GNU_STACK | elf::PT_NULL => true,
                elf::PT_PHDR => self.at(s.address, s.in_file).is_some_and(|b| b.as_ptr() == self.table().as_ptr()),
                elf::PT_DYNAMIC => {
                    s.is(elf::PF_W)
                        && self.is_writable(s.address, s.in_memory)
                        && self.at(s.address, s.in_file).is_some()
                        && s.in_file == s.in_memory
                }
                elf::PT_TLS => {
                    let aligned = s.align == 0 || (s.align.is_power_of_two() && s.align <= TLS_MAX);
                    aligned && s.in_memory <= TLS_MAX && s.in_file <= s.in_memory && self.at(s.address, s.in_file).is_some()
                }
                elf::PT_GNU_RELRO => self.is_writable(s.address, s.in_memory),
                _ => self.at(s.address, s.in_file).is_some() && s.in_memory == s.in_file,
            };
            if !fits {
                return Err(broken(format!("segment of kind {:#x} lies outside what is mapped", s.kind)));
            }
        }
        Ok(())
    }

    fn table(&self) -> &'a [u8] {
        slice(self.bytes, self.table_offset, self.segments.len() as u64 * PROGRAM_HEADER).unwrap_or_default()
    }
}

fn segment(entry: &[u8]) -> Option<Segment> {
    Some(Segment {
        kind: u32_at(entry, 0)?,
        flags: u32_at(entry, 4)?,
        offset: u64_at(entry, 8)?,
        address: u64_at(entry, 16)?,
        in_file: u64_at(entry, 32)?,
        in_memory: u64_at(entry, 40)?,
        align: u64_at(entry, 48)?,
    })
}

/// The dynamic linker's own words for this are "No such file or directory".
fn refuse_other_machines(bytes: &[u8]) -> Result<(), Rejection> {
    let machine = if bytes[5] == elf::ELFDATA2MSB {
        bytes[18..20].iter().fold(0, |m, b| (m << 8) | u16::from(*b))
    } else {
        u16_at(bytes, 18).unwrap_or(0)
    };
    if bytes[4] == elf::ELFCLASS64 && bytes[5] == elf::ELFDATA2LSB && machine == MACHINE {
        return Ok(());
    }
    if !matches!(bytes[4], elf::ELFCLASS32 | elf::ELFCLASS64) || !matches!(bytes[5], elf::ELFDATA2LSB | elf::ELFDATA2MSB) {
        return Err(broken("its header names neither a word size nor a byte order"));
    }
    let mut found = foreign::machine_name(machine);
    if bytes[4] == elf::ELFCLASS32 && machine != elf::EM_386 && machine != elf::EM_ARM {
        found.push_str(" (32 bit)");
    }
    if bytes[5] == elf::ELFDATA2MSB {
        found.push_str(" (big-endian)");
    }
    let host = foreign::machine_name(MACHINE);
    Err(Rejection::new("PLG005", format!("built for {found}, this host is {host}")).expected(&host).found(&found).remedy(format!(
        "build the plugin for this machine: `cargo build --release --target {}-unknown-linux-gnu`",
        std::env::consts::ARCH
    )))
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn broken(why: impl std::fmt::Display) -> Rejection {
    Rejection::new("PLG004", format!("the ELF file is broken or cut short: {why}"))
        .remedy("build or copy the plugin again; compare its size and `sha256sum` with the build's")
}

fn not_a_library(found: &str) -> Rejection {
    Rejection::new("PLG004", format!("the ELF file is {found}, not a shared library"))
        .expected("a shared library (ET_DYN)")
        .found(found)
        .remedy("set `crate-type = [\"cdylib\"]` under `[lib]` in the plugin's Cargo.toml")
}

fn unsafe_memory(why: &str) -> Rejection {
    Rejection::new("PLG013", format!("the library would weaken the host's memory protection: {why}"))
        .expected("no executable stack, no text relocations, no segment both writable and executable")
        .found(why)
        .remedy("build with the default linker flags; assembler sources need `.section .note.GNU-stack,\"\",@progbits`")
}

#[cfg(test)]
mod tests;
