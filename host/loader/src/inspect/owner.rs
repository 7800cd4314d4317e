//! The owner rule: nobody but root and the host's own user can change a plugin's bytes, or swap the file or a directory above it.
//!
//! Not a look at the content. What must hold: every directory on the way and every symlink hop is judged, so that between this look and
//! the opening only somebody who is trusted anyway could put another file there.

use crate::rejection::Rejection;
use crate::shown::shown;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

const HOPS_MAX: usize = 40;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Who is trusted, and the names behind the numbers.
pub(super) struct Trust {
    /// The host's effective user.
    euid: u32,
    /// `/etc/passwd` and `/etc/group`: enough for a private group; a group that only a directory service knows is not private.
    passwd: String,
    group: String,
}

/// What the rule looks at.
#[derive(Clone, Copy)]
pub(super) struct Look {
    uid: u32,
    gid: u32,
    mode: u32,
    directory: bool,
    access_list: bool,
}

impl Trust {
    pub(super) fn of_this_process() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self { euid: rustix::process::geteuid().as_raw(), passwd: text("/etc/passwd"), group: text("/etc/group") }
    }

    /// The rule for one file or directory.
    fn judge(&self, path: &Path, look: Look) -> Result<(), Rejection> {
        self.judge_owner(path, look.uid)?;
        if look.directory && look.mode & STICKY != 0 {
            // Others may add entries but not replace ours: the next entry's owner is judged in its turn.
            return Ok(());
        }
        let others = look.mode & OTHERS_WRITE != 0;
        let group = look.mode & GROUP_WRITES != 0 && (look.access_list || !self.is_private(look.uid, look.gid));
        let (who, change) = match (others, group) {
            (false, false) => return Ok(()),
            (true, false) => ("everybody".to_owned(), "o-w"),
            (false, true) => (self.group_words(look), "g-w"),
            (true, true) => ("everybody".to_owned(), "go-w"),
        };
        let kind = if look.directory { "directory" } else { "file" };
        Err(Rejection::new("PLG002", format!("{who} may write the {kind} `{}`", shown(path)))
            .expected("no writer but root and the host's own user, on the file and on each directory above it")
            .found(format!("mode {:04o}", look.mode & 0o7777))
            .remedy(format!("chmod {change} {}", quoted(path))))
    }

    fn judge_owner(&self, path: &Path, uid: u32) -> Result<(), Rejection> {
        if uid == 0 || uid == self.euid {
            return Ok(());
        }
        let expected = match (self.euid, self.user_name(self.euid)) {
            (0, _) => "owner root, since the host runs as root".to_owned(),
            (euid, Some(name)) => format!("owner root or {name} (uid {euid})"),
            (euid, None) => format!("owner root or uid {euid}"),
        };
        let found = self.user_name(uid).map_or_else(|| format!("owner uid {uid}"), |name| format!("owner {name} (uid {uid})"));
        Err(Rejection::new("PLG002", format!("`{}` belongs to somebody who is not trusted with plugins", shown(path)))
            .expected(expected)
            .found(found)
            .remedy(format!("chown {} {}", self.euid, quoted(path))))
    }

    /// The group is named as its owner is, and nobody else is in it.
    fn is_private(&self, uid: u32, gid: u32) -> bool {
        let Some(user) = self.user_name(uid) else { return false };
        let mut of_gid = self.group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|f| is_number(f.get(2), gid));
        let Some(fields) = of_gid.next() else { return false };
        let members = fields.get(3).copied().unwrap_or_default();
        let alone = members.split(',').all(|m| m.is_empty() || m == user);
        let others_primary = self.passwd.lines().any(|line| {
            let fields: Vec<_> = line.split(':').collect();
            is_number(fields.get(3), gid) && !is_number(fields.get(2), uid)
        });
        fields.first() == Some(&user) && alone && !others_primary && of_gid.next().is_none()
    }

    fn user_name(&self, uid: u32) -> Option<&str> {
        let fields = self.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| is_number(f.get(2), uid))?;
        fields.first().copied()
    }

    fn group_words(&self, look: Look) -> String {
        if look.access_list {
            return "whoever its access control list names".to_owned();
        }
        let fields = self.group.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| is_number(f.get(2), look.gid));
        fields.and_then(|f| f.first().copied()).map_or_else(|| format!("group {}", look.gid), |name| format!("group `{name}`"))
    }
}

