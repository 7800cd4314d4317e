//! Theme: coming back after a host ended in the middle of things.

use super::Theme;
use super::ground::{Ground, at, every, once};
use crate::rows::{Aborted, Change};
use sexton_core::decide::{End, Guilt, POISON_INTERRUPTIONS};
use sexton_core::{Cause, EventState, Occurrence, Outcome};

/// The themes of this file.
pub const THEMES: &[Theme] = &[
    ("recover: started is interrupted, claimed is given back", both_kinds),
    ("recover: a slot of another claim is no proof", other_claim),
    ("recover: poison becomes a dead letter", poison),
    ("recover: a host that was asked to stop poisons nothing", stopped),
    ("recover: paused and cancelled events", paused_and_cancelled),
    ("recover: nothing to do is nothing done", nothing),
];

fn aborted(occurrence: &Occurrence) -> Aborted {
    Aborted {
        occurrence: occurrence.id,
        token: occurrence.token,
        attempt: occurrence.attempt,
        started_at: occurrence.due_at,
        plugin: "bells".to_owned(),
        generation: 7,
        digest: "d7".to_owned(),
        placement: "in-process".to_owned(),
        cause: "host ended".to_owned(),
    }
}

fn both_kinds(ground: &Ground) {
    let (started, claimed) = (ground.schedule(once(10)), ground.schedule(every(10)));
    let mut occurrences = ground.claim(10);
    occurrences.sort_by_key(|o| o.id);
    let settled_before = ground.schedule(once(5));
    let done = ground.claim_one(10);
    ground.settle(&done, End::Succeeded, 11);
    let life = ground.restarted(20);
    assert_eq!(life.lease.stale_claims, 2);
    // The slot of what was settled was not yet freed when the host ended.
    let slots = [aborted(&occurrences[0]), aborted(&done)];
    assert_eq!(life.store.recover(&life.lease, &slots, at(20)).unwrap(), (1, 1));
    let run = life.runs(started).remove(0);
    assert_eq!((run.outcome, run.attempt, run.error.as_deref()), (Outcome::Interrupted, 1, Some("host ended")));
    assert_eq!((run.started_at, run.finished_at, run.generation, run.digest.as_str()), (Some(at(10)), at(20), 7, "d7"));
    assert!(life.runs(claimed).is_empty(), "claimed without a slot: no run row");
    assert_eq!(life.outcomes(settled_before), [Outcome::Succeeded]);
    let mut again = life.claim(20);
    assert_eq!(again.len(), 1, "what may have ended the host waits a moment");
    again.extend(life.claim(21));
    again.sort_by_key(|o| o.id);
    let seen: Vec<_> = again.iter().map(|o| (o.id, o.attempt, o.interruptions, o.cause)).collect();
    assert_eq!(seen, [(occurrences[0].id, 1, 1, Cause::Schedule), (occurrences[1].id, 1, 0, Cause::Schedule)], "no attempt was spent");
    for occurrence in &again {
        assert_eq!(life.settle(occurrence, End::Succeeded, 21).outcome, Outcome::Succeeded);
    }
    life.check_counts();
}

fn other_claim(ground: &Ground) {
    let id = ground.schedule(once(10));
    let first = ground.claim_one(10);
    ground.store.give_back(&ground.lease, &[(first.id, first.token)]).unwrap();
    ground.claim_one(10);
    let life = ground.restarted(20);
    assert_eq!(life.store.recover(&life.lease, &[aborted(&first)], at(20)).unwrap(), (0, 1));
    assert!(life.runs(id).is_empty());
    assert_eq!(life.claim_one(20).interruptions, 0);
}

fn poison(ground: &Ground) {
    let id = ground.schedule(once(10));
    let mut life = ground.restarted(10);
    for ended in 1..=POISON_INTERRUPTIONS {
        let occurrence = life.claim_one(1_000);
        assert_eq!(occurrence.interruptions, ended - 1);
        life = life.restarted(100);
        assert_eq!(life.store.recover(&life.lease, &[aborted(&occurrence)], at(100)).unwrap(), (1, 0));
    }
    assert!(life.claim(1_000).is_empty());
    let event = life.event(id);
    assert_eq!(event.state, EventState::Discarded);
    assert!(event.reason.is_some_and(|reason| reason.contains("poison")));
    assert_eq!(life.outcomes(id).len(), 5);
    life.check_counts();
}

fn stopped(ground: &Ground) {
    let id = ground.schedule(once(10));
    for _ in 0..2 * POISON_INTERRUPTIONS {
        let occurrence = ground.claim_one(10);
        assert_eq!((occurrence.interruptions, occurrence.attempt), (0, 1));
        let settled = ground.settle(&occurrence, End::Interrupted { guilt: Guilt::Innocent }, 10);
        assert_eq!((settled.outcome, settled.next_due), (Outcome::Interrupted, Some(at(10))), "due again at once");
    }
    assert_eq!(ground.event(id).state, EventState::Scheduled);
}

fn paused_and_cancelled(ground: &Ground) {
    let ids = [ground.schedule(once(1)), ground.schedule(once(2)), ground.schedule(once(3)), ground.schedule(once(4))];
    let mut running = ground.claim(10);
    running.sort_by_key(|o| o.id);
    let changes = [Change::Pause { note: None }, Change::Pause { note: None }, Change::Cancel, Change::Cancel];
    for (occurrence, change) in running.iter().zip(&changes) {
        ground.alter_while(occurrence.id.event, change, &[occurrence.id], 11).unwrap();
    }
    let life = ground.restarted(20);
    assert_eq!(life.store.recover(&life.lease, &[aborted(&running[0]), aborted(&running[2])], at(20)).unwrap(), (2, 2));
    assert!(life.claim(1_000).is_empty(), "nothing of a paused or cancelled event is due");
    assert_eq!((life.ordinals(ids[0]), life.ordinals(ids[1])), (vec![1], vec![1]), "the paused ones are owed");
    assert_eq!((life.ordinals(ids[2]), life.ordinals(ids[3])), (vec![], vec![]));
    assert_eq!((life.outcomes(ids[0]), life.outcomes(ids[2])), (vec![Outcome::Interrupted], vec![Outcome::Interrupted]));
    for id in &ids[..2] {
        life.alter(*id, &Change::Resume, 21).unwrap();
    }
    assert_eq!(life.claim(22).len(), 2);
    life.check_counts();
}

fn nothing(ground: &Ground) {
    ground.schedule(once(10));
    let own = ground.claim_one(10);
    assert_eq!(ground.store.recover(&ground.lease, &[], at(11)).unwrap(), (0, 0), "claims of this life are no earlier ones");
    assert_eq!(ground.settle(&own, End::Succeeded, 12).outcome, Outcome::Succeeded);
}
