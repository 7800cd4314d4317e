//! Any text as the identity section, and as the list of event type ids beside it.
//!
//! Not the way to the sections (`elf`). What must hold: an answer and no panic. In `tests/fuzz`:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir . identity -- -rss_limit_mb=0` (why no limit: see `elf`).

#![no_main]

libfuzzer_sys::fuzz_target!(|parts: (&[u8], &[u8])| {
    let (text, types) = parts;
    let _verdict = sexton_loader::inspect::judge_identity(text, types);
});
