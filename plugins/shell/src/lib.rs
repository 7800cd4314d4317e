//! The plugin `shell`: runs a command at a time, with its output, exit code and whole process group under control.
//!
//! Not a login: the command gets an environment made for it, not the host's. What must hold: nothing that a run started outlives the run, the plugin's
//! process or a cancel, unless it moved itself to another process group.

mod capture;
mod process;

use process::{Ended, Plan, Stopped};
use sexton_plugin_api::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

const OUTPUT_MAX: usize = 1024 * 1024;

/// Runs a command, given either as `argv`, or as a `script` for an interpreter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunCommand {
    /// Program and arguments; no shell looks at them.
    #[serde(default)]
    argv: Vec<String>,
    /// Text that the interpreter is given as its last argument. Exactly one of `argv` and `script`.
    #[serde(default)]
    script: Option<String>,
    /// Program and arguments before the script.
    #[serde(default = "bourne_shell")]
    #[schemars(length(min = 1))]
    interpreter: Vec<String>,
    /// Working directory.
    #[serde(default = "root_directory")]
    cwd: PathBuf,
    /// Environment variables, added to PATH, HOME, LANG, TZ (the host's), and `SEXTON_OCCURRENCE`, `SEXTON_ATTEMPT`, `SEXTON_SCHEDULED_FOR`.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Text for the command's standard input.
    #[serde(default)]
    stdin: String,
    /// Seconds until the command is ended and the run has failed.
    #[serde(default = "one_hour")]
    #[schemars(range(min = 1))]
    timeout_s: u32,
    /// Seconds between asking the group to end (TERM) and ending it (KILL).
    #[serde(default = "five_seconds")]
    grace_s: u32,
    /// Bytes kept of standard output and of standard error, each: the first and the last half. At most 1 MiB.
    #[serde(default = "sixty_four_kib")]
    #[schemars(range(max = 1_048_576))]
    max_output: usize,
    /// Exit codes that count as success.
    #[serde(default = "zero")]
    success_codes: Vec<i32>,
}

fn bourne_shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}
fn root_directory() -> PathBuf {
    PathBuf::from("/")
}
fn one_hour() -> u32 {
    3600
}
fn five_seconds() -> u32 {
    5
}
fn sixty_four_kib() -> usize {
    64 * 1024
}
fn zero() -> Vec<i32> {
    vec![0]
}

#[scheduled_event(EVENTS, "shell.run")]
impl ScheduledEventJob for RunCommand {
    fn run(&self, cx: &JobContext) -> JobResult {
        let argv = self.argv()?;
        let plan = Plan {
            command: self.command(&argv, cx),
            stdin: self.stdin.clone().into_bytes(),
            max_output: self.max_output.min(OUTPUT_MAX),
            timeout: std::time::Duration::from_secs(self.timeout_s.into()),
            grace: std::time::Duration::from_secs(self.grace_s.into()),
        };
        tracing::info!(program = argv[0], "command starts");
        let ended = process::run(plan, || cx.is_cancelled()).map_err(|e| JobError::fail(format!("`{}` cannot be run: {e}", argv[0])))?;
        cx.output(&describe(&ended))?;
        self.judge(&argv[0], &ended)
    }
}

impl RunCommand {
    fn argv(&self) -> JobResult<Vec<String>> {
        let argv = match &self.script {
            Some(_) if !self.argv.is_empty() => return fail_permanently("`argv` and `script` exclude each other"),
            Some(script) => self.interpreter.iter().chain([script]).cloned().collect(),
            None => self.argv.clone(),
        };
        if argv.first().is_none_or(String::is_empty) {
            return fail_permanently("there is nothing to run: give `argv` or `script`");
        }
        Ok(argv)
    }

    fn command(&self, argv: &[String], cx: &JobContext) -> Command {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(&self.cwd).env_clear();
        for name in ["PATH", "HOME", "LANG", "TZ"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("SEXTON_OCCURRENCE", cx.idempotency_key()).env("SEXTON_ATTEMPT", cx.attempt().to_string());
        command.env("SEXTON_SCHEDULED_FOR", cx.scheduled_for().to_rfc3339()).envs(&self.env);
        command
    }

    fn judge(&self, program: &str, ended: &Ended) -> JobResult {
        match (ended.stopped, ended.status.code()) {
            (Some(Stopped::Cancelled), _) => cancel(format!("`{program}` was stopped")),
            (Some(Stopped::TimedOut), _) => fail(format!("`{program}` did not end within {} s", self.timeout_s)),
            (None, Some(code)) if self.success_codes.contains(&code) => Ok(()),
            (None, _) => {
                let last = ended.stderr.text().trim_end().lines().last().unwrap_or_default().to_owned();
                let complaint = if last.is_empty() { String::new() } else { format!(": {last}") };
                fail(format!("`{program}` ended with {}{complaint}", ended.status))
            }
        }
    }
}

fn describe(ended: &Ended) -> Value {
    json!({
        "exit_code": ended.status.code(),
        "signal": ended.status.signal(),
        "stdout": ended.stdout.text(),
        "stderr": ended.stderr.text(),
        "stdout_left_out_bytes": ended.stdout.left_out(),
        "stderr_left_out_bytes": ended.stderr.left_out(),
    })
}

#[plugin]
fn load(host: &Host) -> Result<(), PluginError> {
    EVENTS.load(host)
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    EVENTS.unload(host)
}

#[cfg(test)]
mod tests;
