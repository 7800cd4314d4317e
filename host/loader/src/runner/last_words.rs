//! What a dying runner says of its end: one line on its standard error, written from a signal handler or an exit handler.
//!
//! Not the end itself: the process dies by the same signal afterwards. What must hold: between the signal and the line nothing allocates, locks or
//! unwinds; a line that the plugin has forged changes the words about its own death and nothing else.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// How such a line begins; the plugin's own lines do not hold a zero byte.
const MARK: &str = "\0sexton-last-words ";
/// A fault this near to the stack pointer is the stack's end.
const NEAR: usize = 64 << 10;
const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// Bytes of the stack on which the handler runs.
const ALTERNATE: usize = 64 << 10;

thread_local! {
    /// The run whose job this thread is inside of; 0 = none.
    static RUN: Cell<u64> = const { Cell::new(0) };
    /// The generation whose code it is inside of; 0 = none.
    static GENERATION: Cell<i64> = const { Cell::new(0) };
}

/// Set in a runner: a host's own end is nobody's last words.
static LISTENING: AtomicBool = AtomicBool::new(false);
static ENDING: AtomicBool = AtomicBool::new(false);

/// What the line said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastWords {
    /// The signal; 0 for an exit.
    pub signal: i32,
    /// Its `si_code`.
    pub code: i32,
    /// The address of the fault.
    pub address: usize,
    /// The fault lies at the end of a stack.
    pub stack: bool,
    /// The run of the thread; 0 = none.
    pub run: u64,
}

/// Says which run of which generation this thread is inside of; zeros when it has left.
pub(crate) fn entered(run: u64, generation: i64) {
    let _ending = RUN.try_with(|r| r.set(run));
    let _ending = GENERATION.try_with(|g| g.set(generation));
}

/// The generation whose code the calling thread is inside of; 0 = none.
pub(crate) fn generation() -> i64 {
    GENERATION.try_with(Cell::get).unwrap_or_default()
}

/// From now on a deadly signal, and `exit`, leave their line. Called once, in a runner, before the plugin is opened.
pub(super) fn listen() {
    LISTENING.store(true, Ordering::SeqCst);
    for signal in SIGNALS {
        // SAFETY: a zeroed `sigaction` is a valid one; the handler keeps to what may be done in a handler.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
    // SAFETY: the handler is a function of this image, which is never closed.
    unsafe { libc::atexit(on_exit) };
}

/// The process ends by our own doing: `exit` says nothing.
pub(super) fn hush() {
    ENDING.store(true, Ordering::SeqCst);
}

/// In a runner: gives the calling thread a stack for the handler, unless it has one: a thread that the plugin made has none, and a signal for the end of
/// its stack could not be delivered. Leaked: it is needed until the thread is gone.
pub(crate) fn stand_ready() {
    if !LISTENING.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: `sigaltstack` reads and writes the structs given; the new stack is never freed.
    unsafe {
        let mut now: libc::stack_t = std::mem::zeroed();
        if libc::sigaltstack(std::ptr::null(), &raw mut now) != 0 || now.ss_flags & libc::SS_DISABLE == 0 {
            return;
        }
        let stack = libc::mmap(
            std::ptr::null_mut(),
            ALTERNATE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
            -1,
            0,
        );
        if stack != libc::MAP_FAILED {
            let given = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: ALTERNATE };
            libc::sigaltstack(&raw const given, std::ptr::null_mut());
        }
    }
}

extern "C" fn on_signal(signal: c_int, about: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives both pointers to a handler set with SA_SIGINFO.
    let (code, address, stack) = unsafe { ((*about).si_code, (*about).si_addr() as usize, stack_pointer(context)) };
    let is_fault = matches!(signal, libc::SIGSEGV | libc::SIGBUS) && code > 0;
    let words = LastWords {
        signal,
        code,
        address: if is_fault { address } else { 0 },
        stack: is_fault && stack != 0 && address.abs_diff(stack) < NEAR,
        run: RUN.try_with(Cell::get).unwrap_or_default(),
    };
    hush();
    say(&words);
    // SAFETY: back to the kernel's own way, then once more: a fault comes again by itself at the same instruction, an `abort` does not.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        if code <= 0 {
            let mut only: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut only);
            libc::sigaddset(&raw mut only, signal);
            libc::raise(signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut());
        }
    }
}

/// Where the thread's stack stood; 0 where that is not known.
unsafe fn stack_pointer(context: *mut c_void) -> usize {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the third argument of such a handler is a `ucontext_t`.
    let at = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[usize::try_from(libc::REG_RSP).unwrap_or_default()] }
        .cast_unsigned();
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    let at = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp };
    usize::try_from(at).unwrap_or_default()
}

extern "C" fn on_exit() {
    if !ENDING.load(Ordering::SeqCst) {
        say(&LastWords { run: RUN.try_with(Cell::get).unwrap_or_default(), ..LastWords::default() });
    }
}

/// One `write` of less than a pipe takes whole.
fn say(words: &LastWords) {
    let mut line = [0_u8; 160];
    let mut room = &mut line[..];
    let LastWords { signal, code, address, stack, run } = words;
    // A leading line break ends whatever the plugin had begun to say.
    let written = write!(room, "\n{MARK}{signal} {code} {address} {} {run}\n", u8::from(*stack));
    let left = room.len();
    if written.is_ok() {
        // SAFETY: the bytes are ours; a failed write is nobody's trouble any more.
        unsafe { libc::write(2, line.as_ptr().cast(), line.len() - left) };
    }
}

/// Reads such a line.
pub(super) fn read(line: &str) -> Option<LastWords> {
    let mut words = line.strip_prefix(MARK)?.split(' ');
    let mut number = || words.next();
    Some(LastWords {
        signal: number()?.parse().ok()?,
        code: number()?.parse().ok()?,
        address: number()?.parse().ok()?,
        stack: number()? == "1",
        run: number()?.trim_end().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_others_are_not() {
        let line = format!("{MARK}11 1 140737488351232 1 42");
        let words = LastWords { signal: 11, code: 1, address: 140_737_488_351_232, stack: true, run: 42 };
        assert_eq!(read(&line), Some(words));
        for other in ["sexton-last-words 11 1 0 0 0", "", "\0sexton-last-words 11", "\0sexton-last-words a b c d e"] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
