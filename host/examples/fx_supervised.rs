//! A plugin for the supervisor's tests: its settings file says what it offers and how its `load` goes.
//!
//! Not a useful plugin. What must hold: without a settings file it offers `fx.say` and nothing else.
#![forbid(unsafe_code)]

use sexton_plugin_api::prelude::*;
use std::path::PathBuf;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

/// Changed in the file, it makes another build of it: one whose jobs want a name.
static BUILT: &str = "built as: plain";

#[derive(Deserialize)]
#[serde(default)]
struct Wishes {
    types: Vec<String>,
    load: String,
    standing: Option<String>,
    word: String,
    job: String,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { types: vec!["fx.say".to_owned()], load: String::new(), standing: None, word: "hello".to_owned(), job: String::new() }
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

/// What another build makes of the same type: it wants a name, which was called `who` before.
#[derive(Deserialize, JsonSchema)]
struct Named {
    name: String,
}

impl ScheduledEventJob for Named {
    fn run(&self, cx: &JobContext) -> JobResult {
        cx.output(&self.name)
    }

    /// Pure but for what the arguments ask for by `ask`: a file to wait for, a way to go wrong.
    fn migrate_args(mut args: Value) -> Result<Value, JobError> {
        match args.get("ask").and_then(Value::as_str) {
            None => {}
            Some("abort") => std::process::abort(),
            Some("panic") => panic!("in the middle of it"),
            Some("hang") => loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
            Some(gate) => {
                while !PathBuf::from(gate).exists() {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }
        if let Some(who) = args.get("who").cloned() {
            args = json!({ "name": who });
        }
        Ok(args)
    }
}

#[action("fx.action.say", bulk)]
fn say(_bot: &Bot, _settings: &Value, _matches: &[Resource]) -> ActionResult {
    Ok(())
}

#[plugin(name = "fx-first")]
fn load(host: &Host) -> Result<(), PluginError> {
    let wishes: Wishes = host.settings().map_err(|e| PluginError::new(format!("{e:?}")))?;
    let named = wishes.job == "named" || std::hint::black_box(BUILT) == "built as: named";
    for event_type in &wishes.types {
        if named {
            EVENTS.register::<Named>(event_type.clone());
        } else {
            EVENTS.register::<Say>(event_type.clone());
        }
    }
    if let Some(event_type) = &wishes.standing {
        EVENTS.standing("always", event_type.clone(), if named { json!({ "name": "x" }) } else { json!({}) }, schedule::Every::hours(1));
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