fn is_number(field: Option<&&str>, wanted: u32) -> bool {
    field.and_then(|text| text.parse::<u32>().ok()) == Some(wanted)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@%:,=".contains(&b)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Follows `path` to the regular file that it names, judging each directory and each hop; the answer has no symlink left in it.
pub(super) fn resolve(path: &Path, trust: &Trust) -> Result<PathBuf, Rejection> {
    follow(path, trust, regular)
}

/// The same for a directory of which everything that is in it counts: nobody else may add to it either.
pub(super) fn resolve_directory(path: &Path, trust: &Trust) -> Result<PathBuf, Rejection> {
    follow(path, trust, |path, meta| match meta.mode() {
        _ if !meta.is_dir() => Err(no_directory(path)),
        // Without the bit the rule itself refuses it.
        mode if mode & STICKY != 0 && mode & (GROUP_WRITES | OTHERS_WRITE) != 0 => {
            Err(Rejection::new("PLG002", format!("others may add to the directory `{}`", shown(path)))
                .expected("no writer but root and the host's own user")
                .found(format!("mode {:04o}", mode & 0o7777))
                .remedy(format!("chmod go-w {}", quoted(path))))
        }
        _ => Ok(()),
    })
}

fn follow(path: &Path, trust: &Trust, wanted: fn(&Path, &Metadata) -> Result<(), Rejection>) -> Result<PathBuf, Rejection> {
    let start = std::path::absolute(path).map_err(|e| unreadable(path, &e))?;
    let mut ahead: VecDeque<OsString> = steps(&start);
    let mut at = PathBuf::from("/");
    let mut hops = 0;
    judge_at(&at, trust)?;
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&step);
        let meta = next.symlink_metadata().map_err(|e| unreadable(path, &e))?;
        if meta.is_symlink() {
            trust.judge_owner(&next, meta.uid())?;
            hops += 1;
            if hops > HOPS_MAX {
                return Err(Rejection::new("PLG001", format!("`{}` leads through more than {HOPS_MAX} symbolic links", shown(path))));
            }
            let target = std::fs::read_link(&next).map_err(|e| unreadable(path, &e))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for step in steps(&target).into_iter().rev() {
                ahead.push_front(step);
            }
            continue;
        }
        if !ahead.is_empty() && !meta.is_dir() {
            return Err(no_directory(&next));
        }
        if ahead.is_empty() {
            // Before its mode is judged: the remedy for a device is not `chmod`.
            wanted(&next, &meta)?;
        }
        at = next;
        judge_at(&at, trust)?;
    }
    Ok(at)
}

fn no_directory(path: &Path) -> Rejection {
    Rejection::new("PLG001", format!("`{}` is not a directory", shown(path)))
}

fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsStr::new("..").to_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        })
        .collect()
}

fn judge_at(path: &Path, trust: &Trust) -> Result<(), Rejection> {
    let meta = path.symlink_metadata().map_err(|e| unreadable(path, &e))?;
    judge(path, &meta, trust)
}

/// The rule for something already looked at (the opened file).
pub(super) fn judge(path: &Path, meta: &Metadata, trust: &Trust) -> Result<(), Rejection> {
    // With an access control list the group bits are its mask: the group's name says nothing of who may write.
    let access_list = meta.mode() & GROUP_WRITES != 0 && has_access_list(path);
    let look = Look { uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), directory: meta.is_dir(), access_list };
    trust.judge(path, look)
}

fn has_access_list(path: &Path) -> bool {
    let mut none = [0u8; 0];
    rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut none).is_ok_and(|length| length > 0)
}

/// Opening anything else can block for ever, or do worse.
pub(super) fn regular(path: &Path, meta: &Metadata) -> Result<(), Rejection> {
    let kind = meta.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let found = match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    };
    Err(Rejection::new("PLG001", format!("`{}` is {found}, not a plugin file", shown(path))).expected("a regular file").found(found))
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Rejection {
    Rejection::new("PLG001", format!("`{}` cannot be read: {error}", shown(path)))
        .expected("a regular file that the host may read")
        .remedy("name an existing plugin file (`.so`); check its permissions and those of the directories above it")
}

#[cfg(test)]
mod tests;
