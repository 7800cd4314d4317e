//! The static form: event types of code built into the host, served through the very tables that plugins use.
//!
//! Not for plugins: a plugin that registers here is refused at `load`. What must hold: the host's own jobs take the way every job takes.

use crate::abi::PluginRoot_Ref;
use crate::entry::{PluginEntry, root};
use crate::error::PluginError;
use crate::host::{Host, ImageKind, Link};
use crate::job::ScheduledEventJob;
use crate::registry::{Registration, ScheduledEventRegistryWrapper, Standing};
use crate::schedule::Schedule;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();
pub(crate) static LINK: Link = Link::new(ImageKind::BuiltIn);
static ROOT_ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// Registers the event types of code that is built into the host, by attribute or by call.
///
/// ```
/// use sexton_plugin_api::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Noop {}
///
/// #[scheduled_event(ScheduledEventManager, "sexton.noop")]
/// impl ScheduledEventJob for Noop {
///     fn run(&self, _: &JobContext) -> JobResult {
///         Ok(())
///     }
/// }
/// # fn main() {}
/// ```
pub struct ScheduledEventManager;

impl ScheduledEventManager {
    /// Registers `T` by call. Before the host asks for the batch.
    pub fn register<T: ScheduledEventJob>(event_type: impl Into<String>) -> Registration<'static> {
        EVENTS.register::<T>(event_type)
    }

    /// Declares an event that the host wants to exist, as a plugin does with its wrapper. Before the host asks for the batch.
    pub fn standing(
        key: impl Into<String>,
        event_type: impl Into<String>,
        args: impl Serialize,
        schedule: impl Into<Schedule>,
    ) -> Standing<'static> {
        EVENTS.standing(key, event_type, args, schedule)
    }

    /// The host, for built-in code outside of jobs.
    #[must_use]
    pub fn host() -> &'static Host {
        EVENTS.host()
    }

    /// What a plugin's library would export: for the host to run its built-in types through the same tables.
    #[must_use]
    pub fn root() -> PluginRoot_Ref {
        ROOT_ASKED_FOR.store(true, Ordering::Relaxed);
        root::<BuiltIn>()
    }

    /// For the macros: whose record an attribute makes.
    #[doc(hidden)]
    #[must_use]
    pub const fn attribute_owner(&self) -> &'static ScheduledEventRegistryWrapper {
        &EVENTS
    }
}

/// An event type registered in the static form in an image that is no host, so that nobody would ever serve it.
pub(crate) fn misplaced() -> Option<String> {
    let is_host = ROOT_ASKED_FOR.load(Ordering::Relaxed);
    if is_host { None } else { EVENTS.first_registered() }
}

/// Forgets misplaced registrations by call, in an image that is about to be closed.
pub(crate) fn forget_misplaced() {
    if !ROOT_ASKED_FOR.load(Ordering::Relaxed) {
        EVENTS.withdraw();
    }
}

struct BuiltIn;

impl PluginEntry for BuiltIn {
    fn identity() -> &'static str {
        "{}"
    }

    fn link() -> &'static Link {
        &LINK
    }

    fn load(host: &Host) -> Result<(), PluginError> {
        EVENTS.load(host)
    }

    fn unload(host: &Host) -> Result<(), PluginError> {
        EVENTS.unload(host)
    }
}
