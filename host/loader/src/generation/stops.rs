//! Who was asked to stop: one flag a run, and the sleepers that wait on it.
//!
//! Not an ending: a job sees the flag when it looks. What must hold: a stop wakes the run's sleeper at once; a run that has ended leaves
//! nothing here.

use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Outside a run: stopped when the whole generation is.
const NO_RUN: u64 = 0;

#[derive(Default)]
struct Flag {
    stopped: Mutex<bool>,
    wake: Condvar,
}

/// The flags of one generation.
pub(super) struct Stops {
    flags: Mutex<HashMap<u64, Arc<Flag>>>,
}

impl Default for Stops {
    fn default() -> Self {
        Self { flags: Mutex::new(HashMap::from([(NO_RUN, Arc::default())])) }
    }
}

impl Stops {
    pub(super) fn enter(&self, run: u64) {
        self.flags.lock().entry(run).or_default();
    }

    pub(super) fn leave(&self, run: u64) {
        if run != NO_RUN {
            self.flags.lock().remove(&run);
        }
    }

    pub(super) fn stop(&self, run: u64) {
        let flag = self.flags.lock().get(&run).cloned();
        if let Some(flag) = flag.filter(|_| run != NO_RUN) {
            stop(&flag);
        }
    }

    pub(super) fn stop_all(&self) {
        let flags: Vec<_> = self.flags.lock().values().cloned().collect();
        for flag in flags {
            stop(&flag);
        }
    }

    /// A run that is not known counts as stopped: it has ended, or never was.
    pub(super) fn is_stopped(&self, run: u64) -> bool {
        let flag = self.flags.lock().get(&run).cloned();
        flag.is_none_or(|flag| *flag.stopped.lock())
    }

    /// True if the whole time was slept.
    pub(super) fn sleep(&self, run: u64, time: Duration) -> bool {
        let flag = self.flags.lock().get(&run).cloned();
        let Some(flag) = flag else { return false };
        let end = Instant::now().checked_add(time);
        let mut stopped = flag.stopped.lock();
        while !*stopped {
            let Some(end) = end else {
                flag.wake.wait(&mut stopped);
                continue;
            };
            if flag.wake.wait_until(&mut stopped, end).timed_out() && Instant::now() >= end {
                return !*stopped;
            }
        }
        false
    }
}

fn stop(flag: &Flag) {
    *flag.stopped.lock() = true;
    flag.wake.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_wakes_the_sleeper_and_a_stranger_never_sleeps() {
        let stops = Arc::new(Stops::default());
        stops.enter(7);
        assert!(!stops.is_stopped(7) && stops.is_stopped(8));
        assert!(stops.sleep(7, Duration::from_millis(1)));
        assert!(!stops.sleep(8, Duration::from_secs(3600)));
        let sleeper = std::thread::spawn({
            let stops = Arc::clone(&stops);
            move || stops.sleep(7, Duration::MAX)
        });
        stops.stop(7);
        assert!(!sleeper.join().expect("ended"));
        assert!(stops.is_stopped(7) && !stops.is_stopped(NO_RUN));
        stops.stop(NO_RUN);
        assert!(!stops.is_stopped(NO_RUN), "only the end of the generation stops what is no run");
        stops.stop_all();
        assert!(stops.is_stopped(NO_RUN));
        stops.leave(7);
        assert_eq!(stops.flags.lock().len(), 1);
    }
}
