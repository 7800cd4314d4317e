//! What a host says of itself: its log, and what it tells at the start.
//!
//! Not the log lines of the rooms. What must hold: standard output carries `ready` and nothing else.

use crate::config::Config;
use crate::http::Rooms;
use crate::supervisor::PluginState;
use std::io::{IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Starts the log on standard error.
pub fn start_log(config: &Config) {
    // Checked when the configuration was read.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second host in one process (tests) keeps the first one's log.
    let _ = if config.log_json { log.json().try_init() } else { log.try_init() };
    if rustix::process::geteuid().is_root() {
        eprintln!("sexton: running as root: plugin code runs with every right, and only root-owned plugin files are taken");
    }
}

/// Says that the host serves: `ready` for programs, the rest for people.
pub fn ready(rooms: &Rooms) {
    let (facts, plugins) = (&rooms.facts, rooms.supervisor.list());
    let active = plugins.iter().filter(|p| p.state == PluginState::Active).count();
    let served = rooms.registry.now().served().len();
    eprintln!("sexton: {} serves, process {}", facts.name, std::process::id());
    eprintln!("  socket   {}", facts.socket.display());
    eprintln!("  plugins  {} ({active} active of {}, {served} event types served)", facts.plugins_dir.display(), plugins.len());
    match rooms.store.counts() {
        Ok(counts) => eprintln!("  store    {} ({} events scheduled, {} paused)", facts.store_url, counts.scheduled, counts.paused),
        Err(e) => eprintln!("  store    {} (cannot be counted: {e})", facts.store_url),
    }
    for plugin in plugins {
        if let Some(rejection) = plugin.rejection {
            eprintln!("  rejected {}: {rejection}", plugin.name);
        }
    }
    let mut out = std::io::stdout().lock();
    // Whoever started the host may not listen.
    let _ = writeln!(out, "ready").and_then(|()| out.flush());
}
