//! Everything that the supervisor's thread knows about files, plugins and generations.
//!
//! Plain values, no acts. What must hold: only the supervisor's thread holds these; everybody else sees `PluginView`s and snapshots.

use super::args_check::Check;
use super::arrival::Arrived;
use super::diff::Diff;
use super::placing::Overwritten;
use super::reconcile::Cause;
use super::settle::{Fingerprint, Look, Settling};
use super::trial::Trial;
use super::{GenerationView, PluginView, UnloadMode};
use crate::plugin_settings::PluginSettings;
use crate::registry::{Placement, Serving};
use serde::Serialize;
use sexton_core::{EventId, Refusal};
use sexton_loader::confine::Applied;
use sexton_loader::inspect::Signature;
use sexton_loader::runner::Usage;
use sexton_loader::seam::{Farewell, Order, Stamped};
use sexton_plugin_api::wire::{ActionOffer, Batch, Identity, StandingEvent};
use sexton_store::rows::{Actor, Decision};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What a verb on a plugin answers.
pub type Answer = Result<PluginView, Refusal>;

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

/// What comes in at the supervisor's door.
pub enum Message {
    /// A verb on a plugin.
    Verb(Verb),
    /// `event-type release`.
    ReleaseType {
        /// Which type.
        event_type: String,
        /// Who asks.
        by: Actor,
        /// Where the former owner goes.
        reply: Sender<Result<Option<String>, Refusal>>,
    },
    /// Something said by a generation.
    Report(Stamped),
    /// What a file would change.
    Diff {
        /// Which file.
        path: PathBuf,
        /// Told when it is known.
        reply: Sender<Result<Diff, Refusal>>,
    },
    /// The directory may have changed.
    Dirty,
    /// Unload everything and end.
    Stop {
        /// How long it may take.
        grace: Duration,
        /// Told when it is done.
        reply: Sender<()>,
    },
}

/// A verb on a plugin, with who waits for it.
#[derive(Debug)]
pub struct Verb {
    /// What is wanted.
    pub what: What,
    /// Who asks, and who is told.
    pub asker: Asker,
    /// When it is refused if something is still in its way; set when it first is.
    pub expires: Option<Instant>,
    /// The copy that a `load PATH` made when it was asked for; it waits with the verb.
    pub arrived: Option<Arrived>,
}

/// The verbs on plugins.
#[derive(Clone, Debug)]
pub enum What {
    /// Load by name or path.
    Load(String),
    /// Serve an earlier build again.
    Rollback {
        /// Which plugin.
        name: String,
        /// Which build, by digest or generation; the one before if nobody says.
        to: Option<String>,
    },
    /// Where it runs from now on.
    Place {
        /// Which plugin.
        name: String,
        /// Where.
        placement: Placement,
    },
    /// Unload by name.
    Unload {
        /// Which.
        name: String,
        /// What of runs under way.
        mode: UnloadMode,
        /// How long to wait for them.
        wait: Duration,
    },
    /// A new generation by name.
    Reload(String),
    /// End the decision about a name.
    Release(String),
}

/// Who asks for something, and who is told how it went.
#[derive(Clone, Debug)]
pub struct Asker {
    /// For the audit.
    pub by: Actor,
    /// Why.
    pub cause: Cause,
    /// Nobody, if the watcher asks.
    pub reply: Option<Sender<Answer>>,
    /// The file that the verb put into an empty place: it goes again if it is refused.
    pub placed: Option<Look>,
    /// Stored events that the new build cannot read do not stand in its way: they are paused.
    pub force: bool,
    /// The settings file as it was before the verb wrote it: put back if that is refused.
    pub settings: Option<Box<Overwritten>>,
}

impl Asker {
    /// The directory itself.
    pub fn watcher() -> Self {
        Self { by: Actor("watcher".to_owned()), cause: Cause::Noticed, reply: None, placed: None, force: false, settings: None }
    }

