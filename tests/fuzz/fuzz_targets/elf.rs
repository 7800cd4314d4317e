//! Any bytes as a plugin's file: structure, tables, sections.
//!
//! Not an opening. What must hold: an answer, no panic, no read outside the bytes. Seed it with a real plugin:
//! in `tests/fuzz`, `mkdir -p corpus/elf && strip -o corpus/elf/http.so ../../target/debug/libhttp.so`, then
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir . elf -- -max_len=2000000 -rss_limit_mb=0`. Without a limit on memory, since its watching thread trips
//! over the loader's own `pthread_create`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _verdict = sexton_loader::inspect::judge_bytes(bytes);
});
