//! The plugin `start-resource`: starts and stops resources (commands, systemd units, Docker containers), many in one event.
//!
//! What a kind means is the operator's choice (`settings`), which resources is the caller's. What must hold: starting what runs already is fine, so
//! that a second attempt, or a second delivery, does no harm.

mod docker;
mod program;
mod settings;
mod template;

use settings::Settings;
use sexton_plugin_api::prelude::*;

static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

/// Starts every resource of the event.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StartResource {
    /// Wait until a unit or container runs, rather than until its start was accepted.
    #[serde(default)]
    wait: bool,
}

#[scheduled_event(EVENTS, "acme.start_resource")]
impl MultiResourceScheduledEventJob for StartResource {
    fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult {
        turn("start", self.wait, resource, cx)
    }
}

/// Stops every resource of the event.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StopResource {
    /// Wait until a unit has stopped, rather than until its stop was accepted. A container is always waited for.
    #[serde(default)]
    wait: bool,
}

#[scheduled_event(EVENTS, "acme.stop_resource")]
impl MultiResourceScheduledEventJob for StopResource {
    fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult {
        turn("stop", self.wait, resource, cx)
    }
}

/// Starts each match in twelve hours.
#[action("acme.action.start_resource_example", bulk, accepts_complement)]
fn start_resource_example(bot: &Bot, _settings: &Value, matches: &[Resource], _non_matches: &[Resource]) -> ActionResult {
    let host = EVENTS.host();
    let mut tracker = ScheduledEventTracker::new(host);
    for resource in matches {
        let when = host.now() + Duration::hours(12);
        tracker.schedule_bot_event(bot, resource, "Start a resource.", "acme.start_resource", schedule::Once { when });
    }
    tracker.commit()?;
    Ok(())
}

/// One resource, one verb (`start`, `stop`), by the way of its kind.
fn turn(verb: &str, wait: bool, resource: &Resource, cx: &JobContext) -> JobResult {
    let settings: Settings = cx.settings()?;
    let cancelled = || cx.is_cancelled();
    match resource.kind.as_str() {
        "systemd" => {
            let unit = resource.text("unit").unwrap_or(&resource.id);
            program::run(&systemctl(&settings, verb, wait, unit), settings.timeout(), cancelled)
        }
        "docker" => turn_container(&settings, verb, wait, resource, cx),
        kind => {
            let Some(templates) = settings.commands.get(kind) else {
                return fail_permanently(format!(
                    "the kind `{kind}` is not known: `systemd` and `docker` are, and what [settings.commands] defines"
                ));
            };
            let template = if verb == "start" { &templates.start } else { &templates.stop };
            if template.is_empty() {
                return fail_permanently(format!("[settings.commands.{kind}] has no `{verb}`"));
            }
            program::run(&template::fill(template, resource)?, settings.timeout(), cancelled)
        }
    }
}

fn systemctl(settings: &Settings, verb: &str, wait: bool, unit: &str) -> Vec<String> {
    let mut argv = vec![settings.systemd.systemctl.display().to_string(), "--no-ask-password".to_owned()];
    argv.extend(settings.systemd.user.then(|| "--user".to_owned()));
    argv.extend((!wait).then(|| "--no-block".to_owned()));
    argv.extend([verb, "--", unit].map(str::to_owned));
    argv
}

fn turn_container(settings: &Settings, verb: &str, wait: bool, resource: &Resource, cx: &JobContext) -> JobResult {
    let container = resource.text("container").unwrap_or(&resource.id);
    let (socket, timeout) = (&settings.docker.socket, settings.timeout());
    docker::turn(socket, verb, container, timeout)?;
    let deadline = cx.now() + timeout;
    while wait && verb == "start" && !docker::is_running(socket, container, timeout)? {
        if cx.now() >= deadline {
            return fail(format!("the container `{container}` was started and does not run after {} s", timeout.as_secs()));
        }
        cx.sleep(Duration::milliseconds(200))?;
    }
    Ok(())
}

#[plugin]
fn load(host: &Host) -> Result<(), PluginError> {
    EVENTS.load(host)
}

#[plugin]
fn unload(host: &Host) -> Result<(), PluginError> {
    EVENTS.unload(host)
}

#[cfg(test)]
mod tests;
