//! The offline check: all that a host does with a file up to `load`, and the unloading, in this process.
//!
//! For a process that may be thrown away (`sexton plugin check`): the file's code runs here, and may end it. What must hold: nothing is left in the
//! directory but what was there.

use crate::generation::{Opening, open_in_process};
use crate::inspect::{self, Inspected, Rules};
use crate::rejection::Rejection;
use crate::seam::{Farewell, Memory, Order, Report, Stamped};
use serde_json::json;
use sexton_plugin_api::wire::{Batch, LoadOrder};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// As long as a host would wait for `load`, and for the ending.
const DEADLINE: Duration = Duration::from_secs(30);
const WARN: u8 = 2;

/// Inspects the file by `rules`, opens it from a copy inside `generations`, calls `load` without settings, unloads and closes it. What the ending shows is
/// added to the warnings.
pub fn check(path: &Path, generations: &Path, rules: &Rules) -> Result<(Inspected, Batch), Rejection> {
    let mut inspected = inspect::inspect(path, generations, rules)?;
    let answer = load_and_unload(&inspected);
    inspect::discard(&inspected);
    let (batch, farewell) = answer?;
    if let Memory::Lingering { why } = farewell.memory {
        inspected.warnings.push(format!("once loaded it cannot be taken out of a process: {why}"));
    }
    if let Some(failure) = farewell.unload {
        inspected.warnings.push(format!("`unload` failed: {}", failure.message));
    }
    Ok((inspected, batch))
}

fn load_and_unload(inspected: &Inspected) -> Result<(Batch, Farewell), Rejection> {
    let plugin = inspected.identity.plugin.clone();
    let (sender, reports) = channel();
    let opening = Opening { plugin: plugin.clone(), generation: 0, image: inspected.copy.clone(), threads: 1, log_lines: 100 };
    let orders = open_in_process(opening, sender);
    let stuck = |what: &str| {
        Rejection::new("PLG036", format!("`{what}` of plugin `{plugin}` has not returned within {} s", DEADLINE.as_secs()))
            .expected(format!("`{what}` only registers, or withdraws, and returns"))
            .remedy("move what waits (network, disk, locks) into the jobs")
    };
    // The desk reads until this sender is dropped.
    let order = |order: Order| drop(orders.send(order));
    order(Order::Load(LoadOrder { plugin: plugin.clone(), settings: json!({}), log_level: WARN }));
    let loaded = wait(&reports, |report| if let Report::Loaded(loaded) = report { Some(loaded) } else { None });
    let batch = loaded.ok_or_else(|| stuck("load"))??;
    order(Order::Drain);
    order(Order::Unload);
    let farewell = wait(&reports, |report| if let Report::Gone(farewell) = report { Some(farewell) } else { None });
    Ok((batch, farewell.ok_or_else(|| stuck("unload"))?))
}

fn wait<T>(reports: &Receiver<Stamped>, wanted: impl Fn(Report) -> Option<T>) -> Option<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        match reports.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(stamped) => {
                if let Some(found) = wanted(stamped.report) {
                    return Some(found);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}
