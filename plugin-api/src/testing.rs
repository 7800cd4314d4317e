//! A bench for authors: runs a job or an action with a manual clock and a recording host, no process needed.
//!
//! Not a scheduler: one call, one reply. What must hold: the job runs through the code that the tables call, panics included; the clock
//! moves only when the job sleeps.
//!
//! ```
//! use sexton_plugin_api::prelude::*;
//! use sexton_plugin_api::testing::TestHost;
//! use sexton_plugin_api::wire::JobEnd;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Wait { minutes: i64 }
//!
//! impl ScheduledEventJob for Wait {
//!     fn run(&self, cx: &JobContext) -> JobResult {
//!         cx.sleep(Duration::minutes(self.minutes))?;
//!         cx.output(&json!({ "attempt": cx.attempt() }))
//!     }
//! }
//!
//! let host = TestHost::new();
//! let start = host.now();
//! let reply = host.args(json!({ "minutes": 90 })).attempt(2).run::<Wait>();
//! assert_eq!(reply.end, JobEnd::Succeeded);
//! assert_eq!(reply.output, Some(json!({ "attempt": 2 })));
//! assert_eq!(reply.now - start, Duration::minutes(90)); // and not a second was waited
//! ```

use crate::abi::LogRecord;
use crate::bridge::Bridge;
use crate::context::JobContext;
use crate::door::{Door, HostSide, Inside, NOT_YET_ACTIVE};
use crate::entry::run_code;
use crate::error::ActionResult;
use crate::job::{JobCode, ScheduledEventJob};
use crate::panics::{Panicked, guarded, set_panic_hook};
use crate::section;
use crate::span::{self, IntoSpan};
use crate::wire::{ActOrder, Bot, CallRefusal, HostCall, JobEnd, Resource, ResourceReply, RunOrder, RunReply, ScheduleOrder};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// 2026-01-01T00:00:00Z, where the manual clock starts.
const START_SECONDS: i64 = 1_767_225_600;
const RUN: u64 = 1;

/// A host for one run under test. Say what the run is to see, then [`run`](Self::run) a job or [`act`](Self::act).
pub struct TestHost {
    order: RunOrder,
    settings: Value,
    recorder: Recorder,
}

/// What came of a run under test.
#[derive(Clone, Debug)]
pub struct TestReply {
    /// How it ended.
    pub end: JobEnd,
    /// Its output.
    pub output: Option<Value>,
    /// The ends of resources, of a multi-resource job.
    pub resources: Vec<ResourceReply>,
    /// Progress, in order.
    pub progress: Vec<Progress>,
    /// Events of committed trackers, in order. A host stores them only if the run succeeded.
    pub scheduled: Vec<ScheduleOrder>,
    /// Log records of the run's thread, in order.
    pub logs: Vec<LogEntry>,
    /// The plugin's state afterwards.
    pub state: BTreeMap<String, Value>,
    /// The manual clock afterwards.
    pub now: DateTime<Utc>,
}

/// What came of an action under test.
#[derive(Clone, Debug)]
pub struct TestAct {
    /// What it returned; a panic is an error.
    pub result: ActionResult,
    /// Events of committed trackers, in order.
    pub scheduled: Vec<ScheduleOrder>,
    /// Log records of the action's thread, in order.
    pub logs: Vec<LogEntry>,
}

/// One call of [`JobContext::progress`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: Option<u64>,
    /// For people.
    pub note: String,
}

/// One `tracing` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// 1 = error … 5 = trace.
    pub level: u8,
    /// Its target.
    pub target: String,
    /// Message and fields.
    pub message: String,
    /// Open spans, outermost first, joined by `:`.
    pub spans: String,
}

impl TestHost {
    /// First attempt, args `{}`, no resources, no deadline, no settings, an active generation.
    #[must_use]
    pub fn new() -> Self {
        let start = DateTime::from_timestamp(START_SECONDS, 0).unwrap_or_default();
        Self {
            order: RunOrder {
                run: RUN,
                occurrence: "0000000000001.1".to_owned(),
                event_type: "test.job".to_owned(),
                args: json_text(&json!({})),
                attempt: 1,
                scheduled_for: start,
                deadline: None,
                bot: None,
                resources: Vec::new(),
                resources_done: Vec::new(),
                description: None,
                labels: BTreeMap::new(),
            },
            settings: json!({}),
            recorder: Recorder::starting_at(start),
        }
    }

