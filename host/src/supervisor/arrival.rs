//! `plugin load PATH`: how a file from elsewhere gets into the plugin directory, whole or not at all.
//!
//! Not the loading of it. What must hold: a file that is no plugin never gets its lasting name, and what was in its place stays until the
//! rename.

use crate::problem;
use rustix::fs::{Mode, OFlags};
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect::{self, Rules};
use sexton_loader::shown::shown;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};

/// No library may be larger, in bytes.
const SIZE_MAX: u64 = 1 << 30;

/// Where a file is to stand.
#[derive(Debug)]
pub struct Place {
    /// Its path in the plugin directory.
    pub path: PathBuf,
    /// The source is that very file.
    pub is_there: bool,
}

/// A copy under a passing name; removed when dropped.
#[derive(Debug)]
pub struct Arrived {
    /// Whose code it is.
    pub plugin: String,
    passing: PathBuf,
}

/// Where `source` belongs. Refused (`PLG001`) if that is no name for a library, or no absolute path.
pub fn place_of(source: &Path, directory: &Path) -> Result<Place, Refusal> {
    let refused = |why: &str| Refusal::new("PLG001", Blame::Input, format!("{} cannot be loaded: {why}", shown(source)));
    if !source.is_absolute() {
        return Err(refused("the path is not absolute").remedy("give the whole path: the host does not stand in your directory"));
    }
    if !super::listing::is_library(source) {
        return Err(
            refused("its name does not end in `.so`, or begins with a dot").remedy("give the path of a library, such as `libacme.so`")
        );
    }
    let name = source.file_name().ok_or_else(|| refused("it has no name"))?;
    let parent = source.parent().and_then(|p| p.canonicalize().ok());
    let is_there = parent.is_some() && parent == directory.canonicalize().ok();
    Ok(Place { path: directory.join(name), is_there })
}

/// Copies `source`, with its signature if it has one, beside the others under a passing name and inspects it there.
pub fn copy(source: &Path, directory: &Path, generations: &Path, rules: &Rules) -> Result<Arrived, Refusal> {
    let mut arrived = Arrived { plugin: String::new(), passing: passing_name(directory, "so") };
    write_copy(source, &arrived.passing)?;
    copy_signature(source, &arrived.passing)?;
    let inspected = inspect::inspect(&arrived.passing, generations, rules).map_err(|r| problem::from_rejection(&r))?;
    inspect::discard(&inspected);
    arrived.plugin = inspected.identity.plugin;
    Ok(arrived)
}

/// A name in the plugin directory under which something is written before it gets its lasting one. Nobody can have put anything there: it comes
/// from the random keys of two hashers. Left behind, it is removed at the next start.
pub fn passing_name(directory: &Path, extension: &str) -> PathBuf {
    let random = || RandomState::new().hash_one(std::process::id());
    directory.join(format!(".arriving.{:016x}{:016x}.{extension}", random(), random()))
}

/// Removes passing names that an earlier life of the host left.
pub fn sweep(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".arriving.") {
            super::sweep::remove(&entry.path());
        }
    }
}

impl Arrived {
    /// Where it stands for now.
    pub fn passing(&self) -> &Path {
        &self.passing
    }

    /// Gives it its lasting name, in the place of what had it. A signature that stood there goes: it was another file's.
    pub fn settle(self, place: &Path) -> Result<(), Refusal> {
        let signature = inspect::signature_beside(place);
        match std::fs::rename(inspect::signature_beside(&self.passing), &signature) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => super::sweep::remove(&signature),
            renamed => renamed.map_err(|e| unwritable(&signature, &e))?,
        }
        let placed = std::fs::rename(&self.passing, place).and_then(|()| match place.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        });
        placed.map_err(|e| unwritable(place, &e))
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        super::sweep::remove(&self.passing);
        super::sweep::remove(&inspect::signature_beside(&self.passing));
    }
}

fn copy_signature(source: &Path, passing: &Path) -> Result<(), Refusal> {
    // What cannot be followed is the library's own trouble, and was said of it.
    let resolved = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let found = inspect::find_signature(source, &resolved).map_err(|e| {
        Refusal::new("PLG074", Blame::Input, format!("the signature of {} cannot be read: {e}", shown(source)))
            .remedy("check the permissions of the directory that it lies in")
    })?;
    found.map_or(Ok(()), |signature| write_copy(&signature, &inspect::signature_beside(passing)))
}

fn write_copy(source: &Path, passing: &Path) -> Result<(), Refusal> {
    let unreadable = |why: String| {
        Refusal::new("PLG001", Blame::Input, format!("{} cannot be read: {why}", shown(source)))
            .expected("a regular file that the host's user can read")
            .remedy("check the path and its permissions; remember that the host reads it, as its own user")
    };
    // Without blocking: somebody may have given us a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut from =
        rustix::fs::open(source, flags, Mode::empty()).map(File::from).map_err(|e| unreadable(io::Error::from(e).to_string()))?;
    let meta = from.metadata().map_err(|e| unreadable(e.to_string()))?;
    if !meta.is_file() {
        return Err(unreadable("it is no regular file".to_owned()));
    }
    if meta.len() > SIZE_MAX {
        return Err(unreadable(format!("it has {} bytes, more than {SIZE_MAX}", meta.len())));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let written = rustix::fs::open(passing, flags, mode).map(File::from).map_err(io::Error::from).and_then(|mut to| {
        io::copy(&mut from, &mut to)?;
        to.sync_all()
    });
    written.map_err(|e| unwritable(passing, &e))
}

fn unwritable(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new("HST001", Blame::World, format!("{} cannot be written: {error}", shown(path)))
        .expected("a plugin directory that the host's user can write to")
        .remedy("make room or give the permission, or put the file there yourself")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_absolute_library_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = place_of(Path::new("/elsewhere/libx.so"), dir.path()).expect("fine");
        assert_eq!((place.path, place.is_there), (dir.path().join("libx.so"), false));
        assert!(place_of(&dir.path().join("libx.so"), dir.path()).expect("fine").is_there);
        for bad in ["libx.so", "/x/libx.so.1", "/x/.libx.so", "/"] {
            assert_eq!(place_of(Path::new(bad), dir.path()).expect_err(bad).code, "PLG001");
        }
    }

    #[test]
    fn what_is_no_plugin_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let (plugins, generations) = (dir.path().join("plugins"), dir.path().join("generations"));
        std::fs::create_dir(&plugins).expect("made");
        let source = dir.path().join("libx.so");
        std::fs::write(&source, "no library").expect("written");
        copy(&source, &plugins, &generations, &Rules::default()).expect_err("text is no plugin");
        assert_eq!(copy(&dir.path().join("none.so"), &plugins, &generations, &Rules::default()).expect_err("not there").code, "PLG001");
        assert_eq!(copy(dir.path(), &plugins, &generations, &Rules::default()).expect_err("a directory").code, "PLG001");
        assert_eq!(std::fs::read_dir(&plugins).expect("read").count(), 0);
    }
}
