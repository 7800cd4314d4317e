//! Values of the verb on overlaps.
//!
//! Not the decision (`sexton_core::decide::overlap`).

use sexton_core::OccurrenceId;

/// What became of occurrences that fell due while others of their events were going.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlapped {
    /// Runs to be asked to stop: those that wait now were to take their place.
    pub cancel: Vec<OccurrenceId>,
    /// How many wait now.
    pub queued: i64,
    /// How many were taken away and counted, those included that had waited.
    pub skipped: i64,
}
