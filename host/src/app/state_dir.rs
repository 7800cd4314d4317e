//! The host's own directory: made with mode 0700, ours, writable.
//!
//! Not the files in it. What must hold: a directory that is somebody else's, or plainly not a host's, is refused and left as it is.

use sexton_core::{Blame, Refusal};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Names that only a host's directory has.
const MARKS: [&str; 3] = ["sexton.db", "generations", "flight"];

/// Sees to the state directory and the plugin directory.
///
/// # Errors
/// `HST001`.
pub fn prepare(state: &Path, plugins: &Path) -> Result<(), Refusal> {
    make(state, 0o700)?;
    let file = std::fs::metadata(state).map_err(|e| refused(state, &format!("cannot be looked at: {e}")))?;
    if !file.is_dir() {
        return Err(refused(state, "is no directory").remedy("name a directory with `--state DIR`"));
    }
    let own = rustix::process::geteuid().as_raw();
    if file.uid() != own {
        return Err(refused(state, "belongs to another user")
            .expected(format!("a directory of uid {own}"))
            .found(format!("a directory of uid {}", file.uid()))
            .remedy(format!("run the host as that user, name another with `--state DIR`, or: chown {own} {}", state.display())));
    }
    if file.mode() & 0o077 != 0 {
        close_to_others(state, file.mode())?;
    }
    tempfile::tempfile_in(state).map_err(|e| {
        refused(state, &format!("cannot be written: {e}"))
            .expected("a directory that the host's user can write")
            .remedy("name another with `--state DIR`")
    })?;
    make(plugins, 0o755)
}

fn make(path: &Path, mode: u32) -> Result<(), Refusal> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| not_made(path, &e))?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(not_made(path, &e)),
        _ => Ok(()),
    }
}

fn not_made(path: &Path, e: &io::Error) -> Refusal {
    let user = rustix::process::geteuid().as_raw();
    refused(path, &format!("cannot be made: {e}"))
        .expected(format!("a place that uid {user} can write"))
        .remedy("name another with `--state DIR`, or make it and give it to the host's user")
}

/// A directory of ours that others may enter: closed if it is empty or a host's already, refused otherwise (it may be `/tmp`).
fn close_to_others(state: &Path, mode: u32) -> Result<(), Refusal> {
    let mut names = std::fs::read_dir(state).map_err(|e| refused(state, &format!("cannot be listed: {e}")))?;
    // A newcomer makes `plugins` first: nothing but it is still a directory for a host.
    let is_new = names.all(|name| name.is_ok_and(|name| name.file_name() == "plugins"));
    let is_hosts = is_new || MARKS.iter().any(|mark| state.join(mark).exists());
    if !is_hosts {
        return Err(refused(state, "is open to others and holds files that are not a host's")
            .expected("a directory of its own, mode 0700")
            .found(format!("mode {:04o}", mode & 0o7777))
            .remedy(format!("name a directory of its own with `--state DIR`; or, if it is meant: chmod 700 {}", state.display())));
    }
    std::fs::set_permissions(state, std::fs::Permissions::from_mode(0o700))
        .map_err(|e| refused(state, &format!("cannot be closed to others: {e}")))?;
    tracing::info!(state = %state.display(), "the state directory was open to others and has mode 0700 now");
    Ok(())
}

fn refused(path: &Path, why: &str) -> Refusal {
    Refusal::new("HST001", Blame::World, format!("the directory {} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("there").mode() & 0o777
    }

    #[test]
    fn directories_are_made_and_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("a/b/state");
        prepare(&state, &state.join("plugins")).expect("made");
        assert_eq!(mode(&state), 0o700);
        assert!(state.join("plugins").is_dir());
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).expect("ours");
        std::fs::write(state.join("sexton.db"), "").expect("writes");
        prepare(&state, &state.join("plugins")).expect("a host's directory is closed again");
        assert_eq!(mode(&state), 0o700);
    }

    #[test]
    fn a_newcomers_directory_with_plugins_alone_is_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("s");
        std::fs::create_dir_all(state.join("plugins")).expect("made");
        std::fs::write(state.join("plugins/libx.so"), "").expect("writes");
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).expect("ours");
        prepare(&state, &state.join("plugins")).expect("taken");
        assert_eq!(mode(&state), 0o700);
    }

    #[test]
    fn what_is_plainly_not_a_hosts_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = dir.path().join("shared");
        std::fs::create_dir(&open).expect("made");
        std::fs::write(open.join("letter.txt"), "").expect("writes");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("ours");
        let refusal = prepare(&open, &open.join("plugins")).expect_err("refused");
        assert!(refusal.code == "HST001" && refusal.remedy.is_some_and(|r| r.contains("chmod 700")));
        assert_eq!(mode(&open), 0o777);
        std::fs::write(dir.path().join("file"), "").expect("writes");
        assert_eq!(prepare(&dir.path().join("file"), &open).expect_err("a file").code, "HST001");
        assert_eq!(prepare(&dir.path().join("file/below"), &open).expect_err("below a file").code, "HST001");
    }
}
