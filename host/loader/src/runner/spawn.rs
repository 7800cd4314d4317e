//! The thread that starts runners: it lives as long as the host, since a child's death with its parent is tied to the thread that forked it.
//!
//! Not the talk with them. What must hold: a child gets descriptors 0 to 3 and an environment built from nothing, and is of the very build of this
//! host, whatever has been put into the place of its file since.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

/// No descriptor of ours lies below, so that putting the socket on 3 in the child hits nothing.
const ABOVE: i32 = 10;
/// What every program finds in its environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts runners. Clones share the one thread; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Spawner {
    door: Sender<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    environment: BTreeMap<String, String>,
    reply: Sender<io::Result<Spawned>>,
}

/// A started warden.
#[derive(Debug)]
pub(super) struct Spawned {
    pub child: Child,
    pub pidfd: OwnedFd,
    pub socket: UnixStream,
}

impl Spawner {
    /// Of the program that this process runs.
    ///
    /// # Errors
    /// What the system says: no `/proc`, no thread.
    pub fn start() -> io::Result<Self> {
        Self::of(Path::new("/proc/self/exe"))
    }

    /// Of another program with the same `runner` command: for tests, whose own program has none.
    ///
    /// # Errors
    /// As [`Spawner::start`].
    pub fn of(program: &Path) -> io::Result<Self> {
        let file = above(&File::open(program)?, ABOVE)?;
        // The standard library's own pipe to a child must not be given that number, since the socket goes there.
        let three = above(&file, 3)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let (door, wanted) = channel::<Wanted>();
        std::thread::Builder::new().name("runners".to_owned()).spawn(move || {
            for Wanted { environment, reply } in wanted {
                // Whoever asked waits, or has gone: then the child's end of the socket closes and it ends.
                let _gone = reply.send(spawn(&path, &environment));
            }
            drop((file, three));
        })?;
        Ok(Self { door })
    }

    /// Starts one and waits for it.
    pub(super) fn spawn(&self, environment: BTreeMap<String, String>) -> io::Result<Spawned> {
        let (reply, answer) = channel();
        let gone = || io::Error::other("the thread that starts runners has ended");
        self.door.send(Wanted { environment, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// The same descriptor, at this number or above.
fn above(of: &impl AsRawFd, least: i32) -> io::Result<OwnedFd> {
    // SAFETY: duplicates a descriptor that is open; the answer is checked.
    let made = unsafe { libc::fcntl(of.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

fn spawn(program: &Path, environment: &BTreeMap<String, String>) -> io::Result<Spawned> {
    let (near, far) = UnixStream::pair()?;
    let far = above(&far, ABOVE)?;
    let number = far.as_raw_fd();
    let mut command = Command::new(program);
    command.arg0("sexton").arg("runner").env_clear().envs(base_environment()).envs(environment).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: system calls that take numbers; nothing allocates between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            if libc::dup2(number, 3) < 0 {
                return Err(io::Error::last_os_error());
            }
            // Whatever a library in this process has left open without the flag stays here. Kernels before 5.11 do not know it: there only what
            // Rust opened is closed.
            libc::syscall(libc::SYS_close_range, 4_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            Ok(())
        });
    }
    let child = command.spawn()?;
    drop(far);
    let pid = rustix::process::Pid::from_child(&child);
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Spawned { child, pidfd, socket: near }),
        Err(e) => {
            let mut child = child;
            let _dead = child.kill();
            let _reaped = child.wait();
            Err(e.into())
        }
    }
}

/// What does not come from the settings: no secret of the host's environment passes.
fn base_environment() -> impl Iterator<Item = (OsString, OsString)> {
    let own = ["TZ", "TMPDIR", "RUST_BACKTRACE"].into_iter();
    let own = own.filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    [("PATH", PATH), ("LANG", "C.UTF-8"), ("HOME", "/")].into_iter().map(|(n, v)| (n.into(), v.into())).chain(own)
}