    /// The manual clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.recorder.notes().now
    }

    /// The arguments, as stored.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`.args(json!({…}))` should read well")]
    pub fn args(mut self, args: Value) -> Self {
        self.order.args = json_text(&args);
        self
    }

    /// The plugin's `[settings]`.
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    /// The resources of the event.
    #[must_use]
    pub fn resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        self.order.resources = resources.into_iter().collect();
        self
    }

    /// Ids of resources that succeeded in earlier attempts.
    #[must_use]
    pub fn resources_done<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.order.resources_done = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Which attempt, from 1.
    #[must_use]
    pub fn attempt(mut self, n: u32) -> Self {
        self.order.attempt = n;
        self
    }

    /// The occurrence id, `<event id>.<n>`.
    #[must_use]
    pub fn occurrence(mut self, id: impl Into<String>) -> Self {
        self.order.occurrence = id.into();
        self
    }

    /// On whose behalf.
    #[must_use]
    pub fn bot(mut self, bot: Bot) -> Self {
        self.order.bot = Some(bot);
        self
    }

    /// Asks the run to stop once the manual clock has moved on by so much; zero: from the start. It's also its deadline.
    #[must_use]
    pub fn cancelled_after(mut self, length: impl IntoSpan) -> Self {
        let at = later(self.now(), span::micros(length.into_span()));
        self.order.deadline = Some(at);
        self.recorder.notes().cancel_at = Some(at);
        self
    }

    /// A value of the plugin's state, version 1.
    #[must_use]
    pub fn state(self, key: impl Into<String>, value: Value) -> Self {
        self.recorder.notes().state.insert(key.into(), (value, 1));
        self
    }

    /// Tracker and state answer `NotYetActive`, as within `load`.
    #[must_use]
    pub fn not_yet_active(self) -> Self {
        self.recorder.notes().active = false;
        self
    }

    /// Calls on the host of this kind (`schedule`, `state_get`, `state_put`, `progress`) are refused with this code and sentence.
    #[must_use]
    pub fn refusing(self, call: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        let refusal = CallRefusal { code: code.into(), message: message.into() };
        self.recorder.notes().refusals.insert(call.into(), refusal);
        self
    }

    /// Runs the job on this thread.
    #[must_use]
    pub fn run<T: ScheduledEventJob>(self) -> TestReply {
        set_panic_hook(&crate::built_in::LINK);
        let recorder = Arc::new(self.recorder);
        let door = Door::Stand(recorder.clone());
        let cx = JobContext::new(door.clone(), self.order, self.settings);
        let reply = inside(door, || run_code(JobCode::of::<T>().run, RUN, cx));
        TestReply::of(reply, &recorder.notes())
    }

    /// Calls the action that this test binary (or a library it links) registers under `uid` by `#[action]`.
    #[must_use]
    pub fn act(self, uid: &str, bot: &Bot, matches: &[Resource], non_matches: &[Resource]) -> TestAct {
        set_panic_hook(&crate::built_in::LINK);
        let recorder = Arc::new(self.recorder);
        let order = ActOrder {
            run: RUN,
            uid: uid.to_owned(),
            bot: bot.clone(),
            settings: self.settings,
            matches: matches.to_vec(),
            non_matches: non_matches.to_vec(),
        };
        let code = section::actions().find(|(offer, _)| offer.uid == uid).map(|(_, code)| code);
        let result = match code {
            None => Err(crate::error::PluginError::new(format!("no `#[action(\"{uid}\", …)]` is linked into this test"))),
            Some(code) => inside(Door::Stand(recorder.clone()), || {
                guarded(|| code.call(&order)).unwrap_or_else(|panic| Err(crate::error::PluginError::new(in_words(panic))))
            }),
        };
        let notes = recorder.notes();
        TestAct { result, scheduled: notes.scheduled.clone(), logs: notes.logs.clone() }
    }
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestReply {
    fn of(reply: RunReply, notes: &Notes) -> Self {
        Self {
            end: reply.end,
            output: reply.output.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            resources: reply.resources,
            progress: notes.progress.clone(),
            scheduled: notes.scheduled.clone(),
            logs: notes.logs.clone(),
            state: notes.state.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect(),
            now: notes.now,
        }
    }
}

fn inside<T>(door: Door, work: impl FnOnce() -> T) -> T {
    let _inside = Inside::enter(door, RUN);
    tracing::subscriber::with_default(Bridge::of_everything(), work)
}

