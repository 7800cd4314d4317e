//! Any bytes as a plugin's file: structure, tables, sections.
//!
//! Not an opening. What must hold: an answer, no panic, no read outside the bytes. Seed it with a real plugin:
//! `mkdir -p corpus/elf && cp ../../target/debug/libhttp.so corpus/elf/`, then `RUSTC_BOOTSTRAP=1 cargo fuzz run elf -- -max_len=20000000`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _verdict = sexton_loader::inspect::judge_bytes(bytes);
});
