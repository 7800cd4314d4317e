//! `sexton plugin`: look at, load, reload and unload plugins; check and sign a file without a host.
//!
//! Not the life cycle (the supervisor's). What must hold: unload says first what it will do.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure, plugin_changes, plugin_check, plugin_sign, plugin_state};
use crate::client::{Client, encode};
use crate::output::table::{Column, card, cut, draw, instant, text};
use crate::output::{self, Format};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sexton_core::schedule::duration;
use sexton_core::{Blame, Refusal};
use std::io::{BufRead, IsTerminal};
use std::path::Path;

/// Verbs on plugins.
#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// List plugins
    List,
    /// Show one plugin, its generations, and why a build was rejected
    Show(Name),
    /// Load a plugin: a file (copied into the plugin directory first), or the name of an unloaded one
    Load {
        /// A path to an .so file, or a plugin's name.
        #[arg(value_name = "PATH|NAME")]
        what: String,
        /// Pause stored events whose arguments it does not accept, instead of refusing it.
        #[arg(long)]
        force: bool,
    },
    /// Unload a plugin; its events stay and wait, unresolved
    Unload(Unload),
    /// Load what the directory holds again, even if nothing changed
    Reload {
        /// The plugin's name.
        #[arg(value_name = "NAME")]
        name: String,
        /// Pause stored events whose arguments the new build does not accept, instead of refusing it.
        #[arg(long)]
        force: bool,
    },
    /// Show what loading a file would change: types, schemas, stored events
    Diff(plugin_changes::Diff),
    /// Show what happened to a plugin: builds loaded, refused, crashed, retired, and by whom
    History(plugin_changes::History),
    /// Serve an earlier build again, until the plugin's file changes
    Rollback(plugin_changes::Rollback),
    /// Say where a plugin runs: in a process of its own, or in the host's
    Place(plugin_changes::Place),
    /// End the decision that keeps a plugin from following the directory
    Release(Name),
    /// Say how much a plugin logs, until it is loaded again
    LogLevel {
        /// The plugin's name.
        #[arg(value_name = "NAME")]
        name: String,
        /// From which level on.
        #[arg(value_name = "LEVEL", value_parser = crate::plugin_settings::LEVELS)]
        level: String,
    },
    /// Show what a plugin keeps over its reloads
    State(plugin_state::State),
    /// Check a file as a host would, here and without one
    Check(plugin_check::Check),
    /// Sign a plugin's file: writes FILE.minisig beside it
    Sign(plugin_sign::Sign),
    /// Make a key pair for signing plugins
    Keygen(plugin_sign::Keygen),
}

