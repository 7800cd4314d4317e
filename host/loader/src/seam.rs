//! The seam between the host and a generation: orders in, reports out, both owned serde data.
//!
//! Not a trait and not callbacks: no closure, lifetime or `&dyn` of the host crosses it, so that a runner process can stand on the far
//! side as well as threads of this process. What must hold: after `Done` of a run nothing more is reported of it; `Gone` is the last report.

use crate::rejection::Rejection;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sexton_plugin_api::wire::{ActOrder, Batch, CallRefusal, EntryFailure, HostCall, LoadOrder, RunOrder, RunReply};

/// What the host tells a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Call `load`. Answered by `Loaded`.
    Load(LoadOrder),
    /// Run these. Each is answered by `Started` and `Done`; by `Done` alone if it was cancelled before a thread took it; by `Refused` if it
    /// never will be taken.
    Run(Vec<RunOrder>),
    /// Call an action. Answered by `Acted`.
    Act(ActOrder),
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
}

/// What a generation tells the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// `load` returned; or the image was refused. After an `Err` comes `Gone`.
    Loaded(Result<Batch, Rejection>),
    /// A thread entered the job. Not said of a run that was cancelled before.
    Started {
        /// Which.
        run: u64,
        /// When.
        at: DateTime<Utc>,
    },
    /// Runs that ended.
    Done(Vec<Ended>),
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
        request: HostCall,
    },
    /// A log record.
    Log(LogLine),
    /// Nothing runs any more after `Drain`.
    Quiescent,
    /// The life of the generation is over.
    Gone(Farewell),
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
