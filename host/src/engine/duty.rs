//! A duty: a thread with a name that runs as long as the engine does, and whose unexpected end is noticed.
//!
//! Not a restart policy: what a duty held in its hands is gone with it, so the host says so (`HST005`) and is to be restarted. What must hold:
//! no duty ends in silence.

use crate::problem;
use parking_lot::Mutex;
use sexton_core::Refusal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Which duty stopped, if one did.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<String>>);

impl Health {
    /// The refusal to answer with, if a duty has stopped.
    #[must_use]
    pub fn problem(&self) -> Option<Refusal> {
        self.0.lock().as_deref().map(problem::stopped_duty)
    }
}

/// Starts a duty.
pub fn spawn(name: &'static str, health: &Arc<Health>, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Refusal> {
    let health = Arc::clone(health);
    let watched = move || {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            tracing::error!(duty = name, code = "HST005", "a duty of the host has stopped: restart the host");
            health.0.lock().get_or_insert_with(|| name.to_owned());
        }
    };
    std::thread::Builder::new()
        .name(format!("sexton-{name}"))
        .spawn(watched)
        .map_err(|e| problem::stopped_duty(name).found(format!("its thread could not be started: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_noticed_and_an_ordinary_end_is_not() {
        let health = Arc::new(Health::default());
        spawn("calm", &health, || {}).expect("a thread").join().expect("it ends");
        assert!(health.problem().is_none());
        spawn("wild", &health, || panic!("on purpose")).expect("a thread").join().expect("the panic was caught");
        let problem = health.problem().expect("it was noticed");
        assert_eq!(problem.code, "HST005");
        assert!(problem.message.contains("`wild`"), "{problem}");
    }
}
