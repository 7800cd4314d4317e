//! The port's verbs on what spent its attempts, and on many events and occurrences at once.
//!
//! Part of [`Store`](super::Store). What must hold: a verb on many takes a bounded number of rows in one transaction; who calls it goes on by key.

use super::Result;
use crate::rows::{Actor, DeadFilter, DeadLetter, DeadPage, Lease};
use chrono::{DateTime, Utc};
use sexton_core::{EventId, OccurrenceId, Refusal};

/// What becomes of each occurrence that a verb on many was given, in their order.
pub type Each = Vec<std::result::Result<(), Refusal>>;

/// Dead letters, and other verbs on many.
pub trait DeadLetters {
    /// Dead letters by event and ordinal, at most `page.limit`. Costs what the dead letters cost, whatever else is stored.
    fn dead_letters(&self, filter: &DeadFilter, page: &DeadPage) -> Result<Vec<DeadLetter>>;

    /// How many there are of these.
    fn count_dead_letters(&self, filter: &DeadFilter) -> Result<i64>;

    /// Puts dead letters back into the due order, in one transaction: due at `now`, cause `requeue`, attempt 1, no interruptions; resources that
    /// succeeded stay done. Before: whatever they are by now. After: a row of a paused event is held; a one-shot event that was discarded
    /// with it, or an event that was completed, is scheduled again until it is done; a recurring one gets no second successor. Each is refused
    /// for itself, and the others go on: no dead letter any more (`INP034`), or its event's key was taken by another since (`INP033`). One
    /// audit line for all that were put back.
    fn requeue(&self, lease: &Lease, which: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Each>;

    /// Removes dead letters in one transaction. After: their runs and their events stay as they are. Each is refused for itself: no dead letter
    /// any more (`INP034`). One audit line for all that were removed.
    fn discard(&self, lease: &Lease, which: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<Each>;

    /// Makes an occurrence that was tried before, and waits, due at `now`. Before: the caller keeps it from starting; those in `running` are
    /// going on. After: a claim of it is void. Refused (`INP035`) if there is nothing to hurry: it was never tried, runs, is over, or is a dead
    /// letter; `INP010` if its event is paused.
    fn hasten(&self, lease: &Lease, occurrence: OccurrenceId, running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<()>;

    /// Cancels those of `ids` that are scheduled or paused, in one transaction, each as `Store::alter` does with `Change::Cancel`: claimed
    /// rows in `running` stay and settle. An event that ended since somebody looked is passed over. One audit line for all. Answers how many.
    fn cancel_many(&self, lease: &Lease, ids: &[EventId], running: &[OccurrenceId], by: &Actor, now: DateTime<Utc>) -> Result<u64>;
}
