//! What a plugin's runner may do and use: limits, another user, a declared list of capabilities.
//!
//! Not who starts the runner, and not what the host counts itself (run time, concurrent runs, log lines, output, event types): those stand
//! in [`Limits`] so that they travel with the rest. What must hold: what is declared is in force before any plugin code runs, or the
//! runner does not open the plugin; what this machine cannot enforce is named, never skipped.

mod calls;
mod files;
mod group;
mod identity;
mod limits;
#[cfg(test)]
mod tests;

pub use group::{Group, GroupReport};

use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a settings file says about a plugin's process. The default limits, and nothing taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// How much it may use.
    pub limits: Limits,
    /// The user whose rights it has; `None` = the host's.
    pub run_as: Option<String>,
    /// What it may reach; `None` = whatever its user may.
    pub capabilities: Option<Capabilities>,
    /// Its environment variables. There are no others but those that the host needs itself: whoever starts the process builds them from
    /// this, [`apply`] does not.
    pub environment: BTreeMap<String, String>,
}

/// How much a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: u64,
    /// Open files at a time.
    pub open_files: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Processor time in percent of one core.
    pub cpu_percent: Option<u32>,
    /// How long one run may take, in milliseconds. Kept by the host.
    pub run_time_ms: Option<u64>,
    /// Runs at a time. Kept by the host.
    pub runs: usize,
    /// Log lines a second. Kept by the host.
    pub log_lines: u32,
    /// Output of one run in bytes. Kept by the host.
    pub output_bytes: u64,
    /// Event types. Kept by the host.
    pub event_types: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            open_files: 1024,
            processes: 256,
            cpu_percent: None,
            run_time_ms: None,
            runs: 32,
            log_lines: 2000,
            output_bytes: 1 << 20,
            event_types: 256,
        }
    }
}

impl Limits {
    /// How long one run may take.
    #[must_use]
    pub fn run_time(&self) -> Option<Duration> {
        self.run_time_ms.map(Duration::from_millis)
    }
}

/// What a plugin may reach, beside what every program needs. All else is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Files and directories, with all below them, to read. Absolute.
    pub read: Vec<PathBuf>,
    /// The same to read and change. Absolute.
    pub write: Vec<PathBuf>,
    /// Internet sockets.
    pub network: bool,
    /// Processes of its own. They are confined likewise.
    pub processes: bool,
}

/// What came of it, in words for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// `memory 2 GiB (RLIMIT_DATA)`
    pub enforced: Vec<String>,
    /// `processes 256: needs run_as or a delegated cgroup`
    pub not_enforced: Vec<String>,
}

/// Confines this process for good. Called once by the runner's child after the fork, while it has one thread and before it opens the
/// plugin's library; `image` is that library, `group` what the host has set around this process. Must be called with the rights of the
/// host. The signal at the parent's death that was asked for before still comes afterwards.
///
/// # Errors
/// `PLG060`: it cannot run as that user. `PLG061`: this machine cannot keep the capability list. `PLG062`: a path of the list is not
/// there. `PLG063`: a limit cannot be set. After an error the process may be confined in part: it is to end.
pub fn apply(confinement: &Confinement, image: &Path, group: Option<&GroupReport>) -> Result<Applied, Rejection> {
    must_have_one_thread()?;
    let mut applied = Applied::default();
    let user = confinement.run_as.as_deref().map(identity::User::find).transpose()?;
    // Opened with the host's rights: the image lies where nobody else may look. The user's own rights hold all the same when it opens them.
    let listed = match &confinement.capabilities {
        Some(capabilities) => Some((capabilities, files::Places::open(capabilities, image, user.as_ref().map(identity::User::id))?)),
        None => None,
    };
    limits::apply(&confinement.limits, user.as_ref(), group, &mut applied)?;
    if let Some(user) = &user {
        user.switch()?;
        applied.enforced.push(format!("runs as `{}` (uid {})", user.name(), user.id()));
    }
    match listed {
        Some((capabilities, places)) => {
            identity::keep_few_privileges(capabilities)?;
            let reach = places.restrict(capabilities, &mut applied)?;
            calls::restrict(capabilities, reach, &mut applied)?;
        }
        None if user.is_none() => applied.not_enforced.push("against malice: needs `run_as` or `[capabilities]`".to_owned()),
        None => {}
    }
    Ok(applied)
}

/// All that follows holds for the calling thread only.
fn must_have_one_thread() -> Result<(), Rejection> {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    match threads {
        Ok(1) => Ok(()),
        found => Err(Rejection::new("PLG063", "the plugin's process cannot be confined: it has threads already")
            .expected("one thread, seen in /proc/self/task")
            .found(found.map_or_else(|e| e.to_string(), |n| format!("{n} threads")))
            .remedy("mount /proc; if it is mounted, this is a fault of the host: report it")),
    }
}

/// `2 GiB`, `1.5 MiB`, `700 bytes`.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        let tenths = (u128::from(bytes) * 10) >> shift;
        if tenths >= 10 {
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") };
        }
    }
    format!("{bytes} bytes")
}
