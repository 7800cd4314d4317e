//! The place of one test on disk: state directory, plugin directory, a folder for witness files; and the command line pointed at it.
//!
//! A site outlives the hosts started on it: that is how restarts are tested. What must hold: nothing outside its temporary directory is touched.

use crate::build::Build;
use crate::built::binary;
use crate::said::Said;
use crate::witness::Witness;
use crate::{SOON, until};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the plugins of a test run. Tests of behaviour take it as a parameter: every placement must pass them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// A process of its own, a child of the host.
    Runner,
    /// Threads of the host.
    InProcess,
}

impl Placement {
    /// All that this build knows.
    pub const ALL: [Self; 2] = [Self::Runner, Self::InProcess];

    /// What a plugin's settings file says to be placed so; `runner` is what it is without saying.
    fn line(self) -> Option<&'static str> {
        (self == Self::InProcess).then_some("placement = \"in-process\"\n")
    }

    /// As the API names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::InProcess => "in-process",
        }
    }
}

/// How a new build takes the place of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `cp new.so name.so`: the same inode is truncated and written.
    Copy,
    /// `mv new.so name.so`: another inode takes the name at once.
    Move,
    /// `name.so` is a symbolic link that is switched to another file.
    Link,
}

impl Way {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Copy, Self::Move, Self::Link];
}

/// A directory that operators drop plugins into.
pub struct PluginDir {
    path: PathBuf,
    aside: PathBuf,
    made: AtomicUsize,
    placement: Placement,
}

impl PluginDir {
    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of `stem`: `lib<stem>.so`.
    #[must_use]
    pub fn file(&self, stem: &str) -> PathBuf {
        self.path.join(format!("lib{stem}.so"))
    }

    /// The settings of `stem`: `lib<stem>.toml`.
    #[must_use]
    pub fn settings(&self, stem: &str) -> PathBuf {
        self.path.join(format!("lib{stem}.toml"))
    }

    /// Puts a build in its place, whatever is there now. Its settings, if it has none, say where the site places its plugins.
    pub fn put(&self, stem: &str, build: &Build, way: Way) {
        let file = self.file(stem);
        if self.placement.line().is_some() && !self.settings(stem).exists() {
            self.configure(stem, "");
        }
        match way {
            Way::Copy => fs::write(&file, &build.bytes).expect("the plugin directory can be written"),
            Way::Move => fs::rename(self.beside(build), &file).expect("a file can be renamed within the site"),
            Way::Link => {
                let link = self.aside.join(format!("link-{}", self.next()));
                std::os::unix::fs::symlink(self.beside(build), &link).expect("a link can be made");
                fs::rename(link, &file).expect("a link can be renamed within the site");
            }
        }
    }

    /// Takes the file away.
    pub fn delete(&self, stem: &str) {
        fs::remove_file(self.file(stem)).expect("the file was there");
    }

    /// Writes `lib<stem>.toml` beside the library: this text, and the site's placement if the text says none.
    pub fn configure(&self, stem: &str, text: &str) {
        let says_where = text.lines().any(|line| line.trim_start().starts_with("placement"));
        // In front: after a table's head it would be a key of that table.
        let line = self.placement.line().filter(|_| !says_where).unwrap_or_default();
        fs::write(self.settings(stem), format!("{line}{text}")).expect("the plugin directory can be written");
    }

    /// Writes the build into the site, outside the plugin directory, under a name of its own.
    pub fn beside(&self, build: &Build) -> PathBuf {
        let path = self.aside.join(format!("build-{}.so", self.next()));
        fs::write(&path, &build.bytes).expect("the site can be written");
        path
    }

    fn next(&self) -> usize {
        self.made.fetch_add(1, Ordering::Relaxed)
    }
}

/// State directory, plugin directory and the rest, in one temporary directory.
pub struct Site {
    /// What operators write to.
    pub plugins: PluginDir,
    /// What every plugin of the site is placed as.
    pub placement: Placement,
    root: tempfile::TempDir,
}

