//! The code behind an event type: the two traits an author implements, and the ways a job can end.
//!
//! Not registration (`registry`) and not what a job may ask of its host (`context`). What must hold: a job's end is text and
//! numbers only, made before the call returns to the host.

use crate::context::JobContext;
use crate::error::chain_of;
use crate::span::{self, IntoSpan};
use crate::wire::{JobEnd, Resource};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a job returns: `Ok(())`, or how else it ended.
pub type JobResult<T = ()> = Result<T, JobError>;

/// A job: its fields are the arguments of the event.
///
/// The arguments are described to the host by `JsonSchema` and checked before an event is stored; they reach [`run`](Self::run) as `self`.
/// Delivery is at least once: make the work idempotent, [`JobContext::idempotency_key`] is the same for every attempt.
///
/// ```
/// use sexton_plugin_api::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Touch { path: String }
///
/// impl ScheduledEventJob for Touch {
///     fn run(&self, cx: &JobContext) -> JobResult {
///         if self.path.is_empty() {
///             return fail_permanently("`path` is empty");
///         }
///         std::fs::write(&self.path, cx.idempotency_key())?; // any error: failed, retried by policy
///         Ok(())
///     }
/// }
/// # let path = std::env::temp_dir().join("sexton-doc-touch").display().to_string();
/// # let reply = sexton_plugin_api::testing::TestHost::new().args(serde_json::json!({"path": path})).run::<Touch>();
/// # assert_eq!(reply.end, sexton_plugin_api::wire::JobEnd::Succeeded);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no job",
    label = "registered here as the job of an event type",
    note = "implement `ScheduledEventJob` or `MultiResourceScheduledEventJob` for it; both need `Deserialize` and `JsonSchema`"
)]
pub trait ScheduledEventJob: DeserializeOwned + JsonSchema + 'static {
    /// Whether the job is one of [`MultiResourceScheduledEventJob`]. Set by the blanket implementation, never by hand.
    #[doc(hidden)]
    const MULTI_RESOURCE: bool = false;

    /// Does the work, blocking. A panic counts as failed.
    ///
    /// # Errors
    /// Any other end than success; see [`fail`], [`fail_permanently`], [`snooze`], [`cancel`].
    fn run(&self, cx: &JobContext) -> JobResult;

    /// Turns arguments stored by an older build into the present form, on the way to a run. The store is never rewritten, so
    /// this must be a pure function and must leave present arguments as they are.
    ///
    /// # Errors
    /// If the arguments cannot be carried over: a reload that meets them is rejected.
    fn migrate_args(args: Value) -> Result<Value, JobError> {
        Ok(args)
    }
}

/// A job over the resources of its event, one after the other.
///
/// Each resource has its own end, stored with the attempt; a retry calls [`run_one`](Self::run_one) only for those that have not yet
/// succeeded. One resource's failure or panic does not keep the others from their turn.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no multi-resource job",
    note = "implement `MultiResourceScheduledEventJob` for it; it needs `Deserialize` and `JsonSchema`"
)]
pub trait MultiResourceScheduledEventJob: DeserializeOwned + JsonSchema + 'static {
    /// Does the work for one resource, blocking. Its idempotency key is [`JobContext::resource_key`].
    ///
    /// # Errors
    /// Any other end than success, of this resource only.
    fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult;

    /// As [`ScheduledEventJob::migrate_args`].
    ///
    /// # Errors
    /// If the arguments cannot be carried over.
    fn migrate_args(args: Value) -> Result<Value, JobError> {
        Ok(args)
    }
}

impl<J: MultiResourceScheduledEventJob> ScheduledEventJob for J {
    const MULTI_RESOURCE: bool = true;

    fn run(&self, cx: &JobContext) -> JobResult {
        crate::multi::run_each(cx, |resource| self.run_one(resource, cx))
    }

    fn migrate_args(args: Value) -> Result<Value, JobError> {
        <J as MultiResourceScheduledEventJob>::migrate_args(args)
    }
}

/// How a job ended, if not by success. `?` on any error makes a failure that is retried by policy.
#[derive(Clone, PartialEq, Eq)]
pub struct JobError {
    end: Ending,
}

#[derive(Clone, PartialEq, Eq)]
enum Ending {
    Failed { message: String, permanent: bool },
    Snoozed { after: Duration },
    Cancelled { reason: String },
}

impl JobError {
    /// Failed; retried by policy.
    #[must_use]
    pub fn fail(message: impl Into<String>) -> Self {
        Self { end: Ending::Failed { message: message.into(), permanent: false } }
    }

