//! `sexton doctor`: what on this machine would keep a host from working well, with what to do about it.
//!
//! Not a test suite and not a change of anything. What must hold: exit code 0 only if nothing is amiss.

use crate::cli::connect::Door;
use crate::cli::serve::KeyFlags;
use crate::cli::{Done, Failure};
use crate::client::{Trouble, environment};
use crate::config::Config;
use crate::output::table::{Column, text};
use clap::Args;
use serde_json::{Value, json};
use sexton_core::schedule::zone;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// As `serve` would be called.
#[derive(Debug, Args)]
pub struct Doctor {
    /// A TOML file with any of the keys
    #[arg(long, value_name = "FILE", env = "SEXTON_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The keys.
    #[command(flatten)]
    pub keys: KeyFlags,
}

const COLUMNS: &[Column] = &[
    Column { head: "", cell: |c| if c["ok"] == true { "ok".to_owned() } else { "AMISS".to_owned() } },
    Column { head: "WHAT", cell: |c| text(c, "what") },
    Column { head: "FOUND", cell: |c| text(c, "found") },
    Column { head: "REMEDY", cell: |c| text(c, "remedy") },
];

/// One thing looked at.
struct Check {
    what: &'static str,
    ok: bool,
    found: String,
    remedy: String,
}

impl Check {
    fn fine(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into(), remedy: String::new() }
    }

    fn amiss(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into(), remedy: remedy.into() }
    }

    fn row(&self) -> Value {
        json!({"what": self.what, "ok": self.ok, "found": self.found, "remedy": self.remedy})
    }
}

impl Doctor {
    /// Looks, and says what it found.
    ///
    /// # Errors
    /// Exit code 1 when something is amiss.
    pub fn run(self, door: &Door) -> Done {
        let mut checks = vec![zones()];
        match Config::load(self.config.as_deref(), &environment(), &self.keys.flags()) {
            Ok(config) => {
                checks.push(Check::fine("configuration", "understood"));
                checks.push(directory("state directory", &config.state, 0o077));
                checks.push(directory("plugin directory", &config.plugins, 0o022));
                checks.push(socket_path(&config.socket));
            }
            Err(refusal) => checks.push(Check::amiss("configuration", refusal.message.clone(), refusal.remedy.unwrap_or_default())),
        }
        checks.push(user());
        checks.extend(host(door));
        let sound = checks.iter().all(|check| check.ok);
        door.rows(checks.iter().map(Check::row).collect(), COLUMNS, "")?;
        if sound { Ok(()) } else { Err(Failure::Told(1)) }
    }
}

fn zones() -> Check {
    let source = match zone::tzdata_source() {
        zone::ZoneSource::System => "the system's",
        zone::ZoneSource::Bundled => "the bundled one",
    };
    Check::fine("zone data", format!("{}, {source}", zone::tzdata_version()))
}

fn user() -> Check {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return Check::fine("user", "root: plugin code will run with every right; an own user is safer");
    }
    Check::fine("user", format!("uid {}", uid.as_raw()))
}

/// `open` = bits of the mode that should not be set.
fn directory(what: &'static str, path: &Path, open: u32) -> Check {
    let at = path.display();
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Check::fine(what, format!("{at} is not there yet: `serve` makes it")),
        Err(e) => Check::amiss(what, format!("{at}: {e}"), "name another, or let this user read it"),
        Ok(file) if !file.is_dir() => Check::amiss(what, format!("{at} is no directory"), "name another"),
        Ok(file) if file.mode() & open != 0 => {
            let right = file.mode() & 0o7777 & !open;
            Check::amiss(what, format!("{at} has mode {:04o}", file.mode() & 0o7777), format!("chmod {right:o} {at}"))
        }
        Ok(file) if file.uid() != rustix::process::geteuid().as_raw() && file.uid() != 0 => {
            Check::amiss(what, format!("{at} belongs to uid {}", file.uid()), "run the host as that user, or name another")
        }
        Ok(_) => Check::fine(what, at.to_string()),
    }
}

fn socket_path(path: &Path) -> Check {
    let length = path.as_os_str().len();
    if length > 107 {
        return Check::amiss("socket path", format!("{length} bytes"), "at most 107 are possible: name another with `--socket`");
    }
    Check::fine("socket path", path.display().to_string())
}

/// The running host, if there is one; none is nothing amiss.
fn host(door: &Door) -> Vec<Check> {
    let Ok(client) = door.open() else { return vec![Check::amiss("host", "its address is not understood", "see `--host`")] };
    let status = match client.get("/api/v1/status") {
        Ok(status) => status,
        Err(Trouble::NoHost(refusal)) => return vec![Check::fine("host", format!("none runs: {}", refusal.message))],
        Err(Trouble::Refused(refusal) | Trouble::Address(refusal) | Trouble::Unreadable(refusal)) => {
            return vec![Check::amiss("host", refusal.message, "see its log")];
        }
    };
    let mut checks = vec![Check::fine("host", format!("{} answers, version {}", text(&status, "name"), text(&status, "version")))];
    if status["version"] != env!("CARGO_PKG_VERSION") {
        checks.push(Check::amiss("versions", format!("this command is {}", env!("CARGO_PKG_VERSION")), "use the host's own build"));
    }
    let rejected = status["plugins"]["rejected"].as_i64().unwrap_or(0);
    if rejected > 0 {
        checks.push(Check::amiss(
            "plugins",
            format!("{rejected} builds are rejected"),
            "`sexton plugin list` says which, `plugin show` why",
        ));
    }
    let dead = status["counts"]["dead_letters"].as_i64().unwrap_or(0);
    if dead > 0 {
        checks.push(Check::amiss("dead letters", format!("{dead} occurrences spent their attempts"), "`sexton run list --outcome failed`"));
    }
    let unresolved = status["unresolved_events"].as_i64().unwrap_or(0);
    if unresolved > 0 {
        checks.push(Check::amiss("unresolved", format!("{unresolved} events wait for a plugin"), "`sexton event list --unresolved`"));
    }
    checks
}
