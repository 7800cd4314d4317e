//! A real image: the example `tiny`, built as a library, opened, checked and called through its table by a binary that has records of its own.
//!
//! Not the loader's tests. What must hold: what a host needs (header, identity, type ids, batch) is in the file that cargo builds from safe code.

mod compiler;
mod recording;

use recording::image::{Image, advertised, open, section};
use recording::{Recording, order};
use serde_json::json;
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::wire::*;
use std::path::PathBuf;

/// This binary's own record: the image must not see it, and this binary must not see the image's.
#[derive(Deserialize, JsonSchema)]
struct Ours {}

#[scheduled_event(ScheduledEventManager, "sexton.ours")]
impl ScheduledEventJob for Ours {
    fn run(&self, _: &JobContext) -> JobResult {
        Ok(())
    }
}

fn tiny() -> Image {
    open(&built())
}

/// The example, up to date.
fn built() -> PathBuf {
    let library = compiler::profile_dir().join("examples/libtiny.so");
    // `tests/run` has built all examples just before.
    if std::env::var_os("SEXTON_TESTS_BUILT").is_none() || !library.exists() {
        compiler::cargo_build(&["--example", "tiny"]);
    }
    library
}

#[test]
fn identity_and_type_ids_are_in_the_file() {
    let path = built();
    let identity: Identity = serde_json::from_slice(&section(&path, ".sexton.identity").unwrap()).unwrap();
    assert_eq!((identity.plugin.as_str(), identity.version.as_str()), ("tiny", env!("CARGO_PKG_VERSION")));
    assert_eq!((identity.api_major, identity.api_minor), recording::API);
    assert_eq!(advertised(&path), ["tiny.count", "tiny.greet"]);
    let image = tiny();
    let told = (image.root.identity())();
    assert_eq!(told.as_str().as_bytes(), section(&path, ".sexton.identity").unwrap());
}

#[test]
fn each_image_sees_its_own_records_only() {
    let image = tiny();
    let (theirs, batch) = Recording::loaded(image.root);
    let types: Vec<_> = batch.types.iter().map(|t| t.event_type.as_str()).collect();
    assert_eq!(types, ["tiny.count", "tiny.greet", "tiny.panic"]);
    let (ours, batch) = Recording::loaded(ScheduledEventManager::root());
    let types: Vec<_> = batch.types.iter().map(|t| t.event_type.as_str()).collect();
    assert_eq!(types, ["sexton.ours"]);
    assert_eq!(batch.actions, []);
    assert_eq!(ours.run(&order(1, "sexton.ours", &json!({}))).end, JobEnd::Succeeded);
    theirs.unload().unwrap();
    ours.unload().unwrap();
}

#[test]
fn the_batch_says_everything() {
    let image = tiny();
    let (host, batch) = Recording::loaded(image.root);
    let count = &batch.types[0];
    assert_eq!(
        count.retry,
        Some(Retry { attempts: Some(3), first_delay_ms: Some(10_000), max_delay_ms: Some(300_000), deadline_ms: Some(3_600_000) })
    );
    assert_eq!((count.timeout_ms, count.grace_ms), (Some(30_000), Some(5_000)));
    assert_eq!(count.args_schema["properties"]["to"]["type"], "integer");
    assert_eq!(count.args_schema["required"], json!(["to"]));
    assert!(!count.multi_resource && batch.types[1].multi_resource);
    assert_eq!(batch.types[1].retry, None);
    assert_eq!(batch.types[2].retry, Some(Retry { attempts: Some(1), ..Retry::default() }));
    assert_eq!(batch.actions, [ActionOffer { uid: "tiny.action.greet_later".into(), bulk: true, accepts_complement: true }]);
    let standing = StandingEvent {
        key: "hourly".into(),
        event_type: "tiny.count".into(),
        args: json!({ "to": 3 }),
        schedule: json!({ "every": "1h" }),
        description: Some("Counts to three.".into()),
    };
    assert_eq!(batch.standing, [standing]);
    host.unload().unwrap();
}

