//! Writes the placement into the text of a settings file and leaves all else as its author wrote it.
//!
//! Touches no file: `plugin place` does. What must hold: what comes out is a text that [`super::parse`] understands.

use super::{parse, refuse};
use sexton_core::Refusal;
use sexton_loader::seam::Placement;
use std::path::Path;
use toml_edit::{DocumentMut, Value};

/// The text with `placement` set; comments, order and everything else stay. An empty text is one of a file that is not there yet.
///
/// # Errors
/// `PLG038`: it is no TOML, or what it says does not go with that placement.
pub fn with_placement(text: &str, placement: Placement) -> Result<String, Refusal> {
    let path = Path::new("the settings file");
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| refuse(text, path, e.span(), e.message()))?;
    let mut value = Value::from(placement.name());
    if let Some(old) = document.get("placement").and_then(|item| item.as_value()) {
        // A comment behind the value belongs to it.
        *value.decor_mut() = old.decor().clone();
    }
    match document.get_mut("placement") {
        // Not inserted anew: the comments above it belong to the key.
        Some(item) => *item = toml_edit::Item::Value(value),
        None => drop(document.insert("placement", toml_edit::Item::Value(value))),
    }
    let written = document.to_string();
    parse(&written, path)?;
    Ok(written)
}
