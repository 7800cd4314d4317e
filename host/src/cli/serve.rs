//! `sexton serve`: the flags of a host, layered over environment and file.
//!
//! Not the host (`app`). What must hold: every flag is a key of the configuration.

use crate::app;
use crate::cli::{Done, Failure};
use crate::client::environment;
use crate::config::{Config, Flags};
use crate::output;
use clap::Args;
use sexton_core::{Blame, Refusal};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Prints `ready` on standard output when it serves. SIGTERM and SIGINT let runs end, then it exits 0; a second signal ends it sooner.
Each flag is also a key of the file and a variable of the environment: `sexton config show` lists them.

Examples:
  sexton serve
  sexton serve --state /var/lib/sexton --plugins /usr/lib/sexton/plugins
  sexton serve --config /etc/sexton.toml --drain 2m";

/// The flags of a host.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// A TOML file with any of the keys
    #[arg(long, value_name = "FILE", env = "SEXTON_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The keys.
    #[command(flatten)]
    pub keys: KeyFlags,
    /// Refused: the Unix socket is the only door
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub listen: Option<String>,
}

/// One flag a key.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyFlags {
    /// The host's own directory [default: $XDG_STATE_HOME/sexton; /var/lib/sexton for root]
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
    /// The directory that plugins are dropped into [default: STATE/plugins]
    #[arg(long, value_name = "DIR")]
    pub plugins: Option<String>,
    /// Where events are kept: sqlite:PATH or sqlite::memory: [default: sqlite:STATE/sexton.db]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// The Unix socket [default: STATE/sexton.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<String>,
    /// The host's name, as runs record it [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Log filter: a level, or levels per target [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// text or json, on standard error [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// At a stop: how long runs may go on [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub drain: Option<String>,
    /// At a stop: how long runs that were asked to stop may take [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub grace: Option<String>,
    /// `plugin unload` waits this long for runs [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub unload_wait: Option<String>,
    /// Runs started and not yet settled, at most [default: 1024]
    #[arg(long, value_name = "N")]
    pub unsettled_max: Option<String>,
    /// Bytes of a request body, at most [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    pub body_max: Option<String>,
    /// Open connections, at most [default: 256]
    #[arg(long, value_name = "N")]
    pub connections_max: Option<String>,
    /// What is asked of the signatures of plugins: off, warn or enforce [default: off]
    #[arg(long, value_name = "POLICY")]
    pub signatures: Option<String>,
    /// The directory of public keys (*.pub) whose signatures count [default: STATE/keys]
    #[arg(long, value_name = "DIR")]
    pub signature_keys: Option<String>,
}

impl KeyFlags {
    /// What was said, by key.
    #[must_use]
    pub fn flags(self) -> Flags {
        let pairs = [
            ("state", self.state),
            ("plugins", self.plugins),
            ("store", self.store),
            ("socket", self.socket),
            ("name", self.name),
            ("log", self.log),
            ("log_format", self.log_format),
            ("drain", self.drain),
            ("grace", self.grace),
            ("unload_wait", self.unload_wait),
            ("unsettled_max", self.unsettled_max),
            ("body_max", self.body_max),
            ("connections_max", self.connections_max),
            ("signatures", self.signatures),
            ("signature_keys", self.signature_keys),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

impl Serve {
    /// Runs the host until it is told to stop.
    ///
    /// # Errors
    /// Wrong configuration, or whatever keeps the host from starting.
    pub fn run(self) -> Done {
        if let Some(address) = self.listen {
            let refusal =
                Refusal::new("HST003", Blame::Input, format!("`--listen {address}` is refused: the Unix socket is the only door"));
            return Err(Failure::Input(
                refusal
                    .expected("no `--listen`, until access control exists")
                    .remedy("place the socket with `--socket PATH`; reach it from elsewhere by `ssh -L LOCAL.sock:PATH`"),
            ));
        }
        let env = environment();
        for stranger in crate::config::keys::strangers(&env) {
            output::note(&format!("warning: {stranger} is no variable of Sexton's and says nothing; `sexton config show` lists them"));
        }
        let config = Config::load(self.config.as_deref(), &env, &self.keys.flags()).map_err(Failure::Input)?;
        app::serve(&config).map_err(Failure::Failed)
    }
}
