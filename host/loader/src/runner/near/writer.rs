//! The writer's thread: starts the process, then turns orders into frames.
//!
//! It hears nothing. What must hold: a runner that takes no byte of what waits for it is killed in the end, and one for which nothing waits never is; a killing
//! that is ordered gets through whatever the runner takes; time in which this host itself stood still is not counted.

use super::reader::Reader;
use super::{CLEARING, Near, is_over, wait_for_end};
use crate::runner::frame;
use crate::runner::spawn::{Spawned, Spawner};
use crate::runner::{Start, ToRunner};
use crate::seam::{DeathKind, Killing, Order};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Orders in one frame, at most.
const AT_ONCE: usize = 256;
/// A runner that takes nothing for so long is looked at: perhaps it is to be killed.
const STALLED: Duration = Duration::from_millis(100);
/// A runner that takes no byte for so long while something waits for it will take none any more.
const DEAF: Duration = Duration::from_secs(30);

/// The thread.
pub(super) fn run(near: &Arc<Near>, spawner: &Spawner, mut start: Start, inbox: &Receiver<Order>) {
    let started = spawner.spawn(start.confinement.environment.clone()).and_then(|spawned| {
        let Spawned { child, pidfd, socket } = spawned;
        let pidfd = Arc::new(pidfd);
        near.usage.watch(child.id(), Arc::clone(&pidfd));
        if let Some(group) = &near.group
            && let Err(error) = group.adopt(child.id())
        {
            tracing::warn!(plugin = near.plugin, %error, "the runner's control group does not take it: its limits there are not enforced");
            start.group = None;
        }
        let writer = socket.try_clone()?;
        let mut reader = Reader::of(Arc::clone(near), socket, child, Arc::clone(&pidfd));
        for pipe in reader.pipes() {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        std::thread::Builder::new().name(format!("r{}-{}", near.generation, near.plugin)).spawn(move || reader.run())?;
        Ok((writer, pidfd))
    });
    match started.and_then(|(socket, pidfd)| Writer::of(near, socket, pidfd, inbox)) {
        Ok(mut writer) => writer.write(start),
        Err(error) => near.not_started(&error),
    }
}

/// Its end of the socket, and the orders that are still to be written.
struct Writer<'a> {
    near: &'a Near,
    socket: UnixStream,
    pidfd: Arc<OwnedFd>,
    inbox: &'a Receiver<Order>,
    /// What came in while the runner took nothing.
    late: Vec<Order>,
    /// After how long it is deaf.
    deaf: Duration,
}

impl<'a> Writer<'a> {
    fn of(near: &'a Near, socket: UnixStream, pidfd: Arc<OwnedFd>, inbox: &'a Receiver<Order>) -> io::Result<Self> {
        socket.set_write_timeout(Some(STALLED))?;
        Ok(Self { near, socket, pidfd, inbox, late: Vec::new(), deaf: DEAF })
    }

    /// Until the runner takes nothing more, or nobody gives orders. Whoever sends afterwards is told so by the closed queue.
    fn write(&mut self, start: Start) {
        let mut goes_on = self.send(&ToRunner::Start(Box::new(start)));
        while goes_on {
            let mut orders = std::mem::take(&mut self.late);
            if orders.is_empty() {
                let Ok(first) = self.inbox.recv() else {
                    self.send(&ToRunner::HangUp);
                    return;
                };
                orders.push(first);
            }
            while orders.len() < AT_ONCE
                && let Ok(order) = self.inbox.try_recv()
            {
                orders.push(order);
            }
            if self.near.kill_if_told(&mut orders, &self.pidfd) {
                return;
            }
            self.near.note(&orders);
            goes_on = self.send_all(orders);
        }
    }

    /// In one frame, or in several if they are too large together.
    fn send_all(&mut self, orders: Vec<Order>) -> bool {
        if orders.len() > 1 && frame::encode(&ToRunner::Orders(orders.clone())).is_err() {
            return orders.into_iter().all(|order| self.send_all(vec![order]));
        }
        if let [Order::Run(runs)] = &orders[..]
            && runs.len() > 1
            && frame::encode(&ToRunner::Orders(orders.clone())).is_err()
        {
            let alone = runs.iter().map(|run| vec![Order::Run(vec![run.clone()])]).collect::<Vec<_>>();
            return alone.into_iter().all(|order| self.send_all(order));
        }
        self.send(&ToRunner::Orders(orders))
    }

