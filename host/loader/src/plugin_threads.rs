//! Threads that plugins start themselves: every `pthread_create` of the process passes here, and those whose code lies outside the
//! host's executable are remembered until they end.
//!
//! Closing an image under a running thread kills the process; comparing thread lists cannot tell a plugin's thread from a new one of the
//! host. What must hold: a thread is remembered before it exists, and forgotten only when the kernel knows it no more.

use crate::pthread_keys::{is_ours, real};
use parking_lot::Mutex;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Start = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Start, *mut c_void) -> c_int;

static REAL_CREATE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static NEXT: AtomicU64 = AtomicU64::new(0);
static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());
/// From so many on, ended threads are forgotten when another starts.
const SWEEP_FROM: usize = 32;
const GRACE: Duration = Duration::from_millis(500);

/// A thread that is no host thread.
struct Started {
    id: u64,
    /// Address of its first function.
    code: usize,
    /// Its number and when it started, by the kernel's count; `None` until it runs.
    task: Option<(i32, u64)>,
}

/// What the new thread is told.
struct Launch {
    id: u64,
    start: Start,
    argument: *mut c_void,
}

unsafe extern "C" {
    // Made by the linker: the first and the last byte of the executable.
    static __executable_start: u8;
    static _end: u8;
}

fn is_of_the_host(code: usize) -> bool {
    let (from, to) = (&raw const __executable_start as usize, &raw const _end as usize);
    from <= code && code < to
}

/// The C library's function, with a record of threads that run code of plugins.
///
/// # Safety
/// As `pthread_create(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    let real = real(&REAL_CREATE, c"pthread_create");
    if real.is_null() {
        return libc::EAGAIN;
    }
    // SAFETY: the C library's symbol of that name has this signature.
    let create: Create = unsafe { std::mem::transmute(real) };
    if is_of_the_host(start as usize) {
        // SAFETY: the caller keeps the contract of `pthread_create`.
        return unsafe { create(thread, attributes, start, argument) };
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    remember(Started { id, code: start as usize, task: None });
    let launch = Box::into_raw(Box::new(Launch { id, start, argument }));
    // SAFETY: the caller's contract; `first` takes the box back, once.
    let answer = unsafe { create(thread, attributes, first, launch.cast()) };
    if answer != 0 {
        // SAFETY: no thread was made, so nobody else has the box.
        drop(unsafe { Box::from_raw(launch) });
        STARTED.lock().retain(|s| s.id != id);
    }
    answer
}

/// What such a thread runs first. It owns nothing while the plugin's function runs: `pthread_exit` may unwind through it.
unsafe extern "C-unwind" fn first(launch: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` above made it for this thread alone.
    let Launch { id, start, argument } = *unsafe { Box::from_raw(launch.cast::<Launch>()) };
    crate::runner::last_words::stand_ready();
    let task = this_task();
    if let Some(started) = STARTED.lock().iter_mut().find(|s| s.id == id) {
        started.task = Some(task);
    }
    // SAFETY: function and argument are those given to `pthread_create`.
    unsafe { start(argument) }
}

fn remember(started: Started) {
    let mut list = STARTED.lock();
    if list.len() >= SWEEP_FROM {
        list.retain(is_alive);
    }
    list.push(started);
}

fn this_task() -> (i32, u64) {
    let task = rustix::thread::gettid().as_raw_nonzero().get();
    (task, start_time(task).unwrap_or_default())
}

/// A number may be given again; with the start time it names one thread.
fn is_alive(started: &Started) -> bool {
    started.task.is_none_or(|(task, at)| start_time(task) == Some(at))
}

/// Field 22 of the task's `stat`, counted after the name (which may hold anything).
fn start_time(task: i32) -> Option<u64> {
    let text = std::fs::read(format!("/proc/self/task/{task}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Names of the living threads whose code lies in the image at `base`. Waits a moment for those that are about to end.
pub(crate) fn left_by(base: usize) -> Vec<String> {
    let patience = Instant::now() + GRACE;
    loop {
        let left: Vec<Option<i32>> = {
            let mut list = STARTED.lock();
            list.retain(is_alive);
            list.iter().filter(|s| crate::image::base_of(s.code) == Some(base)).map(|s| s.task.map(|t| t.0)).collect()
        };
        if left.is_empty() || Instant::now() >= patience {
            return left.into_iter().map(name_of).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn name_of(task: Option<i32>) -> String {
    let Some(task) = task else { return "a thread that is about to start".to_owned() };
    let name = std::fs::read_to_string(format!("/proc/self/task/{task}/comm")).unwrap_or_default();
    format!("`{}` (task {task})", name.trim_end())
}

/// Whether a plugin that is opened now would call this wrapper.
pub(crate) fn threads_are_watched() -> bool {
    static WATCHED: OnceLock<bool> = OnceLock::new();
    *WATCHED.get_or_init(|| is_ours(c"pthread_create", pthread_create as *const c_void))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapper_is_in_force_and_host_threads_pass_unrecorded() {
        assert!(threads_are_watched());
        let here = crate::image::base_of(start_time as *const () as usize).expect("this test lies in an image");
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        assert!(left_by(here).is_empty(), "a thread of the host is no plugin's");
        drop(stop);
        assert!(thread.join().expect("ended").is_err());
    }

    #[test]
    fn a_thread_is_known_by_number_and_start() {
        let (task, at) = this_task();
        assert!(at > 0);
        assert!(is_alive(&Started { id: 0, code: 0, task: Some((task, at)) }));
        assert!(!is_alive(&Started { id: 0, code: 0, task: Some((task, at + 1)) }));
    }
}
