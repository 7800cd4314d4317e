//! A small plugin: two wrappers, jobs by attribute and by call, an action, a standing event.
//!
//! Not a useful plugin: the crate's tests open it as a library. What must hold: it needs no line of unsafe code.
#![forbid(unsafe_code)]

use sexton_plugin_api::prelude::*;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();
static MORE: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

/// Counts up to `to`, one step a second.
#[derive(Deserialize, JsonSchema)]
struct Count {
    to: u64,
}

#[scheduled_event(
    EVENTS,
    "tiny.count",
    attempts = 3,
    first_delay = "10s",
    max_delay = "5m",
    deadline = "1h",
    timeout = "30s",
    grace = "5s"
)]
impl ScheduledEventJob for Count {
    fn run(&self, cx: &JobContext) -> JobResult {
        let _span = tracing::info_span!("counting", to = self.to).entered();
        for step in 1..=self.to {
            cx.sleep(Duration::seconds(1))?;
            cx.progress(step, self.to, "counted");
        }
        tracing::info!(steps = self.to, "counted");
        cx.output(&json!({ "counted": self.to }))
    }
}

/// Greets each resource.
#[derive(Deserialize, JsonSchema)]
struct Greet {}

#[scheduled_event(MORE, "tiny.greet")]
impl MultiResourceScheduledEventJob for Greet {
    fn run_one(&self, resource: &Resource, _: &JobContext) -> JobResult {
        match resource.text("mood") {
            Some("sour") => fail(format!("{} does not want to be greeted", resource.id)),
            Some("explosive") => panic!("{} blew up", resource.id),
            _ => Ok(()),
        }
    }
}

/// Panics with whatever `with` says.
#[derive(Deserialize, JsonSchema)]
struct Panic {
    with: String,
}

/// A payload that panics a second time when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("the payload's own drop");
    }
}

impl ScheduledEventJob for Panic {
    fn run(&self, _: &JobContext) -> JobResult {
        match self.with.as_str() {
            "text" => panic!("a fixed text"),
            "string" => panic!("a text with {}", self.with),
            "number" => std::panic::panic_any(7_u32),
            "grenade" => std::panic::panic_any(Grenade),
            _ => Ok(()),
        }
    }
}

#[action("tiny.action.greet_later", bulk, accepts_complement)]
fn greet_later(bot: &Bot, _settings: &Value, matches: &[Resource], non_matches: &[Resource]) -> ActionResult {
    tracing::debug!(left_out = non_matches.len(), "greeting later");
    let mut context = ScheduledEventTracker::new(EVENTS.host());
    for resource in matches {
        context.schedule_bot_event(bot, resource, "Greet a resource.", "tiny.greet", schedule::Every::minutes(5));
    }
    context.commit()?;
    Ok(())
}

#[plugin(name = "tiny")]
fn load(host: &Host) -> Result<(), PluginError> {
    MORE.register::<Panic>("tiny.panic").attempts(1);
    EVENTS.standing("hourly", "tiny.count", json!({ "to": 3 }), schedule::Every::hours(1)).description("Counts to three.");
    EVENTS.load(host)?;
    MORE.load(host)
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    EVENTS.unload(host)?;
    MORE.unload(host)
}
