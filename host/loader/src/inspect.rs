//! What a file says of itself before any of its code runs: owner rule, ELF structure, machine, entry, identity.
//!
//! Not an opening: nothing is mapped for execution here. What must hold: the verdict is about the bytes of the private copy, not about
//! a path that somebody can write.

mod copy;
mod elf;
mod identity;
mod owner;

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
/// A refused copy is removed. A host that runs as root takes only root-owned files.
pub fn inspect(path: &Path, generations: &Path) -> Result<Inspected, Rejection> {
    let trust = owner::Trust::of_this_process();
    let resolved = owner::resolve(path, &trust)?;
    let copied = copy::take(&resolved, &trust, generations)?;
    match judge(&copied.bytes) {
        Ok((identity, warnings)) => {
            Ok(Inspected { identity, digest: copied.digest, size: copied.bytes.len() as u64, resolved, copy: copied.path, warnings })
        }
        Err(rejection) => {
            copy::remove(&copied.path);
            Err(rejection)
        }
    }
}

/// Everything that the bytes alone decide. Never panics, whatever they are.
fn judge(bytes: &[u8]) -> Result<(Identity, Vec<String>), Rejection> {
    let image = elf::Image::read(bytes)?;
    let findings = elf::check(&image)?;
    let identity = identity::read(bytes)?;
    Ok((identity, findings))
}

/// Applies the owner rule to a file beside a plugin (its settings), as [`inspect`] does to the plugin. Answers the regular file.
pub fn trusted(path: &Path) -> Result<PathBuf, Rejection> {
    owner::resolve(path, &owner::Trust::of_this_process())
}

/// Gives the copy its lasting name `<plugin>.<generation>.<digest>.so`, mode 0400.
pub fn adopt(inspected: &Inspected, generations: &Path, generation: i64) -> Result<PathBuf, Rejection> {
    let name = format!("{}.{generation}.{}.so", inspected.identity.plugin, inspected.digest);
    copy::rename(&inspected.copy, &generations.join(name))
}

/// Removes the copy of a file that passed but is not wanted after all.
pub fn discard(inspected: &Inspected) {
    copy::remove(&inspected.copy);
}
