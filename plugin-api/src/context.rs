//! What a run may ask of its host: why it runs, whether it should stop, time, state, follow-ups; and what it may tell.
//!
//! Not the arguments (those are the job's own fields). What must hold: every question works on any thread the job shares the context
//! with; after the run nothing of it reaches the host any more.

use crate::door::Door;
use crate::host::read_settings;
use crate::job::{JobError, JobResult};
use crate::span::{self, IntoSpan};
use crate::state::State;
use crate::tracker::ScheduledEventTracker;
use crate::wire::{Bot, CallRefusal, HostCall, Resource, ResourceReply, RunOrder};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest output of a run, bytes of JSON.
pub const OUTPUT_MAX_BYTES: usize = 1024 * 1024;

/// The run that a job is in.
pub struct JobContext {
    door: Door,
    order: RunOrder,
    settings: Value,
    told: Mutex<Told>,
}

/// What the run has to say besides its end.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) output: Option<Box<RawValue>>,
    pub(crate) resources: Vec<ResourceReply>,
}

impl JobContext {
    pub(crate) fn new(door: Door, order: RunOrder, settings: Value) -> Self {
        Self { door, order, settings, told: Mutex::default() }
    }

    /// The `[settings]` of the plugin's `<stem>.toml` as a type of the author's. All defaults if there is no such file.
    ///
    /// # Errors
    /// A permanent failure that names the field that does not fit.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        read_settings(&self.settings)
    }

    /// The resources of the event, in its order; also those that succeeded in an earlier attempt.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.order.resources
    }

    /// Whether this resource succeeded in an earlier attempt of the same occurrence.
    #[must_use]
    pub fn resource_done(&self, id: &str) -> bool {
        self.order.resources_done.iter().any(|done| done == id)
    }

    pub(crate) fn resources_done(&self) -> &[String] {
        &self.order.resources_done
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.order.attempt
    }

    /// The id of the occurrence, `<event id>.<n>`: the same for all its attempts, never reused.
    #[must_use]
    pub fn occurrence(&self) -> &str {
        &self.order.occurrence
    }

    /// The id of the event: what stands before the `.` of the occurrence.
    #[must_use]
    pub fn event(&self) -> &str {
        self.order.occurrence.split_once('.').map_or(self.order.occurrence.as_str(), |(event, _)| event)
    }

    /// What makes a repeated attempt recognisable to whoever the job acts on: the occurrence id.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.occurrence()
    }

    /// The same per resource: `<occurrence>/<resource id>`.
    #[must_use]
    pub fn resource_key(&self, resource: &Resource) -> String {
        format!("{}/{}", self.order.occurrence, resource.id)
    }

    /// The event type under which this job runs.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.order.event_type
    }

    /// The instant that the schedule meant. The run starts at it or later.
    #[must_use]
    pub fn scheduled_for(&self) -> DateTime<Utc> {
        self.order.scheduled_for
    }

    /// When the host will ask the run to stop; none: never.
    #[must_use]
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        self.order.deadline
    }

    /// On whose behalf, if on anybody's.
    #[must_use]
    pub fn bot(&self) -> Option<&Bot> {
        self.order.bot.as_ref()
    }

    /// The event's description.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.order.description.as_deref()
    }

    /// The event's labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.order.labels
    }

    /// The host's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.door.now()
    }

    /// Whether the run was asked to stop (an operator, its deadline, the host's end). Ask between steps.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.door.is_cancelled(self.order.run)
    }

    /// `cx.check_cancelled()?` between steps: ends the run as cancelled if it was asked to stop.
    ///
    /// # Errors
    /// The end `cancelled`, if the run was asked to stop.
    pub fn check_cancelled(&self) -> JobResult {
        if self.is_cancelled() { Err(asked_to_stop()) } else { Ok(()) }
    }

    /// Sleeps, but no longer than until the run is asked to stop. Prefer it to `std::thread::sleep`.
    ///
    /// # Errors
    /// The end `cancelled`, if the run was asked to stop meanwhile.
    pub fn sleep(&self, length: impl IntoSpan) -> JobResult {
        if self.door.pause(self.order.run, span::micros(length.into_span())) { Ok(()) } else { Err(asked_to_stop()) }
    }

    /// Tells how far the run has come: steps done, steps in all if known, a note of one line for people (512 bytes of it are kept). As often as
    /// is handy: the host keeps the newest. It is no sign of life, and a run needs none. A refusal is logged, not raised.
    pub fn progress(&self, done: u64, total: impl Into<Option<u64>>, note: impl Into<String>) {
        if let Err(refusal) = self.call(&HostCall::Progress { done, total: total.into(), note: note.into() }) {
            tracing::debug!(code = %refusal.code, message = %refusal.message, "the host did not take the progress");
        }
    }

    /// Sets the output stored with the run; a later one replaces it. It's stored however the run ends.
    ///
    /// # Errors
    /// A permanent failure if the value cannot be written as JSON, or is longer than [`OUTPUT_MAX_BYTES`].
    pub fn output(&self, value: &(impl Serialize + ?Sized)) -> JobResult {
        let raw = serde_json::value::to_raw_value(value)
            .map_err(|e| JobError::fail_permanently(format!("the output cannot be written as JSON: {e}")))?;
        let length = raw.get().len();
        if length > OUTPUT_MAX_BYTES {
            return Err(JobError::fail_permanently(format!("the output is {length} bytes long; at most {OUTPUT_MAX_BYTES} are kept")));
        }
        self.told().output = Some(raw);
        Ok(())
    }

    /// Gathers follow-up events, tied to this run: `commit` validates them and answers their ids at once, they are stored with the run's
    /// success, or not at all.
    pub fn tracker(&self) -> ScheduledEventTracker {
        ScheduledEventTracker::at(self.door.clone(), self.order.run)
    }

    /// The plugin's own key-value state, kept by the host over reloads and restarts.
    #[must_use]
    pub fn state(&self) -> State {
        State::new(self.door.clone(), self.order.run)
    }

    /// One call to the host, for jobs built into it. Authors have the typed ways.
    #[doc(hidden)]
    pub fn call(&self, call: &HostCall) -> Result<Value, CallRefusal> {
        self.door.call(self.order.run, call)
    }

    pub(crate) fn report_resource(&self, reply: ResourceReply) {
        self.told().resources.push(reply);
    }

    pub(crate) fn into_told(self) -> Told {
        self.told.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn args(&self) -> &str {
        self.order.args.get()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asked_to_stop() -> JobError {
    JobError::cancel("asked to stop")
}