/// Which plugin.
#[derive(Debug, Args)]
pub struct Name {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// How to unload.
#[derive(Debug, Args)]
pub struct Unload {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Wait this long for runs under way [default: the host's unload_wait, 30s]
    #[arg(long, value_name = "DURATION")]
    pub wait: Option<String>,
    /// Take the types away at once and leave the runs to themselves
    #[arg(long)]
    pub abandon: bool,
    /// End its process at once, and the runs with it: they are interrupted
    #[arg(long, conflicts_with = "abandon")]
    pub kill: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

const COLUMNS: &[Column] = &[
    Column { head: "NAME", cell: |p| text(p, "name") },
    Column { head: "VERSION", cell: |p| text(p, "version") },
    Column { head: "STATE", cell: |p| text(p, "state") },
    Column { head: "GEN", cell: |p| text(p, "generation") },
    Column { head: "PLACEMENT", cell: |p| text(p, "placement") },
    Column { head: "DIGEST", cell: |p| text(p, "digest").chars().take(12).collect() },
    Column { head: "TYPES", cell: |p| p["event_types"].as_array().map_or(0, Vec::len).to_string() },
    Column { head: "MEMORY", cell: |p| p["memory_bytes"].as_u64().map_or_else(String::new, |n| format!("{} MiB", n >> 20)) },
    Column { head: "IN FLIGHT", cell: |p| text(p, "in_flight") },
    Column { head: "UNRESOLVED", cell: |p| text(p, "unresolved_events") },
    Column { head: "NOTE", cell: |p| cut(&text(p, "rejection.message"), 60) },
];

impl Plugin {
    /// Runs the verb.
    ///
    /// # Errors
    /// Wrong input, no host, or the host's refusal.
    pub fn run(self, door: &Door) -> Done {
        match self {
            Self::List => {
                let answer = door.open()?.get("/api/v1/plugins")?;
                door.rows(
                    answer["items"].as_array().cloned().unwrap_or_default(),
                    COLUMNS,
                    "no plugins: put an .so file into the plugin directory",
                )
            }
            Self::Show(Name { name }) => door.answer(&door.open()?.get(&at(&name, ""))?, drawn),
            Self::Load { what, force } => {
                let body = if what.contains('/') || Path::new(&what).extension().is_some_and(|e| e == "so") {
                    let path = std::path::absolute(&what).map_err(Failure::from)?;
                    json!({"path": path, "force": force})
                } else {
                    json!({"name": what, "force": force})
                };
                let answer = door.open()?.post("/api/v1/plugins", &body)?;
                door.answer(&answer, |p| in_a_line("loaded", p))
            }
            Self::Unload(unload) => unload.run(door),
            Self::Reload { name, force } => {
                let answer = door.open()?.post(&at(&name, "/reload"), &json!({"force": force}))?;
                door.answer(&answer, |p| in_a_line("reloaded", p))
            }
            Self::Release(Name { name }) => {
                let answer = door.open()?.post(&at(&name, "/release"), &json!({}))?;
                door.answer(&answer, |p| in_a_line("released", p))
            }
            Self::LogLevel { name, level } => {
                let answer = door.open()?.post(&at(&name, "/log-level"), &json!({"level": level}))?;
                door.answer(&answer, |l| format!("{name}, generation {}: log level {level}, {}", text(l, "generation"), text(l, "until")))
            }
            Self::Diff(diff) => diff.run(door),
            Self::History(history) => history.run(door),
            Self::Rollback(rollback) => rollback.run(door),
            Self::Place(place) => place.run(door),
            Self::State(state) => state.run(door),
            Self::Check(check) => check.run(door),
            Self::Sign(sign) => sign.run(door),
            Self::Keygen(keygen) => keygen.run(door),
        }
    }
}

/// The address of a verb on a plugin.
pub fn at(name: &str, verb: &str) -> String {
    format!("/api/v1/plugins/{}{verb}", encode(name))
}

/// The plugin after a verb, in a line.
pub fn in_a_line(verb: &str, plugin: &Value) -> String {
    let types = text(plugin, "event_types");
    let types = if types.is_empty() { String::new() } else { format!(", serves {types}") };
    let generation = text(plugin, "generation");
    let generation = if generation.is_empty() { generation } else { format!(", generation {generation}") };
    format!("{verb} {} {}: {}{generation}{types}", text(plugin, "name"), text(plugin, "version"), text(plugin, "state"))
}

impl Unload {
    fn run(&self, door: &Door) -> Done {
        let wait = self.wait.as_ref().map(|t| duration::parse(t)).transpose().map_err(Failure::Input)?;
        let client = door.open()?;
        if !self.yes && std::io::stdin().is_terminal() && door.format == Format::Table && !self.agreed(&client)? {
            return Err(Failure::Failed(Refusal::new("INP016", Blame::Input, "nothing was unloaded").remedy("answer `y`, or say `--yes`")));
        }
        let body =
            json!({"abandon": self.abandon, "kill": self.kill, "wait_ms": wait.map(|w| u64::try_from(w.as_millis()).unwrap_or(u64::MAX))});
        let answer = client.post(&at(&self.name, "/unload"), &body)?;
        door.answer(&answer, |p| {
            let left = p["unresolved_events"].as_i64().unwrap_or(0);
            let left = if left > 0 { format!("; {left} events wait, unresolved, until it is loaded again") } else { String::new() };
            format!("unloaded {}{left}", text(p, "name"))
        })
    }

    /// Says what runs and what becomes unresolved, and asks.
    fn agreed(&self, client: &Client) -> Result<bool, Failure> {
        let plugin = client.get(&at(&self.name, ""))?;
        let open = client.get("/api/v1/event-types")?;
        let owned = open["items"].as_array().into_iter().flatten().filter(|t| t["owner"] == plugin["name"]);
        let events: i64 = owned.filter_map(|t| t["open_events"].as_i64()).sum();
        let doing = match (self.abandon, self.kill) {
            (true, _) => "are left to themselves",
            (_, true) => "are killed, interrupted, and run again when somebody serves them",
            _ => "are waited for",
        };
        let (types, runs) = (plugin["event_types"].as_array().map_or(0, Vec::len), text(&plugin, "in_flight"));
        output::note(&format!(
            "{} serves {types} event types; {runs} runs under way {doing}; {events} open events become unresolved and wait.",
            self.name
        ));
        output::note("unload it? [y/N]");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

fn drawn(plugin: &Value) -> String {
    let mut all = card(&[
        ("name", text(plugin, "name")),
        ("version", text(plugin, "version")),
        ("state", text(plugin, "state")),
        ("since", instant(plugin, "since")),
        ("generation", text(plugin, "generation")),
        ("placement", text(plugin, "placement")),
        ("digest", text(plugin, "digest")),
        ("path", text(plugin, "path")),
        ("size", text(plugin, "size_bytes")),
        ("rustc", text(plugin, "rustc")),
        ("event types", text(plugin, "event_types")),
        ("actions", text(plugin, "actions")),
        ("runs", crate::cli::status::under_way(plugin)),
        ("unresolved", text(plugin, "unresolved_events")),
        ("process", process(plugin)),
        ("crashes", crashes(plugin)),
        ("enforced", plugin_check::lines(&plugin["enforced"])),
        ("not enforced", plugin_check::lines(&plugin["not_enforced"])),
        ("signature", plugin_check::signature(&plugin["signature"])),
        ("warnings", plugin_check::lines(&plugin["warnings"])),
        ("decision", decision(&plugin["decision"])),
        ("rejected", rejection(&plugin["rejection"])),
    ]);
    let generations = plugin["generations"].as_array().cloned().unwrap_or_default();
    if !generations.is_empty() {
        all += &format!("\n\nGenerations\n{}", draw(GENERATIONS, &generations, ""));
    }
    all
}

/// What its process uses; empty for threads of the host.
fn process(plugin: &Value) -> String {
    let (Some(memory), Some(cpu)) = (plugin["memory_bytes"].as_u64(), plugin["cpu_ms"].as_u64()) else { return String::new() };
    let (pid, threads) = (text(plugin, "pid"), text(plugin, "threads"));
    format!("{pid}: {:.1} MiB resident, {:.1} s of processor time, {threads} threads", memory as f64 / f64::from(1 << 20), cpu as f64 / 1e3)
}

fn crashes(plugin: &Value) -> String {
    match plugin["crashes"].as_u64() {
        None | Some(0) => String::new(),
        Some(n) => {
            format!("{n} since the host started, {} starts after one; the last: {}", text(plugin, "restarts"), text(plugin, "last_death"))
        }
    }
}

fn decision(decision: &Value) -> String {
    if decision.is_null() {
        String::new()
    } else {
        let instead: String = text(decision, "serve").chars().take(12).collect();
        let instead = if instead.is_empty() { instead } else { format!(": the build {instead} serves instead") };
        format!("{} by {} at {}{instead}", text(decision, "verdict"), text(decision, "by"), instant(decision, "at"))
    }
}

fn rejection(rejection: &Value) -> String {
    if rejection.is_null() {
        return String::new();
    }
    let more = ["expected", "found", "remedy"].map(|name| (name, text(rejection, name)));
    let more: String = more.into_iter().filter(|(_, t)| !t.is_empty()).map(|(name, t)| format!("\n{name}: {t}")).collect();
    format!("{}: {}{more}", text(rejection, "code"), text(rejection, "message"))
}

const GENERATIONS: &[Column] = &[
    Column { head: "GENERATION", cell: |g| text(g, "generation") },
    Column { head: "STATE", cell: |g| text(g, "state") },
    Column { head: "DIGEST", cell: |g| text(g, "digest").chars().take(12).collect() },
];
