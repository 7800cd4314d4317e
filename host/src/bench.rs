//! `sexton bench`: what this machine does, with the real store and a real job, timed at the library call.
//!
//! Not an assertion: numbers, one JSON line a case, for people to compare. What must hold: full durability, nothing switched off that a host has on.

mod bulk_schedule;
mod drain;
mod lateness;
mod machine;
mod rig;

use crate::cli::{Done, Failure, input};
use crate::output;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rig::{Job, Rig};
use serde::Serialize;
use sexton_core::{Blame, Refusal};
use sexton_loader::seam::Placement;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  sexton bench bulk-schedule
  sexton bench drain --n 20000 --json
  sexton bench lateness --plugin target/release/libshell.so --type shell.run --args '{\"argv\": [\"true\"]}'

Every case runs on a store of its own in a new directory under --dir, removed afterwards.
A plugin is measured in both placements, a line each.";

/// The cases of a plugin, in turn.
const PLACEMENTS: [Placement; 2] = [Placement::Runner, Placement::InProcess];

/// What to measure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// The workload
    #[arg(value_enum)]
    pub workload: Workload,
    /// One JSON line a case, and nothing else
    #[arg(long)]
    pub json: bool,
    /// Events in all [default: what takes a few seconds]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub n: Option<usize>,
    /// Events a second, for `lateness`
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Where the stores are made [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A store to use in place of a new one: sqlite:PATH or sqlite::memory:
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// A plugin to run in place of the built-in `sexton.noop`
    #[arg(long, value_name = "FILE.so", requires = "event_type")]
    pub plugin: Option<PathBuf>,
    /// The plugin's event type
    #[arg(long = "type", value_name = "TYPE", requires = "plugin")]
    pub event_type: Option<String>,
    /// Arguments of the job
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub args: Option<String>,
    /// One case alone: how a process of its own is told which
    #[arg(long, hide = true)]
    pub case: Option<usize>,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number from 1".to_owned())
}

/// The workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// How many events are stored a second
    BulkSchedule,
    /// How many events due at one instant are run a second
    Drain,
    /// How late runs start at a steady rate
    Lateness,
}

/// One line of the answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// The workload.
    pub workload: &'static str,
    /// Which case of it.
    pub case: String,
    /// Where the plugin's jobs ran; absent for a job that is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<&'static str>,
    /// Events.
    pub n: usize,
    /// From the first call to the last answer, or from due to the last settled run.
    pub seconds: f64,
    /// Events a second.
    pub per_second: f64,
    /// Median: of a call, or of a run's lateness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 99 of 100 are at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// 999 of 1000 are at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999_ms: Option<f64>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// CPU time that the process and its runners used, as a rate.
    pub cpu_seconds_per_minute: f64,
    /// Resident memory of both at the end of the case.
    pub rss_mib: f64,
}

impl Line {
    /// With percentiles of these milliseconds.
    fn spread(mut self, mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index of a sample"
            )]
            let index = ((ms.len() as f64 * share).ceil() as usize).saturating_sub(1);
            ms.get(index).map(|v| rounded(*v))
        };
        (self.p50_ms, self.p99_ms, self.p999_ms, self.max_ms) = (at(0.50), at(0.99), at(0.999), ms.last().map(|v| rounded(*v)));
        self
    }
}

impl Line {
    /// Of a job that ran there.
    fn placed(self, placement: Option<&'static str>) -> Self {
        Self { placement, ..self }
    }
}

/// Three places after the point.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl Bench {
    /// Measures and prints.
    ///
    /// # Errors
    /// Wrong flags, or whatever keeps a host from starting.
    pub fn run(self) -> Done {
        let cases = self.cases();
        if cases > 1 && self.case.is_none() {
            return self.each_in_its_own_process(cases);
        }
        let args = self.args.as_ref().map(|a| input::raw_json("--args", a)).transpose()?;
        // What only stores runs nothing: there a plugin's placement is what it is without saying.
        let placement = if self.workload == Workload::BulkSchedule { Placement::Runner } else { PLACEMENTS[self.case.unwrap_or(0) % 2] };
        let job = Job { plugin: self.plugin.clone(), event_type: self.event_type.clone(), args, placement };
        let place = rig::Place { dir: self.dir.clone(), store: self.store.clone(), job };
        let facts = machine::facts();
        if !self.json && self.case.is_none_or(|case| case == 0) {
            output::note(&format!("{}\n", machine::sentence(&facts)));
        }
        let report = Report { json: self.json, facts };
        match self.workload {
            Workload::BulkSchedule => bulk_schedule::run(&place, self.n, self.case.unwrap_or(0), &report),
            Workload::Drain => drain::run(&place, self.n, &report),
            Workload::Lateness => lateness::run(&place, self.n, self.rate, &report),
        }
    }
}

