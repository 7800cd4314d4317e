//! Calls of a plugin to its host that wait for their answers.
//!
//! What must hold: every caller gets an answer: the host's, or a refusal once nobody is there to give one.

use super::Shared;
use crate::seam::Report;
use parking_lot::Mutex;
use serde_json::Value;
use sexton_plugin_api::wire::{CallRefusal, HostCall};
use std::collections::HashMap;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Greatest call, in bytes.
pub(super) const CALL_MAX: usize = 16 << 20;

/// Events of one call, as the host has it: more are refused before they cost the host anything.
const EVENTS_MAX: usize = 10_000;

type Answer = Result<Value, CallRefusal>;

/// Who waits.
pub(super) struct Calls {
    /// `None` once nobody answers any more.
    waiting: Mutex<Option<HashMap<u64, SyncSender<Answer>>>>,
    next: std::sync::atomic::AtomicU64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(HashMap::new())), next: std::sync::atomic::AtomicU64::new(1) }
    }
}

impl Calls {
    /// Hands an answer over. One that nobody waits for is dropped.
    pub(super) fn answer(&self, call: u64, answer: Answer) {
        let waiting = self.waiting.lock().as_mut().and_then(|calls| calls.remove(&call));
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }

    /// Nobody answers any more: those who wait are refused, as is whoever comes.
    pub(super) fn close(&self) {
        self.waiting.lock().take();
    }
}

impl Shared {
    /// Asks the host and waits.
    pub(super) fn call(&self, run: u64, request: &[u8]) -> Answer {
        if !self.is_active() {
            return Err(refusal("API002", "not yet active: `load` may only register; tracker and state can be used from the first run on"));
        }
        if request.len() > CALL_MAX {
            return Err(refusal("API001", format!("the call has {} bytes, at most {CALL_MAX} are taken", request.len())));
        }
        let request: HostCall =
            serde_json::from_slice(request).map_err(|e| refusal("API001", format!("the call is not understood: {e}")))?;
        if let HostCall::Schedule { events } = &request
            && events.len() > EVENTS_MAX
        {
            return Err(refusal("INP015", format!("{} events in one call, at most {EVENTS_MAX} are taken", events.len())));
        }
        let call = self.calls.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (to_me, answer) = sync_channel(1);
        let nobody = || refusal("API004", "the host takes no more calls of this generation");
        match self.calls.waiting.lock().as_mut() {
            Some(waiting) => waiting.insert(call, to_me),
            None => return Err(nobody()),
        };
        self.report(Report::Call { call, run, request });
        answer.recv().unwrap_or_else(|_| Err(nobody()))
    }
}

pub(super) fn refusal(code: &str, message: impl Into<String>) -> CallRefusal {
    CallRefusal { code: code.to_owned(), message: message.into() }
}
