//! The router: one queue of reports from all generations, each taken to whom it concerns.
//!
//! It owns nothing and decides nothing. What must hold: it waits for nobody, so that a generation never waits for the host to listen.

use crate::engine::Engine;
use sexton_core::OccurrenceId;
use sexton_loader::seam::{LogLine, Report, Stamped};
use std::io;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

/// Routes on a thread of its own until every sender is gone. `life_cycle` gets what concerns the supervisor; it must not block.
pub fn spawn(reports: Receiver<Stamped>, engine: Engine, life_cycle: impl FnMut(Stamped) + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("sexton-reports".to_owned()).spawn(move || route(&reports, &engine, life_cycle))
}

/// Routes until every sender is gone.
pub fn route(reports: &Receiver<Stamped>, engine: &Engine, mut life_cycle: impl FnMut(Stamped)) {
    for stamped in reports {
        match &stamped.report {
            Report::Started { .. } | Report::Done(_) | Report::Refused(_) | Report::Acted { .. } | Report::Call { .. } => {
                engine.report(stamped);
            }
            Report::Gone(_) => {
                engine.report(stamped.clone());
                life_cycle(stamped);
            }
            Report::Loaded(_) | Report::Migrated { .. } | Report::Quiescent => life_cycle(stamped),
            Report::Log(line) => log(engine, stamped.generation, line),
        }
    }
}

/// A line of a plugin becomes a line of the host: target `plugin`, text `plugin::<name>: …`, since targets are fixed when the host is built.
fn log(engine: &Engine, generation: i64, line: &LogLine) {
    let (plugin, occurrence) = engine.logged(generation, line);
    let plugin = plugin.as_deref().unwrap_or("?");
    let occurrence = occurrence.as_ref().map(OccurrenceId::to_string);
    let spans = Some(&line.spans).filter(|s| !s.is_empty());
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(target: "plugin", $level, plugin, generation, occurrence, origin = line.target, spans, "plugin::{plugin}: {}", line.message)
        };
    }
    match line.level {
        1 => emit!(tracing::Level::ERROR),
        2 => emit!(tracing::Level::WARN),
        3 => emit!(tracing::Level::INFO),
        4 => emit!(tracing::Level::DEBUG),
        _ => emit!(tracing::Level::TRACE),
    }
}
