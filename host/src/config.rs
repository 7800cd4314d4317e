//! The configuration of a host: one TOML file, over it the environment, over it flags; every value remembers where it came from.
//!
//! Not a place for defaults of other crates. What must hold: an unknown key is refused with its place, and no file is needed at all.

pub mod file;
pub mod keys;

use crate::clock::LONGEST_WAIT;
use crate::config::keys::{KEYS, Key};
use sexton_core::{Blame, Refusal};
use sexton_loader::inspect::{Policy, Signatures};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The file, at this place of its text.
    File {
        /// The file.
        path: PathBuf,
        /// Its whole text.
        text: String,
        /// Bytes of the value.
        span: Range<usize>,
    },
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(String),
}

impl Origin {
    /// For people: `default`, `sexton.toml:3`, `SEXTON_STATE`, `--state`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File { path, text, span } => format!("{}:{}", path.display(), file::line_of(text, span.start)),
            Self::Env(name) | Self::Flag(name) => name.clone(),
        }
    }
}

/// One value as text, with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As written.
    pub text: String,
    /// By whom.
    pub origin: Origin,
}

/// What the command line says over file and environment: key name to value.
pub type Flags = BTreeMap<&'static str, String>;

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The host's own directory.
    pub state: PathBuf,
    /// Where operators drop plugins.
    pub plugins: PathBuf,
    /// Store URL.
    pub store: String,
    /// The Unix socket.
    pub socket: PathBuf,
    /// The host's name, as it stands in runs.
    pub name: String,
    /// Log filter.
    pub log: String,
    /// Log lines as JSON.
    pub log_json: bool,
    /// At a stop: how long runs may go on.
    pub drain: Duration,
    /// At a stop: how long runs that were asked to stop may take.
    pub grace: Duration,
    /// At `plugin unload`: how long to wait for runs if the caller does not say.
    pub unload_wait: Duration,
    /// Runs started and not yet settled, at most.
    pub unsettled_max: usize,
    /// Bytes of a request body, at most.
    pub body_max: usize,
    /// Open connections, at most.
    pub connections_max: usize,
    /// What is asked of the signatures of plugins.
    pub signatures: Signatures,
    /// The system's zone data.
    pub zoneinfo: PathBuf,
    /// Every key with its value and origin, for `config show`.
    pub settings: BTreeMap<&'static str, Setting>,
}

impl Config {
    /// Layers file, environment and flags, and checks every value.
    ///
    /// # Errors
    /// `CFG001` for text that is not understood, `CFG002` for an unknown key, `CFG003` for a file that cannot be read.
    pub fn load(file: Option<&Path>, env: &BTreeMap<String, String>, flags: &Flags) -> Result<Self, Refusal> {
        let mut settings = match file {
            Some(path) => file::read(path)?,
            None => BTreeMap::new(),
        };
        for key in KEYS {
            if let Some(text) = env.get(key.env) {
                settings.insert(key.name, Setting { text: text.clone(), origin: Origin::Env(key.env.to_owned()) });
            }
            if let Some(text) = flags.get(key.name) {
                settings.insert(key.name, Setting { text: text.clone(), origin: Origin::Flag(format!("--{}", key.name)) });
            }
        }
        for key in KEYS {
            if !settings.contains_key(key.name) {
                let text = default_of(key, &settings, env)?;
                settings.insert(key.name, Setting { text, origin: Origin::Default });
            }
        }
        Self::typed(settings)
    }

    fn typed(settings: BTreeMap<&'static str, Setting>) -> Result<Self, Refusal> {
        let of = |name: &'static str| settings.get(name).expect("every key has a value by now");
        Ok(Self {
            state: path_of("state", of("state"))?,
            plugins: path_of("plugins", of("plugins"))?,
            store: store_url(of("store"))?,
            socket: path_of("socket", of("socket"))?,
            name: name_of(of("name"))?,
            log: log_filter(of("log"))?,
            log_json: log_format(of("log_format"))?,
            drain: duration("drain", of("drain"))?,
            grace: duration("grace", of("grace"))?,
            unload_wait: duration("unload_wait", of("unload_wait"))?,
            unsettled_max: number("unsettled_max", of("unsettled_max"), 1..=65_536)?,
            body_max: number("body_max", of("body_max"), 1_024..=1_073_741_824)?,
            connections_max: number("connections_max", of("connections_max"), 1..=65_536)?,
            signatures: Signatures { policy: signatures(of("signatures"))?, keys: path_of("signature_keys", of("signature_keys"))? },
            zoneinfo: path_of("zoneinfo", of("zoneinfo"))?,
            settings,
        })
    }
}

/// The state directory when nobody says: `$XDG_STATE_HOME/sexton`, else `~/.local/state/sexton`; `/var/lib/sexton` for root.
///
/// # Errors
/// `CFG001` when there is neither `XDG_STATE_HOME` nor `HOME`.
pub fn default_state(env: &BTreeMap<String, String>) -> Result<PathBuf, Refusal> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/sexton"));
    }
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|p| p.is_absolute());
    if let Some(base) = absolute("XDG_STATE_HOME") {
        return Ok(base.join("sexton"));
    }
    absolute("HOME").map(|home| home.join(".local/state/sexton")).ok_or_else(|| {
        Refusal::new("CFG001", Blame::Config, "there is no default state directory: neither XDG_STATE_HOME nor HOME is an absolute path")
            .remedy("say `--state DIR` or set SEXTON_STATE")
    })
}

