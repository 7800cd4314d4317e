//! `<stem>.toml` beside a plugin's file: settings for its jobs, where and as whom it runs, what it may use, how much it logs.
//!
//! Not the host's own configuration. What must hold: an unknown key is refused with its line, a key that would bind nothing where the plugin
//! runs is refused too, and nothing of a file that is refused is used.

mod form;
mod place;
#[cfg(test)]
mod tests;

pub use form::LEVELS;
pub use place::with_placement;

use serde_json::{Map, Value};
use sexton_core::{Blame, Refusal};
use sexton_loader::confine::Confinement;
use sexton_loader::seam::Placement;
use sexton_loader::shown::shown;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// No settings file may be larger, in bytes.
const SIZE_MAX: u64 = 256 * 1024;
/// What a plugin logs when its file does not say: `info`.
const LOG_LEVEL: u8 = 3;

/// What a settings file says, with defaults where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSettings {
    /// The `[settings]` table as JSON; `{}` if there is none.
    pub settings: Value,
    /// 0 = off, 1 = error … 5 = trace.
    pub log_level: u8,
    /// Where it runs.
    pub placement: Placement,
    /// As whom, within which limits and lists, with which environment.
    pub confinement: Confinement,
    /// How long `load` may take; `None` = as the host is set.
    pub load_deadline: Option<Duration>,
    /// How long an unload waits for its runs; `None` = as the host is set.
    pub unload_wait: Option<Duration>,
}

impl Default for PluginSettings {
    fn default() -> Self {
        Self {
            settings: Value::Object(Map::new()),
            log_level: LOG_LEVEL,
            placement: Placement::Runner,
            confinement: Confinement::default(),
            load_deadline: None,
            unload_wait: None,
        }
    }
}

/// Reads the settings of the operator's file `path`, which led to the regular file `resolved`; one that is not there is the default. Refused
/// (`PLG038`) with the line if it is not understood. The owner rule is asked before, on the way from the one to the other.
pub fn read(path: &Path, resolved: &Path) -> Result<PluginSettings, Refusal> {
    let unreadable = |e: &std::io::Error| {
        Refusal::new("PLG038", Blame::Config, format!("the settings file {} cannot be read: {e}", shown(path)))
            .remedy("make it a regular file that the host's user can read, or remove it")
    };
    let file = match std::fs::File::open(resolved) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(PluginSettings::default()),
        Err(e) => return Err(unreadable(&e)),
    };
    let mut text = String::new();
    file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(|e| unreadable(&e))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(Refusal::new("PLG038", Blame::Config, format!("the settings file {} is too large", shown(path)))
            .expected(format!("at most {SIZE_MAX} bytes"))
            .remedy("move large values into a file of their own and name it in the settings"));
    }
    parse(&text, path)
}

/// Understands the text of a settings file; `path` is for the sentence only.
pub fn parse(text: &str, path: &Path) -> Result<PluginSettings, Refusal> {
    let read: form::Text = toml::from_str(text).map_err(|e| refuse(text, path, e.span(), e.message()))?;
    read.understood().map_err(|wrong| {
        let refusal = refuse(text, path, Some(wrong.at), &wrong.why);
        match wrong.instead {
            Some((expected, found)) => refusal.expected(expected).found(found),
            None => refusal,
        }
    })
}

fn refuse(text: &str, path: &Path, span: Option<Range<usize>>, why: &str) -> Refusal {
    let line = span.as_ref().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
    let refusal = Refusal::new("PLG038", Blame::Config, format!("{}, line {line}: {}", shown(path), why.trim_end()))
        .expected("the keys of host/docs/plugin-settings.md: `placement`, `run_as`, `log_level`, and the tables `[limits]`, `[capabilities]`, `[environment]`, `[deadlines]`, `[settings]`")
        .remedy("correct that line; what serves goes on serving until then");
    match span {
        Some(span) => refusal.at(text, span.start, span.end),
        None => refusal,
    }
}
