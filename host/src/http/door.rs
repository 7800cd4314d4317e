//! The Unix socket: who may come in, how many at once, and as whom they act.
//!
//! Not TCP: that waits for access control. What must hold: only the host's own user and root are let in, whatever the mode of the file.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use sexton_core::{Blame, Refusal};
use sexton_store::rows::Actor;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

/// Binds the socket with mode 0600. A stale one, on which nobody answers, is removed first.
///
/// # Errors
/// `HST002` when somebody answers there, something else has the name, or the socket cannot be made.
pub fn bind(path: &Path) -> Result<Bound, Refusal> {
    clear(path)?;
    let cannot = |e: io::Error| {
        Refusal::new("HST002", Blame::World, format!("the socket {} cannot be made: {e}", path.display()))
            .expected("a path of at most 107 bytes in a directory that this user can write")
            .remedy("name another with `--socket PATH`")
    };
    // The file's mode follows the mask at the moment of `bind`: no instant with a wider one.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = std::os::unix::net::UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let file = std::fs::symlink_metadata(path).map_err(cannot)?;
    Ok(Bound { listener, path: path.to_owned(), inode: (file.dev(), file.ino()) })
}

fn clear(path: &Path) -> Result<(), Refusal> {
    let in_use = |found: &str, remedy: &str| {
        Err(Refusal::new("HST002", Blame::World, format!("the socket {} is in use", path.display())).found(found).remedy(remedy))
    };
    match std::fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(file) if !file.file_type().is_socket() => {
            return in_use("a file that is no socket", "move it away, or name another socket with `--socket PATH`");
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)
            .or_else(|e| in_use(&format!("a stale socket that cannot be removed: {e}"), "remove it, or name another with `--socket PATH`")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => in_use("another process answers on it", "stop the other host, or name another socket with `--socket PATH`"),
        Err(e) => in_use(&format!("it cannot be asked: {e}"), "name another socket with `--socket PATH`"),
    }
}

impl Bound {
    /// Removes the file, unless somebody else has taken the name since.
    pub fn remove(&self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.inode) {
            // It may be gone already, with its directory.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// The listening end, on the present runtime.
    ///
    /// # Errors
    /// When the runtime does not take it.
    pub fn door(&self, connections_max: usize) -> io::Result<Door> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        Ok(Door { listener, own_uid: rustix::process::geteuid().as_raw(), seats: Arc::new(Semaphore::new(connections_max)) })
    }
}

/// The listening end: lets in, counts seats.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    own_uid: u32,
    seats: Arc<Semaphore>,
}

/// Who is on the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user, as the kernel says.
    pub uid: u32,
}

impl Peer {
    /// As whom it acts: `cli:root`.
    #[must_use]
    pub fn actor(self) -> Actor {
        Actor(format!("cli:{}", user_name(self.uid)))
    }
}

/// The user's name by `/etc/passwd`; the number when it is not there.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(of_line).unwrap_or_else(|| uid.to_string())
}

impl Listener for Door {
    type Io = Seat;
    type Addr = Peer;

    async fn accept(&mut self) -> (Seat, Peer) {
        loop {
            let Ok(permit) = Arc::clone(&self.seats).acquire_owned().await else { return std::future::pending().await };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    // Out of descriptors, most likely: trying again at once would spin.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(cred) if cred.uid() == self.own_uid || cred.uid() == 0 => {
                    return (Seat { stream, _permit: permit }, Peer { uid: cred.uid() });
                }
                Ok(cred) => tracing::warn!(uid = cred.uid(), "a connection of another user was turned away"),
                Err(e) => tracing::warn!(error = %e, "a connection without credentials was turned away"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { uid: self.own_uid })
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        *stream.remote_addr()
    }
}

/// A connection that holds its seat until it is closed.
#[derive(Debug)]
pub struct Seat {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Seat {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Seat {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_stale_socket_is_taken_over_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s.sock");
        let first = bind(&path).expect("binds");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let refusal = bind(&path).expect_err("in use");
        assert_eq!(refusal.code, "HST002");
        drop(first);
        let second = bind(&path).expect("the stale one is taken over");
        second.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s.sock");
        std::fs::write(&path, "mine").expect("writes");
        assert_eq!(bind(&path).expect_err("a file").code, "HST002");
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "mine");
        assert_eq!(bind(&dir.path().join("x".repeat(200))).expect_err("too long").code, "HST002");
    }

    #[test]
    fn users_have_names() {
        assert_eq!(Peer { uid: 0 }.actor(), Actor("cli:root".to_owned()));
        assert_eq!(Peer { uid: 4_000_000_001 }.actor(), Actor("cli:4000000001".to_owned()));
    }
}
