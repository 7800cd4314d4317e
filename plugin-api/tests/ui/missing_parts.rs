//! A plugin without `unload`, and jobs that lack a trait.
use sexton_plugin_api::prelude::*;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

#[derive(Deserialize)]
struct NoSchema {}

#[scheduled_event(EVENTS, "acme.no_schema")]
impl ScheduledEventJob for NoSchema {
    fn run(&self, _: &JobContext) -> JobResult {
        Ok(())
    }
}

struct NoJob;

#[plugin]
fn load(host: &Host) -> Result<(), PluginError> {
    EVENTS.register::<NoJob>("acme.no_job");
    EVENTS.load(host)
}
