//! A plugin for the supervisor's tests: its settings file says what it offers and how its `load` goes.
//!
//! Not a useful plugin. What must hold: without a settings file it offers `fx.say` and nothing else.
#![forbid(unsafe_code)]

use sexton_plugin_api::prelude::*;
use std::path::PathBuf;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

#[derive(Deserialize)]
#[serde(default)]
struct Wishes {
    types: Vec<String>,
    load: String,
    standing: Option<String>,
    word: String,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { types: vec!["fx.say".to_owned()], load: String::new(), standing: None, word: "hello".to_owned() }
    }
}

/// Says the word of the settings, once the gate (a file) is there.
#[derive(Deserialize, JsonSchema)]
struct Say {
    #[serde(default)]
    gate: Option<PathBuf>,
}

impl ScheduledEventJob for Say {
    fn run(&self, cx: &JobContext) -> JobResult {
        if let Some(gate) = &self.gate {
            std::fs::write(gate.with_extension("entered"), "")?;
        }
        while self.gate.as_ref().is_some_and(|gate| !gate.exists()) {
            cx.sleep(Duration::milliseconds(5))?;
        }
        let wishes: Wishes = cx.settings()?;
        cx.output(&wishes.word)
    }
}

#[action("fx.action.say", bulk)]
fn say(_bot: &Bot, _settings: &Value, _matches: &[Resource]) -> ActionResult {
    Ok(())
}

#[plugin(name = "fx-first")]
fn load(host: &Host) -> Result<(), PluginError> {
    let wishes: Wishes = host.settings().map_err(|e| PluginError::new(format!("{e:?}")))?;
    for event_type in &wishes.types {
        EVENTS.register::<Say>(event_type.clone());
    }
    if let Some(event_type) = &wishes.standing {
        EVENTS.standing("always", event_type.clone(), json!({}), schedule::Every::hours(1));
    }
    match wishes.load.as_str() {
        "fail" => return Err(PluginError::new("no database")),
        "panic" => panic!("on the way"),
        "slow" => std::thread::sleep(std::time::Duration::from_millis(1500)),
        _ => {}
    }
    EVENTS.load(host)
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    EVENTS.unload(host)
}
