//! The table and the laws of the token bucket.
//!
//! Not the limits that use it. What must hold: each row of the table is a case that somebody could get wrong.

use super::*;
use chrono::TimeDelta;
use proptest::prelude::*;

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds(ms)
}

fn rate(text: &str, burst: Option<u32>) -> Rate {
    Rate::parse(text, burst).expect("a rate")
}

#[test]
fn a_rate_is_read_as_it_is_written_and_its_burst_is_what_a_second_gives() {
    for (text, burst, depth) in [("10/1m", None, 1), ("500/1s", None, 500), ("90/1m", None, 2), ("10/1m", Some(7), 7), ("3/1d", None, 1)] {
        let rate = rate(text, burst);
        assert_eq!((rate.text().as_str(), rate.burst()), (text, depth));
    }
    for (text, code) in
        [("10", "INP031"), ("0/1m", "INP031"), ("-1/1m", "INP031"), ("1/soon", "INP005"), ("1/0s", "INP031"), ("2/1us", "INP031")]
    {
        assert_eq!(Rate::parse(text, None).expect_err(text).code, code, "{text}");
    }
    assert_eq!(Rate::parse("1/1m", Some(0)).expect_err("no burst").code, "INP031");
    assert_eq!(Rate::parse("1/365d", Some(100)).expect_err("a century").code, "INP031");
}

#[test]
fn tokens_come_one_by_one_up_to_the_burst() {
    let two_a_second = rate("2/1s", Some(3));
    let mut full = None;
    // (now in ms, asked for, to be had)
    for (now, taken, tokens) in [(0, 3, 3), (0, 0, 0), (499, 0, 0), (500, 1, 1), (500, 0, 0), (1_400, 1, 1), (1_500, 1, 1), (60_000, 3, 3)]
    {
        assert_eq!(two_a_second.tokens(full, at(now)), tokens, "at {now} ms");
        full = Some(two_a_second.spend(full, at(now), taken));
    }
    assert_eq!(two_a_second.opens_at(full, at(60_000)), at(60_500));
    assert_eq!(two_a_second.opens_at(full, at(60_700)), at(60_700), "there is one already");
    assert_eq!(two_a_second.opens_at(None, at(5)), at(5));
}

#[test]
fn a_fast_rate_is_waited_for_in_handfuls() {
    let fast = rate("1000/1s", None);
    let empty = Some(fast.spend(None, at(0), 1_000));
    assert_eq!(fast.opens_at(empty, at(0)), at(20), "twenty at a time, not one");
    assert_eq!(fast.tokens(empty, at(20)), 20);
    let single = rate("1000/1s", Some(1));
    let empty = Some(single.spend(None, at(0), 1));
    assert_eq!(single.opens_at(empty, at(0)), at(1), "no more than there can be");
}

#[test]
fn a_clock_set_back_by_a_year_silences_nothing_for_longer_than_the_bucket_takes_to_fill() {
    let rate = rate("1/1m", Some(2));
    let full = Some(rate.spend(None, at(0), 2));
    let back = at(0) - TimeDelta::days(365);
    assert_eq!(rate.tokens(full, back), 0);
    assert_eq!(rate.opens_at(full, back), back + TimeDelta::minutes(1));
    let spent = Some(rate.spend(full, back, 0));
    assert_eq!(rate.tokens(spent, back + TimeDelta::minutes(2)), 2);
}

proptest! {
    /// Whoever takes all there is, whenever it likes, gets no more than the burst and the rate give, in no stretch of time.
    #[test]
    fn no_stretch_of_time_lets_more_through(count in 1_u32..2_000, per_ms in 1_u64..100_000, burst in 1_u32..50,
                                            steps in prop::collection::vec((0_i64..5_000, any::<bool>()), 1..60)) {
        let Ok(rate) = Rate::new(count, Duration::from_millis(per_ms), Some(burst)) else { return Ok(()) };
        let (mut now, mut full, mut let_through) = (0, None, Vec::new());
        for (step, all) in steps {
            now += step;
            let tokens = rate.tokens(full, at(now));
            let taken = if all { tokens } else { tokens.min(1) };
            full = Some(rate.spend(full, at(now), taken));
            let_through.push((now, i128::from(taken)));
            let opens = rate.opens_at(full, at(now));
            prop_assert!(rate.tokens(full, opens) > 0, "it says when it opens, and then it is open");
        }
        for (from, (first, _)) in let_through.iter().enumerate() {
            let mut sum = 0;
            for (last, taken) in &let_through[from..] {
                sum += taken;
                let given = i128::from(last - first) * i128::from(count) / i128::from(per_ms);
                prop_assert!(sum <= i128::from(burst) + given + 1, "{sum} in {} ms", last - first);
            }
        }
    }

    /// Nothing that the rate gives is lost while there is always somebody to take it.
    #[test]
    fn whoever_comes_when_it_opens_gets_the_whole_rate(count in 1_u32..500, per_s in 1_u64..100, burst in prop::option::of(1_u32..50)) {
        let rate = Rate::new(count, Duration::from_secs(per_s), burst).expect("a rate");
        let (mut full, mut now, mut taken) = (None, at(0), 0_u64);
        for _ in 0..200 {
            now = rate.opens_at(full, now);
            let tokens = rate.tokens(full, now);
            taken += u64::from(tokens);
            full = Some(rate.spend(full, now, tokens));
        }
        let elapsed = (now - at(0)).num_milliseconds().cast_unsigned();
        let given = u64::from(count) * elapsed / (per_s * 1_000);
        prop_assert!(taken + taken / 500 + 2 >= given, "{taken} of {given}");
    }
}
