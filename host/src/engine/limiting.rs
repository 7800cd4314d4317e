//! Limits on the engine's side: the verbs, and whether somebody waits for a slot.
//!
//! Not obeying them: the store's claim does. What must hold: a slot that comes free while something waits for one wakes the scheduler; without
//! limits nobody is woken and nothing is asked.

use crate::clock;
use crate::engine::scheduler::Message;
use crate::engine::shared::Shared;
use crate::problem;
use sexton_core::Refusal;
use sexton_core::limit::{Limit, LimitOn};
use sexton_store::StoreError;
use sexton_store::rows::{Actor, NextClaim};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the claimer knows of limits, for those who free slots.
#[derive(Debug, Default)]
pub struct Watch {
    exist: AtomicBool,
    held_back: AtomicBool,
}

impl Watch {
    /// Asks the store what is next. Said before it is asked that something may be held back: a slot freed between question and answer wakes
    /// somebody in vain rather than nobody.
    pub fn ask(&self, ask: impl Fn() -> Result<NextClaim, StoreError>) -> Result<NextClaim, StoreError> {
        loop {
            let watched = self.exist.load(Ordering::SeqCst);
            if watched {
                self.held_back.store(true, Ordering::SeqCst);
            }
            let next = ask()?;
            self.exist.store(next.limited, Ordering::SeqCst);
            if watched || !next.limited {
                self.held_back.store(next.held_back, Ordering::SeqCst);
                return Ok(next);
            }
        }
    }

    /// Whether something is due that waits for a slot.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.held_back.load(Ordering::SeqCst)
    }
}

/// Sets a limit. What is claimed ahead and has not started is given back, so that it starts under the limit; what runs goes on.
pub fn set(shared: &Shared, limit: &Limit, by: &Actor) -> Result<(), Refusal> {
    shared.store.set_limit(&shared.lease, limit, by, clock::now()).map_err(|e| problem::from_store(&e))?;
    shared.door.send(Message::Recall)
}

/// Takes a limit away; answers whether it was there. What waited behind it may start.
pub fn remove(shared: &Shared, on: &LimitOn, by: &Actor) -> Result<bool, Refusal> {
    let removed = shared.store.remove_limit(&shared.lease, on, by, clock::now()).map_err(|e| problem::from_store(&e))?;
    shared.door.send(Message::Due(clock::now()))?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_slot_freed_between_question_and_answer_is_not_lost() {
        let watch = Watch::default();
        let none = NextClaim::default();
        let ask = |expected: bool, next: NextClaim| {
            let answer = watch.ask(|| {
                assert_eq!(watch.is_held_back(), expected);
                Ok(next)
            });
            assert_eq!(answer.expect("an answer"), next);
        };
        // Without limits nobody is woken.
        ask(false, none);
        let (asked, full) = (Cell::new(0), NextClaim { limited: true, held_back: true, ..none });
        let answer = watch.ask(|| {
            asked.set(asked.get() + 1);
            // The first question was asked before anybody knew of limits: whoever freed a slot then told nobody.
            assert_eq!(watch.is_held_back(), asked.get() == 2);
            Ok(full)
        });
        assert_eq!((answer.expect("an answer"), asked.get(), watch.is_held_back()), (full, 2, true));
        ask(true, NextClaim { limited: true, ..none });
        assert!(!watch.is_held_back());
        assert!(watch.ask(|| Err(StoreError::new(sexton_store::ErrorKind::Engine, "no"))).is_err());
        assert!(watch.is_held_back(), "not known, so somebody is woken");
    }
}
