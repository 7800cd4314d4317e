//! Private copies on disk: which of them stay after their generation is gone.
//!
//! Not the making of copies (the loader's). What must hold: the copy of a generation that may still be mapped or running is never removed.

use sexton_loader::shown::shown;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// Copies of gone generations kept for each plugin, so that it can be rolled back.
pub const KEPT: usize = 3;

/// Clears what an earlier life left in `generations`: unfinished copies, and all but the last [`KEPT`] of each plugin. Answers the kept ones,
/// oldest first. To be called before anything is opened.
pub fn sweep(generations: &Path) -> io::Result<BTreeMap<String, VecDeque<PathBuf>>> {
    let mut found: BTreeMap<String, Vec<(i64, PathBuf)>> = BTreeMap::new();
    let entries = match std::fs::read_dir(generations) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let path = entry?.path();
        if is_unfinished(&path) {
            remove(&path);
        } else if let Some((plugin, generation)) = copy_of(&path) {
            found.entry(plugin).or_default().push((generation, path));
        }
    }
    let mut kept = BTreeMap::new();
    for (plugin, mut copies) in found {
        copies.sort();
        let mut copies: VecDeque<PathBuf> = copies.into_iter().map(|(_, path)| path).collect();
        trim(&mut copies);
        kept.insert(plugin, copies);
    }
    Ok(kept)
}

/// Removes the oldest until [`KEPT`] are left.
pub fn trim(copies: &mut VecDeque<PathBuf>) {
    while copies.len() > KEPT {
        if let Some(oldest) = copies.pop_front() {
            remove(&oldest);
        }
    }
}

/// Removes a file; that it is gone already is no trouble.
pub fn remove(path: &Path) {
    if let Err(e) = std::fs::remove_file(path)
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = shown(path), error = %e, "a file of the host's own cannot be removed");
    }
}

/// Reads `<plugin>.<generation>.<digest>.so`; a plugin's name may itself hold dots.
fn copy_of(path: &Path) -> Option<(String, i64)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".so")?;
    let (rest, _digest) = name.rsplit_once('.')?;
    let (plugin, generation) = rest.rsplit_once('.')?;
    Some((plugin.to_owned(), generation.parse().ok()?))
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"incoming."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_of_each_plugin_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str| std::fs::write(dir.path().join(name), "x").expect("written");
        for generation in [2, 9, 10, 11, 100] {
            put(&format!("my.plugin.{generation}.abc.so"));
        }
        for name in ["other.7.abc.so", "incoming.123", "incoming.5.abc.so", "keep-me.txt"] {
            put(name);
        }
        let kept = sweep(dir.path()).expect("swept");
        let mut left: Vec<String> =
            std::fs::read_dir(dir.path()).expect("read").map(|e| e.expect("entry").file_name().into_string().expect("text")).collect();
        left.sort();
        assert_eq!(left, ["keep-me.txt", "my.plugin.10.abc.so", "my.plugin.100.abc.so", "my.plugin.11.abc.so", "other.7.abc.so"]);
        assert!(kept["my.plugin"][0].ends_with("my.plugin.10.abc.so") && kept["my.plugin"].len() == 3, "by number, not by text");
    }

    #[test]
    fn a_directory_not_yet_made_is_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(sweep(&dir.path().join("none")).expect("no trouble").is_empty());
    }
}
