//! The keys of a settings file, each with its place in the text, and what their values mean.
//!
//! Reads no file. What must hold: every refusal points at the value that is wrong, and says what would be right.

use super::{LOG_LEVEL, PluginSettings};
use crate::clock::LONGEST_WAIT;
use serde::Deserialize;
use serde_json::{Map, Value};
use sexton_core::schedule::duration;
use sexton_loader::confine::{Capabilities, Confinement, Limits};
use sexton_loader::seam::Placement;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// Words for how much a plugin logs, by number.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const MIB: u64 = 1 << 20;
const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", MIB), ("GiB", 1 << 30)];

/// What is wrong, and where.
pub(super) struct Wrong {
    pub at: Range<usize>,
    pub why: String,
    /// What would be right and what is there, if that is more than that a key of the file's is meant.
    pub instead: Option<(String, String)>,
}

type Read<T> = Result<T, Wrong>;

fn wrong<T>(at: Range<usize>, why: impl Into<String>) -> Read<T> {
    Err(Wrong { at, why: why.into(), instead: None })
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    placement: Option<Spanned<String>>,
    run_as: Option<Spanned<String>>,
    log_level: Option<Spanned<String>>,
    limits: Option<LimitsText>,
    capabilities: Option<Spanned<CapabilitiesText>>,
    environment: Option<Spanned<BTreeMap<Spanned<String>, Spanned<String>>>>,
    deadlines: Option<DeadlinesText>,
    settings: Option<Spanned<toml::Table>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsText {
    memory: Option<Spanned<toml::Value>>,
    open_files: Option<Spanned<i64>>,
    processes: Option<Spanned<i64>>,
    cpu: Option<Spanned<String>>,
    run_time: Option<Spanned<String>>,
    runs: Option<Spanned<i64>>,
    log_lines: Option<Spanned<i64>>,
    output: Option<Spanned<toml::Value>>,
    event_types: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilitiesText {
    #[serde(default)]
    read: Vec<Spanned<String>>,
    #[serde(default)]
    write: Vec<Spanned<String>>,
    #[serde(default)]
    network: bool,
    #[serde(default)]
    processes: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadlinesText {
    load: Option<Spanned<String>>,
    unload: Option<Spanned<String>>,
}

impl Text {
    /// What it means, with defaults where it is silent.
    pub(super) fn understood(self) -> Read<PluginSettings> {
        let placement = match &self.placement {
            None => Placement::Runner,
            Some(name) => match [Placement::Runner, Placement::InProcess].into_iter().find(|p| p.name() == name.get_ref()) {
                Some(placement) => placement,
                None => return wrong(name.span(), format!("`{}` is no placement: expected `runner` or `in-process`", name.get_ref())),
            },
        };
        if placement == Placement::InProcess {
            self.must_bind_threads()?;
        }
        let log_level = match &self.log_level {
            None => LOG_LEVEL,
            Some(level) => match LEVELS.iter().position(|l| l == level.get_ref()).and_then(|at| u8::try_from(at).ok()) {
                Some(number) => number,
                None => {
                    let why = format!("`{}` is no log level: expected one of {}", level.get_ref(), LEVELS.join(", "));
                    return wrong(level.span(), why);
                }
            },
        };
        let run_as = self.run_as.map(|user| {
            if user.get_ref().is_empty() { wrong(user.span(), "the name of a user is not empty") } else { Ok(user.into_inner()) }
        });
        let confinement = Confinement {
            limits: self.limits.unwrap_or_default().understood()?,
            run_as: run_as.transpose()?,
            capabilities: self.capabilities.map(|list| list.into_inner().understood()).transpose()?,
            environment: self.environment.map(|table| environment(table.into_inner())).transpose()?.unwrap_or_default(),
        };
        let deadlines = self.deadlines.unwrap_or_default();
        let settings = match self.settings {
            None => Value::Object(Map::new()),
            Some(table) => {
                let at = table.span();
                table_to_json(table.into_inner()).or_else(|why| wrong(at, why))?
            }
        };
        let load_deadline = deadlines.load.as_ref().map(|text| patience("deadlines.load", text)).transpose()?;
        let unload_wait = deadlines.unload.as_ref().map(|text| patience("deadlines.unload", text)).transpose()?;
        Ok(PluginSettings { settings, log_level, placement, confinement, load_deadline, unload_wait })
    }

    /// In the host's own process nothing can be taken from a plugin that is not taken from the host.
    fn must_bind_threads(&self) -> Read<()> {
        let limits = self.limits.as_ref();
        let keys = [
            ("run_as", self.run_as.as_ref().map(Spanned::span)),
            ("limits.memory", limits.and_then(|l| l.memory.as_ref()).map(Spanned::span)),
            ("limits.open_files", limits.and_then(|l| l.open_files.as_ref()).map(Spanned::span)),
            ("limits.processes", limits.and_then(|l| l.processes.as_ref()).map(Spanned::span)),
            ("limits.cpu", limits.and_then(|l| l.cpu.as_ref()).map(Spanned::span)),
            ("capabilities", self.capabilities.as_ref().map(Spanned::span)),
            ("environment", self.environment.as_ref().map(Spanned::span)),
        ];
        match keys.into_iter().find_map(|(key, at)| Some((key, at?))) {
            None => Ok(()),
            Some((key, at)) => wrong(
                at,
                format!(
                    "`{key}` cannot be kept with `placement = \"in-process\"`: threads of the host's process have its user, its limits and its rights; take it out, or let the plugin run in a `runner`"
                ),
            ),
        }
    }
}

impl LimitsText {
    fn understood(self) -> Read<Limits> {
        let default = Limits::default();
        Ok(Limits {
            memory: self.memory.as_ref().map_or(Ok(default.memory), |v| size(v, 64 * MIB, i64::MAX.unsigned_abs()))?,
            open_files: within(self.open_files, default.open_files, 32..=1 << 20)?,
            processes: within(self.processes, default.processes, 8..=1 << 22)?,
            cpu_percent: self.cpu.as_ref().map(percent).transpose()?,
            run_time_ms: self
                .run_time
                .as_ref()
                .map(|text| Ok(u64::try_from(patience("limits.run_time", text)?.as_millis()).unwrap_or(u64::MAX)))
                .transpose()?,
            runs: within(self.runs, default.runs, 1..=256)?,
            log_lines: within(self.log_lines, default.log_lines, 1..=100_000)?,
            // No answer of a run is taken that is larger than the greatest.
            output_bytes: self.output.as_ref().map_or(Ok(default.output_bytes), |v| size(v, 1 << 10, 16 * MIB))?,
            event_types: within(self.event_types, default.event_types, 1..=4096)?,
        })
    }
}

impl CapabilitiesText {
    fn understood(self) -> Read<Capabilities> {
        let paths = |list: Vec<Spanned<String>>| list.into_iter().map(absolute).collect::<Read<Vec<_>>>();
        Ok(Capabilities { read: paths(self.read)?, write: paths(self.write)?, network: self.network, processes: self.processes })
    }
}

fn absolute(path: Spanned<String>) -> Read<PathBuf> {
    let (at, path) = (path.span(), PathBuf::from(path.into_inner()));
    if path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0) {
        Ok(path)
    } else {
        wrong(at, format!("`{}` is no absolute path", path.display().to_string().escape_debug()))
    }
}

fn environment(table: BTreeMap<Spanned<String>, Spanned<String>>) -> Read<BTreeMap<String, String>> {
    let entry = |(name, value): (Spanned<String>, Spanned<String>)| {
        if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
            return wrong(name.span(), "the name of a variable is not empty and has no `=`");
        }
        if value.get_ref().contains('\0') {
            return wrong(value.span(), "the value of a variable has no zero byte");
        }
        Ok((name.into_inner(), value.into_inner()))
    };
    table.into_iter().map(entry).collect()
}

/// A whole number within bounds.
fn within<T: TryFrom<i64> + PartialOrd + std::fmt::Display>(value: Option<Spanned<i64>>, default: T, bounds: RangeInclusive<T>) -> Read<T> {
    let Some(value) = value else { return Ok(default) };
    match T::try_from(*value.get_ref()).ok().filter(|number| bounds.contains(number)) {
        Some(number) => Ok(number),
        None => wrong(value.span(), format!("{} is out of bounds: expected {} to {}", value.get_ref(), bounds.start(), bounds.end())),
    }
}

/// Bytes: a whole number, or one with a unit.
fn size(value: &Spanned<toml::Value>, least: u64, most: u64) -> Read<u64> {
    let bytes = match value.get_ref() {
        toml::Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        toml::Value::String(text) => sized(text),
        _ => None,
    };
    match bytes {
        None => {
            wrong(value.span(), format!("{} is no size: expected bytes, or a text such as \"512MiB\" (KiB, MiB, GiB)", value.get_ref()))
        }
        Some(bytes) if (least..=most).contains(&bytes) => Ok(bytes),
        Some(bytes) => wrong(value.span(), format!("{bytes} bytes are out of bounds: expected {least} to {most}")),
    }
}

fn sized(text: &str) -> Option<u64> {
    let (number, unit) = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes))).unwrap_or((text, 1));
    number.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

