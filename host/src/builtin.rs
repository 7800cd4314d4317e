//! The event types that are built into the host: `sexton.noop` and `sexton.prune`.
//!
//! Not a shortcut past the registry: they are registered in the static form, served as generation 0 of the plugin `host`, and take the way
//! that every job takes. What must hold: they are registered before the host asks for the batch.

use sexton_plugin_api::abi::PluginRoot_Ref;
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::wire::HostCall;
use std::time::Duration;

/// Does nothing: for tests, benches, and to see that a schedule fires.
#[derive(Deserialize, JsonSchema)]
struct Noop {}

impl ScheduledEventJob for Noop {
    fn run(&self, _: &JobContext) -> JobResult {
        Ok(())
    }
}

/// Between two prunings of the host's own: what is over the limit in between is an hour's runs, and an idle host works a moment an hour.
const REST: u32 = 1;

/// Deletes finished runs, and ended events that have no runs left.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Prune {
    /// How long ago a run must have finished: `30d`, `12h`, `1d 6h`. Absent: as the rules of retention say (`sexton retention show`).
    #[serde(default)]
    #[schemars(regex(pattern = r"^ *([0-9]+ *[a-zA-Z]+ *)+$"))]
    older_than: Option<String>,
}

impl ScheduledEventJob for Prune {
    fn run(&self, cx: &JobContext) -> JobResult {
        let older_than = match self.older_than.as_deref().map(humantime::parse_duration).transpose() {
            Ok(age) => age,
            Err(error) => return fail_permanently(format!("`older_than` is no length of time: {error}")),
        };
        let deleted = cx
            .call(&HostCall::Prune { older_than_s: older_than.as_ref().map(Duration::as_secs) })
            .map_err(|refusal| JobError::fail(format!("{}: {}", refusal.code, refusal.message)))?;
        cx.output(&serde_json::json!({"deleted": deleted}))
    }
}

/// The built-in types as a plugin's library would export them, registered anew: an unload withdraws them. For the supervisor, which asks once
/// in its life; one host at a time in a process.
#[must_use]
pub fn root() -> PluginRoot_Ref {
    ScheduledEventManager::register::<Noop>("sexton.noop");
    ScheduledEventManager::register::<Prune>("sexton.prune");
    ScheduledEventManager::standing("retention", "sexton.prune", serde_json::json!({}), schedule::Every::hours(REST))
        .description("Deletes runs that were kept long enough: see `sexton retention show`");
    ScheduledEventManager::root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sexton_plugin_api::testing::TestHost;
    use sexton_plugin_api::wire::JobEnd;

    #[test]
    fn noop_does_nothing_and_prune_says_how_much_it_deleted() {
        assert_eq!(TestHost::new().args(json!({})).run::<Noop>().end, JobEnd::Succeeded);
        let reply = TestHost::new().args(json!({"older_than": "1d 6h"})).run::<Prune>();
        assert_eq!(reply.end, JobEnd::Succeeded);
        assert_eq!(reply.output, Some(json!({"deleted": 0})));
    }

    #[test]
    fn a_length_that_is_none_fails_for_good_and_mostly_never_gets_that_far() {
        let reply = TestHost::new().args(json!({"older_than": "3 fortnights"})).run::<Prune>();
        assert!(matches!(reply.end, JobEnd::Failed { permanent: true, .. }), "{:?}", reply.end);
        let schema = serde_json::to_value(sexton_plugin_api::schemars::schema_for!(Prune)).expect("a schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("it is a schema");
        assert!(validator.is_valid(&json!({})) && validator.is_valid(&json!({"older_than": "30d"})));
        assert!(!validator.is_valid(&json!({"older_than": "soon"})) && !validator.is_valid(&json!({"older": "30d"})));
    }
}
