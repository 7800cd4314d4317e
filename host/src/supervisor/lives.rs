//! The lives of a generation, as the supervisor's thread holds them: on its way in, serving, on its way out.
//!
//! Plain values, no acts. What must hold: a generation is in one of the three tables at a time.

use super::args_check::Check;
use super::asked::Asker;
use super::diff::Diff;
use crate::plugin_settings::PluginSettings;
use crate::registry::{Placement, Serving};
use sexton_core::Refusal;
use sexton_loader::confine::Applied;
use sexton_loader::inspect::Signature;
use sexton_loader::runner::Usage;
use sexton_loader::seam::{Farewell, Order};
use sexton_plugin_api::wire::{ActionOffer, Batch, Identity, StandingEvent};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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
