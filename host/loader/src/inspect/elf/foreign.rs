//! Words for files that are no ELF file, and for machines that are not this one.
//!
//! Not a general file typer: only what people really drop into a plugin directory. What must hold: whatever the bytes, an answer.

use super::numbers as elf;
use crate::rejection::Rejection;

/// Refuses what does not start as an ELF file does.
pub(super) fn refuse_other_files(bytes: &[u8]) -> Result<(), Rejection> {
    if bytes.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let found = describe(bytes);
    Err(Rejection::new("PLG003", format!("not a plugin: {found}"))
        .expected("an ELF shared library (`.so`)")
        .found(&found)
        .remedy("build the plugin with `crate-type = [\"cdylib\"]` and copy `target/release/lib<name>.so`"))
}

fn describe(bytes: &[u8]) -> String {
    let known: [(&[u8], &str); 8] = [
        (b"!<arch>\n", "an archive (`.a` or `.rlib`)"),
        (b"MZ", "a Windows program or DLL"),
        (b"\xcf\xfa\xed\xfe", "a macOS library"),
        (b"\0asm", "a WebAssembly module"),
        (b"\x1f\x8b", "a gzip file"),
        (b"PK\x03\x04", "a zip file"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"\x7f", "the beginning of an ELF file, cut short"),
    ];
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    if let Some((_, name)) = known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*name).to_owned();
    }
    let start = &bytes[..bytes.len().min(64)];
    let text = String::from_utf8_lossy(start);
    let line: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
    if bytes.starts_with(b"#!") {
        return format!("a script (`{}`)", line.escape_debug());
    }
    // The cut may have split the last character.
    let is_utf8 = std::str::from_utf8(start).map_or_else(|e| e.error_len().is_none(), |_| true);
    if is_utf8 && start.iter().all(|b| *b >= b' ' || b"\t\r\n".contains(b)) {
        return format!("text (`{}`)", line.escape_debug());
    }
    let hex: Vec<_> = start.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("its first bytes are {}", hex.join(" "))
}

/// As people call it.
pub(super) fn machine_name(machine: u16) -> String {
    let name = match machine {
        elf::EM_X86_64 => "x86_64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_386 => "i686",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390x",
        elf::EM_LOONGARCH => "loongarch",
        elf::EM_MIPS => "mips",
        other => return format!("machine {other}"),
    };
    name.to_owned()
}