impl Bench {
    fn cases(&self) -> usize {
        match self.workload {
            Workload::BulkSchedule => bulk_schedule::CASES,
            Workload::Drain | Workload::Lateness if self.plugin.is_some() => PLACEMENTS.len(),
            Workload::Drain | Workload::Lateness => 1,
        }
    }

    /// Memory and CPU time are a process's: one case does not carry another's.
    fn each_in_its_own_process(&self, cases: usize) -> Done {
        let mut args = Vec::new();
        if self.args.as_deref() == Some("-") {
            std::io::stdin().read_to_end(&mut args)?;
        }
        for case in 0..cases {
            let mut command = std::process::Command::new(std::env::current_exe()?);
            command.args(std::env::args_os().skip(1)).arg("--case").arg(case.to_string()).stdin(Stdio::piped());
            let mut child = command.spawn()?;
            if let Some(mut stdin) = child.stdin.take()
                && let Err(error) = stdin.write_all(&args)
                // One that ends before it has read says itself why.
                && error.kind() != std::io::ErrorKind::BrokenPipe
            {
                return Err(error.into());
            }
            let status = child.wait()?;
            if !status.success() {
                return Err(Failure::Told(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
            }
        }
        Ok(())
    }
}

/// A line with what it was measured on.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    line: &'a Line,
    machine: &'a serde_json::Value,
}

/// How lines are told.
pub struct Report {
    json: bool,
    facts: serde_json::Value,
}

impl Report {
    /// A bar for people; hidden when standard error is no terminal.
    fn bar(&self, name: &str, n: usize) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("{prefix:28} {bar:30} {pos}/{len} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(n as u64).with_style(style).with_prefix(name.to_owned())
    }

    /// One line: JSON with the machine's facts, or words.
    fn tell(&self, line: &Line) -> Done {
        if self.json {
            let told = Told { line, machine: &self.facts };
            output::line(&serde_json::to_string(&told).expect("a line is JSON"))?;
            return Ok(());
        }
        let spread = match (line.p50_ms, line.p99_ms, line.p999_ms, line.max_ms) {
            (Some(p50), Some(p99), Some(p999), Some(max)) => format!("  p50 {p50} ms  p99 {p99} ms  p99.9 {p999} ms  max {max} ms"),
            _ => String::new(),
        };
        let case = line.placement.map_or_else(|| line.case.clone(), |placement| format!("{}, {placement}", line.case));
        output::line(&format!(
            "{:14} {:46} {:>8} in {:>7.3} s = {:>9.0}/s{spread}  cpu {:.1} s/min  rss {:.0} MiB",
            line.workload, case, line.n, line.seconds, line.per_second, line.cpu_seconds_per_minute, line.rss_mib
        ))?;
        Ok(())
    }
}

/// A measured stretch of work: wall time and CPU time.
struct Stretch {
    began: std::time::Instant,
    cpu: Duration,
}

impl Stretch {
    fn begin() -> Self {
        Self { began: std::time::Instant::now(), cpu: machine::cpu_time() }
    }

    /// The line of `n` events since the beginning, or within `seconds` if that is known better.
    fn line(&self, workload: &'static str, case: String, n: usize, seconds: Option<f64>) -> Line {
        let wall = self.began.elapsed().as_secs_f64();
        let seconds = seconds.unwrap_or(wall);
        let cpu = machine::cpu_time().saturating_sub(self.cpu).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of events")]
        let per_second = n as f64 / seconds.max(1e-9);
        Line {
            workload,
            case,
            n,
            seconds: rounded(seconds),
            per_second: rounded(per_second),
            cpu_seconds_per_minute: rounded(cpu / wall.max(1e-9) * 60.0),
            rss_mib: rounded(machine::rss_mib()),
            ..Line::default()
        }
    }
}

/// Waits until `n` runs are recorded; `HST007` if nothing moves for a minute.
fn until_runs(rig: &Rig, n: usize, bar: &ProgressBar) -> Result<(), Failure> {
    let mut moved = std::time::Instant::now();
    let mut last = usize::MAX;
    loop {
        let runs = rig.house.rooms.store.counts().map_err(|e| Failure::Failed(crate::problem::from_store(&e)))?.runs;
        let runs = usize::try_from(runs).unwrap_or(0).saturating_sub(rig.runs_before);
        bar.set_position(runs as u64);
        if runs >= n {
            return Ok(());
        }
        if runs != last {
            (last, moved) = (runs, std::time::Instant::now());
        }
        if moved.elapsed() > Duration::from_secs(60) {
            let why = format!("{runs} of {n} runs were recorded, and none in the last minute");
            return Err(Failure::Failed(Refusal::new("HST007", Blame::Bug, why)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sample() {
        let line = Line::default().spread((1..=1_000).map(f64::from).collect());
        assert_eq!((line.p50_ms, line.p99_ms, line.p999_ms, line.max_ms), (Some(500.0), Some(990.0), Some(999.0), Some(1_000.0)));
        assert_eq!(Line::default().spread(Vec::new()).p50_ms, None);
    }
}
