//! The TOML file: its keys and the place of each value.
//!
//! Not the meaning of the values. What must hold: a refusal names file, line and column, and points at the place.

use crate::config::keys::{KEYS, nearest};
use crate::config::{Origin, Setting};
use sexton_core::{Blame, Refusal};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A file larger than this is no configuration.
const FILE_MAX: u64 = 1 << 20;

/// Reads the file: key name to value as text.
///
/// # Errors
/// `CFG003` when it cannot be read, `CFG001` when it is no TOML or a value has the wrong type, `CFG002` for an unknown key.
pub fn read(path: &Path) -> Result<BTreeMap<&'static str, Setting>, Refusal> {
    let unreadable = |why: String| {
        Refusal::new("CFG003", Blame::Config, format!("the configuration file {} cannot be read: {why}", path.display()))
            .remedy("name a file that this user can read, or leave `--config` out")
    };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > FILE_MAX {
        return Err(unreadable(format!("it has {size} bytes, at most {FILE_MAX} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    parse(path, &text)
}

/// Takes the text apart. `path` is for the sentences, and its directory the base of relative paths.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, text: &str) -> Result<BTreeMap<&'static str, Setting>, Refusal> {
    let table = DeTable::parse(text).map_err(|e| {
        let span = e.span().unwrap_or(0..0);
        refusal("CFG001", path, text, span, &format!("this is no TOML: {}", e.message()))
    })?;
    let mut settings = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let Some(known) = KEYS.iter().find(|k| k.name == key.get_ref().as_ref()) else {
            return Err(unknown(path, text, key.get_ref(), key.span()));
        };
        let span = value.span();
        let mut written = match value.get_ref() {
            DeValue::String(s) => s.to_string(),
            DeValue::Integer(n) => n.to_string(),
            other => {
                let why = format!("`{}` cannot be a {}", known.name, other.type_str());
                return Err(refusal("CFG001", path, text, span, &why).expected("a string, or a whole number"));
            }
        };
        if matches!(known.name, "state" | "plugins" | "socket" | "signature_keys") && !written.is_empty() {
            let base = path.parent().unwrap_or_else(|| Path::new(""));
            written = base.join(&written).display().to_string();
        }
        settings.insert(known.name, Setting { text: written, origin: Origin::File { path: path.to_owned(), text: text.to_owned(), span } });
    }
    Ok(settings)
}

fn unknown(path: &Path, text: &str, key: &str, span: Range<usize>) -> Refusal {
    let names: Vec<_> = KEYS.iter().map(|k| k.name).collect();
    let refusal = refusal("CFG002", path, text, span, &format!("unknown key `{key}`")).expected(format!("one of {}", names.join(", ")));
    match nearest(key) {
        Some(near) => refusal.remedy(format!("did you mean `{near}`?")),
        None => refusal.remedy("take it out; `sexton config show` lists every key"),
    }
}

fn refusal(code: &str, path: &Path, text: &str, span: Range<usize>, why: &str) -> Refusal {
    let (line, column) = (line_of(text, span.start), column_of(text, span.start));
    Refusal::new(code, Blame::Config, format!("{}:{line}:{column}: {why}", path.display())).at(text, span.start, span.end)
}

/// The line of a byte, from 1.
#[must_use]
pub fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

fn column_of(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(1, |before| before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}
