//! A host whose standard error nobody reads: runs settle all the same, the host ends, and what was dropped is said to the next reader.
//!
//! Not the format of the log. What must hold: the log is the only thing that a reader who stalls can stall.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use serde_json::{Value, json};
use sexton_tests::{HostProcess, Placement, SOON, Site, in_millis, until};
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Write, pipe};
use std::process::Stdio;
use std::sync::mpsc::channel;

/// A pipe that takes not one byte more, and whose writers wait.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("a descriptor has flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("a pipe may be made not to wait");
    let full = loop {
        if let Err(error) = writer.write(b"\n") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl_setfl(&writer, flags).expect("a pipe may be made to wait");
    (reader, writer)
}

/// Starts a host that writes to it, and lets it log more than it queues.
fn chatted(site: &Site, writer: PipeWriter) -> HostProcess {
    let host = HostProcess::start_with(site, |command| {
        command.stderr(Stdio::from(writer));
    });
    let runs = 30;
    let args = json!({"lines": 60, "size": 2_000});
    let wishes: Vec<Value> =
        (0..runs).map(|_| json!({"event_type": "fx.chat", "schedule": {"once": in_millis(0)}, "args": args})).collect();
    assert_eq!(site.schedule_all(&wishes).len(), runs);
    until("every run is settled", SOON, || (site.runs(&["--outcome", "succeeded"]).len() == runs).then_some(()));
    host
}

#[test]
fn nobody_reads_and_everything_goes_on() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_chat"]);
        let (reader, writer) = full_pipe();
        let host = chatted(&site, writer);
        let (send, lines) = channel();
        std::thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).try_for_each(|line| send.send(line).ok()));
        let said = until("what was dropped is said", SOON, || lines.try_iter().find(|l| l.contains("lines of this log were dropped")));
        let dropped: u64 = said.split(' ').find_map(|word| word.parse().ok()).expect("a count");
        // 30 runs say 60 lines of 2,000 bytes each: 3.6 MB, of which two queues of 1 MiB and a pipe hold at most 2.2 MB.
        assert!(dropped > 500, "{said}");
        assert!(host.stop().success());
        let rest: Vec<String> = lines.iter().collect();
        assert!(rest.iter().any(|line| line.contains("told to stop")), "once somebody reads, it is written again: {rest:?}");
    }
}

#[test]
fn a_host_that_nobody_reads_ends_when_it_is_told() {
    for placement in Placement::ALL {
        let site = Site::with(placement, &["fx_chat"]);
        let (reader, writer) = full_pipe();
        assert!(chatted(&site, writer).stop().success());
        drop(reader);

        // And when it is told more often, with a run under way that neither ends nor listens: it leaves without waiting.
        let (reader, writer) = full_pipe();
        let mut host = held(&site, writer);
        until("the host has left", SOON, || {
            host.signal(Signal::TERM);
            (!host.alive()).then_some(())
        });
        assert!(host.wait(SOON).success());
        drop(reader);
    }
}

/// Starts a host with a run that does not end.
fn held(site: &Site, writer: PipeWriter) -> HostProcess {
    let host = HostProcess::start_with(site, |command| {
        command.stderr(Stdio::from(writer));
    });
    let args = json!({"lines": 1, "until": site.path().join("never"), "deaf": true});
    let id = site.schedule(&json!({"event_type": "fx.chat", "schedule": {"once": in_millis(0)}, "args": args}));
    until("it runs", SOON, || (site.event(&id)["running"] == true).then_some(()));
    host
}