    /// False once nothing more can be said to it. What comes in while it does not take anything is put aside; a killing among it is obeyed.
    fn send(&mut self, message: &ToRunner) -> bool {
        let bytes = match frame::encode(message) {
            Ok(bytes) => bytes,
            Err(error) => return self.give_up(DeathKind::Protocol, format!("protocol error: {error}")),
        };
        let (mut left, mut patience) = (&bytes[..], Patience::now());
        while !left.is_empty() {
            match (&self.socket).write(left) {
                Ok(written) => (left, patience) = (&left[written..], Patience::now()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    self.late.extend(self.inbox.try_iter());
                    if self.near.kill_if_told(&mut self.late, &self.pidfd) || is_over(&self.pidfd) {
                        return false;
                    }
                    if patience.lost(Instant::now()) >= self.deaf {
                        let why = format!("it took no byte of its orders for {}s", self.deaf.as_secs());
                        return self.give_up(DeathKind::Deadline, why);
                    }
                }
                Err(_) => {
                    // It has ended, and the reader says how; or it only says so, and then no order would reach it any more, not even a killing.
                    if !wait_for_end(&self.pidfd, CLEARING) {
                        self.give_up(DeathKind::Protocol, "protocol error: it closed its connection and went on".to_owned());
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Kills it; answers that nothing more can be said.
    fn give_up(&self, kind: DeathKind, why: String) -> bool {
        self.near.kill(Killing { kind, why, run: None }, &self.pidfd);
        false
    }
}

/// How long nothing was taken, as this host has seen it: a wait that took much longer than was asked for was the host's own standing still.
struct Patience {
    looked: Instant,
    lost: Duration,
}

impl Patience {
    fn now() -> Self {
        Self { looked: Instant::now(), lost: Duration::ZERO }
    }

    /// Another wait has ended, now, with nothing taken.
    fn lost(&mut self, now: Instant) -> Duration {
        // The clock does not run while the machine sleeps, and does while this process is stopped.
        self.lost += now.saturating_duration_since(self.looked).min(2 * STALLED);
        self.looked = now;
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::Limits;
    use std::process::Command;
    use std::sync::mpsc::{Sender, channel};

    /// A process that stands for a runner, and what the writer needs beside it.
    struct Stage {
        near: Arc<Near>,
        child: std::process::Child,
        pidfd: Arc<OwnedFd>,
        far: UnixStream,
        orders: Sender<Order>,
        inbox: Receiver<Order>,
        socket: UnixStream,
    }

    impl Stage {
        fn new() -> Self {
            let near = Near::of("p", 1, &Limits::default(), None, channel().0);
            let child = Command::new("/bin/sleep").arg("1000").spawn().expect("it starts");
            let pid = rustix::process::Pid::from_child(&child);
            let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it lives");
            let (socket, far) = UnixStream::pair().expect("a pair");
            let (orders, inbox) = channel();
            Self { near: Arc::new(near), child, pidfd: Arc::new(pidfd), far, orders, inbox, socket }
        }

        fn writer(&self, deaf: Duration) -> Writer<'_> {
            let socket = self.socket.try_clone().expect("a descriptor");
            Writer { deaf, ..Writer::of(&self.near, socket, Arc::clone(&self.pidfd), &self.inbox).expect("a socket") }
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _over = self.child.kill();
            let _reaped = self.child.wait();
        }
    }

    /// More than a socket holds.
    fn much() -> ToRunner {
        ToRunner::Orders(vec![Order::Migrate { question: 1, event_type: "a.b".to_owned(), args: "x".repeat(4 << 20) }])
    }

    #[test]
    fn a_runner_that_takes_nothing_of_what_waits_is_killed_and_the_cause_says_so() {
        let stage = Stage::new();
        assert!(!stage.writer(Duration::from_millis(300)).send(&much()));
        let killing = stage.near.killing.lock().clone().expect("it was killed");
        assert_eq!((killing.kind, killing.why.as_str()), (DeathKind::Deadline, "it took no byte of its orders for 0s"));
        assert!(is_over(&stage.pidfd));
    }

    #[test]
    fn a_slow_one_lives_as_long_as_it_takes_something() {
        let stage = Stage::new();
        let mut far = stage.far.try_clone().expect("a descriptor");
        let reading = std::thread::spawn(move || {
            // Each time long enough that the writer sees it stand still, and never as long as its patience.
            let mut piece = vec![0; 1 << 20];
            let mut read = 0;
            while read < 4 << 20 {
                std::thread::park_timeout(2 * STALLED);
                read += io::Read::read(&mut far, &mut piece).expect("read");
            }
        });
        assert!(stage.writer(20 * STALLED).send(&much()));
        reading.join().expect("it read all");
        assert!(stage.near.killing.lock().is_none() && !is_over(&stage.pidfd));
    }

    #[test]
    fn a_host_that_stood_still_itself_blames_nobody() {
        let mut patience = Patience::now();
        let start = patience.looked;
        assert!(patience.lost(start + 100 * DEAF) <= 2 * STALLED);
        let rounds = u32::try_from(DEAF.as_millis() / STALLED.as_millis()).expect("few");
        let lost = (1..=rounds).fold(Duration::ZERO, |_, n| patience.lost(start + 100 * DEAF + n * STALLED));
        assert!(lost >= DEAF, "{lost:?}");
    }

    #[test]
    fn one_that_closes_its_ear_and_lives_on_is_killed() {
        let stage = Stage::new();
        stage.far.shutdown(std::net::Shutdown::Both).expect("open");
        assert!(!stage.writer(DEAF).send(&ToRunner::HangUp));
        let killing = stage.near.killing.lock().clone().expect("it was killed");
        assert_eq!((killing.kind, killing.why.contains("went on")), (DeathKind::Protocol, true));
        assert!(is_over(&stage.pidfd));
    }

    #[test]
    fn a_killing_gets_through_to_one_that_takes_nothing() {
        let stage = Stage::new();
        stage.orders.send(Order::Kill(Killing { kind: DeathKind::Killed, why: "wanted".into(), run: None })).expect("heard");
        assert!(!stage.writer(DEAF).send(&much()));
        assert_eq!(stage.near.killing.lock().clone().expect("it was killed").why, "wanted");
    }
}