    /// Tells. A caller that went away meanwhile is no trouble.
    pub fn answer(self, answer: Answer) {
        if let Some(reply) = self.reply {
            let _gone = reply.send(answer);
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

/// The generation that serves.
#[derive(Debug)]
pub struct Active {
    /// As the registry has it.
    pub serving: Arc<Serving>,
    /// Types that it offered.
    pub types: Vec<String>,
    /// Actions that it offered.
    pub actions: Vec<ActionOffer>,
    /// Standing events that it declared.
    pub standing: Vec<StandingEvent>,
    /// What it was loaded with.
    pub settings: PluginSettings,
    /// What it is; none for built-ins.
    pub image: Option<Image>,
    /// Its process; none for threads of the host.
    pub process: Option<Process>,
}

/// A runner, as far as views show it.
#[derive(Clone, Debug)]
pub struct Process {
    /// What it uses.
    pub usage: Usage,
    /// What it is confined to, once it said so.
    pub applied: Arc<OnceLock<Applied>>,
}

/// A private copy and what it says of itself.
#[derive(Clone, Debug)]
pub struct Image {
    /// The private copy.
    pub copy: PathBuf,
    /// From its section.
    pub identity: Identity,
    /// In bytes.
    pub size: u64,
    /// What was found and is no reason to refuse it.
    pub warnings: Vec<String>,
    /// Who signed it, as far as was asked.
    pub signature: Signature,
}

/// A generation on its way in.
#[derive(Debug)]
pub struct Attempt {
    /// The plugin.
    pub plugin: String,
    /// The operator's file; none for built-ins.
    pub path: Option<PathBuf>,
    /// SHA-256, hex; empty for built-ins.
    pub digest: String,
    /// None for built-ins.
    pub image: Option<Image>,
    /// What it was told.
    pub settings: PluginSettings,
    /// Where it runs.
    pub placement: Placement,
    /// A runner that is only to show whether the host's own process may open the copy.
    pub probe: bool,
    /// Its process; none for threads of the host.
    pub process: Option<Process>,
    /// Where its orders go.
    pub orders: Sender<Order>,
    /// Who asked.
    pub asker: Asker,
    /// When its `load` has taken too long.
    pub deadline: Instant,
    /// Offered, and held back until all that were there at the start have offered theirs.
    pub offered: Option<Batch>,
    /// What is stored, checked against what it offered; the deadline is then that of the check.
    pub check: Option<Box<Check>>,
    /// It is only looked at, for whoever waits here, and never serves.
    pub inquiry: Option<Sender<Result<Diff, Refusal>>>,
}

/// What a check of stored arguments found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// Events looked at.
    pub checked: u64,
    /// Those whose arguments the new build does not accept.
    #[serde(skip)]
    pub refused: Vec<EventId>,
    /// The first of them.
    pub named: Vec<RefusedArgs>,
}

/// Arguments that a build does not accept.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedArgs {
    /// Of which event.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// Why, for people.
    pub why: String,
}

/// A generation on its way out.
#[derive(Debug)]
pub struct Retiring {
    /// The plugin.
    pub plugin: String,
    /// SHA-256, hex.
    pub digest: String,
    /// Its private copy; none for built-ins, and for a probe, whose copy is opened once more.
    pub copy: Option<PathBuf>,
    /// It is a process, and can be ended; else threads of the host, which cannot.
    pub process: bool,
    /// Where its orders go.
    pub orders: Sender<Order>,
    /// It served once: it counts as draining, and its copy is kept for a while.
    pub served: bool,
    /// Since when.
    pub since: Instant,
    /// Told to unload already.
    pub unloading: bool,
    /// When it has taken too long to end: set from the beginning if it never served, else once it is told to unload.
    pub overdue: Option<Instant>,
    /// It has, and its threads cannot be ended: nobody waits for it any longer, though it may still end by itself.
    pub stuck: bool,
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

/// What became of a generation, in words.
pub fn farewell_words(farewell: &Farewell) -> String {
    use sexton_loader::seam::Memory;
    let memory = match &farewell.memory {
        Memory::Unmapped => "retired (unmapped)".to_owned(),
        Memory::Lingering { why } => format!("retired (lingering: {why})"),
        Memory::None => "retired".to_owned(),
    };
    if let Some(death) = &farewell.death {
        return format!("died: {}", death.cause);
    }
    match &farewell.unload {
        None => memory,
        Some(failure) => format!("{memory}; its `unload` failed: {}", failure.message),
    }
}

/// The names of a set, for a sentence.
pub fn names(set: &BTreeSet<String>) -> String {
    set.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
