//! Private copies on disk: which of them stay after their generation is gone.
//!
//! Not the making of copies (the loader's). What must hold: the copy of a generation that may still be mapped or running is never removed.

use sexton_loader::shown::shown;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// Builds of which copies are kept for each plugin besides the one that serves, so that it can be rolled back.
pub const KEPT: usize = 3;

/// What is never removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spared<'a> {
    /// Digest of what serves: it has a copy of its own, so that another of it is not needed.
    pub serving: Option<&'a str>,
    /// Digest that a rollback decision names.
    pub rollback: Option<&'a str>,
    /// A copy to start again from.
    pub restart: Option<&'a Path>,
}

/// Clears what an earlier life left in `generations`: unfinished copies, those that were only looked at, and of each plugin all but the last
/// builds. `rollbacks` are the digests that decisions name, by plugin. Answers the kept ones, oldest first. To be called before anything is opened.
pub fn sweep(generations: &Path, rollbacks: &BTreeMap<String, String>) -> io::Result<BTreeMap<String, VecDeque<PathBuf>>> {
    let mut found: BTreeMap<String, VecDeque<PathBuf>> = BTreeMap::new();
    let entries = match std::fs::read_dir(generations) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let path = entry?.path();
        if is_unfinished(&path) {
            remove(&path);
        } else if let Some(Copy { plugin, .. }) = copy_of(&path) {
            found.entry(plugin.to_owned()).or_default().push_back(path);
        }
    }
    for (plugin, copies) in &mut found {
        trim(copies, &Spared { rollback: rollbacks.get(plugin).map(String::as_str), ..Spared::default() });
    }
    Ok(found)
}

/// Keeps one copy, the newest, of each of the last [`KEPT`] builds besides the one that serves, and what is spared; removes the others.
pub fn trim(copies: &mut VecDeque<PathBuf>, spared: &Spared<'_>) {
    let mut all: Vec<PathBuf> = std::mem::take(copies).into();
    all.sort_by_key(|path| copy_of(path).map(|c| c.generation));
    let room = if spared.serving.is_some() { KEPT } else { KEPT + 1 };
    let (mut seen, mut others) = (BTreeSet::new(), 0);
    for path in all.into_iter().rev() {
        let digest = copy_of(&path).map(|c| c.digest.to_owned()).unwrap_or_default();
        let is_new = seen.insert(digest.clone());
        let wanted = is_new && spared.serving != Some(&digest) && others < room;
        if wanted {
            others += 1;
        }
        if wanted || (is_new && spared.rollback == Some(&digest)) || spared.restart == Some(&path) {
            copies.push_front(path);
        } else {
            remove(&path);
        }
    }
}

/// The newest copy of a build of a plugin.
pub fn find(generations: &Path, plugin: &str, digest: &str) -> Option<PathBuf> {
    let paths = std::fs::read_dir(generations).ok()?.flatten().map(|entry| entry.path());
    let of_it = paths.filter(|path| copy_of(path).is_some_and(|c| c.plugin == plugin && c.digest == digest));
    of_it.max_by_key(|path| copy_of(path).map(|c| c.generation))
}

/// Removes a file; that it is gone already is no trouble.
pub fn remove(path: &Path) {
    if let Err(e) = std::fs::remove_file(path)
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = shown(path), error = %e, "a file of the host's own cannot be removed");
    }
}

/// What the name of a copy says.
struct Copy<'a> {
    plugin: &'a str,
    generation: i64,
    digest: &'a str,
}

/// Reads `<plugin>.<generation>.<digest>.so`; a plugin's name may itself hold dots.
fn copy_of(path: &Path) -> Option<Copy<'_>> {
    let name = path.file_name()?.to_str()?.strip_suffix(".so")?;
    let (rest, digest) = name.rsplit_once('.')?;
    let (plugin, generation) = rest.rsplit_once('.')?;
    Some(Copy { plugin, generation: generation.parse().ok()?, digest })
}

/// Begun and never ended, or opened only to be looked at: those have numbers below zero.
fn is_unfinished(path: &Path) -> bool {
    let begun = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"incoming."));
    begun || copy_of(path).is_some_and(|c| c.generation < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("read");
        let mut names: Vec<String> = entries.map(|e| e.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    fn dir_of(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for name in files {
            std::fs::write(dir.path().join(name), "x").expect("written");
        }
        dir
    }

    #[test]
    fn the_last_builds_of_each_plugin_stay() {
        let copies = ["my.plugin.2.a.so", "my.plugin.9.b.so", "my.plugin.10.c.so", "my.plugin.11.d.so", "my.plugin.100.e.so"];
        let dir =
            dir_of(&[&copies[..], &["other.7.abc.so", "incoming.123", "incoming.5.abc.so", "other.-8.def.so", "keep-me.txt"]].concat());
        let kept = sweep(dir.path(), &BTreeMap::new()).expect("swept");
        let left = ["keep-me.txt", "my.plugin.10.c.so", "my.plugin.100.e.so", "my.plugin.11.d.so", "my.plugin.9.b.so", "other.7.abc.so"];
        assert_eq!(names(dir.path()), left);
        assert!(kept["my.plugin"][0].ends_with("my.plugin.9.b.so") && kept["my.plugin"].len() == KEPT + 1, "by number, not by text");
    }

    #[test]
    fn builds_count_not_copies_and_what_is_needed_is_spared() {
        let dir = dir_of(&["p.1.a.so", "p.2.b.so", "p.3.c.so", "p.4.d.so", "p.5.e.so", "p.6.e.so", "p.7.s.so", "p.8.e.so"]);
        let mut copies: VecDeque<PathBuf> = names(dir.path()).iter().map(|n| dir.path().join(n)).collect();
        let restart = dir.path().join("p.5.e.so");
        trim(&mut copies, &Spared { serving: Some("s"), rollback: Some("a"), restart: Some(&restart) });
        assert_eq!(names(dir.path()), ["p.1.a.so", "p.3.c.so", "p.4.d.so", "p.5.e.so", "p.8.e.so"]);
        assert!(copies.len() == 5 && copies[0].ends_with("p.1.a.so"));
        assert_eq!(find(dir.path(), "p", "e"), Some(dir.path().join("p.8.e.so")));
        assert_eq!(find(dir.path(), "p", "b"), None);
    }

    #[test]
    fn a_directory_not_yet_made_is_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(sweep(&dir.path().join("none"), &BTreeMap::new()).expect("no trouble").is_empty());
    }
}
