//! What a file says of itself before any of its code runs: owner rule, ELF structure, machine, entry, identity.
//!
//! Not an opening: nothing is mapped for execution here. What must hold: the verdict is about the bytes of the private copy, not about
//! a path that somebody can write.

use crate::rejection::Rejection;
use sexton_plugin_api::wire::Identity;
use std::path::{Path, PathBuf};

/// A file that passed every check that needs no code.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What its section says.
    pub identity: Identity,
    /// SHA-256 of the bytes, lower-case hex.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
    /// The regular file that the path led to.
    pub resolved: PathBuf,
    /// The bytes' copy in `generations/` (a name of its own, `incoming.*`, until [`adopt`]).
    pub copy: PathBuf,
    /// What is not refused but worth saying (extra constructors, GNU_UNIQUE …).
    pub warnings: Vec<String>,
}

/// Applies the owner rule to `path` and each directory above it (and each symlink hop), reads it once into a private copy inside
/// `generations` (made 0700 if absent), and checks structure, machine, needed libraries, entry symbol and identity of that copy.
/// A refused copy is removed. `as_root`: the host runs as root and takes only root-owned files.
pub fn inspect(_path: &Path, _generations: &Path) -> Result<Inspected, Rejection> {
    Err(Rejection::new("PLG000", "not built"))
}

/// Gives the copy its lasting name `<plugin>.<generation>.<digest>.so`, mode 0400.
pub fn adopt(_inspected: &Inspected, _generations: &Path, _generation: i64) -> Result<PathBuf, Rejection> {
    Err(Rejection::new("PLG000", "not built"))
}
