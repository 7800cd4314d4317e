//! Collects registrations of a plugin, offers them at `load` as part of one batch, withdraws them at `unload`.
//!
//! Not the host's registry: who owns what is decided there. What must hold: all or nothing, a fault in any registration refuses the whole
//! `load` with a sentence; a wrapper that is withdrawn owns no heap.

use crate::error::PluginError;
use crate::host::{Draft, Host, ImageKind, Link, UNLINKED};
use crate::ids::{RESERVED_PREFIX, fault_in_id};
use crate::job::{JobCode, ScheduledEventJob};
use crate::schedule::Schedule;
use crate::section::{Item, TimeText, id_text, records};
use crate::span::{self, IntoSpan};
use crate::wire::{Retry, StandingEvent, TypeOffer};
use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Faults that a refusal names; the others are counted.
const FAULTS_TOLD: usize = 10;
/// Most registrations of one wrapper.
const REGISTRATIONS_MAX: usize = 4_096;

/// Collects the event types of a plugin, as a `static`.
///
/// ```
/// use sexton_plugin_api::prelude::*;
///
/// static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Ping {}
///
/// #[scheduled_event(EVENTS, "acme.ping")]
/// impl ScheduledEventJob for Ping {
///     fn run(&self, _: &JobContext) -> JobResult {
///         Ok(())
///     }
/// }
///
/// #[plugin(name = "ping")]
/// fn load(host: &Host) -> Result<(), PluginError> {
///     EVENTS.register::<Ping>("acme.ping_again").attempts(3).first_delay(Duration::seconds(10)); // by call
///     EVENTS.standing("hourly", "acme.ping", serde_json::json!({}), schedule::Every::hours(1));
///     EVENTS.load(host)
/// }
///
/// #[plugin]
/// fn unload(host: &Host) -> Result<(), PluginError> {
///     EVENTS.unload(host)
/// }
/// # fn main() {}
/// ```
pub struct ScheduledEventRegistryWrapper {
    inner: Mutex<Inner>,
}

struct Inner {
    link: Option<&'static Link>,
    registrations: Vec<Registered>,
    standing: Vec<StandingEvent>,
    faults: Vec<String>,
}

#[derive(Clone)]
struct Registered {
    event_type: String,
    code: JobCode,
    retry: Option<Retry>,
    time: TimeText,
}

impl ScheduledEventRegistryWrapper {
    /// An empty wrapper.
    #[must_use]
    pub const fn new() -> Self {
        Self { inner: Mutex::new(Inner { link: None, registrations: Vec::new(), standing: Vec::new(), faults: Vec::new() }) }
    }

