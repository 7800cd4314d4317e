//! The far side: what the process does that the host started as `sexton runner`.
//!
//! Not a host: it knows no store and no schedule. What must hold: everything a run reports before its process dies has been handed to the kernel
//! by then (`Started` before the job is entered); the process ends when the host does.

use super::frame::{self, Inbox};
use super::{Start, ToHost, ToRunner, last_words, warden};
use crate::confine;
use crate::generation::{self, Opening};
use crate::rejection::Rejection;
use crate::seam::{Farewell, Memory, Report};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

/// The descriptor that the host gives.
const SOCKET: i32 = 3;
/// So many bytes are gathered before they are written.
const AT_ONCE: usize = 64 << 10;
/// Said to somebody who typed the command.
const FOR_HOSTS: &str = "sexton runner: hosts start this by themselves, with a socket; `sexton serve` is what you want";

/// The process of `sexton runner`: it never returns. The caller has started no thread.
pub fn serve() -> ! {
    if !is_socket(SOCKET) {
        eprintln!("{FOR_HOSTS}");
        std::process::exit(2);
    }
    warden::prepare();
    let own = std::process::id().cast_signed();
    // SAFETY: the process has one thread, so that the child may do everything.
    match unsafe { libc::fork() } {
        0 => {
            warden::leave(own);
            run();
            // SAFETY: ends the process without running anything of the plugin's.
            unsafe { libc::_exit(0) }
        }
        -1 => {
            eprintln!("sexton runner: no second process can be had: {}", io::Error::last_os_error());
            // SAFETY: as above.
            unsafe { libc::_exit(1) }
        }
        child => warden::watch(child),
    }
}

fn is_socket(descriptor: i32) -> bool {
    let mut kind = 0;
    let mut size = 4;
    // SAFETY: asks only; the number may name nothing at all.
    unsafe { libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut size) == 0 }
}

/// The runner: one library, until the host closes the socket or the generation is gone.
fn run() {
    // SAFETY: the host's gift, and nobody else's in this process. What the plugin starts shall not have it.
    let mut socket = unsafe {
        libc::fcntl(SOCKET, libc::F_SETFD, libc::FD_CLOEXEC);
        UnixStream::from(OwnedFd::from_raw_fd(SOCKET))
    };
    let Ok(writer) = socket.try_clone() else { return };
    let wire = Arc::new(Wire { waiting: Mutex::default(), socket: Mutex::new(writer) });
    let mut inbox = Inbox::default();
    let Some(ToRunner::Start(start)) = next(&mut inbox, &mut socket) else { return };
    name_process(&start.plugin);
    let held = open_for_another_user(&start);
    if let Err(rejection) = confine(&start, &wire) {
        wire.send(Report::Loaded(Err(rejection)));
        wire.send(Report::Gone(Farewell { memory: Memory::None, unload: None, death: None }));
        return;
    }
    last_words::listen();
    let Start { plugin, generation, image, threads, confinement, .. } = *start;
    let image = held.as_ref().map_or(image, |file| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
    let opening = Opening { plugin, generation, image, threads, log_lines: confinement.limits.log_lines };
    let mut orders = Some(generation::open_on_wire(opening, Arc::clone(&wire)));
    while let Some(message) = next(&mut inbox, &mut socket) {
        match message {
            ToRunner::Orders(list) => {
                for order in list {
                    // The desk reads until this end is dropped.
                    let _ended = orders.as_ref().map(|o| o.send(order));
                }
            }
            ToRunner::HangUp => orders = None,
            ToRunner::Start(_) => return,
        }
    }
    // The host has gone, or its word is not the protocol: the warden takes the rest along.
}

fn next(inbox: &mut Inbox, socket: &mut UnixStream) -> Option<ToRunner> {
    loop {
        match inbox.take() {
            Ok(Some(message)) => return Some(message),
            Ok(None) => {}
            Err(error) => {
                eprintln!("sexton runner: the host's word is not understood: {error}");
                return None;
            }
        }
        if !inbox.fill(socket).unwrap_or(false) {
            return None;
        }
    }
}

/// The copy lies where only the host's user may look: another user opens it through the descriptor, which is never closed, so that the name is
/// never another file's.
fn open_for_another_user(start: &Start) -> Option<File> {
    start.confinement.run_as.as_ref().and_then(|_| File::open(&start.image).ok())
}

fn confine(start: &Start, wire: &Wire) -> Result<(), Rejection> {
    let applied = confine::apply(&start.confinement, &start.image, start.group.as_ref())?;
    wire.say(&ToHost::Confined(applied)).map_err(|e| Rejection::new("PLG050", format!("the runner cannot speak to its host: {e}")))
}

/// What `ps` and `top` show.
fn name_process(plugin: &str) {
    let mut name = format!("sexton:{plugin}").into_bytes();
    name.truncate(15);
    name.push(0);
    // SAFETY: the name ends with a zero byte.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// The way to the host, shared by all threads of the generation: who reports writes, and takes along what others have left.
#[derive(Debug)]
pub(crate) struct Wire {
    waiting: Mutex<Vec<Report>>,
    socket: Mutex<UnixStream>,
}

impl Wire {
    /// Hands a report to the kernel, now; only a log record or an end may instead be taken along by the thread that is writing.
    pub(crate) fn send(&self, report: Report) {
        let may_wait = matches!(report, Report::Done(_) | Report::Log(_));
        let last = matches!(report, Report::Gone(_));
        self.waiting.lock().push(report);
        loop {
            let socket = if may_wait { self.socket.try_lock() } else { Some(self.socket.lock()) };
            // Whoever has it looks again after letting it go, and so finds what was left before.
            let Some(mut socket) = socket else { return };
            let reports = std::mem::take(&mut *self.waiting.lock());
            write(&mut socket, reports);
            drop(socket);
            if self.waiting.lock().is_empty() {
                break;
            }
        }
        if last {
            last_words::hush();
            // The generation is over: nothing of the plugin, no destructor and no thread, has a say in how the process ends.
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
    }

    fn say(&self, message: &ToHost) -> io::Result<()> {
        let bytes = frame::encode(message)?;
        self.socket.lock().write_all(&bytes)
    }
}

/// A frame each, in one go.
fn write(socket: &mut UnixStream, reports: Vec<Report>) {
    let mut bytes = Vec::new();
    let mut written = Ok(());
    for report in reports {
        written = written.and_then(|()| frame::encode(&ToHost::Report(report))).and_then(|frame| {
            bytes.extend_from_slice(&frame);
            if bytes.len() < AT_ONCE { Ok(()) } else { socket.write_all(&std::mem::take(&mut bytes)) }
        });
    }
    if let Err(error) = written.and_then(|()| socket.write_all(&bytes)) {
        // A host that cannot be told must not be waited for; it reads the end of the process instead.
        eprintln!("sexton runner: the host cannot be told: {error}");
        last_words::hush();
        // SAFETY: ends the process without running anything of the plugin's.
        unsafe { libc::_exit(1) }
    }
}
