//! The dynamic symbols and the hash table over them.
//!
//! What must hold: every chain of the hash table ends within the file (the linker walks it without a limit), every name ends within the
//! string table, every definition lies in the image.

use super::dynamic::Dynamic;
use super::numbers as elf;
use super::{Image, broken, u16_at, u32_at, u64_at};
use crate::rejection::Rejection;

const ENTRY: u64 = 24;

/// The checked table.
pub(super) struct Symbols<'a> {
    table: &'a [u8],
    /// How many, the null symbol included.
    pub count: u64,
    /// The first that is of binding GNU_UNIQUE.
    pub unique: Option<&'a str>,
    defined: Vec<&'a str>,
}

impl<'a> Symbols<'a> {
    pub(super) fn read(image: &Image<'a>, dynamic: &Dynamic<'a>) -> Result<Self, Rejection> {
        if dynamic.get(elf::DT_SYMENT) != Some(ENTRY) {
            return Err(broken("its symbol table is not understood"));
        }
        let count = count_by_hash(image, dynamic)?;
        let at = dynamic.get(elf::DT_SYMTAB).ok_or_else(|| broken("it has no symbol table"))?;
        let table = image.at(at, count * ENTRY).ok_or_else(|| broken("its symbol table lies outside the file"))?;
        let mut symbols = Self { table, count, unique: None, defined: Vec::new() };
        for entry in table.chunks_exact(24).skip(1) {
            symbols.admit(entry, image, dynamic)?;
        }
        Ok(symbols)
    }

    fn admit(&mut self, entry: &[u8], image: &Image<'a>, dynamic: &Dynamic<'a>) -> Result<(), Rejection> {
        let name = dynamic.string(u64::from(u32_at(entry, 0).unwrap_or_default()))?;
        let (binding, kind) = (entry[4] >> 4, entry[4] & 15);
        let section = u16_at(entry, 6).unwrap_or_default();
        let value = u64_at(entry, 8).unwrap_or_default();
        if section == elf::SHN_UNDEF || section >= elf::SHN_LORESERVE {
            return Ok(());
        }
        let fits = match kind {
            elf::STT_TLS => value <= image.tls_size(),
            elf::STT_GNU_IFUNC => image.is_code(value),
            _ => image.spans(value),
        };
        if !fits {
            return Err(broken(format!("symbol `{name}` lies outside the image")));
        }
        if binding == elf::STB_GNU_UNIQUE {
            self.unique = self.unique.or(Some(name));
        }
        if binding != elf::STB_LOCAL {
            self.defined.push(name);
        }
        Ok(())
    }

    /// The entry that the host looks up.
    pub(super) fn require(&self, name: &str) -> Result<(), Rejection> {
        if self.defined.contains(&name) {
            return Ok(());
        }
        Err(Rejection::new("PLG006", "the library is no Sexton plugin: it does not export the entry")
            .expected(format!("the symbol `{name}`"))
            .found(format!("{} exported symbols, not that one", self.defined.len()))
            .remedy("write `#[plugin]` on `load` and `unload`, and keep exported symbols when stripping (`strip --strip-debug`)"))
    }

    /// Whether a symbol is a function defined here.
    pub(super) fn is_code(&self, index: u64, image: &Image<'_>) -> bool {
        let Some(entry) = usize::try_from(index).ok().and_then(|i| self.table.chunks_exact(24).nth(i)) else { return false };
        u64_at(entry, 8).is_some_and(|value| image.is_code(value))
    }
}

/// The GNU hash table is the only one that says how many symbols there are, and the one that the linker uses.
fn count_by_hash(image: &Image<'_>, dynamic: &Dynamic<'_>) -> Result<u64, Rejection> {
    let outside = || broken("its hash table lies outside the file or has no end");
    let at = dynamic.get(elf::DT_GNU_HASH).ok_or_else(|| broken("it has no GNU hash table (linked with `--hash-style=sysv`?)"))?;
    let header = image.at(at, 16).ok_or_else(outside)?;
    let word = |i: usize| u64::from(u32_at(header, i * 4).unwrap_or_default());
    let (buckets, first, filter_words, shift) = (word(0), word(1), word(2), word(3));
    if buckets == 0 || !filter_words.is_power_of_two() || shift >= 64 || first == 0 {
        return Err(broken("its hash table is not understood"));
    }
    let filter = at + 16;
    image.at(filter, filter_words * 8).ok_or_else(outside)?;
    let buckets_at = filter + filter_words * 8;
    let table = image.at(buckets_at, buckets * 4).ok_or_else(outside)?;
    let mut last = 0;
    for bucket in table.chunks_exact(4).filter_map(|b| u32_at(b, 0)).filter(|b| *b != 0) {
        if u64::from(bucket) < first {
            return Err(broken("its hash table leads to symbols that it does not hold"));
        }
        last = last.max(u64::from(bucket));
    }
    if last == 0 {
        return Ok(first);
    }
    let chains = buckets_at + buckets * 4;
    loop {
        let link = image.at(chains + (last - first) * 4, 4).and_then(|b| u32_at(b, 0)).ok_or_else(outside)?;
        last += 1;
        if link & 1 != 0 {
            return Ok(last);
        }
    }
}
