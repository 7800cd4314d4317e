//! Sexton: a host process for scheduled events whose jobs come from plugins. This thin library is the binary's inside, for its own
//! `main`, the benches and the tests.
//!
//! Not an API for others. What must hold: no unsafe code here; only `app` names both supervisor and engine.

#![forbid(unsafe_code)]

pub mod app;
pub mod bench;
pub mod builtin;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
pub mod explain;
pub mod http;
pub mod output;
pub mod plugin_settings;
pub mod preview;
pub mod problem;
pub mod registry;
pub mod reports;
pub mod supervisor;
pub mod watcher;
