//! The event stream, as programs and operators listen to it: what it says, to how many, how fast, and how it ends.
//!
//! Not one run (`run_watch`). What must hold: a slow listener is told what it missed and slows nobody; no listener holds up the host's stop.

use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, until};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A listener on the socket.
struct Listening(BufReader<UnixStream>);

impl Listening {
    fn start(site: &Site, filters: &str) -> Self {
        let mut socket = UnixStream::connect(site.socket()).expect("the host listens");
        socket.set_read_timeout(Some(SOON)).expect("a socket has a timeout");
        write!(socket, "GET /api/v1/stream?{filters} HTTP/1.1\r\nHost: sexton\r\n\r\n").expect("the host reads");
        let mut listening = Self(BufReader::new(socket));
        let status = listening.line().expect("an answer");
        assert!(status.contains("200 OK"), "{status}");
        // From this line on it hears everything.
        while listening.line().expect("a head, then a greeting") != ": this host tells from here on" {}
        listening
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("the host says something, or ends");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(data) = self.line()?.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// All that it says until it ends.
    fn rest(mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

fn whats(heard: &[Value]) -> Vec<&str> {
    heard.iter().map(|told| told["what"].as_str().expect("a word")).collect()
}

fn watch(site: &Site, arguments: &[&str]) -> Child {
    let mut command = site.command(&[&["watch"], arguments].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary is built")
}

/// Manual events, which nothing happens to but that they are stored.
fn store(site: &Site, count: usize) {
    let event = json!({"event_type": "sexton.noop", "schedule": {"manual": true}});
    assert_eq!(site.schedule_all(&vec![event; count]).len(), count);
}

#[test]
fn what_happens_is_heard_by_who_asked_for_it_until_the_host_stops() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_live"]);
        let host = HostProcess::start(&site);
        let all = Listening::start(&site, "");
        let filters = ["type=fx.live", "what=ended,started", "bot=b1", "plugin=fx-live", "event=00000000g0000"];
        let filtered = filters.map(|filter| Listening::start(&site, filter));
        let live = site
            .schedule(&json!({"event_type": "fx.live", "schedule": {"once": in_millis(0)}, "bot": {"id": "b1", "name": "Night"},
            "args": {"steps": 2, "total": 2, "note": "copying", "fail": 3_000}, "retry": {"attempts": 1}}));
        assert_eq!(site.run_of(&live)["outcome"], "failed");
        let noop = site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(0)}}));
        assert_eq!(site.run_of(&noop)["outcome"], "succeeded");
        site.sexton(&["plugin", "unload", "fx-live", "--yes"]).fine();
        assert!(host.stop().success());

        let heard = all.rest();
        assert_eq!(heard.last().expect("the end"), &json!({"what": "end"}));
        let ids: Vec<u64> = heard.iter().filter_map(|told| told["id"].as_u64()).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "none is missing");
        let of_live: Vec<&Value> = heard.iter().filter(|told| told["event_id"] == live.as_str()).collect();
        let words: Vec<&str> = of_live.iter().map(|told| told["what"].as_str().expect("a word")).collect();
        assert!(words.starts_with(&["stored", "started", "progress"]) && words.ends_with(&["ended"]), "{words:?}");
        let ended = of_live.last().expect("its end");
        for (field, value) in [
            ("occurrence", json!(format!("{live}.1"))),
            ("outcome", json!("failed")),
            ("plugin", json!("fx-live")),
            ("event_type", json!("fx.live")),
            ("attempt", json!(1)),
            ("bot", json!({"id": "b1", "name": "Night"})),
        ] {
            assert_eq!(ended[field], value, "{field}");
        }
        assert!(ended["error"].as_str().is_some_and(|e| e.len() <= 1_024 && e.ends_with(" bytes dropped]")), "{ended}");
        assert!(
            heard.iter().any(|told| told["what"] == "plugin" && told["plugin"] == "fx-live" && told["state"] == "unloaded"),
            "{heard:?}"
        );

        let [of_type, of_what, of_bot, of_plugin, of_event] = filtered.map(Listening::rest);
        let but_the_end = |heard: &[Value]| heard.len() - 1;
        assert!(of_type[..but_the_end(&of_type)].iter().all(|told| told["event_type"] == "fx.live") && of_type.len() == of_live.len() + 1);
        assert_eq!(whats(&of_what), ["started", "ended", "started", "ended", "end"]);
        assert_eq!(of_bot.len(), of_live.len() + 1);
        assert!(
            of_plugin[..but_the_end(&of_plugin)].iter().all(|told| told["plugin"] == "fx-live") && whats(&of_plugin).contains(&"plugin")
        );
        assert_eq!(whats(&of_event), ["end"], "the end is told to everybody");
    }
}

