//! The seam between the host and a generation: orders in, reports out, both owned serde data.
//!
//! Not a trait and not callbacks: no closure, lifetime or `&dyn` of the host crosses it, so that a runner process can stand on the far
//! side as well as threads of this process. What must hold: after `Done` of a run nothing more is reported of it; `Gone` is the last report;
//! everything here can be written by postcard: what the plugin boundary has as JSON travels as JSON text.

use crate::rejection::Rejection;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sexton_plugin_api::wire::{ActOrder, Batch, CallRefusal, EntryFailure, HostCall, LoadOrder, RunOrder, RunReply};

/// Where a generation's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// A process of its own.
    Runner,
    /// Threads of the host's process.
    InProcess,
}

impl Placement {
    /// As rows, settings and the API have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::InProcess => "in-process",
        }
    }
}

impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the host tells a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Call `load`. Answered by `Loaded`.
    Load(#[serde(with = "as_json")] LoadOrder),
    /// Run these. Each is answered by `Started` and `Done`; by `Done` alone if it was cancelled before a thread took it; by `Refused` if it
    /// never will be taken.
    Run(#[serde(with = "as_json")] Vec<RunOrder>),
    /// Call an action. Answered by `Acted`.
    Act(#[serde(with = "as_json")] ActOrder),
    /// Call `migrate_args` for stored args of one type. Answered by `Migrated`.
    Migrate {
        /// Names the question.
        question: u64,
        /// The type.
        event_type: String,
        /// The args as stored, JSON text.
        args: String,
    },
    /// The answer to a `Call`.
    Answer {
        /// The call's number.
        call: u64,
        /// What to say.
        #[serde(with = "as_json")]
        answer: Result<Value, CallRefusal>,
    },
    /// Ask a run or action to stop. A run that had not started is answered by `Done` as cancelled, without `Started`: no plugin code ran.
    Cancel {
        /// Which.
        run: u64,
    },
    /// From now on the plugin may use tracker and state.
    Activate,
    /// Send log records from this level on: 0 = none, 1 = error … 5 = trace.
    LogLevel(u8),
    /// Take no new runs, hand back what is queued and not started as `Refused`, and when the running have ended report `Quiescent`.
    Drain,
    /// Call `unload`, end the threads, close the image, report `Gone`. To be sent after `Quiescent`, also to a generation that is given up:
    /// sent while something runs, `Gone` comes at once (memory lingering) and how those runs end is lost. The sender of the orders is to
    /// be kept until `Gone`: dropping it is `Drain` and `Unload`, and nobody is left to answer the plugin's calls.
    Unload,
    /// End it now, whatever it does. A runner's process dies; threads of the host's own process cannot be killed, so that for them it is
    /// `Unload` of what is given up.
    Kill(Killing),
}

/// What a generation tells the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// `load` returned; or the image was refused. After an `Err` comes `Gone`.
    Loaded(#[serde(with = "as_json")] Result<Batch, Rejection>),
    /// A thread entered the job. Not said of a run that was cancelled before.
    Started {
        /// Which.
        run: u64,
        /// When.
        at: DateTime<Utc>,
    },
    /// Runs that ended.
    Done(#[serde(with = "as_json")] Vec<Ended>),
    /// Runs that came after `Drain` or were still queued when it came: never started, to be handed to somebody else.
    Refused(Vec<u64>),
    /// An action ended.
    Acted {
        /// Which.
        run: u64,
        /// How.
        result: Result<(), EntryFailure>,
    },
    /// What `migrate_args` made of stored args.
    Migrated {
        /// Which question.
        question: u64,
        /// The args, JSON text; or why not.
        result: Result<String, EntryFailure>,
    },
    /// The plugin asks; it waits for `Answer`.
    Call {
        /// Names the call.
        call: u64,
        /// Inside which run or action; 0 = none.
        run: u64,
        /// What.
        #[serde(with = "as_json")]
        request: HostCall,
    },
    /// A log record.
    Log(LogLine),
    /// Nothing runs any more after `Drain`.
    Quiescent,
    /// The life of the generation is over.
    Gone(#[serde(with = "as_json")] Farewell),
}

/// One run that ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// What the job said.
    pub reply: RunReply,
    /// When a thread entered the job.
    pub started_at: DateTime<Utc>,
    /// When it left.
    pub finished_at: DateTime<Utc>,
}

/// One `tracing` event of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: DateTime<Utc>,
    /// In which run; 0 = none.
    pub run: u64,
    /// 1 = error … 5 = trace.
    pub level: u8,
    /// Target.
    pub target: String,
    /// Message and fields.
    pub message: String,
    /// Open spans, outermost first, joined by `:`.
    pub spans: String,
}

/// How a generation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// What became of the memory.
    pub memory: Memory,
    /// What `unload` said, if it failed.
    pub unload: Option<EntryFailure>,
    /// How its process ended, if it did so before its time.
    #[serde(default)]
    pub death: Option<Death>,
}

/// Why the host ends a generation's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killing {
    /// What ends it.
    pub kind: DeathKind,
    /// For people: `run 5f.1 took longer than 30s and did not stop`.
    pub why: String,
    /// The run because of which.
    pub run: Option<u64>,
}

/// How a process ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// What sort of end.
    pub kind: DeathKind,
    /// For people: `signal 11 (SIGSEGV): access to 0x0`.
    pub cause: String,
    /// The run whose thread it happened on, if that is known: the others are innocent.
    pub run: Option<u64>,
}

/// The sorts of ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeathKind {
    /// A signal that nobody of ours sent.
    Signal,
    /// A thread ran over the end of its stack.
    StackOverflow,
    /// It called `exit`.
    Exit,
    /// Memory ran out against its limit.
    MemoryLimit,
    /// Processor time ran out against its limit.
    CpuLimit,
    /// A run, or a step of its life, took longer than its deadline and did not listen.
    Deadline,
    /// It said what is not the protocol.
    Protocol,
    /// An operator wanted it.
    Killed,
    /// The host ends.
    HostEnds,
    /// The process could not be started.
    NotStarted,
}

impl DeathKind {
    /// Whether the plugin is to blame, so that it counts towards quarantine.
    #[must_use]
    pub fn blames_the_plugin(self) -> bool {
        !matches!(self, Self::Killed | Self::HostEnds | Self::NotStarted)
    }
}

/// The observed state of the image after closing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "memory", rename_all = "snake_case")]
pub enum Memory {
    /// Looked: no mapping of it is left.
    Unmapped,
    /// Still mapped, and why.
    Lingering {
        /// For people: which thread, which reason.
        why: String,
    },
    /// There never was an image (built into the host, or refused before opening).
    None,
}

/// A report with its sender, as all generations of a host share one queue.
#[derive(Clone, Debug)]
pub struct Stamped {
    /// Which generation.
    pub generation: i64,
    /// What it says.
    pub report: Report,
}

/// What is JSON at the plugin's boundary travels as JSON text in a frame.
mod as_json {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value).map_err(ser::Error::custom)?.serialize(to)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        // Borrowed from the frame: it is not copied on the way.
        serde_json::from_str(<&str>::deserialize(from)?).map_err(de::Error::custom)
    }
}
