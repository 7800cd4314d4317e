//! The way from plugin code to its host: the host's table, or a recording stand-in under test.
//!
//! Not the author's handle (that is [`crate::host::Host`]). What must hold: what the host made (an answer's buffer) is dropped inside
//! the call that brought it; no lock is held across a call to the host.

use crate::abi::{HostTable_Ref, LogRecord};
use crate::wire::{CallRefusal, HostCall};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::cell::RefCell;
use std::sync::Arc;

/// The code with which a host answers tracker and state calls before the generation is active.
pub(crate) const NOT_YET_ACTIVE: &str = "API002";
/// The code of an answer that cannot be read.
const UNREADABLE: &str = "API003";

/// What a host does for a plugin. The table does it, and so does the stand-in of [`crate::testing`].
pub(crate) trait HostSide: Send + Sync {
    fn call(&self, run: u64, call: &HostCall) -> Result<Value, CallRefusal>;
    fn is_cancelled(&self, run: u64) -> bool;
    fn pause(&self, run: u64, micros: u64) -> bool;
    fn now_micros(&self) -> i64;
    fn log(&self, record: LogRecord<'_>);
}

/// A host reached, or not.
#[derive(Clone)]
pub(crate) enum Door {
    /// Before `load` and after `unload`.
    Shut,
    /// The table that `load` brought.
    Table(TableSide),
    /// A test's.
    Stand(Arc<dyn HostSide>),
}

/// The host's table together with the number that the host gave this generation.
#[derive(Clone, Copy)]
pub(crate) struct TableSide {
    pub(crate) table: HostTable_Ref,
    pub(crate) generation: u64,
}

impl HostSide for TableSide {
    fn call(&self, run: u64, call: &HostCall) -> Result<Value, CallRefusal> {
        let request = serde_json::to_vec(call).map_err(|e| unreadable(&format!("the call cannot be written as JSON: {e}")))?;
        let reply = (self.table.call())(self.generation, run, request.as_slice().into());
        if reply.ok {
            serde_json::from_slice(&reply.body).map_err(|e| unreadable(&format!("the host's answer is not JSON: {e}")))
        } else {
            let refusal = serde_json::from_slice(&reply.body);
            Err(refusal.unwrap_or_else(|e| unreadable(&format!("the host's refusal is not understood: {e}"))))
        }
    }

    fn is_cancelled(&self, run: u64) -> bool {
        (self.table.is_cancelled())(self.generation, run)
    }

    fn pause(&self, run: u64, micros: u64) -> bool {
        (self.table.pause())(self.generation, run, micros)
    }

    fn now_micros(&self) -> i64 {
        (self.table.now_micros())(self.generation)
    }

    fn log(&self, record: LogRecord<'_>) {
        (self.table.log())(self.generation, record);
    }
}

impl Door {
    fn side(&self) -> Option<&dyn HostSide> {
        match self {
            Self::Shut => None,
            Self::Table(side) => Some(side),
            Self::Stand(side) => Some(side.as_ref()),
        }
    }

    pub(crate) fn call(&self, run: u64, call: &HostCall) -> Result<Value, CallRefusal> {
        self.side().map_or_else(|| Err(shut()), |side| side.call(run, call))
    }

    pub(crate) fn is_cancelled(&self, run: u64) -> bool {
        self.side().is_some_and(|side| side.is_cancelled(run))
    }

    pub(crate) fn pause(&self, run: u64, micros: u64) -> bool {
        self.side().is_none_or(|side| side.pause(run, micros))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        let told = self.side().and_then(|side| DateTime::from_timestamp_micros(side.now_micros()));
        told.unwrap_or_else(Utc::now)
    }

    pub(crate) fn log(&self, record: LogRecord<'_>) {
        if let Some(side) = self.side() {
            side.log(record);
        }
    }
}

fn shut() -> CallRefusal {
    CallRefusal {
        code: NOT_YET_ACTIVE.to_owned(),
        message: "no host is reached: `load` has not been called, or `unload` has returned".to_owned(),
    }
}

pub(crate) fn unreadable(why: &str) -> CallRefusal {
    CallRefusal { code: UNREADABLE.to_owned(), message: why.to_owned() }
}

/// What this thread is doing for the host right now.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) door: Door,
    pub(crate) run: u64,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// While this lives, the thread is inside a call from the host; afterwards it is what it was before.
pub(crate) struct Inside {
    before: Option<Current>,
}

impl Inside {
    pub(crate) fn enter(door: Door, run: u64) -> Self {
        Self { before: CURRENT.with(|current| current.replace(Some(Current { door, run }))) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let before = self.before.take();
        CURRENT.with(|current| current.replace(before));
    }
}

/// The call that this thread is inside of, if it is.
pub(crate) fn current() -> Option<Current> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}
