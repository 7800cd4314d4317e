//! A plugin that registers in the static form, which is the host's: it compiles and is refused at `load`.
use sexton_plugin_api::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Noop {}

#[scheduled_event(ScheduledEventManager, "acme.noop")]
impl ScheduledEventJob for Noop {
    fn run(&self, _: &JobContext) -> JobResult {
        Ok(())
    }
}

#[plugin]
fn load(_: &Host) -> Result<(), PluginError> {
    Ok(())
}

#[plugin]
fn unload(_: &Host) -> Result<(), PluginError> {
    Ok(())
}
