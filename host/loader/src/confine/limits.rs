//! The limits that the kernel keeps for one process: `setrlimit`.
//!
//! Not those of a cgroup: the host sets them from outside. What must hold: a limit is never raised above what the host itself has, and one
//! that does not bind this process is not called enforced.

use super::group::GroupReport;
use super::identity::User;
use super::{Applied, Limits, size};
use crate::rejection::Rejection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets the limits. Called by [`super::apply`] before the user changes.
pub(super) fn apply(limits: &Limits, user: Option<&User>, group: Option<&GroupReport>, to: &mut Applied) -> Result<(), Rejection> {
    let group = group.copied().unwrap_or_default();
    set(Resource::Core, "core files", 0)?;
    let memory = set(Resource::Data, "memory", limits.memory)?;
    to.enforced.push(format!("memory {} (RLIMIT_DATA)", size(memory)));
    if group.memory_max {
        to.enforced.push(format!("memory {} with all that it shares (memory.max)", size(limits.memory)));
    } else {
        to.not_enforced.push("memory that is shared or lies in files of a memory file system: needs a delegated cgroup".to_owned());
    }
    let files = set(Resource::Nofile, "open files", limits.open_files)?;
    to.enforced.push(format!("open files {files} (RLIMIT_NOFILE)"));
    // The kernel counts a user's processes wherever they run: under the host's own user it would hit the host, and it never binds root.
    if let Some(user) = user {
        let processes = set(Resource::Nproc, "processes", limits.processes)?;
        to.enforced.push(format!("processes {processes} (RLIMIT_NPROC, of all that `{}` runs)", user.name()));
    }
    if group.pids_max {
        to.enforced.push(format!("processes {} (pids.max)", limits.processes));
    } else if user.is_none() {
        to.not_enforced.push(format!("processes {}: needs `run_as` or a delegated cgroup", limits.processes));
    }
    match limits.cpu_percent {
        Some(percent) if group.cpu_max => to.enforced.push(format!("cpu {percent}% (cpu.max)")),
        Some(percent) => to.not_enforced.push(format!("cpu {percent}%: needs a delegated cgroup")),
        None => {}
    }
    Ok(())
}

/// Sets both values, so that without privileges neither can be raised again. Says what holds: less, if the host has less itself.
fn set(resource: Resource, name: &str, wanted: u64) -> Result<u64, Rejection> {
    let hard = getrlimit(resource).maximum;
    let value = hard.map_or(wanted, |hard| hard.min(wanted));
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }).map_err(|e| {
        Rejection::new("PLG063", format!("the limit `{name}` cannot be set: {e}"))
            .expected(format!("a process that may lower its own limit to {value}"))
            .found(format!("at most {}", hard.map_or_else(|| "unlimited".to_owned(), |h| h.to_string())))
            .remedy("let the host's process call `setrlimit`, or raise the value in the plugin's `[limits]`")
    })?;
    Ok(value)
}