#[test]
fn runs_log_sleep_and_answer_through_the_table() {
    let image = tiny();
    let (host, _) = Recording::loaded(image.root);
    let reply = host.run(&order(7, "tiny.count", &json!({ "to": 2 })));
    assert_eq!((reply.run, reply.end), (7, JobEnd::Succeeded));
    assert_eq!(reply.output.unwrap().get(), r#"{"counted":2}"#);
    let progress = |done| (7, HostCall::Progress { done, total: Some(2), note: "counted".into() });
    assert_eq!(host.notes(|notes| notes.calls.clone()), [progress(1), progress(2)]);
    assert_eq!(host.notes(|notes| notes.clock_micros), 1_767_225_602_000_000);
    let logs = host.logs();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!((logs[0].run, logs[0].level, logs[0].message.as_str(), logs[0].spans.as_str()), (7, 3, "counted steps=2", "counting{to=2}"));

    // A cancelled run ends at its next sleep.
    host.notes(|notes| notes.cancelled.push(8));
    let reply = host.run(&order(8, "tiny.count", &json!({ "to": 2 })));
    assert_eq!(reply.end, JobEnd::Cancelled { reason: "asked to stop".into() });
    host.unload().unwrap();
}

#[test]
fn panics_are_text_with_a_place() {
    let image = tiny();
    let (host, _) = Recording::loaded(image.root);
    for (with, message) in [
        ("text", "a fixed text"),
        ("string", "a text with string"),
        ("number", "panic with a payload that is no text"),
        ("grenade", "panic with a payload that is no text"),
    ] {
        let reply = host.run(&order(1, "tiny.panic", &json!({ "with": with })));
        let JobEnd::Panicked { message: found, place } = reply.end else { panic!("{with}: {:?}", reply.end) };
        assert_eq!(found, message);
        let place = place.expect("the hook noted the place");
        assert!(place.contains("examples/tiny.rs:"), "{place}");
    }
    assert_eq!(host.run(&order(2, "tiny.panic", &json!({ "with": "nothing" }))).end, JobEnd::Succeeded, "it goes on working");
    host.unload().unwrap();
}

#[test]
fn the_log_level_changes_while_it_runs() {
    let image = tiny();
    let (host, _) = Recording::loaded(image.root);
    let act = ActOrder {
        run: 3,
        uid: "tiny.action.greet_later".into(),
        bot: Bot::new("b1", "Greeter"),
        settings: json!({}),
        matches: vec![Resource::new("r1", "person")],
        non_matches: vec![Resource::new("r2", "person")],
    };
    host.act(&act).unwrap();
    assert_eq!(host.logs().len(), 1, "debug is sent at level 4");
    (host.root.log_level())(3);
    host.act(&act).unwrap();
    assert_eq!(host.logs().len(), 1, "debug is cut at level 3");
    (host.root.log_level())(0);
    host.run(&order(4, "tiny.count", &json!({ "to": 0 })));
    assert_eq!(host.logs().len(), 1, "nothing is sent at level 0");
    (host.root.log_level())(5);
    host.act(&act).unwrap();
    assert_eq!(host.logs().len(), 2, "and it comes back");
    assert_eq!(host.logs()[1].message, "greeting later left_out=1");

    let scheduled = host.scheduled();
    assert_eq!(scheduled.len(), 3);
    let (run, event) = &scheduled[0];
    assert_eq!((*run, event.event_type.as_str(), &event.schedule), (3, "tiny.greet", &json!({ "every": "5m" })));
    assert_eq!((event.bot.as_ref(), event.resources.as_slice()), (Some(&act.bot), act.matches.as_slice()));
    host.unload().unwrap();
}

#[test]
fn resources_end_each_for_itself() {
    let image = tiny();
    let (host, _) = Recording::loaded(image.root);
    let mut run = order(5, "tiny.greet", &json!({}));
    run.resources = vec![
        Resource::new("a", ""),
        Resource::new("b", "").with("mood", "sour"),
        Resource::new("c", "").with("mood", "explosive"),
        Resource::new("d", ""),
    ];
    run.resources_done = vec!["a".into()];
    let reply = host.run(&run);
    let JobEnd::Failed { message, permanent: false } = &reply.end else { panic!("{:?}", reply.end) };
    assert!(message.starts_with("2 of 4 resources failed: b: b does not want to be greeted; c: panicked at "), "{message}");
    let ids: Vec<_> = reply.resources.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["b", "c", "d"], "what succeeded before is not touched");
    assert_eq!(reply.resources[2].end, JobEnd::Succeeded);
    host.unload().unwrap();
}
