//! The plugins of `plugins/` in a real host: dropped in, configured beside the file, run.
//!
//! Not their details (each has tests of its own). What must hold: what a newcomer would try first works.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, until};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

const ALL: [&str; 3] = ["start_resource", "shell", "http"];

fn event(event_type: &str, args: &Value) -> Value {
    json!({"event_type": event_type, "schedule": {"once": in_millis(0)}, "args": args})
}

#[test]
fn all_three_load_and_say_who_they_are() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &ALL);
        let host = HostProcess::start(&site);
        for (name, types) in
            [("start-resource", &["acme.start_resource", "acme.stop_resource"][..]), ("shell", &["shell.run"]), ("http", &["http.request"])]
        {
            let plugin = site.until_plugin(name, "active");
            let served: std::collections::BTreeSet<&str> =
                plugin["event_types"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
            assert_eq!(served, types.iter().copied().collect(), "{plugin}");
            assert_eq!(plugin["version"], env!("CARGO_PKG_VERSION"));
        }
        assert!(host.stop().success());
    }
}

#[test]
fn shell_keeps_output_and_exit_code() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &ALL);
        let _host = HostProcess::start(&site);
        let run = site.run_of(&site.schedule(&event("shell.run", &json!({"argv": ["/bin/echo", "hello"]}))));
        assert_eq!(
            (&run["outcome"], &run["output"]["stdout"], &run["output"]["exit_code"]),
            (&json!("succeeded"), &json!("hello\n"), &json!(0)),
            "{run}"
        );
        let mut failing = event("shell.run", &json!({"script": "echo why >&2; exit 4"}));
        failing["retry"] = json!({"attempts": 1});
        let run = site.run_of(&site.schedule(&failing));
        assert_eq!(
            (&run["outcome"], &run["output"]["exit_code"], &run["output"]["stderr"]),
            (&json!("failed"), &json!(4), &json!("why\n")),
            "{run}"
        );
    }
}

/// Whether a process with this number is there and not a zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !stat.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn a_commands_whole_group_ends_on_cancel_and_with_the_host() {
    for placement in Placement::ALL {
        for by_kill in [false, true] {
            let site = Site::with(placement, &ALL);
            let host = HostProcess::start(&site);
            let pids = site.path().join("pids");
            let script = format!("trap '' TERM; sleep 1000 & echo $$ $! >{}; wait; sleep 1000", pids.display());
            let id = site.schedule(&event("shell.run", &json!({"script": script, "grace_s": 1})));
            let read = || std::fs::read_to_string(&pids).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let pids = until("the command runs", SOON, || Some(read()).filter(|pids| pids.len() == 2));
            assert!(pids.iter().all(|pid| lives(pid)));
            if by_kill {
                host.kill();
            } else {
                site.sexton(&["run", "cancel", &format!("{id}.1")]).fine();
                assert_eq!(site.run_of(&id)["outcome"], "cancelled");
            }
            until("the whole group has ended", SOON, || (!pids.iter().any(|pid| lives(pid))).then_some(()));
        }
    }
}

#[test]
fn http_asks_a_server() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &ALL);
        let _host = HostProcess::start(&site);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client comes");
            let mut request = [0; 4096];
            let n = stream.read(&mut request).expect("it asks");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").expect("it listens");
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let id = site.schedule(&event("http.request", &json!({"url": url, "method": "POST", "json": {"a": 1}})));
        let run = site.run_of(&id);
        assert_eq!(
            (&run["outcome"], &run["output"]["status"], &run["output"]["body"]),
            (&json!("succeeded"), &json!(200), &json!("hello")),
            "{run}"
        );
        let request = server.join().expect("the server does not panic").to_ascii_lowercase();
        assert!(
            request.contains(&format!("idempotency-key: {}", run["occurrence"].as_str().expect("text").to_ascii_lowercase())),
            "{request}"
        );
        let said = site.sexton(&["event", "schedule", "http.request", "--args", r#"{"url": "gopher://x"}"#, "--in", "0s"]);
        said.refused("INP002").saying("/url");
    }
}

#[test]
fn resources_are_started_by_the_operators_commands() {
    for placement in Placement::ALL {
        let site = Site::new(placement);
        let (stub, log) = (site.path().join("vmctl"), site.path().join("log"));
        std::fs::write(&stub, format!("#!/bin/sh\necho \"$@\" >>{}\n", log.display())).expect("ours");
        std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).expect("ours");
        site.plugins.configure("start_resource", &format!("[settings.commands.command]\nstart = [{stub:?}, \"start\", \"{{id}}\"]\n"));
        site.plugins.put("start_resource", &sexton_tests::Build::of("start_resource"), sexton_tests::Way::Move);
        let _host = HostProcess::start(&site);
        let mut wish = event("acme.start_resource", &json!({}));
        wish["resources"] = json!([{"id": "i-1", "kind": "command"}, {"id": "i-2", "kind": "command"}]);
        let run = site.run_of(&site.schedule(&wish));
        assert_eq!(run["outcome"], "succeeded", "{run}");
        assert_eq!(std::fs::read_to_string(&log).expect("the stub ran"), "start i-1\nstart i-2\n");
        // Other settings are a reload.
        site.plugins.configure("start_resource", &format!("[settings.commands.command]\nstart = [{stub:?}, \"boot\", \"{{id}}\"]\n"));
        until("the new settings are in use", SOON, || {
            wish["schedule"] = json!({"once": in_millis(0)});
            let run = site.run_of(&site.schedule(&wish));
            assert_eq!(run["outcome"], "succeeded", "{run}");
            std::fs::read_to_string(&log).expect("the stub ran").contains("boot i-1").then_some(())
        });
    }
}

#[test]
fn the_originals_action_schedules_twelve_hours_ahead() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &ALL);
        let _host = HostProcess::start(&site);
        let matches = site.path().join("matches.json");
        std::fs::write(&matches, r#"[{"id": "a", "kind": "command"}, {"id": "b", "kind": "docker"}]"#).expect("ours");
        let matches = matches.to_str().expect("text");
        site.sexton(&["action", "run", "acme.action.start_resource_example", "--matches", matches, "--bot", "Nightly"]).fine();
        let events = site.sexton(&["event", "list", "--type", "acme.start_resource", "--output", "ndjson"]).fine().ndjson();
        assert_eq!(events.len(), 2);
        for event in &events {
            assert_eq!(
                (&event["state"], &event["description"], &event["bot"]["name"]),
                (&json!("scheduled"), &json!("Start a resource."), &json!("Nightly")),
                "{event}"
            );
            let due: chrono::DateTime<chrono::Utc> = event["next_run_at"].as_str().and_then(|t| t.parse().ok()).expect("an instant");
            let ahead = (due - chrono::Utc::now()).num_minutes();
            assert!((715..=720).contains(&ahead), "{ahead} minutes ahead");
        }
        site.sexton(&["action", "run", "acme.action.unheard_of", "--matches", matches]).refused("INP014");
    }
}
