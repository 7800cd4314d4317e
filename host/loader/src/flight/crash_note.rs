//! The note that a dying host leaves in its flight record: which signal, and in whose code.
//!
//! For code placed `in-process`, which takes the host down with it; a runner says its own last words. What must hold: between the signal and the note
//! nothing allocates, locks or unwinds; what would have happened without us happens afterwards; a `kill -9` leaves no note and blames nobody.

use super::form;
use crate::runner::last_words;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, Ordering};

const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// Stands for an `exit` from within plugin code.
pub(super) const EXIT: u32 = 1000;

/// The record's first byte; null when there is none.
static RECORD: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// What handled each signal before.
struct Before(UnsafeCell<[MaybeUninit<libc::sigaction>; SIGNALS.len()]>);

// SAFETY: written once, before the handlers that read it are in force.
unsafe impl Sync for Before {}

static BEFORE: Before = Before(UnsafeCell::new([const { MaybeUninit::uninit() }; SIGNALS.len()]));

/// From now on a deadly end is noted in this record, which outlives the process as a file.
pub(super) fn listen(record: *mut u8) {
    static ONCE: Once = Once::new();
    RECORD.store(record, Ordering::SeqCst);
    ONCE.call_once(|| {
        for (place, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: a zeroed `sigaction` is a valid one; `BEFORE` is ours alone until the handler below is set.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_signal as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut action.sa_mask);
                let before = (*BEFORE.0.get())[place].as_mut_ptr();
                libc::sigaction(signal, std::ptr::null(), before);
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
        // SAFETY: a function of the host's own image.
        unsafe { libc::atexit(on_exit) };
    });
}

/// No record any more: its map is about to go.
pub(super) fn forget(record: *mut u8) {
    let _other = RECORD.compare_exchange(record, std::ptr::null_mut(), Ordering::SeqCst, Ordering::SeqCst);
}

extern "C" fn on_signal(signal: c_int, about: *mut libc::siginfo_t, _: *mut c_void) {
    note(signal.unsigned_abs());
    let Some(place) = SIGNALS.iter().position(|s| *s == signal) else { return };
    // SAFETY: back to what handled it before. A fault comes again by itself at the same instruction; what was sent is sent once more.
    unsafe {
        libc::sigaction(signal, (*BEFORE.0.get())[place].as_ptr(), std::ptr::null_mut());
        if (*about).si_code <= 0 {
            let mut only: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut only);
            libc::sigaddset(&raw mut only, signal);
            libc::raise(signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut());
        }
    }
}

extern "C" fn on_exit() {
    if last_words::generation() != 0 {
        note(EXIT);
    }
}

/// The first note stands: what comes after it is its consequence.
fn note(how: u32) {
    let record = RECORD.load(Ordering::SeqCst);
    if record.is_null() {
        return;
    }
    // SAFETY: the map is longer than the header, aligned, and these places are only ever accessed atomically while it stands.
    unsafe {
        let (place, whose) =
            (AtomicU32::from_ptr(record.add(form::AT_NOTE).cast()), AtomicI64::from_ptr(record.add(form::AT_NOTE_OF).cast()));
        if place.load(Ordering::SeqCst) == 0 {
            whose.store(last_words::generation(), Ordering::SeqCst);
            place.store(how, Ordering::SeqCst);
        }
    }
}