fn percent(value: &Spanned<String>) -> Read<u32> {
    let number = value.get_ref().strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
    match number.filter(|percent| (1..=100_000).contains(percent)) {
        Some(percent) => Ok(percent),
        None => {
            wrong(value.span(), format!("`{}` is no share of a core: expected a text such as \"50%\", \"1%\" at least", value.get_ref()))
        }
    }
}

/// A length of time that can be waited for.
fn patience(key: &str, value: &Spanned<String>) -> Read<Duration> {
    let text = value.get_ref();
    let wrong = |why: &str| {
        let expected = format!("from 1ms to {}, such as \"30s\", \"500ms\", \"1h 30m\"", duration::text(LONGEST_WAIT));
        Err(Wrong { at: value.span(), why: format!("`{key}` {why}"), instead: Some((expected, format!("{text:?}"))) })
    };
    match humantime::parse_duration(text) {
        Ok(duration) if duration < Duration::from_millis(1) => wrong("is too short"),
        Ok(duration) if duration > LONGEST_WAIT => wrong("is too long"),
        Ok(duration) => Ok(duration),
        Err(e) => wrong(&format!("is no duration: {e}")),
    }
}

fn table_to_json(table: toml::Table) -> Result<Value, String> {
    let members = table.into_iter().map(|(key, value)| to_json(value).map(|v| (key, v)));
    members.collect::<Result<Map<String, Value>, String>>().map(Value::Object)
}

/// Depth is bounded by the TOML parser.
fn to_json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| format!("`{number}` has no form in JSON"))?
        }
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(instant) => Value::String(instant.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => table_to_json(table)?,
    })
}
