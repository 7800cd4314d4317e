//! The harness of the outside tests: starts the built binary, drops built plugins into its directory, reads what it prints.
//!
//! It knows nothing of the host's inside: processes, files, command line and socket only. What must hold: no test sleeps, every wait is
//! [`until`] a condition with a deadline; a failed test leaves the host's own words in its output.

#![forbid(unsafe_code)]

mod build;
mod built;
mod cc;
mod heartbeat;
mod held;
mod host_process;
mod processes;
mod said;
mod site;
mod witness;

pub use build::{Build, foreign_elf};
pub use built::{binary, library, profile_dir, repository};
pub use cc::c_library;
pub use heartbeat::{Heartbeat, instant};
pub use held::Held;
pub use host_process::HostProcess;
pub use processes::{Process, at_work, children, descendants, until_ended};
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

/// Whether this build has placement `runner`: without it whatever ends its process ends the host. Says so loudly if not.
#[must_use]
pub fn runner_is_there() -> bool {
    let there = Placement::ALL.contains(&Placement::Runner);
    if !there {
        println!("not run: needs placement `runner`");
    }
    there
}

/// The instant so many milliseconds from now, as schedules are written.
#[must_use]
pub fn in_millis(millis: i64) -> String {
    (chrono::Utc::now() + chrono::Duration::milliseconds(millis)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// A seed for random instants: printed, so that a failure can be tried again with `SEXTON_SEED`.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("SEXTON_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()) ^ chrono::Utc::now().timestamp_micros().unsigned_abs());
    println!("SEXTON_SEED={seed}");
    seed
}

/// The next number below `bound` of a small generator (splitmix64).
pub fn draw(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}
