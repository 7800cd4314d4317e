//! The private copy: the operator's file, read once into a file that only the host can name or write.
//!
//! Not a link and never the operator's inode: overwriting a mapped file kills the process that mapped it. What must hold: the bytes
//! judged, digested and later opened are those of this copy.

use super::owner::{Trust, judge, regular, unreadable};
use crate::rejection::Rejection;
use crate::shown::shown;
use rustix::fs::{Mode, OFlags, RenameFlags};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Greatest plugin file, in bytes.
const SIZE_MAX: u64 = 512 << 20;
const CHUNK: usize = 256 << 10;

/// A copy, mapped for reading.
pub(super) struct Copied {
    pub path: PathBuf,
    pub digest: String,
    pub bytes: Bytes,
}

/// The copy's bytes; an empty file cannot be mapped.
pub(super) enum Bytes {
    Mapped(memmap2::Mmap),
    Empty,
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Empty => &[],
        }
    }
}

/// Opens `resolved` (which the owner rule has passed), and copies it into `generations`.
pub(super) fn take(resolved: &Path, trust: &Trust, generations: &Path, readable_by_others: bool) -> Result<Copied, Rejection> {
    let (mut source, before) = open_source(resolved, trust)?;
    prepare(generations)?;
    let path = generations.join(unique_name());
    let mode = Mode::from_raw_mode(if readable_by_others { 0o444 } else { 0o400 });
    let written = write_copy(&mut source, &path, mode).and_then(|()| {
        let after = source.metadata().map_err(|e| unreadable(resolved, &e))?;
        let copied = path.metadata().map_err(|e| no_copy(&path, &e))?;
        unchanged(resolved, &before, &after, copied.len())
    });
    written.and_then(|()| map(&path)).inspect_err(|_| remove(&path))
}

/// Never blocks, whatever the name leads to: a FIFO without a writer, a device.
fn open_source(resolved: &Path, trust: &Trust) -> Result<(File, Metadata), Rejection> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let special = resolved.symlink_metadata().map_err(|e| unreadable(resolved, &e))?;
    regular(resolved, &special)?;
    let source = File::from(rustix::fs::open(resolved, flags, Mode::empty()).map_err(|e| unreadable(resolved, &e.into()))?);
    let meta = source.metadata().map_err(|e| unreadable(resolved, &e))?;
    regular(resolved, &meta)?;
    judge(resolved, &meta, trust)?;
    if meta.len() > SIZE_MAX {
        return Err(Rejection::new("PLG001", format!("`{}` is larger than a plugin may be", shown(resolved)))
            .expected(format!("at most {SIZE_MAX} bytes"))
            .found(format!("{} bytes", meta.len()))
            .remedy("build the plugin in release mode, or strip its debug information"));
    }
    Ok((source, meta))
}

fn prepare(generations: &Path) -> Result<(), Rejection> {
    let refused = |e: io::Error| no_copy(generations, &e);
    if !generations.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(generations).map_err(refused)?;
    }
    let meta = generations.metadata().map_err(refused)?;
    let euid = rustix::process::geteuid().as_raw();
    if meta.uid() != euid {
        return Err(Rejection::new("PLG019", format!("the directory of private copies `{}` is not the host's own", shown(generations)))
            .expected(format!("owner uid {euid}"))
            .found(format!("owner uid {}", meta.uid()))
            .remedy("give the host a state directory of its own (`--state DIR`)"));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(generations, std::fs::Permissions::from_mode(0o700)).map_err(refused)?;
    }
    Ok(())
}

/// Not used twice by any process on this machine that looks at the same directory.
fn unique_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("incoming.{}.{nanos}.{}.so", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn write_copy(source: &mut File, path: &Path, mode: Mode) -> Result<(), Rejection> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let made = rustix::fs::open(path, flags, mode).map_err(|e| no_copy(path, &e.into()))?;
    let mut copy = File::from(made);
    // The process's mask may have taken bits away.
    rustix::fs::fchmod(&copy, mode).map_err(|e| no_copy(path, &e.into()))?;
    let mut chunk = vec![0u8; CHUNK];
    let mut total = 0u64;
    loop {
        let n = match source.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Rejection::new("PLG001", format!("the plugin file cannot be read: {e}"))),
        };
        total += n as u64;
        if total > SIZE_MAX {
            return Err(changed("it grew past the greatest size while it was read"));
        }
        copy.write_all(&chunk[..n]).map_err(|e| no_copy(path, &e))?;
    }
}

/// The same descriptor, looked at before and after the reading: what was written meanwhile shows in one of these.
fn unchanged(resolved: &Path, before: &Metadata, after: &Metadata, copied: u64) -> Result<(), Rejection> {
    let stamp = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
    if stamp(before) == stamp(after) && copied == after.len() {
        return Ok(());
    }
    Err(changed(format!("`{}` changed while it was read", shown(resolved)))
        .expected(format!("{} bytes, unchanged from start to end", before.len()))
        .found(format!("{} bytes at the end, {copied} read", after.len())))
}

fn changed(message: impl Into<String>) -> Rejection {
    Rejection::new("PLG018", message)
        .remedy("write the new build under another name and rename it into place (`mv`), or wait until the copying has ended")
}

fn map(path: &Path) -> Result<Copied, Rejection> {
    let file = File::open(path).map_err(|e| no_copy(path, &e))?;
    let bytes = if file.metadata().map_err(|e| no_copy(path, &e))?.len() == 0 {
        Bytes::Empty
    } else {
        // SAFETY: the file is ours: made with O_EXCL, writable by nobody, in a 0700 directory of our user; nobody writes or truncates it.
        Bytes::Mapped(unsafe { memmap2::Mmap::map(&file) }.map_err(|e| no_copy(path, &e))?)
    };
    let digest = Sha256::digest(&*bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    });
    Ok(Copied { path: path.to_owned(), digest, bytes })
}

/// Gives a copy its lasting name, which must be new.
pub(super) fn rename(from: &Path, to: &Path) -> Result<PathBuf, Rejection> {
    rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE).map_err(|e| no_copy(to, &e.into()))?;
    Ok(to.to_owned())
}

/// Removes a copy; one that cannot be removed is left to the sweep at the host's start.
pub(super) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = shown(path), %error, "a private copy could not be removed");
    }
}

fn no_copy(path: &Path, error: &io::Error) -> Rejection {
    Rejection::new("PLG019", format!("the private copy `{}` cannot be made: {error}", shown(path)))
        .remedy("make room in, or give the host write access to, its state directory")
}
