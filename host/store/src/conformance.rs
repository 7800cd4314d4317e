//! The one suite that every adapter of [`crate::Store`] passes, by theme.
//!
//! Not tests of one engine: those stand beside their adapter. What must hold: a theme asks only through the trait, and says
//! what it expected when it fails.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a suite of tests says what went wrong by panicking")]

pub mod alter;
pub mod audit;
pub mod claim;
pub mod crashes;
pub mod ground;
pub mod logs;
pub mod plugins;
pub mod prune;
pub mod recover;
pub mod reload;
pub mod schedule;
pub mod settle;
pub mod standing;
pub mod threads;
pub mod time;

pub use ground::Ground;

/// A theme: a name, and what it does with a fresh, empty store.
pub type Theme = (&'static str, fn(&Ground));

/// Every theme. Each gets a store of its own.
pub const THEMES: &[&[Theme]] = &[
    schedule::THEMES,
    claim::THEMES,
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
    time::THEMES,
    threads::THEMES,
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
