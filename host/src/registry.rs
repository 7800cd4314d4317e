//! Who serves what, right now: an immutable snapshot that readers hold and the supervisor swaps.
//!
//! Not the store's ownership table (that outlives processes). What must hold: a reader sees one whole snapshot, never a half-swapped one.

use arc_swap::ArcSwap;
use sexton_core::{TimeLimit, TypeId};
use sexton_loader::seam::Order;
pub use sexton_loader::seam::Placement;
use sexton_plugin_api::wire::ActionOffer;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// A generation that serves: where to send orders, and what its code is.
#[derive(Debug)]
pub struct Serving {
    /// The plugin, `host` for built-ins.
    pub plugin: String,
    /// Its number; 0 for built-ins.
    pub generation: i64,
    /// SHA-256 of the code, hex; empty for built-ins.
    pub digest: String,
    /// Where it runs.
    pub placement: Placement,
    /// The near end of the seam.
    pub orders: Sender<Order>,
    /// How long one run may take.
    pub run_time: Option<Duration>,
    /// Bytes of a run's output that are kept.
    pub output_max: usize,
    /// Runs handed over and not yet ended, at most: about twice the job threads, so that a slow plugin holds neither the slots of the
    /// others nor runs that its successor could start.
    pub in_flight_max: usize,
    /// One of its runs has succeeded.
    pub succeeded: AtomicBool,
}

impl Serving {
    /// Whether one of its runs has succeeded.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Relaxed)
    }
}

/// An event type that can be scheduled; it is served if `serving` is there.
#[derive(Debug)]
pub struct KnownType {
    /// Its name.
    pub event_type: String,
    /// The store's number.
    pub id: TypeId,
    /// Who owns it.
    pub owner: Option<String>,
    /// JSON Schema of the args as last offered.
    pub args_schema: serde_json::Value,
    /// The compiled schema.
    pub validator: jsonschema::Validator,
    /// How long a run of it may take, and then to stop, as last offered.
    pub time_limit: TimeLimit,
    /// What new arguments have to fit as well; none but while a new build is being taken in.
    pub coming: Option<Arc<Coming>>,
    /// Who runs it now; none = unresolved.
    pub serving: Option<Arc<Serving>>,
}

/// The schema of a type that a new build offers, while what is stored is checked against it.
#[derive(Debug)]
pub struct Coming {
    /// Whose build.
    pub plugin: String,
    /// As offered.
    pub args_schema: serde_json::Value,
    /// Compiled.
    pub validator: jsonschema::Validator,
}

/// An action that is served.
#[derive(Debug)]
pub struct ServedAction {
    /// What it said of itself.
    pub offer: ActionOffer,
    /// Who runs it.
    pub serving: Arc<Serving>,
}

/// Everything at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By name.
    pub types: BTreeMap<String, Arc<KnownType>>,
    /// By number.
    pub by_id: HashMap<TypeId, Arc<KnownType>>,
    /// Actions by uid.
    pub actions: BTreeMap<String, Arc<ServedAction>>,
}

impl Snapshot {
    /// Numbers of the types that somebody serves.
    #[must_use]
    pub fn served(&self) -> Vec<TypeId> {
        self.by_id.values().filter(|t| t.serving.is_some()).map(|t| t.id).collect()
    }
}

/// The place where the present snapshot is found.
#[derive(Debug, Default)]
pub struct Registry(ArcSwap<Snapshot>);

impl Registry {
    /// The present snapshot.
    #[must_use]
    pub fn now(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts another in its place. Only the supervisor calls this.
    pub fn swap(&self, next: Snapshot) {
        self.0.store(Arc::new(next));
    }
}
