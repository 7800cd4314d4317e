//! Opens, runs and closes plugin images. All unsafe code of the host is in this crate.
//!
//! It knows libraries and runners, not schedules or stores. What must hold: plugin code runs only on threads owned by
//! its generation and joined before the image is closed, or in a process of its own; no value made by a plugin outlives the call that brought it.

mod check;
pub mod confine;
pub mod flight;
pub mod generation;
mod image;
pub mod inspect;
mod maps;
mod plugin_threads;
mod pthread_keys;
pub mod rejection;
pub mod runner;
pub mod seam;
pub mod shown;

pub use check::{Trial, check};
pub use pthread_keys::keys_are_watched;
