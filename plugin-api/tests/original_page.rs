//! The page of the original, line by line: registration on the manager, an event spawned from an action, dynamic loading and unloading.
//!
//! Not a copy of its code: each part names the line it translates. What must hold: it compiles as it stands and runs through the tables.

mod recording;

use recording::{Recording, order};
use serde_json::json;
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::testing::TestHost;
use sexton_plugin_api::wire::{ActOrder, JobEnd};
use std::sync::Mutex;

// from DivvyWorkers.Processors.ScheduledEvents import ScheduledEventManager
//
// @ScheduledEventManager.register('divvy.start_resource')
// class StartResourceJob(MultiResourceScheduledEventJob):
//     ...
/// Starts the resources of the event.
#[derive(Deserialize, JsonSchema)]
struct StartResourceJob {}

#[scheduled_event(ScheduledEventManager, "divvy.start_resource")]
impl MultiResourceScheduledEventJob for StartResourceJob {
    fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult {
        tracing::info!(key = cx.resource_key(resource), "starting");
        match resource.text("state") {
            Some("gone") => fail_permanently("it no longer exists"),
            _ => Ok(()),
        }
    }
}

// from DivvyBotfactory.scheduling import ScheduledEventTracker
//
// @registry.action(
//     uid='divvy.action.start_resource_example',
//     bulk_action=True,
//     accepts_complement=True,
//     ...
// )
// def start_resource_example(bot, settings, matches, non_matches):
//     with ScheduledEventTracker() as context:
//         for resource in matches:
//             context.schedule_bot_event(
//                 bot=bot, resource=resource,
//                 description='Start a resource.',
//                 event_type='divvy.start_resource'
//                 schedule_data=schedule.Once(when=datetime.utcnow() + timedelta(hours=12))
//             )
#[action("divvy.action.start_resource_example", bulk, accepts_complement)]
fn start_resource_example(bot: &Bot, _settings: &Value, matches: &[Resource], _non_matches: &[Resource]) -> ActionResult {
    let mut context = ScheduledEventTracker::new(ScheduledEventManager::host());
    for resource in matches {
        context.schedule_bot_event(
            bot,
            resource,
            "Start a resource.",
            "divvy.start_resource",
            schedule::Once { when: Utc::now() + Duration::hours(12) },
        );
    }
    context.commit()?;
    Ok(())
}

/// The second half of the page, as a plugin writes it.
mod plugin {
    use super::*;

    // from DivvyWorkers.Processors.ScheduledEvents import ScheduledEventRegistryWrapper
    // # Initialize the registry wrapper
    // events = ScheduledEventRegistryWrapper()
    static EVENTS: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

    // # Register a scheduled event job
    // events.register('divvy.start_resource')
    // class StartResourceJob(MultiResourceScheduledEventJob):
    //     ...
    #[derive(Deserialize, JsonSchema)]
    struct StartResourceJob {}

    #[scheduled_event(EVENTS, "divvy.start_resource")]
    impl MultiResourceScheduledEventJob for StartResourceJob {
        fn run_one(&self, _: &Resource, _: &JobContext) -> JobResult {
            Ok(())
        }
    }

    // # Handle plugin loading/unloading
    // def load():
    //     events.load()
    #[plugin(name = "original-page")]
    fn load(host: &Host) -> Result<(), PluginError> {
        EVENTS.load(host)
    }

    // def unload():
    //     events.unload()
    #[plugin]
    fn unload(host: &Host) -> Result<(), PluginError> {
        EVENTS.unload(host)
    }
}

/// One static registry a binary, so tests that load it take turns.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn the_registered_job_runs_over_resources() {
    let _turn = TURN.lock();
    let (host, batch) = Recording::loaded(ScheduledEventManager::root());
    let types: Vec<_> = batch.types.iter().map(|t| (t.event_type.as_str(), t.multi_resource)).collect();
    assert_eq!(types, [("divvy.start_resource", true)], "the wrapper's registration is another owner's");
    let mut run = order(1, "divvy.start_resource", &json!({}));
    run.resources = vec![Resource::new("i-1", "instance"), Resource::new("i-2", "instance").with("state", "gone")];
    let reply = host.run(&run);
    assert_eq!(reply.end, JobEnd::Failed { message: "1 of 2 resources failed: i-2: it no longer exists".into(), permanent: true });
    assert_eq!(reply.resources[0].end, JobEnd::Succeeded);
    host.unload().expect("unload");
}

#[test]
fn the_action_spawns_an_event_per_match_twelve_hours_ahead() {
    let _turn = TURN.lock();
    let (host, batch) = Recording::loaded(ScheduledEventManager::root());
    let action = &batch.actions[0];
    assert_eq!((action.uid.as_str(), action.bulk, action.accepts_complement), ("divvy.action.start_resource_example", true, true));
    let before = Utc::now();
    let act = ActOrder {
        run: 9,
        uid: action.uid.clone(),
        bot: Bot::new("b-1", "Morning starter"),
        settings: json!({}),
        matches: vec![Resource::new("i-1", "instance"), Resource::new("i-2", "instance")],
        non_matches: vec![Resource::new("i-3", "instance")],
    };
    host.act(&act).expect("the action succeeds");
    let scheduled = host.scheduled();
    assert_eq!(scheduled.len(), 2);
    for ((run, event), resource) in scheduled.iter().zip(&act.matches) {
        assert_eq!((*run, event.event_type.as_str(), event.description.as_deref()), (9, "divvy.start_resource", Some("Start a resource.")));
        assert_eq!((event.bot.as_ref(), event.resources.as_slice()), (Some(&act.bot), std::slice::from_ref(resource)));
        let when: DateTime<Utc> = serde_json::from_value(event.schedule["once"].clone()).expect("an instant");
        let ahead = when - before;
        assert!(ahead > Duration::hours(12) - Duration::seconds(1) && ahead < Duration::hours(12) + Duration::minutes(1), "{ahead}");
    }
    host.unload().expect("unload");
    let act = TestHost::new().act("divvy.action.start_resource_example", &act.bot, &act.matches, &[]);
    assert_eq!((act.result, act.scheduled.len()), (Ok(()), 2), "and without any host");
}