#[test]
fn who_reads_slowly_is_told_what_it_missed_and_holds_up_nobody() {
    let site = Site::new(Placement::Runner);
    let host = HostProcess::start(&site);
    let mut slow = Listening::start(&site, "");
    let stuck = Listening::start(&site, "");
    let total = 25_000;
    let before = host.resident_bytes();
    (0..5).for_each(|_| store(&site, total / 5));
    let grown = host.resident_bytes().saturating_sub(before);
    assert!(grown < 96 << 20, "listeners who do not read cost {grown} bytes");

    let (mut heard, mut missed, mut last) = (0, 0, 0);
    while last < total as u64 {
        let told = slow.next().expect("it goes on");
        if told["what"] == "missed" {
            missed += told["missed"].as_u64().expect("a number");
        } else {
            heard += 1;
            last = told["id"].as_u64().expect("a number");
        }
    }
    assert!(missed > 0 && missed + heard == total as u64, "{heard} heard, {missed} missed");
    let began = Instant::now();
    assert!(host.stop().success());
    assert!(began.elapsed() < Duration::from_secs(10), "a listener who does not read held up the stop for {:?}", began.elapsed());
    assert_eq!(whats(&slow.rest()), ["end"]);
    drop(stuck);
}

#[test]
fn listeners_are_bounded_and_others_get_in_all_the_same() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start_with(&site, |command| {
        command.env("SEXTON_CONNECTIONS_MAX", "8");
    });
    let mut places: Vec<Listening> = (0..4).map(|_| Listening::start(&site, "what=ended")).collect();
    site.sexton(&["watch"]).refused("INP044").exits(4);
    site.sexton(&["status"]).fine();
    let first = &mut places[0];
    until("it says that it is alive though it has nothing to say", SOON, || (first.line()? == ": alive").then_some(()));
    drop(places.pop());
    let mut next = until("the place of one who left is free", SOON, || {
        let mut child = watch(&site, &["--output", "ndjson"]);
        let mut line = String::new();
        store(&site, 1);
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("text");
        if line.is_empty() {
            child.wait().expect("a child can be waited for");
        }
        (!line.is_empty()).then_some(child)
    });
    next.kill().expect("our child can be killed");
    next.wait().expect("a child can be waited for");
    for (filters, code) in [("what=everything", "INP016"), ("event=x!", "INP017"), ("colour=red", "INP016")] {
        let mut socket = UnixStream::connect(site.socket()).expect("the host listens");
        write!(socket, "GET /api/v1/stream?{filters} HTTP/1.1\r\nHost: sexton\r\nConnection: close\r\n\r\n").expect("the host reads");
        let said = std::io::read_to_string(socket).expect("text");
        assert!(said.starts_with("HTTP/1.1 400") && said.contains(code), "{filters}: {said}");
    }
}

#[test]
fn an_operator_sees_lines_and_how_the_host_ended() {
    for killed in [false, true] {
        let site = Site::new(Placement::Runner);
        let host = HostProcess::start(&site);
        let mut table = watch(&site, &["--type", "sexton.noop"]);
        let mut raw = watch(&site, &["--type", "sexton.noop", "--output", "ndjson"]);
        let mut lines = [&mut table, &mut raw].map(|child| BufReader::new(child.stdout.take().expect("a pipe")));
        // Both listen once each has heard of one.
        let first = lines.each_mut().map(|reader| {
            std::thread::scope(|scope| {
                let heard = scope.spawn(|| {
                    let mut line = String::new();
                    reader.read_line(&mut line).map(|_| line).expect("text")
                });
                until("it is heard", SOON, || {
                    store(&site, 1);
                    heard.is_finished().then_some(())
                });
                heard.join().expect("the reader does not panic")
            })
        });
        assert!(first[0].contains("  stored  ") && first[0].contains("sexton.noop  no time"), "{first:?}");
        assert_eq!(serde_json::from_str::<Value>(&first[1]).expect("JSON")["what"], "stored");
        if killed {
            host.kill();
        } else {
            assert!(host.stop().success());
        }
        for (child, reader) in [table, raw].into_iter().zip(lines) {
            let output = child.wait_with_output().expect("a child can be waited for");
            let said = String::from_utf8_lossy(&output.stderr);
            let (code, word) = if killed { (3, "HST004") } else { (0, "the host has stopped") };
            assert!(output.status.code() == Some(code) && said.contains(word), "{:?}: {said}", output.status);
            assert!(reader.lines().map_while(Result::ok).all(|line| !line.contains('\u{1b}')), "no colours where there is no terminal");
        }
    }
}
