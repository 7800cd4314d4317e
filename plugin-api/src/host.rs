//! The author's handle on the host, and the link of an image to the host that loaded it.
//!
//! Not the table itself (`abi`) and not a connection of one run (`context`). What must hold: before `load` and after `unload` every
//! call answers `NotYetActive`; the link owns no heap after `unload`, since the statics of a closed image are never dropped.

use crate::abi::HostTable_Ref;
use crate::action::ActionCode;
use crate::door::{self, Door, TableSide};
use crate::error::PluginError;
use crate::job::{JobCode, JobError};
use crate::registry::ScheduledEventRegistryWrapper;
use crate::state::State;
use crate::wire::{Batch, CallRefusal, HostCall, LoadOrder};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// The host that loaded this plugin, as its code sees it. Cheap to keep a reference to; alive as long as the image.
///
/// `load` and `unload` are given one; elsewhere `EVENTS.host()` gives the same.
pub struct Host {
    link: &'static Link,
}

impl Host {
    /// The name under which the host knows this plugin; empty before `load`.
    #[must_use]
    pub fn plugin(&self) -> String {
        self.link.order(|order| order.plugin.clone()).unwrap_or_default()
    }

    /// The `[settings]` of the plugin's `<stem>.toml` as a type of the author's. All defaults if there is no such file.
    ///
    /// # Errors
    /// A sentence that names the field that does not fit.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        read_settings(&self.link.order(|order| order.settings.clone()).unwrap_or_default())
    }

    /// The host's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.here().0.now()
    }

    /// The plugin's own key-value state, kept by the host over reloads and restarts.
    #[must_use]
    pub fn state(&self) -> State {
        let (door, run) = self.here();
        State::new(door, run)
    }

    /// One call to the host, for code built into it. Authors have the typed ways.
    #[doc(hidden)]
    pub fn call(&self, call: &HostCall) -> Result<Value, CallRefusal> {
        let (door, run) = self.here();
        door.call(run, call)
    }

    /// The door and run of the call that this thread is inside of, else the link's door outside any run.
    pub(crate) fn here(&self) -> (Door, u64) {
        door::current().map_or_else(|| (self.link.door(), 0), |current| (current.door, current.run))
    }

    pub(crate) fn link(&self) -> &'static Link {
        self.link
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("plugin", &self.plugin()).finish()
    }
}

pub(crate) fn read_settings<T: DeserializeOwned>(settings: &Value) -> Result<T, JobError> {
    let given = if settings.is_null() { Value::Object(serde_json::Map::new()) } else { settings.clone() };
    serde_json::from_value(given).map_err(|e| JobError::fail_permanently(format!("the plugin's settings do not fit: {e}")))
}

/// Whether the image is a plugin, or the host's own executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// A library that a host opens.
    Plugin,
    /// Code built into the host.
    BuiltIn,
}

/// An image's side of its connection to the host. One static per root module; made by the macros.
pub struct Link {
    pub(crate) kind: ImageKind,
    handle: OnceLock<Host>,
    door: RwLock<Option<TableSide>>,
    draft: Mutex<Option<Draft>>,
    loaded: RwLock<Option<Arc<Loaded>>>,
    order: RwLock<Option<Arc<LoadOrder>>>,
}

/// What `load` has gathered so far.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) batch: Batch,
    pub(crate) jobs: BTreeMap<String, JobCode>,
    pub(crate) wrappers: Vec<&'static ScheduledEventRegistryWrapper>,
}

/// What a successful `load` left: what the other entries look up.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) jobs: BTreeMap<String, JobCode>,
    pub(crate) actions: BTreeMap<String, ActionCode>,
    pub(crate) wrappers: Vec<&'static ScheduledEventRegistryWrapper>,
}

impl Link {
    /// A link to no host yet.
    #[must_use]
    pub const fn new(kind: ImageKind) -> Self {
        Self {
            kind,
            handle: OnceLock::new(),
            door: RwLock::new(None),
            draft: Mutex::new(None),
            loaded: RwLock::new(None),
            order: RwLock::new(None),
        }
    }

    /// The handle for authors.
    pub fn host(&'static self) -> &'static Host {
        self.handle.get_or_init(|| Host { link: self })
    }

    /// Keeps the host's table and what `load` was told.
    pub(crate) fn open(&self, table: HostTable_Ref, generation: u64, order: LoadOrder) {
        *write(&self.door) = Some(TableSide { table, generation });
        *write(&self.order) = Some(Arc::new(order));
        *self.draft() = Some(Draft::default());
    }

    /// Ends the gathering; what was gathered is the caller's.
    pub(crate) fn close_draft(&self) -> Draft {
        self.draft().take().unwrap_or_default()
    }

    pub(crate) fn publish(&self, loaded: Loaded) {
        *write(&self.loaded) = Some(Arc::new(loaded));
    }

    /// Forgets everything, also the wrappers' registrations that the author's `unload` did not withdraw.
    pub(crate) fn close(&self) {
        let draft = self.draft().take();
        let loaded = write(&self.loaded).take();
        for wrapper in draft.iter().flat_map(|d| &d.wrappers).chain(loaded.iter().flat_map(|l| &l.wrappers)) {
            wrapper.withdraw();
        }
        drop((draft, loaded));
        *write(&self.order) = None;
        *write(&self.door) = None;
    }

    pub(crate) fn door(&self) -> Door {
        read(&self.door).map_or(Door::Shut, Door::Table)
    }

    pub(crate) fn loaded(&self) -> Option<Arc<Loaded>> {
        read(&self.loaded).clone()
    }

    pub(crate) fn load_order(&self) -> Option<Arc<LoadOrder>> {
        read(&self.order).clone()
    }

    /// Adds to the batch of the `load` that is going on.
    pub(crate) fn gather<T>(&self, add: impl FnOnce(&mut Draft) -> Result<T, PluginError>) -> Result<T, PluginError> {
        let mut draft = self.draft();
        let open = draft.as_mut().ok_or_else(|| {
            PluginError::new("the batch is closed: call the wrapper's `load` from within the plugin's `load`, and only there")
        })?;
        add(open)
    }

    fn order<T>(&self, look: impl FnOnce(&LoadOrder) -> T) -> Option<T> {
        self.load_order().map(|order| look(&order))
    }

    fn draft(&self) -> MutexGuard<'_, Option<Draft>> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The link of code that no host has loaded: its host answers `NotYetActive` to everything.
pub(crate) static UNLINKED: Link = Link::new(ImageKind::Plugin);

// A panic of the author's while a lock is held leaves whole values behind: each lock guards single assignments.
fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
