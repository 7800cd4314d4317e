//! Damage to a real library (this very test's own program is none; the C library is): whatever the bytes, an answer.
//!
//! The full ladder, with plugins and an opening of what passes, is in `tests/life`.

use super::*;

/// A shared library that every machine with a dynamic linker has.
fn library() -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let line = maps.lines().find(|l| l.contains("/libc.so")).expect("the C library is mapped");
    std::fs::read(line.split_ascii_whitespace().last().expect("a path")).expect("read")
}

/// xorshift64: the same damage on every run.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 1).expect("64 bits")
}

#[test]
fn no_damage_panics_and_all_cuts_are_refused() {
    let good = library();
    assert!(Image::read(&good).is_ok(), "{:?}", Image::read(&good).err());
    let mut seed = 0x5e87_0a11;
    for i in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=(i % 8) {
            // Two of three hit what the linker reads first.
            let within = if i % 3 == 0 { bytes.len() } else { 0x4000 };
            let at = next(&mut seed) % within;
            bytes[at] ^= u8::try_from(next(&mut seed) % 255).expect("a byte") + 1;
        }
        if let Ok(image) = Image::read(&bytes) {
            let _ = check(&image);
        }
    }
    for i in 0..64 {
        let length = good.len() * i / 64;
        let verdict = Image::read(&good[..length]).and_then(|image| check(&image).map(drop));
        assert!(verdict.is_err(), "cut to {length} of {}", good.len());
    }
}

#[test]
fn memory_that_can_be_written_and_run_is_refused() {
    let good = library();
    let image = Image::read(&good).expect("good");
    let at = |kind: u32| {
        usize::try_from(image.table_offset).expect("small") + 56 * image.segments.iter().position(|s| s.kind == kind).expect("has one") + 4
    };
    let stack = at(elf::PT_GNU_STACK);
    let load = at(elf::PT_LOAD);
    let with = |places: &[(usize, u8)]| {
        let mut bytes = good.clone();
        for (at, byte) in places {
            bytes[*at] = *byte;
        }
        Image::read(&bytes).err().map(|r| r.code)
    };
    assert_eq!(with(&[(stack, 7)]).as_deref(), Some("PLG013"));
    assert_eq!(with(&[(load, 7)]).as_deref(), Some("PLG013"));
    assert_eq!(
        with(&[(stack - 4, 0), (stack - 3, 0), (stack - 2, 0), (stack - 1, 0)]).as_deref(),
        Some("PLG013"),
        "no word about the stack"
    );
}

#[test]
fn other_files_and_machines_are_named() {
    for (start, words) in [
        (&b"MZ\x90"[..], "Windows"),
        (b"\0asm\x01", "WebAssembly"),
        (b"PK\x03\x04", "zip"),
        (b"\x7fEL", "cut short"),
        (b"\xff\xfe", "ff fe"),
    ] {
        let rejection = foreign::refuse_other_files(start).expect_err("refused");
        assert!(rejection.code == "PLG003" && rejection.message.contains(words), "{rejection}");
    }
    let mut header = library()[..64].to_vec();
    header[18..20].copy_from_slice(&[0, 22]);
    header[5] = numbers::ELFDATA2MSB;
    let rejection = refuse_other_machines(&header).expect_err("refused");
    assert!(rejection.message.starts_with("built for s390x (big-endian), this host is"), "{rejection}");
    header[4] = 9;
    assert_eq!(refuse_other_machines(&header).expect_err("refused").code, "PLG004");
}
