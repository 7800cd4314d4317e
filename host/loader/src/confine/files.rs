//! Landlock: which files a plugin under a capability list may open, and that its signals and abstract sockets stay within its process.
//!
//! Not who owns a file: the user's own rights hold besides. What must hold: a list that this kernel cannot keep at all is refused; what only
//! a newer kernel could keep is named.

use super::{Applied, Capabilities};
use crate::rejection::Rejection;
use crate::shown::shown;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, make_bitflags,
};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The newest rights that were looked at and tested. An older kernel keeps fewer; which, is said.
const KNOWN: ABI = ABI::V7;
/// Where programs and their libraries lie.
const PROGRAMS: [&str; 5] = ["/usr", "/lib", "/lib64", "/bin", "/sbin"];
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];
const PROCESSORS: &str = "/sys/devices/system/cpu";
/// What programs read of the machine's settings. Root would be let into all of `/etc`, passwords included.
const SETTINGS: [&str; 25] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/resolv.conf",
    "/etc/protocols",
    "/etc/services",
    "/etc/mime.types",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.conf",
    "/etc/os-release",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
];

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const RUN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute});
const USE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile});
/// Everything but device nodes, which lead to whatever the machine has, and programs.
const CHANGE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSock | MakeFifo | MakeSym | Refer | Truncate | IoctlDev
});

/// The places that stay open, each held by a descriptor that was opened with the host's rights.
pub(super) struct Places {
    rules: Vec<(OwnedFd, BitFlags<AccessFs>)>,
    own: Option<OwnedFd>,
}

/// What the filter of system calls need not do.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// The kernel lets no signal out of this process and its children.
    pub signals_stay_within: bool,
}

impl Places {
    /// Finds the places. `user` is who the process is about to become.
    pub(super) fn open(list: &Capabilities, image: &Path, user: Option<u32>) -> Result<Self, Rejection> {
        let as_root = user.unwrap_or_else(|| rustix::process::geteuid().as_raw()) == 0;
        let settings: &[&str] = if as_root { &SETTINGS } else { &["/etc"] };
        let mut rules = Vec::new();
        let needed = PROGRAMS.iter().map(|p| (*p, RUN)).chain(DEVICES.iter().map(|p| (*p, USE)));
        let needed = needed.chain(settings.iter().map(|p| (*p, READ))).chain([(PROCESSORS, READ)]);
        // What a machine does not have needs no rule.
        rules.extend(needed.filter_map(|(path, access)| Some((open(Path::new(path)).ok()?, access))));
        if list.network
            && let Some(folder) = resolver_folder()
        {
            rules.extend(open(&folder).ok().map(|fd| (fd, READ)));
        }
        let read = if list.processes { RUN } else { READ };
        for (path, access) in list.read.iter().map(|p| (p, read)).chain(list.write.iter().map(|p| (p, CHANGE))) {
            rules.push((open_listed(path)?, access));
        }
        rules.push((open(image).map_err(|e| not_there(image, &e.to_string()))?, READ));
        Ok(Self { rules, own: open(Path::new("/proc/self")).ok() })
    }

    /// Closes everything else, for good. Called by [`super::apply`] after the user has changed.
    pub(super) fn restrict(self, list: &Capabilities, to: &mut Applied) -> Result<Reach, Rejection> {
        let status = self.close_the_rest(list).map_err(|e| cannot_be_kept(&e.to_string()))?;
        let abi = match (status.ruleset, status.landlock) {
            (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
                effective_abi
            }
            (_, found) => return Err(cannot_be_kept(&format!("Landlock is {found:?}"))),
        };
        to.enforced.push(format!("files: reads {}, writes {} (Landlock)", names(&list.read), names(&list.write)));
        let missing = [
            (ABI::V3, "truncation of files by their name: needs Linux 6.2"),
            (ABI::V5, "ioctl on devices that it may read: needs Linux 6.10"),
        ];
        to.not_enforced.push("that other files exist, their sizes and times: Landlock closes what is in them".to_owned());
        to.not_enforced.extend(missing.iter().filter(|(since, _)| abi < *since).map(|(_, words)| (*words).to_owned()));
        Ok(Reach { signals_stay_within: abi >= ABI::V6 })
    }

    fn close_the_rest(self, list: &Capabilities) -> Result<RestrictionStatus, RulesetError> {
        let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.scope(Scope::from_all(KNOWN))?;
        if !list.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(KNOWN))?;
        }
        let mut ruleset = ruleset.create()?;
        for (fd, access) in &self.rules {
            ruleset = ruleset.add_rule(PathBeneath::new(fd, fitting(fd, *access)))?;
        }
        if let Some(own) = self.own {
            ruleset = ruleset.add_rule(PathBeneath::new(&own, READ))?;
            // The kernel makes the nodes of /proc anew when nobody holds them, and the rule would be lost: held as long as the process lives.
            std::mem::forget(own);
        }
        ruleset.restrict_self()
    }
}

/// Rights on what lies in a directory are none on a file.
fn fitting(fd: &OwnedFd, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    let is_directory = fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    if is_directory { access } else { access & AccessFs::from_file(KNOWN) }
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn open_listed(path: &Path) -> Result<OwnedFd, Rejection> {
    if !path.is_absolute() {
        return Err(not_there(path, "it is not absolute"));
    }
    open(path).map_err(|e| not_there(path, &e.to_string()))
}

/// Where the resolver's settings really lie: a service that keeps them replaces the file, never the directory.
fn resolver_folder() -> Option<PathBuf> {
    let file = std::fs::canonicalize("/etc/resolv.conf").ok()?;
    file.parent().filter(|folder| folder.starts_with("/run")).map(Path::to_owned)
}

fn names(paths: &[PathBuf]) -> String {
    if paths.is_empty() { "none".to_owned() } else { paths.iter().map(|p| shown(p)).collect::<Vec<_>>().join(" ") }
}

fn not_there(path: &Path, found: &str) -> Rejection {
    Rejection::new("PLG062", format!("the path `{}` of the plugin's capability list cannot be opened: {found}", shown(path)))
        .expected("an absolute path that exists when the plugin starts")
        .found(found)
        .remedy("create it, or take it out of `read` or `write` in `[capabilities]` of the plugin's settings file")
}

fn cannot_be_kept(found: &str) -> Rejection {
    Rejection::new("PLG061", "the plugin's capability list cannot be kept on this machine")
        .expected("a kernel with Landlock (Linux 5.13, switched on at boot)")
        .found(found)
        .remedy("boot a kernel with `lsm=landlock,…`, or remove `[capabilities]` from the plugin's settings file: it then runs with the rights of its user")
}
