//! The near side of a runner: orders become frames, frames become reports, the end of the process becomes `Gone`.
//!
//! It decides nothing about the plugin, and believes nothing that its process says. What must hold: every report that the process has sent is passed on before
//! `Gone`, and `Gone` comes however it ends; a runner that does not read, does not end or says what it may not say is killed.
//!
//! Memory of the host for one runner, at most: 64 MiB while a report is read ([`bounds`](super::bounds)), 47 MiB of calls that wait for their answers
//! ([`ledger`]), and the answers of the runs under way, until the host has taken them.
//!
//! Two threads for each runner: the [`writer`] and the [`reader`]. This file holds what both of them do.

mod ledger;
mod reader;
mod writer;

use super::Start;
use super::spawn::Spawner;
use super::usage::Usage;
use crate::confine::{Applied, Group, Limits};
use crate::generation::logs::{Gate, Verdict};
use crate::rejection::Rejection;
use crate::seam::{Farewell, Killing, LogLine, Memory, Order, Report, Stamped};
use chrono::Utc;
use ledger::Ledger;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A warden that was told to end, or whose runner is gone, has so long to clear away what is left.
const CLEARING: Duration = Duration::from_secs(5);
const INFO: u8 = 3;

/// A runner on its way, as its owner holds it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The near end of the seam.
    pub orders: Sender<Order>,
    /// What it uses.
    pub usage: Usage,
    /// What it is confined to, once it has said so.
    pub applied: Arc<OnceLock<Applied>>,
}

/// What both threads of a runner hold.
struct Near {
    generation: i64,
    plugin: String,
    reports: Sender<Stamped>,
    logs: Gate,
    usage: Usage,
    applied: Arc<OnceLock<Applied>>,
    group: Option<Group>,
    killing: Mutex<Option<Killing>>,
    ledger: Mutex<Ledger>,
}

/// Starts a generation in a process of its own. As with `open_in_process`, it waits for `Order::Load`, everything else is said in reports, and
/// dropping the sender is `Drain` and `Unload`.
#[must_use]
pub fn open(spawner: &Spawner, mut start: Start, reports: Sender<Stamped>) -> Opened {
    let limits = &start.confinement.limits;
    let group = Group::make(&start.plugin, start.generation, limits);
    start.group = group.as_ref().map(Group::report);
    let near = Arc::new(Near::of(&start.plugin, start.generation, limits, group, reports));
    let (orders, inbox) = channel();
    let opened = Opened { orders, usage: near.usage.clone(), applied: Arc::clone(&near.applied) };
    let (own, spawner) = (Arc::clone(&near), spawner.clone());
    let name = format!("w{}-{}", near.generation, near.plugin);
    if let Err(error) = std::thread::Builder::new().name(name).spawn(move || writer::run(&own, &spawner, start, &inbox)) {
        near.not_started(&error);
    }
    opened
}

/// Whether the process behind a pidfd has ended.
pub(super) fn is_over(pidfd: &OwnedFd) -> bool {
    wait_for_end(pidfd, Duration::ZERO)
}

/// Waits so long at most; whether it has ended.
fn wait_for_end(pidfd: &OwnedFd, most: Duration) -> bool {
    let mut watched = [PollFd::new(pidfd, PollFlags::IN)];
    let most = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    poll(&mut watched, Some(&most)).is_ok_and(|ready| ready > 0)
}

impl Near {
    fn of(plugin: &str, generation: i64, limits: &Limits, group: Option<Group>, reports: Sender<Stamped>) -> Self {
        let logs = Gate::of(limits.log_lines);
        // By level the runner itself chooses.
        logs.set_level(5);
        Self {
            generation,
            plugin: plugin.to_owned(),
            reports,
            logs,
            usage: Usage::default(),
            applied: Arc::default(),
            group,
            killing: Mutex::default(),
            ledger: Mutex::default(),
        }
    }

    fn report(&self, report: Report) {
        // A host that no longer listens is shutting down.
        let _gone = self.reports.send(Stamped { generation: self.generation, report });
    }

    fn not_started(&self, error: &io::Error) {
        self.report(Report::Loaded(Err(Rejection::new(
            "PLG050",
            format!("no runner can be started for plugin `{}`: {error}", self.plugin),
        )
        .expected("a process of its own for the plugin")
        .remedy(
            "raise the limit of processes (`ulimit -u`, `TasksMax=`) or free memory; the plugin is tried again by `sexton plugin load`",
        ))));
        self.report(Report::Gone(Farewell { memory: Memory::None, unload: None, death: None }));
    }

    /// Notes what it is about to be told, before it can answer.
    fn note(&self, orders: &[Order]) {
        let mut ledger = self.ledger.lock();
        orders.iter().for_each(|order| ledger.ordered(order));
    }

    /// Obeys the first killing of a list.
    fn kill_if_told(&self, orders: &mut Vec<Order>, pidfd: &OwnedFd) -> bool {
        let killing = orders.iter().find_map(|order| if let Order::Kill(killing) = order { Some(killing.clone()) } else { None });
        let Some(killing) = killing else { return false };
        orders.clear();
        self.kill(killing, pidfd);
        true
    }

    /// Ends the process with all that descends from it. The warden does it; one that cannot is killed itself, and the runner with it.
    fn kill(&self, killing: Killing, pidfd: &OwnedFd) {
        self.killing.lock().get_or_insert(killing);
        if let Some(group) = &self.group {
            // The warden does it all the same.
            let _already_empty = group.kill();
        }
        // An error says that it has ended.
        let _over = rustix::process::pidfd_send_signal(pidfd, Signal::TERM);
        if !wait_for_end(pidfd, CLEARING) {
            let _over = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
        }
    }

    fn log(&self, line: LogLine) {
        match self.logs.admit(line.level, Instant::now()) {
            Verdict::Drop => return,
            Verdict::Pass => {}
            Verdict::PassAfter(dropped) => self.report(Report::Log(dropped)),
        }
        self.report(Report::Log(line));
    }

    fn log_output(&self, stream: &str, text: &str) {
        let target = stream.to_owned();
        self.log(LogLine { at: Utc::now(), run: 0, level: INFO, target, message: text.to_owned(), spans: String::new() });
    }
}