    /// Failed, and trying again cannot help.
    #[must_use]
    pub fn fail_permanently(message: impl Into<String>) -> Self {
        Self { end: Ending::Failed { message: message.into(), permanent: true } }
    }

    /// Not now: due again after so long, the attempt is not spent.
    #[must_use]
    pub fn snooze(after: impl IntoSpan) -> Self {
        Self { end: Ending::Snoozed { after: after.into_span() } }
    }

    /// No longer wanted: no retry.
    #[must_use]
    pub fn cancel(reason: impl Into<String>) -> Self {
        Self { end: Ending::Cancelled { reason: reason.into() } }
    }

    /// The same failure, made permanent. Other ends stay as they are.
    #[must_use]
    pub fn permanently(self) -> Self {
        match self.end {
            Ending::Failed { message, .. } => Self::fail_permanently(message),
            end @ (Ending::Snoozed { .. } | Ending::Cancelled { .. }) => Self { end },
        }
    }

    pub(crate) fn into_end(self) -> JobEnd {
        match self.end {
            Ending::Failed { message, permanent } => JobEnd::Failed { message, permanent },
            Ending::Snoozed { after } => JobEnd::Snoozed { after_ms: span::millis(after) },
            Ending::Cancelled { reason } => JobEnd::Cancelled { reason },
        }
    }
}

impl<E: Error> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::fail(chain_of(&error))
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            Ending::Failed { message, .. } => f.write_str(message),
            Ending::Snoozed { after } => write!(f, "snoozed for {}", span::text(*after)),
            Ending::Cancelled { reason } => write!(f, "cancelled: {reason}"),
        }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `return fail("…")`: failed, retried by policy.
///
/// # Errors
/// Always.
pub fn fail<T>(message: impl Into<String>) -> Result<T, JobError> {
    Err(JobError::fail(message))
}

/// `return fail_permanently("…")`: failed, and trying again cannot help.
///
/// # Errors
/// Always.
pub fn fail_permanently<T>(message: impl Into<String>) -> Result<T, JobError> {
    Err(JobError::fail_permanently(message))
}

/// `return snooze(Duration::minutes(5))`: due again after so long, the attempt is not spent.
///
/// # Errors
/// Always.
pub fn snooze<T>(after: impl IntoSpan) -> Result<T, JobError> {
    Err(JobError::snooze(after))
}

/// `return cancel("no longer wanted")`: no retry.
///
/// # Errors
/// Always.
pub fn cancel<T>(reason: impl Into<String>) -> Result<T, JobError> {
    Err(JobError::cancel(reason))
}

/// The code of a job without its type: what the tables call.
#[derive(Clone, Copy)]
pub struct JobCode {
    pub(crate) run: fn(args: &str, cx: &JobContext) -> JobResult,
    pub(crate) migrate: fn(args: &str) -> Result<Value, JobError>,
    pub(crate) schema: fn() -> Value,
    pub(crate) multi_resource: bool,
}

impl JobCode {
    /// The code of `T`.
    #[must_use]
    pub const fn of<T: ScheduledEventJob>() -> Self {
        Self { run: run_typed::<T>, migrate: migrate_typed::<T>, schema: schema_of::<T>, multi_resource: T::MULTI_RESOURCE }
    }
}

fn run_typed<T: ScheduledEventJob>(args: &str, cx: &JobContext) -> JobResult {
    let (_, job) = readable::<T>(args)?;
    job.run(cx)
}

fn migrate_typed<T: ScheduledEventJob>(args: &str) -> Result<Value, JobError> {
    readable::<T>(args).map(|(migrated, _)| migrated)
}

/// The args as a run sees them, and the job made of them.
fn readable<T: ScheduledEventJob>(args: &str) -> Result<(Value, T), JobError> {
    let stored: Value = serde_json::from_str(args).map_err(|e| JobError::fail_permanently(format!("the stored args are not JSON: {e}")))?;
    let migrated = T::migrate_args(stored)?;
    // An event stored without args carries null; a job whose fields all have defaults reads `{}`.
    let given = if migrated.is_null() { Value::Object(serde_json::Map::new()) } else { migrated.clone() };
    let job = serde_json::from_value(given)
        .or_else(|error| if migrated.is_null() { serde_json::from_value(Value::Null) } else { Err(error) })
        .map_err(|e| JobError::fail_permanently(format!("the args cannot be read by this build of the job: {e}")))?;
    Ok((migrated, job))
}

fn schema_of<T: ScheduledEventJob>() -> Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>().into()
}
