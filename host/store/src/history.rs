//! The part of the port that is about what was: how long it is kept, what stays of it, who wants to hear of it.
//!
//! Not the settlement that makes it ([`crate::Store`]). What must hold: none of these verbs moves an event or an occurrence, but for ended
//! events that are pruned and the events that alerts store.

use crate::rows::{Actor, AlertFound, AlertMove, AlertRow, Intention, Lease, Pruned, Pruning, RetentionRow, TypeStats};
use crate::store::Result;
use chrono::{DateTime, Utc};
use sexton_core::RetentionRule;
use sexton_core::decide::alert::{Alert, AlertStanding};

/// Verbs on history. Part of every store.
pub trait History: Send + Sync {
    /// What was said about how long runs are kept, the rule for all types first.
    fn retention(&self) -> Result<Vec<RetentionRow>>;
    /// Says how long runs of a type, or of all that have no rule of their own (`None`), are kept. Before: a type is known (`INP001`), the rule
    /// says something that can be (`INP040`). After: what it says stands; what was said before of something else stays said. Answers both.
    fn set_retention(
        &self,
        lease: &Lease,
        event_type: Option<&str>,
        said: &RetentionRule,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<RetentionRule>;
    /// Forgets what was said of a type, or of all. Answers whether anything was.
    fn clear_retention(&self, lease: &Lease, event_type: Option<&str>, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
    /// Deletes runs that were kept long enough, with their logs, and ended events that have no run left, a step of at most `limit` runs or
    /// events. Before: the step's place is where the one before came to. After: nothing open is gone, no run of an occurrence that is not over,
    /// none that an alert still asks about; statistics are as they were. Two at once delete no more than one. To be asked until it names no
    /// next place.
    fn prune(&self, what: &Pruning, now: DateTime<Utc>) -> Result<Pruned>;
    /// Statistics of one type, or of all that ever ran, over the runs that ended in the hour of `since` or later; pruned ones are in it.
    fn statistics(&self, event_type: Option<&str>, since: Option<DateTime<Utc>>) -> Result<Vec<TypeStats>>;

    /// Every alert, by name.
    fn alerts(&self) -> Result<Vec<AlertRow>>;
    /// Stores an alert under its name, in place of one that was there. Before: its event is there (`INP009`), or its type known (`INP001`);
    /// it can be meant (`INP042`). After: it begins anew, and runs that it asks about are not pruned.
    fn set_alert(&self, lease: &Lease, name: &str, alert: &Alert, by: &Actor, now: DateTime<Utc>) -> Result<()>;
    /// Forgets an alert. Answers whether it was there.
    fn remove_alert(&self, lease: &Lease, name: &str, by: &Actor, now: DateTime<Utc>) -> Result<bool>;
    /// What the rows say about an alert's subject. Costs what a bounded number of runs cost.
    fn alert_facts(&self, row: &AlertRow) -> Result<AlertFound>;
    /// Moves an alert and stores the event that tells of it, both or neither. Before: the alert is as it was when `row` was read. After: whether
    /// it was; one that was set, removed or moved meanwhile is left alone, and nothing is stored.
    fn move_alert(
        &self,
        lease: &Lease,
        row: &AlertRow,
        to: (&AlertStanding, AlertMove),
        tells: Option<&Intention>,
        now: DateTime<Utc>,
    ) -> Result<bool>;
}
