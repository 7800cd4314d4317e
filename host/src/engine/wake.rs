//! The scheduler's one wait: an absolute timer on the wall clock and a doorbell, in one `poll`.
//!
//! Not a timer wheel and not a runtime. What must hold: a set of the clock wakes the waiter; a ring between two waits is never lost; many
//! rings cost one system call.

use chrono::{DateTime, Utc};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read, write};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What anybody may ring.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    /// Wakes the waiter, now or at its next wait.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // The only failure of an eventfd is a full counter, and then it is rung already.
            let _ = write(&self.fd, &1u64.to_ne_bytes());
        }
    }
}

/// How the timer is set: the system call, but for tests.
type Set = fn(&OwnedFd, TimerfdTimerFlags, &Itimerspec) -> Result<Itimerspec, Errno>;

/// The waiter's side; one thread has it.
#[derive(Debug)]
pub struct Wake {
    bell: Arc<Bell>,
    timer: OwnedFd,
    armed: Option<DateTime<Utc>>,
    set: Set,
}

impl Wake {
    /// A timer that is not armed and a bell that was not rung.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self {
            bell: Arc::new(Bell { fd, rung: AtomicBool::new(false) }),
            timer,
            armed: None,
            set: |timer, flags, at| timerfd_settime(timer, flags, at),
        })
    }

    /// The bell, to be handed around.
    #[must_use]
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Forgets rings so far. To be called before looking at what they were about.
    ///
    /// The descriptor is emptied before the flag is cleared: the other way round, a ring in between would leave the flag set and the
    /// descriptor empty, and every later ring would believe that it had been rung already.
    pub fn hush(&self) {
        // Empty if nobody rang, which is no failure.
        let _ = read(&self.bell.fd, &mut [0u8; 8]);
        self.bell.rung.swap(false, Ordering::SeqCst);
    }

    /// Waits for a ring or for the wall clock to show `until`; true if the clock was set meanwhile.
    pub fn wait(&mut self, until: Option<DateTime<Utc>>) -> io::Result<bool> {
        if until != self.armed && self.arm(until)? {
            return Ok(true);
        }
        let mut fds = [PollFd::new(&self.bell.fd, PollFlags::IN), PollFd::new(&self.timer, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        match read(&self.timer, &mut [0u8; 8]) {
            Ok(_) => self.armed = None,
            Err(Errno::CANCELED) => {
                self.armed = None;
                return Ok(true);
            }
            Err(_) => {}
        }
        Ok(false)
    }

    /// Sets the timer; true if the clock was set since it was set last.
    fn arm(&mut self, until: Option<DateTime<Utc>>) -> io::Result<bool> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would disarm: an instant at or before the epoch is long past, and one nanosecond is too.
        let at = until.map_or(zero, |t| match t.timestamp() {
            seconds if seconds > 0 => Timespec { tv_sec: seconds, tv_nsec: t.timestamp_subsec_nanos().into() },
            _ => Timespec { tv_sec: 0, tv_nsec: 1 },
        });
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let set = match (self.set)(&self.timer, flags, &Itimerspec { it_interval: zero, it_value: at }) {
            Ok(_) => false,
            // Linux sets the timer all the same, and says in this way what a read would have said.
            Err(Errno::CANCELED) => true,
            Err(e) => return Err(e.into()),
        };
        self.armed = until;
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn the_timer_wakes_at_or_after_the_instant_and_past_ones_at_once() {
        let mut wake = Wake::new().expect("a timer");
        let until = clock::later(clock::now(), Duration::from_millis(20));
        while clock::now() < until {
            wake.wait(Some(until)).expect("a wait");
        }
        wake.wait(Some(DateTime::UNIX_EPOCH)).expect("the epoch is past");
        wake.wait(Some(until)).expect("an instant that was waited for before is past too");
    }

    #[test]
    fn a_clock_that_was_set_before_the_timer_is_said_and_the_timer_goes() {
        let mut wake = Wake::new().expect("a timer");
        wake.set = |timer, flags, at| timerfd_settime(timer, flags, at).and(Err(Errno::CANCELED));
        let until = clock::later(clock::now(), Duration::from_millis(20));
        assert!(wake.wait(Some(until)).expect("no failure"), "the clock was set");
        wake.set = |_, _, _| panic!("it is armed already");
        while clock::now() < until {
            assert!(!wake.wait(Some(until)).expect("a wait"), "said once");
        }
        wake.set = |_, _, _| Err(Errno::INVAL);
        assert!(wake.wait(Some(DateTime::UNIX_EPOCH)).is_err(), "any other failure is one");
    }

    #[test]
    fn a_ring_before_the_wait_is_not_lost_and_hushing_forgets_it() {
        let mut wake = Wake::new().expect("a timer");
        let bell = wake.bell();
        bell.ring();
        bell.ring();
        wake.wait(None).expect("the ring ends the wait");
        wake.hush();
        let far = clock::later(clock::now(), Duration::from_millis(5));
        wake.wait(Some(far)).expect("a wait");
        assert!(clock::now() >= far, "no ring was left over");
        bell.ring();
        wake.wait(None).expect("a ring after hushing counts again");
    }

    #[test]
    fn no_ring_is_lost_between_many_ringers_and_one_waiter() {
        const EACH: usize = 20_000;
        let mut wake = Wake::new().expect("a timer");
        let (inbox, letters) = std::sync::mpsc::channel();
        let ringers: Vec<_> = (0..3)
            .map(|_| {
                let (bell, inbox) = (wake.bell(), inbox.clone());
                let (taken, ack) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    for _ in 0..EACH {
                        inbox.send(taken.clone()).expect("the waiter is there");
                        bell.ring();
                        ack.recv().expect("the waiter takes every letter");
                    }
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 3 * EACH {
            wake.hush();
            for letter in letters.try_iter() {
                letter.send(()).expect("its ringer waits");
                taken += 1;
            }
            // Straight to the wait, as the scheduler does: a ring that came since is in the descriptor.
            if taken < 3 * EACH {
                let lost = clock::later(clock::now(), Duration::from_secs(5));
                wake.wait(Some(lost)).expect("a wait");
                assert!(clock::now() < lost, "a letter lay there and nobody rang: {taken} taken");
            }
        }
        ringers.into_iter().for_each(|r| r.join().expect("it only rings"));
    }
}
