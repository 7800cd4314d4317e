//! A cgroup (version 2) of its own for a runner, where the machine has delegated one to the host.
//!
//! Made and removed by the host, never by the runner. What must hold: nothing is touched outside what was delegated, and no process but the
//! host itself and its runners is ever moved.

use super::Limits;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the host steps aside to, since a group with processes cannot share out memory among groups below.
const HOST_LEAF: &str = "sexton.host";
const CONTROLLERS: [&str; 3] = ["pids", "memory", "cpu"];
/// One period of the processor's time, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// What was killed is gone in a moment.
const REMOVAL_TRIES: u32 = 40;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// A runner's own cgroup. Dropped, it kills what is left in it and goes.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    report: GroupReport,
}

/// Which limits a group keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// `pids.max`
    pub pids_max: bool,
    /// `memory.max`
    pub memory_max: bool,
    /// `cpu.max`
    pub cpu_max: bool,
}

/// The host's place among the groups.
pub(super) struct Ground<'a> {
    /// The directory of the group that the host is in.
    pub own: PathBuf,
    /// Whether a directory was delegated.
    pub is_delegated: &'a dyn Fn(&Path) -> bool,
    /// The host.
    pub pid: u32,
}

impl Group {
    /// Makes a group for one generation of a plugin, with its limits set. Called by the host before it starts a runner. `None` where nothing
    /// is delegated to the host; its limits are then named as not enforced by [`super::apply`].
    #[must_use]
    pub fn make(name: &str, generation: i64, limits: &Limits) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = own_directory(&groups, &mounts)?;
        Self::make_in(&Ground { own, is_delegated: &is_delegated, pid: std::process::id() }, name, generation, limits)
    }

    pub(super) fn make_in(ground: &Ground<'_>, name: &str, generation: i64, limits: &Limits) -> Option<Self> {
        let place = ground.place()?;
        let controllers = ground.share_out(&place);
        if controllers.is_empty() {
            return None;
        }
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect();
        let path = place.join(format!("sexton.{}.{name}.{generation}", ground.pid));
        fs::create_dir(&path).ok()?;
        let mut group = Self { path, report: GroupReport::default() };
        let set = |file: &str, value: String| fs::write(group.path.join(file), value).is_ok();
        let report = GroupReport {
            pids_max: controllers.contains(&"pids") && set("pids.max", limits.processes.to_string()),
            memory_max: controllers.contains(&"memory") && set("memory.max", limits.memory.to_string()),
            cpu_max: controllers.contains(&"cpu")
                && limits
                    .cpu_percent
                    .is_some_and(|percent| set("cpu.max", format!("{} {CPU_PERIOD}", u64::from(percent) * CPU_PERIOD / 100))),
        };
        // Else what is over the limit would fill the swap before anything is said. Not every kernel counts swap.
        let _no_swap = report.memory_max && set("memory.swap.max", "0".to_owned());
        group.report = report;
        Some(group)
    }

    /// Takes a warden in, and the runner if it has been forked already: what either forks from then on is born in the group. Called by the
    /// host before any plugin code runs.
    ///
    /// # Errors
    /// One of them has ended, or the host may not move it. Then the group's limits are not to be told as enforced.
    pub fn adopt(&self, warden: u32) -> io::Result<()> {
        self.take(warden)?;
        // Asked for after it was moved, so that a fork in between is on one side or the other.
        crate::runner::children_of(warden).into_iter().try_for_each(|child| self.take(child.unsigned_abs()))
    }

    fn take(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// Kills everything in it at once, children that have left their session too. Called by the host to end a runner.
    ///
    /// # Errors
    /// The kernel is older than Linux 5.14.
    pub fn kill(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.kill"), "1")
    }

    /// What it keeps: to be handed to [`super::apply`].
    #[must_use]
    pub fn report(&self) -> GroupReport {
        self.report
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An older kernel cannot; the processes are then ended by whoever waits for them.
        let _killed = self.kill();
        for _ in 0..REMOVAL_TRIES {
            match fs::remove_dir(&self.path) {
                Err(e) if e.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => std::thread::sleep(REMOVAL_PAUSE),
                _ => return,
            }
        }
        tracing::warn!(group = %self.path.display(), "a plugin's cgroup is still in use and was not removed");
    }
}

impl Ground<'_> {
    /// The delegated directory: the host's own, or the one above it if the host sits in a leaf (its own, or `DelegateSubgroup=` of its service).
    fn place(&self) -> Option<PathBuf> {
        let candidates = [Some(self.own.as_path()), self.own.parent()];
        candidates.into_iter().flatten().find(|path| (self.is_delegated)(path)).map(Path::to_owned)
    }

    /// Lets groups below have controllers of their own; says which they have.
    fn share_out(&self, place: &Path) -> Vec<&'static str> {
        let words = |file: &str| fs::read_to_string(place.join(file)).unwrap_or_default();
        let (there, shared) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
        let has = |words: &str, controller: &str| words.split_whitespace().any(|word| word == controller);
        let share = |controller: &str| fs::write(place.join("cgroup.subtree_control"), format!("+{controller}")).is_ok();
        let wanted = CONTROLLERS.into_iter().filter(|controller| has(&there, controller));
        wanted.filter(|controller| has(&shared, controller) || share(controller) || (self.step_aside(place) && share(controller))).collect()
    }

    /// Moves the host into a leaf, if it is alone in the delegated group.
    fn step_aside(&self, place: &Path) -> bool {
        let alone = self.own == place
            && fs::read_to_string(place.join("cgroup.procs")).is_ok_and(|pids| pids.lines().all(|pid| pid == self.pid.to_string()));
        let leaf = place.join(HOST_LEAF);
        alone
            && match fs::create_dir(&leaf) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => false,
                _ => fs::write(leaf.join("cgroup.procs"), self.pid.to_string()).is_ok(),
            }
    }
}

/// Whether whoever starts the host has handed this directory over. Write access alone says nothing of root.
fn is_delegated(path: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(path, *name, &mut value[..]).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}

/// The directory of the version 2 group of this process, out of `/proc/self/cgroup` and `/proc/self/mountinfo`.
pub(super) fn own_directory(groups: &str, mounts: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // Seen from another namespace, or a name that is written with escapes: not a place to write to.
        if own.contains("..") || root.contains("..") || point.contains('\\') {
            return None;
        }
        let below = Path::new(own).strip_prefix(root).ok()?;
        Some(Path::new(point).join(below))
    })
}
