//! Any bytes as what a runner says to its host, in pieces of any size.
//!
//! Not what follows from the reports. What must hold: messages or an error, no panic, and no more memory than is
//! promised (the test `memory` counts it). In `tests/fuzz`:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir . frames -- -rss_limit_mb=0` (why no limit: see `elf`).

#![no_main]

use sexton_loader::runner::{ToHost, ToRunner, frame::Inbox};

libfuzzer_sys::fuzz_target!(|said: (u8, &[u8])| {
    let (size, bytes) = said;
    let (mut from_runner, mut from_host) = (Inbox::default(), Inbox::default());
    for piece in bytes.chunks(usize::from(size).max(1)) {
        let mut stream = piece;
        while let Ok(true) = from_runner.fill(&mut stream) {}
        let mut stream = piece;
        while let Ok(true) = from_host.fill(&mut stream) {}
        while let Ok(Some(_)) = from_runner.take::<ToHost>() {}
        while let Ok(Some(_)) = from_host.take::<ToRunner>() {}
    }
});
