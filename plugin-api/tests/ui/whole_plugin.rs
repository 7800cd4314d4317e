//! The whole plugin of the design: safe code, one crate named.
#![forbid(unsafe_code)]

use sexton_plugin_api::prelude::*;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

/// Starts every resource of the event.
#[derive(Deserialize, JsonSchema)]
struct StartResource {
    #[serde(default)]
    wait: bool,
}

#[scheduled_event(EVENTS, "acme.start_resource")]
impl MultiResourceScheduledEventJob for StartResource {
    fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult {
        tracing::info!(id = %resource.id, key = %cx.resource_key(resource), "starting");
        if self.wait {
            cx.sleep(Duration::seconds(1))?;
        }
        Ok(())
    }
}

#[plugin]
fn load(host: &Host) -> Result<(), PluginError> {
    EVENTS.load(host)
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    EVENTS.unload(host)
}
