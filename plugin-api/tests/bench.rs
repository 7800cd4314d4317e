//! Jobs on the author's bench: every way to end, resources, cancellation, state, trackers, logs. No table, no process.
//!
//! Not the boundary (`image`, `unruly`). What must hold: what is shown here is what the documentation tells authors.

use sexton_plugin_api::prelude::*;
use sexton_plugin_api::state::StateError;
use sexton_plugin_api::testing::{LogEntry, Progress, TestHost};
use sexton_plugin_api::tracker::TrackerError;
use sexton_plugin_api::wire::{JobEnd, ResourceReply};

/// Ends as `how` says.
#[derive(Deserialize, JsonSchema)]
struct Ends {
    how: String,
}

impl ScheduledEventJob for Ends {
    fn run(&self, cx: &JobContext) -> JobResult {
        match self.how.as_str() {
            "fail" => fail("no luck"),
            "io" => {
                std::fs::read("/nonexistent")?;
                Ok(())
            }
            "chain" => Err(TrackerError::NotYetActive("x".into()).into()),
            "permanent" => fail_permanently("no such thing"),
            "made_permanent" => std::fs::read("/nonexistent").map(|_| ()).map_err(|e| JobError::from(e).permanently()),
            "snooze" => snooze(std::time::Duration::from_micros(1_500_001)),
            "snooze_back" => snooze(Duration::seconds(-5)),
            "cancel" => cancel("changed my mind"),
            "as_plugin" => Err(PluginError::from(JobError::snooze(Duration::minutes(2))).into()),
            "panic" => panic!("attempt {}", cx.attempt()),
            _ => Ok(()),
        }
    }
}

fn end_of(how: &str) -> JobEnd {
    TestHost::new().args(json!({ "how": how })).attempt(3).run::<Ends>().end
}

#[test]
fn every_way_to_end() {
    let failed = |message: &str, permanent| JobEnd::Failed { message: message.to_owned(), permanent };
    assert_eq!(end_of("well"), JobEnd::Succeeded);
    assert_eq!(end_of("fail"), failed("no luck", false));
    assert_eq!(end_of("io"), failed("No such file or directory (os error 2)", false));
    assert_eq!(end_of("chain"), failed("API002: events cannot be scheduled before the plugin is active: x", false));
    assert_eq!(end_of("permanent"), failed("no such thing", true));
    assert_eq!(end_of("made_permanent"), failed("No such file or directory (os error 2)", true));
    assert_eq!(end_of("snooze"), JobEnd::Snoozed { after_ms: 1501 });
    assert_eq!(end_of("snooze_back"), JobEnd::Snoozed { after_ms: 0 });
    assert_eq!(end_of("cancel"), JobEnd::Cancelled { reason: "changed my mind".into() });
    assert_eq!(end_of("as_plugin"), failed("snoozed for 2m", false));
    let JobEnd::Panicked { message, place } = end_of("panic") else { panic!("it panics") };
    assert_eq!(message, "attempt 3");
    assert!(place.is_some_and(|place| place.starts_with("plugin-api/tests/bench.rs:") || place.starts_with("tests/bench.rs:")));
    let JobEnd::Failed { message, permanent: true } = TestHost::new().run::<Ends>().end else { panic!("`how` is missing") };
    assert_eq!(message, "the args cannot be read by this build of the job: missing field `how`");
}

/// Does to each resource what its `do` says.
#[derive(Deserialize, JsonSchema)]
struct Each {}

impl MultiResourceScheduledEventJob for Each {
    fn run_one(&self, resource: &Resource, cx: &JobContext) -> JobResult {
        match resource.text("do").unwrap_or_default() {
            "fail" => fail("not now"),
            "never" => fail_permanently("not ever"),
            "panic" => panic!("boom"),
            "snooze" => snooze(Duration::seconds(resource.property("s").and_then(Value::as_i64).unwrap_or(1))),
            "cancel" => cancel("gone"),
            "sleep" => cx.sleep(Duration::seconds(10)),
            _ => Ok(()),
        }
    }
}

