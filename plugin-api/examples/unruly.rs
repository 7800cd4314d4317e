//! A plugin that misbehaves as its settings say: `{"load": "panics"}` and the like.
//!
//! Not an example to follow: the crate's tests open it as a library. What must hold: without settings it behaves.

use sexton_plugin_api::prelude::*;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();
static LATE: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

/// How to misbehave.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    load: String,
    unload: String,
}

/// Does nothing, but may be hard to drop.
#[derive(Deserialize, JsonSchema)]
struct Nothing {
    #[serde(default)]
    drop_panics: bool,
}

impl Drop for Nothing {
    fn drop(&mut self) {
        assert!(!self.drop_panics, "the job's own drop");
    }
}

#[scheduled_event(EVENTS, "unruly.nothing")]
impl ScheduledEventJob for Nothing {
    fn run(&self, cx: &JobContext) -> JobResult {
        if cx.labels().contains_key("spawn") {
            let panicked = std::thread::spawn(|| panic!("on a thread of its own")).join().is_err();
            return if panicked { Ok(()) } else { fail("the thread ended well") };
        }
        Ok(())
    }

    fn migrate_args(args: Value) -> Result<Value, JobError> {
        match args.get("version").and_then(Value::as_u64) {
            None => Ok(args),
            Some(1) => Ok(json!({ "drop_panics": false })),
            Some(2) => panic!("version 2 blew up"),
            Some(n) => fail(format!("version {n} is not known")),
        }
    }
}

/// Registered on a wrapper that `load` forgets, unless told otherwise.
#[derive(Deserialize, JsonSchema)]
struct Forgotten {}

#[scheduled_event(LATE, "unruly.forgotten")]
impl ScheduledEventJob for Forgotten {
    fn run(&self, _: &JobContext) -> JobResult {
        Ok(())
    }
}

#[action("unruly.action.each")]
fn each(_: &Bot, settings: &Value, resource: &Resource) -> ActionResult {
    match resource.id.as_str() {
        "bad" => Err(PluginError::new("no good")),
        "worse" => panic!("worse than that"),
        _ if settings.is_null() => Err(PluginError::new("no settings")),
        _ => Ok(()),
    }
}

#[plugin(name = "unruly")]
fn load(host: &Host) -> Result<(), PluginError> {
    let how: Settings = host.settings()?;
    let register = |id: &str| {
        EVENTS.register::<Nothing>(id);
    };
    match how.load.as_str() {
        "fails" => return Err(std::fs::read("/nonexistent/licence").expect_err("it is not there").into()),
        "registers_twice" => register("unruly.nothing"),
        "bad_id" => register("Unruly.Nothing"),
        "reserved" => register("sexton.nothing"),
        "static_form" => {
            ScheduledEventManager::register::<Nothing>("unruly.static");
        }
        "same_standing" => {
            for _ in 0..2 {
                EVENTS.standing("k", "unruly.nothing", json!({}), schedule::Manual);
            }
        }
        "both_wrappers" => LATE.load(host)?,
        _ => {}
    }
    EVENTS.load(host)?;
    match how.load.as_str() {
        "panics" => panic!("in the middle of load"),
        "loads_twice" => EVENTS.load(host)?,
        "late" => register("unruly.late"),
        "late_wrapper" => {
            register("unruly.late");
            EVENTS.load(host)?;
        }
        "state" => {
            host.state().put("k", &1)?;
        }
        "tracker" => {
            // Three of five types are registered: none may stay.
            LATE.register::<Nothing>("unruly.two");
            LATE.load(host)?;
            let mut tracker = ScheduledEventTracker::new(host);
            tracker.schedule_event("unruly.nothing", schedule::Manual);
            tracker.commit()?;
            EVENTS.register::<Nothing>("unruly.four");
        }
        _ => {}
    }
    Ok(())
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    let how: Settings = host.settings()?;
    match how.unload.as_str() {
        "fails" => Err(PluginError::new("the pump still runs")),
        "panics" => std::panic::panic_any(String::from("in unload")),
        "forgets" => Ok(()),
        _ => EVENTS.unload(host),
    }
}
