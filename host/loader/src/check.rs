//! The offline check: all that a host does with a file up to `load`, and the unloading.
//!
//! Not a verdict on what a host's store knows (owners, stored events). What must hold: the file's code runs in a runner first, and in this process only
//! if that is what is asked about; nothing is left in the directory but what was there.

use crate::confine::Confinement;
use crate::generation::{Opening, logs::RECORDS_MAX, open_in_process};
use crate::inspect::{self, Inspected, Rules};
use crate::rejection::Rejection;
use crate::runner::{self, Spawner, Start};
use crate::seam::{DeathKind, Farewell, Killing, Memory, Order, Placement, Report, Stamped};
use serde_json::{Value, json};
use sexton_plugin_api::wire::{Batch, LoadOrder};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// As long as a host waits for `load`, and for the ending.
const DEADLINE: Duration = Duration::from_secs(10);
const WARN: u8 = 2;

/// What a host would tell and allow the plugin.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// The `[settings]` of its settings file, as JSON.
    pub settings: Value,
    /// What its process may use and touch.
    pub confinement: Confinement,
}

/// Inspects the file by `rules`, opens it from a copy inside `generations`, calls `load` as `trial` has it, unloads and closes it; for placement
/// `in-process` a second time in this process. What the ending shows is added to the warnings.
pub fn check(path: &Path, generations: &Path, rules: &Rules, spawner: &Spawner, trial: &Trial) -> Result<(Inspected, Batch), Rejection> {
    let mut inspected = inspect::inspect(path, generations, rules)?;
    let answer = opened(&inspected, rules.placement, spawner, trial);
    inspect::discard(&inspected);
    let (batch, farewell) = answer?;
    if let Memory::Lingering { why } = farewell.memory {
        inspected.warnings.push(format!("once loaded it cannot be taken out of a process: {why}"));
    }
    if let Some(failure) = farewell.unload {
        inspected.warnings.push(format!("`unload` failed: {}", failure.message));
    }
    if let Some(death) = farewell.death {
        inspected.warnings.push(format!("its process died in `unload`: {}", death.cause));
    }
    Ok((inspected, batch))
}

fn opened(inspected: &Inspected, placement: Placement, spawner: &Spawner, trial: &Trial) -> Result<(Batch, Farewell), Rejection> {
    let (plugin, image) = (inspected.identity.plugin.clone(), inspected.copy.clone());
    let (sender, reports) = channel();
    let confinement = trial.confinement.clone();
    let start = Start { plugin: plugin.clone(), generation: 0, image: image.clone(), threads: 1, confinement, group: None };
    let in_runner = load_and_unload(&plugin, &runner::open(spawner, start, sender).orders, &reports, &trial.settings)?;
    if placement == Placement::Runner {
        return Ok(in_runner);
    }
    let (sender, reports) = channel();
    let opening = Opening { plugin: plugin.clone(), generation: 0, image, threads: 1, log_lines: RECORDS_MAX };
    load_and_unload(&plugin, &open_in_process(opening, sender), &reports, &trial.settings)
}

fn load_and_unload(
    plugin: &str,
    orders: &Sender<Order>,
    reports: &Receiver<Stamped>,
    settings: &Value,
) -> Result<(Batch, Farewell), Rejection> {
    let stuck = |what: &str| {
        let why = format!("deadline: `{what}` has not returned");
        // A process is ended; a thread of ours ends with the command.
        let _gone = orders.send(Order::Kill(Killing { kind: DeathKind::Deadline, why, run: None }));
        let _farewell = wait(reports, |report| matches!(report, Report::Gone(_)).then_some(()));
        Rejection::new("PLG036", format!("`{what}` of plugin `{plugin}` has not returned within {} s", DEADLINE.as_secs()))
            .expected(format!("`{what}` only registers, or withdraws, and returns"))
            .remedy("move what waits (network, disk, locks) into the jobs")
    };
    // One that is gone says so in a report.
    let order = |order: Order| drop(orders.send(order));
    order(Order::Load(LoadOrder {
        plugin: plugin.to_owned(),
        settings: if settings.is_null() { json!({}) } else { settings.clone() },
        log_level: WARN,
    }));
    let answered = wait(reports, |report| match report {
        Report::Loaded(loaded) => Some(loaded),
        Report::Gone(Farewell { death: Some(death), .. }) => Some(Err(Rejection::died_while_loading(plugin, &death))),
        Report::Gone(_) => Some(Err(Rejection::new("PLG015", format!("plugin `{plugin}` ended before its `load` answered")))),
        _ => None,
    });
    let batch = answered.ok_or_else(|| stuck("load"))??;
    order(Order::Drain);
    order(Order::Unload);
    let farewell = wait(reports, |report| if let Report::Gone(farewell) = report { Some(farewell) } else { None });
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
