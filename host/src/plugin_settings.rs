//! `<stem>.toml` beside a plugin's file: settings for its jobs, where it runs, how much it logs.
//!
//! Not the host's own configuration. What must hold: an unknown key is refused with its line, and nothing of a file that is refused is
//! used.

use serde::Deserialize;
use serde_json::{Map, Value};
use sexton_core::{Blame, Refusal};
use sexton_loader::shown::shown;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// No settings file may be larger, in bytes.
const SIZE_MAX: u64 = 256 * 1024;
/// What a plugin logs when its file does not say: `info`.
const LOG_LEVEL: u8 = 3;
/// Words for how much a plugin logs, by number.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// Keys that a later version understands; named so that nobody hunts a typing error.
const LATER: [&str; 3] = ["run_as", "limits", "deadlines"];

/// What a settings file says, with defaults where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSettings {
    /// The `[settings]` table as JSON; `{}` if there is none.
    pub settings: Value,
    /// 0 = off, 1 = error … 5 = trace.
    pub log_level: u8,
}

impl Default for PluginSettings {
    fn default() -> Self {
        Self { settings: Value::Object(Map::new()), log_level: LOG_LEVEL }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    placement: Option<Spanned<String>>,
    log_level: Option<Spanned<String>>,
    settings: Option<Spanned<toml::Table>>,
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
    let refused = |span: Option<Range<usize>>, why: &str| refuse(text, path, span, why);
    let read: Text = toml::from_str(text).map_err(|e| {
        let later = LATER.iter().find(|key| e.message().contains(&format!("unknown field `{key}`")));
        match later {
            Some(key) => refused(e.span(), &format!("`{key}` comes with a later version")),
            None => refused(e.span(), e.message()),
        }
    })?;
    if let Some(placement) = &read.placement {
        match placement.get_ref().as_str() {
            "in-process" => {}
            "runner" => {
                return Err(refused(Some(placement.span()), "placement `runner` comes with a later version; this one runs `in-process`"));
            }
            other => return Err(refused(Some(placement.span()), &format!("`{other}` is no placement: expected `in-process`"))),
        }
    }
    let log_level = match &read.log_level {
        None => LOG_LEVEL,
        Some(level) => LEVELS.iter().position(|l| l == level.get_ref()).and_then(|at| u8::try_from(at).ok()).ok_or_else(|| {
            refused(Some(level.span()), &format!("`{}` is no log level: expected one of {}", level.get_ref(), LEVELS.join(", ")))
        })?,
    };
    let settings = match read.settings {
        None => Value::Object(Map::new()),
        Some(table) => {
            let span = table.span();
            table_to_json(table.into_inner()).map_err(|why| refused(Some(span), &why))?
        }
    };
    Ok(PluginSettings { settings, log_level })
}

fn refuse(text: &str, path: &Path, span: Option<Range<usize>>, why: &str) -> Refusal {
    let line = span.as_ref().map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
    let refusal = Refusal::new("PLG038", Blame::Config, format!("{}, line {line}: {}", shown(path), why.trim_end()))
        .expected("the keys `placement`, `log_level` and the table `[settings]`")
        .remedy("correct that line; what serves goes on serving until then");
    match span {
        Some(span) => refusal.at(text, span.start, span.end),
        None => refusal,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn understood(text: &str) -> Result<PluginSettings, Refusal> {
        parse(text, Path::new("p/libx.toml"))
    }

    #[test]
    fn what_the_file_says_becomes_json() {
        let text = "placement = \"in-process\"\nlog_level = \"debug\"\n[settings]\nwho = \"me\"\nn = [1, 2.5]\nat = 2026-01-02T03:04:05Z\n[settings.deep]\nyes = true\n";
        let read = understood(text).expect("well formed");
        assert_eq!(read.log_level, 4);
        assert_eq!(read.settings, json!({"who": "me", "n": [1, 2.5], "at": "2026-01-02T03:04:05Z", "deep": {"yes": true}}));
    }

    #[test]
    fn silence_is_the_default() {
        assert_eq!(understood("").expect("empty is fine"), PluginSettings::default());
        let dir = tempfile::tempdir().expect("a directory");
        let absent = dir.path().join("libx.toml");
        assert_eq!(read(&absent, &absent).expect("absent is fine"), PluginSettings::default());
    }

    #[test]
    fn refusals_name_the_line() {
        for (text, line, words) in [
            ("log_level = \"info\"\nplacment = \"in-process\"\n", 2, "placment"),
            ("placement = \"runner\"\n", 1, "later version"),
            ("placement = \"moon\"\n", 1, "`moon` is no placement"),
            ("\n\nlog_level = \"loud\"\n", 3, "`loud` is no log level"),
            ("log_level = 3\n", 1, "expected a string"),
            ("\nrun_as = \"nobody\"\n", 2, "`run_as` comes with a later version"),
            ("[settings]\nx = nan\n", 1, "no form in JSON"),
            ("[settings\n", 1, ""),
        ] {
            let refusal = understood(text).expect_err(text);
            assert_eq!(refusal.code, "PLG038");
            assert!(refusal.message.contains(&format!("line {line}:")), "{text:?}: {}", refusal.message);
            assert!(refusal.message.contains(words), "{text:?}: {}", refusal.message);
        }
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("libx.toml");
        std::fs::write(&path, "#".repeat(300 * 1024)).expect("written");
        assert!(read(&path, &path).expect_err("too large").message.contains("too large"));
    }
}
