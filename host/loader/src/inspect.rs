//! What a file says of itself before any of its code runs: owner rule, ELF structure, machine, entry, identity.
//!
//! Not an opening: nothing is mapped for execution here. What must hold: the verdict is about the bytes of the private copy, not about
//! a path that somebody can write.

mod concern;
mod copy;
mod elf;
mod identity;
mod owner;
mod rules;
mod signature;

pub use rules::{Policy, Rules, Signatures};
pub use signature::{Signature, beside as signature_beside, comment_for, find as find_signature};

use crate::rejection::Rejection;
use concern::Concern;
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
    /// What is not refused but worth saying (extra constructors, no signature …).
    pub warnings: Vec<String>,
    /// Who signed it, as far as was asked.
    pub signature: Signature,
}

/// Applies the owner rule to `path` and each directory above it (and each symlink hop), reads it once into a private copy inside
/// `generations` (made 0700 if absent), and checks structure, machine, needed libraries, entry symbol and identity of that copy; then what
/// `rules` say of its placement and its signature. A refused copy is removed. A host that runs as root takes only root-owned files.
pub fn inspect(path: &Path, generations: &Path, rules: &Rules) -> Result<Inspected, Rejection> {
    let trust = owner::Trust::of_this_process();
    let resolved = owner::resolve(path, &trust)?;
    let copied = copy::take(&resolved, &trust, generations, rules.readable_by_others)?;
    let judged = judge_copy(path, &resolved, &copied.bytes, rules, &trust);
    let (identity, warnings, signature) = judged.inspect_err(|_| copy::remove(&copied.path))?;
    let size = copied.bytes.len() as u64;
    Ok(Inspected { identity, digest: copied.digest, size, resolved, copy: copied.path, warnings, signature })
}

fn judge_copy(
    path: &Path,
    resolved: &Path,
    bytes: &[u8],
    rules: &Rules,
    trust: &owner::Trust,
) -> Result<(Identity, Vec<String>, Signature), Rejection> {
    let (identity, concerns) = judge(bytes)?;
    let mut warnings = concern::judge(&concerns, rules.placement, &identity.plugin, trust)?;
    let signed = signature::Signed { path, resolved, bytes, identity: &identity };
    let (signature, warning) = signature::judge(&signed, &rules.signatures, trust)?;
    warnings.extend(warning);
    Ok((identity, warnings, signature))
}

/// Everything that the bytes alone decide. Never panics, whatever they are.
fn judge(bytes: &[u8]) -> Result<(Identity, Vec<Concern>), Rejection> {
    let image = elf::Image::read(bytes)?;
    let mut concerns = elf::check(&image)?;
    let identity = identity::read(bytes)?;
    if identity.panic == "abort" {
        concerns.push(Concern::PanicAborts);
    }
    Ok((identity, concerns))
}

/// What a library says of itself, without a look at its machine or the rest of its structure: for who signs it, on whatever machine.
pub fn identity_of(bytes: &[u8]) -> Result<Identity, Rejection> {
    identity::read(bytes)
}

/// For fuzzing: whether the bytes pass as far as bytes decide.
#[doc(hidden)]
#[must_use]
pub fn judge_bytes(bytes: &[u8]) -> bool {
    judge(bytes).is_ok()
}

/// For fuzzing: whether the text of an identity section and the list of type ids beside it pass.
#[doc(hidden)]
#[must_use]
pub fn judge_identity(text: &[u8], types: &[u8]) -> bool {
    identity::parse(text, types).is_ok()
}

/// For the words of a refusal.
fn dynamic_libraries() -> String {
    elf::ALLOWED.join(", ")
}

/// Applies the owner rule to a file beside a plugin (its settings), as [`inspect`] does to the plugin. Answers the regular file.
pub fn trusted(path: &Path) -> Result<PathBuf, Rejection> {
    owner::resolve(path, &owner::Trust::of_this_process())
}

/// Gives the copy its lasting name `<plugin>.<generation>.<digest>.so`, mode as it was copied.
pub fn adopt(inspected: &Inspected, generations: &Path, generation: i64) -> Result<PathBuf, Rejection> {
    let name = format!("{}.{generation}.{}.so", inspected.identity.plugin, inspected.digest);
    copy::rename(&inspected.copy, &generations.join(name))
}

/// Removes the copy of a file that passed but is not wanted after all.
pub fn discard(inspected: &Inspected) {
    copy::remove(&inspected.copy);
}