    /// Registers `T` by call, where the attribute does not fit (a job from another crate, an id made at run time). Before [`load`](Self::load).
    pub fn register<T: ScheduledEventJob>(&self, event_type: impl Into<String>) -> Registration<'_> {
        let mut inner = self.inner();
        let event_type = event_type.into();
        if inner.link.is_some() {
            inner.faults.push(format!("`{event_type}` was registered after the wrapper's `load`"));
        }
        if inner.registrations.len() < REGISTRATIONS_MAX {
            inner.registrations.push(Registered { event_type, code: JobCode::of::<T>(), retry: None, time: TimeText::default() });
        } else {
            inner.faults.push(format!("`{event_type}` is past the limit of {REGISTRATIONS_MAX} registrations"));
        }
        Registration { wrapper: self, at: inner.registrations.len() - 1 }
    }

    /// Declares an event that the plugin wants to exist: stored when the generation is published, replaced if it differs from the one of
    /// the same key, kept after unload. Before [`load`](Self::load).
    pub fn standing(
        &self,
        key: impl Into<String>,
        event_type: impl Into<String>,
        args: impl Serialize,
        schedule: impl Into<Schedule>,
    ) -> Standing<'_> {
        let (key, event_type) = (key.into(), event_type.into());
        let mut inner = self.inner();
        let args = serde_json::to_value(args).unwrap_or_else(|e| {
            inner.faults.push(format!("the args of the standing event `{key}` cannot be written as JSON: {e}"));
            serde_json::Value::Null
        });
        inner.standing.push(StandingEvent { key, event_type, args, schedule: schedule.into().into_json(), description: None });
        Standing { wrapper: self, at: inner.standing.len() - 1 }
    }

    /// Offers everything that was registered, by attribute and by call. All wrappers of a plugin go into one batch, which closes when the
    /// plugin's `load` returns.
    ///
    /// # Errors
    /// A sentence, if an id is not allowed, comes twice, or the call does not come from within the plugin's `load`.
    pub fn load(&'static self, host: &Host) -> Result<(), PluginError> {
        let offered = self.offer(host.link());
        if offered.is_err() {
            self.withdraw();
        }
        offered
    }

    fn offer(&'static self, link: &'static Link) -> Result<(), PluginError> {
        let (offered, standing) = self.collected()?;
        link.gather(|draft| {
            if draft.wrappers.iter().any(|wrapper| std::ptr::eq(*wrapper, self)) {
                return Err(PluginError::new("the same wrapper was loaded twice"));
            }
            check(link.kind, draft, &offered, &standing)?;
            for job in offered {
                draft.batch.types.push(TypeOffer {
                    event_type: job.event_type.clone(),
                    args_schema: (job.code.schema)(),
                    multi_resource: job.code.multi_resource,
                    retry: job.retry,
                    timeout_ms: job.time.timeout_ms,
                    grace_ms: job.time.grace_ms,
                });
                draft.jobs.insert(job.event_type, job.code);
            }
            draft.batch.standing.extend(standing);
            draft.wrappers.push(self);
            Ok(())
        })?;
        self.inner().link = Some(link);
        Ok(())
    }

    /// Withdraws everything. The host withdraws by owner whatever is forgotten here.
    ///
    /// # Errors
    /// None today.
    pub fn unload(&self, host: &Host) -> Result<(), PluginError> {
        let _ = host;
        self.withdraw();
        Ok(())
    }

    /// The host that loaded this wrapper, for use outside of jobs: `ScheduledEventTracker::new(EVENTS.host())`. Before `load` and after
    /// `unload` every call on it answers `NotYetActive`.
    #[must_use]
    pub fn host(&self) -> &'static Host {
        let link = self.inner().link;
        link.unwrap_or(&UNLINKED).host()
    }

    /// For the macros: whose record an attribute makes.
    #[doc(hidden)]
    #[must_use]
    pub const fn attribute_owner(&'static self) -> &'static Self {
        self
    }

    pub(crate) fn withdraw(&self) {
        let mut inner = self.inner();
        // New empty ones, not `clear`: an image's statics are never dropped, so their heap would be lost at `dlclose`.
        *inner = Inner { link: None, registrations: Vec::new(), standing: Vec::new(), faults: Vec::new() };
    }

    /// Whether every registration so far was in order and in time.
    pub(crate) fn check_faults(&self) -> Result<(), PluginError> {
        let inner = self.inner();
        if inner.faults.is_empty() {
            return Ok(());
        }
        let mut told = inner.faults.iter().take(FAULTS_TOLD).cloned().collect::<Vec<_>>().join("; ");
        if inner.faults.len() > FAULTS_TOLD {
            told.push_str(&format!("; and {} more", inner.faults.len() - FAULTS_TOLD));
        }
        Err(PluginError::new(told))
    }

    /// The type of any registration.
    pub(crate) fn first_registered(&'static self) -> Option<String> {
        let by_call = self.inner().registrations.first().map(|registered| registered.event_type.clone());
        by_call.or_else(|| self.by_attribute().next().map(|registered| registered.event_type))
    }

    fn by_attribute(&'static self) -> impl Iterator<Item = Registered> {
        records().iter().filter_map(|record| match record.item() {
            Item::Job { wrapper, id, code, retry, time } if std::ptr::eq(*wrapper, self) => {
                Some(Registered { event_type: id_text(id).to_owned(), code: *code, retry: retry.to_wire(), time: *time })
            }
            Item::Sentinel | Item::Job { .. } | Item::Action { .. } => None,
        })
    }

    /// Registrations by attribute, then by call; or the faults found while they were made.
    fn collected(&'static self) -> Result<(Vec<Registered>, Vec<StandingEvent>), PluginError> {
        self.check_faults()?;
        let inner = self.inner();
        let offered = self.by_attribute().chain(inner.registrations.iter().cloned()).collect();
        Ok((offered, inner.standing.clone()))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ScheduledEventRegistryWrapper {
    fn default() -> Self {
        Self::new()
    }
}

/// What an author can know to be wrong before the host looks at the batch.
fn check(kind: ImageKind, draft: &Draft, offered: &[Registered], standing: &[StandingEvent]) -> Result<(), PluginError> {
    let mut seen: Vec<&str> = draft.batch.types.iter().map(|t| t.event_type.as_str()).collect();
    for job in offered {
        let id = job.event_type.as_str();
        if let Some(fault) = fault_in_id(id) {
            return Err(PluginError::new(format!("event type id not allowed: {fault}")));
        }
        if kind == ImageKind::Plugin && id.starts_with(RESERVED_PREFIX) {
            return Err(PluginError::new(format!("`{id}`: the prefix `{RESERVED_PREFIX}` is reserved for types built into the host")));
        }
        if seen.contains(&id) {
            return Err(PluginError::new(format!("`{id}` is registered twice in this plugin")));
        }
        seen.push(id);
    }
    let mut keys: Vec<(&str, &str)> = draft.batch.standing.iter().map(|s| (s.event_type.as_str(), s.key.as_str())).collect();
    for event in standing {
        let key = (event.event_type.as_str(), event.key.as_str());
        if event.key.is_empty() {
            return Err(PluginError::new(format!("a standing event of `{}` has an empty key", event.event_type)));
        }
        if keys.contains(&key) {
            return Err(PluginError::new(format!("the standing event `{}` of `{}` is declared twice", event.key, event.event_type)));
        }
        keys.push(key);
    }
    Ok(())
}

/// A registration by call; its retry policy and time limit can still be said. What is not said takes the host's default.
pub struct Registration<'a> {
    wrapper: &'a ScheduledEventRegistryWrapper,
    at: usize,
}

impl Registration<'_> {
    /// Attempts in all, the first included.
    pub fn attempts(self, n: u32) -> Self {
        self.retry(|retry| retry.attempts = Some(n))
    }

    /// Delay before the second attempt.
    pub fn first_delay(self, delay: impl IntoSpan) -> Self {
        let ms = span::millis(delay.into_span());
        self.retry(|retry| retry.first_delay_ms = Some(ms))
    }

    /// Greatest delay between attempts.
    pub fn max_delay(self, delay: impl IntoSpan) -> Self {
        let ms = span::millis(delay.into_span());
        self.retry(|retry| retry.max_delay_ms = Some(ms))
    }

    /// No attempt is due later than so long after the first was; then the occurrence is a dead letter.
    pub fn deadline(self, after: impl IntoSpan) -> Self {
        let ms = span::millis(after.into_span());
        self.retry(|retry| retry.deadline_ms = Some(ms))
    }

    /// A run that takes longer is asked to stop, and counts as failed. An event may ask for another time.
    pub fn timeout(self, time: impl IntoSpan) -> Self {
        let ms = span::millis(time.into_span());
        self.change(|registered| registered.time.timeout_ms = Some(ms))
    }

    /// How long a run that was asked to stop may take to, before its process is ended.
    pub fn grace(self, time: impl IntoSpan) -> Self {
        let ms = span::millis(time.into_span());
        self.change(|registered| registered.time.grace_ms = Some(ms))
    }

    fn retry(self, set: impl FnOnce(&mut Retry)) -> Self {
        self.change(|registered| set(registered.retry.get_or_insert_default()))
    }

    fn change(self, set: impl FnOnce(&mut Registered)) -> Self {
        if let Some(registered) = self.wrapper.inner().registrations.get_mut(self.at) {
            set(registered);
        }
        self
    }
}

/// A standing event; its description can still be said.
pub struct Standing<'a> {
    wrapper: &'a ScheduledEventRegistryWrapper,
    at: usize,
}

impl Standing<'_> {
    /// For people.
    pub fn description(self, text: impl Into<String>) -> Self {
        if let Some(event) = self.wrapper.inner().standing.get_mut(self.at) {
            event.description = Some(text.into());
        }
        self
    }
}
