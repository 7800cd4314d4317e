//! What can befall a store, as values, and how they are dealt.
//!
//! Not what they mean. What must hold: an op is meaningful in every state (places are taken modulo what there is), so that a sequence stays one
//! when some of it is left out: that is how a failure is made short.

use super::timing::{DAY, HOUR, MINUTE, Micros, Rule, SECOND, Timing};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use sexton_core::decide::Guilt;
use sexton_core::schedule::Misfire;

/// Which of those there are, modulo their number.
pub type Pick = u8;

/// An event that somebody asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The first or the second type.
    pub of_type: usize,
    pub timing: Timing,
    pub key: Option<u8>,
    pub attempts: u32,
    pub priority: i32,
    pub note: u8,
    /// Its occurrences do not overlap; else they may.
    pub skips_overlaps: bool,
}

/// What an edit changes.
#[derive(Clone, Debug)]
pub enum Edited {
    Timing(Timing),
    Priority(i32),
    Attempts(u32),
}

/// How a run ends.
#[derive(Clone, Debug)]
pub enum Ending {
    Succeeds(Vec<Wish>),
    Fails { permanent: bool },
    Snoozes(Micros),
    Cancelled,
    Interrupted(Guilt),
}

/// What is left of the flight record after a crash.
#[derive(Clone, Copy, Debug)]
pub enum Slots {
    All,
    Half,
    None,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Op {
    Schedule(Vec<Wish>),
    /// A plugin loads, and declares a standing event.
    Publish(Wish),
    Edit(Pick, Edited),
    Pause(Pick),
    PauseMany(Vec<Pick>),
    Resume(Pick),
    Cancel(Pick),
    RunNow(Pick),
    Backfill(Pick, u8),
    Claim {
        limit: usize,
        ahead: Micros,
    },
    /// The host's common way: claim, judge, start.
    Work(usize),
    /// What was claimed and is late is judged.
    Judge,
    /// Of what was claimed and judged, so many are started.
    Start(u8),
    GiveBack(Pick),
    /// Ends of runs, in one batch.
    Settle(Vec<(Pick, Ending)>, Micros),
    /// A report under a claim that is void.
    Late(Pick, Ending),
    /// A verb under the lease of an earlier life.
    FromTheGrave(Pick),
    RunnerDies(usize, Guilt),
    Crash(Slots, Micros),
    Stop(Micros),
    Advance(Micros),
    SetForward(Micros),
    SetBack(Micros),
    Serve(bool),
    /// Dead letters are put back.
    Requeue(Vec<Pick>),
    /// A dead letter is removed.
    Discard(Pick),
    /// What waits for its next attempt is made due.
    Hasten(Pick),
    CancelMany(Vec<Pick>),
    Prune {
        age: Micros,
        limit: usize,
    },
}

impl Op {
    /// The same with less in it, by each thing that can be left out.
    pub fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Schedule(wishes) if wishes.len() > 1 => without_one(wishes).map(Self::Schedule).collect(),
            Self::PauseMany(picks) if picks.len() > 1 => without_one(picks).map(Self::PauseMany).collect(),
            Self::Settle(ends, lag) => {
                let plainer =
                    ends.iter().enumerate().filter(|(_, (_, ending))| matches!(ending, Ending::Succeeds(wishes) if !wishes.is_empty()));
                let plainer = plainer.map(|(place, _)| {
                    let mut ends = ends.clone();
                    ends[place].1 = Ending::Succeeds(Vec::new());
                    Self::Settle(ends, *lag)
                });
                let fewer = without_one(ends).filter(|ends| !ends.is_empty()).map(|ends| Self::Settle(ends, *lag));
                fewer.chain(plainer).chain((*lag > 0).then(|| Self::Settle(ends.clone(), 0))).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn without_one<T: Clone>(of: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..of.len()).map(|place| of.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, one)| one.clone()).collect())
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        // From when it is stored: one in the past is due at once.
        3 => (-HOUR..2 * DAY).prop_map(|when| Rule::Once(when / SECOND * SECOND)),
        3 => prop_oneof![Just(MINUTE), Just(15 * MINUTE), Just(HOUR)].prop_map(Rule::Every),
        1 => Just(Rule::TenMinutes),
        2 => Just(Rule::FourADay),
        2 => prop_oneof![Just(30 * SECOND), Just(20 * MINUTE)].prop_map(Rule::After),
        1 => Just(Rule::Manual),
    ]
}

fn misfire() -> impl Strategy<Value = Misfire> {
    prop_oneof![Just(Misfire::Latest), Just(Misfire::Earliest), Just(Misfire::All), Just(Misfire::Skip)]
}

fn timing() -> impl Strategy<Value = Timing> {
    let catch_up = weighted(0.3, prop_oneof![Just(30 * MINUTE), Just(3 * HOUR), Just(3 * DAY)]);
    let expires = weighted(0.2, prop_oneof![Just(90 * SECOND), Just(2 * HOUR)]);
    let end = weighted(0.15, (HOUR..3 * DAY).prop_map(|end| end / SECOND * SECOND));
    (rule(), misfire(), catch_up, expires, weighted(0.2, 1..4u32), end)
        .prop_map(|(rule, misfire, catch_up, expires, max_runs, end)| Timing { rule, misfire, catch_up, expires, max_runs, end }.tidied())
}