fn over(what: &[&str]) -> (JobEnd, usize) {
    let resources = what.iter().enumerate().map(|(i, what)| Resource::new(format!("r{i}"), "").with("do", *what).with("s", 10 - i));
    let reply = TestHost::new().resources(resources).run::<Each>();
    (reply.end, reply.resources.len())
}

#[test]
fn the_ends_of_resources_make_the_end_of_the_run() {
    let failed = |message: &str, permanent| JobEnd::Failed { message: message.to_owned(), permanent };
    for (what, end) in [
        (&["", ""] as &[&str], JobEnd::Succeeded),
        (&[], JobEnd::Succeeded),
        (&["", "fail"], failed("1 of 2 resources failed: r1: not now", false)),
        (&["never", ""], failed("1 of 2 resources failed: r0: not ever", true)),
        (&["never", "fail"], failed("2 of 2 resources failed: r0: not ever; r1: not now", false)),
        (&["fail", "never"], failed("2 of 2 resources failed: r0: not now; r1: not ever", false)),
        (&["never", "never"], failed("2 of 2 resources failed: r0: not ever; r1: not ever", true)),
        (&["never", "snooze"], failed("1 of 2 resources failed: r0: not ever", false)),
        (&["snooze", "snooze", ""], JobEnd::Snoozed { after_ms: 9_000 }),
        (&["cancel", ""], JobEnd::Succeeded),
        (&["cancel", "cancel"], JobEnd::Cancelled { reason: "gone".into() }),
        (&["cancel", "snooze"], JobEnd::Snoozed { after_ms: 9_000 }),
    ] {
        assert_eq!(over(what), (end, what.len()), "{what:?}");
    }
    let (JobEnd::Failed { message, permanent: false }, 2) = over(&["panic", ""]) else { panic!("a panic fails the resource only") };
    assert!(message.starts_with("1 of 2 resources failed: r0: panicked at ") && message.ends_with(": boom"), "{message}");
    let (JobEnd::Failed { message, .. }, 8) = over(&["fail"; 8]) else { panic!("all fail") };
    assert!(message.starts_with("8 of 8 resources failed: r0: not now;") && message.ends_with("r4: not now; …"), "{message}");
}

#[test]
fn a_retry_leaves_alone_what_succeeded_and_a_stop_ends_between_resources() {
    let resources = |n: usize| (0..n).map(|i| Resource::new(format!("r{i}"), "").with("do", "sleep"));
    let reply = TestHost::new().attempt(2).resources(resources(4)).resources_done(["r0", "r2"]).run::<Each>();
    let done = |id: &str| ResourceReply { id: id.to_owned(), end: JobEnd::Succeeded };
    assert_eq!((reply.end, reply.resources), (JobEnd::Succeeded, vec![done("r1"), done("r3")]));

    let host = TestHost::new().resources(resources(4)).cancelled_after(Duration::seconds(15));
    let start = host.now();
    let reply = host.run::<Each>();
    assert_eq!(reply.end, JobEnd::Cancelled { reason: "asked to stop with 1 of 4 resources done".into() });
    assert_eq!(reply.resources.len(), 2, "the third was not begun");
    assert_eq!(reply.resources[1].end, JobEnd::Cancelled { reason: "asked to stop".into() });
    assert_eq!(reply.now - start, Duration::seconds(15), "the sleep ended when the stop came");

    let reply = TestHost::new().resources(resources(3)).cancelled_after(Duration::seconds(25)).run::<Each>();
    assert_eq!(reply.end, JobEnd::Cancelled { reason: "asked to stop with 2 of 3 resources done".into() }, "also at the last one");
    assert_eq!(reply.resources[2].end, JobEnd::Cancelled { reason: "asked to stop".into() });
}

/// Tells everything that a context knows.
#[derive(Deserialize, JsonSchema)]
struct Tells {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    region: String,
}

