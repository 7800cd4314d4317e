//! `sexton plugin check FILE`: inspects a file and calls its `load`, here and without a host.
//!
//! Not a verdict on ownership or on stored events: those need a host's store. What must hold: nothing is registered anywhere, and nothing stays loaded.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure};
use crate::output::table::{card, text};
use crate::problem::from_rejection;
use serde_json::{Value, json};
use sexton_loader::inspect::Inspected;
use sexton_plugin_api::wire::Batch;
use std::path::Path;

/// Checks, and says what it found.
///
/// # Errors
/// Exit code 1 with the rejection.
pub fn check(door: &Door, file: &Path) -> Done {
    let scratch = tempfile::Builder::new().prefix("sexton-check-").tempdir()?;
    let checked = sexton_loader::check(file, scratch.path());
    let (inspected, batch) = checked.map_err(|rejection| Failure::Failed(from_rejection(&rejection)))?;
    door.answer(&facts(file, &inspected, &batch), drawn)
}

fn facts(file: &Path, inspected: &Inspected, batch: &Batch) -> Value {
    let identity = &inspected.identity;
    let types: Vec<_> = batch.types.iter().map(|t| t.event_type.as_str()).collect();
    let actions: Vec<_> = batch.actions.iter().map(|a| a.uid.as_str()).collect();
    json!({
        "file": file,
        "ok": true,
        "name": identity.plugin,
        "version": identity.version,
        "api": format!("{}.{}", identity.api_major, identity.api_minor),
        "rustc": identity.rustc,
        "panic": identity.panic,
        "digest": inspected.digest,
        "size_bytes": inspected.size,
        "event_types": types,
        "actions": actions,
        "standing": batch.standing,
        "warnings": inspected.warnings,
    })
}

fn drawn(found: &Value) -> String {
    let facts = card(&[
        ("plugin", format!("{} {}", text(found, "name"), text(found, "version"))),
        ("API", text(found, "api")),
        ("rustc", text(found, "rustc")),
        ("digest", text(found, "digest")),
        ("size", format!("{} bytes", text(found, "size_bytes"))),
        ("event types", text(found, "event_types")),
        ("actions", text(found, "actions")),
        ("standing", found["standing"].as_array().filter(|s| !s.is_empty()).map_or_else(String::new, |s| s.len().to_string())),
        ("warnings", text(found, "warnings")),
    ]);
    format!("good: a host would take it, if nobody else owns its types\n\n{facts}")
}
