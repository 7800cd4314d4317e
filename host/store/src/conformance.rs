//! The one suite that every adapter of [`crate::Store`] passes, by theme.
//!
//! Not tests of one engine: those stand beside their adapter. What must hold: a theme asks only through the trait, and says
//! what it expected when it fails.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a suite of tests says what went wrong by panicking")]

pub mod alerts;
pub mod alter;
pub mod audit;
pub mod chains;
pub mod claim;
pub mod crashes;
pub mod dead_letters;
pub mod followed;
pub mod found;
pub mod ground;
pub mod limits;
pub mod logs;
pub mod overlap;
pub mod plugins;
pub mod prune;
pub mod recover;
pub mod reload;
pub mod retention;
pub mod schedule;
pub mod settle;
pub mod standing;
pub mod stats;
pub mod threads;
pub mod time;
pub mod unique;

pub use ground::Ground;

/// A theme: a name, and what it does with a fresh, empty store.
pub type Theme = (&'static str, fn(&Ground));

/// Every theme. Each gets a store of its own.
pub const THEMES: &[&[Theme]] = &[
    schedule::THEMES,
    claim::THEMES,
    limits::THEMES,
    settle::THEMES,
    recover::THEMES,
    alter::THEMES,
    reload::THEMES,
    logs::THEMES,
    plugins::THEMES,
    crashes::THEMES,
    standing::THEMES,
    audit::THEMES,
    prune::THEMES,
    retention::THEMES,
    stats::THEMES,
    alerts::THEMES,
    time::THEMES,
    dead_letters::THEMES,
    chains::THEMES,
    unique::THEMES,
    overlap::THEMES,
    followed::THEMES,
    threads::THEMES,
    found::THEMES,
];

/// Runs every theme on a fresh store from `fresh`; answers how many ran.
pub fn exercise(fresh: impl Fn() -> std::sync::Arc<dyn crate::Store>) -> usize {
    let mut ran = 0;
    for (name, theme) in THEMES.iter().copied().flatten() {
        eprintln!("theme: {name}");
        theme(&Ground::on(fresh()));
        ran += 1;
    }
    ran
}
