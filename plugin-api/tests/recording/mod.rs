//! A host that records: the functions of the table, in this process, for tests that go through the boundary.
//!
//! Not `sexton_plugin_api::testing` (that skips the tables). What must hold: several of them live side by side, told apart by generation.
#![allow(dead_code, missing_docs, reason = "each test binary uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "only tests use it, and their panic is their report")]

pub mod image;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RSlice;
use serde_json::{Value, json};
use sexton_plugin_api::abi::{HostTable, HostTable_Ref, LogRecord, PluginRoot_Ref, Reply};
use sexton_plugin_api::wire::*;
use sexton_plugin_api::{abi, serde_json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);
static NOTES: Mutex<BTreeMap<u64, Notes>> = Mutex::new(BTreeMap::new());

#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Tracker and state answer `NotYetActive` until it is true.
    pub active: bool,
    /// Calls with the run they came from.
    pub calls: Vec<(u64, HostCall)>,
    pub logs: Vec<Log>,
    pub cancelled: Vec<u64>,
    pub clock_micros: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub run: u64,
    pub level: u8,
    pub target: String,
    pub message: String,
    pub spans: String,
}

/// One generation as its host sees it.
pub struct Recording {
    pub generation: u64,
    pub root: PluginRoot_Ref,
}

impl Recording {
    pub fn of(root: PluginRoot_Ref) -> Self {
        let generation = NEXT.fetch_add(1, Ordering::Relaxed);
        NOTES.lock().unwrap().insert(generation, Notes { clock_micros: 1_767_225_600_000_000, ..Notes::default() });
        Self { generation, root }
    }

    /// Loads with settings `{}` at level debug, and activates.
    pub fn loaded(root: PluginRoot_Ref) -> (Self, Batch) {
        let this = Self::of(root);
        let batch = this.load().unwrap_or_else(|failure| panic!("load failed: {failure:?}"));
        this.notes(|notes| notes.active = true);
        (this, batch)
    }

    pub fn load(&self) -> Result<Batch, EntryFailure> {
        self.load_with(&LoadOrder { plugin: "under-test".into(), settings: json!({}), log_level: 4 })
    }

    pub fn load_with(&self, order: &LoadOrder) -> Result<Batch, EntryFailure> {
        let order = serde_json::to_vec(order).unwrap();
        reply(&(self.root.load())(table(), self.generation, order.as_slice().into()))
    }

    pub fn run(&self, order: &RunOrder) -> RunReply {
        let order = serde_json::to_vec(order).unwrap();
        reply::<RunReply, Value>(&(self.root.run())(order.as_slice().into())).expect("a run always answers")
    }

    pub fn act(&self, order: &ActOrder) -> Result<Value, EntryFailure> {
        let order = serde_json::to_vec(order).unwrap();
        reply(&(self.root.act())(order.as_slice().into()))
    }

    pub fn migrate(&self, event_type: &str, args: &Value) -> Result<Value, EntryFailure> {
        let args = serde_json::to_vec(args).unwrap();
        reply(&(self.root.migrate())(event_type.into(), args.as_slice().into()))
    }

    pub fn unload(&self) -> Result<Value, EntryFailure> {
        reply(&(self.root.unload())())
    }

    pub fn notes<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(NOTES.lock().unwrap().get_mut(&self.generation).expect("made in `of`"))
    }

    pub fn logs(&self) -> Vec<Log> {
        self.notes(|notes| notes.logs.clone())
    }

    /// The events of all `Schedule` calls, with the run they came from.
    pub fn scheduled(&self) -> Vec<(u64, ScheduleOrder)> {
        let calls = self.notes(|notes| notes.calls.clone());
        let of = |(run, call)| match call {
            HostCall::Schedule { events } => events.into_iter().map(|event| (run, event)).collect(),
            _ => Vec::new(),
        };
        calls.into_iter().flat_map(of).collect()
    }
}

/// An order to run with defaults for what a test does not care about.
pub fn order(run: u64, event_type: &str, args: &Value) -> RunOrder {
    serde_json::from_value(json!({
        "run": run,
        "occurrence": format!("0000000000001.{run}"),
        "event_type": event_type,
        "args": args,
        "attempt": 1,
        "scheduled_for": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

fn reply<T: serde::de::DeserializeOwned, E: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, E> {
    let read = |what| format!("{what} not understood: {}", String::from_utf8_lossy(&reply.body));
    if reply.ok {
        Ok(serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{}", read("answer"))))
    } else {
        Err(serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{}", read("failure"))))
    }
}

pub fn table() -> HostTable_Ref {
    const TABLE: &WithMetadata<HostTable> = &WithMetadata::new(HostTable { log, call, is_cancelled, pause, now_micros });
    HostTable_Ref(TABLE.static_as_prefix())
}

fn with<T>(generation: u64, look: impl FnOnce(&mut Notes) -> T) -> T {
    let mut all = NOTES.lock().unwrap();
    look(all.get_mut(&generation).expect("a generation that was handed out"))
}

extern "C" fn log(generation: u64, record: LogRecord<'_>) {
    let log = Log {
        run: record.run,
        level: record.level,
        target: record.target.as_str().into(),
        message: record.message.as_str().into(),
        spans: record.spans.as_str().into(),
    };
    with(generation, |notes| notes.logs.push(log));
}

extern "C" fn call(generation: u64, run: u64, call: RSlice<'_, u8>) -> Reply {
    let call: HostCall = serde_json::from_slice(&call).expect("a call is understood");
    let answer = with(generation, |notes| {
        notes.calls.push((run, call.clone()));
        if !notes.active {
            return Err(CallRefusal { code: "API002".into(), message: "the generation is not active yet".into() });
        }
        Ok(match call {
            HostCall::Schedule { events } => (0..events.len()).map(|n| format!("id{n}")).collect(),
            HostCall::StateGet { .. } => json!({ "value": null, "version": 0 }),
            HostCall::StatePut { .. } => json!({ "version": 1 }),
            HostCall::Progress { .. } => Value::Null,
            HostCall::Prune { .. } => json!(0),
        })
    });
    match answer {
        Ok(value) => Reply { ok: true, body: serde_json::to_vec(&value).unwrap().into() },
        Err(refusal) => Reply { ok: false, body: serde_json::to_vec(&refusal).unwrap().into() },
    }
}

extern "C" fn is_cancelled(generation: u64, run: u64) -> bool {
    with(generation, |notes| notes.cancelled.contains(&run))
}

extern "C" fn pause(generation: u64, run: u64, micros: u64) -> bool {
    with(generation, |notes| {
        notes.clock_micros += i64::try_from(micros).unwrap();
        !notes.cancelled.contains(&run)
    })
}

extern "C" fn now_micros(generation: u64) -> i64 {
    with(generation, |notes| notes.clock_micros)
}

pub const API: (u32, u32) = (abi::API_MAJOR, abi::API_MINOR);
