//! What the supervisor's thread knows about files and plugins, how far it has come, and how patient it is.
//!
//! Plain values, no acts; generations are in `lives`, what is asked for in `asked`. What must hold: only the supervisor's thread holds these;
//! everybody else sees `PluginView`s and snapshots.

use super::asked::Asker;
use super::lives::Active;
use super::settle::{Fingerprint, Settling};
use super::trial::Trial;
use super::{GenerationView, UnloadMode};
use crate::plugin_settings::PluginSettings;
use sexton_core::Refusal;
use sexton_store::rows::Decision;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Bounds of the supervisor's patience.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a plugin's `load`.
    pub load: Duration,
    /// For a plugin's `unload`, and for its process to end.
    pub unload: Duration,
    /// For a check of stored arguments, at least; a longer `load` lengthens it.
    pub check: Duration,
    /// Between two looks at the directory that nobody rang for.
    pub rescan: Duration,
    /// For files that are still being written when the host starts.
    pub start_settle: Duration,
    /// For a verb that another one, or a full set of draining generations, is in the way of.
    pub verb: Duration,
    /// Draining generations of one plugin: as processes, and as threads of the host.
    pub draining_max: (usize, usize),
    /// Builds that are being opened at a time.
    pub opening_max: usize,
    /// Builds of one plugin that were given up and have not ended.
    pub hanging_max: usize,
    /// Verbs that wait for their turn.
    pub deferred_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            load: Duration::from_secs(10),
            unload: Duration::from_secs(10),
            check: Duration::from_secs(30),
            rescan: Duration::from_secs(1),
            start_settle: Duration::from_secs(3),
            verb: Duration::from_secs(15),
            draining_max: (4, 2),
            opening_max: 64,
            hanging_max: 8,
            deferred_max: 256,
        }
    }
}

/// A file of the plugin directory.
#[derive(Debug)]
pub struct File {
    /// What was seen of it.
    pub settling: Settling,
    /// Since when it is not listed.
    pub absent_since: Option<Instant>,
    /// The sight that was dealt with.
    pub handled: Option<Fingerprint>,
    /// When to try again without a change, after trouble that was not the file's.
    pub retry_at: Option<Instant>,
    /// The plugin it turned out to be.
    pub name: Option<String>,
    /// The digest when it was last inspected.
    pub digest: Option<String>,
    /// Why its newest content was refused.
    pub rejection: Option<Refusal>,
}

/// A plugin by name.
#[derive(Debug, Default)]
pub struct Plugin {
    /// Its file; none once that is gone.
    pub path: Option<PathBuf>,
    /// What serves.
    pub active: Option<Active>,
    /// Its types are out of the snapshot while an unload waits for runs.
    pub withdrawn: bool,
    /// The decision about it, whether in force or not.
    pub decision: Option<Decision>,
    /// Digest of the code published last, also by an earlier life of the host.
    pub last_digest: Option<String>,
    /// Generations that are gone, newest last.
    pub past: VecDeque<GenerationView>,
    /// Private copies of gone generations, newest last.
    pub copies: VecDeque<PathBuf>,
    /// To be started again, after its process died.
    pub restart: Option<Restart>,
    /// What serves has still to show that it is no worse than the build before.
    pub trial: Option<Trial>,
    /// Deaths of its processes since the host started.
    pub crashes: u64,
    /// Starts after a death since the host started.
    pub restarts: u64,
    /// How the last of them died.
    pub last_death: Option<String>,
}

/// A start after a crash.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Not before.
    pub at: Instant,
    /// The code, as it served.
    pub copy: PathBuf,
    /// What it was loaded with.
    pub settings: PluginSettings,
}

/// An unload that waits: first for runs, then for the generation's end.
#[derive(Debug)]
pub struct Unloading {
    /// The plugin.
    pub plugin: String,
    /// Its serving generation.
    pub generation: i64,
    /// How far it has come.
    pub stage: Stage,
    /// What of runs under way.
    pub mode: UnloadMode,
    /// Who asked.
    pub asker: Asker,
}

/// How far an unload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Types withdrawn; at that instant the runs have had their time.
    Runs(Instant),
    /// Decided and draining; at that instant the answer is given though the generation is still there.
    Farewell(Instant),
}

/// Life of the supervisor as a whole.
#[derive(Debug)]
pub enum Phase {
    /// Loading what was there at the start.
    Starting {
        /// Since when.
        since: Instant,
    },
    /// Everything found at the start is loaded or rejected.
    Serving,
    /// Unloading everything.
    Stopping {
        /// When what still runs is killed: it was asked to stop before, and had its time.
        soon: Instant,
        /// When what still unloads is killed; then, when it gives up.
        deadline: Instant,
        /// What would not end was killed already.
        killed: bool,
        /// Told at the end.
        reply: Sender<()>,
    },
}
