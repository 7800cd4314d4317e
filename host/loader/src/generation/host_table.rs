//! The host's table: the functions that a plugin may call, and how they find the generation that calls.
//!
//! What must hold: a function called with any number, from any thread, at any time, answers and does not panic; what it keeps is copied.

use super::Shared;
use super::calls::refusal;
use super::logs::Verdict;
use crate::runner::bounds::{MESSAGE_MAX, NAME_MAX};
use crate::seam::{LogLine, Report};
use crate::shown::cut;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RVec};
use chrono::Utc;
use parking_lot::RwLock;
use sexton_plugin_api::abi::{HostTable, HostTable_Ref, LogRecord, Reply};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// By connection, a number of this process: the store's numbers could meet when two hosts live in one process.
static CONNECTED: RwLock<BTreeMap<u64, Arc<Shared>>> = RwLock::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

const TABLE: &WithMetadata<HostTable> = &WithMetadata::new(HostTable { log, call, is_cancelled, pause, now_micros });

/// The table, the same for all generations.
pub(super) fn table() -> HostTable_Ref {
    HostTable_Ref(TABLE.static_as_prefix())
}

/// A number that no generation of this process has had.
pub(super) fn new_connection() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// From now on the functions find it.
pub(super) fn enter(shared: &Arc<Shared>) {
    CONNECTED.write().insert(shared.connection, Arc::clone(shared));
}

/// From now on they answer for nobody.
pub(super) fn leave(shared: &Shared) {
    CONNECTED.write().remove(&shared.connection);
}

fn find(connection: u64) -> Option<Arc<Shared>> {
    CONNECTED.read().get(&connection).cloned()
}

extern "C" fn log(connection: u64, record: LogRecord<'_>) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let Some(shared) = find(connection) else { return };
        match shared.logs.admit(record.level, Instant::now()) {
            Verdict::Drop => return,
            Verdict::Pass => {}
            Verdict::PassAfter(line) => shared.report(Report::Log(line)),
        }
        shared.report(Report::Log(LogLine {
            at: Utc::now(),
            run: record.run,
            level: record.level,
            target: cut(record.target.as_str(), NAME_MAX),
            message: cut(record.message.as_str(), MESSAGE_MAX),
            spans: cut(record.spans.as_str(), NAME_MAX),
        }));
    }));
}

extern "C" fn call(connection: u64, run: u64, call: RSlice<'_, u8>) -> Reply {
    let answer = catch_unwind(AssertUnwindSafe(|| match find(connection) {
        Some(shared) => shared.call(run, call.as_slice()),
        None => Err(refusal("API004", "the host knows no such generation any more")),
    }));
    let answer = answer.unwrap_or_else(|_| Err(refusal("API004", "the host failed in this call")));
    let (ok, body) = match &answer {
        Ok(value) => (true, serde_json::to_vec(value)),
        Err(refusal) => (false, serde_json::to_vec(refusal)),
    };
    Reply { ok, body: RVec::from(body.unwrap_or_else(|_| b"null".to_vec())) }
}

extern "C" fn is_cancelled(connection: u64, run: u64) -> bool {
    find(connection).is_none_or(|shared| shared.stops.is_stopped(run))
}

extern "C" fn pause(connection: u64, run: u64, micros: u64) -> bool {
    find(connection).is_some_and(|shared| shared.stops.sleep(run, Duration::from_micros(micros)))
}

extern "C" fn now_micros(_connection: u64) -> i64 {
    Utc::now().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_gets_answers_and_no_panic() {
        let stranger = u64::MAX;
        let reply = (table().call())(stranger, 1, RSlice::from_slice(b"\xff"));
        assert!(!reply.ok && std::str::from_utf8(&reply.body).expect("text").contains("API004"));
        assert!((table().is_cancelled())(stranger, 1));
        assert!(!(table().pause())(stranger, 1, u64::MAX));
        assert!((table().now_micros())(stranger) > 0);
    }
}
