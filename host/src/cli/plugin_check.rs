//! `sexton plugin check FILE`: inspects a file and calls its `load`, here and without a host.
//!
//! Not a verdict on ownership or on stored events: those need a host's store. What must hold: nothing is registered anywhere, and nothing stays loaded.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure};
use crate::output::table::{card, text};
use crate::problem::from_rejection;
use crate::supervisor::settings_of;
use clap::Args;
use serde_json::{Value, json};
use sexton_loader::Trial;
use sexton_loader::inspect::{Inspected, Rules, Signatures};
use sexton_loader::runner::Spawner;
use sexton_loader::seam::Placement;
use sexton_plugin_api::wire::Batch;
use std::path::{Path, PathBuf};

/// What to check, and as which host would.
#[derive(Debug, Args)]
pub struct Check {
    /// The .so file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the host is to run it [default: as the settings file beside it says, else runner]
    #[arg(long, value_name = "PLACEMENT", value_parser = ["runner", "in-process"])]
    pub placement: Option<String>,
    /// What the host asks of signatures
    #[arg(long, value_name = "POLICY", default_value = "off", value_parser = ["off", "warn", "enforce"])]
    pub signatures: String,
    /// The directory of public keys (*.pub) whose signatures count
    #[arg(long, value_name = "DIR", required_if_eq_any = [("signatures", "warn"), ("signatures", "enforce")])]
    pub signature_keys: Option<PathBuf>,
}

impl Check {
    /// Checks, and says what it found.
    ///
    /// # Errors
    /// Exit code 1 with the rejection.
    pub fn run(self, door: &Door) -> Done {
        let scratch = tempfile::Builder::new().prefix("sexton-check-").tempdir()?;
        let spawner = Spawner::start()?;
        let settings = settings_of(&self.file).map_err(Failure::Failed)?;
        let placement = match self.placement.as_deref() {
            Some("in-process") => Placement::InProcess,
            Some(_) => Placement::Runner,
            None => settings.placement,
        };
        let trial = Trial { settings: settings.settings, confinement: settings.confinement };
        let checked = sexton_loader::check(&self.file, scratch.path(), &self.rules(placement, &trial), &spawner, &trial);
        let (inspected, batch) = checked.map_err(|rejection| Failure::Failed(from_rejection(&rejection)))?;
        door.answer(&facts(&self.file, placement.name(), &inspected, &batch), drawn)
    }

    /// As the flags have it; their words were checked when they were read.
    fn rules(&self, placement: Placement, trial: &Trial) -> Rules {
        let policy = self.signatures.parse().expect("one of the policies");
        let keys = self.signature_keys.clone().unwrap_or_default();
        Rules { placement, signatures: Signatures { policy, keys }, readable_by_others: trial.confinement.run_as.is_some() }
    }
}

fn facts(file: &Path, placement: &str, inspected: &Inspected, batch: &Batch) -> Value {
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
        "placement": placement,
        "signature": inspected.signature,
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
        ("placement", text(found, "placement")),
        ("signature", signature(&found["signature"])),
        ("warnings", lines(&found["warnings"])),
    ]);
    format!("good: a host would take it, if nobody else owns its types\n\n{facts}")
}

/// Who signed it; nothing if nobody asked.
pub fn signature(signature: &Value) -> String {
    match (signature.as_str(), &signature["signed"]) {
        (Some("unsigned"), _) => "none by a known key".to_owned(),
        (None, signed) if signed.is_object() => format!("key {}: {}", text(signed, "key_id"), text(signed, "trusted_comment")),
        _ => String::new(),
    }
}

/// One sentence a line.
pub fn lines(list: &Value) -> String {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}