/// What plugins declare: few, so that the same comes again.
fn declared() -> impl Strategy<Value = Wish> {
    const PLAIN: Timing =
        Timing { rule: Rule::TenMinutes, misfire: Misfire::Latest, catch_up: None, expires: None, max_runs: None, end: None };
    let timing = prop_oneof![
        Just(PLAIN),
        Just(Timing { rule: Rule::Every(15 * MINUTE), misfire: Misfire::All, ..PLAIN }),
        Just(Timing { rule: Rule::FourADay, max_runs: Some(2), ..PLAIN }),
        Just(Timing { rule: Rule::After(20 * MINUTE), misfire: Misfire::Skip, ..PLAIN }),
        Just(Timing { rule: Rule::Manual, ..PLAIN }),
    ];
    (0..2usize, timing, 0..2u8, 0..8u8, 0..2i32).prop_map(|(of_type, timing, key, note, priority)| Wish {
        of_type,
        timing,
        key: Some(key),
        attempts: 2,
        priority,
        note: note / 7,
        // The same for all that stand under a key: another policy would meet what may not wait under it.
        skips_overlaps: key == 0,
    })
}

fn wish(key: f64) -> impl Strategy<Value = Wish> {
    (0..2usize, timing(), weighted(key, 0..3u8), 1..4u32, -1..2i32, 0..2u8, any::<bool>()).prop_map(
        |(of_type, timing, key, attempts, priority, note, skips)| {
            // A one-shot's own would wait.
            let skips_overlaps = skips && !matches!(timing.rule, Rule::Once(_));
            Wish { of_type, timing, key, attempts, priority, note, skips_overlaps }
        },
    )
}

fn guilt() -> impl Strategy<Value = Guilt> {
    prop_oneof![Just(Guilt::Innocent), Just(Guilt::Suspect), Just(Guilt::Culprit)]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        6 => Just(Ending::Succeeds(Vec::new())),
        2 => vec(wish(0.5), 1..3).prop_map(Ending::Succeeds),
        3 => Just(Ending::Fails { permanent: false }),
        1 => Just(Ending::Fails { permanent: true }),
        1 => (-HOUR..HOUR).prop_map(Ending::Snoozes),
        1 => Just(Ending::Cancelled),
        1 => guilt().prop_map(Ending::Interrupted),
    ]
}

/// Short mostly, days at times.
fn pause() -> impl Strategy<Value = Micros> {
    prop_oneof![4 => SECOND..MINUTE, 4 => MINUTE..HOUR, 2 => HOUR..10 * HOUR, 1 => DAY..4 * DAY]
}

fn slots() -> impl Strategy<Value = Slots> {
    prop_oneof![Just(Slots::All), Just(Slots::Half), Just(Slots::None)]
}

fn op() -> impl Strategy<Value = Op> {
    let pick = any::<Pick>;
    let verbs = prop_oneof![
        6 => vec(wish(0.3), 1..4).prop_map(Op::Schedule),
        3 => declared().prop_map(Op::Publish),
        4 => (pick(), timing()).prop_map(|(at, timing)| Op::Edit(at, Edited::Timing(timing))),
        1 => (pick(), -1..2i32).prop_map(|(at, priority)| Op::Edit(at, Edited::Priority(priority))),
        1 => (pick(), 1..4u32).prop_map(|(at, attempts)| Op::Edit(at, Edited::Attempts(attempts))),
        4 => pick().prop_map(Op::Pause),
        1 => vec(pick(), 1..4).prop_map(Op::PauseMany),
        5 => pick().prop_map(Op::Resume),
        2 => pick().prop_map(Op::Cancel),
        4 => pick().prop_map(Op::RunNow),
        1 => (pick(), 1..4u8).prop_map(|(at, n)| Op::Backfill(at, n)),
        4 => vec(pick(), 1..4).prop_map(Op::Requeue),
        1 => pick().prop_map(Op::Discard),
        2 => pick().prop_map(Op::Hasten),
        1 => vec(pick(), 1..3).prop_map(Op::CancelMany),
    ];
    let host = prop_oneof![
        14 => (1..20usize).prop_map(Op::Work),
        3 => (1..20usize, prop_oneof![Just(0), 0..5 * SECOND]).prop_map(|(limit, ahead)| Op::Claim { limit, ahead }),
        3 => Just(Op::Judge),
        3 => (1..12u8).prop_map(Op::Start),
        1 => pick().prop_map(Op::GiveBack),
        14 => (vec((pick(), ending()), 1..6), prop_oneof![Just(0), 0..30 * SECOND]).prop_map(|(ends, lag)| Op::Settle(ends, lag)),
        2 => (pick(), ending()).prop_map(|(at, ending)| Op::Late(at, ending)),
        1 => pick().prop_map(Op::FromTheGrave),
        1 => (0..2usize, guilt()).prop_map(|(of, guilt)| Op::RunnerDies(of, guilt)),
    ];
    let world = prop_oneof![
        20 => pause().prop_map(Op::Advance),
        2 => (slots(), pause()).prop_map(|(slots, away)| Op::Crash(slots, away)),
        1 => pause().prop_map(Op::Stop),
        1 => (MINUTE..2 * HOUR).prop_map(Op::SetForward),
        1 => (MINUTE..2 * HOUR).prop_map(Op::SetBack),
        1 => any::<bool>().prop_map(Op::Serve),
        1 => (0..2 * DAY, 1..20usize).prop_map(|(age, limit)| Op::Prune { age, limit }),
    ];
    prop_oneof![24 => verbs, 40 => host, 20 => world]
}

/// A life.
pub fn sequence() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 40..200)
}
