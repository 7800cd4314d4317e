//! Panics become values: caught in the image that raised them, told as text with their place, the payload dropped safely.
//!
//! Not the host's panic handling. What must hold: no panic leaves an entry; the hook never symbolises (a backtrace maps the image's
//! symbols for good); a payload whose own `Drop` panics is survived.

use crate::abi::LogRecord;
use crate::host::{ImageKind, Link};
use crate::wire::{EntryFailure, JobEnd};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

const NO_TEXT: &str = "panic with a payload that is no text";

/// A panic, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    pub(crate) place: Option<String>,
}

impl Panicked {
    pub(crate) fn into_end(self) -> JobEnd {
        JobEnd::Panicked { message: self.message, place: self.place }
    }

    pub(crate) fn into_failure(self) -> EntryFailure {
        EntryFailure { kind: "panic".to_owned(), message: self.message, place: self.place }
    }
}

thread_local! {
    /// How many guards this thread is inside of.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    /// The place of the latest panic on this thread.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work` and turns a panic into a value.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    GUARDS.with(|guards| guards.set(guards.get() + 1));
    let ended = catch_unwind(AssertUnwindSafe(work));
    let caught = ended.map_err(|payload| {
        let place = PLACE.with(|place| place.borrow_mut().take());
        let message = text_of(payload.as_ref()).unwrap_or(NO_TEXT).to_owned();
        if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            // Its drop panicked with yet another payload, which nobody may drop any more: leaked on purpose.
            std::mem::forget(second);
        }
        Panicked { message, place }
    });
    GUARDS.with(|guards| guards.set(guards.get() - 1));
    caught
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied())
}

/// Sets the image's panic hook, once. A plugin has its own std and thereby its own hook; code built into the host shares the
/// host's, so there the hook that was set before keeps everything that happens outside of guards.
pub(crate) fn set_panic_hook(link: &'static Link) {
    static SET: Once = Once::new();
    SET.call_once(|| match link.kind {
        ImageKind::Plugin => set_hook(Box::new(move |panic| {
            if !note(panic) {
                tell(link, panic);
            }
        })),
        ImageKind::BuiltIn => {
            let before = take_hook();
            set_hook(Box::new(move |panic| {
                if !note(panic) {
                    before(panic);
                }
            }));
        }
    });
}

/// Inside a guard: remembers the place for it. Says whether it did.
fn note(panic: &PanicHookInfo<'_>) -> bool {
    if GUARDS.try_with(Cell::get).unwrap_or(0) == 0 {
        return false;
    }
    let noted = PLACE.try_with(|place| place.try_borrow_mut().map(|mut place| *place = panic.location().map(ToString::to_string)));
    matches!(noted, Ok(Ok(())))
}

/// Outside a guard, on a thread that the plugin started: the host's log and standard error hear of it, without a backtrace.
fn tell(link: &'static Link, panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let message = format!("a thread of the plugin panicked at {place}: {}", text_of(panic.payload()).unwrap_or(NO_TEXT));
    eprintln!("{message}");
    let (file, line) = panic.location().map_or(("", 0), |at| (at.file(), at.line()));
    link.door().log(LogRecord {
        run: 0,
        level: 1,
        target: "sexton::panic".into(),
        message: message.as_str().into(),
        spans: "".into(),
        file: file.into(),
        line,
    });
}