fn in_words(panic: Panicked) -> String {
    let place = panic.place.map(|place| format!(" at {place}")).unwrap_or_default();
    format!("panicked{place}: {}", panic.message)
}

fn json_text(value: &impl Serialize) -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value can be written as JSON")
}

fn later(at: DateTime<Utc>, micros: u64) -> DateTime<Utc> {
    let by = i64::try_from(micros).map_or(TimeDelta::MAX, TimeDelta::microseconds);
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The host's side: does what a host would, and remembers it.
struct Recorder {
    notes: Mutex<Notes>,
}

struct Notes {
    now: DateTime<Utc>,
    cancel_at: Option<DateTime<Utc>>,
    active: bool,
    refusals: BTreeMap<String, CallRefusal>,
    progress: Vec<Progress>,
    scheduled: Vec<ScheduleOrder>,
    logs: Vec<LogEntry>,
    state: BTreeMap<String, (Value, i64)>,
}

impl Recorder {
    fn starting_at(now: DateTime<Utc>) -> Self {
        Self {
            notes: Mutex::new(Notes {
                now,
                cancel_at: None,
                active: true,
                refusals: BTreeMap::new(),
                progress: Vec::new(),
                scheduled: Vec::new(),
                logs: Vec::new(),
                state: BTreeMap::new(),
            }),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn is_cancelled(&self) -> bool {
        self.cancel_at.is_some_and(|at| self.now >= at)
    }

    fn refusal(&self, call: &HostCall) -> Option<CallRefusal> {
        let name = match call {
            HostCall::Schedule { .. } => "schedule",
            HostCall::StateGet { .. } => "state_get",
            HostCall::StatePut { .. } => "state_put",
            HostCall::Progress { .. } => "progress",
            HostCall::Prune { .. } => "prune",
        };
        if let Some(refusal) = self.refusals.get(name) {
            return Some(refusal.clone());
        }
        let message = "the generation is not active yet".to_owned();
        (!self.active).then(|| CallRefusal { code: NOT_YET_ACTIVE.to_owned(), message })
    }

    fn put(&mut self, key: &str, value: Value, expected: Option<i64>) -> Value {
        let found = self.state.get(key).map_or(0, |(_, version)| *version);
        if expected.is_some_and(|expected| expected != found) {
            return json!({ "conflict": found });
        }
        if value.is_null() {
            self.state.remove(key);
        } else {
            self.state.insert(key.to_owned(), (value, found + 1));
        }
        json!({ "version": found + 1 })
    }
}

impl HostSide for Recorder {
    fn call(&self, _run: u64, call: &HostCall) -> Result<Value, CallRefusal> {
        let mut notes = self.notes();
        if let Some(refusal) = notes.refusal(call) {
            return Err(refusal);
        }
        Ok(match call {
            HostCall::Schedule { events } => {
                let first = notes.scheduled.len() + 1;
                notes.scheduled.extend(events.iter().cloned());
                (first..).take(events.len()).map(|n| format!("test{n:09}")).collect()
            }
            HostCall::StateGet { key } => {
                let (value, version) = notes.state.get(key).cloned().unwrap_or_default();
                json!({ "value": value, "version": version })
            }
            HostCall::StatePut { key, value, expected } => notes.put(key, value.clone(), *expected),
            HostCall::Progress { done, total, note } => {
                notes.progress.push(Progress { done: *done, total: *total, note: note.clone() });
                Value::Null
            }
            HostCall::Prune { .. } => json!(0),
        })
    }

    fn is_cancelled(&self, _run: u64) -> bool {
        self.notes().is_cancelled()
    }

    fn pause(&self, _run: u64, micros: u64) -> bool {
        let mut notes = self.notes();
        let end = later(notes.now, micros);
        let stop = notes.cancel_at.filter(|at| *at < end);
        notes.now = stop.map_or(end, |at| at.max(notes.now));
        stop.is_none()
    }

    fn now_micros(&self) -> i64 {
        self.notes().now.timestamp_micros()
    }

    fn log(&self, record: LogRecord<'_>) {
        self.notes().logs.push(LogEntry {
            level: record.level,
            target: record.target.as_str().to_owned(),
            message: record.message.as_str().to_owned(),
            spans: record.spans.as_str().to_owned(),
        });
    }
}