impl ScheduledEventJob for Tells {
    fn run(&self, cx: &JobContext) -> JobResult {
        let settings: Settings = cx.settings()?;
        let _outer = tracing::info_span!("outer", region = settings.region).entered();
        let inner = tracing::debug_span!("inner", n = tracing::field::Empty);
        inner.record("n", 5);
        inner.in_scope(|| tracing::warn!(code = 7, text = "a b", "careful {}", "now"));
        tracing::trace!(parent: None, "alone");
        cx.progress(1, 2, "half");
        cx.progress(2, None, "");
        cx.output("replaced")?;
        cx.output(&json!({
            "keys": [cx.idempotency_key(), cx.resource_key(&cx.resources()[0]), cx.event(), cx.event_type()],
            "bot": cx.bot().map(|bot| &bot.name),
            "deadline": cx.deadline(),
            "region": settings.region,
            "late_s": (cx.now() - cx.scheduled_for()).num_seconds(),
        }))?;
        fail("and then fails")
    }
}

#[test]
fn a_context_tells_and_is_told() {
    let reply = TestHost::new()
        .occurrence("0abc.4")
        .bot(Bot::new("b", "Night owl"))
        .resources([Resource::new("i-1", "instance")])
        .settings(json!({ "region": "eu" }))
        .run::<Tells>();
    assert_eq!(reply.end, JobEnd::Failed { message: "and then fails".into(), permanent: false });
    let output =
        json!({"keys": ["0abc.4", "0abc.4/i-1", "0abc", "test.job"], "bot": "Night owl", "deadline": null, "region": "eu", "late_s": 0});
    assert_eq!(reply.output, Some(output), "the last output, also of a run that fails");
    let progress = |done, total, note: &str| Progress { done, total, note: note.into() };
    assert_eq!(reply.progress, [progress(1, Some(2), "half"), progress(2, None, "")]);
    let log = |level, message: &str, spans: &str| LogEntry { level, target: "bench".into(), message: message.into(), spans: spans.into() };
    let expected = [log(2, r#"careful now code=7 text="a b""#, r#"outer{region="eu"}:inner{n=5}"#), log(5, "alone", "")];
    assert_eq!(reply.logs, expected);
    let reply = TestHost::new().settings(json!({ "region": 1 })).resources([Resource::default()]).run::<Tells>();
    let JobEnd::Failed { message, permanent: true } = reply.end else { panic!("{:?}", reply.end) };
    assert_eq!(message, "the plugin's settings do not fit: invalid type: integer `1`, expected a string");
}

/// An output longer than is kept.
#[derive(Deserialize, JsonSchema)]
struct Long {}

impl ScheduledEventJob for Long {
    fn run(&self, cx: &JobContext) -> JobResult {
        cx.output(&"x".repeat(sexton_plugin_api::context::OUTPUT_MAX_BYTES))
    }
}

#[test]
fn an_output_has_a_limit() {
    let reply = TestHost::new().run::<Long>();
    assert_eq!(reply.end, JobEnd::Failed { message: "the output is 1048578 bytes long; at most 1048576 are kept".into(), permanent: true });
    assert_eq!(reply.output, None);
}

/// Schedules follow-ups.
#[derive(Deserialize, JsonSchema, Serialize)]
struct Follows {
    commit: bool,
}

impl ScheduledEventJob for Follows {
    fn run(&self, cx: &JobContext) -> JobResult {
        let mut tracker = cx.tracker();
        tracker
            .schedule_event("acme.follow", schedule::After::new(Duration::minutes(5)))
            .args(self)
            .key("only-one")
            .description("Follows.")
            .label("team", "red")
            .resources(cx.resources())
            .priority(3);
        tracker.schedule_event("acme.follow", schedule::Manual);
        assert_eq!(tracker.len(), 2);
        if self.commit {
            cx.output(&tracker.commit()?)?;
        }
        Ok(())
    }
}

#[test]
fn a_tracker_stores_all_at_commit_and_nothing_without() {
    let reply = TestHost::new().args(json!({ "commit": true })).run::<Follows>();
    assert_eq!(reply.output, Some(json!(["test000000001", "test000000002"])), "ids at once");
    let event = &reply.scheduled[0];
    assert_eq!((&event.args, event.key.as_deref(), event.priority), (&json!({ "commit": true }), Some("only-one"), 3));
    assert_eq!((&event.schedule, event.labels["team"].as_str()), (&json!({ "after": "5m" }), "red"));
    assert_eq!(reply.scheduled[1].args, json!({}), "no args are `{{}}`");

    let reply = TestHost::new().args(json!({ "commit": false })).run::<Follows>();
    assert_eq!((reply.end, reply.scheduled), (JobEnd::Succeeded, vec![]), "dropped without commit");

    let refusing =
        TestHost::new().args(json!({ "commit": true })).refusing("schedule", "API001", "INP001: no event type `acme.follow` is known");
    let reply = refusing.run::<Follows>();
    let JobEnd::Failed { message, permanent: false } = reply.end else { panic!("{:?}", reply.end) };
    assert_eq!(message, "API001: INP001: no event type `acme.follow` is known");
    let reply = TestHost::new().args(json!({ "commit": true })).not_yet_active().run::<Follows>();
    let JobEnd::Failed { message, .. } = reply.end else { panic!("{:?}", reply.end) };
    assert!(message.starts_with("API002: events cannot be scheduled before the plugin is active"), "{message}");
}

/// Asks the state and the tracker what they say; the answers are asserted inside.
#[derive(Deserialize, JsonSchema)]
struct Remembers {}

impl ScheduledEventJob for Remembers {
    fn run(&self, cx: &JobContext) -> JobResult {
        let state = cx.state();
        let seen = state.get::<u32>("seen")?.expect("the test put it there");
        assert_eq!((seen.value, seen.version), (4, 1));
        assert_eq!(state.get::<u32>("other")?, None);
        assert_eq!(state.put_if("seen", &5, seen.version)?, 2);
        let conflict = StateError::Conflict { key: "seen".into(), expected: 1, found: 2 };
        assert_eq!(state.put_if("seen", &6, 1), Err(conflict));
        assert_eq!(state.put_if("new", "fresh", 0)?, 1);
        state.put("gone", &[1, 2])?;
        state.remove("gone")?;
        assert!(matches!(state.get::<Vec<u8>>("seen"), Err(StateError::Value { .. })));
        assert!(matches!(state.put("seen", &None::<u8>), Err(StateError::Value { .. })));

        let mut tracker = cx.tracker();
        tracker.schedule_event("acme.x", schedule::Manual).args(std::collections::BTreeMap::from([((1, 2), 3)]));
        let fault = tracker.commit().expect_err("a map with such keys is no JSON");
        assert!(matches!(fault, TrackerError::Args { at: 0, .. }), "{fault}");
        assert_eq!(cx.tracker().commit(), Ok(vec![]), "an empty tracker is no call");
        Ok(())
    }
}

#[test]
fn state_is_versioned() {
    let reply = TestHost::new().state("seen", json!(4)).run::<Remembers>();
    assert_eq!(reply.end, JobEnd::Succeeded);
    assert_eq!(reply.state, [("new".to_owned(), json!("fresh")), ("seen".to_owned(), json!(5))].into());
    let reply = TestHost::new().not_yet_active().run::<Remembers>();
    let JobEnd::Failed { message, .. } = reply.end else { panic!("{:?}", reply.end) };
    assert_eq!(message, "API002: the state cannot be used before the plugin is active: the generation is not active yet");
}

static NEVER_LOADED: ScheduledEventRegistryWrapper = ScheduledEventRegistryWrapper::new();

#[test]
fn a_wrapper_that_no_host_loaded_answers_not_yet_active() {
    let host = NEVER_LOADED.host();
    let mut tracker = ScheduledEventTracker::new(host);
    tracker.schedule_event("acme.x", schedule::Manual);
    assert!(matches!(tracker.commit(), Err(TrackerError::NotYetActive(_))));
    assert!(matches!(host.state().get::<u8>("k"), Err(StateError::NotYetActive(_))));
    let error = NEVER_LOADED.load(host).expect_err("outside of `load`");
    assert!(error.to_string().starts_with("the batch is closed"), "{error}");
}
