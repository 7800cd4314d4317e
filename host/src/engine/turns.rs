//! Whose turn it is at a start: generations share the slots of the host, types share the room of their generation.
//!
//! Not the order within a type (the due queue). What must hold: a type with one occurrence due waits for no backlog of another.

use sexton_core::TypeId;
use sexton_core::decide::share::Shares;
use std::collections::HashMap;

/// Beyond so many generations, those that have nothing due are forgotten.
const REMEMBERED: usize = 256;

/// Owned by the scheduler's thread.
#[derive(Debug, Default)]
pub struct Turns {
    generations: Shares<i64>,
    types: HashMap<i64, Shares<TypeId>>,
}

impl Turns {
    /// The place of a type that has something due; the least is next.
    #[must_use]
    pub fn place(&self, generation: i64, of: TypeId) -> (u64, u64) {
        (self.generations.place(generation), self.types.get(&generation).map_or(0, |types| types.place(of)))
    }

    /// One of that type was started.
    pub fn started(&mut self, generation: i64, of: TypeId, priority: i32) {
        self.generations.served(generation, 0);
        self.types.entry(generation).or_default().served(of, priority);
    }

    /// Forgets generations that are gone.
    pub fn forget(&mut self, is_there: impl Fn(i64) -> bool) {
        if self.types.len() > REMEMBERED {
            self.types.retain(|generation, _| is_there(*generation));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_one_generation_take_turns_whatever_other_generations_do() {
        let mut turns = Turns::default();
        let (flood, few, other) = (TypeId(1), TypeId(2), TypeId(3));
        let mut started = Vec::new();
        for _ in 0..6 {
            // Another generation with all the room it likes moves its own round only.
            (0..10).for_each(|_| turns.started(8, other, 0));
            let next = [flood, few].into_iter().min_by_key(|of| (turns.place(7, *of), *of)).expect("two");
            turns.started(7, next, 0);
            started.push(next);
        }
        assert_eq!(started, [flood, few, flood, few, flood, few]);
        (0..1_000).for_each(|generation| turns.started(generation, few, 0));
        turns.forget(|generation| generation == 7);
        assert_eq!(turns.types.keys().collect::<Vec<_>>(), [&7]);
    }
}
