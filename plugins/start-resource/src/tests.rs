//! The jobs and the action on a test host, with a stub `systemctl`, stub commands and a stub Docker socket.
//!
//! Not templates or HTTP parsing (each beside its code). What must hold: the stubs record what reached them, and that is compared.

use super::{StartResource, StopResource};
use sexton_plugin_api::prelude::*;
use sexton_plugin_api::testing::{TestHost, TestReply};
use sexton_plugin_api::wire::JobEnd;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

/// A folder of its own for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sexton-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("there is room for temporary files");
        Self(path)
    }

    /// A program that writes its arguments, one a line, to `arguments` and then ends so.
    fn stub(&self, name: &str, end: &str) -> PathBuf {
        let (path, log) = (self.0.join(name), self.0.join("arguments"));
        std::fs::write(&path, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>'{}'\n{end}\n", log.display())).expect("ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
        path
    }

    fn arguments(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join("arguments")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run<J: MultiResourceScheduledEventJob>(settings: Value, args: Value, resources: Vec<Resource>) -> TestReply {
    TestHost::new().settings(settings).args(args).resources(resources).run::<J>()
}

fn end_of<'a>(reply: &'a TestReply, id: &str) -> &'a JobEnd {
    &reply.resources.iter().find(|resource| resource.id == id).expect("every resource has an end").end
}

