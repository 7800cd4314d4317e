//! Gathers events to be scheduled and stores them in one transaction.
//!
//! Not a store: nothing is kept here after `commit`. What must hold: dropped without `commit` it stores nothing; `commit` is all or nothing.

use crate::door::{Door, NOT_YET_ACTIVE};
use crate::host::Host;
use crate::schedule::Schedule;
use crate::wire::{Bot, CallRefusal, HostCall, Resource, ScheduleOrder};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Gathers events; [`commit`](Self::commit) stores all of them or none.
///
/// Outside a run they are stored at once. On the thread of a run, and from [`JobContext::tracker`](crate::context::JobContext::tracker) on
/// any thread, they are tied to the run: validated and numbered at once, stored with its success, or not at all.
///
/// ```
/// use sexton_plugin_api::prelude::*;
///
/// fn in_twelve_hours(host: &Host, bot: &Bot, matches: &[Resource]) -> ActionResult {
///     let mut context = ScheduledEventTracker::new(host);
///     for resource in matches {
///         let when = Utc::now() + Duration::hours(12);
///         context.schedule_bot_event(bot, resource, "Start a resource.", "acme.start_resource", schedule::Once { when });
///     }
///     context.commit()?;
///     Ok(())
/// }
/// ```
#[must_use = "dropped without `commit` it stores nothing"]
pub struct ScheduledEventTracker {
    door: Door,
    run: u64,
    events: Vec<ScheduleOrder>,
    fault: Option<TrackerError>,
}

/// Why nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrackerError {
    /// The generation is not active yet (`load` may only register; see `standing`), or no more.
    #[error("API002: events cannot be scheduled before the plugin is active: {0}")]
    NotYetActive(String),
    /// The args of an event cannot be written as JSON.
    #[error("the args of event {at} (`{event_type}`) cannot be written as JSON: {why}")]
    Args {
        /// Which event of the tracker, from 0.
        at: usize,
        /// Its type.
        event_type: String,
        /// What serde says.
        why: String,
    },
    /// The host refused one of them, and thereby all.
    #[error("{code}: {message}")]
    Refused {
        /// The host's code.
        code: String,
        /// One sentence.
        message: String,
    },
}

impl From<CallRefusal> for TrackerError {
    fn from(refusal: CallRefusal) -> Self {
        if refusal.code == NOT_YET_ACTIVE {
            Self::NotYetActive(refusal.message)
        } else {
            Self::Refused { code: refusal.code, message: refusal.message }
        }
    }
}

impl ScheduledEventTracker {
    /// An empty one.
    pub fn new(host: &Host) -> Self {
        let (door, run) = host.here();
        Self::at(door, run)
    }

    pub(crate) fn at(door: Door, run: u64) -> Self {
        Self { door, run, events: Vec::new(), fault: None }
    }

    /// Adds an event; the answer takes its args, key, resources and so on.
    pub fn schedule_event(&mut self, event_type: impl Into<String>, schedule: impl Into<Schedule>) -> EventDraft<'_> {
        let at = self.events.len();
        self.events.push(ScheduleOrder {
            event_type: event_type.into(),
            schedule: schedule.into().into_json(),
            args: Value::Object(serde_json::Map::new()),
            key: None,
            description: None,
            bot: None,
            resources: Vec::new(),
            labels: BTreeMap::new(),
            priority: 0,
            policy: None,
        });
        EventDraft { order: &mut self.events[at], at, fault: &mut self.fault }
    }

    /// Adds an event on behalf of a bot, for one resource.
    pub fn schedule_bot_event(
        &mut self,
        bot: &Bot,
        resource: &Resource,
        description: impl Into<String>,
        event_type: impl Into<String>,
        schedule: impl Into<Schedule>,
    ) -> EventDraft<'_> {
        self.schedule_event(event_type, schedule).bot(bot).resource(resource).description(description)
    }

    /// How many events have been gathered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none has been gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Stores them all in one transaction (inside a run: with its success). Answers their ids, in order.
    ///
    /// # Errors
    /// [`TrackerError`]; then nothing is stored.
    pub fn commit(self) -> Result<Vec<String>, TrackerError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.door.call(self.run, &HostCall::Schedule { events: self.events })?;
        serde_json::from_value(answer).map_err(|e| crate::door::unreadable(&format!("the host answered no list of ids: {e}")).into())
    }
}

/// An event that has been added; every part has a default.
pub struct EventDraft<'a> {
    order: &'a mut ScheduleOrder,
    at: usize,
    fault: &'a mut Option<TrackerError>,
}

impl EventDraft<'_> {
    /// The arguments: the job's own type, or `json!({…})`. Default `{}`.
    pub fn args(self, args: impl Serialize) -> Self {
        match serde_json::to_value(args) {
            Ok(args) => self.order.args = args,
            Err(e) => {
                let event_type = self.order.event_type.clone();
                self.fault.get_or_insert(TrackerError::Args { at: self.at, event_type, why: e.to_string() });
            }
        }
        self
    }

    /// Unique among the open events of the type: a second one is refused.
    pub fn key(self, key: impl Into<String>) -> Self {
        self.order.key = Some(key.into());
        self
    }

    /// For people.
    pub fn description(self, text: impl Into<String>) -> Self {
        self.order.description = Some(text.into());
        self
    }

    /// On whose behalf.
    pub fn bot(self, bot: &Bot) -> Self {
        self.order.bot = Some(bot.clone());
        self
    }

    /// Adds a resource.
    pub fn resource(self, resource: &Resource) -> Self {
        self.order.resources.push(resource.clone());
        self
    }

    /// Adds resources.
    pub fn resources<'r>(self, resources: impl IntoIterator<Item = &'r Resource>) -> Self {
        self.order.resources.extend(resources.into_iter().cloned());
        self
    }

    /// Adds a label, for filters.
    pub fn label(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.order.labels.insert(name.into(), value.into());
        self
    }

    /// Higher first among what is due at once. Default 0.
    pub fn priority(self, priority: i32) -> Self {
        self.order.priority = priority;
        self
    }

    /// What is asked about its runs, in the host's own JSON form: overlap, time limit, uniqueness. An event that asks for uniqueness and is there
    /// already is left out when the run's success is stored, or takes the other's place, as it says.
    ///
    /// ```
    /// use sexton_plugin_api::prelude::*;
    ///
    /// fn once_for_all(tracker: &mut ScheduledEventTracker) {
    ///     tracker.schedule_event("acme.sync", schedule::Manual).policy(serde_json::json!({"unique": {"by": ["type"], "conflict": "keep"}}));
    /// }
    /// ```
    pub fn policy(self, policy: Value) -> Self {
        self.order.policy = Some(policy);
        self
    }
}
