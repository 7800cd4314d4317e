//! How much a plugin logs, changed while it runs.
//!
//! Not `log_level` of its settings file (that stays, and holds again from the next load on), and no work for the keeper: nothing of a life
//! cycle changes. What must hold: the generation that serves is told, and it is audited who said so.

use super::{Shared, verbs};
use crate::clock;
use crate::plugin_settings::LEVELS;
use serde::Serialize;
use serde_json::json;
use sexton_core::{Blame, Refusal};
use sexton_store::rows::{Actor, AuditLine};

/// A level that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Levelled {
    /// The plugin.
    pub plugin: String,
    /// The generation that was told.
    pub generation: i64,
    /// From which level on it logs.
    pub level: String,
    /// How long that holds, for people.
    pub until: String,
}

/// Tells the serving generation.
pub fn set(shared: &Shared, name: &str, level: &str, by: &Actor) -> Result<Levelled, Refusal> {
    let Some(number) = LEVELS.iter().position(|l| *l == level).and_then(|at| u8::try_from(at).ok()) else {
        let refusal = Refusal::new("INP016", Blame::Input, format!("`{level}` is no log level")).at(level, 0, level.len());
        return Err(refusal.expected(format!("one of {}", LEVELS.join(", "))));
    };
    let view = shared.view(name).ok_or_else(|| verbs::no_such(name))?;
    let told = view.generation.filter(|generation| shared.engine.set_log_level(*generation, number));
    let Some(generation) = told else {
        return Err(Refusal::new("INP021", Blame::Input, format!("nothing of the plugin `{name}` serves now that could be told"))
            .expected("a plugin that `sexton plugin list` shows as active")
            .remedy("write `log_level` into its settings file: it holds from the next load on"));
    };
    let detail = json!({"generation": generation, "level": level});
    let line = AuditLine { at: clock::now(), actor: by.clone(), verb: "plugin.log_level".to_owned(), subject: name.to_owned(), detail };
    if let Err(error) = shared.store.audit(&line) {
        tracing::warn!(verb = line.verb, subject = line.subject, %error, "an audit line cannot be stored");
    }
    let until = "until its next load (a change of its files, a reload, a restart), when `log_level` of its settings file holds again";
    Ok(Levelled { plugin: name.to_owned(), generation, level: level.to_owned(), until: until.to_owned() })
}
