//! What the plugin directory holds at one instant: the libraries, each with what `stat` says of it, its settings file and its signature.
//!
//! It opens nothing and decides nothing. What must hold: an unreadable directory is an error, never an empty listing, so that nothing is
//! unloaded because a disk was away.

use super::settle::{Fingerprint, Look};
use sexton_loader::inspect::signature_beside;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Libraries looked at, at most; those last by name are left out.
pub const FILES_MAX: usize = 1024;

/// A listing.
#[derive(Debug, Default)]
pub struct Listing {
    /// The libraries, by path.
    pub files: BTreeMap<PathBuf, Fingerprint>,
    /// There were more than [`FILES_MAX`].
    pub crowded: bool,
}

/// Lists `*.so` not starting with a dot. Symlinks are followed; one that leads nowhere is listed without a look.
pub fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if is_library(&path) {
            let seen = look(&path);
            listing.files.insert(path, seen);
            if listing.files.len() > FILES_MAX {
                listing.files.pop_last();
                listing.crowded = true;
            }
        }
    }
    Ok(listing)
}

/// One library, its settings file and its signature.
pub fn look(library: &Path) -> Fingerprint {
    Fingerprint { code: stat(library), settings: stat(&library.with_extension("toml")), signature: signature(library) }
}

/// Beside the library or, if that is a link, else beside what it leads to.
fn signature(library: &Path) -> Option<Look> {
    stat(&signature_beside(library)).or_else(|| {
        let is_link = library.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        is_link.then(|| library.canonicalize().ok()).flatten().and_then(|target| stat(&signature_beside(&target)))
    })
}

/// Whether a name is that of a library: `*.so`, not starting with a dot.
pub fn is_library(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension() == Some(OsStr::new("so"))
}

fn stat(path: &Path) -> Option<Look> {
    let meta = std::fs::metadata(path).ok()?;
    let ns = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some(Look {
        inode: (meta.dev(), meta.ino()),
        size: meta.size(),
        mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_listed_and_links_are_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["liba.so", ".hidden.so", "libb.so.1", "notes.txt", "liba.toml"] {
            std::fs::write(at(name), name).expect("written");
        }
        std::os::unix::fs::symlink(at("liba.so"), at("link.so")).expect("linked");
        std::os::unix::fs::symlink(at("nowhere"), at("dangling.so")).expect("linked");
        let listed = list(dir.path()).expect("readable").files;
        assert_eq!(listed.keys().cloned().collect::<Vec<_>>(), [at("dangling.so"), at("liba.so"), at("link.so")]);
        assert_eq!(listed[&at("link.so")].code, listed[&at("liba.so")].code, "the target is looked at");
        assert!(listed[&at("liba.so")].settings.is_some() && listed[&at("link.so")].settings.is_none());
        assert_eq!(listed[&at("dangling.so")], Fingerprint::default());
    }

    #[test]
    fn a_signature_is_seen_beside_the_link_and_beside_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("elsewhere")).expect("made");
        std::fs::write(at("elsewhere/liba.so"), "a").expect("written");
        std::os::unix::fs::symlink(at("elsewhere/liba.so"), at("link.so")).expect("linked");
        assert_eq!(look(&at("link.so")).signature, None);
        std::fs::write(at("elsewhere/liba.so.minisig"), "beside the file").expect("written");
        let (by_link, by_file) = (look(&at("link.so")).signature, look(&at("elsewhere/liba.so")).signature);
        assert!(by_file.is_some() && by_link == by_file);
        std::fs::write(at("link.so.minisig"), "beside the link").expect("written");
        assert!(look(&at("link.so")).signature.is_some_and(|own| Some(own) != by_file));
    }

    #[test]
    fn a_directory_that_is_away_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(list(&dir.path().join("away")).is_err());
    }
}
