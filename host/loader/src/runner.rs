//! Placement `runner`: a generation as a process of its own, the in-process implementation behind a socket.
//!
//! Not another life cycle: the same orders and reports as `generation`. What must hold: whatever the process does (crash, hang, `exit`, write nonsense),
//! the host gets one `Gone` that names the cause, and nothing of the process is left.
//!
//! Processes: the host's [`Spawner`] starts a *warden*, which forks the *runner* and runs no plugin code. Threads of the host for each runner: a
//! *writer* (orders to frames) and a *reader* (frames, output lines and the process's end to reports).

pub(crate) mod bounds;
pub(crate) mod far;
pub mod frame;
pub(crate) mod last_words;
mod near;
mod output;
pub(crate) mod post_mortem;
mod spawn;
mod usage;
mod warden;
pub(crate) mod weight;

pub use far::serve;
pub use near::{Opened, open};
pub use spawn::Spawner;
pub use usage::{Figures, Usage};
pub(crate) use warden::children_of;

use crate::confine::{Applied, Confinement, GroupReport};
use crate::seam::{Order, Report};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a runner is told first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// The plugin's name.
    pub plugin: String,
    /// Its number, from the store.
    pub generation: i64,
    /// The private copy to open.
    pub image: PathBuf,
    /// Job threads at most.
    pub threads: usize,
    /// What it may use and touch.
    pub confinement: Confinement,
    /// What a control group enforces already.
    pub group: Option<GroupReport>,
}

/// From the host to the runner.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToRunner {
    /// The first frame, and only that.
    Start(Box<Start>),
    /// As at the seam.
    Orders(Vec<Order>),
    /// The host has dropped its end of the orders: drain and unload, with patience.
    HangUp,
}

/// From the runner to the host.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToHost {
    /// What was confined, and what could not be.
    Confined(Applied),
    /// As at the seam. One a frame, so that its length can be looked at before it is read.
    Report(Report),
}
