//! Placement `in-process`: a generation as a group of threads of this process.
//!
//! Not a scheduler: it runs what it is ordered to, in order, on its own threads. What must hold: every call into the image (constructor,
//! `load`, jobs, drops, `unload`) is on a thread of the generation, and all are joined before `dlclose`.

use crate::seam::{Order, Stamped};
use sexton_plugin_api::abi::PluginRoot_Ref;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

/// What it takes to start a generation.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The plugin's name.
    pub plugin: String,
    /// Its number, from the store.
    pub generation: i64,
    /// The private copy to open.
    pub image: PathBuf,
    /// Job threads at most.
    pub threads: usize,
}

/// Starts a generation. It waits for `Order::Load`; everything else is said in reports. Dropping the sender is `Drain` and `Unload`.
#[must_use]
pub fn open_in_process(_opening: Opening, _reports: Sender<Stamped>) -> Sender<Order> {
    std::sync::mpsc::channel().0
}

/// The same for code built into the host: no image, never unmapped.
#[must_use]
pub fn built_in(_root: PluginRoot_Ref, _plugin: &str, _generation: i64, _threads: usize, _reports: Sender<Stamped>) -> Sender<Order> {
    std::sync::mpsc::channel().0
}
