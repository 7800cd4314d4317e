//! The command line: what there is to say, and how an end becomes an exit code.
//!
//! Not the work itself: each verb has its file in `cli/`. What must hold: exit codes are 0 done, 1 failed, 2 wrong input, 3 no host reached,
//! 4 refused by the host.

pub mod action;
pub mod alert;
pub mod backfill;
pub mod bulk;
pub mod calendar;
pub mod cancel;
pub mod config_command;
pub mod connect;
pub mod dead_letter;
pub mod doctor;
pub mod event;
pub mod event_type;
pub mod import;
pub mod input;
pub mod limit;
pub mod offline;
pub mod plugin;
pub mod plugin_changes;
pub mod plugin_check;
pub mod plugin_sign;
pub mod plugin_state;
pub mod policy;
pub mod retention;
pub mod run;
pub mod run_logs;
pub mod run_watch;
pub mod running;
pub mod schedule;
pub mod serve;
pub mod statistics;
pub mod status;
pub mod watch;
pub mod when;

use crate::client::Trouble;
use crate::output::{self, Format};
use clap::{CommandFactory, Parser, Subcommand};
use sexton_core::{Blame, Refusal};
use std::io;
use std::process::ExitCode;

/// Runs scheduled events whose jobs come from plugins.
#[derive(Debug, Parser)]
#[command(name = "sexton", version, max_term_width = 120, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// The host to talk to: the path of its Unix socket [default: the default socket]
    #[arg(long, global = true, env = "SEXTON_HOST", value_name = "SOCKET|URL", hide_env_values = true)]
    pub host: Option<String>,
    /// How to write the answer
    #[arg(long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host until SIGTERM or SIGINT
    Serve(Box<serve::Serve>),
    /// Show a host, real plugins and a dozen events at work, in half a minute
    Demo(crate::demo::Demo),
    /// Show how the host is
    Status,
    /// Look at, load, reload and unload plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Look at event types and who owns them
    #[command(subcommand)]
    EventType(event_type::EventType),
    /// Schedule, look at and change events
    #[command(subcommand)]
    Event(event::Event),
    /// Look at what ran and what is running
    #[command(subcommand)]
    Run(run::Run),
    /// Show what happens, as it happens
    Watch(watch::Watch),
    /// Look at what spent its attempts, put it back or remove it
    #[command(subcommand)]
    DeadLetter(dead_letter::DeadLetter),
    /// Try schedules without a host
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Name days and hours that schedules leave out or keep to
    #[command(subcommand)]
    Calendar(calendar::Calendar),
    /// Say how many run at once, and how many start in a time
    #[command(subcommand)]
    Limit(limit::Limit),
    /// List and call the actions of plugins
    #[command(subcommand)]
    Action(action::Action),
    /// Be told when something did not run, failed, or began late
    #[command(subcommand)]
    Alert(alert::Alert),
    /// Say how long runs are kept, and delete what was kept long enough
    #[command(subcommand)]
    Retention(retention::Retention),
    /// Show who changed what
    Audit(status::Audit),
    /// Measure this machine with the real store and a real job
    Bench(crate::bench::Bench),
    /// Explain an error code
    Explain(offline::Explain),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config_command::ConfigCommand),
    /// Write a shell's completion script
    Completions(offline::Completions),
    /// Check this machine and the configuration, and say what is amiss
    Doctor(Box<doctor::Doctor>),
}

/// Why a command did not end well.
#[derive(Debug)]
pub enum Failure {
    /// It failed here.
    Failed(Refusal),
    /// What was typed is wrong.
    Input(Refusal),
    /// Nobody answers.
    NoHost(Refusal),
    /// The host said no.
    Host(Refusal),
    /// Everything needed was said already.
    Told(u8),
    /// Whoever read the answer went away.
    Pipe,
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Pipe => 0,
            Self::Failed(_) => 1,
            Self::Input(_) => 2,
            Self::NoHost(_) => 3,
            Self::Host(refusal) => refused_by_host(refusal),
            Self::Told(code) => *code,
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Failed(r) | Self::Input(r) | Self::NoHost(r) | Self::Host(r) => Some(r),
            Self::Told(_) | Self::Pipe => None,
        }
    }
}

/// The exit code of what a host refused: 2 if the input itself is wrong, 4 if the host's state or a library stands against it.
fn refused_by_host(refusal: &Refusal) -> u8 {
    match (refusal.code.as_str(), refusal.blame) {
        ("INP008" | "INP010" | "INP021" | "INP027" | "INP029" | "INP030" | "INP033" | "INP035" | "INP044", _) => 4,
        (code, _) if code.starts_with("PLG") => 4,
        (_, Blame::Input) => 2,
        (_, Blame::Bug) => 1,
        (_, Blame::Config | Blame::Plugin | Blame::Store | Blame::World) => 4,
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoHost(refusal) => Self::NoHost(refusal),
            Trouble::Address(refusal) => Self::Input(refusal),
            Trouble::Refused(refusal) => Self::Host(refusal),
            Trouble::Unreadable(refusal) => Self::Failed(refusal),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::BrokenPipe {
            return Self::Pipe;
        }
        Self::Failed(Refusal::new("HST007", Blame::World, format!("the answer cannot be written: {e}")))
    }
}

/// How a command ends.
pub type Done = Result<(), Failure>;

/// Parses the process's arguments, runs the verb, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.output;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(refusal) = failure.refusal() {
                tell(format, refusal);
            }
            ExitCode::from(failure.code())
        }
    }
}

fn tell(format: Format, refusal: &Refusal) {
    match format {
        Format::Table => output::note(&output::refusal::render(refusal, true)),
        Format::Json | Format::Ndjson => output::note(&serde_json::to_string(refusal).expect("a refusal is JSON")),
    }
}

fn run(cli: Cli) -> Done {
    let door = connect::Door { address: cli.host, format: cli.output };
    match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Status => status::show(&door),
        Command::Plugin(plugin) => plugin.run(&door),
        Command::EventType(event_type) => event_type.run(&door),
        Command::Event(event) => event.run(&door),
        Command::Run(run) => run.run(&door),
        Command::Watch(watch) => watch.run(&door),
        Command::DeadLetter(dead) => dead.run(&door),
        Command::Schedule(schedule) => schedule.run(&door),
        Command::Calendar(calendar) => calendar.run(&door),
        Command::Limit(limit) => limit.run(&door),
        Command::Action(action) => action.run(&door),
        Command::Alert(alert) => alert.run(&door),
        Command::Retention(retention) => retention.run(&door),
        Command::Audit(audit) => audit.run(&door),
        Command::Bench(bench) => bench.run(),
        Command::Explain(explain) => explain.run(&door),
        Command::Config(config) => config.run(&door),
        Command::Completions(completions) => completions.run(),
        Command::Doctor(doctor) => doctor.run(&door),
    }
}

/// The whole command, for completions and for the tests of its shape.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
