//! What a plugin author of Sexton builds against.
//!
//! Not the host: no tokio, SQL or HTTP here. What must hold: everything that crosses the boundary is in `abi` (layout) or `wire` (JSON).
//!
//! A plugin is a `cdylib` that depends on this crate. This is a whole one:
//!
//! ```
//! use sexton_plugin_api::prelude::*;
//!
//! static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();
//!
//! /// Starts every resource of the event.
//! #[derive(Deserialize, JsonSchema)]
//! struct StartResource {
//!     #[serde(default)]
//!     wait: bool,
//! }
//!
//! #[scheduled_event(EVENTS, "acme.start_resource")]
//! impl MultiResourceScheduledEventJob for StartResource {
//!     fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult {
//!         tracing::info!(id = %resource.id, wait = self.wait, key = %cx.resource_key(resource), "starting");
//!         Ok(())
//!     }
//! }
//!
//! #[plugin(name = "start-resource")]
//! fn load(host: &Host) -> Result<(), PluginError> {
//!     EVENTS.load(host)
//! }
//!
//! #[plugin]
//! fn unload(host: &Host) -> Result<(), PluginError> {
//!     EVENTS.unload(host)
//! }
//! # fn main() {}
//! ```
//!
//! Where to look: [`job`] for what a job is and how it ends, [`context`] for what it may ask, [`tracker`] and [`mod@schedule`] to schedule
//! events, [`registry`] for registrations, [`mod@testing`] to test a job without a host.

#[cfg(not(target_os = "linux"))]
compile_error!("sexton-plugin-api registers by ELF sections and is for Linux today");

// The macros write `::sexton_plugin_api::…`; this crate's own tests use them too.
extern crate self as sexton_plugin_api;

pub mod abi;
pub mod action;
mod bridge;
pub mod built_in;
pub mod context;
mod door;
mod entry;
pub mod error;
pub mod host;
mod identity;
pub mod ids;
pub mod job;
mod multi;
mod panics;
pub mod registry;
mod resource;
pub mod schedule;
mod section;
pub mod span;
pub mod state;
pub mod testing;
pub mod tracker;
pub mod wire;

pub use {chrono, schemars, serde, serde_json, tracing};

/// Everything an author needs: `use sexton_plugin_api::prelude::*;`.
pub mod prelude {
    pub use crate::built_in::ScheduledEventManager;
    pub use crate::context::JobContext;
    pub use crate::error::{ActionResult, PluginError};
    pub use crate::host::Host;
    pub use crate::job::{JobError, JobResult, MultiResourceScheduledEventJob, ScheduledEventJob, cancel, fail, fail_permanently, snooze};
    pub use crate::registry::ScheduledEventRegistryWrapper;
    pub use crate::schedule::{self, Schedule};
    pub use crate::tracker::ScheduledEventTracker;
    pub use crate::wire::{Bot, Resource};
    pub use chrono::{DateTime, Duration, Utc};
    pub use serde_json::{Value, json};
    pub use sexton_plugin_api_macros::{action, plugin, scheduled_event};
    pub use tracing;

    // The traits are serde's and schemars' own. The derives are this crate's: they work without `serde` and `schemars` in the author's
    // Cargo.toml. An author who lists those and imports from them gets theirs, as an import by name goes before one by `*`.
    pub use crate::traits::*;
    pub use sexton_plugin_api_macros::{Deserialize, JsonSchema, Serialize};
}

/// Imported by `*`, so that only the traits get through: the derives of the same names are taken in [`prelude`].
mod traits {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// For the macros only: no promise is made about what is in here.
#[doc(hidden)]
pub mod __macros {
    pub use crate::action::ActionCode;
    pub use crate::entry::{PluginEntry, construct};
    pub use crate::error::{ActionResult, PluginError};
    pub use crate::host::{Host, ImageKind, Link};
    pub use crate::identity::{joined, length, parts};
    pub use crate::job::JobCode;
    pub use crate::section::{Record, RetryText, TimeText};
    pub use crate::wire::{Bot, Resource};
    pub use abi_stable::library::{CheckTypeLayout, LibHeader};
    pub use serde_json::Value;
    pub use {schemars, serde};

    /// The header of a plugin's library, for `P`.
    #[must_use]
    pub const fn header<P: PluginEntry>() -> LibHeader {
        // SAFETY: `construct::<P>` gives the prefix of `PluginRoot_Ref`, erased, and nothing else.
        unsafe { LibHeader::from_constructor::<crate::abi::PluginRoot_Ref>(construct::<P>, CheckTypeLayout::Yes) }
    }

    /// The text of an identity section, which is ASCII by construction.
    #[must_use]
    pub const fn text(bytes: &'static [u8]) -> &'static str {
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}