fn complaint(end: &JobEnd) -> (&str, bool) {
    match end {
        JobEnd::Failed { message, permanent } => (message, *permanent),
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn units_are_started_and_stopped_by_systemctl() {
    let folder = Folder::new("units");
    let settings = json!({"systemd": {"systemctl": folder.stub("systemctl", "exit 0")}});
    let unit = Resource::new("web", "systemd").with("unit", "web.service");
    let reply = run::<StartResource>(settings.clone(), json!({}), vec![unit.clone()]);
    assert_eq!((&reply.end, end_of(&reply, "web")), (&JobEnd::Succeeded, &JobEnd::Succeeded));
    assert_eq!(run::<StopResource>(settings, json!({"wait": true}), vec![unit]).end, JobEnd::Succeeded);
    let start = ["--no-ask-password", "--no-block", "start", "--", "web.service"];
    let stop = ["--no-ask-password", "stop", "--", "web.service"];
    assert_eq!(folder.arguments(), [&start[..], &stop[..]].concat());
}

#[test]
fn commands_come_from_the_settings_and_each_resource_has_its_end() {
    let folder = Folder::new("commands");
    let good = folder.stub("vmctl", "exit 0");
    let bad = folder.stub("badctl", "echo out of power >&2; exit 9");
    let settings =
        json!({"timeout_s": 20, "commands": {"vm": {"start": [good, "start", "{id}", "--zone={zone}"]}, "bad": {"start": [bad, "{id}"]}}});
    let resources = vec![
        Resource::new("vm 1", "vm").with("zone", "a; b"),
        Resource::new("b", "bad"),
        Resource::new("c", "vm"),
        Resource::new("d", "unheard-of"),
    ];
    let reply = run::<StartResource>(settings.clone(), json!({}), resources);
    assert_eq!(end_of(&reply, "vm 1"), &JobEnd::Succeeded);
    let (message, permanent) = complaint(end_of(&reply, "b"));
    assert!(message.contains("exit status: 9: out of power") && !permanent, "{message}");
    let (message, permanent) = complaint(end_of(&reply, "c"));
    assert!(message.contains("no property `zone`") && permanent, "{message}");
    let (message, permanent) = complaint(end_of(&reply, "d"));
    assert!(message.contains("`unheard-of` is not known") && permanent, "{message}");
    assert_eq!(folder.arguments(), ["start", "vm 1", "--zone=a; b", "b"]);
    let reply = run::<StopResource>(settings, json!({}), vec![Resource::new("vm 1", "vm")]);
    assert!(complaint(&reply.end).0.contains("has no `stop`"), "{:?}", reply.end);
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let reply = run::<StartResource>(json!({"comands": {}}), json!({}), vec![Resource::new("x", "vm")]);
    assert!(complaint(&reply.end).0.contains("comands"), "{:?}", reply.end);
}

/// A Docker Engine that answers each connection with the next of these, and shows what it was asked.
fn engine(socket: &Path, answers: &[(&str, &str)]) -> Receiver<String> {
    let listener = UnixListener::bind(socket).expect("a new socket");
    let answers: Vec<String> =
        answers.iter().map(|(status, body)| format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).collect();
    let (send, seen) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client comes");
            let mut first = String::new();
            BufReader::new(&stream).read_line(&mut first).expect("a request has a line");
            let _ = send.send(first.trim().to_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    seen
}

#[test]
fn containers_are_turned_by_the_engines_api() {
    let folder = Folder::new("docker");
    let socket = folder.0.join("docker.sock");
    let answers = [
        ("204 No Content", ""),
        ("304 Not Modified", ""),
        ("404 Not Found", r#"{"message":"No such container: gone"}"#),
        ("500 Internal Server Error", r#"{"message":"no space left"}"#),
        ("204 No Content", ""),
        ("200 OK", r#"{"State":{"Running":false}}"#),
        ("200 OK", r#"{"State":{"Running":true}}"#),
    ];
    let seen = engine(&socket, &answers);
    let settings = json!({"timeout_s": 20, "docker": {"socket": socket}});
    let containers = ["web", "db", "gone", "full"].map(|id| Resource::new(id, "docker"));
    let reply = run::<StartResource>(settings.clone(), json!({}), containers.to_vec());
    assert_eq!((end_of(&reply, "web"), end_of(&reply, "db")), (&JobEnd::Succeeded, &JobEnd::Succeeded));
    assert_eq!(complaint(end_of(&reply, "gone")), ("no container `gone`: No such container: gone", true));
    assert_eq!(complaint(end_of(&reply, "full")), ("the Docker Engine answered 500 to start `full`: no space left", false));
    let named = Resource::new("x", "docker").with("container", "web");
    assert_eq!(run::<StartResource>(settings, json!({"wait": true}), vec![named]).end, JobEnd::Succeeded);
    let starts = ["web", "db", "gone", "full", "web"].map(|id| format!("POST /containers/{id}/start HTTP/1.1"));
    let looks = ["GET /containers/web/json HTTP/1.1"; 2].map(str::to_owned);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [&starts[..], &looks[..]].concat());
}

#[test]
fn no_engine_is_tried_again() {
    let settings = json!({"docker": {"socket": "/nonexistent/docker.sock"}});
    let reply = run::<StopResource>(settings, json!({}), vec![Resource::new("web", "docker")]);
    let (message, permanent) = complaint(&reply.end);
    assert!(message.contains("/nonexistent/docker.sock") && !permanent, "{message}");
}

#[test]
fn the_action_schedules_a_start_twelve_hours_ahead() {
    let host = TestHost::new();
    let when = host.now() + Duration::hours(12);
    let bot = Bot::new("7", "Nightly");
    let matches = [Resource::new("a", "vm").with("zone", "x"), Resource::new("b", "docker")];
    let act = host.act("acme.action.start_resource_example", &bot, &matches, &[Resource::new("c", "vm")]);
    assert_eq!(act.result, Ok(()));
    assert_eq!(act.scheduled.len(), 2);
    for (order, resource) in act.scheduled.iter().zip(&matches) {
        assert_eq!(
            (order.event_type.as_str(), order.bot.as_ref(), order.description.as_deref()),
            ("acme.start_resource", Some(&bot), Some("Start a resource."))
        );
        assert_eq!(order.resources, std::slice::from_ref(resource));
        assert_eq!(order.schedule, json!({"once": when.to_rfc3339_opts(sexton_plugin_api::chrono::SecondsFormat::Secs, true)}));
    }
}
