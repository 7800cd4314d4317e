//! Calls of a plugin to its host that wait for their answers.
//!
//! What must hold: every caller gets an answer: the host's, or a refusal once nobody is there to give one.

use super::Shared;
use crate::runner::bounds::{CALL_MAX, EVENTS_MAX, OPEN_CALLS_BYTES_MAX, OPEN_CALLS_MAX};
use crate::runner::weight;
use crate::seam::Report;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use sexton_plugin_api::wire::{CallRefusal, HostCall};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

type Answer = Result<Value, CallRefusal>;

/// Who waits.
pub(super) struct Calls {
    open: Mutex<Open>,
    /// One was answered, or nobody answers any more.
    room: Condvar,
}

struct Open {
    /// `None` once nobody answers any more.
    waiting: Option<HashMap<u64, (SyncSender<Answer>, usize)>>,
    /// Memory of the host that those who wait take together.
    bytes: usize,
    next: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { open: Mutex::new(Open { waiting: Some(HashMap::new()), bytes: 0, next: 1 }), room: Condvar::new() }
    }
}

impl Calls {
    /// Hands an answer over. One that nobody waits for is dropped.
    pub(super) fn answer(&self, call: u64, answer: Answer) {
        let mut open = self.open.lock();
        let waiting = open.waiting.as_mut().and_then(|calls| calls.remove(&call));
        if let Some((waiting, bytes)) = waiting {
            open.bytes -= bytes;
            // One large call may have held up several small ones.
            self.room.notify_all();
            let _ = waiting.send(answer);
        }
    }

    /// Nobody answers any more: those who wait are refused, as is whoever comes.
    pub(super) fn close(&self) {
        self.open.lock().waiting.take();
        self.room.notify_all();
    }

    /// Waits for room, since a host takes only so many at a time; `None` once nobody answers any more.
    fn enter(&self, bytes: usize) -> Option<(u64, Receiver<Answer>)> {
        let (to_me, answer) = sync_channel(1);
        let mut open = self.open.lock();
        loop {
            let Open { waiting, bytes: taken, next } = &mut *open;
            let waiting = waiting.as_mut()?;
            if waiting.len() < OPEN_CALLS_MAX && *taken + bytes <= OPEN_CALLS_BYTES_MAX {
                let call = *next;
                waiting.insert(call, (to_me, bytes));
                (*taken, *next) = (*taken + bytes, call + 1);
                return Some((call, answer));
            }
            self.room.wait(&mut open);
        }
    }
}

impl Shared {
    /// Asks the host and waits.
    pub(super) fn call(&self, run: u64, request: &[u8]) -> Answer {
        if !self.is_active() {
            return Err(refusal("API002", "not yet active: `load` may only register; tracker and state can be used from the first run on"));
        }
        let (request, bytes) = understood(request)?;
        let nobody = || refusal("API004", "the host takes no more calls of this generation");
        let (call, answer) = self.calls.enter(bytes).ok_or_else(nobody)?;
        self.report(Report::Call { call, run, request });
        answer.recv().unwrap_or_else(|_| Err(nobody()))
    }
}

/// Reads a call, within what a host takes; with the memory that it takes there.
fn understood(request: &[u8]) -> Result<(HostCall, usize), CallRefusal> {
    let too_long = |bytes: usize| refusal("API001", format!("the call has {bytes} bytes, at most {CALL_MAX} are taken"));
    let unclear = |why: &dyn std::fmt::Display| refusal("API001", format!("the call is not understood: {why}"));
    if request.len() > CALL_MAX {
        return Err(too_long(request.len()));
    }
    let text = std::str::from_utf8(request).map_err(|e| unclear(&e))?;
    weight::weigh(text).map_err(|why| refusal("API001", format!("the call is {why}")))?;
    let request: HostCall = serde_json::from_str(text).map_err(|e| unclear(&e))?;
    if let HostCall::Schedule { events } = &request
        && events.len() > EVENTS_MAX
    {
        return Err(refusal("INP015", format!("{} events in one call, at most {EVENTS_MAX} are taken", events.len())));
    }
    // What was left out, with its default, is longer than what came.
    let told = serde_json::to_string(&request).map_err(|e| unclear(&e))?;
    if told.len() > CALL_MAX {
        return Err(too_long(told.len()));
    }
    let bytes = weight::weigh(&told).map_err(|why| refusal("API001", format!("the call is {why}")))?;
    Ok((request, bytes))
}

pub(super) fn refusal(code: &str, message: impl Into<String>) -> CallRefusal {
    CallRefusal { code: code.to_owned(), message: message.into() }
}