impl Site {
    /// An empty one.
    #[must_use]
    pub fn new(placement: Placement) -> Self {
        let root = tempfile::Builder::new().prefix("sexton-").tempdir().expect("there is room for temporary files");
        let folder = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir(&path).expect("a new directory is empty");
            path
        };
        let plugins = PluginDir { path: folder("plugins"), aside: folder("builds"), made: AtomicUsize::new(0), placement };
        folder("state");
        Self { plugins, placement, root }
    }

    /// One with plugins already in place.
    #[must_use]
    pub fn with(placement: Placement, stems: &[&str]) -> Self {
        let site = Self::new(placement);
        for stem in stems {
            site.plugins.put(stem, &Build::of(stem), Way::Move);
        }
        site
    }

    /// The temporary directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// The socket of the host.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.state().join("sexton.sock")
    }

    /// A witness file of this name.
    #[must_use]
    pub fn witness(&self, name: &str) -> Witness {
        Witness::at(self.root.path().join(name))
    }

    /// A client command, ready to be changed or run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--host").arg(self.socket()).args(arguments).current_dir(self.root.path());
        clean(&mut command);
        command
    }

    /// Runs a client command.
    #[must_use]
    pub fn sexton(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("the binary is built");
        Said::new(arguments.join(" "), &output)
    }

    /// Runs a client command with this text on its standard input.
    #[must_use]
    pub fn sexton_reading(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary is built");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let text = input.to_owned();
        // A refused call may end before it has read everything: not the writer's business.
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).is_ok());
        let output = child.wait_with_output().expect("a child can be waited for");
        writer.join().expect("the writer does not panic");
        Said::new(arguments.join(" "), &output)
    }

    /// Schedules one event given as JSON; its id.
    #[must_use]
    pub fn schedule(&self, event: &Value) -> String {
        self.schedule_all(std::slice::from_ref(event)).pop().expect("one event gives one id")
    }

    /// Schedules many events in one transaction; their ids, in order.
    #[must_use]
    pub fn schedule_all(&self, events: &[Value]) -> Vec<String> {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        let said = self.sexton_reading(&["event", "schedule", "--from", "-", "--output", "ndjson"], &lines).fine();
        said.ndjson().iter().map(|answer| answer["id"].as_str().expect("an id is text").to_owned()).collect()
    }

    /// An event as `event show` gives it.
    #[must_use]
    pub fn event(&self, id: &str) -> Value {
        self.sexton(&["event", "show", id, "--output", "json"]).fine().json()
    }

    /// Runs, filtered by the flags of `run list`.
    #[must_use]
    pub fn runs(&self, flags: &[&str]) -> Vec<Value> {
        let mut arguments = vec!["run", "list", "--output", "ndjson"];
        arguments.extend(flags);
        self.sexton(&arguments).fine().ndjson()
    }

    /// The one run of an event, as soon as it is settled.
    #[must_use]
    pub fn run_of(&self, event: &str) -> Value {
        until("the event has a run", SOON, || self.runs(&["--event", event]).pop())
    }

    /// All plugins as `plugin list` gives them.
    #[must_use]
    pub fn plugin_list(&self) -> Vec<Value> {
        self.sexton(&["plugin", "list", "--output", "ndjson"]).fine().ndjson()
    }

    /// One plugin of the list.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<Value> {
        self.plugin_list().into_iter().find(|plugin| plugin["name"] == name)
    }

    /// Waits until the plugin serves this build.
    pub fn until_serving(&self, name: &str, build: &Build) -> Value {
        until(&format!("{name} serves {}", &build.digest[..12]), SOON, || {
            self.plugin(name).filter(|plugin| plugin["state"] == "active" && plugin["digest"] == build.digest.as_str())
        })
    }

    /// Waits until the plugin is in this state.
    pub fn until_plugin(&self, name: &str, state: &str) -> Value {
        until(&format!("{name} is {state}"), SOON, || self.plugin(name).filter(|plugin| plugin["state"] == state))
    }
}

/// Takes everything of the outer environment away that would reach another host or colour the output.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SEXTON_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
}