fn default_of(key: &Key, settings: &BTreeMap<&'static str, Setting>, env: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let under_state = |leaf: &str| settings.get("state").map(|s| Path::new(&s.text).join(leaf).display().to_string());
    let text = match key.name {
        "state" => Some(default_state(env)?.display().to_string()),
        "plugins" => under_state("plugins"),
        "socket" => under_state("sexton.sock"),
        "signature_keys" => under_state("keys"),
        "store" => under_state("sexton.db").map(|path| format!("sqlite:{path}")),
        "name" => Some(machine_name()),
        _ => Some(key.default.to_owned()),
    };
    Ok(text.expect("`state` stands first among the keys"))
}

fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).take(64).collect();
    if name.is_empty() { "host".to_owned() } else { name }
}

/// A refusal that points at the value where it was written.
fn refused(key: &str, setting: &Setting, why: &str) -> Refusal {
    let at = setting.origin.label();
    let refusal = Refusal::new("CFG001", Blame::Config, format!("{at}: `{key}` {why}")).found(format!("`{}`", setting.text));
    match &setting.origin {
        Origin::File { text, span, .. } => refusal.at(text, span.start, span.end),
        _ => refusal.at(&setting.text, 0, setting.text.len()),
    }
}

fn path_of(key: &str, setting: &Setting) -> Result<PathBuf, Refusal> {
    if setting.text.is_empty() {
        return Err(refused(key, setting, "is empty").expected("a path"));
    }
    // Absolute from here on: the watcher and the private copies must not depend on a later change of directory.
    std::path::absolute(&setting.text).map_err(|e| refused(key, setting, &format!("cannot be made absolute: {e}")))
}

fn store_url(setting: &Setting) -> Result<String, Refusal> {
    match setting.text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(setting.text.clone()),
        _ => Err(refused("store", setting, "is no store that this build knows")
            .expected("`sqlite:PATH`, or `sqlite::memory:` for a store that ends with the process")
            .remedy("leave `store` out to use sqlite:<state>/sexton.db; PostgreSQL is not built yet")),
    }
}

fn name_of(setting: &Setting) -> Result<String, Refusal> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !setting.text.is_empty() && setting.text.len() <= 64 && setting.text.chars().all(good) {
        return Ok(setting.text.clone());
    }
    Err(refused("name", setting, "is no host name").expected("1 to 64 of a-z A-Z 0-9 - _ ."))
}

/// What should be a level in one part of a filter and is none.
fn no_level(part: &str) -> Option<&str> {
    let word = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
    let level = ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(word));
    // A span's filter (`target[span]`) has commas of its own: its parts are the filter's to judge.
    (!level && !part.contains(['[', ']', '{', '}', '"'])).then_some(part.trim())
}

fn log_filter(setting: &Setting) -> Result<String, Refusal> {
    let levels = "a level (off, error, warn, info, debug, trace), or levels per target such as `info,sexton::engine=debug`";
    // To the filter an unknown word is a target, and naming a target silences all others.
    if let Some(word) = setting.text.split(',').filter_map(no_level).next() {
        return Err(refused("log", setting, &format!("has no level in `{word}`")).expected(levels));
    }
    match tracing_subscriber::EnvFilter::try_new(&setting.text) {
        Ok(_) => Ok(setting.text.clone()),
        Err(e) => Err(refused("log", setting, &format!("is no log filter: {e}")).expected(levels)),
    }
}

fn log_format(setting: &Setting) -> Result<bool, Refusal> {
    match setting.text.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(refused("log_format", setting, "is not understood").expected("`text` or `json`")),
    }
}

fn signatures(setting: &Setting) -> Result<Policy, Refusal> {
    setting.text.parse().map_err(|()| refused("signatures", setting, "is not understood").expected("`off`, `warn` or `enforce`"))
}

fn duration(key: &str, setting: &Setting) -> Result<Duration, Refusal> {
    let wanted = "a duration such as `30s`, `500ms` or `1h 30m`";
    let duration = sexton_core::schedule::duration::parse(&setting.text)
        .map_err(|e| refused(key, setting, &format!("is no duration: {}", e.message)).expected(wanted))?;
    if duration > LONGEST_WAIT {
        let most = sexton_core::schedule::duration::text(LONGEST_WAIT);
        return Err(refused(key, setting, "is too long").expected(format!("at most `{most}`")));
    }
    Ok(duration)
}

fn number(key: &str, setting: &Setting, range: std::ops::RangeInclusive<usize>) -> Result<usize, Refusal> {
    let wanted = format!("a whole number from {} to {}", range.start(), range.end());
    setting
        .text
        .replace('_', "")
        .parse()
        .ok()
        .filter(|n| range.contains(n))
        .ok_or_else(|| refused(key, setting, "is not in its range").expected(wanted))
}

#[cfg(test)]
mod tests;
