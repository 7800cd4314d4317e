//! What a host says of itself: its log, and what it tells at the start.
//!
//! Not the log lines of the rooms. What must hold: standard output carries `ready` and nothing else; nothing that the host says waits for the
//! reader of standard error.

use crate::app::log_writer::{LogWriter, Notice};
use crate::config::Config;
use crate::http::Rooms;
use crate::supervisor::PluginState;
use sexton_core::{Blame, Refusal};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How long the last lines may take to be read at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The host's log. Dropped, it writes what is left.
pub struct Log(LogWriter);

impl Log {
    /// Starts the log on standard error.
    ///
    /// # Errors
    /// When standard error cannot be had, or no thread for it.
    pub fn start(config: &Config) -> Result<Self, Refusal> {
        let no_log = |e| Refusal::new("HST007", Blame::World, format!("the log cannot be started: {e}"));
        // Checked when the configuration was read.
        let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        // Not by way of std, whose lock would be held as long as a write takes: a panic's words wait for it.
        let stderr = File::from(std::io::stderr().as_fd().try_clone_to_owned().map_err(no_log)?);
        let writer = LogWriter::start(stderr, notice(config.log_json)).map_err(no_log)?;
        let own = writer.clone();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || own.clone()).with_ansi(colours);
        // A second host in one process (tests) keeps the first one's log.
        let _ = if config.log_json { log.json().try_init() } else { log.try_init() };
        std::panic::set_hook(Box::new(panicked));
        let log = Self(writer);
        if rustix::process::geteuid().is_root() {
            log.say("sexton: running as root: plugin code runs with every right, and only root-owned plugin files are taken");
        }
        Ok(log)
    }

    /// Writes what is left, for a second at most. False if nobody reads it.
    pub fn finish(&self) -> bool {
        self.0.finish(LAST_LINES)
    }

    fn say(&self, line: &str) {
        self.0.put(format!("{line}\n").as_bytes());
    }

    /// Says that the host serves: `ready` for programs, the rest for people.
    pub fn ready(&self, rooms: &Rooms) {
        let (facts, plugins) = (&rooms.facts, rooms.supervisor.list());
        let active = plugins.iter().filter(|p| p.state == PluginState::Active).count();
        let served = rooms.registry.now().served().len();
        self.say(&format!("sexton: {} serves, process {}", facts.name, std::process::id()));
        self.say(&format!("  socket   {}", facts.socket.display()));
        let dir = facts.plugins_dir.display();
        self.say(&format!("  plugins  {dir} ({active} active of {}, {served} event types served)", plugins.len()));
        self.say(&match rooms.store.counts() {
            Ok(counts) => format!("  store    {} ({} events scheduled, {} paused)", facts.store_url, counts.scheduled, counts.paused),
            Err(e) => format!("  store    {} (cannot be counted: {e})", facts.store_url),
        });
        for plugin in plugins {
            if let Some(rejection) = plugin.rejection {
                self.say(&format!("  rejected {}: {rejection}", plugin.name));
            }
        }
        let mut out = std::io::stdout().lock();
        // Whoever started the host may not listen.
        let _ = writeln!(out, "ready").and_then(|()| out.flush());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A panic is a line of the log: std's own words would wait for the reader, and the duty that panicked would never end.
fn panicked(panic: &PanicHookInfo<'_>) {
    let (thread, backtrace) = (std::thread::current(), Backtrace::capture());
    let name = thread.name().unwrap_or("without a name");
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("a payload that is no text");
    let trace = if backtrace.status() == BacktraceStatus::Captured { format!("\n{backtrace}") } else { String::new() };
    tracing::error!("the thread `{name}` panicked at {place}: {message}{trace}");
}

/// How many lines were dropped, said past the log's filter: they are gone whatever it lets through.
fn notice(json: bool) -> Notice {
    Box::new(move |dropped| {
        let (at, message) =
            (crate::clock::now().to_rfc3339(), format!("{dropped} lines of this log were dropped: nobody read standard error"));
        if json {
            let line =
                serde_json::json!({"timestamp": at, "level": "WARN", "fields": {"message": message}, "target": "sexton::app::log_writer"});
            format!("{line}\n").into_bytes()
        } else {
            format!("{at}  WARN sexton::app::log_writer: {message}\n").into_bytes()
        }
    })
}
