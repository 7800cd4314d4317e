//! Pure decisions of Sexton: schedules, states, outcomes, and what follows from them.
//!
//! It is not a place for I/O, clock reading, async or unsafe code: time is an argument, rows are values.
//! What must hold: the same input gives the same answer on every host.

#![forbid(unsafe_code)]

pub mod calendar;
pub mod decide;
pub mod error_code;
pub mod event;
pub mod ids;
pub mod import;
pub mod limit;
pub mod policy;
pub mod refusal;
pub mod retention;
pub mod run;
pub mod schedule;
mod spelling;
pub mod stats;

pub use error_code::ErrorCode;
pub use event::{Bot, Cause, Event, EventState, NewEvent, Occurrence, Resource};
pub use ids::{EventId, OccurrenceId, TypeId};
pub use policy::{Conflict, Overlap, RunPolicy, TimeLimit, Unique, UniqueBy};
pub use refusal::{Blame, Place, Refusal};
pub use retention::{Retention, RetentionRule};
pub use run::{Outcome, ResourceEnd, RetryPolicy, Run};
pub use schedule::Schedule;
