//! The stage: a temporary directory, plugins in it, a host process, a web server on loopback.
//!
//! Not the play. What must hold: whatever happens, the host is ended and the directory removed, but for `--keep`.

use super::amiss;
use super::stub::Stub;
use crate::cli::Failure;
use crate::client::Client;
use sexton_core::{Blame, Refusal};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The plugins that play.
pub const PLUGINS: [&str; 3] = ["shell", "http", "start_resource"];
/// How long a host may take to serve or to end.
const HOST_TIME: Duration = Duration::from_secs(30);

/// How the demo's resources are started: what an operator would write beside the plugin.
const SETTINGS: &str = "\
[settings.commands.lamp]
start = [\"/bin/sh\", \"-c\", \"echo on > \\\"$0\\\"\", \"LAMPS/{id}\"]
stop = [\"/bin/sh\", \"-c\", \"echo off > \\\"$0\\\"\", \"LAMPS/{id}\"]
";

/// Everything there is outside this process.
pub struct Stage {
    root: tempfile::TempDir,
    builds: PathBuf,
    host: Option<Child>,
    web: Stub,
    interrupted: Arc<AtomicBool>,
}

impl Stage {
    /// Makes the directory and puts the plugins into it.
    pub fn set(from: Option<PathBuf>) -> Result<Self, Failure> {
        let builds = match from {
            Some(dir) => dir,
            None => own_directory()?,
        };
        let missing: Vec<_> = PLUGINS.iter().filter(|name| !builds.join(library(name)).is_file()).map(|name| library(name)).collect();
        if !missing.is_empty() {
            let refusal =
                Refusal::new("PLG001", Blame::Input, format!("{} of the demo are not in {}", missing.join(", "), builds.display()));
            return Err(Failure::Input(refusal.remedy("build them: `cargo build --release`; or say where they are: `--plugins-from DIR`")));
        }
        let root = tempfile::Builder::new().prefix("sexton-demo-").tempdir()?;
        for name in ["plugins", "lamps", "state"] {
            fs::create_dir(root.path().join(name))?;
        }
        let stage = Self { root, builds, host: None, web: Stub::start()?, interrupted: Arc::default() };
        let lamps = stage.lamps().display().to_string();
        fs::write(stage.plugin_dir().join("libstart_resource.toml"), SETTINGS.replace("LAMPS", &lamps))?;
        for name in PLUGINS {
            stage.put(name, &stage.build(name)?)?;
        }
        listen_for_interrupts(Arc::clone(&stage.interrupted));
        Ok(stage)
    }

    /// The directory of it all.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Where operators drop plugins.
    pub fn plugin_dir(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    /// Where the resources of the demo keep their state.
    pub fn lamps(&self) -> PathBuf {
        self.root.path().join("lamps")
    }

    /// The bytes of a build.
    pub fn build(&self, name: &str) -> Result<Vec<u8>, Failure> {
        Ok(fs::read(self.builds.join(library(name)))?)
    }

    /// Puts a build in its place as `mv` does: the name changes hands in one instant.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let aside = self.root.path().join("incoming.so");
        fs::write(&aside, bytes)?;
        Ok(fs::rename(aside, self.plugin_dir().join(library(name)))?)
    }

    /// The web server's address.
    pub fn web(&self) -> &Stub {
        &self.web
    }

    /// Whether Ctrl-C was pressed.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// A client of the host.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.root.path().join("state/sexton.sock").display().to_string())?)
    }

    /// Whether a host was started and not ended.
    pub fn has_host(&self) -> bool {
        self.host.is_some()
    }

    /// Starts the host and waits for `ready`; answers after how long it came.
    pub fn start_host(&mut self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let log = File::options().create(true).append(true).open(self.root.path().join("host.log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--name", "demo", "--drain", "10s"]).arg("--state").arg(self.root.path().join("state"));
        command.arg("--plugins").arg(self.plugin_dir()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        for key in crate::config::keys::KEYS {
            command.env_remove(key.env);
        }
        let mut child = command.env_remove("SEXTON_CONFIG").spawn()?;
        let out = child.stdout.take();
        self.host = Some(child);
        let (send, said) = mpsc::channel();
        std::thread::spawn(move || {
            // Ends with the host, when its end of the pipe is closed.
            for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        match said.recv_timeout(HOST_TIME) {
            Ok(line) if line == "ready" => Ok(began.elapsed()),
            _ => Err(amiss("the host did not serve", Some(self.last_words()))),
        }
    }

    /// `kill -9`.
    pub fn kill_host(&mut self) -> Result<(), Failure> {
        if let Some(mut host) = self.host.take() {
            host.kill()?;
            host.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits: exit code 0 within its time.
    pub fn stop_host(&mut self) -> Result<(), Failure> {
        let Some(mut host) = self.host.take() else { return Ok(()) };
        let terminated = rustix::process::kill_process(rustix::process::Pid::from_child(&host), rustix::process::Signal::TERM);
        terminated.map_err(std::io::Error::from)?;
        let deadline = Instant::now() + HOST_TIME;
        while Instant::now() < deadline {
            match host.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(amiss(format!("the host ended with {status}"), Some(self.last_words()))),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        host.kill()?;
        host.wait()?;
        Err(amiss("the host did not end when it was told to", Some(self.last_words())))
    }

    /// Keeps the directory; answers where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.root.disable_cleanup(true);
        self.root.path().to_owned()
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.root.path().join("host.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut host) = self.host.take() {
            // It may have ended by itself: Ctrl-C reaches it as well.
            let _ = host.kill();
            let _ = host.wait();
        }
    }
}

fn library(name: &str) -> String {
    format!("lib{name}.so")
}

fn own_directory() -> Result<PathBuf, Failure> {
    let executable = std::env::current_exe()?;
    Ok(executable.parent().map_or_else(|| PathBuf::from("."), Path::to_owned))
}

/// Ctrl-C and SIGTERM set the flag, so that the stage is cleared before the process ends.
fn listen_for_interrupts(flag: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            let Ok(mut terminate) = terminate else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            flag.store(true, Ordering::Relaxed);
        });
    });
}
