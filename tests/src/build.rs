//! A build of a plugin: bytes that can be dropped in, and other builds made from them without compiling.
//!
//! Not a compiler: fixtures carry a marker of 64 bytes, `SEXTON-ANSWER:<answer>`, padded with dots, which their code reads at run time; another text
//! there is other code under another digest. What must hold: a patched build differs from its origin in nothing else.

use crate::built::library;
use crate::draw;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

const MARK: &[u8] = b"SEXTON-ANSWER:";
const MARKED: usize = 64;

/// One build, in memory.
#[derive(Clone)]
pub struct Build {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// SHA-256 of it, lower-case hex.
    pub digest: String,
}

impl Build {
    /// The build that cargo made: `Build::of("fx_witness")`, `Build::of("shell")`.
    #[must_use]
    pub fn of(stem: &str) -> Self {
        Self::read(&library(stem))
    }

    /// Any file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::from_bytes(std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    /// Bytes that may not be a library at all.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut digest = String::with_capacity(64);
        for byte in Sha256::digest(&bytes) {
            write!(digest, "{byte:02x}").expect("a string takes everything");
        }
        Self { bytes, digest }
    }

    /// The same code with another answer: `Build::of("fx_witness").answering("b-17")`. At most 50 bytes, no dots.
    #[must_use]
    pub fn answering(&self, answer: &str) -> Self {
        let room = MARKED - MARK.len();
        assert!(answer.len() <= room && !answer.contains('.'), "an answer has at most {room} bytes and no dots");
        let mut bytes = self.bytes.clone();
        // The marker is followed by its answer; the bare word in the code that strips it off is not.
        let places: Vec<usize> =
            (0..bytes.len() - MARKED).filter(|&at| bytes[at..].starts_with(MARK) && bytes[at + MARKED - 1] == b'.').collect();
        let [at] = places[..] else { panic!("{} markers in the build, one expected", places.len()) };
        let text = format!("{answer:.<room$}");
        bytes[at + MARK.len()..at + MARKED].copy_from_slice(text.as_bytes());
        Self::from_bytes(bytes)
    }

    /// Every occurrence of `from` becomes `to`, of equal length: another plugin name, another event type.
    #[must_use]
    pub fn renamed(&self, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len(), "a renaming keeps every offset");
        let mut bytes = self.bytes.clone();
        let mut seen = 0;
        for at in 0..=bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                seen += 1;
            }
        }
        assert!(seen > 0, "`{from}` does not occur in the build");
        Self::from_bytes(bytes)
    }

    /// The build whose identity says that it was made with `panic = "abort"`; the code is as before.
    #[must_use]
    pub fn saying_panic_abort(&self) -> Self {
        self.renamed(r#""panic":"unwind""#, r#""panic":"abort" "#)
    }

    /// The build with `DF_1_NODELETE` in its dynamic section: once opened, it is never unmapped.
    #[must_use]
    pub fn never_unmapped(&self) -> Self {
        const DT_FLAGS_1: u64 = 0x6fff_fffb;
        const DF_1_NODELETE: u8 = 8;
        let mut bytes = self.bytes.clone();
        let places: Vec<usize> =
            (0..bytes.len() - 16).step_by(8).filter(|&at| bytes[at..].starts_with(&DT_FLAGS_1.to_le_bytes())).collect();
        let [at] = places[..] else { panic!("{} places look like the flags of the dynamic section", places.len()) };
        bytes[at + 8] |= DF_1_NODELETE;
        Self::from_bytes(bytes)
    }

    /// One byte changed, at a place and to a value that `seed` gives: the same seed, the same damage.
    #[must_use]
    pub fn flipped(&self, seed: u64) -> Self {
        let mut state = seed;
        let mut bytes = self.bytes.clone();
        let at = usize::try_from(draw(&mut state, bytes.len() as u64)).expect("a place in memory");
        // Not zero: something changes.
        bytes[at] ^= u8::try_from(1 + draw(&mut state, 255)).expect("below 256");
        Self::from_bytes(bytes)
    }

    /// The lengths at which a file of this size is cut short in tests: `count` of them, evenly over the file, the first 0.
    pub fn lengths(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let size = self.bytes.len();
        (0..count).map(move |n| size * n / count)
    }

    /// Its first `length` bytes.
    #[must_use]
    pub fn cut(&self, length: usize) -> Self {
        Self::from_bytes(&self.bytes[..length])
    }
}

/// The build with another machine in its ELF header (AArch64, or x86-64 where that is us): what a wrong download looks like.
#[must_use]
pub fn foreign_elf(build: &Build) -> Build {
    let mut bytes = build.bytes.clone();
    let (aarch64, x86_64): (u16, u16) = (183, 62);
    let ours = u16::from_le_bytes([bytes[18], bytes[19]]);
    let other = if ours == aarch64 { x86_64 } else { aarch64 };
    bytes[18..20].copy_from_slice(&other.to_le_bytes());
    Build::from_bytes(bytes)
}
