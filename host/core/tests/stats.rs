//! Laws of the statistics: a quantile is near the true one, a merge is the sum, whatever was counted.
//!
//! Not how they are stored. What must hold: the truth is found by sorting all values.

use proptest::prelude::*;
use sexton_core::Outcome;
use sexton_core::stats::{Histogram, Ran, Tally};

/// Of all magnitudes alike: most values drawn plainly would be huge.
fn value() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| bits >> shift)
}

fn histogram(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    values.iter().for_each(|value| histogram.add(*value));
    histogram
}

fn ran() -> impl Strategy<Value = Ran> {
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Failed),
        Just(Outcome::Snoozed),
        Just(Outcome::Cancelled),
        Just(Outcome::Interrupted),
        Just(Outcome::Lost)
    ];
    let second = 1_000_000_i64;
    (outcome, 0..1_000 * second, proptest::option::of(0..100 * second), 0..500 * second).prop_map(|(outcome, due_at, late, took)| {
        let started_at = late.map(|late| due_at + late);
        Ran { outcome, due_at, started_at, finished_at: started_at.unwrap_or(due_at) + took }
    })
}

fn tally(runs: &[Ran]) -> Tally {
    let mut tally = Tally::default();
    runs.iter().for_each(|ran| tally.add(ran));
    tally
}

proptest! {
    #[test]
    fn a_quantile_is_off_by_a_thirty_second_at_most(mut values in prop::collection::vec(value(), 1..400), thousandths in 0_u32..=1_000) {
        let found = histogram(&values).quantile(thousandths).expect("something was counted");
        values.sort_unstable();
        let rank = (values.len() * thousandths as usize).div_ceil(1_000).max(1);
        let truth = values[rank - 1];
        prop_assert!(found.abs_diff(truth) <= truth / 32, "{found} for {truth}");
        prop_assert!(found <= *values.last().expect("some"), "no quantile exceeds the greatest value");
    }

    #[test]
    fn a_merge_is_the_sum_in_any_grouping(a in prop::collection::vec(ran(), 0..60), b in prop::collection::vec(ran(), 0..60), c in prop::collection::vec(ran(), 0..60)) {
        let all = tally(&[a.clone(), b.clone(), c.clone()].concat());
        let (mut left, mut right) = (tally(&a), tally(&b));
        left.merge(&tally(&b));
        left.merge(&tally(&c));
        right.merge(&tally(&c));
        let mut other = tally(&a);
        other.merge(&right);
        prop_assert_eq!(&left, &all);
        prop_assert_eq!(&other, &all);
        prop_assert_eq!(all.by.runs(), (a.len() + b.len() + c.len()) as u64);
        let text = serde_json::to_string(&all).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Tally>(&text).expect("read back"), all);
    }
}

#[test]
fn nothing_counted_has_neither_quantile_nor_mean() {
    let none = Histogram::default();
    assert_eq!((none.quantile(500), none.max(), none.mean(), none.count()), (None, None, None, 0));
}

#[test]
fn small_and_extreme_values_are_told_exactly() {
    for value in (0..16).chain([u64::MAX]) {
        let one = histogram(&[value]);
        assert_eq!((one.quantile(0), one.quantile(1_000), one.max()), (one.quantile(500), one.quantile(990), Some(value)));
        assert!(one.quantile(500).expect("one").abs_diff(value) <= value / 32, "{value}");
    }
    assert_eq!(histogram(&[u64::MAX, u64::MAX]).mean(), Some(u64::MAX / 2), "the sum stops where a number does");
    assert_eq!(histogram(&[1, 2, 3, 4]).quantile(500), Some(2));
    assert_eq!(histogram(&[10, 20]).mean(), Some(15));
}

#[test]
fn a_row_of_failures_ends_with_a_success_and_with_nothing_else() {
    use Outcome::{Cancelled, Failed, Interrupted, Lost, Snoozed, Succeeded};
    for (outcomes, row) in [
        (&[][..], 0),
        (&[Failed, Failed], 2),
        (&[Failed, Succeeded], 0),
        (&[Failed, Succeeded, Failed], 1),
        (&[Failed, Snoozed, Cancelled, Interrupted, Lost, Failed], 2),
    ] {
        let runs: Vec<Ran> = outcomes.iter().map(|o| Ran { outcome: *o, due_at: 0, started_at: Some(0), finished_at: 1 }).collect();
        assert_eq!(tally(&runs).failed_in_a_row, row, "{outcomes:?}");
    }
    let lost = tally(&[Ran { outcome: Lost, due_at: 0, started_at: Some(5), finished_at: 9 }]);
    assert_eq!((lost.by.lost, lost.duration.count(), lost.last_success), (1, 0, None), "whoever held the claim is counted");
}
