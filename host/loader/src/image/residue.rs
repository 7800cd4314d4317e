//! What a plugin can leave in the process besides threads: handlers of signals.
//!
//! Not a cure: what is left is named, and the image stays open. What must hold: looking changes nothing.

use std::mem::MaybeUninit;

const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// Numbers of the signals whose handler lies in the image at `base`.
pub(super) fn signals_handled_by(base: usize) -> Vec<String> {
    SIGNALS.filter(|signal| handler_of(*signal).is_some_and(|h| crate::image::base_of(h) == Some(base))).map(|s| s.to_string()).collect()
}

fn handler_of(signal: i32) -> Option<usize> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given, so nothing changes; the struct is written when the answer is 0.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } == 0;
    // SAFETY: written by the call above.
    known.then(|| unsafe { action.assume_init() }.sa_sigaction).filter(|handler| *handler > 1)
}
