//! The harness of the outside tests: starts the built binary, drops built plugins into its directory, reads what it prints.
//!
//! It knows nothing of the host's inside: processes, files, command line and socket only. What must hold: no test sleeps, every wait is
//! [`until`] a condition with a deadline; a failed test leaves the host's own words in its output.

#![forbid(unsafe_code)]

mod build;
mod built;
mod host_process;
mod said;
mod site;
mod witness;

pub use build::{Build, foreign_elf};
pub use built::{binary, library, profile_dir, repository};
pub use host_process::HostProcess;
pub use said::Said;
pub use site::{Placement, PluginDir, Site, Way};
pub use witness::{Line, Witness};

use std::time::{Duration, Instant};

/// Long enough for anything that should happen at once, on a busy machine with two cores.
pub const SOON: Duration = Duration::from_secs(30);

/// Waits until `reached` answers with something, looking 100 times a second, and panics with `what` when `deadline` has passed.
pub fn until<T>(what: &str, deadline: Duration, mut reached: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = reached() {
            return found;
        }
        assert!(began.elapsed() < deadline, "waited {} s in vain until {what}", deadline.as_secs_f32());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `small` in CI, `big` when `SEXTON_SOAK=1`.
#[must_use]
pub fn count(small: usize, big: usize) -> usize {
    if std::env::var_os("SEXTON_SOAK").is_some_and(|v| v == "1") { big } else { small }
}

/// Whether the tests run as root: some worlds (a full disk, another uid) can only be made by root.
#[must_use]
pub fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}
