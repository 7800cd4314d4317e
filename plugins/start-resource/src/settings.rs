//! The `[settings]` of `libstart_resource.toml`: how resources of each kind are started and stopped.
//!
//! Not the arguments of an event: those come from whoever schedules, these from the operator. What must hold: a caller chooses a kind and a
//! resource, never a program.

use sexton_plugin_api::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// All of it; everything has a default.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds that one resource may take before it counts as failed.
    pub timeout_s: u32,
    /// Command templates by kind: `[settings.commands.vm]` makes the kind `vm`; the kind `command` is only there if it is written here.
    pub commands: BTreeMap<String, Templates>,
    /// The kind `systemd`.
    pub systemd: Systemd,
    /// The kind `docker`.
    pub docker: Docker,
}

/// What to run for one kind. `{id}`, `{kind}` and `{property}` are replaced, each within its own argument; `{{` and `}}` stand for braces.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Templates {
    /// Program and arguments that start a resource; empty: it cannot be started.
    pub start: Vec<String>,
    /// Program and arguments that stop a resource; empty: it cannot be stopped.
    pub stop: Vec<String>,
}

/// How to reach systemd.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Systemd {
    /// The program.
    pub systemctl: PathBuf,
    /// Speak to the user's instance.
    pub user: bool,
}

/// How to reach the Docker Engine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Docker {
    /// Its Unix socket.
    pub socket: PathBuf,
}

impl Settings {
    /// The time that one resource may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout_s: 60, commands: BTreeMap::new(), systemd: Systemd::default(), docker: Docker::default() }
    }
}

impl Default for Systemd {
    fn default() -> Self {
        Self { systemctl: PathBuf::from("systemctl"), user: false }
    }
}

impl Default for Docker {
    fn default() -> Self {
        Self { socket: PathBuf::from("/var/run/docker.sock") }
    }
}
