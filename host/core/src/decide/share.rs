//! Whose turn it is when many want the same room: each its share, however much it has waiting.
//!
//! Not the order within one of them (`order`). What must hold: whoever has something waiting is served within a bounded number of turns;
//! shares not used are lost, so that nobody can save up for a flood.

use crate::decide::order::level;
use std::collections::HashMap;
use std::hash::Hash;

/// What a turn at priority 0 costs.
const TURN: u64 = 1 << 16;
/// So many levels of priority double a share.
const DOUBLING: i32 = 10;
/// Doublings that count, either way: a share is never more than 256 times another.
const DOUBLINGS_MAX: i32 = 4;
/// Beyond so many remembered, those without a debt are forgotten.
const REMEMBERED: usize = 1_024;

/// The turns of those that share one thing: start-time fair queueing.
#[derive(Clone, Debug)]
pub struct Shares<K> {
    /// Where the round is: the place of the last that was served.
    round: u64,
    /// Until where each has had its share.
    served_to: HashMap<K, u64>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { round: 0, served_to: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// The place of one that has something waiting; the least is next.
    #[must_use]
    pub fn place(&self, key: K) -> u64 {
        self.served_to.get(&key).map_or(self.round, |to| self.round.max(*to))
    }

    /// One of it was served, of that priority: the higher, the cheaper.
    pub fn served(&mut self, key: K, priority: i32) {
        let place = self.place(key);
        self.round = self.round.max(place);
        self.served_to.insert(key, place + cost(priority));
        if self.served_to.len() > REMEMBERED {
            let round = self.round;
            self.served_to.retain(|_, to| *to > round);
        }
    }
}

fn cost(priority: i32) -> u64 {
    let doublings = (level(priority) / DOUBLING).clamp(-DOUBLINGS_MAX, DOUBLINGS_MAX);
    if doublings < 0 { TURN << doublings.unsigned_abs() } else { TURN >> doublings.unsigned_abs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Serves `turns` times among those that always want, answers how often each was.
    fn serve(shares: &mut Shares<usize>, priorities: &[i32], turns: usize) -> Vec<usize> {
        let mut served = vec![0; priorities.len()];
        for _ in 0..turns {
            let next = (0..priorities.len()).min_by_key(|k| (shares.place(*k), *k)).expect("somebody");
            shares.served(next, priorities[next]);
            served[next] += 1;
        }
        served
    }

    #[test]
    fn equals_have_equal_shares_and_ten_levels_double_one() {
        for (priorities, expected) in [
            (&[0, 0, 9][..], &[100, 100, 100][..]),
            (&[0, 10], &[100, 200]),
            (&[0, -10], &[200, 100]),
            (&[0, 100], &[10, 160]),
            (&[i32::MIN, i32::MAX], &[1, 256]),
        ] {
            let served = serve(&mut Shares::default(), priorities, expected.iter().sum());
            let near = |(a, b): (&usize, &usize)| a.abs_diff(*b) <= 1;
            assert!(served.iter().zip(expected).all(near), "{priorities:?}: {served:?}");
        }
    }

    #[test]
    fn whoever_was_away_has_saved_nothing_up_and_owes_nothing() {
        let mut shares = Shares::default();
        (0..1_000).for_each(|_| shares.served(0, 0));
        let served = serve(&mut shares, &[0, 0], 100);
        assert!(served[1].abs_diff(50) <= 1, "{served:?}");
    }

    #[test]
    fn those_without_a_debt_are_forgotten() {
        let mut shares = Shares::default();
        for key in 0..10 * REMEMBERED {
            shares.served(key, 0);
            shares.served(0, 0);
        }
        assert!(shares.served_to.len() <= REMEMBERED + 1, "{}", shares.served_to.len());
    }

    proptest! {
        /// Whoever begins to want is served within the turns of one round of the others, whatever was before.
        #[test]
        fn whoever_wants_is_served_within_a_round(before in prop::collection::vec((0_usize..8, -100_i32..100), 0..300),
                                                  priorities in prop::collection::vec(-100_i32..100, 2..8)) {
            let mut shares = Shares::default();
            for (key, priority) in before {
                shares.served(key, priority);
            }
            // One that has its own debt behind it, as everybody who waits for the first time has.
            let last = priorities.len() - 1;
            shares.served_to.remove(&last);
            let round: u64 = priorities.iter().map(|p| (TURN << DOUBLINGS_MAX) / cost(*p) + 1).sum();
            let served = serve(&mut shares, &priorities, usize::try_from(round).expect("few"));
            prop_assert!(served[last] > 0, "{:?} of {}", served, round);
        }
    }
}
